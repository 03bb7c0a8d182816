"""What makes a campaign quick, and changes nothing that is decided: a test compares stories with it and without.

A batch that was encoded or decoded once is not decoded again (its events are frozen). Settings of botocore's, tokens
and the secrets of a request are made once. Nobody asks whether the store keeps snapshots; a lost ledger is looked for
in fewer generations; what can be asked to stop has no lock. What shipped code does side by side in threads is always
done one after the other: nothing may depend on which thread is first.
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
"""Batches that are kept at most: more than one story has."""

GENERATIONS = 4
"""Generations that are looked for where a ledger holds nothing: enough for a story."""

GARBAGE = (50_000, 1, 1)
"""When what stories leave behind is collected: seldom, and without what was there before them."""


class OneAfterTheOther:
    """`ThreadPoolExecutor` without threads."""

    def __init__(self, _workers: int) -> None: ...

    def __enter__(self) -> OneAfterTheOther:
        return self

    def __exit__(self, *_: object) -> None: ...

    def map(self, call: Callable[..., Any], *items: Iterable[Any]) -> list[Any]:
        """As `Executor.map`."""
        return list(map(call, *items))

    def shutdown(self, *, cancel_futures: bool) -> None:
        """Nothing goes on."""


@contextmanager
def threadless() -> Iterator[None]:
    """Inside the block nothing shipped that a story uses starts a thread."""
    with (
        patch.object(look, "ThreadPoolExecutor", OneAfterTheOther),
        patch.object(adapter, "ThreadPoolExecutor", OneAfterTheOther),
    ):
        yield


@contextmanager
def light() -> Iterator[None]:
    """Inside the block stories are quick."""
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
    """`threading.Event`, as far as one thread needs it."""

    def __init__(self) -> None:
        self._on = False

    def is_set(self) -> bool:
        return self._on

    def set(self) -> None:
        self._on = True


class _NoStore:
    """`ports.Snapshots`, of which no store of a story is one: asking a protocol takes long."""


def _remembered(asked: Callable[[Any], tuple[str, ...]]) -> Callable[[Any], tuple[str, ...]]:
    """An answer about a request, asked for once."""
    known: dict[str, tuple[str, ...]] = {}

    def secrets(request: Any) -> tuple[str, ...]:
        key = repr(request)
        if key not in known:
            known[key] = asked(request)
        return known[key]

    return secrets


def _configs() -> Callable[..., Config]:
    """botocore's `Config`, made once for each set of settings."""
    made: dict[str, Config] = {}

    def config(**settings: Any) -> Config:
        key = repr(settings)
        if key not in made:
            made[key] = Config(**settings)
        return made[key]

    return config
