"""`explain`: the differences between two requests, in AWS's words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from reconciler.diff.align import Alignment, Path, form
from reconciler.diff.paths import EntryName, path_text
from reconciler.identity.canonical import COSMETIC_FIELDS, content
from reconciler.mask.request import masked, masked_at
from reconciler.model.kind import RESERVED_TAG_PREFIX, Kind
from reconciler.model.strict import JSON
from reconciler.plan.change import Change, Op

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
    old, new = _own(kind, before), _own(kind, after)
    if form(content(old)) == form(content(new)):
        return ()
    found = _compare(kind.for_display(old), kind.for_display(new))
    if all(_is_cosmetic(path) for path, _ in found):
        found = _compare(old, new)
    if all(_is_cosmetic(path) for path, _ in found):
        found += _by_field(content(old), content(new))
    return tuple(change for _, change in sorted(found, key=_order))


def _own(kind: Kind, request: JSON) -> JSON:
    """The request without what the reconciler adds to it when sending."""
    own = {key: value for key, value in request.items() if key != kind.token_field}
    tags = own.pop("tags", None) or {}
    kept = {key: value for key, value in tags.items() if not key.startswith(RESERVED_TAG_PREFIX)}
    return {**own, "tags": kept} if kept else own


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


def _is_cosmetic(path: Path) -> bool:
    return path[0] in COSMETIC_FIELDS


def _order(placed: Placed) -> tuple[Iterable[tuple[bool, int, str]], int]:
    """By path, indexes as numbers: text, JSON and markdown all show this order."""
    path, change = placed
    keys = [(isinstance(key, str), key if isinstance(key, int) else 0, str(key)) for key in path]
    return keys, OP_ORDER.index(change.op)
