"""One command's world: project, target, ledger, clock, and the way to the services, put together from its options."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler import __version__, guard
from reconciler.identity.digest import Place
from reconciler.ledger.open import open_ledger
from reconciler.services.clock import SystemClock
from reconciler.specs.project_file import read_project
from reconciler.specs.root import find_root
from reconciler.wiring.access import Access
from reconciler.wiring.choice import Choice, target_name

if TYPE_CHECKING:
    from reconciler.ledger.log import Log
    from reconciler.model.project import Project, Target


@dataclass(frozen=True)
class Session:
    """What a command works with. Nothing in it has read the ledger, reached AWS or created a file yet."""

    choice: Choice
    root: Path
    project: Project
    target: Target
    place: Place
    ledger: Log
    access: Access
    clock: SystemClock
    environ: Mapping[str, str]

    def now(self) -> datetime:
        """The time now, UTC."""
        return datetime.fromtimestamp(self.clock.now(), UTC)


@contextmanager
def opened(choice: Choice, *, fallback_target: str | None = None) -> Iterator[Session]:
    """The session of one command, taken apart at its end.

    `fallback_target` is used where the command line and the environment name none, before the project's default.
    Raises `UsageError`, `SpecErrors` for the project file, `GuardError`, and `LedgerError` for an address that is
    no ledger.
    """
    environ = dict(os.environ)
    root = find_root(choice.directory, Path.cwd())
    project = read_project(root).project
    name = target_name(choice, environ, fallback_target or project.spec.defaultTarget, project.spec.targets)
    target = project.target(name)
    place, address = place_of(project.name, name, target)
    guard.check_ledger(address, emulated=target.is_emulator, kept=choice.local_ledger, environ=environ)
    clock = SystemClock()
    ledger = open_ledger(address, root, place, __version__, clock)
    access = Access(root, place, target, clock)
    try:
        yield Session(choice, root, project, target, place, ledger, access, clock, environ)
    finally:
        access.close()
        ledger.close()


def place_of(project: str, name: str, target: Target) -> tuple[Place, str]:
    """The place of a target and its ledger's address, which a target that was read completely always has."""
    if target.account is None or target.region is None or target.ledger is None:
        raise AssertionError(f"target {name} was accepted without {', '.join(target.missing())}")
    return Place(project, name, target.account, target.region), target.ledger
