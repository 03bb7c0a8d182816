"""Makes campaigns faster without changing any decision. A test compares stories with and without these shortcuts.

A batch is encoded or decoded only once, because its events are immutable. botocore's settings, tokens, and the secrets
of a request are computed only once. The store is never asked for snapshots, the search for a lost ledger covers fewer
generations, and stop flags need no lock. Work that the shipped code does in parallel threads is done sequentially,
because the result must not depend on the order of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from gc import freeze, get_threshold, set_threshold, unfreeze
from typing import Any
from unittest.mock import patch

from botocore.config import Config

from reconciler.aws import adapter, outcome
from reconciler.aws import clients as session
from reconciler.aws import observe as look
from reconciler.core import previous_runs as one_off
from reconciler.core import submit_actions
from reconciler.ledger import chained_batches as batch
from reconciler.ledger import chained_batches as chain
from reconciler.ledger import log
from reconciler.ledger import snapshot as cache
from reconciler.redact.request import secrets_of
from tests.simulation import command

KEPT = 500
"""The maximum number of cached batches, which is more than a story contains."""

GENERATIONS = 4
"""The number of generations that are searched for if a ledger is empty, which is enough for a story."""

GARBAGE = (50_000, 1, 1)
"""The thresholds of the garbage collector, with which it runs rarely and skips objects that existed before the
stories."""


class OneAfterTheOther:
    """`ThreadPoolExecutor` without threads."""

    def __init__(self, _workers: int) -> None: ...

    def __enter__(self) -> OneAfterTheOther:
        return self

    def __exit__(self, *_: object) -> None: ...

    def map(self, call: Callable[..., Any], *items: Iterable[Any]) -> list[Any]:
        """Implements `Executor.map`."""
        return list(map(call, *items))

    def shutdown(self, *, cancel_futures: bool) -> None:
        """Does nothing, because no thread is running."""


@contextmanager
def threadless() -> Iterator[None]:
    """Inside the block, the shipped code in a story starts no threads."""
    with (
        patch.object(look, "ThreadPoolExecutor", OneAfterTheOther),
        patch.object(adapter, "ThreadPoolExecutor", OneAfterTheOther),
    ):
        yield


@contextmanager
def light() -> Iterator[None]:
    """Applies the shortcuts inside the block."""
    kept: dict[bytes, batch.Batch] = {}
    decode, encode = batch.decode, batch.encode

    def decoded(raw: bytes, position: int, address: str) -> batch.Batch:
        found = kept.get(raw)
        if found is None:
            found = kept[raw] = decode(raw, position, address)
        return found

    def encoded(one: batch.Batch) -> bytes:
        if len(kept) > KEPT:
            kept.clear()
        raw = encode(one)
        kept[raw] = one
        return raw

    threshold = get_threshold()
    with ExitStack() as patched:
        patched.enter_context(patch.object(batch, "decode", decoded))
        patched.enter_context(patch.object(log, "decode", decoded))
        patched.enter_context(patch.object(chain, "decode", decoded))
        patched.enter_context(patch.object(log, "encode", encoded))
        patched.enter_context(patch.object(cache, "Snapshots", _NoStore))
        patched.enter_context(patch.object(one_off, "GENERATIONS", GENERATIONS))
        patched.enter_context(patch.object(command, "Event", _Flag))
        patched.enter_context(patch.object(outcome, "secrets_of", _remembered(secrets_of)))
        for module in (submit_actions, one_off):
            patched.enter_context(patch.object(module, "client_token", lru_cache(5000)(module.client_token)))
        patched.enter_context(patch.object(session, "Config", _configs()))
        freeze()
        set_threshold(*GARBAGE)
        try:
            yield
        finally:
            set_threshold(*threshold)
            unfreeze()


class _Flag:
    """Implements the parts of `threading.Event` that a single thread needs."""

    def __init__(self) -> None:
        self._on = False

    def is_set(self) -> bool:
        return self._on

    def set(self) -> None:
        self._on = True


class _NoStore:
    """Replaces `ports.Snapshots`, which no store in a story implements, because checking for the protocol takes
    long."""


def _remembered(asked: Callable[[Any], tuple[str, ...]]) -> Callable[[Any], tuple[str, ...]]:
    """Caches the result of a function of a request."""
    known: dict[str, tuple[str, ...]] = {}

    def secrets(request: Any) -> tuple[str, ...]:
        key = repr(request)
        if key not in known:
            known[key] = asked(request)
        return known[key]

    return secrets


def _configs() -> Callable[..., Config]:
    """Caches botocore's `Config` for each set of settings."""
    made: dict[str, Config] = {}

    def config(**settings: Any) -> Config:
        key = repr(settings)
        if key not in made:
            made[key] = Config(**settings)
        return made[key]

    return config
