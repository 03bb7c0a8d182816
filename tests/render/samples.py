"""Builds plans, records and events, each with an obvious default."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from reconciler.core import events as e
from reconciler.core.identity import Place, Source
from reconciler.core.plan import Action, ActionType, ChangeType, Effect, Plan, Reason, SpecChange
from reconciler.core.suggestions import RUN_ID, Invocation, SuggestedCommands, adopt, resolve, retry
from reconciler.model.base import JSON
from reconciler.model.kind import kind_named
from reconciler.render.diff import explain
from tests.builders import composed

PLACE = Place("analytics", "prod", "444455556666", "eu-west-1")
BY = Invocation("prod")
NOW = "2026-11-22T02:00:03Z"
DIGEST = "sha256:" + "ab" * 32
COMMIT = "3f2a9c1d" * 5


def token(name: str = "orders-daily", number: int = 1) -> str:
    """Returns a client token that is different for each name and number."""
    return "r1-" + f"{name.encode().hex()}{number:02x}".rjust(48, "0")[-48:]


def emr_request(**spark: Any) -> JSON:
    """Returns a Spark request. Keyword arguments replace fields of `sparkSubmit`."""
    return {
        "applicationId": "00f1abcdefg",
        "executionRoleArn": "arn:aws:iam::444455556666:role/emr-jobs",
        "jobDriver": {
            "sparkSubmit": {
                "entryPoint": "s3://acme-jobs/jobs/orders.py",
                "entryPointArguments": ["--day", "2026-11-21", "--password", "hunter2"],
                "sparkSubmitParameters": "--class com.acme.Orders --conf spark.executor.memory=4g "
                "--conf spark.hadoop.fs.s3a.secret.key=verysecret",
                **spark,
            }
        },
        "name": "orders-daily",
    }


def batch_request(**fields: Any) -> JSON:
    """Returns a container request. Keyword arguments are additional fields."""
    return {
        "jobName": "export",
        "jobQueue": "main",
        "jobDefinition": "export:3",
        "containerOverrides": {
            "command": [
                "python",
                "export.py",
                "--since",
                "2026-01-01",
                "--format",
                "parquet",
                "--verbose",
                "--retries",
                "3",
            ],
            "environment": [{"name": "STAGE", "value": "prod"}, {"name": "DB_PASSWORD", "value": "hunter2"}],
        },
        **fields,
    }


def action(name: str = "orders-daily", **fields: Any) -> Action:
    """Returns the first submission of a Spark job. Keyword arguments replace fields."""
    given: dict[str, Any] = {
        "kind": "EmrServerlessJobRun",
        "action": ActionType.SUBMIT,
        "reason": Reason.NEW,
        "name": name,
        "generation": 1,
        "digest": DIGEST,
        "client_token": token(name),
        "source": Source(f"{name}.yaml", 1),
        "request": emr_request(),
        "location": {"applicationId": "00f1abcdefg"},
    }
    if fields.get("action", ActionType.SUBMIT) not in {ActionType.SUBMIT, ActionType.REPLACE}:
        given["request"] = None
    flat = {**given, **fields}
    if flat["generation"] is None and flat.get("slot") is None:
        return Action(**composed({name: flat[name] for name in flat if name not in {"generation", "slot"}}))
    return Action(name=name, **composed({**flat, "digest": flat["digest"] or ""}, key=True))


def changed(name: str = "orders-daily", before: JSON | None = None, after: JSON | None = None, **fields: Any) -> Action:
    """Returns generation 3 of a spec whose memory, an argument and a secret have changed."""
    old = before or emr_request()
    new = after or emr_request(
        entryPointArguments=["--day", "2026-11-22", "--password", "hunter3", "--full"],
        sparkSubmitParameters="--class com.acme.Orders --conf spark.executor.memory=8g "
        "--conf spark.hadoop.fs.s3a.secret.key=othersecret",
    )
    kind = fields.get("kind", "EmrServerlessJobRun")
    given = {
        "reason": Reason.SPEC_CHANGED,
        "generation": 3,
        "ledger_head": 12,
        "compared_with": 11,
        "request": new,
    }
    if "changes" not in fields:
        given["changes"] = explain(kind_named(kind), old, new)
    return action(name, **{**given, **fields})


def plan(*actions: Action, **fields: Any) -> Plan:
    """Returns a plan of these actions, in the order that plans have."""
    given = {"place": PLACE, "created_at": NOW, "ledger_position": 17, "commit": COMMIT}
    return Plan(**{**given, **fields}, actions=tuple(sorted(actions, key=lambda a: a.name)))


def every_kind_of_action() -> Plan:
    """Returns a plan with actions of every type, with messages and warnings."""
    adopt, cancel, skip = ActionType.ADOPT, ActionType.CANCEL, ActionType.SKIP
    return plan(
        action("orders-new"),
        action("export-new", kind="BatchJob", request=batch_request()),
        changed("orders-daily", message="a return to generation 1, which will run again"),
        changed("orders-live", action=ActionType.REPLACE, replaces="00f7aaaaaaa"),
        action("found", action=adopt, reason=Reason.FOUND, run_id="00f7bbb", message="its run was found by tag"),
        action("gone", action=cancel, reason=Reason.SPEC_REMOVED, run_id="00f7ccc", source=None),
        action("late", action=skip, reason=Reason.MISSED, generation=None, slot="2026-11-21T02:00:00Z"),
        *held_and_waiting(),
        *(action(f"same-{number}", action=ActionType.NONE, reason=Reason.IN_SYNC) for number in range(3)),
        action("old", action=ActionType.NONE, reason=Reason.RETIRED, message="no longer in the project"),
        warnings=("orders-new is new and equal to orders-old, which was removed.",),
    )


def undecided(name: str, since: str, settles_at: str) -> SuggestedCommands:
    """Returns the commands that an operator can run for a submission without any run."""
    decisions = (resolve(name, "submit", BY), resolve(name, "abandon", BY))
    return SuggestedCommands((adopt(name, RUN_ID, BY), *decisions), since, settles_at)


def held_and_waiting() -> list[Action]:
    """Returns actions that wait or hold, although their specs are not in sync."""
    wait, hold = ActionType.WAIT, ActionType.HOLD
    lost = "ReadTimeout: no answer"
    return [
        action("busy", action=wait, reason=Reason.CONCURRENCY, run_id="00f7ddd", message="run 00f7ddd is live"),
        action(
            "settling",
            action=wait,
            reason=Reason.SETTLING,
            message=f"{lost}; settles at 2026-11-22T02:25:03Z",
            suggested=undecided("settling", "2026-11-22T02:00:03Z", "2026-11-22T02:25:03Z"),
        ),
        action(
            "doubt",
            action=hold,
            reason=Reason.UNKNOWN,
            message=f"{lost}; settled since 2026-11-21T02:25:03Z",
            suggested=undecided("doubt", "2026-11-21T02:00:03Z", "2026-11-21T02:25:03Z"),
        ),
        action(
            "twice",
            action=hold,
            reason=Reason.CONFLICT,
            message="several runs have its tag: 00f7fff, 00f7ggg",
            suggested=SuggestedCommands(tuple(adopt("twice", run_id, BY) for run_id in ("00f7fff", "00f7ggg"))),
        ),
        action(
            "failed",
            action=hold,
            reason=Reason.RETRIES_EXHAUSTED,
            attempt=3,
            message="run 00f7eee failed",
            suggested=retry("failed", None, BY),
        ),
        action(
            "vanished", action=hold, reason=Reason.LOST, message="run 00f7fff was live, and AWS does not know it now"
        ),
    ]


def intended(name: str = "orders-daily", number: int = 1, **fields: Any) -> e.Intended:
    """Returns the intent of a generation, 30 seconds before its deadline."""
    given: dict[str, Any] = {
        "at": "2026-11-22T01:00:00.000Z",
        "kind": "EmrServerlessJobRun",
        "generation": number,
        "attempt": 1,
        "send": 1,
        "digest": DIGEST,
        "revision": 1,
        "request": emr_request(),
        "location": {"applicationId": "00f1abcdefg"},
        "not_after": "2026-11-22T01:00:30.000Z",
        "owner": "runner-1/4711",
        "reason": "new",
        "deletion_policy": "Orphan",
        "source": Source(f"{name}.yaml", 1),
        "commit": COMMIT,
        "actor": "ops",
        "tool_version": "0.1.0",
    }
    flat = {"name": name, "token": token(name, number), **given, **fields}
    return e.Intended(**composed(flat, key=True))


def submitted(name: str = "orders-daily", number: int = 1, **fields: Any) -> e.Submitted:
    """Returns the acceptance of a generation, two seconds after its intent."""
    given = {"at": "2026-11-22T01:00:02.000Z", "send": 1, "run_id": f"00f7run{number}"}
    return e.Submitted(name=name, token=token(name, number), **{**given, **fields})


def observed(name: str = "orders-daily", number: int = 1, state: str = "succeeded", **fields: Any) -> e.Observed:
    """Returns the state of a generation's run half an hour later."""
    given = {
        "at": "2026-11-22T01:30:00.000Z",
        "run_id": f"00f7run{number}",
        "aws_state": state.upper(),
        "finished_at": "2026-11-22T01:29:30.000Z" if state in {"succeeded", "failed", "cancelled"} else None,
    }
    return e.Observed(name=name, token=token(name, number), state=state, **{**given, **fields})


def spec_change(action: Action, change: ChangeType = ChangeType.CHANGED, **fields: Any) -> SpecChange:
    """Returns the change in git that an action applies. For a changed spec, it contains the changed fields of the
    action."""
    given: dict[str, Any] = {"effect": Effect.RUNS_NOW, "content": action.content}
    if change is ChangeType.CHANGED:
        given["fields"] = tuple(replace(each, path=f"request.{each.path}") for each in action.changes)
    if change is ChangeType.REMOVED:
        given |= {"effect": Effect.RUN_GOES_ON, "content": None}
    return SpecChange(name=action.name, kind=action.kind, change=change, **{**given, **fields})


def pull_request(number: int = 500) -> Plan:
    """Returns the plan for a pull request with many specs. Most are added, some are changed, and some are removed. Some
    slots are due, and some specs have been on hold since yesterday or longer."""
    actions: list[Action] = []
    changes: list[SpecChange] = []
    for index in range(number):
        name, kind = f"team-{index % 7}-job-{index:04}", index % 10
        if kind == 0:
            gone = action(name, action=ActionType.NONE, reason=Reason.RETIRED)
            message = f"run 00f7{index:04} keeps running (deletionPolicy Orphan); schedule stops: 0 2 * * *"
            actions.append(gone)
            changes.append(spec_change(gone, ChangeType.REMOVED, message=message))
        elif kind in {1, 2, 3}:
            edited = changed(name) if kind > 1 else changed(name, after=emr_request(entryPointArguments=[name]))
            actions.append(edited)
            changes.append(spec_change(edited))
        else:
            new = action(name, request=emr_request(entryPoint=f"s3://acme-jobs/jobs/{name}.py"))
            actions.append(new)
            changes.append(spec_change(new, ChangeType.ADDED))
    due = {"reason": Reason.SLOT_DUE, "generation": None, "slot": "2026-11-22T02:00:00Z", "compared_with": 5}
    actions += [action(f"nightly-{i:02}", **due, next_slot="2026-11-23T02:00:00Z") for i in range(number // 25)]
    held = {"action": ActionType.HOLD, "reason": Reason.RETRIES_EXHAUSTED}
    for index in range(number // 20):
        since = "2026-11-22T01:30:00Z" if index % 3 == 0 else f"2026-11-{1 + index % 20:02}T01:30:00Z"
        commands = retry(f"held-{index:02}", None, BY)
        message = f"run 00f9{index:04} failed: Job failed, please check the logs of the driver"
        actions.append(action(f"held-{index:02}", **held, since=since, message=message, suggested=commands))
    return plan(*actions, changes=tuple(changes), plan_id="p-0123456789abcdef")
