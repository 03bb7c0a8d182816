"""Runs the workflows of docs/github in a repository that contains no other files of this repository.

AWS is an emulator, the ledger is a file next to it, and `tests/project/gh.py` simulates GitHub.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.cli.world import aws_environment, standin
from tests.project.place import COMMAND, ROOT, commit, environment, git, run
from tests.project.runner import REPOSITORY, Hub, JobRun

EXAMPLES = ROOT / "docs/github"
PROJECT = """\
apiVersion: reconciler/v1
kind: Project
metadata: {{name: {name}}}
spec:
  targets:
    local: {{emulator: true}}
    prod-eu:
      account: "444455556666"
      region: eu-west-1
      ledger: sqlite:///{ledger}
"""
NUMBERS = count(1)  # the emulator is shared, and each test must see only its own runs
SPEC = """\
apiVersion: reconciler/v1
kind: BatchJob
metadata: {{name: {name}}}
spec:
  request:
    jobQueue: etl
    jobDefinition: etl:1
    containerOverrides: {{command: [run, {argument}]}}
"""


@pytest.fixture(scope="module")
def aws() -> Iterator[dict[str, str]]:
    """Runs an emulator whose runs start and fail at once, and yields the environment variables that point to it."""
    with standin(run_seconds=0, outcome="failed", account="444455556666") as emulator:
        yield aws_environment(emulator.url)


class Repository:
    """Contains a repository on GitHub, and the clone of a developer who opens and merges pull requests."""

    def __init__(self, folder: Path, aws: dict[str, str]) -> None:
        self.clone = folder / "clone"
        self.hub = Hub(folder / "world", environ=aws)
        git(folder, "init", "--quiet", "--bare", "--initial-branch", "main", str(self.hub.origin))
        git(folder, "clone", "--quiet", str(self.hub.origin), str(self.clone))
        git(self.clone, "checkout", "--quiet", "-b", "main")
        self.write(
            "specs/reconciler.yaml", PROJECT.format(name=f"analytics-{next(NUMBERS)}", ledger=folder / "ledger.sqlite")
        )
        for example in EXAMPLES.glob("*.yml"):
            self.write(f".github/workflows/{example.name}", example.read_text("utf-8"))
        self.write(".gitignore", ".reconciler/\n")
        self.pulls: dict[int, dict[str, Any]] = {}
        commit(self.clone, "A project")
        git(self.clone, "push", "--quiet", "origin", "main")
        made = run([COMMAND, "ledger", "init", "-t", "prod-eu"], self.clone, environment(**aws))
        assert made.returncode == 0, made.stderr

    def write(self, path: str, text: str) -> None:
        """Writes a file of the clone."""
        (self.clone / path).parent.mkdir(parents=True, exist_ok=True)
        (self.clone / path).write_text(text, "utf-8")

    def spec(self, name: str = "orders", argument: str = "A") -> None:
        """Writes a spec."""
        self.write(f"specs/{name}.yaml", SPEC.format(name=name, argument=argument))

    def open(self, number: int, *, fork: str = REPOSITORY) -> dict[str, list[JobRun]]:
        """Pushes the changes of the clone to a new pull request, and runs the workflow for it."""
        branch = f"change-{number}"
        git(self.clone, "checkout", "--quiet", "-B", branch)
        head = commit(self.clone, f"Change {number}")
        git(self.clone, "push", "--quiet", "--force", "origin", branch)
        git(self.clone, "checkout", "--quiet", "main")
        self.pulls[number] = {"number": number, "head": {"sha": head, "ref": branch, "repo": {"full_name": fork}}}
        return self.plan(number)

    def plan(self, number: int) -> dict[str, list[JobRun]]:
        """Runs the workflow for a pull request, on the merge of its branch with main."""
        git(self.clone, "checkout", "--quiet", "--detach", "main")
        git(self.clone, "merge", "--quiet", "--no-ff", "--no-edit", f"change-{number}")
        merged = git(self.clone, "rev-parse", "HEAD")
        git(self.clone, "push", "--quiet", "--force", "origin", f"HEAD:refs/heads/pull-{number}")
        git(self.clone, "checkout", "--quiet", "main")
        return self.hub.run(self.workflow("plan"), "pull_request", merged, pull_request=self.pulls[number])

    def merge(self, number: int) -> str:
        """Merges a pull request, and returns the merge commit."""
        git(self.clone, "merge", "--quiet", "--no-ff", "--no-edit", f"change-{number}")
        git(self.clone, "push", "--quiet", "origin", "main")
        made = git(self.clone, "rev-parse", "HEAD")
        pull = {"number": number, "merged_at": "now", "merge_commit_sha": made, "base": {"ref": "main"}}
        self.hub.change(pulls={**self.hub.state["pulls"], made: [pull]})
        return made

    def push(self, made: str) -> dict[str, list[JobRun]]:
        """Runs the workflow that applies a commit of main."""
        return self.hub.run(self.workflow("apply"), "push", made)

    def dispatch(self, workflow: str, /, **inputs: str) -> dict[str, list[JobRun]]:
        """Starts a workflow manually on main, as the user `mona`."""
        head = git(self.clone, "rev-parse", "main")
        return self.hub.run(self.workflow(workflow), "workflow_dispatch", head, inputs=inputs, actor="mona")

    def workflow(self, name: str) -> Path:
        """Returns the copied workflow file."""
        return self.clone / ".github/workflows" / f"{name}.yml"

    def reconciler(self, *arguments: str) -> str:
        """Runs a command as the developer, and returns its output."""
        done = run([COMMAND, *arguments, "-t", "prod-eu"], self.clone, environment(**self.hub.environ))
        return done.stdout


@pytest.fixture
def repository(tmp_path: Path, aws: dict[str, str]) -> Repository:
    """Creates a new repository whose ledger exists."""
    return Repository(tmp_path, aws)


def results(jobs: dict[str, list[JobRun]]) -> dict[str, str]:
    """Returns the result of each job."""
    return {name: runs[0].result for name, runs in jobs.items()}


def head(repository: Repository) -> str:
    """Returns the commit of main."""
    return git(repository.clone, "rev-parse", "main")


def runs(repository: Repository) -> list[tuple[str, int, str]]:
    """Returns the name, attempt and actor of each intent in the ledger."""
    events = map(json.loads, repository.reconciler("ledger", "export").splitlines())
    return [(e["name"], e["attempt"], e["actor"]) for e in events if e["type"] == "intended"]


def test_from_pull_request_to_retry(repository: Repository):
    """A pull request gets a comment with the plan for the real target. Merging it applies the plan and reports the run.
    The scheduled pass then reports that the run failed. An operator retries the run with the form, and the ledger
    records the operator."""
    repository.spec()
    planned = repository.open(7)
    comment = repository.hub.comments(7)[0]["body"]
    applied = repository.push(repository.merge(7))
    report = repository.hub.comments(7)[1]["body"]
    passed = repository.hub.run(repository.workflow("reconcile"), "schedule", head(repository))
    retried = repository.dispatch("operate", command="retry", target="prod-eu", name="orders", reason="fixed input")

    assert results(planned) == {"validate": "success", "plan": "success", "plan-of-fork": "skipped"}, planned
    assert [job.matrix["target"] for job in planned["plan"]] == ["prod-eu"]
    assert planned["plan"][0].role == "arn:aws:iam::444455556666:role/reconciler-plan"
    assert comment.startswith("<!-- reconciler plan: prod-eu -->\n<!-- reconciler plan id: p-")
    assert "1 to submit now" in comment
    assert applied["apply"][0].result == "success", applied["apply"][0].log
    assert (applied["apply"][0].environment, applied["approvals"][0].result) == ("prod-eu", "skipped")
    assert report.startswith("<!-- reconciler apply: prod-eu -->")
    assert re.search(r"\| submitted \| \[`[0-9a-f-]{36}`\]\(https://eu-west-1\.console\.aws\.amazon\.com/", report)
    assert "https://github.example/shop/analytics/actions/runs/" in report
    assert passed["reconcile"][0].result == "failure"
    assert "reconciler retry orders -t prod-eu" in passed["reconcile"][0].summary
    assert retried["operate"][0].role == "arn:aws:iam::444455556666:role/reconciler-operate"
    assert retried["pass"][0].role == "arn:aws:iam::444455556666:role/reconciler-apply"
    assert "| submitted |" in retried["pass"][0].summary, retried["pass"][0].log
    assert runs(repository) == [("orders", 1, "octo"), ("orders", 2, "mona")]


@pytest.mark.soak
def test_a_plan_that_changed_between_approval_and_merge_is_not_applied(repository: Repository):
    """Two pull requests are merged before the first is applied, so the second plan differs from the reviewed one. The
    job stops and explains how to proceed. The scheduled pass does not apply the changes. With the id of the new plan,
    an operator applies both."""
    repository.spec("orders")
    repository.open(7)
    repository.spec("clicks")
    repository.open(8)
    repository.merge(7)
    second = repository.merge(8)

    stopped = repository.push(second)["apply"][0]
    report = repository.hub.comments(8)[1]["body"]
    passed = repository.hub.run(repository.workflow("reconcile"), "schedule", second)["reconcile"][0]
    unapplied = runs(repository)
    shown = re.search(r"the plan is now `(p-[0-9a-f]{16})`", report)
    assert shown is not None
    right = repository.dispatch("apply", target="prod-eu", expect=shown[1])["apply"][0]

    assert stopped.result == "failure"
    assert "### Not applied to `prod-eu`" in report
    assert "Pull request #8 showed the plan `p-" in report
    assert {name for name in ("orders", "clicks") if f"`{name}`" in report} == {"orders", "clicks"}
    assert (passed.result, unapplied) == ("failure", [])
    assert "not applied yet" in passed.summary
    assert right.result == "success", right.log
    assert sorted(runs(repository)) == [("clicks", 1, "mona"), ("orders", 1, "mona")]


FORGED = "<!-- reconciler plan: prod-eu -->\n<!-- reconciler plan id: {} -->\nlooks good"


@pytest.mark.soak
def test_only_a_comment_of_the_bot_approves(repository: Repository):
    """A user who posts the marker and the right id, before or after the bot's comment, does not approve anything. A
    commit without a pull request is not approved either."""
    repository.spec()
    repository.open(7)
    bot = repository.hub.comments(7)[0]
    right = re.search(r"p-[0-9a-f]{16}", bot["body"])
    assert right is not None
    forged = {"id": 5, "user": {"login": "mallory"}, "body": FORGED.format(right[0])}
    quoting = {**bot, "id": 6, "body": f"> {forged['body']}\n\nquoted by another workflow of the bot"}
    repository.hub.change(comments={"7": [forged, quoting]})
    made = repository.merge(7)
    by_others = repository.push(made)["apply"][0]
    repository.hub.change(pulls={}, comments={"7": [bot]})
    by_nobody = repository.push(made)["apply"][0]

    assert (by_others.result, by_nobody.result) == ("failure", "failure")
    assert "has no plan of this target that could be reviewed" in by_others.summary
    assert "No merged pull request made this commit" in by_nobody.summary
    assert repository.hub.comments(7) == [bot]
    assert runs(repository) == []


HOSTILE = 'x"; touch ../../owned; echo "::error::$(touch owned)`touch owned` $${{ github.token }} <img src=x> -->'


@pytest.mark.soak
def test_a_pull_request_of_a_stranger(repository: Repository):
    """Without credentials, a fork gets a plan from the newest snapshot that main published, not from a snapshot that
    another pull request uploaded. Hostile text in specs runs nothing, and no comment is posted."""
    repository.spec()
    repository.open(7)
    repository.push(repository.merge(7))
    published = [each for each in repository.hub.state["artifacts"] if each["name"] == "reconciler-snapshot-prod-eu"]
    run_of_stranger = {"id": 1, "repository_id": 1, "head_repository_id": 2, "head_branch": "main"}
    stranger = {**published[0], "id": 999, "created_at": "9999", "workflow_run": run_of_stranger}
    repository.hub.change(artifacts=[*repository.hub.state["artifacts"], stranger])
    repository.hub.environ = {}
    repository.write("specs/clicks.yaml", SPEC.format(name="clicks", argument=json.dumps(HOSTILE)))
    jobs = repository.open(9, fork="mallory/analytics")
    plan = jobs["plan-of-fork"][0]

    assert results(jobs) == {"validate": "success", "plan": "skipped", "plan-of-fork": "success"}, plan.log
    assert "1 to submit now. " in plan.summary
    assert "<img" not in re.sub(r"```.*?```", "", plan.summary, flags=re.DOTALL)
    assert repository.hub.comments(9) == []
    assert list(repository.hub.world.parent.rglob("owned")) == []
    assert not any(line.startswith("::error::") for _, _, text in plan.log for line in text.splitlines())


@pytest.mark.soak
def test_two_projects_of_one_repository(repository: Repository):
    """A second project in a subfolder has a separate comment and separate artifacts, and its plan is approved and
    applied separately."""
    ledger = repository.hub.world.parent / "growth.sqlite"
    repository.write("teams/growth/reconciler.yaml", PROJECT.format(name="growth", ledger=ledger))
    uses = re.compile(r"^( +)((?:- )?)uses: OWNER/reconciler/.*\n(?: +with:\n)?", re.MULTILINE)
    for name in ("plan", "apply"):
        text = (repository.clone / f".github/workflows/{name}.yml").read_text("utf-8")
        folder = uses.sub(lambda use: f"{use[0]}{use[1]}{' ' * len(use[2])}  working-directory: teams/growth\n", text)
        assert folder.count("teams/growth") == text.count("uses: OWNER/")
        repository.write(f".github/workflows/{name}-growth.yml", folder)
    commit(repository.clone, "A second project")
    git(repository.clone, "push", "--quiet", "origin", "main")
    arguments = ["-C", "teams/growth", "ledger", "init", "-t", "prod-eu"]
    made = run([COMMAND, *arguments], repository.clone, environment(**repository.hub.environ))
    assert made.returncode == 0, made.stderr
    repository.spec()
    repository.write("teams/growth/orders.yaml", SPEC.format(name="orders", argument="B"))
    repository.open(7)
    pull, merge = repository.pulls[7], git(repository.clone, "ls-remote", "origin", "pull-7").split()[0]
    planned = repository.hub.run(repository.workflow("plan-growth"), "pull_request", merge, pull_request=pull)
    commit_made = repository.merge(7)
    applied = [
        repository.push(commit_made),
        repository.hub.run(repository.workflow("apply-growth"), "push", commit_made),
    ]

    assert planned["plan"][0].result == "success", planned["plan"][0].log
    assert [each["apply"][0].result for each in applied] == ["success", "success"], applied[1]["apply"][0].log
    comments = [each["body"].splitlines()[0] for each in repository.hub.comments(7)]
    assert comments == [
        "<!-- reconciler plan: prod-eu -->",
        "<!-- reconciler plan: prod-eu in teams/growth -->",
        "<!-- reconciler apply: prod-eu -->",
        "<!-- reconciler apply: prod-eu in teams/growth -->",
    ]
    names = [each["name"] for each in repository.hub.state["artifacts"]]
    assert len(names) == len(set(names)) == 4
    assert (
        sum(bool(re.fullmatch(r"reconciler-(plan|snapshot)-prod-eu-in-teams-growth-[0-9a-f]{8}", n)) for n in names)
        == 2
    )


@pytest.mark.soak
def test_errors_are_in_the_comment(repository: Repository):
    """An invalid spec fails both jobs, and the comment contains the error with its location. The next push replaces the
    comment with the plan. An unreadable project file has a separate comment, which the next push resolves."""
    project = (repository.clone / "specs/reconciler.yaml").read_text("utf-8")
    repository.write("specs/orders.yaml", SPEC.format(name="orders", argument="A").replace("jobQueue", "jobQeue"))
    invalid = repository.open(7)
    before = repository.hub.comments(7)[0]["body"]
    repository.write("specs/reconciler.yaml", "kind: [")
    broken = repository.open(7)
    repository.write("specs/reconciler.yaml", project)
    repository.spec()
    repository.open(7)
    comments = [comment["body"] for comment in repository.hub.comments(7)]

    assert results(invalid) == {"validate": "failure", "plan": "failure", "plan-of-fork": "skipped"}
    assert re.search(r"orders.yaml:\d+:\d+.*jobQeue", before)
    assert "<!-- reconciler plan id: none -->" in before
    assert "::error" not in before
    assert broken["validate"][0].result == "failure"
    markers = [comment.splitlines()[0] for comment in comments]
    assert markers == ["<!-- reconciler plan: prod-eu -->", "<!-- reconciler project -->"]
    assert "1 to submit now" in comments[0]
    assert "can be read again" in comments[1]


@pytest.mark.soak
def test_a_plan_may_ask_what_aws_has(repository: Repository):
    """With `verify`, the comment lists the resources in the specs that do not exist in AWS. The plan still succeeds."""
    workflow = ".github/workflows/plan.yml"
    text = (repository.clone / workflow).read_text("utf-8")
    repository.write(workflow, text.replace("command: plan\n", 'command: plan\n          verify: "true"\n', 1))
    commit(repository.clone, "Verify in plans")
    git(repository.clone, "push", "--quiet", "origin", "main")
    repository.spec()
    jobs = repository.open(11)
    (comment,) = repository.hub.comments(11)

    assert results(jobs)["plan"] == "success"
    assert "1 to submit now" in comment["body"]
    assert re.search("AWS has everything that the specs name|### Problems found in AWS", comment["body"])


@pytest.mark.soak
def test_a_difference_waits_for_the_approval_of_the_environment(repository: Repository):
    """With RECONCILER_ON_DIFFERENCE = approve, the shown plan is applied in the environment for approvals if it has
    reviewers. Without reviewers, the job stops."""
    repository.hub.variables["RECONCILER_ON_DIFFERENCE"] = "approve"
    repository.spec()
    commit(repository.clone, "A direct push")
    git(repository.clone, "push", "--quiet", "origin", "main")

    unprotected = repository.push(head(repository))
    repository.hub.change(environments={"prod-eu-approval": ["required_reviewers"]})
    protected = repository.push(head(repository))

    assert (unprotected["apply"][0].result, unprotected["apply-approved"][0].result) == ("failure", "skipped")
    assert "has no required reviewers" in unprotected["apply"][0].printed("Apply")
    assert protected["apply"][0].result == "success", protected["apply"][0].log
    assert "### Waiting for approval" in protected["apply"][0].summary
    approved = protected["apply-approved"][0]
    assert (approved.environment, approved.result) == ("prod-eu-approval", "success"), approved.log
    assert runs(repository) == [("orders", 1, "octo")]


DECISIONS: dict[str, dict[str, str]] = {
    "status": {},
    "suspensions": {},
    "accept": {"name": "orders", "reason": "ran manually; $(touch owned)"},
    "retry": {"name": "--help"},
    "backfill": {"name": "orders", "from": "2026-01-01", "to": "2026-01-02"},
    "resolve": {"name": "orders", "decision": "abandon"},
    "cancel": {"name": "orders"},
}
WORKS = {"status", "suspensions", "accept"}


@pytest.mark.soak
def test_every_decision_of_the_form_reaches_its_command(repository: Repository):
    """Each command in the form either works or explains why it does not. A name that looks like an option is treated as
    a name."""
    repository.spec()
    commit(repository.clone, "A spec")
    git(repository.clone, "push", "--quiet", "origin", "main")

    done = {
        name: repository.dispatch("operate", command=name, target="prod-eu", **more)["operate"][0]
        for name, more in DECISIONS.items()
    }

    assert {name for name, job in done.items() if job.result == "success"} == WORKS, done
    assert all(re.search(r"Error: ", done[name].summary) for name in set(done) - WORKS)
    assert list(repository.hub.world.parent.rglob("owned")) == []
