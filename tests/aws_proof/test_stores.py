"""Tests S3 and DynamoDB as ledger stores: one winner at each position, and the replies on which error messages
depend."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest

from reconciler.core.identity import Place
from reconciler.errors import LedgerMissing, LedgerStoreMissing
from reconciler.ledger.open import open_store
from tests.aws_proof.account import PREFIX
from tests.aws_proof.conftest import Find
from tests.ledger.builders import PLACE
from tests.ledger.racing import race

pytestmark = pytest.mark.aws

WRITERS, POSITIONS = 8, 50
NEEDED = (PREFIX, f"{PREFIX}_REGION", f"{PREFIX}_LEDGERS")
ADDRESSES = os.environ.get(f"{PREFIX}_LEDGERS", "").split()
"""Ledger addresses to test, such as ``s3://BUCKET/PREFIX dynamodb://TABLE``. The tests leave a hundred objects or
items there."""


@pytest.fixture
def place() -> Place:
    """Returns a place with a unique project in the region under test."""
    if lacks := [name for name in NEEDED if not os.environ.get(name)]:
        pytest.skip(f"set {', '.join(lacks)}: docs/promise.md says to what")
    if boto3.Session().get_credentials() is None:
        pytest.skip("there are no AWS credentials")
    return replace(PLACE, project=f"proof-{uuid4().hex[:12]}", region=os.environ[f"{PREFIX}_REGION"])


@pytest.fixture(params=ADDRESSES or ["none"])
def stores(request: pytest.FixtureRequest, place: Place) -> Iterator[list[Any]]:
    """Yields handles to one new ledger."""
    with ExitStack() as stack:
        made = [open_store(request.param, Path(), place) for _ in range(WRITERS)]
        for store in made:
            stack.enter_context(closing(store))  # type: ignore[type-var] # these two have a `close`
        yield list(made)


def test_a_position_has_one_winner(stores: list[Any], find: Find):
    """Eight writers compete for fifty positions. All of them, and a later reader, receive the same batches."""
    with pytest.raises(LedgerMissing):
        stores[0].read(0)

    with ThreadPoolExecutor(WRITERS) as pool:
        told = list(pool.map(lambda writer: race(lambda: stores[writer], writer, POSITIONS), range(WRITERS)))
    stored = [batch for _, batch in stores[0].read(0)]
    find(
        f"{stores[0].address}: {len(stored)} positions, {len({batch.split()[1] for batch in stored})} writers won some"
    )

    assert len(stored) == POSITIONS
    assert [stored] * WRITERS == told


@pytest.mark.parametrize("scheme", ["s3", "dynamodb"])
def test_what_is_not_there_is_told_from_what_is_empty(scheme: str, place: Place, find: Find):
    """A missing bucket or table leads to its own error, for reads and for writes."""
    with closing(open_store(f"{scheme}://reconciler-proof-{uuid4().hex}", Path(), place)) as store:  # type: ignore[type-var]
        with pytest.raises(LedgerStoreMissing) as reading:
            store.read(0)
        with pytest.raises(LedgerStoreMissing):
            store.append(1, b"batch")
    find(str(reading.value))
