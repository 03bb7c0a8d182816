"""Measures what years of history cost: `make bench`, or with a number of submissions and stores as arguments.

The ledgers are written through the product's log: 50 specs that run every quarter of an hour, of which 3 % fail. Each
figure is compared with the same command and a short history, in the same run, so that a loaded machine matters little.
Memory is the peak of the whole process.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
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
from reconciler.core.state import Recorded
from reconciler.core.times import seconds_text, time_text
from reconciler.ledger.log import Log
from reconciler.ledger.open import open_store
from reconciler.ledger.sqlite import SqliteStore
from reconciler.model.kind import kind_named
from reconciler.specs.project import load, read_project
from tests.bench.measure import RESULT, Row, Usage, run, save, show

SPECS = 50
SUBMISSIONS = 500_000
SHORT = {"one week": SPECS * 96 * 7}
ROUNDS = 3
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


def always(_: Recorded) -> None:
    """Nobody else writes here."""


@dataclass(frozen=True)
class History:
    """A project folder with a ledger of some submissions, the newest of which is of the next slot."""

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
        specs = load(read_project(self.folder), targets=["prod"], warn=False).specs["prod"]
        with closing(Log(open_store(self.ledger, self.folder, PLACE), PLACE, "0.1.0", SystemClock())) as log:
            last = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=2)
            slots = self.submissions // SPECS
            log.append([], always)
            _do_not_flush(log)
            start = last - QUARTER * slots
            self._start(log, specs, start)
            for number in range(1, slots + 1):
                slot_events(log, specs, start + QUARTER * number, number)

    @staticmethod
    def _start(log: Log, specs: Mapping[str, DesiredSpec], start: datetime) -> None:
        """Starts the schedules, and records what a first apply records."""
        from reconciler.apply.declare import record_declarations
        from reconciler.apply.intents import Provenance

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


def _do_not_flush(log: Log) -> None:
    """Makes appends to a file quick, because only reads are measured here."""
    store = log.history._store
    if isinstance(store, SqliteStore):
        store._open_writer(2).execute("PRAGMA synchronous = OFF")


def slot_events(log: Log, specs: Mapping[str, DesiredSpec], moment: datetime, number: int) -> None:
    """Appends the life of one slot of all specs, as a pass groups it: intents, outcomes and ends."""
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
    "plan": ("plan", "--no-refresh"),
    "status": ("status", "--no-refresh"),
    "runs": ("runs", "job-07", "--no-refresh"),
    "history, newest 50": ("history", "job-07", "--limit", "50"),
    "history, whole": ("history", "job-07"),
    "ledger verify": ("ledger", "verify"),
}
GROWING = {"history, whole", "ledger verify"}
"""Commands that read the whole history, so that their time grows with it, but not their memory."""


def compare(short: Mapping[str, History], long: History) -> list[Row]:
    """The CPU time and the memory of each command with the long history, as ratios to a short one. The time of commands
    that read the whole history is compared for each submission."""
    rows: list[Row] = []
    for name, arguments in COMMANDS.items():
        for label, history in short.items():
            scale = long.submissions / history.submissions if name in GROWING else 1
            pairs = [(_use(history, arguments), _use(long, arguments)) for _ in range(1 if name in GROWING else ROUNDS)]
            few, seconds = Row(name, "s", [few.cpu * scale for few, _ in pairs]), Row(f"{name} / {label}", "CPU s")
            memory = Row(f"{name} / {label}", "MB", [many.memory for _, many in pairs])
            seconds.samples = [many.cpu for _, many in pairs]
            seconds.compare(few)
            memory.compare(Row(name, "MB", [few.memory for few, _ in pairs]))
            rows += [seconds, memory]
    return rows


def _use(history: History, arguments: Sequence[str]) -> Usage:
    environ = os.environ | {"RECONCILER_TARGET": "prod"} | dict(history.environ)
    return run([*COMMAND, *arguments], history.folder, environ, codes=(0, 3), quiet=True)


def write(histories: Sequence[History]) -> None:
    """Writes ledgers, and prints what an append took, which must not grow."""
    for history in histories:
        before = time.process_time()
        history.make()
        taken = (time.process_time() - before) / history.submissions
        file = history.folder / "ledger.sqlite"
        size = f", {file.stat().st_size / history.submissions / 1000:.2f} kB a slot" if file.exists() else ""
        print(f"wrote {history.submissions:,} submissions: {taken * 1e3:.2f} ms each{size}", flush=True)


@contextmanager
def servers(scheme: str) -> Iterator[tuple[Any, Mapping[str, str]]]:
    """Yields a function that makes addresses of ledgers, and the environment for them."""
    if scheme == "sqlite":
        yield (lambda _: "sqlite:///ledger.sqlite"), {}
        return
    from tests.ledger.server import serving

    with serving() as server:
        os.environ.update(server.environment)
        yield server.address, server.environment


def main(submissions: int, schemes: Sequence[str]) -> None:
    """Measures each store."""
    for scheme in schemes:
        with tempfile.TemporaryDirectory() as name, servers(scheme) as (address, environ):
            print(f"{scheme}:")
            short = {
                label: History(Path(name) / f"short-{number}", address(scheme), number, environ)
                for label, number in SHORT.items()
                if number < submissions
            }
            long = History(Path(name) / "long", address(scheme), submissions, environ)
            write([*short.values(), long])
            title = f"{submissions} submissions in {scheme}; ratio to the same with a short history"
            rows = compare(short, long)
            show(title, rows)
            save(RESULT, {title: rows}, add=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("submissions", type=int, nargs="?", default=SUBMISSIONS)
    parser.add_argument("--store", action="append", choices=["sqlite", "s3", "dynamodb"])
    arguments = parser.parse_args()
    main(arguments.submissions, arguments.store or ["sqlite"])
