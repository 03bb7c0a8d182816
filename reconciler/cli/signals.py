"""Handles SIGINT, SIGTERM and SIGHUP: stops a command within a time limit, and lets it record its calls in progress."""

import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

STOPS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""The signals that stop a command. A terminal that closes sends SIGHUP."""

INTERRUPTED = 1  # the exit code of a command that was interrupted

COMMAND_SECONDS = 7.0
"""The number of seconds that a read-only command may take to end after the first signal."""

SERVICE_SECONDS = 9.0
"""The number of seconds that a service may take to end after the first signal, so that it can record the calls in
progress."""

Handler = Callable[[int, FrameType | None], None]


@contextmanager
def interruptible() -> Iterator[None]:
    """Context manager: lets a signal interrupt a command that reads, plans or waits for confirmation. The process is
    ended immediately by a second signal, or `COMMAND_SECONDS` after the first one, because a thread that waits for AWS
    ends only when AWS replies.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # A thread watches for signals through the wake-up descriptor, because the main thread runs signal handlers only
    # between two bytecodes, and may be blocked for a long time.
    incoming, outgoing = os.pipe()
    # `set_wakeup_fd` refuses a descriptor that blocks.
    os.set_blocking(outgoing, False)
    watcher = threading.Thread(target=_watch, args=(incoming,), name="reconciler-signals", daemon=True)
    watcher.start()
    try:
        with _handling(_interrupt, outgoing):
            yield
    finally:
        os.close(outgoing)
        watcher.join()
        os.close(incoming)


@contextmanager
def stop_on_signals(announce: Callable[[], None] = lambda: None, *, service: bool = False) -> Iterator[threading.Event]:
    """Yields an event that the first signal sets. The signal also calls `announce`, which may fail if the stream is in
    use or closed.

    A second signal raises `KeyboardInterrupt`. For a `service`, stopping is not a failure, so the process exits 0
    immediately at a second signal, or `SERVICE_SECONDS` after the first one. The intents of interrupted calls are
    already in the ledger.
    """
    stop = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            _exit_service() if service else _interrupt(number, frame)
        stop.set()
        if service:
            watchdog = threading.Timer(SERVICE_SECONDS, _exit_service)
            watchdog.daemon = True
            watchdog.start()
        with suppress(RuntimeError, OSError):
            announce()

    with _handling(handle, wakeup=-1):  # the watcher of `interruptible` must no longer end the process
        yield stop


@contextmanager
def _handling(handler: Handler, wakeup: int) -> Iterator[None]:
    """Context manager: handles the signals and sends them to the descriptor `wakeup` (-1 for none). Restores the
    previous handlers afterwards. If `nohup` ignores SIGHUP, it is still ignored."""
    previous_wakeup = signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
    handled = [each for each in STOPS if each.name != "SIGHUP" or signal.getsignal(each) != signal.SIG_IGN]
    previous = {number: signal.signal(number, handler) for number in handled}
    try:
        yield
    finally:
        for number, before in previous.items():
            signal.signal(number, before)
        signal.set_wakeup_fd(previous_wakeup)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _exit_service() -> None:
    with suppress(RuntimeError, OSError, ValueError):
        sys.stderr.flush()
    os._exit(0)


def _watch(incoming: int) -> None:
    """Ends the process `COMMAND_SECONDS` after the first signal or at the second signal, unless the pipe is closed
    before that."""
    if not os.read(incoming, 1):
        return
    ready, _, _ = select.select([incoming], [], [], COMMAND_SECONDS)
    if ready and not os.read(incoming, 1):
        return
    # Not through `sys.stderr`, whose lock the blocked main thread may hold.
    os.write(2, b"Interrupted.\n")
    os._exit(INTERRUPTED)
