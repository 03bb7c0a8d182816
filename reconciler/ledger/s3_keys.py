"""Where the objects of one ledger are in its bucket.

Keys hold prefix, project and target, so that no two ledgers meet whatever the prefixes are, and end in the position,
padded with zeros, so that a listing is in order.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from reconciler.errors import LedgerError
from reconciler.identity.digest import Place

DIGITS = 20
LONGEST_KEY = 1024
"""Bytes of a key; docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html."""

DIRECTORY_BUCKET = "--x-s3"
"""How names of S3 Express buckets end; docs.aws.amazon.com/AmazonS3/latest/userguide/s3-express-differences.html."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Where things are in the bucket: `folder` is ``PREFIX/PROJECT/TARGET/``."""

    bucket: str
    folder: str

    @classmethod
    def of(cls, url: str, place: Place) -> Keys:
        """The keys of a ledger. Raises `LedgerError` for an address that is none."""
        bucket, _, prefix = url.removeprefix("s3://").partition("/")
        parts = prefix.rstrip("/").split("/") if prefix.rstrip("/") else []
        if not bucket or not {"", ".", ".."}.isdisjoint(parts):
            raise LedgerError(
                f"the ledger {url} is no address: write s3://BUCKET/PREFIX, without empty parts, . and .."
            )
        if bucket.endswith(DIRECTORY_BUCKET):
            raise LedgerError(f"the ledger {url} is in a directory bucket, whose listings have no order: use another")
        keys = cls(bucket, "/".join([*parts, place.project, place.target, ""]))
        if len(keys.at(1).encode()) > LONGEST_KEY:
            raise LedgerError(f"the ledger {url} has too long a prefix: S3's keys have at most {LONGEST_KEY} bytes")
        return keys

    @property
    def log(self) -> str:
        """What the keys of all batches begin with."""
        return f"{self.folder}log/"

    @property
    def snapshot(self) -> str:
        """The key of the newest snapshot."""
        return f"{self.folder}snapshot"

    def at(self, position: int) -> str:
        """The key of a batch."""
        return f"{self.log}{position:0{DIGITS}}"

    def position(self, key: str) -> int | None:
        """The position whose key this is, `None` for a foreign object."""
        match = re.fullmatch(rf"[0-9]{{{DIGITS}}}", key.removeprefix(self.log))
        return int(match.group()) if match else None
