"""Applies fault rules to calls. A request is lost, late or processed twice, or the client receives another reply or no
reply.
"""

import itertools
import json
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from http.client import responses
from typing import Any

from reconciler.emulator import fault_rules, sts
from reconciler.emulator.fault_plan import Plan
from reconciler.emulator.http import Call, Disconnect, Handler, Reply
from reconciler.emulator.operations import AwsError
from reconciler.emulator.records import BATCH
from reconciler.emulator.settings import FAULTS, Settings
from reconciler.emulator.state import State

POLL_SECONDS = 0.005
"""Seconds between two reads of `time.time` while a request is late. A timer cannot be used, because tests may replace
the clock."""

GARBAGE = b"\x16\x03\x01 this is no HTTP \x00\xff\r\n\r\n"
_MESSAGE = "This answer was made up by a fault of the emulator."
_PAGE = "<html><head><title>{0} {1}</title></head><body><h1>{0} {1}</h1></body></html>\n"


class Injector:
    """The faults of one server process. Each process has its own rules and counts, but a plan's settings are in the
    shared state."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._rules = fault_rules.ActiveRules(())
        self.late = LateRequests()

    def put(self, plan: Plan) -> None:
        """Replaces the fault plan, and resets its counts. Late requests are kept."""
        defaults = Settings()
        changes = {name: getattr(defaults, name) for name in FAULTS} | dict(plan.settings)
        self._state.change_settings(lambda settings: settings.changed(changes))
        self._rules = fault_rules.ActiveRules(plan.rules)

    def report(self) -> dict[str, Any]:
        """Returns the current plan: ``settings``; ``rules``, each with how many calls it ``matched`` and how often it
        ``fired``; and ``on_the_way``, the number of late requests that have not taken effect yet."""
        with self._state.reading() as records:
            settings = {name: value for name, value in records.settings.to_json().items() if name in FAULTS}
        return {"settings": settings, "rules": self._rules.counts(), "on_the_way": self.late.count}

    def around(self, inner: Handler) -> Handler:
        """Returns a handler that applies the faults to calls of `inner`."""

        def handle(call: Call) -> Reply:
            # Read once, because another thread may replace the plan.
            rules = self._rules
            if not rules:
                return inner(call)
            identified = fault_rules.IdentifiedCall(call, self._state)
            rule = rules.select(identified)
            return inner(call) if rule is None else self._apply(rule, identified, inner)

        return handle

    def _apply(self, rule: fault_rules.Rule, identified: fault_rules.IdentifiedCall, inner: Handler) -> Reply:
        """Returns the reply for the client. Raises `Disconnect` if that is not a complete reply."""
        reply = self._process(rule, identified.call, inner)
        if rule.delay_seconds and not self.late.wait_until(time.time() + rule.delay_seconds):
            raise Disconnect
        if rule.answer == "given" and reply is not None:
            return reply
        if rule.answer == "truncated" and reply is not None:
            raise truncated(reply)
        return made_up(rule, identified.service)

    def _process(self, rule: fault_rules.Rule, call: Call, inner: Handler) -> Reply | None:
        """Processes the request now, later, twice or never. Returns AWS's reply if the rule uses it."""
        if rule.request == "lost":
            return None
        if rule.request == "late":
            late = self.late.schedule(time.time() + (rule.late_seconds or 0.0), lambda: inner(call))
            try:
                return late.result() if rule.answer in fault_rules.MADE_FROM_AWS else None
            except CancelledError as error:
                raise Disconnect from error
        first = inner(call)
        if rule.request == "twice":
            inner(call)
        return first


# --- late requests ----------------------------------------------------------------------------------------------------

LateRequest = tuple[float, int, Callable[[], Reply], Future[Reply]]
"""The due time, a number that orders requests with the same due time, the call to make, and its result."""


class LateRequests:
    """Makes calls when they are due, by `time.time`, one after another, on a thread that exists only while calls are
    pending."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: list[LateRequest] = []
        self._order = itertools.count()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    def schedule(self, due: float, process: Callable[[], Reply]) -> Future[Reply]:
        """Calls `process` at `due` (seconds since the epoch). The future receives its reply, or is cancelled if the
        request is dropped first."""
        late: Future[Reply] = Future()
        with self._lock:
            if self._closed.is_set():
                late.cancel()
                return late
            self._pending.append((due, next(self._order), process, late))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="reconciler-emulator-late", daemon=True)
                self._thread.start()
        return late

    def wait_until(self, moment: float) -> bool:
        """Waits until a moment. Returns `False` if the instance is closed first."""
        while time.time() < moment:
            if self._closed.wait(POLL_SECONDS):
                return False
        return True

    @property
    def count(self) -> int:
        """The number of requests that have not taken effect yet."""
        with self._lock:
            return len(self._pending)

    def drop(self) -> None:
        """Drops all requests except the one that is being processed right now."""
        with self._lock:
            self._pending = [request for request in self._pending if not request[3].cancel()]

    def close(self) -> None:
        """Drops all requests, and ends every wait."""
        self._closed.set()
        self.drop()
        thread = self._thread
        if thread is not None:
            thread.join()

    def _work(self) -> None:
        while (first := self._first()) is not None:
            due, _, process, late = first
            if time.time() < due:
                self._closed.wait(POLL_SECONDS)
            elif late.set_running_or_notify_cancel():
                try:
                    late.set_result(process())
                except Exception as error:  # noqa: BLE001 - raised again where the result is awaited
                    late.set_exception(error)
                with self._lock:  # not earlier, so that the effect is visible once `count` is 0
                    self._pending.remove(first)

    def _first(self) -> LateRequest | None:
        """Returns the request that is due next. If there is none, returns `None`, and the thread ends."""
        with self._lock:
            if not self._pending:
                self._thread = None
            return min(self._pending, default=None)


# --- answers ----------------------------------------------------------------------------------------------------------


def made_up(rule: fault_rules.Rule, service: str) -> Reply:
    """Returns the artificial reply of a rule. Raises `Disconnect` if it is not an HTTP reply."""
    status, request_id = rule.status or 200, _request_id(rule.request_id)
    match rule.answer:
        case "error":
            return _error(rule, service)
        case "html":
            body = _PAGE.format(status, responses.get(status, "Unknown")).encode()
            return Reply(status, {"Content-Type": "text/html", **request_id}, body)
        case "empty":
            return Reply(status, request_id, b"")
        case "garbage":
            raise Disconnect(GARBAGE)
        case "reset":
            raise Disconnect(end="reset")
        case "never":
            raise Disconnect(end="hang")
        case "closed" | "given" | "truncated":  # the last two without AWS's reply, because their request was dropped
            raise Disconnect


def _error(rule: fault_rules.Rule, service: str) -> Reply:
    status = rule.status or fault_rules.USUAL_STATUSES[rule.code or ""]
    code = rule.code or ("ServerException" if (service, status) == (BATCH, 500) else fault_rules.USUAL_CODES[status])
    headers = _request_id(rule.request_id is not False)
    if service == sts.NAME:
        body = sts.error_document(AwsError(code, _MESSAGE, status), headers.get("x-amzn-RequestId", ""))
        return Reply(status, {"Content-Type": "text/xml", **headers}, body.encode())
    headers |= {"Content-Type": "application/json", "x-amzn-ErrorType": code}
    return Reply(status, headers, json.dumps({"message": _MESSAGE}).encode())


def _request_id(wanted: bool | None) -> dict[str, str]:
    return {"x-amzn-RequestId": str(uuid.uuid4())} if wanted else {}


def truncated(reply: Reply) -> Disconnect:
    """Returns the disconnect that sends the first half of a reply with its full length in the header."""
    lines = [f"HTTP/1.1 {reply.status} {responses.get(reply.status, 'Unknown')}", f"Content-Length: {len(reply.body)}"]
    lines += [f"{name}: {value}" for name, value in reply.headers.items()]
    head = "\r\n".join(lines).encode() + b"\r\n\r\n"
    return Disconnect(head + reply.body[: len(reply.body) // 2])
