"""The newest snapshot of a DynamoDB ledger, in two places that are written in turn.

The pieces go into the place of the older snapshot, its head item last: so the newer one stays whole until the next one
is. A head whose pieces are not its own, since two wrote at once or one died, is passed over.
"""

from __future__ import annotations

from itertools import chain

from reconciler.ledger.dynamodb_items import Item, head, item, joined, pieces
from reconciler.ledger.dynamodb_table import Table

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
