"""Checks the permissions and pins of the workflows, and runs their steps against the emulator."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.project.place import COMMAND, INSTALLED, ROOT, commit, environment, git, project_copy, run
from tests.project.runner import Runner

FILES = sorted((ROOT / ".github/workflows").glob("*.yml"))
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in FILES}
JOBS = {(name, key): job for name, flow in WORKFLOWS.items() for key, job in flow["jobs"].items()}

PERMISSIONS = {
    ("ci", "ci"): {"contents": "read"},
    ("plan", "validate"): {"contents": "read"},
    ("plan", "plan"): {"contents": "read", "id-token": "write", "pull-requests": "write"},
    ("apply", "apply"): {"contents": "read", "id-token": "write"},
    ("reconcile", "reconcile"): {"contents": "read", "id-token": "write"},
}


def _steps(key: tuple[str, str]) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = JOBS[key]["steps"]
    return steps


def _triggers(name: str) -> dict[str, Any]:
    """Returns the `on:` of a workflow; YAML reads that key as true."""
    found: dict[str, Any] = WORKFLOWS[name][True]
    return found


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Makes a clone of a repository with the example project."""
    folder = project_copy(tmp_path / "checkout")
    git(folder, "update-ref", "refs/remotes/origin/main", "HEAD")
    return folder


@pytest.fixture
def runner(checkout: Path, tmp_path: Path) -> Runner:
    """Makes a runner for target `local`."""
    return Runner(checkout, tmp_path / "github")


def _edit(checkout: Path, file: str, old: str, new: str) -> str:
    path = checkout / "specs" / file
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")
    return commit(checkout, f"Edit {file}")


def _states(checkout: Path) -> dict[str, str]:
    done = run([COMMAND, "status", "--format", "json"], checkout)
    return {spec["name"]: spec["state"] for spec in json.loads(done.stdout)["specs"]}


# --- what they may do -------------------------------------------------------------------------------------------------


def test_there_are_four_workflows():
    """The workflows are CI, plan on a pull request, apply on main, and reconcile on a schedule."""
    assert set(WORKFLOWS) == {"ci", "plan", "apply", "reconcile"}


def test_permissions_are_none_by_default_and_minimal_for_each_job():
    """No workflow has permissions of its own; each job lists exactly the ones it needs."""
    assert [flow["permissions"] for flow in WORKFLOWS.values()] == [{}] * len(WORKFLOWS)
    assert {key: job["permissions"] for key, job in JOBS.items()} == PERMISSIONS


@pytest.mark.parametrize("key", JOBS, ids="/".join)
def test_tokens_for_aws_go_only_to_jobs_that_assume_a_role(key: tuple[str, str]):
    """A job may ask for an OIDC token exactly if one of its steps assumes a role, and no key is ever a secret."""
    assumes = any(step.get("uses", "").startswith("aws-actions/configure-aws-credentials@") for step in _steps(key))

    assert assumes == ("id-token" in JOBS[key]["permissions"])
    assert "secrets." not in json.dumps(JOBS[key])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_actions_are_pinned_to_a_commit_with_the_version_in_a_comment(path: Path):
    """Every action is named with a full commit and its version in a comment."""
    uses = re.findall(r"^\s*-? *uses: (.+)$", path.read_text("utf-8"), re.MULTILINE)

    assert uses != []
    assert [use for use in uses if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use)] == []


def test_an_action_has_the_same_pin_everywhere():
    """No two workflows use different commits of one action."""
    pins = {step["uses"] for key in JOBS for step in _steps(key) if "uses" in step}

    assert len(pins) == len({pin.partition("@")[0] for pin in pins})


@pytest.mark.parametrize("key", JOBS, ids="/".join)
def test_nothing_a_user_can_write_becomes_part_of_a_script(key: tuple[str, str]):
    """Scripts contain no expressions: values are passed in the environment, where a shell does not execute them."""
    assert [step["run"] for step in _steps(key) if "${{" in step.get("run", "")] == []


@pytest.mark.parametrize("key", JOBS, ids="/".join)
def test_checkouts_leave_no_credentials_behind(key: tuple[str, str]):
    """The token of the checkout is not kept in .git, where later steps could use it; every job has a time limit."""
    checkouts = [step for step in _steps(key) if step.get("uses", "").startswith("actions/checkout@")]

    assert [step["with"]["persist-credentials"] for step in checkouts] == [False]
    assert 0 < JOBS[key]["timeout-minutes"] <= 30


@pytest.mark.parametrize("key", [("plan", "plan"), ("apply", "apply"), ("reconcile", "reconcile")], ids="/".join)
def test_planning_sees_the_whole_history(key: tuple[str, str]):
    """Jobs that plan check out every commit: a shallow clone cannot tell an old checkout from a new one."""
    assert _steps(key)[0]["with"]["fetch-depth"] == 0


def test_pull_requests_from_forks_get_no_credentials():
    """The job with credentials runs for branches of this repository only; the trigger is never the privileged one."""
    assert "pull_request" in _triggers("plan")
    assert all("pull_request_target" not in path.read_text("utf-8") for path in FILES)
    assert JOBS["plan", "plan"]["if"] == "github.event.pull_request.head.repo.full_name == github.repository"
    assert "id-token" not in JOBS["plan", "validate"]["permissions"]


def test_passes_do_not_overlap_and_are_not_cancelled():
    """Apply and reconcile share a concurrency group for each target, and a running pass is not cancelled."""
    groups = [JOBS[name, name]["concurrency"] for name in ("apply", "reconcile")]

    assert groups == [{"group": "reconciler-${{ matrix.target }}", "cancel-in-progress": False}] * 2


def test_what_changes_aws_is_protected_by_the_targets_environment():
    """Apply and reconcile run in the GitHub environment of their target, and only for main."""
    assert [JOBS[name, name]["environment"] for name in ("apply", "reconcile")] == ["${{ matrix.target }}"] * 2
    assert _triggers("apply") == {"push": {"branches": ["main"]}}
    assert _steps(("reconcile", "reconcile"))[0]["with"]["ref"] == "main"


def test_the_form_of_reconcile_offers_the_targets_of_the_project():
    """The choices in the form of reconcile.yml are the targets in specs/reconciler.yaml."""
    project = yaml.safe_load((ROOT / "specs/reconciler.yaml").read_text("utf-8"))
    form = _triggers("reconcile")["workflow_dispatch"]["inputs"]["target"]

    assert set(project["spec"]["targets"]) == set(form["options"])


def test_ci_runs_the_same_commands_on_every_supported_python():
    """ci.yml runs make test, make check and make demo on Python 3.11 to 3.14."""
    job = JOBS["ci", "ci"]

    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13", "3.14"]
    assert [step["run"] for step in job["steps"] if "run" in step] == ["make test", "make check", "make demo"]


# --- what their steps do ----------------------------------------------------------------------------------------------


def test_pull_request_gets_one_comment_that_is_kept_up_to_date(runner: Runner, checkout: Path):
    """The first plan is a new comment, the next one replaces its text; comments of others are left alone."""
    runner.world.mkdir()
    foreign = {"id": 1, "user": {"login": "team"}, "body": "<!-- reconciler plan: local -->\nquoted by a person"}
    (runner.world / "comments.json").write_text(json.dumps([foreign]))
    job = JOBS["plan", "plan"]

    assert runner.run(job), runner.log
    first = runner.comments
    _edit(checkout, "orders-rollup.yaml", "spark.executor.memory: 4g", "spark.executor.memory: 12g")
    assert runner.run(job), runner.log

    assert [comment["id"] for comment in runner.comments] == [1, 1001]
    assert runner.comments[0] == foreign
    assert "9 to submit" in first[1]["body"]
    assert "4g" in first[1]["body"]
    assert "12g" in runner.comments[1]["body"]
    assert "Changes: 1 this-change, 8 already-on-base" in runner.comments[1]["body"]
    assert [call[call.index("--method") + 1] for call in runner.calls if "--method" in call] == ["POST", "PATCH"]


def test_each_target_has_a_comment_of_its_own(runner: Runner, checkout: Path):
    """The hidden first line names the target, so plans of two targets do not replace each other; a plan that cannot be
    made is said to be so, and none of them leaves a ledger or a run behind."""
    runner.run(JOBS["plan", "plan"])
    other = Runner(runner.checkout, runner.world, target="staging")

    assert not other.run(JOBS["plan", "plan"])  # its ledger is on S3, which this release does not have

    assert [comment["body"].splitlines()[0] for comment in other.comments] == [
        "<!-- reconciler plan: local -->",
        "<!-- reconciler plan: staging -->",
    ]
    assert "exit code 1" in other.comments[1]["body"]
    assert "https://github.example/shop/analytics/actions/runs/42" in other.comments[1]["body"]
    assert set(_states(checkout).values()) == {"none"}


def test_invalid_specs_fail_the_validate_job_with_their_location(runner: Runner, checkout: Path):
    """A misspelt field fails the first job, which also runs for forks, and its log says where the field is."""
    _edit(checkout, "orders-rollup.yaml", "executionTimeoutMinutes", "executionTimeoutMinuets")

    assert not runner.run(JOBS["plan", "validate"])

    assert re.search(r"orders-rollup\.yaml:\d+:\d+: .*executionTimeoutMinuets", runner.output_of("Validate"))


def test_merge_applies_the_saved_plan(runner: Runner, checkout: Path):
    """Apply submits every job of the project and keeps the plan; a second merge without changes submits nothing."""
    assert runner.run(JOBS["apply", "apply"]), runner.log
    kept = json.loads(runner.artifacts["plan-local"])
    submitted = _runs(checkout)
    assert runner.run(JOBS["apply", "apply"]), runner.log

    assert 9 == kept["summary"]["submit"] == len(submitted)
    assert submitted == _runs(checkout)
    assert json.loads(runner.artifacts["plan-local"])["summary"]["submit"] == 0


def _runs(checkout: Path) -> dict[str, str]:
    done = run([COMMAND, "status", "--format", "json"], checkout)
    return {spec["name"]: spec["run_id"] for spec in json.loads(done.stdout)["specs"] if spec["run_id"]}


def test_the_scheduled_job_submits_each_spec_once(runner: Runner, checkout: Path):
    """Reconcile submits the specs that no earlier pass submitted; the next pass submits nothing."""
    job = JOBS["reconcile", "reconcile"]

    assert runner.run(job), runner.log
    first = _runs(checkout)
    assert runner.run(job), runner.log

    assert len(first) == 9
    assert first == _runs(checkout)


# --- on AWS, for which a separate emulator stands in ------------------------------------------------------------------


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A stand-alone emulator of the staging account; the variables that lead there."""
    arguments = ["emulator", "--port", "0", "--account", "111122223333", "--region", "eu-west-1"]
    process = subprocess.Popen(
        [INSTALLED, *arguments], stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=environment()
    )
    assert process.stdout is not None
    try:
        url = re.search(r"http://[\w.:\[\]]+\d", process.stdout.readline())
        assert url is not None
        services = ("EMR_SERVERLESS", "BATCH", "STS")
        keys = {"AWS_ACCESS_KEY_ID": "emulator", "AWS_SECRET_ACCESS_KEY": "emulator"}
        yield {f"AWS_ENDPOINT_URL_{service}": url[0] for service in services} | keys
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_the_three_jobs_in_order_on_a_real_target(checkout: Path, tmp_path: Path, aws: dict[str, str]):
    """Plan on the pull request, apply on merge, reconcile by the clock, with credentials of the target's account: each
    job of the target is submitted by the merge, and by nothing else."""
    _edit(
        checkout, "reconciler.yaml", "s3://shop-analytics-ledger-staging/reconciler", "sqlite:///ledger/staging.sqlite"
    )
    github = tmp_path / "github"
    made = run([INSTALLED, "ledger", "init", "-t", "staging", "--local-ledger"], checkout / "specs", environment(**aws))
    assert made.returncode == 0, made.stderr

    def job(name: str) -> Runner:
        runner = Runner(checkout, github, target="staging", environ=aws)
        assert runner.run(JOBS[name, name]), runner.log
        return runner

    before = job("plan").comments[0]["body"]
    kept = json.loads(job("apply").artifacts["plan-staging"])
    again = job("reconcile").output_of("Reconcile")

    assert "7 to submit" in before
    assert (kept["target"], kept["account"]) == ("staging", "111122223333")
    assert kept["summary"]["submit"] == 7
    assert "No changes" in again
