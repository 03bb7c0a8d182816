"""Contains the paths of the checkout, and functions that run programs in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.project.preloaded import command

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
INSTALLED = BIN / "reconciler"
COMMAND = "reconciler"
"""The installed command, looked up on the PATH of `environment`. It runs in a forked process, which is much faster."""


def environment(**more: str) -> dict[str, str]:
    """Returns the test's environment, with the command on PATH and without the developer's git settings."""
    who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in _PERSON.items()}
    plain = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "COLUMNS": "100", "NO_COLOR": "1"}
    path = os.pathsep.join([str(command()), str(BIN), os.environ["PATH"]])
    return {**os.environ, "PATH": path, **who, **plain, **more}


_PERSON = {"NAME": "Team", "EMAIL": "team@example.com"}


def run(
    arguments: Sequence[str | Path], cwd: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs a program without a terminal and without input; does not raise an error for its exit code."""
    return subprocess.run(
        [str(argument) for argument in arguments],
        cwd=cwd,
        env=dict(env or environment()),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def git(cwd: Path, *arguments: str) -> str:
    """Runs git, which must succeed, and returns what it printed."""
    done = run(["git", *arguments], cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def commit(cwd: Path, subject: str) -> str:
    """Commits everything below `cwd`, and returns the commit."""
    git(cwd, "add", "--all")
    git(cwd, "commit", "--quiet", "--message", subject)
    return git(cwd, "rev-parse", "HEAD")


def project_copy(folder: Path, *, instant: bool = True) -> Path:
    """Creates a git repository in `folder` with a committed copy of specs/, and returns `folder`.

    With `instant`, runs on its emulator end at once, so that tests need not wait for them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(ROOT / "specs", folder / "specs", ignore=shutil.ignore_patterns(".reconciler"))
    if instant:
        project = folder / "specs" / "reconciler.yaml"
        project.write_text(project.read_text("utf-8").replace("emulator: true", "emulator: {runSeconds: 0}"), "utf-8")
    (folder / ".gitignore").write_text(".reconciler/\n.venv\n")
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "config", "user.email", _PERSON["EMAIL"])
    commit(folder, "Specs")
    return folder
