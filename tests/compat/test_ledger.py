"""Tests that ledgers of 0.1.0 are read as before and continued, and that the same steps lead to the same events."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.campaigns import in_soak
from tests.compat.cases import NOW, PLAN_FILE, edit, sandbox
from tests.compat.golden import DATA, DUMPS, by_name, differences, lines, without_runs
from tests.compat.sandbox import Sandbox
from tests.compat.story import CHAPTERS, PROD_LEDGER, STAGING_LEDGER, STATE, begun, git, play

TYPES = {
    "absent", "adopted", "backfill-asked", "cancel-accepted", "cancel-asked", "conflicted", "intended", "missed",
    "notified", "observed", "opened", "rejected", "renamed", "resolved", "retry-asked", "scheduled-since", "submitted",
    "superseded", "taken", "unclear", "unseen", "unsent",
}  # fmt: skip
LEDGERS = [("staging", STAGING_LEDGER), ("prod", PROD_LEDGER)]


def batches(path: Path) -> list[bytes]:
    """Reads the batches of a SQLite ledger without the program."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT position, batch FROM batches ORDER BY position").fetchall()
    assert [position for position, _ in rows] == list(range(1, len(rows) + 1))
    return [batch for _, batch in rows]


def snapshots(path: Path) -> list[tuple[int, bytes]]:
    """Reads the snapshots in a SQLite ledger without the program."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT position, content FROM snapshots").fetchall()


def test_the_data_has_every_event_type_of_0_1_0():
    """Each of the 22 event types of 0.1.0 is in one of the two ledgers."""
    assert {event["type"] for path in DUMPS for event in lines(path)} == TYPES


@pytest.mark.parametrize(("target", "ledger"), LEDGERS)
def test_an_export_is_the_same_byte_for_byte(tmp_path: Path, target: str, ledger: str):
    """`ledger export` prints every event exactly as 0.1.0 printed it: keys, their order, numbers, escapes."""
    with sandbox(tmp_path) as box:
        done = box.run("ledger", "export", "-t", target)

    assert done.code == 0, done.err
    assert done.out == (DATA / ledger).with_suffix(".jsonl").read_text()


@pytest.mark.parametrize(("target", "ledger"), in_soak(LEDGERS, LEDGERS[0].__eq__))
def test_reading_leaves_the_file_as_it_is(tmp_path: Path, target: str, ledger: str):
    """`plan`, `status`, `history`, `why` and `ledger verify` change nothing in an old ledger."""
    commands = ("plan --no-refresh", "status --no-refresh", "history clicks", "why clicks", "ledger verify")
    with sandbox(tmp_path) as box:
        ends = [box.run(*command.split(), "-t", target).code for command in commands]

        assert set(ends) <= {0, 3}
        assert (box.folder / ledger).read_bytes() == (DATA / ledger).read_bytes()
        assert {path.name for path in box.folder.glob("*.db*")} == {STAGING_LEDGER, PROD_LEDGER}


def test_an_unchanged_project_has_no_changes(tmp_path: Path):
    """A project that was in sync is still in sync: according to the ledger alone, after reading AWS, and for
    `apply`."""
    with sandbox(tmp_path, aws=True) as box:
        assert box.aws is not None
        runs = box.aws.runs()
        ends = [box.run("plan", "--no-refresh"), box.run("plan", "--detailed-exitcode"), box.run("apply", "--yes")]

        assert [end.code for end in ends] == [0, 0, 0], ends
        assert all("No changes" in end.out for end in ends)
        assert box.aws.runs() == runs


@pytest.mark.parametrize("name", ["clicks", "stream", "rates", "audit", "resize"])
def test_history_is_what_the_ledger_holds(tmp_path: Path, name: str):
    """`history --format json` prints every event of a spec as stored in the ledger, and may add keys."""
    with sandbox(tmp_path) as box:
        done = box.run("history", name, "--format", "json")

    assert done.code == 0, done.err
    old = [event for event in lines(DUMPS[0]) if event.get("name") == name]
    assert [{**new, **event} for event, new in zip(old, done.json["events"], strict=True)] == done.json["events"]


def test_old_batches_stay_and_new_ones_follow_them(tmp_path: Path):
    """An apply adds batches in the same format, chained to the last batch of 0.1.0, and does not change older
    batches."""
    before = batches(DATA / STAGING_LEDGER)
    with sandbox(tmp_path, aws=True, edited=True) as box:
        assert box.run("apply", "--yes").code == 0
        after = batches(box.folder / STAGING_LEDGER)

    old, new = after[: len(before)], after[len(before) :]
    forms: list[dict[str, Any]] = [json.loads(batch) for batch in new]
    assert old == before
    assert forms
    assert [form["prev"] for form in forms] == [sha256(batch).hexdigest() for batch in after[len(before) - 1 : -1]]
    assert all(form["format"] == 1 for form in forms)
    assert all({"format", "nonce", "at", "prev", "events"} <= form.keys() for form in forms)


def test_an_edit_is_the_next_generation(tmp_path: Path):
    """A changed spec runs once as the next generation after those in the old ledger, and nothing else runs."""
    with sandbox(tmp_path, aws=True) as box:
        assert box.aws is not None
        runs = box.aws.runs()
        path = box.folder / "orders.yaml"
        path.write_text(path.read_text().replace('["B"]', '["C"]'))

        first = box.run("apply", "--yes", "--format", "json")
        again = box.run("apply", "--yes")
        new = box.aws.runs()[len(runs) :]

    assert (first.code, again.code) == (0, 0), (first, again)
    (action,) = [action for action in first.json["actions"] if action["action"] != "none"]
    assert (action["name"], action["generation"], action["outcome"]) == ("orders", 3, "submitted")
    assert [run["token"] for run in new] == [action["client_token"]]


@pytest.mark.parametrize(("target", "ledger"), in_soak(LEDGERS, LEDGERS[1].__eq__))
def test_a_snapshot_of_0_1_0_changes_nothing(tmp_path: Path, target: str, ledger: str):
    """`plan`, `status` and `verify` ignore a snapshot that another version wrote."""
    commands = ("plan --no-refresh", "status --no-refresh", "ledger verify")
    with sandbox(tmp_path) as box:
        ((position, _),) = snapshots(box.folder / ledger)
        assert 0 < position < len(batches(box.folder / ledger))
        kept = _printed(box, commands, target)
        with closing(sqlite3.connect(box.folder / ledger)) as connection:
            connection.execute("DROP TABLE snapshots")
        dropped = _printed(box, commands, target)

    for value in (kept, dropped):
        value[-1]["checks"] = [check for check in value[-1]["checks"] if check["check"] != "snapshot"]
        for each in value:
            each.pop("created_at", None)
            for run in (run for spec in each.get("specs", ()) for run in spec.get("runs", ())):
                run["ran_seconds"] = run["waited_seconds"] = None  # a live run continues between the two commands
    assert kept == dropped


def _printed(box: Sandbox, commands: tuple[str, ...], target: str) -> list[Any]:
    return [box.run(*command.split(), "-t", target, "--format", "json").json for command in commands]


def test_a_new_snapshot_takes_its_place(tmp_path: Path):
    """`ledger verify --new-snapshot` stores a snapshot of this version, which later verifications accept."""
    with sandbox(tmp_path) as box:
        renewed = box.run("ledger", "verify", "--new-snapshot", "-t", "prod")
        verified = box.run("ledger", "verify", "-t", "prod", "--format", "json")
        ((position, _),) = snapshots(box.folder / PROD_LEDGER)
        last = len(batches(box.folder / PROD_LEDGER))

    assert (renewed.code, verified.code) == (0, 0)
    assert position == last
    assert {check["check"]: check["result"] for check in verified.json["checks"]}["snapshot"] == "OK"


def test_a_checkout_that_lacks_the_recorded_commit_changes_nothing(tmp_path: Path):
    """The commits that 0.1.0 recorded are checked, so an edit in an unrelated repository is on hold."""
    with sandbox(tmp_path, aws=True, edited=True) as box:
        assert box.aws is not None
        runs = box.aws.runs()
        _repository(box.folder)
        done = box.run("apply", "--yes", "--format", "json", "--only", "orders")

        assert done.code == 3, done.err
        assert [(action["action"], action["reason"]) for action in done.json["actions"]] == [("hold", "stale-checkout")]
        assert box.aws.runs() == runs


def _repository(folder: Path) -> None:
    git(folder, NOW, "init", "--quiet")
    git(folder, NOW, "add", "--all")
    git(folder, NOW, "commit", "--quiet", "--message", "Unrelated")


def test_a_plan_file_of_a_spec_that_moved_is_refused(tmp_path: Path):
    """If a spec has changed since the plan of 0.1.0, nothing is submitted, and the error names the spec."""
    with sandbox(tmp_path, aws=True) as box:
        assert box.aws is not None
        edit(box.folder)
        assert box.run("apply", "--yes", "--only", "orders").code == 0
        runs = box.aws.runs()
        done = box.run("apply", "--yes", PLAN_FILE)

        assert done.code == 1, done
        assert "orders" in done.err
        assert box.aws.runs() == runs


def test_a_plan_file_that_was_changed_is_refused(tmp_path: Path):
    """A plan file of 0.1.0 with one more character is refused, and nothing is submitted."""
    changed = tmp_path / "changed.json"
    changed.write_text(PLAN_FILE.read_text().replace('"extra"', '"extras"'))
    with sandbox(tmp_path, aws=True) as box:
        assert box.aws is not None
        runs = box.aws.runs()
        done = box.run("apply", "--yes", changed)

        assert done.code == 1, done
        assert box.aws.runs() == runs


@pytest.mark.parametrize("chapters", [2, pytest.param(len(CHAPTERS), marks=pytest.mark.soak)])
def test_the_story_is_recorded_as_0_1_0_recorded_it(tmp_path: Path, chapters: int):
    """With this version, the story records the same events of every type, with the same keys, tokens, values and order.

    Only ids, times and messages differ. The first chapters record the first events of each spec.
    """
    (tmp_path / "project").mkdir()
    for path in (DATA / "project").glob("rich-*"):
        shutil.copyfile(path, tmp_path / "project" / path.name)
    with begun(tmp_path / "project", tmp_path / STATE) as story:
        play(story, chapters)
        exports = [story.box.run("ledger", "export", "-t", target) for target, _ in LEDGERS]

    for dump, export in zip(DUMPS, exports, strict=True):
        events = [json.loads(line) for line in export.out.splitlines()]
        old, new = by_name(without_runs(lines(dump))), by_name(without_runs(events))
        if chapters < len(CHAPTERS):
            old = {name: old[name][: len(new[name])] for name in new}
        assert list(differences(old, new)) == []
        assert [event for event in events if None in event.values()] == []  # a field without a value is left out
