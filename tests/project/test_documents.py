"""Checks README and docs: commands print the output that is shown, and the links, files, options and tests in the text
exist."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path

import click
import pytest
import yaml

from reconciler.cli.program import COMMANDS, program
from reconciler.errors import ReconcilerError
from reconciler.model.emr_serverless.spark_parameters import ALL
from tests.campaigns import in_one_test
from tests.crash.points import POINTS
from tests.project.place import COMMAND, ROOT, git, project_copy, run
from tests.project.transcript import blocks, output, plain, renewed

PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
DOCUMENTS = sorted([*(ROOT / name for name in PAGES), *(ROOT / "docs").rglob("*.md")])
WITH_COMMANDS = [path for path in DOCUMENTS if "```console\n" in path.read_text("utf-8")]
ABSENT = {"--every"}
"""Options that documents mention only to say that this release does not have them."""
FOREIGN = {
    "--strict",
    "--cli-input-json",
    "--no-healthcheck",
    "--hiveconf",
    "--password",
    *(f"--{option}" for option in ALL),
}
"""Options of other programs (mypy, the AWS CLI, docker, Spark, Hive, a job in an example) and options of every
command."""


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _prose(path: Path) -> str:
    """Returns the text of a document without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", path.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("path", WITH_COMMANDS, ids=_name)
def test_commands_print_what_the_document_shows(path: Path, tmp_path: Path):
    """Every command in the console blocks of a document prints the output below it. The commands run in a fresh clone;
    those of the quickstart run in an empty folder.

    Times, run ids, commits and durations may differ. UPDATE_DOCS=1 writes the real output into the document.
    """
    text = path.read_text("utf-8")
    update = bool(os.environ.get("UPDATE_DOCS"))
    if path.stem == "quickstart":
        place = tmp_path / "shop"
        place.mkdir()
    else:
        place = project_copy(tmp_path / "analytics", instant=not update)

    printed = [output(block, place) for block in blocks(text)]

    if update:
        path.write_text(renewed(text, printed), "utf-8")
    shown = [[step.shown for step in block.steps] for block in blocks(text)]
    assert [list(map(plain, steps)) for steps in shown] == [list(map(plain, steps)) for steps in printed]


def test_readme_shows_commands():
    """The commands in the worked example of the README are run."""
    assert ROOT / "README.md" in WITH_COMMANDS


def test_readme_shows_a_whole_spec():
    """The first YAML block of the README is the spec in specs/orders-rollup.yaml, without its comments."""
    shown = re.findall(r"^```yaml\n(.*?)^```$", (ROOT / "README.md").read_text("utf-8"), re.DOTALL | re.MULTILINE)[0]

    assert "#" not in shown
    assert yaml.safe_load(shown) == yaml.safe_load((ROOT / "specs" / "orders-rollup.yaml").read_text("utf-8"))


@in_one_test("path", DOCUMENTS, ids=_name)
def test_links_lead_to_files_of_the_repository(path: Path):
    """Each relative link leads to a tracked file or folder, and each anchor to a heading."""
    links = re.findall(r"\]\(([^)\s]+)\)", _prose(path))

    def leads_nowhere(link: str) -> bool:
        target, _, anchor = link.partition("#")
        file = (path.parent / target).resolve() if target else path
        return file not in _tracked() or (bool(anchor) and anchor not in _anchors(file))

    assert [link for link in links if not re.match(r"https?://", link) and leads_nowhere(link)] == []


@cache
def _tracked() -> set[Path]:
    """Returns the files of the repository and their folders."""
    files = {ROOT / line for line in git(ROOT, "ls-files").splitlines()}
    return files | {parent for file in files for parent in file.parents}


@cache
def _anchors(path: Path) -> set[str]:
    text = path.read_text("utf-8")
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    named = set(re.findall(r'<a id="([\w-]+)"></a>', text))
    return named | {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@in_one_test("path", DOCUMENTS, ids=_name)
def test_paths_in_documents_exist(path: Path):
    """Every path in a document exists in the repository, or is titles of code blocks in the document."""
    named = re.findall(r"`((?:reconciler|tests|docs|specs|\.ci|\.github)/[\w./-]*)`", _prose(path))
    given = set(re.findall(r"^`([\w./-]+)`:$", path.read_text("utf-8"), re.MULTILINE))  # the title of a code block

    assert [name for name in named if not (ROOT / name).exists() and name not in given] == []


def _command(name: str) -> click.Command:
    with click.Context(program) as context:
        found = program.get_command(context, name)
    assert found is not None
    return found


@cache
def _options(command: click.Command) -> set[str]:
    """Returns the options of a command and of its subcommands."""
    if isinstance(command, click.Group) and command is not program:
        with click.Context(command) as context:
            commands = [command.get_command(context, name) for name in command.list_commands(context)]
        return {flag for found in commands if found is not None for flag in _options(found)}
    return {
        flag
        for option in command.params
        if isinstance(option, click.Option)
        for flag in (*option.opts, *option.secondary_opts)
    }


def test_every_command_and_option_is_documented():
    """docs/commands.md has a section for each command, which lists all options of the command."""
    text = (ROOT / "docs/commands.md").read_text("utf-8")
    sections = set(re.findall(r"^## (\w+)$", text, re.MULTILINE))
    options = {flag for name in COMMANDS for flag in _options(_command(name)) if flag.startswith("--")}

    assert set(COMMANDS) <= sections
    assert {flag for flag in options if not re.search(rf"{flag}\b", text)} == set()


@in_one_test("path", DOCUMENTS, ids=_name)
def test_documents_name_no_option_that_does_not_exist(path: Path):
    """Each `--option` in the documents is an option of a command."""
    known = (
        {flag for name in COMMANDS for flag in _options(_command(name))} | _options(program) | ABSENT | {"--version"}
    )
    named = re.findall(r"`(?:reconciler )?(?:plan |apply |status |[a-z]+ )?(--[a-z][a-z-]+)", _prose(path))

    assert set(named) - known - FOREIGN == set()


def test_every_exit_code_of_an_error_is_documented():
    """The exit codes of all errors are in the table in docs/commands.md."""
    table = set(map(int, re.findall(r"^\| (\d+) \|", (ROOT / "docs/commands.md").read_text("utf-8"), re.MULTILINE)))
    pending, codes = [ReconcilerError], set[int]()
    while pending:
        error = pending.pop()
        codes.add(error.exit_code)
        pending.extend(error.__subclasses__())

    assert table == {0, 1, 2, 3, 64}
    assert codes <= table


@in_one_test("path", DOCUMENTS, ids=_name)
def test_claims_name_tests_that_exist(path: Path):
    """Each test that a document mentions exists in the mentioned file."""
    witnesses = _witnesses(path)

    missing = [(file, test) for file, test in witnesses if f"def {test}(" not in (ROOT / file).read_text("utf-8")]

    assert missing == []


def _witnesses(path: Path) -> list[tuple[str, str]]:
    return re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", path.read_text("utf-8"))


def test_every_rule_of_the_protocol_has_a_test():
    """docs/promise.md has a row with tests for each rule of docs/protocol.md."""
    rules = set(re.findall(r"^\| (R\d+) \|", (ROOT / "docs/protocol.md").read_text("utf-8"), re.MULTILINE))
    rows = re.findall(r"^\| (R\d[\d, R]*): .*`tests/", (ROOT / "docs/promise.md").read_text("utf-8"), re.MULTILINE)

    assert len(rules) == 11
    assert {rule for row in rows for rule in row.split(", ")} >= rules


def test_every_point_to_stop_at_is_documented():
    """docs/promise.md lists the named points at which tests stop the program."""
    text = (ROOT / "docs/promise.md").read_text("utf-8")
    listed = re.findall(r"^\| (`[^|]+`) \|", text[text.index("## Where it can be stopped") :], re.MULTILINE)

    assert set(POINTS) <= {name.strip("` ") for row in listed for name in row.split(",")}


def test_examples_of_the_spec_reference_are_valid(tmp_path: Path):
    """The spec and the project file in docs/specs.md form a valid project."""
    text = (ROOT / "docs/specs.md").read_text("utf-8")
    shown = [body for body in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if body.startswith("apiVersion")]
    names = ["reconciler.yaml" if "kind: Project" in body else "orders-rollup.yaml" for body in shown]
    for name, body in zip(names, shown, strict=True):
        (tmp_path / name).write_text(body, "utf-8")

    done = run([COMMAND, "validate"], tmp_path)

    assert sorted(names) == ["orders-rollup.yaml", "reconciler.yaml"]
    assert (done.returncode, done.stdout) == (0, "1 spec valid\n")


@pytest.mark.parametrize("name", ["bug_report.yml", "feature_request.yml"])
def test_issue_forms_are_valid(name: str):
    """Each issue form has a name, a description and fields with unique ids."""
    form = yaml.safe_load((ROOT / ".github/ISSUE_TEMPLATE" / name).read_text("utf-8"))
    ids = [field["id"] for field in form["body"] if field["type"] != "markdown"]

    assert form["name"]
    assert form["description"]
    assert len(ids) == len(set(ids)) > 0
