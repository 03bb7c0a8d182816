"""`plan --base`: which changes are those of the pull request, and which wait on its base already."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.cli.world import World, batch_text, project_text

NIGHTLY = '"0 2 * * *"'


@pytest.fixture
def repository(world: World) -> World:
    """A repository on the branch main, whose one commit is applied, with the branch feature checked out."""
    world.git("init", "--quiet", "--initial-branch", "main")
    world.batch("clicks", schedule=NIGHTLY)
    world.batch("orders")
    world.batch("refunds", schedule=NIGHTLY)
    world.commit()
    assert world.run("apply", "--yes").code == 0
    world.git("checkout", "--quiet", "-b", "feature")
    return world


def on_main(world: World) -> None:
    """Commits what was written to main, and continues feature from there."""
    world.git("checkout", "--quiet", "-B", "main")
    world.commit("On main")
    world.git("checkout", "--quiet", "-B", "feature")


def planned(world: World, *arguments: str) -> Any:
    """The JSON of a plan against main."""
    done = world.run("plan", "--base", "main", "--format", "json", *arguments)
    assert done.out, done.err
    return done.json


def origins(world: World, *arguments: str) -> dict[str, str]:
    """The origin of each change of a plan against main."""
    return {change["name"]: change["origin"] for change in planned(world, *arguments)["changes"]}


def notes(world: World) -> dict[str, str]:
    """What the plan says about each change beside its origin."""
    return {change["name"]: change["origin_note"] for change in planned(world)["changes"]}


def test_changes_of_every_kind_are_told_from_those_of_the_base(repository: World):
    """Additions, edits of requests and policies, and removals, on either side; the summary counts both."""
    world = repository
    world.batch("clicks", schedule='"0 3 * * *"')
    world.batch("added-on-base")
    (world.folder / "refunds.yaml").unlink()
    on_main(world)
    world.batch("orders", "B")
    world.batch("added-here")
    world.commit("Feature")

    plan = planned(world)
    text = world.run("plan", "--base", "main").out
    markdown = world.run("plan", "--base", "main", "--format", "markdown").out

    assert origins(world) == {
        "added-here": "this-change",
        "added-on-base": "already-on-base",
        "clicks": "already-on-base",
        "orders": "this-change",
        "refunds": "already-on-base",
    }
    assert (plan["summary"]["this-change"], plan["summary"]["already-on-base"]) == (2, 3)
    assert plan["base"] == world.git("rev-parse", "main")
    assert set(notes(world).values()) == {""}
    for shown in (text, markdown):
        assert "Changes: 2 this-change, 3 already-on-base." in shown
        assert shown.replace("`", "").count("origin: this-change") == 2
        assert shown.replace("`", "").count("origin: already-on-base") == 3


def test_a_removal_of_this_change_is_its_own(repository: World):
    """The base still has the spec."""
    (repository.folder / "orders.yaml").unlink()
    repository.commit("Feature")
    assert origins(repository) == {"orders": "this-change"}


def test_an_edit_on_top_of_a_pending_edit_is_of_this_change_and_says_so(repository: World):
    """The base has another content than both the ledger and the checkout; so too if it removes the spec."""
    repository.batch("orders", "B")
    (repository.folder / "refunds.yaml").unlink()
    on_main(repository)
    repository.batch("orders", "C")
    repository.batch("refunds", "B", schedule=NIGHTLY)

    assert origins(repository) == {"orders": "this-change", "refunds": "this-change"}
    assert set(notes(repository).values()) == {"the base has another pending change of it"}


def rename(world: World, old: str, new: str, argument: str = "A") -> None:
    """Renames a one-off."""
    (world.folder / f"{old}.yaml").unlink()
    text = batch_text(new, argument)
    world.write(f"{new}.yaml", text.replace(f"name: {new}", f"name: {new}\n  renamedFrom: {old}", 1))


def test_renames_are_told_apart_too(repository: World):
    """On the base, here, and here on top of a pending edit of the base."""
    world = repository
    rename(world, "orders", "sales")
    assert planned(world)["changes"][0]["change"] == "renamed"
    assert origins(world) == {"sales": "this-change"}
    assert notes(world) == {"sales": ""}
    on_main(world)
    assert origins(world) == {"sales": "already-on-base"}
    world.git("checkout", "--quiet", "-B", "feature", "main~1")
    world.batch("orders", "B")
    on_main(world)
    rename(world, "orders", "sales", "B")
    assert origins(world) == {"sales": "this-change"}
    assert notes(world) == {"sales": "the base has another pending change of it"}


def test_uncommitted_edits_are_of_this_change(repository: World):
    """The work tree counts as the pull request does."""
    repository.batch("orders", "B")
    assert origins(repository) == {"orders": "this-change"}


def test_the_merge_base_counts_and_not_the_newest_commit_of_the_base(repository: World):
    """What main got after the branch was made from it does not make a change of the branch one of the base."""
    world = repository
    world.batch("orders", "B")
    world.commit("Feature")
    world.git("checkout", "--quiet", "main")
    world.batch("orders", "B")
    world.commit("The same on main")
    world.git("checkout", "--quiet", "feature")

    assert origins(world) == {"orders": "this-change"}


def test_the_base_has_its_own_project_file(repository: World):
    """Variables, targets and patterns are those of that commit: what they change is a change."""
    world = repository
    world.write("reconciler.yaml", project_text(more="\n  vars: {day: monday}"))
    world.batch("orders", "${var.day}")
    on_main(world)
    world.write("reconciler.yaml", project_text(more='\n  vars: {day: monday}\n  specs: ["*.yaml", "more/*.yaml"]'))
    world.write("more/late.yaml", batch_text("late"))
    assert origins(world) == {"late": "this-change", "orders": "already-on-base"}

    world.write("reconciler.yaml", project_text(more="\n  vars: {day: friday}"))
    assert origins(world) == {"late": "this-change", "orders": "this-change"}


def test_a_broken_base_does_not_stop_the_plan(repository: World):
    """A broken spec of the base is not on it, and the plan says where it is broken."""
    world = repository
    world.write("orders.yaml", "apiVersion: reconciler/v1\nkind: BatchJob\nmetadata: {name: orders}\n")
    world.write("loose.yaml", "a: [")
    on_main(world)
    (world.folder / "loose.yaml").unlink()
    (world.folder / "refunds.yaml").unlink()
    world.batch("orders", "B")
    world.batch("clicks", "B", schedule=NIGHTLY)

    done = world.run("plan", "--base", "main")

    assert done.code == 0
    assert origins(world) == {"clicks": "this-change", "orders": "this-change", "refunds": "this-change"}
    assert "orders.yaml:1:1: spec is missing" in notes(world)["orders"]
    assert ", loose.yaml:1:5: expected a value" in done.out


def test_a_spec_that_may_be_in_an_unreadable_file_of_the_base_is_of_this_change(repository: World):
    """Its removal is not taken for one of the base."""
    world = repository
    world.write("refunds.yaml", "a: [")
    on_main(world)
    (world.folder / "refunds.yaml").unlink()

    assert origins(world) == {"refunds": "this-change"}
    assert notes(world)["refunds"].startswith("at the base it may be in a file that cannot be read: refunds.yaml:1:5")


def test_a_base_without_the_project_or_the_target_has_nothing(repository: World):
    """Then every change is of this change, and a warning says why."""
    world = repository
    world.batch("orders", "B")
    world.write("reconciler.yaml", project_text().replace("staging:", "prod:").replace("staging", "prod"))
    on_main(world)
    world.write("reconciler.yaml", project_text())
    assert origins(world) == {"orders": "this-change"}
    assert "does not have this target" in planned(world)["warnings"][-1]

    world.write("reconciler.yaml", "kind: [")
    on_main(world)
    world.write("reconciler.yaml", project_text())
    assert "reconciler.yaml:1:8" in planned(world)["warnings"][-1]

    (world.folder / "reconciler.yaml").unlink()
    on_main(world)
    world.write("reconciler.yaml", project_text())
    assert origins(world) == {"orders": "this-change"}
    assert "has no reconciler.yaml" in planned(world)["warnings"][-1]


def test_the_id_of_a_plan_does_not_depend_on_the_base(repository: World):
    """Where a change comes from does not alter what it causes."""
    repository.batch("orders", "B")
    on_main(repository)
    repository.batch("clicks", "B", schedule=NIGHTLY)

    plain = repository.run("plan", "--format", "json").json

    assert planned(repository)["plan_id"] == plain["plan_id"]
    assert "base" not in plain
    assert all("origin" not in change for change in plain["changes"])
    assert "this-change" not in plain["summary"]


def test_pending_changes_of_the_base_fail_if_asked(repository: World):
    """Exit code 1, which precedes that of --detailed-exitcode, and the names; without any, as without the option."""
    world = repository
    world.batch("orders", "B")
    assert world.run("plan", "--base", "main", "--fail-on-pending").code == 0
    assert world.run("plan", "--base", "main", "--fail-on-pending", "--detailed-exitcode").code == 2
    on_main(world)
    world.batch("clicks", "B", schedule=NIGHTLY)

    failed = world.run("plan", "--base", "main", "--fail-on-pending", "--detailed-exitcode")

    assert failed.code == 1
    assert failed.err == "Error: changes that main has are not applied yet: orders. Apply them first\n"
    assert "origin: already-on-base" in failed.out
    assert world.run("apply", "--yes", "--only", "orders").code == 0
    assert world.run("plan", "--base", "main", "--fail-on-pending", "--detailed-exitcode").code == 2
    unpaired = world.run("plan", "--fail-on-pending")
    assert (unpaired.code, "needs --base REF" in unpaired.err) == (64, True)


def test_an_old_checkout_has_no_pending_changes(repository: World):
    """What this checkout may not apply is no reason to apply the base first."""
    world = repository
    world.git("checkout", "--quiet", "main")
    world.batch("orders", "B")
    world.commit("Newer")
    assert world.run("apply", "--yes").code == 0
    world.git("checkout", "--quiet", "feature")

    done = world.run("plan", "--base", "main", "--fail-on-pending", "--format", "json")

    assert (done.code, [change["stale"] for change in done.json["changes"]]) == (0, [True])


def test_a_saved_plan_keeps_the_origins_and_is_applied(repository: World):
    """The file has the same keys as the JSON, and its summary still matches."""
    repository.batch("added")
    repository.commit("Feature")
    done = repository.run("plan", "--base", "main", "--out", "a.plan", "--format", "json")
    assert done.code == 0
    assert repository.run("apply", "a.plan", "--yes").code == 0
    assert len(repository.sent("added")) == 1


class TestWhere:
    """The project in the repository, and the repository as a clone has it."""

    def test_the_project_is_in_a_subdirectory(self, world: World):
        """With -C from outside, and from a folder whose name git would quote."""
        outside = World(world.folder.parent, world.aws, env=world.env)
        outside.git("init", "--quiet", "--initial-branch", "main")
        inside = World(world.folder.parent / 'sp äcs"', world.aws, env=world.env)
        inside.write("reconciler.yaml", project_text())
        inside.write(".gitignore", "*.sqlite*\n")
        inside.init()
        inside.batch("taeglich")
        outside.commit()
        assert outside.run("-C", 'sp äcs"', "apply", "--yes").code == 0
        inside.batch("taeglich", "B")
        outside.commit("Pending")
        outside.git("checkout", "--quiet", "-b", "feature")
        inside.batch("neu")

        done = outside.run("-C", 'sp äcs"', "plan", "--base", "main", "--format", "json")

        found = {change["name"]: change["origin"] for change in done.json["changes"]}
        assert found == {"taeglich": "already-on-base", "neu": "this-change"}

    def test_links_and_submodules_of_the_base_are_not_followed(self, repository: World):
        """A link is data: its spec is not on the base, and a warning names it."""
        world = repository
        world.write(".hidden/real.yaml", (world.folder / "orders.yaml").read_text().replace("orders", "linked"))
        os.symlink(".hidden/real.yaml", world.folder / "linked.yaml")
        os.symlink("/etc/passwd", world.folder / "outside")
        module = world.folder / "module"
        module.mkdir()
        World(module, world.aws).git("init", "--quiet", "--initial-branch", "main")
        World(module, world.aws).commit()
        on_main(world)

        assert origins(world) == {"linked": "this-change"}
        assert ["linked.yaml:1:1: a symlink" in note for note in planned(world)["warnings"]] == [True]

    def test_the_work_tree_and_the_index_stay_as_they_are(self, repository: World):
        """A plan reads objects: nothing is checked out, written or locked."""
        world = repository
        world.batch("orders", "B")
        before = (world.files(), world.git("status", "--porcelain"), (world.folder / ".git/index").read_bytes())
        planned(world)
        after = (world.files(), world.git("status", "--porcelain"), (world.folder / ".git/index").read_bytes())
        assert after == before

    def test_a_shallow_clone_says_how_to_fetch_the_base(self, repository: World, tmp_path: Path):
        """Without the branch, then without the history that both have, then with it."""
        world = repository
        world.batch("orders", "B")
        world.commit("Feature")
        world.git("checkout", "--quiet", "main")
        world.batch("clicks", "B", schedule=NIGHTLY)
        world.commit("Main goes on")
        world.git("config", "uploadpack.allowFilter", "true")
        url = world.folder.as_uri()
        world.git("clone", "--quiet", "--depth=1", "--branch=feature", url, str(tmp_path / "clone"))
        clone = World(tmp_path / "clone", world.aws, env=world.env)
        clone.init()

        absent = clone.run("plan", "--base", "origin/main")
        clone.git("fetch", "--quiet", "--depth=1", "origin", "main:refs/remotes/origin/main")
        cut = clone.run("plan", "--base", "origin/main")
        local = clone.run("plan", "--base", "main")
        clone.git("fetch", "--quiet", "--unshallow")
        done = clone.run("plan", "--base", "origin/main", "--format", "json")

        assert (absent.code, cut.code, local.code, done.code) == (1, 1, 1, 0)
        assert "git fetch origin main" in absent.err
        assert "fetch-depth: 0" in absent.err
        assert "shallow clone" in cut.err
        assert "git fetch --unshallow" in cut.err
        assert "fetch-depth: 0" in cut.err
        assert "use --base origin/main" in local.err

    def test_a_partial_clone_fetches_nothing(self, repository: World, tmp_path: Path):
        """What it lacks is an error that says how to fetch it."""
        world = repository
        world.batch("orders", "B")
        world.commit("Feature")
        world.git("config", "uploadpack.allowFilter", "true")
        url = world.folder.as_uri()
        world.git("clone", "--quiet", "--filter=blob:none", "--branch=feature", url, str(tmp_path / "clone"))
        clone = World(tmp_path / "clone", world.aws, env=world.env)
        clone.init()

        lacking = clone.run("plan", "--base", "origin/main")
        clone.git("fetch", "--quiet", "--refetch", "--no-filter", "origin")
        fetched = clone.run("plan", "--base", "origin/main")

        assert (lacking.code, fetched.code) == (1, 0)
        assert "git fetch --refetch --no-filter origin" in lacking.err


class TestRefused:
    """A base that is none."""

    @pytest.mark.parametrize("ref", ["--upload-pack=touch x", "-x", "", "--"])
    def test_a_ref_that_git_would_read_as_an_option(self, repository: World, ref: str):
        """Wrong usage, whatever the option is."""
        done = repository.run("plan", "--base", ref)
        assert (done.code, "is not a branch, tag or commit" in done.err) == (64, True)

    @pytest.mark.parametrize("ref", ["nowhere", "0" * 40, "main:orders.yaml", "a b", "main^{tree}", "main\nHEAD"])
    def test_a_ref_that_the_clone_does_not_have(self, repository: World, ref: str):
        """The error says how to fetch it."""
        done = repository.run("plan", "--base", ref)
        assert (done.code, "git fetch origin" in done.err) == (1, True), done.err

    def test_histories_that_have_nothing_in_common(self, repository: World):
        """More fetching would not help, and the error does not suggest it."""
        repository.git("checkout", "--quiet", "--orphan", "other")
        repository.commit("Another root")
        done = repository.run("plan", "--base", "main")
        assert (done.code, "no common history" in done.err, "fetch" in done.err) == (1, True, False)

    def test_a_folder_outside_git_and_a_repository_without_a_commit(self, world: World):
        """The error says what is needed."""
        world.batch("orders")
        for _ in range(2):
            done = world.run("plan", "--base", "main")
            assert (done.code, "needs a git repository with a commit" in done.err) == (1, True)
            world.git("init", "--quiet")
