"""Runs passes until the runs that a command waits for have ended, and submits the runs that depended on them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from reconciler.app.reconcile import reconcile
from reconciler.core.awaited import Awaited, Progress, open_keys, progress
from reconciler.core.ports import pause
from reconciler.errors import (
    AccountMismatch,
    LedgerCorrupt,
    LedgerFormatNewer,
    LedgerMissing,
    LedgerMoved,
    LedgerPinned,
    LedgerRolledBack,
    LedgerStoreInvalid,
    LedgerStoreMissing,
    LimitExceeded,
    ReconcilerError,
    SpecErrors,
    UsageError,
)
from reconciler.values import dataclass

if TYPE_CHECKING:
    import threading

    from reconciler.app.reconcile import Pass
    from reconciler.app.session import Session
    from reconciler.core.identity import SubmissionKey

SHORTEST_PAUSE, LONGEST_PAUSE = 1.0, 15.0
"""Seconds between passes. The pause between passes is short after a change and then grows."""
GROWTH = 1.5
MOST_FAILURES = 10
"""The number of failed passes in a row after which waiting ends with their error."""
FINAL_ERRORS = (
    UsageError,
    SpecErrors,
    LimitExceeded,
    AccountMismatch,
    LedgerMissing,
    LedgerCorrupt,
    LedgerRolledBack,
    LedgerMoved,
    LedgerFormatNewer,
    LedgerPinned,
    LedgerStoreMissing,
    LedgerStoreInvalid,
)
"""Errors that another pass would raise again."""

logger = logging.getLogger(__name__)

Report = Callable[[Sequence[Awaited]], None]


@dataclass(frozen=True, slots=True)
class Waited:
    """The result of waiting: the runs, and whether the timeout or a signal ended the wait before all of them were
    done."""

    runs: tuple[Awaited, ...]
    timed_out: bool = False
    stopped: bool = False

    @property
    def unsuccessful(self) -> tuple[Awaited, ...]:
        """The runs that failed or are on hold."""
        return tuple(each for each in self.runs if each.progress in {Progress.FAILED, Progress.HELD})


def wait(
    session: Session,
    names: Collection[str] | None,
    keys: Collection[SubmissionKey] | None,
    report: Report,
    *,
    timeout: float | None,
    stop: threading.Event,
) -> Waited:
    """Runs passes over the specs `names` (`None` for all specs) until the runs with these `keys` are done. By default,
    these are the runs that are open after the first pass. `report` is called after each pass.

    The passes submit dependents of ended runs, retries and due slots. They do not apply changes in git that no `apply`
    has applied. A failed pass is repeated. After `MOST_FAILURES` failures in a row, its error is raised.
    """
    only = session.options.only if names is None else tuple(sorted(names))
    passes = _Passes(replace(session, options=replace(session.options, only=only, labels=(), applied_only=True)), stop)
    began, seconds = session.clock.boot(), SHORTEST_PAUSE
    runs: tuple[Awaited, ...] = ()
    while not stop.is_set():
        before = _states(runs)
        if (done := passes.run()) is not None:
            keys = open_keys(done.recorded, done.plan, names) if keys is None else keys
            runs = tuple(progress(keys, done.plan, done.recorded, done.specs))
            report(runs)
            if not any(each.progress is Progress.MOVING for each in runs):
                return Waited(runs)
        if timeout is not None and session.clock.boot() - began >= timeout:
            return Waited(runs, timed_out=True)
        seconds = SHORTEST_PAUSE if _states(runs) != before else min(seconds * GROWTH, LONGEST_PAUSE)
        pause(session.clock, seconds, stop)
    return Waited(runs, stopped=True)


class _Passes:
    """Runs passes, and tolerates a few failures in a row."""

    def __init__(self, session: Session, stop: threading.Event) -> None:
        self._session, self._stop = session, stop
        self._failures = 0

    def run(self) -> Pass | None:
        """Runs one pass. Returns `None` if it failed or was stopped. Raises the error of the last of too many failures
        in a row, and errors that another pass would raise again."""
        try:
            done = reconcile(self._session, self._stop)
        except FINAL_ERRORS:
            raise
        except ReconcilerError as error:
            self._failures += 1
            if self._failures >= MOST_FAILURES:
                raise
            logger.warning("a pass failed and will be repeated: %s", error)
            return None
        self._failures = 0
        return done


def _states(runs: Sequence[Awaited]) -> list[tuple[object, ...]]:
    return [(each.key, each.progress, each.state) for each in runs]
