"""`reconciler emulator`: serve the embedded AWS emulator."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli.exit_codes import DONE
from reconciler.cli.options import directory_options, takes_options
from reconciler.cli.output import out
from reconciler.cli.signals import stop_on_signals

if TYPE_CHECKING:
    from reconciler.app.options import CommandOptions

VARIABLES = ("AWS_ENDPOINT_URL_EMR_SERVERLESS", "AWS_ENDPOINT_URL_BATCH", "AWS_ENDPOINT_URL_STS")


@click.command("emulator")
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
    help="Lose, delay, duplicate and refuse calls as this fault plan describes.",
)
@directory_options
@takes_options
def emulator(
    _options: CommandOptions, port: int, state: Path | None, faults: Path | None, **settings: str | float | None
) -> int:
    """Serve the embedded AWS (EMR Serverless, Batch, STS) on a port of this machine until interrupted, to test your own
    tools. It accepts any credentials.

    \b
    Examples:
      reconciler emulator --port 5555
      reconciler emulator --port 5555 --state /tmp/aws.sqlite --run-seconds 1
      reconciler emulator --port 5555 --faults lost-replies.yaml
    """
    from reconciler.emulator import Emulator, Settings, read_plan

    chosen = Settings().changed({name: value for name, value in settings.items() if value is not None})
    plan = None if faults is None else read_plan(faults)
    with stop_on_signals() as stop, Emulator(state, chosen, port=port, faults=plan) as server:
        _announce(server.url)
        stop.wait()
    return DONE


def _announce(url: str) -> None:
    """Prints the address and how to use it. The address is flushed immediately, because scripts wait for it."""
    exports = [f"  export {name}={url}" for name in VARIABLES]
    keys = "  export AWS_ACCESS_KEY_ID=emulator AWS_SECRET_ACCESS_KEY=emulator"
    out("\n".join([f"Serving on {url}. To use it:", "", *exports, keys, "", "Ctrl-C ends it."]))
