"""Pulls the checkout: fetches and fast-forwards, without running any program that is configured in the repository's
settings.
"""

import fcntl
import os
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from reconciler.errors import ReconcilerError
from reconciler.specs.git import git_settings, run_git
from reconciler.values import regex

PULL_TIMEOUT_SECONDS = 120
PROTOCOLS = "file:git:http:https:ssh"  # excludes `ext` and any helper from `remote.*.vcs`
# The operator's own settings, which git takes from the environment.
OPERATORS_VARIABLES = ("GIT_SSH_COMMAND", "GIT_SSH", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM")

PROGRAM = regex(
    r"core\.(?:sshcommand|gitproxy|alternaterefscommand)|remote\..*\.(?:uploadpack|vcs)|credential\.(?:.*\.)?helper"
    r"|filter\..*\.(?:clean|smudge|process)|merge\..*\.driver|gpg\.(?:.*\.)?program|gc\.recentobjectshook",
    re.DOTALL | re.IGNORECASE,
)
"""Settings from git-config(1) that contain a program which a pull would run, in git 2.39 to 2.52. Hooks, the file
watcher and askPass are missing here because they are switched off."""


def pull(root: Path) -> str:
    """Fetches the upstream branch of the checkout in `root`, fast-forwards to it, and returns its commit.

    Runs no program that is configured in the repository's own settings. Raises `ReconcilerError`, and leaves the
    checkout unchanged, if the settings configure a program, if there is no upstream, if the remote does not respond, or
    if the remote's history does not contain HEAD.
    """
    programs = sorted({name for scope, name in _pull_settings(root) if scope in {"local", "worktree"}})
    if programs:
        raise ReconcilerError(
            f"--git-pull runs no program that the repository in {root} names: {', '.join(programs)}. Remove it there "
            "with `git config --unset`, and set it in your own ~/.gitconfig, or GIT_SSH_COMMAND in the environment"
        )
    upstream = _output(root, "rev-parse", "--abbrev-ref", "--symbolic-full-name", "@{upstream}")
    _output(root, "fetch", "--quiet", "--no-recurse-submodules", "--", upstream.partition("/")[0])
    if run_git(root, "merge-base", "--is-ancestor", "HEAD", "@{upstream}").returncode == 1:
        raise ReconcilerError(
            f"the history of {upstream} does not contain HEAD in {root}: it was rewritten, or there are commits here "
            f"that were not pushed. Look at `git -C {root} log --oneline HEAD...@{{upstream}}`; to take the new "
            f"history, run `git -C {root} reset --hard @{{upstream}}`"
        )
    _merge(root)
    return _output(root, "rev-parse", "--verify", "HEAD^{commit}")


def _pull_settings(root: Path) -> Iterator[tuple[str, str]]:
    try:
        settings = git_settings(root)
    except FileNotFoundError:
        raise ReconcilerError("--git-pull needs git, which is not installed") from None
    return ((scope, name) for scope, name in settings if PROGRAM.fullmatch(name))


def _merge(root: Path) -> None:
    """Fast-forwards to the upstream branch. Raises `ReconcilerError` if another pull is running.

    A merge that was killed leaves git's `index.lock` behind, which blocks every later merge. Our own lock file shows
    whether reconciler left that `index.lock`: it contains the start time of a merge that did not finish.
    """
    folder = Path(_output(root, "rev-parse", "--absolute-git-dir"))
    # Opened without truncating it, because another pull may hold it, and its content is needed below.
    with (folder / "reconciler-pull.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ReconcilerError(f"another pull in {root} is in progress") from None
        file.seek(0)
        _remove_stale_lock(folder / "index.lock", file.read())
        file.truncate(0)
        file.write(repr(time.time()))
        file.flush()
        # git inherits our lock, so that the lock is free only after the merge, even if this process is killed.
        _output(root, "merge", "--quiet", "--ff-only", "@{upstream}", inherited=[file.fileno()])
        file.truncate(0)


def _remove_stale_lock(lock: Path, began: str) -> None:
    """Removes the `index.lock` of our own merge that started at `began` and did not finish. Does not remove locks of
    other processes."""
    try:
        age = lock.stat().st_mtime - float(began)
    except (FileNotFoundError, ValueError):
        return
    # Files get the time of the last clock tick, which may be slightly before `began`.
    if -1 <= age <= PULL_TIMEOUT_SECONDS:
        lock.unlink(missing_ok=True)


def _remotes_allowed() -> dict[str, str]:
    """Returns environment variables with the allowed remotes, including the operator's own settings from the
    environment."""
    chosen = {name: os.environ[name] for name in OPERATORS_VARIABLES if name in os.environ}
    return {"GIT_ALLOW_PROTOCOL": PROTOCOLS} | chosen


def _output(root: Path, *arguments: str, inherited: Sequence[int] = ()) -> str:
    """Returns the output of git in a pull. Raises `ReconcilerError` with git's own message if it fails."""
    try:
        done = run_git(
            root, *arguments, timeout=PULL_TIMEOUT_SECONDS, variables=_remotes_allowed(), inherited=inherited
        )
    except FileNotFoundError:
        raise ReconcilerError("--git-pull needs git, which is not installed") from None
    if done.returncode:
        message = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise ReconcilerError(f"git {arguments[0]} in {root}: {message}")
    return done.stdout.strip()
