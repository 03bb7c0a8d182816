"""How a place in a request is written: ``containerOverrides.environment["STAGE"].value``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

from reconciler.core.plan import Change, Op
from reconciler.model.base import JSON
from reconciler.model.kind import Kind
from reconciler.redact.request import masked, masked_at

PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class EntryName(str):
    """The name of an entry in a list whose entries all have one: it stands in brackets, plain or not."""

    __slots__ = ()


def path_text(keys: Sequence[str | int]) -> str:
    """Field names joined by dots, indexes and the names of entries in brackets, as are keys that are no plain names.

    What is between quotes is JSON: ``jobDriver.sparkSubmit.conf["spark.executor.memory"]``.
    """
    parts: list[str] = []
    for key in keys:
        if isinstance(key, int):
            parts.append(f"[{key}]")
        elif isinstance(key, EntryName) or not PLAIN.fullmatch(key):
            parts.append(f"[{json.dumps(str(key), ensure_ascii=False)}]")
        else:
            parts.append(f".{key}" if parts else key)
    return "".join(parts)


def entry_names(entries: Sequence[object]) -> list[EntryName] | None:
    """The names of a list's entries, in order; `None` where one has none or two share one."""
    names = [entry.get("name") for entry in entries if isinstance(entry, dict)]
    texts = [EntryName(name) for name in names if isinstance(name, str)]
    return texts if len(texts) == len(entries) == len(set(texts)) else None


def fields(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], object]]:
    """Every field of a request with its path, depth first, in the order given.

    Lists of plain values are one field, lists of named entries are entered by name, other lists by index. Empty
    containers are fields.
    """
    match value:
        case dict() if value:
            return [found for key, entry in value.items() for found in fields(entry, (*path, key))]
        case list() if any(isinstance(entry, dict | list) for entry in value):
            keys: Sequence[str | int] = entry_names(value) or range(len(value))
            pairs = zip(keys, value, strict=True)
            named = [(key, without_name(entry) if isinstance(key, EntryName) else entry) for key, entry in pairs]
            return [found for key, entry in named for found in fields(entry, (*path, key))]
        case _:
            return [(path, value)]


def without_name(entry: JSON) -> JSON:
    """A named entry without its name, which its path says."""
    return {key: value for key, value in entry.items() if key != "name"}


Path = tuple[str | int, ...]


def form(value: object) -> str:
    """A text that two JSON values share only if they are the same: ``1``, ``1.0``, ``"1"`` and ``true`` differ."""
    return json.dumps(value, sort_keys=True)


@dataclass(slots=True)
class Alignment:
    """Two requests with matching lists turned into mappings from name or index to entry, so that a comparison pairs
    what belongs together. Entries in another order are noted in `reorders`, and aligned."""

    reorders: list[tuple[Path, Change]] = field(default_factory=list)

    def align(self, before: Any, after: Any, path: Path = ()) -> tuple[Any, Any]:  # noqa: ANN401 - any JSON value
        """Both values, ready to be compared."""
        if isinstance(before, dict) and isinstance(after, dict):
            return self._mappings(before, after, path)
        if isinstance(before, list) and isinstance(after, list):
            return self._lists(before, after, path)
        return before, after

    def _mappings(self, before: dict[Any, Any], after: dict[Any, Any], path: Path) -> tuple[Any, Any]:
        left, right = dict(before), dict(after)
        for key in before.keys() & after.keys():
            left[key], right[key] = self.align(before[key], after[key], (*path, key))
        return left, right

    def _lists(self, before: list[Any], after: list[Any], path: Path) -> tuple[Any, Any]:
        old, new = entry_names(before), entry_names(after)
        if old is not None and new is not None and (old or new):
            self._note_order(old, new, path)
            return self._mappings(dict(zip(old, before, strict=True)), dict(zip(new, after, strict=True)), path)
        if _is_shuffled(before, after):
            self.reorders.append((path, Change(path_text(path), "reorder", before, after)))
            return before, before
        if len(before) == len(after) and _pairs_well(before, after):
            return self._mappings(dict(enumerate(before)), dict(enumerate(after)), path)
        return before, after

    def _note_order(self, old: list[EntryName], new: list[EntryName], path: Path) -> None:
        """Another order of the names that both sides have is a difference of its own: the digest sees it."""
        common = set(old) & set(new)
        if [name for name in old if name in common] != [name for name in new if name in common]:
            names = [str(name) for name in old], [str(name) for name in new]
            self.reorders.append((path, Change(path_text(path), "reorder", *names)))


def _is_shuffled(before: list[Any], after: list[Any]) -> bool:
    """Whether two lists of objects hold the same entries in another order. Plain values are never taken for shuffled:
    which argument stands where is what people read."""
    if not all(isinstance(entry, dict | list) for entry in (*before, *after)):
        return False
    old, new = [form(entry) for entry in before], [form(entry) for entry in after]
    return old != new and sorted(old) == sorted(new)


def _pairs_well(before: list[Any], after: list[Any]) -> bool:
    """Whether comparing place by place tells no more differences than finding what was put in and taken out."""
    if any(isinstance(entry, dict | list) for entry in (*before, *after)):
        return True
    old, new = [form(entry) for entry in before], [form(entry) for entry in after]
    moves = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    by_moves = sum(max(b - a, d - c) for tag, a, b, c, d in moves if tag != "equal")
    return sum(a != b for a, b in zip(old, new, strict=True)) <= by_moves


OPS: dict[str, Op] = {
    "dictionary_item_added": "add",
    "iterable_item_added": "add",
    "dictionary_item_removed": "remove",
    "iterable_item_removed": "remove",
    "values_changed": "change",
    "type_changes": "change",
}
OP_ORDER: Sequence[Op] = ("reorder", "remove", "change", "add")

Placed = tuple[Path, Change]


def explain(kind: Kind, before: JSON, after: JSON) -> tuple[Change, ...]:
    """What differs between two requests of one kind, sorted by path; empty exactly where the same thing would run.

    Compared as people read them (`Kind.for_display`); where that hides the difference, as they are sent. Either may be
    as sent: our tags and the client token are left out. Names and tags cause no run: their changes are told only
    beside others, with which they take effect. The order of arguments counts, ``"2"`` is not ``2``, null is not a
    missing field.
    """
    old, new = kind.as_written(before), kind.as_written(after)
    if form(kind.content(old)) == form(kind.content(new)):
        return ()
    found = _compare(kind.for_display(old), kind.for_display(new))
    if all(path[0] in kind.cosmetic_fields for path, _ in found):
        found = _compare(old, new)
    if all(path[0] in kind.cosmetic_fields for path, _ in found):
        found += _by_field(kind.content(old), kind.content(new))
    return tuple(change for _, change in sorted(found, key=_order))


def _compare(before: JSON, after: JSON) -> list[Placed]:
    """All differences with their places."""
    from deepdiff import DeepDiff  # noqa: PLC0415 - takes 100 ms to import, and only a changed spec needs it

    alignment = Alignment()
    left, right = alignment.align(before, after)
    tree = DeepDiff(
        left,
        right,
        view="tree",
        ignore_order=False,
        ignore_numeric_type_changes=False,
        ignore_string_type_changes=False,
        ignore_private_variables=False,  # else keys that begin with two underscores are passed over
        threshold_to_diff_deeper=0,  # else two very different objects are told as one change
        verbose_level=2,
    )
    context = _Context(before, after)
    levels = [(OPS[name], level) for name, found in tree.items() for level in found]
    return [*alignment.reorders, *(context.placed(op, level) for op, level in levels)]


class _Context:
    """Both requests whole, and masked: what a value is can depend on its neighbours."""

    def __init__(self, before: JSON, after: JSON) -> None:
        self.before, self.after = (before, masked(before)), (after, masked(after))

    def placed(self, op: Op, level: Any) -> Placed:  # noqa: ANN401 - deepdiff has no types
        """One difference as a change. Its place is that in `after`, for a removal that in `before`."""
        old_path: Path = tuple(level.path(output_format="list"))
        new_path: Path = tuple(level.path(output_format="list", use_t2=True))
        old = None if op == "add" else level.t1
        new = None if op == "remove" else level.t2
        path = old_path if op == "remove" else new_path
        sensitive = (op != "add" and _needs_context(*self.before, old_path, old)) or (
            op != "remove" and _needs_context(*self.after, new_path, new)
        )
        return path, Change(path_text(path), op, old, new, sensitive)


def _needs_context(request: JSON, hidden: JSON, path: Path, value: object) -> bool:
    """Whether a value is a secret that it does not tell by itself, such as the argument after ``--password``."""
    here: Any = request
    there: Any = hidden
    for key in path:
        index = next(i for i, e in enumerate(here) if e["name"] == key) if isinstance(key, EntryName) else key
        here, there = here[index], there[index]
    return bool(there != masked_at(path, value))


def _by_field(before: JSON, after: JSON) -> list[Placed]:
    """Whole fields that differ in the digest's eyes and in no other's (``0.0`` and ``-0.0``)."""
    return [
        ((key,), Change(path_text((key,)), "change", before.get(key), after.get(key)))
        for key in before.keys() | after.keys()
        if form(before.get(key)) != form(after.get(key))
    ]


def _order(placed: Placed) -> tuple[Iterable[tuple[bool, int, str]], int]:
    """By path, indexes as numbers: text, JSON and markdown all show this order."""
    path, change = placed
    keys = [(isinstance(key, str), key if isinstance(key, int) else 0, str(key)) for key in path]
    return keys, OP_ORDER.index(change.op)
