"""Tests `fsck`, which checks the ledger against AWS and rebuilds a lost ledger from tags."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.core.events import ManuallyAdopted
from tests.cli.doubt import in_doubt, submitted_by_others
from tests.cli.world import REGION, Done, World


def _lose_the_ledger(world: World) -> None:
    for path in Path(world.folder).glob("ledger.sqlite*"):
        path.unlink()
    world.init()


def _checks(done: Done) -> list[tuple[str, str | None]]:
    return [(finding["check"], finding["name"]) for finding in done.json["findings"]]


def _taken(world: World) -> list[tuple[str, int | None, str]]:
    events = [event for event in world.events() if isinstance(event, ManuallyAdopted)]
    return [(event.name, event.key.generation, event.run_id) for event in events]


def _two_generations(world: World) -> list[str]:
    """Runs a Batch spec as generations 1 and 2, and a Spark spec once. Returns the ids of the three runs."""
    world.batch("clicks", "A", concurrencyPolicy="Allow")
    world.spark("orders")
    world.run("apply", "--yes")
    world.batch("clicks", "B", concurrencyPolicy="Allow")
    world.run("apply", "--yes")
    runs = {(run.name, i): run.id for i, run in enumerate(world.runs())}
    return [run_id for (name, _), run_id in sorted(runs.items()) if name == "clicks"] + [
        run_id for (name, _), run_id in runs.items() if name == "orders"
    ]


def test_a_correct_ledger_is_ok(world: World):
    """Each queue and application is listed with its runs. Nothing is written."""
    _two_generations(world)
    before = world.events()

    done = world.run("fsck")
    form = world.run("fsck", "--format", "json")

    assert done.code == 0, done.out
    assert "[NG]" not in done.out
    assert "BatchJob, queue nightly: 2 runs, 2 of this project and target" in done.out
    assert "No findings." in done.out
    assert (form.json["ok"], form.json["findings"], form.json["adopted"]) == (True, [], [])
    assert [(place["place"], place["runs"], place["ours"]) for place in form.json["places"]] == [
        ("queue nightly", 2, 2),
        ("application 00app0spark", 1, 1),
    ]
    assert world.events() == before


def test_a_lost_ledger_is_detected_and_nothing_is_written(world: World):
    """Each run with our tags that is missing from the ledger is a finding with a suggested command. The exit code is 3,
    and no ledger is created."""
    runs = _two_generations(world)
    _lose_the_ledger(world)

    done = world.run("fsck")

    assert done.code == 3
    assert done.out.count("[NG]") == 3
    page = f"  https://{REGION}.console.aws.amazon.com/emr/home?region={REGION}#/serverless-applications/"
    assert [line for line in done.out.splitlines() if "applicationId" in line and page in line]
    assert all(f"reconciler adopt clicks {run_id} -t staging" in done.out for run_id in runs[:2])
    assert "reconciler fsck --adopt -t staging" in done.out
    assert [event.type for event in world.events()] == ["opened"]


def test_a_lost_ledger_is_rebuilt(world: World):
    """Every run is recorded under its original spec and generation, so nothing runs twice. New content becomes the next
    generation."""
    clicks_one, clicks_two, orders = _two_generations(world)
    _lose_the_ledger(world)

    done = world.run("fsck", "--adopt", "--yes", "--reason", "bucket deleted", "--format", "json")
    idle = world.run("apply", "--yes", "--format", "json")
    world.batch("clicks", "C", concurrencyPolicy="Allow")
    changed = world.run("plan", "--format", "json")

    assert done.code == 0, done.out
    assert _taken(world) == [("clicks", 1, clicks_one), ("clicks", 2, clicks_two), ("orders", 1, orders)]
    assert [(each["generation"], each["content_known"]) for each in done.json["adopted"]] == [
        (1, False),
        (2, True),
        (1, True),
    ]
    assert idle.actions("name", "action", "run_id") == [("clicks", "none", clicks_two), ("orders", "none", orders)]
    assert changed.actions("name", "generation", "action") == [("clicks", 3, "submit"), ("orders", 1, "none")]
    assert len(world.runs()) == 3
    assert world.run("fsck").code == 0


def test_changed_content_runs_after_a_rebuild(world: World):
    """Different content in git runs as the next generation, and the plan shows no wrong difference."""
    _two_generations(world)
    _lose_the_ledger(world)
    world.batch("clicks", "C", concurrencyPolicy="Allow")

    done = world.run("fsck", "--adopt", "--yes")
    planned = world.run("plan", "--format", "json", "--only", "clicks")
    history = world.run("history", "clicks")

    assert done.code == 0
    assert "unknown content" in done.out
    assert planned.actions("action", "reason", "generation", "changes") == [("submit", "spec-changed", 3, [])]
    assert history.code == 0


def test_a_return_to_old_content_runs_after_a_rebuild(world: World):
    """If content A ran, then content B, and git contains A again, A runs as generation 3."""
    _two_generations(world)
    _lose_the_ledger(world)
    world.batch("clicks", "A", concurrencyPolicy="Allow")

    world.run("fsck", "--adopt", "--yes")
    planned = world.run("plan", "--format", "json", "--only", "clicks")

    assert [(name, generation) for name, generation, _ in _taken(world)][:2] == [("clicks", 1), ("clicks", 2)]
    assert planned.actions("action", "generation") == [("submit", 3)]


def test_runs_of_removed_specs_are_recorded(world: World):
    """The specs are no longer in git, so they are retired, and their runs continue."""
    _two_generations(world)
    _lose_the_ledger(world)
    (world.folder / "orders.yaml").unlink()
    world.spark("other")

    world.run("fsck", "--adopt", "--yes")
    planned = world.run("plan", "--format", "json")

    assert planned.actions("name", "reason") == [("clicks", "in-sync"), ("orders", "retired"), ("other", "new")]


def test_a_ledger_that_was_rolled_back_catches_up(world: World):
    """After a restore from a backup, the newest run is recorded and does not run again."""
    world.batch("clicks", "A", concurrencyPolicy="Allow")
    world.run("apply", "--yes")
    kept = {path: path.read_bytes() for path in world.folder.glob("ledger.sqlite*")}
    world.batch("clicks", "B", concurrencyPolicy="Allow")
    world.run("apply", "--yes")
    _lose_the_ledger(world)
    for path, content in kept.items():
        path.write_bytes(content)

    findings = world.run("fsck", "--format", "json")
    done = world.run("fsck", "--adopt", "--yes")
    idle = world.run("apply", "--yes", "--format", "json")

    assert _checks(findings) == [("unknown-token", "clicks")]
    assert done.code == 0, done.out
    assert _taken(world) == [("clicks", 2, world.runs()[1].id)]
    assert idle.actions("action", "generation") == [("none", 2)]
    assert len(world.runs()) == 2


def test_a_run_older_than_the_ledger_is_not_recorded(world: World):
    """The run is reported as a finding but never becomes the newest generation."""
    world.batch("clicks", "A", concurrencyPolicy="Allow")
    world.run("apply", "--yes")
    _lose_the_ledger(world)
    world.batch("clicks", "B", concurrencyPolicy="Allow")
    world.aws.configure(listing_lag_seconds=1e6)  # otherwise the run is a conflict and the spec is on hold
    world.run("apply", "--yes")
    world.aws.configure(listing_lag_seconds=0)

    done = world.run("fsck", "--adopt", "--yes", "--format", "json")

    assert done.code == 3
    assert _checks(done) == [("unknown-token", "clicks")]
    assert _taken(world) == []
    assert world.run("apply", "--yes").code == 0
    assert len(world.runs()) == 2


def test_a_second_run_of_a_submission_is_found(world: World):
    """Somebody cloned a job together with its tags."""
    world.batch("clicks")
    world.run("apply", "--yes")
    first = world.runs()[0]
    other = submitted_by_others(world, dict(first.request))

    done = world.run("fsck", "--format", "json")

    assert done.code == 3
    assert _checks(done) == [("second-run", "clicks")]
    assert done.json["findings"][0]["run_id"] == other
    assert first.id in done.json["findings"][0]["message"]


def test_two_runs_of_a_lost_submission_are_a_conflict(world: World):
    """Both runs with the token are recorded, and an operator decides between them."""
    world.batch("clicks")
    world.run("apply", "--yes")
    submitted_by_others(world, dict(world.runs()[0].request))
    _lose_the_ledger(world)

    done = world.run("fsck", "--adopt", "--yes")
    applied = world.run("apply", "--yes", "--format", "json")

    assert done.code == 3
    assert applied.actions("action", "reason") == [("hold", "conflict")]
    assert len(world.runs()) == 2


def test_a_live_run_that_aws_does_not_know_is_found(world: World):
    """The run is live in the ledger, but AWS has no such run."""
    world.batch("clicks")
    world.spark("orders")
    world.run("apply", "--yes")
    world.aws.reset()

    done = world.run("fsck", "--format", "json")

    assert done.code == 3
    assert _checks(done) == [("lost", "clicks"), ("lost", "orders")]


@pytest.mark.parametrize(("arrives", "check"), [(True, "not-adopted"), (False, "unresolved")])
def test_an_unknown_outcome_is_a_finding(world: World, arrives: bool, check: str):
    """If the run exists, the finding contains it, and the next pass adopts it; otherwise, the finding contains the
    commands to resolve the submission."""
    doubt = in_doubt(world, "clicks")
    if arrives:
        doubt.arrive()

    done = world.run("fsck")

    assert done.code == 3
    assert _checks(world.run("fsck", "--format", "json")) == [(check, "clicks")]
    assert ("reconciler resolve clicks --abandon --token " in done.out) is not arrives


def test_a_late_run_of_an_abandoned_submission_is_found(world: World):
    """The finding contains the run id and the command to adopt the run."""
    doubt = in_doubt(world, "clicks", hours=1 / 60)
    world.run("resolve", "clicks", "--abandon", "--force", "--yes")
    run_id = doubt.arrive()

    done = world.run("fsck")

    assert done.code == 3
    assert "which is abandoned in the ledger" in done.out
    assert f"reconciler adopt clicks {run_id}" in done.out


def test_a_place_that_cannot_be_read_is_an_error(world: World):
    """The exit code is 1, and the other queues and applications are still listed."""
    _two_generations(world)
    world.aws.configure(queues=["other"])

    done = world.run("fsck")

    assert done.code == 1
    assert "[NG] BatchJob, queue nightly: ListJobs" in done.out
    assert "[OK] EmrServerlessJobRun, application 00app0spark" in done.out


def test_runs_of_others_are_left_alone(world: World):
    """Jobs without our tags, and jobs of another project, are not reported and not adopted."""
    world.batch("clicks")
    world.run("apply", "--yes")
    plain = {"jobName": "x", "jobQueue": "nightly", "jobDefinition": "worker:1"}
    for owner in (None, "other/staging/clicks", "shop/prod/clicks"):
        tags = {"tags": {"reconciler:token": "r1-00", "reconciler:spec": owner}} if owner else {}
        submitted_by_others(world, {**plain, **tags})

    done = world.run("fsck", "--adopt", "--yes")

    assert done.code == 0
    assert "4 runs, 1 of this project and target" in done.out


def test_adopting_needs_confirmation(world: World):
    """Without a terminal, --yes is needed, and the output shows what would be recorded."""
    _two_generations(world)
    _lose_the_ledger(world)

    done = world.run("fsck", "--adopt")

    assert done.code == 1
    assert "--yes" in done.err
    assert "To be recorded, so that they do not run again:" in done.out
    assert [event.type for event in world.events()] == ["opened"]


def test_nothing_is_recorded_if_a_spec_changed_after_it_was_shown(world: World, monkeypatch: pytest.MonkeyPatch):
    """Another apply adopts the same run before the user confirms."""
    from reconciler.cli import fsck

    world.batch("clicks")
    world.run("apply", "--yes")
    _lose_the_ledger(world)

    def meanwhile(*_: object, **_more: object) -> bool:
        assert world.run("apply", "--yes").code == 0
        return True

    monkeypatch.setattr(fsck, "confirm", meanwhile)
    done = world.run("fsck", "--adopt")

    assert done.code == 1
    assert "changed since it was shown" in done.err
    assert [name for name, _, _ in _taken(world)] == ["clicks"]


def test_in_another_account_nothing_is_compared(world: World):
    """The command is refused with exit code 1, because every run would appear to be lost."""
    _two_generations(world)
    before = world.events()
    world.aws.configure(account="999988887777")

    done = world.run("fsck", "--adopt", "--yes")

    assert done.code == 1
    assert "999988887777" in done.err
    assert world.events() == before
