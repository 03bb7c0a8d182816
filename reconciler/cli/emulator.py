"""`reconciler emulator`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from reconciler.cli.options import chosen, directory_options
from reconciler.cli.terminal import out

VARIABLES = ("AWS_ENDPOINT_URL_EMR_SERVERLESS", "AWS_ENDPOINT_URL_BATCH", "AWS_ENDPOINT_URL_STS")

HELP = """Serve the embedded AWS (EMR Serverless, Batch, STS) on a port of this machine until interrupted, for tests of
your own tools. It looks at no credentials.

\b
Examples:
  reconciler emulator --port 5555
  reconciler emulator --port 5555 --state /tmp/aws.sqlite --run-seconds 1
  reconciler emulator --port 5555 --faults lost-replies.yaml
"""


@click.command("emulator", help=HELP)
@click.option("--port", type=click.IntRange(0, 65535), default=4566, metavar="N", show_default=True)
@click.option(
    "--state", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Keep runs in this file."
)
@click.option("--account", metavar="ID", help="Account of every ARN.  [default: 000000000000]")
@click.option("--region", metavar="NAME", help="Region of every ARN.  [default: us-east-1]")
@click.option("--run-seconds", type=click.FloatRange(min=0), metavar="S", help="How long runs take.  [default: 20]")
@click.option("--outcome", type=click.Choice(["succeeded", "failed"]), help="How runs end.  [default: succeeded]")
@click.option(
    "--faults",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Lose, delay, double and refuse calls as this plan says.",
)
@directory_options
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    port: int,
    state: Path | None,
    account: str | None,
    region: str | None,
    run_seconds: float | None,
    outcome: str | None,
    faults: Path | None,
    **shared: Any,  # noqa: ANN401 - click's own values
) -> int:
    """Serves until SIGINT or SIGTERM."""
    from reconciler.cli.stopping import stop_on_signals
    from reconciler.emulator import Emulator, Settings, read_plan

    chosen(context, shared)
    given = {"account": account, "region": region, "run_seconds": run_seconds, "outcome": outcome}
    settings = Settings().changed({name: value for name, value in given.items() if value is not None})
    plan = None if faults is None else read_plan(faults)
    with stop_on_signals() as stop, Emulator(state, settings, port=port, faults=plan) as emulator:
        _announce(emulator.url)
        stop.wait()
    return 0


def _announce(url: str) -> None:
    """Says where it is and how to use it; printed at once, for whoever waits for it."""
    exports = [f"  export {name}={url}" for name in VARIABLES]
    keys = "  export AWS_ACCESS_KEY_ID=emulator AWS_SECRET_ACCESS_KEY=emulator"
    out("\n".join([f"Serving on {url}. To use it:", "", *exports, keys, "", "Ctrl-C ends it."]))
