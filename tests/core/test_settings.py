"""Tests the settings in the project file: how they are compared, and what a stale checkout with other settings must not
do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.core.checkout import Checkout
from reconciler.core.decide import plan
from reconciler.core.declarations import PROJECT_NAME, ProjectDeclared
from reconciler.core.desired import Desired, DesiredSpec
from reconciler.core.events import Event
from reconciler.core.plan import ActionType, Plan, Reason
from reconciler.core.settings import (
    change_of_settings,
    others_applied,
    project_settings,
    settings_changes,
    settings_digest,
)
from reconciler.model.project import Project
from tests.builders import NOW, at, desired, intended, outcome, ran, recorded, spec
from tests.campaigns import in_one_test
from tests.core.test_changes import HOURLY, STALE, declared, history, undeclared

TARGET = {"account": "444455556666", "region": "eu-west-1", "ledger": "s3://ledgers/analytics"}


def settings(target: Mapping[str, Any] | None = None, **own: Any) -> dict[str, Any]:
    """Returns the settings of a project with the targets prod and dev, for prod."""
    spec = {**own, "targets": {"prod": {**TARGET, **(target or {})}, "dev": {"emulator": True}}}
    document = {
        "apiVersion": "reconciler/v1", "kind": "Project", "metadata": {"name": "analytics"}, "spec": spec,
    }  # fmt: skip
    return project_settings(Project.model_validate(document), "prod")


def applied(commit: str | None = None, seconds: float = -60, **changed: Any) -> ProjectDeclared:
    """Returns the event with which a pass recorded these settings."""
    return ProjectDeclared(
        at=at(seconds), settings=settings(**changed), commit=commit, actor="tests", tool_version="0.1.0"
    )


def wanted(*specs: DesiredSpec, after: Mapping[str, Any] | None = None, **more: Any) -> Desired:
    """Returns the desired state under other settings."""
    own = settings(**(after or {}))
    return desired(*specs, settings=own, settings_digest=settings_digest(own), **more)


EDITS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "suspend": ({"suspend": {"reason": "audit"}}, {"suspend": (True, False), "suspend.reason": ("audit", None)}),
    "vars": ({"vars": {"day": "monday"}}, {"vars.day": ("monday", None)}),
    "specs": ({"specs": ["jobs/*.yaml"]}, {"specs": (["jobs/*.yaml"], ["**/*.{yaml,yml,json}"])}),
    "defaultTarget": ({"defaultTarget": "prod"}, {"defaultTarget": ("prod", None)}),
    "ledger": (
        {"target": {"ledger": "dynamodb://ledgers"}},
        {"targets.prod.ledger": ("dynamodb://ledgers", TARGET["ledger"])},
    ),
    "limits": (
        {"target": {"limits": {"maxCancellations": 3}}},
        {"targets.prod.limits.maxCancellations": (3, 10)},
    ),
    "target vars": ({"target": {"vars": {"a-b": "1"}}}, {"targets.prod.vars.a-b": ("1", None)}),
    "settling": ({"target": {"onUnknown": "Hold"}}, {"targets.prod.onUnknown": ("Hold", "Resubmit")}),
    "rates": (
        {"target": {"rates": {"SubmitJob": {"perSecond": 2.5, "burst": 3}}}},
        {"targets.prod.rates.SubmitJob.burst": (3, None), "targets.prod.rates.SubmitJob.perSecond": (2.5, None)},
    ),
    "notify": (
        {"target": {"notify": [{"urlEnv": "RECONCILER_NOTIFY_X", "events": ["lost"]}]}},
        {
            "targets.prod.notify[0].events": (["lost"], None),
            "targets.prod.notify[0].urlEnv": ("RECONCILER_NOTIFY_X", None),
        },
    ),
}
"""Settings that were applied, and the fields that differ when the defaults are restored."""


@in_one_test("edit", EDITS)
def test_every_setting_is_compared_by_its_path(edit: str):
    """A change is shown with the values before and after, is recorded by `apply`, and is part of the plan id."""
    before, fields = EDITS[edit]
    same = ran("A")

    made = plan(wanted(spec("A")), recorded(*same, declared(spec("A")), applied(**before)), NOW)
    again = plan(wanted(spec("A")), recorded(*same, declared(spec("A")), applied(**before), applied()), NOW)

    [change] = made.changes
    assert {field.path: (field.before, field.after) for field in change.fields} == fields
    assert (change.name, change.kind, change.stale) == (PROJECT_NAME, "Project", False)
    assert [(each.name, each.policy) for each in made.declarations] == [(PROJECT_NAME, settings())]
    assert (again.changes, again.declarations) == ((), ())
    assert made.plan_id != again.plan_id


def test_a_first_plan_invents_no_change_and_says_what_it_does_not_know():
    """The ledger of an earlier version contains no settings. The first apply records them."""
    made = plan(wanted(spec("A")), recorded(*ran("A"), declared(spec("A"))), NOW)
    new = plan(wanted(spec("A")), recorded(), NOW)

    assert made.changes == ()
    assert [each.name for each in made.declarations] == [PROJECT_NAME]
    assert any(PROJECT_NAME in warning and "it is unknown whether" in warning for warning in made.warnings)
    assert not any(PROJECT_NAME in warning for warning in new.warnings)


def test_what_decides_nothing_is_no_setting():
    """Prices, labels and other targets may differ between checkouts."""
    assert settings(target={"prices": {"currency": "EUR"}}) == settings()
    assert settings() == project_settings(
        Project.model_validate(
            {
                "apiVersion": "reconciler/v1",
                "kind": "Project",
                "metadata": {"name": "analytics", "labels": {"team": "growth"}},
                "spec": {"targets": {"prod": TARGET, "staging": {"emulator": True}}},
            }
        ),
        "prod",
    )


def test_settings_that_a_record_lacks_count_as_the_default():
    """Prices, labels and other targets may differ between checkouts without being a change. Its first plan shows no
    change for them."""
    record = settings()
    del record["targets"]["prod"]["claimSeconds"], record["defaultTarget"]
    record["former"] = record["targets"]["prod"]["former"] = "x"

    assert settings_changes(record, settings()) == ()
    assert [change.path for change in settings_changes(record, settings(target={"claimSeconds": 31}))] == [
        "targets.prod.claimSeconds"
    ]


def test_the_settings_of_another_target_are_unknown():
    """A ledger that was copied from another target contains the settings of that target. Only the settings of the whole
    project are compared, and the next apply records those of this target."""
    copied = applied(vars={"day": "monday"})
    copied.settings["targets"]["staging"] = copied.settings["targets"].pop("prod")

    made = plan(wanted(spec("A")), recorded(*ran("A"), declared(spec("A")), copied), NOW)

    [change] = made.changes
    assert [field.path for field in change.fields] == ["vars.day"]
    assert [each.name for each in made.declarations] == [PROJECT_NAME]


def test_the_address_of_a_webhook_is_a_secret():
    """The ledger records secrets only as a digest. A changed secret is marked as sensitive; a changed variable with the
    same name is not."""
    before = settings(target={"notify": [{"url": "https://hooks.example/T0/s3cr3t"}]}, vars={"url": "x"})
    after = settings(target={"notify": [{"url": "https://hooks.example/T0/0ther"}]}, vars={"url": "y"})

    assert "s3cr3t" not in str(before)
    assert {change.path: change.sensitive for change in settings_changes(before, after)} == {
        "targets.prod.notify[0].url": True,
        "vars.url": False,
    }


DUE_SLOT = (spec("A", policy=HOURLY), history("scheduled", "ended"))
FAILED = intended("A")
DOING: dict[str, tuple[DesiredSpec | None, Sequence[Event]]] = {
    "new": (spec("A"), []),
    "changed": (spec("B"), ran("A")),
    "replaced": (spec("B", policy={"concurrencyPolicy": "Replace"}), ran("A", end=None)),
    "slot": DUE_SLOT,
    "missed": (spec("A", policy={**HOURLY, "startingDeadlineSeconds": 1}), history("scheduled", "ended")),
    "retried": (
        spec("A", policy={"backoffLimit": 2, "backoffSeconds": 0}),
        [FAILED, outcome("submitted", FAILED, run_id="run-1"), outcome("failed", FAILED, run_id="run-1")],
    ),
    "removed": (None, ran("A", end=None, deletion_policy="Cancel")),
    "scheduled": (spec("A", policy=HOURLY), []),
}
"""The actions of a pass: for each, the spec in git and the recorded events of the spec."""


def acted(made: Plan) -> list[Any]:
    """Returns everything that an apply of a plan would do."""
    return [*made.pending, *made.schedule_changes, *made.declarations]


@in_one_test("stale", STALE)
@in_one_test("doing", DOING)
def test_a_stale_checkout_with_other_settings_does_nothing(doing: str, stale: str):
    """A newer commit suspended the project, and this checkout does not contain that suspension. Every action of this
    checkout is on hold; the same applies to any other setting that differs. With `--allow-rollback`, the actions are
    carried out."""
    checkout, words = STALE[stale]
    now, events = DOING[doing]
    specs = [spec("A", "other"), *([] if now is None else [now])]
    events = [*ran("A", name="other"), declared(spec("A", "other")), *events, applied("new", suspend=True)]

    made = plan(wanted(*specs, checkout=checkout), recorded(*events), NOW)
    rolled_back = plan(wanted(*specs, checkout=checkout, allow_rollback=True), recorded(*events), NOW)

    change = change_of_settings(made)
    assert change is not None
    assert (change.stale, words in change.message) == (True, True)
    assert acted(made) == []
    assert {action.reason for action in made.actions if action.action is ActionType.HOLD} <= {Reason.STALE_CHECKOUT}
    assert len(acted(rolled_back)) > 1
    assert change_of_settings(rolled_back) is not None


@in_one_test("edit", EDITS)
def test_every_setting_counts_for_a_stale_checkout(edit: str):
    """An old limit, variable or webhook is not brought back either."""
    made = plan(
        wanted(spec("B"), checkout=STALE["diverged"][0]), recorded(*ran("A"), applied("new", **EDITS[edit][0])), NOW
    )

    assert acted(made) == []
    assert [(action.action, action.reason) for action in made.actions] == [(ActionType.HOLD, Reason.STALE_CHECKOUT)]


def test_a_stale_checkout_with_the_same_settings_works():
    """Slots run and specs may change, because the checkout would not undo a project setting."""
    made = plan(wanted(DUE_SLOT[0], checkout=STALE["older"][0]), recorded(*DUE_SLOT[1], applied("new")), NOW)

    assert [action.action for action in made.actions] == [ActionType.SUBMIT]


def test_a_pass_that_leaves_changes_to_an_apply_leaves_settings_too():
    """With `--applied-only`, a suspension that was removed in git remains in force until an apply, and nothing is
    recorded."""
    made = plan(wanted(DUE_SLOT[0], applied_only=True), recorded(*DUE_SLOT[1], applied(suspend=True)), NOW)
    first = plan(wanted(DUE_SLOT[0], applied_only=True), recorded(*DUE_SLOT[1], declared(DUE_SLOT[0])), NOW)

    assert acted(made) == []
    assert [action.action for action in first.pending] == [ActionType.SUBMIT]
    assert first.declarations == ()


def test_the_newest_commit_of_the_settings_counts():
    """Settings that were applied outside git do not make an old checkout count as new."""
    events = [*ran("A"), applied("new", suspend=True), applied(None, suspend={"reason": "audit"})]

    made = plan(wanted(spec("B"), checkout=STALE["older"][0]), recorded(*events), NOW)

    assert acted(made) == []


def test_a_run_that_was_found_is_adopted_by_a_stale_checkout():
    """An adoption is still carried out, because it only records what happened."""
    intent = intended("A")
    state = recorded(intent, applied("new", suspend=True))
    state.runs_by_token[intent.token] = ("run-1",)

    made = plan(wanted(spec("A"), checkout=Checkout("old")), state, NOW)

    assert [(action.action, action.run_id) for action in made.actions] == [(ActionType.ADOPT, "run-1")]


def test_a_plan_is_outdated_once_other_settings_are_applied():
    """Settings do not make a plan stale if they are equal, or if the plan was made after they were recorded."""
    digest, before = settings_digest(settings()), recorded(*ran("A")).position
    same = recorded(*ran("A"), applied())
    other = recorded(*ran("A"), applied(suspend=True))

    assert others_applied(digest, before, recorded(*ran("A"))) is None
    assert others_applied(digest, before, same) is None
    assert "plan again" in (others_applied(digest, before, other) or "")
    assert others_applied(digest, other.position, other) is None


def test_removals_are_not_declared_by_a_stale_checkout():
    """A file pattern that matches fewer files is a change of a setting, and removes specs."""
    events = [*ran("A"), declared(spec("A")), applied("new", specs=["jobs/*.yaml"])]

    made = plan(wanted(spec("A", "other"), checkout=STALE["diverged"][0]), recorded(*events), NOW)
    withdrawn = plan(wanted(spec("A", "other")), recorded(*events, undeclared()), NOW)

    assert acted(made) == []
    assert withdrawn.declarations != ()
