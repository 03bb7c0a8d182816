"""From the request that a spec writes to the request that each of its targets asks AWS for, checked as it is sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import ValidationError

from reconciler.core.identity import TOKEN_HEX_DIGITS, TOKEN_PREFIX
from reconciler.errors import Problem
from reconciler.model.base import JSON, Loc, Remark
from reconciler.model.kind import RESERVED_FIELD, TAGS, Kind, RequestProblems
from reconciler.model.spec import Policy
from reconciler.model.tags import user_tag_problems
from reconciler.model.template import OPENING, PlaceholderProblem, mapped, render_slot
from reconciler.redact.request import secret_places
from reconciler.specs.placeholders import Scope, TooLarge, keys, render, strings
from reconciler.specs.problems import View
from reconciler.specs.yaml_reader import MOST_CHARACTERS

REQUEST: Loc = ("spec", "request")
SAMPLE_TOKEN = TOKEN_PREFIX + "0" * TOKEN_HEX_DIGITS
STAND_IN = "x"  # for a string whose placeholder is wrong
SAMPLE_SLOT = "2026-11-22T02:00:00Z"

Found = list[tuple[str, Problem]]
"""Problems by the target that has them."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as a document writes it, and what is needed to say what it stands for."""

    view: View
    kind: Kind
    name: str
    policy: Policy
    request: JSON


def written_problems(view: View, request: JSON) -> Iterator[Problem]:
    """What is wrong with a request whatever the target."""
    if RESERVED_FIELD in request:
        message = "is the reconciler's: it makes one for each submission. Remove it; spec.revision runs a request again"
        yield view.problem((*REQUEST, RESERVED_FIELD), message, "client-token", on_key=True)
    if OPENING in view.source.text:
        for loc in keys(request):
            yield view.problem(
                (*REQUEST, *loc), "placeholders are evaluated in values, not in keys", "placeholder", on_key=True
            )


@dataclass(frozen=True, slots=True)
class Rendered:
    """The request of one target. `unknown` are the strings in it whose placeholders are wrong: something stands in
    for them, so that everything else can be checked all the same."""

    request: JSON
    unknown: Sequence[Loc] = ()


def rendered(asked: Asked, scopes: Mapping[str, Scope]) -> tuple[dict[str, Rendered], Found]:
    """The request of each target, and the placeholders that are wrong in it.

    Where nothing is to be filled in, all targets share one object.
    """
    templates = strings(asked.request) if OPENING in asked.view.source.text else []
    if not templates:
        return dict.fromkeys(scopes, Rendered(asked.request)), []
    requests: dict[str, Rendered] = {}
    found: Found = []
    for target, scope in scopes.items():
        wrong = dict(_wrong_placeholders(templates, scope))
        found += [
            (target, asked.view.in_text((*REQUEST, *loc), error.offset, error.message, "placeholder"))
            for loc, error in wrong.items()
        ]
        if any(isinstance(error, TooLarge) for error in wrong.values()):
            continue
        unknown = frozenset(dict(templates)[loc] for loc in wrong)
        filled = mapped(asked.request, partial(_filled, scope=scope, unknown=unknown))
        requests[target] = Rendered(filled, tuple(wrong))
    return requests, found


def _filled(text: str, scope: Scope, unknown: frozenset[str]) -> str:
    return STAND_IN if text in unknown else render(text, scope)


def _wrong_placeholders(templates: Sequence[tuple[Loc, str]], scope: Scope) -> Iterator[tuple[Loc, PlaceholderProblem]]:
    room = MOST_CHARACTERS
    for loc, text in templates:
        try:
            room -= len(render(text, scope, room))
        except PlaceholderProblem as error:
            yield loc, error
            if isinstance(error, TooLarge):
                return


@dataclass(frozen=True, slots=True)
class Checked:
    """A rendered request in AWS's own form with its name filled in, `None` where something is wrong with it."""

    form: JSON | None
    problems: Sequence[Problem] = ()
    warnings: Sequence[Problem] = ()


def check_request(asked: Asked, rendered_request: Rendered, owner: str, *, warn: bool) -> Checked:
    """Everything about a rendered request of a target, checked as it would be sent with `owner` in its tag. Warnings
    take as long as all the rest: they are looked for only where `warn` says that somebody reads them."""
    request, unknown = rendered_request.request, rendered_request.unknown
    try:
        form = asked.kind.from_spec(request)
    except RequestProblems as error:
        said = list(asked.view.remarks(error.remarks, REQUEST))
        return Checked(None, [*said, *_other_problems(asked, rendered_request, owner, error.remarks)])
    if asked.kind.name_field not in form:
        form = {**form, asked.kind.name_field: asked.name}
    sent = _sample(asked, form, owner)
    problems = _sent_problems(asked, form, sent)
    if unknown:
        places = {asked.view.place((*REQUEST, *loc)) for loc in unknown}
        return Checked(None, [problem for problem in problems if _place(problem) not in places])
    if problems:
        return Checked(None, problems)
    return Checked(form, (), _sent_warnings(asked, request, sent) if warn else ())


def _other_problems(
    asked: Asked, rendered_request: Rendered, owner: str, remarks: Sequence[Remark]
) -> Sequence[Problem]:
    """What else is wrong with a request whose form cannot be read: the faulty part left out, a level more each time."""
    for levels in range(max(len(remark.loc) for remark in remarks)):
        request = rendered_request.request
        for remark in remarks:
            request = _without(request, remark.loc[: max(1, len(remark.loc) - levels)])
        try:
            asked.kind.from_spec(request)
        except RequestProblems:
            continue
        return check_request(asked, Rendered(request, rendered_request.unknown), owner, warn=False).problems
    return ()


def _without(value: Any, loc: Loc) -> Any:  # noqa: ANN401 - any JSON value
    """A copy of a value without what is at a path; the value itself where that is not there."""
    if isinstance(value, dict) and loc[0] in value:
        if len(loc) > 1:
            return {**value, loc[0]: _without(value[loc[0]], loc[1:])}
        return {key: inner for key, inner in value.items() if key != loc[0]}
    if isinstance(value, list) and len(loc) > 1 and isinstance(loc[0], int) and loc[0] < len(value):
        return [_without(inner, loc[1:]) if index == loc[0] else inner for index, inner in enumerate(value)]
    return value


def _place(problem: Problem) -> str:
    return f"{problem.path}:{problem.line}:{problem.col}"


def _sent_problems(asked: Asked, request: JSON, sent: JSON) -> list[Problem]:
    """What is wrong with a request in AWS's form, as it would be sent with our token and tags."""
    view = asked.view
    problems = list(view.remarks(user_tag_problems(request), REQUEST))
    try:
        asked.kind.model.model_validate(sent)
    except ValidationError as error:
        return [*problems, *view.refused(error, asked.kind.model, REQUEST)]
    return [*problems, *view.remarks(asked.kind.check(sent), REQUEST)]


def _sent_warnings(asked: Asked, request: JSON, sent: JSON) -> list[Problem]:
    """What is unusual in a valid request as it is sent, and what looks like a secret in it as the spec writes it."""
    warnings = list(asked.view.remarks(asked.kind.warn(sent), REQUEST, "warning"))
    for loc in secret_places(request):
        message = (
            "looks like a secret: whoever reads the spec or AWS's console sees it. Keep it in AWS Secrets Manager and "
            "let the job read it there"
        )
        warnings.append(asked.view.problem((*REQUEST, *loc), message, "secret", "warning"))
    return warnings


def _sample(asked: Asked, request: JSON, owner: str) -> JSON:
    """The request as it would be sent, for the first slot that comes to mind where the spec has slots."""
    if asked.policy.schedule is not None:
        request = render_slot(request, SAMPLE_SLOT, asked.policy.timeZone)
    tags = request.get(TAGS, {})
    if isinstance(tags, dict):
        return asked.kind.as_sent(request, SAMPLE_TOKEN, owner)
    # Tags that are no mapping cannot take ours; the model says so.
    return {**asked.kind.as_sent({**request, TAGS: {}}, SAMPLE_TOKEN, owner), TAGS: tags}
