"""The session of a command: project, target, ledger, clock and connections to AWS.

It connects to the ledger and the services, in AWS or the embedded emulator, on first use.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler import __version__
from reconciler.app.connections import AwsConnections
from reconciler.app.options import CommandOptions, target_name
from reconciler.core import safety_checks
from reconciler.core.identity import Place
from reconciler.core.suggestions import Invocation
from reconciler.errors import CheckoutMoved, ReconcilerError
from reconciler.ledger.log import Log
from reconciler.ledger.open import open_ledger
from reconciler.model.project import Limits, Project, Target
from reconciler.specs import PROJECT_FILE
from reconciler.specs.files import NotReadable
from reconciler.specs.project import ProjectFile, find_root, read_project
from reconciler.specs.requests import place_of
from reconciler.values import dataclass

if TYPE_CHECKING:
    from reconciler.core.ports import Clock

logger = logging.getLogger(__name__)


class SystemClock:
    """Reads this machine's clocks (`ports.Clock`)."""

    def now(self) -> float:
        """Returns the wall clock, in seconds since the epoch."""
        return time.time()

    def boot(self) -> float:
        """Returns seconds since boot, including suspension if the system counts it (Linux), otherwise the monotonic
        time."""
        boot_clock = getattr(time, "CLOCK_BOOTTIME", None)
        return time.monotonic() if boot_clock is None else time.clock_gettime(boot_clock)

    def sleep(self, seconds: float) -> None:
        """Waits; returns immediately for zero or less."""
        if seconds > 0:
            time.sleep(seconds)


@dataclass
class ChosenTarget:
    """The target of a command, from the project file, and the address of its ledger."""

    root: Path
    project_file: ProjectFile
    target: Target
    place: Place
    ledger_address: str
    environ: Mapping[str, str]


@dataclass
class Session(ChosenTarget):
    """The objects that a command works with. It connects to the ledger and AWS on first use. If `masked` is set, the
    ledger is an export with masked requests. Only `reread` changes its fields."""

    options: CommandOptions
    ledger: Log
    aws: AwsConnections
    clock: SystemClock
    masked: bool = False

    @property
    def project(self) -> Project:
        """The parsed project file."""
        return self.project_file.project

    def is_current(self) -> bool:
        """Returns whether the project file still has the text that was read."""
        try:
            return self.project_file.files.read(PROJECT_FILE).text == self.project_file.view.source.text
        except NotReadable:
            return False

    def reread(self) -> None:
        """Reads the project file again if it has changed. Raises `SpecErrors`, and `CheckoutMoved` if the file now has
        another place or ledger, to which this session is not connected."""
        if self.is_current():
            return
        file = read_project(self.root)
        target = _target_of(file, self.place)
        if target is None or target.ledger != self.ledger_address:
            raise CheckoutMoved(self.root)
        self.project_file = file
        if target != self.target:
            self.target = target
            self.aws.retarget(target)

    def now(self) -> datetime:
        """Returns the time now, in UTC."""
        return datetime.fromtimestamp(self.clock.now(), UTC)

    @property
    def invocation(self) -> Invocation:
        """The program name, folder and target for the commands that messages suggest to the operator."""
        return replace(self.options.invocation, target=self.place.target)

    @property
    def notes(self) -> tuple[str, ...]:
        """The warnings about the target that were logged when the session was opened."""
        relative = not self.target.is_emulator and safety_checks.is_relative(self.ledger_address)
        return (_relative_note(self.ledger_address, self.place.target),) if relative else ()

    @property
    def limits(self) -> Limits:
        """The limits of this command: the target's limits, unless the command line overrides them."""
        return self.options.limits(self.target.limits)


def _target_of(file: ProjectFile, place: Place) -> Target | None:
    """Returns the target of a place in a project file, or `None` if the file has no such place."""
    project = file.project
    if project.name != place.project or place.target not in project.spec.targets:
        return None
    target = project.target(place.target)
    # Account and region are part of every client token, so another place needs another session.
    return target if (target.account, target.region) == (place.account, place.region) else None


def choose_target(options: CommandOptions, fallback_target: str | None = None) -> ChosenTarget:
    """Reads the project file and finds the target: from the command line, the environment, `fallback_target`, or the
    project's default. Raises `UsageError`, and `SpecErrors` for problems in the project file."""
    environ = dict(os.environ)
    root = find_root(options.directory, Path.cwd())
    project_file = read_project(root)
    project = project_file.project
    name = target_name(options, environ, fallback_target or project.spec.defaultTarget, project.spec.targets)
    target = project.target(name)
    if target.account is None or target.region is None or target.ledger is None:  # a valid target has all three
        raise AssertionError(f"target {name} was accepted without {', '.join(target.missing())}")
    place = place_of(project, name)
    return ChosenTarget(root, project_file, target, place, target.ledger, environ)


def place_if_known(options: CommandOptions) -> Place | None:
    """Returns the place that a command is about, or `None` if the project file or the command line is invalid."""
    try:
        return choose_target(options).place
    except ReconcilerError:
        return None


@contextmanager
def opened(
    options: CommandOptions, *, fallback_target: str | None = None, export: Path | None = None
) -> Iterator[Session]:
    """Context manager: opens the session of one command and closes it at the end. With `export`, the session's ledger
    is this file, and the target's ledger is not opened.

    Raises the errors of `choose_target`, `GuardError`, `LedgerError` for an unknown ledger address, and those of
    `masked_export.read`.
    """
    chosen = choose_target(options, fallback_target)
    clock = SystemClock()
    with ExitStack() as stack:
        opened_ledger = closing(_ledger(chosen, options, clock)) if export is None else _export(chosen, export, clock)
        ledger = stack.enter_context(opened_ledger)
        aws = stack.enter_context(closing(AwsConnections(chosen.root, chosen.place, chosen.target, clock)))
        masked = export is not None
        yield Session(**vars(chosen), options=options, ledger=ledger, aws=aws, clock=clock, masked=masked)


def _ledger(chosen: ChosenTarget, options: CommandOptions, clock: Clock) -> Log:
    address, emulated = chosen.ledger_address, chosen.target.is_emulator
    safety_checks.check_ledger(address, emulated=emulated, durable=options.local_ledger, environ=chosen.environ)
    if not emulated and safety_checks.is_relative(address):
        _warn_once(_relative_note(address, chosen.place.target))
    return open_ledger(address, chosen.root, chosen.place, __version__, clock, founds=emulated)


@contextmanager
def _export(chosen: ChosenTarget, file: Path, clock: Clock) -> Iterator[Log]:
    """Context manager: opens the masked export in `file`, which may have been written by anyone. Raises `DamagedExport`
    if the file, or an error in the block, shows that it is not the export of a ledger."""
    from reconciler.ledger.masked_export import DamagedExport, read

    try:
        with closing(read(file, chosen.place, clock, founds=chosen.target.is_emulator)) as ledger:
            yield ledger
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        logger.debug("plan from %s", file, exc_info=True)
        raise DamagedExport(str(file), f"has an invalid state ({type(error).__name__})") from error


@cache
def _warn_once(note: str) -> None:
    """Logs a warning once per process, because a service opens its session again after an error."""
    logger.warning("%s", note)


def _relative_note(address: str, target: str) -> str:
    return (
        f"the ledger {address} of target {target} is relative to the project folder: another checkout would have its "
        "own ledger, and submit everything again. Write an absolute path, such as "
        f"sqlite:////var/lib/reconciler/{target}.sqlite"
    )


class ReusableSession:
    """Opens a session once and reuses it between passes.

    Each pass reads the project file again. Ledger and connections are reused while the target is unchanged.
    """

    def __init__(self, options: CommandOptions) -> None:
        self._options = options
        self._stack = ExitStack()
        self._session: Session | None = None
        self._root: Path | None = None

    @property
    def root(self) -> Path:
        """The project folder."""
        # Kept after `close`, because a service pulls the checkout before it opens the next session.
        return self._root or self.session().root

    def session(self) -> Session:
        """Returns the session of the next pass. Raises the errors of `opened`."""
        if self._session is not None:
            project_file = read_project(self._session.root)
            if _target_of(project_file, self._session.place) == self._session.target:
                self._session.project_file = project_file
                return self._session
            self.close()
        self._session = self._stack.enter_context(opened(self._options))
        self._root = self._session.root
        return self._session

    def close(self) -> None:
        """Closes everything, so that the pass after a failed one starts with a new session."""
        self._session = None
        self._stack.close()
        self._stack = ExitStack()
