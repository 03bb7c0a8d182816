"""A snapshot as bytes: what the batches up to a position add up to, with what it takes to doubt it.

The first line is a checksum over the rest, the second a JSON header, then comes the compressed form of the state. The
header names the format, the version of the fold, the position, and the checksum of the batch there: a snapshot of
another ledger, or of one that was rolled back, does not fit what is stored. A checksum is no signature: whoever can
write here could as well append to the ledger, and `ledger verify` tells what no reader can.
"""

from __future__ import annotations

import gc
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256

from reconciler.ledger.batch import checksum
from reconciler.recorded.form import fold_version, form_of, recorded_of
from reconciler.recorded.state import Recorded

FORMAT = 1
"""Version of these bytes; any other is passed over."""

COMPRESSION = 1
"""zlib's fastest level: what takes the room are tokens and digests, which no level makes smaller."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state up to `recorded.position`, whose batch has the checksum `link`."""

    recorded: Recorded
    link: str

    def fits(self, position: int, raw: bytes) -> bool:
        """Whether this is what is stored where the snapshot ends."""
        return position == self.recorded.position and checksum(raw) == self.link


def pack(recorded: Recorded, link: str) -> bytes | None:
    """The bytes of a snapshot; `None` where the version of the fold cannot be told, and for a state that holds more
    than the log does."""
    fold = fold_version()
    if fold is None or recorded.overlaid:
        return None
    with _uncollected():
        body = json.dumps(form_of(recorded), separators=(",", ":"), allow_nan=False).encode("ascii")
    header = {"format": FORMAT, "fold": fold, "position": recorded.position, "batch": link}
    rest = json.dumps(header).encode("ascii") + b"\n" + zlib.compress(body, COMPRESSION)
    return sha256(rest).hexdigest().encode("ascii") + b"\n" + rest


def unpack(content: bytes) -> Snapshot | None:
    """The snapshot that `content` holds; `None` where it is damaged or of another version."""
    stated, _, rest = content.partition(b"\n")
    fold = fold_version()
    if fold is None or stated != sha256(rest).hexdigest().encode("ascii"):
        return None
    try:
        head, _, body = rest.partition(b"\n")
        header = json.loads(head)
        if header["format"] != FORMAT or header["fold"] != fold or not isinstance(header["batch"], str):
            return None
        with _uncollected():
            recorded = recorded_of(json.loads(zlib.decompress(body)))
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, zlib.error):
        return None  # the checksum holds and the content does not: somebody made it
    return Snapshot(recorded, header["batch"]) if recorded.position == header["position"] else None


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the garbage collector, which would go through hundreds of thousands of new lists and find nothing."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
