"""The recorded state as JSON and back, over whatever fields its dataclasses have.

Each object is a list of its fields' values in their order, and a submission is a number wherever it is not written
itself, so that it stays one object. What a pass observed is left out. The form holds for one version of the fold:
`fold_version` says which, and whoever keeps a form keeps that with it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import Field, fields, is_dataclass
from enum import Enum
from functools import cache
from hashlib import sha256
from importlib.resources import files
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

from reconciler import __version__
from reconciler.model.strict import JSON
from reconciler.recorded.state import OF_THE_PASS, Recorded
from reconciler.recorded.submission import Submission

Turn = Callable[[Any], Any]
Coder = tuple[Turn, Turn] | None
"""How values of a type are turned into JSON and back; `None`: they are JSON as they are."""

PLAIN = {str, int, float, bool, NoneType, object, Any}
DERIVED = "by_token"
"""The field that is rebuilt from the submissions."""


@cache
def fold_version() -> str | None:
    """A digest of the source of events, fold and state: what another source made of the same events is another state,
    until somebody has thought about it. `None` where the source is not at hand."""
    digest = sha256(__version__.encode())
    try:
        sources = sorted(
            (file.name, file.read_bytes()) for file in files(__package__).iterdir() if _is_source(file.name)
        )
    except OSError:
        return None
    for name, source in sources:
        digest.update(f"\n{name} {len(source)}\n".encode() + source)
    return digest.hexdigest()[:32] if sources else None


def _is_source(name: str) -> bool:
    return name.endswith(".py")


def form_of(recorded: Recorded) -> JSON:
    """The recorded state as a JSON object. Raises `TypeError` for a field of a type that it cannot hold."""
    submissions = list(recorded.by_token.values())
    numbers = {id(submission): number for number, submission in enumerate(submissions)}
    reference: Coder = (lambda submission: numbers[id(submission)], int)
    whole = _whole(Submission, reference)
    form = {"submissions": [whole[0](submission) for submission in submissions]}
    for field, coder in _kept(reference):
        value = getattr(recorded, field.name)
        form[field.name] = value if coder is None else coder[0](value)
    return form


def recorded_of(form: Mapping[str, Any]) -> Recorded:
    """The state that a form stands for. Raises `ValueError`, `TypeError`, `KeyError` or `IndexError` for what
    `form_of` of this version never gives."""
    submissions: list[Submission] = []
    reference: Coder = (int, submissions.__getitem__)
    submissions += map(_whole(Submission, reference)[1], form["submissions"])
    values = {
        field.name: form[field.name] if coder is None else coder[1](form[field.name])
        for field, coder in _kept(reference)
    }
    return Recorded(**values, by_token={submission.token: submission for submission in submissions})


def _kept(reference: Coder) -> list[tuple[Field[Any], Coder]]:
    """The fields of the state that the form has, with their coders."""
    hints = get_type_hints(Recorded)
    return [
        (field, _coder(hints[field.name], reference))
        for field in fields(Recorded)
        if field.name != DERIVED and OF_THE_PASS not in field.metadata
    ]


def _coder(hint: Any, reference: Coder) -> Coder:  # noqa: ANN401 - a type as it is written in an annotation
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Submission:
        return reference
    if hint in PLAIN:
        return None
    if origin in {Union, UnionType}:
        return _optional(hint, reference)
    if isinstance(origin, type) and issubclass(origin, Collection):
        return _collection(origin, arguments, reference)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return (attrgetter("value"), hint)
    if is_dataclass(hint):
        return _whole(cast("type", hint), reference)
    raise TypeError(f"the form of the recorded state has no way to hold {hint}")


def _optional(hint: Any, reference: Coder) -> Coder:  # noqa: ANN401 - a type as it is written in an annotation
    coders = [_coder(part, reference) for part in get_args(hint) if part is not NoneType]
    if not any(coders):
        return None
    if len(coders) > 1 or coders[0] is None:
        raise TypeError(f"the form of the recorded state cannot tell the parts of {hint} apart")
    to, back = coders[0]
    return (lambda value: None if value is None else to(value), lambda form: None if form is None else back(form))


def _collection(origin: type, arguments: tuple[Any, ...], reference: Coder) -> Coder:
    if issubclass(origin, Mapping):
        return _mapping(arguments, reference)
    item = _coder(arguments[0], reference)
    if origin is tuple and arguments[1:] != (...,):
        raise TypeError(f"the form of the recorded state holds tuples of one type only, not {arguments}")
    if item is None and origin is list:
        return None
    to, back = item or (_same, _same)
    ordered: Turn = sorted if issubclass(origin, AbstractSet) else list
    into: Turn = {"Set": frozenset, "Sequence": list}.get(origin.__name__, origin)
    return (lambda values: ordered(map(to, values)), lambda form: into(map(back, form)))


def _mapping(arguments: tuple[Any, ...], reference: Coder) -> Coder:
    key, value = (_coder(argument, reference) for argument in arguments)
    if arguments[0] is str:
        if value is None:
            return None
        to, back = value
        return (
            lambda values: {name: to(held) for name, held in values.items()},
            lambda form: {name: back(held) for name, held in form.items()},
        )
    (key_to, key_back), (to, back) = key or (_same, _same), value or (_same, _same)
    return (
        lambda values: [[key_to(name), to(held)] for name, held in values.items()],
        lambda form: {key_back(name): back(held) for name, held in form},
    )


def _whole(kind: type, reference: Coder) -> tuple[Turn, Turn]:
    """How objects of a dataclass are turned into lists and back."""
    hints = get_type_hints(kind)
    names = [field.name for field in fields(kind)]
    coders = [(place, coder) for place, name in enumerate(names) if (coder := _coder(hints[name], reference))]
    positional = not any(field.kw_only for field in fields(kind))
    values_of = attrgetter(*names) if len(names) > 1 else lambda held: (getattr(held, names[0]),)

    def to(held: Any) -> list[Any]:  # noqa: ANN401 - an object of `kind`
        values = list(values_of(held))
        for place, (turn, _) in coders:
            values[place] = turn(values[place])
        return values

    def back(form: list[Any]) -> Any:  # noqa: ANN401 - an object of `kind`
        if len(form) != len(names):
            raise ValueError(f"{kind.__name__} has {len(names)} fields, the form {len(form)}")
        values = list(form)
        for place, (_, turn) in coders:
            values[place] = turn(values[place])
        return kind(*values) if positional else kind(**dict(zip(names, values, strict=True)))

    return to, back


def _same(value: Any) -> Any:  # noqa: ANN401 - whatever it is
    return value
