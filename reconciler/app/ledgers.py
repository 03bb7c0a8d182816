"""Verifies, copies and exports ledgers without a session. Reads no spec, and calls AWS only for ledgers in AWS."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from reconciler import __version__
from reconciler.app.session import SystemClock
from reconciler.errors import LedgerError, LedgerMissing, UsageError
from reconciler.ledger.log import missing
from reconciler.ledger.open import open_ledger, open_store

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.app.session import ChosenTarget
    from reconciler.core.identity import Place
    from reconciler.core.ports import Store
    from reconciler.ledger.copy import Copied
    from reconciler.ledger.verify import Report

logger = logging.getLogger(__name__)


@contextmanager
def opened_store(chosen: ChosenTarget, address: str | None = None, place: Place | None = None) -> Iterator[Store]:
    """Opens the store of the target's ledger, or of the ledger at another address or for another place. Raises
    `LedgerError` for an unknown address."""
    store = open_store(address or chosen.ledger_address, chosen.root, place or chosen.place)
    with ExitStack() as stack:
        # Only a store in a file has something to close.
        stack.callback(getattr(store, "close", lambda: None))
        try:
            yield store
        except LedgerMissing as error:
            if address is not None:
                raise
            raise missing(store.address, chosen.place) from error


def verify_ledger(chosen: ChosenTarget, *, renew: bool) -> Report:
    """Verifies the target's ledger. With `renew`, also saves a new snapshot if the log is undamaged. Raises the errors
    of `verify`."""
    from reconciler.ledger.verify import verify

    with opened_store(chosen) as store:
        report = verify(store, chosen.place)
        if renew:
            _renew_snapshot(store, report)
    return report


def copy_ledger(
    chosen: ChosenTarget, source: str, target: str, origin: Place, *, rename: bool, progress: Callable[[int], None]
) -> tuple[Copied, Report]:
    """Copies the ledger of `origin` from one address to another, closes the original for good, verifies the copy, and
    saves a snapshot of it.

    Raises `UsageError`, the errors of `ledger.copy.copy`, and `AccountMismatch` if a store in AWS would be written with
    the credentials of another account.
    """
    from reconciler.ledger.copy import Author, copy
    from reconciler.ledger.verify import verify
    from reconciler.specs.git import actor

    if source == target and origin == chosen.place:
        raise UsageError(f"FROM and TO are both {source}")
    if not (target.startswith("sqlite:") and source.startswith("sqlite:")):
        _check_account(chosen)
    author = Author(actor(chosen.environ, chosen.root), __version__)
    with opened_store(chosen, source, origin) as old, opened_store(chosen, target) as new:
        copied = copy(old, new, chosen.place, SystemClock(), author=author, rename=rename, progress=progress)
        report = verify(new, chosen.place)
        _renew_snapshot(new, report)
    return copied, report


def export_masked(chosen: ChosenTarget, file: Path) -> int:
    """Writes the masked export of the target's ledger to a file, and returns the position up to which it was read.
    Raises `LedgerError` and `PlanFileError`."""
    from reconciler.app.plan_file import save
    from reconciler.core.times import seconds_text
    from reconciler.ledger.masked_export import export

    clock, founds = SystemClock(), chosen.target.is_emulator
    log = open_ledger(chosen.ledger_address, chosen.root, chosen.place, __version__, clock, founds=founds)
    with closing(log):
        position = log.refresh().position
        log.check_open()
        content = export(log, chosen.place, seconds_text(datetime.fromtimestamp(clock.now(), UTC)))
    save(file, [content], "ledger snapshot")
    return position


def _check_account(chosen: ChosenTarget) -> None:
    """Checks the account before a copy is written, because several accounts may have a table with the same name."""
    from reconciler.app.connections import AwsConnections

    with closing(AwsConnections(chosen.root, chosen.place, chosen.target, SystemClock())) as aws:
        aws.check_account()


def _renew_snapshot(store: Store, report: Report) -> None:
    """Saves a snapshot of a verified ledger if the only damage is in the old snapshot and the store supports
    snapshots."""
    from reconciler.core.ports import Snapshots
    from reconciler.ledger.snapshot import pack
    from reconciler.ledger.verify import LedgerCheck

    if report.head is None or report.wrong() - {LedgerCheck.SNAPSHOT} or not isinstance(store, Snapshots):
        return
    content = pack(report.recorded, report.head)
    if content is not None:
        with suppress(LedgerError):  # a snapshot only saves time
            store.keep_snapshot(report.positions, content)
