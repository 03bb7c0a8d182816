"""Converts a plan's changes, and the declarations that applying the plan records, to JSON and back."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, TypeAdapter, ValidationError

from reconciler.core.declarations import PROJECT_KIND, PROJECT_NAME, PendingDeclaration
from reconciler.core.identity import Content, Source, request_digest
from reconciler.core.plan import Change, ChangeType, Effect, Op, Origin, Plan, SpecChange
from reconciler.errors import PlanFileError
from reconciler.model.base import JSON
from reconciler.render.diff import all_fields
from reconciler.render.json_text import Each


class _Form(BaseModel):
    """One JSON object. Unknown keys are ignored, because a newer minor version may add keys."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class _Source(_Form):
    path: StrictStr
    line: StrictInt


class _Field(_Form):
    path: StrictStr
    op: Op
    before: Any
    after: Any
    sensitive: StrictBool = False


class _SpecChange(_Form):
    name: StrictStr
    kind: StrictStr
    change: ChangeType
    fields: tuple[_Field, ...]
    effect: Effect
    effect_at: StrictStr | None
    message: StrictStr
    commit_of_declaration: StrictStr | None
    compared_with: StrictInt | None
    source: _Source | None
    digest: StrictStr | None
    stale: StrictBool
    origin: Origin | None = None
    origin_note: StrictStr = ""
    renamed_from: StrictStr | None = None


class _Declared(_Form):
    name: StrictStr
    kind: StrictStr
    after: StrictInt
    undeclared: Literal[False] = False
    digest: StrictStr
    request_digest: StrictStr
    policy: dict[str, Any]
    request: dict[str, Any]
    source: _Source | None


class _Undeclared(_Form):
    name: StrictStr
    kind: StrictStr
    after: StrictInt
    undeclared: Literal[True]


class _ProjectDeclared(_Form):
    after: StrictInt
    settings: dict[str, Any]


_CHANGES = TypeAdapter(tuple[_SpecChange, ...])
_DECLARATIONS = TypeAdapter(tuple[Annotated[_Undeclared | _Declared, Field(union_mode="left_to_right")], ...])
_PROJECT_DECLARATION = TypeAdapter(_ProjectDeclared)


def spec_change_json(change: SpecChange) -> JSON:
    """Returns the differences between a spec and its last-applied version as JSON. Nothing is masked."""
    return {
        "name": change.name,
        "kind": change.kind,
        "change": str(change.change),
        "fields": [_field_json(each) for each in all_fields(change)],
        "effect": str(change.effect),
        "effect_at": change.effect_at,
        "message": change.message,
        "commit_of_declaration": change.declared_commit,
        "compared_with": change.compared_with,
        "source": _source_json(change.source),
        "digest": change.content.digest if change.content is not None else None,
        "stale": change.stale,
        **({"origin": str(change.origin), "origin_note": change.origin_note} if change.origin is not None else {}),
        **({"renamed_from": change.renamed_from} if change.renamed_from is not None else {}),
    }


def _field_json(change: Change) -> JSON:
    form = {"path": change.path, "op": change.op, "before": change.before, "after": change.after}
    return {**form, "sensitive": True} if change.sensitive else form


def _source_json(source: Source | None) -> JSON | None:
    return {"path": source.path, "line": source.line} if source is not None else None


def declaration_json(pending: PendingDeclaration) -> JSON:
    """Returns the JSON form of the declaration that an apply records for a spec. Plan files contain the declarations,
    because applying a plan file reads no specs."""
    form: JSON = {"name": pending.name, "kind": pending.kind, "after": pending.after}
    content = pending.content
    if content is None:
        return {**form, "undeclared": True}
    return {
        **form,
        "digest": content.digest,
        "request_digest": request_digest(content.request or {}),
        "policy": dict(pending.policy),
        "request": content.request,
        "source": _source_json(content.source),
    }


def all_declarations_json(plan: Plan) -> JSON:
    """Returns the keys of a plan file that contain all declarations: of the project file and of the specs."""
    projects = [each for each in plan.declarations if each.kind == PROJECT_KIND]
    specs = [each for each in plan.declarations if each.kind != PROJECT_KIND]
    form: JSON = {"declarations": Each(declaration_json, specs)}
    for each in projects:
        form["project_declaration"] = {"after": each.after, "settings": dict(each.policy)}
    return form


def all_declarations_from_json(data: JSON) -> tuple[PendingDeclaration, ...]:
    """Reads the keys that `all_declarations_json` wrote. Raises `PlanFileError` for an invalid declaration, and if a
    request does not match its digest."""
    declared: list[PendingDeclaration] = []
    if (form := data.get("project_declaration")) is not None:
        read = _read(_PROJECT_DECLARATION, form, "project_declaration")
        declared.append(PendingDeclaration(PROJECT_NAME, PROJECT_KIND, read.after, policy=read.settings))
    return (*declared, *map(_pending, _read(_DECLARATIONS, data.get("declarations", []), "declarations")))


def changes_from_json(form: object, key: str) -> tuple[SpecChange, ...]:
    """Reads the changes that `spec_change_json` wrote, from the `key` of a plan. Raises `PlanFileError`."""
    return tuple(_spec_change(each) for each in _read(_CHANGES, form, key))


def _read(adapter: TypeAdapter[Any], form: object, key: str) -> Any:  # noqa: ANN401 - what the adapter is of
    try:
        return adapter.validate_python(form)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
        raise PlanFileError(f"the plan file, {key}{place}: {first['msg'].lower()}") from None


def _spec_change(form: _SpecChange) -> SpecChange:
    return SpecChange(
        name=form.name,
        kind=form.kind,
        change=form.change,
        effect=form.effect,
        message=form.message,
        effect_at=form.effect_at,
        fields=tuple(Change(f.path, f.op, f.before, f.after, f.sensitive) for f in form.fields),
        declared_commit=form.commit_of_declaration,
        content=Content(form.digest, source=_source(form.source)) if form.digest is not None else None,
        compared_with=form.compared_with,
        stale=form.stale,
        origin=form.origin,
        origin_note=form.origin_note,
        renamed_from=form.renamed_from,
    )


def _pending(form: _Declared | _Undeclared) -> PendingDeclaration:
    if isinstance(form, _Undeclared):
        return PendingDeclaration(form.name, form.kind, form.after)
    if request_digest(form.request) != form.request_digest:
        raise PlanFileError(f"the plan file was changed after it was created: the declared request of {form.name}")
    content = Content(form.digest, form.policy.get("revision", 1), form.request, source=_source(form.source))
    return PendingDeclaration(form.name, form.kind, form.after, content, form.policy)


def _source(form: _Source | None) -> Source | None:
    return Source(form.path, form.line) if form is not None else None
