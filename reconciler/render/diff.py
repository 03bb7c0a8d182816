"""Compares two requests field by field, with paths such as ``environment["STAGE"].value``."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from functools import cached_property, lru_cache
from typing import Any

from reconciler.core.plan import Change, ChangeType, Op, SpecChange
from reconciler.model.base import JSON
from reconciler.model.kind import Kind, kind_named
from reconciler.redact.request import masked, masked_at
from reconciler.values import regex

Path = tuple[str | int, ...]
Placed = tuple[Path, Change]
PLAIN = regex(r"[A-Za-z_][A-Za-z0-9_]*")
OPS: dict[str, Op] = {
    "dictionary_item_added": "add",
    "iterable_item_added": "add",
    "dictionary_item_removed": "remove",
    "iterable_item_removed": "remove",
    "values_changed": "change",
    "type_changes": "change",
}
OP_ORDER: Sequence[Op] = ("reorder", "remove", "change", "add")


ENCODER = json.JSONEncoder(sort_keys=True)


class EntryName(str):
    """The name of an entry in a list whose entries all have names. In a path, the name is always in brackets."""

    __slots__ = ()


def path_text(keys: Sequence[str | int]) -> str:
    """Joins field names with dots. Indexes, names of entries, and keys that are not plain names are in brackets.

    A quoted key is a JSON string: ``jobDriver.sparkSubmit.conf["spark.executor.memory"]``.
    """
    return "".join(map(_step, keys)).removeprefix(".")


@lru_cache(maxsize=4096, typed=True)
def _step(key: str | int) -> str:
    """Returns the text of one key in a path. Cached by type and value, because specs share most of their keys."""
    if isinstance(key, int):
        return f"[{key}]"
    if isinstance(key, EntryName) or not PLAIN.fullmatch(key):
        return f"[{json.dumps(str(key), ensure_ascii=False)}]"
    return f".{key}"


def entry_names(entries: Sequence[object]) -> list[EntryName] | None:
    """Returns the names of a list's entries, in order, or `None` unless each entry has a unique name."""
    names = [entry.get("name") for entry in entries if isinstance(entry, dict)]
    texts = [EntryName(name) for name in names if isinstance(name, str)]
    return texts if len(texts) == len(entries) == len(set(texts)) else None


def fields(value: object, path: Path = ()) -> list[tuple[Path, object]]:
    """Returns every field of a request with its path, depth first, in the order of the request.

    A list of plain values is one field. Lists of named entries are traversed by name, other lists by index. An empty
    container counts as a field.
    """
    match value:
        case dict() if value:
            pairs = list(value.items())
        case list() if any(isinstance(entry, dict | list) for entry in value):
            names = entry_names(value)
            # the path already contains the name of a named entry
            pairs = (
                list(enumerate(value)) if names is None else list(zip(names, map(_without_name, value), strict=True))
            )
        case _:
            return [(path, value)]
    return [leaf for key, entry in pairs for leaf in fields(entry, (*path, key))]


def _without_name(entry: JSON) -> JSON:
    return {key: value for key, value in entry.items() if key != "name"}


def _text(value: object) -> str:
    """Returns a text that is equal for two JSON values only if the values are the same: ``1``, ``1.0``, ``"1"`` and
    ``true`` differ."""
    return ENCODER.encode(value)


def _differ(before: object, after: object) -> bool:
    """Returns whether two JSON values are different."""
    if isinstance(before, str) and isinstance(after, str):
        return before != after
    return _text(before) != _text(after)


class _Comparison:
    """The differences between two requests, with their paths. Lists whose entries have names are compared by name,
    other lists by index or by inserted and removed entries."""

    def __init__(self, before: JSON, after: JSON) -> None:
        self._before, self._after = _Side(before), _Side(after)
        self.differences: list[Placed] = []
        self._mappings(before, after, ())

    def _values(self, before: Any, after: Any, path: Path) -> None:  # noqa: ANN401 - any JSON value
        """Compares two different values at a path."""
        if isinstance(before, dict) and isinstance(after, dict):
            self._mappings(before, after, path)
        elif isinstance(before, list) and isinstance(after, list):
            self._lists(before, after, path)
        else:
            self._note("change", before, after, path, path)

    def _mappings(self, before: Mapping[Any, Any], after: Mapping[Any, Any], path: Path) -> None:
        for key, old in before.items():
            place = (*path, key)
            if key not in after:
                self._note("remove", old, None, place, place)
            elif _differ(old, after[key]):
                self._values(old, after[key], place)
        # In any order, because `_ordered` sorts the differences.
        for key in after.keys() - before.keys():
            self._note("add", None, after[key], (*path, key), (*path, key))

    def _lists(self, before: list[Any], after: list[Any], path: Path) -> None:
        old, new = entry_names(before), entry_names(after)
        if old is not None and new is not None and (old or new):
            self._note_order(old, new, path)
            self._mappings(dict(zip(old, before, strict=True)), dict(zip(new, after, strict=True)), path)
        elif _is_shuffled(before, after):
            self._note_reorder(path, before, after)
        elif len(before) == len(after) and _pairs_well(before, after):
            self._mappings(dict(enumerate(before)), dict(enumerate(after)), path)
        else:
            for op, level in _moves(before, after):
                old_path, new_path = level.path(output_format="list"), level.path(output_format="list", use_t2=True)
                self._note(op, level.t1, level.t2, (*path, *old_path), (*path, *new_path))

    def _note(self, op: Op, old: object, new: object, old_path: Path, new_path: Path) -> None:
        """Records one difference. The path is that in `after` or, for a removal, that in `before`."""
        path = old_path if op == "remove" else new_path
        old, new = None if op == "add" else old, None if op == "remove" else new
        hidden = (op != "add" and self._before.hides(old_path, old)) or (
            op != "remove" and self._after.hides(new_path, new)
        )
        self.differences.append((path, Change(path_text(path), op, old, new, hidden)))

    def _note_order(self, old: list[EntryName], new: list[EntryName], path: Path) -> None:
        """Records that the names on both sides are in a different order, which changes the digest."""
        if [name for name in old if name in new] != [name for name in new if name in old]:
            self._note_reorder(path, [str(name) for name in old], [str(name) for name in new])

    def _note_reorder(self, path: Path, before: list[Any], after: list[Any]) -> None:
        self.differences.append((path, Change(path_text(path), "reorder", before, after)))


def _is_shuffled(before: list[Any], after: list[Any]) -> bool:
    """Returns whether two lists of objects have the same entries in a different order. Lists of plain values are never
    treated as shuffled, because reviewers read arguments by their position."""
    if not all(isinstance(entry, dict | list) for entry in (*before, *after)):
        return False
    old, new = [_text(entry) for entry in before], [_text(entry) for entry in after]
    return old != new and sorted(old) == sorted(new)


def _pairs_well(before: list[Any], after: list[Any]) -> bool:
    """Returns whether a comparison by index gives no more differences than a search for inserted and removed
    entries."""
    if any(isinstance(entry, dict | list) for entry in (*before, *after)):
        return True
    old, new = [_text(entry) for entry in before], [_text(entry) for entry in after]
    different = sum(a != b for a, b in zip(old, new, strict=True))
    if different <= (Counter(new) - Counter(old)).total():
        return True  # each new entry is at least one difference, and the search is slow
    # With `autojunk`, entries that are frequent in a long list are never matched.
    moves = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    by_moves = sum(max(b - a, d - c) for tag, a, b, c, d in moves if tag != "equal")
    return different <= by_moves


class Differences:
    """The differences between two requests of one kind, as written. Each comparison is made once."""

    def __init__(self, kind: Kind, before: JSON, after: JSON) -> None:
        self._kind, self._old, self._new = kind, kind.as_written(before), kind.as_written(after)

    def of_content(self) -> tuple[Change, ...]:
        """Returns the changes as `explain` does."""
        kind, old, new = self._kind, self._old, self._new
        if _text(kind.content(old)) == _text(kind.content(new)):
            return ()
        differences = [*self._displayed]
        # The display form hides the difference that starts the run, such as another quoting of a parameter.
        if all(path[0] in kind.cosmetic_fields for path, _ in differences):
            differences = _compare(old, new)
        # Even the forms that are sent compare as equal, but a changed digest must never have an empty explanation.
        if all(path[0] in kind.cosmetic_fields for path, _ in differences):
            differences += _by_field(kind.content(old), kind.content(new))
        return _ordered(differences)

    def of_request(self) -> tuple[Change, ...]:
        """Returns every difference, including names and tags, sorted by path."""
        old, new = self._old, self._new
        return _ordered(self._displayed or _compare(old, new) or _by_field(old, new))

    @cached_property
    def _displayed(self) -> list[Placed]:
        return _compare(self._kind.for_display(self._old), self._kind.for_display(self._new))


def explain(kind: Kind, before: JSON, after: JSON) -> tuple[Change, ...]:
    """Returns the differences between two requests of one kind, sorted by path. The result is empty if and only if both
    requests run the same job.

    Compares the display form (`Kind.for_display`), or the form that is sent if the display form hides the difference.
    Our tags and the client token are ignored. Changes of names and tags do not start a run. They are listed only
    together with other changes, because they take effect with the run that the other changes cause. The order of
    arguments matters, ``"2"`` differs from ``2``, and null differs from a missing field.
    """
    return Differences(kind, before, after).of_content()


def all_fields(change: SpecChange) -> tuple[Change, ...]:
    """Returns the fields of a change, with the paths of a spec. For an added spec, the fields of its request are added
    to those of its policy. A change from a plan file already has them, and no request."""
    request = change.content.request if change.content is not None else None
    if change.change is not ChangeType.ADDED or request is None:
        return change.fields
    return (*change.fields, *_added_fields(kind_named(change.kind), request))


def _added_fields(kind: Kind, request: JSON) -> Iterator[Change]:
    """Yields every field of a new request as an addition, in the order of the request."""
    shown = kind.for_display(request)
    side = _Side(shown)
    for path, value in fields(shown):
        yield Change(f"request.{path_text(path)}", "add", None, value, side.hides(path, value))


def _compare(before: JSON, after: JSON) -> list[Placed]:
    """Returns all differences with their paths."""
    return _Comparison(before, after).differences


def _moves(before: list[Any], after: list[Any]) -> Iterator[tuple[Op, Any]]:
    """Yields the differences between two lists: inserted, removed and changed entries, or values in them."""
    from deepdiff import DeepDiff  # noqa: PLC0415 - takes 100 ms to import, and few changes need it

    tree = DeepDiff(
        before,
        after,
        view="tree",
        ignore_order=False,
        ignore_numeric_type_changes=False,
        ignore_string_type_changes=False,
        ignore_private_variables=False,  # otherwise keys that start with two underscores are ignored
        threshold_to_diff_deeper=0,  # otherwise two very different objects are reported as one change
        verbose_level=2,
    )
    return ((OPS[name], level) for name, levels in tree.items() for level in levels)


class _Side:
    """A request in complete and in masked form, because the neighbours of a value can determine whether it is a
    secret."""

    def __init__(self, request: JSON) -> None:
        self._request = request

    @cached_property
    def _masked(self) -> JSON | None:
        """The masked form, or `None` if the request has no secret."""
        hidden = masked(self._request)
        return None if hidden == self._request else hidden

    def hides(self, path: Path, value: object) -> bool:
        """Returns whether a value is a secret only because of neighbouring values, such as the argument after
        ``--password``."""
        if self._masked is None:
            return False
        here: Any = self._request
        there: Any = self._masked
        for key in path:
            index = next(i for i, e in enumerate(here) if e["name"] == key) if isinstance(key, EntryName) else key
            here, there = here[index], there[index]
        return bool(there != masked_at(path, value))


def _by_field(before: JSON, after: JSON) -> list[Placed]:
    """Returns whole fields whose values compare as equal but have different digests, such as ``0.0`` and ``-0.0``."""
    return [
        ((key,), Change(path_text((key,)), "change", before.get(key), after.get(key)))
        for key in before.keys() | after.keys()
        if _text(before.get(key)) != _text(after.get(key))
    ]


def _ordered(differences: Iterable[Placed]) -> tuple[Change, ...]:
    return tuple(change for _, change in sorted(differences, key=_order))


def _order(placed: Placed) -> tuple[Iterable[tuple[bool, int, str]], int]:
    """Returns the sort key of a change: its path, with indexes as numbers. Text, JSON and Markdown all sort by this
    key."""
    path, change = placed
    keys = [(isinstance(key, str), key if isinstance(key, int) else 0, str(key)) for key in path]
    return keys, OP_ORDER.index(change.op)
