"""Standard output and standard error: colour, confirmation, progress and log lines. Errors are masked and escaped."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from reconciler.errors import ReconcilerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from reconciler.app.options import CommandOptions
    from reconciler.core.plan import Action, ActionResult
    from reconciler.errors import Problem
    from reconciler.model.base import JSON


AT_ONCE = 1 << 16  # characters written in one call


class OutputRefused(ReconcilerError):
    """Raised if standard output cannot be written, for example because the disk is full."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(f"standard output cannot be written: {cause.strerror or cause}")


@contextmanager
def standard_streams() -> Iterator[None]:
    """Makes the three standard streams usable. If the caller has closed a stream, it is replaced: standard input with
    an empty stream, standard error with one that discards its input, and standard output with one that cannot be
    written, so that the result of a command is never lost without an error.

    A character that the terminal cannot show is escaped instead of raising an error.
    """
    with ExitStack() as stack:
        read, write = os.O_RDONLY, os.O_WRONLY
        for name, mode, flags in (("stdin", "r", read), ("stdout", "w", read), ("stderr", "w", write)):
            if getattr(sys, name) is None:
                stack.callback(setattr, sys, name, None)
                # This takes the lowest free descriptor, so that no file that is opened later becomes a standard stream.
                descriptor = os.open(os.devnull, flags)
                setattr(sys, name, stack.enter_context(open(descriptor, mode, encoding="utf-8")))
        for stream in (sys.stdout, sys.stderr):
            reconfigure = getattr(stream, "reconfigure", None)
            if reconfigure is not None:
                reconfigure(errors="backslashreplace")
        yield


def coloured(stream: TextIO | None = None) -> bool:
    """Returns whether to colour `stream` (by default standard output): only on a terminal that supports colours, and if
    NO_COLOR is not set."""
    stream = stream or sys.stdout
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def terminal_width() -> int | None:
    """Returns the width of a line on standard output. Returns `None`, so that lines are never folded, if standard
    output is not a terminal."""
    import shutil

    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def out(text: str, *, raw: bool = False) -> None:
    """Prints the result of a command. Raises `OutputRefused`, or `BrokenPipeError` if the reader has closed the pipe.

    Lines are escaped so that no CI runner interprets them as commands. JSON keeps its value. With `raw`, prints the
    text unchanged.
    """
    with _refusal_as_error():
        # `coloured` decides about colours. Without `color`, click would also remove the codes in raw text.
        click.echo(text if raw else inert_text(text), color=True)


def inert_text(text: str) -> str:
    """Returns text without final line breaks, in which no line is a command to a CI runner."""
    from reconciler.redact.escape import lines_text

    return lines_text(text.rstrip("\n").split("\n"))


def out_parts(parts: Iterable[str]) -> None:
    """Prints the result of a command while it is generated, so that it is never completely in memory. No line in the
    parts may be a command to a CI runner. Raises the errors of `out`."""
    waiting, size = list[str](), 0
    with _refusal_as_error():
        for part in parts:
            waiting.append(part)
            size += len(part)
            if size > AT_ONCE:
                click.echo("".join(waiting), nl=False, color=True)
                waiting, size = [], 0
        click.echo("".join(waiting), color=True)


def out_json(form: JSON) -> None:
    """Prints the JSON object of a command. Raises the errors of `out`."""
    from reconciler.render.json_text import dumped

    out_parts(dumped(form))


@contextmanager
def _refusal_as_error() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputRefused(error) from error


def echo_error(text: str) -> None:
    """Prints `text` to standard error in its `harmless` form. Prints nothing if standard error cannot be written."""
    with suppress(OSError):
        click.echo(harmless(text.rstrip("\n")), err=True)


def harmless(text: str) -> str:
    """Masks text that looks like a secret, and escapes control characters and the commands of CI runners. Line breaks
    are kept."""
    from reconciler.redact.text import masked_lines

    return masked_lines(text)


def print_problems(problems: Iterable[Problem]) -> None:
    """Prints the problems of files to standard error, each with its location."""
    from reconciler.render.problems import problems_text

    text = problems_text(tuple(problems), color=coloured(sys.stderr))
    with suppress(OSError):
        if text:
            click.echo(text.rstrip("\n"), err=True, color=True)


def shows_annotations() -> bool:
    """Returns whether the CI runner shows annotations next to the code."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def annotate(problems: Sequence[Problem], options: CommandOptions) -> None:
    """Prints problems in files as annotations, if the CI runner shows annotations next to the code."""
    if not problems or not shows_annotations():
        return
    from reconciler.render.problems import annotation_lines

    # To standard error, which the runner also reads, because programs may parse standard output.
    with suppress(OSError):
        click.echo("\n".join(annotation_lines(problems, project_folder(options))), err=True)


def project_folder(options: CommandOptions) -> str:
    """Returns the path of the project in its repository, according to the CI environment. It is empty or ends with a
    slash."""
    from reconciler.app.ci import folder_in_repository
    from reconciler.specs.project import find_root

    return folder_in_repository(find_root(options.directory, Path.cwd()), os.environ)


def confirm(question: str, *, command: str, refused: str, shown: str | None = None) -> bool:
    """Asks for confirmation on the terminal. If the answer is no, prints ``COMMAND cancelled; nothing was REFUSED.``

    First prints `shown`: the decision, if standard output is read by a program. Raises `ReconcilerError` if there is no
    terminal.
    """
    if not sys.stdin.isatty():
        raise ReconcilerError(f"not a terminal; nothing was {refused}. Use --yes to skip confirmation")
    if shown is not None:
        echo_error(shown)
    if ask(question):
        return True
    echo_error(f"{command} cancelled; nothing was {refused}.")
    return False


def ask(question: str) -> bool:
    """Asks on standard error and reads one line. Only `yes` means yes. If the question cannot be shown, the answer
    counts as no."""
    try:
        click.echo(f"\n{question}\n  Only 'yes' will be accepted.\n\n  Enter a value: ", nl=False, err=True)
        answer = sys.stdin.readline().strip()
        click.echo("", err=True)
    except OSError:
        return False
    return answer == "yes"


@contextmanager
def progress(total: int) -> Iterator[Callable[[Action, ActionResult], None] | None]:
    """On a terminal, shows a progress bar and a line for each action. Yields the function to call when an action ends,
    or `None` without a terminal."""
    if not sys.stderr.isatty() or total == 0:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.text import Text

    from reconciler.redact.escape import escape, inert

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Applying", total=total)

        def ended(action: Action, result: ActionResult) -> None:
            run = f" {result.run_id}" if result.run_id else ""
            # As `Text`, so that "[bold]" in a name is not markup.
            bar.console.print(Text(inert(escape(f"{action.name}: {result.outcome}{run}"))))
            bar.advance(task)

        yield ended


LIBRARIES = ("boto3", "botocore", "urllib3", "s3transfer", "werkzeug", "py.warnings")
LIBRARY_LEVELS = {2: logging.WARNING, 3: logging.INFO}
"""The log levels of libraries, by the number of -v's. With fewer than two, libraries do not log. The level is never
DEBUG, because botocore would log the bodies of requests."""
SILENT = logging.CRITICAL + 1

TRACEBACK_FROM = 2
"""The minimum number of -v's with which tracebacks are printed."""


def start_logging(verbose: int) -> None:
    """Sends masked log lines to standard error: our warnings with no -v, INFO with one, and DEBUG with two.

    From two on, libraries log too, and errors are printed with tracebacks. Below two, an operator sees one sentence for
    each error.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(Masking(tracebacks=verbose >= TRACEBACK_FROM))
    libraries = LIBRARY_LEVELS.get(min(verbose, max(LIBRARY_LEVELS)), SILENT)
    ours = {0: logging.WARNING, 1: logging.INFO}.get(verbose, logging.DEBUG)
    for name, level in {"reconciler": ours, **dict.fromkeys(LIBRARIES, libraries)}.items():
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)
    # This also applies to other libraries and to Python's own messages, such as a traceback if a line cannot be
    # written.
    logging.lastResort = None if libraries == SILENT else handler
    logging.raiseExceptions = verbose >= TRACEBACK_FROM
    logging.captureWarnings(True)


class Masking(logging.Filter):
    """Masks every record with `redact.text.mask_record`, which is imported when the first record arrives, because most
    commands log nothing. It is added to handlers, because a filter on a logger does not receive the records of its
    child loggers."""

    def __init__(self, *, tracebacks: bool) -> None:
        super().__init__()
        self._tracebacks = tracebacks

    def filter(self, record: logging.LogRecord) -> bool:
        """Masks the message, and the traceback and the stack that would be printed after it."""
        from reconciler.redact.text import mask_record

        mask_record(record, tracebacks=self._tracebacks)
        return True


def log_as_json() -> None:
    """Switches log lines to JSON."""
    for handler in logging.getLogger("reconciler").handlers:
        handler.setFormatter(JsonLines())


class JsonLines(logging.Formatter):
    """A log formatter that formats each record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the record as a line of JSON."""
        more = {"exception": record.exc_text} if record.exc_text else {}
        return json_line(record.getMessage(), {"logger": record.name, **more}, record.levelname.lower(), record.created)


def json_line(message: str, fields: Mapping[str, object], level: str = "info", at: float | None = None) -> str:
    """Returns a log line as JSON: ``time`` (UTC), ``level``, ``message`` and `fields`. `at` is in seconds since the
    epoch; `None` means now."""
    import json
    import time
    from datetime import UTC, datetime

    moment = datetime.fromtimestamp(time.time() if at is None else at, UTC)
    written = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"time": written, "level": level, "message": message, **fields})
