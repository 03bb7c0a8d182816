"""Checks permissions, pins and conditions of the workflows, of the examples in docs/github, and of the action."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.campaigns import in_one_test
from tests.project import gh
from tests.project.place import BIN, ROOT, project_copy, run
from tests.project.runner import ACTION

OWN = sorted((ROOT / ".github/workflows").glob("*.yml"))
EXAMPLES = sorted((ROOT / "docs/github").glob("*.yml"))
FILES = [*OWN, *EXAMPLES]
WORKFLOWS = {path: yaml.load(path.read_text("utf-8"), yaml.CSafeLoader) for path in FILES}
JOBS = {
    f"{path.parent.name}/{path.stem}/{key}": job
    for path, flow in WORKFLOWS.items()
    for key, job in flow["jobs"].items()
}
ACTION_FORM = yaml.load((ACTION / "action.yml").read_text("utf-8"), yaml.CSafeLoader)
READ, TOKEN, COMMENT = {"contents": "read"}, {"id-token": "write"}, {"pull-requests": "write"}
ACTIONS = {"actions": "read"}
PERMISSIONS = {
    "ci/ci": READ,
    "plan/validate": READ | COMMENT,
    "plan/plan": READ | TOKEN | COMMENT,
    "plan/plan-of-fork": READ | ACTIONS,
    "apply/targets": READ,
    "apply/apply": READ | TOKEN | COMMENT | ACTIONS,
    "apply/approvals": READ | ACTIONS,
    "apply/apply-approved": READ | TOKEN | COMMENT,
    "reconcile/targets": READ,
    "reconcile/reconcile": READ | TOKEN,
    "operate/operate": READ | TOKEN,
    "operate/pass": READ | TOKEN,
    "release/build": READ,
    "release/publish": TOKEN | {"contents": "write", "attestations": "write"},
    "release/pypi": TOKEN,
}
OURS = re.compile(r"OWNER/reconciler/\.github/actions/reconciler@0{40} # v\d+\.\d+\.\d+")


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _triggers(path: Path) -> dict[str, Any]:
    """Returns the `on:` block of a workflow, whose key YAML reads as true."""
    found: dict[str, Any] = WORKFLOWS[path][True]
    return found


def own_form(example: Path) -> str:
    """Returns the form that an example has in this repository: it uses the action in its own checkout, and plans only
    for the emulator unless a variable lists targets."""
    text = OURS.sub("./.github/actions/reconciler", example.read_text("utf-8"))
    text = text.replace("vars.RECONCILER_TARGETS }}", "vars.RECONCILER_TARGETS || 'local' }}")
    text = re.sub(
        r"#\n# Copy this file to .*?docs/github\.md of reconciler says what to set up\.",
        f"#\n# docs/github/{example.name} is this file for other repositories.",
        text,
    )
    if example.stem == "reconcile":
        condition = "    if: github.event_name == 'workflow_dispatch' || vars.RECONCILER_TARGETS != ''\n"
        text = text.replace("  targets:\n    runs-on", f"  targets:\n{condition}    runs-on")
    return text


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_the_repository_uses_its_own_examples(example: Path):
    """Each workflow of this repository equals its example, with the action of this checkout. UPDATE_DOCS=1 writes
    it."""
    own = ROOT / ".github/workflows" / example.name
    if os.environ.get("UPDATE_DOCS"):
        own.write_text(own_form(example), "utf-8")

    assert own.read_text("utf-8") == own_form(example)


def test_permissions_are_none_by_default_and_minimal_for_each_job():
    """No workflow has permissions at the top level. Each job lists exactly the permissions that it needs."""
    assert [flow["permissions"] for flow in WORKFLOWS.values()] == [{}] * len(WORKFLOWS)
    assert {key.partition("/")[2] for key in JOBS} == set(PERMISSIONS)
    assert {key: job["permissions"] for key, job in JOBS.items()} == {
        key: PERMISSIONS[key.partition("/")[2]] for key in JOBS
    }


@in_one_test("key", JOBS)
def test_jobs_use_no_secrets_leave_no_credentials_and_end(key: str):
    """Jobs use no GitHub secrets. The token of a checkout is not kept in .git. Every job has a time limit."""
    checkouts = [step for step in JOBS[key]["steps"] if step.get("uses", "").startswith("actions/checkout@")]

    assert "secrets." not in json.dumps(JOBS[key])
    assert [step["with"]["persist-credentials"] for step in checkouts] == [False] * len(checkouts)
    assert 0 < JOBS[key]["timeout-minutes"] <= 30


@in_one_test("key", [key for key in JOBS if "release" not in key])
def test_tokens_for_aws_go_only_to_jobs_that_assume_a_role(key: str):
    """A job may request an OIDC token if and only if one of its steps assumes a role."""
    steps = JOBS[key]["steps"]
    assumes = any(step.get("uses", "").startswith("aws-actions/configure-aws-credentials@") for step in steps)

    assert assumes == ("id-token" in JOBS[key]["permissions"])


@in_one_test("path", [*FILES, ACTION / "action.yml"], ids=_name)
def test_actions_are_pinned_to_a_commit_with_the_version_in_a_comment(path: Path):
    """Every third-party action is pinned to a full commit, with its version in a comment."""
    uses = re.findall(r"^\s*-? *uses: (.+)$", path.read_text("utf-8"), re.MULTILINE)
    others = [use for use in uses if use != "./.github/actions/reconciler"]

    assert uses != []
    assert [use for use in others if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use)] == []


def test_an_action_has_the_same_pin_everywhere():
    """All workflows use the same commit of an action."""
    steps = [step for job in JOBS.values() for step in job["steps"]] + ACTION_FORM["runs"]["steps"]
    pins = {step["uses"] for step in steps if "uses" in step}

    assert len(pins) == len({pin.partition("@")[0] for pin in pins})


@in_one_test("path", [*FILES, ACTION / "action.yml"], ids=_name)
def test_nothing_a_user_can_write_becomes_part_of_a_script(path: Path):
    """Scripts contain no expressions; values are passed in environment variables, where a shell does not execute
    them."""
    form = yaml.safe_load(path.read_text("utf-8"))
    jobs = form["jobs"].values() if "jobs" in form else [form["runs"]]

    assert [step["run"] for job in jobs for step in job["steps"] if "${{" in step.get("run", "")] == []


@pytest.mark.parametrize("name", ["plan/plan", "plan/plan-of-fork", "apply/apply", "reconcile/reconcile"])
def test_planning_sees_the_whole_history(name: str):
    """Jobs that plan fetch every commit, because a shallow clone cannot distinguish an old checkout from a new one."""
    assert JOBS[f"github/{name}"]["steps"][0]["with"]["fetch-depth"] == 0


def test_pull_requests_from_forks_get_no_credentials():
    """The job with credentials runs only for branches of this repository, and the trigger is never
    pull_request_target."""
    plan = JOBS["github/plan/plan"]["if"]

    assert set(_triggers(ROOT / "docs/github/plan.yml")) == {"pull_request", "merge_group"}
    assert all("pull_request_target" not in path.read_text("utf-8") for path in FILES)
    assert "github.event.pull_request.head.repo.full_name == github.repository" in plan


@pytest.mark.parametrize(
    ("name", "group"),
    {
        "apply/apply": "apply-${{ matrix.target }}",
        "apply/apply-approved": "approved-${{ matrix.target }}",
        "reconcile/reconcile": "${{ matrix.target }}",
        "operate/operate": "operate-${{ github.run_id }}",
        "operate/pass": "${{ inputs.target }}",
    }.items(),
)
def test_what_changes_aws_is_protected_and_is_not_cancelled(name: str, group: str):
    """Jobs that change AWS run in the environment of their target. They are not cancelled while they run. GitHub also
    cancels a job that waits in a group if another job joins the group, so only passes share one: a scheduled pass must
    not cancel the apply of a merge, and nothing may cancel an approved apply or the decision of an operator."""
    job = JOBS[f"github/{name}"]
    target = "${{ inputs.target }}" if name.startswith("operate/") else "${{ matrix.target }}"

    assert job["environment"] in {target, f"{target}-approval"}
    assert job["concurrency"] == {"group": f"reconciler-{group}", "cancel-in-progress": False}


def test_no_list_of_targets_is_written_down():
    """Matrices are computed from the project file, and forms accept any target."""
    matrices = [job["strategy"]["matrix"] for key, job in JOBS.items() if "strategy" in job and "/ci/" not in key]
    forms = [
        triggers["workflow_dispatch"]["inputs"]["target"]
        for path in EXAMPLES
        if "workflow_dispatch" in (triggers := _triggers(path))
    ]

    assert all(
        set(matrix) == {"include"} and matrix["include"].startswith("${{ fromJSON(needs.") for matrix in matrices
    )
    assert [form["type"] for form in forms] == ["string"] * 3


def test_ci_runs_the_same_commands_on_every_supported_python():
    """ci.yml runs make test, make check and make demo on Python 3.11 to 3.14."""
    job = JOBS["workflows/ci/ci"]

    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13", "3.14"]
    assert [step["run"] for step in job["steps"] if "run" in step] == ["make test", "make check", "make demo"]


# --- the action's queries to GitHub -----------------------------------------------------------------------------------

MARKER = "<!-- reconciler plan: prod-eu -->"
RIGHT = "p-0123456789abcdef"
ID_LINE = f"<!-- reconciler plan id: {RIGHT} -->"
REVIEWS = {
    "of the bot": (gh.BOT, f"{MARKER}\n{ID_LINE}\n### Plan", RIGHT),
    "with the line breaks of a form": (gh.BOT, f"{MARKER}\r\n{ID_LINE}\r\n### Plan", RIGHT),
    "of a person": ("mallory", f"{MARKER}\n{ID_LINE}\n### Plan", None),
    "that quotes": (gh.BOT, f"> {MARKER}\n> {ID_LINE}", None),
    "with the marker below other text": (gh.BOT, f"Thanks!\n{MARKER}\n{ID_LINE}", None),
    "with the id below the page": (gh.BOT, f"{MARKER}\n### Plan\n{ID_LINE}", None),
    "of another target": (gh.BOT, f"{MARKER.replace('prod-eu', 'prod')}\n{ID_LINE}", None),
    "of a plan that failed": (gh.BOT, f"{MARKER}\n<!-- reconciler plan id: none -->\n### No plan", None),
    "with something behind the id": (gh.BOT, f"{MARKER}\n{ID_LINE} p-ffffffffffffffff", None),
}


def _asked(world: Path, question: str) -> Any:
    """Evaluates an expression in the action's module `github`, and returns its result."""
    program = world / "bin/gh"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\nexec '{sys.executable}' '{gh.__file__}' '{world}' \"$@\"\n")
    program.chmod(0o755)
    code = (
        "import json, os; from pathlib import Path; from github import GitHub; "
        f"hub = GitHub(dict(os.environ), {gh.BOT!r}); print(json.dumps({question}, default=str))"
    )
    environ = {"GITHUB_REPOSITORY": "shop/analytics", "GITHUB_SHA": "c0ffee", "GITHUB_REF_NAME": "main"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**environ, "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ACTION)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_only_the_first_lines_of_a_comment_of_the_bot_approve(tmp_path: Path):
    """A plan id counts as approved only in the second line of a comment by the bot, below the marker of the target."""
    comments = {
        str(number): [{"id": number, "user": {"login": who}, "body": body}]
        for number, (who, body, _) in enumerate(REVIEWS.values())
    }
    gh.save(tmp_path, {**gh.initial(), "comments": comments})

    ids = _asked(tmp_path, f"[hub.reviewed_plan(number, {MARKER!r}) for number in range({len(REVIEWS)})]")

    assert dict(zip(REVIEWS, ids, strict=True)) == {name: expected for name, (_, _, expected) in REVIEWS.items()}


@pytest.mark.parametrize("block", ["", "```text\n", "`````text\n```\n"])
def test_a_comment_is_never_longer_than_github_accepts(tmp_path: Path, block: str):
    """A long text is truncated with a note, and a truncated code block is closed."""
    (tmp_path / "long.md").write_text(f"### Plan\n{block}" + "\U0001f600 a line\n" * 20_000, "utf-8")

    text, short = _asked(
        tmp_path,
        f"(lambda m: [m.shortened(Path({str(tmp_path / 'long.md')!r}).read_text('utf-8')), m.shortened('a\\n')])"
        "(__import__('github'))",
    )

    assert short == "a\n"
    assert len(text.encode()) < gh.LONGEST_COMMENT
    end = f"{block.partition('text')[0]}\n\nThis is not all of it: see the summary of the job.\n"
    assert text.endswith(f"a line\n{end}")


PULLS = {
    "merged by this commit": ({}, 7),
    "open": ({"merged_at": None}, None),
    "merged earlier": ({"merge_commit_sha": "another"}, None),
    "merged into another branch": ({"base": {"ref": "release"}}, None),
}


@pytest.mark.parametrize(("more", "expected"), PULLS.values(), ids=PULLS)
def test_the_merged_pull_request_is_the_one_that_made_the_commit(tmp_path: Path, more: dict[str, Any], expected: int):
    """A pull request that merely contains the commit, or that has another base branch, does not count as the reviewed
    one."""
    pull = {"number": 7, "merged_at": "now", "merge_commit_sha": "c0ffee", "base": {"ref": "main"}, **more}
    gh.save(tmp_path, {**gh.initial(), "pulls": {"c0ffee": [pull]}})

    assert _asked(tmp_path, "hub.merged_pull_request()") == expected


def test_a_snapshot_comes_from_a_run_of_the_default_branch(tmp_path: Path):
    """Artifacts from pull requests, forks and other branches are not used, whatever their names and ages are."""
    own = {"id": 1, "repository_id": 1, "head_repository_id": 1, "head_branch": "main"}
    runs = [own, {**own, "head_repository_id": 2}, {**own, "head_branch": "feature"}, own, own]
    expired = [False, False, False, True, False]
    artifacts = [
        {"id": number, "name": "snapshot", "created_at": str(number), "expired": expired[number], "workflow_run": made}
        for number, made in enumerate(runs)
    ]
    artifacts[4]["name"] = "other"
    gh.save(tmp_path, {**gh.initial(), "artifacts": artifacts})
    (tmp_path / "artifacts").mkdir()
    for number in range(5):
        (tmp_path / "artifacts" / str(number)).write_text(f"of {number}")

    _asked(tmp_path, f"hub.download('snapshot', Path({str(tmp_path)!r}))")

    assert (tmp_path / "ledger.snapshot").read_text() == "of 0"


@pytest.mark.soak
def test_the_action_installs_itself_from_its_own_checkout(tmp_path: Path):
    """From the files of a commit, without git's data, the action installs the command into the folder of the job."""
    folder = tmp_path / "actions"
    folder.mkdir()
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(["tar", "x", "-C", str(folder)], input=archive, check=True)
    env = {**os.environ, "GITHUB_ACTION_PATH": str(folder / ".github/actions/reconciler"), "RUNNER_TEMP": str(tmp_path)}

    done = [
        subprocess.run(
            ["bash", str(ACTION / "install.sh")], env=env, capture_output=True, text=True, timeout=600, check=False
        )
        for _ in range(2)
    ]

    assert [each.returncode for each in done] == [0, 0], done
    assert re.fullmatch(r"reconciler \d+\.\d+\.\S+ \(commit [0-9a-f]{40}\)\n", done[0].stdout)
    assert done[1].stdout == ""
    assert (tmp_path / "reconciler/bin/reconciler").exists()


# --- linters ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("linter", ["zizmor", "actionlint"])
def test_linters_find_what_they_are_for(linter: str, tmp_path: Path):
    """The linters of `make lint` detect a script injection and a wrong expression."""
    program = shutil.which(linter, path=str(BIN))
    if program is None:
        pytest.skip(f"{linter} is not installed here")
    wrong = tmp_path / ".github/workflows/wrong.yml"
    wrong.parent.mkdir(parents=True)
    wrong.write_text(
        "on: [issues]\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n"
        "      - run: echo ${{ github.event.issue.title }} ${{ nothing.here }}\n"
    )

    done = subprocess.run([program, str(wrong)], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode != 0
    assert "wrong.yml" in done.stdout + done.stderr


def test_the_hook_for_pre_commit_validates(tmp_path: Path):
    """The pre-commit hook's command passes for a valid project, also with its arguments, and fails for an invalid
    spec."""
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    assert [hook["id"] for hook in hooks] == ["reconciler-validate"]
    folder = project_copy(tmp_path / "project")
    spec = folder / "specs/orders-rollup.yaml"

    entry = hooks[0]["entry"].split()
    valid = [run([*entry, *more], folder).returncode for more in ([], ["--strict"], ["-C", "specs"])]
    spec.write_text(spec.read_text("utf-8").replace("applicationId", "aplicationId"))
    invalid = run(entry, folder)

    assert valid == [0, 0, 0]
    assert invalid.returncode == 1
    assert re.search(hooks[0]["files"], "specs/orders-rollup.yaml")
