"""Generates one JSON Schema for editors from the models of the project file and of every kind of spec.

The schema is less strict than `validate`. It allows a placeholder in place of any string with limits, and it leaves out
rules that a schema cannot express.
"""

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from reconciler.model.base import JSON, Strict
from reconciler.model.kind import MODULES, RESERVED_FIELD, Kind, kind_named
from reconciler.model.project import Project
from reconciler.model.spec import API_VERSION, SpecDocument

DIALECT = "https://json-schema.org/draft/2020-12/schema"
PLACEHOLDER: JSON = {"type": "string", "pattern": r"\$\{"}
PROJECT = "Project"

_LIMITS = frozenset({"pattern", "enum", "const", "minLength", "maxLength"})


def schema() -> JSON:
    """Returns the schema of every document of a project, in the 2020-12 draft."""
    definitions = _definitions(Project, PROJECT, _EditorSchema)
    for name in MODULES:
        definitions |= _kind(kind_named(name))
    kinds = [PROJECT, *MODULES]
    return {
        "$schema": DIALECT,
        "title": "reconciler",
        "description": "The project file (reconciler.yaml) and the specs of its jobs.",
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "properties": {
            "apiVersion": {"const": API_VERSION, "description": "The format of this document."},
            "kind": {"enum": kinds, "description": "Project in reconciler.yaml; in a spec, the AWS call to make."},
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


def _kind(kind: Kind) -> JSON:
    """Returns the definitions of one kind of spec, keyed by name."""
    request = f"{kind.name}.request"
    definitions = _definitions(SpecDocument, kind.name, _EditorSchema)
    definitions |= _definitions(kind.model, request, _RequestSchema)
    definitions[kind.name]["description"] = f"One desired job: a call of {kind.operation}."
    definitions[kind.name]["properties"]["kind"]["const"] = kind.name
    definitions[f"{kind.name}.Spec"]["properties"]["request"] = {"$ref": f"#/$defs/{request}"}
    definitions[request]["properties"].pop(RESERVED_FIELD, None)
    filled_in = {kind.name_field, RESERVED_FIELD}
    definitions[request]["required"] = [name for name in definitions[request]["required"] if name not in filled_in]
    return definitions


def _definitions(model: type[Strict], name: str, generator: type[GenerateJsonSchema]) -> JSON:
    """Returns a model's schema under `name`, and the schemas that it refers to under names that start with `name`."""
    made = model.model_json_schema(ref_template=f"#/$defs/{name}.{{model}}", schema_generator=generator)
    inner = made.pop("$defs", {})
    return {name: made, **{f"{name}.{key}": part for key, part in inner.items()}}


class _EditorSchema(GenerateJsonSchema):
    """Leaves out titles and nulls. A field of a spec may be absent but is never null."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ANN401 - a core schema or a field's
        return False

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        part = super().model_schema(schema)
        part.pop("title", None)
        return part

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        part = super().default_schema(schema)
        default = part.pop("default", None)
        if isinstance(default, dict):
            default = {key: value for key, value in default.items() if value is not None}
        return part if default is None else {**part, "default": default}


class _RequestSchema(_EditorSchema):
    """Allows a placeholder in every string with limits, but not in a key. Only `validate` can check the resulting
    value."""

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - as the base class has them
        super().__init__(*args, **options)
        self._keys: set[int] = set()

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        self._keys.add(id(schema.get("keys_schema")))
        return super().dict_schema(schema)

    def str_schema(self, schema: core_schema.StringSchema) -> JsonSchemaValue:
        part = super().str_schema(schema)
        return part if id(schema) in self._keys else or_placeholder(part)

    def literal_schema(self, schema: core_schema.LiteralSchema) -> JsonSchemaValue:
        return or_placeholder(super().literal_schema(schema))


def or_placeholder(part: JSON) -> JSON:
    """Returns a schema that accepts the values of `part`, and strings with a placeholder."""
    limits = {key: part[key] for key in part.keys() & _LIMITS}
    if part.get("type") != "string" or not limits:
        return part
    return {**{key: part[key] for key in part.keys() - _LIMITS}, "anyOf": [limits, PLACEHOLDER]}
