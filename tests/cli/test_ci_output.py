"""Tests output for CI: pull request comments with links, errors at their locations, annotations, and JUnit reports."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from markdown_it import MarkdownIt

from reconciler.emulator import Plan, Rule
from tests.cli.world import World, batch_text, project_text

HEAD = "ab12" * 10
GITHUB = {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "acme/jobs", "GITHUB_SHA": "cd34" * 10}
WRONG = batch_text("views").replace("jobQueue", "jobQueu")


@pytest.fixture
def repository(world: World) -> World:
    """A repository whose project is in a subfolder. Commands run in the top folder of the repository."""
    world.git("init", "--quiet", "..")
    return replace(world, folder=world.folder.parent)


def markdown(world: World, *arguments: str) -> str:
    """Returns the comment for a plan that succeeds."""
    done = world.run("-C", "project", "plan", "--format", "markdown", *arguments)
    assert done.code == 0, done.err
    return done.out


def test_specs_are_links_on_github(repository: World, world: World, tmp_path: Path):
    """The links refer to the newest commit of the pull request or, for any other event, to the commit that triggered
    the workflow."""
    world.batch("clicks")
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"pull_request": {"head": {"sha": HEAD}}}))
    repository.env |= GITHUB

    pushed = markdown(repository)
    repository.env["GITHUB_EVENT_PATH"] = str(event)
    pulled = markdown(repository)

    assert f"[`clicks`](https://github.com/acme/jobs/blob/{'cd34' * 10}/project/clicks.yaml#L1)" in pushed
    assert f"[`clicks`](https://github.com/acme/jobs/blob/{HEAD}/project/clicks.yaml#L1)" in pulled


@pytest.mark.parametrize(
    ("environment", "address"),
    [
        (
            {"CI_PROJECT_URL": "https://gitlab.example/a/b/jobs", "CI_COMMIT_SHA": HEAD},
            f"https://gitlab.example/a/b/jobs/-/blob/{HEAD}/project/clicks.yaml#L1",
        ),
        (
            {"CI_REPO_URL": "https://codeberg.example/a/jobs", "CI_COMMIT_SHA": HEAD, "CI_FORGE_TYPE": "forgejo"},
            f"https://codeberg.example/a/jobs/src/commit/{HEAD}/project/clicks.yaml#L1",
        ),
        ({**GITHUB, "GITEA_ACTIONS": "true"}, f"https://github.com/acme/jobs/src/commit/{'cd34' * 10}/project"),
        ({"CI_PROJECT_URL": "javascript:alert(1)", "CI_COMMIT_SHA": HEAD}, None),
        ({"CI_PROJECT_URL": "https://gitlab.example/a", "CI_COMMIT_SHA": "main"}, None),
        ({}, None),
    ],
)
def test_specs_are_links_on_other_hosts(
    repository: World, world: World, environment: dict[str, str], address: str | None
):
    """The names of specs are links if the environment contains the repository and the commit. Otherwise they are plain
    names."""
    world.batch("clicks")
    repository.env |= environment

    text = markdown(repository)

    assert (f"[`clicks`]({address}" in text) if address else ("](" not in text and "`clicks.yaml:1`" in text)


def test_invalid_specs_are_a_comment(repository: World, world: World):
    """The comment contains the errors instead of a plan, with links and with secrets masked. The exit code and standard
    error are unchanged."""
    world.write("views.yaml", WRONG + "    password: hunter2\n")
    repository.env |= GITHUB

    done = repository.run("-C", "project", "plan", "--format", "markdown")

    assert done.code == 1
    assert done.out.startswith("<!-- reconciler:plan shop/staging -->\n### No plan for shop/staging\n")
    assert "/project/views.yaml#L8) unknown field spec.request.jobQueu; did you mean jobQueue" in done.out
    assert "hunter2" not in done.out + done.err
    assert "views.yaml:8:5: error: unknown field" in done.err
    assert {token.info for token in MarkdownIt().parse(done.out) if token.type == "fence"} == {"text"}


@pytest.mark.parametrize(
    ("trouble", "words", "code"),
    [
        ("project", "reconciler.yaml", 1),
        ("target", "unknown target", 64),
        ("folder", "no reconciler.yaml in nowhere", 64),
        ("aws", "AccessDenied", 1),
        ("ledger", "ledger.sqlite", 1),
        ("base", "--base", 1),
    ],
)
def test_any_error_is_a_comment(repository: World, world: World, trouble: str, words: str, code: int):
    """Whatever error prevents the plan, the comment and standard error contain the same message."""
    world.batch("clicks")
    more = {"target": ["-t", "nowhere"], "base": ["--base", "no-such-branch"]}.get(trouble, [])
    folder = "nowhere" if trouble == "folder" else "project"
    if trouble == "project":
        world.write("reconciler.yaml", project_text() + "  nonsense: 1\n")
    elif trouble == "aws":
        repository.run("-C", "project", "apply", "--yes")
        world.aws.inject(Plan([Rule("lost", "error", operation="GetCallerIdentity", code="AccessDenied", status=403)]))
    elif trouble == "ledger":
        world.write("ledger.sqlite", "no database " * 100)

    done = repository.run("-C", folder, "plan", "--format", "markdown", *more)

    assert done.code == code, done.out
    assert "### No plan" in done.out
    assert words in done.out
    assert words in done.err


def test_a_plan_beyond_the_limits_is_a_comment_with_the_refusal(repository: World, world: World):
    """The comment contains the plan, and the reason why it cannot be applied."""
    world.batch("clicks")
    world.batch("views")

    done = repository.run("-C", "project", "plan", "--format", "markdown", "--max-submissions", "1")

    assert done.code == 1
    assert "**An apply refuses this plan:** maxSubmissions is 1, and this plan has 2" in done.out
    assert "`clicks` will be submitted" in done.out


@pytest.mark.parametrize("max_bytes", [2000, 5000, 20_000])
def test_a_comment_has_at_most_so_many_bytes(repository: World, world: World, max_bytes: int):
    """The limit includes the final line break and is correct for multi-byte characters."""
    for number in range(50):
        world.batch(f"job-{number:02}", "ünïcode → " * 20 + str(number))

    text = markdown(repository, "--max-bytes", str(max_bytes))

    assert len(text.encode()) <= max_bytes
    shown = text.count("` will be submitted")
    assert (f"**Not shown here: {50 - shown} of 50 changes" in text) == (shown < 50)
    assert text.count("<details>") == text.count("</details>")


def test_annotations_show_problems_beside_the_code(repository: World, world: World):
    """`validate`, `plan` and `apply` print annotations with the path relative to the repository. Their other output is
    unchanged."""
    world.write("a, b%.yaml", WRONG)
    quiet = repository.run("-C", "project", "validate")
    repository.env["GITHUB_ACTIONS"] = "true"
    location = "file=project/a%2C b%25.yaml,line=8,col=5"

    done = [repository.run("-C", "project", *command) for command in (["validate"], ["plan"], ["apply", "--yes"])]

    assert "::error" not in quiet.err
    for each in done:
        first = each.err.splitlines()[0]
        assert first.startswith(f"::error {location}::unknown field spec.request.jobQueu; did you mean jobQueue")
        assert quiet.err in each.err
        assert each.code == 1


def test_annotations_show_holds_beside_the_spec(repository: World, world: World):
    """A hold is a warning that contains the command to resolve it; a rejected job is an error."""
    world.batch("clicks")
    world.aws.inject(Plan([Rule("lost", "error", operation="SubmitJob", code="ClientException")]))
    repository.env["GITHUB_ACTIONS"] = "true"

    applied = repository.run("-C", "project", "apply", "--yes")
    planned = repository.run("-C", "project", "plan", "--format", "json")

    assert applied.code == 3
    place = "file=project/clicks.yaml,line=1,col=1"
    assert f"::error {place}::clicks: rejected: ClientException: " in applied.err
    [line] = [line for line in planned.err.splitlines() if line.startswith("::")]
    assert line.startswith(f"::warning {place}::clicks is on hold: rejected (generation 1)")
    assert 'reconciler -C project retry clicks -t staging --reason "..."' in line
    assert planned.json["actions"][0]["reason"] == "rejected"


def test_validate_reports_to_junit(repository: World, world: World):
    """The report has a test case for each spec. Specs with problems are failures, and control characters are
    escaped."""
    world.batch("clicks")
    third = batch_text("three").replace("worker:1", '"\\x01"')
    world.write("many.yaml", "---\n".join([batch_text("one"), WRONG, third]))

    done = repository.run("-C", "project", "validate", "--format", "junit")

    suite = ElementTree.fromstring(done.out).find("testsuite")
    assert suite is not None
    cases = {case.attrib["name"]: case for case in suite}
    failed = {name for name, case in cases.items() if case.find("failure") is not None}
    assert done.code == 1
    assert set(cases) == {"clicks", "one", "views", "three"}
    assert "views" in failed
    assert not {"clicks", "one"} & failed
    assert (suite.attrib["tests"], suite.attrib["failures"]) == ("4", str(len(failed)))
    failure = cases["views"].find("failure")
    assert failure is not None
    assert failure.attrib["type"] == "unknown-field"
    assert "did you mean jobQueue" in failure.attrib["message"]
    assert (cases["views"].attrib["file"], cases["clicks"].attrib["line"]) == ("project/many.yaml", "1")


def test_plan_reports_to_junit(repository: World, world: World):
    """The report has a test case for each spec, which fails if the spec is on hold. Without a plan, it has one test
    case with the error."""
    world.batch("clicks")
    repository.run("-C", "project", "apply", "--yes")
    world.aws.finish(world.runs()[0].id, "failed")
    world.batch("views", "\\u0001")

    done = repository.run("-C", "project", "plan", "--format", "junit")
    world.write("broken.yaml", WRONG)
    broken = repository.run("-C", "project", "plan", "--format", "junit")

    suite = ElementTree.fromstring(done.out)[0]
    failures = {case.attrib["name"]: case.find("failure") for case in suite}
    assert done.code == 0
    assert failures["views"] is None
    assert failures["clicks"] is not None
    assert failures["clicks"].attrib["type"] == "retries-exhausted"
    assert "reconciler -C project retry clicks -t staging" in (failures["clicks"].text or "")
    assert suite.attrib["name"] == "shop/staging"
    assert broken.code == 1
    [[case]] = ElementTree.fromstring(broken.out)
    assert case.find("error") is not None


def test_a_valid_project_has_no_failure(repository: World, world: World):
    """The report contains no failures, and the command exits 0."""
    world.batch("clicks")

    done = repository.run("-C", "project", "validate", "--format", "junit")

    assert (done.code, done.err) == (0, "")
    assert ElementTree.fromstring(done.out).attrib["failures"] == "0"
