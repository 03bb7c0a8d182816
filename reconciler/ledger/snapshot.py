"""Packs the recorded state as a snapshot, unpacks it, and decides when to store one."""

import json
import logging
import sys
import zlib
from hashlib import sha256
from typing import Any

import pydantic_core

from reconciler.core.identity import Place
from reconciler.core.ports import Clock, Snapshots, Store
from reconciler.core.state import Recorded
from reconciler.errors import LedgerError
from reconciler.ledger.chained_batches import checksum
from reconciler.ledger.snapshot_codec import fold_version, from_json, to_json
from reconciler.values import dataclass, uncollected

FORMAT = 1
"""The version of these bytes. Any other version is ignored."""

COMPRESSION = 1
"""zlib's fastest level. Most of the content is tokens and digests, which no level compresses well."""

MOST_BYTES = 1 << 30
"""The maximum size in bytes of a decompressed state, enough for about a million submissions. A larger state is neither
stored nor read.
"""

MOST_FOLD = 100
"""The largest accepted ratio of a state to its compressed form. Real ratios are 2 to 10."""


@dataclass(frozen=True, slots=True)
class Mark:
    """The position of the last batch when a snapshot was stored, and the batch's checksum `link`. Snapshots of every
    version contain a mark.
    """

    position: int
    link: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state up to `recorded.position`, whose batch has the checksum `link`."""

    recorded: Recorded
    link: str

    def fits(self, position: int, raw: bytes) -> bool:
        """Returns whether `raw`, stored at `position`, is the batch that the snapshot ends with."""
        return position == self.recorded.position and checksum(raw) == self.link


def pack(recorded: Recorded, link: str) -> bytes | None:
    """Returns the bytes of a snapshot. Returns `None` if the state contains data that is not in the log, or is too
    large."""
    if recorded.overlaid:
        return None
    with uncollected():
        body = json.dumps(to_json(recorded), separators=(",", ":"), allow_nan=False).encode("ascii")
    header = {"format": FORMAT, "fold": fold_version(), "position": recorded.position, "batch": link}
    compressed = zlib.compress(body, COMPRESSION)
    # No reader would unpack it.
    if len(body) > _bound(compressed):
        return None
    rest = json.dumps(header).encode("ascii") + b"\n" + compressed
    return sha256(rest).hexdigest().encode("ascii") + b"\n" + rest


def unpack(content: bytes, *, lazy: bool = False) -> tuple[Mark | None, Snapshot | None]:
    """Returns the mark and the snapshot in `content`. Both are `None` if the content is damaged; the snapshot is also
    `None` if another version wrote it. `lazy` is as in `from_json`.
    """
    stated, _, rest = content.partition(b"\n")
    if stated != sha256(rest).hexdigest().encode("ascii"):
        return None, None
    mark = None
    try:
        head, _, body = rest.partition(b"\n")
        header = json.loads(head)
        if header["format"] != FORMAT or type(header["position"]) is not int or not isinstance(header["batch"], str):
            return None, None
        mark = Mark(header["position"], header["batch"])
        if header["fold"] != fold_version():
            return mark, None
        with uncollected():
            recorded = from_json(_parsed(_decompressed(body)), lazy=lazy)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, zlib.error):
        return mark, None  # invalid content with a correct checksum was forged
    return mark, Snapshot(recorded, mark.link) if recorded.position == mark.position else None


def _parsed(content: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Returns the JSON value of a state. Pydantic's parser takes half as long as Python's, but refuses a part of a
    surrogate pair, which the text of an error may contain. Raises `ValueError`."""
    try:
        return pydantic_core.from_json(content, cache_strings="keys")
    except ValueError:
        return json.loads(content)


def _bound(compressed: bytes) -> int:
    return min(MOST_BYTES, MOST_FOLD * len(compressed))


def _decompressed(compressed: bytes) -> bytes:
    """Returns the decompressed content, up to the size that a state may have. Raises `ValueError` and `zlib.error`."""
    decompressor = zlib.decompressobj()
    content = decompressor.decompress(compressed, _bound(compressed))
    if not decompressor.eof:
        raise ValueError("it is truncated, or larger than the limit")
    return content


# --- when a snapshot is kept ------------------------------------------------------------------------------------------

EVERY = 256
"""The number of positions between two snapshots while a log is written. A reader therefore reads at most this many
batches after a snapshot.
"""

AT_THE_END = 16
"""The minimum number of positions since the newest snapshot for a writer to store another snapshot when it closes the
log.
"""

SHARE = 10
"""The minimum ratio of a writer's total time to the time that it spends on snapshots. Snapshots therefore take at most
a tenth of the time, and snapshots of a large state are less frequent.
"""

logger = logging.getLogger(__name__)


class Cache:
    """The snapshots of one ledger, for one log. Not thread-safe, except `keep`."""

    def __init__(self, store: Store, place: Place, clock: Clock) -> None:
        self._store = store if isinstance(store, Snapshots) else None
        self._address, self._place, self._clock = store.address, place, clock
        self._position = 0  # the position of the newest snapshot that this log has read or written
        self.mark: Mark | None = None  # proven by the newest snapshot
        self._not_before = clock.boot()

    def find(self) -> Snapshot | None:
        """Returns the newest snapshot if it is complete and belongs to this version and this place. The caller must
        check that it matches the batches.
        """
        if self._store is None:
            return None
        try:
            stored = self._store.newest_snapshot()
        except LedgerError as error:
            logger.debug("no snapshot: %s", error)
            return None
        self.mark, snapshot = (None, None) if stored is None else unpack(stored[1], lazy=True)
        # The snapshot of another ledger does not show that batches of this one were lost.
        if snapshot is not None and snapshot.recorded.place != self._place:
            self.mark = snapshot = None
        if snapshot is None:
            logger.debug("no usable snapshot of %s", self._address)
        return snapshot

    def used(self, position: int) -> None:
        """Records that the snapshot at `position` matches the batches."""
        self._position = position

    def due(self, recorded: Recorded, link: str | None, *, ends: bool = False) -> bytes | None:
        """Returns the snapshot to store now, or `None` if none is due. `ends` means that no further append follows."""
        since = recorded.position - self._position
        if self._store is None or link is None or since < (AT_THE_END if ends else EVERY):
            return None
        begun = self._clock.boot()
        if not ends and begun < self._not_before:
            return None
        content = pack(recorded, link)
        now = self._clock.boot()
        # A state that cannot be packed counts too, so that it is not packed again at every append.
        self._position, self._not_before = recorded.position, now + SHARE * (now - begun)
        return content

    def keep(self, position: int, content: bytes) -> None:
        """Stores a snapshot. A failure only makes the next reader slower."""
        if self._store is None:
            return
        sys.audit("reconciler.snapshotting", position)
        try:
            self._store.keep_snapshot(position, content)
        except LedgerError as error:
            logger.debug("the snapshot of position %d was not saved: %s", position, error)
        else:
            sys.audit("reconciler.snapshot-kept", position)
            logger.debug("saved a snapshot of position %d, %d bytes", position, len(content))
