"""What a look at a bucket or a table finds before a ledger is kept there, and the policies that protect it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import Any

from reconciler.errors import LedgerMissing
from reconciler.ports import Store


class Grade(Enum):
    """How a finding is meant: fine, better otherwise, or a reason not to keep a ledger there."""

    OK = "OK"
    ADVICE = "ADVICE"
    WRONG = "NG"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, as a sentence."""

    grade: Grade
    text: str


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
        return Finding(Grade.OK, "it holds a ledger of this project and target, which can be read")
    return Finding(Grade.OK, "it holds no ledger of this project and target yet: the first write begins it")
