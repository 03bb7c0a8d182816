"""Reuses boto3 clients for the next command of a test, because creating a client takes longer than all calls of a
command. Calls from the test's own process reach the emulator without a connection, because connections take most of the
time of a call."""

from __future__ import annotations

import io
import logging
import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.hooks import EventAliaser
from botocore.httpsession import URLLib3Session
from urllib3 import HTTPResponse
from werkzeug.datastructures import Headers

from reconciler.aws.clients import Client, Clients
from reconciler.emulator import Emulator
from reconciler.emulator.http import Call
from reconciler.errors import UsageError
from tests.cli.world import World, standin

REGISTER = ("register", "register_first", "register_last")


Pool = dict[object, list[Client]]
"""Closed clients. The key contains everything that a client depends on."""


def new_pool() -> Pool:
    """Returns an empty pool."""
    return defaultdict(list)


_POOL = new_pool()
_PORTS: list[int] = []
"""The port of the previous emulator, if the next one may reuse it."""


@contextmanager
def running_aws(run_seconds: float | None = None, **settings: Any) -> Iterator[Emulator]:
    """Runs a new emulator at the address of the previous test's emulator, so that the clients of that test can be
    reused.

    After a test that started processes, the address changes, because those may still send requests.
    """
    processes = World.processes
    aws = standin(run_seconds, port=_PORTS.pop() if _PORTS else 0, **settings)
    try:
        aws.start()
    except UsageError:  # another process uses the port now
        aws = standin(run_seconds, **settings).start()
    port = int(aws.url.rpartition(":")[2])
    with aws, kept_clients(_POOL), calls_without_connections(aws):
        yield aws
    if World.processes == processes:
        _PORTS.append(port)
    else:
        _POOL.clear()


@contextmanager
def calls_without_connections(aws: Emulator) -> Iterator[None]:
    """Passes the calls of this process to the emulator as its server would. If faults or logged connections are tested,
    real connections are used."""
    send, url, handle = URLLib3Session.send, aws.url, aws.handler()
    connections = logging.getLogger("urllib3.connectionpool")

    def pass_on(self: URLLib3Session, request: AWSPreparedRequest) -> AWSResponse:
        if not request.url.startswith(f"{url}/") or aws.faults()["rules"] or connections.isEnabledFor(logging.DEBUG):
            return send(self, request)
        path, _, query = request.url.removeprefix(url).partition("?")
        body = request.body or b""
        headers = Headers([(name, _text(value)) for name, value in request.headers.items()])
        arguments = parse_qs(query, keep_blank_values=True)
        reply = handle(
            Call(request.method, path, arguments, headers, body if isinstance(body, bytes) else body.encode())
        )
        raw = HTTPResponse(io.BytesIO(reply.body), reply.headers, reply.status, preload_content=False)
        return AWSResponse(request.url, reply.status, raw.headers, raw)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(URLLib3Session, "send", pass_on)
        yield


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


@contextmanager
def kept_clients(pool: Pool | None = None) -> Iterator[None]:
    """Passes a closed client to the next command that needs the same client, without the handlers that were added since
    its creation.

    Two clients are the same if their service, region, endpoint, credentials, settings and environment are the same. If
    there is an AWS configuration file, every client is new. `pool` contains the clients of earlier tests.
    """
    kept = new_pool() if pool is None else pool
    make = Clients._make

    def make_or_take(self: Clients, service: str, config: Config) -> Client:
        key = _key(self, service, config)
        if key is None:
            return make(self, service, config)
        if kept[key]:
            return kept[key].pop()
        client = make(self, service, config)
        remove_handlers, close = _recorded_handlers(client.meta.events), client.close

        connections = client._endpoint.http_session._manager.pools

        def keep() -> None:
            if len(connections):  # without connections, closing only takes time
                close()
            remove_handlers()
            kept[key].append(client)

        client.close = keep
        return client

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Clients, "_make", make_or_take)
        yield


def _key(clients: Clients, service: str, config: Config) -> object:
    """Returns everything that a client depends on, or `None` if it depends on a file."""
    if Path(os.environ.get("AWS_CONFIG_FILE", "~/.aws/config")).expanduser().exists():
        return None
    environment = {
        name: value for name, value in os.environ.items() if name.startswith("AWS_") or "proxy" in name.lower()
    }
    given = (clients._region, clients._endpoint_url, clients._credentials, clients._profile)
    return service, given, repr(sorted(config._user_provided_options.items())), repr(sorted(environment.items()))


def _recorded_handlers(events: EventAliaser) -> Callable[[], None]:
    """Records the handlers that are registered from now on. The returned function removes them."""
    added: list[tuple[str, Any, str | None]] = []

    def recording(register: Callable[..., None]) -> Callable[..., None]:
        def registered(event_name: str, handler: Any, unique_id: str | None = None) -> None:
            added.append((event_name, handler, unique_id))
            register(event_name, handler, unique_id)

        return registered

    for name in REGISTER:
        setattr(events, name, recording(getattr(events, name)))

    def remove() -> None:
        while added:
            events.unregister(*added.pop())

    return remove
