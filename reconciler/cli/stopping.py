"""SIGINT and SIGTERM while something is being done: nothing new begins, and what is under way may be recorded."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stop_on_signals(say: Callable[[], None] = lambda: None) -> Iterator[threading.Event]:
    """An event that the first signal sets; a second one interrupts at once. Signals are as before afterwards.

    `say` is called once the event is set.
    """
    stop = threading.Event()

    def asked(_signal: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        say()

    before = {number: signal.signal(number, asked) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
