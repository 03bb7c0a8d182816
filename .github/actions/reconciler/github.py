"""Queries GitHub for the action, with the `gh` of the runner: comments, merged pull requests, artifacts,
environments."""

from __future__ import annotations

import json
import os
import re
import subprocess
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

PLAN_ID = re.compile(r"p-[0-9a-f]{16}")
ID_LINE = re.compile(rf"<!-- reconciler plan id: ({PLAN_ID.pattern}) -->")


MOST_COMMENT_BYTES = 65_000  # GitHub refuses more than 65,536 characters


class Refused(Exception):
    """GitHub refused a call. Its message is written to the log."""


@dataclass
class GitHub:
    """The repository of a workflow run. `bot` is the user that writes comments with the job's token."""

    environ: Mapping[str, str]
    bot: str
    event: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        """Reads the event that started the run. The result is empty if there is no event."""
        file = self.environ.get("GITHUB_EVENT_PATH")
        self.event = json.loads(Path(file).read_text("utf-8")) if file and Path(file).is_file() else {}

    @property
    def repository(self) -> str:
        """Returns OWNER/NAME."""
        return self.environ["GITHUB_REPOSITORY"]

    @property
    def run_url(self) -> str:
        """Returns the web address of the workflow run."""
        server = self.environ.get("GITHUB_SERVER_URL", "https://github.com")
        return f"{server}/{self.repository}/actions/runs/{self.environ.get('GITHUB_RUN_ID', '')}"

    @property
    def pull_request(self) -> int | None:
        """Returns the number of the pull request that started the run if the token may comment on it. For a fork, it
        may not, because the token can only read."""
        pull = self.event.get("pull_request")
        head = ((pull or {}).get("head") or {}).get("repo") or {}
        if pull is None or head.get("full_name", self.repository) != self.repository:
            return None
        return int(pull["number"])

    def api(self, *arguments: str) -> bytes:
        """Calls `gh api` and returns its output. Raises `Refused`."""
        done = subprocess.run(["gh", "api", *arguments], capture_output=True, check=False, env=dict(self.environ))
        if done.returncode != 0:
            raise Refused(f"gh api {arguments[-1]}: {done.stderr.decode(errors='replace').strip()[:500]}")
        return done.stdout

    def comment(self, number: int, marker: str, body: str, folder: Path, *, create: bool = True) -> None:
        """Writes the comment that begins with `marker`: updates the bot's own comment or, with `create`, adds one."""
        text = folder / "comment.md"
        text.write_text(shortened(f"{marker}\n{body}"), "utf-8")
        own = self.own_comment(number, marker)
        issues = f"repos/{self.repository}/issues"
        if own is not None:
            self.api("--method", "PATCH", f"{issues}/comments/{own['id']}", "-F", f"body=@{text}")
        elif create:
            self.api("--method", "POST", f"{issues}/{number}/comments", "-F", f"body=@{text}")

    def own_comment(self, number: int, marker: str) -> dict[str, Any] | None:
        """Returns the bot's comment whose first line is `marker`, or `None`. Comments of other users are ignored,
        because anyone can quote the marker."""
        pages = json.loads(
            self.api("--paginate", "--slurp", f"repos/{self.repository}/issues/{number}/comments?per_page=100")
        )
        for comment in (comment for page in pages for comment in page):
            first = (comment.get("body") or "").splitlines()[:1]
            if (comment.get("user") or {}).get("login") == self.bot and first == [marker]:
                own: dict[str, Any] = comment
                return own
        return None

    def merged_pull_request(self) -> int | None:
        """Returns the number of the pull request whose merge created the commit of this run, or `None` for a direct
        push."""
        commit, branch = self.environ["GITHUB_SHA"], self.environ.get("GITHUB_REF_NAME", "")
        for pull in json.loads(self.api(f"repos/{self.repository}/commits/{commit}/pulls")):
            made = pull.get("merge_commit_sha", commit)
            if pull.get("merged_at") and made == commit and (pull.get("base") or {}).get("ref", branch) == branch:
                return int(pull["number"])
        return None

    def reviewed_plan(self, number: int, marker: str) -> str | None:
        """Returns the plan id from the second line of the bot's comment, below `marker`, or `None` if there is none."""
        comment = self.own_comment(number, marker)
        lines = comment["body"].splitlines()[1:2] if comment else []
        found = ID_LINE.fullmatch(lines[0]) if lines else None
        return found[1] if found else None

    def has_reviewers(self, environment: str) -> bool:
        """Returns whether jobs in this environment wait for the approval of a reviewer."""
        try:
            form = json.loads(self.api(f"repos/{self.repository}/environments/{environment}"))
        except Refused:
            return False  # if it does not exist, GitHub would create it without any protection
        return any(rule.get("type") == "required_reviewers" for rule in form.get("protection_rules") or [])

    def artifacts_of_run(self) -> list[str]:
        """Returns the names of the artifacts of this workflow run."""
        run = self.environ["GITHUB_RUN_ID"]
        form = json.loads(self.api(f"repos/{self.repository}/actions/runs/{run}/artifacts?per_page=100"))
        return [artifact["name"] for artifact in form["artifacts"]]

    def download(self, name: str, folder: Path) -> Path | None:
        """Downloads the file of the newest artifact with this name from a run on the default branch of this repository.
        Returns `None` if there is none. Runs of pull requests are ignored, because a pull request can upload an
        artifact with any name."""
        listed = json.loads(self.api(f"repos/{self.repository}/actions/artifacts?per_page=100&name={name}"))
        repository = self.event.get("repository") or {}
        branch = repository.get("default_branch", "main")
        for artifact in sorted(listed["artifacts"], key=lambda each: str(each.get("created_at")), reverse=True):
            run = artifact.get("workflow_run") or {}
            own = run.get("head_repository_id") == run.get("repository_id")
            if artifact["name"] != name or artifact.get("expired") or not own or run.get("head_branch") != branch:
                continue
            archive = self.api(f"repos/{self.repository}/actions/artifacts/{artifact['id']}/zip")
            with zipfile.ZipFile(BytesIO(archive)) as files:
                content = files.read(files.namelist()[0])
            file = folder / "ledger.snapshot"
            file.write_bytes(content)
            return file
        return None


def shortened(text: str) -> str:
    """Returns the text of a comment, truncated if GitHub would refuse it. Closes a code block that is cut off."""
    if len(text.encode()) <= MOST_COMMENT_BYTES:
        return text
    shown = text.encode()[:MOST_COMMENT_BYTES].decode(errors="ignore").rpartition("\n")[0]
    fence = ""
    for line in shown.splitlines():
        if mark := re.match(r"`{3,}", line):
            fence = mark[0] if not fence else "" if mark[0] == line.rstrip() == fence else fence
    return f"{shown}\n{fence}\n\nThis is not all of it: see the summary of the job.\n"


def output(environ: Mapping[str, str], name: str, value: str) -> None:
    """Sets an output of the step. Raises `ValueError` for a multi-line value."""
    if "\n" in value or "\r" in value:
        raise ValueError(f"the output {name} has several lines")
    with open(environ.get("GITHUB_OUTPUT", os.devnull), "a", encoding="utf-8") as file:
        file.write(f"{name}={value}\n")
