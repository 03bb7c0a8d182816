"""`reconciler completion`."""

from __future__ import annotations

from typing import Any

import click

from reconciler.cli.options import chosen, directory_options
from reconciler.cli.terminal import out

VARIABLE = "_RECONCILER_COMPLETE"

HELP = """Print the script that completes commands and options in a shell.

\b
Examples:
  eval "$(reconciler completion bash)"         in ~/.bashrc
  eval "$(reconciler completion zsh)"          in ~/.zshrc
  reconciler completion fish > ~/.config/fish/completions/reconciler.fish
"""


@click.command("completion", help=HELP)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@directory_options
@click.pass_context
def command(context: click.Context, /, *, shell: str, **shared: Any) -> int:  # noqa: ANN401 - click's own values
    """Prints click's script for the shell."""
    from click.shell_completion import get_completion_class

    chosen(context, shared)
    root = context.find_root()
    script = get_completion_class(shell)
    if script is None:
        raise click.UsageError(f"there is no completion for {shell}")
    out(script(root.command, {}, "reconciler", VARIABLE).source())
    return 0
