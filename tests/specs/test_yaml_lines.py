"""Tests that the line-by-line reader reads the same documents as the complete reader, or gives up."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from reconciler.specs import yaml_forms, yaml_lines
from reconciler.specs.parse import yaml_documents
from reconciler.specs.yaml_forms import NotPlain, Records
from reconciler.specs.yaml_lines import line_documents
from tests.bench.projects import spec_text
from tests.campaigns import in_one_test, in_soak
from tests.specs.test_plain_yaml import complete, read

USUAL = {
    "nested mappings": "a:\n  b:\n    c: d\n  e: 1\nf: on\n",
    "a list that is indented": "a:\n  - b\n  - 1.50\nc: true\n",
    "a list that is not indented": "a:\n- b\n- c\nd: e\n",
    "mappings in a list": "x:\n- a: b\n  c: d\n\n# note\n- a: b\n",
    "a list in a list": "a:\n  - - b\n    - c\n  -\n    - d\n",
    "a mapping below a dash": "a:\n  -\n    b: c\n    d: e\n",
    "brackets": "a: {b: [c, 'd, e', 1], \"f\": {}}\ng: [ -x, $y ]  # why\n",
    "the metadata in brackets": "metadata: {name: job, labels: {team: growth}}\n",
    "addresses": "a: s3://b/c\nb: [s3://b/c]\nc: a#b\nd: x:y\n",
    "quotes": "a: \"x: #y\"\nb: 'it''s'\n'c d': \"\"\n\"e\": ''\n",
    "comments": "# x\n\na: b # c\nd:   # e\n  # f\n  g: h\n   # i\n",
    "numbers and dates": "a: 0x1F\nb: 12:30\nc: 2026-11-22\nd: -1\ne: 0.60\n",
    "a block of text": "a: |\n  b: c\n    # d\n\n  - e  \nf: |-\n  g\n\n# h\ni: j\n",
    "a folded block of text": "a: >\n  b\n  c\n\nd:\n- >-\n   e\n   f\n- g\n",
    "several documents": "---\na: b\n---\n# x\nc:\n  - d\n---\ne: f\n",
    "letters of any language": "a: é\nb: 'ñ 日本'\n# 🙂\n",
    "no line break at the end": "a: b\nc:\n  - d",
}
UNUSUAL = {
    "a value on several lines": "a: b\n  c\n",
    "a value below its key": "a:\n  b\n",
    "an escape": 'a: "\\n"\n',
    "a mapping after a scalar": "a: b\n  c: d\n",
    "a wrong indentation": "a:\n    b: c\n  d: e\n",
    "a list after a mapping": "a: b\n- c\n",
    "a mapping after a list": "a:\n- b\n c: d\n",
    "a list that ends too far left": "a:\n    - b\n  - c\n",
    "a second colon": "a: b: c\n",
    "no value": "a:\nb: c\n",
    "no value at the end": "a: b\nc:",
    "a null": "a: ~\n",
    "a duplicate key": "a: b\na: c\n",
    "a duplicate key in brackets": "a: {b: 1, b: 2}\n",
    "a key that is a number": "1: a\n",
    "a key that is a boolean": "on: a\n",
    "a merge key": "<<: a\n",
    "a tab": "a:\tb\n",
    "a carriage return": "a: b\r\nc: d\r\n",
    "brackets on several lines": "a: [b,\n  c]\n",
    "text behind brackets": "a: [b] c\n",
    "brackets that close nothing": "a: [b]]\n",
    "a pair in a list in brackets": "a: [b: c]\n",
    "a key without value in brackets": "a: {b}\n",
    "a comma at the end": "a: [b, ]\n",
    "an alias": "a: *b\n",
    "a reserved character": "a: @b\nb: `c`\n",
    "text on the line of a marker": "--- a\n",
    "the end of a document": "a: b\n...\n",
    "a document without value": "---\n---\na: b\n",
    "a document that is a list": "- a\n",
    "an indented document": "  a: b\n",
    "a key that is too long": f"{'k' * 1100}: v\n",
    "kept line breaks": "a: |+\n  b\n\n",
    "an empty line first in a block of text": "a: |\n\n  b\n",
    "an empty line in a folded block": "a: >\n  b\n\n  c\n",
    "an indented line in a folded block": "a: >\n  b\n    c\n",
    "spaces that belong to a block of text": "a: |\n  b\n     \n  c\n",
    "a block of text without a line break at its end": "a: |\n  b",
    "a block of text that is not indented": "a: |\nb: c\n",
    "a comment inside the indentation of a block of text": "a:\n  b: |\n      c\n    # d\n",
    "a space that is no space": "a: \u3000b\nb:\u00a0c\n",
}
VALUES = [
    "v", "a b", "--x", "1", "1.50", "true", "'s q'", '"d q"', "s3://x/y", "${v}", "a#b", "{a: b}", "{}", "[]", "12:30",
    "[a, 'b', 3]", "{a: [1, {b: c}]}", "on", "x # c", "'it''s'", "[-a, --b]", "[s3://x/y, a=b]", "{x: 'a, b'}",
]  # fmt: skip
ODD_LINES = [
    "a", "a: b", "  a: b", "- a", "  - a", "-", "a:", "# c", "   # c", "", "   ", "---", "...", "a: |", "  a: >-",
    "a: [", "a: b: c", "]", "    text", "- - a", "- a: b", "\ta: b", "a: 'b", "a: ~", "'a': \"b\\n\"",
    "? a", "a: *b", "a: &b c",
]  # fmt: skip


@in_one_test("text", USUAL.values(), ids=USUAL)
def test_usual_lines_are_read_as_by_the_complete_reader(text: str, monkeypatch: pytest.MonkeyPatch):
    """A text of usual lines is read line by line, with the values and locations of the complete reader."""
    assert is_read_by_lines(text)
    assert read(yaml_documents(text)) == complete(text, monkeypatch)


@in_one_test("text", UNUSUAL.values(), ids=UNUSUAL)
def test_other_lines_are_left_to_the_other_readers(text: str, monkeypatch: pytest.MonkeyPatch):
    """A text with any other line, or with an error, is not read line by line."""
    with pytest.raises(NotPlain):
        list(line_documents(text))

    assert read(yaml_documents(text)) == complete(text, monkeypatch)


ALPHABET = "a1 :#-'\"[],{}|~."
AROUND = [
    "k: @\n", "@: v\n", "@\nb: c\n", "k:\n- @\n", "k: [@]\n", "k: {@}\n", "k:\n  - a: b\n    @\n", "k: >\n  x\n@\n",
    "k: |\n @\n  y\nb: c\n", "k: v\n@\n b: c\n",
]  # fmt: skip


@pytest.mark.parametrize("length", in_soak(range(4), (2).__gt__))
def test_every_short_value_is_read_as_by_the_complete_reader(length: int, monkeypatch: pytest.MonkeyPatch):
    """Every text of a few characters that have a meaning in YAML, as a key, a value, an entry or a line."""
    monkeypatch.setattr(yaml_lines, "_TEMPLATES", {})
    monkeypatch.setattr(yaml_lines, "WORTHWHILE", 1)
    for characters, around in product(product(ALPHABET, repeat=length), AROUND):
        text = around.replace("@", "".join(characters))
        if by_lines(text) is not None:
            assert read(yaml_documents(text)) == complete(text, monkeypatch), repr(text)


def nested(chosen: random.Random, indent: int, depth: int, keys: Iterator[int]) -> list[str]:
    """Returns the lines of a random mapping or list."""
    pad, lines = " " * indent, list[str]()
    is_mapping = depth == 0 or chosen.random() < 0.6
    for _ in range(chosen.randint(1, 3)):
        start = f"k{next(keys)}:" if is_mapping else "-"
        shape = chosen.random()
        if depth > 3 or shape < 0.5:
            lines.append(f"{pad}{start} {chosen.choice(VALUES)}")
        elif shape < 0.6:
            texts = chosen.choices(["text", "two  words ", "# none", "a: b", "- x"], k=chosen.randint(1, 3))
            block = " " * (indent + chosen.randint(1, 3))
            lines += [f"{pad}{start} {chosen.choice(['|', '|-', '>', '>-'])}", *(block + text for text in texts)]
        elif is_mapping or shape < 0.7:
            inner = indent + chosen.choice([0, 1, 2, 2, 2, 4])
            lines += [pad + start, *nested(chosen, inner, depth + 1, keys)]
        else:
            first, *others = nested(chosen, indent + 2, depth + 1, keys)
            lines += [f"{pad}- {first[indent + 2 :]}", *others]
    return lines


@pytest.mark.parametrize("seed", range(10))
def test_random_texts_are_read_as_by_the_complete_reader(seed: int, monkeypatch: pytest.MonkeyPatch):
    """Random texts, half of them with one line added, removed or moved, give the same documents, locations and errors;
    a third of them are read line by line."""
    chosen, alone = random.Random(seed), 0
    for number in range(60):
        lines = nested(chosen, 0, 0, iter(range(1000)))
        if number % 2:
            at = chosen.randrange(len(lines))
            change = chosen.choice([[chosen.choice(ODD_LINES), lines[at]], [], [lines[at][1:]], [" " + lines[at]]])
            lines[at : at + 1] = change
        text = "\n".join(lines) + "\n" * chosen.randint(0, 2)

        assert read(yaml_documents(text)) == complete(text, monkeypatch), text
        alone += is_read_by_lines(text)
    assert alone >= 20


def by_lines(text: str) -> list[tuple[Any, int, list[list[int] | None]]] | None:
    """Returns the values and offsets that the line-by-line reader returns, or `None` if it gives up."""
    try:
        return [
            (document.value, document.offset, [document.records.get(id(part)) for part in outer(document.value)])
            for document in line_documents(text)
        ]
    except NotPlain:
        return None


def outer(value: dict[str, object]) -> Iterator[object]:
    """Yields the mappings whose offsets are recorded."""
    yield value
    yield from (part for part in value.values() if isinstance(part, dict))


@pytest.mark.parametrize("seed", range(5))
def test_a_template_gives_what_is_read_without_one(seed: int, monkeypatch: pytest.MonkeyPatch):
    """Random texts and the listed ones give the same values and offsets with the template of their structure."""
    chosen = random.Random(seed)
    texts = ["\n".join(nested(chosen, 0, 0, iter(range(1000)))) + "\n" for _ in range(100)]
    for text in (*texts, *USUAL.values(), *UNUSUAL.values(), spec_text(1, 1)):
        monkeypatch.setattr(yaml_lines, "_TEMPLATES", {})
        without = by_lines(text)
        monkeypatch.setattr(yaml_lines, "_TEMPLATES", {})
        monkeypatch.setattr(yaml_lines, "WORTHWHILE", 1)

        assert by_lines(text) == without, text
        monkeypatch.undo()


def test_a_long_text_has_no_template(monkeypatch: pytest.MonkeyPatch):
    """The structures of long texts are not kept, because they would take much memory and are rarely the same."""
    templates: dict[tuple[int, ...], object] = {}
    monkeypatch.setattr(yaml_lines, "_TEMPLATES", templates)
    monkeypatch.setattr(yaml_lines, "WORTHWHILE", 1)
    comments = "# c\n" * yaml_lines.LONGEST_TEMPLATE
    assert by_lines(f"a: b\n{comments}") == by_lines("a: b\n")
    assert len(templates) == 1


def test_texts_of_one_structure_are_read_with_one_template(monkeypatch: pytest.MonkeyPatch):
    """After a few texts with the same structure, further texts are read with its template."""
    templates: dict[tuple[int, ...], object] = {}
    monkeypatch.setattr(yaml_lines, "_TEMPLATES", templates)
    monkeypatch.setattr(yaml_lines, "_FORMS", yaml_forms.Forms())
    followed: list[int] = []
    read_mapping = yaml_lines._Lines.mapping

    def mapping(self: yaml_lines._Lines, at: int, own: int, level: int, records: Records) -> tuple[dict[str, Any], int]:
        followed.append(level)
        return read_mapping(self, at, own, level, records)

    monkeypatch.setattr(yaml_lines._Lines, "mapping", mapping)
    for number in range(40):
        list(line_documents(spec_text(number, number % 20)))

    assert len(templates) == 1
    assert followed.count(1) == yaml_lines.WORTHWHILE


def test_a_block_of_text_of_another_length_is_not_put_into_a_template(monkeypatch: pytest.MonkeyPatch):
    """Comment lines may belong to the preceding block of text in one text, but not in another text with the same
    structure."""
    monkeypatch.setattr(yaml_lines, "_TEMPLATES", {})
    monkeypatch.setattr(yaml_lines, "WORTHWHILE", 1)
    first, second = "a: |\n  b\n  # c\nd: e\n", "a: |\n  b\n# c\nd: e\n"

    assert [value for value, *_ in by_lines(first) or ()] == [{"a": "b\n# c\n", "d": "e"}]
    assert [value for value, *_ in by_lines(second) or ()] == [{"a": "b\n", "d": "e"}]


def test_few_structures_are_remembered(monkeypatch: pytest.MonkeyPatch):
    """Structures that occur in only one file do not fill the memory."""
    templates: dict[tuple[int, ...], object] = {}
    monkeypatch.setattr(yaml_lines, "_TEMPLATES", templates)
    monkeypatch.setattr(yaml_lines, "MOST_TEMPLATES", 10)
    for number in range(50):
        list(line_documents("".join(f"k{number}x{line}: v\n" for line in range(3))))

    assert len(templates) <= 10 + 1


def is_read_by_lines(text: str) -> bool:
    """Returns whether a text has only usual lines."""
    try:
        return list(line_documents(text)) != []
    except NotPlain:
        return False


def test_the_form_of_a_line_is_found_once(monkeypatch: pytest.MonkeyPatch):
    """The forms of lines that specs have in common are cached, and their strings are shared."""
    monkeypatch.setattr(yaml_lines, "_FORMS", forms := yaml_forms.Forms())
    list(line_documents(spec_text(1, 1)))
    before = len(forms)

    list(line_documents(spec_text(21, 1)))

    assert len(forms) - before == 4  # the comment, the name, the entry point and the class of the second spec


def test_few_lines_are_remembered(monkeypatch: pytest.MonkeyPatch):
    """Lines that occur in only one file do not fill the memory."""
    monkeypatch.setattr(yaml_lines, "_FORMS", forms := yaml_forms.Forms())
    monkeypatch.setattr(yaml_forms, "MOST_FORMS", 100)
    for number in range(500):
        list(line_documents(f"a: {number}\n"))

    assert len(forms) <= 100 + 2
