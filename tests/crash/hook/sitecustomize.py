"""Makes an interpreter stop at a named point of the program: put this folder on PYTHONPATH and set `CRASH_AT`.

`CRASH_AT` is JSON: ``{"point", "about", "nth", "deed", "mark"}``. At the `nth` audit event `point` (with the subject
`about`, if that is not null), the hook creates the file `mark`. With the `deed` "kill", the process kills itself with
SIGKILL, so no Python code runs afterwards. With "stop", it freezes itself with SIGSTOP until another process sends
SIGCONT.

`CRASH_AHEAD` is the number of seconds by which the clock of the process is fast.

The program does not depend on this hook. It only raises audit events (`sys.audit`), which cost almost nothing without a
hook.
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
    """The audit hook. Counts the events to wait for, in all threads together."""

    def __init__(self, point: str, about: str | None, nth: int, deed: str, mark: str) -> None:
        self._point, self._about, self._nth = point, about, nth
        self._signal, self._mark = DEEDS[deed], mark
        self._seen = count(1)
        self._thread = threading.local()

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Receives one audit event of the interpreter."""
        if not event.startswith("reconciler."):
            return
        about = subjects_of(event, arguments, self._thread)
        if event == self._point and (self._about is None or self._about in about) and next(self._seen) == self._nth:
            os.close(os.open(self._mark, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            signal.pthread_kill(threading.get_ident(), self._signal)  # to this thread, so that it does not continue


def subjects_of(event: str, arguments: tuple[Any, ...], thread: threading.local) -> tuple[Any, ...]:
    """Returns the subjects of an event, which are its arguments. For an event of a store, returns the types of the
    written events, which the log reported in the same thread just before."""
    if event == "reconciler.recording":
        thread.types = arguments
    return getattr(thread, "types", ()) if event == "reconciler.stored" else arguments


if "CRASH_AHEAD" in os.environ:
    _ahead, _real = float(os.environ["CRASH_AHEAD"]), time.time
    time.time = lambda: _real() + _ahead

if "CRASH_AT" in os.environ:
    sys.addaudithook(Stopper(**json.loads(os.environ["CRASH_AT"])))
