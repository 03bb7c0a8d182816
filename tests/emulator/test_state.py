"""Tests the state file: it is kept when the emulator stops, several processes can share it, and other files are
refused."""

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
from tests.waiting import PATIENCE_SECONDS

SUBMITTER = """
import json, sys
from pathlib import Path
from urllib.request import Request, urlopen
from reconciler.emulator import Emulator
def post(path, body):
    with urlopen(Request(emulator.url + path, json.dumps(body).encode(), method="POST")) as response:
        return json.load(response)
with Emulator(Path(sys.argv[1])) as emulator:
    for number in range(12):
        run = {"clientToken": f"t{number}", "executionRoleArn": "arn:aws:iam::000000000000:role/emr-jobs"}
        print(post("/applications/00abc/jobruns", run)["jobRunId"])
        post("/v1/submitjob", {"jobName": "orders", "jobQueue": "main", "jobDefinition": "etl"})
"""


def test_runs_and_settings_are_kept_in_the_file(tmp_path: Path) -> None:
    """The next emulator reads the runs from the file. Settings that are passed to an emulator replace those in the
    file."""
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
    """Both processes send the same tokens at the same time. Each token starts one run, and no job is lost."""
    path = tmp_path / "aws.sqlite"
    root = Path(__file__).parents[2]
    command = [sys.executable, "-W", "error", "-c", SUBMITTER, str(path)]
    processes = [subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    printed = [process.communicate(timeout=PATIENCE_SECONDS)[0].split() for process in processes]

    with Emulator(path) as emulator:
        runs = emulator.runs()
    assert [process.returncode for process in processes] == [0, 0]
    assert printed[0] == printed[1]
    assert tuple(sum(run.service == service for run in runs) for service in ("emr-serverless", "batch")) == (12, 24)


def test_one_token_from_many_threads_starts_one_run(tmp_path: Path) -> None:
    """The check of a token and the acceptance of a run are one transaction, even with several connections to the
    file."""
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


def test_changed_settings_apply_to_every_emulator_on_the_file(tmp_path: Path) -> None:
    """The settings are in the file, and every call reads them."""
    path = tmp_path / "aws.sqlite"
    with Emulator(path) as first, Emulator(path) as second:
        first.configure(account="111122223333")
        assert second.settings.account == "111122223333"


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    """The error contains the name of the file, and the file does not change."""
    path = tmp_path / "notes.txt"
    path.write_text("these are my notes, " * 100)

    with pytest.raises(StateUnusable, match=r"notes\.txt"):
        State(path)
    assert path.read_text().startswith("these are my notes")
    with pytest.raises(StateUnusable, match="notes"):
        State(path / "below" / "aws.sqlite")
    with pytest.raises(StateUnusable):
        State(tmp_path)


def test_a_database_of_something_else_is_refused(tmp_path: Path) -> None:
    """The foreign database is not changed."""
    path = tmp_path / "other.sqlite"
    _run(path, "CREATE TABLE theirs (id)")
    before = path.read_bytes()

    with pytest.raises(StateUnusable, match="something else"):
        State(path)
    assert path.read_bytes() == before


def test_an_error_names_the_file_that_cannot_be_written(tmp_path: Path) -> None:
    """The error is raised at the first write, which is immediately if the emulator starts with settings."""
    path = tmp_path / "aws.sqlite"
    state = State(path)
    _run(path, "CREATE TRIGGER refuse BEFORE INSERT ON settings BEGIN SELECT RAISE(ABORT, 'no room'); END")
    with pytest.raises(StateUnusable, match=r"aws\.sqlite: no room"):
        state.put_settings(Settings())
    state.close()
    with pytest.raises(StateUnusable, match="no room"):
        Emulator(path, Settings())


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    """A newer file has a higher format number, or settings that this version does not support."""
    path = tmp_path / "aws.sqlite"
    State(path).close()
    _run(path, "UPDATE settings SET text = '{\"speed\": 2}'")
    with pytest.raises(StateUnusable, match="settings"):
        State(path)
    _run(path, f"PRAGMA user_version={FORMAT + 1}")
    with pytest.raises(StateUnusable, match=f"format {FORMAT + 1}"):
        State(path)


def test_many_can_create_the_same_file_at_once(tmp_path: Path) -> None:
    """Eight threads create the same file at the same moment, twenty times over, and all succeed."""
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


def test_a_failed_transaction_is_undone(tmp_path: Path) -> None:
    """Nothing that the transaction wrote before the exception is stored."""
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
