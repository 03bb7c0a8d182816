"""Tests how problems in files are rendered."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.plan import ActionType, Reason
from reconciler.core.suggestions import Invocation, retry
from reconciler.errors import Problem
from reconciler.render.problems import annotation_lines, held_problems, problems_text
from tests.render.golden_files import check
from tests.render.samples import action, plan

LINE = "  executionRoleArn: arn:aws:iam::444455556666:role/emr-jobs"


def test_problems_read_well():
    """Errors and warnings in several files are sorted and counted, each with its line and a caret."""
    problems = [
        Problem(
            "orders.yaml", 12, 3, "unknown field `executionRolArn`: did you mean `executionRoleArn`?", source_line=LINE
        ),
        Problem("a/b.yaml", 3, 13, "must be a string, not 'hunter2x'", source_line="  password: hunter2x"),
        Problem("a/b.yaml", 2, 9, "looks like a secret", severity="warning", source_line="  日本:\tvalue"),
        Problem("a/b.yaml", 5, 301, "too long", source_line="  x: " + "word " * 100),
        Problem("a/c.yaml", 1, 1, "cannot be read: permission denied"),
        Problem("a/d.yaml", 1, 80, "past the end", source_line="short"),
    ]
    check("problems.txt", problems_text(problems))


def test_no_problems_give_no_text():
    """Without problems, the text is empty."""
    assert problems_text([]) == ""


def test_colour_adds_nothing_but_colour():
    """Without its colour codes, the coloured text equals the plain one."""
    problems = [Problem("x", 1, 1, "m", source_line="l"), Problem("x", 1, 1, "m", severity="warning")]
    assert re.sub(r"\x1b\[[0-9;]*m", "", problems_text(problems, color=True)) == problems_text(problems)
    assert problems_text(problems).splitlines()[-1] == "1 error, 1 warning"


def test_a_runner_takes_no_command_from_a_problem():
    """File names, messages and lines from a pull request cannot be commands to the CI runner that prints them."""
    evil = "::error::x ##[error]y\x1b[2J\u202e\r"
    text = problems_text([Problem(evil, 1, 5, evil, source_line=evil)])
    assert all(line.isprintable() for line in text.split("\n"))
    assert not any(line.lstrip().startswith("::") for line in text.split("\n"))
    assert "##[" not in text


def test_a_secret_is_masked_in_the_line_and_in_the_message():
    """The secret is also masked in the message, because messages often quote the wrong value."""
    line = "- {name: DB_PASSWORD, value: hunter2x, x: 1}"
    text = problems_text([Problem("x", 1, 40, "'hunter2x' is not allowed", source_line=line)])
    assert "hunter2x" not in text
    assert "'(sensitive)' is not allowed" in text


def caret(text: str) -> tuple[str, str]:
    """Returns the character above the caret, and the line."""
    lines = text.split("\n")
    return lines[1][lines[2].index("^")], lines[1]


def test_the_caret_is_under_the_column():
    """The caret is at the right position after a masked secret, inside one, and in a long line that is truncated."""
    line = "{password: hunter2, x: 1}"
    assert caret(problems_text([Problem("x", 1, line.index("x:") + 1, "m", source_line=line)]))[0] == "x"
    within = caret(problems_text([Problem("x", 1, line.index("nter2") + 1, "m", source_line=line)]))
    assert within == ("(", "  1 | {password: (sensitive), x: 1}")
    long = "a" * 500 + "X" + "b" * 500
    char, shown = caret(problems_text([Problem("x", 1, 501, "m", source_line=long)]))
    assert char == "X"
    assert len(shown) < 120


@given(st.text(max_size=300), st.integers(1, 320), st.text(max_size=30))
def test_any_line_and_column_can_be_shown(line, column, message):
    """Any problem is shown as three printable lines and a count."""
    lines = problems_text([Problem("x.yaml", 1, column, message, source_line=line)]).split("\n")
    assert len(lines) == 5
    assert all(shown.isprintable() for shown in lines)
    assert lines[2].endswith("^")


def test_annotations_are_commands_that_nothing_in_them_ends():
    """Line ends, percent signs and separators are encoded in the form that GitHub decodes; secrets are masked."""
    wrong = Problem("a,b:c%.yaml", 3, 5, "100% of\npassword=hunter2 ::error::x", severity="warning")

    [line] = annotation_lines([wrong], "jobs/")

    assert line == (
        "::warning file=jobs/a%2Cb%3Ac%25.yaml,line=3,col=5::100%25 of\\npassword=(sensitive) ::error::x"
    )  # fmt: skip


def test_a_hold_is_annotated_with_the_commands_that_resolve_it():
    """The annotation is on the line of the spec. A removed spec has no annotation."""
    held = {"action": ActionType.HOLD, "reason": Reason.REJECTED, "message": "AWS rejected generation 1"}
    commands = retry("a", None, Invocation("prod"))
    whole = plan(action("a", **held, suggested=commands), action("b", **held, source=None))

    assert [str(problem) for problem in held_problems(whole)] == [
        "a.yaml:1:1: a is on hold: rejected (generation 1): AWS rejected generation 1. "
        'To resolve it, run reconciler retry a -t prod --reason "..."'
    ]
