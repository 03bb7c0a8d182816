"""A ledger in DynamoDB: one item for each position, which is put only if there is none (``attribute_not_exists``).

The partition key holds project and target, the sort key is the position. A batch that is too large for one item is cut
into parts, which are written first, each batch's in a partition of its own; the conditional head item then decides.
Parts whose head lost mean nothing and harm nobody.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import chain, islice
from pathlib import Path
from typing import Any
from uuid import uuid4

from botocore.exceptions import ClientError

from reconciler.aws.clients import LedgerClients
from reconciler.aws.errors import Site, from_aws, ledger_code_of, no_answer, translated
from reconciler.core.identity import Place
from reconciler.errors import LedgerCorrupt, LedgerMissing, LedgerStoreInvalid, LedgerStoreMissing

PAGES = (8, 100, 1000)
"""Items asked for at once: who wants one batch does not wait for a thousand."""

Batch = tuple[int, bytes]


def open_store(url: str, _root: Path, place: Place) -> DynamoStore:
    """The store at ``dynamodb://TABLE`` for a project and target. Asks nothing yet."""
    return DynamoStore(url, place)


class DynamoStore:
    """`ports.Store` and `ports.Snapshots` in a table. Safe for threads and processes, anywhere.

    `pages` is how many items are asked for at once, `timeouts` are seconds to connect and to read.
    """

    def __init__(
        self,
        url: str,
        place: Place,
        *,
        pages: tuple[int, ...] = PAGES,
        timeouts: tuple[float, float] | None = None,
    ) -> None:
        self.table = Table(url, place, timeouts)
        self.ledger = f"{place.project}/{place.target}"  # names hold no slash: no two ledgers share a partition
        self._pages = pages

    @property
    def address(self) -> str:
        """As it is written in the project file."""
        return self.table.site.address

    def append(self, position: int, batch: bytes) -> bytes:
        """Puts `batch` at `position` if nothing is there; returns what is there. Errors as `ports.Store` says."""
        entry = self._entry(position, batch)
        held = self.table.put_if_none(entry)
        sys.audit("reconciler.stored", position)
        return batch if held is entry else self._content(held)

    def read(self, after: int) -> Iterator[Batch]:
        """The batches after a position, in order. Creates nothing."""
        pages = self.table.query(self.ledger, after, self._pages)
        first = next(pages)
        if not first and not (after and self._exists()):
            raise LedgerMissing(f"there is no ledger at {self.address}")
        return ((position_of(found), self._content(found)) for page in chain([first], pages) for found in page)

    def get(self, position: int) -> bytes | None:
        """The batch at one position, `None` where nothing is there."""
        found = self.table.get(self.ledger, position)
        if found is None and not self._exists():
            raise LedgerMissing(f"there is no ledger at {self.address}")
        return None if found is None else self._content(found)

    def newest_snapshot(self) -> Batch | None:
        """As `ports.Snapshots`."""
        return find_snapshot(self.table, self.ledger)

    def keep_snapshot(self, position: int, content: bytes) -> None:
        """As `ports.Snapshots`."""
        put_snapshot(self.table, self.ledger, position, content)

    def close(self) -> None:
        """Closes the connections; the next call opens them again."""
        self.table.close()

    def _entry(self, position: int, batch: bytes) -> Item:
        """The item that decides; for a batch that it cannot hold, after its parts."""
        cut = pieces(batch)
        if len(cut) == 1:
            return item(self.ledger, position, batch)
        apart = f"{self.ledger}#part/{position}/{uuid4().hex}"
        for number, piece in enumerate(cut, 1):
            self.table.put(item(apart, number, piece))
        return head(self.ledger, position, apart, batch)

    def _exists(self) -> bool:
        return bool(next(self.table.query(self.ledger, 0, (1,))))

    def _content(self, found: Item) -> bytes:
        """The bytes that an item holds, or that its parts hold."""
        apart = parts_of(found)
        if apart is None:
            held = found.get(CONTENT, {}).get("B")
            content = held if isinstance(held, bytes) else None
        else:
            content = joined(found, chain.from_iterable(self.table.query(apart, 0, self._pages[-1:])))
        if content is None:
            raise LedgerCorrupt(
                f"the ledger {self.address} is damaged at position {position_of(found)}: it does not hold a batch, or "
                "parts of it are missing"
            )
        return content


PARTITION, POSITION = "ledger", "position"
"""The table's keys: a String and a Number."""
CONTENT = "batch"

PIECE_BYTES = 350 * 1024
"""What one item holds of a batch: with its names and keys well under DynamoDB's limit of 400 KB an item."""

Item = Mapping[str, Mapping[str, Any]]


def key(partition: str, position: int) -> dict[str, Mapping[str, Any]]:
    """The keys of an item."""
    return {PARTITION: {"S": partition}, POSITION: {"N": str(position)}}


def item(partition: str, position: int, content: bytes) -> Item:
    """An item that holds bytes."""
    return {**key(partition, position), CONTENT: {"B": content}}


def head(partition: str, position: int, apart: str, content: bytes) -> Item:
    """The item that stands for bytes which are in parts, in the partition `apart`."""
    return {
        **key(partition, position),
        "parts": {"S": apart},
        "count": {"N": str(len(pieces(content)))},
        "sha256": {"S": sha256(content).hexdigest()},
    }


def pieces(content: bytes) -> list[bytes]:
    """The bytes cut so that each piece fits into an item; at least one piece."""
    return [content[start : start + PIECE_BYTES] for start in range(0, max(len(content), 1), PIECE_BYTES)]


def parts_of(found: Item) -> str | None:
    """The partition that holds the parts of this item's bytes, `None` where it holds them itself."""
    apart = found.get("parts", {}).get("S")
    return apart if isinstance(apart, str) else None


def joined(found: Item, parts: Iterable[Item]) -> bytes | None:
    """The bytes of a head from its parts in order, `None` where these are not all that was written."""
    its_own = islice(parts, int(found.get("count", {}).get("N", 0)))
    content = b"".join(part.get(CONTENT, {}).get("B", b"") for part in its_own)
    return content if found.get("sha256", {}).get("S") == sha256(content).hexdigest() else None


def position_of(found: Item) -> int:
    """The sort key."""
    return int(found[POSITION]["N"])


PLACES = (0, 1)
HEAD = 0
"""The sort key of the head; the pieces follow it."""
PAGE = (1000,)


def find_snapshot(table: Table, ledger: str) -> tuple[int, bytes] | None:
    """The newest snapshot that is whole, as (position, content). Raises `LedgerError`."""
    heads = _heads(table, ledger)
    for number in sorted(PLACES, key=lambda number: _position(heads[number]), reverse=True):
        found = heads[number]
        if found is not None:
            parts = chain.from_iterable(table.query(_partition(ledger, number), HEAD, PAGE))
            content = joined(found, parts)
            if content is not None:
                return _position(found), content
    return None


def put_snapshot(table: Table, ledger: str, position: int, content: bytes) -> None:
    """Keeps a snapshot in place of the older of two; nothing where a newer one is there. Raises `LedgerError`."""
    positions = [_position(found) for found in _heads(table, ledger)]
    if max(positions) > position:
        return
    number = positions.index(position if position in positions else min(positions))
    partition = _partition(ledger, number)
    for place, piece in enumerate(pieces(content), HEAD + 1):
        table.put(item(partition, place, piece))
    table.put({**head(partition, HEAD, partition, content), "at": {"N": str(position)}})


def _heads(table: Table, ledger: str) -> list[Item | None]:
    return [table.get(_partition(ledger, number), HEAD) for number in PLACES]


def _position(found: Item | None) -> int:
    return 0 if found is None else int(found.get("at", {}).get("N", 0))


def _partition(ledger: str, number: int) -> str:
    return f"{ledger}#snapshot/{number}"


NAMES = {"#partition": PARTITION, "#position": POSITION}
SAYING = {"ReturnConsumedCapacity": "TOTAL"}
"""Makes the answer to a write, which is empty otherwise, say something."""

SENTENCES = {
    "ResourceNotFoundException": (
        LedgerStoreMissing,
        "there is no table {name} in {region}, or it is not ready yet. Correct the ledger of target {target}, or "
        "make the table: reconciler ledger init -t {target}",
    ),
    "ValidationException": (
        LedgerStoreInvalid,
        f"the table {{name}} cannot hold a ledger: its partition key must be {PARTITION} (String) and its sort key "
        f"{POSITION} (Number). Use another name, and make the table: reconciler ledger init -t {{target}}",
    ),
}


class Table:
    """One table. Safe for threads. `timeouts` are seconds to connect and to read. Every method raises `LedgerError`."""

    def __init__(self, url: str, place: Place, timeouts: tuple[float, float] | None = None) -> None:
        self.name = url.removeprefix("dynamodb://")
        self.site = Site(url, self.name, place.region, place.target, SENTENCES)
        self.clients = LedgerClients("dynamodb", place.region, *([timeouts] if timeouts else []))

    def put(self, entry: Item) -> None:
        """Puts an item, whatever is there."""
        with translated(self.site, "dynamodb:PutItem", writing=True):
            answer = self.clients.writing.put_item(TableName=self.name, Item=entry, **SAYING)
            if not _says_something(answer):
                raise no_answer(self.site, "its reply says nothing")

    def put_if_none(self, entry: Item) -> Item:
        """Puts an item if there is none with its keys; returns what is there afterwards."""
        held: Any = None
        with translated(self.site, "dynamodb:PutItem", writing=True):
            try:
                answer = self.clients.writing.put_item(
                    TableName=self.name,
                    Item=entry,
                    ConditionExpression="attribute_not_exists(#position)",
                    ExpressionAttributeNames={"#position": POSITION},
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                    **SAYING,
                )
            except ClientError as error:
                if ledger_code_of(error) != "ConditionalCheckFailedException":
                    raise
                held = error.response.get("Item")
            else:
                if _says_something(answer):
                    return entry
        held = held or self.get(entry[PARTITION]["S"], int(entry[POSITION]["N"]))
        if held is None:
            raise no_answer(self.site, "it did not take a write, and nothing is there")
        return dict(held)

    def get(self, partition: str, position: int) -> Item | None:
        """The item at these keys, `None` where there is none. Whether a ledger has begun only `query` can tell: this
        answer is empty where an item is absent, and an empty answer may be anybody's."""
        with translated(self.site, "dynamodb:GetItem"):
            answer = self.clients.reading.get_item(
                TableName=self.name, Key=key(partition, position), ConsistentRead=True
            )
            found: Item | None = answer.get("Item")
            return found

    def query(self, partition: str, after: int, sizes: Sequence[int]) -> Iterator[list[Item]]:
        """The items of a partition after a position, in order, by pages of at most so many items, the last number from
        then on; at least one page, which may be empty. DynamoDB ends a page at 1 MB in any case.

        An answer without a list is an error: it would look like an empty ledger.
        """
        more: dict[str, Any] = {}
        limits = chain(sizes[:-1], iter(lambda: sizes[-1], 0))
        while True:
            with translated(self.site, "dynamodb:Query"):
                answer = self.clients.reading.query(
                    TableName=self.name,
                    KeyConditionExpression="#partition = :partition AND #position > :after",
                    ExpressionAttributeNames=NAMES,
                    ExpressionAttributeValues={":partition": {"S": partition}, ":after": {"N": str(after)}},
                    ConsistentRead=True,
                    Limit=next(limits),
                    **more,
                )
                if not isinstance(answer.get("Items"), list):
                    raise no_answer(self.site, "its reply holds no items")
                page: list[Item] = answer["Items"]
            yield page
            if not answer.get("LastEvaluatedKey"):
                return
            more = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def close(self) -> None:
        """Closes the connections; the next call opens them again."""
        self.clients.close()


def _says_something(answer: Mapping[str, Any]) -> bool:
    """Whether the answer to a write is DynamoDB's: an empty 200 may be anybody's."""
    return "ConsumedCapacity" in answer or from_aws(answer)
