"""How a place in a request is written: ``containerOverrides.environment["STAGE"].value``."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from reconciler.model.strict import JSON

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
