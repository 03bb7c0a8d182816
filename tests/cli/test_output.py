"""What reaches the terminal, and the runner that may be reading it."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys

import pytest

from reconciler.cli.output import OutputRefused, ask, echo_error, out, print_problems
from reconciler.cli.program import run
from reconciler.cli.signals import stop_on_signals
from reconciler.errors import Problem

COMMAND = [sys.executable, "-m", "reconciler"]


def test_an_error_is_no_command_to_a_runner(capsys: pytest.CaptureFixture[str]):
    """Lines of a message that a CI runner would obey are shown, and are not what it obeys."""
    echo_error("Error: no such file: a\n  ::error::b.yaml ##[group]c")
    lines = capsys.readouterr().err.splitlines()
    assert ["Error: no such file: a", "  \\u003a:error::b.yaml #\\u0023[group]c"] == lines


@pytest.mark.parametrize("refusal", [RuntimeError("reentrant call inside <_io.BufferedWriter>"), BrokenPipeError()])
def test_a_signal_amid_printing_stops_all_the_same(refusal: Exception):
    """The stream may be in use where a signal comes in, or gone: the stop counts, the sentence is forgone."""

    def refused() -> None:
        raise refusal

    with stop_on_signals(refused) as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.wait(5)


REFUSED = "Error: standard output cannot be written: No space left on device\n"


class Full(io.StringIO):
    """A stream on a full disk; `kept` says whether it still holds what it could not write."""

    def __init__(self, *, kept: bool) -> None:
        super().__init__()
        self.refusing, self.kept = False, kept

    def write(self, text: str) -> int:
        """Takes text, as a stream that holds back does."""
        self.refusing = True
        return len(text)

    def flush(self) -> None:
        """Refuses what was taken."""
        if self.refusing:
            self.refusing = self.kept
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full device")
@pytest.mark.parametrize("arguments", [["--version"], ["plan", "--help"]])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_is_one_sentence(arguments: list[str], unbuffered: str):
    """What a real process says and ends with where its standard output takes nothing."""
    with open("/dev/full", "w", encoding="utf-8") as full:
        given = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
        done = subprocess.run(
            [*COMMAND, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=given
        )
    assert (1, REFUSED) == (done.returncode, done.stderr)


@pytest.mark.parametrize("kept", [True, False])
def test_a_result_that_cannot_be_printed_is_refused(monkeypatch: pytest.MonkeyPatch, kept: bool):
    """The result of a command, also one that is larger than what a stream holds back."""
    monkeypatch.setattr(sys, "stdout", Full(kept=kept))
    with pytest.raises(OutputRefused, match="standard output cannot be written: No space left on device"):
        out("a plan")


@pytest.mark.parametrize("kept", [True, False])
def test_help_that_cannot_be_printed_is_one_sentence(
    kept: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """What click prints ends as what we print."""
    monkeypatch.setattr(sys, "stdout", Full(kept=kept))
    assert 1 == run(["--help"])
    assert capsys.readouterr().err == REFUSED


def test_a_command_whose_result_is_refused_ends_with_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """One sentence, and no fault of the reconciler."""

    def refused(_arguments: object) -> int:
        raise OutputRefused(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))

    monkeypatch.setattr("reconciler.cli.program._run_command", refused)
    assert 1 == run([])
    assert capsys.readouterr().err == REFUSED


def test_another_refusal_of_the_system_is_not_said_of_the_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """An error of the system that nobody foresaw is a fault, while standard output is well."""

    def refused(_arguments: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("reconciler.cli.program._run_command", refused)
    assert 1 == run([])
    assert "internal error: PermissionError" in capsys.readouterr().err


@pytest.mark.parametrize("closed", ["stdin", "stdout", "stderr"])
@pytest.mark.parametrize(("arguments", "code"), [(["--help"], 0), (["nonsense"], 64), (["plan", "/no/such"], 64)])
def test_a_closed_stream_changes_no_exit_code(
    monkeypatch: pytest.MonkeyPatch, closed: str, arguments: list[str], code: int
):
    """Who closes a stream does not want to hear: nothing is said there, and the code is as ever."""
    assert code == run(arguments)
    monkeypatch.setattr(sys, closed, None)
    assert code == run(arguments)
    assert getattr(sys, closed) is None


def test_a_full_standard_error_is_forgone(monkeypatch: pytest.MonkeyPatch):
    """There is no better place for the sentence: the exit code says it."""
    monkeypatch.setattr(sys, "stderr", Full(kept=True))
    assert 64 == run(["nonsense"])
    echo_error("Error: unheard")
    print_problems([Problem("a.yaml", 1, 1, "unheard")])
    assert not ask("Apply?")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full device")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_standard_error_changes_no_exit_code(unbuffered: str):
    """Nor does what the interpreter still holds back as it ends."""
    given = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run([*COMMAND, "nonsense"], stderr=full, check=False, env=given)
    assert done.returncode == 64
