"""Tests the page: its files, their content, and hostile text in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

import pytest

from reconciler.core.desired import DesiredSpec
from reconciler.core.durations import Spread, Usual
from reconciler.core.identity import Source
from reconciler.core.plan import Action, ActionType, Plan, Reason
from reconciler.core.suggestions import SuggestedCommands
from reconciler.core.times import time_text
from reconciler.render.page.content import PageContent, Views
from reconciler.render.page.drawing import drawing
from reconciler.render.page.site import ROWS, SEARCH, Site
from reconciler.render.page.timeline import NARROWEST, WIDTH, ZOOMS, Zoom, first_shown, states_of, timelines
from reconciler.render.runs import RunRow
from reconciler.render.status import StatusRow
from tests.builders import NOW, PLACE, spec
from tests.campaigns import in_one_test

HOSTILE = (
    "</pre></script><script>alert(1)</script><img src=x onerror=alert(2)>"
    "\" onload='alert(4)' {{7*7}} javascript:alert(5)\u202e\x1b[31m\x1b]8;;https://evil.example\x07\x00" + "x" * 3000
)


def row(name: str, **more: object) -> StatusRow:
    """Returns the row of a spec that is in sync."""
    fields: dict[str, object] = {
        "name": name, "kind": "BatchJob", "generation": 1, "slot": None, "attempt": 1, "state": "succeeded",
        "run_id": "run-1", "client_token": "rcn1-x", "digest": "sha256:x", "submitted_at": time_text(NOW),
        "finished_at": time_text(NOW), "in_sync": True, "reason": "in-sync",
    }  # fmt: skip
    return StatusRow(**{**fields, **more})  # type: ignore[arg-type]


def run(name: str, hours_ago: float = 1, minutes: float = 30, state: str = "succeeded", **more: object) -> RunRow:
    """Returns a run that began `hours_ago`."""
    began = NOW - timedelta(hours=hours_ago)
    ended = None if state in {"running", "submitted"} else time_text(began + timedelta(minutes=minutes))
    fields: dict[str, object] = {
        "name": name, "kind": "BatchJob", "generation": 1, "slot": None, "attempt": 1, "run_id": "run-1",
        "state": state, "aws_state": None, "detail": None, "location": {}, "definition": None, "console_url": None,
        "commit": "abcdef1234", "submitted_at": time_text(began), "created_at": time_text(began),
        "started_at": time_text(began), "finished_at": ended, "waited_seconds": 60, "ran_seconds": 1740,
        "billed": None,
    }  # fmt: skip
    return RunRow(**{**fields, **more})  # type: ignore[arg-type]


def after(name: str, *others: str) -> DesiredSpec:
    """Returns a spec that depends on others."""
    return spec(name=name, policy={"dependsOn": [{"name": other} for other in others]})


def content(*rows: StatusRow, runs: tuple[RunRow, ...] = (), held: tuple[str, ...] = (), **more: object) -> PageContent:
    """Returns the content with these rows; specs in `held` are on hold."""
    actions = tuple(Action(name, "BatchJob", ActionType.HOLD, Reason.UNKNOWN) for name in held)
    plan = Plan(PLACE, time_text(NOW), 1, actions, commit="0123456789abcdef")
    since = NOW - timedelta(days=30)
    return PageContent(plan=plan, rows=rows, runs=runs, since=since, **{"specs": {}, **more})  # type: ignore[arg-type]


def test_every_link_leads_to_a_file():
    """Checks the links in every file of the page, relative to the file's folder."""
    names = [f"job-{number:03}" for number in range(ROWS + 1)]
    site = Site(content(*map(row, names), runs=tuple(map(run, names))))
    files = set(site.names())
    checked = ["index", "specs", "specs-2", "specs-succeeded", "timeline-2", "runs", "graph", "plan", "specs/job-100"]
    for name in (f"{each}.html" for each in checked):
        assert name in files
        folder = name.rpartition("/")[0]
        for link in filter(None, (each.partition("#")[0] for each in Links.of(site.file(name) or ""))):
            target = re.sub(r"^[^/]+/\.\./", "", f"{folder}/{link}" if folder else link)
            assert target in files, (name, link)


class Links(HTMLParser):
    """Collects the local addresses of links, styles and scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collects the values of `href` and `src`."""
        for name, value in attrs:
            if name in {"href", "src"} and value and not value.startswith(("https://", "#", "data:")):
                self.links.append(value)

    @classmethod
    def of(cls, text: str) -> Iterator[str]:
        """Yields the addresses in a page."""
        parser = cls()
        parser.feed(text)
        yield from parser.links


def test_holds_come_first_with_their_commands():
    """The list starts with the specs on hold, followed by failed runs. Specs in sync are not in this list."""
    commands = SuggestedCommands(("reconciler resolve held --resubmit",))
    rows = (
        row("calm"),
        row("failed", state="failed", detail="exit code 7", aws_state="FAILED"),
        row("held", in_sync=False, reason="hold: unknown: it is not known", suggested=commands),
    )
    text = Site(content(*rows, held=("held",))).file("index.html") or ""
    section = text[text.index('id="attention"') : text.index('id="changes"')]
    assert section.index("held") < section.index("failed") < section.index("exit code 7")
    assert "reconciler resolve held --resubmit" in section
    assert "calm" not in section


def hostile_site() -> Site:
    """Returns a page whose texts try to run scripts, to change the direction or colour of text, or to overflow."""
    url = "javascript:alert(3)"
    texts: dict[str, object] = {
        "detail": HOSTILE,
        "run_id": HOSTILE,
        "aws_state": HOSTILE,
        "definition": HOSTILE,
        "console_url": url,
    }
    hostile = row("job", reason=HOSTILE, state="failed", suggested=SuggestedCommands((HOSTILE,)), **texts)
    bad = run("job", 1, 30, "failed", commit=HOSTILE, slot=HOSTILE, location={HOSTILE: HOSTILE}, **texts)
    asked = {"jobName": HOSTILE, "jobQueue": HOSTILE, HOSTILE: None, "password": "hunter2hunter2"}
    specs = {"job": spec(name="job", request=asked, labels={HOSTILE: HOSTILE}, source=Source(HOSTILE, 1))}
    missed = {"job": [(time_text(NOW), time_text(NOW))]}
    made = content(hostile, runs=(bad,), held=("job",), specs=specs, missed=missed, currency=HOSTILE)
    return Site(replace(made, plan=replace(made.plan, warnings=(HOSTILE,))))


def test_hostile_text_is_inert_everywhere():
    """Hostile text in names, reasons, states, ids and requests never becomes an element or an attribute."""
    site = hostile_site()
    for name in site.names():
        text = site.file(name) or ""
        if name.endswith(".html"):
            assert "<img" not in text
            assert text.count("<script") == 1, name
            assert "onerror=alert" not in re.sub(r"&lt;img.*?&gt;", "", text)
            assert not any(link.startswith("javascript:") for link in Links.of(text))
            assert "\x00" not in text
        assert "\u202e" not in text
        assert "\x1b" not in text
        assert "hunter2" not in text


def test_no_page_loads_anything_from_elsewhere():
    """The pages contain no inline script or style, which the content security policy would have to allow."""
    site = Site(content(row("job"), runs=(run("job"),)))
    for name in site.names():
        text = site.file(name) or ""
        assert not re.search(r"(?:src|href)=\"(?:https?:)?//", text), name
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", text), name


def test_a_bar_shows_when_a_run_was_live():
    """A bar extends from the creation of a run to its end, or to now. Runs before the period are not drawn."""
    views = Views(content(row("job"), runs=(run("job", 0, state="running"), run("job", 6, 180), run("job", 40))))
    day, week, _ = timelines(views, views.specs)
    (lane,) = day.lanes
    before, now = lane.bars
    assert before.width == pytest.approx(WIDTH / 9, abs=1)
    assert (now.x, now.state) == (day.now, "running")
    assert before.x < now.x < WIDTH
    assert len(week.lanes[0].bars) == 3
    assert states_of([day]) == ["running", "succeeded"]
    assert lane.label == "2 runs"


@pytest.mark.parametrize("titled", [True, False])
def test_runs_too_close_to_draw_share_a_bar_that_shows_the_worst(titled: bool):
    """Runs that are too close to be drawn separately share a bar, which limits the number of bars and hides no failure.
    Many successful runs are drawn as one shape."""
    runs = tuple(run("job", number / 4, 5, "failed" if number == 50 else "succeeded") for number in range(1, 2000))
    views = Views(content(row("job"), runs=runs))
    for drawn in timelines(views, views.specs, titled=titled):
        (lane,) = drawn.lanes
        assert len(lane.bars) + len(lane.calm) <= WIDTH / NARROWEST
        assert [bar.state for bar in lane.bars] == ["failed"]
        assert {bar.state for bar in lane.calm} == {"succeeded"}
        assert lane.calm_path.count("M") == len(lane.calm)
        assert lane.label.endswith("1 not successful")


@in_one_test(
    ("hours", "shown"), [((), "week"), ((2,), "day"), ((2, 50), "week"), ((2, 500), "week"), ((500,), "month")]
)
def test_the_zoom_that_is_shown_first(hours: tuple[float, ...], shown: str):
    """The period that is shown first contains runs: it is the day if there are no older runs, and the month if there
    are no newer ones."""
    views = Views(content(row("job"), runs=tuple(run("job", each) for each in hours)))
    assert first_shown(timelines(views, views.specs)) == shown


def test_missed_slots_are_drawn_as_a_range():
    """A range that began before the period is cut off. A range that ended before it is left out."""
    at = [time_text(NOW - timedelta(days=days)) for days in (40, 2, 1)]
    views = Views(content(row("job"), missed={"job": [(at[0], at[1]), (at[2], at[2])]}))
    day, week, month = (drawn.lanes[0] for drawn in timelines(views, views.specs))
    assert [text for _, text in week.missed] == [f"missed: {at[0]} to {at[1]}", f"missed: {at[2]}"]
    assert week.missed[0][0].startswith("M0 0v18M0 9H")
    assert len(day.missed) == 1
    assert month.label == "0 runs, 2 ranges of missed slots"


def test_few_runs_have_texts():
    """If a lane has few runs, each run has a tooltip. In a drawing of many lanes, only runs that did not succeed have
    one."""
    runs = (run("job", 3), run("job", 9, state="failed"))
    views = Views(content(row("job"), runs=runs))
    assert [bar.title.partition(",")[0] for bar in timelines(views, views.specs)[0].lanes[0].bars] == ["#1", "#1"]
    (lane,) = timelines(views, views.specs, titled=False)[0].lanes
    assert [bar.state for bar in lane.bars] == ["failed"]


@pytest.mark.parametrize("zoom", ZOOMS, ids=[zoom.id for zoom in ZOOMS])
@pytest.mark.parametrize("hours", [0, 1, 23])
def test_a_period_consists_of_whole_cells(zoom: Zoom, hours: int):
    """The current time is in the last cell, and each cell starts at a round time, so that the style sheet can draw the
    grid."""
    now = NOW + timedelta(hours=hours)
    start, end = zoom.period(now)
    assert start + zoom.cells * zoom.cell == end
    assert end - zoom.cell <= now < end
    assert end.hour % 3 == end.minute == end.second == 0


def test_the_lists_divide_the_specs_by_state():
    """There is a list for each state, even without JavaScript, and one for the specs that need attention."""
    site = Site(content(row("a"), row("b", state="failed"), row("c", state="running")))
    lists = {name for name in site.names() if name.startswith("specs-")}
    assert lists == {f"specs-{each}.html" for each in ("attention", "succeeded", "failed", "running")}
    failed = site.file("specs-failed.html") or ""
    assert 'href="specs/b.html"' in failed
    assert 'href="specs/a.html"' not in failed


def test_a_long_list_links_to_its_nearest_pages():
    """A page of a list links to the first and last pages and to the neighbouring ones, not to all."""
    site = Site(content(*(row(f"job-{number:05}") for number in range(ROWS * 12))))
    text = site.file("specs-6.html") or ""
    links = re.findall(r'href="(specs(?:-\d+)?\.html)"', text[text.index('class="pages"') :])
    assert links == ["specs.html", *(f"specs-{number}.html" for number in (3, 4, 5, 6, 7, 8, 9, 12))]


def test_a_spec_shows_its_newest_runs_and_older_failures():
    """The table of a spec that runs often is limited, and shows the total number of runs."""
    runs = tuple(run("job", number, state="failed" if number > 190 else "succeeded") for number in range(1, 201))
    text = Site(content(row("job"), runs=runs)).file("specs/job.html") or ""
    table = text[text.index("<tbody>") :]
    assert (table.count("s-succeeded"), table.count("s-failed")) == (50, 10)
    assert "60 of 200" in table


def test_a_page_of_many_specs_is_small():
    """The page of a spec with a month of daily runs, and a row of a list, have a bounded size."""
    names = [f"job-{number:03}" for number in range(ROWS)]
    runs = tuple(run(name, 24 * day) for day in range(1, 30) for name in names)
    site = Site(content(*map(row, names), runs=runs, specs={name: spec(name=name) for name in names}))
    sizes = {name: len(site.file(name) or "") for name in ("index.html", "specs.html", "timeline.html", SEARCH)}
    assert len(site.file("specs/job-000.html") or "") < 20_000
    assert sizes["specs.html"] < 400 * ROWS
    assert sizes["timeline.html"] < 200_000
    assert sizes["index.html"] < 250_000
    assert sizes[SEARCH] < 50 * ROWS


def test_the_numbers_count_what_they_say():
    """The figures are the numbers of live runs and of specs that need attention, and the failures and costs of the last
    seven days."""
    runs = (
        run("a", 1, state="running"),
        run("a", 30, state="failed", cost=1.5),
        run("a", 24 * 8, state="failed", cost=9.0),
    )
    numbers = {
        label: value for label, value, *_ in Views(content(row("a"), row("b"), runs=runs, currency="EUR")).numbers()
    }
    assert numbers["specs"] == "2"
    assert numbers["live runs"] == "1"
    assert numbers["not successful in 7 days"] == "1"
    assert numbers["cost in 7 days"] == "1.50 EUR"


def test_a_spec_shows_its_request_runs_and_neighbours():
    """The page of a spec also shows its usual durations."""
    specs = {"first": spec(name="first"), "second": after("second", "first")}
    usual = {"second": Usual(5, Spread(60, 120), Spread(600, 900))}
    shown = content(row("first"), row("second"), runs=(run("second"),), specs=specs, usual=usual)
    text = Site(shown).file("specs/second.html") or ""
    assert re.search(r'Runs after</dt><dd>\s*<a href="../specs/first.html">first</a>', text)
    assert "last 5 successful runs" in text
    assert "jobQueue" in text or "applicationId" in text
    assert "abcdef1" in text


def test_the_drawing_puts_dependents_to_the_right():
    """The drawing has a line for each dependency."""
    specs = {
        "a": spec(name="a"),
        "b": after("b", "a"),
        "c": after("c", "a", "b"),
    }
    drawn = drawing(Views(content(row("a"), row("b"), row("c"), row("alone"), specs=specs)))
    positions = {box.view.name: box.x for box in drawn.boxes}
    assert positions["a"] < positions["b"] < positions["c"]
    assert len(drawn.lines) == 3
    assert "alone" not in positions


def test_connected_specs_are_drawn_together():
    """Groups of connected specs do not overlap, and each column is sorted like the column before it."""
    specs = {name: spec(name=name) for name in "abz"}
    specs |= {"y": after("y", "a"), "x": after("x", "b"), "m": after("m", "z"), "c": after("c", "y", "x")}
    drawn = drawing(Views(content(*map(row, specs), specs=specs)))
    heights = {box.view.name: box.y for box in drawn.boxes}
    assert (heights["a"] < heights["b"]) == (heights["y"] < heights["x"])
    assert heights["z"] == heights["m"]
    assert not {heights["z"]} & {heights[name] for name in "abcxy"}
    assert drawn.states == ["succeeded"]


def test_an_empty_project_has_a_page():
    """The page can be rendered without specs and runs."""
    site = Site(content())
    for name in site.names():
        assert site.file(name)
    assert [zoom.id for zoom in ZOOMS] == ["day", "week", "month"]


def test_a_live_page_knows_its_version():
    """A served page contains its version, and a page in a file does not."""
    given = content(row("job"))
    assert f'data-live="{given.plan.created_at}"' in (Site(given, live=True).file("index.html") or "")
    assert "data-live" not in (Site(given).file("index.html") or "")
    assert Site(replace(given, rows=())).file("specs/job.html") is None
