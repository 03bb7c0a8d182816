"""What makes a campaign quick, and changes nothing that is decided: a test compares stories with it and without.

A batch that was decoded once is not decoded again (its events are frozen), settings of botocore's and tokens are made
once, and a copy of a submission is made field by field instead of by `copy.deepcopy`. What shipped code does side by
side in threads is always done one after the other: nothing may depend on which thread is first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from functools import lru_cache
from gc import collect, disable, enable, isenabled
from typing import Any
from unittest.mock import patch

from botocore.config import Config

from reconciler.ledger import batch, chain, log, rehearsal
from reconciler.observe import look
from reconciler.plan import submits, unknown_ledger
from reconciler.recorded.submission import Send, Submission
from reconciler.services import batch as batch_service
from reconciler.services import emr_serverless, session

KEPT = 20_000
"""Decoded batches that are kept at most."""


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
        patch.object(batch_service, "ThreadPoolExecutor", OneAfterTheOther),
        patch.object(emr_serverless, "ThreadPoolExecutor", OneAfterTheOther),
    ):
        yield


@contextmanager
def light() -> Iterator[None]:
    """Inside the block stories are quick. Reference counts free what they leave behind, so nothing is collected."""
    kept: dict[bytes, batch.Batch] = {}
    decode = batch.decode

    def decoded(raw: bytes, position: int, address: str) -> batch.Batch:
        found = kept.get(raw)
        if found is None:
            if len(kept) > KEPT:
                kept.clear()
            found = kept[raw] = decode(raw, position, address)
        return found

    collecting = isenabled()
    with ExitStack() as patched:
        patched.enter_context(patch.object(batch, "decode", decoded))
        patched.enter_context(patch.object(log, "decode", decoded))
        patched.enter_context(patch.object(chain, "decode", decoded))
        patched.enter_context(patch.object(rehearsal, "deepcopy", _copied))
        for module in (submits, unknown_ledger):
            patched.enter_context(patch.object(module, "client_token", lru_cache(5000)(module.client_token)))
        patched.enter_context(patch.object(session, "Config", _configs()))
        disable()
        try:
            yield
        finally:
            if collecting:
                enable()
                collect()


def _configs() -> Callable[..., Config]:
    """botocore's `Config`, made once for each set of settings."""
    made: dict[str, Config] = {}

    def config(**settings: Any) -> Config:
        key = repr(settings)
        if key not in made:
            made[key] = Config(**settings)
        return made[key]

    return config


def _copied(value: Any) -> Any:
    """A copy that shares with the original only what nobody changes."""
    if type(value) is not Submission:
        return deepcopy(value)
    copied = object.__new__(Submission)
    for name in _FIELDS:
        held = getattr(value, name)
        setattr(copied, name, list(held) if type(held) is list else held)
    copied.sends = [Send(send.number, send.at, send.not_after, send.outcome) for send in value.sends]
    return copied


_FIELDS = tuple(Submission.__slots__)
