"""Explains commands and options that other tools have, such as those of Terraform and kubectl, and a command line in
their style."""

import re
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from difflib import get_close_matches

import click

COMMANDS = {
    "cancel": "delete destroy kill rm stop terminate",
    "completion": "autocomplete completions",
    "history": "events",
    "init": "create new",
    "logs": "log tail",
    "open": "console ui",
    "plan": "diff preview show-plan",
    "apply": "deploy execute run submit sync up",
    "reconcile": "refresh serve watch",
    "status": "get list ls ps show",
    "validate": "check lint test",
    "why": "blame describe",
    "--help": "help",
    "--version": "version",
}
"""The commands that other tools have for each of ours."""

OPTIONS = {
    "use --yes, or -y": "auto-approve approve assume-yes no-prompt noconfirm",
    "leave it out, because this command does not ask for confirmation": "auto-approve y yes",
    "use the command plan, which only shows what an apply would do": "check diff dry-run dryrun noop preview",
    "use --format json": "json o output",
    "use --format markdown": "markdown md",
    "use --no-refresh": "refresh refresh-only offline",
    "use --target, or -t": "env environment profile region stage workspace",
    "use --only NAME": "job jobs name spec specs",
    "use -C, or --directory": "chdir cwd dir path project project-dir",
    "set the variables in vars of reconciler.yaml": "set var var-file vars",
    "use --timeout": "wait-timeout",
    "use --follow": "f tail",
}
"""What to write instead of an option of another tool. Options are written here without their dashes."""
SHORTEST_LONG = 4  # characters of an option with one dash that is not several short options, such as `-vv`


def command_hint(name: str, ours: Iterable[str]) -> str:
    """Returns `` Did you mean X?`` for the name of a command that does not exist, or an empty string."""
    meant = {each: each for each in ours}
    for command, names in COMMANDS.items():
        if command in meant or command.startswith("-"):
            meant.update({each: command for each in names.split() if each not in meant})
    close = [name] if name in meant else get_close_matches(name, meant, n=1)
    return f" Did you mean {meant[close[0]]}?" if close else ""


def explained(error: click.ClickException, arguments: Sequence[str]) -> click.ClickException:
    """Returns the error, with what to write instead if the command line has an option with one dash, an option of
    another tool, or the name of a spec as an argument."""
    command = error.ctx.command if isinstance(error, click.UsageError) and error.ctx else None
    if command is None or not isinstance(error, click.UsageError):
        return error
    ours = {name for each in command.params for name in (*each.opts, *each.secondary_opts) if name.startswith("--")}
    message = error.message.rstrip(".")
    if hint := one_dash(arguments, ours):
        return click.UsageError(f"{message}. {hint}", error.ctx)
    if isinstance(error, click.NoSuchOption) and (hint := _other_option(error.option_name.lstrip("-"), ours)):
        return click.UsageError(f"{message}: {hint}.", error.ctx)
    if "unexpected extra argument" in message and "--only" in ours:
        return click.UsageError(f"{message}. To select a spec, use --only NAME.", error.ctx)
    return error


def one_dash(arguments: Sequence[str], ours: AbstractSet[str]) -> str:
    """Returns a hint about an option such as ``-target=prod``, which has one dash and several letters, or an empty
    string. `ours` are the long options of the command."""
    for word in arguments:
        bare, _, _ = word.partition("=")
        if bare.startswith("--") or not bare.startswith("-") or len(bare) < SHORTEST_LONG:
            continue
        if f"-{bare}" in ours:
            return f"A long option has two dashes: -{bare}."
        if hint := _other_option(bare[1:], ours):
            return f"Instead of {bare}, {hint}."
    return ""


def _other_option(bare: str, ours: AbstractSet[str]) -> str:
    """Returns what to write instead of an option of another tool, or an empty string. Only options of the command are
    suggested."""
    hints = (hint for hint, names in OPTIONS.items() if bare in names.split())
    options = ((hint, re.findall(r"--[a-z-]+", hint)) for hint in hints)
    return next((hint for hint, named in options if not named or not ours.isdisjoint(named)), "")
