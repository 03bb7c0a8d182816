"""The items of a ledger's table: whole batches, heads of large ones and their parts, as the low-level API has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from itertools import islice
from typing import Any

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
