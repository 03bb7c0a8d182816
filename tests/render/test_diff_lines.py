"""Tests how changed fields are rendered as lines of a diff."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core.plan import Change
from reconciler.render.diff_lines import MOST_LINES, WIDTH, added_lines, change_lines

SQL = "SELECT a\n     , b\nFROM t\nWHERE day = '1'\n  AND x\nORDER BY a\n"


def changed(before: object, after: object, path: str = "field") -> list[str]:
    """Returns the lines of a changed value."""
    return change_lines(Change(path, "change", before, after))


def test_each_line_of_a_change_begins_with_its_sign():
    """Lines of removed values start with `-` and lines of new values with `+`. If only the order changed, both orders
    are shown."""
    assert changed("4g", "8g") == ['- field: "4g"', '+ field: "8g"']
    assert changed("1", 1) == ['- field: "1"', "+ field: 1"]
    assert change_lines(Change("a", "add", None, [1])) == ["+ a: [1]"]
    assert change_lines(Change("a", "remove", {}, None)) == ["- a: {}"]
    reorder = change_lines(Change("a", "reorder", ["x", "y"], ["y", "x"]))
    assert reorder == ["  a: order changed", '- a: ["x", "y"]', '+ a: ["y", "x"]']


def test_secrets_are_masked_on_both_sides():
    """Secrets are recognized by the name of the field, within a text, and in a path."""
    assert changed("hunter2", "hunter3", "db.password") == [
        "- db.password: (sensitive)",
        "+ db.password: (sensitive, changed)",
    ]
    script = "curl --password hunter2 x\necho a\n"
    lines = changed(script, script.replace("echo a", "echo b"))
    assert lines == [
        "  field: 2 lines -> 2 lines", "      curl --password (sensitive) x", "-     echo a", "+     echo b"
    ]  # fmt: skip


def test_a_text_of_several_lines_is_compared_line_by_line():
    """Only the differing lines are shown, with two lines of context around them."""
    after = SQL.replace("'1'", "'2'").removesuffix("\n") + "\nLIMIT 1"
    assert changed(SQL * 3, SQL * 3 + SQL.replace("x", "y"))[:4] == [
        "  field: 18 lines -> 24 lines", "      …", "        AND x", "      ORDER BY a"
    ]  # fmt: skip
    assert changed(SQL, after) == [
        "  field: 6 lines -> 7 lines, without a line end",
        "      …",
        "           , b",
        "      FROM t",
        "-     WHERE day = '1'",
        "+     WHERE day = '2'",
        "        AND x",
        "      ORDER BY a",
        "+     LIMIT 1",
    ]


def test_a_changed_line_end_is_shown():
    """A changed line end is shown even if it is the only difference."""
    assert changed("a\nb\n", "a\nb") == ["- field: 2 lines", "+ field: 2 lines, without a line end"]
    assert changed("a\n", "a") == ['- field: "a\\n"', '+ field: "a"']


def test_a_long_value_on_one_line_is_compared_part_by_part():
    """For a comma-separated list of files, only the changed file and both lengths are shown."""
    before = ",".join(f"s3://bucket/jars/library-{at}.jar" for at in range(40))
    assert changed(before, before.replace("library-7.", "library-8.")) == [
        "  field: 1,269 characters -> 1,269 characters",
        "      …",
        "      s3://bucket/jars/library-5.jar,",
        "      s3://bucket/jars/library-6.jar,",
        "-     s3://bucket/jars/library-7.jar,",
        "+     s3://bucket/jars/library-8.jar,",
        "      s3://bucket/jars/library-8.jar,",
        "      s3://bucket/jars/library-9.jar,",
        "      …",
    ]


def test_new_values_are_wrapped_and_say_how_long_they_are():
    """Every line of a list, of a script in a list, and of a long text starts with the sign."""
    assert added_lines("command", ["bash", "-c", "set -e\nrun\n", "x" * 150]) == [
        "+ command: [",
        '+     "bash",',
        '+     "-c",',
        "+     2 lines:",
        "+         set -e",
        "+         run",
        "+     152 characters:",
        '+         "' + "x" * 99,
        "+         " + "x" * 51 + '",',
        "+   ]",
    ]
    assert added_lines("a", "word " * 30)[:2] == ["+ a: 152 characters:", '+     "' + "word " * 19]


def test_a_value_that_is_too_long_is_cut_with_its_length():
    """The number of omitted lines is shown."""
    lines = added_lines("a", "0123456789" * 5_000)
    assert lines[0] == "+ a: 50,002 characters:"
    assert len(lines) == MOST_LINES + 2
    assert lines[-1] == "+     … 441 more lines (44,002 characters) not shown"
    changes = changed("\n".join(f"a{at}" for at in range(3_000)), "\n".join(f"b{at}" for at in range(3_000)))
    assert [line for line in changes if "…" in line] == [
        "-     … 2980 more lines (13,840 characters) not shown",
        "+     … 2980 more lines (13,840 characters) not shown",
    ]


@given(st.text(max_size=300), st.text(max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_two_values_differ_in_a_line(before, after):
    """Any two different values lead to a removed or an added line, and every line is short enough and printable."""
    lines = changed(before, after)
    assert before == after or any(line.startswith(("- ", "+ ")) for line in lines)
    assert all(line.isprintable() for line in lines)
    assert all(len(line) <= 12 * WIDTH for line in lines)
