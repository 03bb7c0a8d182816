"""Tests pins, versions and the licence, and how make installs."""

from __future__ import annotations

import io
import json
import os
import re
import runpy
import stat
import subprocess
import sys
import tomllib
import warnings
from contextlib import redirect_stdout
from importlib.metadata import distribution, requires, version
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from reconciler import __version__
from tests.project.place import INSTALLED, ROOT, commit, environment, git, run

DISTRIBUTION = "job-reconciler"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")


def _project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def _pins() -> dict[str, str]:
    lines = (ROOT / ".ci/constraints.txt").read_text("utf-8").splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): number for name, number in pairs}


def _closure(name: str, extra: str) -> set[str]:
    """Returns every distribution that `name[extra]` needs here, except itself."""
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
    """The constraints contain an exact version of everything that the program and its development tools need."""
    assert _closure(DISTRIBUTION, "dev") <= set(_pins())
    assert all(re.fullmatch(r"[0-9]+(\.[0-9A-Za-z]+)+", number) for number in _pins().values())


def test_tests_run_with_the_pinned_versions():
    """The installed versions equal the pinned ones, so that a passing run is evidence for the pins."""
    needed = sorted(_closure(DISTRIBUTION, "dev"))

    assert {name: _pins()[name] for name in needed} == {name: version(name) for name in needed}


@pytest.mark.parametrize("python", PYTHONS)
def test_pins_are_meant_for_every_supported_python(python: str):
    """No pinned distribution that is installed here excludes a Python version of the CI matrix."""
    needed = sorted({*_closure(DISTRIBUTION, "dev"), DISTRIBUTION})
    ranges = {name: ",".join(distribution(name).metadata.get_all("Requires-Python") or ()) for name in needed}

    assert [name for name, wanted in ranges.items() if f"{python}.99" not in SpecifierSet(wanted)] == []


def test_pins_satisfy_what_the_project_accepts():
    """Every pin, including that of the build backend, is within the range in pyproject.toml."""
    project = _project()
    wanted = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["dev"],
        *project["build-system"]["requires"],
    ]

    outside = [text for text in wanted if _pins()[canonicalize_name((r := Requirement(text)).name)] not in r.specifier]

    assert outside == []


def test_the_version_is_the_one_that_was_built():
    """The package and its metadata have the same version, and --version adds the commit."""
    done = run([INSTALLED, "--version"], ROOT)

    assert __version__ == version(DISTRIBUTION)
    assert re.fullmatch(rf"reconciler {re.escape(__version__)}( \(commit [0-9a-f]{{7,40}}\))?\n", done.stdout)


def _scm_version(folder: Path) -> str:
    """Returns the version that a build of the files in `folder` gets, with the settings of this project."""
    (folder / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text("utf-8"))
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["setuptools_scm"])
        with warnings.catch_warnings(action="ignore"), pytest.raises(SystemExit) as end:  # faster than a process
            runpy.run_module("setuptools_scm", run_name="__main__")
    assert end.value.code in {None, 0}
    return printed.getvalue().strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A git repository with one commit of this project's settings."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch", "main")
    for name in ("pyproject.toml", ".git_archival.txt", ".gitattributes"):
        (folder / name).write_text((ROOT / name).read_text("utf-8"))
    commit(folder, "Files")
    return folder


def _archive(repository: Path, folder: Path) -> Path:
    """Unpacks an archive of the newest commit, as GitHub creates it, and returns its folder."""
    folder.mkdir()
    git(repository, "archive", "--output", f"{folder}.tar", "HEAD")
    run(["tar", "xf", f"{folder}.tar"], folder)
    return folder


def test_the_version_comes_from_the_newest_tag(repository: Path, tmp_path: Path):
    """Without tags, the version is a development version of the next release. At a tag, even in an archive of it, the
    version is the tag. After a tag, it is a development version of the next patch. A build from a shallow clone, or
    from plain files without git, is possible too."""
    before, untagged = _scm_version(repository), _archive(repository, tmp_path / "untagged")
    git(repository, "tag", "v0.2.0")
    tagged, archive = _scm_version(repository), _archive(repository, tmp_path / "archive")
    shallow, plain = tmp_path / "shallow", tmp_path / "plain"
    plain.mkdir()
    (repository / "more").write_text("more")
    commit(repository, "More")
    git(tmp_path, "clone", "--quiet", "--depth", "1", "--no-tags", f"file://{repository}", str(shallow))

    assert re.fullmatch(r"0\.2\.0\.dev1\+g[0-9a-f]+", before)
    assert (tagged, _scm_version(archive), _scm_version(untagged)) == ("0.2.0", "0.2.0", "0.2.0.dev0")
    assert re.fullmatch(r"0\.2\.1\.dev1\+g[0-9a-f]+", _scm_version(repository))
    assert re.fullmatch(r"0\.2\.0\.dev1\+g[0-9a-f]+", _scm_version(shallow))
    assert _scm_version(plain) == "0.2.0.dev0"


SECTIONS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security", "Not yet")


def test_the_changelog_is_in_order():
    """The changelog starts with the unreleased changes. Each version follows once, newest first, with the usual
    headings. Each tag in this clone has a section."""
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    versions = re.findall(r"^## \[([^]]+)\](?: - \d{4}-\d\d-\d\d)?$", text, re.MULTILINE)
    released = [Version(number) for number in versions[1:]]
    tags = [tag.removeprefix("v") for tag in git(ROOT, "tag", "--list", "v[0-9]*").split()]

    assert len(versions) == len(re.findall(r"^## ", text, re.MULTILINE))
    assert versions[0] == "Unreleased"
    assert released == sorted(set(released), reverse=True)
    assert set(re.findall(r"^### (.+)$", text, re.MULTILINE)) <= set(SECTIONS)
    assert set(tags) <= set(versions)


@pytest.mark.soak
def test_a_release_is_built_from_a_tag_with_a_section_in_the_changelog(tmp_path: Path):
    """The release contains an sdist and a wheel with the version of the tag, an SBOM, and the notes of the section. If
    the changelog has no section for the version, the release fails. The same wheel can be built from the sdist
    alone."""
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(ROOT), str(clone))
    git(clone, "tag", "v0.2.0")
    missing = run([".ci/release.sh", "v0.2.0"], clone)
    changelog = clone / "CHANGELOG.md"
    changelog.write_text(changelog.read_text("utf-8").replace("## [Unreleased]", "## [0.2.0] - 2026-12-01", 1))
    commit(clone, "Release")
    git(clone, "tag", "--force", "v0.2.0")

    done = subprocess.run(
        [clone / ".ci/release.sh", "v0.2.0"], cwd=clone, env=environment(), capture_output=True, text=True, check=False
    )
    names = sorted(path.name for path in (clone / "release/dist").iterdir())

    assert missing.returncode == 1
    assert "no section" in missing.stderr
    assert done.returncode == 0, done.stdout + done.stderr
    assert names == ["job_reconciler-0.2.0-py3-none-any.whl", "job_reconciler-0.2.0.tar.gz"]
    assert "reconciler 0.2.0 (commit " in done.stdout
    assert "### Added" in (clone / "release/notes.md").read_text("utf-8")
    parts = {part["name"] for part in json.loads((clone / "release/sbom.cdx.json").read_text("utf-8"))["components"]}
    assert {"job-reconciler", "boto3", "pydantic"} <= parts


def test_licence_is_there_and_named():
    """The licence text is in the repository, and the package metadata contains its name."""
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
        timeout=300,
        check=False,
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Returns a folder with a space in its name that contains the Makefile, the files that it depends on, and a
    `python` that records its installations instead of installing packages."""
    folder = tmp_path / "a clone"
    (folder / ".ci").mkdir(parents=True)
    (folder / "Makefile").write_text((ROOT / "Makefile").read_text("utf-8"))
    (folder / "pyproject.toml").touch()
    (folder / ".ci/constraints.txt").touch()
    binary = folder / ".venv/bin/python"
    binary.parent.mkdir(parents=True)
    record = 'echo "$*" >> calls\nenv | grep -E "^(PIP|PYTHON)" | sort > environment'
    binary.write_text(f'#!/bin/sh\ncase "$*" in *"pip install"*)\n{record}\nesac\nexit 0\n')
    binary.chmod(binary.stat().st_mode | stat.S_IXUSR)
    return folder


def test_make_installs_once_and_again_when_pins_change(checkout: Path):
    """A second setup installs nothing. After a change of the constraints file or pyproject.toml, make installs
    again."""
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
    """The installation ignores PYTHONPATH and the user's pip options, except for the package index."""
    foreign = {"PYTHONPATH": "/nowhere", "PIP_TARGET": "/nowhere", "PIP_NO_DEPS": "1", "PIP_REQUIRE_HASHES": "1"}

    _make(checkout, "setup", PIP_INDEX_URL="https://index.example/simple", **foreign)

    seen = dict(line.split("=", 1) for line in (checkout / "environment").read_text().splitlines())
    assert foreign.keys() & seen.keys() == set()
    assert seen["PIP_INDEX_URL"] == "https://index.example/simple"
    assert seen["PIP_CONSTRAINT"] == ".ci/constraints.txt"


def test_make_names_a_python_that_is_too_old(checkout: Path, tmp_path: Path):
    """With a Python before 3.11, make prints its version and how to choose another one."""
    old = tmp_path / "python-old"
    old.write_text('#!/bin/sh\ncase "$*" in *version_info*) exit 1;; *-V*) echo "Python 3.9.2";; esac\n')
    old.chmod(0o755)
    (checkout / ".venv/bin/python").unlink()

    done = _make(checkout, "setup", f"PYTHON={old}")

    assert done.returncode != 0
    assert "Python 3.9.2. Python 3.11 or newer is needed" in done.stderr


def test_make_alone_lists_the_targets():
    """Without a target, make prints every target with its help, and does nothing else."""
    done = _make(ROOT)

    assert done.returncode == 0
    listed = {line.split()[1] for line in done.stdout.splitlines()}
    assert listed >= {"demo", "test", "check", "soak", "bench", "clean"}


@pytest.mark.parametrize(("measure", "measured"), [("", [False, True]), ("1", [True, False])])
def test_ci_runs_the_tests_once(measure: str, measured: list[bool]):
    """With MEASURE, as in CI, `make test` measures coverage, and `make check` reports it without running the tests
    again."""
    commands = [_make(ROOT, "-n", goal, MEASURE=measure).stdout for goal in ("test", "coverage")]

    assert [" --cov " in text for text in commands] == measured
    assert ("pytest" in commands[1], "coverage report" in commands[1]) == (not measure, bool(measure))


def test_ci_script_runs_both_commands_and_fails_with_either(tmp_path: Path):
    """.ci/run calls both `make test` and `make check` unchanged, and fails if either fails."""
    fake = tmp_path / "bin/make"
    fake.parent.mkdir()
    fake.write_text(f'#!/bin/sh\necho "$* CI=$CI MEASURE=$MEASURE" >> {tmp_path}/calls\n[ "$1" != "$FAILING" ]\n')
    fake.chmod(0o755)
    path = f"{fake.parent}{os.pathsep}{os.environ['PATH']}"

    codes = {
        failing: subprocess.run(
            [ROOT / ".ci/run"], env={**os.environ, "PATH": path, "FAILING": failing}, check=False
        ).returncode
        for failing in ("none", "test", "check")
    }

    assert codes == {"none": 0, "test": 1, "check": 1}
    assert (tmp_path / "calls").read_text().splitlines() == ["test CI=true MEASURE=1", "check CI=true MEASURE=1"] * 3
