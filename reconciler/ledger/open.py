"""Opens the ledger at an address: `sqlite:///PATH`, `s3://BUCKET/PREFIX` or `dynamodb://TABLE`."""

from importlib import import_module
from pathlib import Path
from typing import cast

from reconciler.core.identity import Place
from reconciler.core.ports import Clock, Store
from reconciler.errors import LedgerError
from reconciler.ledger.log import Log

STORES = {
    "sqlite": "reconciler.ledger.sqlite",
    "s3": "reconciler.ledger.s3",
    "dynamodb": "reconciler.ledger.dynamodb",
}
"""The module for each scheme, with ``open_store(address, root, place) -> Store``. Imported on first use, because the
modules for AWS import boto3, and this import alone takes longer than a command that does not need it."""


def open_ledger(url: str, root: Path, place: Place, tool_version: str, clock: Clock, *, founds: bool = False) -> Log:
    """Returns the log at `url` for `place`, without reading or creating anything yet. If `founds` is true, the first
    append creates the ledger.

    ``sqlite:///PATH`` is relative to `root`, the project folder, and absolute with four slashes; ``s3://BUCKET/PREFIX``
    and ``dynamodb://TABLE`` are in the place's region. Raises `LedgerError` for an unknown address.
    """
    return Log(open_store(url, root, place), place, tool_version, clock, founds=founds)


def open_store(url: str, root: Path, place: Place) -> Store:
    """Returns the store at `url`, in the form that `open_ledger` accepts."""
    return cast("Store", import_module(STORES[scheme_of(url)]).open_store(url, root, place))


def scheme_of(url: str) -> str:
    """Returns the scheme of an address. Raises `LedgerError` for an unknown address."""
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in STORES:
        schemes = ", ".join(f"{name}://" for name in STORES)
        raise LedgerError(f"the ledger {url} has no known scheme: it is one of {schemes}")
    return scheme
