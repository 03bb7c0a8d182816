"""Adds a third service exactly as docs/adding-a-service.md describes: new files, one line in the registry, nothing
else."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from textwrap import indent
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.cli.world import Done, project_text

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "adding-a-service.md").read_text("utf-8")
CLUSTER = "0123456789abcdef"
IDENTITY = (
    "<GetCallerIdentityResponse xmlns='https://sts.amazonaws.com/doc/2011-06-15/'><GetCallerIdentityResult>"
    "<Account>111122223333</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
)


class FakeAws:
    """A fake of EMR on EKS and STS in memory, over HTTP, with four operations. `runs` are the accepted runs, by id."""

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, Any]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def environment(self) -> dict[str, str]:
        """Returns the environment variables that make boto3 call this server."""
        url = f"http://127.0.0.1:{self._server.server_address[1]}"
        keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        return {**keys, "AWS_ENDPOINT_URL_EMR_CONTAINERS": url, "AWS_ENDPOINT_URL_STS": url}

    def start(self, request: dict[str, Any]) -> dict[str, Any]:
        """Accepts a run. The same client token returns the same run."""
        for run in self.runs.values():
            if run["clientToken"] == request["clientToken"]:
                return run
        run_id = f"run{len(self.runs) + 1}"
        run = {**request, "id": run_id, "arn": f"arn:{run_id}", "virtualClusterId": CLUSTER, "state": "RUNNING"}
        self.runs[run_id] = {**run, "createdAt": "2026-11-22T02:00:00Z"}
        return self.runs[run_id]

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """Returns the status and the content of a reply: JSON, or text for STS's XML."""
        if path == "/":
            return 200, IDENTITY
        run_id = path.removeprefix(f"/virtualclusters/{CLUSTER}/jobruns").removeprefix("/")
        if method == "POST":
            return 200, self.start(json.loads(body))
        if not run_id:
            return 200, {"jobRuns": [{"id": each, "state": run["state"]} for each, run in self.runs.items()]}
        if run_id not in self.runs:
            return 404, {"message": "no such run"}
        if method == "DELETE":
            self.runs[run_id]["state"] = "CANCELLED"
        return 200, {"jobRun": self.runs[run_id]}

    def close(self) -> None:
        """Stops the server."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(aws: FakeAws) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, form = aws.answer(self.command, urlsplit(self.path).path, body)
            raw = (form if isinstance(form, str) else json.dumps(form)).encode()
            self.send_response(status)
            self.send_header("x-amzn-RequestId", "1-2-3")
            if status == 404:
                self.send_header("x-amzn-ErrorType", "ResourceNotFoundException")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - the names that the library gives them

        def log_message(self, *_: object) -> None:
            """Logs nothing."""

    return Handler


def blocks(language: str) -> list[str]:
    """Returns the code blocks of the page in one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


MODEL, REGISTRY_LINE, ADAPTER, METHODS, FACTS = blocks("python")
SPEC, *_ = blocks("yaml")


SHELL = """\
import io, json, sys
from contextlib import redirect_stderr, redirect_stdout
from reconciler.cli import main
for line in sys.stdin:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(json.loads(line))
    print(json.dumps([code, out.getvalue(), err.getvalue()]), flush=True)
"""
"""Runs commands, one per line, in one process, because starting a process takes longer than running most commands."""


@dataclass
class Installation:
    """A copy of the package with the new service, a project with one spec for it, and its fake AWS."""

    package: Path
    project: Path
    aws: FakeAws = field(default_factory=FakeAws)
    shell: subprocess.Popen[str] | None = None

    def add_service(self, *, inventory: bool = False) -> None:
        """Follows the page: adds two new files and one line. With `inventory`, also follows the optional section."""
        model = self.package / "model" / "emr_containers"
        model.mkdir()
        (model / "__init__.py").write_text('"""Job runs of EMR on EKS."""\n')
        (model / "kind.py").write_text(MODEL)
        registry = self.package / "model" / "kind.py"
        before, opening, after = registry.read_text().partition("MODULES = {\n")
        registry.write_text(before + opening + REGISTRY_LINE + after)
        adapter = ADAPTER
        if inventory:
            first_function = "\n\ndef _report_of("
            methods = indent(METHODS, "    ")
            adapter = ADAPTER.replace(first_function, f"\n{methods}{first_function}") + f"\n\n{FACTS}"
        (self.package / "aws" / "emr_containers.py").write_text(adapter)
        assert self.run("ledger", "init").code == 0

    def run(self, *arguments: str) -> Done:
        """Runs a command with this copy of the package, in a new process that does not import the original."""
        if self.shell is None:
            self.shell = subprocess.Popen(
                [sys.executable, "-c", SHELL],
                cwd=self.project,
                env={**os.environ, **self.aws.environment, "PYTHONPATH": str(self.package.parent)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self.shell.stdin is not None
        assert self.shell.stdout is not None
        self.shell.stdin.write(json.dumps(arguments) + "\n")
        self.shell.stdin.flush()
        return Done(*json.loads(self.shell.stdout.readline()))

    def close(self) -> None:
        """Stops the process and the fake AWS."""
        if self.shell is not None:
            self.shell.communicate()
        self.aws.close()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Yields a package with the service but without the optional section. The tests with it may run in any order."""
    with installed(tmp_path_factory.mktemp("service")) as made:
        made.add_service()
        yield made


@contextmanager
def installed(folder: Path) -> Iterator[Installation]:
    """Yields the package as it is shipped, and a project with the spec of the page."""
    package, project = folder / "copy" / "reconciler", folder / "project"
    shutil.copytree(ROOT / "reconciler", package)
    project.mkdir()
    (project / "reconciler.yaml").write_text(project_text())
    (project / "orders.yaml").write_text(SPEC)
    made = Installation(package, project)
    try:
        yield made
    finally:
        made.close()


def test_a_service_plans_applies_and_ends(service: Installation) -> None:
    """The new kind is validated, planned, submitted once with our tags, observed to its end, and cancelled."""
    assert service.run("validate").code == 0
    assert "orders" in service.run("plan").out
    applied = service.run("apply", "--yes")

    assert applied.code == 0, applied.err
    (run,) = service.aws.runs.values()
    assert run["tags"]["reconciler:spec"] == "shop/staging/orders"
    assert run["tags"]["reconciler:token"] == run["clientToken"]
    assert "No changes" in service.run("plan").out
    assert service.run("cancel", "orders", "--yes").code == 0
    assert run["state"] == "CANCELLED"
    assert len(service.aws.runs) == 1


def test_a_service_without_an_inventory(service: Installation) -> None:
    """Without the optional section, fsck reports that it cannot compare the kind, and adopt refuses."""
    assert service.run("apply", "--yes").code == 0

    compared = service.run("fsck")
    adopted = service.run("adopt", "orders", "run2", "--yes")

    assert compared.code == 0, compared.err
    assert "[SKIP] EmrContainersJobRun cannot be compared" in compared.out
    assert adopted.code == 1
    assert "run2 cannot be adopted" in adopted.err


def test_a_service_with_an_inventory_adopts_and_compares(tmp_path: Path) -> None:
    """With the optional section, a run that somebody else started can be adopted, and fsck reports a missing run."""
    with installed(tmp_path) as installation:
        installation.add_service(inventory=True)
        request = {"clientToken": "by-hand", "name": "orders", "executionRoleArn": "arn", "tags": {}}
        installation.aws.start(request)

        adopted = installation.run("adopt", "orders", "run1", "--yes")
        compared = installation.run("fsck")
        installation.aws.runs.clear()
        missing = installation.run("fsck")

    assert adopted.code == 0, adopted.err
    assert (compared.code, "virtual cluster 0123456789abcdef: 1 run" in compared.out) == (0, True), compared.out
    assert missing.code == 3, missing.out
    assert "[NG] run run1 of orders" in missing.out
