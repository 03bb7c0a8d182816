"""Tests how the checkout is read, with real git repositories."""

import fcntl
import os
import subprocess
from pathlib import Path

import pytest

from reconciler.core.checkout import Ancestry, Checkout
from reconciler.errors import ReconcilerError
from reconciler.specs.git import actor, index_state, not_checked_out, read_checkout, run_git, untracked
from reconciler.specs.git_pull import pull


def git(folder: Path, *arguments: str) -> str:
    """Runs git with the name of a user, and returns its output."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")} | {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
    }
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "protocol.file.allow=always")
    done = subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments], capture_output=True, text=True, check=True, env=environment
    )
    return done.stdout.strip()


def commit(folder: Path, message: str) -> str:
    """Creates an empty commit, and returns its id."""
    git(folder, "commit", "-q", "--allow-empty", "-m", message)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path):
    """A repository without a commit."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    return folder


def test_outside_git_there_is_no_check(tmp_path, monkeypatch):
    """A folder outside any repository has no commit."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    assert Checkout() == read_checkout(tmp_path, ["0" * 40])


def test_before_the_first_commit_there_is_no_check(repository):
    """A repository without commits has no commit to check, which the result shows."""
    assert Checkout(unborn=True) == read_checkout(repository, [])


def test_specs_that_git_does_not_track(repository):
    """A new file, an ignored file and a file in a new folder are not tracked. An added file is tracked, even behind a
    symlink."""
    names = ["added.yaml", "new.yaml", "ignored.yaml", "sub/added.json", "sub/new.json", "link/added.json"]
    (repository / "sub").mkdir()
    (repository / "link").symlink_to("sub")
    for name in names[:5]:
        (repository / name).write_text("x")
    (repository / ".gitignore").write_text("ignored.yaml\n")
    git(repository, "add", "added.yaml", "sub/added.json", "link")
    assert ["ignored.yaml", "new.yaml", "sub/new.json"] == untracked(repository, names)
    assert ["new.json"] == untracked(repository / "sub", ["added.json", "new.json"])
    assert [] == untracked(repository, [])


def test_a_repository_without_a_git_program_is_an_error(repository, monkeypatch):
    """In a repository, and in a folder inside it, a missing git program is an error, so that the check is never
    skipped."""
    commit(repository, "one")
    (repository / "jobs").mkdir()
    monkeypatch.setenv("PATH", "")
    for folder in (repository, repository / "jobs"):
        with pytest.raises(ReconcilerError, match="git is not installed"):
            read_checkout(folder, [])


def test_outside_git_and_without_it_there_is_no_check(tmp_path, monkeypatch):
    """Without a repository and without git, there is no commit to check."""
    monkeypatch.setenv("PATH", "")
    assert Checkout() == read_checkout(tmp_path, [])


@pytest.mark.parametrize(("name", "uncommitted"), [("new.yaml", True), ("sub/new.json", True), ("notes.txt", False)])
def test_uncommitted_spec_files_are_noticed(repository, name, uncommitted):
    """Only changes to files that may be specs count as uncommitted changes. A ledger next to them does not count."""
    commit(repository, "one")
    assert not read_checkout(repository, []).uncommitted
    (repository / name).parent.mkdir(exist_ok=True)
    (repository / name).write_text("x")
    assert uncommitted == read_checkout(repository, []).uncommitted


def test_a_missing_commit_is_not_taken_for_a_new_repository(repository):
    """Otherwise, the age of the checkout would not be checked in a damaged clone."""
    head = commit(repository, "first")
    (repository / ".git/objects" / head[:2] / head[2:]).unlink()
    with pytest.raises(ReconcilerError, match=f"its commit {head} is missing"):
        read_checkout(repository, [])


def test_files_that_a_sparse_checkout_leaves_out(repository):
    """They are listed relative to the project. A file that was deleted is not one of them."""
    project = repository / "jobs"
    (project / "b").mkdir(parents=True)
    for name in ("a.yaml", "b/c.json", "d.yaml", "notes.txt"):
        (project / name).write_text("x")
    git(repository, "add", "-A")
    commit(repository, "first")
    assert [] == not_checked_out(project)
    git(repository, "sparse-checkout", "set", "--no-cone", "/jobs/a.yaml", "/jobs/d.yaml")
    assert ["b/c.json"] == not_checked_out(project)
    (project / "d.yaml").unlink()
    assert ["b/c.json"] == not_checked_out(project)
    git(repository, "sparse-checkout", "disable")
    assert [] == not_checked_out(project)


def test_plan_files_are_no_uncommitted_changes(repository):
    """A new plan file does not count as a change of the project. A changed plan file that was committed counts, and so
    does a new spec next to it."""
    (repository / "kept.json").write_text("{}")
    git(repository, "add", ".")
    commit(repository, "one")
    plan = '{"format_version": "1.1", "tool_version": "0.2.0"}'
    (repository / "plan.json").write_text(plan)
    assert not read_checkout(repository, []).uncommitted
    (repository / "new.json").write_text("{}")
    assert read_checkout(repository, []).uncommitted
    (repository / "new.json").unlink()
    (repository / "kept.json").write_text(plan)
    assert read_checkout(repository, []).uncommitted


def test_contained_newer_and_diverged(repository):
    """HEAD and its ancestors are contained, and its descendants are newer. A diverged commit is unknown, and a commit
    that is not in this repository is missing."""
    # the commits one, two (checked out) and three on main, and a branch from one
    one, two, three = (commit(repository, message) for message in ("one", "two", "three"))
    git(repository, "checkout", "-q", "-b", "side", one)
    side = commit(repository, "side")
    git(repository, "checkout", "-q", "--detach", two)
    # all are queried, with missing commits and words that are not commits
    strange = ["0" * 40, "--all", "HEAD", "", one[:8]]
    checkout = read_checkout(repository, [one, two, three, side, *strange])
    # then
    assert two == checkout.commit
    expected = {one: Ancestry.CONTAINED, two: Ancestry.CONTAINED, three: Ancestry.NEWER, side: Ancestry.UNKNOWN}
    assert {**expected, **dict.fromkeys(strange, Ancestry.MISSING)} == checkout.ancestry


def test_merged_branches_are_contained(repository):
    """The commits of a merged branch are contained, and a later merge of HEAD is newer."""
    base = commit(repository, "base")
    git(repository, "checkout", "-q", "-b", "side")
    side = commit(repository, "side")
    git(repository, "checkout", "-q", "main")
    main = commit(repository, "main")
    git(repository, "merge", "-q", "--no-ff", "-m", "merge", "side")
    merge = git(repository, "rev-parse", "HEAD")
    expected = dict.fromkeys([base, side, main, merge], Ancestry.CONTAINED)
    assert expected == read_checkout(repository, expected).ancestry
    git(repository, "checkout", "-q", "--detach", main)
    expected = {merge: Ancestry.NEWER, side: Ancestry.UNKNOWN, base: Ancestry.CONTAINED}
    assert expected == read_checkout(repository, expected).ancestry


def test_a_shallow_clone_does_not_guess(repository, tmp_path):
    """In a shallow clone, commits beyond the boundary are missing."""
    one, two = commit(repository, "one"), commit(repository, "two")
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{repository}", "clone")
    checkout = read_checkout(tmp_path / "clone", [one, two])
    assert {one: Ancestry.MISSING, two: Ancestry.CONTAINED} == checkout.ancestry


def test_git_variables_do_not_select_another_repository(repository, tmp_path, monkeypatch):
    """GIT_DIR and similar variables of a hook do not select another repository."""
    one = commit(repository, "one")
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    assert one == read_checkout(repository, []).commit


def test_a_repository_that_git_refuses_is_an_error(repository):
    """A repository that git refuses to read stops the command."""
    commit(repository, "one")
    (repository / ".git" / "config").write_text("[core\n")
    with pytest.raises(ReconcilerError, match="git cannot read the checkout"):
        read_checkout(repository, [])


def test_a_history_that_git_cannot_list_is_an_error(repository):
    """A damaged history is an error and is never treated as an unknown ancestry."""
    one, two, three = (commit(repository, message) for message in ("one", "two", "three"))
    git(repository, "checkout", "-q", "--detach", one)
    (repository / ".git" / "objects" / two[:2] / two[2:]).unlink()
    with pytest.raises(ReconcilerError, match="git cannot list the history"):
        read_checkout(repository, [three])


def test_the_actor(repository, tmp_path, monkeypatch):
    """The actor is GitHub's actor; without one, it is git's user or the local account."""
    git(repository, "config", "user.email", "ops@example.org")
    assert "octo" == actor({"GITHUB_ACTOR": "octo"}, repository)
    assert "hand" == actor({"GITHUB_ACTOR": "octo", "GITHUB_TRIGGERING_ACTOR": "hand"}, repository)
    assert "ops@example.org" == actor({"GITHUB_ACTOR": ""}, repository)
    monkeypatch.setenv("PATH", "")
    assert "ann@example.org" == actor({"GIT_AUTHOR_EMAIL": "ann@example.org"}, repository)
    assert "ops" == actor({"USER": "ops"}, tmp_path)
    assert "ann@example.org" == actor({"EMAIL": "ann@example.org", "USER": "ops"}, tmp_path)
    assert "unknown" == actor({}, tmp_path)


PROGRAMS = {
    "core.fsmonitor": "{program}",
    "core.hooksPath": "{hooks}",
    "core.sshCommand": "{program}",
    "core.gitProxy": "{program}",
    "core.askPass": "{program}",
    "core.pager": "{program}",
    "core.editor": "{program}",
    "core.alternateRefsCommand": "{program}",
    "core.attributesFile": "{program}",
    "filter.x.clean": "{program}",
    "filter.x.smudge": "{program}",
    "filter.x.process": "{program}",
    "diff.external": "{program}",
    "diff.x.command": "{program}",
    "diff.x.textconv": "{program}",
    "merge.x.driver": "{program}",
    "gpg.program": "{program}",
    "gpg.ssh.program": "{program}",
    "credential.helper": "!{program}",
    "credential.https://example.org.helper": "!{program}",
    "remote.origin.uploadpack": "{program}",
    "remote.origin.vcs": "x",
    "protocol.ext.allow": "always",
    "pager.status": "{program}",
    "alias.status": "!{program}",
    "sequence.editor": "{program}",
    "uploadpack.packObjectsHook": "{program}",
    "submodule.x.update": "!{program}",
    "gc.recentObjectsHook": "{program}",
    "interactive.diffFilter": "{program}",
}
"""Settings of git 2.39 to 2.52, from git-config(1), that contain a program or make git run one."""


@pytest.fixture
def program(tmp_path):
    """Creates a program that writes a file when it runs, and installs it as every hook."""
    program, hooks = tmp_path / "program", tmp_path / "hooks"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran-$(basename $0)\ncat\n")
    program.chmod(0o755)
    hooks.mkdir()
    for hook in ("post-index-change", "reference-transaction", "post-merge", "post-checkout", "pre-auto-gc"):
        (hooks / hook).symlink_to(program)
    return program


def configure(folder: Path, key: str, program: Path) -> None:
    """Sets one of `PROGRAMS`."""
    git(folder, "config", key, PROGRAMS[key].format(program=program, hooks=program.parent / "hooks"))


def with_spec(folder: Path) -> str:
    """Commits a spec to which git attributes apply a filter, and returns the commit. Afterwards, git must read the
    spec's content again."""
    (folder / ".gitattributes").write_text("*.yaml filter=x diff=x merge=x\n")
    (folder / "a.yaml").write_text("x")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "a spec")
    os.utime(folder / "a.yaml", (1, 1))
    return git(folder, "rev-parse", "HEAD")


def test_reading_runs_no_program_of_any_setting(repository, program, tmp_path):
    """Reading the checkout runs no program from any setting, and the result is the same as without the setting."""
    one = with_spec(repository)
    for key in PROGRAMS:
        configure(repository, key, program)
    checkout = read_checkout(repository, [one, "0" * 40])
    assert (one, False) == (checkout.commit, checkout.uncommitted)
    assert [] == sorted(tmp_path.glob("ran-*"))


def test_a_pull_runs_no_program_of_any_setting(repository, program, tmp_path):
    """A pull refuses settings with a program that it would run, and lists these settings. It runs no program from other
    settings either."""
    with_spec(repository)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(repository), str(clone))
    (repository / "a.yaml").write_text("y")
    git(repository, "commit", "-q", "-a", "-m", "newer")
    newer = git(repository, "rev-parse", "HEAD")
    for key in PROGRAMS:
        configure(clone, key, program)
    with pytest.raises(ReconcilerError, match="runs no program that the repository") as refused:
        pull(clone)
    refusals = [key for key in PROGRAMS if key.lower() in str(refused.value).lower()]
    assert {"core.sshCommand", "credential.helper", "remote.origin.uploadpack", "filter.x.smudge"} <= set(refusals)
    for key in refusals:
        git(clone, "config", "--unset", key)
    assert newer == pull(clone)
    assert [] == sorted(tmp_path.glob("ran-*"))


def test_filters_do_run_in_git_itself(repository, program, tmp_path):
    """Shows that the tests above can fail: plain `git status` runs the filter that git attributes select."""
    with_spec(repository)
    configure(repository, "filter.x.clean", program)
    git(repository, "status")
    assert [] != sorted(tmp_path.glob("ran-*"))


def test_a_folder_laid_out_as_a_bare_repository_brings_no_settings(repository, program, tmp_path):
    """A project folder that looks like a bare repository is read as a part of the repository around it."""
    one = with_spec(repository)
    jobs = repository / "jobs"
    git(repository, "init", "-q", "--bare", str(jobs))
    git(jobs, "config", "core.bare", "false")
    git(jobs, "config", "core.worktree", str(jobs))
    for key in PROGRAMS:
        configure(jobs, key, program)
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "a trap")
    two = git(repository, "rev-parse", "HEAD")
    checkout = read_checkout(jobs, [one])
    assert (two, {one: Ancestry.CONTAINED}) == (checkout.commit, checkout.ancestry)
    assert [] == sorted(tmp_path.glob("ran-*"))
    (jobs / "b.yaml").write_text("x")
    assert read_checkout(jobs, []).uncommitted


def test_a_bare_layout_outside_any_repository_is_a_plain_folder(program, tmp_path):
    """If no parent folder is a repository, there is no commit, and no program from the folder's settings runs."""
    git(tmp_path, "init", "-q", "--bare", "jobs")
    configure(tmp_path / "jobs", "core.fsmonitor", program)
    assert Checkout() == read_checkout(tmp_path / "jobs", [])
    assert [] == sorted(tmp_path.glob("ran-*"))


def test_the_lock_of_a_killed_merge_of_ours_is_removed(repository, tmp_path):
    """A pull after a killed merge succeeds. The lock of another git process is not removed and causes an error."""
    with_spec(repository)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(repository), str(clone))
    lock = clone / ".git" / "index.lock"
    newer = commit(repository, "newer")
    lock.touch()
    with pytest.raises(ReconcilerError, match=r"index\.lock"):
        pull(clone)
    (clone / ".git" / "reconciler-pull.lock").write_text(repr(lock.stat().st_mtime - 0.5))  # killed in the merge
    assert newer == pull(clone)
    assert not lock.exists()


def test_two_pulls_at_once(repository, tmp_path):
    """While one pull is merging, another pull is an error."""
    commit(repository, "one")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(repository), str(clone))
    with (clone / ".git" / "reconciler-pull.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(ReconcilerError, match="another pull"):
            pull(clone)


def test_names_in_any_encoding(repository):
    """File names and user names that are not UTF-8 cause no error."""
    commit(repository, "one")
    git(repository, "config", "core.quotePath", "false")
    try:
        (repository / os.fsdecode(b"caf\xe9.yaml")).write_text("x")
    except OSError:
        pytest.skip("this file system has no such names")
    with (repository / ".git" / "config").open("ab") as config:
        config.write(b"[user]\n\temail = caf\xe9@example.org\n")
    assert read_checkout(repository, []).uncommitted
    assert "caf\\xe9@example.org" == actor({}, repository)


@pytest.mark.parametrize("damage", ["a worktree that was pruned", "no HEAD"])
def test_a_damaged_repository_is_an_error(repository, damage):
    """A repository that git no longer accepts is an error, and is not treated as a folder outside git."""
    commit(repository, "one")
    if damage == "no HEAD":
        (repository / ".git" / "HEAD").unlink()
    else:
        (repository / ".git").rename(repository / "moved")
        (repository / ".git").write_text("gitdir: /nowhere/at/all\n")
    (repository / "jobs").mkdir()
    for folder in (repository, repository / "jobs"):
        with pytest.raises(ReconcilerError, match=r"does not accept .* as a repository"):
            read_checkout(folder, [])


def test_git_has_a_timeout(repository, tmp_path, monkeypatch):
    """A git process that hangs is terminated, and an error is raised."""
    commit(repository, "one")
    (tmp_path / "git").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(ReconcilerError, match="did not answer within"):
        run_git(repository, "status", timeout=0.2)


def test_git_never_prompts(repository):
    """git never prompts for a password, neither on a terminal nor through a program."""
    git(repository, "config", "core.askPass", "/bin/echo")
    asked = run_git(repository, "credential", "fill", stdin="protocol=https\nhost=example.org\n\n")
    assert 0 != asked.returncode
    assert "terminal prompts disabled" in asked.stderr


@pytest.mark.parametrize("reference", ["refs/heads/-x", "refs/heads/\u202ename", "refs/tags/HEAD", "refs/heads/HEAD"])
def test_reference_names_do_not_matter(repository, reference):
    """A branch or tag with an unusual name does not change what is read."""
    one, two = commit(repository, "one"), commit(repository, "two")
    git(repository, "update-ref", reference, one)
    checkout = read_checkout(repository, [one, two])
    assert (two, {one: Ancestry.CONTAINED, two: Ancestry.CONTAINED}) == (checkout.commit, checkout.ancestry)


def test_replacements_of_commits_do_not_matter(repository):
    """A replacement that hides a part of the history does not make the checkout look unrelated to it."""
    one, two = commit(repository, "one"), commit(repository, "two")
    git(repository, "replace", "--graft", two)
    assert read_checkout(repository, [one]).ancestry == {one: Ancestry.CONTAINED}


def test_reading_does_not_write_the_index(repository):
    """After a file was touched, git would refresh its index, which another pass would take for a checkout that
    moves."""
    spec = repository / "a.yaml"
    spec.write_text("a")
    git(repository, "add", "a.yaml")
    commit(repository, "one")
    os.utime(spec, (1, 1))
    before = index_state(repository)

    assert not read_checkout(repository, []).uncommitted
    assert index_state(repository) == before
