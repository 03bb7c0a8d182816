"""Tests how runs are rendered: the tables of `status` and `runs`, CSV, JSON, and links to the console."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from rich.cells import cell_len

from reconciler.core import events as e
from reconciler.core.durations import Spread, Usual
from reconciler.core.identity import Place
from reconciler.core.plan import ActionType, Reason
from reconciler.core.times import age_text, parse_time, time_text
from reconciler.model.project import EMULATOR_ACCOUNT, Prices
from reconciler.render.history import history_text
from reconciler.render.plan_json import plan_from_json
from reconciler.render.plan_markdown import plan_markdown
from reconciler.render.plan_text import plan_text
from reconciler.render.runs import Runs, duration_text, runs_csv, runs_json, runs_of, runs_text
from reconciler.render.status import StatusRow, rows, selected, status_text
from reconciler.render.text import ANSI, columns
from tests.builders import plan_json, recorded
from tests.campaigns import in_one_test
from tests.render.samples import NOW, PLACE, action, intended, observed, plan, submitted

AT = parse_time(NOW)
LONG = "a-name-of-sixty-three-characters-which-is-the-longest-that-is-ok"[:63]
REASON = (
    "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - The job resource requirement (vCPU/memory/GPU) is higher than that "
    "can be met by the CE(s) attached to the job queue. password=hunter2 \x1b[31m"
)
FOREIGN = "容量が不足しています🚀🚀 Verbindung fehlgeschlagen: e\u0301te\u0301 한국어 오류 메시지, ❤\ufe0f 🇩🇪 नमस्ते" * 3
"""A text whose number of characters differs from its width on a terminal."""
RUN_ID = "9f8a2c1e-4a55-4d8a-9a3b-0c1d2e3f4a5b"


def before(seconds: float) -> str:
    """Returns the time that is `seconds` before the plan."""
    return time_text(AT - timedelta(seconds=seconds))


def waiting(name: str = "orders-daily", number: int = 1, run_id: str = RUN_ID, detail: str = REASON) -> list[e.Event]:
    """Returns a run that has been RUNNABLE for three hours."""
    accepted = submitted(name, number, run_id=run_id)
    state: dict[str, Any] = {
        "state": "submitted",
        "aws_state": "RUNNABLE",
        "detail": detail,
        "started_at": None,
        "finished_at": None,
    }
    return [intended(name, number), accepted, observed(name, number, run_id=run_id, created_at=before(10_800), **state)]


def status_rows(*names: str, detail: str = REASON) -> tuple[StatusRow, ...]:
    """Returns rows with a waiting run for each name, and two runs for the first name."""
    events = [event for name in names for event in waiting(name, detail=detail)]
    events += waiting(names[0], 2, "00f7second")
    actions = [
        action(n, action=ActionType.NONE, reason=Reason.IN_SYNC, next_slot="2026-11-23T02:00:00Z") for n in names
    ]
    return rows(plan(*actions), recorded(*events))


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize("names", [("orders-daily", "b"), (LONG, "b"), (LONG,)])
def test_status_fits_the_terminal(width: int, names: tuple[str, ...]):
    """No line is longer than the terminal, and no run id is split."""
    lines = status_text(status_rows(*names), AT, color=True, width=width).split("\n")
    shown = [ANSI.sub("", line) for line in lines]
    assert max(map(len, shown)) <= width
    assert sum(RUN_ID in line for line in shown) == len(names)
    assert any("00f7second" in line for line in shown)
    text = " ".join(" ".join(shown).split())
    assert "RUNNABLE 3h: MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - The job" in text
    assert "hunter2" not in text


def without_space(text: str) -> str:
    """Returns a text without colours, and without the spaces and line breaks that depend on the width."""
    return "".join(ANSI.sub("", text).split())


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_wide_characters_fit_the_terminal(width: int):
    """Chinese characters, emoji and combining marks are counted with their width on a terminal. No text is lost by
    wrapping."""
    table = status_rows("orders-daily", "b", detail=FOREIGN)
    runs = found(*finished(detail=FOREIGN, state="failed"), *waiting("orders-daily", 2, detail=FOREIGN))
    for text in (
        status_text(table, AT, color=True, width=width),
        runs_text(runs, AT, color=True, width=width),
        history_text(list(enumerate(waiting(detail=FOREIGN))), color=True, width=width, place=PLACE),
    ):
        assert max(cell_len(ANSI.sub("", line)) for line in text.split("\n")) <= width
        assert without_space(FOREIGN) in without_space(text)
        assert RUN_ID in text


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_a_narrow_table_shows_all_that_a_wide_one_shows(width: int):
    """Every cell of an unlimited table is also in a narrow table, and the states are aligned in a column."""
    runs = found(*finished(detail=FOREIGN, state="failed"), *waiting("orders-daily", 2, detail=FOREIGN))
    table = status_rows("orders-daily", "b", detail=FOREIGN)
    for wide, narrow in (
        (status_text(table, AT), status_text(table, AT, width=width)),
        (runs_text(runs, AT), runs_text(runs, AT, width=width)),
    ):
        cells = re.split(" {2,}|; |\n", wide.split("\n\n", maxsplit=1)[0].partition("\n")[2])
        assert len(cells) >= 20
        assert [cell for cell in cells if cell != "-" and without_space(cell) not in without_space(narrow)] == []
        head, *lines = narrow.split("\n\n", maxsplit=1)[0].split("\n")
        first = [line for line in lines if not line.startswith(" ")]
        assert {line[head.index("STATE") :].split(maxsplit=1)[0] for line in first} <= {"submitted", "failed"}


@pytest.mark.parametrize("width", [None, 60, 200])
def test_hostile_text_is_inert_in_tables(width: int | None):
    """Colours, links, changes of direction, null characters and CI runner commands in text from AWS are escaped. A very
    long word is broken across lines."""
    hostile = "\x1b[31m\x1b]8;;https://evil.example\x07\u202e\x00\n::error::x ##[error]x \n" + "x" * 3000
    table = status_rows("orders-daily", detail=hostile)
    runs = found(*finished(detail=hostile, state="failed"), *waiting("orders-daily", 2, detail=hostile))
    for text in (
        status_text(table, AT, width=width),
        runs_text(runs, AT, width=width),
        history_text(list(enumerate(waiting(detail=hostile))), width=width, place=PLACE),
    ):
        for line in text.split("\n"):
            assert line.isprintable()
            assert not line.lstrip().startswith("::")
            assert "##[" not in line
            assert width is None or len(line) <= width
        assert without_space(text).count("x" * 3000) >= 1


def test_wide_columns_are_aligned():
    """A cell with wide characters takes as much space as it needs on screen."""
    lines = columns([("名前", "b"), ("e\u0301", "c"), ("🚀", "d"), ("abcd", "e")])
    assert [cell_len(line[:-1]) for line in lines] == [6, 6, 6, 6]


def test_a_pipe_gets_one_line_for_each_run():
    """Without a terminal, nothing is wrapped. Each live run is one line, which ends with AWS's state and reason."""
    lines = status_text(status_rows("orders-daily", "b"), AT).split("\n")
    assert [line.split()[0] for line in lines[1:4]] == ["b", "orders-daily", "orders-daily"]
    assert all("RUNNABLE 3h: MISCONFIGURATION" in line for line in lines[1:4])
    assert "also live" in lines[3]
    assert "\x1b" not in "".join(lines)


def test_status_in_json_has_what_aws_says():
    """The JSON contains AWS's state and reason, every live run, and the console page."""
    (row,) = status_rows("orders-daily")
    assert (row.aws_state, row.detail) == ("RUNNABLE", REASON)
    assert [run.run_id for run in row.runs] == [RUN_ID, "00f7second"]
    assert row.runs[0].waited_seconds == 10_800
    assert row.reason == "in-sync"
    assert row.console_url == next(run.console_url for run in row.runs if run.run_id == row.run_id)
    assert row.console_url is not None


def test_wide_adds_where_a_run_is():
    """With `wide`, each row is one line and contains the application, the kind and the console page."""
    wide = status_text(status_rows("orders-daily"), AT, width=60, wide=True)
    assert "CONSOLE" in wide
    assert "applicationId 00f1abcdefg" in wide
    page = f"emr/home?region=eu-west-1#/serverless-applications/00f1abcdefg/{RUN_ID}"
    assert f"https://eu-west-1.console.aws.amazon.com/{page}" in wide
    ended = rows(plan(action(action=ActionType.NONE, reason=Reason.IN_SYNC)), recorded(*finished()))
    assert "applicationId 00f1abcdefg" in status_text(ended, AT, wide=True)
    assert ended[0].commit is not None
    assert ended[0].commit[:12] in status_text(ended, AT, wide=True)


def test_rows_are_selected_and_sorted():
    """Rows can be filtered by state, and sorted by age and by next slot."""
    ended = observed("b", finished_at=before(60))
    events = [*waiting("a"), intended("b"), submitted("b"), ended]
    quiet: dict[str, Any] = {"action": ActionType.NONE, "reason": Reason.IN_SYNC}
    slots = {"a": "2026-11-24T02:00:00Z", "b": "2026-11-23T02:00:00Z", "c": None}
    table = rows(plan(*(action(name, next_slot=slot, **quiet) for name, slot in slots.items())), recorded(*events))
    assert [row.name for row in selected(table, {"succeeded", "none"}, "name")] == ["b", "c"]
    assert [row.name for row in selected(table, (), "age")] == ["b", "a", "c"]
    assert [row.name for row in selected(table, (), "next-slot")] == ["b", "a", "c"]
    assert [row.name for row in selected(table, (), "state")] == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("kind", "region", "url"),
    [
        ("BatchJob", "eu-west-1", "eu-west-1.console.aws.amazon.com/batch/home?region=eu-west-1#jobs/detail/a%28b"),
        ("BatchJob", "cn-north-1", "cn-north-1.console.amazonaws.cn/batch/home?region=cn-north-1#jobs/detail/a%28b"),
        ("Unknown", "eu-west-1", None),
    ],
)
def test_links_to_the_console(kind: str, region: str, url: str | None):
    """The links depend on the AWS partition, and the id in them is quoted. Unknown kinds and the emulator have no
    links."""
    expected = None if url is None else f"https://{url}"
    assert expected == Place("p", "t", "444455556666", region).console_url(kind, {}, "a(b")
    assert Place("p", "t", EMULATOR_ACCOUNT, region).console_url(kind, {}, "run") is None
    assert PLACE.console_url(kind, {}, None) is None


def test_a_plan_says_what_is_usual():
    """If a spec has at least two successful runs, text, Markdown and JSON show the usual durations and cost of a
    submission."""
    typical = Usual(20, Spread(60, 180), Spread(720, 900), Spread(0.42, 0.6), "USD")
    made = plan(replace(action(), typical=typical), replace(action("other"), typical=replace(typical, runs=1)))
    words = "waits 1m (90% within 3m), runs 12m (90% within 15m), costs 0.42 USD (90% up to 0.60 USD)"
    form = plan_json(made)["actions"]

    assert plan_text(made).count(f"usual: {words}; last 20 successful runs") == 1
    assert "usual: waits 1m" in plan_markdown(made).replace("`", "")
    assert form[0]["usual"]["ran_seconds"] == {"median": 720, "p90": 900}
    assert (form[0]["usual"]["cost"], form[0]["usual"]["currency"]) == ({"median": 0.42, "p90": 0.6}, "USD")
    assert plan_from_json(plan_json(made)).actions[0].typical is None


def found(*events: e.Event, prices: Prices | None = None) -> Runs:
    """Returns the runs of the spec, according to these events."""
    return runs_of(recorded(*events), ["orders-daily"], PLACE, AT, prices)


def finished(**more: Any) -> list[e.Event]:
    """Returns a run that waited for one minute, ran for ten minutes, and was billed."""
    usage = {"billedResourceUtilization": {"vCPUHour": 2.0, "memoryGBHour": 8.0, "storageGBHour": 20.0}}
    times: dict[str, Any] = {"created_at": before(3660), "started_at": before(3600), "finished_at": before(3000)}
    return [intended(), submitted(), observed(usage=usage, **times, **more)]


@in_one_test("width", [None, 60, 80, 120, 200])
def test_runs_fit_the_terminal(width: int | None):
    """The table shows times, billed resources, costs and usual durations."""
    runs = found(*finished(), *waiting("orders-daily", 2), prices=Prices(vCPUHour=0.05, memoryGBHour=0.01))
    text = runs_text(runs, AT, width=width)
    shown = " ".join(text.split())
    assert width is None or max(map(len, text.split("\n"))) <= width
    for part in (
        "10m",
        "2 vCPU-h, 8 GB-h, 20 storage GB-h",
        "0.18 USD",
        RUN_ID,
        "RUNNABLE 3h: MISCONF",
        "Usual: waits 1m",
    ):
        assert part in shown
    assert runs_text(Runs(()), AT) == "No runs."


def test_runs_in_json_and_csv():
    """JSON contains every field. CSV has a column for each part of a nested value, and no cell is a formula."""
    runs = found(*finished(detail="=cmd() password=hunter2", state="failed"), prices=Prices(vCPUHour=1))
    form = json.loads(json.dumps(runs_json(runs)))
    assert form["runs"][0]["billed"] == {"vcpu_hours": 2.0, "memory_gb_hours": 8.0, "storage_gb_hours": 20.0}
    assert (form["runs"][0]["waited_seconds"], form["runs"][0]["ran_seconds"], form["runs"][0]["cost"]) == (
        60,
        600,
        2.0,
    )
    (row,) = csv.DictReader(StringIO(runs_csv(runs.rows)))
    assert (row["billed.vcpu_hours"], row["location.applicationId"]) == ("2.0", "00f1abcdefg")
    assert row["detail"].startswith("'=cmd()")
    assert "hunter2" not in row["detail"]
    assert runs_csv(()).startswith("name,kind,generation")


def test_runs_are_selected_by_time_and_end():
    """Tests `--since` and `--failed`."""
    runs = found(*finished(state="failed"), *waiting("orders-daily", 2))
    assert [row.state for row in runs.selected(None, unsuccessful=True).rows] == ["failed"]
    assert runs.selected(AT, unsuccessful=False).rows == ()


@in_one_test(
    ("seconds", "text"),
    [(None, "-"), (0, "0s"), (59, "59s"), (60, "1m"), (61, "1m 1s"), (7500, "2h 5m"), (90_000, "1d 1h")],
)
def test_durations_have_two_units(seconds: float | None, text: str):
    """A duration is shown with its largest unit and the next smaller one."""
    assert duration_text(seconds) == text
    assert seconds is None or age_text(seconds) == text.split(maxsplit=1)[0]
