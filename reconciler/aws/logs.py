"""Reads the logs of runs from CloudWatch Logs and S3, line by line, so that the size of a log does not matter.

https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetLogEvents.html
"""

import zlib
from codecs import getincrementaldecoder
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Protocol

from reconciler.aws.clients import Aws, Client
from reconciler.aws.denied_access import GET_OBJECT, Access
from reconciler.aws.errors import THROTTLING, translate_errors, unexpected_reply
from reconciler.core.run_logs import LogStream
from reconciler.errors import ServiceError

MOST_EVENTS = 10_000
"""The maximum number of events that GetLogEvents returns in one call."""
CHUNK = 256 * 1024
"""The number of bytes of an object that are read at a time."""
LONGEST_LINE = 64 * 1024
"""The maximum number of characters in a line. Longer lines are split so that they do not fill the memory."""
GZIP = zlib.MAX_WBITS | 16
ABSENT = frozenset({"ResourceNotFoundException", "NoSuchKey", "404"})
UNCHANGED = frozenset({"304", "NotModified"})
INVALID = "InvalidParameterException"
"""The code of GetLogEvents for a token that is older than 24 hours."""
MOST_EMPTY_PAGES = 1000
"""The number of pages without events, one after the other, after which a stream is considered damaged."""


TOO_MANY = "AWS accepts no more calls of this kind for now. Try again later."
ELSEWHERE = "the bucket {bucket} is in a region in which it cannot be read. Check the name of the bucket."
KMS = "the KMS key of the log cannot be used: it is disabled, deleted or not accessible."

HINTS = {
    **dict.fromkeys(THROTTLING | {"SlowDown"}, TOO_MANY),
    "InvalidObjectState": "the log was moved to an archive storage class. Restore the object first.",
    "KMS.DisabledException": KMS,
    "KMS.NotFoundException": KMS,
    "KMS.InvalidStateException": KMS,
    "KMS.KMSInvalidStateException": KMS,
}
"""Hints for errors of calls that list or read logs, by AWS's error code."""


def bucket_hints(bucket: str) -> dict[str, str]:
    """Returns the hints for calls to a bucket that contains logs."""
    redirected = ELSEWHERE.format(bucket=bucket)
    return {
        **HINTS,
        **dict.fromkeys(("PermanentRedirect", "301", "AuthorizationHeaderMalformed"), redirected),
        "NoSuchBucket": f"the bucket {bucket} does not exist. Check the logUri in the settings of the run or its "
        "application.",
    }


class Cursor(Protocol):
    """A log stream and the position up to which it has been read. `absent` is the reason why the log does not exist, if
    AWS reported this in the last call."""

    absent: str | None

    def lines(self) -> Iterator[str]:
        """Yields the lines that were added since the last call, without their ends. Yields nothing if the log does not
        exist yet. Raises `ServiceError`."""
        ...


def opened(aws: Aws, stream: LogStream, newest: int | None = None) -> Cursor:
    """Returns a cursor at the start of a log. With `newest`, the cursor may skip all but that many of the last lines.
    It may yield more lines, and callers drop them."""
    if stream.in_s3:
        return ObjectCursor(aws, stream)
    return EventCursor(aws, stream, newest)


def log_group_arn(aws: Aws, group: str, region: str | None = None) -> str:
    """Returns the ARN of all log streams of a log group, by default in the target's region."""
    return (aws.arns if region is None else replace(aws.arns, region=region)).of("logs", f"log-group:{group}:*")


class EventCursor:
    """Reads a log stream of CloudWatch Logs by GetLogEvents, page by page. One event may contain several lines."""

    def __init__(self, aws: Aws, stream: LogStream, newest: int | None = None) -> None:
        self._stream = stream
        self._client: Client = aws.elsewhere(stream.region).reader("logs")
        self._needed = Access("logs:GetLogEvents", log_group_arn(aws, stream.group, stream.region))
        self.absent: str | None = None
        # One call returns at most this many events, so more lines are read from the beginning.
        self._from_end = newest if newest is not None and newest <= MOST_EVENTS else None
        self._token: str | None = None
        self._read = 0  # the number of events that were read with this token
        self._last = -1  # AWS's time of the newest event, in milliseconds
        self._expired = False

    def lines(self) -> Iterator[str]:
        """Yields the lines of the events that were added since the last call."""
        at_end = False
        while not at_end:
            events, at_end = self._page()
            for event in events:
                yield from str(event.get("message", "")).rstrip("\n").split("\n")

    def _page(self) -> tuple[list[dict[str, Any]], bool]:
        """Returns the next events, and whether there are no more events for now.

        An empty page is not necessarily the last one. After the last page, AWS returns the same token that was sent.
        Other servers return events together with the same token, and the next call returns these events again.
        """
        for _ in range(MOST_EMPTY_PAGES):
            position: dict[str, Any] = {"nextToken": self._token} if self._token else self._start()
            try:
                with translate_errors("GetLogEvents", self._needed, HINTS):
                    answer = self._client.get_log_events(
                        logGroupName=self._stream.group, logStreamName=self._stream.path, **position
                    )
                    events, token = list(answer["events"]), answer["nextForwardToken"]
            except ServiceError as error:
                if error.code in ABSENT:
                    self.absent = error.message
                    return [], True
                if error.code != INVALID or self._token is None:
                    raise
                self._token, self._read, self._expired = None, 0, True
                continue
            self.absent = None
            new, at_end = events[self._read :], token == self._token
            self._token, self._read = token, len(events) if at_end else 0
            self._last = max([self._last, *(int(event.get("timestamp", 0)) for event in new)])
            if new or at_end:
                return new, at_end
        raise unexpected_reply("GetLogEvents", "the log stream does not end")

    def _start(self) -> dict[str, Any]:
        """Returns the position of the first read, or of a read after the token has expired, which happens to a log in
        which nothing is written for 24 hours."""
        if self._expired:
            return {"startFromHead": True, "startTime": self._last + 1}
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
        prefix = stream.path.partition("applications/")[0]
        self._needed = Access(GET_OBJECT, aws.arns.in_s3(f"{stream.group}/{prefix}*"))
        self._hints = bucket_hints(stream.group)
        self.absent: str | None = None
        self._etag: str | None = None
        self._yielded, self._length = 0, 0  # the number of yielded lines, and the length of the last one

    def lines(self) -> Iterator[str]:
        """Yields the lines of the object that were not yielded before."""
        answer = self._answer()
        if answer is None:
            return
        with translate_errors("GetObject", self._needed, self._hints):
            body = answer["Body"]
            chunks = body.iter_chunks(CHUNK)
            number, before = 0, self._yielded
            for number, line in enumerate(split_lines(decoded(chunks, gzip=self._stream.path.endswith(".gz"))), 1):
                if number > before:
                    self._yielded, self._length = number, len(line)
                    yield line
                elif number == before and len(line) > self._length:  # the line was incomplete when it was read
                    yield line[self._length :]
            self._yielded = number  # a rotated log may have become shorter
            self._etag = answer.get("ETag")  # only now: an object whose body could not be read is read again

    def _answer(self) -> dict[str, Any] | None:
        """Returns the reply with the content of the object, or `None` if it does not exist or has not changed."""
        condition = {"IfNoneMatch": self._etag} if self._etag else {}
        try:
            with translate_errors("GetObject", self._needed, self._hints):
                answer: dict[str, Any] = self._client.get_object(
                    Bucket=self._stream.group, Key=self._stream.path, **condition
                )
        except ServiceError as error:
            if error.code in UNCHANGED:
                return None
            if error.code in ABSENT:
                self.absent = error.message
                return None
            raise
        self.absent = None
        return answer


def decoded(chunks: Iterable[bytes], *, gzip: bool) -> Iterator[str]:
    """Yields text from the bytes of a log, which are decompressed if `gzip` is set. Invalid UTF-8 becomes U+FFFD.

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
