"""What `reconciler ledger init` does for a SQLite ledger: it says that there is nothing to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from reconciler.identity.digest import Place
from reconciler.ledger.finding import Finding, Grade, Policy, standing
from reconciler.ledger.sqlite import open_store


def prepare(url: str, root: Path, place: Place) -> Iterator[Finding | Policy]:
    """Creates nothing. Raises `LedgerError` for a file that is no ledger."""
    store = open_store(url, root, place)
    yield standing(store)
    yield Finding(Grade.OK, "a file needs no preparation; keep it on a local disk that stays")
