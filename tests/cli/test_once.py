"""Tests that each change runs once, however often and on whichever machine `apply` runs."""

from __future__ import annotations

import pytest

from reconciler.core.events import Intended, Rejected, Submitted
from tests.cli.world import World, all_finished, project_text


def _submitted(world: World) -> list[str]:
    """Returns the names of the specs whose submissions AWS accepted, in order."""
    return [event.name for event in world.events() if isinstance(event, Submitted)]


@pytest.mark.parametrize("live", [True, False], ids=["live runs", "ended runs"])
def test_applying_twice_submits_once(world: World, live: bool):
    """A second apply submits nothing, whether the first runs are live or have ended."""
    world.spark("orders")
    world.batch("clicks")
    if not live:
        world.aws.configure(run_seconds=0)

    first = (world.process if live else world.run)("apply", "--yes")
    second = world.run("apply", "--yes", "--format", "json")

    assert first.code == 0, first.err
    assert second.code == 0, second.err
    assert second.actions("name", "action", "reason") == [("clicks", "none", "in-sync"), ("orders", "none", "in-sync")]
    assert len(world.runs()) == 2
    assert sorted(_submitted(world)) == ["clicks", "orders"]


def test_two_applies_at_once_submit_once(world: World):
    """Two processes apply the same new specs at the same time and start each of them once; one of them may exit 3."""
    for number in range(4):
        world.batch(f"job-{number}")

    ends = all_finished([world.start("apply", "--yes") for _ in range(2)])

    assert len(world.runs()) == 4
    assert sorted(_submitted(world)) == ["job-0", "job-1", "job-2", "job-3"]
    assert {end.code for end in ends} <= {0, 3}, [end.err for end in ends]


def test_cosmetic_edits_submit_nothing(world: World):
    """Changed comments, key order, quotes, labels, tags, run names and file names do not start a run.

    The plan shows changed policies, and edits that take effect only with the next run.
    """
    path = world.spark("orders")
    world.run("apply", "--yes")
    text = path.read_text()
    path.unlink()
    edited = (
        text.replace("labels: {}", "labels: {team: growth}")
        .replace("applicationId: 00app0spark", '# the shared one\n    applicationId: "00app0spark"\n    name: Orders')
        .replace("  request:", "  deletionPolicy: Cancel\n  request:\n    tags: {cost: low}")
    )
    world.write("moved/elsewhere.yml", edited)

    plan = world.run("plan", "--detailed-exitcode")
    apply = world.run("apply", "--yes")

    assert plan.code == 2, plan.out + plan.err
    assert "starts no run; takes effect with the next run" in plan.out
    assert apply.code == 0
    assert len(world.runs()) == 1
    assert world.run("plan", "--detailed-exitcode").code == 0


def test_a_return_to_earlier_content_runs_again(world: World):
    """Content A, then B, then A again leads to three runs, and the plan notes that the third run has the content of the
    first."""
    world.aws.configure(run_seconds=0)
    for argument in ("A", "B", "A"):
        world.spark("orders", argument)
        planned = world.run("plan")
        assert world.run("apply", "--yes").code == 0

    arguments = [run["jobDriver"]["sparkSubmit"]["entryPointArguments"] for run in world.sent("orders")]
    assert arguments == [["A"], ["B"], ["A"]]
    assert "the same content as generation 1" in planned.out


def test_a_rejected_change_that_is_reverted_runs_nothing(world: World):
    """If content A ran, AWS rejected content B, and git contains A again, nothing more runs."""
    world.aws.configure(run_seconds=0, definitions=["worker"])
    path = world.batch("clicks")
    good = path.read_text()
    world.run("apply", "--yes")

    path.write_text(good.replace("worker:1", "missing:1"))
    refused = world.run("apply", "--yes")
    path.write_text(good)
    back = world.run("apply", "--yes")

    assert refused.code == 3
    assert back.code == 0, back.out
    assert len(world.sent("clicks")) == 1
    assert [e.type for e in world.events() if isinstance(e, Submitted | Rejected)] == ["submitted", "rejected"]


def test_another_revision_runs_once_more(world: World):
    """A new revision runs the same request once more."""
    world.aws.configure(run_seconds=0)
    world.spark("orders")
    world.run("apply", "--yes")
    world.spark("orders", revision="2")

    plan = world.run("plan", "--format", "json")
    codes = [world.run("apply", "--yes").code for _ in range(2)]

    assert plan.actions("action", "reason", "generation") == [("submit", "revision-changed", 2)]
    assert codes == [0, 0]
    assert len(world.sent("orders")) == 2


def test_an_old_checkout_submits_nothing(world: World):
    """Changes from a commit that is older than the newest intent's commit are on hold. --allow-rollback permits
    them."""
    world.aws.configure(run_seconds=0)
    world.git("init", "--quiet", "--initial-branch", "main")
    world.spark("orders", "A")
    old = world.commit("A")
    world.run("apply", "--yes")
    world.spark("orders", "B")
    new = world.commit("B")
    world.run("apply", "--yes")
    world.git("checkout", "--quiet", old)

    held = world.run("apply", "--yes", "--format", "json")
    runs = len(world.runs())
    insisted = world.run("apply", "--yes", "--allow-rollback")

    assert held.code == 3
    assert held.actions("action", "reason") == [("hold", "stale-checkout")]
    assert runs == 2
    assert insisted.code == 0
    assert [event.commit for event in world.events() if isinstance(event, Intended)] == [old, new, old]


def test_a_change_waits_for_a_live_run(world: World):
    """The pass after the end of the run submits the change."""
    world.spark("orders", "A")
    world.run("apply", "--yes")
    world.spark("orders", "B")

    waiting = world.run("apply", "--yes", "--format", "json")
    world.aws.finish(world.runs()[0].id)
    released = world.run("apply", "--yes", "--format", "json")

    assert waiting.actions("action", "reason", "outcome") == [("wait", "concurrency", "none")]
    assert waiting.code == 0
    assert released.actions("action", "outcome") == [("submit", "submitted")]


def test_concurrency_allow_does_not_wait(world: World):
    """With concurrencyPolicy Allow, a change is submitted while a run is live."""
    world.spark("orders", "A", concurrencyPolicy="Allow")
    world.run("apply", "--yes")
    world.spark("orders", "B", concurrencyPolicy="Allow")

    assert world.run("apply", "--yes").code == 0
    assert len(world.sent("orders")) == 2


def test_the_emulator_target_needs_no_account_and_keeps_its_runs(world: World):
    """The target `local` uses the embedded emulator and needs no settings."""
    world.env.clear()
    world.write("reconciler.yaml", project_text(default="local"))
    world.spark("orders")
    world.batch("clicks")

    first = world.process("apply", "--yes", "--format", "json")
    second = world.run("apply", "--yes", "--format", "json")
    status = world.run("status", "--format", "json")

    assert first.actions("outcome") == [("submitted",), ("submitted",)], first.err
    assert second.actions("reason") == [("in-sync",), ("in-sync",)]
    assert [spec["state"] for spec in status.json["specs"]] == ["succeeded", "succeeded"]
    assert world.runs() == []


def test_the_request_is_sent_as_the_plan_shows_it(world: World):
    """AWS receives the planned request; only the client token and the two tags are added."""
    world.spark("orders")
    world.batch("clicks")
    planned = {action["name"]: action for action in world.run("plan", "--format", "json").json["actions"]}

    world.run("apply", "--yes")

    for name in ("orders", "clicks"):
        token = planned[name]["client_token"]
        sent = dict(world.sent(name)[0])
        assert sent.pop("tags") == {"reconciler:token": token, "reconciler:spec": f"shop/staging/{name}"}
        assert sent.pop("clientToken", token) == token
        assert sent == planned[name]["request"]
