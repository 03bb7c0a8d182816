"""Builders for tests of the core, with one obvious default for each argument."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields as dataclass_fields
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from reconciler.core import events as e
from reconciler.core.desired import Desired, DesiredSpec
from reconciler.core.fold import fold
from reconciler.core.identity import Content, Place, Source, SubmissionKey, client_token, digest
from reconciler.core.plan import ActionResult, Plan
from reconciler.core.state import Recorded
from reconciler.core.suggestions import Invocation
from reconciler.core.times import time_text
from reconciler.model.base import JSON
from reconciler.model.spec import Policy
from reconciler.render.json_text import dumped
from reconciler.render.plan_json import plan_form, result_form

NOW = datetime(2026, 11, 22, 2, 0, 0, tzinfo=UTC)
PLACE = Place("analytics", "prod", "444455556666", "eu-west-1")


def at(seconds: float = 0) -> str:
    """Returns the time `seconds` after NOW in the format of the ledger."""
    return time_text(NOW + timedelta(seconds=seconds))


def request(content: str = "A", **more: Any) -> dict[str, Any]:
    """Returns a Batch request whose command is `content`."""
    return {
        "jobName": "orders",
        "jobQueue": "etl",
        "jobDefinition": "orders:1",
        "containerOverrides": {"command": ["run", content]},
        **more,
    }


def spec(
    content: str = "A", name: str = "orders", *, policy: Mapping[str, Any] | None = None, **more: Any
) -> DesiredSpec:
    """Returns a one-off Batch spec with the default policy."""
    chosen = Policy(**(policy or {}))
    asked = request(content, jobName=name)
    fields: dict[str, Any] = {
        "name": name,
        "kind": "BatchJob",
        "digest": digest("BatchJob", chosen.revision, asked),
        "revision": chosen.revision,
        "request": asked,
        "deletion_policy": chosen.deletionPolicy,
        "policy": chosen,
        "source": Source(f"{name}.yaml", 1),
        "labels": {},
        "location": {"jobQueue": "etl", "jobName": name},
    }
    return DesiredSpec(**composed({**fields, **more}))


KEY = ("name", "generation", "slot", "attempt")
CONTENT = tuple(field.name for field in dataclass_fields(Content))


def composed(flat: Mapping[str, Any], *, key: bool = False) -> dict[str, Any]:
    """Returns keywords in which the fields of the content, and with `key` those of the key, are composed."""
    content = {name: flat[name] for name in CONTENT if name in flat}
    rest = {name: value for name, value in flat.items() if name not in CONTENT}
    if key:
        rest["key"] = SubmissionKey(**{name: rest.pop(name) for name in KEY if name in rest})
    return {**rest, "content": Content(**content)}


def desired(*specs: DesiredSpec, **more: Any) -> Desired:
    """Returns the desired state of a target with these specs, all selected, outside git."""
    fields: dict[str, Any] = {
        "place": PLACE,
        "specs": {s.name: s for s in specs},
        "names": frozenset(s.name for s in specs),
        "invocation": Invocation(PLACE.target),
    }
    return Desired(**{**fields, **more})


def token(content: str = "A", generation: int = 1, name: str = "orders", revision: int = 1) -> str:
    """Returns the client token of a generation of `spec(content, name)`."""
    content_digest = digest("BatchJob", revision, request(content, jobName=name))
    return client_token(PLACE, "BatchJob", SubmissionKey(name, generation), content_digest)


def intended(
    content: str = "A", generation: int = 1, name: str = "orders", *, seconds: float = -3600, **more: Any
) -> e.Intended:
    """Returns the intent of a first send, an hour ago."""
    revision = more.pop("revision", 1)
    asked = request(content, jobName=name)
    fields: dict[str, Any] = {
        "at": at(seconds),
        "name": name,
        "token": token(content, generation, name, revision),
        "kind": "BatchJob",
        "generation": generation,
        "attempt": 1,
        "send": 1,
        "digest": digest("BatchJob", revision, asked),
        "revision": revision,
        "request": asked,
        "location": {"jobQueue": "etl", "jobName": name},
        "not_after": at(seconds + 30),
        "owner": "here:1:x",
        "reason": "new",
        "deletion_policy": "Orphan",
        "source": Source(f"{name}.yaml", 1),
        "actor": "tests",
        "tool_version": "0.1.0",
    }
    return e.Intended(**composed({**fields, **more}, key=True))


def taken(
    content: str = "A", generation: int = 1, name: str = "orders", *, seconds: float = -3600, **more: Any
) -> e.ManuallyAdopted:
    """Returns the event that an operator adopted a run, an hour ago."""
    asked = request(content, jobName=name)
    fields: dict[str, Any] = {
        "at": at(seconds),
        "name": name,
        "token": token(content, generation, name),
        "kind": "BatchJob",
        "generation": generation,
        "digest": digest("BatchJob", 1, asked),
        "revision": 1,
        "request": asked,
        "location": {"jobQueue": "etl", "jobName": name},
        "run_id": f"run-{generation}",
        "deletion_policy": "Orphan",
        "source": Source(f"{name}.yaml", 1),
        "actor": "tests",
        "tool_version": "0.1.0",
    }
    return e.ManuallyAdopted(**composed({**fields, **more}, key=True))


def slot_intended(slot: str, content: str = "A", name: str = "orders", *, attempt: int = 1, **more: Any) -> e.Intended:
    """Returns the intent of a first send for a slot, an hour ago."""
    content_digest = digest("BatchJob", 1, request(content, jobName=name))
    key = SubmissionKey(name, slot=slot, attempt=attempt)
    slot_token = client_token(PLACE, "BatchJob", key, content_digest)
    return replace(intended(content, 1, name, token=slot_token, **{"reason": "slot-due", **more}), key=key)


def outcome(kind: str, intent: e.Intended, *, send: int = 1, seconds: float = -3590, **more: Any) -> e.SubmissionEvent:
    """Returns an event that follows an intent, by its type, with a default for each field."""
    base: dict[str, Any] = {"at": at(seconds), "name": intent.name, "token": intent.token}
    run_id = more.pop("run_id", f"run-{intent.key.generation}")
    match kind:
        case "submitted":
            return e.Submitted(**base, send=send, run_id=run_id, **more)
        case "adopted":
            return e.Adopted(**base, run_id=run_id, **more)
        case "unsent":
            return e.Unsent(**base, send=send, code="EndpointConnectionError", message="refused", **more)
        case "rejected":
            return e.Rejected(**base, send=send, code="ClientException", message="no such queue", **more)
        case "unclear":
            return e.Unclear(**base, send=send, code="ReadTimeoutError", message="no reply", **more)
        case "conflicted":
            return e.Conflicted(**base, run_ids=("run-1", "run-2"), **more)
        case "absent":
            return e.Absent(**base, looked_at=at(seconds), **more)
        case "superseded":
            return e.Superseded(**base, **more)
        case "resolved":
            return e.Resolved(**{"decision": "submit", "send": send, "actor": "tests", **base, **more})
        case "cancel-asked":
            return e.CancelAsked(**base, run_id=run_id, reason="removed", actor="tests", **more)
        case "unseen":
            return e.Unseen(**base, run_id=run_id, looked_at=at(seconds), **more)
        case "retry-asked":
            return e.RetryAsked(**base, actor="tests", **more)
        case "cancel-accepted":
            return e.CancelAccepted(**base, run_id=run_id, **more)
        case _:
            return e.Observed(**base, run_id=run_id, state=kind, aws_state=kind.upper(), **more)


def scheduled(name: str = "orders", *, seconds: float = -7200, **more: Any) -> e.ScheduledSince:
    """Returns an hourly schedule that has been in force for two hours."""
    fields: dict[str, Any] = {
        "at": at(seconds),
        "name": name,
        "kind": "BatchJob",
        "since": at(seconds),
        "schedule": "0 * * * *",
        "time_zone": "UTC",
    }
    return e.ScheduledSince(**{**fields, **more})


def recorded(*events: e.Event) -> Recorded:
    """Returns the folded state of these events, in one batch each."""
    state = Recorded()
    for position, event in enumerate(events, start=1):
        fold(state, position, [event])
    return state


def ran(
    content: str = "A", generation: int = 1, end: str | None = "succeeded", name: str = "orders", **more: Any
) -> Sequence[e.Event]:
    """Returns the events of a generation that was submitted and, unless `end` is `None`, ended that way."""
    intent = intended(content, generation, name, **more)
    events: list[e.Event] = [intent, outcome("submitted", intent)]
    if end is not None:
        events.append(outcome(end, intent))
    return events


def plan_json(plan: Plan) -> JSON:
    """Returns the parsed JSON that `plan --format json` prints."""
    form: JSON = json.loads("".join(dumped(plan_form(plan))))
    return form


def result_json(plan: Plan, results: Sequence[ActionResult]) -> JSON:
    """Returns the parsed JSON that `apply --format json` prints."""
    form: JSON = json.loads("".join(dumped(result_form(plan, results))))
    return form
