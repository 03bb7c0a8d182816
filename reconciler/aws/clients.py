"""The boto3 clients of services and ledgers: timeouts, retries and the clock."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from email.utils import parsedate_to_datetime
from functools import cache
from importlib import import_module
from threading import RLock
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.loaders import Loader, create_loader

from reconciler import __version__
from reconciler.aws.errors import THROTTLING, reading, service_error, unexpected
from reconciler.aws.transmission import guard
from reconciler.core.ports import Clock, Quota
from reconciler.model.kind import MODULES, kind_named

CONNECT_SECONDS = 3.0
READ_SECONDS = 15.0
READ_ATTEMPTS = 5
POOL = 32
"""Connections kept for each client: more than an apply uses at once."""

OnCall = Callable[[str, bool], None]
"""Told of each call to AWS: its operation, and whether it was throttled."""

Client = Any
"""A boto3 client; boto3 makes their classes when it runs."""


class Aws:
    """boto3 clients for one region, made when they are first asked for and kept. Safe for threads.

    `endpoint_url` is for the embedded emulator only; without it boto3's own resolution counts, with its environment
    variables and profiles. `credentials` are (access key id, secret key) or with a session token; without them boto3's
    chain. `quota` slows reads and cancellations down, `on_call` is told of every call. `timeouts` are seconds to
    connect and to read. `clock_ahead`, set by `account`, is how many seconds our clock is ahead of AWS's; `None` where
    that was not asked or not told.
    """

    def __init__(
        self,
        region: str,
        endpoint_url: str | None = None,
        credentials: tuple[str, ...] | None = None,
        *,
        profile: str | None = None,
        clock: Clock,
        quota: Quota | None = None,
        on_call: OnCall | None = None,
        timeouts: tuple[float, float] = (CONNECT_SECONDS, READ_SECONDS),
    ) -> None:
        self.clock = clock
        self.clock_ahead: float | None = None
        self._quota, self._on_call = quota, on_call
        self._region, self._endpoint_url, self._profile = region, endpoint_url, profile
        self._credentials, self._timeouts = credentials, timeouts
        self._lock = RLock()
        self._botocore: botocore.session.Session | None = None
        self._session: boto3.Session | None = None
        self._clients: dict[tuple[str, str], Client] = {}

    def asking(self, service: str) -> Client:
        """A client for reads and for calls that may safely be repeated: botocore's standard retries."""
        retries = {"total_max_attempts": READ_ATTEMPTS, "mode": "standard"}
        return self._client("asking", service, lambda: self._config(retries=retries), self._slow_down)

    def sending(self, service: str) -> Client:
        """A client whose calls are transmitted once, inside `transmission.once`, and otherwise refused.

        `total_max_attempts` wins over every setting of environment and profile. The mode is fixed too: `adaptive`
        would wait between the check of the deadline and the transmission.
        """
        retries = {"total_max_attempts": 1, "mode": "standard"}
        return self._client("sending", service, lambda: self._config(retries=retries), guard)

    def account(self) -> str:
        """The account that the credentials belong to, by STS GetCallerIdentity; sets `clock_ahead` on the way.

        Raises `ServiceError`.
        """
        with reading("GetCallerIdentity"):
            answer = self.asking("sts").get_caller_identity()
            self.clock_ahead = _ahead(answer, self.clock.now())
            account = answer.get("Account")
            if not isinstance(account, str) or not account:
                raise unexpected("GetCallerIdentity", "the reply names no account")
            return account

    def overridden(self) -> bool:
        """Whether runs go to something that is not AWS: an endpoint set by hand, in the environment or a profile.

        AWS's own interface endpoints (`vpce-….amazonaws.com`) are AWS. Raises `ServiceError` for settings that boto3
        cannot read.
        """
        if self._endpoint_url is not None:
            return True
        return self._endpoints_are_set() and any(not self._at_aws(service) for service in _job_services(MODULES))

    def close(self) -> None:
        """Closes the connections of all clients."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()

    def _slow_down(self, client: Client) -> None:
        """Makes every transmission of `client`, botocore's own retries too, wait for its quota."""
        quota = self._quota
        if quota is not None:
            client.meta.events.register("before-send", lambda event_name, **_: _wait(quota, event_name))

    def _count(self, client: Client) -> None:
        """Tells `on_call` of each answer, and of each transmission that has none."""
        if (tell := self._on_call) is not None:
            client.meta.events.register("response-received", lambda event_name, **said: _tell(tell, event_name, said))

    def _endpoints_are_set(self) -> bool:
        """Whether any endpoint is set at all: the usual answer is no, and needs no clients."""
        if any(name.startswith("AWS_ENDPOINT_URL") for name in os.environ):
            return True
        with self._lock:
            try:
                settings = self._core().get_scoped_config()
            except BotoCoreError as error:
                raise service_error("reading the AWS configuration", error) from error
        return "endpoint_url" in settings or "services" in settings

    def _at_aws(self, service: str) -> bool:
        given = _host(self.asking(service))
        plain = self._client("plain", service, lambda: self._config(ignore_configured_endpoint_urls=True))
        own = _host(plain)
        return given == own or given.endswith("." + own.split(".", 2)[-1])

    def _config(self, **settings: object) -> Config:
        connect, read = self._timeouts
        if self._endpoint_url is not None:
            settings["proxies"] = {}  # the emulator is on this machine: its requests never pass through a proxy
        return Config(
            connect_timeout=connect,
            read_timeout=read,
            max_pool_connections=POOL,
            user_agent_extra=f"reconciler/{__version__}",
            **settings,
        )

    def _client(
        self, use: str, service: str, config: Callable[[], Config], prepare: Callable[[Client], None] | None = None
    ) -> Client:
        with self._lock:
            client = self._clients.get((use, service))
            if client is None:
                client = self._make(service, config())
                if prepare is not None:
                    prepare(client)
                self._count(client)
                self._clients[use, service] = client
            return client

    def _core(self) -> botocore.session.Session:
        if self._botocore is None:
            # The emulator has its own credentials: no profile of the user's can be wrong for it.
            own = {"profile": (None, None, None, None)} if self._endpoint_url is not None else None
            self._botocore = botocore.session.Session(session_vars=own, profile=self._profile)
        return self._botocore

    def _make(self, service: str, config: Config) -> Client:
        try:
            if self._session is None:
                self._session = boto3.Session(botocore_session=self._core(), region_name=self._region)
            names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
            given = dict(zip(names, self._credentials or (), strict=False))
            return self._session.client(service, endpoint_url=self._endpoint_url, config=config, **given)
        except (BotoCoreError, ValueError) as error:  # ValueError: an endpoint that is not a URL
            raise service_error(f"connecting to {service}", error) from error


def _wait(quota: Quota, event_name: str) -> None:
    """Waits for the quota of the operation that an event such as ``before-send.batch.ListJobs`` is about."""
    quota.acquire(event_name.rpartition(".")[2])


def _tell(tell: OnCall, event_name: str, said: Mapping[str, Any]) -> None:
    """Tells of one transmission's end; botocore's answer has an error's code, a connection that failed has none."""
    code = ((said.get("parsed_response") or {}).get("Error") or {}).get("Code")
    tell(event_name.rpartition(".")[2], code in THROTTLING)


def _ahead(answer: Mapping[str, Any], now: float) -> float | None:
    """How many seconds `now` is ahead of a reply's ``Date`` header, whose seconds are whole."""
    date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    try:
        return now - parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None


def _job_services(kinds: Iterable[str]) -> list[str]:
    """boto3's names of the services that run jobs: each adapter says its own."""
    return [import_module(f"reconciler.aws.{kind_named(kind).service}").SERVICE for kind in kinds]


def _host(client: Client) -> str:
    return urlsplit(client.meta.endpoint_url).hostname or ""


LEDGER_CONNECT_SECONDS = 3.0
LEDGER_READ_SECONDS = 15.0
LEDGER_READ_ATTEMPTS = 5
LEDGER_POOL = 32
"""Connections kept for each client: more than a store uses at once."""

LedgerClient = Any
"""A boto3 client; boto3 makes their classes when it runs."""


class LedgerClients:
    """The clients of one service in one region, made when they are first asked for. Safe for threads.

    Credentials and endpoints are boto3's own: its chain, its profiles, its environment variables
    (``AWS_ENDPOINT_URL_S3``, ``AWS_ENDPOINT_URL_DYNAMODB``, ``AWS_ENDPOINT_URL``). `timeouts` are seconds to connect
    and to read. Making a client raises botocore's errors, or `ValueError` for an endpoint that is not a URL.
    """

    def __init__(
        self, service: str, region: str, timeouts: tuple[float, float] = (LEDGER_CONNECT_SECONDS, LEDGER_READ_SECONDS)
    ) -> None:
        self._service, self._region, self._timeouts = service, region, timeouts
        self._lock = RLock()
        self._session: boto3.Session | None = None
        self._clients: dict[int, LedgerClient] = {}

    @property
    def reading(self) -> LedgerClient:
        """A client for calls that may safely be repeated: botocore's standard retries."""
        return self._client(LEDGER_READ_ATTEMPTS)

    @property
    def writing(self) -> LedgerClient:
        """A client whose calls are transmitted once: after a second transmission no answer would tell what the first
        one did. `total_max_attempts` wins over every setting of environment and profile."""
        return self._client(1)

    def close(self) -> None:
        """Closes the connections of both; they are made again when they are asked for."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()

    def _client(self, attempts: int) -> LedgerClient:
        with self._lock:
            if attempts not in self._clients:
                self._clients[attempts] = self._make(attempts)
            return self._clients[attempts]

    def _make(self, attempts: int) -> LedgerClient:
        if self._session is None:
            core = botocore.session.Session()
            core.register_component("data_loader", _models(core.get_config_variable("data_path")))
            self._session = boto3.Session(botocore_session=core, region_name=self._region)
        connect, read = self._timeouts
        config = Config(
            connect_timeout=connect,
            read_timeout=read,
            max_pool_connections=LEDGER_POOL,
            retries={"total_max_attempts": attempts, "mode": "standard"},
            user_agent_extra=f"reconciler/{__version__}",
        )
        client = self._session.client(self._service, config=config)
        client.meta.events.register_last("before-parameter-build.s3", _stay)
        client.meta.events.register_last("before-call.s3", _send_at_once)
        return client


@cache
def _models(data_path: str | None) -> Loader:
    """botocore's descriptions of the services, read once in a process: they take longer than all calls of a pass."""
    return create_loader(data_path)


def _stay(context: MutableMapping[str, Any], **_: object) -> None:
    """S3 clients follow a bucket to its region by themselves, with a second transmission: not ours. This is the mark
    that botocore sets when it has done so."""
    context.setdefault("s3_redirect", {})["redirected"] = True


def _send_at_once(params: MutableMapping[str, Any], **_: object) -> None:
    """Without ``Expect: 100-continue`` a batch goes out with its request: it is too small to be worth a question, and
    who does not know the question costs a second."""
    params["headers"].pop("Expect", None)


def arn_partition(region: str) -> str:
    """The first part of ARNs in a region: ``aws``, ``aws-cn``, ``aws-us-gov``."""
    for start, partition in (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov")):
        if region.startswith(start):
            return partition
    return "aws"
