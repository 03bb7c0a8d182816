"""Tests all commands with ledgers in S3 and DynamoDB: normal use, several machines, and failures."""

from __future__ import annotations

import shutil
from itertools import pairwise

import pytest

from reconciler.core.events import Submitted
from tests.aws.stub import Act, Stub
from tests.campaigns import in_soak
from tests.cli.world import ACCOUNT, REGION, World, all_finished, project_text
from tests.ledger.relay import dynamodb_error, s3_error
from tests.ledger.server import KEYS, Server

COMMANDS = (["plan"], ["apply", "--yes"], ["reconcile"], ["status"], ["why", "clicks"], ["history", "clicks"])


def at(world: World, ledger: str) -> World:
    """Returns the world with its ledger at this address."""
    world.ledger = ledger
    world.write("reconciler.yaml", project_text(ledger=ledger))
    return world


def stores(every_day: str, *others: str) -> pytest.MarkDecorator:
    """Runs a test with a ledger in one store in `make test`, and in each other store in `make soak`."""
    return pytest.mark.parametrize("store", in_soak([every_day, *others], lambda store: store == every_day))


@pytest.fixture
def shared(store: str, world: World, aws: Server) -> World:
    """A project whose ledger is in AWS."""
    (world.folder / "ledger.sqlite").unlink()
    at(world, aws.address(store)).init()
    return world


@stores("s3", "dynamodb")
def test_from_the_first_plan_to_why(shared: World):
    """All commands work as with a local file, even in CI."""
    world = shared
    world.env["CI"] = "true"
    world.aws.configure(run_seconds=0)
    world.spark("orders")
    world.batch("clicks")

    first = world.run("plan", "--format", "json")
    applied = world.run("apply", "--yes")
    again = world.run("apply", "--yes", "--format", "json")
    world.spark("orders", "B")
    edited = world.run("reconcile", "--format", "json")
    status = world.run("status", "--format", "json")
    why = world.run("why", "orders", "--format", "json")
    history = world.run("history", "orders")

    assert first.json["ledger_position"] == 1
    assert [done.code for done in (first, applied, again, edited, status, why, history)] == [0] * 7, applied.err
    assert again.actions("name", "reason") == [("clicks", "in-sync"), ("orders", "in-sync")]
    assert ("orders", "submit", "submitted") in edited.actions("name", "action", "outcome")
    assert {spec["name"] for spec in status.json["specs"]} == {"orders", "clicks"}
    assert world.sent("orders")[-1]["jobDriver"]["sparkSubmit"]["entryPointArguments"] == ["B"]
    assert len(world.runs()) == 3
    assert [path for path in world.files() if "ledger" in path or path.startswith(".reconciler/")] == []


@stores("dynamodb", "s3")
def test_another_machine_submits_nothing_again(shared: World):
    """A fresh clone, which has only the address of the ledger, finds everything in sync."""
    shared.batch("clicks")
    shared.run("apply", "--yes")
    clone = shared.folder.parent / "clone"
    shutil.copytree(shared.folder, clone, ignore=shutil.ignore_patterns(".reconciler", "ledger*"))

    there = World(clone, shared.aws, env=shared.env, ledger=shared.ledger)
    done = there.run("apply", "--yes", "--format", "json")

    assert done.code == 0
    assert done.actions("name", "action") == [("clicks", "none")]
    assert len(shared.runs()) == 1


@pytest.mark.soak  # tests/cli/test_once.py has a short form; tests/ledger tests races on the stores
@stores("s3", "dynamodb")
def test_two_applies_at_once_submit_once(shared: World):
    """Two processes apply the same new specs at the same time and start each of them once."""
    for number in range(3):
        shared.batch(f"job-{number}")

    ends = all_finished([shared.start("apply", "--yes") for _ in range(2)])

    assert {end.code for end in ends} <= {0, 3}, [end.err for end in ends]
    assert len(shared.runs()) == 3
    submitted = [event.name for event in shared.events() if isinstance(event, Submitted)]
    assert sorted(submitted) == ["job-0", "job-1", "job-2"]


def test_reading_creates_nothing(world: World, aws: Server):
    """With a new ledger, `plan` and `status` do not write to the bucket."""
    bucket = aws.bucket()
    at(world, f"s3://{bucket}").batch("clicks")
    world.init()
    before = aws.s3.list_objects_v2(Bucket=bucket)["Contents"]

    ends = [world.run(command).code for command in ("plan", "status")]

    assert ends == [0, 0]
    assert aws.s3.list_objects_v2(Bucket=bucket)["Contents"] == before


@pytest.mark.parametrize(
    ("ledger", "says"),
    [
        ("s3://nobody-made-this/x", "there is no bucket nobody-made-this. Create it in eu-west-1"),
        ("dynamodb://nobody-made-this", "there is no table nobody-made-this in eu-west-1"),
    ],
)
def test_a_missing_store_is_an_error(world: World, ledger: str, says: str, aws: Server):
    """A missing bucket or table is never treated as an empty ledger. Each command exits 1 and sends nothing."""
    at(world, ledger).batch("clicks")

    ends = [world.run(*command) for command in COMMANDS]

    assert [done.code for done in ends] == [1] * len(COMMANDS)
    assert all(done.err.startswith(f"Error: the ledger {ledger}: {says}") for done in ends), ends[0].err
    assert not any("Traceback" in done.err for done in ends)
    assert world.runs() == []


def test_a_table_with_other_keys_is_an_error(world: World, aws: Server):
    """The error message contains the required keys."""
    table = aws.table([("LockID", "HASH", "S")])
    at(world, f"dynamodb://{table}").batch("clicks")

    done = world.run("apply", "--yes")

    assert done.code == 1
    assert f"the table {table} cannot hold a ledger: its partition key must be {KEYS[0][0]} (String)" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("ledger", "act", "says"),
    [
        ("s3://shut/x", s3_error(403, "AccessDenied"), "access denied: these credentials need s3:ListBucket on shut."),
        (
            "dynamodb://shut",
            dynamodb_error(400, "AccessDeniedException"),
            "access denied: these credentials need dynamodb:Query on shut.",
        ),
        ("s3://shut/x", s3_error(301, "PermanentRedirect"), "the bucket shut is in another region"),
    ],
    ids=["s3", "dynamodb", "region"],
)
def test_a_store_without_permissions_is_an_error(
    world: World, ledger: str, act: Act, says: str, monkeypatch: pytest.MonkeyPatch
):
    """The error message names the missing permissions, and nothing is sent."""
    at(world, ledger).batch("clicks")
    with Stub(act) as stub:
        for name, value in Server(stub.url).environment.items():
            monkeypatch.setenv(name, value)

        done = world.run("apply", "--yes")

    assert done.code == 1
    assert done.err.startswith(f"Error: the ledger {ledger}: {says}")
    assert "Traceback" not in done.err
    assert world.runs() == []


@stores("dynamodb", "s3")
def test_two_targets_of_one_bucket_are_two_ledgers(shared: World):
    """Runs are recorded per target, even if two targets share a bucket."""
    text = project_text(ledger=shared.ledger)
    second = text[text.index("    staging:\n") :].replace("staging:", "prod:")
    shared.write("reconciler.yaml", text + second)
    shared.batch("clicks")

    shared.run("apply", "--yes")
    missing = shared.run("plan", "-t", "prod")
    assert shared.run("ledger", "init", "-t", "prod").code == 0
    other = shared.run("plan", "-t", "prod", "--format", "json")

    assert missing.code == 1
    assert other.actions("action", "reason") == [("submit", "new")]
    assert other.json["ledger_position"] == 1


def test_ledger_init_creates_a_usable_table(world: World, aws: Server):
    """`apply` can write to the table, a second `ledger init` accepts it, and the IAM policy contains its name."""
    at(world, f"dynamodb://made-for-{world.folder.parent.name[:30]}").batch("clicks")

    first = world.run("ledger", "init")
    applied = world.run("apply", "--yes")
    second = world.run("-t", "staging", "ledger", "init")

    assert [done.code for done in (first, applied, second)] == [0, 0, 0], first.err + applied.err + second.err
    assert "[OK]     the table made-for-" in first.out
    assert "was created" not in second.out
    assert "contains a readable ledger of this project and target" in second.out
    assert f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/made-for-" in first.out
    assert len(world.runs()) == 1


def test_ledger_init_refuses_a_dangerous_lifecycle_rule(world: World, aws: Server):
    """If a lifecycle rule covers the prefix, the command exits 1, and the message contains the rule."""
    bucket = aws.bucket()
    rule = {"ID": "tidy", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}
    aws.s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [rule]})
    at(world, f"s3://{bucket}/x")

    done = world.run("ledger", "init")

    assert done.code == 1
    assert "[NG]     the lifecycle rule tidy expires objects under x/shop/staging/log/" in done.out
    assert "s3:if-none-match" in done.out
    assert "is not safe there" in done.err


def test_ledger_init_creates_nothing_in_another_account(world: World, aws: Server):
    """Credentials of another account are refused before a table is created."""
    world.aws.configure(account="999999999999")
    at(world, "dynamodb://made-by-mistake")

    done = world.run("ledger", "init")

    assert done.code == 1
    assert "999999999999" in done.err
    assert "made-by-mistake" not in aws.dynamodb.list_tables()["TableNames"]


def test_ledger_init_makes_a_file_once(world: World):
    """`ledger init` creates the SQLite ledger of the target. A second call does nothing."""
    at(world, "sqlite:///kept/other.sqlite").batch("clicks")

    first = world.run("ledger", "init")
    made = world.files()
    second = world.run("ledger", "init")

    assert [done.code for done in (first, second)] == [0, 0]
    assert "[OK]     the ledger was created; it is empty." in first.out
    assert "was created" not in second.out
    assert world.files() == made
    assert world.run("apply", "--yes").code == 0
    assert len(world.runs()) == 1


EVERY_COMMAND = (
    *(["plan"], ["plan", "--no-refresh"], ["plan", "--out", "kept.plan"], ["apply", "--yes"], ["reconcile"]),
    *(["status"], ["why", "clicks"], ["history", "clicks"], ["fsck"], ["fsck", "--adopt", "--yes"]),
    *(["retry", "clicks", "--yes"], ["ledger", "verify"], ["ledger", "export"]),
)


@stores("s3", "sqlite", "dynamodb")
def test_a_missing_ledger_is_an_error_that_nothing_repairs_by_itself(world: World, aws: Server, store: str):
    """Every command exits 1, creates nothing and sends nothing. The error message contains the address and advice for
    both a new and a lost ledger."""
    address = "sqlite:///mistyped/ledger.sqlite" if store == "sqlite" else aws.address(store)
    at(world, address).batch("clicks")
    world.batch("nightly", schedule='"* * * * *"')
    before = world.files()

    ends = {" ".join(command): world.run(*command) for command in EVERY_COMMAND}

    assert {command for command, done in ends.items() if done.code != 1} == set()
    for done in ends.values():
        assert f"there is no ledger of project shop, target staging at {address}. If it is new, create it" in done.err
        assert "reconciler ledger init -t staging" in done.err
        assert "check the address in reconciler.yaml" in done.err
        assert "fsck --adopt -t staging" in done.err
    assert world.files() == before
    assert world.runs() == []
    assert world.run("ledger", "init").code == 0
    assert world.run("apply", "--yes").code == 0
    assert len(world.runs()) == 1


@stores("sqlite", "s3", "dynamodb")
def test_a_ledger_that_is_lost_stops_everything(world: World, aws: Server, store: str):
    """If a used ledger is lost, nothing runs until an operator acts. An empty file is not accepted as a new ledger
    either."""
    address = world.ledger if store == "sqlite" else aws.address(store)
    at(world, address).init()
    world.batch("clicks")
    assert world.run("apply", "--yes").code == 0
    if store == "sqlite":
        (world.folder / "ledger.sqlite").write_bytes(b"")
    else:
        at(world, aws.address(store))  # as after a mistyped prefix
    world.batch("clicks", "B")

    ends = [world.run(*command) for command in COMMANDS]

    assert {done.code for done in ends} == {1}
    assert len(world.runs()) == 1


def test_two_inits_at_once_make_one_ledger(world: World, aws: Server):
    """One of several processes creates the ledger, and the others find it."""
    at(world, aws.address("dynamodb"))
    ends = all_finished([world.start("ledger", "init") for _ in range(3)])

    assert [end.code for end in ends] == [0, 0, 0], [end.err for end in ends]
    assert sum("the ledger was created" in end.out for end in ends) == 1
    assert [event.type for event in world.events()] == ["opened"]


def test_the_emulator_needs_no_init(world: World):
    """A target with the emulator has its own ledger, which the first apply creates."""
    world.batch("clicks")

    planned = world.run("plan", "-t", "local")
    applied = world.run("apply", "--yes", "-t", "local")

    assert [planned.code, applied.code] == [0, 0]


def test_a_ledger_moves_from_store_to_store(world: World, aws: Server):
    """After copies from a file to S3 and from there to DynamoDB, the ledger is valid, and nothing runs again."""
    world.batch("clicks")
    world.run("apply", "--yes")
    addresses = [world.ledger, aws.address("s3"), aws.address("dynamodb")]
    first_id = world.run("ledger", "verify", "--format", "json").json["ledger_id"]

    copies = [world.run("ledger", "copy", one, other) for one, other in pairwise(addresses)]
    at(world, addresses[-1])
    sound = world.run("ledger", "verify", "--format", "json")
    again = world.run("apply", "--yes", "--format", "json")

    assert [done.code for done in copies] == [0, 0], [done.err for done in copies]
    assert (sound.code, sound.json["ledger_id"]) == (0, first_id)
    assert len(first_id) == 32
    assert again.actions("name", "reason") == [("clicks", "in-sync")]
    assert len(world.runs()) == 1
