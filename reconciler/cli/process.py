"""One command from start to exit code: signals, errors as one sentence, and nothing of a traceback by default."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

import click

from reconciler.cli.stopping import interruptible
from reconciler.cli.terminal import OutputRefused, echo_error, flush, standard_streams
from reconciler.errors import ReconcilerError, SpecErrors, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

DONE, ERROR, CHANGES, PERSON, USAGE = 0, 1, 2, 3, 64
"""The exit codes, the same everywhere; where several apply: 1 before 3 before 2."""

TRACEBACK_FROM = 2  # -v's


def run(arguments: Sequence[str] | None) -> int:
    """Runs one command. Never raises, whatever happens: an exit code and, for an error, words on standard error."""
    with standard_streams():
        _print_anything()
        code = _ended(arguments)
        try:
            sys.stderr.flush()
        except OSError:
            _drop(sys.stderr)
        return code


def _ended(arguments: Sequence[str] | None) -> int:
    """Runs one command and says how it ended."""
    try:
        with interruptible():
            return _command(arguments)
    except click.ClickException as error:
        _show(error)
        return USAGE if isinstance(error, click.UsageError) else ERROR
    except (click.Abort, KeyboardInterrupt):
        echo_error("Interrupted.")
    except ReconcilerError as error:
        return _explained(error)
    except (BrokenPipeError, SystemExit):  # click leaves by the latter when the reader of a pipe has gone
        _drop(sys.stdout)
    except Exception as error:  # noqa: BLE001 - the last place that can turn a fault into one sentence
        if isinstance(error, OSError) and _met_printing(error):
            return _explained(OutputRefused(error))
        _internal(error, arguments)
    return ERROR


def _show(error: click.ClickException) -> None:
    """Prints click's own words, which quote the command line: an argument may be a file's name, or a secret."""
    from io import StringIO

    said = StringIO()
    error.show(said)
    echo_error(said.getvalue())


def _command(arguments: Sequence[str] | None) -> int:
    from reconciler.cli.program import program

    given = None if arguments is None else list(arguments)
    result = program.main(args=given, prog_name="reconciler", standalone_mode=False)
    flush()
    return result if isinstance(result, int) else DONE


def _explained(error: ReconcilerError) -> int:
    """Prints an error that was raised on purpose."""
    if isinstance(error, SpecErrors):
        from reconciler.cli.terminal import print_problems

        print_problems(error.problems)
    else:
        echo_error(f"Error: {error}")
        if isinstance(error, OutputRefused):
            _drop(sys.stdout)
        if isinstance(error, UsageError):
            echo_error("See: reconciler --help")
    return error.exit_code


def _met_printing(error: OSError) -> bool:
    """Whether click met it as it printed its help: all that we print ourselves is told apart where it is printed."""
    from traceback import walk_tb

    return any(frame.f_code is click.echo.__code__ for frame, _ in walk_tb(error.__traceback__))


def _internal(error: Exception, arguments: Sequence[str] | None) -> None:
    echo_error(f"internal error: {type(error).__name__}: {error}")
    if _loud(sys.argv[1:] if arguments is None else arguments):
        import traceback

        echo_error("".join(traceback.format_exception(error)))
    else:
        echo_error("This is a fault of the reconciler, not of your files. Run again with -vv for its traceback.")


def _loud(arguments: Sequence[str]) -> bool:
    """Whether the command line has at least two -v's, read plainly: the parsed options may be what failed."""
    short = sum(a.count("v") for a in arguments if a.startswith("-v") and set(a[1:]) == {"v"})
    return short + sum(a == "--verbose" for a in arguments) >= TRACEBACK_FROM


def _drop(stream: TextIO) -> None:
    """Nobody takes what goes to `stream`: the interpreter's flush at exit must not fail, and change the exit code."""
    with suppress(OSError), open(os.devnull, "wb") as nowhere:  # a stream without a descriptor is not flushed
        os.dup2(nowhere.fileno(), stream.fileno())


def _print_anything() -> None:
    """A character that the terminal cannot show is escaped rather than a reason to fail."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
