"""Reads YAML and JSON text into documents, and finds the line and column of a path in the text."""

import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from itertools import islice
from typing import Any, NamedTuple, NoReturn

import yaml

from reconciler.model.base import Loc
from reconciler.redact.shapes import secret_key
from reconciler.redact.text import SENSITIVE
from reconciler.specs.plain_yaml import plain_documents
from reconciler.specs.yaml_forms import NotPlain, may_be_plain
from reconciler.specs.yaml_lines import line_documents
from reconciler.specs.yaml_nodes import DEEPEST, Builder, Document, Unreadable
from reconciler.values import regex

_TOKEN = regex(r'"(?:[^"\\]|\\.)*"|[{}\[\]]|[^\s{}\[\]:,"]+')
_LONE_SURROGATE = regex("[\ud800-\udfff]")


def json_documents(text: str) -> Iterator[Document]:
    """Yields the one document of a JSON text. Raises `Unreadable` if the text is not JSON."""
    _check(text)
    # Python's reader only checks the syntax, because it reports neither the locations of values nor duplicate keys.
    builder = Builder()
    try:
        _build(text, builder)
    except Unreadable as error:
        error.flaws = builder.document.flaws
        raise
    yield builder.finish()


def _build(text: str, builder: Builder) -> None:
    for token in _TOKEN.finditer(text):
        first, offset = token[0][0], token.start()
        if first == '"':
            builder.scalar(offset, _string(token[0], offset), False)
        elif first in "{[":
            builder.open(offset, {} if first == "{" else [])
        elif first in "}]":
            builder.close()
        else:
            builder.scalar(offset, token[0], True)


def _check(text: str) -> None:
    def refuse(name: str) -> NoReturn:  # NaN or infinity, which Python accepts although JSON does not allow it
        offset = next((token.start() for token in _TOKEN.finditer(text) if token[0] == name), 0)
        raise Unreadable(offset, f"{name} is not JSON", "syntax")

    try:
        # Numbers remain text here, because Python refuses very long integers and `_build` reads each token anyway.
        json.loads(text, parse_constant=refuse, parse_int=str, parse_float=str)
    except json.JSONDecodeError as error:
        raise _not_json(error, text) from None
    except RecursionError:
        raise Unreadable(0, f"nested deeper than {DEEPEST} levels", "nesting") from None


_ESCAPES = {"\n": r"a line break inside a string: write \n", "\t": r"a tab inside a string: write \t"}
_INSTEAD = {
    "'": "strings and keys are in double quotes",
    "/": "JSON has no comments",
    "#": "JSON has no comments",
    "$": "a placeholder is text: put it in double quotes",
}


def _not_json(error: json.JSONDecodeError, text: str) -> Unreadable:
    """Returns a syntax error that names the likely mistake, such as comments, trailing commas or single quotes."""
    offset, char = error.pos, text[error.pos : error.pos + 1]
    message = f"{error.msg[:1].lower()}{error.msg[1:]}"
    before = text[:offset].rstrip()
    if error.msg.startswith("Invalid control character"):
        message = _ESCAPES.get(char) or rf"a control character inside a string: write \u{ord(char or ' '):04x}"
        message = _ESCAPES["\n"] if char == "\r" else message
    elif char in {"]", "}"} and before.endswith(","):
        offset, message = len(before) - 1, f"a comma before {char}: remove it"
    elif char in _INSTEAD:
        message = _INSTEAD[char]
    elif word := re.match("(True|False)\\b", text[offset:]):
        message = f"write {word[0].lower()}"
    return Unreadable(offset, f"not JSON: {message}", "syntax")


def _string(token: str, offset: int) -> str:
    value: str = json.loads(token)
    if _LONE_SURROGATE.search(value):
        raise Unreadable(offset, "half of a surrogate pair is not a character", "character")
    return value


LOADER: Any = getattr(yaml, "CLoader", yaml.Loader)  # the parser of libyaml, if PyYAML was built with it
MOST_DIRECTIVES = 100
MOST_LINES = 5  # the maximum number in one message

_UNREADABLE_CHARACTER = regex("[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u2028\u2029]")
_USUAL = b"\t\n\r" + bytes(range(0x20, 0x7F))
QUOTE_BRACKETS = "put values that contain {, }, [, ] or , in quotes"
_CLEARER = {
    "mapping values are not allowed in this context": "a second ': ' in this value: put the value in quotes",
    "found character that cannot start any token": "this character cannot start a value: put the value in quotes",
    "did not find expected key": "expected a key: check the indentation and the quotes above",
    "did not find expected '-' indicator": "expected a list entry: check the indentation",
    "did not find expected ',' or ']'": f"expected ',' or ']': close the list, or {QUOTE_BRACKETS}",
    "did not find expected ',' or '}'": f"expected ',' or '}}': close the mapping, or {QUOTE_BRACKETS}",
    "did not find expected node content": "expected a value",
    "did not find expected alphabetic or numeric character": "& and * start an anchor or an alias: put a text that "
    "starts with them in quotes",
    "did not find expected comment or line break": "text after | or >: start it on the next line, or put it in quotes",
    "did not find expected <document start>": "expected a new document: write --- on a line of its own before it",
    "block sequence entries are not allowed in this context": "a list starts on a line of its own: put a text that "
    "starts with '- ' in quotes",
    "mapping keys are not allowed in this context": "put a text that starts with '? ' in quotes",
    "could not find expected ':'": "the line above has no ': ': write KEY: VALUE, with a space after the colon",
    "found unexpected end of stream": "the file ends inside a quoted string: close it",
    "found incompatible YAML document": "only YAML 1.1 and 1.2 can be read",
    "found unknown escape character": r"unknown escape: write \\ for a backslash, or use single quotes",
}


def yaml_documents(text: str) -> Iterator[Document]:
    """Yields the documents of a YAML text. Raises `Unreadable` at the first syntax error or exceeded bound."""
    # Almost all texts are ASCII, for which this check is about 100 times as fast as the regular expression.
    usual = text.isascii() and not text.encode().translate(None, _USUAL)
    if not usual and (refused := _UNREADABLE_CHARACTER.search(text)):
        raise Unreadable(refused.start(), f"the character U+{ord(refused[0]):04X} is not allowed in YAML", "character")
    number = 0
    for read in (line_documents, _plain_documents) if may_be_plain(text) else ():
        try:
            # A reader may give up after some documents. The next reader skips those that were yielded already.
            for document in islice(read(text), number, None):
                number += 1
                document.read_again = partial(_nth, text, number)
                yield document
            return
        except (yaml.YAMLError, RecursionError, ValueError, NotPlain):
            pass  # `_located_documents` reads every form and reports all flaws
    yield from islice(_located_documents(text), number, None)


def _plain_documents(text: str) -> Iterator[Document]:
    loader = LOADER(text)
    try:
        yield from plain_documents(loader.get_event)
    finally:
        loader.dispose()


def _nth(text: str, number: int) -> Document:
    return next(islice(_located_documents(text), number - 1, None))


def _located_documents(text: str) -> Iterator[Document]:
    """Yields the documents of a YAML text with the locations of all values."""
    if text.count("\n%TAG") > MOST_DIRECTIVES:  # the parser compares each directive with all earlier directives
        raise Unreadable(text.index("\n%TAG") + 1, "tags are not allowed: remove the %TAG directives", "tag")
    builder = Builder()
    try:
        yield from _documents(text, builder)
    except (yaml.YAMLError, RecursionError, ValueError, Unreadable) as error:
        unreadable = _unreadable(error, text)
        unreadable.flaws = builder.document.flaws
        raise unreadable from None


def _documents(text: str, builder: Builder) -> Iterator[Document]:
    loader = LOADER(text)
    try:
        yield from _built(loader.get_event, builder)
    finally:
        loader.dispose()


def _built(next_event: Callable[[], Any], builder: Builder) -> Iterator[Document]:
    add_scalar = builder.scalar
    kind: type | None = None
    while kind is not yaml.StreamEndEvent:
        event = next_event()
        kind = type(event)
        if kind is yaml.ScalarEvent:
            if event.tag is not None:
                _tag(builder, event)
            add_scalar(event.start_mark.index, event.value, not event.style, event.anchor)
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            builder.close()
        elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
            if event.tag is not None:
                _tag(builder, event)
            builder.open(event.start_mark.index, {} if kind is yaml.MappingStartEvent else [], event.anchor)
        elif kind is yaml.AliasEvent:
            builder.alias(event.start_mark.index, event.anchor)
        elif kind is yaml.DocumentStartEvent:
            builder.document.offset = event.start_mark.index
        elif kind is yaml.DocumentEndEvent:
            yield builder.finish()


def _tag(builder: Builder, event: Any) -> None:  # noqa: ANN401 - an event of the parser, C or Python
    tag = event.tag.replace("tag:yaml.org,2002:", "!!")
    builder.flaw(event.start_mark.index, f"tags ({tag}) are not allowed: write the value without it", "tag")


A_SPACE_AFTER_THE_COLON = "write KEY: VALUE, with a space after the colon"
_SECOND_COLON = {"mapping values are not allowed in this context", "could not find expected ':'"}
_CONFLICT = regex(r"^<<<<<<< ", re.MULTILINE)
_CONTENT = regex(r"\S.*")
_NO_SPACE = regex(r"(?!.*:(?:\s|$))([\w.-]+) *[:=：]")
_KEY_ONLY = regex(r"\s*[\w.-]+")
_INDENTATION = regex(r"^ *\t[ \t]*(?=\S)", re.MULTILINE)


def _unreadable(error: Exception, text: str) -> Unreadable:
    if isinstance(error, Unreadable):
        return error
    if not isinstance(error, yaml.MarkedYAMLError):
        return Unreadable(0, f"not YAML: {error}", "syntax")
    mark = error.problem_mark or error.context_mark
    problem = error.problem or error.context or "not YAML"
    if mark and (tab := _tab(text, mark.index)) is not None:
        return tab
    if mark and (clearer := _clearer(text, mark.index, problem)):
        return clearer
    message = _CLEARER.get(problem, problem)
    if mark and error.context_mark and error.context_mark.line < mark.line:
        message += f" (in the value that starts at line {error.context_mark.line + 1})"
    return Unreadable(min(mark.index, len(text)) if mark else 0, message, "syntax")


def _clearer(text: str, offset: int, problem: str) -> Unreadable | None:
    """Returns the mistake that probably caused a syntax error, or `None` if the parser's own message is just as
    good."""
    start = text.rfind("\n", 0, offset) + 1
    above = next(reversed(list(_CONTENT.finditer(text[:start].rstrip()[-LONGEST_LINE:]))), None)
    before, at = text[start:offset], text[offset : offset + 1]
    if conflict := _CONFLICT.search(text):
        message = "git left a merge conflict here: choose one side, and remove the lines <<<<<<<, ======= and >>>>>>>"
        return Unreadable(conflict.start(), message, "merge-conflict")
    if problem in _SECOND_COLON and above and (joined := _NO_SPACE.match(above[0])):
        line = text.rfind(above[0], 0, start)
        if secret_key(joined[1]):  # the line is not shown, because the secrets in it cannot be located
            number = text.count("\n", 0, line) + 1
            return Unreadable(offset, f"line {number} has no ': ': {A_SPACE_AFTER_THE_COLON}", "syntax")
        return Unreadable(line, f"this line has no ': ': {A_SPACE_AFTER_THE_COLON}", "syntax")
    message = ""
    if problem == "mapping values are not allowed in this context" and _KEY_ONLY.fullmatch(before) and above:
        message = "this line continues the value above: indent it like the line above, or put the value in quotes"
    elif problem == "did not find expected key" and before.rstrip(" ")[-1:] in {'"', "'"}:
        message = "text after a closing quote: put the whole value in one pair of quotes"
    elif problem == "did not find expected key" and at in {"}", "]"}:
        message = f"this {at} closes nothing: remove it, or put the value in quotes"
    return Unreadable(offset, message, "syntax") if message else None


def _tab(text: str, offset: int) -> Unreadable | None:
    """Returns an error about the tab that caused a syntax error in an indented line. The error also names the other
    lines that are indented with tabs. Returns `None` if no tab caused the error."""
    start = text.rfind("\n", 0, offset) + 1
    first = _INDENTATION.match(text, start)
    is_tab = text[offset : offset + 1] == "\t"  # also after the - of a list entry, and alone on a line
    if not is_tab and (first is None or offset >= first.end()):
        return None  # tabs are allowed before a line of {…} or of a quoted string
    others = list(_INDENTATION.finditer(text, max(offset + 1, first.end() if first else 0)))
    shown = ", ".join(str(text.count("\n", 0, tab.start()) + 1) for tab in others[:MOST_LINES])
    more = f" and {len(others) - MOST_LINES} more" if len(others) > MOST_LINES else ""
    also = f" (also in line{'s' * (len(others) > 1)} {shown}{more})" if others else ""
    return Unreadable(offset if is_tab else text.index("\t", start), f"tab in indentation: use spaces{also}", "tab")


FEW = 8
LONGEST_LINE = 10_000  # characters; a longer line is not shown with a problem
_LINE_END = regex(r"\r\n|\n|\r")
_PLAIN_KEY = regex(r"[A-Za-z_][A-Za-z0-9_-]*")


class SourceText:
    """The text of a file, with its path in the form that messages show. Offsets count characters from 0, lines and
    columns from 1. A line ends at ``\\n``, ``\\r\\n`` or ``\\r``, as in editors.
    """

    __slots__ = ("__dict__", "_asked", "path", "text")

    def __init__(self, path: str, text: str) -> None:
        self.path, self.text = path, text
        self._asked = 0

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(end.end() for end in _LINE_END.finditer(self.text))]

    def position(self, offset: int) -> tuple[int, int]:
        """Returns the line and column of an offset. The first few calls count lines; later calls use an index of all
        line ends."""
        self._asked += 1
        if self._asked <= FEW and "\r" not in self.text:
            return self.text.count("\n", 0, offset) + 1, offset - self.text.rfind("\n", 0, offset)
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def located(self, offset: int) -> tuple[int, int, str | None]:
        """Returns the line and column of an offset, and the line as `line` does. The first few calls need no index."""
        line, column = self.position(offset)
        if self._asked > FEW or "\r" in self.text:
            return line, column, self.line(line)
        start, end = offset - column + 1, self.text.find("\n", offset)
        end = len(self.text) if end < 0 else end
        return line, column, self.text[start:end] if end - start < LONGEST_LINE else None

    def line(self, number: int) -> str | None:
        """Returns a line without its end, or `None` if the file has no such line or it is too long to show."""
        if not 1 <= number <= len(self._starts):
            return None
        start = self._starts[number - 1]
        following = self._starts[number] if number < len(self._starts) else len(self.text)
        if following - start > LONGEST_LINE:
            return None
        return _LINE_END.sub("", self.text[start:following])

    def around(self, offset: int) -> tuple[int, str]:
        """Returns the text near an offset, at most `LONGEST_LINE` characters on each side, and the offset at which it
        starts."""
        start = max(0, offset - LONGEST_LINE)
        return start, self.text[start : offset + LONGEST_LINE]


def documents(source: SourceText) -> Iterator[Document]:
    """Yields the documents of a file: exactly one for a JSON file, any number for a YAML file, according to the file's
    extension. Raises `Unreadable`.
    """
    read = json_documents if source.path.endswith(".json") else yaml_documents
    return read(source.text)


class Node(NamedTuple):
    """A value of a document: its path, the value, its offset and the offset of its key."""

    loc: Loc
    value: Any
    offset: int
    key_offset: int


def find(document: Document, loc: Loc) -> Node:
    """Follows a path as far as it exists in the document. Path elements that are not in the document are skipped. For
    entries of lists and for the document itself, `key_offset` equals `offset`."""
    value, offset, key_offset = document.value, document.offset, document.offset
    path: list[str | int] = []
    for element in loc:
        document.complete(value)
        if isinstance(value, dict) and isinstance(element, str) and element in value:
            index = 1 + 2 * document.order(value)[element]
            record = document.records[id(value)]
            value, key_offset, offset = value[element], record[index], record[index + 1]
        elif isinstance(value, list) and isinstance(element, int) and element < len(value):
            offset = key_offset = document.records[id(value)][1 + element]
            value = value[element]
        else:  # pydantic adds the branch of a union that it tried; a mapping that became a string has no members
            continue
        path.append(element)
    return Node(tuple(path), value, offset, key_offset)


def offset_in_scalar(text: str, node: Node, end: int, word: str, nth: int) -> int:
    """Returns the offset in the file of a word in a scalar that ends at `end`, or the offset of the scalar if it does
    not contain the word as written. The n-th ``${`` of the value is the n-th ``${`` of the scalar as written, whether
    it is quoted, folded or a block."""
    offset = node.offset - 1
    for _ in range(nth + 1):
        offset = text.find(word, offset + 1, end)
        if offset < 0:
            return node.offset
    return offset


def path_text(loc: Loc) -> str:
    """Formats a path for messages: ``spec.request.jobDriver.sparkSubmit.entryPointArguments[1]``, ``vars["a b"]``."""
    text = ""
    before: object = None
    for element in loc:
        if isinstance(element, int):
            text += f"[{element}]"
        elif _PLAIN_KEY.fullmatch(element):
            text += f".{element}" if text else element
        else:
            # below the key of a secret, an unusual key may be the secret itself, if YAML reads the value as a mapping
            hidden = isinstance(before, str) and secret_key(before)
            text += f'["{SENSITIVE if hidden else element}"]'
        before = element
    return text
