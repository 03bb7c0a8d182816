"""Makes the boto3 clients of services and ledgers: endpoints, credentials, timeouts, retries and hooks."""

import os
import platform
from collections.abc import Callable, Mapping, MutableMapping
from email.utils import parsedate_to_datetime
from functools import cache
from threading import RLock
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.loaders import Loader, create_loader

from reconciler import __version__
from reconciler.aws.errors import THROTTLING, refuse_undecodable, service_error, translate_errors, unexpected_reply
from reconciler.aws.outcome import guard
from reconciler.core.ports import Clock, Quota
from reconciler.model.arns import Arns

TIMEOUTS = (3.0, 15.0)
"""Seconds to connect and to read."""

READ_ATTEMPTS = 5
POOL = 32
"""The number of connections that each client keeps open: more than an apply or a ledger uses at the same time."""

USER_AGENT = f"Boto3/{boto3.__version__} Botocore/{botocore.__version__} Python/{platform.python_version()}"
"""The user agent of every client. Without it, botocore would build one twice for each request, which takes a tenth of a
call's time."""

OnCall = Callable[[str, bool], None]
"""A callback that receives, after each call to AWS, the operation and whether the call was throttled."""

Client = Any
"""A boto3 client; boto3 generates their classes at run time."""


class Clients:
    """The boto3 clients for one region. Each client is created on first use and cached. Thread-safe.

    Without `endpoint_url` and `credentials`, boto3 resolves them itself, from environment variables and profiles.
    `credentials` are access key id, secret key and optionally a session token. `timeouts` are the connect and the read
    timeout in seconds.
    """

    def __init__(
        self,
        region: str,
        endpoint_url: str | None = None,
        credentials: tuple[str, ...] | None = None,
        *,
        profile: str | None = None,
        timeouts: tuple[float, float] = TIMEOUTS,
    ) -> None:
        self._region, self._endpoint_url, self._profile = region, endpoint_url, profile
        self._credentials, self._timeouts = credentials, timeouts
        self._lock = RLock()
        self._botocore: botocore.session.Session | None = None
        self._session: boto3.Session | None = None
        self._clients: dict[tuple[str, str], Client] = {}

    def reader(self, service: str) -> Client:
        """Returns a client for calls that can be repeated safely, with botocore's standard retries. Raises
        `ServiceError`."""
        return self._client("reader", service, retries={"total_max_attempts": READ_ATTEMPTS, "mode": "standard"})

    def follower(self, service: str) -> Client:
        """Returns a client like `reader`, which also reads S3 buckets in other regions. Raises `ServiceError`."""
        client = self._client("follower", service, retries={"total_max_attempts": READ_ATTEMPTS, "mode": "standard"})
        client.meta.events.unregister("before-parameter-build.s3", _stay_in_region)
        client.meta.events.register_last("before-parameter-build.s3", _redirect_once, unique_id="redirect-once")
        return client

    def writer(self, service: str) -> Client:
        """Returns a client that transmits each call once. Raises `ServiceError`.

        If a conditional write were transmitted twice, the reply would not show whether the first transmission
        succeeded. `total_max_attempts` overrides every setting of environment and profile.
        """
        return self._client("writer", service, retries={"total_max_attempts": 1, "mode": "standard"})

    def close(self) -> None:
        """Closes the connections of all clients; the next call opens them again."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()

    def _client(self, use: str, service: str, **settings: object) -> Client:
        with self._lock:
            client = self._clients.get((use, service))
            if client is None:
                client = self._make(service, self._config(settings))
                self._add_hooks(use, client)
                self._clients[use, service] = client
            return client

    def _add_hooks(self, use: str, client: Client) -> None:
        """Registers hooks that run on each call. Subclasses override this."""

    def _config(self, settings: dict[str, object]) -> Config:
        if self._endpoint_url is not None:
            settings["proxies"] = {}  # requests to the emulator on this machine must not pass through a proxy
        connect, read = self._timeouts
        return Config(
            connect_timeout=connect,
            read_timeout=read,
            max_pool_connections=POOL,
            user_agent=USER_AGENT,
            user_agent_extra=f"reconciler/{__version__}",
            **settings,
        )

    def _core(self) -> botocore.session.Session:
        if self._botocore is None:
            # The emulator has its own credentials, so an invalid profile of the user must not stop it.
            own = {"profile": (None, None, None, None)} if self._endpoint_url is not None else None
            core = botocore.session.Session(session_vars=own, profile=self._profile)
            core.register_component("data_loader", _loader(core.get_config_variable("data_path")))
            self._botocore = core
        return self._botocore

    def _make(self, service: str, config: Config) -> Client:
        try:
            if self._session is None:
                self._session = boto3.Session(botocore_session=self._core(), region_name=self._region)
            names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
            given = dict(zip(names, self._credentials or (), strict=False))
            client = self._session.client(service, endpoint_url=self._endpoint_url, config=config, **given)
        except (BotoCoreError, ValueError) as error:  # ValueError: the endpoint is not a URL
            raise service_error(f"connecting to {service}", error) from error
        refuse_undecodable(client)
        if service == "s3":
            client.meta.events.register_last("before-parameter-build.s3", _stay_in_region)
            client.meta.events.register_last("before-call.s3", _send_at_once)
        return client


class Aws(Clients):
    """The clients of the services that run jobs: `Clients` with the one-transmission guard, quotas and a clock.

    `endpoint_url` is for the embedded emulator only. `quota` delays reads and cancellations, `on_call` is called after
    every call. `clock_ahead`, set by `account`, is the number of seconds by which our clock is ahead of AWS's clock. It
    is `None` until then, and if the reply had no usable date. `arns` builds ARNs, with a wildcard account until
    `account` was called.
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
        timeouts: tuple[float, float] = TIMEOUTS,
    ) -> None:
        super().__init__(region, endpoint_url, credentials, profile=profile, timeouts=timeouts)
        self.clock = clock
        self.clock_ahead: float | None = None
        self.arns = Arns("*", region)
        self._quota, self._on_call = quota, on_call

    def submitter(self, service: str, *, validates: bool = False) -> Client:
        """Returns a client that transmits one request inside each `outcome.once` block and refuses every other
        transmission.

        With `validates`, botocore validates the request, which takes a third of a call's time. Raises `ServiceError`.
        """
        use = "validating submitter" if validates else "submitter"
        # `total_max_attempts` overrides every setting of environment and profile. The mode is fixed too, because
        # `adaptive` would wait between the check of the deadline and the transmission.
        retries = {"total_max_attempts": 1, "mode": "standard"}
        return self._client(use, service, retries=retries, parameter_validation=validates)

    def account(self) -> str:
        """Returns the account of the credentials, by STS GetCallerIdentity, and sets `clock_ahead`. Raises
        `ServiceError`."""
        with translate_errors("GetCallerIdentity"):
            answer = self.reader("sts").get_caller_identity()
            self.clock_ahead = _seconds_ahead(answer, self.clock.now())
            account = answer.get("Account")
            if not isinstance(account, str) or not account:
                raise unexpected_reply("GetCallerIdentity", "the reply names no account")
            self.arns = Arns(account, self._region)
            return account

    def elsewhere(self, region: str | None) -> Clients:
        """Returns clients for another region of the same account; these clients for their own region or `None`."""
        if region is None or region == self._region:
            return self
        return Clients(region, self._endpoint_url, self._credentials, profile=self._profile, timeouts=self._timeouts)

    @property
    def embedded(self) -> bool:
        """`True` if all calls go to the embedded emulator."""
        return self._endpoint_url is not None

    def overridden(self, service: str) -> bool:
        """Returns whether calls to `service` (boto3's name) do not go to AWS, because an argument, environment variable
        or profile sets another endpoint.

        AWS's interface VPC endpoints (`vpce-….amazonaws.com`) belong to AWS. Raises `ServiceError` for settings that
        boto3 cannot read.
        """
        if self._endpoint_url is not None:
            return True
        return self._endpoints_are_set() and not self._at_aws(service)

    def _add_hooks(self, use: str, client: Client) -> None:
        events, quota, on_call = client.meta.events, self._quota, self._on_call
        if use.endswith("submitter"):
            guard(client)  # no quota hook, because the executor takes that token before it records the intent
        elif use == "reader" and quota is not None:  # for every transmission, including botocore's own retries
            events.register("before-send", lambda event_name, **_: _wait(quota, event_name))
        if on_call is not None:
            events.register("response-received", lambda event_name, **reply: _report(on_call, event_name, reply))

    def _endpoints_are_set(self) -> bool:
        """Returns whether any endpoint is configured. Usually there is none, and then no client has to be created."""
        if any(name.startswith("AWS_ENDPOINT_URL") for name in os.environ):
            return True
        with self._lock:
            try:
                settings = self._core().get_scoped_config()
            except BotoCoreError as error:
                raise service_error("reading the AWS configuration", error) from error
        return "endpoint_url" in settings or "services" in settings

    def _at_aws(self, service: str) -> bool:
        given = _host(self.reader(service))
        own = _host(self._client("plain", service, ignore_configured_endpoint_urls=True))
        return given == own or given.endswith("." + own.split(".", 2)[-1])


@cache
def _loader(data_path: str | None) -> Loader:
    """Returns botocore's descriptions of the services. They are read once per process, because reading them takes
    longer than all calls of a pass."""
    return create_loader(data_path)


def _wait(quota: Quota, event_name: str) -> None:
    """Waits for the quota of an event such as ``before-send.batch.ListJobs``. Returns nothing, because botocore would
    use any other value as the reply to the request."""
    quota.acquire(event_name.rpartition(".")[2])


def _report(on_call: OnCall, event_name: str, reply: Mapping[str, Any]) -> None:
    """Reports the end of a transmission. The connection failed if there is no ``parsed_response``."""
    code = ((reply.get("parsed_response") or {}).get("Error") or {}).get("Code")
    on_call(event_name.rpartition(".")[2], code in THROTTLING)


def _seconds_ahead(answer: Mapping[str, Any], now: float) -> float | None:
    """Returns how many seconds `now` is ahead of a reply's ``Date`` header, whose resolution is one second."""
    date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    try:
        return now - parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None


def _host(client: Client) -> str:
    return urlsplit(client.meta.endpoint_url).hostname or ""


def _stay_in_region(context: MutableMapping[str, Any], **_: object) -> None:
    """Prevents S3 clients from repeating a request in the bucket's own region, which would be a second transmission.
    Sets the flag that botocore sets after it has redirected a request."""
    context.setdefault("s3_redirect", {})["redirected"] = True


def _redirect_once(model: Any, context: MutableMapping[str, Any], **_: object) -> None:  # noqa: ANN401 - botocore's
    """Prevents an endless redirection. If a reply does not name the region of a bucket, botocore calls HeadBucket, and
    would redirect that call in the same way."""
    if model.name == "HeadBucket":
        _stay_in_region(context)


def _send_at_once(params: MutableMapping[str, Any], **_: object) -> None:
    """Sends the body together with the headers, without waiting for the server. Batches are small, and a server that
    ignores ``Expect: 100-continue`` would delay each of them by a second."""
    params["headers"].pop("Expect", None)
