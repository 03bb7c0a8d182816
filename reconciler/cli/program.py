"""The `reconciler` command: global options, and a table of commands that are imported when they run."""

from __future__ import annotations

from typing import Any

import click

from reconciler import __version__
from reconciler.cli.options import GLOBAL_OPTIONS, given_here
from reconciler.cli.table import Table

COMMANDS = {
    "init": "Start a project: reconciler.yaml, an example of each kind, a schema for editors.",
    "validate": "Check every spec, offline.",
    "plan": "Show what an apply would do; write nothing.",
    "apply": "Plan, show, ask, do.",
    "reconcile": "One pass without asking, within the limits.",
    "status": "Each spec: what is asked for, its last run, how that stands.",
    "history": "Everything the ledger holds about one spec.",
    "why": "From a run to the commit that asked for it, or back.",
    "cancel": "Stop the live runs of a spec.",
    "retry": "Ask for one more attempt of what failed, was cancelled, lost or rejected.",
    "backfill": "Ask for runs of past slots.",
    "resolve": "Decide a submission whose outcome is unknown: send it again, or never.",
    "adopt": "Make an existing run a spec's current submission; submit nothing.",
    "graph": "Which spec waits for which.",
    "ledger": "Look after the ledger: init, verify, copy, export.",
    "fsck": "Hold the ledger against AWS; with --adopt, record again what a lost one knew.",
    "schema": "JSON Schema of the files, for editors.",
    "emulator": "Serve the embedded AWS on a port, for tests of your own tools.",
    "completion": "Completion script for bash, zsh or fish.",
}
"""Every command with its line of help, in the order people meet them. Each is `reconciler.cli.NAME.command`."""

HELP = """Job runs from git: specs in YAML, a plan to review, each run submitted at most once.

\b
Example:
  reconciler plan -t prod
  reconciler apply -t prod

\b
Exit codes: 0 done, or nothing to do; 1 error; 2 changes pending (plan --detailed-exitcode);
3 something needs a person or is not known yet; 64 wrong usage.
"""


@click.group(
    "reconciler",
    cls=Table,
    table=COMMANDS,
    module="reconciler.cli.{}",
    help=HELP,
    params=GLOBAL_OPTIONS(),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "--version", message="%(prog)s %(version)s")
@click.pass_context
def program(context: click.Context, /, **given: Any) -> None:  # noqa: ANN401 - click's own values
    """Keeps what was given before the command's name for the command."""
    context.obj = given_here({}, given)
