"""Encodes the recorded state as JSON and decodes it.

The JSON form is derived from the fields of the state's dataclasses (`object_codec`). Submissions and specs, which are
most of the state, are encoded by columns. A reference to a submission is encoded as its number, so that decoding
creates each submission only once. Observations made during a pass are left out. A snapshot is valid only for the
version of the fold that it contains.
"""

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import Field, fields, is_dataclass
from enum import Enum
from functools import cache
from hashlib import sha256
from types import UnionType
from typing import Any, Union, cast, get_args, get_origin

from reconciler.core.lazy_mapping import LazyMapping, LazyRows
from reconciler.core.state import OF_THE_PASS, Recorded, SpecRecord, Submission
from reconciler.ledger.object_codec import (
    COLUMNS,
    Coder,
    coder_of,
    coder_of_objects,
    from_columns,
    hints_of,
    lazy_rows,
    to_columns,
)
from reconciler.model.base import JSON

DERIVED, SPECS = "by_token", "specs"
"""The field that is rebuilt from the submissions, and the field that contains the specs."""

FOLD = 1
"""The version of the fold. Raise it if the same events now lead to another state than before, so that older snapshots
are not used. `tests/ledger/fold_sources.json` contains digests of the modules that fold events. A test fails if one of
these modules has changed, as a reminder to decide whether this number must be raised."""


@cache
def fold_version() -> str:
    """Returns the version that a usable snapshot must have: the version of the fold, and a digest of the fields of the
    state, which determine the form of a snapshot."""
    shape = sha256("\n".join(_shape(Recorded)).encode()).hexdigest()
    return f"{FOLD}-{shape[:24]}"


def _shape(kind: type) -> list[str]:
    """Returns the fields of a dataclass and of the dataclasses in it, and the values of enums, as text."""
    lines, rest, seen = list[str](), list[Any]([kind]), {kind}
    while rest:
        each = rest.pop()
        if issubclass(each, Enum):
            lines.append(f"{each.__name__}: {[member.value for member in each]}")
            continue
        kept = [field for field in fields(each) if OF_THE_PASS not in field.metadata]
        hints = hints_of(each)
        lines.append(f"{each.__name__}: {[(field.name, _text(hints[field.name])) for field in kept]}")
        parts = {part for field in kept for part in _parts(hints[field.name])}
        found = {part for part in parts if is_dataclass(part) or issubclass(part, Enum)}
        rest += sorted(found - seen, key=lambda part: part.__name__)
        seen |= found
    return lines


def _text(hint: Any) -> str:  # noqa: ANN401 - a type as it is written in an annotation
    """Returns a type as text that is the same in every process: `repr` contains addresses of functions."""
    arguments = get_args(hint)
    if get_origin(hint) in {Union, UnionType}:
        return " | ".join(map(_text, arguments))
    # a lazy mapping has the same form as a dictionary
    name = "dict" if get_origin(hint) is MutableMapping else getattr(get_origin(hint) or hint, "__name__", str(hint))
    return f"{name}[{', '.join(map(_text, arguments))}]" if arguments else name


def _parts(hint: Any) -> Iterator[type]:  # noqa: ANN401 - a type as it is written in an annotation
    """Yields the types in an annotation."""
    if isinstance(hint, type) and not get_args(hint):
        yield hint
    for argument in get_args(hint):
        yield from _parts(argument)


def to_json(recorded: Recorded) -> JSON:
    """Returns the recorded state as a JSON object. Raises `TypeError` for a field of an unsupported type."""
    submissions = list(recorded.by_token.values())
    numbers = {id(submission): number for number, submission in enumerate(submissions)}
    reference: Coder = (lambda submission: numbers[id(submission)], int)
    form: JSON = {"submissions": {COLUMNS: to_columns(Submission, submissions)}}
    for field, coder in _kept(reference):
        value = getattr(recorded, field.name)
        form[field.name] = value if coder is None else coder[0](value)
    form[SPECS] = [list(recorded.specs), to_columns(SpecRecord, list(recorded.specs.values()), reference)]
    return form


def from_json(form: Mapping[str, Any], *, lazy: bool = False) -> Recorded:
    """Returns the state in a JSON object. If `lazy` is set, submissions and specs are decoded when they are first
    accessed. Raises `ValueError`, `TypeError`, `KeyError` or `IndexError` for an object that `to_json` of this version
    never returns; with `lazy`, a later access to the state may raise `LedgerCorrupt` instead."""
    if lazy and isinstance(form["submissions"], dict) and isinstance(form[SPECS], list):
        return _lazy(form)
    submissions: list[Submission] = []
    reference: Coder = (int, submissions.__getitem__)
    submissions += _submissions(form["submissions"])
    values = {
        field.name: form[field.name] if coder is None else coder[1](form[field.name])
        for field, coder in _kept(reference)
    }
    specs = _specs(form[SPECS], reference)
    return Recorded(**values, specs=specs, by_token={submission.token: submission for submission in submissions})


def _lazy(form: Mapping[str, Any]) -> Recorded:
    columns, (names, specs) = form["submissions"][COLUMNS], form[SPECS]
    submissions: LazyRows[Submission] = lazy_rows(Submission, columns, _tokens(columns))
    reference: Coder = (int, submissions.__getitem__)
    records: LazyRows[SpecRecord] = lazy_rows(SpecRecord, specs, names, reference)
    values = {
        field.name: form[field.name] if coder is None else coder[1](form[field.name])
        for field, coder in _kept(reference)
    }
    return Recorded(**values, specs=LazyMapping(records), by_token=LazyMapping(submissions))


def _specs(form: Any, reference: Coder) -> dict[str, SpecRecord]:  # noqa: ANN401 - any JSON value
    """Returns the specs in a JSON value. Older snapshots have a mapping from names to lists instead of columns."""
    if isinstance(form, dict):
        back = coder_of_objects(SpecRecord, reference)[1]
        return {name: back(record) for name, record in form.items()}
    names, columns = form
    return dict(zip(names, from_columns(SpecRecord, columns, len(names), reference), strict=True))


def _submissions(form: Any) -> Iterator[Submission]:  # noqa: ANN401 - any JSON value
    """Yields the submissions in a JSON value. Older snapshots have a list for each submission instead of columns."""
    if isinstance(form, list):
        return map(coder_of_objects(Submission, None)[1], form)
    columns = form[COLUMNS]
    return cast("Iterator[Submission]", from_columns(Submission, columns, len(_tokens(columns))))


def _tokens(columns: Sequence[Any]) -> Sequence[str]:
    """Returns the tokens of all submissions, from which their number follows."""
    return cast("Sequence[str]", columns[[field.name for field in fields(Submission)].index("token")])


def _kept(reference: Coder) -> list[tuple[Field[Any], Coder]]:
    """Returns the fields of the state that are encoded without columns, with their coders."""
    hints = hints_of(Recorded)
    return [
        (field, coder_of(hints[field.name], reference))
        for field in fields(Recorded)
        if field.name not in {DERIVED, SPECS} and OF_THE_PASS not in field.metadata
    ]
