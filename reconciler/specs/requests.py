"""Renders the request of a spec for each of its targets, and checks it in the form that would be sent to AWS.

A string with placeholders is parsed once and filled in for each target. In a one-off spec every placeholder is
replaced. In a scheduled spec ``${run.slot}`` is kept. So is the escape ``$${`` for a literal ``${``, so that the stored
request is unambiguous. The slot is filled in later by `render_slot` of `reconciler.model.template`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from difflib import get_close_matches
from functools import partial
from typing import Any, NamedTuple

from pydantic import ValidationError

from reconciler.core.identity import TOKEN_HEX_DIGITS, TOKEN_PREFIX, Place
from reconciler.errors import Problem
from reconciler.model import template
from reconciler.model.base import JSON, Loc, Remark
from reconciler.model.kind import RESERVED_FIELD, Kind, RequestProblems, user_tag_problems
from reconciler.model.project import Project
from reconciler.model.spec import Policy
from reconciler.redact.request import secret_places
from reconciler.specs.problems import REQUEST, View
from reconciler.specs.wrong_values import NOT_TEXT
from reconciler.specs.yaml_nodes import MOST_CHARACTERS
from reconciler.values import dataclass, regex


class TooLarge(template.PlaceholderProblem):
    """Raised if the values of placeholders make a request larger than any valid request can be."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The values of the placeholders that one spec may use in one target, keyed by full name (``var.bucket``).

    `slots` is true if the spec has slots. `elsewhere` maps each name that any target defines to one of these targets.
    """

    target: str
    values: Mapping[str, str]
    slots: bool
    elsewhere: Mapping[str, str] = field(default_factory=dict)


def place_of(project: Project, name: str) -> Place:
    """Returns the project, target, account and region of a target."""
    target = project.target(name)
    return Place(project.name, name, target.account or "", target.region or "")


def shared_values(project: Project, place: Place) -> dict[str, str]:
    """Returns the values of the placeholders in a target that are the same for every spec."""
    return {
        "project.name": project.name,
        "target.name": place.target,
        "target.account": place.account,
        "target.region": place.region,
        **{f"var.{key}": value for key, value in project.variables(place.target).items()},
    }


def strings(value: Any) -> list[tuple[Loc, str]]:  # noqa: ANN401 - any JSON value
    """Returns every string in a value that contains a ``${``, with its path. Keys are left out."""
    texts: list[tuple[Loc, str]] = []
    _walk(value, (), texts, [])
    return texts


def keys(value: Any) -> list[Loc]:  # noqa: ANN401 - any JSON value
    """Returns the path of every key in a value that contains a ``${``."""
    names: list[Loc] = []
    _walk(value, (), [], names)
    return names


def _walk(value: Any, loc: Loc, texts: list[tuple[Loc, str]], names: list[Loc]) -> None:  # noqa: ANN401 - as above
    if isinstance(value, str):
        if template.OPENING in value:
            texts.append((loc, value))
    elif isinstance(value, dict):
        for key, inner in value.items():
            if template.OPENING in key:
                names.append((*loc, key))
            _walk(inner, (*loc, key), texts, names)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _walk(inner, (*loc, index), texts, names)


def render(text: str, scope: Scope, room: int = MOST_CHARACTERS) -> str:
    """Fills in the placeholders of a string. If the spec has slots, returns a template for `render_slot`.

    Raises `PlaceholderProblem` for an invalid placeholder, and if the result is longer than `room` characters.
    """
    done: list[str] = []
    literal = ""
    for offset, piece in template.pieces(text):
        if piece.name == template.SLOT and scope.slots:
            if literal.endswith("$"):
                raise template.PlaceholderProblem(
                    offset, f"a $ directly before ${{{template.SLOT}}} reads as an escape"
                )
            if piece.slot_format and (problem := template.format_problem(piece.slot_format)):
                raise template.PlaceholderProblem(offset, problem)
            inner = template.SLOT if piece.slot_format is None else f"{template.SLOT}:{piece.slot_format}"
            done += [escape(literal), f"${{{inner}}}"]
            literal = ""
        else:
            literal += piece.text if piece.name is None else _value(offset, piece.name, scope)
            if len(literal) > room:
                raise TooLarge(offset, "the values of placeholders make the request larger than 1 MiB")
    done.append(escape(literal) if scope.slots else literal)
    return "".join(done)


def escape(text: str) -> str:
    """Escapes a text so that it is read literally."""
    return text.replace(template.OPENING, template.ESCAPED)


def _value(offset: int, name: str, scope: Scope) -> str:
    value = scope.values.get(name)
    if value is not None:
        return value
    if name == template.SLOT:
        raise template.PlaceholderProblem(offset, f"${{{template.SLOT}}} is allowed only in specs with a schedule")
    if name in scope.elsewhere:
        message = f"{name} is defined in target {scope.elsewhere[name]}, but not in target {scope.target}"
        raise template.PlaceholderProblem(offset, message)
    names = list(dict.fromkeys([*scope.values, *scope.elsewhere, *([template.SLOT] if scope.slots else [])]))
    if label := LABEL.fullmatch(name):
        raise template.PlaceholderProblem(offset, f"unknown placeholder ${{{name}}}; {_label_hint(label[1], names)}")
    close = get_close_matches(name, names, n=1)
    hint = f"did you mean ${{{close[0]}}}?" if close else f"expected one of {', '.join(sorted(names))}."
    raise template.PlaceholderProblem(offset, f"unknown placeholder ${{{name}}}; {hint}{template.literal_hint(name)}")


LABEL = regex(r"(?:spec\.|metadata\.)*labels?\.(.+)")


def _label_hint(key: str, names: Sequence[str]) -> str:
    """Returns how to write the value of a label, or which labels the spec has."""
    labels = [name for name in names if name.startswith("spec.label.")]
    if f"spec.label.{key}" in labels:
        return f"did you mean ${{spec.label.{key}}}?"
    if not labels:
        return f"the spec has no labels; ${{spec.label.{key}}} is the value of the label {key} in metadata.labels"
    return f"the labels of the spec are {', '.join(f'${{{name}}}' for name in sorted(labels))}"


SAMPLE_TOKEN = TOKEN_PREFIX + "0" * TOKEN_HEX_DIGITS
SAMPLE_SLOT = "2026-11-22T02:00:00Z"
STAND_IN = "x"  # used instead of a string with an invalid placeholder

ByTarget = list[tuple[str, Problem]]
"""Problems, each with the target in which it occurs."""


@dataclass(frozen=True, slots=True)
class WrittenRequest:
    """A request as written in a document, and the data needed to render and check it."""

    view: View
    kind: Kind
    name: str
    policy: Policy
    request: JSON


class RenderedRequest(NamedTuple):
    """The request for one target. `replaced` are the paths of strings with invalid placeholders. These strings are
    replaced with a dummy value, so that the rest of the request can still be checked."""

    request: JSON
    replaced: Sequence[Loc] = ()


class CheckedRequest(NamedTuple):
    """The result of checking a rendered request: the request in AWS's own form with its name filled in, or `None` if it
    is invalid.

    `identity` is the form of the request that its digest is computed from, or `None` without a request. `doubts` are
    the problems that only `validate` treats as errors.
    """

    request: JSON | None
    problems: Sequence[Problem] = ()
    warnings: Sequence[Problem] = ()
    identity: JSON | None = None
    doubts: Sequence[Problem] = ()


def written_problems(view: View, request: JSON) -> Iterator[Problem]:
    """Yields the problems that a request has in every target."""
    if RESERVED_FIELD in request:
        message = "is set by the reconciler: remove it. To run the same request again, change spec.revision"
        yield view.problem((*REQUEST, RESERVED_FIELD), message, "client-token", on_key=True)
    for loc in keys(request) if template.OPENING in view.source.text else ():
        message = "placeholders are replaced in values, not in keys"
        yield view.problem((*REQUEST, *loc), message, "placeholder", on_key=True)


def render_all(
    written: WrittenRequest, targets: Sequence[str], scope_of: Callable[[str], Scope]
) -> tuple[dict[str, RenderedRequest], ByTarget]:
    """Renders the request for each target, and also returns the problems with placeholders in each target. `scope_of`
    returns the scope of a target.

    If the request has no placeholders, all targets share one object.
    """
    templates = strings(written.request) if template.OPENING in written.view.source.text else []
    if not templates:
        return dict.fromkeys(targets, RenderedRequest(written.request)), []
    requests: dict[str, RenderedRequest] = {}
    problems: ByTarget = []
    for target in targets:
        scope = scope_of(target)
        texts, wrong = _render_texts(templates, scope)
        problems += [
            (target, written.view.in_text((*REQUEST, *loc), error.offset, error.message, "placeholder"))
            for loc, error in wrong.items()
        ]
        if any(isinstance(error, TooLarge) for error in wrong.values()):
            continue
        requests[target] = RenderedRequest(template.mapped(written.request, texts.__getitem__), tuple(wrong))
    return requests, problems


def _render_texts(
    templates: Sequence[tuple[Loc, str]], scope: Scope
) -> tuple[dict[str, str], dict[Loc, template.PlaceholderProblem]]:
    """Renders each string, and returns the results by string, and the errors by path. A string with an error becomes a
    dummy value. Stops if the request becomes too large."""
    texts: dict[str, str] = {}
    wrong: dict[Loc, template.PlaceholderProblem] = {}
    room = MOST_CHARACTERS
    for loc, text in templates:
        try:
            texts[text] = render(text, scope, room)
            room -= len(texts[text])
        except template.PlaceholderProblem as error:
            texts[text], wrong[loc] = STAND_IN, error
            if isinstance(error, TooLarge):
                break
    return texts, wrong


def check_request(written: WrittenRequest, rendered: RenderedRequest, owner: str, *, warn: bool) -> CheckedRequest:
    """Checks the request of a target as it would be sent with `owner` in its tag.

    `warn` is true for `validate`, which also collects warnings and refuses a request with doubts. Other commands accept
    such a request and only show the doubts, because version 0.1.0 sent it.
    """
    kind, view = written.kind, written.view
    try:
        request = kind.from_spec(rendered.request)
    except RequestProblems as error:
        own = view.remarks(error.remarks, REQUEST)
        return CheckedRequest(None, [*own, *_other_problems(written, rendered, owner, error.remarks)])
    shorthand = request is not rendered.request  # `from_spec` returns a request in AWS's own form itself
    if kind.name_field not in request:
        request = {**request, kind.name_field: written.name}
    sent = _sample(written, request, owner)
    problems = _sent_problems(written, request, sent)
    if rendered.replaced:
        # A dummy value is not in the file, so its problems are dropped, except where any text would be wrong.
        positions = {view.position((*REQUEST, *loc)) for loc in rendered.replaced}
        left = [each for each in problems if (each.line, each.col) not in positions or each.rule in NOT_TEXT]
        return CheckedRequest(None, left)
    doubts = list(view.remarks(kind.refused(rendered.request), REQUEST)) if shorthand and not problems else []
    # Only `validate` collects warnings, and only it refuses a request because of doubts.
    if problems or (warn and doubts):
        return CheckedRequest(None, problems or doubts)
    # Finding warnings takes as long as all other checks.
    warnings = _warnings(written, rendered.request, sent) if warn else ()
    return CheckedRequest(request, (), warnings, kind.first_form(request) if shorthand else request, doubts)


def _other_problems(
    written: WrittenRequest, rendered: RenderedRequest, owner: str, remarks: Sequence[Remark]
) -> Sequence[Problem]:
    """Returns further problems of a request that `from_spec` refuses. Finds them by checking the request without the
    refused part.

    As long as the remaining request is refused, one more enclosing level is left out.
    """
    for levels in range(max(len(remark.loc) for remark in remarks)):
        request = rendered.request
        for remark in remarks:
            request = _without(request, remark.loc[: max(1, len(remark.loc) - levels)])
        try:
            written.kind.from_spec(request)
        except RequestProblems:
            continue
        return check_request(written, RenderedRequest(request, rendered.replaced), owner, warn=False).problems
    return ()


def _without(value: Any, loc: Loc) -> Any:  # noqa: ANN401 - any JSON value
    """Returns a copy of a value without the part at a path, or the value itself if the path does not exist."""
    if isinstance(value, dict) and loc[0] in value:
        if len(loc) > 1:
            return {**value, loc[0]: _without(value[loc[0]], loc[1:])}
        return {key: inner for key, inner in value.items() if key != loc[0]}
    if isinstance(value, list) and len(loc) > 1 and isinstance(loc[0], int) and loc[0] < len(value):
        return [_without(inner, loc[1:]) if index == loc[0] else inner for index, inner in enumerate(value)]
    return value


def _sample(written: WrittenRequest, request: JSON, owner: str) -> JSON:
    """Returns the request as it would be sent. If the spec has slots, it is the request of an example slot."""
    if written.policy.schedule is not None:
        request = template.render_slot(request, SAMPLE_SLOT, written.policy.timeZone)
    return written.kind.sample(request, SAMPLE_TOKEN, owner)


def _sent_problems(written: WrittenRequest, request: JSON, sent: JSON) -> list[Problem]:
    """Returns the problems of a request in AWS's form, as it would be sent with our token and tags."""
    view, kind = written.view, written.kind
    problems = list(view.remarks(user_tag_problems(request), REQUEST))
    try:
        kind.model.model_validate(sent)
    except ValidationError as error:
        return [*problems, *view.refused(error, kind.model, sent, REQUEST, form=kind.from_spec)[0]]
    return [*problems, *view.remarks(kind.check(sent), REQUEST)]


def _warnings(written: WrittenRequest, request: JSON, sent: JSON) -> list[Problem]:
    """Returns warnings about a valid request: uses that AWS advises against, and likely secrets in the request as
    written in the spec."""
    warnings = list(written.view.remarks(written.kind.warn(sent), REQUEST, "warning"))
    message = (
        "looks like a secret, readable by everyone who can read this file or the AWS console. Keep it in AWS Secrets "
        "Manager and let the job read it from there"
    )
    problem = partial(written.view.problem, message=message, rule="secret", severity="warning")
    return [*warnings, *(problem((*REQUEST, *loc)) for loc in secret_places(request))]
