"""The plan, its results and the status as JSON: for machines, and whole."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from reconciler import __version__
from reconciler.mask.escape import BLANK_LETTERS, without_hash_commands
from reconciler.model.strict import JSON
from reconciler.plan.action import Action, MissedSlots
from reconciler.plan.change import Change
from reconciler.plan.remedy import Remedy
from reconciler.plan.result import ActionResult
from reconciler.plan.value import Plan
from reconciler.render.plan_file import FORMAT_VERSION, plan_from_json

if TYPE_CHECKING:
    from reconciler.render.status import StatusRow

__all__ = ["change_json", "dumps", "plan_from_json", "plan_json", "result_json", "status_json"]


def dumps(value: Any) -> str:  # noqa: ANN401 - any JSON value
    r"""`value` as indented JSON without a line end. Every character that is not plainly visible is a ``\u`` escape, so
    that the text is safe on a terminal and can be encoded as UTF-8 whatever is in it, and nothing in it is a command to
    a CI runner; read back it is the same value.
    """
    text = without_hash_commands(json.dumps(value, indent=2, ensure_ascii=False))
    if text.replace("\n", "").isprintable() and BLANK_LETTERS.isdisjoint(text):
        return text
    return "".join(char if char == "\n" else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    visible = char.isprintable() and char not in BLANK_LETTERS
    return char if visible else json.dumps(char)[1:-1] if ord(char) != 0x7F else "\\u007f"


def plan_json(plan: Plan) -> JSON:
    """The JSON form of a plan, keys in the documented order (docs/plan-format.md). Nothing is masked."""
    return {
        "format_version": FORMAT_VERSION,
        "tool_version": __version__,
        **asdict(plan.place),
        "created_at": plan.created_at,
        "ledger_position": plan.ledger_position,
        "commit": plan.commit,
        **({"uncommitted": True} if plan.uncommitted else {}),
        "warnings": list(plan.warnings),
        "schedules": [asdict(begin) for begin in plan.begins],
        "actions": [_action_json(action) for action in plan.actions],
        "summary": plan.summary(),
    }


def _action_json(action: Action) -> JSON:
    source = action.source
    return {
        "name": action.name,
        "kind": action.kind,
        "action": str(action.action),
        "reason": str(action.reason),
        "generation": action.generation,
        "slot": action.slot,
        "attempt": action.attempt,
        "digest": action.digest,
        "client_token": action.client_token,
        "ledger_head": action.ledger_head,
        "run_id": action.run_id,
        "replaces": action.replaces,
        "source": {"path": source.path, "line": source.line} if source else None,
        "changes": [change_json(change) for change in action.changes],
        "request": action.request,
        "message": action.message,
        "compared_with": action.compared_with,
        "send": action.send,
        "revision": action.revision,
        "deletion_policy": action.deletion_policy,
        "streaming": action.streaming,
        "locate": dict(action.locate),
        **({"remedy": remedy_json(action.remedy)} if action.remedy else {}),
        "next_slot": action.next_slot,
        "missed": [_missed_json(missed) for missed in action.missed],
        **_scheduling(action),
    }


def _missed_json(missed: MissedSlots) -> JSON:
    return {
        "first": missed.first,
        "last": missed.last,
        "count": missed.count,
        "slots": None if missed.slots is None else list(missed.slots),
        "reason": missed.reason,
    }


def _scheduling(action: Action) -> JSON:
    """What only submissions of scheduled and dependent specs have; absent where it is the default."""
    return {
        **({"template": action.template, "time_zone": action.time_zone} if action.template is not None else {}),
        **({"run_ids": dict(action.run_ids)} if action.run_ids else {}),
        **({"backoff_limit": action.backoff_limit} if action.backoff_limit else {}),
        **({"settled_slots": action.settled_slots} if action.settled_slots else {}),
        **({"beside": True} if action.beside else {}),
        **({"overdue": True} if action.overdue else {}),
    }


def remedy_json(remedy: Remedy) -> JSON:
    """What a person can do: ``{"since", "settles_at", "commands"}``."""
    return {"since": remedy.since, "settles_at": remedy.settles_at, "commands": list(remedy.commands)}


def change_json(change: Change) -> JSON:
    """The JSON form of one change; `sensitive` is there only where it is true, which is almost never."""
    form = {"path": change.path, "op": change.op, "before": change.before, "after": change.after}
    return {**form, "sensitive": True} if change.sensitive else form


def result_json(plan: Plan, results: Sequence[ActionResult]) -> JSON:
    """The JSON form of a plan that was carried out: as `plan_json`, with ``outcome`` and ``error`` on each action, and
    ``run_id`` as it is now. `results` are in the order of the plan's actions.
    """
    form = plan_json(plan)
    for action, result in zip(form["actions"], results, strict=True):
        action["run_id"] = result.run_id or action["run_id"]
        action["outcome"] = str(result.outcome)
        action["error"] = result.error
    return form


def status_json(rows: Sequence[StatusRow]) -> JSON:
    """``{"specs": […]}``, one object for each row, in their order; ``remedy`` only where there is one."""
    forms = [asdict(row) for row in rows]
    return {"specs": [{k: v for k, v in form.items() if k != "remedy" or v is not None} for form in forms]}
