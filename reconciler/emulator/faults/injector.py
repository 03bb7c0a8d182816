"""The handler around the dispatcher: decides by the plan what happens to each call, and lets it happen."""

from __future__ import annotations

import time
from concurrent.futures import CancelledError, Future
from functools import cache, partial
from typing import Any

from reconciler.emulator.faults import replies
from reconciler.emulator.faults.checks import OWN
from reconciler.emulator.faults.deliveries import Deliveries
from reconciler.emulator.faults.plan import Plan, Rule
from reconciler.emulator.faults.subject import Subject
from reconciler.emulator.faults.turns import Turns
from reconciler.emulator.settings import FAULTS, Settings
from reconciler.emulator.state import State
from reconciler.emulator.wire import CONTROL_PREFIX, Call, Cut, Handler, Reply


class Injector:
    """The faults of one serving process. Rules and their counts are its own; what the plan says of the world is in the
    state's settings, for every process on that state."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._turns = Turns(())
        self._deliveries = Deliveries()

    def put(self, plan: Plan) -> None:
        """Replaces the plan; counts start at 0. What is on its way stays so."""
        defaults = Settings()
        changes = {name: getattr(defaults, name) for name in FAULTS} | dict(plan.settings)
        self._state.change_settings(lambda settings: settings.changed(changes))
        self._turns = Turns(plan.rules)

    def report(self) -> dict[str, Any]:
        """The plan as it is in force: ``settings``; ``rules``, each with how many calls it ``matched`` and how often it
        ``fired``; ``on_the_way``, how many late requests are yet to take effect."""
        with self._state.reading() as records:
            settings = {name: value for name, value in records.settings.plain().items() if name in FAULTS}
        return {"settings": settings, "rules": self._turns.counts(), "on_the_way": self._deliveries.count}

    def forget(self) -> None:
        """Loses the requests that are on their way."""
        self._deliveries.forget()

    def close(self) -> None:
        """Loses the requests that are on their way, and ends every delay."""
        self._deliveries.close()

    def around(self, inner: Handler) -> Handler:
        """The handler with the faults. Calls of the control endpoint have none."""

        def handle(call: Call) -> Reply:
            turns = self._turns
            if not turns or call.path.startswith(CONTROL_PREFIX):
                return inner(call)
            subject = Subject.of(call)
            rule = turns.next(subject, cache(partial(subject.names, self._state)))
            return inner(call) if rule is None else self._act(rule, subject, inner)

        return handle

    def _act(self, rule: Rule, subject: Subject, inner: Handler) -> Reply:
        """What the client gets. Raises `Cut` where that is no whole answer."""
        own = self._processed(rule, subject.call, inner)
        if rule.delay_seconds and not self._deliveries.wait(time.time() + rule.delay_seconds):
            raise Cut
        if rule.answer == "given" and own is not None:
            return own
        if rule.answer == "truncated" and own is not None:
            raise replies.truncated(own)
        return replies.made_up(rule, subject.service)

    def _processed(self, rule: Rule, call: Call, inner: Handler) -> Reply | None:
        """Lets the request have its effect, now, later, twice or never. AWS's answer, where the client may see it."""
        if rule.request == "lost":
            return None
        if rule.request == "late":
            late = self._deliveries.at(time.time() + (rule.late_seconds or 0.0), lambda: inner(call))
            return _awaited(late) if rule.answer in OWN else None
        first = inner(call)
        if rule.request == "twice":
            inner(call)
        return first


def _awaited(late: Future[Reply]) -> Reply:
    try:
        return late.result()
    except CancelledError as error:
        raise Cut from error
