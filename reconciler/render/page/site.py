"""The files of the page: their names, and the content of each, which is rendered on request."""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from importlib.resources import files
from itertools import islice
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined, select_autoescape

from reconciler.core.times import parse_time, seconds_text
from reconciler.render.page.content import MOST_RUNS, PageContent, SpecView, Views
from reconciler.render.page.drawing import drawing
from reconciler.render.page.timeline import first_shown, states_of, timelines
from reconciler.render.plan_phrases import summary_line
from reconciler.render.plan_text import plan_text
from reconciler.values import dataclass

ROWS = 200
"""The number of specs on one page of a list."""
LANES = 100
"""The number of specs on one page of the timeline."""
FIRST = 30
"""The number of specs in the timeline of the first page, which shows the specs with the newest runs."""
MOST_SHOWN = 50
"""The maximum number of specs that need attention, and of changes, on the first page."""
MOST_EDGES = 1000
"""The maximum number of dependencies in the table. The page of each spec shows all of its dependencies."""
NEAR = 3
"""The number of pages before and after the current one to which a page links, besides the first and the last."""
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


@dataclass(frozen=True, slots=True)
class Pages:
    """A list of specs that is divided into pages: `name` is the first part of the files' names."""

    name: str
    label: str
    specs: Sequence[SpecView]
    size: int

    def files(self) -> Iterator[tuple[str, int]]:
        """Yields the name and the number of each page. An empty list has one page."""
        for number in range(max(1, -(-len(self.specs) // self.size))):
            yield self.file(number), number

    def file(self, number: int) -> str:
        """Returns the name of the file of a page."""
        return f"{self.name}.html" if number == 0 else f"{self.name}-{number + 1}.html"

    def on(self, number: int) -> Sequence[SpecView]:
        """Returns the specs on a page."""
        return self.specs[number * self.size : (number + 1) * self.size]

    def links(self, number: int) -> list[tuple[str, str, bool]]:
        """Returns links to the first, the last and the nearest pages: the label, the file, and whether it is the
        current page. A gap has no file."""
        last = len(list(self.files())) - 1
        kept = [each for each in range(last + 1) if each in {0, last} or abs(each - number) <= NEAR]
        links = []
        for before, each in zip([-1, *kept], kept, strict=False):
            if each - before > 1:
                links.append(("…", "", False))
            links.append((f"{each + 1}", self.file(each), each == number))
        return links


class Site:
    """The files of the page about one `PageContent`. With `live`, pages reload themselves after each pass."""

    def __init__(self, content: PageContent, *, live: bool = False) -> None:
        self._views = views = Views(content)
        self._live = live
        self._attention = views.attention()
        by_state: dict[str, list[SpecView]] = {state: [] for state, _ in views.states()}
        for view in views.specs:
            by_state[view.state].append(view)
        self._lists = [Pages("specs", "all", views.specs, ROWS)]
        if self._attention:
            self._lists.append(Pages("specs-attention", "need attention", self._attention, ROWS))
        self._lists += [Pages(f"specs-{state}", state, specs, ROWS) for state, specs in by_state.items()]
        self._files: dict[str, Callable[[], str]] = {
            "index.html": self._index,
            "runs.html": self._runs,
            "graph.html": self._graph,
            "plan.html": self._plan,
            STYLE: lambda: _resource(STYLE),
            SCRIPT: lambda: _resource(SCRIPT),
            SEARCH: self._search,
        }
        for pages in self._lists:
            for name, number in pages.files():
                self._files[name] = partial(self._list, pages, number)
        lanes = Pages("timeline", "all", views.specs, LANES)
        for name, number in lanes.files():
            self._files[name] = partial(self._timeline, lanes, number)
        for view in views.specs:
            self._files[view.href] = partial(self._spec, view)

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
        recent = [views.by_name[name] for name in islice(newest, FIRST)]
        return self._html(
            "index.html",
            "Overview",
            numbers=views.numbers(),
            states=views.states(),
            total=len(views.specs),
            attention=self._attention[:MOST_SHOWN],
            more_attention=max(0, len(self._attention) - MOST_SHOWN),
            changes=views.changes[:MOST_SHOWN],
            more_changes=max(0, len(views.changes) - MOST_SHOWN),
            timelines=timelines(views, recent) if recent else [],
            summary=summary_line(views.plan),
        )

    def _list(self, pages: Pages, number: int) -> str:
        return self._html(
            "list.html",
            "Specs",
            lists=[(each.label, each.file(0), len(each.specs), each is pages) for each in self._lists],
            pages=pages.links(number),
            specs=pages.on(number),
        )

    def _timeline(self, pages: Pages, number: int) -> str:
        return self._html(
            "timeline.html",
            "Timeline",
            pages=pages.links(number),
            timelines=timelines(self._views, pages.on(number), titled=False),
        )

    def _runs(self) -> str:
        views = self._views
        return self._html(
            "runs.html",
            "Runs",
            live_runs=views.live_runs(),
            failures=views.failures(),
            newest=views.newest_runs(),
            most=MOST_RUNS,
        )

    def _graph(self) -> str:
        return self._html(
            "graph.html",
            "Dependencies",
            drawing=drawing(self._views),
            edges=self._edges()[:MOST_EDGES],
            more_edges=max(0, len(self._edges()) - MOST_EDGES),
        )

    def _edges(self) -> list[tuple[SpecView, SpecView, str]]:
        views = self._views.by_name
        return [
            (views[edge.needs], views[edge.name], edge.how)
            for edge in self._views.edges
            if edge.needs in views and edge.name in views
        ]

    def _plan(self) -> str:
        text = plan_text(self._views.plan)
        left_out = max(0, len(text) - LONGEST_PLAN)
        return self._html("plan.html", "Plan", lines=_plan_lines(text[:LONGEST_PLAN]), left_out=left_out)

    def _spec(self, view: SpecView) -> str:
        views = self._views
        return self._html(
            "spec.html",
            view.name,
            root="../",
            spec=view,
            source=views.source_of(view.name),
            usual=views.usual_of(view.name),
            schedule=views.schedule_of(view.name),
            runs=views.runs_of(view.name),
            number=len(views.runs.get(view.name, ())),
            changes=[change for change in views.changes if change.name == view.name],
            request=views.request_of(view.name),
            neighbours=views.neighbours(view.name),
            timelines=timelines(views, [view]),
        )

    def _search(self) -> str:
        """Returns the names, states, kinds and labels of all specs as a script, because a page that is opened from a
        local file may not load data. Repeated texts are stored once."""
        states: dict[str, int] = {}
        words: dict[str, int] = {}
        specs = [
            (
                view.name,
                states.setdefault(view.state, len(states)),
                words.setdefault(" ".join((view.kind, *view.labels)), len(words)),
            )
            for view in self._views.specs
        ]
        form = {"states": list(states), "words": list(words), "specs": specs}
        return f"window.SPECS = {json.dumps(form, separators=(',', ':'))};\n"

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
                here=template,
                currency=self._views.content.currency,
                made_at=plan.created_at,
                made=seconds_text(parse_time(plan.created_at)),
                commit=plan.commit or "",
                uncommitted=plan.uncommitted,
                **values,
            )
        )


def _plan_lines(text: str) -> Iterator[tuple[str, str]]:
    """Yields each line of a plan with the class of its colour, or an empty string."""
    classes = {"+": "add", "-": "remove", "~": "changed", "!": "held", "?": "held", "#": "title"}
    for line in text.split("\n"):
        message = line.lstrip().startswith("#  ")  # below the title
        yield "message" if message else classes.get(line.lstrip()[:1], ""), line


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_resource),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"states_of": states_of, "first_shown": first_shown}
    return environment


@cache
def _resource(name: str) -> str:
    """Returns a template, the style sheet or the script from the installed package."""
    return (files("reconciler.render.page") / "templates" / name).read_text("utf-8")


def content_type(name: str) -> str:
    """Returns the content type of a file, according to its extension."""
    return TYPES["." + name.rpartition(".")[2]]
