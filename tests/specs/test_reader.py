"""Tests the strict reading of YAML and JSON texts."""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.base import Unquoted
from reconciler.specs.parse import A_SPACE_AFTER_THE_COLON, SourceText, find, json_documents, path_text, yaml_documents
from reconciler.specs.yaml_nodes import MOST_EXPANDED, Document, Unreadable
from tests.campaigns import in_one_test

Read = Callable[[str], Iterator[Document]]


def flaws_in(text: str, read: Read = yaml_documents) -> list[str]:
    """Returns every problem of a text, as ``line:col: path: message``."""
    source = SourceText("x.yaml", text)
    lines = []
    try:
        flaws = [flaw for document in read(text) for flaw in document.flaws]
    except Unreadable as error:
        flaws = error.flaws
        lines = ["{}:{}: {}".format(*source.position(error.offset), error.message)]
    for flaw in flaws:
        line, col = source.position(flaw.offset)
        lines.append(f"{line}:{col}: {path_text(flaw.loc)}: {flaw.message}")
    return lines


NULL_MESSAGE = '1:4: a: null is not allowed: remove it, or write "~" in quotes if you mean the string'
RULES = {
    "duplicate key": ("a: 1\nb: {c: 1,\n    c: 2}\n", ["3:5: b: duplicate key c: remove one of them"]),
    "merge key": ("a: &a {x: 1}\nb: {<<: *a}\n", ["2:5: b: merge keys (<<) are not allowed: write the fields out"]),
    "tag on a scalar": ("a: [1, !!str 2]\n", ["1:8: a[1]: tags (!!str) are not allowed: write the value without it"]),
    "tag on a mapping": ("a: !x {b: 1}\n", ["1:4: a: tags (!x) are not allowed: write the value without it"]),
    "tag on a list": ("a: ! [b]\n", ["1:4: a: tags (!) are not allowed: write the value without it"]),
    "null": ("a: ~\n", [NULL_MESSAGE]),
    "empty": ("a:\nb: 1\n", ["1:3: a: has no value: remove it, or add a value"]),
    "empty entry": ("a:\n  - b\n  -\n", ["3:4: a[1]: has no value: remove it, or add a value"]),
    "number as key": ("a: {1: x}\n", ['1:5: a: the key 1 is a number: write "1" in quotes']),
    "boolean as key": ("on: x\n", ['1:1: : the key on is a boolean: write "on" in quotes']),
    "date as key": ("2026-11-22: x\n", ['1:1: : the key 2026-11-22 is a date: write "2026-11-22" in quotes']),
    "null as key": ("~: x\n", ["1:1: : missing key; if ~ is the key, write it in quotes"]),
    "no key": ("?\n: x\n", ["1:2: : missing key"]),
    "mapping as key": (
        "? {a: 1}\n: x\nb: 2\n",
        ["1:3: : a key must be a string, not a mapping or a list; if {{ or [[ begins a text, put it in quotes"],
    ),
    "list as key": (
        "[a, b]: x\n",
        ["1:1: : a key must be a string, not a mapping or a list; if {{ or [[ begins a text, put it in quotes"],
    ),
    "alias as key": ("a: &a b\n*a : c\n", ["2:1: : an alias cannot be a key: write the key instead of *a"]),
    "anchor twice": ("a: &a b\nc: &a d\n", ["2:4: c: the anchor &a is defined twice"]),
    "no such anchor": ("a: *b\n", ["1:4: undefined alias *b: put a text that starts with * in quotes"]),
    "alias of itself": ("a: &a [*a]\n", ["1:8: *a is inside its own anchor: write the value out"]),
    "flaws before the end": (
        "a: ~\nb: *c\n",
        ["2:4: undefined alias *c: put a text that starts with * in quotes", NULL_MESSAGE],
    ),
    "NUL in quotes": ('a: "\\0"\n', ["1:4: a: NUL characters are not allowed"]),
    "NUL in a key": ('"a\\0": 1\n', ["1:1: : NUL characters are not allowed"]),
    "control character": ("a: b\x07\n", ["1:5: the character U+0007 is not allowed in YAML"]),
    "line separator": ("a: b\u2028c\n", ["1:5: the character U+2028 is not allowed in YAML"]),
    "lone surrogate": ("a: \ud800\n", ["1:4: the character U+D800 is not allowed in YAML"]),
    "unclosed quote": (
        "a: 'b\n",
        ["2:1: the file ends inside a quoted string: close it (in the value that starts at line 1)"],
    ),
    "colon in a value": ("a: b: c\n", ["1:5: a second ': ' in this value: put the value in quotes"]),
    "at sign": ("a: @b\n", ["1:4: this character cannot start a value: put the value in quotes"]),
    "tab": ("a:\n\tb: c\n", ["2:1: tab in indentation: use spaces"]),
    "indentation": (
        "a: b\n c: d\n",
        ["2:3: this line continues the value above: indent it like the line above, or put the value in quotes"],
    ),
    "no space after a colon": ("a: b\nc:d\ne: f\n", [f"2:1: this line has no ': ': {A_SPACE_AFTER_THE_COLON}"]),
    "no space after the last colon": ("a: b\nc:d\n", [f"2:1: this line has no ': ': {A_SPACE_AFTER_THE_COLON}"]),
    "an equals sign": ("a = b\nc: d\n", [f"1:1: this line has no ': ': {A_SPACE_AFTER_THE_COLON}"]),
    "merge conflict": (
        "a: b\n<<<<<<< HEAD\nc: d\n=======\nc: e\n>>>>>>> main\n",
        [
            "2:1: git left a merge conflict here: choose one side, and remove the lines <<<<<<<, ======= and >>>>>>>",
        ],
    ),
    "asterisk": ("a: *\n", ["1:5: & and * start an anchor or an alias: put a text that starts with them in quotes"]),
    "text after quotes": (
        'a: "b" c\n',
        ["1:8: text after a closing quote: put the whole value in one pair of quotes"],
    ),
    "brace that closes nothing": ("a: {}}\n", ["1:6: this } closes nothing: remove it, or put the value in quotes"]),
    "text after a block's sign": (
        "a: |b\n",
        ["1:5: text after | or >: start it on the next line, or put it in quotes"],
    ),
    "list on the line of its key": (
        "a: - b\n",
        ["1:4: a list starts on a line of its own: put a text that starts with '- ' in quotes"],
    ),
    "text after a document": (
        "a: b\n...\nc\n",
        ["3:1: expected a new document: write --- on a line of its own before it"],
    ),
    "YAML 2": ("%YAML 2.0\n---\na: 1\n", ["1:1: only YAML 1.1 and 1.2 can be read"]),
    "too deep": ("[" * 65, ["1:65: nested deeper than 64 levels"]),
    "far too deep": ("[" * 100_000, ["1:65: nested deeper than 64 levels"]),
    "a character beyond": ('a: "\\UFFFFFFFF"\n', ["1:7: found invalid Unicode character escape code"]),
}


@in_one_test(("text", "expected"), RULES.values(), ids=RULES)
def test_every_flaw_has_its_location(text, expected):
    """Everything that a text must not contain is reported with its line and column."""
    assert expected == flaws_in(text)


def test_nesting_of_64_is_read():
    """Nesting of exactly 64 levels is read."""
    assert [] == flaws_in("[" * 64 + "]" * 64)


def bomb(levels: int) -> str:
    """Returns lists of nine aliases to lists of nine aliases, and so on."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, levels)]
    return "\n".join(lines) + "\n"


def test_an_alias_bomb_is_counted_and_not_built():
    """Aliases that expand beyond the limit are an error at the first alias that exceeds it."""
    assert [f"5:15: aliases expand to more than {MOST_EXPANDED:,} nodes"] == [
        line for line in flaws_in(bomb(9)) if "expand" in line
    ]
    assert [] == flaws_in(bomb(4))


def test_aliases_count_towards_nesting():
    """The depth of an alias is its own depth plus that of its value."""
    # a list with 40 levels, and an alias to it, 30 levels further down
    text = f"a: &a {'[' * 40}{']' * 40}\nb: {'[' * 30}*a{']' * 30}\n"
    # this is too deep; 23 levels further down, it is not
    assert ["2:34: *a nests deeper than 64 levels"] == flaws_in(text)
    assert [] == flaws_in(f"a: &a {'[' * 40}{']' * 40}\nb: {'[' * 23}*a{']' * 23}\n")


def test_an_alias_is_located_at_its_anchor():
    """An alias has the value and the location of its anchor."""
    (document,) = yaml_documents("a: &a {x: [1]}\nb: *a\n&k c: *k\n")
    assert {"a": {"x": [1]}, "b": {"x": [1]}, "c": "c"} == document.value
    assert find(document, ("a", "x", 0)) == find(document, ("b", "x", 0))._replace(loc=("a", "x", 0))


def test_documents_are_independent():
    """Anchors, flaws and locations in one document do not affect the next one."""
    first, second = yaml_documents("a: &x 1\na: 2\n---\na: &x 3\nb: *x\n")
    assert 1 == len(first.flaws)
    assert [] == second.flaws
    assert {"a": 3, "b": 3} == second.value


def test_the_whole_value_of_a_duplicate_key_is_dropped():
    """The whole value of a duplicate key is dropped, and reading continues after it."""
    (document,) = yaml_documents("a: 1\na: {b: [c, {d: e}]}\nf: 2\n")
    assert {"a": 1, "f": 2} == document.value


def test_values_keep_their_text():
    """Plain scalars have the type that they appear to have; quoted and block scalars are strings."""
    (document,) = yaml_documents("a: [1, true, on, 'on', \"1\", 1.50, |\n  x\n  ]\n".replace(", |\n  x\n  ", ""))
    assert [1, True, Unquoted("on"), "on", "1", 1.5] == document.value["a"]


JSON_RULES = {
    "duplicate key": ('{"a": 1,\n "a": 2}', ["2:2: : duplicate key a: remove one of them"]),
    "null": (
        '{"a": null}',
        ['1:7: a: null is not allowed: remove it, or write "null" in quotes if you mean the string'],
    ),
    "NaN": ('{"a": "NaN", "b":\n NaN}', ["2:2: NaN is not JSON"]),
    "trailing": ('{"a": 1} x', ["1:10: not JSON: extra data"]),
    "trailing comma": ('{"a": 1,}', None),
    "comment": ('{"a": 1 // x\n}', ["1:9: not JSON: JSON has no comments"]),
    "empty": ("", ["1:1: not JSON: expecting value"]),
    "half a pair": ('{"a": "\\ud83d"}', ["1:7: half of a surrogate pair is not a character"]),
    "far too deep": ("[" * 100_000, ["1:1: nested deeper than 64 levels"]),
    "too deep": ("[" * 65 + "]" * 65, ["1:65: nested deeper than 64 levels"]),
    "NUL": ('{"a": "\\u0000"}', ["1:7: a: NUL characters are not allowed"]),
}


@in_one_test(("text", "expected"), JSON_RULES.values(), ids=JSON_RULES)
def test_json_is_strictly_json(text, expected):
    """A JSON file must be strict JSON, and every error has its location."""
    flaws = flaws_in(text, json_documents)
    assert flaws == expected if expected is not None else flaws


def test_json_values_are_read_exactly():
    """Surrogate pairs, escapes, tabs between tokens, very long keys and integers are read as JSON defines them."""
    text = '{"a":\t"\\ud83d\\ude00 \\/ \\u00e9 \\u2028",\n"' + "k" * 2000 + '": [' + "9" * 99 + ", -1, 0.50, true]}"
    (document,) = json_documents(text)
    assert "😀 / é \u2028" == document.value["a"]
    assert [int("9" * 99), -1, 0.5, True] == document.value["k" * 2000]
    assert text.index("0.50") == find(document, ("k" * 2000, 2)).offset


def test_a_huge_integer_is_no_crash():
    """An integer longer than Python's limit is read as text, so that the field refuses it."""
    (document,) = json_documents('{"a": ' + "9" * 5000 + "}")
    assert Unquoted("9" * 5000) == document.value["a"]
    (document,) = yaml_documents("a: " + "9" * 5000)
    assert Unquoted("9" * 5000) == document.value["a"]


@given(st.text(alphabet=st.sampled_from("ab:-?[]{},&*!|>'\"%@#~<\n\t \\0123.\u00e9\U0001f600$/"), max_size=60))
def test_any_text_is_read_or_refused(text):
    """Any text is either read or raises `Unreadable`."""
    flaws_in(text)
    flaws_in(text, json_documents)


@given(st.text(max_size=30))
def test_any_characters_are_read_or_refused(text):
    """Any sequence of characters is either read or raises `Unreadable`."""
    flaws_in(text)
    flaws_in(text, json_documents)


def test_positions_follow_editors():
    """Lines end at a newline, a carriage return or both; columns are counted in characters."""
    source = SourceText("x", "é\r\nb\rc\nd")
    assert [(1, 1), (1, 2), (2, 1), (3, 1), (4, 1)] == [source.position(i) for i in (0, 1, 3, 5, 7)]
    assert ["é", "b", "c", "d", None] == [source.line(i) for i in (1, 2, 3, 4, 5)]


TABS = {
    "key": ("spec:\n\trequest: x\n", "2:1: tab in indentation: use spaces"),
    "after spaces": ("a:\n  - b: 1\n  \t c: 2\n", "3:3: tab in indentation: use spaces"),
    "list": ("a:\n\t- b\n", "2:1: tab in indentation: use spaces"),
    "block": ("a: |\n\techo\n", "2:1: tab in indentation: use spaces"),
    "continued text": ("a:\n  b: foo\n\tbar\n", "3:1: tab in indentation: use spaces"),
    "after a dash": ("a:\n-\tb: 1\n", "2:2: tab in indentation: use spaces"),
    "alone on a line": ("a:\n\n\t\n  b: 1\n", "3:1: tab in indentation: use spaces"),
    "several": ("a:\n\tb: 1\n\tc: 2\nd:\n \te: 3\n", "2:1: tab in indentation: use spaces (also in lines 3, 5)"),
}


@in_one_test(("text", "expected"), TABS.values(), ids=TABS)
def test_tabs_in_indentation_are_named(text, expected):
    """A tab in the indentation is reported at its location, together with the other lines that contain one."""
    assert [expected] == flaws_in(text)


@pytest.mark.parametrize("text", ["a:\tb\n", "a: {x: 1,\n\tz: 2}\n", "a: b \t# c\n", "a: 'x\n\ty'\n"])
def test_tabs_elsewhere_are_allowed(text):
    """Tabs between words, and at the start of lines in flow mappings and quoted strings, are allowed."""
    assert [] == flaws_in(text)


def test_other_spaces_in_indentation_are_named():
    """A no-break space, as in text copied from web pages, does not count as indentation."""
    assert (
        flaws_in("a:\n\u00a0\u00a0b: c\n")[1]
        == "2:1: : the character U+00A0 in the indentation is not a space: use spaces"
    )


def test_another_error_on_a_line_with_a_tab_is_named():
    """On a line that may start with a tab, another error is still reported."""
    assert "tab" not in flaws_in("a: {x: 1,\n\ty: 2 z: 3}\n")[0]


NOT_JSON = {
    "line break": ('{"a": "b\nc"}', r"1:9: not JSON: a line break inside a string: write \n"),
    "CRLF": ('{"a": "b\r\nc"}', r"1:9: not JSON: a line break inside a string: write \n"),
    "tab": ('{"a": "b\tc"}', r"1:9: not JSON: a tab inside a string: write \t"),
    "escape": ('{"a": "b\x1bc"}', r"1:9: not JSON: a control character inside a string: write \u001b"),
    "comma": ('{"a": 1,}', "1:8: not JSON: a comma before }: remove it"),
    "comma in a list": ('{"a": [1,\n]}', "1:9: not JSON: a comma before ]: remove it"),
    "quotes": ("{'a': 1}", "1:2: not JSON: strings and keys are in double quotes"),
    "Python": ('{"a": True}', "1:7: not JSON: write true"),
    "comment": ("# x\n{}", "1:1: not JSON: JSON has no comments"),
}


@in_one_test(("text", "expected"), NOT_JSON.values(), ids=NOT_JSON)
def test_what_people_write_that_is_not_json(text, expected):
    """For the usual mistakes in JSON, the message explains what to write instead."""
    assert [expected] == flaws_in(text, json_documents)
