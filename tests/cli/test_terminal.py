"""What reaches the terminal, and the runner that may be reading it."""

from __future__ import annotations

import os
import signal

import pytest

from reconciler.cli.stopping import stop_on_signals
from reconciler.cli.terminal import complain


def test_an_error_is_no_command_to_a_runner(capsys: pytest.CaptureFixture[str]):
    """Lines of a message that a CI runner would obey are shown, and are not what it obeys."""
    complain("Error: no such file: a\n  ::error::b.yaml ##[group]c")
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
