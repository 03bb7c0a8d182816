"""Renders problems in files as text, with their location, message and source line with a caret, or as annotations for
GitHub."""

import unicodedata
from collections.abc import Iterator, Sequence

from reconciler.core.plan import Action, ActionResult, Plan
from reconciler.errors import Problem
from reconciler.model.base import JSON
from reconciler.redact.escape import escape, lines_text, visible
from reconciler.redact.text import SENSITIVE, mask_sentence, replaced, secret_spans
from reconciler.render.plan_phrases import what_happens
from reconciler.render.text import Style, count, plain

WIDTH = 100  # characters of a source line that are shown
LEAD = 60  # the maximum number of characters before the column
PLAIN_STYLE = Style()
SHORTEST_SECRET = 3  # a shorter secret would match in almost any message


def problems_text(problems: Sequence[Problem], color: bool = False) -> str:
    """Returns each problem as ``path:line:col: error: message``, its line with a caret under the column, and the number
    of problems. Returns an empty string if there are no problems. There is no final line break.

    Secrets are masked in the line, and in the message if it repeats them. Control characters are escaped, and only the
    part of a long line around the column is shown.
    """
    if not problems:
        return ""
    style = Style(color)
    lines = [line for problem in sorted(problems, key=Problem.order) for line in (*problem_lines(problem, style), "")]
    return lines_text([*lines, style.bold(_count(problems))])


def _count(problems: Sequence[Problem]) -> str:
    errors = sum(problem.severity == "error" for problem in problems)
    counts = {"error": errors, "warning": len(problems) - errors}
    return ", ".join(count(number, severity) for severity, number in counts.items() if number)


def problem_lines(problem: Problem, style: Style = PLAIN_STYLE) -> Iterator[str]:
    """Yields a problem as lines: the message, and the line of the file, if the problem has one."""
    colour = "red" if problem.severity == "error" else "yellow"
    location = f"{plain(problem.path)}:{problem.line}:{problem.col}:"
    yield f"{style.bold(location)} {style.paint(f'{problem.severity}:', colour, 'bold')} {message_of(problem)}"
    if problem.source_line is not None:
        text, column = _window(*_shown_line(problem.source_line.rstrip("\r\n"), problem.col - 1))
        number = str(problem.line)
        yield f"  {style.paint(f'{number} |', 'cyan')} {text}"
        yield f"  {style.paint(' ' * len(number) + ' |', 'cyan')} {' ' * column}{style.paint('^', colour)}"


def message_of(problem: Problem) -> str:
    """Returns the message with secrets masked, including secrets that it quotes from the line."""
    message = mask_sentence(problem.message)
    line = problem.source_line or ""
    for start, end in secret_spans(line):
        written = line[start:end]
        for secret in {written, written.strip("\"'"), written.lstrip("&*!")}:
            if len(secret) >= SHORTEST_SECRET:
                message = message.replace(secret, SENSITIVE)
    return escape(message)


def problems_json(specs: Sequence[tuple[str, str, int]], problems: Sequence[Problem]) -> JSON:
    """Returns whether there are no errors, the name, path and first line of each spec, and the problems. Secrets in
    messages are masked."""
    keys = ("path", "line", "col", "severity", "message", "rule")
    return {
        "valid": all(problem.severity != "error" for problem in problems),
        "specs": [{"name": name, "path": path, "line": line} for name, path, line in sorted(specs)],
        "problems": [
            {key: getattr(problem, key) for key in keys} | {"message": message_of(problem)}
            for problem in sorted(problems, key=Problem.order)
        ],
    }


def _shown_line(line: str, column: int) -> tuple[str, int]:
    """Returns the masked and escaped line, and the index in it of the character that is at `column` in the original
    line."""
    spans = secret_spans(line)
    before = [span for span in spans if span[1] <= column]
    around = next((span for span in spans if span[0] < column < span[1]), None)
    start = replaced(line[: around[0] if around else column], before)
    tab_to_space = escape(replaced(line, spans).replace("\t", " "))
    return tab_to_space, len(escape(start.replace("\t", " ")))


def _window(text: str, column: int) -> tuple[str, int]:
    """Returns at most `WIDTH` characters of the text around the column, and the distance in terminal cells from the
    first of these characters to the column."""
    first = max(0, column - LEAD) if len(text) > WIDTH else 0
    shown = text[first : first + WIDTH]
    head, tail = "…" if first else "", "…" if first + WIDTH < len(text) else ""
    return head + shown + tail, len(head) + sum(_cells(char) for char in text[first:column])


def _cells(char: str) -> int:
    """Returns how many terminal cells a character occupies: two if it is wide, none if it combines with the previous
    character."""
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else len(visible(char))


def annotation_lines(problems: Sequence[Problem], folder: str = "") -> list[str]:
    """Returns a workflow command for each problem, with which GitHub shows the problem next to the line of the file.

    `folder` is the path of the project in the repository, empty or ending with a slash. Secrets are masked.
    """
    return [
        f"::{problem.severity} file={_property(folder + problem.path)},line={problem.line},col={problem.col}"
        f"::{_data(message_of(problem))}"
        for problem in problems
    ]


def _data(text: str) -> str:
    """Escapes a value in a workflow command. GitHub decodes only these escape sequences."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(escape(text)).replace(":", "%3A").replace(",", "%2C")


def held_problems(plan: Plan) -> list[Problem]:
    """Returns a warning for each action that needs an operator, located at its spec, with the commands that resolve
    it."""
    return [
        Problem(action.source.path, action.source.line, 1, _held_message(action), "held", "warning")
        for action in plan.held
        if action.source is not None
    ]


def _held_message(action: Action) -> str:
    what = f"{action.name} {what_happens(action)}" + (f": {action.message}" if action.message else "")
    commands = " or ".join(action.suggested.commands) if action.suggested else ""
    return f"{what}. To resolve it, run {commands}" if commands else what


def unsuccessful_problems(plan: Plan, results: Sequence[ActionResult]) -> list[Problem]:
    """Returns an error for each action that AWS rejected or that did not reach AWS, located at its spec. `results` are
    in the order of the plan's actions."""
    return [
        Problem(action.source.path, action.source.line, 1, f"{action.name}: {result.outcome}: {result.error}", "result")
        for action, result in zip(plan.actions, results, strict=True)
        if action.source is not None and result.error is not None
    ]
