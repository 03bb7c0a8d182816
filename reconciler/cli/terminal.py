"""What people see: colour only on a terminal, errors and questions on standard error, everything masked and escaped."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TextIO

import click

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reconciler.errors import Problem


def coloured(stream: TextIO) -> bool:
    """Whether to colour what goes to `stream`: a terminal that can, and no NO_COLOR."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def out(text: str) -> None:
    """Prints the result of a command, ready as it is."""
    click.echo(text.rstrip("\n"), color=True)


def complain(text: str) -> None:
    """Prints a sentence to standard error, with what looks like a secret masked, control characters escaped, and
    nothing in it that a CI runner takes for a command."""
    from reconciler.mask.escape import escape
    from reconciler.mask.text import mask_text
    from reconciler.render.shown import lines_text

    shown = escape(mask_text(text).rstrip("\n"), single_line=False)
    click.echo(lines_text(shown.split("\n")), err=True)


def print_problems(problems: Iterable[Problem]) -> None:
    """Prints what is wrong in files to standard error, each with its place."""
    from reconciler.render.problems import problems_text

    text = problems_text(tuple(problems), color=coloured(sys.stderr))
    if text:
        click.echo(text.rstrip("\n"), err=True, color=True)


def confirmed(question: str) -> bool:
    """Asks on standard error and reads one line: only `yes` is yes. Ctrl-D is no."""
    click.echo(f"\n{question}\n  Only 'yes' will be accepted.\n\n  Enter a value: ", nl=False, err=True)
    answer = sys.stdin.readline().strip()
    click.echo("", err=True)
    return answer == "yes"
