"""Compares the output of 0.1.0 with the output of this version.

An object must contain all keys of the golden object, but may have others, because later versions may add keys.
Messages, times and ids of new runs must exist, but their values are not compared.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

DATA = Path(__file__).with_name("data")
DUMPS = (DATA / "ledger-0.1.0.jsonl", DATA / "renamed-0.1.0.jsonl")

SENTENCES = {"message", "warnings", "error", "advice", "commands", "saw"}
"""The keys of messages. Their values may be reworded but must exist."""

VARYING = {
    "tool_version", "created_at", "at", "not_after", "looked_at", "started_at", "finished_at", "since", "intended_at",
    "submitted_at", "owner", "usage", "commit", "position", "positions", "head", "seal", "detail",
}  # fmt: skip
"""The keys whose values differ each time the command runs."""

RUN_ID = re.compile(r"\b00[a-z0-9]{14}\b|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")


def differences(golden: Any, actual: Any, path: str = "$") -> Iterator[str]:
    """Yields the paths at which `actual` lacks a part of `golden` or differs from it."""
    if isinstance(golden, dict) and isinstance(actual, dict):
        for key, value in golden.items():
            if key not in actual:
                yield f"{path}.{key} is missing"
            else:
                yield from differences(value, actual[key], f"{path}.{key}")
    elif isinstance(golden, list) and isinstance(actual, list) and len(golden) == len(actual):
        for index, (one, other) in enumerate(zip(golden, actual, strict=True)):
            yield from differences(one, other, f"{path}[{index}]")
    elif golden != actual or type(golden) is not type(actual):
        yield f"{path} is {actual!r}, and was {golden!r}"


def comparable(value: Any, *, fixed: bool = False) -> Any:
    """Returns a JSON value without the parts that are not compared. With `fixed`, times are kept, because the value
    depends only on the ledger."""
    if isinstance(value, dict):
        # A snapshot of another version is ignored.
        of_version = {"result"} if value.get("check") == "snapshot" else set()
        return {key: _comparable(key, each, fixed=fixed) for key, each in value.items() if key not in of_version}
    if isinstance(value, list):
        return [comparable(each, fixed=fixed) for each in value]
    return RUN_ID.sub(_old_run, value) if isinstance(value, str) else value


def _comparable(key: str, value: Any, *, fixed: bool) -> Any:
    if value is None:
        return None
    if key in SENTENCES:
        return "(a sentence)"
    if key == "format_version":
        return value.split(".")[0]
    if key in {"tool_version", "created_at", "seal"} or (key in VARYING and not fixed):
        return f"({key})"
    if key == "reason" and isinstance(value, str):
        return value.split(":")[0]  # `status` appends the message here
    return comparable(value, fixed=fixed)


def _old_run(match: re.Match[str]) -> str:
    return match[0] if match[0] in _old_runs() else "(a new run)"


@cache
def _old_runs() -> frozenset[str]:
    return frozenset(RUN_ID.findall("".join(path.read_text() for path in DUMPS)))


LATER_TYPES = {"declared", "undeclared", "project-declared", "undelivered", "redelivering"}
LATER_KINDS = {"missed", "stuck", "recovered", "succeeded"}


def by_name(events: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """Returns comparable events grouped by spec, because the order of events about different specs in a pass is
    arbitrary. Events of types that 0.1.0 did not have, and records of notifications that 0.1.0 did not send, are left
    out."""
    forms: dict[str, list[Any]] = {}
    for event in events:
        later = event["type"] in LATER_TYPES or (event["type"] == "notified" and LATER_KINDS.issuperset(event["kinds"]))
        if not later:
            forms.setdefault(event.get("name", ""), []).append(comparable(event))
    return forms


def without_runs(events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns events with every run id replaced with the same word."""
    whole: list[dict[str, Any]] = json.loads(RUN_ID.sub("(a run)", json.dumps(events)))
    return whole


def lines(path: Path) -> list[dict[str, Any]]:
    """Returns the values of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text().splitlines()]
