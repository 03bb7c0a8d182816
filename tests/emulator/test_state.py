"""The state file: kept, shared, and refused where it is none."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from reconciler.emulator import Emulator, Settings
from reconciler.emulator.state import FORMAT, State, StateUnusable
from tests.emulator.conftest import client, job_request, run_request

SUBMITTER = """
import sys
from pathlib import Path
from reconciler.emulator import Emulator
from tests.emulator.conftest import client, job_request, run_request
with Emulator(Path(sys.argv[1])) as emulator:
    emr, batch = client("emr-serverless", emulator.url), client("batch", emulator.url)
    for number in range(12):
        print(emr.start_job_run(**run_request(clientToken=f"t{number}"))["jobRunId"])
        batch.submit_job(**job_request())
    emr.close(), batch.close()
"""


def test_runs_and_settings_outlive_the_emulator(tmp_path: Path) -> None:
    """The next one finds them in the file; settings that are given replace the ones in it."""
    path = tmp_path / ".reconciler" / "aws-local.sqlite"
    with Emulator(path, Settings(run_seconds=7)) as emulator:
        batch = client("batch", emulator.url)
        job_id = batch.submit_job(**job_request())["jobId"]
        batch.close()

    with Emulator(path) as emulator:
        assert ([job_id], 7) == ([run.id for run in emulator.runs()], emulator.settings.run_seconds)
    with Emulator(path, Settings(run_seconds=8)) as emulator:
        assert ([job_id], 8) == ([run.id for run in emulator.runs()], emulator.settings.run_seconds)


def test_two_processes_share_one_file(tmp_path: Path) -> None:
    """Both send the same tokens at the same time: each token has one run, and no job is lost."""
    path = tmp_path / "aws.sqlite"
    root = Path(__file__).parents[2]
    command = [sys.executable, "-W", "error", "-c", SUBMITTER, str(path)]
    processes = [subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=60)[0].split() for process in processes]

    with Emulator(path) as emulator:
        runs = emulator.runs()
    assert [process.returncode for process in processes] == [0, 0]
    assert said[0] == said[1]
    assert tuple(sum(run.service == service for run in runs) for service in ("emr-serverless", "batch")) == (12, 24)


def test_one_token_from_many_threads_is_one_run(tmp_path: Path) -> None:
    """The check and the acceptance are one transaction, across connections to the file as well."""
    path = tmp_path / "aws.sqlite"
    ids: list[str] = []

    def start(url: str) -> None:
        emr = client("emr-serverless", url)
        ids.append(emr.start_job_run(**run_request(clientToken="t"))["jobRunId"])
        emr.close()

    with Emulator(path) as first, Emulator(path) as second:
        threads = [threading.Thread(target=start, args=[url]) for url in (first.url, second.url) * 4]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 1 == len(first.runs()) == len(second.runs())
    assert (len(ids), len(set(ids))) == (8, 1)


def test_a_change_of_settings_is_seen_by_the_other_process(tmp_path: Path) -> None:
    """Settings are in the file, and read with every call."""
    path = tmp_path / "aws.sqlite"
    with Emulator(path) as first, Emulator(path) as second:
        first.configure(account="111122223333")
        assert second.settings.account == "111122223333"


def test_a_file_that_is_no_state_is_refused(tmp_path: Path) -> None:
    """It is named, and stays as it was."""
    path = tmp_path / "notes.txt"
    path.write_text("these are my notes, " * 100)

    with pytest.raises(StateUnusable, match=r"notes\.txt"):
        State(path)
    assert path.read_text().startswith("these are my notes")
    with pytest.raises(StateUnusable, match="notes"):
        State(path / "below" / "aws.sqlite")
    with pytest.raises(StateUnusable):
        State(tmp_path)


def test_the_database_of_something_else_is_refused(tmp_path: Path) -> None:
    """It is not written to."""
    path = tmp_path / "other.sqlite"
    _run(path, "CREATE TABLE theirs (id)")
    before = path.read_bytes()

    with pytest.raises(StateUnusable, match="something else"):
        State(path)
    assert path.read_bytes() == before


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """When the emulator wants to write to it, and at once where it comes with settings."""
    path = tmp_path / "aws.sqlite"
    state = State(path)
    _run(path, "CREATE TRIGGER refuse BEFORE INSERT ON settings BEGIN SELECT RAISE(ABORT, 'no room'); END")
    with pytest.raises(StateUnusable, match=r"aws\.sqlite: no room"):
        state.put_settings(Settings())
    state.close()
    with pytest.raises(StateUnusable, match="no room"):
        Emulator(path, Settings())


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    """By its format number, or by settings this version does not know."""
    path = tmp_path / "aws.sqlite"
    State(path).close()
    _run(path, "UPDATE settings SET text = '{\"speed\": 2}'")
    with pytest.raises(StateUnusable, match="settings"):
        State(path)
    _run(path, f"PRAGMA user_version={FORMAT + 1}")
    with pytest.raises(StateUnusable, match=f"format {FORMAT + 1}"):
        State(path)


def test_opening_waits_for_others(tmp_path: Path) -> None:
    """Eight emulators that make the same file at the same moment all get it, twenty times over."""
    failures: list[Exception] = []
    together = threading.Barrier(8)

    def open_and_close(path: Path) -> None:
        together.wait()
        try:
            State(path).close()
        except StateUnusable as error:
            failures.append(error)

    for number in range(20):
        path = tmp_path / f"{number}.sqlite"
        threads = [threading.Thread(target=open_and_close, args=[path]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []


def test_a_failed_change_leaves_nothing(tmp_path: Path) -> None:
    """A transaction that raises is undone."""
    state = State(tmp_path / "aws.sqlite")
    with pytest.raises(ZeroDivisionError):
        _write_and_fail(state)
    with state.reading() as records:
        assert records.tags("arn") == {}
    state.close()


def _write_and_fail(state: State) -> None:
    with state.writing() as records:
        records.put_tags("arn", {"a": "b"})
        raise ZeroDivisionError


def _run(path: Path, statement: str) -> Any:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement)
    connection.close()
