"""`reconciler ledger verify`, `copy` and `export`."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys

import pytest

from reconciler.core.event_codec import encode
from reconciler.core.identity import Place
from reconciler.errors import LedgerMissing
from reconciler.ledger.open import open_store
from tests.cli.world import ACCOUNT, COMMAND, REGION, World, project_text
from tests.ledger.server import Server

PLACE = Place("shop", "staging", ACCOUNT, REGION)


@pytest.fixture
def used(world: World) -> World:
    """A project whose ledger contains two runs."""
    world.batch("clicks")
    world.batch("orders", "password=hunter2")
    assert world.run("apply", "--yes").code == 0
    return world


def stored(world: World, name: str) -> list[tuple[int, bytes]]:
    """Returns every batch of a SQLite ledger of the project."""
    return list(open_store(f"sqlite:///{name}", world.folder, PLACE).read(0))


def damage(world: World, position: int) -> None:
    """Changes a batch after removing the triggers that forbid changes."""
    with sqlite3.connect(world.folder / "ledger.sqlite") as connection:
        (raw,) = connection.execute("SELECT batch FROM batches WHERE position = ?", (position,)).fetchone()
        connection.execute("DROP TRIGGER batches_are_never_changed")
        connection.execute(
            "UPDATE batches SET batch = ? WHERE position = ?", (raw.replace(b"hunter2", b"hunter3"), position)
        )


def where_intended(world: World, name: str) -> int:
    """Returns the position of a spec's intent."""
    return world.log().recorded.specs[name].submissions[0].intent_position


# --- verify -----------------------------------------------------------------------------------------------------------


def test_verify_of_a_correct_ledger(used: World):
    """The output has an [OK] line for each check and a summary, the exit code is 0, and no file changes."""
    before = used.files()
    done = used.run("ledger", "verify")
    count = len(stored(used, "ledger.sqlite"))

    assert (done.code, done.err) == (0, "")
    assert f"[OK] positions: 1 to {count}, none missing" in done.out
    assert f"[OK] pin: project shop, target staging, account {ACCOUNT}, region {REGION}" in done.out
    assert "[NG]" not in done.out
    assert f"sqlite:///ledger.sqlite: {count} positions, {len(used.events())} events, nothing is wrong." in done.out
    assert before == used.files()


def test_verify_names_the_position_and_what_to_do(used: World):
    """Damage is reported as [NG] with its position and advice, and the command exits 1."""
    position = where_intended(used, "orders")
    damage(used, position)
    done = used.run("ledger", "verify")

    assert done.code == 1
    assert f"[NG] chain: position {position + 1}: does not follow position {position}" in done.out
    assert "Restore the ledger from a copy" in done.out
    assert "1 of 7 checks failed." in done.out


def test_verify_as_json(used: World):
    """--json prints the same findings as JSON."""
    sound = used.run("ledger", "verify", "--format", "json")
    position = where_intended(used, "orders")
    damage(used, position)
    damaged = used.run("ledger", "verify", "--format", "json")

    assert (sound.code, sound.json["ok"]) == (0, True)
    assert {"OK", "SKIP"} >= {check["result"] for check in sound.json["checks"]}
    assert (damaged.code, damaged.json["ok"], damaged.json["ledger"]) == (1, False, "sqlite:///ledger.sqlite")
    (wrong,) = [check for check in damaged.json["checks"] if check["result"] == "NG"]
    assert ("chain", position + 1) == (wrong["check"], wrong["position"])
    assert wrong["message"]
    assert wrong["advice"]


def test_verify_without_a_ledger(world: World):
    """A missing ledger is an error, and none is created."""
    world.write("reconciler.yaml", project_text(ledger="sqlite:///none.sqlite"))
    done = world.run("ledger", "verify")

    assert done.code == 1
    assert done.err.startswith("Error: there is no ledger of project shop, target staging at sqlite:///none.sqlite. ")
    assert "none.sqlite" not in world.files()


def test_verify_saves_a_new_snapshot(used: World):
    """With --new-snapshot, a snapshot of a correct ledger is saved, and the next `verify` checks it."""
    assert "[SKIP] snapshot: there is none" in used.run("ledger", "verify", "--new-snapshot").out
    count = len(stored(used, "ledger.sqlite"))
    assert (
        f"[OK] snapshot: the snapshot of position {count} equals the state computed from the batches"
        in used.run("ledger", "verify").out
    )
    assert used.run("status").code == 0


PROD = f"""
    prod:
      account: "{ACCOUNT}"
      region: {REGION}
      ledger: sqlite:///ledger.sqlite
"""


def test_verify_checks_the_ledger_of_the_chosen_target(used: World):
    """A ledger of another target is reported as a finding."""
    used.write("reconciler.yaml", project_text(limits=PROD))
    done = used.run("ledger", "verify", "-t", "prod")

    assert done.code == 1
    assert "[NG] pin: position 1: the ledger belongs to project shop, target staging" in done.out
    assert "this is project shop, target prod" in done.out


# --- copy -------------------------------------------------------------------------------------------------------------


def test_copy_copies_every_batch(used: World):
    """The copy is verified, the next step is printed, and a second copy adds nothing."""
    done = used.run("ledger", "copy", "sqlite:///ledger.sqlite", "sqlite:///kept/other.sqlite")
    again = used.run("ledger", "copy", "sqlite:///ledger.sqlite", "sqlite:///kept/other.sqlite")
    *batches, (_, last) = stored(used, "ledger.sqlite")
    count = len(batches)

    assert (done.code, done.err) == (0, "")
    assert f"{count} positions of sqlite:///ledger.sqlite are in sqlite:///kept/other.sqlite." in done.out
    assert "[NG]" not in done.out
    assert (
        "Now write ledger: sqlite:///kept/other.sqlite for target staging in reconciler.yaml." in done.out.splitlines()
    )
    assert f", of which {count} were there before." in again.out
    assert "sqlite:///ledger.sqlite has ended" in done.out
    assert batches == stored(used, "kept/other.sqlite")
    assert [event["type"] for event in json.loads(last)["events"]] == ["moved"]


def test_the_copy_can_be_used_as_the_ledger(used: World):
    """After the address of the copy is put into the project file, nothing runs again."""
    used.run("ledger", "copy", "sqlite:///ledger.sqlite", "sqlite:///other.sqlite")
    used.write("reconciler.yaml", project_text().replace("sqlite:///ledger.sqlite", "sqlite:///other.sqlite"))
    done = used.run("apply", "--yes", "--format", "json")

    assert [("clicks", "none"), ("orders", "none")] == done.actions("name", "action")
    assert len(used.runs()) == 2


def test_copy_refuses_a_target_with_another_ledger(used: World):
    """An existing ledger at the target address is left unchanged."""
    used.write("reconciler.yaml", project_text(ledger="sqlite:///third.sqlite"))
    used.run("ledger", "init")
    before = stored(used, "third.sqlite")
    done = used.run("ledger", "copy", "sqlite:///ledger.sqlite", "sqlite:///third.sqlite")

    assert done.code == 1
    assert "is not empty and differs from" in done.err
    assert before == stored(used, "third.sqlite")


def test_a_renamed_project_keeps_its_history(used: World):
    """Under a new project name, the old ledger is refused. A copy that was made for the new name is accepted, and
    records its origin."""
    used.write("reconciler.yaml", project_text().replace("name: shop", "name: store"))
    refused = used.run("plan")
    moved = used.run(
        "ledger", "copy", "sqlite:///ledger.sqlite", "sqlite:///moved.sqlite", "--rename", "--from-project", "shop"
    )
    used.write(
        "reconciler.yaml", project_text().replace("name: shop", "name: store").replace("ledger.sqlite", "moved.sqlite")
    )
    planned = used.run("plan", "--format", "json")
    exported = [json.loads(line) for line in used.run("ledger", "export").out.splitlines()]

    assert refused.code == 1
    assert "belongs to project shop" in refused.err
    assert (moved.code, moved.err) == (0, "")
    assert "It belonged to project shop, target staging" in moved.out
    assert [("clicks", "none"), ("orders", "none")] == planned.actions("name", "action")
    assert (exported[0]["type"], exported[0]["project"]) == ("opened", "store")
    assert (exported[-1]["type"], exported[-1]["project"]) == ("renamed", "shop")
    assert len(used.runs()) == 2


def test_a_ledger_moves_from_a_file_to_s3(used: World, aws: Server):
    """Nothing runs again, and `verify` accepts both ledgers."""
    used.env |= aws.environment
    address = aws.address("s3")
    done = used.run("ledger", "copy", "sqlite:///ledger.sqlite", address)
    used.write("reconciler.yaml", project_text().replace("sqlite:///ledger.sqlite", address))
    planned = used.run("plan", "--format", "json")

    assert (done.code, done.err) == (0, "")
    assert [("clicks", "none"), ("orders", "none")] == planned.actions("name", "action")
    assert used.run("ledger", "verify").code == 0


def test_copy_with_the_credentials_of_another_account(used: World, aws: Server):
    """Nothing is written to a store in AWS before the account of the credentials is checked."""
    used.env |= aws.environment
    used.aws.configure(account="999999999999")
    address = aws.address("dynamodb")
    done = used.run("ledger", "copy", "sqlite:///ledger.sqlite", address)

    assert done.code == 1
    assert "credentials belong to account 999999999999" in done.err
    with pytest.raises(LedgerMissing):
        open_store(address, used.folder, PLACE).read(0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sqlite:///a.sqlite", "sqlite:///a.sqlite"], "FROM and TO are both sqlite:///a.sqlite"),
        (["sqlite:///a.sqlite", "sqlite:///b.sqlite", "--from-target", "x"], "require --rename"),
        (["sqlite:///a.sqlite"], "Missing argument 'TO'"),
    ],
)
def test_copy_with_wrong_options(used: World, arguments: list[str], message: str):
    """Options and addresses that cannot be combined are usage errors."""
    done = used.run("ledger", "copy", *arguments)

    assert done.code == 64
    assert message in done.err


def test_copy_to_an_unknown_kind_of_address(used: World):
    """The message lists the known stores."""
    done = used.run("ledger", "copy", "sqlite:///ledger.sqlite", "ledger.sqlite")

    assert done.code == 1
    assert "it is one of sqlite://, s3://, dynamodb://" in done.err


# --- export -----------------------------------------------------------------------------------------------------------


def test_export_prints_every_event_complete(used: World):
    """The output has one JSON object per event and line, in order, with its position and without masking."""
    done = used.run("ledger", "export")
    lines = [json.loads(line) for line in done.out.splitlines()]

    assert (done.code, done.err) == (0, "")
    assert [{key: value for key, value in line.items() if key != "position"} for line in lines] == [
        json.loads(json.dumps(encode(event))) for event in used.events()
    ]
    assert sorted(line["position"] for line in lines) == [line["position"] for line in lines]
    assert "password=hunter2" in done.out


def test_export_after_a_position(used: World):
    """`--after` prints only later events. With a position beyond the end, nothing is printed."""
    lines = used.run("ledger", "export").out.splitlines()
    rest = used.run("ledger", "export", "--after", "2").out.splitlines()

    assert [line for line in lines if json.loads(line)["position"] > 2] == rest
    assert used.run("ledger", "export", "--after", "1000").out == ""


def test_export_stops_at_damage(used: World):
    """Nothing after a broken link of the chain is printed. The error contains its position, and the command exits 1."""
    position = where_intended(used, "orders")
    damage(used, position)
    done = used.run("ledger", "export")

    assert done.code == 1
    assert f"damaged at position {position + 1}" in done.err
    assert position == json.loads(done.out.splitlines()[-1])["position"]


NO_AWS = """
import sys
from reconciler.cli import main
for line in ("ledger verify", "ledger export", "ledger copy sqlite:///ledger.sqlite sqlite:///other.sqlite"):
    assert main(line.split()) == 0
assert {"boto3", "botocore"}.isdisjoint(sys.modules)
"""


def test_maintaining_a_sqlite_ledger_imports_no_aws_library(used: World):
    """verify, export and copy of a SQLite ledger do not import boto3."""
    done = subprocess.run(
        [sys.executable, "-c", NO_AWS],
        cwd=used.folder,
        env=used.environment(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["verify", "copy", "export"])
def test_help_of_each_has_an_example(world: World, name: str):
    """`--help` of each command shows its usage."""
    text = world.run("ledger", name, "--help").out

    assert "Example" in text
    assert f"reconciler ledger {name}" in text


def test_a_misspelt_command_has_a_suggestion(world: World):
    """A misspelt subcommand gets a suggestion, as a misspelt command does."""
    done = world.run("ledger", "verfy")

    assert done.code == 64
    assert "Did you mean verify?" in done.err


@pytest.mark.parametrize("before", [0o666, pytest.param(0o644, marks=pytest.mark.soak)])
def test_files_with_requests_are_their_owners_only(world: World, before: int):
    """Ledgers, plan files, exports and the state folder get the modes 0600 and 0700, even if they already existed with
    other modes."""
    world.batch("clicks")
    kept = world.write(".reconciler/kept.sqlite", "")
    kept.unlink()
    kept.parent.chmod(0o777)
    world.write("kept.plan", "old").chmod(before)
    world.write("reconciler.yaml", project_text(ledger="sqlite:///.reconciler/kept.sqlite"))
    assert world.run("ledger", "init").code == 0
    kept.chmod(before)
    exported = world.write("ledger.jsonl", "")
    exported.chmod(before)

    ends = [world.run("plan", "--out", "kept.plan").code, world.run("plan", "-t", "local").code]
    ends += [world.run("apply", "--yes").code, world.run("apply", "--yes", "-t", "local").code]
    with exported.open("w") as out:
        subprocess.run([COMMAND, "ledger", "export"], cwd=world.folder, env=world.environment(), stdout=out, check=True)

    private = [path for path in kept.parent.iterdir() if path.is_file()]
    modes = {path.name: path.stat().st_mode & 0o777 for path in (*private, exported, world.folder / "kept.plan")}
    assert ends == [0, 0, 0, 0]
    assert {"kept.sqlite", "local.sqlite", "emulator-local.sqlite", "kept.plan", "ledger.jsonl"} <= modes.keys()
    assert set(modes.values()) == {0o600}, modes
    assert kept.parent.stat().st_mode & 0o777 == 0o700
