"""The session of a command: project, target, ledger, clock and connections to AWS.

It connects to the ledger and the services, in AWS or the embedded emulator, on first use.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, cast

from reconciler import __version__
from reconciler.app.options import CommandOptions, target_name
from reconciler.core import guard
from reconciler.core.identity import Place
from reconciler.core.suggested_commands import Invocation
from reconciler.errors import CheckoutMoved, ReconcilerError
from reconciler.ledger.log import Log
from reconciler.ledger.open import open_ledger
from reconciler.ledger.sqlite_file import keep_private
from reconciler.model import STATE_FOLDER
from reconciler.model.kind import MODULES, Rate, kind_named
from reconciler.model.project import Limits, Project, Target
from reconciler.specs import PROJECT_FILE
from reconciler.specs.files import NotReadable
from reconciler.specs.project import ProjectFile, find_root, read_project

if TYPE_CHECKING:
    from reconciler.aws.clients import Aws, OnCall
    from reconciler.aws.logs import Cursor
    from reconciler.core.ports import Clock, Inventory, Quota, Service
    from reconciler.core.run_logs import Logs, LogStream
    from reconciler.emulator import Emulator, Settings

logger = logging.getLogger(__name__)

CREDENTIALS = ("emulator", "emulator")
"""Access key id and secret key for the emulator, which checks neither."""

QUEUED_PART = 0.25
"""The fraction of an emulated run's duration that it spends queued, so that even a short run passes through every
state."""

FRESH_SECONDS = 60.0
"""How many seconds a reply from AWS about account and time is valid for further sends (R9 of docs/protocol.md)."""


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


class AwsConnections:
    """Connects to each service once, on first use. Thread-safe.

    No service is returned before the account is confirmed. Reads need this check as much as sends, because in another
    account every run would appear to be lost. `on_call` is called with every AWS call; set it before the first
    connection.
    """

    def __init__(self, root: Path, place: Place, target: Target, clock: Clock) -> None:
        self._root, self._place, self._target, self._clock = root, place, target, clock
        self._run_names: dict[str, str] = {}
        self.on_call: OnCall | None = None
        self._lock = RLock()
        self._services: dict[str, Service] = {}
        self._aws: Aws | None = None
        self._emulator: Emulator | None = None
        self._last_answer = (0.0, 0.0)  # wall and boot clock at the last answer about account and time

    def name_runs(self, run_names: Mapping[str, str]) -> None:
        """Sets the run name of each spec, because the emulator's settings are per spec."""
        self._run_names.update(run_names)

    def service(self, kind: str) -> Service:
        """Returns the service of a kind. Raises `GuardError` if the credentials belong to another account, or if the
        service is AWS and the target's settling time is too short for it; `ServiceError` if AWS returns no account."""
        with self._lock:
            if kind not in self._services:
                aws = self._connected()
                module = import_module(f"reconciler.aws.{kind_named(kind).service}")
                if self._target.settling_problem(overridden=False):
                    guard.check_settling(self._target.settling_problem(overridden=aws.overridden(module.SERVICE)))
                self._services[kind] = cast("Service", module.connect(aws))
            return self._services[kind]

    @cached_property
    def quota(self) -> Quota:
        """The default quotas of AWS, overridden by the target's `rates`. For the emulator, only `rates`."""
        from reconciler.aws.quota import Buckets

        return Buckets(rates(self._target), self._clock)

    def inventory(self, kind: str) -> Inventory | None:
        """Returns the inventory of a kind, `None` if its service has none. Raises the errors of `service`."""
        from reconciler.core.ports import Inventory

        service = self.service(kind)
        return service if isinstance(service, Inventory) else None

    def logs(self, kind: str) -> Logs | None:
        """Returns the logs of a kind, `None` if its service has none. Raises the errors of `service`."""
        from reconciler.core.run_logs import Logs

        service = self.service(kind)
        return service if isinstance(service, Logs) else None

    def log_cursor(self, stream: LogStream, newest: int | None) -> Cursor:
        """Opens a log, as `aws.logs.opened` does. Raises the errors of `check`, and `ServiceError`."""
        from reconciler.aws.logs import opened as opened_log

        self.check()
        with self._lock:
            return opened_log(self._connected(), stream, newest)

    def check(self) -> None:
        """Requests the account and the time from AWS, unless the last reply is recent enough. Raises the errors of
        `service`."""
        with self._lock:
            aws = self._connected()
            if not self._target.is_emulator and self._is_old():
                self._identify(aws)

    def check_clock(self, *, needed: bool = False) -> None:
        """Raises `ClockSkew` if AWS's clock, according to a recent reply, differs too much from this machine's. With
        `needed`, also raises `GuardError` if the reply has no time."""
        self.check()
        with self._lock:
            guard.check_clock(self._connected().clock_ahead, needed=needed)

    def retarget(self, target: Target) -> None:
        """Uses other settings of the same target from now on. Closes the connections, which depend on them."""
        with self._lock:
            self.close()
            self._target = target
            vars(self).pop("quota", None)

    def close(self) -> None:
        """Closes the connections and stops the emulator."""
        with self._lock:
            self._services.clear()
            if self._aws is not None:
                self._aws.close()
                self._aws = None
            if self._emulator is not None:
                self._emulator.stop()
                self._emulator = None

    def _connected(self) -> Aws:
        if self._aws is None:
            self._aws = self._embedded() if self._target.is_emulator else self._real()
        return self._aws

    def _real(self) -> Aws:
        """Connects to AWS with the default configuration of boto3: profiles, variables and endpoints of the
        environment."""
        from reconciler.aws.clients import Aws

        aws = Aws(region=self._place.region, clock=self._clock, quota=self.quota, on_call=self.on_call)
        self._identify(aws)
        logger.info("account %s, region %s", self._place.account, self._place.region)
        return aws

    def _identify(self, aws: Aws) -> None:
        """Requests the account from AWS; the reply contains the time. Raises `AccountMismatch`, `ServiceError`."""
        guard.check_account(self._place.target, self._place.account, aws.account())
        self._last_answer = (self._clock.now(), self._clock.boot())

    def _is_old(self) -> bool:
        """Returns whether the last reply is too old by either clock. Both are compared, because a service runs for
        months and wall clocks may be set."""
        wall, boot = self._last_answer
        return max(abs(self._clock.now() - wall), self._clock.boot() - boot) > FRESH_SECONDS

    def _embedded(self) -> Aws:
        """Starts the target's emulator on a free loopback port, and connects to it."""
        from reconciler.aws.clients import Aws
        from reconciler.emulator import Emulator

        state = self._root / STATE_FOLDER / f"emulator-{self._place.target}.sqlite"
        keep_private(state)
        emulator = Emulator(state, self._emulator_settings())
        emulator.start()
        self._emulator = emulator
        logger.info("emulator at %s", emulator.url)
        return Aws(
            region=self._place.region,
            endpoint_url=emulator.url,
            credentials=CREDENTIALS,
            clock=self._clock,
            quota=self.quota,
            on_call=self.on_call,
        )

    def _emulator_settings(self) -> Settings:
        """Returns the settings in the project file, converted from spec names to run names for the emulator."""
        from reconciler.emulator import Settings

        given = self._target.emulator_settings
        return Settings(
            account=self._place.account,
            region=self._place.region,
            start_seconds=given.runSeconds * QUEUED_PART,
            run_seconds=given.runSeconds * (1 - QUEUED_PART),
            stop_seconds=given.runSeconds * QUEUED_PART,
            outcomes={
                self._run_names.get(spec, spec): "failed" if outcome == "Failed" else "succeeded"
                for spec, outcome in given.outcomes.items()
            },
        )


def rates(target: Target) -> dict[str, Rate]:
    """Returns the quota of each operation that has one."""
    if target.is_emulator:
        return target.rates
    return {operation: rate for name in MODULES for operation, rate in kind_named(name).rates.items()} | target.rates


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
        """The content of the project file."""
        return self.project_file.project

    def is_current(self) -> bool:
        """Returns whether the project file still has the text that was read."""
        try:
            return self.project_file.files.read(PROJECT_FILE).text == self.project_file.view.source.text
        except NotReadable:
            return False

    def reread(self) -> None:
        """Reads the project file again if it has changed. Raises `SpecErrors`, and `CheckoutMoved` if it now has
        another place or ledger, which this session is not connected to."""
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
        """How commands suggested to the operator must be called."""
        return replace(self.options.invocation, target=self.place.target)

    @property
    def notes(self) -> tuple[str, ...]:
        """The warnings about the target that were logged when the session was opened."""
        relative = not self.target.is_emulator and guard.is_relative(self.ledger_address)
        return (_relative_note(self.ledger_address, self.place.target),) if relative else ()

    @property
    def limits(self) -> Limits:
        """The limits of this command: those of the target, unless the command line overrides them."""
        return self.options.limits(self.target.limits)


def _target_of(file: ProjectFile, place: Place) -> Target | None:
    """Returns the target of a place in a project file, `None` if the file has no such place."""
    project = file.project
    if project.name != place.project or place.target not in project.spec.targets:
        return None
    target = project.target(place.target)
    return target if (target.account, target.region) == (place.account, place.region) else None


def choose_target(options: CommandOptions, fallback_target: str | None = None) -> ChosenTarget:
    """Reads the project file and finds the target: from the command line, the environment, `fallback_target`, or the
    project's default. Raises `UsageError`, and `SpecErrors` for the project file."""
    environ = dict(os.environ)
    root = find_root(options.directory, Path.cwd())
    project_file = read_project(root)
    project = project_file.project
    name = target_name(options, environ, fallback_target or project.spec.defaultTarget, project.spec.targets)
    target = project.target(name)
    if target.account is None or target.region is None or target.ledger is None:  # a validated target has all three
        raise AssertionError(f"target {name} was accepted without {', '.join(target.missing())}")
    place = Place(project.name, name, target.account, target.region)
    return ChosenTarget(root, project_file, target, place, target.ledger, environ)


def place_if_known(options: CommandOptions) -> Place | None:
    """Returns the place that a command is about, `None` if the project file or the command line is invalid."""
    try:
        return choose_target(options).place
    except ReconcilerError:
        return None


@contextmanager
def opened(
    options: CommandOptions, *, fallback_target: str | None = None, export: Path | None = None
) -> Iterator[Session]:
    """Opens the session of one command, and closes it at the end. With `export`, its ledger is this file, and the
    target's ledger is not opened.

    Raises the errors of `choose_target`, `GuardError`, and `LedgerError` for an unknown ledger address.
    """
    chosen = choose_target(options, fallback_target)
    clock = SystemClock()
    with ExitStack() as stack:
        ledger = _ledger(chosen, options, clock) if export is None else _exported_ledger(chosen, export, clock)
        stack.callback(ledger.close)
        aws = stack.enter_context(closing(AwsConnections(chosen.root, chosen.place, chosen.target, clock)))
        masked = export is not None
        yield Session(**vars(chosen), options=options, ledger=ledger, aws=aws, clock=clock, masked=masked)


def _ledger(chosen: ChosenTarget, options: CommandOptions, clock: Clock) -> Log:
    address, emulated = chosen.ledger_address, chosen.target.is_emulator
    guard.check_ledger(address, emulated=emulated, durable=options.local_ledger, environ=chosen.environ)
    if not emulated and guard.is_relative(address):
        _warn_once(_relative_note(address, chosen.place.target))
    return open_ledger(address, chosen.root, chosen.place, __version__, clock, founds=emulated)


def _exported_ledger(chosen: ChosenTarget, file: Path, clock: Clock) -> Log:
    from reconciler.ledger.masked_export import read

    return read(file, chosen.place, clock, founds=chosen.target.is_emulator)


@cache
def _warn_once(note: str) -> None:
    """Warns once in each process, because a service opens its session again after an error."""
    logger.warning("%s", note)


def _relative_note(address: str, target: str) -> str:
    return (
        f"the ledger {address} of target {target} is relative to the project folder: another checkout would have its "
        "own ledger, and submit everything again. Write an absolute path, as in "
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
