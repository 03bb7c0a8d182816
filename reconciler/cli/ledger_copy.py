"""`reconciler ledger copy`."""

from __future__ import annotations

import sys
from typing import Any

import click

from reconciler.cli.options import chosen, place_options
from reconciler.cli.terminal import coloured, echo_error, out

EVERY = 1000
"""Positions from one line of progress to the next."""

HELP = """Copy the target's ledger from one address to another, batch by batch and byte for byte, and verify the copy.

Addresses are as in reconciler.yaml: sqlite:///PATH, s3://BUCKET/PREFIX, dynamodb://TABLE. Stop everything that writes
to FROM first. A copy that was interrupted goes on where TO ends; TO must hold nothing else. FROM stays as it is.

With --rename the ledger was another project's, target's, account's or region's, and becomes that of the chosen target:
its first event and the chain are written anew, and an event at the end says so.

\b
Examples:
  reconciler ledger copy sqlite:///ledger.sqlite s3://acme-ledger/analytics -t prod
  reconciler ledger copy s3://acme-ledger/old s3://acme-ledger/new -t prod --rename --from-project old-name
"""


@click.command("copy", help=HELP)
@click.argument("source", metavar="FROM")
@click.argument("target_address", metavar="TO")
@click.option("--rename", is_flag=True, help="Move the ledger of another place to the chosen target.")
@click.option("--from-project", metavar="NAME", help="The project that it was of.  [default: this one]")
@click.option("--from-target", metavar="NAME", help="The target that it was of.  [default: the chosen one]")
@click.option("--from-region", metavar="NAME", help="The region that it is kept in.  [default: the target's]")
@place_options
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    source: str,
    target_address: str,
    rename: bool,
    from_project: str | None,
    from_target: str | None,
    from_region: str | None,
    **shared: Any,  # noqa: ANN401 - click's own values
) -> int:
    """Copies, verifies the copy, and says what to do next."""
    from reconciler.app.ledgers import Origin, copied, ledger_site
    from reconciler.cli.ledger_verify import verdict_text
    from reconciler.render.text import plain

    site = ledger_site(chosen(context, shared))
    origin = Origin(from_project, from_target, from_region)
    done, verdict = copied(site, source, target_address, rename=rename, origin=origin, progress=_progress)
    there = f", of which {done.already} were there before" if done.already else ""
    out(plain(f"{done.positions} positions of {source} are in {target_address}{there}."))
    if done.renamed_from is not None:
        before, now = done.renamed_from, site.place
        out(plain(f"It was project {before.project}, target {before.target}, account {before.account}, region "
                  f"{before.region}, and is project {now.project}, target {now.target}, account {now.account}, region "
                  f"{now.region}."))  # fmt: skip
    out(verdict_text(verdict, color=coloured(sys.stdout)))
    if verdict.wrong():
        return 1
    if target_address != site.address:
        out("")
        out(plain(f"Now write ledger: {target_address} for target {site.place.target} in reconciler.yaml."))
    out(plain(f"{source} is as it was: see that nothing writes to it any more."))
    return 0


def _progress(position: int) -> None:
    if position % EVERY == 0 and sys.stderr.isatty():
        echo_error(f"position {position} …")
