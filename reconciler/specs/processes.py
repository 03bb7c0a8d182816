"""Distributes work on many files to several processes, which are forked and exit when their result is written."""

import os
import pickle
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, TypeVar

MOST_PROCESSES = 8
KNOWN_THREADS = 2  # the main thread and the thread that watches for signals

Part = TypeVar("Part")
Result = TypeVar("Result")


def processes_for(files: int, fewest: int) -> int:
    """Returns the number of processes to use for this number of files, with at least `fewest` files for each. A process
    with other threads is not forked, because those threads may hold locks."""
    if sys.platform != "linux" or threading.active_count() > KNOWN_THREADS:
        return 1
    return max(1, min(len(os.sched_getaffinity(0)), files // fewest, MOST_PROCESSES))


def in_processes(work: Callable[[Part], Result], parts: Sequence[Part]) -> Iterator[Result]:
    """Yields the result of each part, in order. All parts except the first run in separate processes. A part whose
    process failed runs again in this process, which then raises the error."""
    children = [None, *(_forked(work, part) for part in parts[1:])]
    try:
        for part in parts:
            # Removed before it is read, so that the block below closes only what nobody has read.
            child = children.pop(0)
            result = None if child is None else _received(child)
            yield work(part) if result is None else result[0]
    finally:  # after an error, nobody reads the other results
        unread = [child for child in children if child is not None]
        for _, receiver in unread:
            os.close(receiver)
        for process, _ in unread:
            _wait(process)


def _forked(work: Callable[[Part], Result], part: Part) -> tuple[int, int] | None:
    """Starts a process that works on a part. Returns its id and the pipe for its result, or `None` if no process can be
    started."""
    try:
        receiver, sender = os.pipe()
    except OSError:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # about the thread that watches for signals
            process = os.fork()
    except OSError:
        os.close(receiver)
        os.close(sender)
        return None
    if process:
        os.close(sender)
        return process, receiver
    try:  # in the new process, which exits without cleaning up resources of its parent
        os.close(receiver)  # otherwise this process would wait for itself to read, if its parent is killed
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        with open(sender, "wb") as pipe:
            pickle.dump([work(part)], pipe, pickle.HIGHEST_PROTOCOL)
    finally:
        os._exit(0)


def _received(child: tuple[int, int]) -> list[Any] | None:
    process, receiver = child
    result: list[Any] | None = None
    with open(receiver, "rb") as pipe, suppress(EOFError, pickle.UnpicklingError):
        # A list, because a part may have the result `None`.
        result = pickle.load(pipe)  # noqa: S301 - from our own process
    _wait(process)
    return result


def _wait(process: int) -> None:
    """Waits for the end of a process. The system itself does that if this process was started to ignore the ends of its
    children."""
    with suppress(ChildProcessError):
        os.waitpid(process, 0)
