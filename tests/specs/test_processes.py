"""Tests that several processes read the same specs as one process does."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from reconciler.errors import Problem
from reconciler.specs import project
from reconciler.specs.processes import in_processes, processes_for
from reconciler.specs.project import Read, read_all, read_project
from reconciler.specs.spec import SpecReader
from tests.specs.builders import batch, write

FILES = {
    **{f"{name}.yaml": batch(name, f"revision: {number}") for number, name in enumerate("abcdef")},
    "broken.yaml": "kind: [",
    "float.yaml": batch("float", request="arrayProperties: {size: 0.60}"),
    "two.yaml": batch("x", "dependsOn: [{name: a}]") + "---\n" + batch("y", "labels: on"),
    "unquoted.yaml": batch("u", "timeZone: 12:30"),
}


def read(root: Path) -> Read:
    """Returns everything that is read from a project, including warnings."""
    file = read_project(root)
    problems: list[Problem] = []
    paths, _ = file.files.find(file.patterns)
    reader = SpecReader(file.project, list(file.project.spec.targets), warn=True)
    return read_all(file.files, paths, reader, problems), problems


@pytest.mark.parametrize("processes", [2, 3, 50])
def test_several_processes_read_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int):
    """Specs, problems and warnings are the same, in the same order."""
    root = write(tmp_path, FILES)
    alone = read(root)
    monkeypatch.setattr(project, "processes_for", lambda *_: processes)
    assert read(root) == alone
    assert len(alone[0]) == 10
    assert alone[1]


def test_what_a_process_did_not_read_is_read_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """If a process is killed or cannot be started, its files are read in this process."""
    root = write(tmp_path, FILES)
    alone, here = read(root), os.getpid()
    real = SpecReader.read

    def killed(self: SpecReader, view: object) -> object:
        if os.getpid() != here:
            os.kill(os.getpid(), 9)
        return real(self, view)  # type: ignore[arg-type]

    monkeypatch.setattr(project, "processes_for", lambda *_: 3)
    monkeypatch.setattr(SpecReader, "read", killed)
    assert read(root) == alone

    def no_more_processes() -> int:
        raise BlockingIOError

    monkeypatch.setattr(os, "fork", no_more_processes)
    assert read(root) == alone


def test_the_ends_of_children_may_be_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Several processes work even if SIGCHLD is ignored, as under some supervisors, although a parent then cannot wait
    for its children."""
    root = write(tmp_path, FILES)
    alone = read(root)
    monkeypatch.setattr(project, "processes_for", lambda *_: 3)
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert read(root) == alone
    finally:
        signal.signal(signal.SIGCHLD, before)


def descriptors() -> list[str]:
    """Returns the open descriptors of this process."""
    return sorted(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("size", [1, 1_000_000], ids=["small", "large"])
def test_an_error_leaves_no_process_and_no_pipe(monkeypatch: pytest.MonkeyPatch, size: int):
    """If the first part fails, all processes end and all pipes are closed, even if an unread result is too large for
    its pipe. The same is true if no process can be started."""

    def work(part: int) -> str:
        if part == 0:
            raise FileNotFoundError
        return "x" * size

    before, waited, real = descriptors(), set[int](), os.waitpid

    def waiting(process: int, options: int) -> tuple[int, int]:
        waited.add(process)
        return real(process, options)

    monkeypatch.setattr(os, "waitpid", waiting)
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            list(in_processes(work, [0, 1, 2]))
        assert descriptors() == before
        assert len(waited) == 2

        def no_more_processes() -> int:
            raise BlockingIOError

        monkeypatch.setattr(os, "fork", no_more_processes)


def test_few_files_are_read_by_one_process(monkeypatch: pytest.MonkeyPatch):
    """Another process is started only if there is enough to read, and only if no unknown threads exist."""
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    assert [processes_for(files, 400) for files in (0, 1, 500, 10_000)] == [1, 1, 1, 2]
    monkeypatch.setattr(threading, "active_count", lambda: 3)
    assert processes_for(10_000, 400) == 1
