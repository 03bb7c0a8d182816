"""`reconciler validate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from reconciler.cli.options import chosen, place_options
from reconciler.cli.terminal import out, print_problems

HELP = """Check every spec, offline: for every target, or for the one given with -t.

With PATHs only what is in these files and folders is checked, against the whole project.

\b
Examples:
  reconciler validate
  reconciler validate orders.yaml clicks/
"""


@click.command("validate", help=HELP)
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path(path_type=Path))
@place_options
@click.pass_context
def command(context: click.Context, /, *, paths: tuple[Path, ...], **shared: Any) -> int:  # noqa: ANN401 - click's own values
    """Reads everything and prints what is wrong, or how many specs there are."""
    from reconciler.app.options import target_name
    from reconciler.specs.load import load
    from reconciler.specs.project import find_root, read_project

    choice = chosen(context, shared)
    root = find_root(choice.directory, Path.cwd())
    targets = None
    if choice.target is not None:
        targets = [target_name(choice, {}, None, read_project(root).project.spec.targets)]
    loaded = load(root, targets=targets, only_paths=[Path.cwd() / path for path in paths] or None)
    print_problems(loaded.warnings)
    out(f"{loaded.count} {'spec' if loaded.count == 1 else 'specs'} valid")
    return 0
