"""From one document to one spec: its envelope, its policy, and what each target asks for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from reconciler.core.desired import DesiredSpec, Source
from reconciler.core.identity import Place, digest
from reconciler.errors import Problem
from reconciler.model.base import JSON, Loc, Unquoted
from reconciler.model.kind import MODULES, RESERVED_FIELD, Kind, kind_named
from reconciler.model.project import Project
from reconciler.model.spec import API_VERSION, NAME_PATTERN, Policy, SpecDocument
from reconciler.specs.messages import near
from reconciler.specs.placeholders import Scope
from reconciler.specs.problems import View, merged
from reconciler.specs.requests import (
    REQUEST,
    Asked,
    Checked,
    Found,
    Rendered,
    check_request,
    rendered,
    written_problems,
)

NAME: Loc = ("metadata", "name")
UNNAMED = "unnamed"  # stands in for a name that cannot be used, so that the rest is checked all the same
FAMILY = API_VERSION.split("/", maxsplit=1)[0] + "/"


_NAME = re.compile(NAME_PATTERN)


@dataclass(frozen=True, slots=True)
class Mention:
    """Another spec that one names: its name, the path that names it, and a problem without words at that place."""

    name: str
    loc: Loc
    place: Problem
    needs_kind: str | None = None


@dataclass(slots=True)
class ReadSpec:
    """What one document turned out to be. `name` is `None` where it has none that can be used; `targets` are those it
    runs in, `None` where that is not known; `desired` has an entry for each asked target where all is right."""

    place: Problem
    name: str | None = None
    kind: str | None = None
    targets: tuple[str, ...] | None = None
    mentions: tuple[Mention, ...] = ()
    desired: dict[str, DesiredSpec] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)


class SpecChecker:
    """Checks documents for some targets of a project."""

    def __init__(self, project: Project, targets: Sequence[str], *, warn: bool) -> None:
        self._project, self._asked, self._warn = project, tuple(targets), warn
        self._places = {name: _place(project, name) for name in self._asked}
        self._values = {name: _values(project, name) for name in self._asked}
        self._elsewhere = {
            f"var.{variable}": name for name in project.spec.targets for variable in project.variables(name)
        }

    def check(self, view: View) -> ReadSpec:
        """Everything about one document."""
        read = ReadSpec(view.problem((), "", "place"))
        read.problems += view.flaws()
        value = view.document.value
        if not _is_ours(value):
            read.problems.append(_not_ours(view))
            return read
        if value.get("kind") == "Project":
            message = "a project is only in reconciler.yaml, at the project's root"
            read.problems.append(view.problem(("kind",), message, "unknown-kind"))
            return read
        document = _validated(view, value, read)
        read.name = _text(value, NAME)
        if read.name is not None:
            read.place = view.problem(NAME, "", "place")
        self._check_kind(view, value, document, read)
        return read

    def _check_kind(self, view: View, value: JSON, document: SpecDocument | None, read: ReadSpec) -> None:
        kind = _kind(view, value, read)
        spec = value.get("spec")
        request = spec.get("request") if isinstance(spec, dict) else None
        if kind is not None and isinstance(request, dict):
            policy = document.policy() if document else _presumed(value["spec"])
            name = read.name if read.name is not None and _NAME.fullmatch(read.name) else UNNAMED
            self._check_request(Asked(view, kind, name, policy, request), document, read)

    def _check_request(self, asked: Asked, document: SpecDocument | None, read: ReadSpec) -> None:
        view, kind, request = asked.view, asked.kind, asked.request
        read.kind = kind.name
        read.problems += written_problems(view, request)
        if RESERVED_FIELD in request:
            request = {key: value for key, value in request.items() if key != RESERVED_FIELD}
            asked = Asked(view, kind, asked.name, asked.policy, request)
        targets = self._targets(view, asked.policy, read)
        if document is not None:
            read.targets = targets
            read.mentions = tuple(_mentions(asked))
            read.warnings += policy_warnings(view, asked.policy)
            if kind.is_streaming(request):
                read.warnings += streaming_warnings(view, asked.policy)
        targets = tuple(name for name in targets if name in self._places)
        labels = document.metadata.labels if document else {}
        self._render(asked, labels, targets, read)

    def _targets(self, view: View, policy: Policy, read: ReadSpec) -> tuple[str, ...]:
        """The targets that a spec runs in; those that the project does not have are problems."""
        known = tuple(self._project.spec.targets)
        if policy.targets is None:
            return known
        for index, name in enumerate(policy.targets):
            if name not in known:
                hint = near(name, known) or f"; there are {', '.join(known)}"
                message = f"no target is called {name}{hint}"
                read.problems.append(view.problem(("spec", "targets", index), message, "unknown-target"))
        return tuple(name for name in known if name in policy.targets)

    def _render(self, asked: Asked, labels: Mapping[str, str], targets: Sequence[str], read: ReadSpec) -> None:
        scopes = {name: self._scope(asked, labels, name) for name in targets}
        requests, found = rendered(asked, scopes)
        warned: Found = []
        for request, sharing in _shared(requests):
            for names, checked in self._checked(asked, request, sharing):
                found += [(name, problem) for name in names for problem in checked.problems]
                warned += [(name, warning) for name in names for warning in checked.warnings]
                if checked.form is not None and not read.problems:
                    read.desired |= dict.fromkeys(names, _desired(asked, checked.form, labels))
        read.problems += merged(found, targets)
        read.warnings += merged(warned, targets)

    def _checked(
        self, asked: Asked, request: Rendered, targets: Sequence[str]
    ) -> Iterator[tuple[Sequence[str], Checked]]:
        """What is said about a request that some targets share. Only the owner, which AWS's limit on the size counts,
        differs between them: what is right with the longest one is right for all."""
        owners = {name: self._places[name].owner(asked.name) for name in targets}
        checked = check_request(asked, request, max(owners.values(), key=len), warn=self._warn)
        if checked.problems and len(targets) > 1:
            for name, owner in owners.items():
                yield (name,), check_request(asked, request, owner, warn=self._warn)
        else:
            yield targets, checked

    def _scope(self, asked: Asked, labels: Mapping[str, str], target: str) -> Scope:
        values = {
            **self._values[target],
            "spec.name": asked.name,
            **{f"spec.label.{key}": value for key, value in labels.items()},
        }
        return Scope(target, values, asked.policy.schedule is not None, self._elsewhere)


def _desired(asked: Asked, request: JSON, labels: Mapping[str, str]) -> DesiredSpec:
    kind, view = asked.kind, asked.view
    streaming = kind.is_streaming(request)
    line, _ = view.source.position(view.document.offset)
    return DesiredSpec(
        name=asked.name,
        kind=kind.name,
        digest=digest(kind.name, asked.policy.revision, request),
        request=request,
        policy=asked.policy.effective(streaming=streaming),
        source=Source(view.source.path, line),
        labels=labels,
        locate={name: request[name] for name in kind.locate_fields if name in request},
        streaming=streaming,
    )


def _shared(requests: Mapping[str, Rendered]) -> list[tuple[Rendered, list[str]]]:
    """The different requests, each with the targets that share it."""
    groups: dict[int, tuple[Rendered, list[str]]] = {}
    for target, request in requests.items():
        groups.setdefault(id(request), (request, []))[1].append(target)
    return list(groups.values())


def _is_ours(value: object) -> bool:
    return isinstance(value, dict) and value.get("apiVersion") == API_VERSION


def _not_ours(view: View) -> Problem:
    """Why a document is not a spec that this version reads."""
    value = view.document.value
    if isinstance(value, Unquoted) and not value.source:
        return view.problem((), "an empty document: write a spec, or remove its ---", "empty")
    version = value.get("apiVersion") if isinstance(value, dict) else None
    if isinstance(version, str) and version.startswith(FAMILY):
        return view.problem(("apiVersion",), f"this version reads {API_VERSION}, not {version}", "api-version")
    message = (
        f"not a spec: a document begins with apiVersion: {API_VERSION}. Move other files out of the project, or name "
        "the spec files in spec.specs of reconciler.yaml"
    )
    return view.problem(("apiVersion",) if version is not None else (), message, "api-version")


def _validated(view: View, value: JSON, read: ReadSpec) -> SpecDocument | None:
    try:
        return SpecDocument.model_validate(value)
    except ValidationError as error:
        read.problems += view.refused(error, SpecDocument)
        return None


def _kind(view: View, value: JSON, read: ReadSpec) -> Kind | None:
    name = value.get("kind")
    if not isinstance(name, str):
        return None  # missing, or no text: already said
    if name in MODULES:
        return kind_named(name)
    message = f"no kind is called {name}{near(name, tuple(MODULES)) or '; there are ' + ', '.join(MODULES)}"
    read.problems.append(view.problem(("kind",), message, "unknown-kind"))
    return None


def _presumed(spec: JSON) -> Policy:
    """The parts of a faulty policy that decide what a request may hold, so that its faults are reported as well."""
    targets = spec.get("targets")
    names = tuple(name for name in targets if isinstance(name, str)) if isinstance(targets, list) else None
    return Policy.model_construct(schedule="* * * * *" if "schedule" in spec else None, targets=names)


def _text(value: Any, path: Loc) -> str | None:  # noqa: ANN401 - whatever the file holds
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, str) else None


def _mentions(asked: Asked) -> Iterator[Mention]:
    """The other specs that a spec names, in its policy and in its request."""
    for index, dependency in enumerate(asked.policy.dependsOn):
        yield _mention(asked.view, dependency.name, ("spec", "dependsOn", index, "name"))
    references = {reference.name: reference for reference in reversed(asked.kind.references(asked.request))}
    for reference in reversed(references.values()):
        yield _mention(asked.view, reference.name, (*REQUEST, *reference.loc), asked.kind.name)


def _mention(view: View, name: str, loc: Loc, needs_kind: str | None = None) -> Mention:
    return Mention(name, loc, view.problem(loc, "", "place"), needs_kind)


def _place(project: Project, name: str) -> Place:
    target = project.target(name)
    return Place(project.name, name, target.account or "", target.region or "")


def _values(project: Project, name: str) -> dict[str, str]:
    """What placeholders may name in a target, whatever the spec."""
    place = _place(project, name)
    return {
        "project.name": project.name,
        "target.name": name,
        "target.account": place.account,
        "target.region": place.region,
        **{f"var.{key}": value for key, value in project.variables(name).items()},
    }


NEEDS_SCHEDULE = ("timeZone", "startingDeadlineSeconds", "catchup")


def policy_warnings(view: View, policy: Policy) -> Iterator[Problem]:
    """Fields that say nothing where they stand."""
    if policy.schedule is None:
        for name in NEEDS_SCHEDULE:
            if name in policy.given:
                message = "has no effect without a schedule"
                yield view.problem(("spec", name), message, "no-schedule", "warning", on_key=True)


def streaming_warnings(view: View, policy: Policy) -> Iterator[Problem]:
    """What keeps a streaming job from ever being replaced."""
    if "concurrencyPolicy" in policy.given and policy.concurrencyPolicy == "Forbid":
        message = "Forbid never deploys a change: a streaming job runs until it is stopped. Use Replace, its default"
        yield view.problem(("spec", "concurrencyPolicy"), message, "streaming-forbid", "warning")
