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
}
"""The module of each scheme, imported when it is first used; each exports ``open_store(address, root) -> Store``."""

PLANNED = ("s3", "dynamodb")


def open_ledger(url: str, root: Path, place: Place, tool_version: str, clock: Clock) -> Log:
    """The log at `url` for `place`, neither read nor created yet.

    ``sqlite:///PATH`` is relative to `root`, the project folder, and absolute with four slashes. Raises `LedgerError`
    for an address that names no store of this version.
    """
    return Log(open_store(url, root), place, tool_version, clock)


def open_store(url: str, root: Path) -> Store:
    """The store at `url`, as `open_ledger` takes it."""
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in STORES:
        raise LedgerError(_why_not(url, scheme if separator else ""))
    return cast("Store", import_module(STORES[scheme]).open_store(url, root))


def _why_not(url: str, scheme: str) -> str:
    known = ", ".join(f"{name}://" for name in STORES)
    if scheme in PLANNED:
        return f"the ledger {url}: {scheme}:// ledgers are not in this release yet, only {known} is"
    return f"the ledger {url} has no known scheme: this release knows {known}"
