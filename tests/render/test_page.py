"""The page: its files, their content, and hostile text in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

import pytest

from reconciler.core.desired import DesiredSpec
from reconciler.core.durations import Spread, Usual
from reconciler.core.plan import Action, ActionType, Plan, Reason
from reconciler.core.suggested_commands import SuggestedCommands
from reconciler.core.times import time_text
from reconciler.render.page.content import PageContent, Views
from reconciler.render.page.drawing import drawing
from reconciler.render.page.site import PAGE, Site
from reconciler.render.page.timeline import NARROWEST, WIDTH, ZOOMS, timelines
from reconciler.render.runs import RunRow
from reconciler.render.status import StatusRow
from tests.builders import NOW, PLACE, spec

HOSTILE = "</pre><script>alert(1)</script><img src=x onerror=alert(2)>\u202e\x1b[31m"


def row(name: str, **more: object) -> StatusRow:
    """Returns the row of a spec that is in sync."""
    fields: dict[str, object] = {
        "name": name, "kind": "BatchJob", "generation": 1, "slot": None, "attempt": 1, "state": "succeeded",
        "run_id": "run-1", "client_token": "rcn1-x", "digest": "sha256:x", "submitted_at": time_text(NOW),
        "finished_at": time_text(NOW), "in_sync": True, "reason": "in-sync",
    }  # fmt: skip
    return StatusRow(**{**fields, **more})  # type: ignore[arg-type]


def run(name: str, hours_ago: float = 1, minutes: float = 30, state: str = "succeeded", **more: object) -> RunRow:
    """Returns a run that began some hours ago."""
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
    names = [f"job-{number:03}" for number in range(PAGE + 1)]
    site = Site(content(*map(row, names), runs=tuple(map(run, names))))
    files = set(site.names())
    assert {"index.html", "specs.html", "specs-2.html", "graph.html", "plan.html", "specs/job-000.html"} <= files
    for name in ("index.html", "specs.html", "specs-2.html", "graph.html", "plan.html", "specs/job-100.html"):
        folder = name.rpartition("/")[0]
        for link in Links.of(site.file(name) or ""):
            target = re.sub(r"^[^/]+/\.\./", "", f"{folder}/{link}" if folder else link)
            assert target.partition("#")[0] in files, (name, link)


class Links(HTMLParser):
    """Collects the local addresses of links, styles and scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collects `href` and `src`."""
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
    """Specs on hold are followed by failed runs. Specs in sync are not listed."""
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


def test_hostile_text_is_inert_everywhere():
    """Hostile text in names, reasons, states, ids and requests never becomes an element or an attribute."""
    hostile = row("job", reason=HOSTILE, detail=HOSTILE, run_id=HOSTILE, state="failed", aws_state=HOSTILE)
    bad = run("job", state="failed", detail=HOSTILE, aws_state=HOSTILE, run_id=HOSTILE, commit=HOSTILE)
    specs = {"job": spec(name="job", request={"jobName": HOSTILE, "jobQueue": HOSTILE, "password": "hunter2hunter2"})}
    missed = {"job": [(time_text(NOW), time_text(NOW))]}
    site = Site(content(hostile, runs=(bad,), held=("job",), specs=specs, missed=missed))
    for name in site.names():
        text = site.file(name) or ""
        if name.endswith(".html"):
            assert "<img" not in text
            assert text.count("<script") == 1, name
            assert "onerror=alert" not in re.sub(r"&lt;img.*?&gt;", "", text)
        assert "\u202e" not in text
        assert "\x1b" not in text
        assert "hunter2" not in text


def test_no_page_loads_anything_from_elsewhere():
    """Pages also contain no inline script or style, which the policy would have to allow."""
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
    assert len(lane.bars) == 2
    assert lane.bars[0].width == pytest.approx((WIDTH - 220) / 8, abs=0.2)
    assert lane.bars[1].x + lane.bars[1].width >= WIDTH
    assert len(week.lanes[0].bars) == 3


def test_runs_too_close_to_draw_share_a_bar_that_shows_the_worst():
    """This limits the number of bars in a lane, and no failure is hidden."""
    runs = tuple(run("job", number / 4, 5, "failed" if number == 50 else "succeeded") for number in range(1, 2000))
    views = Views(content(row("job"), runs=runs))
    for drawn in timelines(views, views.specs):
        (lane,) = drawn.lanes
        assert len(lane.bars) <= WIDTH / NARROWEST
        assert any(bar.state == "failed" for bar in lane.bars)


def test_the_numbers_count_what_they_say():
    """The numbers are those of live runs, failures and costs in the last seven days, and specs that need attention."""
    runs = (
        run("a", 1, state="running"),
        run("a", 30, state="failed", cost=1.5),
        run("a", 24 * 8, state="failed", cost=9.0),
    )
    numbers = {
        label: value for label, value, _ in Views(content(row("a"), row("b"), runs=runs, currency="EUR")).numbers()
    }
    assert numbers["specs"] == "2"
    assert numbers["live runs"] == "1"
    assert numbers["failed in 7 days"] == "1"
    assert numbers["cost in 7 days"] == "1.50 EUR"


def test_a_spec_shows_its_request_runs_and_neighbours():
    """The page of a spec also shows its usual durations."""
    specs = {"first": spec(name="first"), "second": after("second", "first")}
    usual = {"second": Usual(5, Spread(60, 120), Spread(600, 900))}
    shown = content(row("first"), row("second"), runs=(run("second"),), specs=specs, usual=usual)
    text = Site(shown).file("specs/second.html") or ""
    assert 'runs after <a href="../specs/first.html">first</a>' in text
    assert "last 5 successful runs" in text
    assert "jobQueue" in text or "applicationId" in text
    assert "abcdef1" in text


def test_the_drawing_puts_dependents_to_the_right():
    """The drawing also has a line for each dependency."""
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


def test_an_empty_project_has_a_page():
    """The page can be rendered without specs and runs."""
    site = Site(content())
    for name in site.names():
        assert site.file(name)
    assert [zoom.id for zoom in ZOOMS] == ["day", "week", "month"]


def test_a_live_page_knows_its_version():
    """A live page contains its version, a page in a file does not."""
    given = content(row("job"))
    assert f'data-live="{given.plan.created_at}"' in (Site(given, live=True).file("index.html") or "")
    assert "data-live" not in (Site(given).file("index.html") or "")
    assert Site(replace(given, rows=())).file("specs/job.html") is None
