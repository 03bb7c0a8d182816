"""`reconciler import`: write specs for existing runs, and for requests in files of other tools."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.exit_codes import ACTION_REQUIRED, DONE, ERROR
from reconciler.cli.options import format_option, ledger_options, takes_options
from reconciler.cli.output import annotate, out, out_json, print_problems

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.app.imports import ImportedSpec
    from reconciler.app.options import CommandOptions


@click.command("import")
@click.argument("run_ids", nargs=-1, metavar="[RUN_ID]...")
@click.option(
    "--from-json",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Read requests from a JSON file of the AWS CLI, Step Functions, EventBridge or EventBridge Scheduler.",
)
@click.option(
    "--out",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder for the specs, inside the project folder.  [default: the project's]",
)
@click.option("--no-record", is_flag=True, help="Only write the files: the next apply runs the jobs.")
@format_option("json")
@ledger_options
@takes_options
def import_(
    options: CommandOptions,
    run_ids: tuple[str, ...],
    *,
    file: Path | None,
    folder: Path | None,
    no_record: bool,
    output_format: str,
) -> int:
    """Write a spec for each run in AWS, given by its id or ARN, and adopt the run, so that the next plan is empty.

    With --from-json, reads requests from a file: the JSON of `aws … --cli-input-json`, replies of `aws batch
    describe-jobs` and `aws emr-serverless get-job-run`, definitions of state machines and their states, rules of
    EventBridge with their targets, and schedules of EventBridge Scheduler. The content is recorded as applied, as by
    `accept`. Expressions such as $.day become placeholders, which you must fill in first.

    Settings that AWS adds to a run by itself are left out and listed.

    \b
    Examples:
      reconciler import 00f5qtaa1k4ad80b 4b0e1c5e-6a5c-4a3b-9d0e-0a4bd0c5c1f2 -t prod
      reconciler import --from-json state-machine.json -t prod --out specs/pipelines

    Exit code 3 if something must be filled in, 1 if a run could not be adopted.
    """
    from reconciler.app.imports import payloads_of_file, payloads_of_runs, record_imports, write_specs
    from reconciler.app.session import opened

    if bool(run_ids) == (file is not None):
        raise click.UsageError("name the ids of runs, or a file with --from-json FILE")
    with opened(options) as session:
        payloads = payloads_of_runs(session, run_ids) if file is None else payloads_of_file(file)
        written = write_specs(session, payloads, folder)
        specs = written if no_record else list(record_imports(session, written))
    problems = [problem for spec in specs for problem in (*spec.problems, *spec.warnings)]
    print_problems(problems)
    annotate(problems, options)
    if output_format == "json":
        out_json({"imported": [_json(spec) for spec in specs]})
    else:
        for spec in specs:
            out("\n".join(_lines(spec)))
    if any(spec.outcome == "failed" for spec in specs):
        return ERROR
    return ACTION_REQUIRED if any(spec.incomplete for spec in specs) else DONE


def _lines(spec: ImportedSpec) -> Iterator[str]:
    """Yields the lines of output about one spec."""
    from reconciler.render.text import plain

    payload = spec.payload
    yield plain(f"{spec.name}  {spec.outcome}  {spec.path}  ({payload.origin})")
    if spec.error is not None:
        yield plain(f"  error: {spec.error}")
    if payload.left_out:
        yield plain(f"  left out: {', '.join(payload.left_out)}")
    for note in payload.notes:
        yield plain(f"  note: {note}")
    for name, text in payload.variables.items():
        yield plain(f"  fill in ${{var.{name}}} below spec.vars of reconciler.yaml: {text}")
    for path, text in payload.omitted.items():
        yield plain(f"  fill in request.{path}: {text}")
    if spec.incomplete:
        yield plain(f"  then, to prevent a run: reconciler accept {spec.name}")


def _json(spec: ImportedSpec) -> dict[str, Any]:
    payload = spec.payload
    return {
        "name": spec.name,
        "kind": payload.kind,
        "path": spec.path,
        "origin": payload.origin,
        "run_id": payload.run_id,
        "outcome": spec.outcome,
        "error": spec.error,
        "left_out": list(payload.left_out),
        "notes": list(payload.notes),
        "variables": dict(payload.variables),
        "omitted": dict(payload.omitted),
        "problems": [str(problem) for problem in spec.problems],
    }
