"""One JSON Schema for the project file and every kind of spec, made from the models, for editors.

It is for those who write: looser than `validate` where a placeholder may stand for a value, and silent about rules
that no schema can state.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reconciler.model.base import JSON
from reconciler.model.kind import MODULES, RESERVED_FIELD, Kind, kind_named
from reconciler.model.project import Project
from reconciler.model.spec import SpecDocument

DIALECT = "https://json-schema.org/draft/2020-12/schema"
PLACEHOLDER: JSON = {"type": "string", "pattern": r"\$\{"}
PROJECT = "Project"

_LIMITS_OF_TEXT = frozenset({"pattern", "enum", "const", "minLength", "maxLength"})
_NAMED = frozenset({"properties", "patternProperties", "$defs"})  # keywords whose keys are names, not keywords


def schema() -> JSON:
    """The schema of every document of a project, in the 2020-12 draft."""
    definitions = {**_project(), **{name: part for kind in MODULES for name, part in _kind(kind_named(kind)).items()}}
    kinds = [PROJECT, *MODULES]
    return {
        "$schema": DIALECT,
        "title": "reconciler",
        "description": "The project file (reconciler.yaml) and the specs of its jobs.",
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "properties": {
            "apiVersion": {"const": "reconciler/v1", "description": "The format of this document."},
            "kind": {"enum": kinds, "description": "Project in reconciler.yaml; else the AWS call that a spec is for."},
        },
        "allOf": [
            {
                "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
                "then": {"$ref": f"#/$defs/{kind}"},
            }
            for kind in kinds
        ],
        "$defs": dict(sorted(definitions.items())),
    }


def _project() -> JSON:
    """The definitions of the project file, by name."""
    definitions = _definitions(Project.model_json_schema(), PROJECT)
    for owner in (f"{PROJECT}.ProjectSpec", f"{PROJECT}.Target"):
        _plain_scalars_too(definitions[owner]["properties"]["vars"])
    definitions[f"{PROJECT}.Target"]["anyOf"] = [
        {"properties": {"emulator": {"not": {"const": False}}}, "required": ["emulator"]},
        {"required": ["account", "region", "ledger"]},
    ]
    return definitions


def _kind(kind: Kind) -> JSON:
    """The definitions of one kind of spec, by name."""
    definitions = _definitions(SpecDocument.model_json_schema(), kind.name)
    document = definitions[kind.name]
    document["description"] = f"One desired job: a call of {kind.operation}."
    document["properties"]["kind"] = {"const": kind.name, "description": document["properties"]["kind"]["description"]}
    request = kind.model.model_json_schema()
    request["properties"].pop(RESERVED_FIELD, None)
    not_asked = {kind.name_field, RESERVED_FIELD}
    request["required"] = [name for name in request.get("required", []) if name not in not_asked]
    parts = _definitions(_changed(request, _or_placeholder), f"{kind.name}.request")
    definitions[f"{kind.name}.Spec"]["properties"]["request"] = {"$ref": f"#/$defs/{kind.name}.request"}
    return {**definitions, **parts}


def _definitions(model: JSON, name: str) -> JSON:
    """A model's schema under `name`, and those it refers to under names that begin with it; nulls and titles gone."""
    inner = model.pop("$defs", {})

    def tidy(part: JSON) -> JSON:
        if "$ref" in part:
            part["$ref"] = part["$ref"].replace("#/$defs/", f"#/$defs/{name}.")
        part.pop("title", None)
        return _without_null(part)

    named = {name: model, **{f"{name}.{key}": part for key, part in inner.items()}}
    return {key: _changed(part, tidy) for key, part in named.items()}


def _changed(part: Any, change: Callable[[JSON], JSON], *, is_schema: bool = True) -> Any:  # noqa: ANN401 - a schema
    """A copy of a schema with every schema inside it changed, inner ones first."""
    if isinstance(part, list):
        return [_changed(inner, change, is_schema=is_schema) for inner in part]
    if not isinstance(part, dict):
        return part
    copy = {
        key: inner
        if is_schema and key in {"default", "const", "enum", "required"}
        else _changed(inner, change, is_schema=not (is_schema and key in _NAMED))
        for key, inner in part.items()
    }
    return change(copy) if is_schema else copy


def _without_null(part: JSON) -> JSON:
    """A field that may be absent may not be null: the choice of null goes, and null as the default with it."""
    choices = part.get("anyOf")
    if choices and {"type": "null"} in choices:
        rest = [choice for choice in choices if choice != {"type": "null"}]
        part = {key: value for key, value in part.items() if key not in {"anyOf", "default"}}
        part |= rest[0] if len(rest) == 1 else {"anyOf": rest}
    if isinstance(part.get("type"), list):
        part["type"] = [name for name in part["type"] if name != "null"]
    if isinstance(part.get("default"), dict):
        part["default"] = {key: value for key, value in part["default"].items() if value is not None}
    return part


def _or_placeholder(part: JSON) -> JSON:
    """Limited text may also be text with a placeholder in it, whose value only `validate` knows."""
    if part.get("type") != "string" or _LIMITS_OF_TEXT.isdisjoint(part):
        return part
    limits = {key: value for key, value in part.items() if key in _LIMITS_OF_TEXT}
    rest = {key: value for key, value in part.items() if key not in _LIMITS_OF_TEXT}
    return {**rest, "anyOf": [limits, PLACEHOLDER]}


def _plain_scalars_too(variables: JSON) -> None:
    """Variables keep the text of plain scalars, so numbers and booleans are fine as well."""
    for pattern in variables["patternProperties"]:
        variables["patternProperties"][pattern] = {"type": ["string", "number", "boolean"]}
    variables["additionalProperties"] = False
