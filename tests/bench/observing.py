"""Reads the states of live Batch runs from a stub, once with bare boto3 and once as a pass does.

Run as a program, it is the measured process: ``observing.py bare|ours``. It reads the ids of the jobs from standard
input, and prints JSON.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.submitting import request

if TYPE_CHECKING:
    from tests.bench.measure import Report

PAGE = 100


def bare(ids: Sequence[str]) -> Callable[[], None]:
    """Makes only the calls to AWS."""
    import boto3

    call = boto3.client("batch").describe_jobs
    call(jobs=ids[:1])

    def loop() -> None:
        for start in range(0, len(ids), PAGE):
            assert call(jobs=ids[start : start + PAGE])["jobs"]

    return loop


def ours(ids: Sequence[str]) -> Callable[[], None]:
    """Observes all runs as a pass does with a ledger in which they are live."""
    from reconciler.app.session import SystemClock
    from reconciler.aws.batch import connect
    from reconciler.aws.clients import Aws
    from reconciler.aws.observe import observe
    from reconciler.core import events as e
    from reconciler.core.fold import fold
    from reconciler.core.identity import Content, Source, SubmissionKey
    from reconciler.core.state import Recorded

    at, recorded = "2026-11-22T02:00:00.000Z", Recorded()
    for number, run_id in enumerate(ids):
        name, token = f"job-{number}", f"r1-{number:048}"
        intended = e.Intended(
            at=at, token=token, kind="BatchJob", key=SubmissionKey(name, 1), send=1, not_after=at, owner="bench:1:0",
            reason="new", actor="bench", tool_version="0.1.0",
            content=Content(
                "sha256:0", request=request("batch", number), location={"jobQueue": f"queue-{number % 5}"},
                source=Source(f"{name}.yaml", 1),
            ),
        )  # fmt: skip
        fold(recorded, 1, [intended, e.Submitted(at=at, name=name, token=token, send=1, run_id=run_id)])
    service = connect(Aws("eu-west-1", clock=SystemClock()))
    for run in [*recorded.live()]:
        seen = e.Observed(
            at=at, name=run.name, token=run.token, run_id=run.run_id or "", state="running", aws_state="RUNNING"
        )
        fold(recorded, 2, [seen])
    observe(recorded, lambda _: service, {"job-0"}, datetime.now(UTC))

    def loop() -> None:
        events, sighting = observe(recorded, lambda _: service, None, datetime.now(UTC))
        assert not sighting.observe_errors
        assert len(events) <= len(ids)

    return loop


def main(what: str, ids: Sequence[str]) -> None:
    """Measures one read of all states."""
    call = {"bare": bare, "ours": ours}[what](ids)
    before = resource.getrusage(resource.RUSAGE_SELF)
    call()
    after = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}))


def measure(report: Report, number: int) -> None:
    """Compares a pass that reads the states of live runs, 100 per call, with the same calls alone."""
    from tests.bench.measure import ROUNDS, Goal, Row
    from tests.bench.stub_aws import serving

    rows = {"bare": Row("boto3", "CPU s"), "ours": Row("reconciler", "CPU s")}
    calls = 0
    with serving() as aws:
        ids = json.dumps(aws.have([request("batch", n) for n in range(number)]))
        for _ in range(ROUNDS):
            for what, row in rows.items():
                aws.calls(reset=True)
                program = [sys.executable, __file__, what]
                done = subprocess.run(
                    program, env=aws.environ, input=ids, stdout=subprocess.PIPE, text=True, check=True
                )
                row.samples.append(json.loads(done.stdout)["cpu"])
            calls = aws.calls()["DescribeJobs"] - 1  # one call before the measurement
    ratio = rows["ours"].compare(rows["bare"])
    report.table(f"states of {number} live Batch runs from a stub; ratio to the calls alone", [*rows.values()])
    report.add(
        Goal(f"states of {number:,} live Batch runs: calls", calls, number / PAGE, "calls"),
        Goal(f"states of {number:,} live Batch runs, against the calls alone: CPU", ratio, 1.4),
    )


if __name__ == "__main__":
    main(sys.argv[1], json.load(sys.stdin))
