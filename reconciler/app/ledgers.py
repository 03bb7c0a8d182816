"""The ledger of a target as a thing to look after, without a session: no spec is read and AWS runs nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler import __version__
from reconciler.app.options import CommandOptions, target_name
from reconciler.app.session import SystemClock, place_of
from reconciler.core.identity import Place
from reconciler.errors import LedgerError, UsageError
from reconciler.ledger.open import open_store
from reconciler.specs.project import find_root, read_project

if TYPE_CHECKING:
    from reconciler.core.ports import Store
    from reconciler.ledger.copy import Copied
    from reconciler.ledger.verify import Report
    from reconciler.model.project import Target


@dataclass(frozen=True, slots=True)
class Site:
    """Where the ledger of the chosen target is: the project folder, the place it must belong to, and its address."""

    root: Path
    place: Place
    target: Target
    address: str
    environ: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Origin:
    """Which ledger to take from a store that holds several, where it was another project's, target's or region's."""

    project: str | None = None
    target: str | None = None
    region: str | None = None

    def place(self, place: Place) -> Place:
        """The place to look for it at; its account is not known before it is read."""
        given = {"project": self.project, "target": self.target, "region": self.region}
        return replace(place, **{name: value for name, value in given.items() if value is not None})


def ledger_site(choice: CommandOptions) -> Site:
    """The site of the chosen target. Nothing is opened. Raises `UsageError`, and `SpecErrors` for the project file."""
    environ = dict(os.environ)
    root = find_root(choice.directory, Path.cwd())
    project = read_project(root).project
    name = target_name(choice, environ, project.spec.defaultTarget, project.spec.targets)
    target = project.target(name)
    place, address = place_of(project.name, name, target)
    return Site(root, place, target, address, environ)


@contextmanager
def opened_store(site: Site, address: str | None = None, place: Place | None = None) -> Iterator[Store]:
    """The store of a site, or of another address in its terms. Raises `LedgerError` for an address of no store."""
    store = open_store(address or site.address, site.root, place or site.place)
    try:
        yield store
    finally:
        close = getattr(store, "close", None)
        if close is not None:
            close()


def verified(site: Site, *, renew: bool) -> Report:
    """Walks the site's ledger; with `renew` a fresh snapshot is kept of one that is sound. Raises as `verify` does."""
    from reconciler.ledger.verify import verify

    with opened_store(site) as store:
        verdict = verify(store, site.place)
        if renew:
            renew_snapshot(store, verdict)
    return verdict


def copied(
    site: Site, source: str, target: str, *, rename: bool, origin: Origin, progress: Callable[[int], None]
) -> tuple[Copied, Report]:
    """Copies a ledger from one address to another and walks the result, which gets a snapshot. Raises `UsageError`,
    `AccountMismatch` where a store in AWS is to be written with credentials of another account, and as
    `ledger.copy.copy` does."""
    from reconciler.ledger.copy import Move, copy
    from reconciler.ledger.verify import verify
    from reconciler.specs.git import actor

    if not rename and origin != Origin():
        raise UsageError("--from-project, --from-target and --from-region go with --rename")
    if source == target and origin.place(site.place) == site.place:
        raise UsageError(f"FROM and TO are both {source}")
    if not target.startswith("sqlite:"):
        _check_account(site)
    move = Move(actor(site.environ, site.root), __version__) if rename else None
    with (
        opened_store(site, source, origin.place(site.place)) as old,
        opened_store(site, target) as new,
    ):
        done = copy(old, new, site.place, SystemClock(), move=move, progress=progress)
        verdict = verify(new, site.place)
        renew_snapshot(new, verdict)
    return done, verdict


def _check_account(site: Site) -> None:
    """The same table may be in several accounts: it must be the target's that is written to."""
    from reconciler.app.connections import AwsConnections

    access = AwsConnections(site.root, site.place, site.target, SystemClock())
    try:
        access.check()
    finally:
        access.close()


def renew_snapshot(store: Store, verdict: Report) -> None:
    """Keeps a snapshot of what was walked, if nothing but an old snapshot is wrong and the store keeps any."""
    from reconciler.core.ports import Snapshots
    from reconciler.ledger.snapshot import pack
    from reconciler.ledger.verify import LedgerCheck

    if verdict.head is None or verdict.wrong() - {LedgerCheck.SNAPSHOT} or not isinstance(store, Snapshots):
        return
    content = pack(verdict.recorded, verdict.head)
    if content is not None:
        with suppress(LedgerError):
            store.keep_snapshot(verdict.positions, content)
