"""Tests `ledger export --snapshot` and `plan --ledger-snapshot`: the plan is the same, without credentials, network or
secrets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.cli import audited
from tests.cli.world import World, finished

FROM_FILE = ("--no-refresh", "--ledger-snapshot", "../ledger.snapshot")
SECRET = "hunter2-of-the-database"
CANARY = "canary-in-the-environment"


def canonical(form: Any) -> bytes:
    """Returns the bytes over which the seal is computed."""
    return json.dumps(form, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def export(world: World) -> Path:
    """Exports the ledger to a file next to the project."""
    done = world.run("ledger", "export", "--snapshot", "../ledger.snapshot")
    assert (0, "") == (done.code, done.out), done.err
    return world.folder.parent / "ledger.snapshot"


_exported: list[str] = []


def export_of_one(world: World) -> Path:
    """Exports the ledger of a project with one run, once for all tests, and changes the spec of the run."""
    if not _exported:
        world.batch("orders")
        assert world.run("apply", "--yes").code == 0
        _exported.append(export(world).read_text())
    file = world.folder.parent / "ledger.snapshot"
    file.write_text(_exported[0])
    world.batch("orders", "B")
    return file


def forge(file: Path, change: Callable[[Any], None]) -> None:
    """Changes an export and recomputes its seal, which needs no key."""
    form = json.loads(file.read_text())
    del form["seal"]
    change(form)
    file.write_text(json.dumps({**form, "seal": f"sha256:{sha256(canonical(form)).hexdigest()}"}))


def as_json(world: World, *arguments: str) -> Any:
    """Returns the JSON of a plan without its creation time."""
    done = world.run("plan", "--format", "json", "--at", "2026-11-29T12:00:00Z", *arguments)
    assert 0 == done.code, done.err
    return {**done.json, "created_at": None}


@pytest.fixture
def busy(world: World) -> World:
    """A project with live, failed, scheduled and waiting runs, whose specs have since changed in every way."""
    world.git("init", "--quiet")
    for name in ("changed", "removed", "renamed", "same", "revised"):
        world.batch(name)
    world.spark("nightly", schedule='"0 2 * * *"')
    world.spark("after", dependsOn="[{name: same}]")
    world.commit()
    assert world.run("apply", "--yes").code == 0
    world.batch("changed", "B", deletionPolicy="Cancel")
    (world.folder / "removed.yaml").unlink()
    (world.folder / "renamed.yaml").unlink()
    world.write(
        "fresh.yaml", world.batch("fresh").read_text().replace("name: fresh", "name: fresh\n  renamedFrom: renamed")
    )
    world.batch("revised", revision="2")
    world.spark("nightly", "B", schedule='"0 3 * * *"')
    world.batch("new")
    world.commit("Changes")
    return world


def test_the_plan_is_that_of_the_ledger(busy: World) -> None:
    """The plan from a file equals a plan from the ledger without AWS: actions, changes, fields and plan id."""
    expected = as_json(busy, "--no-refresh")
    assert 6 == len(expected["changes"])
    export(busy)
    (busy.folder / "ledger.sqlite").unlink()
    assert expected == as_json(busy, *FROM_FILE)


def test_secrets_are_masked_and_what_is_unknown_is_shown(world: World) -> None:
    """The file contains no secrets and no names of operators, and the plan lists the values that it cannot compare."""
    text = world.batch("orders").read_text() + f"      environment: [{{name: DB_PASSWORD, value: {SECRET}}}]\n"
    world.write("orders.yaml", text)
    assert world.run("apply", "--yes").code == 0
    content = export(world).read_text()
    assert SECRET not in content
    assert "(sensitive)" in content
    assert [""] in json.loads(content)["state"]["submissions"]["columns"]  # the actor
    world.write("orders.yaml", text.replace('"A"', '"B"'))
    masked, whole = as_json(world, *FROM_FILE), as_json(world, "--no-refresh")
    assert whole["plan_id"] == masked["plan_id"]
    assert whole["changes"][0]["fields"] == masked["changes"][0]["fields"]
    (warning,) = masked["warnings"]
    assert "unknown whether these change: containerOverrides.environment[0].value" in warning
    assert "orders" in warning
    assert [] == whole["warnings"]


def test_it_works_before_the_first_apply(world: World) -> None:
    """If the ledger has no intents, or if there is no ledger, the plan treats every spec as new."""
    world.batch("orders")
    for target in ("staging", "local"):
        done = world.run("ledger", "export", "-t", target, "--snapshot", "../ledger.snapshot")
        assert 0 == done.code, done.err
        assert [("orders", "submit")] == world.run("plan", "-t", target, "--format", "json", *FROM_FILE).actions(
            "name", "action"
        )


def _set(path: tuple[Any, ...], value: Any) -> Callable[[Any], None]:
    def change(form: Any) -> None:
        for key in path[:-1]:
            form = form[key]
        form[path[-1]] = value

    return change


COLUMNS = ("state", "submissions", "columns")

FORGERIES: dict[str, Callable[[Any], None]] = {
    "another version": _set(("fold",), "0" * 32),
    "another format": _set(("format",), 2),
    "another place": _set(("place", "target"), "prod"),
    "no state": _set(("state",), []),
    "a wrong type": _set((*COLUMNS, 3, 1, 0), "one"),
    "a list for a text": _set((*COLUMNS, 1, 0), ["BatchJob"]),
    "a text for a list": _set((*COLUMNS, 8, 0), "abc"),
    "a text for a column": _set((*COLUMNS, 8), "abc"),
    "an unknown phase": _set((*COLUMNS, 7, 0), "finished"),
    "no sends": lambda form: form["state"]["submissions"]["columns"].__setitem__(slice(7, 9), [["intended"], [[]]]),
    "a reference to nothing": _set(("state", "specs", 1, 3, 0), [99]),
    "another position": _set(("position",), 99),
    "a negative position": lambda form: form.update(position=-1, state={**form["state"], "position": -1}),
    "a batch beyond the end": _set(("batches", "99"), "{}"),
    "a batch that is none": lambda form: form["batches"].update(dict.fromkeys(form["batches"], "[]")),
    "no batches": _set(("batches",), {}),
    "deep nesting": lambda form: form.update(more=json.loads("[" * 150 + "]" * 150)),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_file_is_refused(world: World, name: str) -> None:
    """A forged file with a correct seal leads to an error message of one sentence, never to an internal error."""
    forge(export_of_one(world), FORGERIES[name])
    done = world.run("plan", *FROM_FILE)
    assert (1, "") == (done.code, done.out)
    assert done.err.startswith("Error: ")
    assert "snapshot" in done.err
    assert 1 == len(done.err.splitlines())


def test_files_that_are_no_exports_are_refused(world: World) -> None:
    """Damaged files, other files, YAML bombs and paths that are not files lead to an error message of one sentence."""
    file = export(world)
    good = file.read_text()
    os.mkfifo(world.folder.parent / "pipe")
    bombs = ["[" * 200_000, '{"format": 1, "x": ' + "9" * 10_000 + "}", "[" + "[]," * 9_000_000 + "0]"]
    for content in (good[:-20], good.replace('"position":1', '"position":2'), "", "{}", "[]", "\x00", *bombs):
        file.write_text(content)
        done = world.run("plan", *FROM_FILE)
        assert (1, 1) == (done.code, len(done.err.splitlines())), (content[:40], done.err)
        assert "ledger snapshot ../ledger.snapshot" in done.err
    for name in ("pipe", "missing"):
        done = world.run("plan", "--no-refresh", "--ledger-snapshot", f"../{name}")
        assert (1, 1) == (done.code, len(done.err.splitlines()))


def test_options_that_need_aws_or_the_ledger_are_refused(world: World) -> None:
    """A plan from a snapshot file does not call AWS and cannot be saved. A snapshot export cannot select events."""
    export(world)
    assert 64 == world.run("plan", "--ledger-snapshot", "../ledger.snapshot").code
    assert 64 == world.run("plan", *FROM_FILE, "--out", "plan").code
    assert 64 == world.run("ledger", "export", "--snapshot", "x", "--after", "1").code


STRANGER = """\
apiVersion: reconciler/v1
kind: BatchJob
metadata: {name: stranger}
spec:
  request:
    jobQueue: nightly
    jobDefinition: worker:1
    containerOverrides:
      command: ["$(touch executed)", "`touch executed`", "$$HOME", "$CANARY", "$${CANARY}", "file:///etc/passwd"]
"""
REFUSED = {
    "placeholder.yaml": STRANGER.replace("$CANARY", "${env.CANARY}"),
    "tag.yaml": STRANGER.replace("[stranger]", "!!python/object/apply:os.system ['touch executed']"),
    "include.yaml": STRANGER.replace("jobQueue: nightly", "jobQueue: !include /etc/passwd"),
}


def test_a_strangers_project_can_do_nothing(world: World, tmp_path: Path) -> None:
    """Whatever the specs and the checkout contain, a plan from a file runs only git, reads only the project and the
    program, opens no connection and no ledger, writes nothing, and prints nothing from the environment."""
    world.git("init", "--quiet")
    world.write(".gitattributes", "*.yaml filter=evil\n")
    world.write("stranger.yaml", STRANGER)
    world.commit()
    world.write(".git/hooks/post-index-change", "#!/bin/sh\ntouch executed\n").chmod(0o755)
    world.git("config", "core.fsmonitor", "touch executed; false")
    world.git("config", "filter.evil.clean", "touch executed; cat")
    file, before = export(world), world.files()
    (world.folder / "ledger.sqlite").unlink()
    done, seen = _audited(world, tmp_path / "report.json")
    assert (0, True) == (done.returncode, "stranger will be submitted" in done.stdout), done.stderr
    _check_harmless(world, file, seen)

    for name, text in REFUSED.items():
        world.write(name, text)
    (world.folder / "link.yaml").symlink_to("/etc/passwd")
    refused, seen = _audited(world, tmp_path / "report.json")
    assert 1 == refused.returncode
    _check_harmless(world, file, seen)
    for output in (done.stdout, done.stderr, refused.stdout, refused.stderr):
        assert CANARY not in output
        assert "root:" not in output
    assert not (world.folder / "executed").exists()
    assert {name for name in before if name != "ledger.sqlite"} == set(world.files()) - {*REFUSED, "link.yaml"}


def _audited(world: World, report: Path) -> tuple[subprocess.CompletedProcess[str], list[list[str]]]:
    """Runs a plan in a separate process, and returns the recorded events."""
    names, more = ("PATH", "HOME", "LANG"), {"CANARY": CANARY, "PYTHONDONTWRITEBYTECODE": "1"}
    process = subprocess.Popen(
        [sys.executable, audited.__file__, str(report), "plan", *FROM_FILE],
        cwd=world.folder,
        env={**{name: os.environ[name] for name in names if name in os.environ}, **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    done = finished(process, 120.0)
    seen: list[list[str]] = json.loads(report.read_text())["seen"]
    return subprocess.CompletedProcess([], done.code, done.out, done.err), seen


def _check_harmless(world: World, export: Path, seen: list[list[str]]) -> None:
    """Asserts that each event is a read of an expected file, a run of git, or part of Python's own start."""
    program = str(Path(__file__).parents[2] / "reconciler")
    readable = [str(world.folder), program, sys.prefix, f"{sys.base_prefix}/lib", "/usr/share/zoneinfo", os.devnull]
    assert any(event[0] == "open" and event[1] == str(world.folder / "stranger.yaml") for event in seen)
    for event, *what in seen:
        if event == "open":
            finder = what[0].startswith("__editable__.")  # by Python, for a package installed from its checkout
            known = what[0] in {"../ledger.snapshot", str(export)} or what[0].startswith(tuple(readable))
            assert finder or known, what
            assert not int(what[2]) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC), what
        elif event == "subprocess.Popen":
            assert "git" == what[0]
            assert "core.fsmonitor=false" in what
        elif event == "socket.bind":  # urllib3 checks for IPv6 when it is imported
            assert "('::1', 0)" == what[1]
        else:
            assert event in {"socket.__new__", "os.putenv", "os.unsetenv"}, (event, what)
