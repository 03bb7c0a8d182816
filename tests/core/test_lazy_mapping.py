"""Tests the mapping whose values are made when they are first accessed."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy, deepcopy
from dataclasses import dataclass
from threading import Barrier, Thread
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core import lazy_mapping
from reconciler.core.lazy_mapping import LazyMapping, LazyRows, where
from tests.campaigns import examples

NAMES = [f"n{number}" for number in range(12)]


@dataclass
class Thing:
    """A value of the mapping."""

    number: int


def both(number: int) -> tuple[dict[str, Thing], LazyMapping[Thing]]:
    """Returns a dictionary, and a lazy mapping with the same things."""
    names = NAMES[:number]
    rows = LazyRows(names, Thing, lambda: map(Thing, range(number)), lambda _: range(number))
    return {name: Thing(row) for row, name in enumerate(names)}, LazyMapping(rows)


def _is_even(number: int) -> bool:
    return number % 2 == 0


def _changed(things: Any, name: str) -> object:
    things[name].number += 1
    return things[name]


USES: dict[str, Callable[[Any, str], object]] = {
    "item": lambda things, name: things[name],
    "get": lambda things, name: things.get(name),
    "contains": lambda things, name: name in things,
    "names": lambda things, _: list(things),
    "values": lambda things, _: list(things.values()),
    "items": lambda things, _: list(things.items()),
    "length": lambda things, _: (len(things), bool(things)),
    "others": lambda things, name: things.keys() - {name},
    "all names": lambda things, name: things.keys() | {name},
    "set": lambda things, name: things.__setitem__(name, Thing(100)),
    "delete": lambda things, name: things.__delitem__(name),
    "pop": lambda things, name: things.pop(name),
    "pop or nothing": lambda things, name: things.pop(name, None),
    "set default": lambda things, name: things.setdefault(name, Thing(101)),
    "update": lambda things, name: things.update({name: Thing(102), "new": Thing(103)}),
    "change in place": _changed,
    "where": lambda things, _: sorted(each.number for each in where(things, _is_even, "number")),
    "where of few": lambda things, _: sorted(each.number for each in where(things, lambda n: n > 9, "number")),
    "merged": lambda things, name: list({**things, name: Thing(104)}.values()),
    "dictionary": lambda things, _: dict(things),
    "deep copy": lambda things, name: deepcopy(things).get(name),
}


def _result(use: Callable[[Any, str], object], things: Any, name: str) -> object:
    try:
        return use(things, name)
    except KeyError:
        return KeyError


@pytest.mark.parametrize("few", [0, lazy_mapping.FEW], ids=["one by one", "all at once"])
def test_a_lazy_mapping_is_like_a_dictionary(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every use of a lazy mapping has the result that it has with a dictionary, in every order of uses, also after the
    mapping was copied."""
    monkeypatch.setattr(lazy_mapping, "FEW", few)
    steps = st.lists(st.tuples(st.sampled_from(sorted(USES)), st.sampled_from([*NAMES, "new"])), max_size=12)

    @settings(max_examples=examples(50, soak=2000))
    @given(st.integers(0, len(NAMES)), steps, steps)
    def check(number: int, before: list[tuple[str, str]], after: list[tuple[str, str]]) -> None:
        plain, lazy = both(number)
        for use, name in before:
            assert _result(USES[use], plain, name) == _result(USES[use], lazy, name)
        plain_copy, lazy_copy = copy(plain), copy(lazy)
        for use, name in after:
            assert _result(USES[use], plain_copy, name) == _result(USES[use], lazy_copy, name)
        assert plain == lazy
        assert lazy == plain
        assert plain_copy == lazy_copy
        assert list(plain_copy) == list(lazy_copy)

    check()


def test_only_accessed_values_are_made() -> None:
    """Names, their number, a copy and a search make no value but those that pass; the copy has the same objects."""
    rows = LazyRows([*map(str, range(1000))], Thing, lambda: map(Thing, range(1000)), lambda _: range(1000))
    things = LazyMapping(rows)
    held = (len(things), "7" in things, "x" in things, things.get("x"), len(things.keys() - {"7"}), list(things)[1])
    assert held == (1000, True, False, None, 999, "1")
    assert not rows.made
    assert [each.number for each in where(things, lambda number: number > 997, "number")] == [998, 999]
    assert set(rows.made) == {998, 999}
    assert copy(things)["998"] is things["998"]
    assert set(rows.made) == {998, 999}


def test_a_search_sees_what_has_changed() -> None:
    """A value that was changed, added or removed after its row was written is found as it is now."""
    _, things = both(4)
    things["n0"].number = 1
    things["n1"].number = 8
    things["x"] = Thing(10)
    del things["n2"]
    assert sorted(each.number for each in where(things, _is_even, "number")) == [8, 10]


def test_threads_get_the_same_object() -> None:
    """Threads that make a row at the same time get one object, so that no change of it is lost."""
    both_make, found = Barrier(2, timeout=60), []

    def make(row: int) -> Thing:
        both_make.wait()
        return Thing(row)

    things = LazyMapping(LazyRows([*"abcdefghi"], make, list, lambda _: range(9)))
    threads = [Thread(target=lambda: found.append(things["a"])) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] is found[1]


@pytest.mark.parametrize("row", [-1, 9])
def test_a_row_that_does_not_exist_is_an_error(row: int) -> None:
    """A negative number is not a row counted from the end, which would be a second object for it."""
    with pytest.raises(IndexError, match=r"there are 9 rows, and no row"):
        LazyRows([*"abcdefghi"], Thing, list, lambda _: range(9))[row]
