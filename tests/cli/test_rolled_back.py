"""Tests that a ledger that was rolled back, forked or copied is not used until an operator decides."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest

from reconciler.core.ledger_changes import RollbackAccepted
from tests.campaigns import in_soak, pairs
from tests.cli.world import World, project_text
from tests.ledger.server import Server

SPECS = 10
"""The number of specs that makes the first apply save a snapshot."""

ACTING = (
    *(["plan"], ["plan", "--no-refresh"], ["apply", "--yes"], ["reconcile"], ["status"]),
    *(["cancel", "job-0", "--yes"], ["retry", "job-0", "--yes"], ["fsck", "--adopt", "--yes"], ["ledger", "init"]),
)

Cut = Callable[[int], None]
"""Deletes every batch after a position."""


STORES = ["sqlite", "s3", "dynamodb"]


@pytest.fixture
def used(request: pytest.FixtureRequest, world: World, aws: Server) -> tuple[World, Cut]:
    """A project whose ledger has a snapshot, with a function that rolls the ledger back. Tests with this fixture run
    once per store."""
    if request.param != "sqlite":
        world.ledger = aws.address(request.param)
        world.write("reconciler.yaml", project_text(ledger=world.ledger))
        world.init()
    for number in range(SPECS):
        world.batch(f"job-{number}")
    assert world.run("apply", "--yes").code == 0
    assert len(world.runs()) == SPECS

    def cut(last: int) -> None:
        {"sqlite": cut_file, "s3": cut_bucket, "dynamodb": cut_table}[request.param](world, aws, last)

    return world, cut


def cut_file(world: World, _: Server, last: int) -> None:
    """Removes the trigger that forbids deletions, and deletes rows."""
    with closing(sqlite3.connect(world.folder / "ledger.sqlite")) as connection, connection:
        connection.execute("DROP TRIGGER IF EXISTS batches_are_never_deleted")
        connection.execute("DELETE FROM batches WHERE position > ?", (last,))


def cut_bucket(world: World, aws: Server, last: int) -> None:
    """Deletes objects."""
    bucket, _, prefix = world.ledger.removeprefix("s3://").partition("/")
    for item in aws.s3.list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/shop/staging/log/")["Contents"]:
        if int(item["Key"].rpartition("/")[2]) > last:
            aws.s3.delete_object(Bucket=bucket, Key=item["Key"])


def cut_table(world: World, aws: Server, last: int) -> None:
    """Deletes items."""
    for position in range(last + 1, positions(world) + 1):
        key = {"ledger": {"S": "shop/staging"}, "position": {"N": str(position)}}
        aws.dynamodb.delete_item(TableName=world.ledger.removeprefix("dynamodb://"), Key=key)


def positions(world: World) -> int:
    """Returns how many positions the ledger has."""
    exported = world.run("ledger", "export").out.splitlines()
    return int(json.loads(exported[-1])["position"])


@pytest.mark.parametrize(("used", "last"), pairs(STORES, [0, 1, 8]), indirect=["used"])
def test_a_ledger_that_was_rolled_back_stops_everything(used: tuple[World, Cut], last: int):
    """Every command that would send or append exits 1 and explains what to do, and nothing runs. `fsck` lists what is
    missing."""
    world, cut = used
    cut(last)
    before = len(world.runs())

    ends = {" ".join(command): world.run(*command) for command in ACTING}
    looked = world.run("fsck", "--format", "json")

    assert {command for command, done in ends.items() if done.code != 1} == set()
    for done in ends.values():
        assert f"the ledger {world.ledger} was rolled back: it ends at position {last}" in done.err
        assert "reconciler ledger accept-rollback -t staging --reason" in done.err
    assert len(world.runs()) == before
    assert looked.code == 3
    assert "unknown-token" in {finding["check"] for finding in looked.json["findings"]}


@pytest.mark.parametrize("used", in_soak(STORES, lambda store: store == "dynamodb"), indirect=True)
def test_going_on_after_a_rollback_is_a_recorded_decision(used: tuple[World, Cut]):
    """After the decision, runs that AWS still has are either adopted, or their specs are on hold. Nothing runs twice,
    and `ledger verify` finds no problem."""
    world, cut = used
    cut(1)
    world.batch("job-1", "B")

    unreasoned = world.run("ledger", "accept-rollback", "--yes")
    unasked = world.run("ledger", "accept-rollback", "--reason", "the backup is all there is")
    accepted = world.run("ledger", "accept-rollback", "--reason", "the backup is all there is", "--yes")
    applied = world.run("apply", "--yes", "--format", "json")

    assert (unreasoned.code, unasked.code, accepted.code) == (64, 1, 0), accepted.err
    assert [event.reason for event in world.events() if isinstance(event, RollbackAccepted)] == [
        "the backup is all there is"
    ]
    assert applied.code == 3
    assert set(applied.actions("action", "reason")) == {("adopt", "found"), ("hold", "conflict")}
    assert ("job-1", "hold", "conflict") in applied.actions("name", "action", "reason")
    assert len(world.runs()) == SPECS

    rebuilt = world.run("fsck", "--adopt", "--yes")
    changed = world.run("apply", "--yes", "--format", "json")

    assert rebuilt.code == 0, rebuilt.out
    assert [action[:2] for action in changed.actions("name", "action", "generation") if action[1] != "none"] in (
        [("job-1", "submit")],
        [("job-1", "wait")],
    )
    assert world.run("ledger", "verify").code == 0


@pytest.mark.parametrize("used", in_soak(STORES, lambda store: store == "s3"), indirect=True)
def test_a_rollback_of_specs_that_the_ledger_still_has(used: tuple[World, Cut]):
    """Lost generations are looked for as well, so a run of the current content is adopted instead of submitted
    again."""
    world, cut = used
    kept = positions(world)
    for run in world.runs():
        world.aws.finish(run.id, "succeeded")
    for number in range(SPECS):
        world.batch(f"job-{number}", "B")
    assert world.run("apply", "--yes").code == 0
    assert len(world.runs()) == 2 * SPECS
    cut(kept)

    refused = world.run("apply", "--yes")
    world.run("ledger", "accept-rollback", "--reason", "restored", "--yes")
    done = world.run("apply", "--yes", "--format", "json")

    assert refused.code == 1
    assert set(done.actions("action", "generation", "outcome")) == {("adopt", 2, "adopted")}
    assert len(world.runs()) == 2 * SPECS


def test_a_forked_ledger_is_refused(world: World):
    """An old copy that was restored and then used has a different batch at the snapshot's position."""
    for number in range(SPECS):
        world.batch(f"job-{number}")
    world.run("apply", "--yes")
    with closing(sqlite3.connect(world.folder / "ledger.sqlite")) as connection, connection:
        snapshots = connection.execute("SELECT position, content FROM snapshots").fetchall()
        connection.execute("DELETE FROM snapshots")
    cut_file(world, Server(""), snapshots[0][0] - 2)
    for number in range(3):
        world.batch(f"other-{number}")
    assert world.run("apply", "--yes").code in {0, 3}
    with closing(sqlite3.connect(world.folder / "ledger.sqlite")) as connection, connection:
        connection.execute("DELETE FROM snapshots")
        connection.executemany("INSERT INTO snapshots VALUES (?, ?)", snapshots)
    before = len(world.runs())
    world.batch("job-0", "B")

    done = world.run("apply", "--yes")

    assert done.code == 1
    assert "has a different batch from the one that its snapshot was made from" in done.err
    assert len(world.runs()) == before


def test_a_plan_that_saw_more_of_the_ledger_is_refused(world: World):
    """Without a snapshot, a plan file proves the rollback, because its position is beyond the end of the ledger."""
    world.batch("clicks")
    assert world.run("apply", "--yes").code == 0
    world.batch("views")
    assert world.run("plan", "--out", "kept.plan").code == 0
    cut_file(world, Server(""), 1)

    done = world.run("apply", "--yes", "kept.plan")

    assert done.code == 1
    assert "of the ledger, which ends at 1: the ledger was rolled back" in done.err
    assert "accept-rollback" in done.err
    assert len(world.runs()) == 1


@pytest.mark.parametrize("store", in_soak(STORES, lambda store: store == "s3"))
def test_the_source_of_a_copy_is_read_only(world: World, aws: Server, store: str):
    """Every command that would send or append exits 1 and prints the new address of the ledger. `plan` and `status`
    still work."""
    world.batch("clicks")
    assert world.run("apply", "--yes").code == 0
    assert world.run("plan", "--out", "kept.plan").code == 0
    address = "sqlite:///moved.sqlite" if store == "sqlite" else aws.address(store)
    copied = world.run("ledger", "copy", world.ledger, address)
    world.batch("clicks", "B")

    acting = [["apply", "--yes"], ["reconcile"], ["apply", "--yes", "kept.plan"], ["cancel", "clicks", "--yes"]]
    ends = [world.run(*command) for command in acting]
    reading = [world.run(*command) for command in (["plan"], ["status"], ["history", "clicks"], ["ledger", "verify"])]

    assert copied.code == 0, copied.err
    assert [done.code for done in ends] == [1, 1, 1, 1]
    assert all(f"copied it to {address}" in done.err for done in ends), [done.err for done in ends]
    assert [done.code for done in reading] == [0, 0, 0, 0]
    assert f"it was copied to {address}" in reading[0].out
    assert len(world.runs()) == 1
    world.aws.finish(world.runs()[0].id, "succeeded")
    world.write("reconciler.yaml", project_text(ledger=address))
    assert world.run("apply", "--yes").code == 0
    assert len(world.runs()) == 2


def test_a_file_with_two_names_is_refused(world: World):
    """A hard link would have its own write-ahead log, so the two names would have different ends of the ledger."""
    world.batch("clicks")
    os.link(world.folder / "ledger.sqlite", world.folder / "copy.sqlite")

    ends = [world.run(*command) for command in (["plan"], ["apply", "--yes"], ["status"])]

    assert [done.code for done in ends] == [1, 1, 1]
    assert all("has 2 names (hard links)" in done.err for done in ends)
    assert world.runs() == []
    (world.folder / "copy.sqlite").unlink()
    assert world.run("apply", "--yes").code == 0


def test_a_relative_path_warns(world: World):
    """With a relative path, each checkout has its own ledger. An absolute path, and the ledger of the emulator, cause
    no warning."""
    world.batch("clicks")
    relative = world.process("apply", "--yes")
    absolute = f"sqlite:///{world.folder}/absolute.sqlite"
    world.write("reconciler.yaml", project_text(ledger=absolute))
    made = world.process("ledger", "init")
    emulated = world.process("plan", "-t", "local")

    assert relative.code == 0
    assert relative.err.count("is relative to the project folder") == 1
    assert "sqlite:////var/lib/reconciler/staging.sqlite" in relative.err
    assert (made.code, emulated.code) == (0, 0)
    assert "relative" not in made.err + emulated.err
