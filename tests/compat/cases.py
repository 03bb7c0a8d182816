"""The commands whose JSON output in 0.1.0 is stored. Each command runs on a fresh copy of the data.

`make_data.py` ran them with 0.1.0; the tests run them with the current version.
"""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.compat.golden import DATA
from tests.compat.sandbox import Done, Sandbox, emulator
from tests.compat.story import PROD_LEDGER, STAGING_LEDGER, STATE, batch, spark

NOW = "2026-11-26T07:00:00+00:00"
"""A time shortly after the end of the story."""

NEXT_DAY = "2026-11-27T02:00:00+00:00"
"""A time one hour after the next slot."""

PLAN_FILE = DATA / "plan-0.1.0.json"
"""The plan file that `plan --out` wrote at `NOW`, after the edits."""

EDITS = {
    "orders": spark("orders", "C"),
    "clicks": batch("clicks", "H", "targets: [staging, prod]", "revision: 2"),
    "extra": batch("extra", "A"),
    "stream": None,  # its run is cancelled
}
"""The changes to the project in cases with `edited`, keyed by the name of the spec."""


@dataclass(frozen=True)
class Case:
    """A command and its exit code. With `aws`, AWS can be reached. With `writes`, the command appends to the target's
    ledger."""

    name: str
    command: str
    code: int = 0
    target: str = "staging"
    at: str = NOW
    edited: bool = False
    aws: bool = False
    writes: bool = False
    like: str = ""  # another case that has the same output

    @property
    def arguments(self) -> list[str]:
        """Returns the arguments of the command."""
        return [*self.command.format(plan=PLAN_FILE).split(), "--format", "json", "-t", self.target]

    @property
    def file(self) -> Path:
        """Returns the path of its stored output."""
        return DATA / "golden" / f"{self.like or self.name}.json"


PLAN, STATUS = "plan --no-refresh", "status --no-refresh"
READING = (
    Case("plan", PLAN),
    Case("plan-refreshed", "plan", aws=True, like="plan"),
    Case("plan-edited", PLAN, edited=True),
    Case("plan-next-day", PLAN, at=NEXT_DAY),
    Case("status", STATUS),
    Case("status-next-day", STATUS, at=NEXT_DAY),
    Case("why-name", "why clicks"),
    Case("why-slot", "why rates"),
    Case("why-taken", "why shrink"),
    Case("why-token", "why r1-7f57656e"),
    Case("verify", "ledger verify"),
    Case("fsck", "fsck", code=3, aws=True),
    Case("prod-plan", PLAN, target="prod"),
    Case("prod-plan-refreshed", "plan", target="prod", aws=True),
    Case("prod-status", STATUS, code=3, target="prod"),
    Case("prod-verify", "ledger verify", target="prod"),
    Case("fresh-plan", PLAN, target="fresh"),
)
WRITING = (
    Case("apply", "apply --yes", edited=True, aws=True, writes=True),
    Case("apply-plan-file", "apply --yes {plan}", edited=True, aws=True, writes=True, like="apply"),
    Case("apply-next-day", "reconcile", at=NEXT_DAY, aws=True, writes=True),
    Case("fresh-apply", "apply --yes", target="fresh", aws=True, writes=True),
    Case("backfill", "backfill rates --from 2026-11-23T00:00:00Z --to 2026-11-23T12:00:00Z --again --yes", aws=True,
         writes=True),
    Case("cancel", "cancel stream --yes", aws=True, writes=True),
    Case("retry", "retry held --yes", target="prod", aws=True, writes=True),
    Case("resolve", "resolve unknown --abandon --yes", target="prod", aws=True, writes=True),
)  # fmt: skip
TOKENS = ("plan", "plan-edited", "plan-next-day", "prod-plan", "prod-plan-refreshed", "fresh-plan")
"""The cases whose digests and client tokens are in `tokens-0.1.0.json`."""


@contextmanager
def sandbox(folder: Path, *, aws: bool = False, edited: bool = False, at: str = NOW) -> Iterator[Sandbox]:
    """Makes a copy of the data in a new folder."""
    project = folder / "project"
    shutil.copytree(DATA / "project", project)
    for name in (STAGING_LEDGER, PROD_LEDGER):
        shutil.copyfile(DATA / name, project / name)
    if edited:
        edit(project)
    if not aws:
        yield Sandbox(project, at)
        return
    state = folder / STATE
    state.write_bytes(gzip.decompress((DATA / f"{STATE}.gz").read_bytes()))
    with emulator(state) as process:
        yield Sandbox(project, at, process)


def edit(project: Path) -> None:
    """Applies `EDITS` to the project."""
    for name, text in EDITS.items():
        if text is None:
            (project / f"{name}.yaml").unlink()
        else:
            (project / f"{name}.yaml").write_text(text)


@dataclass(frozen=True)
class Played:
    """The result of a case: exit code, output, and the events that the command appended."""

    done: Done
    printed: Any
    events: list[dict[str, Any]]


def played(case: Case, folder: Path) -> Played:
    """Runs a case in a new folder."""
    with sandbox(folder, aws=case.aws, edited=case.edited, at=case.at) as box:
        return run(case, box)


def run(case: Case, box: Sandbox) -> Played:
    """Runs a case."""
    export = ["ledger", "export", "-t", case.target]
    before = box.run(*export).out if case.writes else ""
    if case.target == "fresh":  # 0.1.0 created a ledger with its first write
        assert box.run("ledger", "init", "-t", case.target).code == 0
    done = box.run(*case.arguments)
    assert done.code == case.code, done
    after = box.run(*export).out if case.writes else ""
    assert after.startswith(before)
    printed = done.json
    if case.target == "fresh":
        assert printed["ledger_position"] == 1
        printed["ledger_position"] = 0  # as in 0.1.0, whose first batch also contained the first intent
    return Played(done, printed, [json.loads(line) for line in after[len(before) :].splitlines()])


def token_rows(name: str, plan: Any) -> list[dict[str, Any]]:
    """Returns the digest and client token of each action in the plan of a case, with the spec and its key."""
    keys = ("name", "kind", "generation", "slot", "attempt", "digest", "client_token")
    return [{"plan": name, **{key: action[key] for key in keys}} for action in plan["actions"] if action["digest"]]
