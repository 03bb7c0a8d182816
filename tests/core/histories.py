"""Generates random histories of all event types."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import MISSING, fields
from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from reconciler.core import event_fields as typed
from reconciler.core import events as e
from reconciler.core.event_codec import IntendedAs, decode, encode, event_types
from reconciler.core.fold import fold
from reconciler.core.identity import Content, Source, SubmissionKey
from reconciler.core.state import Recorded, RunState
from tests.builders import at, intended

NAMES = ("clicks", "orders", "views")
TIMES = st.integers(0, 5000).map(at)
INTENTS = tuple(intended("A", generation, name) for name in NAMES for generation in (1, 2))
TOKENS = {name: tuple(intent.token for intent in INTENTS if intent.name == name) for name in NAMES}

POOLS: dict[str, st.SearchStrategy[Any]] = {
    "content": st.builds(
        Content,
        digest=st.sampled_from(["", "one", "two"]),
        revision=st.integers(1, 3),
        request=st.just({"path": "thing"}),
        location=st.dictionaries(st.sampled_from(["path", "line"]), st.sampled_from(["", "one"]), max_size=2),
        deletion_policy=st.sampled_from(["Orphan", "Cancel"]),
        streaming=st.booleans(),
        source=st.sampled_from([None, Source("moved.yaml", 7)]),
    ),
    "kind": st.sampled_from(["BatchJob", "EmrServerlessJobRun"]),
    "state": st.sampled_from([str(state) for state in RunState]),
    "decision": st.sampled_from(["submit", "abandon"]),
    "format": st.just(e.FORMAT),
    "run_id": st.sampled_from(["run-1", "run-2"]),
    "send": st.integers(1, 3),
}


def all_event_types() -> list[type[e.Event]]:
    """Returns all event types, sorted by name, except the one that is folded like another type and needs its base."""
    return [known for _, known in sorted(event_types().items()) if known is not IntendedAs]


def events_of(kind: type[e.Event]) -> st.SearchStrategy[e.Event]:
    """Generates events of one type about a few specs and submissions, so that they affect each other."""
    return _events_called(kind.type)


@cache
def _events_called(name: str) -> st.SearchStrategy[e.Event]:
    kind = event_types()[name]
    hints = get_type_hints(kind, include_extras=True)
    given = {
        field.name: st.one_of(_values(field.name, hints[field.name]), st.just(field.default))
        if field.default is not MISSING
        else _values(field.name, hints[field.name])
        for field in fields(kind)
        if field.name not in {"name", "token"} and hints[field.name] is not SubmissionKey
    }

    def about(name: str) -> st.SearchStrategy[e.Event]:
        more: dict[str, st.SearchStrategy[Any]] = {"name": st.just(name)} if "name" in hints else {}
        if issubclass(kind, e.Beginning):
            keys = (
                st.builds(SubmissionKey, st.just(name), st.integers(1, 3), st.none(), st.integers(1, 3)),
                st.builds(SubmissionKey, st.just(name), st.none(), TIMES, st.integers(1, 3)),
            )
            more = {"key": st.one_of(*keys)}
        if kind is e.SpecRenamed:  # every name has submissions, so only a new name can take over
            more = {"name": st.just(f"{name}-new"), "renamed_from": st.just(name)}
        tokens = {"token": st.sampled_from(TOKENS[name])} if "token" in hints else {}
        return st.builds(kind, **(given | more | tokens))

    return st.sampled_from(NAMES).flatmap(about)


@cache
def stories(most: int = 12) -> st.SearchStrategy[list[e.Event]]:
    """Generates lists of events of any type, in any order."""
    return st.lists(st.one_of([events_of(kind) for kind in all_event_types()]), max_size=most)


def possible(story: Sequence[e.Event]) -> list[e.Event]:
    """Returns those events of a story that can be read and can follow the earlier events, after an intent for every
    submission."""
    state, kept = Recorded(), list[e.Event]()
    for event in (*INTENTS, *story):
        tried = deepcopy(state)
        try:
            decode(json.loads(json.dumps(encode(event))))
            fold(tried, len(kept) + 1, [event])
        except Exception:  # noqa: BLE001 - whatever is refused is no part of a story
            continue
        state = tried
        kept.append(event)
    return kept


def folded(story: Sequence[e.Event], into: Recorded | None = None) -> Recorded:
    """Folds events, one position each, into a state."""
    state = into or Recorded()
    for event in story:
        fold(state, state.position + 1, [event])
    return state


def _values(name: str, hint: Any) -> st.SearchStrategy[Any]:
    if name in POOLS:
        return POOLS[name]
    return _of_type(hint)


def _of_type(hint: Any) -> st.SearchStrategy[Any]:
    plain: dict[Any, Callable[[], st.SearchStrategy[Any]]] = {
        typed.Time: lambda: TIMES,
        str: lambda: st.sampled_from(["", "one", "two"]),
        int: lambda: st.integers(1, 3),
        bool: st.booleans,
        type(None): st.none,
        object: lambda: st.just("thing"),
        Any: lambda: st.just("thing"),
    }
    if hint in plain:
        return plain[hint]()
    if get_origin(hint) is Annotated:
        return _of_type(get_args(hint)[0])
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in {tuple, list}:
        return st.lists(_of_type(arguments[0]), max_size=2).map(origin)
    if isinstance(origin, type) and origin.__name__ in {"dict", "Mapping"}:
        return st.dictionaries(st.sampled_from(["path", "line", "more"]), _of_type(arguments[1]), max_size=2)
    return st.one_of([_of_type(argument) for argument in arguments])
