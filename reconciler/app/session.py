"""One command's world: project, target, ledger, clock and the way to AWS."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler import __version__
from reconciler.app.connections import AwsConnections
from reconciler.app.options import CommandOptions, target_name
from reconciler.core import guard
from reconciler.core.identity import Place
from reconciler.ledger.open import open_ledger
from reconciler.specs.project import find_root, read_project

if TYPE_CHECKING:
    from reconciler.ledger.log import Log
    from reconciler.model.project import Limits, Project, Target
    from reconciler.specs.project import ProjectFile


class SystemClock:
    """`ports.Clock` on this machine's clocks."""

    def now(self) -> float:
        """Wall clock, seconds since the epoch."""
        return time.time()

    def boot(self) -> float:
        """Seconds since the machine started, suspension included where the system counts it (Linux), else monotonic."""
        boot_clock = getattr(time, "CLOCK_BOOTTIME", None)
        return time.monotonic() if boot_clock is None else time.clock_gettime(boot_clock)

    def sleep(self, seconds: float) -> None:
        """Waits; no time at all for zero and less."""
        if seconds > 0:
            time.sleep(seconds)


@dataclass(frozen=True)
class Session:
    """What a command works with. Nothing in it has read the ledger, reached AWS or created a file yet."""

    options: CommandOptions
    root: Path
    project_file: ProjectFile
    target: Target
    place: Place
    ledger: Log
    aws: AwsConnections
    clock: SystemClock
    environ: Mapping[str, str]

    @property
    def project(self) -> Project:
        """What the project file says."""
        return self.project_file.project

    def now(self) -> datetime:
        """Returns the time now, in UTC."""
        return datetime.fromtimestamp(self.clock.now(), UTC)

    @property
    def limits(self) -> Limits:
        """The limits of this command: those of the target, unless the command line overrides them."""
        return self.options.limits(self.target.limits)


@contextmanager
def opened(choice: CommandOptions, *, fallback_target: str | None = None) -> Iterator[Session]:
    """The session of one command, taken apart at its end.

    `fallback_target` is used where the command line and the environment name none, before the project's default.
    Raises `UsageError`, `SpecErrors` for the project file, `GuardError`, and `LedgerError` for an address that is
    no ledger.
    """
    environ = dict(os.environ)
    root = find_root(choice.directory, Path.cwd())
    project_file = read_project(root)
    project = project_file.project
    name = target_name(choice, environ, fallback_target or project.spec.defaultTarget, project.spec.targets)
    target = project.target(name)
    place, address = place_of(project.name, name, target)
    guard.check_ledger(address, emulated=target.is_emulator, kept=choice.local_ledger, environ=environ)
    clock = SystemClock()
    ledger = open_ledger(address, root, place, __version__, clock)
    access = AwsConnections(root, place, target, clock)
    try:
        yield Session(choice, root, project_file, target, place, ledger, access, clock, environ)
    finally:
        access.close()
        ledger.close()


def place_of(project: str, name: str, target: Target) -> tuple[Place, str]:
    """The place of a target and its ledger's address, which a target that was read completely always has."""
    if target.account is None or target.region is None or target.ledger is None:
        raise AssertionError(f"target {name} was accepted without {', '.join(target.missing())}")
    return Place(project, name, target.account, target.region), target.ledger


class ReusableSession:
    """Gives the session of each pass. The project file is read anew; while the target stays what it was, ledger and
    services are those of the pass before."""

    def __init__(self, choice: CommandOptions) -> None:
        self._choice = choice
        self._stack = ExitStack()
        self._session: Session | None = None
        self._root: Path | None = None

    @property
    def root(self) -> Path:
        """The project folder. Known from the first pass on."""
        return self._root or self.session().root

    def session(self) -> Session:
        """The session of the next pass. Raises as `opened` does."""
        kept = self._session
        if kept is not None:
            project_file = read_project(kept.root)
            project = project_file.project
            name = kept.place.target
            if project.name == kept.place.project and name in project.spec.targets:
                target = project.target(name)
                if target == kept.target:
                    self._session = replace(kept, project_file=project_file)
                    return self._session
            self.close()
        self._session = self._stack.enter_context(opened(self._choice))
        self._root = self._session.root
        return self._session

    def close(self) -> None:
        """Lets go of everything: after a pass that failed the next one starts from nothing."""
        self._session = None
        self._stack.close()
        self._stack = ExitStack()
