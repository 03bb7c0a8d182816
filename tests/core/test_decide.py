"""Tests the decisions of a pass, with one test for each situation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.checkout import Ancestry, Checkout
from reconciler.core.decide import changed_names, plan
from reconciler.core.events import Unclear
from reconciler.core.plan import Action, ActionType, Change, Reason
from reconciler.core.state import Recorded, Sighting
from reconciler.core.unresolved import absences, proving_looks
from reconciler.errors import LimitExceeded
from reconciler.model.project import Limits
from reconciler.model.spec import Suspension
from tests.builders import NOW, at, desired, intended, outcome, ran, recorded, scheduled, slot_intended, spec, token
from tests.campaigns import in_one_test
from tests.core.test_changes import declared


def decide(wanted: Any, known: Recorded) -> Action:
    """Returns the only action of the plan."""
    (action,) = plan(wanted, known, NOW).actions
    return action


def said(action: Action) -> tuple[ActionType, Reason]:
    """Returns the type and the reason of an action."""
    return (action.action, action.reason)


def test_a_new_spec_is_submitted_as_generation_one() -> None:
    """A spec without a record is submitted."""
    action = decide(desired(spec("A")), recorded())
    assert said(action) == (ActionType.SUBMIT, Reason.NEW)
    assert (action.generation, action.attempt, action.send, action.ledger_head) == (1, 1, 1, 0)
    assert action.client_token == token("A", 1)
    assert action.request == spec("A").request


@pytest.mark.parametrize("end", [None, "running", "succeeded"])
def test_unchanged_content_is_in_sync(end: str | None) -> None:
    """A spec with the content of its newest accepted submission is in sync, while its run is live and after it
    succeeded."""
    action = decide(desired(spec("A")), recorded(*ran("A", end=end)))
    assert said(action) == (ActionType.NONE, Reason.IN_SYNC)
    assert action.run_id == "run-1"


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ("failed", Reason.RETRIES_EXHAUSTED),
        ("cancelled", Reason.CANCELLED_OUTSIDE),
        ("lost", Reason.LOST),
    ],
)
def test_a_bad_end_is_held(end: str, reason: Reason) -> None:
    """After a run failed, was cancelled or was lost, the same content is not submitted again."""
    assert said(decide(desired(spec("A")), recorded(*ran("A", end=end)))) == (ActionType.HOLD, reason)


def test_a_spec_that_never_ran_and_is_gone_is_retired() -> None:
    """A spec that was removed from git, and of which the ledger has only a schedule, is retired."""
    action = decide(desired(), recorded(scheduled()))
    assert (said(action), action.kind, action.client_token) == ((ActionType.NONE, Reason.RETIRED), "BatchJob", None)


def test_a_run_that_we_cancelled_is_not_held() -> None:
    """A run that reconciler itself cancelled needs no operator."""
    intent = intended("A")
    events = [intent, outcome("submitted", intent), outcome("cancel-asked", intent), outcome("cancelled", intent)]
    assert said(decide(desired(spec("A")), recorded(*events))) == (ActionType.NONE, Reason.IN_SYNC)


def test_two_runs_of_one_submission_are_held() -> None:
    """One submission should not have several runs; if it does, the spec is on hold."""
    intent = intended("A")
    known = recorded(intent, outcome("submitted", intent, run_id="a"), outcome("adopted", intent, run_id="b"))
    action = decide(desired(spec("A")), known)
    assert said(action) == (ActionType.HOLD, Reason.CONFLICT)
    assert "a, b" in action.message


def test_changed_content_is_the_next_generation() -> None:
    """A changed spec runs again, and its plan shows the differences from the intent of its last run."""
    action = decide(desired(spec("B")), recorded(*ran("A")))
    assert said(action) == (ActionType.SUBMIT, Reason.SPEC_CHANGED)
    assert (action.generation, action.compared_with, action.ledger_head) == (2, 1, 3)


def test_a_changed_revision_is_named() -> None:
    """The same request with another revision runs again, and the plan shows this reason."""
    action = decide(desired(spec("A", policy={"revision": 2})), recorded(*ran("A")))
    assert said(action) == (ActionType.SUBMIT, Reason.REVISION_CHANGED)


def test_old_content_that_returns_runs_again() -> None:
    """If the content changes from A to B and back to A, the spec runs three times."""
    action = decide(desired(spec("A")), recorded(*ran("A", 1), *ran("B", 2)))
    assert said(action) == (ActionType.SUBMIT, Reason.SPEC_CHANGED)
    assert (action.generation, action.client_token) == (3, token("A", 3))
    assert "the same content as generation 1" in action.message


def test_a_rejected_generation_does_not_count() -> None:
    """If AWS rejected B, a return to A submits nothing, because B never ran."""
    refused = intended("B", 2)
    known = recorded(*ran("A"), refused, outcome("rejected", refused))
    assert said(decide(desired(spec("A")), known)) == (ActionType.NONE, Reason.IN_SYNC)


def test_rejected_content_is_held_until_it_changes() -> None:
    """Rejected content is not sent again. The message quotes the reply of AWS."""
    refused = intended("A")
    action = decide(desired(spec("A")), recorded(refused, outcome("rejected", refused)))
    assert said(action) == (ActionType.HOLD, Reason.REJECTED)
    assert action.message == (
        "AWS rejected generation 1: ClientException: no such queue. "
        "If the spec is wrong, change it: the next apply submits that. If the cause is in AWS, then retry"
    )


def test_after_a_rejection_new_content_is_a_new_generation() -> None:
    """A generation number is never used for two different contents."""
    refused = intended("A")
    action = decide(desired(spec("B")), recorded(refused, outcome("rejected", refused)))
    assert said(action) == (ActionType.SUBMIT, Reason.NEW)
    assert action.generation == 2


@pytest.mark.parametrize("refused", [True, False])
def test_what_never_arrived_is_sent_again_as_the_same_submission(refused: bool) -> None:
    """An unsent submission keeps its generation and token; only the number of the send increases."""
    intent = intended("A")
    action = decide(desired(spec("A")), recorded(intent, outcome("unsent", intent, refused=refused)))
    assert said(action) == (ActionType.SUBMIT, Reason.NEW)
    assert (action.generation, action.client_token, action.send) == (1, intent.token, 2)


def test_what_never_arrived_is_dropped_when_the_spec_changes() -> None:
    """An unsent submission that the spec no longer needs is not sent."""
    intent = intended("A")
    action = decide(desired(spec("B")), recorded(intent, outcome("unsent", intent)))
    assert (action.generation, action.client_token, action.send) == (2, token("B", 2), 1)


def test_an_unsent_slot_is_not_sent_after_its_schedule_was_removed() -> None:
    """The spec is a one-off now, so its content is submitted as a generation."""
    slot = slot_intended("2026-11-22T01:00:00Z")
    action = decide(desired(spec("A")), recorded(scheduled(), slot, outcome("unsent", slot)))
    assert (action.action, action.generation, action.slot) == (ActionType.SUBMIT, 1, None)


class TestUnresolved:
    """Tests submissions with an unknown outcome."""

    def test_a_run_with_the_tag_is_adopted(self) -> None:
        """A single run with the tag is adopted at any time."""
        intent = intended("A")
        known = recorded(intent)
        Sighting(runs_by_token={intent.token: ["run-9"]}).lay_over(known)
        action = decide(desired(spec("A")), known)
        assert (said(action), action.run_id) == ((ActionType.ADOPT, Reason.FOUND), "run-9")

    def test_two_runs_with_its_tag_are_a_conflict(self) -> None:
        """If several runs have the tag, the reconciler never chooses one."""
        intent = intended("A")
        known = recorded(intent)
        Sighting(runs_by_token={intent.token: ["run-8", "run-9"]}).lay_over(known)
        action = decide(desired(spec("A")), known)
        assert said(action) == (ActionType.HOLD, Reason.CONFLICT)
        assert "run-8, run-9" in action.message

    def test_a_recorded_conflict_stays_one(self) -> None:
        """A recorded conflict remains a conflict, even if a later listing shows only one run."""
        intent = intended("A")
        action = decide(desired(spec("A")), recorded(intent, outcome("conflicted", intent)))
        assert said(action) == (ActionType.HOLD, Reason.CONFLICT)

    @pytest.mark.parametrize(
        ("age", "expected"),
        [
            (0, (ActionType.WAIT, Reason.SETTLING)),
            (1499, (ActionType.WAIT, Reason.SETTLING)),
            (1500, (ActionType.WAIT, Reason.SETTLING)),
            (86_401, (ActionType.HOLD, Reason.UNKNOWN)),
        ],
    )
    def test_it_waits_and_is_held_after_a_day(self, age: int, expected: tuple[ActionType, Reason]) -> None:
        """The submission waits until it is proven absent. After a day, AWS may no longer list the submission's run, so
        an operator decides."""
        intent = intended("A", seconds=-age)
        assert said(decide(desired(spec("A")), recorded(intent))) == expected

    def test_the_message_says_why_and_until_when(self) -> None:
        """The message of the wait contains the time since which the outcome is unknown, and the time at which the wait
        ends."""
        intent = intended("A", seconds=-60)
        action = decide(desired(spec("A")), recorded(intent, outcome("unclear", intent)))
        assert action.message == (
            "ReadTimeoutError: no reply; sent 2026-11-22T01:59:00Z; settles at 2026-11-22T02:24:00Z"
        )

    def test_the_full_stop_of_an_error_is_dropped(self) -> None:
        """An error that is quoted in a message is quoted without its full stop."""
        intent = intended("A", seconds=-60)
        unclear = outcome("unclear", intent)
        assert isinstance(unclear, Unclear)
        action = decide(desired(spec("A")), recorded(intent, replace(unclear, message='no answer from "/jobruns".')))
        assert action.message.startswith('ReadTimeoutError: no answer from "/jobruns"; sent ')

    def test_a_send_may_be_under_way(self) -> None:
        """Before its deadline, an intent without an outcome may belong to a process that is still running."""
        action = decide(desired(spec("A")), recorded(intended("A", seconds=-10)))
        assert action.message.startswith("a send may be in progress")

    def test_an_intent_past_its_deadline_names_the_crashed_pass(self) -> None:
        """After its deadline, an intent without an outcome belongs to a process that has ended."""
        action = decide(desired(spec("A")), recorded(intended("A", seconds=-60)))
        assert action.message.startswith("the pass that sent it did not record an outcome")

    def test_a_failed_listing_is_not_absence(self) -> None:
        """A failed listing is reported and does not prove absence."""
        intent = intended("A", seconds=-60)
        known = recorded(intent)
        Sighting(look_errors={intent.token: "ListJobs: AccessDenied: no"}).lay_over(known)
        action = decide(desired(spec("A")), known)
        assert said(action) == (ActionType.WAIT, Reason.SETTLING)
        assert "looking for its run failed (ListJobs: AccessDenied: no)" in action.message

    @pytest.mark.parametrize("policy", ["Forbid", "Allow"])
    def test_nothing_new_is_submitted_meanwhile(self, policy: str) -> None:
        """A changed spec waits until the old submission is resolved, even with concurrencyPolicy Allow."""
        wanted = desired(spec("B", policy={"concurrencyPolicy": policy}))
        action = decide(wanted, recorded(intended("A", seconds=-60)))
        assert (said(action), action.generation) == ((ActionType.WAIT, Reason.SETTLING), 1)

    def test_a_removed_spec_stays_unresolved(self) -> None:
        """Removing the spec does not resolve its unknown submission."""
        wanted = desired(spec("A", "other"), names=frozenset({"other"}), selected=frozenset({"orders"}))
        assert said(decide(wanted, recorded(intended("A")))) == (ActionType.WAIT, Reason.SETTLING)


class TestProvenAbsent:
    """Tests submissions that two complete listings did not contain, both after the settling time and at least a minute
    apart."""

    def absent(self, *looks: int, age: int = 3600, content: str = "A") -> Recorded:
        """Returns a state with an intent that is `age` seconds old, and with empty lookups that many seconds ago."""
        intent = intended(content, seconds=-age)
        return recorded(intent, *(outcome("absent", intent, seconds=-look) for look in looks))

    @in_one_test(
        ("looks", "proven"),
        [
            ((), False),
            ((100,), False),
            ((100, 41), False),
            ((100, 40), True),
            ((100, 70, 0), True),
            ((2101, 40), False),
            ((2100, 40), True),
        ],
    )
    def test_two_looks_after_settling_and_apart(self, looks: tuple[int, ...], proven: bool) -> None:
        """Absence is not proven by one lookup, by lookups that are too close together, or by lookups before the
        settling time."""
        action = decide(desired(spec("A")), self.absent(*looks))
        assert (action.action is ActionType.SUBMIT) is proven
        assert proven or said(action) == (ActionType.WAIT, Reason.SETTLING)

    def test_one_look_proves_nothing_however_short_the_settling(self) -> None:
        """Even with a settling time of zero, as on the emulator, two lookups are required."""
        action = decide(desired(spec("A"), settle_seconds=0), self.absent(100))
        assert said(action) == (ActionType.WAIT, Reason.SETTLING)

    def test_it_is_sent_again_as_the_same_submission(self) -> None:
        """The submission is sent again with the same generation and token, as its next send."""
        action = decide(desired(spec("A")), self.absent(100, 40))
        assert (action.generation, action.client_token, action.send) == (1, token("A"), 2)
        assert action.request == spec("A").request

    def test_the_wait_says_how_far_the_proof_is(self) -> None:
        """The message of the wait contains the number of lookups that are still needed."""
        action = decide(desired(spec("A")), self.absent(100))
        assert action.message.endswith("settled at 2026-11-22T01:25:00Z, 1 of 2 empty lookups recorded")

    def test_on_unknown_hold_never_sends_again(self) -> None:
        """With `onUnknown: Hold`, nothing is sent again automatically."""
        action = decide(desired(spec("A"), on_unknown="Hold"), self.absent(100, 40))
        assert said(action) == (ActionType.HOLD, Reason.UNKNOWN)

    @pytest.mark.parametrize(
        "wanted",
        [
            desired(spec("B")),
            desired(spec("A", policy={"suspend": True})),
            desired(spec("A"), suspension=Suspension()),
            desired(spec("A", "other"), selected=frozenset({"orders"})),
        ],
        ids=["changed", "suspended", "project suspended", "removed"],
    )
    def test_an_absent_submission_that_the_spec_no_longer_needs_is_superseded(self, wanted: Any) -> None:
        """A submission is sent again only if the spec still needs it."""
        assert said(decide(wanted, self.absent(100, 40))) == (ActionType.SKIP, Reason.SUPERSEDED)

    def test_an_old_checkout_supersedes_nothing(self) -> None:
        """An older checkout does not supersede a submission that a newer one intended."""
        intent = intended("A", commit="new")
        known = recorded(intent, *(outcome("absent", intent, seconds=-look) for look in (100, 40)))
        wanted = desired(spec("B"), checkout=Checkout("old", {"new": Ancestry.NEWER}))
        assert said(decide(wanted, known)) == (ActionType.HOLD, Reason.STALE_CHECKOUT)
        assert [record.name for record in changed_names(desired(spec("A")), known)] == ["orders"]

    def test_an_old_checkout_supersedes_what_an_operator_cancelled(self) -> None:
        """An operator requested the cancellation of the submission, so the age of the checkout does not matter."""
        intent = intended("A", commit="new")
        asked = outcome("cancel-asked", intent, seconds=-3000)
        known = recorded(intent, asked, *(outcome("absent", intent, seconds=-look) for look in (100, 40)))
        wanted = desired(spec("A"), checkout=Checkout("old", {"new": Ancestry.NEWER}))
        assert said(decide(wanted, known)) == (ActionType.SKIP, Reason.SUPERSEDED)

    def test_after_superseding_the_new_content_runs(self) -> None:
        """After a submission was superseded, the new content is the next generation."""
        intent = intended("A")
        action = decide(desired(spec("B")), recorded(intent, outcome("superseded", intent)))
        assert (said(action), action.generation) == ((ActionType.SUBMIT, Reason.NEW), 2)

    def test_a_day_later_it_is_held_whatever_the_looks_say(self) -> None:
        """After a day, AWS may no longer list a run that ended."""
        action = decide(desired(spec("A")), self.absent(100, 40, age=86_401))
        assert said(action) == (ActionType.HOLD, Reason.UNKNOWN)

    def test_a_look_from_after_a_day_proves_nothing(self) -> None:
        """After a day, AWS may no longer list the run, so an old plan must not supersede the submission."""
        (submission,) = self.absent(58, 0, age=86_460).unresolved()
        assert [] == [str(look) for look in proving_looks(submission, 1500)]

    def test_a_run_that_appears_after_empty_looks_is_adopted(self) -> None:
        """If a run is found, it takes precedence over empty lookups."""
        known = self.absent(100, 40)
        Sighting(runs_by_token={token("A"): ["run-9"]}).lay_over(known)
        assert decide(desired(spec("A")), known).action is ActionType.ADOPT

    @in_one_test(
        ("looks", "age", "found", "count"),
        [
            ((), 3600, (), 1),
            ((), 1500, (), 1),
            ((), 1499, (), 0),
            ((), 3600, ("run-9",), 0),
            ((), 3600, None, 0),
            ((59,), 3600, (), 0),
            ((60,), 3600, (), 1),
            ((200, 100), 3600, (), 0),
            ((), 86_400, (), 1),
            ((), 86_401, (), 0),
        ],
    )
    def test_which_looks_are_recorded(
        self, looks: tuple[int, ...], age: int, found: tuple[str, ...] | None, count: int
    ) -> None:
        """Empty lookups are recorded after the settling time, a minute apart, until there are two."""
        known = self.absent(*looks, age=age)
        if found is not None:
            Sighting(runs_by_token={token("A"): found}).lay_over(known)
        assert len(absences(known, NOW, 1500)) == count


class TestGates:
    """Tests the gates that stop a submission."""

    def test_forbid_waits_for_the_live_run(self) -> None:
        """With the default policy, runs of a spec never overlap."""
        action = decide(desired(spec("B")), recorded(*ran("A", end="running")))
        assert (said(action), action.run_id) == ((ActionType.WAIT, Reason.CONCURRENCY), "run-1")
        assert action.request is None

    def test_forbid_waits_if_the_state_could_not_be_read(self) -> None:
        """A run whose state could not be read counts as live."""
        known = recorded(*ran("A", end=None))
        Sighting(observe_errors={token("A", 1): "no answer"}).lay_over(known)
        action = decide(desired(spec("B")), known)
        assert said(action) == (ActionType.WAIT, Reason.CONCURRENCY)
        assert "as last recorded (no answer)" in action.message

    def test_allow_overlaps(self) -> None:
        """With concurrencyPolicy Allow, the spec is submitted while another of its runs is live."""
        wanted = desired(spec("B", policy={"concurrencyPolicy": "Allow"}))
        assert said(decide(wanted, recorded(*ran("A", end="running")))) == (ActionType.SUBMIT, Reason.SPEC_CHANGED)

    def test_replace_cancels_the_live_run_first(self) -> None:
        """With concurrencyPolicy Replace, the live run is cancelled, and the plan shows the submission that follows."""
        wanted = desired(spec("B", policy={"concurrencyPolicy": "Replace"}))
        action = decide(wanted, recorded(*ran("A", end="running")))
        assert said(action) == (ActionType.REPLACE, Reason.SPEC_CHANGED)
        assert (action.replaces, action.generation, action.request) == ("run-1", 2, spec("B").request)

    @pytest.mark.parametrize(
        ("suspend", "message"),
        [
            (True, "the spec is suspended"),
            (
                {"reason": "quarter end", "owner": "data", "until": "2026-12-01T00:00:00Z"},
                "the spec is suspended (quarter end, by data, until 2026-12-01T00:00:00Z)",
            ),
            (
                {"until": "2026-11-22T02:00:00Z"},
                "the spec is suspended (until 2026-11-22T02:00:00Z, which has passed: remove the suspension, "
                "or set a later time)",
            ),
        ],
    )
    def test_a_suspended_spec_waits(self, suspend: Any, message: str) -> None:
        """The message contains the reason, owner and end of the suspension."""
        action = decide(desired(spec("A", policy={"suspend": suspend})), recorded())
        assert (said(action), action.message) == ((ActionType.WAIT, Reason.SUSPENDED), message)

    @pytest.mark.parametrize(("until", "held"), [("2026-11-22T02:00:00Z", 1), ("2026-11-22T02:00:01Z", 0)])
    def test_an_overdue_suspension_is_held(self, until: str, held: int) -> None:
        """A suspension that should have ended remains in force and needs an operator."""
        stopped = plan(desired(spec("A", policy={"suspend": {"until": until}})), recorded(), NOW)
        assert (len(stopped.pending), len(stopped.held)) == (0, held)
        live = recorded(*ran("A", end="running", deletion_policy="Cancel"))
        project = plan(desired(spec("A", "z"), suspension=Suspension(until=until)), live, NOW)
        assert (len(project.pending), len(project.held)) == (0, 2 * held)

    def test_a_dependent_of_a_suspended_spec_names_the_suspension(self) -> None:
        """The dependent spec waits for content that is not submitted until the suspension ends."""
        first = spec("A", policy={"suspend": {"reason": "audit"}})
        second = spec("A", "later", policy={"dependsOn": ({"name": "orders"},)})
        action, _ = plan(desired(first, second), recorded(), NOW).actions
        assert (said(action), action.message) == (
            (ActionType.WAIT, Reason.DEPENDENCY),
            "the current content of orders has not been submitted: orders is suspended (audit)",
        )

    def test_a_suspended_project_waits(self) -> None:
        """A suspension of the project stops submissions."""
        action = decide(desired(spec("A"), suspension=Suspension(reason="audit")), recorded())
        assert (said(action), action.message) == (
            (ActionType.WAIT, Reason.SUSPENDED),
            "the project is suspended (audit)",
        )

    @in_one_test(
        ("commit", "ancestry", "held"),
        [
            ("head", {}, False),
            ("older", {"older": Ancestry.CONTAINED}, False),
            ("newer", {"newer": Ancestry.NEWER}, True),
            ("other", {"other": Ancestry.UNKNOWN}, True),
            ("never-asked", {}, True),
            (None, {}, False),
        ],
    )
    def test_an_old_checkout_never_undoes_a_new_one(self, commit: str | None, ancestry: Any, held: bool) -> None:
        """A change is on hold if the checkout may not contain the commit of the newest intent."""
        known = recorded(*ran("A", commit=commit))
        action = decide(desired(spec("B"), checkout=Checkout("head", ancestry)), known)
        assert (action.reason is Reason.STALE_CHECKOUT) is held
        overridden = decide(desired(spec("B"), checkout=Checkout("head", ancestry), allow_rollback=True), known)
        assert overridden.action is ActionType.SUBMIT

    def test_an_intent_without_a_commit_does_not_reset_the_newest_commit(self) -> None:
        """The checkout is compared with the newest intent that contains a commit."""
        known = recorded(*ran("A", 1, commit="newer"), *ran("C", 2))
        action = decide(desired(spec("B"), checkout=Checkout("head", {"newer": Ancestry.NEWER})), known)
        assert action.reason is Reason.STALE_CHECKOUT

    def test_outside_git_nothing_is_checked(self) -> None:
        """Outside git, the age of the checkout is not checked."""
        assert decide(desired(spec("B")), recorded(*ran("A", commit="c"))).action is ActionType.SUBMIT

    def test_completed_does_not_wait_for_restarts(self) -> None:
        """A spec that is always restarted never has a last run, so a dependent spec waits only for the end of one."""
        extract = spec("A", "extract", policy={"restartPolicy": "Always"})
        load = spec("A", "load", policy={"dependsOn": [{"name": "extract", "condition": "Completed"}]})
        made = plan(desired(extract, load), recorded(*ran("A", name="extract", end="failed")), NOW)
        assert [said(a) for a in made.actions if a.name == "load"] == [(ActionType.SUBMIT, Reason.NEW)]


class TestRemoved:
    """Tests specs that were removed from git."""

    def live(self, policy: str, **more: Any) -> Recorded:
        """Returns a state in which `orders` has a live run, recorded with a deletion policy."""
        return recorded(*ran("A", end="running", deletion_policy=policy, **more))

    def test_orphan_leaves_the_run_alone(self) -> None:
        """With deletionPolicy Orphan, the run keeps running, and the name is retired."""
        retired, _ = plan(desired(spec("A", "other")), self.live("Orphan"), NOW).actions
        assert retired.name == "orders"
        assert retired.message == "no longer in the project; its run keeps running"
        assert said(retired) == (ActionType.NONE, Reason.RETIRED)

    def test_cancel_as_recorded_with_the_submission(self) -> None:
        """The deletion policy recorded with the submission is used, because the spec no longer exists."""
        cancel, _ = plan(desired(spec("A", "other")), self.live("Cancel"), NOW).actions
        assert (said(cancel), cancel.run_id) == ((ActionType.CANCEL, Reason.SPEC_REMOVED), "run-1")

    def test_an_accepted_cancel_is_not_repeated(self) -> None:
        """After AWS has accepted the cancellation, it is not requested again."""
        intent = intended("A", deletion_policy="Cancel")
        events = [intent, *(outcome(k, intent) for k in ("submitted", "cancel-asked", "cancel-accepted"))]
        retired, _ = plan(desired(spec("A", "other")), recorded(*events), NOW).actions
        assert said(retired) == (ActionType.NONE, Reason.RETIRED)
        assert retired.message == "no longer in the project; its run was asked to stop at 2026-11-22T01:00:10Z"

    def test_a_cancel_that_aws_did_not_accept_is_repeated(self) -> None:
        """The cancellation is requested again until AWS accepts it."""
        intent = intended("A", deletion_policy="Cancel")
        events = [intent, outcome("submitted", intent), outcome("cancel-asked", intent)]
        cancel, _ = plan(desired(spec("A", "other")), recorded(*events), NOW).actions
        assert cancel.action is ActionType.CANCEL

    def test_a_slot_on_hold_does_not_keep_the_run_of_another(self) -> None:
        """One slot is on hold because two runs have its tag. The live run of a later slot is cancelled."""
        held = slot_intended("2026-11-22T01:00:00Z")
        later = slot_intended("2026-11-22T02:00:00Z", deletion_policy="Cancel")
        known = recorded(held, later, outcome("submitted", later))
        known.runs_by_token[held.token] = ("run-8", "run-9")
        hold, cancel, _ = plan(desired(spec("A", "other")), known, NOW).actions
        assert said(hold) == (ActionType.HOLD, Reason.CONFLICT)
        assert (said(cancel), cancel.client_token) == ((ActionType.CANCEL, Reason.SPEC_REMOVED), later.token)

    def test_an_empty_project_cancels_nothing(self) -> None:
        """A project without specs is probably a mistake, so nothing is cancelled."""
        made = plan(desired(), self.live("Cancel"), NOW)
        assert [said(a) for a in made.actions] == [(ActionType.NONE, Reason.RETIRED)]
        assert made.warnings == ("the project has no spec for this target, so nothing is cancelled",)

    def test_a_suspended_project_cancels_nothing(self) -> None:
        """A suspension also stops cancellations."""
        wait, _ = plan(desired(spec("A", "other"), suspension=Suspension()), self.live("Cancel"), NOW).actions
        assert said(wait) == (ActionType.WAIT, Reason.SUSPENDED)

    def test_an_old_checkout_cancels_nothing(self) -> None:
        """A checkout that is older than the spec does not cancel its run."""
        wanted = desired(spec("A", "other"), checkout=Checkout("old", {"new": Ancestry.NEWER}))
        hold, _ = plan(wanted, self.live("Cancel", commit="new"), NOW).actions
        assert said(hold) == (ActionType.HOLD, Reason.STALE_CHECKOUT)

    def test_a_spec_that_is_not_selected_is_not_removed(self) -> None:
        """Specs that are not selected are not affected."""
        wanted = desired(spec("A", "other"), names=frozenset({"other", "orders"}), selected=frozenset({"other"}))
        assert [a.name for a in plan(wanted, self.live("Cancel"), NOW).actions] == ["other"]

    def test_added_again_unchanged_it_is_in_sync(self) -> None:
        """A spec that was removed and restored does not run again."""
        assert said(decide(desired(spec("A")), recorded(*ran("A")))) == (ActionType.NONE, Reason.IN_SYNC)

    def test_a_failed_refresh_is_reported(self) -> None:
        """The plan warns that the state of a run could not be read."""
        known = recorded(*ran("A", end="running"))
        Sighting(observe_errors={token("A"): "GetJobRun: AccessDenied: no"}).lay_over(known)
        assert plan(desired(spec("A")), known, NOW).warnings == (
            "could not read the state of run run-1 of orders: GetJobRun: AccessDenied: no",
        )

    @pytest.mark.parametrize(("content", "count"), [("A", 0), ("B", 1)])
    def test_uncommitted_changes_are_reported_if_something_is_submitted(self, content: str, count: int) -> None:
        """The plan warns about uncommitted changes, because the recorded commit does not contain them."""
        wanted = desired(spec(content), checkout=Checkout("c0ffee", uncommitted=True))
        made = plan(wanted, recorded(*ran("A")), NOW)
        assert (len(made.warnings), made.uncommitted) == (count, True)

    def test_a_rename_is_suspected(self) -> None:
        """A new spec with the content of a removed one runs again, and the plan warns about it."""
        renamed = spec("A", "purchases", digest=spec("A").digest)
        (warning,) = plan(desired(renamed), recorded(*ran("A")), NOW).warnings
        assert warning.startswith("purchases is new and equal to orders, which was removed.")


class TestPlanValue:
    """Tests the plan as a value."""

    def test_actions_are_sorted_by_name(self) -> None:
        """Actions are sorted by name, because all outputs rely on that order."""
        made = plan(desired(spec("A", "b"), spec("A", "a"), spec("A", "c")), recorded(), NOW)
        assert [a.name for a in made.actions] == ["a", "b", "c"]

    def test_the_summary_counts_every_type(self) -> None:
        """The summary lists all action types, including those with a count of zero."""
        made = plan(desired(spec("A"), spec("A", "b")), recorded(*ran("A")), NOW)
        assert made.summary() == {
            "submit": 1, "replace": 0, "adopt": 0, "cancel": 0, "skip": 0, "wait": 0, "hold": 0, "none": 1,
        }  # fmt: skip

    def test_too_many_submissions_are_refused_with_the_numbers(self) -> None:
        """If the plan exceeds `maxSubmissions`, the whole plan is refused."""
        made = plan(desired(spec("A"), spec("A", "b")), recorded(), NOW)
        with pytest.raises(LimitExceeded, match="maxSubmissions is 1, and this plan has 2"):
            made.check_limits(Limits(maxSubmissions=1))
        made.check_limits(Limits(maxSubmissions=2))

    def test_too_many_cancellations_are_refused(self) -> None:
        """`maxCancellations` guards against a change that removes many specs by mistake."""
        events = [event for n in "abc" for event in ran("A", name=n, end="running", deletion_policy="Cancel")]
        made = plan(desired(spec("A", "z")), recorded(*events), NOW)
        with pytest.raises(LimitExceeded, match="maxCancellations is 2, and this plan has 3"):
            made.check_limits(Limits(maxCancellations=2))
        made.check_limits(Limits(maxCancellations=3))

    def test_pending_and_held_actions(self) -> None:
        """`pending` contains the actions that have an effect; `held` contains those that need an operator or a reply
        from AWS."""
        unknown = intended("A", name="b", seconds=-60)
        made = plan(desired(spec("A"), spec("A", "b"), spec("A", "c")), recorded(*ran("A", end="failed"), unknown), NOW)
        assert [a.name for a in made.pending] == ["c"]
        assert [a.name for a in made.held] == ["b", "orders"]

    def test_changes_are_added_by_token(self) -> None:
        """Field differences are added after the decision and never change it."""
        made = plan(desired(spec("B")), recorded(*ran("A")), NOW)
        change = Change("containerOverrides.command[1]", "change", "A", "B")
        (action,) = made.with_changes({token("B", 2): (change,)}).actions
        assert action.changes == (change,)
        assert made.with_changes({}) == made

    def test_the_checkout_matters_for_changed_and_removed_names(self) -> None:
        """The ancestry of commits in git is read only for changed names."""
        known = recorded(*ran("A"), *ran("A", name="same"), *ran("A", name="gone"))
        wanted = desired(spec("B"), spec("A", "same"), spec("A", "new"))
        assert [record.name for record in changed_names(wanted, known)] == ["gone", "orders"]

    def test_the_checkout_matters_for_what_was_applied_but_never_ran(self) -> None:
        """If a spec waits for its first run, commits that do not change it do not put it on hold."""
        known = recorded(declared(spec("A"), commit="old"))
        wanted = desired(spec("A"), checkout=Checkout("head", {"old": Ancestry.CONTAINED}))
        assert [record.name for record in changed_names(wanted, known)] == ["orders"]
        assert plan(wanted, known, NOW).actions[0].action is ActionType.SUBMIT

    def test_the_checkout_matters_for_a_return_to_a_replaced_run(self) -> None:
        """The declared content belongs to the run that was cancelled for a replacement. A new generation runs, so the
        recorded commit must be checked."""
        run = intended("A", commit="old")
        asked = outcome("cancel-asked", run, replacing=True)
        events = [run, outcome("submitted", run), asked, outcome("cancelled", run), declared(spec("A"), commit="old")]
        known = recorded(*events)
        wanted = desired(spec("A"), checkout=Checkout("head", {"old": Ancestry.CONTAINED}))
        assert [record.name for record in changed_names(wanted, known)] == ["orders"]
        assert plan(wanted, known, NOW).actions[0].action is ActionType.SUBMIT

    def test_a_newer_intent_counts_before_its_declaration(self) -> None:
        """A pass that was killed after an intent has not declared its content. A checkout that is older than the intent
        does not return to the declared content."""
        run, newer = intended("A", commit="old"), intended("B", 2, commit="newer")
        replaced = [outcome("cancel-asked", run, replacing=True), outcome("cancelled", run)]
        events = [run, outcome("submitted", run), declared(spec("A"), commit="old"), *replaced]
        known = recorded(*events, newer, outcome("unsent", newer))
        ancestry = {"old": Ancestry.CONTAINED, "newer": Ancestry.NEWER}
        assert said(decide(desired(spec("A"), checkout=Checkout("old", ancestry)), known)) == (
            ActionType.HOLD, Reason.STALE_CHECKOUT
        )  # fmt: skip

    def test_one_action_for_each_open_submission(self) -> None:
        """Two unresolved submissions of one spec have two actions."""
        first, second = intended("A", 1), intended("B", 2, seconds=-60)
        made = plan(desired(spec("B")), recorded(first, second), NOW)
        assert [a.generation for a in made.actions] == [1, 2]


def test_the_time_of_the_plan_is_an_argument() -> None:
    """`created_at` is the time that was passed in."""
    made = plan(desired(), recorded(), NOW)
    assert (made.created_at, made.ledger_position) == ("2026-11-22T02:00:00Z", 0)
    assert at(0).startswith("2026-11-22T02:00:00")
