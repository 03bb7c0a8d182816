"""Tests the files in docs/deploy: their policies match those of `iam`, their commands exist, and their steps work."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from reconciler.cli.program import program
from tests.campaigns import in_one_test
from tests.cli.test_iam import LOGS
from tests.cli.world import World, aws_environment, forked_command, project_text, spark_text, standin

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "docs" / "deploy"
PAGE = (ROOT / "docs" / "deploy.md").read_text("utf-8")
IMAGE = (DEPLOY / "Dockerfile").read_text("utf-8")


class _Template(yaml.CSafeLoader):
    """Reads the short forms of CloudFormation's functions as plain arguments."""


def _arguments(loader: _Template, _suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]


_Template.add_multi_constructor("!", _arguments)


def resources() -> dict[str, Any]:
    """Returns the resources of the CloudFormation template."""
    template: dict[str, Any] = yaml.load((DEPLOY / "cloudformation.yaml").read_text("utf-8"), _Template)
    found: dict[str, Any] = template["Resources"]
    return found


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A project with a run of each kind, in a repository with a remote."""
    with standin() as aws:
        made = World(tmp_path / "project", aws, env=aws_environment(aws.url))
        made.write("reconciler.yaml", project_text(ledger="dynamodb://reconciler-ledger"))
        made.write("orders.yaml", spark_text("orders") + LOGS)
        made.batch("clicks")
        yield made


def _granted(statements: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """Returns the actions of a policy, each with the condition under which it is granted."""
    pairs: set[tuple[str, str]] = set()
    for each in statements:
        condition = json.dumps(sorted(each.get("Condition", {})))
        actions = [each["Action"]] if isinstance(each["Action"], str) else each["Action"]
        pairs.update((action, condition) for action in actions)
    return pairs


@pytest.mark.parametrize("role", ["plan", "apply", "operate"])
def test_the_template_has_the_policies_of_iam(world: World, role: str) -> None:
    """Each role in the template has the permissions that `iam` prints, and the same workflows can assume it."""
    done = world.run("iam", "--role", role, "--repository", "acme/jobs")
    assert 0 == done.code, done.err
    name, found = role.title(), resources()
    policy = found[f"{name}Policy"]["Properties"]["PolicyDocument"]["Statement"]
    assert _granted(done.json["policy"]["Statement"]) == _granted(policy)
    (trust,) = found[f"{name}Role"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    (expected,) = done.json["trust"]["Statement"]
    condition = json.dumps(trust["Condition"]).replace("${Repository}", "acme/jobs").replace("${Target}", "staging")
    assert _flat(expected["Condition"]) == _flat(json.loads(condition))
    assert expected["Action"] == trust["Action"]


def _flat(condition: dict[str, dict[str, Any]]) -> set[tuple[str, str, str]]:
    return {
        (operator, key, value)
        for operator, keys in condition.items()
        for key, values in keys.items()
        for value in ([values] if isinstance(values, str) else values)
    }


def test_the_table_is_that_of_ledger_init() -> None:
    """The table has the keys of a ledger, and deletion protection."""
    from reconciler.ledger.prepare import KEYS

    table = resources()["Ledger"]["Properties"]
    types = {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]}
    assert KEYS == [(key["AttributeName"], key["KeyType"], types[key["AttributeName"]]) for key in table["KeySchema"]]
    assert table["DeletionProtectionEnabled"] is True
    assert "TimeToLiveSpecification" not in table


def commands() -> Iterator[tuple[str, list[str]]]:
    """Yields every reconciler command in the files, with its location."""
    yield "Dockerfile", json.loads(re.findall(r"^CMD (.*)$", IMAGE, re.MULTILINE)[-1])
    yield "cloudformation.yaml", resources()["TaskDefinition"]["Properties"]["ContainerDefinitions"][0]["Command"]
    for manifest in yaml.load_all((DEPLOY / "kubernetes.yaml").read_text("utf-8"), yaml.CSafeLoader):
        for container in _containers(manifest):
            yield f"kubernetes.yaml, {manifest['kind']}", container["args"]
    texts = {path.name: path.read_text("utf-8") for path in DEPLOY.iterdir()} | {"deploy.md": PAGE}
    for name in ("reconciler.service", "gitlab-ci.yml", "deploy.md"):
        for line in re.findall(
            r"(?:^ExecStart=|- |/bin/|^)reconciler(?:/bin/reconciler)? ([a-z].*)$", texts[name], re.MULTILINE
        ):
            yield name, shlex.split(re.split(r" >|\s#", line)[0])


def _containers(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if "args" in value:
            yield value
        for inner in value.values():
            yield from _containers(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _containers(inner)


COMMANDS = list(commands())


@in_one_test(("name", "arguments"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_the_commands_in_the_files_exist(name: str, arguments: list[str]) -> None:
    """Each command accepts the options and values that the file contains."""
    context = click.Context(program)
    command = program.get_command(context, arguments[0])
    assert command is not None, name
    command.make_context(arguments[0], list(arguments[1:]), parent=context)


def test_there_are_commands_in_every_file() -> None:
    """Every file contains a command, so no file is skipped because of a different notation."""
    names = [name.partition(",")[0] for name, _ in commands()]
    assert {"Dockerfile", "cloudformation.yaml", "kubernetes.yaml", "reconciler.service", "gitlab-ci.yml"} <= set(names)
    assert 2 == names.count("kubernetes.yaml")
    assert 3 == names.count("gitlab-ci.yml")


def test_the_image_runs_as_a_user_and_checks_its_health() -> None:
    """The last stage has an unprivileged user, and its health check calls /healthz."""
    last = IMAGE.rpartition("\nFROM ")[2]
    assert re.search(r"^USER 10001$", last, re.MULTILINE)
    assert last.index("USER 10001") < last.index("ENTRYPOINT")
    check = json.loads(re.findall(r"^HEALTHCHECK .*\\\n\s*CMD (.*)$", last, re.MULTILINE)[0])
    codes = {200: 0, 503: 1}

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(answered[0] if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *_arguments: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Health)
    answered = [200]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        for answered[0], expected in codes.items():
            step = [each.replace("9464", str(server.server_address[1])) for each in check]
            done = subprocess.run([sys.executable, *step[1:]], capture_output=True, check=False, timeout=120)
            assert expected == done.returncode, done.stderr
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_the_image_copies_what_exists() -> None:
    """Each source of a COPY is a file of the checkout that the ignore file does not exclude."""
    allowed = {
        line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().split("\n") if line.startswith("!")
    }
    copied = [
        source for line in re.findall(r"^COPY (?!--from)(.*)$", IMAGE, re.MULTILINE) for source in line.split()[:-1]
    ]
    assert copied
    for source in copied:
        assert (ROOT / source.removeprefix("./")).exists()
        assert source.removeprefix("./") in allowed


@pytest.mark.soak
def test_the_steps_of_the_image_install_the_program(tmp_path: Path) -> None:
    """Run one by one in a folder, the steps of the first stage install a program with the version that was set, and the
    program accepts the options of the image's command."""
    stage = IMAGE.split("\nFROM ")[1].replace("\\\n", "")
    stage = stage.replace("/opt/reconciler", str(tmp_path / "opt")).replace(
        "python -m venv", f"{sys.executable} -m venv"
    )
    folder = tmp_path / "src"
    folder.mkdir()
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"VERSION": "9.8.7"}
    steps = 0
    for word, _, rest in (line.partition(" ") for line in stage.splitlines()[1:] if not line.startswith("#")):
        if word == "COPY":
            *sources, target = rest.split()
            for source in sources:
                into = folder / target / (Path(source).name if target == "./" else "")
                made = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
                made(ROOT / source, into)
        elif word == "RUN":
            done = subprocess.run(
                ["sh", "-ec", rest], cwd=folder, env=environ, capture_output=True, text=True, check=False
            )
            assert 0 == done.returncode, done.stderr
            steps += 1
    assert 1 == steps
    command = tmp_path / "opt/bin/reconciler"
    shown = subprocess.run([command, "--version"], capture_output=True, text=True, check=True).stdout
    assert shown.startswith("reconciler 9.8.7")
    usual = json.loads(re.findall(r"^CMD (.*)$", IMAGE, re.MULTILINE)[-1])
    done = subprocess.run([command, *usual], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "name the project folder" in done.stderr  # the folder contains no project, but the options are accepted


def test_the_steps_of_gitlab_work(world: World, tmp_path: Path) -> None:
    """The scripts of each job succeed in a clone, with the shell of the runner."""
    jobs = yaml.safe_load((DEPLOY / "gitlab-ci.yml").read_text("utf-8"))
    world.write("reconciler.yaml", project_text(ledger=f"sqlite:///{tmp_path}/ledger.sqlite"))
    world.ledger = f"sqlite:///{tmp_path}/ledger.sqlite"
    world.init()
    world.git("init", "--quiet", "--initial-branch", "main")
    world.commit()
    world.git("update-ref", "refs/remotes/origin/main", "HEAD")
    variables = {
        "TARGET": "staging",
        "AWS_TOKEN": "token",
        "CI_PROJECT_DIR": str(world.folder),
        "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
        "CI": "false",
        "PATH": f"{forked_command().parent}{os.pathsep}{os.environ['PATH']}",
    }
    for job in ("validate", "plan", "reconcile"):
        before = jobs[".aws"]["before_script"] if jobs[job].get("extends") == ".aws" else []
        script = "\n".join(["set -eu", *before, *jobs[job]["script"]])
        environment = world.environment(variables)
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=world.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        assert 0 == done.returncode, done.stderr
    assert "orders" in (world.folder / "plan.md").read_text()
    assert 2 == len(world.runs())


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    """The units are valid, and their program and user exist."""
    service = (DEPLOY / "reconciler.service").read_text()
    service = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", service, flags=re.MULTILINE).replace(
        "User=reconciler", "User=root"
    )
    (tmp_path / "reconciler.service").write_text(service)
    shutil.copy(DEPLOY / "reconciler.timer", tmp_path)
    units = [str(tmp_path / name) for name in ("reconciler.service", "reconciler.timer")]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False, timeout=240
    )
    own = [line for line in done.stderr.splitlines() if str(tmp_path) in line or line.startswith("reconciler.")]
    assert [] == own
