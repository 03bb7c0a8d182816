"""Measures commands on ledgers with years of history. Run by `make bench`, or with a number of submissions and
stores as arguments.

The ledgers are written through reconciler's own log: 50 specs that run every quarter of an hour, of which 3 % fail.
They are written in SQLite, and copied batch by batch to the other stores. Each figure is compared with that of the same
command on a short history, in the same run, so that a loaded machine matters little. Memory is the peak of the whole
process.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from reconciler.app.session import SystemClock
from reconciler.core import events as e
from reconciler.core.decide import plan
from reconciler.core.desired import Desired, DesiredSpec
from reconciler.core.identity import Place, SubmissionKey, client_token
from reconciler.core.ports import Snapshots, Store
from reconciler.core.times import seconds_text, time_text
from reconciler.ledger.log import Log
from reconciler.ledger.open import open_store
from reconciler.model.kind import kind_named
from reconciler.specs.project import load_target, read_project
from tests.bench.measure import Goal, Report, Row, Usage, run
from tests.bench.projects import always, do_not_flush
from tests.bench.stub_aws import serving as serving_aws

SPECS = 50
DAY, WEEK, YEARS = SPECS * 96, SPECS * 96 * 7, 500_000
"""The numbers of submissions in a day, in a week, and in the part of three years (5 million) that a benchmark has time
to write."""

ROUNDS = 3
STORES = ("sqlite", "s3", "dynamodb")
QUARTER = timedelta(minutes=15)
PLACE = Place("bench", "prod", "111122223333", "eu-west-1")
COMMAND = [sys.executable, "-m", "reconciler"]
KIND = "EmrServerlessJobRun"

PROJECT = """\
apiVersion: reconciler/v1
kind: Project
metadata: {{name: bench}}
spec:
  defaultTarget: prod
  targets: {{prod: {{account: "111122223333", region: eu-west-1, ledger: "{ledger}"}}}}
"""

SPEC = """\
apiVersion: reconciler/v1
kind: EmrServerlessJobRun
metadata: {{name: job-{number:02}}}
spec:
  schedule: "*/15 * * * *"
  request:
    applicationId: 00f1abcdefg
    executionRoleArn: arn:aws:iam::111122223333:role/emr-job
    jobDriver:
      sparkSubmit:
        entryPoint: s3://bench/jobs/job_{number}.py
        entryPointArguments: ["--at", "${{run.slot}}"]
        sparkSubmitParameters: --class shop.Job{number} --conf spark.executor.memory=8g --conf spark.executor.cores=4
    configurationOverrides:
      monitoringConfiguration: {{s3MonitoringConfiguration: {{logUri: s3://bench/logs/}}}}
"""


@dataclass(frozen=True)
class History:
    """A project folder, and a ledger whose newest submission is for the next slot."""

    folder: Path
    ledger: str
    submissions: int
    environ: Mapping[str, str] = field(default_factory=dict)

    def make(self) -> None:
        """Writes the project and the ledger."""
        (self.folder / "specs").mkdir(parents=True)
        (self.folder / "reconciler.yaml").write_text(PROJECT.format(ledger=self.ledger))
        for number in range(SPECS):
            (self.folder / "specs" / f"{number}.yaml").write_text(SPEC.format(number=number))
        specs = load_target(read_project(self.folder), "prod")
        with closing(Log(open_store(self.ledger, self.folder, PLACE), PLACE, "0.1.0", SystemClock())) as log:
            last = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=2)
            slots = self.submissions // SPECS
            log.append([], always)
            do_not_flush(log.history._store)
            start = last - QUARTER * slots
            self._start(log, specs, start)
            for number in range(1, slots + 1):
                slot_events(log, specs, start + QUARTER * number, number)

    @staticmethod
    def _start(log: Log, specs: Mapping[str, DesiredSpec], start: datetime) -> None:
        """Starts the schedules, and records what a first apply records."""
        from reconciler.apply.intents import Provenance
        from reconciler.apply.recording import record_declarations

        since = time_text(start)
        log.append(
            [
                e.ScheduledSince(at=since, name=name, kind=KIND, since=since, schedule="*/15 * * * *", time_zone="UTC")
                for name in specs
            ],
            always,
        )
        made = plan(Desired(PLACE, specs, frozenset(specs)), log.recorded, start)
        record_declarations(log, made.declarations, (), since, Provenance(None, "bench", "0.1.0", "bench:1"))


def slot_events(log: Log, specs: Mapping[str, DesiredSpec], moment: datetime, number: int) -> None:
    """Appends the events of one slot of all specs in groups, as a pass does: intents, outcomes and ends."""
    slot, before = seconds_text(moment), seconds_text(moment - timedelta(seconds=1))
    at, until, ended = (time_text(moment + timedelta(seconds=seconds)) for seconds in (3, 33, 300))
    intents, outcomes, ends = [], [], []
    for index, spec in enumerate(specs.values()):
        key = SubmissionKey(spec.name, slot=slot)
        token = client_token(PLACE, KIND, key, spec.digest)
        request = _rendered(spec, slot, token)
        run_id = "00f" + sha256(token.encode()).hexdigest()[:13]
        intents.append(
            e.Intended(
                at=at, token=token, kind=KIND, key=key, content=replace(spec.content, request=request), send=1,
                not_after=until, owner="bench:1:0", reason="slot-due", settled_slots=before, commit="c" * 40,
                actor="bench", tool_version="0.1.0",
            )
        )  # fmt: skip
        outcomes.append(e.Submitted(at=at, name=spec.name, token=token, send=1, run_id=run_id))
        state = "failed" if (index * 7 + number) % 33 == 0 else "succeeded"
        ends.append(
            e.Observed(
                at=ended, name=spec.name, token=token, run_id=run_id, state=state, aws_state=state.upper(),
                started_at=at, finished_at=ended, usage={"billedResourceUtilization": {"vCPUHour": 0.25}},
            )
        )  # fmt: skip
    for events in (intents, outcomes, ends):
        log.append(events, always)


def _rendered(spec: DesiredSpec, slot: str, token: str) -> dict[str, Any]:
    from reconciler.core.submit_actions import rendered

    return kind_named(KIND).as_sent(rendered(spec, slot, {}), token, PLACE.owner(spec.name))


COMMANDS = {
    "plan": ("plan", "--no-refresh", "--no-cache"),
    "status": ("status", "--no-refresh", "--no-cache"),
    "pass": ("reconcile",),
    "runs": ("runs", "job-07", "--no-refresh"),
    "history, newest 50": ("history", "job-07", "--limit", "50"),
    "fsck": ("fsck",),
    "history, whole": ("history", "job-07"),
    "ledger verify": ("ledger", "verify"),
}
GOALS = ("plan", "status", "pass")
GROWING = {"history, whole", "ledger verify"}
"""Commands that read the whole history, so that their time grows with it, but not their memory."""

MOST, FLAT = 1.5, 1.1
"""The goals for the time and for the memory."""


def compare(short: History, long: History, names: Sequence[str]) -> dict[str, tuple[Row, Row]]:
    """Compares the CPU time and the memory of each command on the long history with those on the short one. For
    commands that read the whole history, compares the time per submission."""
    rows: dict[str, tuple[Row, Row]] = {}
    for name in names:
        scale = long.submissions / short.submissions if name in GROWING else 1
        rounds = 1 if name in GROWING else ROUNDS
        pairs = [(_use(short, COMMANDS[name]), _use(long, COMMANDS[name])) for _ in range(rounds)]
        few = Row(name, "CPU s", [few.cpu * scale for few, _ in pairs])
        seconds = Row(name, "CPU s", [many.cpu for _, many in pairs])
        memory = Row(name, "MB", [many.memory for _, many in pairs])
        seconds.compare(few)
        memory.compare(Row(name, "MB", [few.memory for few, _ in pairs]))
        rows[name] = seconds, memory
    return rows


def _use(history: History, arguments: Sequence[str]) -> Usage:
    return run([*COMMAND, *arguments], history.folder, history.environ, codes=(0, 3))


def write(history: History) -> None:
    """Writes a ledger, and prints the time of an append, which must not grow."""
    before = time.process_time()
    history.make()
    taken = (time.process_time() - before) / history.submissions
    size = (history.folder / "ledger.sqlite").stat().st_size / history.submissions / 1000
    print(f"wrote {history.submissions:,} submissions: {taken * 1e3:.2f} ms each, {size:.2f} kB a slot", flush=True)


def copied(history: History, folder: Path, address: str, environ: Mapping[str, str]) -> History:
    """Returns the same project with a copy of its ledger in another store."""
    shutil.copytree(history.folder / "specs", folder / "specs")
    (folder / "reconciler.yaml").write_text(PROJECT.format(ledger=address))
    copy(open_store(history.ledger, history.folder, PLACE), open_store(address, folder, PLACE))
    return History(folder, address, history.submissions, environ)


def copy(source: Store, target: Store) -> None:
    """Copies all batches and the newest snapshot."""
    for position, raw in source.read(0):
        assert target.append(position, raw) == raw
    assert isinstance(source, Snapshots)
    assert isinstance(target, Snapshots)
    newest = source.newest_snapshot()
    assert newest is not None
    target.keep_snapshot(*newest)


@contextmanager
def environments(scheme: str) -> Iterator[tuple[Callable[[], str], Mapping[str, str]]]:
    """Yields a function that makes addresses of ledgers, and the environment for commands: with a stub of AWS, and with
    a local server of the store."""
    with serving_aws() as aws:
        if scheme == "sqlite":
            yield (lambda: "sqlite:///ledger.sqlite"), aws.environ
            return
        from tests.ledger.server import serving

        with serving() as server:
            os.environ.update(server.environment)
            yield (lambda: server.address(scheme)), {**aws.environ, **server.environment}


def in_folder(folder: Path, number: int) -> History:
    """Returns the history of this many submissions in a folder."""
    return History(folder / f"history-{number}", "sqlite:///ledger.sqlite", number)


def written(folder: Path, number: int) -> None:
    """Writes a history in a folder, in which `measure` finds it."""
    write(in_folder(folder, number))


def measure(
    report: Report, numbers: tuple[int, int], stores: Sequence[str], folder: Path, names: Sequence[str] = GOALS
) -> None:
    """Measures each store with a short and with a long history of these numbers of submissions, written in a folder."""
    for scheme in stores:
        with environments(scheme) as (address, environ):
            histories = [replace(in_folder(folder, number), environ=environ) for number in numbers]
            if scheme != "sqlite":
                histories = [
                    copied(each, folder / f"{scheme}-{each.submissions}", address(), environ) for each in histories
                ]
            short, long = histories
            rows = compare(short, long, names)
        title = f"{numbers[1]:,} submissions in {scheme}; ratio to {numbers[0]:,}"
        report.table(title, [row for pair in rows.values() for row in pair])
        for each in GOALS:
            seconds, memory = rows[each]
            what = f"{each}, {numbers[1]:,} submissions in {scheme}, against {numbers[0]:,}"
            report.add(Goal(f"{what}: CPU", seconds.ratio, MOST), Goal(f"{what}: memory", memory.ratio, FLAT))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("submissions", type=int, nargs="?", default=YEARS)
    parser.add_argument("--against", type=int, default=WEEK)
    parser.add_argument("--store", action="append", choices=STORES)
    arguments = parser.parse_args()
    result = Report()
    both = (arguments.against, arguments.submissions)
    with tempfile.TemporaryDirectory() as name:
        for each in both:
            written(Path(name), each)
        measure(result, both, arguments.store or ["sqlite"], Path(name), [*COMMANDS])
    print(result.summary())
