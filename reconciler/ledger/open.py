"""From the address in a project file to a log: the registry of stores."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import cast

from reconciler.errors import LedgerError
from reconciler.identity.digest import Place
from reconciler.ledger.finding import Finding, Policy
from reconciler.ledger.log import Log
from reconciler.ports import Clock, Store

STORES = {
    "sqlite": "reconciler.ledger.sqlite",
    "s3": "reconciler.ledger.s3",
    "dynamodb": "reconciler.ledger.dynamodb",
}
"""The module of each scheme, which exports ``open_store(address, root, place) -> Store``; its neighbour with ``_setup``
at the end of the name exports ``prepare``. They are imported when they are first used: those in AWS import boto3, which
takes longer than a whole command without it."""


def open_ledger(url: str, root: Path, place: Place, tool_version: str, clock: Clock) -> Log:
    """The log at `url` for `place`, neither read nor created yet.

    ``sqlite:///PATH`` is relative to `root`, the project folder, and absolute with four slashes;
    ``s3://BUCKET/PREFIX`` and ``dynamodb://TABLE`` are in the place's region. Raises `LedgerError` for an address that
    names no store.
    """
    return Log(open_store(url, root, place), place, tool_version, clock)


def open_store(url: str, root: Path, place: Place) -> Store:
    """The store at `url`, as `open_ledger` takes it."""
    return cast("Store", import_module(_module(url)).open_store(url, root, place))


def prepare(url: str, root: Path, place: Place) -> Iterator[Finding | Policy]:
    """Makes the store at `url` ready for a ledger, or looks whether it is: what it found, as it finds it.

    Raises `LedgerError` where the store cannot be used at all.
    """
    return cast("Iterator[Finding | Policy]", import_module(f"{_module(url)}_setup").prepare(url, root, place))


def _module(url: str) -> str:
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in STORES:
        known = ", ".join(f"{name}://" for name in STORES)
        raise LedgerError(f"the ledger {url} has no known scheme: it is one of {known}")
    return STORES[scheme]
