"""Tests columns that are aligned and fit the terminal."""

from __future__ import annotations

import os
import subprocess
import sys

from reconciler.core.times import parse_time
from reconciler.render.status import rows, status_text
from reconciler.render.text import Style, columns
from tests.builders import recorded
from tests.render.samples import NOW, every_kind_of_action

ROWS = [("name", "what"), ("[bold]orders[/bold]", "a :smile: sentence of many words that is wider than the terminal")]


def test_columns_are_aligned_without_a_terminal():
    """Without a terminal, each row is one line of any length without trailing spaces."""
    assert columns([("a", "b", ""), ("longer", "c", "d")]) == ["a       b", "longer  c  d"]
    assert columns(ROWS)[1] == "  ".join(ROWS[1])
    assert columns([]) == []


def test_colours_take_no_space():
    """A coloured cell is as wide as its text."""
    red = Style(color=True).paint("a", "red")
    assert columns([(red, "b"), ("long", "c")]) == [f"{red}     b", "long  c"]


def test_columns_fold_to_fit_the_terminal():
    """No line is wider than the terminal, no text is lost, and names are interpreted neither as markup nor as emoji."""
    lines = columns(ROWS, 60)
    assert max(map(len, lines)) <= 60
    assert "".join("".join(lines).split()) == "".join("".join("".join(row) for row in ROWS).split())
    assert lines[1].startswith("[bold]orders[/bold]  a :smile:")
    assert columns(ROWS, 200) == columns(ROWS)


def test_names_fold_too_on_a_very_narrow_terminal():
    """If the last column would become too narrow, all columns share the width."""
    lines = columns(ROWS, 20)
    assert max(map(len, lines)) <= 20
    assert sorted("".join(lines).replace(" ", "")) == sorted("".join(map("".join, ROWS)).replace(" ", ""))


def test_folded_columns_keep_their_colours(monkeypatch):
    """The caller decides about colours, so variables such as NO_COLOR have no effect here."""
    for name, value in (("NO_COLOR", "1"), ("COLUMNS", "10"), ("TERM", "dumb")):
        monkeypatch.setenv(name, value)
    painted = columns([[Style(color=True).paint(cell, "red") for cell in row] for row in ROWS], 40)
    assert "\x1b[31m" in painted[0]
    assert not any("\x1b" in line for line in columns(ROWS, 40))


def test_a_status_fits_the_terminal():
    """The table is wrapped, but the commands below it are not, so that they can be pasted."""
    table = rows(every_kind_of_action(), recorded())
    text = status_text(table, parse_time(NOW), width=80)
    head, *_ = text.split("\n\n")
    assert max(map(len, head.split("\n"))) <= 80
    assert '  reconciler resolve settling --abandon -t prod --reason "..."' in text.split("\n")
    assert status_text(table, parse_time(NOW), width=1000) == status_text(table, parse_time(NOW))


def test_rich_is_only_loaded_to_fold():
    """Output to a pipe, and output that fits the terminal, does not import rich, whose import takes a third of a
    second."""
    program = (
        "import sys\nfrom reconciler.render.text import columns\ncolumns([('a', 'b')])\ncolumns([('a', 'b')], 80)\n"
    )
    program += "sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False, env=dict(os.environ)).returncode == 0
