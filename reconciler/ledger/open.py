"""What a look at a bucket or a table finds before a ledger is kept there, and the policies that protect it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from reconciler.core.findings import Finding, ok
from reconciler.core.identity import Place
from reconciler.core.ports import Clock, Store
from reconciler.errors import LedgerError, LedgerMissing
from reconciler.ledger.log import Log


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy to add by hand: what it is for, and the document as AWS takes it."""

    title: str
    document: dict[str, Any]

    @property
    def text(self) -> str:
        """The document as JSON."""
        return json.dumps(self.document, indent=2)


def statements(*given: dict[str, Any]) -> dict[str, Any]:
    """A policy document."""
    return {"Version": "2012-10-17", "Statement": list(given)}


def standing(store: Store) -> Finding:
    """Whether a ledger has begun. Raises `LedgerError` where it cannot be read."""
    try:
        begun = any(True for _ in store.read(0))
    except LedgerMissing:
        begun = False
    if begun:
        return ok("it holds a ledger of this project and target, which can be read")
    return ok("it holds no ledger of this project and target yet: the first write begins it")


STORES = {
    "sqlite": ("reconciler.ledger.sqlite", "reconciler.ledger.sqlite"),
    "s3": ("reconciler.ledger.s3", "reconciler.ledger.s3_setup"),
    "dynamodb": ("reconciler.ledger.dynamodb", "reconciler.ledger.dynamodb_setup"),
}
"""For each scheme the module that exports ``open_store(address, root, place) -> Store`` and the one that exports
``prepare``. They are imported on first use: those in AWS import boto3, which takes longer than a whole command without
it."""


def open_ledger(url: str, root: Path, place: Place, tool_version: str, clock: Clock) -> Log:
    """The log at `url` for `place`, neither read nor created yet.

    ``sqlite:///PATH`` is relative to `root`, the project folder, and absolute with four slashes;
    ``s3://BUCKET/PREFIX`` and ``dynamodb://TABLE`` are in the place's region. Raises `LedgerError` for an address that
    names no store.
    """
    return Log(open_store(url, root, place), place, tool_version, clock)


def open_store(url: str, root: Path, place: Place) -> Store:
    """The store at `url`, as `open_ledger` takes it."""
    return cast("Store", import_module(_modules(url)[0]).open_store(url, root, place))


def prepare(url: str, root: Path, place: Place) -> Iterator[Finding | Policy]:
    """Makes the store at `url` ready for a ledger, or looks whether it is: what it found, as it finds it.

    Raises `LedgerError` where the store cannot be used at all.
    """
    return cast("Iterator[Finding | Policy]", import_module(_modules(url)[1]).prepare(url, root, place))


def _modules(url: str) -> tuple[str, str]:
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in STORES:
        known = ", ".join(f"{name}://" for name in STORES)
        raise LedgerError(f"the ledger {url} has no known scheme: it is one of {known}")
    return STORES[scheme]
