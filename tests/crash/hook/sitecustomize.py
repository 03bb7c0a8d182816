"""Makes an interpreter stop at a named point of the program: put this folder on PYTHONPATH and set `CRASH_AT`.

`CRASH_AT` is JSON: ``{"point", "about", "nth", "deed", "mark"}``. At the `nth` audit event `point` (about `about`, if
that is not null) the file `mark` is made and the process kills itself (`deed` "kill", by SIGKILL: nothing of Python
runs after it) or is frozen ("stop", by SIGSTOP, until somebody sends SIGCONT).

`CRASH_AHEAD` is how many seconds the clock of the process is ahead.

The program knows nothing of this: it raises audit events (`sys.audit`), which cost nothing where nobody listens.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from itertools import count
from typing import Any

DEEDS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


class Stopper:
    """The audit hook. Counts the events it waits for, over all threads."""

    def __init__(self, point: str, about: str | None, nth: int, deed: str, mark: str) -> None:
        self._point, self._about, self._nth = point, about, nth
        self._signal, self._mark = DEEDS[deed], mark
        self._seen = count(1)
        self._thread = threading.local()

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Hears one event of the interpreter."""
        if not event.startswith("reconciler."):
            return
        about = subjects_of(event, arguments, self._thread)
        if event == self._point and (self._about is None or self._about in about) and next(self._seen) == self._nth:
            os.close(os.open(self._mark, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            signal.pthread_kill(threading.get_ident(), self._signal)  # to this thread: it goes no step further


def subjects_of(event: str, arguments: tuple[Any, ...], thread: threading.local) -> tuple[Any, ...]:
    """What an event is about: its arguments; for what a store did, the types of the events it wrote, which the log
    told in the same thread just before."""
    if event == "reconciler.recording":
        thread.types = arguments
    return getattr(thread, "types", ()) if event == "reconciler.stored" else arguments


if "CRASH_AHEAD" in os.environ:
    _ahead, _real = float(os.environ["CRASH_AHEAD"]), time.time
    time.time = lambda: _real() + _ahead

if "CRASH_AT" in os.environ:
    sys.addaudithook(Stopper(**json.loads(os.environ["CRASH_AT"])))
