"""SIGINT and SIGTERM: what a command still does after it was asked to stop."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

STOPPED = 1  # the exit code of a command that was interrupted
PATIENCE_SECONDS = 7.0
"""How long a command that only reads may take to end after it was interrupted."""

SERVICE_SECONDS = 9.0
"""How long a service may take to end after it was told to: calls under way are recorded, or left to the next pass."""

Handler = Callable[[int, FrameType | None], None]


@contextmanager
def interruptible() -> Iterator[None]:
    """Both signals interrupt a command that reads, plans or asks. A second one ends the process at once, and so does
    time: threads that wait for AWS end with its answer, and nobody waits that long.

    A thread watches for this, told by the interpreter as a signal comes in: the main thread hears of signals only
    between two of its own steps, and may be in the middle of a wait.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    incoming, outgoing = os.pipe()
    os.set_blocking(outgoing, False)
    watcher = threading.Thread(target=_watch, args=(incoming,), name="reconciler-signals", daemon=True)
    watcher.start()
    told_before = signal.set_wakeup_fd(outgoing, warn_on_full_buffer=False)
    try:
        with _handling(_interrupt):
            yield
    finally:
        signal.set_wakeup_fd(told_before)
        os.close(outgoing)
        watcher.join()
        os.close(incoming)


@contextmanager
def stop_on_signals(say: Callable[[], None] = lambda: None) -> Iterator[threading.Event]:
    """An event that the first signal sets; a second one interrupts. Signals are as before afterwards.

    `say` is called once the event is set; a stream that refuses it then, being in use or gone, changes nothing. The
    process is not ended under whoever heeds the event.
    """
    stop = threading.Event()

    def asked(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            _interrupt(number, frame)
        stop.set()
        with suppress(RuntimeError, OSError):
            say()

    told_before = signal.set_wakeup_fd(-1)
    try:
        with _handling(asked):
            yield stop
    finally:
        signal.set_wakeup_fd(told_before)


@contextmanager
def serving(say: Callable[[], None]) -> Iterator[threading.Event]:
    """For a service: an event that the first signal sets. Stopping it is no failure: a second signal ends the process
    at once with 0, and so does time, `SERVICE_SECONDS` after the first. What is cut short is in the ledger."""
    stop = threading.Event()

    def asked(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            _leave()
        stop.set()
        watchdog = threading.Timer(SERVICE_SECONDS, _leave)
        watchdog.daemon = True
        watchdog.start()
        with suppress(RuntimeError, OSError):
            say()

    told_before = signal.set_wakeup_fd(-1)
    try:
        with _handling(asked):
            yield stop
    finally:
        signal.set_wakeup_fd(told_before)


def _leave() -> None:
    with suppress(RuntimeError, OSError, ValueError):
        sys.stderr.flush()
    os._exit(0)


@contextmanager
def _handling(handler: Handler) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _watch(incoming: int) -> None:
    """Ends the process some time after the first signal, or with the second, unless the pipe is closed before."""
    if not os.read(incoming, 1):
        return
    ready, _, _ = select.select([incoming], [], [], PATIENCE_SECONDS)
    if ready and not os.read(incoming, 1):
        return
    os.write(2, b"Interrupted.\n")
    os._exit(STOPPED)
