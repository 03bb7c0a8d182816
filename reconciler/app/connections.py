"""The connections of a session to AWS or to the embedded emulator. Each connection is opened on first use."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from importlib import import_module
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, cast

from reconciler.core import safety_checks
from reconciler.core.identity import Place
from reconciler.ledger.sqlite_file import keep_private
from reconciler.model import STATE_FOLDER
from reconciler.model.kind import MODULES, Rate, kind_named
from reconciler.model.project import Target

if TYPE_CHECKING:
    from reconciler.aws.clients import Aws, OnCall
    from reconciler.aws.logs import Cursor
    from reconciler.core.desired import DesiredSpec
    from reconciler.core.ports import Clock, Inventory, Quota, Service
    from reconciler.core.run_logs import Logs, LogStream
    from reconciler.emulator import Emulator, Settings
    from reconciler.progress import Progress

logger = logging.getLogger(__name__)

CREDENTIALS = ("emulator", "emulator")
"""The access key id and the secret key for the emulator, which accepts any value."""

QUEUED_PART = 0.25
"""The fraction of an emulated run's duration for which the run is queued, so that even a short run passes through every
state."""

FRESH_SECONDS = 60.0
"""The number of seconds for which a reply from AWS with the account and the time remains valid for further sends (R9 of
docs/protocol.md)."""


class AwsConnections:
    """Connects to each service once, on first use. Thread-safe.

    No service is returned before the account is confirmed. Reads need this check as much as sends, because in another
    account every run would appear to be lost. `on_call` is called with every AWS call.
    """

    def __init__(self, root: Path, place: Place, target: Target, clock: Clock) -> None:
        self._root, self._place, self._target, self._clock = root, place, target, clock
        self._run_names: dict[str, str] = {}
        self.on_call: OnCall | None = None
        self._progress: Progress | None = None
        self._lock = RLock()
        self._services: dict[str, Service] = {}
        self._aws: Aws | None = None
        self._emulator: Emulator | None = None
        self._last_answer = (0.0, 0.0)  # wall clock and boot clock at AWS's last reply about the account and the time

    def name_runs(self, specs: Mapping[str, DesiredSpec]) -> None:
        """Sets the run name of each spec. The emulator's settings are per spec, but it receives only run names."""
        if self._target.is_emulator:
            names = {name: spec.request[kind_named(spec.kind).name_field] for name, spec in specs.items()}
            self._run_names.update(names)

    def service(self, kind: str) -> Service:
        """Returns the service of a kind. Raises `GuardError` if the credentials belong to another account, or if the
        service is AWS and the target's settling time is too short for it. Raises `ServiceError` if AWS returns no
        account."""
        with self._lock:
            if kind not in self._services:
                aws = self._connected()
                module = import_module(f"reconciler.aws.{kind_named(kind).service}")
                # Most targets are safe with any endpoint. Finding the endpoint may take two clients.
                if self._target.settling_problem(overridden=False):
                    safety_checks.check_settling(
                        self._target.settling_problem(overridden=aws.overridden(module.SERVICE))
                    )
                self._services[kind] = cast("Service", module.connect(aws))
            return self._services[kind]

    @cached_property
    def quota(self) -> Quota:
        """The default quotas of AWS, overridden by the target's `rates`. The emulator has only the quotas in
        `rates`."""
        from reconciler.aws.token_buckets import Buckets

        return Buckets(rates(self._target), self._clock)

    def inventory(self, kind: str) -> Inventory | None:
        """Returns the inventory of a kind, or `None` if its service has none. Raises the errors of `service`."""
        from reconciler.core.ports import Inventory

        service = self.service(kind)
        return service if isinstance(service, Inventory) else None

    def logs(self, kind: str) -> Logs | None:
        """Returns the log reader of a kind, or `None` if its service has none. Raises the errors of `service`."""
        from reconciler.core.run_logs import Logs

        service = self.service(kind)
        return service if isinstance(service, Logs) else None

    def log_cursor(self, stream: LogStream, newest: int | None) -> Cursor:
        """Opens a log, as `aws.logs.opened` does. Raises the errors of `check_account`, and `ServiceError`."""
        from reconciler.aws.logs import opened as opened_log

        self.check_account()
        with self._lock:
            return opened_log(self._connected(), stream, newest)

    def check_account(self) -> None:
        """Checks the account of the credentials with a new reply from AWS, unless the last one is recent enough. The
        reply also contains the time, for `check_clock`. Raises the errors of `service`."""
        with self._lock:
            aws = self._connected()
            if not self._target.is_emulator and self._is_old():
                self._identify(aws)

    @contextmanager
    def reading(self, what: str) -> Iterator[None]:
        """Calls `check_account`. Inside the block, logs the progress of the calls to AWS if they take long; `what`
        describes their purpose."""
        from reconciler.progress import Progress

        self.check_account()
        self._progress = Progress(what, self._clock)
        try:
            yield
        finally:
            self._progress = None

    def _called(self, operation: str, throttled: bool) -> None:
        progress = self._progress
        if progress is not None:
            progress.step(f"{operation} calls")
        if self.on_call is not None:
            self.on_call(operation, throttled)

    def check_clock(self, *, needed: bool = False) -> None:
        """Raises `ClockSkew` if AWS's clock, according to a recent reply, differs too much from this machine's. With
        `needed`, also raises `GuardError` if the reply has no time."""
        self.check_account()
        with self._lock:
            safety_checks.check_clock(self._connected().clock_ahead, needed=needed)

    def retarget(self, target: Target) -> None:
        """Uses other settings of the same target from now on. Closes the connections, which depend on them."""
        with self._lock:
            self.close()
            self._target = target
            # A cached property with the rates of the former target.
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

        aws = Aws(region=self._place.region, clock=self._clock, quota=self.quota, on_call=self._called)
        self._identify(aws)
        logger.info("account %s, region %s", self._place.account, self._place.region)
        return aws

    def _identify(self, aws: Aws) -> None:
        """Gets the account from AWS, in a reply that also contains the time. Raises `AccountMismatch`,
        `ServiceError`."""
        safety_checks.check_account(self._place.target, self._place.account, aws.account())
        self._last_answer = (self._clock.now(), self._clock.boot())

    def _is_old(self) -> bool:
        """Returns whether the last reply is too old by either clock. Both clocks are read, because a service runs for
        months and the wall clock may be changed."""
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
            on_call=self._called,
        )

    def _emulator_settings(self) -> Settings:
        """Returns the emulator's settings from the project file, with run names in place of spec names."""
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


def rates(target: Target, kinds: Collection[str] = tuple(MODULES)) -> dict[str, Rate]:
    """Returns the quotas by operation, of some kinds, because importing a kind takes long."""
    if target.is_emulator:
        return target.rates
    known = [kind_named(name) for name in MODULES if name in kinds]
    return {operation: rate for kind in known for operation, rate in kind.rates.items()} | target.rates
