"""Tests that our dataclasses behave like those of the standard library."""

from __future__ import annotations

import copy
import dataclasses
import gc
import pickle
import re
from dataclasses import field
from typing import Any

import pytest

from reconciler.values import dataclass, regex, uncollected
from tests.campaigns import in_one_test


@dataclass(frozen=True, slots=True)
class Ours:
    """A class with each kind of field that the program uses."""

    name: str
    count: int = 0
    seen: list[str] = field(default_factory=list, compare=False)
    rates: dict[str, int] = field(default_factory=dict, hash=False)
    secret: str = field(default="", repr=False)


OPTIONS = ("default", "default_factory", "compare", "hash", "repr")
FIELDS: list[Any] = [
    (each.name, each.type, field(**{option: getattr(each, option) for option in OPTIONS}))
    for each in dataclasses.fields(Ours)
]
Theirs: Any = dataclasses.make_dataclass("Ours", FIELDS, frozen=True, slots=True)

ALIKE: list[dict[str, Any]] = [
    {"name": "a"},
    {"name": "b"},
    {"name": "a", "count": 1},
    {"name": "a", "seen": ["x"]},
    {"name": "a", "rates": {"x": 1}},
    {"name": "a", "secret": "s"},
]


@in_one_test("left", ALIKE, ids=str)
@in_one_test("right", ALIKE, ids=str)
def test_objects_compare_as_those_of_the_standard_library(left: dict[str, Any], right: dict[str, Any]):
    """Equality, hash and text are those that `dataclasses.dataclass` would give the class."""
    assert (Ours(**left) == Ours(**right)) == (Theirs(**left) == Theirs(**right))
    assert (hash(Ours(**left)) == hash(Ours(**right))) == (hash(Theirs(**left)) == hash(Theirs(**right)))
    assert repr(Ours(**left)) == repr(Theirs(**left))


def test_objects_can_be_copied_and_pickled():
    """`replace`, `asdict` and pickle work, and objects of other classes are never equal."""
    ours = Ours("a", 1, ["x"], {"y": 2}, "s")

    assert dataclasses.replace(ours, name="b") == Ours("b", 1, ["x"], {"y": 2}, "s")
    assert dataclasses.asdict(ours) == {"name": "a", "count": 1, "seen": ["x"], "rates": {"y": 2}, "secret": "s"}
    assert pickle.loads(pickle.dumps(ours)) == ours
    assert copy.deepcopy(ours) == copy.copy(ours) == ours
    assert copy.deepcopy(ours).seen is not ours.seen


def test_fields_are_not_listed_for_each_pickled_object(monkeypatch: pytest.MonkeyPatch):
    """Results from other processes are pickled without listing the fields of their classes."""
    ours = Ours("a", 1)
    monkeypatch.setattr(dataclasses, "fields", None)

    assert pickle.loads(pickle.dumps([ours])) == [ours]
    assert ours != Theirs("a", 1, ["x"], {"y": 2}, "s")


def test_a_class_without_frozen_has_no_hash():
    """Mutable objects are not hashable, and a class can define its own methods."""

    @dataclass(slots=True)
    class Changing:
        name: str

        def __repr__(self) -> str:
            return "own"

    changing = Changing("a")
    changing.name = "b"

    assert repr(changing) == "own"
    assert changing == Changing("b")
    with pytest.raises(TypeError):
        hash(changing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived(Ours):
    """A class in which some fields are passed to the constructor and others are not."""

    unit: str
    length: int = field(default=0, init=False)
    parts: list[str] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "length", len(self.name))


def test_each_object_has_its_own_values():
    """The first object of a class and all later ones are initialized in the same way, with separate defaults."""
    first, second = Derived("abc", 1, unit="s"), Derived("a", unit="ms", rates={"x": 1})
    first.parts.append("p")

    assert (first.length, first.count, first.parts, first.rates) == (3, 1, ["p"], {})
    assert (second.length, second.count, second.parts, second.rates) == (1, 0, [], {"x": 1})
    assert first.seen is not second.seen


def test_wrong_arguments_are_refused():
    """Missing, unknown and surplus arguments raise `TypeError`, even for the first object."""

    @dataclass
    class Fresh:
        name: str

    wrong: list[tuple[tuple[str, ...], dict[str, Any]]] = [((), {}), (("a", "b"), {}), (("a",), {"other": 1})]
    for arguments, named in wrong:
        with pytest.raises(TypeError):
            Fresh(*arguments, **named)


def test_a_regular_expression_is_compiled_at_its_first_use():
    """An invalid expression raises an error at its first use, and a valid one matches like a compiled expression."""
    invalid, valid = regex("("), regex("a(b)?", re.IGNORECASE)

    with pytest.raises(re.error):
        invalid.match("")
    for _ in range(2):  # the second use takes another path
        assert valid.findall("AB a") == re.compile("a(b)?", re.IGNORECASE).findall("AB a")
    assert valid.pattern == "a(b)?"


def test_objects_made_without_the_collector_are_old():
    """Objects that are created while the garbage collector is disabled are not scanned by later collections."""
    with uncollected():
        assert not gc.isenabled()
        made = [[number] for number in range(100)]

    old = {id(each) for each in gc.get_objects(generation=2)}
    assert gc.isenabled()
    assert {id(each) for each in made} <= old
