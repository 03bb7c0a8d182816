"""`reconciler reconcile`: run one pass without confirmation, or run passes at an interval."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli.exit_codes import DONE
from reconciler.cli.options import format_option, parse_duration, takes_options
from reconciler.cli.output import echo_error, print_problems
from reconciler.cli.plan import ApplyOptions, announce_stop, plan_options, show_and_apply, summary
from reconciler.cli.signals import stop_on_signals

if TYPE_CHECKING:
    from reconciler.app.options import CommandOptions
    from reconciler.app.reconcile import Pass

CHECKOUT_AGE_SECONDS = 3600.0
"""The default maximum age of the last successful pull for a healthy service."""


@click.command("reconcile")
@format_option("json", "markdown")
@click.option(
    "--every",
    callback=parse_duration,
    metavar="TIME",
    help="Repeat at this interval, such as 60s, until a signal arrives.",
)
@click.option(
    "--applied-only",
    is_flag=True,
    help="Do not start changes in git that no `apply` has applied; put their specs on hold.",
)
@click.option("--git-pull", is_flag=True, help="Before each pass, fetch and fast-forward the checkout.")
@click.option(
    "--max-checkout-age",
    callback=parse_duration,
    metavar="TIME",
    help="With --git-pull and --metrics-port: report unhealthy if the last successful pull is older. Default: 1h.",
)
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    metavar="N",
    help="With --every: serve /metrics for Prometheus and /healthz on this port.",
)
@click.option(
    "--metrics-host",
    default="127.0.0.1",
    show_default=True,
    metavar="HOST",
    help="Serve /metrics and /healthz on this address.",
)
@click.option(
    "--page-port",
    type=click.IntRange(0, 65535),
    metavar="N",
    help="With --every: serve a read-only page about the newest pass on this port.",
)
@click.option(
    "--page-host", default="127.0.0.1", show_default=True, metavar="HOST", help="Serve the page on this address."
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="The format of the lines on standard error.",
)
@plan_options
@takes_options
def reconcile(
    options: CommandOptions,
    *,
    output_format: str,
    every: float | None,
    git_pull: bool,
    max_checkout_age: float | None,
    metrics_port: int | None,
    metrics_host: str,
    page_port: int | None,
    page_host: str,
    log_format: str,
) -> int:
    """Run one pass without confirmation, within the limits: for scheduled jobs and after merges. With --every, run
    passes until SIGTERM or SIGINT, then record the calls in progress and exit 0.

    \b
    Examples:
      reconciler reconcile -t prod
      reconciler reconcile -t prod --format json
      reconciler reconcile -t prod --applied-only
      reconciler reconcile -t prod --every 60s --git-pull --metrics-port 9464 --log-format json

    An invalid spec and the specs that depend on it are put on hold; other specs are not affected.

    Exit code 3 if a job was rejected, or something is on hold or unknown.
    """
    json_log = log_format == "json"
    if json_log:
        from reconciler.cli.output import log_as_json

        log_as_json()
    if max_checkout_age is not None and not (git_pull and metrics_port is not None):
        raise click.UsageError("--max-checkout-age needs --git-pull and --metrics-port")
    if every is not None:
        if output_format != "text":
            raise click.UsageError(f"--format {output_format} is for one pass; with --every use --log-format json")
        metrics_address = None if metrics_port is None else (metrics_host, metrics_port)
        checkout_age = (max_checkout_age or CHECKOUT_AGE_SECONDS) if git_pull else None
        page_address = None if page_port is None else (page_host, page_port)
        addresses = (metrics_address, page_address)
        return _serve(options, every, checkout_age, addresses=addresses, json_log=json_log)
    if metrics_port is not None or page_port is not None:
        raise click.UsageError("--metrics-port and --page-port need --every")
    if git_pull:
        _pull(options)
    return _one_pass(options, output_format, json_log=json_log)


def _one_pass(options: CommandOptions, output_format: str, *, json_log: bool) -> int:
    from reconciler.app.field_changes import with_field_changes
    from reconciler.app.reconcile import prepare
    from reconciler.app.session import opened
    from reconciler.app.webhooks import notify

    with opened(options) as session:
        plan = with_field_changes(session, prepare(session, tolerant=True)[1])
        print_problems(plan.problems)
        how = ApplyOptions(ask=False, format=output_format, log="reconcile", json_log=json_log)
        applied = show_and_apply(session, plan, session.limits, how)
        notify(session, plan, applied.results)
        return applied.code


def _pull(options: CommandOptions) -> None:
    """Updates the checkout before the pass. An error ends the command."""
    from reconciler.specs.git_pull import pull
    from reconciler.specs.project import find_root

    echo_error(f"checkout at {pull(find_root(options.directory, Path.cwd()))[:12]}")


def _serve(
    options: CommandOptions,
    every: float,
    max_checkout_age: float | None,
    *,
    addresses: tuple[tuple[str, int] | None, tuple[str, int] | None],
    json_log: bool,
) -> int:
    """Runs passes until a signal arrives, and prints a line for each pass."""
    from reconciler.app.service import Service

    def report(done: Pass) -> None:
        echo_error(summary("reconcile", done.plan, done.results, done.recorded.position, as_json=json_log))

    with (
        stop_on_signals(announce_stop, service=True) as stop,
        Service(
            options,
            every,
            max_checkout_age=max_checkout_age,
            metrics_address=addresses[0],
            page_address=addresses[1],
            report=report,
        ) as service,
    ):
        service.run(stop)
    return DONE
