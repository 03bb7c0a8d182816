"""Draws the faults of a story at random. Each seed has a few faults that happen often, instead of all faults rarely."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from reconciler.model.kind import Rate
from tests.simulation.desired import BATCH, EMR

FATES = (
    "request lost",
    "late",
    "reply lost",
    "500 before",
    "500 after",
    "empty 200",
    "page 200",
    "proxy 403",
    "reset",
    "throttled",
    "declined",
    "credentials",
    "unreachable",
    "connect timeout",
    "cloned",
)
"""The fates of a transmission other than acceptance with a reply. If the outcome is open, as after a reset, another
random draw decides whether the request was accepted."""

REFUSALS = {"throttled", "credentials"}
"""Fates after which a request is repeated many times, so a story with one of them needs another fate as well."""

SLOW = {operation: Rate(perSecond=0.02, burst=1) for operation in ("StartJobRun", "SubmitJob")}
"""Quotas that delay the second request of a process by most of a minute."""

FREEZES = (9.0, 36.0, 200.0, 880.0, 1700.0, 5000.0, 5000.0, 100_000.0)
"""The durations, in seconds, for which a process can be frozen."""

POINTS = (
    "start",
    "read",
    "look",
    "looked",
    "planned",
    "quota",
    "append intended",
    "ledger: before the write",
    "ledger: written",
    "transmit",
    "connecting",
    "signed",
    "checked",
    "in flight",
    "answered",
    "append submitted",
    "append unsent",
    "append rejected",
    "append unclear",
    "append adopted",
    "append superseded",
    "append cancel-asked",
    "cancel",
    "append cancel-accepted",
)
"""The points at which a process can be killed or frozen. A story can aim at one of these points."""

DANGEROUS = ("ledger: written", "connecting", "signed", "checked", "in flight", "answered", "append unsent")
"""The points at which a stop is most dangerous."""


@dataclass(slots=True)
class Faults:
    """The faults in one story. Numbers below one are probabilities per occurrence. Times are in seconds.

    `aim` is a point at which a process is stopped almost every time, in the way that `freezing` determines. `fates`
    contains the possible fates of a transmission. `lag` is the delay until a listing shows a run, `flicker` is the
    probability that it shows the run earlier, and `glitch` is the probability that listings are empty for less than a
    minute. `edges` selects the most unfavourable times. `rates` contains the quotas of the client. `clocks` is the
    maximum error of the clocks, and `wrong` is the probability of a clock that is off by hours. If `pending_seconds` is
    set, it is the spec's `pendingTimeoutSeconds`, and many runs start late or never; `queue_seconds` is the time limit
    of the queue itself, after which AWS cancels a run that has not started.
    """

    kind: str
    on_unknown: str
    fates: tuple[str, ...]
    crash: float = 0.0
    freeze: float = 0.0
    aim: str | None = None
    freezing: bool = False
    lag: float = 0.0
    flicker: float = 0.0
    glitch: float = 0.0
    edges: bool = False
    clocks: float = 0.0
    wrong: float = 0.0
    read_faults: float = 0.0
    ledger_faults: float = 0.0
    paging: bool = False
    stopping: float = 0.0
    rates: Mapping[str, Rate] = field(default_factory=dict)
    pending_seconds: int = 0
    queue_seconds: float = 0.0

    def calm(self) -> None:
        """Ends the faults. The effects of earlier faults remain."""
        self.fates = ("accepted",)
        self.aim = None
        self.crash = self.freeze = self.flicker = self.glitch = self.lag = self.clocks = self.wrong = 0.0
        self.read_faults = self.ledger_faults = self.stopping = 0.0


def drawn(dice: Random) -> Faults:
    """Draws the faults of a story."""
    roll = dice.random
    some = dice.sample(FATES, dice.choice((0, 1, 1, 2, 3)))
    glitch = 0.5 if roll() < 0.15 else 0.0
    edges = roll() < 0.4
    if edges and "late" not in some and roll() < 0.4:
        some.append("late")
    return Faults(
        kind=BATCH if roll() < 0.55 else EMR,
        on_unknown="Hold" if roll() < 0.1 else "Resubmit",
        fates=("accepted", *some) if roll() < 0.6 or set(some) & REFUSALS else tuple(some) or ("accepted",),
        crash=dice.choice((0.0, 0.0, 0.01, 0.05)),
        freeze=dice.choice((0.0, 0.0, 0.01, 0.04)),
        aim=dice.choice(POINTS if roll() < 0.6 else DANGEROUS) if roll() < 0.6 else None,
        freezing=roll() < 0.6,
        lag=dice.choice((0.0, 300.0, 300.0) if edges else (0.0, 60.0, 300.0)),
        flicker=dice.choice((0.0, 0.3)),
        glitch=glitch,
        edges=edges,
        clocks=1.0 if glitch else dice.choice((0.0, 60.0, 60.0) if edges else (0.0, 20.0, 60.0)),
        wrong=0.5 if roll() < 0.06 else 0.0,
        read_faults=0.3 if roll() < 0.15 else 0.0,
        ledger_faults=dice.choice((0.0, 0.0, 0.1, 0.4)),
        paging=roll() < 0.2,
        stopping=0.05 if roll() < 0.08 else 0.0,
        rates=SLOW if roll() < 0.1 else {},
    )
