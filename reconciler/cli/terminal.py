"""What people see: colour only on a terminal, errors and questions on standard error, everything masked and escaped."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

import click

from reconciler.errors import ReconcilerError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from reconciler.errors import Problem


class OutputRefused(ReconcilerError):
    """Standard output takes nothing, such as on a full disk."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(f"standard output cannot be written: {cause.strerror or cause}")


@contextmanager
def standard_streams() -> Iterator[None]:
    """Stands in for the standard streams that the caller closed: nothing is read, and what is written is dropped.

    The lowest free descriptor is theirs, so no file that is opened later is taken for one of them.
    """
    with ExitStack() as stack:
        for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
            if getattr(sys, name) is None:
                stack.callback(setattr, sys, name, None)
                setattr(sys, name, stack.enter_context(open(os.devnull, mode, encoding="utf-8")))
        yield


def coloured(stream: TextIO) -> bool:
    """Whether to colour what goes to `stream`: a terminal that can, and no NO_COLOR."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def out(text: str) -> None:
    """Prints the result of a command, ready as it is. Raises `OutputRefused`; `BrokenPipeError` where its reader has
    gone."""
    with _to_output():
        click.echo(text.rstrip("\n"), color=True)


def flush() -> None:
    """Prints what is still held back of the result. Raises as `out` does."""
    with _to_output():
        sys.stdout.flush()


@contextmanager
def _to_output() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputRefused(error) from error


def echo_error(text: str) -> None:
    """Prints a sentence, `harmless`, to standard error. Where that takes nothing, it is not said."""
    with suppress(OSError):
        click.echo(harmless(text.rstrip("\n")), err=True)


def harmless(text: str) -> str:
    """`text` with what looks like a secret masked, control characters escaped, and nothing in it that a CI runner takes
    for a command. Lines stay lines."""
    from reconciler.redact.logs import masked_lines

    return masked_lines(text)


def print_problems(problems: Iterable[Problem]) -> None:
    """Prints what is wrong in files to standard error, each with its place."""
    from reconciler.render.problems import problems_text

    text = problems_text(tuple(problems), color=coloured(sys.stderr))
    with suppress(OSError):
        if text:
            click.echo(text.rstrip("\n"), err=True, color=True)


def confirmed(question: str) -> bool:
    """Asks on standard error and reads one line: only `yes` is yes. Ctrl-D is no, and so is a question that cannot be
    shown."""
    try:
        click.echo(f"\n{question}\n  Only 'yes' will be accepted.\n\n  Enter a value: ", nl=False, err=True)
        answer = sys.stdin.readline().strip()
        click.echo("", err=True)
    except OSError:
        return False
    return answer == "yes"
