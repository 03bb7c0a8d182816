"""Plays a story that records every event type of 0.1.0 in two ledgers, using only the command.

The target `staging` ends in sync with one live streaming run. The target `prod` is a renamed copy of an early state of
`staging`, and ends with specs that need an operator. `make_data.py` played the story once, and a test plays it with the
current version.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

from tests.compat.sandbox import ACCOUNT, REGION, Aws, Done, Sandbox, emulator

BEGINNING = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)  # a Sunday
STAGING_LEDGER, PROD_LEDGER = "ledger-0.1.0.db", "renamed-0.1.0.db"
STATE = "emulator-0.1.0.db"
START_SECONDS = 12
"""The number of seconds before a run starts. The delay is long enough that a command that submits a run and observes it
at once sees its first state, even on a busy machine."""

PROJECT = f"""\
apiVersion: reconciler/v1
kind: Project
metadata: {{name: shop}}
spec:
  defaultTarget: staging
  vars: {{bucket: shop-jobs}}
  targets:
    staging:
      account: "{ACCOUNT}"
      region: {REGION}
      ledger: sqlite:///{STAGING_LEDGER}
      notify:
        - {{urlEnv: NOWHERE}}
    prod:
      account: "{ACCOUNT}"
      region: {REGION}
      ledger: sqlite:///{PROD_LEDGER}
    fresh:
      account: "{ACCOUNT}"
      region: {REGION}
      ledger: sqlite:///fresh.db
"""
SHARED = "targets: [staging, prod]"
LOST = {"operation": "SubmitJob", "count": 1, "request": "lost", "answer": "closed"}
"""A fault rule for a request that never arrives and gets no reply."""


def batch(name: str, argument: str, *policy: str, request: str = "") -> str:
    """Returns a Batch spec. `policy` contains lines for its `spec`, and `request` lines for its request."""
    return f"""\
apiVersion: reconciler/v1
kind: BatchJob
metadata: {{name: {name}}}
spec:{_lines(policy or (SHARED,), 2)}
  request:
    jobQueue: nightly
    jobDefinition: worker:1{_lines(request.splitlines(), 4)}
    containerOverrides:
      command: ["work", "{argument}"]
"""


def spark(name: str, argument: str, *policy: str, request: str = "") -> str:
    """Returns an EMR Serverless spec. The arguments are the same as for `batch`."""
    return f"""\
apiVersion: reconciler/v1
kind: EmrServerlessJobRun
metadata: {{name: {name}, labels: {{team: growth}}}}
spec:{_lines(policy or (SHARED,), 2)}
  request:
    applicationId: 00app0spark
    executionRoleArn: arn:aws:iam::${{target.account}}:role/jobs{_lines(request.splitlines(), 4)}
    jobDriver:
      sparkSubmit:
        entryPoint: s3://${{var.bucket}}/{name}.py
        entryPointArguments: ["{argument}"]
        sparkSubmitParameters:
          conf: {{spark.executor.memory: 4g}}
"""


def _lines(lines: Any, indent: int) -> str:
    return "".join(f"\n{' ' * indent}{line}" for line in lines)


@dataclass
class Story:
    """The current state of the story."""

    box: Sandbox
    aws: Aws
    time: datetime = BEGINNING
    # The time at which the runs of the last command are running, however slow the command was.
    ready: datetime = BEGINNING

    def later(self, **span: float) -> None:
        """Advances the time."""
        self.time += timedelta(**span)
        self.box.now = self._now.strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def _now(self) -> datetime:
        return max(self.time, self.ready)

    def specs(self, **texts: str | None) -> None:
        """Writes specs by name, or removes those that are `None`, and commits."""
        self.uncommitted(**texts)
        self.commit()

    def uncommitted(self, **texts: str | None) -> None:
        """Writes specs without a commit."""
        for key, text in texts.items():
            path = self.box.folder / f"{key.replace('_', '-')}.yaml"
            if text is None:
                path.unlink()
            else:
                path.write_text(text)

    def commit(self) -> None:
        """Commits everything."""
        for arguments in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "Specs"]):
            git(self.box.folder, self.box.now, *arguments)

    def run(self, *arguments: str, code: int = 0, **environ: str) -> Done:
        """Runs a command, which must exit with `code`, and advances the time by three seconds."""
        began, now = monotonic(), self._now
        done = self.box.run(*arguments, **environ)
        assert done.code == code, (arguments, done)
        self.ready = now + timedelta(seconds=monotonic() - began + START_SECONDS + 3)
        self.later(seconds=3)
        return done

    def apply(self, code: int = 0, **environ: str) -> Done:
        """Applies."""
        return self.run("apply", "--yes", code=code, **environ)

    def passes(self, *minutes: float, code: int = 0) -> None:
        """Runs a pass after each of these waits. The last pass must exit with `code`."""
        for wait in minutes:
            self.later(minutes=wait)
            done = self.box.run("reconcile")
            assert done.code in {0, 3}, done
        assert done.code == code, done

    @contextmanager
    def faults(self, *rules: Mapping[str, Any]) -> Iterator[None]:
        """Activates faults for the duration of a block."""
        self.aws.inject(*rules)
        yield
        self.aws.inject()


def git(folder: Path, now: str, *arguments: str) -> None:
    """Runs git at the current time of the story, without settings of this machine."""
    person = {"NAME": "Team", "EMAIL": "team@example.com", "DATE": now}
    who = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in person.items()}
    settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    subprocess.run(["git", *arguments], cwd=folder, env={**os.environ, **who, **settings}, check=True)


@contextmanager
def begun(folder: Path, state: Path) -> Iterator[Story]:
    """Returns a story that has not begun. `folder` may contain specs."""
    with emulator(state) as aws:
        aws.configure(start_seconds=START_SECONDS, stop_seconds=0)
        story = Story(Sandbox(folder, "", aws), aws)
        story.later(seconds=0)
        (folder / "reconciler.yaml").write_text(PROJECT)
        (folder / ".gitignore").write_text("*.db*\n")
        yield story


def first_runs(story: Story) -> None:
    """Records opened, scheduled-since, intended, submitted and observed."""
    story.run("ledger", "init")
    story.specs(
        orders=spark("orders", "A"),
        clicks=batch("clicks", "A"),
        resize=batch("resize", "A", request="arrayProperties: {size: 20}\nretryStrategy: {attempts: 2}"),
        stream=spark("stream", "A", SHARED, "deletionPolicy: Cancel", request="mode: STREAMING"),
        rates=RATES,
        rollup=ROLLUP,
        audit=batch("audit", "A", *AUDIT),
        report=batch("report", "A", SHARED, 'schedule: "0 5 * * *"'),
    )
    story.apply()
    story.passes(10)


NIGHTLY = (SHARED, 'schedule: "0 2 * * *"', "timeZone: Europe/Madrid")
RATES = batch("rates", "${run.slot:%Y-%m-%d}", *NIGHTLY)
ROLLUP = spark("rollup", "${run.slot}", *NIGHTLY, "catchup: true", "dependsOn: [{name: rates}]")
AUDIT = (SHARED, 'schedule: "0 4 * * *"', "startingDeadlineSeconds: 600")


def move(story: Story) -> None:
    """Records `renamed` in the copy, which has a snapshot."""
    addresses = (f"sqlite:///{STAGING_LEDGER}", f"sqlite:///{PROD_LEDGER}")
    ledger = story.box.folder / STAGING_LEDGER
    before = ledger.read_bytes()
    story.run("ledger", "copy", *addresses, "--rename", "--from-target", "staging", "-t", "prod")
    ledger.write_bytes(before)  # later versions close the source ledger, but this story continues with both


def lost_replies(story: Story) -> None:
    """Records `unclear` and `adopted`, by requests that AWS accepted without a reply. For Spark, AWS replies that the
    token was used before."""
    story.later(minutes=30)
    story.specs(orders=spark("orders", "B"), clicks=batch("clicks", "B"))
    conflict = {"operation": "StartJobRun", "count": 1, "request": "processed", "answer": "error"}
    with story.faults({**LOST, "request": "processed"}, {**conflict, "code": "ConflictException", "status": 409}):
        story.apply()
    story.passes(10)


def lost_requests(story: Story) -> None:
    """Records `absent`, `superseded` and `resolved`, by requests that never arrived and are then sent again, superseded
    by new content, or resolved by an operator."""
    story.specs(clicks=batch("clicks", "C"))
    with story.faults(LOST):
        story.apply(code=3)
    story.passes(26, 2, 10)
    story.specs(clicks=batch("clicks", "D"))
    with story.faults(LOST):
        story.apply(code=3)
    story.specs(clicks=batch("clicks", "E"))
    story.passes(26, 2, 1, 10)
    story.specs(clicks=batch("clicks", "F"))
    with story.faults(LOST):
        story.apply(code=3)
    story.run("resolve", "clicks", "--submit", "--force", "--yes", "--reason", "the queue was down")
    with story.faults(LOST):
        story.apply(code=3)
    story.run("resolve", "clicks", "--abandon", "--force", "--yes", "--reason", "not needed today")
    story.apply()


def two_runs(story: Story) -> None:
    """Records `conflicted` and a manual adoption, by a request that the network duplicated."""
    story.specs(clicks=batch("clicks", "G"))
    with story.faults({**LOST, "request": "twice"}):
        story.apply(code=3)
    run_id = story.aws.runs()[-1]["id"]
    story.run("adopt", "clicks", run_id, "--yes", "--reason", "the second one wrote the table")
    story.passes(10)


def refusals(story: Story) -> None:
    """Records `unsent`, by a network error and by a reply from AWS, and `rejected`."""
    story.specs(clicks=batch("clicks", "H"))
    story.apply(code=1, AWS_ENDPOINT_URL_BATCH="http://127.0.0.1:9")
    refused = {"operation": "SubmitJob", "count": 1, "request": "lost", "answer": "error", "status": 403}
    with story.faults({**refused, "code": "ExpiredTokenException"}):
        story.apply()
    story.specs(resize=batch("resize", "B", request="arrayProperties: {size: 30}"))
    with story.faults({**refused, "code": "ClientException", "status": 400}):
        story.apply(code=3)
    story.uncommitted(resize=batch("resize", "C", request="arrayProperties: {size: 30}"))
    story.apply()
    story.commit()
    story.passes(10)


def runs_of_others(story: Story) -> None:
    """Records `taken`, by a job that somebody started before its spec was written, and by a spec that gets a new
    name."""
    run_id = story.aws.submit_job(**BY_HAND)
    story.specs(imported=batch("imported", "A"))
    story.run("adopt", "imported", run_id, "--yes", "--reason", "started in the console")
    run_id = next(run["id"] for run in reversed(story.aws.runs()) if run["name"] == "resize")
    story.specs(resize=None, shrink=batch("shrink", "C", request="arrayProperties: {size: 30}"))
    story.run("adopt", "shrink", run_id, "--yes", "--reason", "renamed")
    story.passes(10)


BY_HAND = {"jobName": "by-hand", "jobQueue": "nightly", "jobDefinition": "worker:1"}


def failures(story: Story) -> None:
    """Records `retry-asked` and `notified`, by a run that fails twice and another attempt that an operator requests."""
    story.aws.configure(outcomes={"flaky": "failed"})
    story.specs(flaky=batch("flaky", "A", SHARED, "backoffLimit: 1"))
    story.apply()
    story.passes(10, 10, code=3)
    story.aws.configure(outcomes={})
    story.run("retry", "flaky", "--yes", "--reason", "the table is there now")
    story.passes(1, 10)


def cancellations(story: Story) -> None:
    """Records `cancel-asked` and `cancel-accepted`, by a replacement and by an operator, and `unseen`, by a live run
    that AWS does not return for some time."""
    story.specs(stream=spark("stream", "B", SHARED, "deletionPolicy: Cancel", request="mode: STREAMING"))
    story.apply()
    story.passes(1, 1)
    story.aws.configure(describe_lag_seconds=1e6)
    story.passes(1, code=3)
    story.aws.configure(describe_lag_seconds=0)
    story.passes(5)
    story.run("cancel", "stream", "--yes", "--reason", "maintenance")
    story.passes(1)
    story.specs(stream=spark("stream", "B", SHARED, "deletionPolicy: Cancel", "revision: 2", request="mode: STREAMING"))
    story.apply()


def slots(story: Story) -> None:
    """Records `missed` with each reason, `scheduled-since` with each reason for which a schedule stops, and
    `backfill-asked`. Five days pass."""
    story.specs(report=batch("report", "A", SHARED, 'schedule: "0 7 * * *"'))
    story.later(days=1)
    story.passes(0, 10, 1, 10)
    story.specs(
        audit=batch("audit", "A", *AUDIT, "suspend: {reason: holidays, owner: team}"),
        report=batch("report", "A"),
    )
    story.passes(1, 10)
    story.later(days=3)
    story.specs(audit=batch("audit", "A", *AUDIT), rates=RATES.replace("work", "load"))
    story.passes(0, 10, 10, 10)
    run_id = story.aws.submit_job(**BY_HAND)
    missed = f"{story.time - timedelta(days=1):%Y-%m-%d}T01:00:00Z"
    story.run("adopt", "rates", run_id, "--slot", missed, "--yes", "--reason", "ran by hand that night")
    day = story.time - timedelta(days=2)
    times = ("--from", f"{day:%Y-%m-%d}T00:00:00Z", "--to", f"{day:%Y-%m-%d}T12:00:00Z")
    story.run("backfill", "rates", *times, "--yes", "--reason", "the source was late")
    story.passes(1, 10)
    story.specs(audit=None)
    story.passes(1, 10)


def needs_a_person(story: Story) -> None:
    """Leaves specs in the renamed ledger that are retried, given up, rejected, unknown, lost, cancelled by other users,
    and waiting."""
    policy = "targets: [prod]"
    story.specs(
        held=batch("held", "A", policy),
        waiting=batch("waiting", "A", policy, "dependsOn: [{name: held}]"),
        again=spark("again", "A", policy, "backoffLimit: 3"),
        denied=batch("denied", "A", policy),
        unknown=batch("unknown", "A", policy),
        regretted=batch("regretted", "A", policy),
        vanished=batch("vanished", "A", policy),
        stopped=batch("stopped", "A", policy),
    )
    names = ["held", "waiting", "again", "denied", "regretted", "stopped"]
    story.aws.configure(outcomes={"held": "failed", "again": "failed"}, durations={"vanished": 1e6, "stopped": 1e6})
    denied = {"name": "denied", "operation": "SubmitJob", "request": "lost", "answer": "error"}
    with story.faults(
        {**denied, "code": "ClientException", "status": 400},
        {**LOST, "name": "unknown"},
        {**LOST, "name": "regretted"},
    ):
        story.run("apply", "--yes", "-t", "prod", *only(*names, "unknown", "vanished"), code=3)
    story.run("cancel", "regretted", "-t", "prod", "--yes", "--reason", "too late now")
    story.aws.terminate_job(next(run["id"] for run in story.aws.runs() if run["name"] == "stopped"))
    story.aws.configure(describe_lag_seconds=1e6)
    for minutes in (1, 26):
        story.later(minutes=minutes)
        story.run("reconcile", "-t", "prod", *only("vanished"), code=3)
    story.aws.configure(describe_lag_seconds=0)
    for minutes in (10, 10):
        story.later(minutes=minutes)
        story.run("reconcile", "-t", "prod", *only(*names), code=3)


def only(*names: str) -> list[str]:
    """Returns the options that select these specs."""
    return [word for name in names for word in ("--only", name)]


CHAPTERS = (
    first_runs,
    move,
    lost_replies,
    lost_requests,
    two_runs,
    refusals,
    runs_of_others,
    failures,
    cancellations,
    slots,
    needs_a_person,
)
"""The whole story, in order."""


def play(story: Story, chapters: int = len(CHAPTERS)) -> None:
    """Plays the given number of chapters, or all."""
    for chapter in CHAPTERS[:chapters]:
        chapter(story)
