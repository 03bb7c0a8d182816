"""boto3 clients for the stores that are in AWS: one that transmits a write once, one that may ask again for reads."""

from __future__ import annotations

from collections.abc import MutableMapping
from functools import cache
from threading import RLock
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.loaders import Loader, create_loader

from reconciler import __version__

CONNECT_SECONDS = 3.0
READ_SECONDS = 15.0
READ_ATTEMPTS = 5
POOL = 32
"""Connections kept for each client: more than a store uses at once."""

Client = Any
"""A boto3 client; boto3 makes their classes when it runs."""


class Clients:
    """The clients of one service in one region, made when they are first asked for. Safe for threads.

    Credentials and endpoints are boto3's own: its chain, its profiles, its environment variables
    (``AWS_ENDPOINT_URL_S3``, ``AWS_ENDPOINT_URL_DYNAMODB``, ``AWS_ENDPOINT_URL``). `timeouts` are seconds to connect
    and to read. Making a client raises botocore's errors, or `ValueError` for an endpoint that is not a URL.
    """

    def __init__(
        self, service: str, region: str, timeouts: tuple[float, float] = (CONNECT_SECONDS, READ_SECONDS)
    ) -> None:
        self._service, self._region, self._timeouts = service, region, timeouts
        self._lock = RLock()
        self._session: boto3.Session | None = None
        self._clients: dict[int, Client] = {}

    @property
    def reading(self) -> Client:
        """A client for calls that may safely be repeated: botocore's standard retries."""
        return self._client(READ_ATTEMPTS)

    @property
    def writing(self) -> Client:
        """A client whose calls are transmitted once: after a second transmission no answer would tell what the first
        one did. `total_max_attempts` wins over every setting of environment and profile."""
        return self._client(1)

    def close(self) -> None:
        """Closes the connections of both; they are made again when they are asked for."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()

    def _client(self, attempts: int) -> Client:
        with self._lock:
            if attempts not in self._clients:
                self._clients[attempts] = self._make(attempts)
            return self._clients[attempts]

    def _make(self, attempts: int) -> Client:
        if self._session is None:
            core = botocore.session.Session()
            core.register_component("data_loader", _models(core.get_config_variable("data_path")))
            self._session = boto3.Session(botocore_session=core, region_name=self._region)
        connect, read = self._timeouts
        config = Config(
            connect_timeout=connect,
            read_timeout=read,
            max_pool_connections=POOL,
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
