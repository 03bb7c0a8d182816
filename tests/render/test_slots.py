"""Tests how schedules, slots and missed slots are rendered."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from reconciler.core import events as e
from reconciler.core.plan import Action, ActionType, MissedSlots, Reason, ScheduleChange
from reconciler.render.history import history_text
from reconciler.render.plan_json import plan_from_json
from reconciler.render.plan_markdown import plan_markdown
from reconciler.render.plan_text import plan_text
from reconciler.render.status import rows, status_text
from tests.builders import NOW, at, plan_json, recorded, scheduled
from tests.render.samples import action, plan

SLOT, NEXT = "2026-11-22T02:00:00Z", "2026-11-22T03:00:00Z"
MISSED = MissedSlots("2026-11-22T00:00:00Z", "2026-11-22T01:00:00Z", 2, None, "passed-over")


def slot_action() -> Action:
    """Returns a due slot with every field that only slots have."""
    return replace(
        action("nightly", reason=Reason.SLOT_DUE, generation=None, slot=SLOT),
        next_slot=NEXT,
        template={"day": "${run.slot}"},
        time_zone="Europe/Madrid",
        run_ids={"extract": "job-1"},
        backoff_limit=2,
        handled_until="2026-11-22T01:00:00Z",
        beside=True,
    )


def skip() -> Action:
    """Returns missed slots."""
    return replace(
        action("hourly", action=ActionType.SKIP, reason=Reason.MISSED, generation=None, slot=MISSED.last),
        missed=(MISSED,),
        next_slot=NEXT,
        message="2 slots never run",
    )


BEGIN = ScheduleChange("nightly", "EmrServerlessJobRun", "0 * * * *", "Europe/Madrid")


def test_a_plan_survives_its_file() -> None:
    """A plan file contains everything that is needed to apply a slot."""
    made = replace(plan(skip(), slot_action()), schedule_changes=(BEGIN, replace(BEGIN, name="old", stopped="removed")))
    assert plan_from_json(plan_json(made)) == made


def test_a_plan_as_text_has_the_next_slots() -> None:
    """The next slots are listed below the actions, and the summary counts the schedules that start or stop."""
    made = replace(plan(skip(), slot_action()), schedule_changes=(BEGIN, replace(BEGIN, name="old", stopped="removed")))
    text = plan_text(made)
    assert f"  nightly  {NEXT}, after an apply has started its schedule\n" in text
    assert f"Next slots:\n  hourly   {NEXT}\n" in text
    assert text.endswith("1 schedule to start, 1 schedule to stop. 0 in sync.")


def test_the_first_slot_shows_its_whole_request() -> None:
    """For the first slot of a spec, the whole request is shown. For a later slot, the differences from the previous
    slot are shown."""
    assert '+ applicationId: "' in plan_text(plan(slot_action()))
    assert '+ applicationId: "' not in plan_text(plan(replace(slot_action(), compared_with=3)))


def test_a_plan_as_markdown_has_the_next_slots_folded() -> None:
    """On a pull request, the next slots are collapsed."""
    text = plan_markdown(plan(skip(), slot_action()))
    assert "<details><summary>2 next slots</summary>\n\n| spec | due |" in text


def test_the_status_has_a_column_for_schedules() -> None:
    """The column is shown if any spec has a schedule. For a spec without a schedule, it contains a dash."""
    table = rows(plan(slot_action(), action("orders")), recorded(scheduled("nightly")))
    assert {row.name: row.next_slot for row in table} == {"nightly": NEXT, "orders": None}
    assert "NEXT SLOT" in status_text(table, NOW)
    assert "NEXT SLOT" not in status_text(table[1:], NOW)


def test_a_history_has_schedules_and_slots() -> None:
    """The history of a scheduled spec contains its schedules, its missed slots with the reason, and its backfills."""
    of: dict[str, Any] = {"at": at(), "name": "orders"}
    events: list[e.Event] = [
        scheduled(stopped="suspended"),
        e.Missed(**of, first=SLOT, last=NEXT, count=2, slots=(SLOT, NEXT), reason="deadline"),
        e.Missed(**of, first=SLOT, last=NEXT, reason="deadline"),
        e.BackfillAsked(**of, slots=(SLOT, NEXT), actor="ana", reason="late data"),
    ]
    text = re.sub(" {2,}", "  ", history_text(list(enumerate(events, 1))))
    assert "0 * * * * UTC, since 2026-11-22T00:00:00.000Z, stopped: suspended" in text
    assert f"2 slots from {SLOT} to {NEXT}  deadline" in text
    assert f"many slots from {SLOT} to {NEXT}  deadline" in text
    assert f"2 slots from {SLOT} to {NEXT}  by ana  late data" in text
