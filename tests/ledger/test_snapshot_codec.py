"""Tests the conversion of the recorded state to JSON and back."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reconciler.core
from reconciler.core import events as e
from reconciler.core.state import OF_THE_PASS, Recorded, Sighting
from reconciler.ledger import snapshot as form
from reconciler.ledger.snapshot import fold_version, from_json, to_json
from tests.campaigns import examples
from tests.core.histories import all_event_types, events_of, folded, possible, stories


def again(recorded: Recorded) -> Recorded:
    """Returns the state after it was encoded as JSON text and decoded."""
    return from_json(json.loads(json.dumps(to_json(recorded))))


@pytest.mark.parametrize("kind", all_event_types(), ids=lambda kind: kind.type)
def test_a_fold_goes_on_from_its_form(kind: type[e.Event]) -> None:
    """A fold that continues from a decoded state leads to the same result."""

    @settings(max_examples=examples(2))
    @given(stories(), events_of(kind), stories(4), st.data())
    def check(before: list[e.Event], event: e.Event, after: list[e.Event], data: st.DataObject) -> None:
        story = possible([*before, event, *after])
        cut = data.draw(st.integers(0, len(story)))
        whole, resumed = folded(story), folded(story[cut:], again(folded(story[:cut])))
        assert whole == resumed
        assert list(whole.by_token) == list(resumed.by_token)

    check()


@pytest.mark.parametrize("kind", all_event_types(), ids=lambda kind: kind.type)
def test_stories_hold_every_type(kind: type[e.Event]) -> None:
    """Each type of event can follow an intent, so the histories contain all types."""

    @settings(max_examples=examples(1))
    @given(events_of(kind))
    def check(event: e.Event) -> None:
        assert event in possible([event])

    check()


def test_a_submission_stays_one_object() -> None:
    """The submission by token and the one in its spec are the same object."""
    state = again(folded(possible([])))
    held = [submission for record in state.specs.values() for submission in record.submissions]
    assert {id(submission) for submission in held} == {id(submission) for submission in state.by_token.values()}


def test_what_the_pass_found_is_left_out() -> None:
    """Runs and errors that one pass observed are not encoded."""
    state = folded(possible([]))
    Sighting({"t": ["r"]}, {"u": "denied"}, {"v": "no answer"}).lay_over(state)
    kept = again(state)
    assert ({}, {}, {}) == (kept.runs_by_token, kept.look_errors, kept.observe_errors)
    left_out = {known.name for known in fields(Recorded) if OF_THE_PASS in known.metadata}
    assert {"recalled", "runs_by_token", "runs_by_spec", "look_errors", "observe_errors", "overlaid"} == left_out


def test_taking_over_another_fold_leaves_what_the_pass_found() -> None:
    """The state remains the same object and keeps its observations. Everything else is replaced."""
    state, other = Recorded(), folded(possible([]))
    Sighting({"t": ["r"]}).lay_over(state)
    state.become(other)
    assert (other.position, other.specs, {"t": ("r",)}) == (state.position, state.specs, state.runs_by_token)


class Colour(StrEnum):
    """Contains some enum values."""

    RED = "red"


@dataclass
class Inner:
    """An object inside another object."""

    number: int


@dataclass(kw_only=True)
class Sample:
    """One field of every type that the codec supports."""

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
    to, back = form._whole(Sample, None)
    sample = Sample()
    assert sample == back(json.loads(json.dumps(to(sample))))


@pytest.mark.parametrize("hint", [bytes, Inner | Colour, tuple[str, Inner], type[Inner]])
def test_a_type_that_cannot_be_held_is_told(hint: Any) -> None:
    """Encoding a field of an unsupported type raises an error."""
    with pytest.raises(TypeError, match="the snapshot codec"):
        form._coder(hint, None)


def test_another_number_of_fields_is_refused() -> None:
    """A list that is too short or too long is an error."""
    _, back = form._whole(Inner, None)
    with pytest.raises(ValueError, match="Inner has 1 fields, the form 2"):
        back([1, 2])


def test_the_version_follows_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any change of events, fold or state leads to a different version. Without the source code there is no version."""
    source = tmp_path / "core"
    shutil.copytree(Path(reconciler.core.__file__).parent, source)
    monkeypatch.setattr(form, "files", lambda _: source)
    version = fold_version.__wrapped__
    assert fold_version() == version()
    fold = source / "fold.py"
    fold.write_text(fold.read_text().replace("max(recorded.position, position)", "position"))
    changed = version()
    assert changed not in {fold_version(), None}
    fold.rename(source / "fold2.py")
    assert version() not in {changed, None}
    shutil.rmtree(source)
    assert version() is None
