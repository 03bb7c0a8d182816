"""The session of a command: project, target, ledger, clock and connections to AWS."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from reconciler import __version__
from reconciler.app.connections import AwsConnections
from reconciler.app.options import CommandOptions, target_name
from reconciler.core import guard
from reconciler.core.identity import Place
from reconciler.ledger.log import Log
from reconciler.ledger.open import open_ledger
from reconciler.model.project import Limits, Project, Target
from reconciler.specs.project import ProjectFile, find_root, read_project


class SystemClock:
    """Reads this machine's clocks (`ports.Clock`)."""

    def now(self) -> float:
        """Returns the wall clock, in seconds since the epoch."""
        return time.time()

    def boot(self) -> float:
        """Returns seconds since boot, with suspension if the system counts it (Linux), else monotonic time."""
        boot_clock = getattr(time, "CLOCK_BOOTTIME", None)
        return time.monotonic() if boot_clock is None else time.clock_gettime(boot_clock)

    def sleep(self, seconds: float) -> None:
        """Waits; returns at once for zero and less."""
        if seconds > 0:
            time.sleep(seconds)


@dataclass(frozen=True)
class ChosenTarget:
    """The target of a command as the project file describes it, and the address of its ledger."""

    root: Path
    project_file: ProjectFile
    target: Target
    place: Place
    ledger_address: str
    environ: Mapping[str, str]


@dataclass(frozen=True)
class Session(ChosenTarget):
    """What a command works with. Ledger and AWS are reached on first use."""

    options: CommandOptions
    ledger: Log
    aws: AwsConnections
    clock: SystemClock

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


def choose_target(options: CommandOptions, fallback_target: str | None = None) -> ChosenTarget:
    """Reads the project file and finds the target: that of the command line, of the environment, `fallback_target`, or
    the project's default. Raises `UsageError`, and `SpecErrors` for the project file."""
    environ = dict(os.environ)
    root = find_root(options.directory, Path.cwd())
    project_file = read_project(root)
    project = project_file.project
    name = target_name(options, environ, fallback_target or project.spec.defaultTarget, project.spec.targets)
    target = project.target(name)
    if target.account is None or target.region is None or target.ledger is None:  # a validated target has all of them
        raise AssertionError(f"target {name} was accepted without {', '.join(target.missing())}")
    place = Place(project.name, name, target.account, target.region)
    return ChosenTarget(root, project_file, target, place, target.ledger, environ)


@contextmanager
def opened(options: CommandOptions, *, fallback_target: str | None = None) -> Iterator[Session]:
    """Opens the session of one command, and closes it at the end. Raises as `choose_target` does, `GuardError`, and
    `LedgerError` for an unknown ledger address."""
    chosen = choose_target(options, fallback_target)
    place, target, address = chosen.place, chosen.target, chosen.ledger_address
    guard.check_ledger(address, emulated=target.is_emulator, durable=options.local_ledger, environ=chosen.environ)
    clock = SystemClock()
    with ExitStack() as stack:
        ledger = open_ledger(address, chosen.root, place, __version__, clock)
        stack.callback(ledger.close)
        aws = stack.enter_context(closing(AwsConnections(chosen.root, place, target, clock)))
        yield Session(**vars(chosen), options=options, ledger=ledger, aws=aws, clock=clock)


class ReusableSession:
    """Opens a session once and reuses it between passes.

    Each pass reads the project file again. Ledger and connections are kept while the target is unchanged.
    """

    def __init__(self, options: CommandOptions) -> None:
        self._options = options
        self._stack = ExitStack()
        self._session: Session | None = None
        self._root: Path | None = None

    @property
    def root(self) -> Path:
        """The project folder."""
        return self._root or self.session().root

    def session(self) -> Session:
        """Returns the session of the next pass. Raises as `opened` does."""
        if self._session is not None:
            project_file = read_project(self._session.root)
            project, place = project_file.project, self._session.place
            same_target = project.name == place.project and place.target in project.spec.targets
            if same_target and project.target(place.target) == self._session.target:
                self._session = replace(self._session, project_file=project_file)
                return self._session
            self.close()
        self._session = self._stack.enter_context(opened(self._options))
        self._root = self._session.root
        return self._session

    def close(self) -> None:
        """Closes everything, so that the pass after a failed one starts from nothing."""
        self._session = None
        self._stack.close()
        self._stack = ExitStack()
