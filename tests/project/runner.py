"""Runs the `run:` steps of a workflow's job in order, as GitHub's runner does."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.project.place import environment
from tests.project.preloaded import command

EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")
REPOSITORY = "shop/analytics"

FAKE_GH = '''"""Stands in for GitHub's `gh api`: keeps the comments of one pull request, and writes down every call."""
import json, pathlib, sys

folder = pathlib.Path({folder!r})
store = folder / "comments.json"
comments = json.loads(store.read_text()) if store.exists() else []
arguments = sys.argv[1:]
with (folder / "calls.jsonl").open("a") as calls:
    calls.write(json.dumps(arguments) + "\\n")
assert arguments[0] == "api", arguments
url = next(a for a in arguments if a.startswith("repos/"))
if "--method" not in arguments:
    assert {{"--paginate", "--slurp"}} <= set(arguments), arguments
    print(json.dumps([comments[:1], comments[1:]]))  # two pages: what is looked for may be on the second
    sys.exit()
body = arguments[arguments.index("-F") + 1]
assert body.startswith("body=@"), body
text = pathlib.Path(body.removeprefix("body=@")).read_text("utf-8")
assert len(text.encode()) < 65_536, "GitHub refuses longer comments"
if arguments[arguments.index("--method") + 1] == "POST":
    assert url == "repos/shop/analytics/issues/7/comments", url
    comments.append({{"id": 1000 + len(comments), "user": {{"login": "github-actions[bot]"}}, "body": text}})
else:
    number = int(url.removeprefix("repos/shop/analytics/issues/comments/"))
    next(c for c in comments if c["id"] == number)["body"] = text
store.write_text(json.dumps(comments))
'''


@dataclass
class Runner:
    """A runner for one checkout. `world` is a folder for what outlives a job, such as the comments on a pull request.

    `artifacts` are the files that upload steps found, by artifact name, with their content.
    """

    checkout: Path
    world: Path
    target: str = "local"
    environ: dict[str, str] = field(default_factory=dict)
    artifacts: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    log: list[tuple[str, int, str]] = field(default_factory=list)

    def run(self, job: dict[str, Any]) -> bool:
        """Runs a job's steps in order, as GitHub does: after a failure only steps with `always()`. True: it passed."""
        self._prepare()
        passed = True
        for step in job["steps"]:
            if not passed and step.get("if") != "always()":
                continue
            passed = self._step(step, job) and passed
        return passed

    @property
    def comments(self) -> list[dict[str, Any]]:
        """Returns the comments on the pull request, oldest first."""
        store = self.world / "comments.json"
        comments: list[dict[str, Any]] = json.loads(store.read_text()) if store.exists() else []
        return comments

    @property
    def calls(self) -> list[list[str]]:
        """Returns every call of `gh`, as its arguments."""
        file = self.world / "calls.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def output_of(self, step: str) -> str:
        """Returns what a step printed."""
        return next(text for name, _, text in reversed(self.log) if name == step)

    def _prepare(self) -> None:
        self.world.mkdir(exist_ok=True)
        gh = self.world / "bin" / "gh"
        gh.parent.mkdir(exist_ok=True)
        script = self.world / "gh.py"
        script.write_text(FAKE_GH.format(folder=str(self.world)))
        gh.write_text(f"#!/bin/sh\nexec '{sys.executable}' '{script}' \"$@\"\n")
        gh.chmod(gh.stat().st_mode | stat.S_IXUSR)
        venv = self.checkout / ".venv/bin"  # what `make setup` makes
        if not venv.exists():
            venv.mkdir(parents=True)
            (venv / "python").symlink_to(sys.executable)
            (venv / "reconciler").symlink_to(command() / "reconciler")

    def _step(self, step: dict[str, Any], job: dict[str, Any]) -> bool:
        if "uses" in step:
            return self._uses(step)
        if step["run"].strip() == "make setup":
            return True
        outputs = self.world / "outputs"
        outputs.write_text("")
        script = self.world / "step.sh"
        script.write_text(step["run"])
        done = subprocess.run(
            ["bash", "-e", script],  # GitHub's default where a step names no shell
            cwd=self.checkout,
            env=self._environment(step, job, outputs),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        if "id" in step:
            pairs = (line.split("=", 1) for line in outputs.read_text().splitlines())
            self.outputs |= {f"steps.{step['id']}.outputs.{name}": value for name, value in pairs}
        self.log.append((step["name"], done.returncode, done.stdout))
        return done.returncode == 0

    def _uses(self, step: dict[str, Any]) -> bool:
        if step["uses"].startswith("actions/upload-artifact@"):
            name = self._evaluated(step["with"]["name"])
            self.artifacts[name] = (self.checkout / step["with"]["path"]).read_text("utf-8")
        return True

    def _environment(self, step: dict[str, Any], job: dict[str, Any], outputs: Path) -> dict[str, str]:
        given = {**job.get("env", {}), **step.get("env", {})}
        base = environment(
            CI="true", GITHUB_ACTIONS="true", GITHUB_OUTPUT=str(outputs), GITHUB_REPOSITORY=REPOSITORY,
            GITHUB_STEP_SUMMARY=str(self.world / "summary.md"), GITHUB_BASE_REF="main",
        )  # fmt: skip
        base["PATH"] = f"{self.world / 'bin'}{os.pathsep}{base['PATH']}"
        return {**base, **self.environ, **{name: self._evaluated(value) for name, value in given.items()}}

    def _evaluated(self, text: str) -> str:
        """Replaces the expressions in a text. Raises `KeyError` for an expression that it does not support."""
        values = {
            "matrix.target": self.target,
            "github.token": "a-token",
            "github.event.pull_request.number": "7",
            "github.server_url": "https://github.example",
            "github.repository": REPOSITORY,
            "github.run_id": "42",
            **self.outputs,
        }
        return EXPRESSION.sub(lambda match: values[match[1]], text)
