"""Which entries of two lists belong together, decided before they are compared."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

from reconciler.diff.paths import EntryName, entry_names, path_text
from reconciler.plan.change import Change

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
