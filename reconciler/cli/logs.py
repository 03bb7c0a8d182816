"""`reconciler logs` and `open`: show the logs of a run, and its pages in AWS."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from reconciler.cli.exit_codes import DONE, ERROR
from reconciler.cli.options import format_option, ledger_options, takes_options
from reconciler.cli.output import echo_error, harmless, out, out_json
from reconciler.cli.signals import stop_on_signals
from reconciler.errors import ReconcilerError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reconciler.app.options import CommandOptions
    from reconciler.app.run_logs import Line, LoggedRun, Pages
    from reconciler.core.run_logs import LogStream, RunLogs
    from reconciler.model.base import JSON

attempt_option = click.option(
    "--attempt",
    type=click.IntRange(min=1),
    metavar="N",
    help="Number of an attempt, if AWS itself retried the run.  [default: newest]",
)


@click.command("logs")
@click.argument("what")
@click.option(
    "--stream",
    metavar="NAME",
    help="Only this log, such as driver/stderr, executor/1, or the name of a container.  [default: the driver's]",
)
@attempt_option
@click.option("-f", "--follow", "followed", is_flag=True, help="Wait for new lines until the run has ended.")
@click.option("--tail", "newest", type=click.IntRange(min=0), metavar="N", help="Only the last N lines of each log.")
@click.option("--list", "listed", is_flag=True, help="List the logs of the run, and where they are.")
@click.option("--raw", is_flag=True, help="Print the text unchanged, without masking or escaping.")
@format_option("json")
@ledger_options
@takes_options
def logs(
    options: CommandOptions,
    what: str,
    *,
    stream: str | None,
    attempt: int | None,
    followed: bool,
    newest: int | None,
    listed: bool,
    raw: bool,
    output_format: str,
) -> int:
    """Show the logs of a run. Logs of EMR Serverless are read from CloudWatch Logs or S3, logs of AWS Batch from
    CloudWatch Logs.

    WHAT is the name of a spec, which means its newest run, or a run id. JOB_ID:INDEX or NAME:INDEX is a child of an
    array job. If several logs are shown, a line "==> NAME <==" precedes each. --format json lists the logs, like
    --list.

    \b
    Examples:
      reconciler logs orders-daily -t prod
      reconciler logs orders-daily -t prod --stream driver/stderr --tail 100
      reconciler logs 00f5qtaa1k4ad80b --follow
    """
    from reconciler.app.run_logs import chosen, follow, lines, logs_of, run_named
    from reconciler.app.session import opened

    with opened(options) as session, stop_on_signals() as stop:
        run = run_named(session, what, attempt)
        if followed and not listed and output_format == "text":
            _print_lines(follow(session, run, stream, newest, stop), headed=None, raw=raw)
            return ERROR if stop.is_set() else DONE
        available = logs_of(session, run)
        for warning in available.warnings:
            echo_error(f"Warning: {warning}")
        if output_format == "json":
            out_json(_as_json(run, available))
            return DONE
        streams = chosen(available, stream)
        if not streams:
            raise ReconcilerError(f"run {run.ref.run_id}: {available.missing}")
        if listed:
            out("\n".join(f"{each.name}  {each.address}" for each in available.streams))
        else:
            _print_lines(lines(session, streams, newest), headed=len(streams) > 1, raw=raw)
    return DONE


def _as_json(run: LoggedRun, logs: RunLogs) -> JSON:
    return {
        "name": run.name,
        "run_id": run.ref.run_id,
        "logs": [{"name": stream.name, "location": stream.address} for stream in logs.streams],
        "missing": logs.missing or None,
    }


def _print_lines(lines: Iterable[Line], *, headed: bool | None, raw: bool) -> None:
    """Prints lines as they arrive. With `headed`, a header is printed before the lines of each log. By default, headers
    are printed once a second log has appeared."""
    before: LogStream | None = None
    for stream, line in lines:
        if stream != before and (headed or (headed is None and before is not None)):
            out(f"==> {stream.name} <==")
        before = stream
        # `harmless` has already escaped the line, so `out` must not escape it again.
        out(line if raw else harmless(line), raw=True)


@click.command("open")
@click.argument("what")
@attempt_option
@click.option("--print", "printed", is_flag=True, help="Print the addresses instead of opening the page.")
@click.option("--spark", is_flag=True, help="Open the Spark UI instead of the console.")
@format_option("json")
@ledger_options
@takes_options
def open_page(
    options: CommandOptions, what: str, *, attempt: int | None, printed: bool, spark: bool, output_format: str
) -> int:
    """Open the page of a run in AWS's console, in the browser.

    WHAT is the name of a spec, which means its newest run, or a run id. For EMR Serverless, there is also the Spark UI.
    Anyone who has the address of the Spark UI can open it for one hour.

    \b
    Examples:
      reconciler open orders-daily -t prod
      reconciler open orders-daily -t prod --spark
      reconciler open 00f5qtaa1k4ad80b --print
    """
    from reconciler.app.run_logs import pages_of, run_named
    from reconciler.app.session import opened

    with opened(options) as session:
        run = run_named(session, what, attempt)
        pages = pages_of(session, run)
    if output_format == "json":
        out_json({"name": run.name, "run_id": run.ref.run_id, "console": pages.console, "spark_ui": pages.live})
        return DONE
    if pages.live_problem is not None and (spark or printed):
        echo_error(f"Warning: the Spark UI is not available: {pages.live_problem}")
    if not printed:
        return _launched(run, pages, spark=spark)
    for title, address in (("Console", pages.console), ("Spark UI", pages.live)):
        if address is not None:
            out(f"{title + ':':<10}{address}")
    return DONE


def _launched(run: LoggedRun, pages: Pages, *, spark: bool) -> int:
    """Opens a page in the browser. Prints its address if there is no browser."""
    address = pages.live if spark else pages.console
    if address is None:
        which = "page in the Spark UI" if spark else "page in the console"
        raise ReconcilerError(f"run {run.ref.run_id} has no {which}")
    if click.launch(address) != 0:
        echo_error("No browser could be started. The address is:")
        out(address)
    return DONE
