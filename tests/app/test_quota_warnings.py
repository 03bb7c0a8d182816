"""Tests the warnings about plans that take long because of AWS's quotas."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.app import reconcile
from reconciler.app.connections import AwsConnections
from reconciler.app.reconcile import quota_warnings
from reconciler.app.session import SystemClock
from reconciler.core.decide import plan
from reconciler.core.identity import Place
from reconciler.model.kind import Rate
from reconciler.model.project import Target
from tests.builders import NOW, desired, recorded, spec
from tests.cli.world import World, project_text


def test_a_long_wait_is_a_warning_with_numbers() -> None:
    """25 calls fit into the burst; 325 calls at one call per second take minutes."""
    few = plan(desired(*(spec(name=f"job-{n}") for n in range(25))), recorded(), NOW)
    many = plan(desired(*(spec(name=f"job-{n}") for n in range(325))), recorded(), NOW)
    rates = {"SubmitJob": Rate(perSecond=1, burst=25)}
    assert list(quota_warnings(few, rates)) == []
    assert list(quota_warnings(many, rates)) == [
        "325 SubmitJob calls take about 5 min: AWS's quota is 1 a second after the first 25",
    ]
    assert list(quota_warnings(many, {})) == []


def test_the_plan_contains_the_warning(world: World) -> None:
    """The warning is computed from the target's own quota or, without one, from AWS's default."""
    limits = "\n      rates: {SubmitJob: {perSecond: 0.01, burst: 1}}"
    world.write("reconciler.yaml", project_text(limits=limits))
    world.batch("one")
    world.batch("two")
    assert "2 SubmitJob calls take about 2 min" in world.run("plan").out


def test_a_plan_that_sends_nothing_needs_no_quotas(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The quotas of a kind are in its module, which is not imported for a plan without submissions of this kind."""
    asked: list[set[str]] = []

    def rates(_: Target, kinds: set[str]) -> dict[str, Rate]:
        asked.append(kinds)
        return {}

    monkeypatch.setattr(reconcile, "rates", rates)
    world.batch("one")
    assert world.run("plan", "--no-refresh").code == 0
    assert asked == [{"BatchJob"}]
    assert world.run("apply", "--yes").code == 0
    asked.clear()
    assert world.run("plan", "--no-refresh").code == 0
    assert asked == []


def test_a_changed_quota_applies_to_the_next_calls(tmp_path: Path) -> None:
    """A service uses new settings of its target without a restart."""
    before, after = (
        Target(account="111122223333", region="eu-west-1", ledger="sqlite:///a.sqlite", rates={"SubmitJob": rate})
        for rate in (Rate(perSecond=50, burst=50), Rate(perSecond=1, burst=1))
    )
    access = AwsConnections(tmp_path, Place("shop", "staging", "111122223333", "eu-west-1"), before, SystemClock())
    quota = access.quota
    access.retarget(after)
    assert access.quota is not quota
