"""From the address in a project file to a log: the registry of stores."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import cast

from reconciler.errors import LedgerError
from reconciler.identity.digest import Place
from reconciler.ledger.log import Log
from reconciler.ports import Clock, Store

STORES = {
    "sqlite": "reconciler.ledger.sqlite",
    "s3": "reconciler.ledger.s3",
    "dynamodb": "reconciler.ledger.dynamodb",
}
"""The module of each scheme, which exports ``open_store(address, root, place) -> Store``. It is imported when it is
first used: those in AWS import boto3, which takes longer than a whole command without it."""


def open_ledger(url: str, root: Path, place: Place, tool_version: str, clock: Clock) -> Log:
    """The log at `url` for `place`, neither read nor created yet.

    ``sqlite:///PATH`` is relative to `root`, the project folder, and absolute with four slashes;
    ``s3://BUCKET/PREFIX`` and ``dynamodb://TABLE`` are in the place's region. Raises `LedgerError` for an address that
    names no store.
    """
    return Log(open_store(url, root, place), place, tool_version, clock)


def open_store(url: str, root: Path, place: Place) -> Store:
    """The store at `url`, as `open_ledger` takes it."""
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in STORES:
        known = ", ".join(f"{name}://" for name in STORES)
        raise LedgerError(f"the ledger {url} has no known scheme: it is one of {known}")
    return cast("Store", import_module(STORES[scheme]).open_store(url, root, place))
