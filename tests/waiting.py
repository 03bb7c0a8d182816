"""Waits for other threads and processes, for as long as a busy machine needs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

PATIENCE_SECONDS = 120.0
"""How long a test waits for an event that takes only a moment on an idle machine."""


def eventually(holds: Callable[[], object]) -> bool:
    """Waits until a condition is true, and returns whether this happened in time. An `OSError` counts as not yet
    true."""
    pause, until = threading.Event(), time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        try:
            if holds():
                return True
        except OSError:
            pass
        pause.wait(0.005)
    return False


def new_threads(before: frozenset[threading.Thread]) -> set[threading.Thread]:
    """Returns the threads that exist now and did not exist before."""
    return set(threading.enumerate()) - before
