"""Contains fault plans: rules and settings, which are checked as a whole. Plans are created in Python, from JSON, or
from a YAML or JSON file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from reconciler.emulator.fault_rules import RULE_FIELDS, FaultProblems, Rule, rule_problems, unknown_fields
from reconciler.emulator.settings import FAULTS, setting_problems

MAX_BYTES = 1024 * 1024
_MAX_DEPTH = 5
"""The maximum nesting of a plan: a list of rules, a rule, and an operation, which may be a list."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A list of rules, and the settings of the emulator that simulate faults in stored state. If several rules apply to
    a call, the first one acts. Settings that are not in the plan get their defaults. Raises `FaultProblems`."""

    rules: Sequence[Rule] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problems = list(_setting_problems(self.settings))
        if problems:
            raise FaultProblems("fault plan", problems)
        object.__setattr__(self, "rules", tuple(self.rules))
        object.__setattr__(self, "settings", MappingProxyType(dict(self.settings)))

    @classmethod
    def from_json(cls, form: object) -> Plan:
        """Reads ``{"rules": […], "settings": {…}}``. Raises `FaultProblems` with every problem."""
        problems = list(_form_problems(form))
        if problems or not isinstance(form, Mapping):
            raise FaultProblems("fault plan", problems)
        return cls([Rule(**rule) for rule in form.get("rules", ())], form.get("settings", {}))


def _setting_problems(settings: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"settings: {problem}" for problem in unknown_fields(settings, FAULTS))
    faults = {name: value for name, value in settings.items() if name in FAULTS}
    yield from (f"settings: {problem}" for problem in setting_problems(faults))


def _form_problems(form: object) -> Iterator[str]:
    if not isinstance(form, Mapping):
        yield "it must be a mapping with rules and settings"
        return
    yield from unknown_fields(form, ("rules", "settings"))
    rules, settings = form.get("rules", []), form.get("settings", {})
    if isinstance(rules, list):
        for index, rule in enumerate(rules):
            yield from (f"rules[{index}]: {problem}" for problem in _rule_form_problems(rule))
    else:
        yield "rules must be a list"
    if isinstance(settings, Mapping):
        yield from _setting_problems(settings)
    else:
        yield "settings must be a mapping"


def _rule_form_problems(rule: object) -> Iterator[str]:
    if not isinstance(rule, Mapping):
        yield "must be a mapping"
        return
    yield from unknown_fields(rule, RULE_FIELDS)
    yield from rule_problems({name: value for name, value in rule.items() if name in RULE_FIELDS})


def read_plan(path: Path) -> Plan:
    """Reads the plan in a file. Raises `FaultProblems` with all its problems, or if the file cannot be read."""
    try:
        return Plan.from_json(_read_form(path))
    except OSError as error:
        problems: Sequence[str] = [f"it cannot be read: {error.strerror}"]
    except UnicodeDecodeError:
        problems = ["it is not UTF-8"]
    except yaml.YAMLError as error:
        problems = [_yaml_problem(error)]
    except FaultProblems as error:
        problems = error.problems
    raise FaultProblems(f"fault plan {path}", problems)


def _read_form(path: Path) -> object:
    with path.open("rb") as file:
        text = file.read(MAX_BYTES + 1).decode()
    if len(text) > MAX_BYTES:
        raise FaultProblems("fault plan", [f"it is larger than {MAX_BYTES} bytes"])
    return yaml.load(text, _Loader)  # noqa: S506 - a safe loader, made stricter


def _yaml_problem(error: yaml.YAMLError) -> str:
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return " ".join(str(error).split())
    mark = error.problem_mark
    return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"


class _Loader(yaml.SafeLoader):
    """Refuses aliases, merge keys, deep nesting and duplicate keys, because a plan needs none of them."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise self._refusal("aliases are not supported here")
        if self.depth > _MAX_DEPTH:
            raise self._refusal("it is nested too deep for a plan")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def _refusal(self, problem: str) -> yaml.MarkedYAMLError:
        return yaml.MarkedYAMLError(problem=problem, problem_mark=self.peek_event().start_mark)  # type: ignore[no-untyped-call]

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                raise yaml.MarkedYAMLError(problem="a key must be a name", problem_mark=key.start_mark)
            if key.value in keys:
                raise yaml.MarkedYAMLError(problem=f"{key.value} occurs twice", problem_mark=key.start_mark)
            keys.add(key.value)
        return super().construct_mapping(node, deep)
