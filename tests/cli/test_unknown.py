"""Tests how an unknown submission is shown, and that the suggested commands work."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime

import boto3
import pytest

from reconciler.apply import protocol
from reconciler.core.events import Adopted, Intended, Resolved
from reconciler.core.times import parse_time
from reconciler.emulator import Plan, Rule
from tests.cli.doubt import Doubt, in_doubt
from tests.cli.world import Done, World


@pytest.fixture
def doubt(world: World) -> Doubt:
    """A spec whose submission was lost an hour ago. AWS has no run for it, and none can appear any more."""
    return in_doubt(world, "clicks")


def _commands(done: Done) -> list[list[str]]:
    """Returns the suggested commands, split as a shell would split them."""
    lines = (line.strip("# ") for line in done.out.splitlines())
    return [shlex.split(line)[1:] for line in lines if line.startswith("reconciler ")]


@pytest.mark.parametrize("command", [("plan",), ("status",)])
def test_suggested_commands_can_be_pasted(world: World, doubt: Doubt, command: tuple[str, ...]):
    """`plan` and `status` suggest the same three commands, and each works unchanged."""
    shown = world.run(*command)
    adopt, submit, abandon = _commands(shown)
    run_id = doubt.arrive()
    adopt[adopt.index("RUN_ID")] = run_id

    done = world.run(*adopt, "--yes")

    assert "Unknown since" in shown.out
    assert "settles at" in shown.out
    assert (submit[:3], abandon[:3]) == (["resolve", "clicks", "--submit"], ["resolve", "clicks", "--abandon"])
    assert done.code == 0, done.err
    assert [event.run_id for event in world.events() if isinstance(event, Adopted)] == [run_id]


def test_a_suggested_command_names_its_target(world: World, doubt: Doubt):
    """The command contains -t, so that it works even if another target is the default."""
    submit = _commands(world.run("plan"))[1]
    world.env["RECONCILER_TARGET"] = "local"

    done = world.run(*submit, "--yes")

    assert done.code == 0, done.err
    assert [event.decision for event in world.events() if isinstance(event, Resolved)] == ["submit"]


def test_an_apply_that_ends_unknown_says_what_to_do(world: World, monkeypatch: pytest.MonkeyPatch):
    """Text and JSON output contain the suggested commands and the time at which the submission settles."""
    monkeypatch.setattr(protocol, "LOOK_PAUSES", (0.0,))
    world.aws.inject(Plan([Rule("lost", "closed", operation="SubmitJob")]))
    world.batch("clicks")
    world.batch("orders")

    applied = world.run("apply", "--yes", "--only", "clicks")
    form = world.run("apply", "--yes", "--only", "orders", "--format", "json")

    (remedy,) = [action["remedy"] for action in form.json["actions"]]
    assert (applied.code, form.code) == (3, 3)
    assert form.actions("outcome") == [("unknown",)]
    assert parse_time(remedy["since"]) < datetime.now(UTC) < parse_time(remedy["settles_at"])
    assert [shlex.split(command)[1:] for command in remedy["commands"]] == [
        [word.replace("clicks", "orders") for word in command] for command in _commands(applied)
    ]
    assert len(_commands(applied)) == 3


def test_an_unknown_run_does_not_read_what_others_run(world: World, monkeypatch: pytest.MonkeyPatch):
    """To find the run of an unknown submission, a pass lists runs with its name and reads no other runs."""
    monkeypatch.setattr(protocol, "LOOK_PAUSES", (0.0,))
    lost = Rule("lost", "closed", operation="StartJobRun")
    reads = Rule("lost", "closed", operation="GetJobRun", nth=1_000_000)
    world.aws.inject(Plan([lost, reads]))
    world.spark("clicks")
    assert world.run("apply", "--yes").code == 3
    world.aws.inject(Plan([reads]))
    request = next(event.content.request for event in world.events() if isinstance(event, Intended))
    assert request is not None
    keys = {"aws_access_key_id": "someone", "aws_secret_access_key": "else", "region_name": "eu-west-1"}
    emr = boto3.client("emr-serverless", endpoint_url=world.aws.url, **keys)
    for number in range(8):
        emr.start_job_run(**{**request, "name": f"other-{number}", "clientToken": f"other-{number}", "tags": {}})
    world.aws.inject(Plan([lost, reads]))
    for command in ("plan", "status", "reconcile"):
        world.run(command)
    assert world.aws.faults()["rules"][1]["matched"] == 0
    world.aws.inject(Plan([reads]))
    emr.start_job_run(**request)
    emr.close()
    assert world.run("reconcile").code == 0
    assert "adopted" in [event.type for event in world.events()]
    assert world.aws.faults()["rules"][0]["matched"] == 1
