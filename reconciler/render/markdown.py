"""Makes Markdown of limited size from untrusted text: code, links, table cells, and sections in which whole rows can be
omitted."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import field
from itertools import groupby, islice
from operator import itemgetter
from urllib.parse import quote

from reconciler.core.identity import Source
from reconciler.redact.escape import escape, inert
from reconciler.render.text import count
from reconciler.values import dataclass, regex

PLAIN = regex(r"[A-Za-z0-9 ,.;?\"()'/:-]*")
MARKUP = regex(r"://|www\.|GH-\d|:(?=[\w+-]*[a-z])[\w+-]+:|--|^\s|\s$|^$|^[-:]|^\d+[.)]", re.IGNORECASE)

LONGEST_MESSAGE = 400

ADDRESS = regex(r"https://[\w./:#?=&%@~-]+")
"""Matches a web address that cannot end a link or contain markup."""


def web_link(text: str, url: str | None) -> str:
    """Returns `text`, which is already Markdown, as a link to `url`. Without a safe address, returns only the text."""
    return f"[{text}]({url})" if url and ADDRESS.fullmatch(url) else text


def prose(text: str) -> str:
    """Returns `text`, with each word in a code span that has a special meaning in Markdown or on a code host.

    After rendering the markup, code hosts turn ``@name``, ``#1`` and web addresses into links, except in code.
    """
    return _prose(text, code)


def cell_prose(text: str) -> str:
    """Returns `prose` for a table cell."""
    return _prose(text, cell_code)


def _prose(text: str, as_code: Callable[[str], str]) -> str:
    if _is_plain(text):
        return text
    words = text.split(" ")
    if "" in words:  # spaces that Markdown would merge
        return as_code(text)
    plain = [_is_plain(word) for word in words]
    for step in (range(1, len(words)), range(len(words) - 2, -1, -1)):  # the numbers in "0 2 * * *" belong to it
        for at in step:
            if words[at].isdigit() and not plain[at - 1 if step.step > 0 else at + 1]:
                plain[at] = False
    groups = groupby(zip(plain, words, strict=True), key=itemgetter(0))
    parts = ((is_plain, " ".join(word for _, word in group)) for is_plain, group in groups)
    return " ".join(part if is_plain else as_code(part) for is_plain, part in parts)


def _is_plain(text: str) -> bool:
    return PLAIN.fullmatch(text) is not None and not MARKUP.search(text)


def code(text: str) -> str:
    """Returns a code span with `text`, escaped to one line. For table cells, use `cell_code`."""
    shown = inert(escape(text)) or " "
    fence = "`" * (_longest_run(shown) + 1)
    # A backtick next to the fence would lengthen the fence, and Markdown strips a space on both sides.
    pad = " " if shown[0] in "` " or shown[-1] in "` " else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def cell_code(text: str) -> str:
    """Returns a code span for a table cell, where a vertical bar would end the cell even between backticks."""
    shown = inert(escape(text))
    if "|" not in shown:
        return code(text)
    return f"<code>{''.join(char if char.isalnum() or char == ' ' else f'&#{ord(char)};' for char in shown)}</code>"


def fenced(lines: Sequence[str], language: str = "diff") -> list[str]:
    """Returns a block of code, with a fence longer than any run of backticks in it."""
    fence = "`" * max(3, *(_longest_run(line) + 1 for line in lines))
    return [f"{fence}{language}", *(inert(line) for line in lines), fence]


def _longest_run(text: str) -> int:
    return max(map(len, re.findall(r"`+", text))) if "`" in text else 0


@dataclass(frozen=True, slots=True)
class Repository:
    """The web location of the files of a commit: `address`, followed by the path of a file in the repository.

    `folder` is the path of the project in the repository; it is empty or ends with a slash. `line` is the text before a
    line number.
    """

    address: str
    folder: str = ""
    line: str = "#L"

    def link(self, text: str, source: Source | None) -> str:
        """Returns `text`, which is already Markdown, as a link to a line of a file of the project."""
        if source is None:
            return text
        return f"[{text}]({self.address}{quote(self.folder + source.path, safe='/')}{self.line}{source.line})"


def linked(text: str, source: Source | None, repository: Repository | None) -> str:
    """Returns `text`, which is already Markdown, as a link to `source` if the web location of the files is known."""
    return text if repository is None else repository.link(text, source)


def shortened(message: str) -> str:
    """Returns a message of at most `LONGEST_MESSAGE` characters."""
    return message if len(message) <= LONGEST_MESSAGE else message[:LONGEST_MESSAGE] + "…"


class Room:
    """The remaining bytes on a page. Every line includes its line break."""

    def __init__(self, size: int) -> None:
        self.left = size

    def take(self, lines: Iterable[str], at_least: int = 0) -> bool:
        """Reserves space for some lines if `at_least` bytes remain. Otherwise reserves nothing and returns `False`."""
        size = size_of(lines)
        if self.left - size < at_least:
            return False
        self.left -= size
        return True


def size_of(lines: Iterable[str]) -> int:
    """Returns the number of UTF-8 bytes of some lines with their line breaks."""
    return sum(len(line.encode()) + 1 for line in lines)


@dataclass(slots=True)
class Row:
    """A row of a section. It is either omitted, or shown as its `head` lines and its first `filled` fields.

    `number` is the number of specs in the row. If `folded` is true, the fields are collapsed until a reader expands
    them.
    """

    head: list[str]
    fields: list[list[str]] = field(default_factory=list)
    filled: int = 0
    number: int = 1
    folded: bool = False
    language: str = "diff"

    def fill(self, room: Room) -> bool:
        """Reserves space for as many fields as fit, starting with the first. Returns whether all fields fit."""
        low, high = 0, len(self.fields)
        if high and size_of(self.fields[0]) > room.left:
            return False
        if high and not room.take(self._block(high)):
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if size_of(self._block(middle)) <= room.left else (low, middle)
            high = low
            room.take(self._block(high))
        self.filled = high
        return high == len(self.fields)

    def text(self) -> list[str]:
        """Returns the lines that are shown."""
        return [*self.head, *self._block(self.filled)]

    def _block(self, number: int) -> list[str]:
        """Returns the first fields as a block, which is folded if it is long. Its last line contains the number of
        omitted fields."""
        if not number:
            return []
        lines = [line for field in self.fields[:number] for line in field]
        missing = len(self.fields) - number
        rest = [f"  … {missing:,} of {len(self.fields):,} not shown here"] if missing else []
        block = fenced([*lines, *rest], self.language)
        if not self.folded and len(lines) <= FOLD_ABOVE:
            return [*block, ""]
        return folded(count(len(self.fields), "field"), block)


FOLD_ABOVE = 12  # the number of lines of fields; a longer block is collapsed


def folded(title: str, lines: Sequence[str]) -> list[str]:
    """Returns the lines in a section that is collapsed until a reader expands it. `title` must be trusted text."""
    return [f"<details><summary>{title}</summary>", "", *lines, "", "</details>", ""]


class Made:
    """Rows that are generated when they are first needed, because most rows of a large plan do not fit on a page."""

    def __init__(self, rows: Iterator[Row]) -> None:
        self._rows, self._made = rows, list[Row]()

    def __iter__(self) -> Iterator[Row]:
        yield from self._made
        for row in self._rows:
            self._made.append(row)
            yield row


@dataclass(slots=True)
class Section:
    """Similar rows under a heading. `what` is the name of the rows in the note about omissions. `number` is the number
    of specs in all rows, shown or omitted. A section with a `title` is folded."""

    what: str
    heading: list[str]
    rows: Iterable[Row]
    number: int
    title: str = ""
    shown: list[Row] = field(default_factory=list)

    def admit(self, room: Room) -> None:
        """Reserves space for rows, starting with the first, until a row does not fit. The first row also needs space
        for the heading."""
        for row in islice(self.rows, len(self.shown), None):
            opening = [] if self.shown else [*self.heading, "", *(folded(self.title, []) if self.title else [])]
            if not room.take([*opening, *row.head]):
                return
            self.shown.append(row)

    @property
    def missing(self) -> int:
        """The number of omitted specs."""
        return self.number - sum(row.number for row in self.shown)

    def text(self) -> list[str]:
        """Returns the lines that are shown, or none if there is no row."""
        lines = [line for row in self.shown for line in row.text()]
        if not lines:
            return []
        body = [*self.heading, *lines, *([""] if lines[-1] else [])]
        return folded(self.title, body) if self.title else body
