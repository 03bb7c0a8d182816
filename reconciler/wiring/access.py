"""The way to the services that run jobs, AWS or the embedded emulator, reached only when something is asked."""

from __future__ import annotations

import logging
from functools import cached_property
from importlib import import_module
from threading import RLock
from typing import TYPE_CHECKING, cast

from reconciler import guard
from reconciler.model.kind import Rate
from reconciler.model.kinds import MODULES, kind_named

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from reconciler.emulator.server import Emulator
    from reconciler.identity.digest import Place
    from reconciler.model.project import Target
    from reconciler.ports import Clock, Inventory, Quota, Service
    from reconciler.services.session import Aws, OnCall

logger = logging.getLogger(__name__)


FRESH_SECONDS = 60.0
"""How long AWS's word about account and time is good for the next send."""


class Access:
    """Services by kind, each connected once, when it is first asked for. Safe for threads.

    No service is handed out before the account guard has passed: a look into another account would take every run
    for lost, so reading needs the guard as much as sending does. `on_call`, set before the first of them is connected,
    is told of every call.
    """

    def __init__(self, root: Path, place: Place, target: Target, clock: Clock) -> None:
        self._root, self._place, self._target, self._clock = root, place, target, clock
        self._run_names: dict[str, str] = {}
        self.on_call: OnCall | None = None
        self._lock = RLock()
        self._services: dict[str, Service] = {}
        self._aws: Aws | None = None
        self._emulator: Emulator | None = None
        self._heard = (0.0, 0.0)  # both clocks, when AWS said last whose credentials these are

    def name_runs(self, run_names: Mapping[str, str]) -> None:
        """What the specs call their runs, where not like themselves: the emulator's settings are by spec."""
        self._run_names.update(run_names)

    def service(self, kind: str) -> Service:
        """The service of a kind. Raises `GuardError` where the credentials are of another account, `ServiceError`
        where that cannot be learnt."""
        with self._lock:
            if kind not in self._services:
                aws = self._connected()
                module = import_module(f"reconciler.services.{kind_named(kind).service}")
                self._services[kind] = cast("Service", module.connect(aws))
            return self._services[kind]

    @cached_property
    def quota(self) -> Quota:
        """The quotas of this target: AWS's defaults with the target's own laid over; of the emulator only its own."""
        from reconciler.services.quota import Buckets

        return Buckets(rates(self._target), self._clock)

    def inventory(self, kind: str) -> Inventory:
        """What is in AWS of a kind. Raises as `service` does."""
        return cast("Inventory", self.service(kind))

    def check(self) -> None:
        """Connects, and so asks AWS whose credentials these are and what time it is; again where that was long ago.
        Raises as `service` does."""
        with self._lock:
            aws = self._connected()
            if not self._target.is_emulator and self._is_old():
                self._identify(aws)

    def check_clock(self) -> None:
        """Raises `ClockOff` where AWS's clock, as it was heard last, is too far from this machine's."""
        self.check()
        with self._lock:
            guard.check_clock(self._connected().clock_ahead)

    def close(self) -> None:
        """Stops the emulator, if it was started."""
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
            aws = self._embedded() if self._target.is_emulator else self._real()
            self._aws = aws
        return self._aws

    def _real(self) -> Aws:
        """AWS as boto3 finds it, endpoints of the environment included: never overridden here."""
        from reconciler.services.session import Aws

        aws = Aws(region=self._place.region, clock=self._clock, quota=self.quota, on_call=self.on_call)
        if self._target.settling_problem(overridden=False):  # where AWS really is takes clients of every service to say
            guard.check_settling(self._target.settling_problem(overridden=aws.overridden()))
        self._identify(aws)
        logger.info("account %s, region %s", self._place.account, self._place.region)
        return aws

    def _identify(self, aws: Aws) -> None:
        """Asks AWS whose credentials these are, and so what time it is. Raises `AccountMismatch`, `ServiceError`."""
        guard.check_account(self._place.target, self._place.account, aws.account())
        self._heard = (self._clock.now(), self._clock.boot())

    def _is_old(self) -> bool:
        """Whether what AWS said was long ago, by either clock: a service lives for months, and clocks are set."""
        wall, boot = self._heard
        return max(abs(self._clock.now() - wall), self._clock.boot() - boot) > FRESH_SECONDS

    def _embedded(self) -> Aws:
        from reconciler.services.session import Aws
        from reconciler.wiring.embedded import CREDENTIALS, started

        self._emulator = started(self._root, self._place, self._target, self._run_names)
        logger.info("emulator at %s", self._emulator.url)
        return Aws(
            region=self._place.region,
            endpoint_url=self._emulator.url,
            credentials=CREDENTIALS,
            clock=self._clock,
            quota=self.quota,
            on_call=self.on_call,
        )


def rates(target: Target) -> dict[str, Rate]:
    """The quota of each operation that has one."""
    given = {operation: Rate(rate.perSecond, rate.burst) for operation, rate in target.rates.items()}
    if target.is_emulator:
        return given
    return {operation: rate for name in MODULES for operation, rate in kind_named(name).rates.items()} | given
