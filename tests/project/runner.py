"""Runs workflows as GitHub does: jobs in order, matrices, conditions, outputs, and the steps of our own action.

The repository is a bare git repository in `world`, and each job checks out a clone of it. Third-party actions do
nothing, except that `actions/checkout` checks out, and `actions/upload-artifact` keeps files for
`tests/project/gh.py`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.project import gh
from tests.project.expressions import as_text, condition, evaluated
from tests.project.place import ROOT, environment, git
from tests.project.preloaded import command

REPOSITORY = "shop/analytics"
ACTION = ROOT / ".github/actions/reconciler"
OURS = "/.github/actions/reconciler"


@dataclass
class JobRun:
    """One job of a matrix, with its result, outputs, environment, assumed role, and the output of its steps."""

    name: str
    matrix: Mapping[str, Any]
    result: str = "success"
    outputs: dict[str, str] = field(default_factory=dict)
    environment: str = ""
    role: str = ""
    summary: str = ""
    log: list[tuple[str, int, str]] = field(default_factory=list)

    def printed(self, step: str) -> str:
        """Returns the output of a step."""
        return "".join(text for name, _, text in self.log if name == step)


@dataclass
class Hub:
    """Simulates a repository on GitHub and its runner. `variables` are the variables of the repository, and
    `of_environment` are those of its environments."""

    world: Path
    environ: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    of_environment: dict[str, dict[str, str]] = field(default_factory=dict)
    runs: int = 40

    def __post_init__(self) -> None:
        """Creates the program `gh`, and a folder that looks like the action's installation."""
        for folder in ("bin", "artifacts", "temp/reconciler/bin"):
            (self.world / folder).mkdir(parents=True, exist_ok=True)
        program = self.world / "bin/gh"
        program.write_text(f"#!/bin/sh\nexec '{sys.executable}' -I '{gh.__file__}' '{self.world}' \"$@\"\n")
        program.chmod(0o755)
        installed = self.world / "temp/reconciler"
        (installed / "bin/python").symlink_to(sys.executable)
        (installed / "bin/reconciler").symlink_to(command() / "reconciler")
        (installed / "source").write_text(str(ROOT))

    @property
    def origin(self) -> Path:
        """Returns the bare repository."""
        return self.world / "origin.git"

    @property
    def state(self) -> dict[str, Any]:
        """Returns comments, merged pull requests, artifacts and environments."""
        return gh.load(self.world)

    def comments(self, number: int) -> list[dict[str, Any]]:
        """Returns the comments on a pull request, oldest first."""
        listed: list[dict[str, Any]] = self.state["comments"].get(str(number), [])
        return listed

    def change(self, **more: Any) -> None:
        """Replaces parts of the recorded state."""
        gh.save(self.world, {**self.state, **more})

    def run(self, workflow: Path, event: str, commit: str, **payload: Any) -> dict[str, list[JobRun]]:
        """Runs a workflow for an event, and returns the runs of each job. `payload` is the content of the event."""
        self.runs += 1
        flow = yaml.load(workflow.read_text("utf-8"), yaml.CSafeLoader)
        payload.setdefault("repository", {"default_branch": "main", "full_name": REPOSITORY})
        (self.world / "event.json").write_text(json.dumps(payload))
        jobs: dict[str, list[JobRun]] = {}
        for name, job in flow["jobs"].items():
            jobs[name] = list(_Jobs(self, event, commit, payload, jobs).run(name, job))
        return jobs


@dataclass
class _Jobs:
    hub: Hub
    event: str
    commit: str
    payload: Mapping[str, Any]
    done: Mapping[str, list[JobRun]]

    def run(self, name: str, job: Mapping[str, Any]) -> Iterator[JobRun]:
        contexts = self.contexts(job)
        needed = [need["result"] for need in contexts["needs"].values()]
        failed = any(result != "success" for result in needed)
        if not condition(job.get("if", "success()"), contexts, failed=failed):
            yield JobRun(name, {}, "skipped")
            return
        matrix = job.get("strategy", {}).get("matrix", {})
        cells = evaluated(matrix["include"], contexts) if "include" in matrix else [{}]
        for cell in cells:
            yield self.cell(name, job, {**contexts, "matrix": cell})

    def contexts(self, job: Mapping[str, Any]) -> dict[str, Any]:
        needs = [job["needs"]] if isinstance(job.get("needs"), str) else job.get("needs", [])
        pull = self.payload.get("pull_request")
        return {
            "github": {
                "event_name": self.event, "event": self.payload, "repository": REPOSITORY, "token": "a-token",
                "sha": self.commit, "ref": f"refs/pull/{pull['number']}/merge" if pull else "refs/heads/main",
            },
            "vars": self.hub.variables,
            "inputs": self.payload.get("inputs", {}),
            "needs": {need: _result(self.done[need]) for need in needs},
        }  # fmt: skip

    def cell(self, name: str, job: Mapping[str, Any], contexts: dict[str, Any]) -> JobRun:
        run = JobRun(name, contexts["matrix"], environment=as_text(evaluated(job.get("environment", ""), contexts)))
        own = self.hub.of_environment.get(run.environment, {})
        steps = _Steps(self, run, {**contexts, "vars": {**self.hub.variables, **own}, "steps": {}})
        steps.prepare()
        for step in job["steps"]:
            steps.run(step)
        outputs = job.get("outputs", {})
        run.outputs = {key: as_text(evaluated(value, steps.contexts)) for key, value in outputs.items()}
        run.summary = (self.hub.world / "summary.md").read_text("utf-8")
        return run


def _result(runs: list[JobRun]) -> dict[str, Any]:
    results = {run.result for run in runs}
    result = "failure" if "failure" in results else "skipped" if results == {"skipped"} else "success"
    return {"result": result, "outputs": {key: value for run in runs for key, value in run.outputs.items()}}


@dataclass
class _Steps:
    jobs: _Jobs
    job: JobRun
    contexts: dict[str, Any]

    @property
    def hub(self) -> Hub:
        return self.jobs.hub

    @property
    def workspace(self) -> Path:
        return self.hub.world / "workspace"

    def prepare(self) -> None:
        """Deletes all files that do not outlive a job."""
        shutil.rmtree(self.workspace, ignore_errors=True)
        self.workspace.mkdir()
        (self.hub.world / "summary.md").write_text("")

    def run(self, step: Mapping[str, Any], folder: Path | None = None) -> None:
        """Runs a step, unless its condition is false or an earlier step failed."""
        failed = self.job.result == "failure"
        if not condition(step.get("if", "success()"), self.contexts, failed=failed):
            return
        given = {
            name: as_text(evaluated(as_text(value), self.contexts)) for name, value in step.get("with", {}).items()
        }
        if "run" in step:
            self.script(step, folder)
        elif OURS in step["uses"]:
            self.action(step, given)
        elif step["uses"].startswith("actions/checkout@"):
            self.checkout(given)
        elif step["uses"].startswith("actions/upload-artifact@"):
            self.keep(given)
        elif step["uses"].startswith("aws-actions/configure-aws-credentials@"):
            self.job.role = given["role-to-assume"]

    def checkout(self, given: Mapping[str, str]) -> None:
        git(self.hub.world, "clone", "--quiet", "--no-checkout", str(self.hub.origin), str(self.workspace))
        ref = f"origin/{given['ref']}" if given.get("ref") else self.jobs.commit
        git(self.workspace, "fetch", "--quiet", "origin", self.jobs.commit)
        git(self.workspace, "checkout", "--quiet", "--detach", ref)

    def keep(self, given: Mapping[str, str]) -> None:
        state = self.hub.state
        number = len(list((self.hub.world / "artifacts").iterdir())) + 1
        shutil.copy(given["path"], self.hub.world / "artifacts" / str(number))
        pull = self.jobs.payload.get("pull_request")
        own = pull is None or pull["head"]["repo"]["full_name"] == REPOSITORY
        run = {
            "id": self.hub.runs, "repository_id": 1, "head_repository_id": 1 if own else 2,
            "head_branch": pull["head"]["ref"] if pull else "main",
        }  # fmt: skip
        artifact = {
            "id": number, "name": given["name"], "created_at": f"{number:04}", "expired": False, "workflow_run": run
        }  # fmt: skip
        self.hub.change(artifacts=[*state["artifacts"], artifact])

    def action(self, step: Mapping[str, Any], given: Mapping[str, str]) -> None:
        """Runs the steps of our action, with the inputs `given`."""
        form = yaml.load((ACTION / "action.yml").read_text("utf-8"), yaml.CSafeLoader)
        assert set(given) <= set(form["inputs"]), given
        defaults = {name: each.get("default", "") for name, each in form["inputs"].items()}
        inputs = {name: as_text(evaluated(str(text), self.contexts)) for name, text in {**defaults, **given}.items()}
        inner = _Steps(self.jobs, self.job, {**self.contexts, "inputs": inputs, "steps": {}})
        for each in form["runs"]["steps"]:
            inner.run({**each, "name": f"{step.get('name')}: {each['name']}"}, ACTION)
        outputs = {name: as_text(evaluated(each["value"], inner.contexts)) for name, each in form["outputs"].items()}
        self.contexts["steps"][step.get("id", "")] = {"outputs": outputs}

    def script(self, step: Mapping[str, Any], folder: Path | None) -> None:
        outputs = self.hub.world / "outputs"
        outputs.write_text("")
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", step["run"]],
            cwd=self.workspace,
            env=self.environment(step, outputs, folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        pairs = (line.split("=", 1) for line in outputs.read_text("utf-8").splitlines())
        self.contexts["steps"][step.get("id", "")] = {"outputs": dict(pairs)}
        self.job.log.append((step["name"].partition(":")[0], done.returncode, done.stdout))
        if done.returncode != 0:
            self.job.result = "failure"

    def environment(self, step: Mapping[str, Any], outputs: Path, folder: Path | None) -> dict[str, str]:
        world, pull = self.hub.world, self.jobs.payload.get("pull_request")
        own = {name: as_text(evaluated(as_text(text), self.contexts)) for name, text in step.get("env", {}).items()}
        base = environment(
            CI="true", GITHUB_ACTIONS="true", GITHUB_OUTPUT=str(outputs), GITHUB_REPOSITORY=REPOSITORY,
            GITHUB_STEP_SUMMARY=str(world / "summary.md"), GITHUB_BASE_REF="main" if pull else "",
            GITHUB_EVENT_PATH=str(world / "event.json"), GITHUB_SERVER_URL="https://github.example",
            GITHUB_RUN_ID=str(self.hub.runs), GITHUB_SHA=self.jobs.commit, GITHUB_REF_NAME="" if pull else "main",
            GITHUB_ACTOR=self.jobs.payload.get("actor", "octo"), GITHUB_ACTION_PATH=str(folder or ""),
            GITHUB_WORKSPACE=str(self.workspace), RUNNER_TEMP=str(world / "temp"),
        )  # fmt: skip
        base["PATH"] = f"{world / 'bin'}{os.pathsep}{base['PATH']}"
        return {**base, **self.hub.environ, **own}
