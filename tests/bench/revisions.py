"""Compares the commands and the submissions of this revision with another revision."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.commands import COMMON, ROOT
from tests.bench.measure import ROUNDS, Goal, Report, Row, Usage, run
from tests.bench.projects import generate, new_ledger
from tests.bench.stub_aws import StubAws, serving

SPECS, SUBMISSIONS, MANY_SUBMISSIONS = 1000, 300, 1000


def submit(aws: StubAws, tree: Path, what: str, kind: str, workers: int) -> dict[str, float]:
    """Returns the milliseconds per submission with the program in a source tree."""
    program = str(ROOT / "tests/bench/submitting.py")
    arguments = [sys.executable, program, what, kind, str(workers), str(SUBMISSIONS)]
    environ = {**aws.environ, "PYTHONPATH": str(tree)}
    done = subprocess.run(arguments, env=environ, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout))


def submissions(report: Report) -> None:
    """Measures submissions with durable intents and outcomes, and the ratio of the time of a bare loop to it."""
    rows: list[Row] = []
    with serving() as aws:
        for kind in ("batch", "emr"):
            for workers in (1, 8):
                title, ratios = f"{kind}, {workers} at once", list[float]()
                pairs = {
                    unit: (Row(f"{title}, boto3", f"{unit} ms"), Row(title, f"{unit} ms")) for unit in ("cpu", "wall")
                }
                for _ in range(ROUNDS):
                    bare, ours = (submit(aws, ROOT, what, kind, workers) for what in ("bare", "ours"))
                    for unit, (theirs, mine) in pairs.items():
                        theirs.samples.append(bare[unit])
                        mine.samples.append(ours[unit])
                for theirs, mine in pairs.values():
                    ratios.append(mine.compare(theirs, inverse=True))
                    rows += [theirs, mine]
                what = f"submitting to a stub, {title}, against bare boto3"
                report.add(
                    *(
                        Goal(f"{what}: {unit}", ratio, 0.7, at_least=True)
                        for unit, ratio in zip(pairs, ratios, strict=True)
                    )
                )
    report.table(f"{SUBMISSIONS} submissions to a stub; ratio of bare boto3 to ours", rows)


@contextmanager
def revision(reference: str) -> Iterator[Path]:
    """Yields the source tree of another revision."""
    with tempfile.TemporaryDirectory() as name:
        tree = Path(name) / "tree"
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", tree, reference], cwd=ROOT, check=True)
        try:
            yield tree
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", tree], cwd=ROOT, check=True)


def compare(report: Report, reference: str) -> None:
    """Measures the commands and submissions of this revision, and the ratio of their time to that of another
    revision."""
    rows: list[Row] = []
    with revision(reference) as other, tempfile.TemporaryDirectory() as name, serving() as aws:
        folder = Path(name) / "project"
        generate(folder, SPECS)
        new_ledger(folder)
        sides = {
            tree: {**aws.environ, "PYTHONPATH": str(tree), "XDG_CACHE_HOME": f"{name}/cache"} for tree in (other, ROOT)
        }
        os.mkdir(f"{name}/cache", 0o700)

        def use(tree: Path, arguments: list[str]) -> Usage:
            return run([sys.executable, "-m", "reconciler", *arguments], folder, sides[tree])

        for label, arguments in COMMON.items():
            theirs, mine = Row(f"{label}, {reference}", "CPU s"), Row(label, "CPU s")
            for _ in range(ROUNDS):
                theirs.samples.append(use(other, arguments).cpu)
                mine.samples.append(use(ROOT, arguments).cpu)
            mine.compare(theirs)
            rows += [theirs, mine]
        for workers in (1, 8):
            label = f"submit, {workers} at once"
            theirs, mine = Row(f"{label}, {reference}", "CPU ms"), Row(label, "CPU ms")
            for _ in range(ROUNDS):
                theirs.samples.append(submit(aws, other, "ours", "batch", workers)["cpu"])
                mine.samples.append(submit(aws, ROOT, "ours", "batch", workers)["cpu"])
            mine.compare(theirs)
            rows += [theirs, mine]
    report.table(f"This revision against {reference}; ratio to it", rows)
