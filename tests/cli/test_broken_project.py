"""Tests projects with errors: the broken specs are on hold, and all other specs continue."""

from __future__ import annotations

import re
import signal
import urllib.request
from collections.abc import Callable

import pytest

from reconciler.core.events import Observed
from tests.app.webhook_receiver import hook
from tests.campaigns import in_soak
from tests.cli.test_service import serving
from tests.cli.world import World, batch_text, project_text

NIGHTLY = '"0 2 * * *"'
CANCEL = "Cancel"


def happened(world: World) -> list[str]:
    """Returns the type and name of each decision in the ledger, in order."""
    return [f"{e.type} {getattr(e, 'name', '')}".strip() for e in world.events() if not isinstance(e, Observed)][1:]


def holds(world: World, *arguments: str) -> dict[str, str]:
    """Returns the message of each hold in a pass, which exits 3."""
    done = world.run("reconcile", "--format", "json", *arguments)
    assert done.code == 3, done.err
    found = {action["name"]: action for action in done.json["actions"] if action["action"] == "hold"}
    assert {action["reason"] for action in found.values()} <= {"invalid-spec"}
    return {name: action["message"] for name, action in found.items()}


@pytest.fixture
def running(world: World) -> World:
    """Three applied specs whose runs continue: extract, load (which depends on extract), and clicks."""
    world.batch("extract", schedule=NIGHTLY, deletionPolicy=CANCEL)
    world.batch("load", schedule=NIGHTLY, dependsOn="[{name: extract}]", deletionPolicy=CANCEL)
    world.batch("clicks", deletionPolicy=CANCEL)
    assert world.run("apply", "--yes").code == 0
    return world


def break_yaml(world: World) -> None:
    """A merge conflict that was committed."""
    world.write("clicks.yaml", "<<<<<<< ours\n" + batch_text("clicks"))


def break_field(world: World) -> None:
    """A field that does not exist."""
    world.batch("clicks", deletionPolicy=CANCEL, retires="3")


def break_variable(world: World) -> None:
    """A variable that is no longer defined in any target."""
    world.batch("clicks", "${var.gone}", deletionPolicy=CANCEL)


def break_target(world: World) -> None:
    """A target that no longer exists in the project."""
    world.batch("clicks", deletionPolicy=CANCEL, targets="[stagin]")


def break_reference(world: World) -> None:
    """A dependency on a spec that another merge removed."""
    world.batch("clicks", deletionPolicy=CANCEL, dependsOn="[{name: gone}]")


def break_cycle(world: World) -> None:
    """A dependency on itself."""
    world.batch("clicks", deletionPolicy=CANCEL, dependsOn="[{name: clicks}]")


def break_name(world: World) -> None:
    """An invalid name, so that the document may be any spec."""
    world.write("clicks.yaml", batch_text("clicks").replace("name: clicks", "name: Clicks!"))


def break_kind(world: World) -> None:
    """A kind that this version does not have."""
    world.write("clicks.yaml", batch_text("clicks").replace("BatchJob", "BatchJobs"))


def break_version(world: World) -> None:
    """A document that is no longer a spec."""
    world.write("clicks.yaml", batch_text("clicks").replace("apiVersion: reconciler/v1", "apiVersion: batch/v1"))


def break_metadata(world: World) -> None:
    """Two `metadata` blocks, so that the intended name is unclear."""
    world.write("clicks.yaml", batch_text("other").replace("spec:", "metadata: {name: clicks}\nspec:"))


def break_encoding(world: World) -> None:
    """A file that is not encoded in UTF-8."""
    (world.folder / "clicks.yaml").write_bytes(b"# \xff\n" + batch_text("clicks").encode())


def break_link(world: World) -> None:
    """A symlink to nothing."""
    (world.folder / "clicks.yaml").unlink()
    (world.folder / "clicks.yaml").symlink_to("nowhere.yaml")


def break_empty(world: World) -> None:
    """A file that was truncated to zero bytes."""
    world.write("clicks.yaml", "")


def break_second_document(world: World) -> None:
    """A valid document, followed by a document that cannot be read."""
    world.write("clicks.yaml", batch_text("clicks", "B") + "---\na: [")


BREAKS = [
    break_yaml, break_field, break_variable, break_target, break_reference, break_cycle, break_name, break_kind,
    break_version, break_metadata, break_encoding, break_link, break_empty, break_second_document,
]  # fmt: skip


EVERY_DAY = {break_yaml, break_field, break_reference, break_encoding, break_second_document}
"""One kind of damage for each step of reading: text, YAML, documents, one spec, and all specs together."""


@pytest.mark.parametrize("damage", in_soak(BREAKS, EVERY_DAY.__contains__), ids=lambda damage: damage.__name__)
def test_a_broken_spec_is_on_hold_and_the_others_go_on(running: World, damage: Callable[[World], None]):
    """The live run continues although deletionPolicy is Cancel, no message reports the spec as removed, and a new spec
    runs. Once the spec is fixed, it is in sync as before."""
    world = running
    before = happened(world)
    damage(world)
    world.batch("fresh")

    done = world.run("reconcile")

    assert done.code == 3
    assert "clicks is on hold: invalid spec" in done.out
    assert re.search(r"clicks\.yaml:\d+:\d+: error: ", done.err)
    assert [each for each in happened(world)[len(before) :] if not each.endswith("fresh")] == []
    assert [run["jobName"] for run in world.sent("fresh")] == ["fresh"]
    for refused in (["validate"], ["plan"], ["apply", "--yes"]):
        refusal = world.run(*refused)
        assert (refusal.code, refusal.out) == (1, "")
        assert re.search(r"clicks\.yaml:\d+:\d+: error: ", refusal.err)
    (world.folder / "clicks.yaml").unlink()
    world.batch("clicks", deletionPolicy=CANCEL)
    assert world.run("reconcile").code == 0
    assert len(world.sent("clicks")) == 1


def test_what_depends_on_a_broken_spec_is_on_hold(running: World):
    """Direct and indirect dependents are on hold, with the location of the problem. Other specs are not on hold."""
    world = running
    world.batch("extract", schedule='"0 2 31 2 x"', deletionPolicy=CANCEL)
    world.batch("report", schedule=NIGHTLY, dependsOn="[{name: load}]")
    world.batch("named", schedule=NIGHTLY).write_text(
        batch_text("named", schedule=NIGHTLY) + "    dependsOn: [{spec: report, type: SEQUENTIAL}]\n"
    )
    world.batch("fresh")
    before = happened(world)

    found = holds(world)

    assert sorted(found) == ["extract", "load", "named", "report"]
    assert found["extract"].startswith("extract.yaml:7:13: spec.schedule: ")
    start = "depends on extract, which is not valid: extract.yaml:7:13: "
    assert all(found[name].startswith(start) for name in ("load", "named", "report"))
    assert [event for event in happened(world)[len(before) :] if not event.endswith("fresh")] == []
    assert len(world.sent("fresh")) == 1


def test_removals_wait_until_every_file_can_be_read(running: World):
    """A missing spec may be in the unreadable file, so its run continues. Once the file is fixed, the spec is
    removed."""
    world = running
    (world.folder / "clicks.yaml").unlink()
    broken = world.write("zzz.yaml", "a: [")
    before = happened(world)

    found = holds(world)

    leave_out = 'If this is not a spec, leave it out: add "!zzz.yaml" to spec.specs of reconciler.yaml'
    assert found == {"clicks": f"zzz.yaml:1:5: expected a value. {leave_out}"}
    assert happened(world) == before
    broken.unlink()
    done = world.run("reconcile", "--format", "json")
    assert (done.code, done.actions("name", "action")[0]) == (0, ("clicks", "cancel"))
    assert happened(world)[len(before) :] == ["cancel-asked clicks", "cancel-accepted clicks", "undeclared clicks"]


def test_a_sparse_checkout_removes_nothing(running: World):
    """Files that git leaves out of the folder are not removed specs, so their runs are not cancelled."""
    running.git("init", "--quiet")
    running.commit()
    running.git("sparse-checkout", "set", "--no-cone", "/reconciler.yaml", "/extract.yaml")
    before = happened(running)
    for command in (["plan"], ["apply", "--yes"], ["reconcile"]):
        done = running.run(*command)
        assert (1, True) == (done.code, "lacks clicks.yaml and 1 more: specs in missing files" in done.err), done.err
    assert before == happened(running)


def test_a_spec_that_left_git_earlier_stays_retired(running: World):
    """An unreadable file does not bring back a spec that was removed before and has no run."""
    world = running
    world.aws.configure(run_seconds=0)
    (world.folder / "clicks.yaml").unlink()
    assert world.run("reconcile").code == 0
    assert world.run("reconcile").code == 0
    world.write("zzz.yaml", "a: [")
    done = world.run("reconcile", "--format", "json")
    assert done.code == 3
    assert ("clicks", "none", "retired") in done.actions("name", "action", "reason")
    assert [problem["path"] for problem in done.json["problems"]] == ["zzz.yaml"]


def test_removals_beside_a_broken_spec_with_a_name_go_on(running: World):
    """A problem in one spec does not affect another spec that was removed from git."""
    world = running
    break_field(world)
    (world.folder / "load.yaml").unlink()
    assert list(holds(world)) == ["clicks"]
    assert "undeclared load" in happened(world)


def test_specs_of_the_same_name_are_on_hold(running: World):
    """The two specs have the same name, so it is unclear which one is meant. One hold contains both locations."""
    world = running
    world.write("more.yaml", batch_text("clicks", "B"))
    found = holds(world)
    assert list(found) == ["clicks"]
    assert "clicks.yaml:4:9: metadata.name: clicks is also the name of the spec at more.yaml:4:9" in found["clicks"]
    assert "(and 1 more problem)" in found["clicks"]


def test_two_merges_that_were_each_valid(running: World):
    """One merge removed a variable, and the other added a spec that uses it. That spec is on hold and never ran."""
    world = running
    world.batch("late", "${var.day}")
    assert holds(world)["late"].startswith("late.yaml:11:")
    assert "unknown placeholder ${var.day}" in holds(world)["late"]
    assert world.sent("late") == []


def test_a_rename_in_a_broken_spec_removes_nothing(running: World):
    """The former name is also on hold, because its ledger record belongs to the broken spec."""
    world = running
    (world.folder / "clicks.yaml").unlink()
    world.write(
        "visits.yaml",
        batch_text("visits", oops="1").replace("name: visits", "name: visits\n  renamedFrom: clicks", 1),
    )
    assert sorted(holds(world)) == ["clicks", "visits"]
    assert "undeclared clicks" not in happened(world)


def test_a_spec_that_is_broken_for_another_target_only_goes_on(world: World):
    """A variable that is missing only in production does not stop a pass of staging."""
    prod = project_text().split("staging:")[1].replace("ledger.sqlite", "prod.sqlite")
    world.write("reconciler.yaml", project_text(limits="\n      vars: {day: monday}") + f"    prod:{prod}")
    world.batch("clicks", "${var.day}")
    assert world.run("reconcile").code == 0
    assert len(world.sent("clicks")) == 1
    other = World(world.folder, world.aws, "prod", world.env, ledger="sqlite:///prod.sqlite")
    other.init()
    assert list(holds(other, "-t", "prod")) == ["clicks"]


def test_a_broken_spec_of_other_targets_matters_only_where_it_ran(world: World):
    """If the spec's targets can be read and it has never run in this target, it is ignored. If it has run there, it is
    on hold."""
    world.batch("clicks", targets="[local]")
    world.write("more.yaml", batch_text("clicks", targets="[local]"))
    world.batch("fresh")
    done = world.run("reconcile", "--format", "json")
    assert (done.code, done.actions("name", "action")) == (3, [("fresh", "submit")])
    world.batch("fresh", targets="[local]")
    world.write("more.yaml", batch_text("fresh", targets="[local]"))
    assert list(holds(world)) == ["fresh"]


def test_a_selection_is_about_its_own_specs(running: World):
    """A broken spec outside the selection is ignored. A selected broken spec is on hold, whether it was selected by
    name or by label."""
    world = running
    world.batch("fresh", labels="{team: a}")
    world.batch("clicks", labels="{team: b}", oops="1")
    world.write("zzz.yaml", "a: [")
    done = world.run("reconcile", "--only", "fresh", "--format", "json")
    assert (done.code, done.actions("name", "action")) == (0, [("fresh", "submit")])
    assert "problems" not in done.json
    assert world.run("reconcile", "-l", "team=a").code == 0
    assert list(holds(world, "--only", "clicks")) == ["clicks"]
    assert list(holds(world, "-l", "team=b")) == ["clicks"]


def test_a_selection_of_nothing_is_wrong_usage_in_a_broken_project(running: World):
    """An unknown name is a usage error, whatever problems other files have."""
    break_field(running)
    done = running.run("reconcile", "--only", "click")
    assert (done.code, "Did you mean clicks?" in done.err) == (64, True)


def test_a_broken_project_file_refuses_all(running: World):
    """Without a valid project file, the target cannot be determined."""
    running.write("reconciler.yaml", project_text() + "oops: 1\n")
    for command in ("reconcile", "status"):
        done = running.run(command)
        assert (done.code, "reconciler.yaml:" in done.err) == (1, True)


def test_status_shows_the_hold_and_every_problem(running: World):
    """The text output contains the spec's run and the reason with its location, and the exit code is 3. The JSON output
    contains all problems."""
    world = running
    world.batch("clicks", oops="1", more="2")
    done = world.run("status", "--format", "json")
    row = next(row for row in done.json["specs"] if row["name"] == "clicks")
    text = world.run("status")

    assert (done.code, text.code) == (3, 3)
    assert (row["state"], row["in_sync"]) in {("submitted", False), ("running", False)}
    assert row["reason"].startswith("invalid-spec: clicks.yaml:7:3: unknown field spec.oops")
    assert [(each["path"], each["line"], each["col"]) for each in done.json["problems"]] == [
        ("clicks.yaml", 7, 3),
        ("clicks.yaml", 8, 3),
    ]
    assert "clicks.yaml:7:3: unknown field spec.oops" in text.out
    assert "clicks.yaml:8:3: error: unknown field spec.more" in text.err
    world.batch("clicks", deletionPolicy=CANCEL)
    assert "problems" not in world.run("status", "--format", "json").json


def test_operators_decide_about_specs_in_a_broken_project(running: World):
    """Problems in other specs are ignored. For a spec that is on hold, the only manual decision allowed is to cancel
    its run, because the effect of any other decision on the next pass is unclear."""
    world = running
    world.batch("fresh")
    assert world.run("apply", "--yes").code == 0
    break_field(world)
    world.write("zzz.yaml", "a: [")

    other = world.run("cancel", "fresh", "--yes")
    refused = [world.run(*command, "--yes") for command in (["retry", "clicks"], ["adopt", "clicks", "job"])]
    own = world.run("cancel", "clicks", "--yes", "--format", "json")

    assert (other.code, [done.code for done in refused], own.code) == (0, [1, 1], 0)
    assert "cancel-accepted fresh" in happened(world)
    for done in refused:
        assert "clicks is on hold: clicks.yaml:8:3: unknown field spec.retires" in done.err
    assert [each["outcome"] for each in own.json["results"]] == ["cancelled"]
    assert [(each["action"], each["reason"]) for each in own.json["next"]] == [("hold", "invalid-spec")]
    (world.folder / "load.yaml").unlink()
    missing = world.run("retry", "load", "--yes")
    assert (missing.code, "load is on hold: zzz.yaml:1:5" in missing.err) == (1, True)


def test_a_hold_is_notified_once_for_each_mistake(running: World):
    """Further passes send no further notification until the problem changes."""
    world = running
    with hook() as there:
        text = project_text(limits=f'\n      notify:\n        - {{url: "{there.url}", events: [held]}}')
        world.write("reconciler.yaml", text)
        for _ in range(2):
            break_field(world)
            assert world.run("reconcile").code == 3
        break_variable(world)
        assert world.run("reconcile").code == 3
    first, second = there.documents
    assert (first["spec"], first["reason"]) == ("clicks", "invalid-spec")
    assert "clicks.yaml:8:3: unknown field spec.retires" in first["text"]
    assert "var.gone" in second["text"]


def test_a_service_goes_on_and_says_what_is_wrong(running: World):
    """Passes do not fail, because a restart of the service would fix nothing. The log and the metrics contain the holds
    and problems."""
    world = running
    break_field(world)
    with serving(world, "--metrics-port", "0", "-v") as service:
        service.wait(lambda: sum("retires" in line for line in service.lines) > 1)
        port = re.search(r"metrics on port (\d+)", "\n".join(service.lines))
        assert port is not None
        url = f"http://127.0.0.1:{port[1]}"
        metrics = urllib.request.urlopen(f"{url}/metrics").read().decode()
        health = urllib.request.urlopen(f"{url}/healthz").read().decode()
        world.batch("fresh")
        service.wait(lambda: world.sent("fresh"))
        world.batch("clicks", "B", deletionPolicy=CANCEL, concurrencyPolicy="Allow")
        service.wait(lambda: len(world.sent("clicks")) == 2)
        service.process.send_signal(signal.SIGTERM)
        assert service.exit_code() == 0
    assert health == "ok\n"
    assert "reconciler_holds 1.0" in metrics
    assert "reconciler_project_problems 1.0" in metrics
    assert 'reconciler_passes_total{result="failed"}' not in metrics
