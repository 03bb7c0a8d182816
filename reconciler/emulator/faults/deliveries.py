"""Requests on their way: what is to happen later, by `time.time`, so that a library that fakes the time moves it."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from reconciler.emulator.wire import Reply

POLL_SECONDS = 0.005
"""How often the clock is looked at while something is on its way: the clock may be a fake that nobody can wait for."""

Delivery = tuple[float, int, Callable[[], Reply], Future[Reply]]
"""When it is due, a number that orders what is due at once, what to do, and what came of it."""


class Deliveries:
    """Does things when they are due, one after another, on a thread that exists only while there are some."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._due: list[Delivery] = []
        self._order = itertools.count()
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()

    def at(self, due: float, deliver: Callable[[], Reply]) -> Future[Reply]:
        """Has `deliver` called at `due` (seconds since the epoch). The future has its reply; it is cancelled where this
        is closed or forgotten first."""
        late: Future[Reply] = Future()
        with self._lock:
            if self._ended.is_set():
                late.cancel()
                return late
            heapq.heappush(self._due, (due, next(self._order), deliver, late))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="reconciler-emulator-late", daemon=True)
                self._thread.start()
        return late

    def wait(self, until: float) -> bool:
        """Waits until a moment; `False` where this was closed first."""
        while time.time() < until:
            if self._ended.wait(POLL_SECONDS):
                return False
        return True

    @property
    def count(self) -> int:
        """How many have not been delivered yet."""
        with self._lock:
            return len(self._due)

    def forget(self) -> None:
        """Drops what is on its way, except what is being delivered right now."""
        with self._lock:
            self._due = [delivery for delivery in self._due if not delivery[3].cancel()]

    def close(self) -> None:
        """Drops what is on its way, and ends every wait."""
        self._ended.set()
        self.forget()
        thread = self._thread
        if thread is not None:
            thread.join()

    def _work(self) -> None:
        while (first := self._first()) is not None:
            if time.time() < first[0]:
                self._ended.wait(POLL_SECONDS)
            elif first[3].set_running_or_notify_cancel():
                self._deliver(first)

    def _deliver(self, delivery: Delivery) -> None:
        _, _, deliver, late = delivery
        try:
            late.set_result(deliver())
        except Exception as error:  # noqa: BLE001 - whoever waits for it gets it
            late.set_exception(error)
        with self._lock:
            self._due.remove(delivery)
            heapq.heapify(self._due)

    def _first(self) -> Delivery | None:
        """What is due next; `None`, and the thread is over, where there is nothing."""
        with self._lock:
            if self._due:
                return self._due[0]
            self._thread = None
            return None
