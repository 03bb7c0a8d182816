"""Decides which fault rule acts on a call, and counts matches."""

from __future__ import annotations

import json
import random
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cached_property

from reconciler.emulator import sts
from reconciler.emulator.dispatch import service_of
from reconciler.emulator.fault_rules import Rule, as_tuple
from reconciler.emulator.http import Call
from reconciler.emulator.operations import AwsError
from reconciler.emulator.protocol import route
from reconciler.emulator.state import State

_NAME_MEMBERS = {"StartJobRun": "name", "SubmitJob": "jobName"}


class IdentifiedCall:
    """A call with its service and operation; `operation` is empty if AWS has none for it."""

    def __init__(self, call: Call, state: State) -> None:
        self.call, self._state = call, state
        self.operation = ""
        self._labels: Mapping[str, str] = {}
        service = service_of(call)
        self.service = sts.NAME if service is None else service.name
        if service is None:
            self.operation = sts.parameters(call).get("Action", "")
        else:
            try:
                model, self._labels = route(service.name, call)
            except AwsError:
                return
            self.operation = model.name

    @cached_property
    def run_names(self) -> frozenset[str]:
        """The name of the run that it starts, or of the runs that it names by id, expired ones too."""
        body = self._body()
        own = body.get(_NAME_MEMBERS.get(self.operation, ""))
        if isinstance(own, str):
            return frozenset({own})
        ids = [re.split("[:#]", run_id)[0] for run_id in self._ids(body)]
        if not ids:
            return frozenset()
        with self._state.reading() as records:
            runs = [records.run(run_id, None) for run_id in ids]
        return frozenset(run.name for run in runs if run is not None)

    def _ids(self, body: Mapping[str, object]) -> Iterator[str]:
        if "jobRunId" in self._labels:
            yield self._labels["jobRunId"]
        several = body.get("jobs")
        for value in (body.get("jobId"), *(several if isinstance(several, list) else ())):
            if isinstance(value, str):
                yield value

    def _body(self) -> Mapping[str, object]:
        try:
            body = json.loads(self.call.body or b"{}")
        except (ValueError, RecursionError):
            return {}
        return body if isinstance(body, dict) else {}


class CountedRule:
    """A rule in force: how many calls it matched, and how many it acted on."""

    def __init__(self, rule: Rule) -> None:
        self.rule, self.matched, self.fired = rule, 0, 0
        self._operations, self._nth = frozenset(as_tuple(rule.operation)), frozenset(as_tuple(rule.nth))
        self._random = random.Random(rule.seed or 0)  # noqa: S311 - reproducible, not secret

    def matches(self, call: IdentifiedCall) -> bool:
        """Whether the rule is about this call. Names come last: reading them may cost a transaction."""
        rule = self.rule
        return (
            (rule.service is None or rule.service == call.service)
            and (not self._operations or call.operation in self._operations)
            and (rule.name is None or any(fnmatchcase(name, rule.name) for name in call.run_names))
        )

    def count_match(self) -> bool:
        """Counts a matching call, and returns whether the rule is to act on it."""
        rule = self.rule
        self.matched += 1
        if rule.probability is not None:
            is_due = self._random.random() < rule.probability
        elif rule.every is not None:
            is_due = self.matched % rule.every == 0
        else:
            is_due = not self._nth or self.matched in self._nth
        return is_due and (rule.count is None or self.fired < rule.count)


class ActiveRules:
    """The rules in force, in their order. Safe for threads."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._lock = threading.Lock()
        self._rules = [CountedRule(rule) for rule in rules]

    def __bool__(self) -> bool:
        return bool(self._rules)

    def select(self, call: IdentifiedCall) -> Rule | None:
        """Returns the first rule that is to act on a call. Every rule counts the calls that it matches, whichever rule
        acts on them."""
        matching = [rule for rule in self._rules if rule.matches(call)]
        with self._lock:
            due = [rule for rule in matching if rule.count_match()]
            if not due:
                return None
            due[0].fired += 1
            return due[0].rule

    def counts(self) -> list[dict[str, object]]:
        """Returns each rule as a JSON object, with ``matched`` and ``fired``."""
        with self._lock:
            return [{**rule.rule.to_json(), "matched": rule.matched, "fired": rule.fired} for rule in self._rules]
