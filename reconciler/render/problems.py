"""Renders problems in files: where, what, and the line with a caret."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

from reconciler.errors import Problem
from reconciler.redact.escape import escape, visible
from reconciler.redact.text import SENSITIVE, mask_sentence, replaced, secret_spans
from reconciler.render.text import Style, count, lines_text, plain

WIDTH = 100  # characters of a source line that are shown
LEAD = 60  # at most so many of them before the column
PLAIN_STYLE = Style()
SHORTEST_SECRET = 3  # characters; a shorter secret would match almost any message


def problems_text(problems: Sequence[Problem], color: bool = False) -> str:
    """Each problem as ``path:line:col: error: message``, its line with a caret under the column, and the number of
    problems; empty if there are none. Without a line end.

    Secrets are masked in the line and where the message repeats them, control characters are escaped, and a long line
    is cut around the column.
    """
    if not problems:
        return ""
    style = Style(color)
    lines = [line for problem in sorted(problems, key=_location) for line in (*problem_lines(problem, style), "")]
    return lines_text([*lines, style.bold(_count(problems))])


def _location(problem: Problem) -> tuple[str, int, int, str]:
    return problem.path, problem.line, problem.col, problem.message


def _count(problems: Sequence[Problem]) -> str:
    errors = sum(problem.severity == "error" for problem in problems)
    counts = {"error": errors, "warning": len(problems) - errors}
    return ", ".join(count(number, severity) for severity, number in counts.items() if number)


def problem_lines(problem: Problem, style: Style = PLAIN_STYLE) -> Iterator[str]:
    """One problem as lines: what is wrong, and the line of the file, if there is one."""
    colour = "red" if problem.severity == "error" else "yellow"
    location = f"{plain(problem.path)}:{problem.line}:{problem.col}:"
    yield f"{style.bold(location)} {style.paint(f'{problem.severity}:', colour, 'bold')} {message_of(problem)}"
    if problem.source_line is not None:
        text, column = _window(*_shown_line(problem.source_line.rstrip("\r\n"), problem.col - 1))
        number = str(problem.line)
        yield f"  {style.paint(f'{number} |', 'cyan')} {text}"
        yield f"  {style.paint(' ' * len(number) + ' |', 'cyan')} {' ' * column}{style.paint('^', colour)}"


def message_of(problem: Problem) -> str:
    """The message, with secrets masked, also those that it quotes from the line."""
    message = mask_sentence(problem.message)
    line = problem.source_line or ""
    for start, end in secret_spans(line):
        written = line[start:end]
        for secret in {written, written.strip("\"'"), written.lstrip("&*!")}:
            if len(secret) >= SHORTEST_SECRET:
                message = message.replace(secret, SENSITIVE)
    return escape(message)


def _shown_line(line: str, column: int) -> tuple[str, int]:
    """The line, masked and escaped, and the index in it of the character at `column` of the original line."""
    spans = secret_spans(line)
    before = [span for span in spans if span[1] <= column]
    around = next((span for span in spans if span[0] < column < span[1]), None)
    start = replaced(line[: around[0] if around else column], before)
    tab_to_space = escape(replaced(line, spans).replace("\t", " "))
    return tab_to_space, len(escape(start.replace("\t", " ")))


def _window(text: str, column: int) -> tuple[str, int]:
    """At most `WIDTH` characters of the text around the column, and the column's distance in cells from their start."""
    first = max(0, column - LEAD) if len(text) > WIDTH else 0
    shown = text[first : first + WIDTH]
    head, tail = "…" if first else "", "…" if first + WIDTH < len(text) else ""
    return head + shown + tail, len(head) + sum(_cells(char) for char in text[first:column])


def _cells(char: str) -> int:
    """How many terminal cells a character takes: two if it is wide, none if it combines with the one before."""
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else len(visible(char))
