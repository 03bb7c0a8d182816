"""`reconciler ledger init`, `verify`, `copy`, `accept-rollback` and `export`: maintain the ledger of a target."""

from __future__ import annotations

import json
import os
import stat
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from reconciler.cli.exit_codes import DONE, ERROR
from reconciler.cli.options import format_option, ledger_options, place_options, takes_options, yes_option
from reconciler.cli.output import coloured, confirm, echo_error, out, out_json, terminal_width
from reconciler.cli.program import LazyGroup

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.app.options import CommandOptions
    from reconciler.app.session import Session
    from reconciler.core.fsck import Finding
    from reconciler.ledger.prepare import Policy
    from reconciler.ledger.verify import Report

COMMANDS = {
    "init": ("ledger:init", "Create the ledger, and list the policies to add."),
    "verify": ("ledger:verify", "Check the whole log, and report errors."),
    "copy": ("ledger:copy", "Copy a ledger to another store, or move it to another project or target."),
    "accept-rollback": ("ledger:accept_rollback", "Continue with a ledger that was rolled back."),
    "export": (
        "ledger:export",
        "Print every event as JSON, or write a snapshot for plans without credentials.",
    ),
}

INIT_MARKS = {"OK": "OK", "WARN": "ADVICE", "FAIL": "NG"}
"""The marks that `ledger init` prints for severities."""

PROGRESS_EVERY = 1000
"""The number of positions between two progress lines."""


@click.group("ledger", cls=LazyGroup, table=COMMANDS)
def ledger() -> None:
    """Maintain the ledger of a target.

    \b
    Examples:
      reconciler ledger verify -t prod
      reconciler ledger copy sqlite:///ledger.sqlite s3://acme-ledger/analytics -t prod
    """


@click.command("init")
@ledger_options
@takes_options
def init(options: CommandOptions) -> int:
    """Create the ledger of a target, and list the policies to add.

    \b
    dynamodb://TABLE       creates the table, or checks an existing one
    s3://BUCKET/PREFIX     checks the bucket: conditional writes, versioning, lifecycle rules
    sqlite:///PATH         creates the file

    No other command creates a ledger (except for the emulator), because with a new, empty ledger everything would run
    again. Existing resources are not changed, so you can run this command again at any time.

    \b
    Example:
      reconciler ledger init -t prod

    Exit code 1 if a setting would endanger a ledger there.
    """
    from reconciler.app.session import opened
    from reconciler.core.fsck import Severity
    from reconciler.ledger.prepare import Policy
    from reconciler.render.text import plain

    wrong, policies = 0, []
    with opened(options) as session:
        place = session.place
        out(f"Ledger {plain(session.ledger.address)} of project {place.project}, target {place.target}")
        out(f"(account {place.account}, region {place.region})\n")
        for finding in _prepare(session):
            if isinstance(finding, Policy):
                policies.append(finding)
            else:
                wrong += finding.severity is Severity.FAIL
                out(f"{f'[{INIT_MARKS[finding.severity]}]':9}{finding.message}.")
        if not wrong and session.ledger.create():
            out(f"{'[OK]':9}the ledger was created; it is empty.")
    for policy in policies:
        out(f"\n{policy.title}\n\n{policy.text}")
    if wrong:
        echo_error(f"Error: the ledger {session.ledger.address} is not safe there: see the lines marked [NG].")
    return ERROR if wrong else DONE


def _prepare(session: Session) -> Iterator[Finding | Policy]:
    """Prepares the store. If the command may create a resource in AWS, checks the account first."""
    from reconciler.ledger.prepare import prepare

    if not session.ledger.address.startswith("sqlite:"):
        session.aws.check_account()
    return prepare(session.ledger.address, session.root, session.place)


@click.command("verify")
@format_option("json")
@click.option("--new-snapshot", is_flag=True, help="Save a new snapshot of the ledger if it has no damage.")
@place_options
@takes_options
def verify(options: CommandOptions, output_format: str, new_snapshot: bool) -> int:
    """Check the whole log of the target's ledger, without trusting a snapshot: gaps, the chain of checksums, events
    that cannot be read or cannot follow each other, which target the ledger belongs to, and whether the snapshot is
    correct.

    Exits 1 if there is a problem, and prints its position and what to do. Changes nothing without --new-snapshot.

    \b
    Examples:
      reconciler ledger verify -t prod
      reconciler ledger verify -t prod --format json
    """
    from reconciler.app.ledgers import verify_ledger
    from reconciler.app.session import choose_target

    report = verify_ledger(choose_target(options), renew=new_snapshot)
    if output_format == "json":
        from reconciler.render.findings import verify_json

        identity, counts = (report.address, report.ledger_id), (report.positions, report.events)
        out_json(verify_json(*identity, *counts, report.head, findings=_findings(report, options)))
    else:
        out(_report_text(report, options))
    return ERROR if report.wrong() else DONE


def _report_text(report: Report, options: CommandOptions) -> str:
    from reconciler.render.findings import verify_text

    counts, findings = (report.positions, report.events), _findings(report, options)
    return verify_text(report.address, *counts, findings, color=coloured(), width=terminal_width())


def _findings(report: Report, options: CommandOptions) -> list[Finding]:
    """Returns the findings. The commands in their advice include the project folder."""
    by = options.invocation
    return [replace(each, advice=by.completed(each.advice) if each.advice else None) for each in report.findings]


@click.command("copy")
@click.argument("source", metavar="FROM")
@click.argument("destination", metavar="TO")
@click.option(
    "--rename", is_flag=True, help=("Move the ledger of another project, target or region to the chosen target.")
)
@click.option("--from-project", metavar="NAME", help="The project of FROM.  [default: this one]")
@click.option("--from-target", metavar="NAME", help="The target of FROM.  [default: the chosen one]")
@click.option("--from-region", metavar="NAME", help="The region of FROM.  [default: the target's]")
@place_options
@takes_options
def copy(
    options: CommandOptions,
    *,
    source: str,
    destination: str,
    rename: bool,
    from_project: str | None,
    from_target: str | None,
    from_region: str | None,
) -> int:
    """Copy the target's ledger from one address to another, byte for byte, and verify the copy.

    Addresses are as in reconciler.yaml: sqlite:///PATH, s3://BUCKET/PREFIX, dynamodb://TABLE. Stop everything that
    writes to FROM first. An interrupted copy continues after the last event in TO; TO must contain nothing else.

    At the end, an event with the address TO is appended to FROM. From then on, FROM can be read but not written, so do
    not use this command for backups.

    With --rename, FROM belongs to another project, target, account or region, and the copy belongs to the chosen
    target: its first event and the chain are rewritten, and an event at the end records the move.

    \b
    Examples:
      reconciler ledger copy sqlite:///ledger.sqlite s3://acme-ledger/analytics -t prod
      reconciler ledger copy s3://acme-ledger/old s3://acme-ledger/new -t prod --rename --from-project old-name
    """
    from reconciler.app.ledgers import copy_ledger
    from reconciler.app.session import choose_target
    from reconciler.render.text import plain

    chosen = choose_target(options)
    names = {"project": from_project, "target": from_target, "region": from_region}
    others = {field: name for field, name in names.items() if name is not None}
    if others and not rename:
        raise click.UsageError("--from-project, --from-target and --from-region require --rename")
    origin = replace(chosen.place, **others)  # the account cannot be determined before the ledger is read
    copied, report = copy_ledger(chosen, source, destination, origin, rename=rename, progress=_print_progress)
    there = f", of which {copied.already} were there before" if copied.already else ""
    out(plain(f"{copied.positions} positions of {source} are in {destination}{there}."))
    if copied.renamed_from is not None:
        out(plain(f"It belonged to {copied.renamed_from}, and now belongs to {chosen.place}."))
    out(_report_text(report, options))
    if report.wrong():
        return ERROR
    if destination != chosen.ledger_address:
        out("")
        out(plain(f"Now write ledger: {destination} for target {chosen.place.target} in reconciler.yaml."))
    out(plain(f"{source} has ended: it can be read, but nothing can be written to it any more."))
    return DONE


def _print_progress(position: int) -> None:
    if position % PROGRESS_EVERY == 0 and sys.stderr.isatty():
        echo_error(f"position {position} …")


@click.command("accept-rollback")
@click.option("--reason", required=True, metavar="TEXT", help="Reason for this action; recorded in the ledger.")
@yes_option
@ledger_options
@takes_options
def accept_rollback(options: CommandOptions, *, reason: str, yes: bool) -> int:
    """Continue with a ledger that was rolled back, because an older copy was restored or batches were deleted. Records
    your decision.

    Such a ledger is refused, because its missing submissions would run again. If there is a newer copy, restore that
    instead. Otherwise, run `fsck` first: it lists the runs in AWS that are missing from the ledger. Afterwards, `fsck
    --adopt` records them. Until then, a spec with such runs is on hold.

    \b
    Example:
      reconciler ledger accept-rollback -t prod --reason "the newest backup is from yesterday"
    """
    from reconciler.app.session import opened
    from reconciler.render.text import plain
    from reconciler.specs.git import actor

    with opened(options) as session:
        if not reason.strip():
            raise click.UsageError("--reason must not be empty")
        recorded, address = session.ledger.refresh(rolled_back=True), session.ledger.address
        session.ledger.check_open()
        out(plain(f"The ledger {address} ends at position {recorded.position}. Events after it are abandoned."))
        if not yes and not confirm(
            "Do you want to continue with it?", command="ledger accept-rollback", refused="recorded"
        ):
            return ERROR
        session.ledger.accept_rollback(reason, actor(session.environ, session.root))
        target = session.place.target
        out(
            plain(
                f"Recorded at position {session.ledger.recorded.position}. Now run: reconciler fsck --adopt -t {target}"
            )
        )
    return DONE


@click.command("export")
@click.option("--after", type=click.IntRange(min=0), default=0, metavar="N", help="Only events after position N.")
@click.option("--raw", is_flag=True, help="Print events as stored, for pipes; commands to a CI runner are not escaped.")
@click.option(
    "--snapshot",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write FILE for `plan --ledger-snapshot FILE`, with masked requests, instead of printing events.",
)
@place_options
@takes_options
def export(options: CommandOptions, after: int, *, raw: bool, snapshot: Path | None) -> int:
    """Print every event of the target's ledger, oldest first, as one JSON object per line, with its position.

    Nothing is masked: requests contain the same values as the specs, including secrets. Protect the output as you
    protect the specs. The chain of checksums is checked. Text that a CI runner would interpret as a command, such as
    ##vso[…], is written with a JSON escape, which does not change its value.

    With --snapshot, write a file with the data that plans need: the state, digests, and requests in which values that
    look like secrets are masked. `reconciler plan --ledger-snapshot FILE --no-refresh` plans from it without
    credentials.

    \b
    Examples:
      reconciler ledger export -t prod > ledger.jsonl
      reconciler ledger export -t prod --after 5120 >> ledger.jsonl
      reconciler ledger export -t prod --snapshot prod.snapshot
    """
    from reconciler.app.ledgers import export_masked, opened_store
    from reconciler.app.session import choose_target
    from reconciler.core.event_codec import encode
    from reconciler.ledger.chained_batches import walk
    from reconciler.ledger.history import History

    chosen = choose_target(options)
    if snapshot is not None:
        if after or raw:
            raise click.UsageError("--snapshot writes a state, not events: --after and --raw do not apply to it")
        position = export_masked(chosen, snapshot)
        echo_error(f"Wrote the state up to position {position} to {snapshot}, with masked requests.")
        return DONE
    _keep_private(sys.stdout)
    with opened_store(chosen) as store:
        history = History(store)
        for position, _, batch in walk(store, chosen.place, after):
            for event in batch.events:
                out(_export_line({"position": position, **encode(history.whole(event))}), raw=raw)
    return DONE


def _keep_private(stream: TextIO) -> None:
    """If standard output is redirected to a file, only the owner of the file may read it afterwards, as for a plan
    file."""
    with suppress(OSError, ValueError):
        if stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            os.fchmod(stream.fileno(), 0o600)


def _export_line(event: dict[str, Any]) -> str:
    """Returns an event as ASCII text without control characters, so that a terminal interprets nothing in it."""
    return json.dumps(event, separators=(",", ":")).replace("\x7f", "\\u007f")
