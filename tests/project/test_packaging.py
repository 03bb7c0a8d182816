"""Checks pins, versions and licence, and how make installs."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import tomllib
from importlib.metadata import distribution, requires, version
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tests.project.place import ROOT, environment

DISTRIBUTION = "job-reconciler"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")


def _project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def _pins() -> dict[str, str]:
    lines = (ROOT / ".ci/constraints.txt").read_text("utf-8").splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): number for name, number in pairs}


def _closure(name: str, extra: str) -> set[str]:
    """Returns every distribution that `name[extra]` needs here, without itself."""
    found: set[str] = set()
    pending = [(name, extra)]
    while pending:
        owner, wanted = pending.pop()
        for requirement in map(Requirement, requires(owner) or ()):
            needed = canonicalize_name(requirement.name)
            if requirement.marker and not requirement.marker.evaluate({"extra": wanted}):
                continue
            if needed not in found:
                found.add(needed)
                pending.append((needed, next(iter(requirement.extras), "")))
    return found


def test_every_dependency_is_pinned_to_one_version():
    """The constraints name an exact version for all that the program and its development tools need."""
    assert _closure(DISTRIBUTION, "dev") <= set(_pins())
    assert all(re.fullmatch(r"[0-9]+(\.[0-9A-Za-z]+)+", number) for number in _pins().values())


def test_tests_run_with_the_pinned_versions():
    """The installed versions are the pinned ones, so that a passing run covers the pins."""
    needed = sorted(_closure(DISTRIBUTION, "dev"))

    assert {name: _pins()[name] for name in needed} == {name: version(name) for name in needed}


@pytest.mark.parametrize("python", PYTHONS)
def test_pins_are_meant_for_every_supported_python(python: str):
    """No pinned distribution that is installed here excludes one of the Python versions of the CI matrix."""
    needed = sorted({*_closure(DISTRIBUTION, "dev"), DISTRIBUTION})
    ranges = {name: ",".join(distribution(name).metadata.get_all("Requires-Python") or ()) for name in needed}

    assert [name for name, wanted in ranges.items() if f"{python}.99" not in SpecifierSet(wanted)] == []


def test_pins_satisfy_what_the_project_accepts():
    """Every pin lies in the range that pyproject.toml gives, the build backend's included."""
    project = _project()
    wanted = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["dev"],
        *project["build-system"]["requires"],
    ]

    outside = [text for text in wanted if _pins()[canonicalize_name((r := Requirement(text)).name)] not in r.specifier]

    assert outside == []


def test_the_version_is_the_same_everywhere():
    """The package's version is that of pyproject.toml and has a section in the changelog."""
    number = _project()["project"]["version"]

    assert number == version(DISTRIBUTION)
    assert f"## [{number}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_licence_is_there_and_named():
    """The licence text is in the repository and the package says which one it is."""
    assert _project()["project"]["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text("utf-8")


def _make(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in environment().items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env={**inherited, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with a space in its name, with the Makefile and what it depends on, and a `python` that writes down how
    it was called instead of installing anything."""
    folder = tmp_path / "a clone"
    (folder / ".ci").mkdir(parents=True)
    (folder / "Makefile").write_text((ROOT / "Makefile").read_text("utf-8"))
    (folder / "pyproject.toml").touch()
    (folder / ".ci/constraints.txt").touch()
    binary = folder / ".venv/bin/python"
    binary.parent.mkdir(parents=True)
    binary.write_text('#!/bin/sh\necho "$*" >> calls\nenv | grep -E "^(PIP|PYTHON)" | sort > environment\nexit 0\n')
    binary.chmod(binary.stat().st_mode | stat.S_IXUSR)
    return folder


def test_make_installs_once_and_again_when_pins_change(checkout: Path):
    """Setting up twice installs once; a newer constraints file or pyproject.toml installs again."""
    calls = checkout / "calls"

    assert _make(checkout, "setup").returncode == 0
    assert _make(checkout, "setup").returncode == 0
    once = len(calls.read_text().splitlines())
    later = (checkout / ".venv/.installed").stat().st_mtime + 10
    os.utime(checkout / ".ci/constraints.txt", (later, later))
    assert _make(checkout, "setup").returncode == 0

    assert once == 1
    assert len(calls.read_text().splitlines()) == 2


def test_make_takes_only_the_source_of_packages_from_the_environment(checkout: Path):
    """PYTHONPATH and the user's pip options do not reach the installation; the package index does."""
    foreign = {"PYTHONPATH": "/nowhere", "PIP_TARGET": "/nowhere", "PIP_NO_DEPS": "1", "PIP_REQUIRE_HASHES": "1"}

    _make(checkout, "setup", PIP_INDEX_URL="https://index.example/simple", **foreign)

    seen = dict(line.split("=", 1) for line in (checkout / "environment").read_text().splitlines())
    assert foreign.keys() & seen.keys() == set()
    assert seen["PIP_INDEX_URL"] == "https://index.example/simple"
    assert seen["PIP_CONSTRAINT"] == ".ci/constraints.txt"


def test_make_names_a_python_that_is_too_old(checkout: Path, tmp_path: Path):
    """With a Python before 3.11 make says which one it found and how to choose another."""
    old = tmp_path / "python-old"
    old.write_text('#!/bin/sh\ncase "$*" in *version_info*) exit 1;; *-V*) echo "Python 3.9.2";; esac\n')
    old.chmod(0o755)
    (checkout / ".venv/bin/python").unlink()

    done = _make(checkout, "setup", f"PYTHON={old}")

    assert done.returncode != 0
    assert "Python 3.9.2. Python 3.11 or newer is needed" in done.stderr


def test_make_alone_lists_the_targets():
    """Without a target make prints every target with a line of help and does nothing."""
    done = _make(ROOT)

    assert done.returncode == 0
    listed = {line.split()[1] for line in done.stdout.splitlines()}
    assert listed >= {"demo", "test", "check", "soak", "bench", "clean"}


def test_ci_script_runs_both_commands_and_fails_with_either(tmp_path: Path):
    """.ci/run calls `make test` and `make check` as they are, both of them, and fails if one of them does."""
    fake = tmp_path / "bin/make"
    fake.parent.mkdir()
    fake.write_text(f'#!/bin/sh\necho "$* CI=$CI" >> {tmp_path}/calls\n[ "$1" != "$FAILING" ]\n')
    fake.chmod(0o755)
    path = f"{fake.parent}{os.pathsep}{os.environ['PATH']}"

    codes = {
        failing: subprocess.run(
            [ROOT / ".ci/run"], env={**os.environ, "PATH": path, "FAILING": failing}, check=False
        ).returncode
        for failing in ("none", "test", "check")
    }

    assert codes == {"none": 0, "test": 1, "check": 1}
    assert (tmp_path / "calls").read_text().splitlines() == ["test CI=true", "check CI=true"] * 3
