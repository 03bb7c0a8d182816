"""Tests that the id of a plan depends on the changes in git and not on the time."""

from __future__ import annotations

from datetime import timedelta

import pytest

from reconciler.core.approval import check_expected
from reconciler.core.decide import plan
from reconciler.core.plan import Plan
from reconciler.errors import PlanNotExpected
from tests.builders import NOW, desired, ran, recorded, spec
from tests.core.test_changes import declared, history

HOURLY = {"schedule": "0 * * * *"}


def made(content: str = "B", *, live: bool = False, **more: object) -> Plan:
    """Returns a plan, some hours later, for a one-off that ran with content A and for a scheduled spec."""
    events = [*ran("A", end=None if live else "succeeded", name="job"), declared(spec("A", "job"))]
    slots = [*history("scheduled", "ended"), declared(spec("A", policy=HOURLY))]
    hours = more.pop("hours", 0)
    wanted = desired(spec(content, "job", **more), spec("A", policy=HOURLY))  # type: ignore[arg-type]
    return plan(wanted, recorded(*events, *slots), NOW + timedelta(hours=float(str(hours))))


def test_time_does_not_enter():
    """When slots come due or a live run ends, the id of the plan does not change."""
    assert made().plan_id == made(hours=5).plan_id == made(live=True).plan_id


def test_contents_policies_and_the_place_enter():
    """The id covers everything that a reviewer approves: contents, policies, and the project, target, account and
    region."""
    ids = {
        made().plan_id,
        made("C").plan_id,
        made("A").plan_id,
        made("B", policy={"backoffLimit": 1}).plan_id,
        plan(desired(), recorded(*ran("A", end=None), declared(spec("A"))), NOW).plan_id,
        plan(desired(spec("B", "other")), recorded(*ran("A", end=None), declared(spec("A"))), NOW).plan_id,
    }

    assert len(ids) == 6


def test_another_plan_is_refused_with_what_it_has():
    """The error names the changed spec and describes the effect of its change."""
    check_expected(made(), made().plan_id)

    with pytest.raises(PlanNotExpected, match=r"job changed \(runs-now\)"):
        check_expected(made("C"), made().plan_id)
