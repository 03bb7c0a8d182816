"""Defines short histories that together reach every point, and lists the points that each of their passes reaches."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from reconciler.emulator import Plan
from reconciler.ledger.snapshot import AT_THE_END
from tests.crash.faults import LOST, PROCESSED, REFUSED, SLOW
from tests.crash.points import WRITING, Point
from tests.crash.world import INIT, SETTLE_SECONDS, CrashWorld

NOWHERE = "http://127.0.0.1:1"  # a port without a listener

Passes = Generator[None, None, None]
"""A story is a generator: at each `yield`, the caller runs a pass, and it may end at any of them."""


def founding(world: CrashWorld) -> Passes:
    """`ledger init` creates a ledger in a file, and then the spec runs."""
    for path in world.folder.glob("ledger.sqlite*"):
        path.unlink()
    world.command = INIT
    world.batch("clicks")
    yield


def submitting(world: CrashWorld) -> Passes:
    """A new spec runs on each service, and a later pass observes the ends of the runs."""
    world.spark("orders")
    world.batch("clicks")
    yield
    yield


def adopting(world: CrashWorld) -> Passes:
    """A pass is killed after it received AWS's reply. The next pass finds the run by its tag."""
    world.batch("clicks")
    world.crash(Point("answered"))
    yield


def sending_again(world: CrashWorld) -> Passes:
    """A pass is killed before it sends its request. Two lookups prove that no request arrived, and a later pass
    sends it again."""
    world.batch("clicks")
    world.crash(Point("sending"))
    world.pass_time(SETTLE_SECONDS)
    yield
    world.pass_time(SETTLE_SECONDS / 25)
    yield


def superseding(world: CrashWorld) -> Passes:
    """A pass is killed before it sends its request, and the spec changes before the submission is proven absent."""
    world.spark("orders", "A")
    world.crash(Point("recorded", "intended"))
    world.spark("orders", "B")
    world.pass_time(SETTLE_SECONDS)
    yield
    world.pass_time(SETTLE_SECONDS / 25)
    yield
    yield


def cancelling(world: CrashWorld) -> Passes:
    """A spec whose run is live and whose deletion policy is Cancel is removed from git."""
    world.aws.configure(run_seconds=None)
    path = world.spark("orders", deletionPolicy="Cancel")
    world.batch("clicks")
    assert world.run("reconcile").code == 0
    path.unlink()
    yield


def snapshotting(world: CrashWorld) -> Passes:
    """Passes of one spec each bring the ledger close to the length at which a pass stores a snapshot when it ends."""
    number = 0
    while _position(world) <= AT_THE_END - 5:  # such a pass appends four batches
        world.batch(f"clicks-{number}")
        assert world.run("reconcile").code == 0
        number += 1
    for more in range(4):
        world.batch(f"orders-{more}", dependsOn=f"[{{name: clicks-{more % number}}}]")
    world.batch(f"clicks-{number}")
    yield


def _position(world: CrashWorld) -> int:
    log = world.log()
    try:
        return log.recorded.position
    finally:
        log.close()


def rejected(world: CrashWorld) -> Passes:
    """AWS rejects the content."""
    world.aws.configure(definitions=["other"])
    world.batch("clicks")
    yield


def unreachable(world: CrashWorld) -> Passes:
    """Batch is unreachable at first. The ledger has an intent, because with an empty ledger a pass first searches
    AWS for runs."""
    world.spark("orders")
    assert world.run("reconcile").code == 0
    world.batch("clicks")
    there = world.env["AWS_ENDPOINT_URL_BATCH"]
    world.env["AWS_ENDPOINT_URL_BATCH"] = NOWHERE
    try:
        yield
    finally:
        world.env["AWS_ENDPOINT_URL_BATCH"] = there


def meeting(world: CrashWorld, fault: Plan, *, spark: bool) -> Passes:
    """A new spec is submitted, and a fault affects its submission."""
    world.aws.inject(fault)
    if spark:
        world.spark("orders")
    else:
        world.batch("clicks")
    yield


@dataclass(frozen=True, slots=True)
class Story:
    """A history, the points that each of its passes reaches, and the names that are on hold at its end."""

    name: str
    tell: Callable[[CrashWorld], Passes]
    points: tuple[tuple[Point, ...], ...]
    held: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name


def _writes(event: str, nth: int = 1) -> tuple[Point, ...]:
    return tuple(Point(name, event, nth) for name in WRITING)


def _points(*names: str, nth: int = 1) -> tuple[Point, ...]:
    return tuple(Point(name, None, nth) for name in names)


LOOK = _points("observing", "observed")
SEND = _points("signed", "sending", "answered")
UNCLEAR = (*_writes("intended"), *SEND, *_writes("unclear"))
FOUND = (*UNCLEAR, *_points("looking", "looked"), *_writes("adopted"))
REPEATED = (*UNCLEAR, *_writes("intended", 2), *_points("signed", "sending", "answered", nth=2), *_writes("submitted"))
AGAIN = (*_writes("intended"), *SEND, *_writes("unsent"), *_writes("intended", 2), *_writes("submitted"))

STORIES = (
    Story("founding", founding, ((Point("ledger-created"), *_writes("opened")),)),
    Story(
        "submitting",
        submitting,
        (
            (*_writes("intended"), *SEND, *_writes("submitted")),
            (*LOOK, *_writes("observed")),
        ),
    ),
    Story("adopting", adopting, ((*LOOK, *_writes("adopted")),)),
    Story(
        "sending-again",
        sending_again,
        ((*LOOK, *_writes("absent")), (*LOOK, *_writes("absent"), *_writes("intended"), *SEND, *_writes("submitted"))),
    ),
    Story(
        "superseding",
        superseding,
        (
            (*LOOK, *_writes("absent")),
            (*LOOK, *_writes("absent"), *_writes("superseded")),
            (*_writes("intended"), *SEND, *_writes("submitted")),
        ),
    ),
    Story(
        "cancelling",
        cancelling,
        ((*LOOK, *_writes("cancel-asked"), *_points("cancelling", "cancelled"), *_writes("cancel-accepted")),),
    ),
    Story("snapshotting", snapshotting, (_points("snapshotting", "snapshot-kept"),)),
    Story("rejected", rejected, ((*_writes("intended"), *SEND, *_writes("rejected")),), held=("clicks",)),
    Story("unreachable", unreachable, ((*_writes("intended"), *SEND, *_writes("unsent")),)),
)


def _meetings(faults: Mapping[str, Plan], batch: tuple[Point, ...], spark: tuple[Point, ...]) -> Iterator[Story]:
    """Returns stories in which one of the faults affects a submission to each service."""
    for name, plan in faults.items():
        yield Story(f"batch-{name}", partial(meeting, fault=plan, spark=False), (batch,))
        yield Story(f"spark-{name}", partial(meeting, fault=plan, spark=True), (spark,))


MEETINGS = (
    *_meetings(PROCESSED, FOUND, REPEATED),
    *_meetings(LOST, (*UNCLEAR, *_points("looking", "looked")), REPEATED),
    *_meetings(REFUSED, AGAIN, AGAIN),
    *_meetings(SLOW, (*SEND, *_writes("submitted")), (*SEND, *_writes("submitted"))),
)
"""Stories with faults. AWS Batch has no token, so a lookup follows. EMR Serverless gets the request again with the same
token."""


Stopped = TypeVar("Stopped")
"""The type of a stopped command, which has either ended or is frozen."""


@dataclass(frozen=True, slots=True)
class Case:
    """One pass of a story that stops at one point."""

    story: Story
    number: int
    point: Point

    def __str__(self) -> str:
        return f"{self.story}-{self.number}-{self.point}"


def _cases(stories: Sequence[Story]) -> tuple[Case, ...]:
    return tuple(
        Case(story, number, point)
        for story in stories
        for number, points in enumerate(story.points)
        for point in points
    )


CASES = _cases(STORIES)
FAULTY_CASES = _cases(MEETINGS)


def stop_at(case: Case, world: CrashWorld, stop: Callable[[Point], Stopped]) -> Stopped:
    """Plays the story up to its pass `number`. `stop` runs that pass and stops it at the point."""
    with closing(case.story.tell(world)) as passes:
        for _ in range(case.number):
            next(passes)
            assert world.run("reconcile").code in {0, 3}
        next(passes)
        return stop(case.point)
