"""The files of the page: their names, and the content of each, which is rendered on request."""

import json
from collections.abc import Callable, Iterator
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined, select_autoescape

from reconciler.render.page.content import MOST_SHOWN, PageContent, SpecView, Views
from reconciler.render.page.drawing import drawing
from reconciler.render.page.timeline import timelines
from reconciler.render.plan_phrases import summary_line
from reconciler.render.plan_text import plan_text
from reconciler.render.text import place_line

PAGE = 100
"""The number of specs on one page of the list."""
FIRST = 30
"""The number of specs in the timeline of the first page, which shows the specs with the newest runs."""
LONGEST_PLAN = 60_000
"""The maximum number of characters of the plan that are shown."""

STYLE, SCRIPT, SEARCH = "page.css", "page.js", "search.js"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'"
)
"""The content security policy of every file. Nothing is loaded from other hosts, and no inline script runs."""


class Site:
    """The files of the page about one `PageContent`. With `live`, pages reload themselves after each pass."""

    def __init__(self, content: PageContent, *, live: bool = False) -> None:
        self._views = Views(content)
        self._live = live
        specs = self._views.specs
        self._lists = [specs[start : start + PAGE] for start in range(0, len(specs), PAGE)] or [[]]
        self._files: dict[str, Callable[[], str]] = {
            "index.html": self._index,
            "graph.html": self._graph,
            "plan.html": self._plan,
            STYLE: lambda: _resource(STYLE),
            SCRIPT: lambda: _resource(SCRIPT),
            SEARCH: self._search,
        }
        for number in range(len(self._lists)):
            self._files[_list_name(number)] = lambda number=number: self._list(number)  # type: ignore[misc]
        for view in specs:
            self._files[view.href] = lambda view=view: self._spec(view)  # type: ignore[misc]

    def names(self) -> Iterator[str]:
        """Yields the names of all files, with ``/`` between folders."""
        yield from self._files

    def file(self, name: str) -> str | None:
        """Returns the content of a file, or `None` if no file has this name."""
        make = self._files.get(name)
        return make() if make is not None else None

    def _index(self) -> str:
        views = self._views
        newest = dict.fromkeys(run.name for run in views.content.runs if run.name in views.by_name)
        recent = [views.by_name[name] for name in list(newest)[:FIRST]]
        attention = views.attention()
        return self._html(
            "index.html",
            "Overview",
            numbers=views.numbers(),
            attention=attention[:MOST_SHOWN],
            more_attention=max(0, len(attention) - MOST_SHOWN),
            changes=views.changes[:MOST_SHOWN],
            more_changes=max(0, len(views.changes) - MOST_SHOWN),
            timelines=timelines(views, recent),
            summary=summary_line(views.plan),
        )

    def _list(self, number: int) -> str:
        specs = self._lists[number]
        pages = [(str(other + 1), _list_name(other), other == number) for other in range(len(self._lists))]
        return self._html("list.html", "Specs", specs=specs, pages=pages, timelines=timelines(self._views, specs))

    def _graph(self) -> str:
        return self._html("graph.html", "Dependencies", drawing=drawing(self._views), edges=self._edges())

    def _edges(self) -> list[tuple[SpecView, SpecView, str]]:
        known = self._views.by_name
        return [
            (known[edge.needs], known[edge.name], edge.how)
            for edge in self._views.edges
            if edge.needs in known and edge.name in known
        ]

    def _plan(self) -> str:
        text = plan_text(self._views.plan)
        left_out = max(0, len(text) - LONGEST_PLAN)
        return self._html("plan.html", "Plan", text=text[:LONGEST_PLAN], left_out=left_out)

    def _spec(self, view: SpecView) -> str:
        views = self._views
        return self._html(
            "spec.html",
            view.name,
            root="../",
            spec=view,
            source=views.source_of(view.name),
            usual=views.usual_of(view.name),
            runs=views.runs_of(view.name),
            changes=[change for change in views.changes if change.name == view.name],
            request=views.request_of(view.name),
            neighbours=views.neighbours(view.name),
            timelines=timelines(views, [view]),
        )

    def _search(self) -> str:
        """Returns the names, states and files of all specs as a script, because a page that is opened from a local file
        may not load data."""
        entries = [(view.name, view.state, view.href) for view in self._views.specs]
        return f"window.SPECS = {json.dumps(entries, separators=(',', ':'))};\n"

    def _html(self, template: str, title: str, *, root: str = "", **values: Any) -> str:  # noqa: ANN401 - see templates
        plan = self._views.plan
        return (
            _environment()
            .get_template(template)
            .render(
                title=title,
                root=root,
                live=self._live,
                policy=POLICY,
                place=plan.place,
                place_line=place_line(plan.place),
                made_at=plan.created_at,
                commit=plan.commit or "",
                uncommitted=plan.uncommitted,
                **values,
            )
        )


def _list_name(number: int) -> str:
    return "specs.html" if number == 0 else f"specs-{number + 1}.html"


@cache
def _environment() -> Environment:
    return Environment(
        loader=FunctionLoader(_resource),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _resource(name: str) -> str:
    """Returns a template, the style sheet or the script from the installed package."""
    return (files("reconciler.render.page") / "templates" / name).read_text("utf-8")


def content_type(name: str) -> str:
    """Returns the content type of a file, according to its extension."""
    return TYPES["." + name.rpartition(".")[2]]
