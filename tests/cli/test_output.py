"""Tests standard output and standard error: escaping, broken streams, signals."""

from __future__ import annotations

import errno
import io
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from reconciler.cli import main
from reconciler.cli.output import LIBRARIES, OutputRefused, ask, echo_error, out, print_problems, start_logging
from reconciler.cli.program import run
from reconciler.cli.signals import stop_on_signals
from reconciler.errors import Problem
from tests.waiting import PATIENCE_SECONDS

COMMAND = [sys.executable, "-m", "reconciler"]


def test_a_message_contains_no_command_for_a_ci_runner(capsys: pytest.CaptureFixture[str]):
    """Lines that a CI runner would execute as commands are escaped."""
    echo_error("Error: no such file: a\n  ::error::b.yaml ##[group]c")
    lines = capsys.readouterr().err.splitlines()
    assert ["Error: no such file: a", "  \\u003a:error::b.yaml #\\u0023[group]c"] == lines


@pytest.mark.parametrize("refusal", [RuntimeError("reentrant call inside <_io.BufferedWriter>"), BrokenPipeError()])
def test_a_signal_while_printing_still_stops(refusal: Exception):
    """If the stream is in use or closed, the message is dropped, and the command still stops."""

    def refused() -> None:
        raise refusal

    with stop_on_signals(refused) as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.wait(PATIENCE_SECONDS)


@pytest.mark.parametrize(("verbose", "shown"), [(0, []), (1, []), (2, ["WARNING"]), (3, ["WARNING", "INFO"])])
@pytest.mark.parametrize("library", [*LIBRARIES, "a.library.of.next.year"])
def test_libraries_log_with_two_v_or_more(
    capsys: pytest.CaptureFixture[str], library: str, verbose: int, shown: list[str]
):
    """Below `-vv`, no library logs anything. At no level does a library log debug messages."""
    logger = logging.getLogger(library)
    with own_root():
        start_logging(verbose)
        for level in (logging.WARNING, logging.INFO, logging.DEBUG):
            logger.log(level, "of %s", library)
    lines = [line for line in capsys.readouterr().err.splitlines() if f"of {library}" in line]
    assert [line.split()[2] for line in lines] == (shown if library in LIBRARIES else shown[:1])


@contextmanager
def own_root() -> Iterator[None]:
    """Removes the handlers that pytest adds to the root logger, because a command has no handlers there."""
    root = logging.getLogger()
    before, root.handlers = root.handlers, []
    try:
        yield
    finally:
        root.handlers = before


REFUSED = "Error: standard output cannot be written: No space left on device\n"


class Full(io.StringIO):
    """A stream on a full disk. With `kept`, the stream keeps the text that it could not write."""

    def __init__(self, *, kept: bool) -> None:
        super().__init__()
        self.refusing, self.kept = False, kept

    def write(self, text: str) -> int:
        """Accepts text, as a buffered stream does."""
        self.refusing = True
        return len(text)

    def flush(self) -> None:
        """Refuses the text that was accepted."""
        if self.refusing:
            self.refusing = self.kept
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full device")
@pytest.mark.parametrize("arguments", [["--version"], ["plan", "--help"]])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_is_one_message(arguments: list[str], unbuffered: str):
    """A process whose standard output cannot be written exits 1 with one message."""
    with open("/dev/full", "w", encoding="utf-8") as full:
        given = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
        done = subprocess.run(
            [*COMMAND, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=given
        )
    assert (1, REFUSED) == (done.returncode, done.stderr)


@pytest.mark.parametrize("kept", [True, False])
def test_a_result_that_cannot_be_printed_is_an_error(monkeypatch: pytest.MonkeyPatch, kept: bool):
    """This holds even if the error occurs only when the stream is flushed."""
    monkeypatch.setattr(sys, "stdout", Full(kept=kept))
    with pytest.raises(OutputRefused, match="standard output cannot be written: No space left on device"):
        out("a plan")


@pytest.mark.parametrize("kept", [True, False])
def test_help_that_cannot_be_printed_is_one_message(
    kept: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """An error while click prints is handled like an error while reconciler prints."""
    monkeypatch.setattr(sys, "stdout", Full(kept=kept))
    assert 1 == run(["--help"])
    assert capsys.readouterr().err == REFUSED


def test_a_command_whose_result_cannot_be_printed_exits_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """The command prints one message, which does not call the error a bug."""

    def refused(_arguments: object) -> int:
        raise OutputRefused(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))

    monkeypatch.setattr("reconciler.cli.program._run_command", refused)
    assert 1 == run([])
    assert capsys.readouterr().err == REFUSED


def test_another_system_error_is_reported_as_a_bug(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """An unexpected `OSError` is not reported as an error of standard output."""

    def refused(_arguments: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("reconciler.cli.program._run_command", refused)
    assert 1 == run([])
    assert "internal error: PermissionError" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["schema"], ["plan", "--help"]])
def test_a_result_cannot_be_printed_to_a_closed_standard_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
):
    """A command that cannot print its result, as on a full disk, reports this and fails."""
    monkeypatch.setattr(sys, "stdout", None)
    assert 1 == run(arguments)
    assert capsys.readouterr().err == "Error: standard output cannot be written: Bad file descriptor\n"


@pytest.mark.parametrize(
    ("closed", "arguments", "code"),
    [
        ("stdin", ["--help"], 0), ("stderr", ["--help"], 0),
        *((each, ["nonsense"], 64) for each in ("stdin", "stdout", "stderr")),
        *((each, ["plan", "/no/such"], 64) for each in ("stdin", "stdout", "stderr")),
    ],
)  # fmt: skip
def test_a_closed_stream_that_is_not_needed_changes_no_exit_code(
    monkeypatch: pytest.MonkeyPatch, closed: str, arguments: list[str], code: int
):
    """Nothing is printed to a closed stream, and the exit code changes only if a result would have been printed
    there."""
    assert code == run(arguments)
    monkeypatch.setattr(sys, closed, None)
    assert code == run(arguments)
    assert getattr(sys, closed) is None


@pytest.mark.parametrize("name", [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)])
def test_a_closed_terminal_stops_a_command_like_sigterm(name: str):
    """The command may finish its calls in progress instead of being killed."""
    number = getattr(signal, name)
    before = signal.signal(number, signal.SIG_DFL)  # the tests may be run with nohup
    try:
        with stop_on_signals() as stop:
            os.kill(os.getpid(), number)
            assert stop.wait(PATIENCE_SECONDS)
    finally:
        signal.signal(number, before)


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no SIGHUP")
def test_a_command_started_with_nohup_outlives_its_terminal():
    """An ignored SIGHUP stays ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_on_signals() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop.is_set()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_ctrl_c_while_modules_are_imported_prints_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """The import of the program takes much of the time of a short command."""
    monkeypatch.setattr("reconciler.cli.program.run", raiser(KeyboardInterrupt()))
    assert 1 == main([])
    assert "Interrupted.\n" == capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.EMFILE, "x", "a.yaml"), "too many open files"),
        (OSError(errno.ENOSPC, "x"), "no space left on device"),
        (RuntimeError("can't start new thread"), "too many threads or too little memory"),
    ],
)
def test_a_shortage_of_the_machine_is_not_reported_as_a_bug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, line: str
):
    """The message names what the machine is short of."""
    monkeypatch.setattr("reconciler.cli.program._run_command", raiser(error))
    assert 1 == run([])
    assert f"Error: {line}: raise this limit of the machine or container, and run again\n" == capsys.readouterr().err


def test_too_little_memory_is_not_reported_as_a_bug(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    """The message is printed without further allocations."""
    monkeypatch.setattr("reconciler.cli.program._run_command", raiser(MemoryError()))
    assert 1 == run([])
    assert "Error: out of memory: run again with more memory\n" == capfd.readouterr().err


def raiser(error: BaseException) -> Callable[[object], int]:
    """Returns a function that raises `error`."""

    def raises(_arguments: object) -> int:
        raise error

    return raises


def test_a_message_is_dropped_if_standard_error_is_full(monkeypatch: pytest.MonkeyPatch):
    """The exit code still reports the error."""
    monkeypatch.setattr(sys, "stderr", Full(kept=True))
    assert 64 == run(["nonsense"])
    echo_error("Error: unheard")
    print_problems([Problem("a.yaml", 1, 1, "unheard")])
    assert not ask("Apply?")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full device")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_standard_error_changes_no_exit_code(unbuffered: str):
    """The flush when the interpreter exits does not change it either."""
    given = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run([*COMMAND, "nonsense"], stderr=full, check=False, env=given)
    assert done.returncode == 64
