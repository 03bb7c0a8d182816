"""Tests how the history of a spec, and that of one run, is rendered."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

from reconciler.core import events as e
from reconciler.core.event_codec import decode, encode
from reconciler.model.project import EMULATOR_ACCOUNT
from reconciler.render.history import (
    SubmissionHistory,
    history_json,
    history_json_parts,
    history_text,
    runs_in,
    why_json,
    why_text,
)
from reconciler.render.json_text import dumps
from tests.builders import recorded
from tests.render.golden_files import check
from tests.render.samples import PLACE, changed, intended, observed, submitted, token

AT = "2026-11-22T01:00:05.000Z"


def events() -> list[tuple[int, e.SubmissionEvent]]:
    """Returns the events of a spec with an unclear send whose run was adopted, a cancelled run, a rejected send and two
    runs of one slot."""
    of: dict[str, Any] = {"name": "orders-daily", "at": AT}
    return list(
        enumerate(
            [
                intended(),
                e.Unclear(**of, token=token(), send=1, code="ReadTimeoutError", message="no answer, password=hunter2"),
                e.Absent(**of, token=token(), looked_at=AT),
                e.Adopted(**of, token=token(), run_id="00f7run1"),
                observed(detail="done\x1b[2J"),
                intended(number=2, reason="spec-changed", commit=None),
                e.Unsent(**of, token=token(number=2), send=1, code="EndpointConnectionError", message="no route"),
                intended(number=2, send=2, reason="spec-changed"),
                submitted(number=2, send=2),
                e.CancelAsked(**of, token=token(number=2), run_id="00f7run2", reason="asked", actor="ben"),
                intended(number=3, attempt=2),
                e.Rejected(**of, token=token(number=3), send=1, code="ValidationException", message="no"),
                intended(number=4, generation=None, slot="2026-11-22T02:00:00Z"),
                e.Conflicted(**of, token=token(number=4), run_ids=("a", "b")),
            ],
            start=4,
        )
    )


def of(number: int) -> list[tuple[int, e.SubmissionEvent]]:
    """Returns the events of one generation."""
    return [(position, event) for position, event in events() if event.token == token(number=number)]


def test_a_history_reads_well():
    """The history of a spec equals the golden file: one line for each event, masked and escaped."""
    check("history.txt", history_text(events()))


def test_a_history_in_json_has_the_events_of_the_ledger():
    """The JSON contains the stored events completely, with their positions."""
    form = history_json(events())
    assert [each["position"] for each in form["events"]] == list(range(4, 18))
    assert form["events"][1] == {"position": 5, **encode(events()[1][1])}
    assert decode(json.loads(dumps(form))["events"][0]) == events()[0][1]


def test_an_empty_history_has_a_message():
    """For an empty history, a sentence is printed."""
    assert history_text([]) == "Nothing is recorded."


def test_why_reads_well():
    """The explanation of a run equals the golden file: source, actor, times and changes since the previous run."""
    previous = recorded(*(event for _, event in of(1))).spec("orders-daily").newest
    check("why.txt", why_text(SubmissionHistory(of(2), changed().changes, previous)))
    check("why.json", dumps(why_json(SubmissionHistory(of(2), changed().changes, previous))))


def test_why_of_a_first_run_compares_with_nothing():
    """Without a previous run, there is no comparison. If the previous run is equal, the output says that its request is
    the same."""
    assert "compared with" not in why_text(SubmissionHistory(of(1)))
    assert why_json(SubmissionHistory(of(1)))["previous"] is None
    previous = recorded(*(event for _, event in of(1))).spec("orders-daily").newest
    assert why_text(SubmissionHistory(of(2), (), previous)).endswith("the same request")


def test_a_slot_and_several_runs_are_shown():
    """For a submission for a slot with several runs, both runs are shown."""
    text = why_text(SubmissionHistory(of(4)))
    assert "slot 2026-11-22T02:00:00Z" in text
    assert why_json(SubmissionHistory(of(4)))["state"] == "conflicted"
    assert "run a, b" in history_text(of(4))


def test_colour_adds_nothing_but_colour():
    """Without its colour codes, a coloured history equals the plain one."""
    for plain, painted in [
        (history_text(events()), history_text(events(), color=True)),
        (why_text(SubmissionHistory(of(1))), why_text(SubmissionHistory(of(1)), color=True)),
    ]:
        assert plain != painted
        assert re.sub(r"\x1b\[[0-9;]*m", "", painted) == plain


def test_a_history_locates_each_new_run():
    """The events that record a new run contain its location and its console page, and JSON contains these by run id.
    Other events, and those of the embedded emulator, contain neither."""
    text = history_text(events(), place=PLACE)
    (line,) = [line for line in text.splitlines() if "adopted " in line]
    assert "applicationId 00f1abcdefg" in line
    assert "https://eu-west-1.console.aws.amazon.com/emr/home" in line
    assert "00f7run1" in line.rpartition("https://")[2]
    assert list(runs_in(events(), None, PLACE)) == ["00f7run1", "00f7run2"]
    assert runs_in(events(), None, PLACE)["00f7run2"]["location"] == {"applicationId": "00f1abcdefg"}
    for some in ([], events()):
        runs = runs_in(some, None, PLACE)
        assert json.loads("\n".join(history_json_parts(some, runs))) == json.loads(
            dumps({**history_json(some), "runs": runs})
        )
    assert "console" not in history_text(events(), place=replace(PLACE, account=EMULATOR_ACCOUNT))
