"""Tests the conversion of the recorded state to JSON and back."""

from __future__ import annotations

import io
import json
import os
import tokenize
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import Field, dataclass, field, fields
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reconciler.core
from reconciler.core import events as e
from reconciler.core import lazy_mapping
from reconciler.core.declarations import Declaration
from reconciler.core.fold import fold
from reconciler.core.lazy_mapping import LazyMapping
from reconciler.core.observations import incomplete
from reconciler.core.renames import after_renames
from reconciler.core.state import OF_THE_PASS, Recorded, Sighting, SpecRecord, Submission
from reconciler.errors import LedgerCorrupt
from reconciler.ledger import object_codec
from reconciler.ledger import snapshot_codec as form
from reconciler.ledger.snapshot_codec import from_json, to_json
from tests.builders import NOW, at, intended
from tests.campaigns import examples, in_one_test
from tests.core.histories import all_event_types, events_of, folded, possible, stories


def again(recorded: Recorded, *, lazy: bool = False) -> Recorded:
    """Returns the state after it was encoded as JSON text and decoded."""
    return from_json(json.loads(json.dumps(to_json(recorded))), lazy=lazy)


@pytest.mark.parametrize("kind", all_event_types(), ids=lambda kind: kind.type)
def test_a_fold_goes_on_from_its_form(kind: type[e.Event]) -> None:
    """A fold that continues from a decoded state gives the same result."""

    @settings(max_examples=examples(1, soak=50))
    @given(stories(), events_of(kind), stories(4), st.data())
    def check(before: list[e.Event], event: e.Event, after: list[e.Event], data: st.DataObject) -> None:
        story = possible([*before, event, *after])
        cut = data.draw(st.integers(0, len(story)))
        whole = folded(story)
        for lazy in (False, True):
            resumed = folded(story[cut:], again(folded(story[:cut]), lazy=lazy))
            assert whole == resumed
            assert list(whole.by_token) == list(resumed.by_token)
            assert list(whole.specs) == list(resumed.specs)
            assert to_json(whole) == to_json(resumed)

    check()


@pytest.mark.parametrize("few", [0, lazy_mapping.FEW], ids=["one by one", "all at once"])
def test_a_lazy_state_gives_the_same_answers(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that is computed from all specs is the same for a state that is decoded lazily, and again after more
    events and renames that are not recorded yet."""
    monkeypatch.setattr(lazy_mapping, "FEW", few)

    @settings(max_examples=examples(30, soak=1000))
    @given(stories(), stories(4), st.sampled_from(["clicks", "orders"]))
    def check(before: list[e.Event], after: list[e.Event], old: str) -> None:
        story = possible([*before, *after])
        cut = max(0, len(story) - len(after))
        eager, lazy = folded(story[:cut]), again(folded(story[:cut]), lazy=True)
        assert _answers(eager) == _answers(lazy)
        eager, lazy = folded(story[cut:], eager), folded(story[cut:], lazy)
        assert _answers(eager) == _answers(lazy)
        pending = {"new-name": old} if old in eager.specs else {}
        assert _answers(after_renames(eager, pending)) == _answers(after_renames(lazy, pending))
        assert deepcopy(lazy) == deepcopy(eager) == eager == lazy

    check()


def _answers(state: Recorded) -> list[Any]:
    """Returns what plans compute from all specs of a state."""
    names = [*state.specs, "no-spec", "orders", "clicks", "new-name"]
    return [
        [submission.token for submission in state.live()],
        [submission.token for submission in state.unresolved()],
        (state.archives, state.number, state.intends),
        [state.touched_since(position) for position in range(state.position + 2)],
        incomplete(state, NOW),
        [(name in state.specs, state.current_name(name), state.spec(name)) for name in names],
    ]


def test_a_plan_decodes_few_specs() -> None:
    """What is computed from all specs of a large state decodes only specs that are live, unresolved or changed; the
    others are decoded when they are accessed."""
    state = Recorded()
    for number in range(200):
        intent = intended("A", 1, f"job-{number}")
        name, token = intent.name, intent.token
        events: list[e.Event] = [intent, e.Submitted(at=at(), name=name, token=token, send=1, run_id=token)]
        if number:
            over = e.Observed(at=at(), name=name, token=token, run_id=token, state="succeeded", aws_state="SUCCEEDED")
            events.append(over)
        fold(state, number + 1, events)
    lazy = again(state, lazy=True)
    assert [submission.name for submission in lazy.live()] == ["job-0"]
    assert list(lazy.unresolved()) == []
    assert (lazy.archives, lazy.intends, lazy.number, incomplete(lazy, NOW)) == (False, True, 200, {})
    assert lazy.touched_since(199) == {"job-199"}
    assert ("job-7" in lazy.specs, "job-x" in lazy.specs, len(lazy.specs)) == (True, False, 200)
    assert (set(_made(lazy.specs)), set(_made(lazy.by_token))) == ({0}, {0, 199})
    assert lazy.spec("job-7") == state.spec("job-7")
    assert (set(_made(lazy.specs)), set(_made(lazy.by_token))) == ({0, 7}, {0, 7, 199})
    assert lazy == state


def _made(values: Mapping[str, Any]) -> Mapping[int, Any]:
    assert isinstance(values, LazyMapping)
    return values._rows.made


def test_an_invalid_value_in_a_lazy_state_is_a_ledger_error() -> None:
    """A value that no version writes is an error with one sentence when it is accessed."""
    whole = to_json(folded(possible(st_story())))
    columns = whole["submissions"]["columns"]
    columns[[each.name for each in fields(Submission)].index("phase")] = ["no phase"]
    state = from_json(whole, lazy=True)
    for use in (lambda: list(state.by_token.values()), lambda: list(state.unresolved())):
        with pytest.raises(LedgerCorrupt, match="the snapshot of the ledger has an invalid value"):
            use()


@pytest.mark.parametrize("kind", all_event_types(), ids=lambda kind: kind.type)
def test_stories_hold_every_type(kind: type[e.Event]) -> None:
    """Each event type can follow an intent, so the histories contain all types."""

    @settings(max_examples=examples(1))
    @given(events_of(kind))
    def check(event: e.Event) -> None:
        assert event in possible([event])

    check()


def test_an_older_form_is_read() -> None:
    """A snapshot from before columns existed, with a list for each submission and each spec, gives the same state."""
    state = folded(possible([]))
    numbers = {token: number for number, token in enumerate(state.by_token)}
    to, _ = object_codec.coder_of_objects(Submission, None)
    spec_to, _ = object_codec.coder_of_objects(SpecRecord, (lambda submission: numbers[submission.token], int))
    older = {
        **to_json(state),
        "submissions": [to(submission) for submission in state.by_token.values()],
        "specs": {name: spec_to(record) for name, record in state.specs.items()},
    }
    for lazy in (False, True):
        assert from_json(json.loads(json.dumps(older)), lazy=lazy) == state


def test_a_policy_that_specs_share_is_written_once() -> None:
    """If a thousand specs share a policy, it is written once; specs with another policy, or with none, keep theirs."""
    state = folded(st_story())
    for number in range(1000):
        policy = {"revision": 1 if number else True, "deletionPolicy": "Cancel"}
        declared = None if number == 7 else Declaration(1, None, "BatchJob", f"d{number}", policy=policy)
        state.specs[f"spec-{number}"] = SpecRecord(f"spec-{number}", declaration=declared)
    text = json.dumps(to_json(state))
    assert text.count("Cancel") == 2
    decoded = from_json(json.loads(text))
    assert decoded == state
    first, second = (decoded.specs[name].declaration for name in ("spec-0", "spec-1"))
    assert first is not None
    assert second is not None
    assert first.policy["revision"] is True
    assert type(second.policy["revision"]) is int


@pytest.mark.parametrize("change", ["fewer columns", "a short column", "a long column", "specs", "none"])
def test_columns_of_other_lengths_are_refused(change: str) -> None:
    """Columns of a form that `to_json` never writes are an error, and no submission is left out."""
    state = folded(possible(st_story()))
    whole = json.loads(json.dumps(to_json(state)))
    assert from_json(whole, lazy=True) == state
    columns, tokens = whole["submissions"]["columns"], len(state.by_token)
    if change == "fewer columns":
        columns.pop()
    elif change == "specs":
        whole["specs"][1][1] = [0, 0]
    elif change != "none":
        columns[1] = ["BatchJob"] * (tokens - 1 if change == "a short column" else tokens + 1)
    if change == "none":
        assert from_json(whole) == state
    else:
        for lazy in (False, True):
            with pytest.raises(ValueError, match=r"the form|a column has"):
                from_json(whole, lazy=lazy)


def st_story() -> list[e.Event]:
    """Returns the intents of four specs."""
    return [intended("A", 1, f"job-{number}") for number in range(4)]


def test_values_that_all_submissions_share_are_separate_objects() -> None:
    """A list that is written once for all submissions becomes a separate object for each of them."""
    state = again(folded(st_story()))
    first, second, *_ = state.by_token.values()
    assert first.looked == second.looked == []
    assert first.looked is not second.looked


@pytest.mark.parametrize("lazy", [False, True])
def test_a_submission_stays_one_object(lazy: bool) -> None:
    """A submission by token and the same submission in its spec are one object."""
    state = again(folded(possible([])), lazy=lazy)
    held = [submission for record in state.specs.values() for submission in record.submissions]
    assert {id(submission) for submission in held} == {id(submission) for submission in state.by_token.values()}


def test_what_the_pass_found_is_left_out() -> None:
    """Runs and errors that a pass observed are not encoded."""
    state = folded(possible([]))
    Sighting({"t": ["r"]}, {"u": "denied"}, {"v": "no answer"}).lay_over(state)
    kept = again(state)
    assert ({}, {}, {}) == (kept.runs_by_token, kept.look_errors, kept.observe_errors)
    left_out = {known.name for known in fields(Recorded) if OF_THE_PASS in known.metadata}
    assert {"recalled", "runs_by_token", "runs_by_spec", "look_errors", "observe_errors", "overlaid"} == left_out


def test_taking_over_another_fold_leaves_what_the_pass_found() -> None:
    """The state remains the same object and keeps its observations. Everything else in it is replaced."""
    state, other = Recorded(), folded(possible([]))
    Sighting({"t": ["r"]}).lay_over(state)
    state.become(other)
    assert (other.position, other.specs, {"t": ("r",)}) == (state.position, state.specs, state.runs_by_token)


class Colour(StrEnum):
    """An enum for these tests."""

    RED = "red"


@dataclass
class Inner:
    """An object that is nested in another one."""

    number: int


@dataclass(kw_only=True)
class Sample:
    """An object with one field of every type that the codec supports."""

    text: str = "a"
    maybe: str | None = None
    colour: Colour | None = Colour.RED
    inner: Inner = field(default_factory=lambda: Inner(1))
    inners: list[Inner] = field(default_factory=lambda: [Inner(2), Inner(3)])
    words: tuple[str, ...] = ("x", "y")
    colours: frozenset[Colour] = frozenset({Colour.RED})
    by_name: dict[str, Inner] = field(default_factory=lambda: {"n": Inner(4)})
    by_pair: dict[tuple[str, ...], int] = field(default_factory=lambda: {("a", "b"): 1})
    anything: dict[str, object] = field(default_factory=lambda: {"k": [1, None, {"deep": True}]})


def test_every_type_that_a_field_may_have() -> None:
    """Objects, enums, sets, tuples and mappings are unchanged after decoding."""
    to, back = object_codec.coder_of_objects(Sample, None)
    sample = Sample()
    assert sample == back(json.loads(json.dumps(to(sample))))


@pytest.mark.parametrize("hint", [bytes, Inner | Colour, tuple[str, Inner], type[Inner]])
def test_a_type_that_cannot_be_held_is_told(hint: Any) -> None:
    """Encoding a field of an unsupported type raises an error."""
    with pytest.raises(TypeError, match="the snapshot codec"):
        object_codec.coder_of(hint, None)


def test_another_number_of_fields_is_refused() -> None:
    """A list that is too short or too long is an error."""
    _, back = object_codec.coder_of_objects(Inner, None)
    with pytest.raises(ValueError, match="Inner has 1 fields, the form 2"):
        back([1, 2])


FOLD_SOURCES = Path(__file__).with_name("fold_sources.json")
FOLD_MODULES = (
    "archive", "declarations", "notification_retries", "event_codec", "event_fields", "events", "fold", "identity",
    "ledger_changes", "renames", "retention", "state", "submission", "times",
)  # fmt: skip
"""The modules of `reconciler.core` that determine how events are folded into the state."""


def test_a_changed_fold_needs_a_decision() -> None:
    """The version of the fold must be raised if the code that folds events changes its results. Changes to comments and
    docstrings are ignored."""
    modules = {name: _digest_of_code(Path(reconciler.core.__file__).with_name(f"{name}.py")) for name in FOLD_MODULES}
    now = {"fold": form.FOLD, "modules": modules}
    if os.environ.get("UPDATE_FOLD"):
        FOLD_SOURCES.write_text(json.dumps(now, indent=2) + "\n")
    before = json.loads(FOLD_SOURCES.read_text())
    changed = [name for name in FOLD_MODULES if before["modules"].get(name) != modules[name]]
    assert now == before, (
        f"{', '.join(changed) or 'FOLD'} changed. If the same events now lead to another state, raise FOLD in "
        "reconciler/ledger/snapshot_codec.py, so that older snapshots are not used. Then record the code: "
        "UPDATE_FOLD=1 python -m pytest tests/ledger/test_snapshot_codec.py"
    )


def _digest_of_code(module: Path) -> str:
    """Returns a digest of the tokens of a module, without comments, docstrings and white space."""
    tokens, before = list[str](), tokenize.NEWLINE
    for token in tokenize.generate_tokens(io.StringIO(module.read_text("utf-8")).readline):
        if token.type in {tokenize.COMMENT, tokenize.NL}:
            continue
        docstring = token.type == tokenize.STRING and before in {tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
        tokens += [] if docstring else ["".join(token.string.split())]
        before = token.type
    return sha256("".join(tokens).encode()).hexdigest()[:16]


@in_one_test("field", fields(Recorded), ids=lambda field: field.name)
def test_the_version_has_the_fields_of_the_state(field: Field[Any]) -> None:
    """Every field of a snapshot is in the text whose digest is part of the snapshot's version; fields of a single pass
    are not."""
    text = "\n".join(form._shape(Recorded))
    assert (f"('{field.name}', " in text) == (OF_THE_PASS not in field.metadata)


def test_the_version_has_the_fields_of_values_inside_the_state() -> None:
    """A new field of a submission or of an archive, or a new state of a run, also changes the version."""
    text = "\n".join(form._shape(Recorded))
    for name in ("by_token", "submissions", "run_state", "contents", "lost_position", "not_after"):
        assert f"('{name}', " in text
    assert "RunState: ['submitted', 'running'" in text
