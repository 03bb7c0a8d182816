"""Reads the logs of runs from CloudWatch Logs and S3, line by line, so that the size of a log does not matter.

https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetLogEvents.html
"""

import zlib
from codecs import getincrementaldecoder
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from reconciler.aws.clients import Aws, Client
from reconciler.aws.errors import translate_errors, unexpected_reply
from reconciler.core.run_logs import LogStream
from reconciler.errors import ServiceError

MOST_EVENTS = 10_000
"""The maximum number of events that GetLogEvents returns in one call."""
CHUNK = 256 * 1024
"""The number of bytes of an object that are read at a time."""
LONGEST_LINE = 64 * 1024
"""The maximum number of characters in a line. Longer lines are split, so that they do not fill the memory."""
GZIP = zlib.MAX_WBITS | 16
ABSENT = frozenset({"ResourceNotFoundException", "NoSuchKey", "404"})
UNCHANGED = frozenset({"304", "NotModified"})
MOST_EMPTY_PAGES = 1000
"""The number of pages without events, one after the other, after which a stream is considered damaged."""


class Cursor(Protocol):
    """A log stream, and how much of it has been read."""

    def lines(self) -> Iterator[str]:
        """Yields the lines that were added since the last call, without their ends. Yields nothing if the log does not
        exist yet. Raises `ServiceError`."""
        ...


def opened(aws: Aws, stream: LogStream, newest: int | None = None) -> Cursor:
    """Returns a cursor at the start of a log. With `newest`, the cursor may skip all but that many of the last lines.
    It may yield more lines, and callers drop them."""
    if stream.in_s3:
        return ObjectCursor(aws, stream)
    return EventCursor(aws.elsewhere(stream.region).reader("logs"), stream, newest)


class EventCursor:
    """Reads a log stream of CloudWatch Logs by GetLogEvents, page by page. One event may contain several lines."""

    def __init__(self, client: Client, stream: LogStream, newest: int | None = None) -> None:
        self._client, self._stream = client, stream
        self._from_end = newest if newest is not None and newest <= MOST_EVENTS else None
        self._token: str | None = None
        self._read = 0  # the number of events that were read with this token

    def lines(self) -> Iterator[str]:
        """Yields the lines of the events that were added since the last call."""
        at_end = False
        while not at_end:
            events, at_end = self._page()
            for event in events:
                yield from str(event.get("message", "")).rstrip("\n").split("\n")

    def _page(self) -> tuple[list[dict[str, Any]], bool]:
        """Returns the next events, and whether there are no more events for now.

        An empty page does not mean the end, because more pages may follow. At the end, AWS returns the token that was
        sent. Other servers return events together with the same token, and the next call returns these events again.
        """
        for _ in range(MOST_EMPTY_PAGES):
            position: dict[str, Any] = {"nextToken": self._token} if self._token else self._start()
            try:
                with translate_errors("GetLogEvents"):
                    answer = self._client.get_log_events(
                        logGroupName=self._stream.group, logStreamName=self._stream.path, **position
                    )
                    events, token = list(answer["events"]), answer["nextForwardToken"]
            except ServiceError as error:
                if error.code in ABSENT:
                    return [], True
                raise
            new, at_end = events[self._read :], token == self._token
            self._token, self._read = token, len(events) if at_end else 0
            if new or at_end:
                return new, at_end
        raise unexpected_reply("GetLogEvents", "the log stream does not end")

    def _start(self) -> dict[str, Any]:
        if self._from_end is None:
            return {"startFromHead": True}
        return {"startFromHead": False, "limit": max(1, self._from_end)}


class ObjectCursor:
    """Reads an object in S3 as a stream, decompressed if its name ends with ``.gz``.

    AWS replaces the object while a run writes its log, so a changed object is read again from its start, and the lines
    that were yielded before are skipped.
    """

    def __init__(self, aws: Aws, stream: LogStream) -> None:
        self._aws, self._stream = aws, stream
        self._client: Client = aws.follower("s3")
        self._etag: str | None = None
        self._yielded, self._length = 0, 0  # the number of yielded lines, and the length of the last one

    def lines(self) -> Iterator[str]:
        """Yields the lines of the object that were not yielded before."""
        body = self._body()
        if body is None:
            return
        with translate_errors("GetObject"):
            chunks = body.iter_chunks(CHUNK)
            number, before = 0, self._yielded
            for number, line in enumerate(split_lines(decoded(chunks, gzip=self._stream.path.endswith(".gz"))), 1):
                if number > before:
                    self._yielded, self._length = number, len(line)
                    yield line
                elif number == before and len(line) > self._length:  # the line was incomplete when it was read
                    yield line[self._length :]
            self._yielded = number  # a rotated log may have become shorter

    def _body(self) -> Any | None:  # noqa: ANN401 - botocore's streaming body
        """Returns the content of the object, or `None` if it does not exist or has not changed."""
        condition = {"IfNoneMatch": self._etag} if self._etag else {}
        try:
            with translate_errors("GetObject"):
                answer = self._client.get_object(Bucket=self._stream.group, Key=self._stream.path, **condition)
                self._etag, body = answer.get("ETag"), answer["Body"]
        except ServiceError as error:
            if error.code in ABSENT | UNCHANGED:
                return None
            raise
        return body


def decoded(chunks: Iterable[bytes], *, gzip: bool) -> Iterator[str]:
    """Yields text from the bytes of a log, decompressed if `gzip` is set. Invalid UTF-8 becomes U+FFFD.

    A compressed log may consist of several gzip members, and its last member may be incomplete.
    """
    text = getincrementaldecoder("utf-8")("replace")
    for chunk in _decompressed(chunks) if gzip else chunks:
        yield text.decode(chunk)
    yield text.decode(b"", final=True)


def _decompressed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yields at most `CHUNK` bytes at a time, so that a small object that decompresses to a huge one does not fill the
    memory."""
    member = zlib.decompressobj(GZIP)
    for chunk in chunks:
        rest = chunk
        while rest:
            yield member.decompress(rest, CHUNK)
            rest = member.unconsumed_tail
            if member.eof:
                rest, member = member.unused_data, zlib.decompressobj(GZIP)


def split_lines(texts: Iterable[str]) -> Iterator[str]:
    """Yields the lines of a text that arrives in parts, including a last line without a line end. Lines longer than
    `LONGEST_LINE` are split."""
    rest = ""
    for text in texts:
        *whole, rest = (rest + text).split("\n")
        yield from (line.removesuffix("\r") for line in whole)
        while len(rest) > LONGEST_LINE:
            yield rest[:LONGEST_LINE]
            rest = rest[LONGEST_LINE:]
    if rest:
        yield rest.removesuffix("\r")
