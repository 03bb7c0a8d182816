"""Asks git about the checkout: its commit, the ancestry of other commits, uncommitted changes; pulls."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from reconciler.core.desired import Ancestry, Checkout
from reconciler.errors import ReconcilerError

TIMEOUT_SECONDS = 30
PULL_TIMEOUT_SECONDS = 120
NOT_A_REPOSITORY = "not a git repository"
SPEC_FILES = ("*.yaml", "*.yml", "*.json")

# A checkout's own settings can name programs for git to run: hooks, a file watcher, transports. None of them may run.
NO_PROGRAMS = (
    "-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}", "-c", "core.askPass=",
    "-c", "protocol.ext.allow=never",
)  # fmt: skip
ENVIRONMENT = {
    "LC_ALL": "C",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ASKPASS": "",
    "GCM_INTERACTIVE": "never",
}

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


def read_checkout(root: Path, commits: Iterable[str]) -> Checkout:
    """The commit checked out in `root`, and for each of `commits` whether it is older, newer or unknown.

    Outside git and before the first commit there is no commit, and so no check. Only what git shows counts: in a
    shallow clone a commit that cannot be reached is unknown. Raises `ReconcilerError` if there is a repository but git
    is not installed or refuses to read it, because then the check is necessary but impossible.
    """
    try:
        head = run_git(root, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    except FileNotFoundError:
        if _repository(root) is None:
            return Checkout()
        raise ReconcilerError(
            f"cannot check whether this checkout is older than what ran: {root} is in a git repository, but git is not "
            "installed. Install git, or work on a copy without .git"
        ) from None
    if head.returncode == 128 and NOT_A_REPOSITORY in head.stderr:
        if (repository := _repository(root)) is None:
            return Checkout()
        raise ReconcilerError(
            f"cannot check whether this checkout is older than what ran: git does not accept {repository} as a "
            f"repository ({head.stderr.strip()}). Repair it, or work on a copy without .git"
        )
    if head.returncode not in {0, 1}:
        raise ReconcilerError(f"git cannot read the checkout in {root}: {head.stderr.strip()}")
    commit = head.stdout.strip()
    if not commit:
        return Checkout()
    ancestry = _ancestry(root, commit, set(commits))
    shallow = Ancestry.UNKNOWN in ancestry.values() and _is_shallow(root)
    return Checkout(commit, ancestry, uncommitted=_uncommitted(root), shallow=shallow)


def _is_shallow(root: Path) -> bool:
    """Whether the clone lacks a part of the history."""
    return run_git(root, "rev-parse", "--is-shallow-repository").stdout.strip() == "true"


def _repository(root: Path) -> Path | None:
    """The ``.git`` above a folder, intact or not: a file that names a repository, or a folder with content."""
    for folder in (root.resolve(), *root.resolve().parents):
        git = folder / ".git"
        if git.is_file() or (git.is_dir() and any(git.iterdir())):
            return git
    return None


def _uncommitted(root: Path) -> bool:
    """Whether a file that may be a spec differs from the commit, or is not in it."""
    return bool(run_git(root, "status", "--porcelain", "--", *SPEC_FILES).stdout.strip())


def _ancestry(root: Path, head: str, commits: set[str]) -> dict[str, Ancestry]:
    """How each commit relates to HEAD; takes three processes for any number of commits."""
    ancestry = dict.fromkeys(sorted(commits), Ancestry.UNKNOWN)
    present = _present(root, sorted(commit for commit in commits if _COMMIT.fullmatch(commit)))
    if not present:
        return ancestry
    # What can be reached from the given commits but not from HEAD: a given commit that is not in it, HEAD contains.
    outside = _listed(root, present, f"^{head}")
    newer = _listed(root, outside & present, f"^{head}", "--ancestry-path") & present if outside else set()
    ancestry |= dict.fromkeys(present - outside, Ancestry.CONTAINED)
    ancestry |= dict.fromkeys(newer, Ancestry.NEWER)
    return ancestry


def _present(root: Path, commits: list[str]) -> set[str]:
    """The commits that this repository has."""
    if not commits:
        return set()
    answer = run_git(root, "cat-file", "--batch-check", stdin="\n".join(commits) + "\n")
    lines = [line.split() for line in answer.stdout.splitlines()]
    return {words[0] for words in lines if len(words) == 3 and words[1] == "commit"}


def _listed(root: Path, commits: set[str], boundary: str, *options: str) -> set[str]:
    if not commits:
        return set()
    answer = run_git(root, "rev-list", *options, "--stdin", stdin="\n".join([*sorted(commits), boundary]) + "\n")
    if answer.returncode != 0:
        raise ReconcilerError(f"git cannot list the history in {root}: {answer.stderr.strip()}")
    return set(answer.stdout.split())


def actor(environ: Mapping[str, str], root: Path | None = None) -> str:
    """Who runs this, for the record: GitHub's actor in a workflow, else git's user, else the local account."""
    if environ.get("GITHUB_ACTOR"):
        return environ["GITHUB_ACTOR"]
    try:
        email = run_git(root or Path(), "config", "--get", "user.email").stdout.strip()
    except (FileNotFoundError, ReconcilerError):
        email = ""
    return email or next((environ[name] for name in ("LOGNAME", "USER", "USERNAME") if environ.get(name)), "unknown")


def pull(root: Path) -> str:
    """Fetches the upstream branch of the checkout in `root`, fast-forwards to it, and returns its commit.

    Raises `ReconcilerError` if there is no upstream, the remote does not answer, or the branches have diverged: then
    the checkout stays as it was.
    """
    upstream = _output(root, "rev-parse", "--abbrev-ref", "--symbolic-full-name", "@{upstream}")
    _output(root, "fetch", "--quiet", "--", upstream.partition("/")[0])
    _output(root, "merge", "--quiet", "--ff-only", "@{upstream}")
    return _output(root, "rev-parse", "--verify", "HEAD^{commit}")


def _output(root: Path, *arguments: str) -> str:
    """The output of git. Raises `ReconcilerError` with git's own message if it fails."""
    try:
        done = run_git(root, *arguments, timeout=PULL_TIMEOUT_SECONDS)
    except FileNotFoundError:
        raise ReconcilerError("--git-pull needs git, which is not installed") from None
    if done.returncode:
        message = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise ReconcilerError(f"git {arguments[0]} in {root}: {message}")
    return done.stdout.strip()


def run_git(
    root: Path, *arguments: str, stdin: str = "", timeout: float = TIMEOUT_SECONDS
) -> subprocess.CompletedProcess[str]:
    """Runs git in a folder. Raises `FileNotFoundError` without git, `ReconcilerError` after the timeout."""
    # Variables such as GIT_DIR, which hooks set, would make git work on another repository than `root`.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")} | ENVIRONMENT
    command = ["git", "--no-replace-objects", "--no-pager", *NO_PROGRAMS, "-C", str(root), *arguments]
    try:
        done = subprocess.run(
            command,
            input=stdin.encode(errors="replace"),
            capture_output=True,
            env=environment,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ReconcilerError(f"git {arguments[0]} in {root} did not answer within {timeout} s") from None
    # To git, names of files and people are bytes in any encoding.
    output = (stream.decode(errors="backslashreplace") for stream in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(done.args, done.returncode, *output)
