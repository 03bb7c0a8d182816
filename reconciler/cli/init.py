"""`reconciler init`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from reconciler.cli.options import chosen, directory_options
from reconciler.cli.terminal import out

HELP = """Start a project in DIR, which is made if need be: reconciler.yaml with an emulator target, an example of each
kind, and the schema for editors. Files that are there already are left alone, and it is an error if one is in the way.

\b
Examples:
  reconciler init specs
  reconciler init specs --name analytics
"""


@click.command("init", help=HELP)
@click.argument("folder", required=False, metavar="[DIR]", type=click.Path(path_type=Path, file_okay=False))
@click.option("--name", metavar="NAME", help="Name of the project; part of the identity of every run.")
@directory_options
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    folder: Path | None,
    name: str | None,
    **shared: Any,  # noqa: ANN401 - click's own values
) -> int:
    """Makes the project and says what to do next."""
    import shlex

    from reconciler.render.text import lines_text, plain
    from reconciler.specs.scaffold import init

    base = chosen(context, shared).directory or Path()
    root = base / (folder or Path())
    for made in init(Path.cwd() / root, name):
        out(lines_text([f"made {plain(str(root / made.name))}"]))
    where = "" if root in {Path(), Path("specs")} else f" -C {plain(shlex.quote(str(root)))}"
    out(f"\nNext: reconciler{where} validate, then reconciler{where} plan")
    return 0
