"""Tests that if many writers write to the same position, one of them wins and all of them read its batch afterwards.

The first tests check the local servers with plain boto3 calls. Other tests may use a server only if it passes these.
The remaining tests check the stores, including SQLite, with processes as writers.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Barrier

import pytest
from botocore.exceptions import ClientError

from reconciler.core.ports import Store
from reconciler.ledger.open import open_store
from tests.ledger.builders import PLACE
from tests.ledger.conftest import Opening
from tests.ledger.racing import writers
from tests.ledger.server import Server
from tests.waiting import PATIENCE_SECONDS

WRITERS = 8
PROCESSES = 4

Write = Callable[[str, bytes], bool]
"""Writes bytes under a key if the key is free. Returns whether this call wrote the bytes."""
Read = Callable[[str], bytes]


def _lost(error: ClientError, *codes: str) -> bool:
    """Returns `False` if the error means that another writer won, and raises any other error."""
    if error.response["Error"]["Code"] not in codes:
        raise error
    return False


def bare_s3(server: Server) -> tuple[Write, Read]:
    """Returns the two calls that the S3 store depends on."""
    client, bucket = server.s3, server.bucket()

    def write(key: str, content: bytes) -> bool:
        try:
            client.put_object(Bucket=bucket, Key=key, Body=content, IfNoneMatch="*")
        except ClientError as error:
            return _lost(error, "PreconditionFailed", "ConditionalRequestConflict")
        return True

    return write, lambda key: client.get_object(Bucket=bucket, Key=key)["Body"].read()


def bare_dynamodb(server: Server) -> tuple[Write, Read]:
    """Returns the two calls that the DynamoDB store depends on."""
    client, table = server.dynamodb, server.table()

    def keys(key: str) -> dict[str, dict[str, str]]:
        return {"ledger": {"S": "race"}, "position": {"N": key}}

    def write(key: str, content: bytes) -> bool:
        try:
            client.put_item(
                TableName=table,
                Item={**keys(key), "batch": {"B": content}},
                ConditionExpression="attribute_not_exists(ledger)",
            )
        except ClientError as error:
            return _lost(error, "ConditionalCheckFailedException")
        return True

    return write, lambda key: client.get_item(TableName=table, Key=keys(key), ConsistentRead=True)["Item"]["batch"]["B"]


def rounds_without_one_winner(write: Write, read: Read, rounds: int) -> list[int]:
    """Returns the rounds in which not exactly one of the concurrent writers won, or in which different bytes were
    read."""
    barrier = Barrier(WRITERS)

    def race(number: int, writer: int) -> bytes | None:
        content = f"writer {writer} in {number}".encode()
        barrier.wait(PATIENCE_SECONDS)
        return content if write(str(number), content) else None

    bad = []
    with ThreadPoolExecutor(WRITERS) as pool:
        for number in range(1, rounds + 1):
            won = [content for content in pool.map(partial(race, number), range(WRITERS)) if content is not None]
            if won != [read(str(number))]:
                bad.append(number)
    return bad


BARE = [bare_s3, bare_dynamodb]


@pytest.mark.campaign
@pytest.mark.parametrize("bare", BARE, ids=["s3", "dynamodb"])
def test_the_local_server_has_one_winner_in_each_round(bare: Callable[[Server], tuple[Write, Read]], server: Server):
    """In each of 20 rounds, exactly one of eight concurrent writers of a key wins, and its bytes are not
    overwritten."""
    assert rounds_without_one_winner(*bare(server), 20) == []


@pytest.mark.soak
@pytest.mark.parametrize("bare", BARE, ids=["s3", "dynamodb"])
def test_the_local_server_has_one_winner_in_10_000_rounds(bare: Callable[[Server], tuple[Write, Read]], server: Server):
    """Repeats the test above 10,000 times, because the campaigns of other tests depend on this property."""
    assert rounds_without_one_winner(*bare(server), 10_000) == []


def test_this_check_finds_a_server_that_lets_two_win():
    """A server that first reads and then writes soon has two winners, and this check detects it."""
    held: dict[str, bytes] = {}
    meeting = Barrier(WRITERS)

    def careless(key: str, content: bytes) -> bool:
        absent = key not in held
        meeting.wait(PATIENCE_SECONDS)  # every writer looks before the first one writes
        if absent:
            held[key] = content
        return absent

    assert rounds_without_one_winner(careless, held.__getitem__, 3) == [1, 2, 3]


def told(opened: Callable[[], Store], positions: int, writer: int) -> list[tuple[int, bytes]]:
    """Returns the batch that one process receives for each position, after trying to write its own."""
    store = opened()
    return [(at, store.append(at, f"writer {writer} at {at}".encode())) for at in range(1, positions + 1)]


@pytest.mark.soak
@pytest.mark.parametrize("scheme", ["sqlite", "s3", "dynamodb"])
def test_a_store_has_one_winner_at_10_000_positions(scheme: str, aws: Server, opening: Opening, tmp_path: Path):
    """Four processes compete for each of 10,000 positions. All of them, and a later reader, receive the same
    batches."""
    url = "sqlite:///ledger.sqlite" if scheme == "sqlite" else aws.address(scheme)
    opened = partial(open_store, url, tmp_path, PLACE)
    with writers(PROCESSES) as pool:
        heard = list(pool.map(partial(told, opened, 10_000), range(PROCESSES)))
    stored = list(opening(url).read(0))
    assert len(stored) == 10_000
    assert [stored] * PROCESSES == heard
