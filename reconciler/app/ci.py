"""Reads the environment of a CI runner: the web address of the repository, and the reviewed commit."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from reconciler.render.markdown import Repository

COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
ADDRESS = re.compile(r"https?://[\w.\-]+(:\d+)?(/[\w.~\-]+)*", re.ASCII)
WORKSPACES = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR", "CI_WORKSPACE")
FORGES = {"github": "blob", "gitlab": "-/blob", "gitea": "src/commit", "forgejo": "src/commit"}
"""The part of a web address between the repository and the path of a file in a commit, by kind of host."""


def folder_in_repository(root: Path, environ: Mapping[str, str]) -> str:
    """Returns the path of a project folder in its repository. It is empty or ends with a slash.

    The root of the repository is the nearest folder with a ``.git``; otherwise it is the runner's workspace or the
    current folder.
    """
    folder = root.resolve()
    git = (parent for parent in (folder, *folder.parents) if os.path.lexists(parent / ".git"))
    workspaces = (Path(environ[name]).resolve() for name in WORKSPACES if environ.get(name))
    for top in (*git, *workspaces, Path.cwd().resolve()):
        if folder == top:
            return ""
        if folder.is_relative_to(top):
            return f"{folder.relative_to(top).as_posix()}/"
    return ""


def repository(root: Path, environ: Mapping[str, str]) -> Repository | None:
    """Returns the web address of the reviewed commit, or `None` if the environment lacks the repository or the
    commit."""
    for address, kind, commit in (_github(environ), _gitlab(environ), _woodpecker(environ)):
        if ADDRESS.fullmatch(address) and COMMIT.fullmatch(commit) and kind in FORGES:
            return Repository(f"{address}/{FORGES[kind]}/{commit}/", folder_in_repository(root, environ))
    return None


def _github(environ: Mapping[str, str]) -> tuple[str, str, str]:
    """Reads the variables of GitHub Actions and compatible runners. For a pull request, ``GITHUB_SHA`` is a merge
    commit that exists only while the pull request is open, so links use the newest commit of the pull request."""
    server, name = environ.get("GITHUB_SERVER_URL", ""), environ.get("GITHUB_REPOSITORY", "")
    kind = "gitea" if environ.get("GITEA_ACTIONS") or environ.get("FORGEJO_ACTIONS") else "github"
    commit = _pull_request_head(environ.get("GITHUB_EVENT_PATH")) or environ.get("GITHUB_SHA", "")
    return f"{server.rstrip('/')}/{name}" if name else "", kind, commit


def _pull_request_head(event: str | None) -> str | None:
    """Returns the newest commit of a pull request, from the file that describes the event, or `None` for any other
    event."""
    try:
        head = json.loads(Path(event or "").read_text("utf-8"))["pull_request"]["head"]["sha"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return head if isinstance(head, str) else None


def _gitlab(environ: Mapping[str, str]) -> tuple[str, str, str]:
    """Reads the variables of GitLab CI. In a pipeline of merged results, ``CI_COMMIT_SHA`` is a merge commit that is
    not on any branch."""
    commit = environ.get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA") or environ.get("CI_COMMIT_SHA", "")
    return environ.get("CI_PROJECT_URL", ""), "gitlab", commit


def _woodpecker(environ: Mapping[str, str]) -> tuple[str, str, str]:
    """Reads the variables of Woodpecker CI, which include the kind of the repository's host."""
    return environ.get("CI_REPO_URL", ""), environ.get("CI_FORGE_TYPE", ""), environ.get("CI_COMMIT_SHA", "")
