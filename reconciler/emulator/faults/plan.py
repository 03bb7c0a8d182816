"""A fault plan: rules about calls, and settings of the world. A value that has been checked whole."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from reconciler.emulator.faults.checks import Answer, FaultProblems, Request, rule_problems, setting_problems, unknown


@dataclass(frozen=True, slots=True)
class Rule:
    """What happens to some calls. Raises `FaultProblems` with everything that makes no sense.

    Which calls; all that are given must hold:

    `service`, `operation`  as AWS names them; one operation or several.
    `name`                  a pattern (``orders-*``, case counts) for the name of the run that the call starts, or that
                            it names by an id. Listings name none.
    `nth`                   the nth matching call, from 1, or several such numbers.
    `every`                 every k-th matching call.
    `probability`, `seed`   each matching call with this chance, the same ones for the same seed.
    `count`                 at most so often.

    What happens to the request:

    `request`        ``processed`` as usual; ``lost``: has no effect; ``late``: takes effect `late_seconds` from now,
                     though the client be gone; ``twice``.

    What the client gets, `delay_seconds` later than it would:

    `answer`         ``given``: AWS's own (of a late request: when it is processed; of a doubled one: the first);
                     ``closed`` and ``reset``: the connection ends without a word, in good order or by RST; ``never``:
                     nothing, until the client gives up; ``error``: a typed one of `code` and `status`, either of which
                     follows from the other where there is a usual one; ``html``, ``empty``: a page or nothing, with
                     `status` (200); ``truncated``: AWS's own cut in half under its whole length; ``garbage``: bytes
                     that are not HTTP.
    `request_id`     whether a made-up answer carries one: errors do, pages and empty ones do not.
    """

    request: Request
    answer: Answer = "given"
    service: str | None = None
    operation: str | Sequence[str] | None = None
    name: str | None = None
    nth: int | Sequence[int] | None = None
    every: int | None = None
    probability: float | None = None
    seed: int | None = None
    count: int | None = None
    late_seconds: float | None = None
    delay_seconds: float = 0.0
    status: int | None = None
    code: str | None = None
    request_id: bool | None = None

    def __post_init__(self) -> None:
        problems = rule_problems(self.given())
        if problems:
            raise FaultProblems("fault rule", problems)
        for name in ("operation", "nth"):
            several = getattr(self, name)
            if isinstance(several, list):
                object.__setattr__(self, name, tuple(several))

    def given(self) -> dict[str, Any]:
        """The rule as a JSON object, without what it leaves at its default."""
        values = {known.name: (getattr(self, known.name), known.default) for known in dataclasses.fields(self)}
        return {name: value for name, (value, default) in values.items() if value != default}


_FIELDS = tuple(known.name for known in dataclasses.fields(Rule))


@dataclass(frozen=True, slots=True)
class Plan:
    """Rules in their order (the first whose turn it is acts on a call), and those of the emulator's settings that are
    faults of the world; the ones not named have their defaults. Raises `FaultProblems`."""

    rules: Sequence[Rule] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problems = list(setting_problems(self.settings))
        if problems:
            raise FaultProblems("fault plan", problems)
        object.__setattr__(self, "rules", tuple(self.rules))
        object.__setattr__(self, "settings", MappingProxyType(dict(self.settings)))

    @classmethod
    def of(cls, form: object) -> Plan:
        """A plan from its JSON form, ``{"rules": […], "settings": {…}}``. Raises `FaultProblems` with every problem."""
        problems = list(_form_problems(form))
        if problems or not isinstance(form, Mapping):
            raise FaultProblems("fault plan", problems)
        return cls([Rule(**rule) for rule in form.get("rules", ())], form.get("settings", {}))


def _form_problems(form: object) -> Iterator[str]:
    if not isinstance(form, Mapping):
        yield "it must be a mapping with rules and settings"
        return
    yield from unknown(form, ("rules", "settings"))
    rules, settings = form.get("rules", []), form.get("settings", {})
    if isinstance(rules, list):
        for at, rule in enumerate(rules):
            yield from (f"rules[{at}]: {problem}" for problem in _rule_form_problems(rule))
    else:
        yield "rules must be a list"
    if isinstance(settings, Mapping):
        yield from setting_problems(settings)
    else:
        yield "settings must be a mapping"


def _rule_form_problems(rule: object) -> Iterator[str]:
    if not isinstance(rule, Mapping):
        yield "must be a mapping"
        return
    yield from unknown(rule, _FIELDS)
    yield from rule_problems({name: value for name, value in rule.items() if name in _FIELDS})
