"""Runs git to read the checkout, its history, and the files of a commit."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from reconciler.core.checkout import Ancestry, Checkout
from reconciler.errors import ReconcilerError, UsageError
from reconciler.values import regex

TIMEOUT_SECONDS = 30
NOT_A_REPOSITORY = "not a git repository"
SPEC_FILES = ("*.yaml", "*.yml", "*.json")

# A checkout's own settings can make git run programs: hooks, a file watcher, filters. None of them may run. A
# folder with the layout of a bare repository, which anyone can commit, must not add settings either.
NO_PROGRAMS = (
    "-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}", "-c", "core.askPass=",
    "-c", "safe.bareRepository=explicit",
)  # fmt: skip
ENVIRONMENT = {
    "GIT_ALLOW_PROTOCOL": "none",  # a partial clone must not fetch missing objects
    "LC_ALL": "C",  # messages are compared in English
    "GIT_OPTIONAL_LOCKS": "0",  # `git status` would write the index, which `index_state` would report as a change
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ASKPASS": "",
    "GCM_INTERACTIVE": "never",
}

FILTER = regex(r"filter\.(.*)\.(?:clean|smudge|process)", re.DOTALL | re.IGNORECASE)
_COMMIT = regex(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


def read_checkout(root: Path, commits: Iterable[str]) -> Checkout:
    """Returns the commit checked out in `root`, and for each of `commits` how it relates to that one.

    If no commit is checked out, nothing is compared. Only the history in this clone is used, so a commit that a shallow
    clone cannot reach is unknown or missing. Raises the errors of `read_head`.
    """
    commit, uncommitted = checked_out(root)
    if commit is None:
        return Checkout(unborn=_repository(root) is not None)
    ancestry = _ancestry(root, commit, set(commits))
    # Only a missing commit can be due to a shallow clone, and each call starts a process.
    shallow = bool({Ancestry.UNKNOWN, Ancestry.MISSING} & set(ancestry.values())) and _is_shallow(root)
    return Checkout(commit, ancestry, uncommitted=uncommitted, shallow=shallow)


def checked_out(root: Path) -> tuple[str | None, bool]:
    """Returns the commit checked out in `root`, or `None`, and whether the project has uncommitted changes. Raises the
    errors of `read_head`.

    The stored output of a plan is compared with this, so importing this module must not import the models.
    """
    commit = read_head(root)
    return commit, commit is not None and _uncommitted(root)


def checkout_at(root: Path, commit: str, commits: Iterable[str]) -> Checkout:
    """Returns what `read_checkout` would return if `commit` were checked out in `root` without local changes."""
    return Checkout(commit, _ancestry(root, commit, set(commits)), shallow=_is_shallow(root))


def read_head(root: Path) -> str | None:
    """Returns the commit checked out in `root`, or `None` outside git and before the first commit.

    Raises `ReconcilerError` if there is a repository but git is not installed or refuses to read it, because then the
    age of the checkout cannot be checked.
    """
    if (repository := _repository(root)) is None:
        return None
    try:
        head = run_git(root, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    except FileNotFoundError:
        raise ReconcilerError(
            f"cannot check whether this checkout is older than what ran: {root} is in a git repository, but git is not "
            "installed. Install git, or work on a copy without .git"
        ) from None
    if head.returncode == 128 and NOT_A_REPOSITORY in head.stderr:
        raise ReconcilerError(
            f"cannot check whether this checkout is older than what ran: git does not accept {repository} as a "
            f"repository ({head.stderr.strip()}). Repair it, or work on a copy without .git"
        )
    if head.returncode == 1:  # there is no commit yet, or the commit is missing
        named = run_git(root, "rev-parse", "--verify", "--quiet", "HEAD").stdout.strip()
        if not named:
            return None
        raise ReconcilerError(f"git cannot read the checkout in {root}: its commit {named} is missing. Clone it again")
    if head.returncode != 0:
        raise ReconcilerError(f"git cannot read the checkout in {root}: {head.stderr.strip()}")
    return head.stdout.strip() or None


class IndexState(NamedTuple):
    """The version of git's index (its time and inode, or `None` without an index), and whether git has locked the
    index."""

    version: tuple[int, int] | None = None
    locked: bool = False


def index_state(root: Path) -> IndexState:
    """Returns the state of the index in `root`, without starting a git process. If the state and the commit are the
    same before and after files are read, the files belong to the commit."""
    repository = _repository(root)
    if repository is None:
        return IndexState()
    folder = _git_folder(repository)
    try:
        index = (folder / "index").stat()
    except OSError:
        return IndexState()
    # git locks the index while it writes the files of another commit, and replaces the index at the end.
    return IndexState((index.st_mtime_ns, index.st_ino), (folder / "index.lock").exists())


def _git_folder(repository: Path) -> Path:
    """Returns the folder of a ``.git``: itself, or the folder whose path the file of a worktree or submodule
    contains."""
    if not repository.is_file():
        return repository
    return repository.parent / repository.read_text(errors="replace").partition(":")[2].strip()


def not_checked_out(root: Path) -> list[str]:
    """Returns the files (relative to `root`) that may be specs and that a sparse checkout leaves out."""
    repository = _repository(root)
    if repository is None or not (_git_folder(repository) / "info" / "sparse-checkout").exists():
        return []
    listed = run_git(root, "ls-files", "-t", "-z", "--", *_spec_files(root)).stdout.split("\0")
    project = "".join(f"{part}/" for part in inside(root))
    paths = [entry[2:].removeprefix(project) for entry in listed if entry.startswith("S ")]
    return [path for path in paths if not os.path.lexists(root / path)]


def remote(root: Path) -> str | None:
    """Returns the address of the remote ``origin``, or `None` if there is no such remote."""
    if _repository(root) is None:
        return None
    return run_git(root, "config", "--get", "remote.origin.url").stdout.strip() or None


def _is_shallow(root: Path) -> bool:
    """Returns whether a part of the history is missing from the clone."""
    return run_git(root, "rev-parse", "--is-shallow-repository").stdout.strip() == "true"


def _repository(root: Path) -> Path | None:
    """Returns the nearest ``.git`` at or above a folder, intact or not: a file that refers to a repository, or a folder
    that is not empty."""
    folder, above = os.path.realpath(root), ""
    while folder != above:  # cached as text instead of paths, because every command calls it several times
        git = os.path.join(folder, ".git")
        if os.path.isfile(git) or (os.path.isdir(git) and os.listdir(git)):
            return Path(git)
        folder, above = os.path.dirname(folder), folder
    return None


def _uncommitted(root: Path) -> bool:
    """Returns whether a file that may be a spec differs from the commit or is not in it. New plan files are ignored."""
    # Submodules have their own settings, and contain no specs of this project.
    options = ("--porcelain", "-z", "--ignore-submodules=all")
    status = run_git(root, "status", *options, "--", *_spec_files(root), variables=_no_filters(root))
    top = top_folder(root)
    entries = status.stdout.split("\0")
    return any(entry and not (entry.startswith("?? ") and _is_plan_file(top / entry[3:])) for entry in entries)


def _is_plan_file(path: Path) -> bool:
    from reconciler.specs.files import is_plan_file  # noqa: PLC0415 - imports the YAML parser and the models

    return is_plan_file(path)


def _spec_files(root: Path) -> list[str]:
    """Returns patterns for the files in a project folder that may be specs."""
    project = ":(top)" + "".join(f"{_escaped(part)}/" for part in inside(root))
    return [project + pattern for pattern in SPEC_FILES]


def untracked(root: Path, paths: Iterable[str]) -> list[str]:
    """Returns the spec files in `paths` (relative to `root`) that git does not track, whether or not a .gitignore
    excludes them. Symlinks are resolved first."""
    wanted = sorted(set(paths))
    if not wanted:
        return []
    top = top_folder(root)
    tracked = set(run_git(root, "ls-files", "-z", "--", *_spec_files(root)).stdout.split("\0"))
    return [path for path in wanted if os.path.relpath(os.path.realpath(root / path), top) not in tracked]


def _escaped(part: str) -> str:
    """Returns a pattern that matches only the folder named `part`."""
    return re.sub(r"([*?\[\\])", r"\\\1", part)


def top_folder(root: Path) -> Path:
    """Returns the top folder of the repository around `root`, or `root` itself outside git."""
    repository = _repository(root)
    return root.resolve() if repository is None else repository.parent


def inside(root: Path) -> tuple[str, ...]:
    """Returns the folders from the top of the repository down to `root`."""
    return root.resolve().relative_to(top_folder(root)).parts


def git_settings(root: Path) -> list[tuple[str, str]]:
    """Returns the scope and the name of every setting that git reads in `root`."""
    words = run_git(root, "config", "--list", "--null", "--show-scope", "--name-only").stdout.split("\0")
    return list(zip(words[::2], words[1::2], strict=False))


def _no_filters(root: Path) -> dict[str, str]:
    """Returns environment variables that switch off every content filter, because attributes in a checkout can select
    any configured filter."""
    matches = (FILTER.fullmatch(name) for _, name in git_settings(root))
    settings = [
        (f"filter.{match[1]}.{key}", value)
        for match in matches
        if match is not None
        for key, value in (("clean", ""), ("smudge", ""), ("process", ""), ("required", "false"))
    ]
    variables = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (name, value) in enumerate(settings):
        variables |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return variables


def _ancestry(root: Path, head: str, commits: set[str]) -> dict[str, Ancestry]:
    """Returns how each commit relates to HEAD. Runs three git processes for any number of commits."""
    ancestry = dict.fromkeys(sorted(commits), Ancestry.MISSING)
    present = _present(root, sorted(commit for commit in commits if _COMMIT.fullmatch(commit)))
    if not present:
        return ancestry
    # These commits are reachable from the given commits but not from HEAD. HEAD contains every other given commit.
    outside = _listed(root, present, f"^{head}")
    newer = _listed(root, outside & present, f"^{head}", "--ancestry-path") & present if outside else set()
    ancestry |= dict.fromkeys(present, Ancestry.UNKNOWN)
    ancestry |= dict.fromkeys(present - outside, Ancestry.CONTAINED)
    ancestry |= dict.fromkeys(newer, Ancestry.NEWER)
    return ancestry


def _present(root: Path, commits: list[str]) -> set[str]:
    """Returns the commits that this repository has."""
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
    """Returns the user name to record: in a GitHub workflow the user who started or re-ran it, otherwise the author
    that git would use (from the environment, then from its configuration), otherwise the local account."""
    for name in ("GITHUB_TRIGGERING_ACTOR", "GITHUB_ACTOR", "GIT_AUTHOR_EMAIL"):
        if environ.get(name):
            return environ[name]
    try:
        email = run_git(root or Path(), "config", "--get", "user.email").stdout.strip()
    except (FileNotFoundError, ReconcilerError):
        email = ""
    return email or next(
        (environ[name] for name in ("EMAIL", "LOGNAME", "USER", "USERNAME") if environ.get(name)), "unknown"
    )


def run_git(
    root: Path,
    *arguments: str,
    stdin: str = "",
    timeout: float = TIMEOUT_SECONDS,
    variables: Mapping[str, str] | None = None,
    inherited: Sequence[int] = (),
) -> subprocess.CompletedProcess[str]:
    """Runs git on the repository that contains a folder. git gets the additional environment `variables` and inherits
    the open files `inherited`.

    Raises `FileNotFoundError` if git is not installed, and `ReconcilerError` after the timeout.
    """
    content = stdin.encode(errors="replace")
    done = run(root, arguments, content, timeout=timeout, variables=variables, inherited=inherited)
    # In git, names of files and people are bytes in any encoding.
    output = (stream.decode(errors="backslashreplace") for stream in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(done.args, done.returncode, *output)


def run(
    root: Path,
    arguments: Sequence[str],
    stdin: bytes,
    *,
    timeout: float = TIMEOUT_SECONDS,
    variables: Mapping[str, str] | None = None,
    inherited: Sequence[int] = (),
) -> subprocess.CompletedProcess[bytes]:
    """Runs git as `run_git` does, with bytes instead of text."""
    # Variables such as GIT_DIR, which hooks set, would make git use another repository than the one that contains
    # `root`.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")} | ENVIRONMENT
    # git starts in the top folder, so that a folder below cannot pretend to be a separate repository.
    # Replacements (refs/replace) would give the commit other parents or other files than those that were reviewed.
    command = ["git", "--no-replace-objects", "--no-pager", *NO_PROGRAMS, "-C", str(top_folder(root)), *arguments]
    try:
        return subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            env=environment | dict(variables or {}),
            timeout=timeout,
            check=False,
            pass_fds=tuple(inherited),
        )
    except subprocess.TimeoutExpired:
        raise ReconcilerError(f"git {arguments[0]} in {root} did not answer within {timeout} s") from None


WHOLE_CLONE = "To complete a partial clone: git fetch --refetch --no-filter origin"
FULL_HISTORY = "on GitHub Actions: actions/checkout with fetch-depth: 0"


def merge_base(root: Path, ref: str) -> str:
    """Returns the newest commit that the checkout in `root` and `ref` have in common.

    Raises `UsageError` for a `ref` that git would read as an option, and `ReconcilerError`, with the command that
    fetches the history, if there is no such commit in this clone.
    """
    if not ref or ref.startswith("-"):
        raise UsageError(f"--base: {ref!r} is not a branch, tag or commit")
    head = read_head(root)
    if head is None:
        raise ReconcilerError(f"--base needs a git repository with a commit, and {root} is in none: plan in a clone")
    base = run_git(root, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}").stdout.strip()
    if not base:
        raise ReconcilerError(f"--base: this clone has no commit {ref}. {_how_to_fetch(root, ref)}")
    common = run_git(root, "merge-base", base, head).stdout.strip()
    if common:
        return common
    if _is_shallow(root):
        raise ReconcilerError(
            f"--base: in this shallow clone, HEAD and {ref} have no commit in common. Fetch more of the history: "
            f"git fetch --unshallow, or git fetch --deepen=100; {FULL_HISTORY}"
        )
    raise ReconcilerError(f"--base: HEAD and {ref} have no common history: name the branch that HEAD was made from")


def _how_to_fetch(root: Path, ref: str) -> str:
    """Returns instructions for fetching a branch or commit that is missing from the clone."""
    remotes = run_git(root, "remote").stdout.split() or ["origin"]
    for remote in remotes:
        if run_git(root, "rev-parse", "--verify", "--quiet", f"refs/remotes/{remote}/{ref}^{{commit}}").stdout.strip():
            return f"It has {remote}/{ref}: use --base {remote}/{ref}"
    remote, _, branch = ref.partition("/")
    remote, branch = (remote, branch) if branch and remote in remotes else (remotes[0], ref)
    return f"Fetch it: git fetch {remote} {shlex.quote(branch)}; {FULL_HISTORY}"
