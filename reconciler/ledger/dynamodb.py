"""Stores a ledger in DynamoDB: one item per position, written only if the position is free (``attribute_not_exists``).

The partition key consists of project and target, the sort key is the position. A batch that is too large for one item
is split into parts, which are written first, to a separate partition. Then the conditional put of the head item decides
which writer wins the position. Parts without a head item are harmless, because they are never read.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import chain, islice
from pathlib import Path
from typing import Any
from uuid import uuid4

from reconciler.aws import errors as aws
from reconciler.aws.clients import TIMEOUTS, Client, Clients
from reconciler.core.identity import Place
from reconciler.errors import LedgerCorrupt, LedgerMissing, LedgerStoreInvalid, LedgerStoreMissing
from reconciler.ledger import MOST_BYTES

PAGES = (8, 100, 1000)
"""The number of items in each page of a query; the last number applies to all further pages. Small first pages make
reading a single batch fast.
"""


def open_store(url: str, _root: Path, place: Place) -> DynamoStore:
    """Returns the store at ``dynamodb://TABLE`` for a project and target. Makes no call yet."""
    return DynamoStore(url, place)


class DynamoStore:
    """`ports.Store` and `ports.Snapshots` in a table. Thread-safe and process-safe, across machines.

    `pages` has the form of `PAGES`. `timeouts` are the connect and the read timeout in seconds.
    """

    def __init__(
        self, url: str, place: Place, *, pages: tuple[int, ...] = PAGES, timeouts: tuple[float, float] = TIMEOUTS
    ) -> None:
        self.table = Table(url, place, timeouts)
        self.ledger = f"{place.project}/{place.target}"  # names have no slash, so no two ledgers share a partition
        self._pages = pages

    @property
    def address(self) -> str:
        """The address as in the project file."""
        return self.table.site.address

    def append(self, position: int, batch: bytes) -> bytes:
        """Writes `batch` at `position` if the position is free. Returns the batch that is stored at the position
        afterwards. Raises the errors of `ports.Store`.
        """
        entry = self._entry(position, batch)
        held = self.table.put_if_none(entry)
        sys.audit("reconciler.stored", position)
        return batch if held is entry else self._content(held)

    def read(self, after: int) -> Iterator[tuple[int, bytes]]:
        """Yields the batches after a position, in order. Creates nothing."""
        pages = self.table.query(self.ledger, after, self._pages)
        first = next(pages)
        # With `after`, an empty page may mean that nothing follows, so `_exists` must decide.
        if not first and not (after and self._exists()):
            raise LedgerMissing(f"there is no ledger at {self.address}")
        return ((position_of(entry), self._content(entry)) for page in chain([first], pages) for entry in page)

    def get(self, position: int) -> bytes | None:
        """Returns the batch at one position, or `None` if there is none."""
        entry = self.table.get(self.ledger, position)
        if entry is None and not self._exists():
            raise LedgerMissing(f"there is no ledger at {self.address}")
        return None if entry is None else self._content(entry)

    def newest_snapshot(self) -> tuple[int, bytes] | None:
        """Returns the newest complete snapshot of the two, as `ports.Snapshots` requires."""
        heads = self._snapshot_heads()
        for number in sorted(SLOTS, key=lambda number: _snapshot_position(heads[number]), reverse=True):
            entry = heads[number]
            if entry is not None:
                parts = self.table.query(self._slot(number), HEAD, self._pages[-1:])
                content = joined(entry, chain.from_iterable(parts))
                if content is not None:
                    return _snapshot_position(entry), content
        return None

    def keep_snapshot(self, position: int, content: bytes) -> None:
        """Overwrites the older of the two snapshots, so that at least one of them is always complete."""
        positions = [_snapshot_position(entry) for entry in self._snapshot_heads()]
        if max(positions) > position:
            return
        # A wrong snapshot of the same position must be replaced. Next to the new one, it could still be read.
        slot = self._slot(positions.index(position if position in positions else min(positions)))
        for number, piece in enumerate(pieces(content), HEAD + 1):
            self.table.put(item(slot, number, piece))
        self.table.put({**head(slot, HEAD, slot, content), "at": {"N": str(position)}})

    def close(self) -> None:
        """Closes the connections; the next call opens them again."""
        self.table.close()

    def _entry(self, position: int, batch: bytes) -> Item:
        """Returns the item for a batch, to be put conditionally. If the batch is too large for one item, writes its
        parts first.
        """
        cut = pieces(batch)
        if len(cut) == 1:
            return item(self.ledger, position, batch)
        # The random name keeps these parts apart from those of another writer, and of an attempt whose reply was lost.
        apart = f"{self.ledger}#part/{position}/{uuid4().hex}"
        for number, piece in enumerate(cut, 1):
            self.table.put(item(apart, number, piece))
        return head(self.ledger, position, apart, batch)

    def _exists(self) -> bool:
        return bool(next(self.table.query(self.ledger, 0, (1,))))

    def _content(self, entry: Item) -> bytes:
        """Returns the bytes of an item, or of its parts."""
        apart = entry.get("parts", {}).get("S")
        if isinstance(apart, str):
            content = joined(entry, chain.from_iterable(self.table.query(apart, 0, self._pages[-1:])))
        else:
            content = entry.get(CONTENT, {}).get("B")
        if not isinstance(content, bytes):
            raise LedgerCorrupt(
                f"the ledger {self.address} is damaged at position {position_of(entry)}: it does not contain a "
                "batch, or "
                "parts of it are missing"
            )
        return content

    def _snapshot_heads(self) -> list[Item | None]:
        return [self.table.get(self._slot(number), HEAD) for number in SLOTS]

    def _slot(self, number: int) -> str:
        return f"{self.ledger}#snapshot/{number}"


SLOTS = (0, 1)
"""The partitions of snapshots."""
HEAD = 0
"""The sort key of a snapshot's head; its pieces follow."""


def _snapshot_position(entry: Item | None) -> int:
    return 0 if entry is None else _number(entry, "at")


# --- items ------------------------------------------------------------------------------------------------------------

PARTITION, POSITION = "ledger", "position"
"""The table's keys: a String and a Number."""
CONTENT = "batch"

PIECE_BYTES = 350 * 1024
"""The maximum number of bytes of a batch in one item. Together with attribute names and keys, this is well below
DynamoDB's limit of 400 KB per item.
"""

Item = Mapping[str, Mapping[str, Any]]


def key(partition: str, position: int) -> dict[str, Mapping[str, Any]]:
    """Returns the keys of an item."""
    return {PARTITION: {"S": partition}, POSITION: {"N": str(position)}}


def item(partition: str, position: int, content: bytes) -> Item:
    """Returns an item that contains bytes."""
    return {**key(partition, position), CONTENT: {"B": content}}


def head(partition: str, position: int, apart: str, content: bytes) -> Item:
    """Returns the head item of content whose parts are stored in the partition `apart`."""
    return {
        **key(partition, position),
        "parts": {"S": apart},
        "count": {"N": str(len(pieces(content)))},
        "sha256": {"S": sha256(content).hexdigest()},
    }


def pieces(content: bytes) -> list[bytes]:
    """Splits the bytes into pieces that each fit into an item. Returns at least one piece."""
    return [content[start : start + PIECE_BYTES] for start in range(0, max(len(content), 1), PIECE_BYTES)]


def joined(entry: Item, parts: Iterable[Item]) -> bytes | None:
    """Joins the parts of a head item, given in order. Returns `None` if parts are missing or changed, or if they are
    larger than any content of a ledger.
    """
    count = _number(entry, "count")
    if count * PIECE_BYTES > MOST_BYTES + PIECE_BYTES:
        return None
    # A shorter snapshot leaves the last pieces of the longer one that it replaced, so only `count` pieces are read.
    content = b"".join(part.get(CONTENT, {}).get("B", b"") for part in islice(parts, count))
    return content if entry.get("sha256", {}).get("S") == sha256(content).hexdigest() else None


def _number(entry: Item, name: str) -> int:
    """Returns a whole number in an item, or 0 for any other value, which reconciler never writes."""
    text = entry.get(name, {}).get("N", "")
    return int(text) if re.fullmatch(r"[0-9]{1,20}", text) else 0


def position_of(entry: Item) -> int:
    """Returns the sort key of an item."""
    return int(entry[POSITION]["N"])


# --- the table --------------------------------------------------------------------------------------------------------

NAMES = {"#partition": PARTITION, "#position": POSITION}
CAPACITY = {"ReturnConsumedCapacity": "TOTAL"}
"""A parameter of writes. Without it, the response would be empty and would look the same as a proxy's response."""

SENTENCES = {
    "ResourceNotFoundException": (
        LedgerStoreMissing,
        "there is no table {name} in {region}, or it is not ready yet. Correct the ledger of target {target}, or "
        "create the table: reconciler ledger init -t {target}",
    ),
    "ValidationException": (
        LedgerStoreInvalid,
        f"the table {{name}} cannot hold a ledger: its partition key must be {PARTITION} (String) and its sort key "
        f"{POSITION} (Number). Use another name, and create the table: reconciler ledger init -t {{target}}",
    ),
}


class Table:
    """One table. Thread-safe. Every method raises `LedgerError`."""

    def __init__(self, url: str, place: Place, timeouts: tuple[float, float] = TIMEOUTS) -> None:
        self.name = url.removeprefix("dynamodb://")
        self.site = aws.LedgerSite(url, self.name, place.region, place.target, SENTENCES)
        self._clients = Clients(place.region, timeouts=timeouts)

    @property
    def reader(self) -> Client:
        """The boto3 client for calls that can be repeated."""
        return self._clients.reader("dynamodb")

    @property
    def writer(self) -> Client:
        """The boto3 client whose calls are transmitted once."""
        return self._clients.writer("dynamodb")

    def put(self, entry: Item) -> None:
        """Puts an item, and replaces an existing item with the same keys."""
        with aws.translate_ledger_errors(self.site, "dynamodb:PutItem", writing=True):
            answer = self.writer.put_item(TableName=self.name, Item=entry, **CAPACITY)
            if not _is_answer(answer):
                raise aws.no_answer(self.site, "its reply is empty")

    def put_if_none(self, entry: Item) -> Item:
        """Puts an item if no item has its keys. Returns the item that then has these keys: `entry` itself if this call
        wrote it.
        """
        held: Any = None
        with aws.translate_ledger_errors(self.site, "dynamodb:PutItem", writing=True):
            try:
                answer = self.writer.put_item(
                    TableName=self.name,
                    Item=entry,
                    ConditionExpression="attribute_not_exists(#position)",
                    ExpressionAttributeNames={"#position": POSITION},
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                    **CAPACITY,
                )
            except aws.ErrorAnswer as error:
                if aws.code_of(error) != "ConditionalCheckFailedException":
                    raise
                held = error.response.get("Item")
            else:
                if _is_answer(answer):
                    return entry
        # An empty reply, which may come from a proxy, does not show who won.
        held = held or self.get(entry[PARTITION]["S"], int(entry[POSITION]["N"]))
        if held is None:
            raise aws.no_answer(self.site, "it refused a write, although the position is empty")
        return dict(held)

    def get(self, partition: str, position: int) -> Item | None:
        """Returns the item with these keys, or `None` if there is none. Use `query` to check whether a ledger exists,
        because the response for a missing item is empty, and a proxy may send an empty response too.
        """
        with aws.translate_ledger_errors(self.site, "dynamodb:GetItem"):
            answer = self.reader.get_item(TableName=self.name, Key=key(partition, position), ConsistentRead=True)
            entry: Item | None = answer.get("Item")
            return entry

    def query(self, partition: str, after: int, sizes: Sequence[int]) -> Iterator[list[Item]]:
        """Yields the items of a partition after a position, in order, in pages of at most these sizes. The last size
        applies to all further pages. Yields at least one page, which may be empty. DynamoDB also ends every page at 1
        MB."""
        more: dict[str, Any] = {}
        limits = chain(sizes[:-1], iter(lambda: sizes[-1], 0))
        while True:
            with aws.translate_ledger_errors(self.site, "dynamodb:Query"):
                answer = self.reader.query(
                    TableName=self.name,
                    KeyConditionExpression="#partition = :partition AND #position > :after",
                    ExpressionAttributeNames=NAMES,
                    ExpressionAttributeValues={":partition": {"S": partition}, ":after": {"N": str(after)}},
                    ConsistentRead=True,
                    Limit=next(limits),
                    **more,
                )
                if not isinstance(answer.get("Items"), list):  # it would look like an empty ledger
                    raise aws.no_answer(self.site, "its reply holds no items")
                page: list[Item] = answer["Items"]
            yield page
            if not answer.get("LastEvaluatedKey"):
                return
            more = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def close(self) -> None:
        """Closes the connections; the next call opens them again."""
        self._clients.close()


def _is_answer(answer: Mapping[str, Any]) -> bool:
    """Returns whether the response to a write is from DynamoDB. An empty response with status 200 may be from a
    proxy."""
    return "ConsumedCapacity" in answer or aws.is_from_aws(answer)
