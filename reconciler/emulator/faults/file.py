"""A fault plan in a file: YAML, or JSON, which is YAML too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from reconciler.emulator.faults.checks import FaultProblems
from reconciler.emulator.faults.plan import Plan

MAX_BYTES = 1024 * 1024
_DEEPEST = 5
"""A plan holds rules, which hold a rule, which holds an operation, which may be a list."""


def plan_in(path: Path) -> Plan:
    """The plan in a file. Raises `FaultProblems` with everything wrong in it, also where it cannot be read."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1).decode()
        if len(text) > MAX_BYTES:
            raise FaultProblems(f"fault plan {path}", [f"it is larger than {MAX_BYTES} bytes"])
        form = yaml.load(text, _Loader)  # noqa: S506 - a safe loader, made stricter
    except OSError as error:
        raise FaultProblems(f"fault plan {path}", [f"it cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise FaultProblems(f"fault plan {path}", ["it is not UTF-8"]) from error
    except yaml.YAMLError as error:
        raise FaultProblems(f"fault plan {path}", [_sentence(error)]) from error
    try:
        return Plan.of(form)
    except FaultProblems as error:
        raise FaultProblems(f"fault plan {path}", error.problems) from error


def _sentence(error: yaml.YAMLError) -> str:
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return " ".join(str(error).split())
    mark = error.problem_mark
    return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"


class _Loader(yaml.SafeLoader):
    """Without aliases, merge keys and deep nesting, and with each key once."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise self._refused("aliases are not read here")
        if self.depth > _DEEPEST:
            raise self._refused("it is nested too deep for a plan")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def _refused(self, problem: str) -> yaml.MarkedYAMLError:
        return yaml.MarkedYAMLError(problem=problem, problem_mark=self.peek_event().start_mark)  # type: ignore[no-untyped-call]

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                raise yaml.MarkedYAMLError(problem="a key must be a name", problem_mark=key.start_mark)
            if key.value in keys:
                raise yaml.MarkedYAMLError(problem=f"{key.value} is there twice", problem_mark=key.start_mark)
            keys.add(key.value)
        return super().construct_mapping(node, deep)
