"""Compares an input shape of botocore with the JSON Schema of a model, and reports members that the model lacks or
checks less strictly.

A model may be stricter than AWS's shape, because AWS documents rules that its shapes do not contain. It must not be
looser, and it must not leave out a member.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import botocore

INTEGERS = {"integer": 2**31 - 1, "long": 2**63 - 1}
TYPES = {
    "structure": "object",
    "map": "object",
    "list": "array",
    "string": "string",
    "boolean": "boolean",
} | dict.fromkeys(INTEGERS, "integer")
BOUNDS = {
    "string": ("minLength", "maxLength"),
    "list": ("minItems", "maxItems"),
    "map": ("minProperties", "maxProperties"),
    "integer": ("minimum", "maximum"),
    "long": ("minimum", "maximum"),
}


def service_shapes(service: str, version: str) -> dict[str, Any]:
    """Returns the shapes of a service in the installed botocore."""
    path = Path(botocore.__file__).parent / "data" / service / version / "service-2.json.gz"
    shapes: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))["shapes"]
    return shapes


def reachable(shapes: Mapping[str, Any], name: str, seen: set[str] | None = None) -> set[str]:
    """Returns the names of all shapes that an input can contain."""
    seen = set() if seen is None else seen
    if name not in seen:
        seen.add(name)
        shape = shapes[name]
        for member in [
            *shape.get("members", {}).values(),
            *(shape[key] for key in ("member", "key", "value") if key in shape),
        ]:
            reachable(shapes, member["shape"], seen)
    return seen


@dataclass(frozen=True)
class Walk:
    """One comparison. `patterns` maps AWS's patterns to ours; `extra` are members that only our model has."""

    shapes: Mapping[str, Any]
    schema: Mapping[str, Any]
    patterns: Mapping[str, str]
    extra: frozenset[tuple[str, str]] = frozenset()
    seen: set[tuple[str, str]] = field(default_factory=set)

    def findings(self, shape: str) -> list[str]:
        """Returns each member that is looser or missing, as ``Path.to.member: what``."""
        self.seen.clear()
        return list(self._compare(shape, self.schema, shape))

    def _compare(self, name: str, ours: Mapping[str, Any], path: str) -> Iterator[str]:
        reference = ours.get("$ref")
        if reference:
            if (name, reference) in self.seen:
                return
            self.seen.add((name, reference))
        ours, shape = self._resolved(ours), self.shapes[name]
        kind = shape["type"]
        if TYPES.get(kind) != ours.get("type"):
            yield f"{path}: type {kind}, ours {ours.get('type')}"
            return
        yield from self._bounds(shape, ours, path)
        if kind == "structure":
            yield from self._structure(name, shape, ours, path)
        elif kind == "list":
            yield from self._compare(shape["member"]["shape"], ours.get("items", {}), f"{path}[]")
        elif kind == "map":
            yield from self._map(shape, ours, path)
        elif kind == "string":
            yield from self._string(shape, ours, path)

    def _resolved(self, ours: Mapping[str, Any]) -> Mapping[str, Any]:
        """Returns the schema that a reference points to. Of several alternatives, returns the first, which is the form
        that is sent."""
        if "$ref" in ours:
            target = self.schema["$defs"][ours["$ref"].rpartition("/")[2]]
            return {**target, **{key: value for key, value in ours.items() if key != "$ref"}}
        return {**ours, **ours["anyOf"][0]} if "anyOf" in ours else ours

    def _structure(self, name: str, shape: Mapping[str, Any], ours: Mapping[str, Any], path: str) -> Iterator[str]:
        properties = ours.get("properties", {})
        if ours.get("additionalProperties") is not False:
            yield f"{path}: unknown members are taken"
        if shape.get("union") and (ours.get("minProperties"), ours.get("maxProperties")) != (1, 1):
            yield f"{path}: a union, of which ours may hold more or fewer than one member"
        for member in sorted(set(properties) - set(shape["members"])):
            if (name, member) not in self.extra:
                yield f"{path}.{member}: no such member"
        for member, target in shape["members"].items():
            if member not in properties:
                yield f"{path}.{member}: missing"
                continue
            if member in shape.get("required", ()) and member not in ours.get("required", ()):
                yield f"{path}.{member}: required"
            if not self._resolved(properties[member]).get("description"):
                yield f"{path}.{member}: without a description"
            yield from self._compare(target["shape"], properties[member], f"{path}.{member}")

    def _map(self, shape: Mapping[str, Any], ours: Mapping[str, Any], path: str) -> Iterator[str]:
        by_pattern = ours.get("patternProperties", {})
        pattern, value = next(iter(by_pattern.items())) if by_pattern else (None, ours.get("additionalProperties", {}))
        keys = {"type": "string", **ours.get("propertyNames", {}), **({"pattern": pattern} if pattern else {})}
        yield from self._compare(shape["key"]["shape"], keys, f"{path}.<key>")
        yield from self._compare(shape["value"]["shape"], value, f"{path}.<value>")

    def _string(self, shape: Mapping[str, Any], ours: Mapping[str, Any], path: str) -> Iterator[str]:
        if "enum" in shape and sorted(shape["enum"]) != sorted(ours.get("enum", ())):
            yield f"{path}: enum {shape['enum']}, ours {ours.get('enum')}"
        if "pattern" in shape:
            expected = self.patterns.get(shape["pattern"], f"^{shape['pattern']}$")
            if ours.get("pattern") != expected:
                yield f"{path}: pattern {shape['pattern']!r}, ours {ours.get('pattern')!r}"

    def _bounds(self, shape: Mapping[str, Any], ours: Mapping[str, Any], path: str) -> Iterator[str]:
        kind = shape["type"]
        low, high = BOUNDS.get(kind, ("", ""))
        least, most = shape.get("min"), shape.get("max", INTEGERS.get(kind))
        if least and not ours.get(low, float("-inf")) >= least:
            yield f"{path}: min {least}, ours {ours.get(low)}"
        if least == 0 and kind in INTEGERS and not ours.get(low, -1) >= 0:
            yield f"{path}: min 0, ours {ours.get(low)}"
        if most is not None and not ours.get(high, float("inf")) <= most:
            yield f"{path}: max {most}, ours {ours.get(high)}"
