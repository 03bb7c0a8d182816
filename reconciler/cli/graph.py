"""`reconciler graph`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from reconciler.cli.options import chosen, place_options, selection_options
from reconciler.cli.terminal import out

HELP = """Print which spec waits for which, from the files alone.

\b
Examples:
  reconciler graph
  reconciler graph --format mermaid
  reconciler graph --format dot | dot -Tsvg > graph.svg
"""


@click.command("graph", help=HELP)
@click.option("--format", "form", type=click.Choice(["text", "mermaid", "dot"]), default="text", show_default=True)
@selection_options
@place_options
@click.pass_context
def command(context: click.Context, /, *, form: str, **shared: Any) -> int:  # noqa: ANN401 - click's own values
    """Reads the specs of one target and prints their dependencies; with a selection, those of the selected ones."""
    import os

    from reconciler.app.options import selected_names, target_name
    from reconciler.render.graph import FORMS, edges
    from reconciler.specs.load import load
    from reconciler.specs.project import find_root, read_project

    choice = chosen(context, shared)
    root = find_root(choice.directory, Path.cwd())
    project = read_project(root).project
    target = target_name(choice, os.environ, project.spec.defaultTarget, project.spec.targets)
    specs = load(root, targets=[target], warn=False).specs[target]
    selected = selected_names(choice, specs, (), {})
    found = [edge for edge in edges(specs) if selected is None or edge.name in selected]
    shown = (
        specs
        if selected is None
        else {
            name: spec for name, spec in specs.items() if name in selected or any(name == edge.needs for edge in found)
        }
    )
    out(FORMS[form](shown, found))
    return 0
