"""Tests `plan --base`, which shows which changes come from the pull request and which are already pending on its
base."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.cli.world import World, batch_text, project_text

NIGHTLY = '"0 2 * * *"'


@pytest.fixture
def unapplied(world: World) -> World:
    """A repository with the branch main and one commit. The branch feature is checked out."""
    world.git("init", "--quiet", "--initial-branch", "main")
    world.batch("clicks", schedule=NIGHTLY)
    world.batch("orders")
    world.batch("refunds", schedule=NIGHTLY)
    world.commit()
    world.git("checkout", "--quiet", "-b", "feature")
    return world


@pytest.fixture
def repository(unapplied: World) -> World:
    """The repository, after its commit was applied."""
    assert unapplied.run("apply", "--yes").code == 0
    return unapplied


def on_main(world: World) -> None:
    """Commits the written files to main, and rebases feature on it."""
    world.git("checkout", "--quiet", "-B", "main")
    world.commit("On main")
    world.git("checkout", "--quiet", "-B", "feature")


def planned(world: World, *arguments: str) -> Any:
    """Returns the JSON of a plan against main."""
    done = world.run("plan", "--base", "main", "--format", "json", *arguments)
    assert done.out, done.err
    return done.json


def origins(world: World, *arguments: str) -> dict[str, str]:
    """Returns the origin of each change in a plan against main."""
    return {change["name"]: change["origin"] for change in planned(world, *arguments)["changes"]}


def notes(world: World) -> dict[str, str]:
    """Returns the note that the plan shows next to the origin of each change."""
    return {change["name"]: change["origin_note"] for change in planned(world)["changes"]}


def test_changes_of_every_kind_are_told_from_those_of_the_base(repository: World):
    """This holds for additions, edits of requests and policies, and removals, on either side. The summary counts the
    changes of both origins."""
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
    """If a spec is still on the base, the pull request removed it."""
    (repository.folder / "orders.yaml").unlink()
    repository.commit("Feature")
    assert origins(repository) == {"orders": "this-change"}


def test_an_edit_on_top_of_a_pending_edit_is_of_this_change_and_says_so(repository: World):
    """The content on the base differs from the ledger and from the checkout. The same note appears if the base removes
    the spec."""
    repository.batch("orders", "B")
    (repository.folder / "refunds.yaml").unlink()
    on_main(repository)
    repository.batch("orders", "C")
    repository.batch("refunds", "B", schedule=NIGHTLY)

    assert origins(repository) == {"orders": "this-change", "refunds": "this-change"}
    assert set(notes(repository).values()) == {"the base has another pending change to it"}


def rename(world: World, old: str, new: str, argument: str = "A") -> None:
    """Renames a one-off."""
    (world.folder / f"{old}.yaml").unlink()
    text = batch_text(new, argument)
    world.write(f"{new}.yaml", text.replace(f"name: {new}", f"name: {new}\n  renamedFrom: {old}", 1))


def test_renames_are_told_apart_too(repository: World):
    """Covers a rename on the base, in this change, and in this change on top of a pending edit on the base."""
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
    assert notes(world) == {"sales": "the base has another pending change to it"}


def test_uncommitted_edits_are_of_this_change(repository: World):
    """Edits in the work tree are treated like commits of the pull request."""
    repository.batch("orders", "B")
    assert origins(repository) == {"orders": "this-change"}


def test_the_merge_base_counts_and_not_the_newest_commit_of_the_base(repository: World):
    """Commits on main after the branch point do not turn a change of the branch into a change of the base."""
    world = repository
    world.batch("orders", "B")
    world.commit("Feature")
    world.git("checkout", "--quiet", "main")
    world.batch("orders", "B")
    world.commit("The same on main")
    world.git("checkout", "--quiet", "feature")

    assert origins(world) == {"orders": "this-change"}


def test_the_base_has_its_own_project_file(repository: World):
    """The base is read with the variables, targets and patterns of its own commit, so changes to these are detected
    too."""
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
    """A broken spec on the base is ignored, and the plan shows the location of the problem."""
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
    """A removal is not attributed to the base if the spec may be in the unreadable file."""
    world = repository
    world.write("refunds.yaml", "a: [")
    on_main(world)
    (world.folder / "refunds.yaml").unlink()

    assert origins(world) == {"refunds": "this-change"}
    assert notes(world)["refunds"].startswith("at the base it may be in a file that cannot be read: refunds.yaml:1:5")


def test_a_base_without_the_project_or_the_target_has_nothing(repository: World):
    """Then every change has the origin this-change, and a warning explains why."""
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


def test_a_project_in_a_moved_folder_is_compared_with_the_base(repository: World):
    """The project is found by its name in another folder of the base, so a pending change stays pending."""
    world = repository
    world.batch("orders", "B")
    on_main(world)
    (world.folder / "jobs").mkdir()
    for path in sorted(world.folder.glob("*.*")):
        path.rename(world.folder / "jobs" / path.name)

    assert {"orders": "already-on-base"} == origins(world, "-C", "jobs")


def test_the_id_of_a_plan_does_not_depend_on_the_base(repository: World):
    """The origin of a change affects neither the actions nor the plan id."""
    repository.batch("orders", "B")
    on_main(repository)
    repository.batch("clicks", "B", schedule=NIGHTLY)

    plain = repository.run("plan", "--format", "json").json

    assert planned(repository)["plan_id"] == plain["plan_id"]
    assert "base" not in plain
    assert all("origin" not in change for change in plain["changes"])
    assert "this-change" not in plain["summary"]


def test_pending_changes_of_the_base_fail_if_asked(repository: World):
    """The exit code is 1, which takes precedence over the code of `--detailed-exitcode`, and the error lists the specs.
    Without pending changes, the option has no effect."""
    world = repository
    world.batch("orders", "B")
    assert world.run("plan", "--base", "main", "--fail-on-pending").code == 0
    assert world.run("plan", "--base", "main", "--fail-on-pending", "--detailed-exitcode").code == 2
    on_main(world)
    world.batch("clicks", "B", schedule=NIGHTLY)

    failed = world.run("plan", "--base", "main", "--fail-on-pending", "--detailed-exitcode")

    assert failed.code == 1
    assert failed.err == "Error: changes on main are not applied yet: orders. Apply them first\n"
    assert "origin: already-on-base" in failed.out
    assert world.run("apply", "--yes", "--only", "orders").code == 0
    assert world.run("plan", "--base", "main", "--fail-on-pending", "--detailed-exitcode").code == 2
    unpaired = world.run("plan", "--fail-on-pending")
    assert (unpaired.code, "needs --base REF" in unpaired.err) == (64, True)


def test_an_old_checkout_has_no_pending_changes(repository: World):
    """Changes that this checkout must not apply do not count as pending on the base."""
    world = repository
    world.git("checkout", "--quiet", "main")
    world.batch("orders", "B")
    world.commit("Newer")
    assert world.run("apply", "--yes").code == 0
    world.git("checkout", "--quiet", "feature")

    done = world.run("plan", "--base", "main", "--fail-on-pending", "--format", "json")

    assert (done.code, [change["stale"] for change in done.json["changes"]]) == (0, [True])


def test_a_saved_plan_keeps_the_origins_and_is_applied(repository: World):
    """The file has the same keys as the JSON output, and its summary still matches."""
    repository.batch("added")
    repository.commit("Feature")
    done = repository.run("plan", "--base", "main", "--out", "a.plan", "--format", "json")
    assert done.code == 0
    assert repository.run("apply", "a.plan", "--yes").code == 0
    assert len(repository.sent("added")) == 1


class TestWhere:
    """Contains the project in the repository, and the same project in a clone."""

    def test_the_project_is_in_a_subdirectory(self, world: World):
        """Works with -C from outside the folder, and in a folder whose name git would quote."""
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
        """A symlink is not followed: its spec is not on the base, and a warning contains its path."""
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
        """The plan reads only git's objects. Nothing is checked out, written or locked."""
        world = repository
        world.batch("orders", "B")
        before = (world.files(), world.git("status", "--porcelain"), (world.folder / ".git/index").read_bytes())
        planned(world)
        after = (world.files(), world.git("status", "--porcelain"), (world.folder / ".git/index").read_bytes())
        assert after == before

    def test_a_shallow_clone_says_how_to_fetch_the_base(self, repository: World, tmp_path: Path):
        """The clone first has no base branch, then a base branch without common history, and then a complete one."""
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
        """A missing object is an error that explains how to fetch it."""
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
    """Refs that cannot be a base."""

    @pytest.mark.parametrize("ref", ["--upload-pack=touch x", "-x", "", "--"])
    def test_a_ref_that_git_would_read_as_an_option(self, unapplied: World, ref: str):
        """Every ref of this kind is a usage error."""
        done = unapplied.run("plan", "--base", ref)
        assert (done.code, "is not a branch, tag or commit" in done.err) == (64, True)

    @pytest.mark.parametrize("ref", ["nowhere", "0" * 40, "main:orders.yaml", "a b", "main^{tree}", "main\nHEAD"])
    def test_a_ref_that_the_clone_does_not_have(self, unapplied: World, ref: str):
        """The error explains how to fetch the ref."""
        done = unapplied.run("plan", "--base", ref)
        assert (done.code, "git fetch origin" in done.err) == (1, True), done.err

    def test_histories_that_have_nothing_in_common(self, unapplied: World):
        """More fetching would not help, so the error does not suggest it."""
        unapplied.git("checkout", "--quiet", "--orphan", "other")
        unapplied.commit("Another root")
        done = unapplied.run("plan", "--base", "main")
        assert (done.code, "no common history" in done.err, "fetch" in done.err) == (1, True, False)

    def test_a_folder_outside_git_and_a_repository_without_a_commit(self, world: World):
        """The error explains what is needed."""
        world.batch("orders")
        for _ in range(2):
            done = world.run("plan", "--base", "main")
            assert (done.code, "needs a git repository with a commit" in done.err) == (1, True)
            world.git("init", "--quiet")
