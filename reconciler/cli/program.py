"""The `reconciler` command: its subcommands, its exit code, and the printing of every error as one sentence."""

import errno
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, TextIO, cast

import click

from reconciler import __commit__, __version__
from reconciler.cli.exit_codes import DONE, ERROR, USAGE
from reconciler.cli.options import combined, global_options
from reconciler.cli.output import OutputRefused, echo_error, print_problems, standard_streams
from reconciler.cli.signals import interruptible
from reconciler.errors import ReconcilerError, SpecErrors, UsageError

COMMANDS = {
    "init": ("project:init", "Start a project: reconciler.yaml, an example of each kind, a schema for editors."),
    "validate": ("project:validate", "Check every spec, offline."),
    "plan": ("plan:plan", "Show what an apply would do; write nothing."),
    "apply": ("plan:apply", "Show the plan, confirm, and apply it."),
    "reconcile": ("reconcile:reconcile", "Run one pass without confirmation, or repeat it at an interval."),
    "status": ("status:status", "Show each spec: the run it should have, its last run, and the state of that run."),
    "runs": ("status:runs", "Show the runs of a spec, or of all: how long they waited and ran, and what was billed."),
    "history": ("inspect:history", "Show everything that the ledger contains about one spec."),
    "why": ("inspect:why", "Find the commit that caused a run, or the run of a spec."),
    "page": ("inspect:page", "Write a page about the target: runs, holds, changes and the plan."),
    "logs": ("logs:logs", "Show the logs of a run, once or until it has ended."),
    "open": ("logs:open_page", "Open the page of a run in AWS's console, or the Spark UI."),
    "wait": ("wait:wait", "Wait until runs have ended, and submit the specs that wait for them."),
    "cancel": ("decisions:cancel", "Stop the live runs of a spec."),
    "retry": ("decisions:retry", "Request one more attempt of a failed, cancelled, lost or rejected submission."),
    "backfill": ("decisions:backfill", "Request runs of past slots."),
    "resolve": ("decisions:resolve", "Decide whether to send a submission with an unknown outcome again, or never."),
    "adopt": ("decisions:adopt", "Assign an existing run to a spec; submit nothing."),
    "accept": ("decisions:accept", "Record the current content of a spec as applied; submit nothing."),
    "import": ("imports:import_", "Write specs from existing runs, or from files of other tools; submit nothing."),
    "suspensions": ("inspect:suspensions", "Show what is suspended, why, by whom and until when."),
    "graph": ("inspect:graph", "Show the dependencies between specs."),
    "ledger": ("ledger:ledger", "Maintain the ledger: init, verify, copy, export."),
    "verify": ("verify:verify", "Check that the AWS resources in the specs exist and fit; change nothing."),
    "iam": ("iam:iam", "Print least-privilege IAM policies, and trust policies for GitHub."),
    "fsck": ("fsck:fsck", "Check the ledger against AWS; with --adopt, rebuild a lost one."),
    "targets": ("project:targets", "Print the targets of the project."),
    "schema": ("project:schema", "Print the JSON Schema of the files, for editors."),
    "emulator": ("emulator:emulator", "Serve the embedded AWS emulator on a port, to test your own tools."),
    "completion": ("project:completion", "Print the completion script for bash, zsh or fish."),
}
"""The location of each command (a module of this package and a function) and its help line, in the order in which the
help lists them."""

COMMIT = f" (commit {__commit__.removeprefix('g')})" if __commit__ != "None" else ""
"""The commit that this program was built from, if the build could read git."""

SHORTAGES = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT, errno.EAGAIN}
"""The errors of a machine that has no more open files, memory, disk space or processes."""

HELP = """Job runs from git: specs in YAML, a plan to review, each run submitted at most once.

\b
Example:
  reconciler plan -t prod
  reconciler apply -t prod

\b
Exit codes: 0 done, or nothing to do; 1 error; 2 changes pending (plan --detailed-exitcode);
3 action required, or outcome unknown; 64 wrong usage.
"""


class LazyGroup(click.Group):
    """A group that imports a command only when it runs. `table` has the same form as `COMMANDS`."""

    def __init__(self, *args: Any, table: Mapping[str, tuple[str, str]], **more: Any) -> None:  # noqa: ANN401 - click's own values
        super().__init__(*args, **more)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Returns the names of the commands, in the order of the table."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports and returns a command. Returns `None` if no command has this name."""
        if cmd_name not in self.table:
            return None
        location, short_help = self.table[cmd_name]
        module, _, function = location.partition(":")
        command = cast("click.Command", getattr(import_module(f"reconciler.cli.{module}"), function))
        command.short_help = short_help  # shells show the help line next to a completion
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolves a command as click does. For an unknown name, suggests the most similar command."""
        name = args[0]
        if name not in self.table and not name.startswith("-"):
            from reconciler.cli.other_tools import command_hint

            ctx.fail(f"there is no command {name!r}.{command_hint(name, self.table)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the list of commands, without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, short_help) for name, (_, short_help) in self.table.items()])


@click.group(
    "reconciler",
    cls=LazyGroup,
    table=COMMANDS,
    help=HELP,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@global_options
@click.version_option(__version__, "--version", message=f"%(prog)s %(version)s{COMMIT}")
@click.pass_context
def program(context: click.Context, /, **values: Any) -> None:  # noqa: ANN401 - click's own values
    """Stores the options that precede the command's name, for the command to use."""
    context.obj = combined({}, values)


def run(arguments: Sequence[str] | None) -> int:
    """Runs one command and returns its exit code. Never raises: errors are printed to standard error."""
    with standard_streams():
        code = _exit_code(arguments)
        try:
            sys.stderr.flush()
        except OSError:
            _discard(sys.stderr)
        return code


def _exit_code(arguments: Sequence[str] | None) -> int:
    given = sys.argv[1:] if arguments is None else arguments
    try:
        with interruptible():
            return _run_command(arguments)
    except click.ClickException as error:
        _print_click_error(error, given)
        return USAGE if isinstance(error, click.UsageError) else ERROR
    except (click.Abort, KeyboardInterrupt):
        echo_error("Interrupted.")
    except ReconcilerError as error:
        return _print_error(error, given)
    except (BrokenPipeError, SystemExit):  # click raises SystemExit if the reader of a pipe has closed it
        _discard(sys.stdout)
    except MemoryError:  # printed directly, because masking a message needs memory
        with suppress(OSError):
            os.write(sys.stderr.fileno(), b"Error: out of memory: run again with more memory\n")
    except Exception as error:  # noqa: BLE001 - the last place that can turn a bug into one sentence
        if isinstance(error, OSError) and _raised_by_click_echo(error):
            return _print_error(OutputRefused(error), given)
        if shortage := _shortage(error):
            echo_error(f"Error: {shortage}: raise this limit of the machine or container, and run again")
            return ERROR
        _print_internal_error(error, given)
    return ERROR


def _run_command(arguments: Sequence[str] | None) -> int:
    args = None if arguments is None else list(arguments)
    # In its standalone mode, click would print errors itself, unmasked, and exit with its own codes.
    result = program.main(args=args, prog_name="reconciler", standalone_mode=False)
    return result if isinstance(result, int) else DONE


def _print_click_error(error: click.ClickException, arguments: Sequence[str]) -> None:
    """Prints click's message with secrets masked, because it quotes the command line, which may contain a secret."""
    from io import StringIO

    from reconciler.cli.other_tools import explained

    message = StringIO()
    explained(error, arguments).show(message)
    echo_error(message.getvalue())


def _print_error(error: ReconcilerError, arguments: Sequence[str]) -> int:
    if isinstance(error, SpecErrors):
        print_problems(error.problems)
        return error.exit_code
    echo_error(f"Error: {error}")
    if isinstance(error, OutputRefused):
        _discard(sys.stdout)
    if isinstance(error, UsageError):
        from reconciler.cli.other_tools import one_dash

        if hint := one_dash(arguments, {"--target"}):  # which click reads as the option -t
            echo_error(hint)
        echo_error("See: reconciler --help")
    return error.exit_code


def _raised_by_click_echo(error: OSError) -> bool:
    """Returns whether click raised the error while it printed its help. `output.out` wraps the errors of our own
    output."""
    from traceback import walk_tb

    return any(frame.f_code is click.echo.__code__ for frame, _ in walk_tb(error.__traceback__))


def _shortage(error: Exception) -> str | None:
    """Returns which resource of the machine was used up, or `None` if that is not the reason of the error."""
    if isinstance(error, OSError) and error.errno in SHORTAGES:
        return os.strerror(error.errno).lower()
    return "too many threads or too little memory" if str(error) == "can't start new thread" else None


def _print_internal_error(error: Exception, arguments: Sequence[str]) -> None:
    echo_error(f"internal error: {type(error).__name__}: {error}")
    from reconciler.cli.output import TRACEBACK_FROM

    if _verbosity(arguments) >= TRACEBACK_FROM:
        import traceback

        echo_error("".join(traceback.format_exception(error)))
    else:
        echo_error("This is a bug in reconciler, not in your files. Run again with -vv for its traceback.")


def _verbosity(arguments: Sequence[str]) -> int:
    """Counts the -v's on a command line without click, because click may have failed to parse the options."""
    short = sum(a.count("v") for a in arguments if a.startswith("-v") and set(a[1:]) == {"v"})
    return short + sum(a == "--verbose" for a in arguments)


def _discard(stream: TextIO) -> None:
    """Discards the buffered output of `stream`. Otherwise the interpreter's flush at exit would fail and change the
    exit code."""
    with suppress(OSError), open(os.devnull, "wb") as nowhere:  # a stream without a descriptor is not flushed
        os.dup2(nowhere.fileno(), stream.fileno())
