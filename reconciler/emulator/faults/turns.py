"""Which rule acts on a call, and the counts of it."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

from reconciler.emulator.faults.checks import several
from reconciler.emulator.faults.plan import Rule
from reconciler.emulator.faults.subject import Subject


class Turn:
    """One rule while it is in force: how many calls it matched, how many it acted on."""

    def __init__(self, rule: Rule) -> None:
        self.rule, self.matched, self.fired = rule, 0, 0
        self._operations, self._nth = frozenset(several(rule.operation)), frozenset(several(rule.nth))
        self._random = random.Random(rule.seed or 0)  # noqa: S311 - chance, not secrecy

    def matches(self, subject: Subject, names: Callable[[], frozenset[str]]) -> bool:
        """Whether the rule is about this call."""
        rule = self.rule
        return (
            (rule.service is None or rule.service == subject.service)
            and (not self._operations or subject.operation in self._operations)
            and (rule.name is None or any(fnmatchcase(name, rule.name) for name in names()))
        )

    def comes(self) -> bool:
        """Counts a matching call, and says whether the rule's turn has come with it."""
        rule = self.rule
        self.matched += 1
        if rule.probability is not None:
            come = self._random.random() < rule.probability
        elif rule.every is not None:
            come = self.matched % rule.every == 0
        else:
            come = not self._nth or self.matched in self._nth
        return come and (rule.count is None or self.fired < rule.count)


class Turns:
    """The rules in force, in their order. Safe for threads."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._lock = threading.Lock()
        self._turns = [Turn(rule) for rule in rules]

    def __bool__(self) -> bool:
        return bool(self._turns)

    def next(self, subject: Subject, names: Callable[[], frozenset[str]]) -> Rule | None:
        """The first rule whose turn it is. Every rule counts the calls it matches, whoever acts on them."""
        matching = [turn for turn in self._turns if turn.matches(subject, names)]
        with self._lock:
            come = [turn for turn in matching if turn.comes()]
            if not come:
                return None
            come[0].fired += 1
            return come[0].rule

    def counts(self) -> list[dict[str, object]]:
        """Each rule with ``matched`` and ``fired``, as JSON objects."""
        with self._lock:
            return [{**turn.rule.given(), "matched": turn.matched, "fired": turn.fired} for turn in self._turns]
