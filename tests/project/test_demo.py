"""Runs the script of `make demo`."""

from __future__ import annotations

from pathlib import Path

from tests.project.place import ROOT, environment, run
from tests.project.preloaded import command


def test_demo_shows_the_whole_workflow_and_leaves_no_files(tmp_path: Path):
    """Nine jobs are submitted, a second plan has no changes, an edit is planned field by field, and `why` shows its
    commit."""
    done = run([ROOT / ".ci/demo.sh"], tmp_path, environment(DEMO_BIN=str(command()), TMPDIR=str(tmp_path)))

    assert done.returncode == 0, done.stdout + done.stderr
    commands = [line.removeprefix("$ ") for line in done.stdout.splitlines() if line.startswith("$ reconciler ")]
    words = [command.split()[1] for command in commands]
    assert words == ["validate", "plan", "apply", "plan", "plan", "apply", "reconcile", "status", "why"]
    assert "Apply complete: 9 submitted." in done.stdout
    assert "No changes. 9 in sync." in done.stdout
    assert '~ jobDriver.sparkSubmit.conf["spark.executor.memory"]: "4g" -> "8g"' in done.stdout
    assert "Apply complete: 1 submitted." in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_demo_stops_at_the_first_unexpected_exit_code(tmp_path: Path):
    """If a command exits with an unexpected code, the demo fails and prints the command."""
    broken = tmp_path / "bin/reconciler"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho broken\nexit 1\n")
    broken.chmod(0o755)

    done = run([ROOT / ".ci/demo.sh"], tmp_path, environment(DEMO_BIN=str(broken.parent), TMPDIR=str(tmp_path)))

    assert done.returncode == 1
    assert 'demo: "reconciler validate" exited with code 1 instead of 0' in done.stderr
