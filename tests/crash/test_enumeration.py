"""At every point where the program can stop, a pass is killed, or frozen and woken later.

`make test` runs a selection. `make soak` runs all cases, with every store and every fault.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set

import pytest

from tests.crash.faults import FAULTS
from tests.crash.stories import CASES, FAULTY_CASES, Case, stop_at
from tests.crash.world import CrashWorld, Verdict, verdict

SCHEMES = ("sqlite", "s3", "dynamodb")
Over = Callable[[str], CrashWorld]


def _marked(cases: Sequence[Case], every_day: Set[str] = frozenset()) -> list[object]:
    soak = pytest.mark.soak
    return [pytest.param(case, id=str(case), marks=() if str(case) in every_day else soak) for case in cases]


def _once_each() -> list[Case]:
    """Returns one case for each point and subject."""
    return list({(case.point.name, case.point.about): case for case in reversed(CASES)}.values())


KILLED = {"founding-0-ledger-created", "submitting-0-stored-intended", "submitting-0-answered"}
KILLED_MEETING = {"batch-reply-lost-0-looked", "spark-html-0-recorded-intended-2"}


@pytest.mark.parametrize("case", _marked(CASES, KILLED))
def test_killed(case: Case, world: CrashWorld):
    """After a kill at the point, each submission ends either with one run that the ledger contains, or on hold."""
    stop_at(case, world, world.crash)

    assert verdict(world) == Verdict(held=list(case.story.held))


@pytest.mark.parametrize("case", _marked(FAULTY_CASES, KILLED_MEETING))
def test_killed_while_it_meets_a_fault(case: Case, world: CrashWorld):
    """The result is the same if a fault affects the submission before the process is killed."""
    stop_at(case, world, world.crash)

    assert verdict(world) == Verdict()


@pytest.mark.soak
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("case", _once_each(), ids=str)
def test_killed_and_recovered_with_faults(case: Case, fault: str, scheme: str, over: Over):
    """With every store, the result is the same if the passes after the kill meet a fault."""
    if case.story.name == "founding" and scheme != "sqlite":
        pytest.skip("this story is about a file")
    world = over(scheme)
    stop_at(case, world, world.crash)
    world.aws.inject(FAULTS[fault])

    assert verdict(world) == Verdict(held=list(case.story.held))


@pytest.mark.soak
@pytest.mark.parametrize("scheme", SCHEMES[1:])
@pytest.mark.parametrize("case", FAULTY_CASES, ids=str)
def test_killed_over_a_shared_ledger(case: Case, scheme: str, over: Over):
    """With the stores that several machines can share, the result is the same after a fault and a kill."""
    world = over(scheme)
    stop_at(case, world, world.crash)

    assert verdict(world) == Verdict()


@pytest.mark.soak
@pytest.mark.parametrize("case", CASES, ids=str)
def test_frozen_and_woken(case: Case, world: CrashWorld):
    """A process that is frozen, and woken after other processes are done, adds no second run.

    If it was frozen just before sending, it is woken when its signature is too old for AWS.
    """
    frozen = stop_at(case, world, world.freeze)
    world.rest()
    if case.point.name == "sending":
        world.age_signatures()
    world.thaw(frozen)

    assert verdict(world) == Verdict(held=list(case.story.held))
