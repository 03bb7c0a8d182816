"""`reconciler reconcile`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.options import FORMAT_TEXT_JSON, chosen, ledger_options, pass_options, selection_options

if TYPE_CHECKING:
    from reconciler.app.options import CommandOptions

HELP = """One pass without asking, within the limits: what a schedule or a merge runs. With --every it goes on, pass
after pass, until SIGTERM or SIGINT: then what is under way is recorded, and it ends with 0.

\b
Examples:
  reconciler reconcile -t prod
  reconciler reconcile -t prod --format json
  reconciler reconcile -t prod --every 60s --git-pull --metrics-port 9464 --log-format json

Exit code 3 when a job was rejected, or something is held or not known yet.
"""

UNITS = {"s": 1, "m": 60, "h": 3600}


def _seconds(_context: click.Context, _option: click.Parameter, value: str | None) -> float | None:
    """The seconds that ``90s``, ``5m`` and ``1h`` stand for; a usage error for anything else."""
    if value is None:
        return None
    found = re.fullmatch(r"([0-9]+)([smh]?)", value)
    if found is None or not int(found[1]):
        raise click.BadParameter(f"{value!r} is no span of time; write 60s, 5m or 1h")
    return float(int(found[1]) * UNITS[found[2] or "s"])


@click.command("reconcile", help=HELP)
@click.option("--format", "form", type=FORMAT_TEXT_JSON, default="text", show_default=True)
@click.option("--every", callback=_seconds, metavar="TIME", help="Repeat, as in 60s or 5m, until a signal comes.")
@click.option("--git-pull", is_flag=True, help="Before each pass fetch, and fast-forward the checkout.")
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    metavar="N",
    help="With --every: serve /metrics for Prometheus and /healthz on this port.",
)
@click.option("--metrics-host", default="127.0.0.1", show_default=True, metavar="HOST", help="Where it listens.")
@click.option(
    "--log-format", type=FORMAT_TEXT_JSON, default="text", show_default=True, help="What lines on standard error are."
)
@selection_options
@pass_options
@ledger_options
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    form: str,
    every: float | None,
    git_pull: bool,
    metrics_port: int | None,
    metrics_host: str,
    log_format: str,
    **shared: Any,  # noqa: ANN401 - click's own values
) -> int:
    """Observes, plans and applies, once or again and again."""
    from reconciler.app.notifications import notify
    from reconciler.app.reconcile import explain, prepare
    from reconciler.app.session import opened
    from reconciler.cli.logs import log_as_json
    from reconciler.cli.passes import ApplyOptions, carry_out

    choice = chosen(context, shared)
    as_json = log_format == "json"
    if as_json:
        log_as_json()
    if every is not None:
        from reconciler.cli.service import Service, serve

        if form == "json":
            raise click.UsageError("--format json is for one pass; with --every use --log-format json")
        metrics_at = None if metrics_port is None else (metrics_host, metrics_port)
        return serve(choice, Service(every, git_pull, metrics_at, json=as_json))
    if metrics_port is not None:
        raise click.UsageError("--metrics-port goes with --every")
    if git_pull:
        _pull(choice)
    with opened(choice) as session:
        plan = explain(session, prepare(session)[1])
        manner = ApplyOptions(ask=False, form=form, log="reconcile", json_log=as_json)
        results, code = carry_out(session, plan, session.limits, manner)
        notify(session, plan, results)
        return code


def _pull(choice: CommandOptions) -> None:
    """Brings the checkout up to date before its one pass; an error ends the command."""
    from pathlib import Path

    from reconciler.cli.terminal import echo_error
    from reconciler.specs.git import pull
    from reconciler.specs.project import find_root

    echo_error(f"checkout at {pull(find_root(choice.directory, Path.cwd()))[:12]}")
