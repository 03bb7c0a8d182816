"""Runs the benchmarks: `make bench`. With a git revision, compares it with this one: `make bench-compare REF=v0.1.0`.

Every table has minimum, median and maximum, and ratios of pairs that were measured one after the other. All samples
are written to `bench.json`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.bench.growth import growth
from tests.bench.measure import RESULT, Row, run, save, show
from tests.bench.projects import BARE, generate
from tests.bench.stub_aws import StubAws, serving

ROUNDS = 3
SPECS, SUBMISSIONS, LIVE = 1000, 300, 2000
ROOT = Path(__file__).parents[2]
COMMANDS = {
    "--version": ["--version"],
    "validate": ["validate"],
    "plan --no-refresh --no-cache": ["plan", "--no-refresh", "--no-cache"],
    "plan --no-refresh": ["plan", "--no-refresh"],
    "plan --format markdown": ["plan", "--no-refresh", "--format", "markdown"],
    "plan --format json": ["plan", "--no-refresh", "--format", "json"],
}
COMMON = {label: arguments for label, arguments in COMMANDS.items() if "--no-cache" not in arguments}
BARE_CLICK = "import click\n@click.command()\ndef main(): pass\nmain()"
TERRAFORM = 'resource "terraform_data" "job" {{\n  input = {form}\n}}\n'


def reconciler(tree: Path, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """A command of the program in a source tree, and its environment."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "RECONCILER_"))}
    return [sys.executable, "-m", "reconciler", *arguments], {**kept, "PYTHONPATH": str(tree)}


def commands(rounds: int) -> list[Row]:
    """Whole commands on a project of new specs, each beside a plain read of the same files."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generate(folder, SPECS)
        plain, click = Row("plain read", "CPU s"), Row("bare click command", "CPU s")
        rows = [Row(label, "CPU s") for label in COMMANDS]
        for _ in range(rounds):
            plain.samples.append(run([sys.executable, "-c", BARE, folder], folder).cpu)
            click.samples.append(run([sys.executable, "-c", BARE_CLICK], folder).cpu)
            for row, arguments in zip(rows, COMMANDS.values(), strict=True):
                row.samples.append(run(*_in(folder, *reconciler(ROOT, *arguments))).cpu)
        for row in rows:
            row.compare(click if row.name == "--version" else plain)
        return [plain, click, *rows]


def _in(folder: Path, arguments: list[str], environ: Mapping[str, str]) -> tuple[list[str], Path, Mapping[str, str]]:
    return arguments, folder, environ


def terraform(rounds: int) -> list[Row]:
    """A plan of as many new static blocks, if Terraform is installed."""
    program = shutil.which("terraform")
    if program is None:
        return []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        form = json.dumps(
            json.dumps({"entryPoint": "s3://bench/job.py", "options": [f"--option-{i}" for i in range(16)]})
        )
        blocks = [TERRAFORM.format(form=form).replace('"job"', f'"job-{n}"') for n in range(SPECS)]
        (folder / "main.tf").write_text("".join(blocks))
        run([program, "init"], folder)
        row = Row("terraform plan, a block for each spec", "CPU s")
        row.samples = [run([program, "plan"], folder).cpu for _ in range(rounds)]
        return [row]


def submit(aws: StubAws, tree: Path, what: str, kind: str, workers: int) -> dict[str, float]:
    """Milliseconds for each submission, with the program of a source tree."""
    program = str(ROOT / "tests/bench/submitting.py")
    arguments = [sys.executable, program, what, kind, str(workers), str(SUBMISSIONS)]
    environ = {**aws.environ, "PYTHONPATH": str(tree)}
    done = subprocess.run(arguments, env=environ, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout))


def states(rounds: int) -> list[Row]:
    """The states of live runs, 100 in a call, as a pass reads them, beside the same calls alone."""
    bare, ours = Row("boto3", "CPU s"), Row("ours", "CPU s")
    with serving() as aws:
        for _ in range(rounds):
            for row, what in ((bare, "bare"), (ours, "ours")):
                program = [sys.executable, str(ROOT / "tests/bench/observing.py"), what, str(LIVE)]
                done = subprocess.run(program, env=aws.environ, stdout=subprocess.PIPE, text=True, check=True)
                row.samples.append(json.loads(done.stdout)["cpu"])
    ours.compare(bare)
    return [bare, ours]


def submissions(rounds: int) -> list[Row]:
    """Submissions with durable intents and outcomes; the ratio is that of a bare loop's time to ours."""
    rows: list[Row] = []
    with serving() as aws:
        for kind in ("batch", "emr"):
            for workers in (1, 8):
                title = f"{kind}, {workers} at once"
                pairs = [(Row(f"{title}, boto3", f"{u} ms"), Row(f"{title}, ours", f"{u} ms")) for u in ("cpu", "wall")]
                for _ in range(rounds):
                    bare, ours = (submit(aws, ROOT, what, kind, workers) for what in ("bare", "ours"))
                    for (theirs, mine), unit in zip(pairs, ("cpu", "wall"), strict=True):
                        theirs.samples.append(bare[unit])
                        mine.samples.append(ours[unit])
                for theirs, mine in pairs:
                    mine.compare(theirs, inverse=True)
                    rows += [theirs, mine]
    return rows


@contextmanager
def revision(reference: str) -> Iterator[Path]:
    """The source tree of another revision."""
    with tempfile.TemporaryDirectory() as name:
        tree = Path(name) / "tree"
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", tree, reference], cwd=ROOT, check=True)
        try:
            yield tree
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", tree], cwd=ROOT, check=True)


def compare(reference: str, rounds: int) -> list[Row]:
    """The commands and the submissions of this revision, and the ratio of their time to that of another revision."""
    rows: list[Row] = []
    with revision(reference) as other, tempfile.TemporaryDirectory() as name, serving() as aws:
        folder = Path(name)
        generate(folder, SPECS)
        for label, arguments in COMMON.items():
            theirs, mine = Row(f"{label}, {reference}", "CPU s"), Row(label, "CPU s")
            for _ in range(rounds):
                theirs.samples.append(run(*_in(folder, *reconciler(other, *arguments))).cpu)
                mine.samples.append(run(*_in(folder, *reconciler(ROOT, *arguments))).cpu)
            mine.compare(theirs)
            rows += [theirs, mine]
        for workers in (1, 8):
            label = f"submit, {workers} at once"
            theirs, mine = Row(f"{label}, {reference}", "CPU ms"), Row(label, "CPU ms")
            for _ in range(rounds):
                theirs.samples.append(submit(aws, other, "ours", "batch", workers)["cpu"])
                mine.samples.append(submit(aws, ROOT, "ours", "batch", workers)["cpu"])
            mine.compare(theirs)
            rows += [theirs, mine]
    return rows


def main(reference: str | None) -> None:
    """Prints the tables and saves the samples."""
    tables: dict[str, list[Row]] = {}
    if reference is not None:
        tables[f"This revision against {reference}; ratio to it"] = compare(reference, ROUNDS)
        show(*next(iter(tables.items())))
    else:
        for title, table in (
            (f"{SPECS} new specs; ratio to a plain read, and of --version to a bare click command", commands),
            (f"Terraform, {SPECS} new blocks", terraform),
            (f"states of {LIVE} live Batch runs from a stub; ratio to the calls alone", states),
            (f"{SUBMISSIONS} submissions to a stub; ratio of bare boto3 to ours", submissions),
            ("Four times as many specs; ratio to the time for 250", growth),
        ):
            if rows := table(ROUNDS):
                tables[title] = rows
                show(title, rows)
    save(RESULT, tables)
    print(f"\nAll samples are in {RESULT.name}.")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
