"""Asks git about the checkout: commit, ancestry, uncommitted changes; pulls."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from reconciler.core.desired import Ancestry, Checkout
from reconciler.errors import ReconcilerError

TIMEOUT_SECONDS = 30
NOT_A_REPOSITORY = "not a git repository"

NO_PROGRAMS = (
    "-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}", "-c", "core.askPass=",
    "-c", "protocol.ext.allow=never",
)  # fmt: skip

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


def read_checkout(root: Path, commits: Iterable[str]) -> Checkout:
    """The commit checked out in `root`, and for each of `commits` whether it is older, newer or unknown.

    Outside git and before the first commit there is no commit, and so no check. Only what git
    shows counts: in a shallow clone a commit that cannot be reached is unknown, never newer or older by guess. Raises
    `ReconcilerError` where there is a repository and git refuses to read it, or is not installed: then a check is due
    and cannot be made.
    """
    try:
        head = run_git(root, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    except FileNotFoundError:
        if _repository(root) is not None:
            raise ReconcilerError(
                f"{root} is in a git repository, and there is no git program to read it: whether this checkout is "
                "older than what ran cannot be known. Install git, or work on a copy without .git"
            ) from None
        return Checkout()
    if head.returncode == 128 and NOT_A_REPOSITORY in head.stderr:
        if (found := _repository(root)) is None:
            return Checkout()
        raise ReconcilerError(
            f"{found} is there and git does not take it for a repository: {head.stderr.strip()}. Whether this checkout "
            "is older than what ran cannot be known. Repair it, or work on a copy without .git"
        )
    if head.returncode not in {0, 1}:
        raise ReconcilerError(f"git cannot read the checkout in {root}: {head.stderr.strip()}")
    commit = head.stdout.strip()
    if not commit:
        return Checkout()
    return Checkout(commit, _ancestry(root, commit, set(commits)), uncommitted=_uncommitted(root))


def _repository(root: Path) -> Path | None:
    """The ``.git`` that a folder is under, whole or not: a file that names a repository, or a folder with content."""
    for folder in (root.resolve(), *root.resolve().parents):
        git = folder / ".git"
        if git.is_file() or (git.is_dir() and any(git.iterdir())):
            return git
    return None


def _uncommitted(root: Path) -> bool:
    """Whether a file that may be a spec differs from the commit, or is not in it."""
    answer = run_git(root, "status", "--porcelain", "--", *(f"*.{ending}" for ending in ("yaml", "yml", "json")))
    return bool(answer.stdout.strip())


def _ancestry(root: Path, head: str, commits: set[str]) -> dict[str, Ancestry]:
    """Three processes, however many commits are asked about."""
    ancestry = dict.fromkeys(sorted(commits), Ancestry.UNKNOWN)
    present = _present(root, sorted(commit for commit in commits if _COMMIT.fullmatch(commit)))
    if not present:
        return ancestry
    # Commits that can be reached from the asked ones and not from HEAD: an asked one that is not among them is HEAD's.
    outside = _listed(root, present, f"^{head}")
    contained = present - outside
    newer = _listed(root, outside & present, f"^{head}", "--ancestry-path") & present if outside else set()
    ancestry |= dict.fromkeys(contained, Ancestry.CONTAINED)
    ancestry |= dict.fromkeys(newer, Ancestry.NEWER)
    return ancestry


def _present(root: Path, commits: list[str]) -> set[str]:
    """Those of the commits that this repository holds."""
    if not commits:
        return set()
    answer = run_git(root, "cat-file", "--batch-check", given="\n".join(commits) + "\n")
    lines = [line.split() for line in answer.stdout.splitlines()]
    return {words[0] for words in lines if len(words) == 3 and words[1] == "commit"}


def _listed(root: Path, commits: set[str], boundary: str, *options: str) -> set[str]:
    if not commits:
        return set()
    answer = run_git(root, "rev-list", *options, "--stdin", given="\n".join([*sorted(commits), boundary]) + "\n")
    if answer.returncode != 0:
        raise ReconcilerError(f"git cannot list the history in {root}: {answer.stderr.strip()}")
    return set(answer.stdout.split())


def actor(environ: Mapping[str, str], root: Path | None = None) -> str:
    """Who does this, for the record: the person GitHub runs a workflow for, else git's user, else the account here."""
    for name in ("GITHUB_ACTOR",):
        if environ.get(name):
            return environ[name]
    try:
        email = run_git(root or Path(), "config", "--get", "user.email").stdout.strip()
    except (FileNotFoundError, ReconcilerError):
        email = ""
    return email or next((environ[name] for name in ("LOGNAME", "USER", "USERNAME") if environ.get(name)), "unknown")


def run_git(
    root: Path, *arguments: str, given: str = "", timeout: float = TIMEOUT_SECONDS
) -> subprocess.CompletedProcess[str]:
    """Runs git in a folder. Raises `FileNotFoundError` without git, `ReconcilerError` where it does not come back."""
    # Variables such as GIT_DIR, which hooks set, would make git speak of another repository than the one asked about;
    # and a checkout's own settings name programs for git to run: hooks, a file watcher, transports. None is run here.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1"}
    environment |= {"GIT_ASKPASS": "", "GCM_INTERACTIVE": "never"}
    command = ["git", "--no-replace-objects", "--no-pager", *NO_PROGRAMS, "-C", str(root), *arguments]
    try:
        done = subprocess.run(
            command,
            input=given.encode(errors="replace"),
            capture_output=True,
            env=environment,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ReconcilerError(f"git {arguments[0]} in {root} did not answer within {timeout} s") from None
    # Names of files and people are bytes to git, in whatever encoding they were written.
    told = (stream.decode(errors="backslashreplace") for stream in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(done.args, done.returncode, *told)


PULL_TIMEOUT_SECONDS = 120


def pull(root: Path) -> str:
    """Fetches the upstream branch of the checkout in `root`, fast-forwards to it, and returns the commit it is at.

    Raises `ReconcilerError` where there is no upstream, the remote does not answer, or the checkout has moved apart
    from it: what is checked out stays as it was.
    """
    upstream = _said(root, "rev-parse", "--abbrev-ref", "--symbolic-full-name", "@{upstream}")
    _said(root, "fetch", "--quiet", "--", upstream.partition("/")[0])
    _said(root, "merge", "--quiet", "--ff-only", "@{upstream}")
    return _said(root, "rev-parse", "--verify", "HEAD^{commit}")


def _said(root: Path, *arguments: str) -> str:
    """What git answers. Raises `ReconcilerError` with its words where it refuses."""
    try:
        done = run_git(root, *arguments, timeout=PULL_TIMEOUT_SECONDS)
    except FileNotFoundError:
        raise ReconcilerError("--git-pull needs git, and there is no git program") from None
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise ReconcilerError(f"git {arguments[0]} in {root}: {said}")
    return done.stdout.strip()
