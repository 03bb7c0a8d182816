"""`reconciler schema`."""

from __future__ import annotations

from typing import Any

import click

from reconciler.cli.options import chosen, directory_options
from reconciler.cli.terminal import out

HELP = """Print the JSON Schema of the project file and of every kind of spec, with descriptions, for editors.

\b
Example:
  reconciler schema > specs/.schema.json

and at the top of a spec:

\b
  # yaml-language-server: $schema=./.schema.json
"""


@click.command("schema", help=HELP)
@directory_options
@click.pass_context
def command(context: click.Context, /, **shared: Any) -> int:  # noqa: ANN401 - click's own values
    """Prints the schema."""
    chosen(context, shared)
    import json

    from reconciler.specs.schema import schema

    out(json.dumps(schema(), indent=2, ensure_ascii=False))
    return 0
