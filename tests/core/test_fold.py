"""Tests events, their JSON form, and the fold."""

from __future__ import annotations

from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core import events as e
from reconciler.core.event_codec import decode, encode
from reconciler.core.fold import fold, overlay
from reconciler.core.identity import Place, Source
from reconciler.core.state import Phase, Recorded, RunState, Sighting, SpecRecord
from reconciler.errors import LedgerCorrupt, LedgerFormatNewer
from tests.builders import at, intended, outcome, ran, recorded, taken
from tests.campaigns import in_one_test

KINDS = [
    "submitted", "adopted", "unsent", "rejected", "unclear", "conflicted", "absent", "superseded",
    "cancel-asked", "cancel-accepted", "running", "succeeded", "failed", "cancelled", "lost", "unseen", "retry-asked",
]  # fmt: skip
OPENED = e.Opened(
    at=at(), project="analytics", target="prod", account="4", region="r", format=e.FORMAT, tool_version="0.1.0"
)


@in_one_test(
    "event",
    [OPENED, intended(), taken(), outcome("resolved", intended()), *(outcome(kind, intended()) for kind in KINDS)],
    ids=lambda x: x.type,
)
def test_events_survive_their_json_form(event: e.Event) -> None:
    """Decoding reverses encoding. Fields that are `None` are not written."""
    form = encode(event)
    assert None not in form.values()
    again = decode({**form, "run_ids": tuple(form["run_ids"])} if "run_ids" in form else form)
    assert again == event


def test_an_unknown_type_is_a_newer_format() -> None:
    """An unknown event type is refused, because a newer version of reconciler wrote it."""
    with pytest.raises(LedgerFormatNewer, match="'paused'"):
        decode({"type": "paused", "at": at()})


def test_a_missing_field_is_corruption() -> None:
    """The error names the missing field."""
    with pytest.raises(LedgerCorrupt, match="lacks run_id"):
        decode({"type": "submitted", "at": at(), "name": "orders", "token": "t", "send": 1})


def test_an_unknown_optional_field_is_ignored() -> None:
    """Unknown optional fields are ignored."""
    event = outcome("absent", intended())
    assert decode({**encode(event), "mood": "good"}) == event
    assert decode({**encode(event), "kind": []}) == event


def test_the_intent_of_a_spec_among_others() -> None:
    """`intent_of` returns the intent of a spec. A batch without an intent of the spec is corrupt."""
    mine, other = intended(name="mine"), intended(name="other")
    assert e.intent_of([OPENED, other, mine], "mine", mine.token) is mine
    with pytest.raises(LedgerCorrupt, match="no intent of gone"):
        e.intent_of([OPENED, other, mine], "gone", "t")


def test_the_first_event_pins_the_ledger() -> None:
    """The first event contains the project, target, account and region."""
    assert recorded(OPENED).place == Place("analytics", "prod", "4", "r")


def test_a_newer_format_is_refused() -> None:
    """A higher format number in the first event is refused."""
    newer = e.Opened(at=at(), project="p", target="t", account="4", region="r", format=2, tool_version="9")
    with pytest.raises(LedgerFormatNewer, match="format 2, this version writes 1"):
        recorded(newer)


def test_an_outcome_without_an_intent_is_corruption() -> None:
    """An outcome without an intent means that the ledger is corrupt."""
    with pytest.raises(LedgerCorrupt, match="without an intent"):
        recorded(outcome("submitted", intended()))


@in_one_test(
    ("story", "phase", "state"),
    [
        ((), Phase.INTENDED, None),
        (("unclear",), Phase.INTENDED, None),
        (("absent",), Phase.INTENDED, None),
        (("unsent",), Phase.UNSENT, None),
        (("rejected",), Phase.REJECTED, None),
        (("conflicted",), Phase.CONFLICTED, None),
        (("superseded",), Phase.SUPERSEDED, None),
        (("superseded", "adopted"), Phase.SUBMITTED, RunState.SUBMITTED),
        (("submitted", "superseded"), Phase.SUBMITTED, RunState.SUBMITTED),
        (("submitted",), Phase.SUBMITTED, RunState.SUBMITTED),
        (("adopted", "running"), Phase.SUBMITTED, RunState.RUNNING),
        (("submitted", "succeeded"), Phase.SUBMITTED, RunState.SUCCEEDED),
        (("submitted", "succeeded", "running"), Phase.SUBMITTED, RunState.SUCCEEDED),
        (("submitted", "lost", "running"), Phase.SUBMITTED, RunState.RUNNING),
        (("submitted", "unsent"), Phase.SUBMITTED, RunState.SUBMITTED),
        (("submitted", "rejected"), Phase.SUBMITTED, RunState.SUBMITTED),
        (("submitted", "conflicted", "unclear"), Phase.SUBMITTED, RunState.SUBMITTED),
        (("conflicted", "adopted"), Phase.SUBMITTED, RunState.SUBMITTED),
        (("resolved",), Phase.UNSENT, None),
        (("conflicted", "resolved"), Phase.UNSENT, None),
        (("submitted", "resolved"), Phase.SUBMITTED, RunState.SUBMITTED),
        (("rejected", "resolved"), Phase.REJECTED, None),
        (("resolved", "submitted"), Phase.SUBMITTED, RunState.SUBMITTED),
    ],
)
def test_phase_and_state_of_a_submission(story: tuple[str, ...], phase: Phase, state: RunState | None) -> None:
    """A submitted submission never changes its phase, and a terminal state never changes."""
    intent = intended()
    submission = recorded(intent, *(outcome(kind, intent) for kind in story)).by_token[intent.token]
    assert (submission.phase, submission.run_state) == (phase, state)


def test_a_rejection_proves_absence_only_without_an_earlier_open_send() -> None:
    """If a second send is refused, the first send may still have arrived."""
    first = intended()
    second = intended(send=2)
    submission = recorded(first, second, outcome("rejected", second, send=2)).by_token[first.token]
    assert submission.phase is Phase.INTENDED
    assert [send.outcome for send in submission.sends] == [None, "rejected"]


def test_all_sends_closed_prove_absence() -> None:
    """If no send arrived, the submission has no run."""
    first, second = intended(), intended(send=2)
    events = [first, outcome("unsent", first), second, outcome("rejected", second, send=2)]
    assert recorded(*events).by_token[first.token].phase is Phase.REJECTED


def test_a_send_after_empty_looks_closes_the_earlier_ones() -> None:
    """The intent of a further send is recorded only after the earlier sends were proven absent."""
    first, second = intended(), intended(send=2, proven=True)
    events = [first, outcome("unclear", first), outcome("absent", first), second, outcome("rejected", second, send=2)]
    submission = recorded(*events).by_token[first.token]
    assert submission.phase is Phase.REJECTED
    assert [send.outcome for send in submission.sends] == ["absent", "rejected"]


def test_an_observation_of_another_run_changes_nothing() -> None:
    """Only states of the recorded run are used."""
    intent = intended()
    known = recorded(intent, outcome("submitted", intent), outcome("failed", intent, run_id="other"))
    assert known.by_token[intent.token].run_state is RunState.SUBMITTED


@pytest.mark.parametrize(("other", "conflict"), [("a", ()), ("b", ("a", "b"))])
def test_the_first_record_of_a_run_stays(other: str, conflict: tuple[str, ...]) -> None:
    """Two passes may adopt the same run. A second run is recorded as a conflict."""
    intent = intended()
    known = recorded(intent, outcome("adopted", intent, run_id="a"), outcome("submitted", intent, run_id=other))
    assert known.by_token[intent.token].run_id == "a"
    assert known.by_token[intent.token].conflict == conflict


def test_a_state_of_a_newer_version_is_refused() -> None:
    """An unknown run state is refused, because a newer version of reconciler wrote it."""
    intent = intended()
    with pytest.raises(LedgerFormatNewer, match="'paused'"):
        recorded(intent, outcome("submitted", intent), outcome("paused", intent))


def test_head_is_the_newest_event_about_the_spec() -> None:
    """Only events about the spec change its head."""
    known = recorded(*ran("A", name="one"), *ran("A", name="two"))
    assert (known.spec("one").head, known.spec("two").head, known.position) == (3, 6, 6)


def test_each_submission_knows_where_its_events_are() -> None:
    """The positions of a submission's events are recorded once each, no matter which events are between them."""
    one, two = intended("A", name="one"), intended("A", name="two")
    known = recorded(one, two, outcome("submitted", two), outcome("submitted", one))
    fold(known, 5, [outcome("running", one), outcome("succeeded", one)])
    assert [1, 4, 5] == known.by_token[one.token].positions
    assert [2, 3] == known.by_token[two.token].positions
    assert [] == known.spec("one").positions


def test_baseline_skips_what_never_ran() -> None:
    """A spec is compared with its newest accepted or unresolved submission."""
    rejected, unsent = intended("B", 2), intended("C", 3)
    known = recorded(*ran("A"), rejected, outcome("rejected", rejected), unsent, outcome("unsent", unsent))
    record = known.spec("orders")
    assert (record.baseline and record.baseline.generation, record.newest and record.newest.generation) == (1, 3)
    assert record.next_generation == 4


def test_an_empty_record() -> None:
    """A name without events has no newest submission, no baseline, and next generation 1."""
    record = recorded().spec("orders")
    assert (record, record.newest, record.baseline, record.next_generation) == (SpecRecord("orders"), None, None, 1)


def test_live_and_unresolved_are_listed_by_name() -> None:
    """`unresolved` and `live` are the submissions that a pass looks up in AWS."""
    known = recorded(
        *ran("A", name="b", end="running"), *ran("A", name="a", end=None), intended(name="d"), intended(name="c")
    )
    assert [s.name for s in known.live()] == ["a", "b"]
    assert [s.name for s in known.unresolved()] == ["c", "d"]


def test_an_overlay_moves_nothing() -> None:
    """Observations that are not recorded change states but no heads or positions."""
    known = recorded(*ran("A", end=None))
    overlay(known, [outcome("succeeded", intended())])
    assert known.spec("orders").submissions[0].run_state is RunState.SUCCEEDED
    assert (known.position, known.spec("orders").head) == (2, 2)


def test_a_look_adds_runs_and_errors() -> None:
    """A lookup adds runs and errors by token."""
    known = Recorded()
    Sighting({"t": ["r"]}, {"u": "denied"}, {"v": "no answer"}).lay_over(known)
    assert (known.runs_by_token, known.look_errors, known.observe_errors) == (
        {"t": ("r",)},
        {"u": "denied"},
        {"v": "no answer"},
    )


@given(st.lists(st.sampled_from(KINDS), max_size=8))
def test_once_submitted_always_submitted(story: list[str]) -> None:
    """No later event removes a run id, and a run that has ended stays ended."""
    intent = intended()
    known = recorded(intent)
    submission = known.by_token[intent.token]
    for position, kind in enumerate(story, start=2):
        before = deepcopy(submission)
        fold(known, position, [outcome(kind, intent)])
        if before.accepted:
            assert submission.accepted
            assert submission.run_id == before.run_id
        if before.run_state in {RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED}:
            assert submission.run_state is before.run_state


@given(st.lists(st.sampled_from(KINDS), max_size=8))
def test_folding_in_batches_is_folding_one_by_one(story: list[str]) -> None:
    """The result of the fold does not depend on how events are grouped into batches."""
    intent = intended()
    events = [intent, *(outcome(kind, intent) for kind in story)]
    one = recorded(*events)
    two = Recorded()
    fold(two, len(events), events)
    left, right = one.by_token[intent.token], two.by_token[intent.token]
    left.intent_position, left.positions = right.intent_position, right.positions
    assert left == right


def test_commit_and_actor_follow_the_newest_intent() -> None:
    """Commit, actor and location come from the newest intent, because they determine which checkout is newer."""
    first = intended(commit="old", actor="one")
    again = intended(commit="new", actor="two", send=2, source=Source("moved.yaml", 7))
    submission = recorded(first, outcome("unsent", first), again).by_token[first.token]
    assert ("new", "two") == (submission.commit, submission.actor)
    assert Source("moved.yaml", 7) == submission.content.source


def test_an_abandoned_submission_is_not_sent_again() -> None:
    """An abandoned submission is resolved, has not run, and has the name of the operator who decided."""
    intent = intended()
    decided = outcome("resolved", intent, decision="abandon", reason="seen in the console")
    state = recorded(intent, decided)
    submission = state.by_token[intent.token]
    assert (submission.phase, submission.error) == (Phase.ABANDONED, "tests decided: abandon (seen in the console)")
    assert [send.outcome for send in submission.sends] == ["abandoned"]
    assert (state.spec("orders").baseline, state.spec("orders").next_generation) == (None, 2)


def test_a_manually_adopted_run_is_the_current_submission() -> None:
    """A manually adopted run counts as a submission, although nothing was sent. A second adoption with the same token
    has no effect."""
    state = recorded(taken(), taken(run_id="run-9"))
    (submission,) = state.spec("orders").submissions
    assert (submission.phase, submission.run_id, submission.live) == (Phase.SUBMITTED, "run-1", True)
    assert state.spec("orders").baseline is submission
    assert state.spec("orders").head == 2
