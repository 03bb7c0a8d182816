"""Stores a ledger in S3: one object per position, written only if the position is free (``If-None-Match: *``).

A key consists of the prefix, project, target and position. Two ledgers therefore never share keys, whatever their
prefixes are. Positions are padded with zeros, so that listings are in order.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from itertools import chain
from pathlib import Path
from typing import Any

from reconciler.aws import errors as aws
from reconciler.aws.clients import TIMEOUTS, Client, Clients
from reconciler.core.identity import Place
from reconciler.errors import LedgerCorrupt, LedgerError, LedgerMissing, LedgerStoreInvalid, LedgerStoreMissing
from reconciler.ledger import MOST_BYTES, too_large
from reconciler.values import dataclass

DIGITS = 20
LONGEST_KEY = 1024
"""The maximum number of bytes in a key; docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html."""

DIRECTORY_BUCKET = "--x-s3"
"""The suffix of names of S3 Express buckets;
docs.aws.amazon.com/AmazonS3/latest/userguide/s3-express-differences.html."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one ledger. `folder` is ``PREFIX/PROJECT/TARGET/``."""

    bucket: str
    folder: str

    @classmethod
    def of(cls, url: str, place: Place) -> Keys:
        """Returns the keys of the ledger at an address. Raises `LedgerError` for an invalid address."""
        bucket, _, prefix = url.removeprefix("s3://").partition("/")
        parts = prefix.rstrip("/").split("/") if prefix.rstrip("/") else []
        if not bucket or not {"", ".", ".."}.isdisjoint(parts):
            raise LedgerError(f"the ledger {url} is not valid: write s3://BUCKET/PREFIX, without empty parts, . and ..")
        if bucket.endswith(DIRECTORY_BUCKET):
            raise LedgerError(f"the ledger {url} is in a directory bucket, whose listings have no order: use another")
        keys = cls(bucket, "/".join([*parts, place.project, place.target, ""]))
        if len(keys.at(1).encode()) > LONGEST_KEY:
            raise LedgerError(f"the ledger {url} has too long a prefix: S3's keys have at most {LONGEST_KEY} bytes")
        return keys

    @property
    def log(self) -> str:
        """The prefix of the keys of all batches."""
        return f"{self.folder}log/"

    @property
    def snapshot(self) -> str:
        """The key of the newest snapshot."""
        return f"{self.folder}snapshot"

    def at(self, position: int) -> str:
        """Returns the key of a batch."""
        return f"{self.log}{position:0{DIGITS}}"

    def position(self, key: str) -> int | None:
        """Returns the position in a batch's key, or `None` for an object that is not a batch."""
        match = re.fullmatch(rf"[0-9]{{{DIGITS}}}", key.removeprefix(self.log))
        return int(match.group()) if match else None


PAGE = 1000
"""The maximum number of keys that S3 lists in one call."""
AHEAD = (1, 8, 64)
"""The number of objects fetched ahead of the reader in each step; the last number applies to all further steps. The
first steps are small, so that a single batch is read quickly.
"""
READERS = 16
"""The number of objects fetched in parallel."""
PIECE_BYTES = 1 << 20
"""The number of bytes of a body that each read returns."""
BODY_TRIES = 3
"""The number of attempts to read a body that ends early. The SDK retries only until the headers have arrived."""

_ANOTHER_REGION = (
    LedgerStoreInvalid,
    "the bucket {name} is in another region{found}, and target {target} is in {region}: its ledger must be there too.",
)
SENTENCES = {
    "NoSuchBucket": (
        LedgerStoreMissing,
        "there is no bucket {name}. Create it in {region}, or correct the ledger of target {target}; then run: "
        "reconciler ledger init -t {target}",
    ),
    "InvalidBucketName": (LedgerStoreMissing, "{name} is not a valid bucket name."),
    "PermanentRedirect": _ANOTHER_REGION,
    "TemporaryRedirect": _ANOTHER_REGION,
    "AuthorizationHeaderMalformed": _ANOTHER_REGION,
    "IllegalLocationConstraintException": _ANOTHER_REGION,
    "301": _ANOTHER_REGION,
    "307": _ANOTHER_REGION,
    "InvalidObjectState": (
        LedgerStoreInvalid,
        "objects of the ledger were moved to an archive. Restore them, and remove the lifecycle rule that moves them.",
    ),
}


def open_store(url: str, _root: Path, place: Place) -> S3Store:
    """Returns the store at ``s3://BUCKET/PREFIX`` for a project and target. Makes no call yet."""
    return S3Store(url, place)


class S3Store:
    """`ports.Store` and `ports.Snapshots` in a bucket. Thread-safe and process-safe, across machines.

    `page` is the number of keys per listing call. `timeouts` are the connect and the read timeout in seconds.
    """

    def __init__(self, url: str, place: Place, *, page: int = PAGE, timeouts: tuple[float, float] = TIMEOUTS) -> None:
        self.keys = Keys.of(url, place)
        self.site = aws.LedgerSite(url, self.keys.bucket, place.region, place.target, SENTENCES)
        self._clients = Clients(place.region, timeouts=timeouts)
        self._page = page

    @property
    def address(self) -> str:
        """The address as in the project file."""
        return self.site.address

    @property
    def reader(self) -> Client:
        """The boto3 client for calls that can be repeated."""
        return self._clients.reader("s3")

    @property
    def writer(self) -> Client:
        """The boto3 client whose calls are transmitted once."""
        return self._clients.writer("s3")

    def append(self, position: int, batch: bytes) -> bytes:
        """Writes `batch` at `position` if the position is free. Returns the batch that is stored at the position
        afterwards. Raises the errors of `ports.Store`.
        """
        key = self.keys.at(position)
        won = self.put_if_none(key, batch)
        sys.audit("reconciler.stored", position)
        if won:
            return batch
        held = self._object(key)
        if held is None:
            # The write that S3 reported to be in progress (409) may have failed since then.
            raise aws.no_answer(self.site, "it refused a write, although the position is empty")
        return held[0]

    def read(self, after: int) -> Iterator[tuple[int, bytes]]:
        """Yields the batches after a position, in order. Creates nothing."""
        pages = self._pages(after)
        first = next(pages)
        # With `after`, an empty page may mean that nothing follows, so `_exists` must decide.
        if not first and not (after and self._exists()):
            raise LedgerMissing(f"there is no ledger at {self.address}")
        return self._batches(chain([first], pages))

    def get(self, position: int) -> bytes | None:
        """Returns the batch at one position, or `None` if there is none."""
        held = self._object(self.keys.at(position))
        if held is None and not self._exists():
            raise LedgerMissing(f"there is no ledger at {self.address}")
        return None if held is None else held[0]

    def newest_snapshot(self) -> tuple[int, bytes] | None:
        """Returns the stored snapshot, as `ports.Snapshots` requires."""
        held = self._object(self.keys.snapshot)
        position = None if held is None else _snapshot_position(held[1])
        return None if held is None or position is None else (position, held[0])

    def keep_snapshot(self, position: int, content: bytes) -> None:
        """Overwrites the stored snapshot, which is a single object, unless the stored one is newer."""
        if self._kept_position() > position:
            return
        with aws.translate_ledger_errors(self.site, "s3:PutObject", writing=True):
            self.writer.put_object(
                Bucket=self.keys.bucket, Key=self.keys.snapshot, Body=content, Metadata={"position": str(position)}
            )

    def close(self) -> None:
        """Closes the connections; the next call opens them again."""
        self._clients.close()

    def put_if_none(self, key: str, content: bytes) -> bool:
        """Sends a conditional write once. Returns `True` if S3 accepted it, or `False` if the key may exist already, so
        that the caller must read it. Raises `LedgerUnreachable` if the reply was lost.
        """
        with aws.translate_ledger_errors(self.site, "s3:PutObject", writing=True):
            try:
                answer = self.writer.put_object(Bucket=self.keys.bucket, Key=key, Body=content, IfNoneMatch="*")
            except aws.ErrorAnswer as error:
                if aws.status_of(error) in {HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED}:
                    return False  # another write is in progress, so the key is taken
                raise
        return "ETag" in answer or aws.is_from_aws(answer)  # otherwise a proxy may have answered

    # --- reading ------------------------------------------------------------------------------------------------------

    def _object(self, key: str) -> tuple[bytes, dict[str, str]] | None:
        """Returns the content and the metadata of an object, or `None` if there is none."""
        with aws.translate_ledger_errors(self.site, "s3:GetObject"):
            for tries_left in reversed(range(BODY_TRIES)):
                try:
                    answer = self.reader.get_object(Bucket=self.keys.bucket, Key=key)
                except aws.ErrorAnswer as error:
                    if aws.code_of(error) == "NoSuchKey":
                        return None
                    raise
                if "ETag" not in answer and not aws.is_from_aws(answer):
                    raise aws.no_answer(self.site, "its reply is not an object")
                try:
                    return self._whole(answer["Body"]), answer.get("Metadata", {})
                except aws.ClientFailure:
                    if not tries_left:
                        raise
        raise AssertionError("the last try returns or raises")

    def _whole(self, body: Any) -> bytes:  # noqa: ANN401 - botocore's StreamingBody
        """Reads a body to its end. botocore compares it with the declared length. Raises `LedgerCorrupt` if it is
        too large."""
        pieces, size = [], 0
        while piece := body.read(PIECE_BYTES):
            size += len(piece)
            if size > MOST_BYTES:
                body.close()
                raise too_large(self.address)
            pieces.append(piece)
        return b"".join(pieces)

    def _kept_position(self) -> int:
        """Returns the position of the stored snapshot, or 0 if there is none."""
        with aws.translate_ledger_errors(self.site, "s3:GetObject"):
            try:
                answer = self.reader.head_object(Bucket=self.keys.bucket, Key=self.keys.snapshot)
            except aws.ErrorAnswer as error:
                if aws.status_of(error) == HTTPStatus.NOT_FOUND:
                    return 0
                raise
        return _snapshot_position(answer.get("Metadata", {})) or 0

    def _pages(self, after: int) -> Iterator[list[int]]:
        """Yields the positions after `after`, one page of the listing at a time. Yields at least one page, which may be
        empty.
        """
        token: dict[str, str] = {}
        while True:
            answer = self._listed(StartAfter=self.keys.at(after), MaxKeys=self._page, **token)
            keys = (item["Key"] for item in answer.get("Contents", ()))
            yield [position for key in keys if (position := self.keys.position(key)) is not None]
            if not answer["IsTruncated"]:
                return
            token = {"ContinuationToken": answer["NextContinuationToken"]}

    def _listed(self, **options: Any) -> dict[str, Any]:  # noqa: ANN401 - boto3's own
        """Returns one page. A response without a listing is an error."""
        with aws.translate_ledger_errors(self.site, "s3:ListBucket"):
            answer: dict[str, Any] = self.reader.list_objects_v2(
                Bucket=self.keys.bucket, Prefix=self.keys.log, Delimiter="/", **options
            )
            # A reply of a proxy would look like an empty ledger.
            ours = answer.get("Name", self.keys.bucket) == self.keys.bucket and "IsTruncated" in answer
            if not ours or (answer["IsTruncated"] and not answer.get("NextContinuationToken")):
                raise aws.no_answer(self.site, "its reply is not a listing of the bucket")
            return answer

    def _exists(self) -> bool:
        return any(self._pages(0))

    def _batches(self, pages: Iterator[list[int]]) -> Iterator[tuple[int, bytes]]:
        with ThreadPoolExecutor(READERS) as readers:
            for some in _growing(pages):
                if len(some) == 1:  # a single object needs no thread
                    yield some[0], self._listed_batch(some[0])
                else:
                    yield from zip(some, readers.map(self._listed_batch, some), strict=True)

    def _listed_batch(self, position: int) -> bytes:
        held = self._object(self.keys.at(position))
        if held is None:
            raise LedgerCorrupt(f"the ledger {self.address} is damaged at position {position}: it was just deleted")
        return held[0]


def _growing(pages: Iterator[list[int]]) -> Iterator[Sequence[int]]:
    """Yields the positions of the pages in groups of the sizes in `AHEAD`."""
    sizes = chain(AHEAD[:-1], iter(lambda: AHEAD[-1], 0))
    for page in pages:
        rest = page
        while rest:
            size = next(sizes)
            yield rest[:size]
            rest = rest[size:]


def _snapshot_position(metadata: dict[str, str]) -> int | None:
    text = metadata.get("position", "")
    return int(text) if re.fullmatch(r"[0-9]{1,20}", text) else None
