"""Compares the settings of the project file with those that were applied last.

The settings of a target are those of the project (suspension, variables, patterns of files, default target) and those
of the target itself (account, region, ledger, limits, variables, webhooks and so on). Settings of other targets,
labels, annotations and prices have no effect on what a pass does in this target and are left out.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any

from reconciler.core.declarations import PROJECT_KIND, PROJECT_NAME, PendingDeclaration, ProjectDeclaration
from reconciler.core.desired import UNAPPLIED, Desired, why_stale
from reconciler.core.identity import canonical
from reconciler.core.plan import Action, ActionType, Change, ChangeType, Effect, Op, Plan, Reason, SpecChange, stopped
from reconciler.core.state import Recorded
from reconciler.model.base import JSON
from reconciler.model.project import Project, ProjectSpec, Target
from reconciler.values import regex

SHOWN_ONLY = {"prices"}
"""Settings of a target that do not affect what a pass does and are left out."""
TARGETS, ADDRESS = "targets", "url"
ADDRESS_PATH = regex(rf".*\.notify\[[0-9]+\]\.{ADDRESS}")
SWITCHES = {"suspend", "emulator"}
"""Settings that are either a boolean or a mapping. A mapping is also compared as true, so that a comparison shows
whether the setting was switched on or off."""
PLAIN_KEY = regex(r"[A-Za-z0-9_-]+")
CHANGED = SpecChange(PROJECT_NAME, PROJECT_KIND, ChangeType.CHANGED, Effect.NO_RUN, "takes effect with the next apply")
"""A change of the settings, without its fields."""

SECRET = (Change("(sensitive)", "change", None, None, sensitive=True),)
"""The fields of a change whose values are all masked."""


def project_settings(project: Project, target: str) -> JSON:
    """Returns the settings that affect what a pass does in a target, as JSON with the structure of the project file.
    The address of a webhook is a secret and is replaced with a digest."""
    own = project.model_dump(mode="json")["spec"]
    chosen = {name: value for name, value in own.pop(TARGETS)[target].items() if name not in SHOWN_ONLY}
    for webhook in chosen["notify"]:
        if webhook[ADDRESS] is not None:
            webhook[ADDRESS] = "sha256:" + sha256(webhook[ADDRESS].encode()).hexdigest()
    return {**own, TARGETS: {target: chosen}}


def settings_digest(settings: Mapping[str, Any]) -> str:
    """Returns ``sha256:…`` over the settings."""
    return "sha256:" + sha256(canonical(dict(settings))).hexdigest()


def settings_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    """Returns the differences between earlier and later settings, sorted by path. Settings of a target that the earlier
    settings do not have, as in a ledger that was copied from another target, are unknown and count as unchanged."""
    earlier = completed(before)
    targets = {name: earlier[TARGETS].get(name, chosen) for name, chosen in after[TARGETS].items()}
    old, new = dict(leaves({**earlier, TARGETS: targets})), dict(leaves(after))
    return tuple(replace(each, sensitive=bool(ADDRESS_PATH.fullmatch(each.path))) for each in differences(old, new))


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    """Yields the differences between two mappings of paths to values, sorted by path."""
    for path in sorted(old.keys() | new.keys()):
        if path not in old or path not in new or old[path] != new[path]:
            op: Op = "add" if path not in old else "remove" if path not in new else "change"
            yield Change(path, op, old.get(path), new.get(path))


def completed(settings: Mapping[str, Any]) -> JSON:
    """Returns recorded settings with exactly the fields that this version has. Fields that did not exist in the version
    that recorded the settings have their default values."""
    targets: Mapping[str, Mapping[str, Any]] = settings.get(TARGETS, {})
    fields = Target.model_fields.keys() - SHOWN_ONLY
    if settings.keys() == ProjectSpec.model_fields.keys() and all(each.keys() == fields for each in targets.values()):
        return dict(settings)  # this version recorded them, so they are complete
    own = ProjectSpec.model_construct(targets={}).model_dump(mode="json", exclude={TARGETS})
    target = Target().model_dump(mode="json", exclude=SHOWN_ONLY)
    return {
        **{name: settings.get(name, default) for name, default in own.items()},
        TARGETS: {name: {key: chosen.get(key, target[key]) for key in target} for name, chosen in targets.items()},
    }


def declared_digest(declared: ProjectDeclaration) -> str:
    """Returns the digest of the settings applied last."""
    return declared.digest or settings_digest(completed(declared.settings))


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - any JSON value
    """Yields the values of settings or of a policy by path: ``suspend.reason``, ``targets.prod.notify[0].urlEnv``.
    Absent and empty values are left out."""
    match value:
        case dict():
            if path.rpartition(".")[2] in SWITCHES:
                yield path, True
            for key, part in value.items():
                plain = key if PLAIN_KEY.fullmatch(key) else f"[{json.dumps(key)}]"
                yield from leaves(part, f"{path}.{plain}" if path and plain == key else path + plain)
        case list() if any(isinstance(entry, dict) for entry in value):
            for index, entry in enumerate(value):
                yield from leaves(entry, f"{path}[{index}]")
        case None | []:
            pass
        case _:
            yield path, value


def settings_change(desired: Desired, recorded: Recorded) -> SpecChange | None:
    """Returns how the settings in git differ from those applied last, or `None` if they are the same, or if the ledger
    has no settings yet. The change is stale if this pass may not change them."""
    declared, settings = recorded.project, desired.settings
    if declared is None or settings is None or declared_digest(declared) == desired.settings_digest:
        return None
    # If the recorded settings are masked, only their digest shows that a secret has changed.
    fields = settings_changes(declared.settings, settings) or (SECRET if declared.digest else ())
    if not fields:
        return None
    stale = UNAPPLIED if desired.applied_only else why_stale(declared.commit, desired)
    message = CHANGED.message if stale is None else stale
    return replace(CHANGED, message=message, fields=fields, declared_commit=declared.commit, stale=stale is not None)


def settings_since(before: Mapping[str, Any] | None, plan: Plan) -> tuple[SpecChange, ...]:
    """Returns how the settings of a plan differ from earlier ones, such as those at the base of a pull request, if the
    ledger has no settings yet. Returns an empty tuple if the ledger has settings or there is no difference."""
    pending = next((each for each in plan.declarations if each.kind == PROJECT_KIND and not each.after), None)
    if pending is None or before is None or not (fields := settings_changes(before, pending.policy)):
        return ()
    return (replace(CHANGED, fields=fields),)


def change_of_settings(plan: Plan) -> SpecChange | None:
    """Returns the change of the project file in a plan, or `None` if there is none."""
    return next((change for change in plan.changes if change.kind == PROJECT_KIND), None)


def pending_settings(desired: Desired, recorded: Recorded) -> Iterator[PendingDeclaration]:
    """Yields the declaration of the settings that an apply records. Yields nothing if they are already recorded, or if
    the pass leaves changes to an apply. The caller must check that the settings may be changed."""
    declared, settings = recorded.project, desired.settings
    same = declared is not None and declared_digest(declared) == desired.settings_digest
    if settings is not None and not same and not desired.applied_only:
        yield PendingDeclaration(PROJECT_NAME, PROJECT_KIND, settings_declared_at(recorded), policy=settings)


def settings_declared_at(recorded: Recorded) -> int:
    """Returns the position of the newest declaration of the settings, 0 if there is none."""
    return recorded.project.position if recorded.project is not None else 0


def settling_seconds(target: Target, recorded: Recorded) -> int:
    """Returns the settling time for observations: the longer of the target's settling time and the one applied last. A
    shorter settling time thus takes effect only after it was applied."""
    applied = completed(recorded.project.settings)[TARGETS] if recorded.project is not None else {}
    return max(target.settleSeconds, *(int(each["settleSeconds"]) for each in applied.values()), 0)


def held_back(action: Action, stale: str | None) -> Action:
    """Returns a hold in place of an action that must not happen under the settings of this checkout, because of
    `stale`."""
    # Runs that were found are still adopted, because an adoption only records what happened.
    if stale is None or not action.effective or (action.action is ActionType.ADOPT and action.request is None):
        return action
    return stopped(action, ActionType.HOLD, Reason.STALE_CHECKOUT, stale)


def others_applied(digest: str, position: int, recorded: Recorded) -> str | None:
    """Returns why a plan is outdated, if settings with a digest other than `digest` were applied after `position`, the
    ledger position at which the plan was made; otherwise `None`."""
    declared = recorded.project
    if not digest or declared is None or declared.position <= position or declared_digest(declared) == digest:
        return None
    return f"another pass applied other settings of {PROJECT_NAME} since the plan was created: plan again"
