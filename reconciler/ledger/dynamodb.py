"""A ledger in DynamoDB: one item for each position, which is put only if there is none (``attribute_not_exists``).

The partition key holds project and target, the sort key is the position. A batch that is too large for one item is cut
into parts, which are written first, each batch's in a partition of its own; the conditional head item then decides.
Parts whose head lost mean nothing and harm nobody.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from uuid import uuid4

from reconciler.errors import LedgerCorrupt, LedgerMissing
from reconciler.identity.digest import Place
from reconciler.ledger.dynamodb_items import CONTENT, Item, head, item, joined, parts_of, pieces, position_of
from reconciler.ledger.dynamodb_snapshot import find_snapshot, put_snapshot
from reconciler.ledger.dynamodb_table import Table

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
