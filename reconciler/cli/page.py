"""`reconciler page`: write the page of a target as a static site."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli.exit_codes import DONE
from reconciler.cli.options import ledger_options, takes_options
from reconciler.cli.output import out, print_problems

if TYPE_CHECKING:
    from reconciler.app.options import CommandOptions


@click.command("page")
@click.option(
    "--out",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    metavar="DIR",
    help="The folder to write to; it is made if it does not exist.",
)
@click.option("--no-refresh", is_flag=True, help="Show the recorded state without calling AWS.")
@ledger_options
@takes_options
def page(options: CommandOptions, folder: Path, no_refresh: bool) -> int:
    """Write a static site about the target: holds with the commands that resolve them, changes that are not applied, a
    timeline of runs, each spec, the dependencies, and the plan. It needs no server and loads nothing from other hosts.

    \b
    Examples:
      reconciler page -t prod --out page
      reconciler page -t prod --out page && aws s3 sync page s3://BUCKET/page
    """
    from reconciler.app.page import content_now, write
    from reconciler.app.session import opened
    from reconciler.render.page.site import Site
    from reconciler.render.text import count, plain

    with opened(options) as session:
        content = content_now(session, refresh=not no_refresh)
    print_problems(content.plan.problems)
    number = write(Site(content), folder)
    out(f"Wrote {count(number, 'file')}. Open {plain(str(folder / 'index.html'))}")
    return DONE
