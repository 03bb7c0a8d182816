"""Reads one document as a spec: its envelope, its policy, and the request of each target."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import field

from pydantic import ValidationError

from reconciler.core.cron import step_warnings
from reconciler.core.declarations import PROJECT_KIND
from reconciler.core.desired import DesiredSpec, RenamedFrom
from reconciler.core.identity import Content, Source, both_digests, digest
from reconciler.errors import Problem
from reconciler.model.arns import place_remarks
from reconciler.model.base import JSON, Loc, part, texts
from reconciler.model.kind import MODULES, RESERVED_FIELD, Kind, kind_named
from reconciler.model.project import Project
from reconciler.model.spec import API_VERSION, NAME_PATTERN, Policy, SpecDocument
from reconciler.model.template import ESCAPED, OPENING
from reconciler.specs.other_files import not_a_spec
from reconciler.specs.problems import REQUEST, View, merged
from reconciler.specs.requests import (
    ByTarget,
    CheckedRequest,
    RenderedRequest,
    Scope,
    WrittenRequest,
    check_request,
    place_of,
    render_all,
    shared_values,
    written_problems,
)
from reconciler.specs.wrong_values import suggestion
from reconciler.values import dataclass, regex

NAME: Loc = ("metadata", "name")
RENAMED_FROM: Loc = ("metadata", "renamedFrom")
UNNAMED = "unnamed"  # used instead of an invalid name, so that the rest is still checked
UNSURE: Collection[Loc] = ((), NAME[:1], NAME)
"""The paths at which a syntactic flaw, such as a duplicate key, makes the intended name of a spec uncertain."""

NEEDS_SCHEDULE = ("timeZone", "startingDeadlineSeconds", "catchup")

_NAME = regex(NAME_PATTERN)


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference to another spec: the other spec's name, the path of the reference, and a problem without a message at
    that path.

    A request can refer only to specs of its own kind, with the condition from `Kind.references`.
    """

    name: str
    loc: Loc
    location: Problem
    needs_kind: str | None = None
    condition: str = ""


@dataclass(slots=True)
class ReadSpec:
    """One document read as a spec.

    `location` is a problem without a message at the spec, and `line` is its first line. `name` is `None` if the
    document has no valid name. `former` is its former name, if given. `targets` are the targets that it runs in, or
    `None` if they cannot be read. `desired` contains each requested target for which the spec is valid. `claimed`,
    `formerly` and `labels` are the valid name, the valid former name and the labels in the document, even if it is not
    a spec. `is_named` is true if `claimed` is certainly the intended name.
    """

    location: Problem
    line: int = 1
    name: str | None = None
    claimed: str | None = None
    formerly: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    is_named: bool = False
    kind: str | None = None
    targets: tuple[str, ...] | None = None
    references: tuple[Reference, ...] = ()
    former: Reference | None = None
    desired: dict[str, DesiredSpec] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)


class SpecReader:
    """Reads documents for some targets of a project. If `warn` is true, it also collects warnings about their
    requests.
    """

    def __init__(self, project: Project, targets: Sequence[str], *, warn: bool) -> None:
        self._targets, self._warn = tuple(project.spec.targets), warn
        self._places = {name: place_of(project, name) for name in targets}
        self._values = {name: shared_values(project, place) for name, place in self._places.items()}
        self._elsewhere = {
            f"var.{variable}": name for name in project.spec.targets for variable in project.variables(name)
        }
        self._with_account = {name for name, target in project.spec.targets.items() if target.account is not None}

    def read(self, view: View) -> ReadSpec:
        """Reads one document as a spec and collects all its problems."""
        value = view.document.value
        has_name = isinstance(part(value, "metadata").get("name"), str)
        is_spec = has_name and value.get("apiVersion") == API_VERSION and value.get("kind") != PROJECT_KIND
        line, _ = view.source.position(view.document.offset)
        read = ReadSpec(view.location(NAME if is_spec else ()), line)
        read.problems += view.flaws()
        read.claimed, read.formerly = _stated(value, "name"), _stated(value, "renamedFrom")
        read.labels = {key: text for key, text in part(value, "metadata", "labels").items() if isinstance(text, str)}
        read.is_named = read.claimed is not None and not any(flaw.loc in UNSURE for flaw in view.document.flaws)
        if not isinstance(value, dict) or value.get("apiVersion") != API_VERSION:
            read.problems.append(not_a_spec(view))
        elif value.get("kind") == PROJECT_KIND:
            message = "a Project is allowed only in reconciler.yaml, in the project folder"
            read.problems.append(view.problem(("kind",), message, "unknown-kind"))
        else:
            self._read_spec(view, value, read)
        return read

    def _read_spec(self, view: View, value: JSON, read: ReadSpec) -> None:
        document, value = _validated(view, value, read)
        name = part(value, "metadata").get("name")
        if isinstance(name, str):
            read.name = name
            if document is None:  # the name may be in a field whose name is misspelt
                read.location = view.location(NAME)
        kind = _kind(view, value.get("kind"), read)
        spec = part(value, "spec")
        request = spec.get("request")
        if kind is not None and isinstance(request, dict):
            policy = document.policy() if document else _presumed_policy(spec)
            usable = name if isinstance(name, str) and _NAME.fullmatch(name) else UNNAMED
            self._read_request(WrittenRequest(view, kind, usable, policy, request), document, read)

    def _read_request(self, written: WrittenRequest, document: SpecDocument | None, read: ReadSpec) -> None:
        view, kind = written.view, written.kind
        read.kind = kind.name
        read.problems += written_problems(view, written.request)
        request = written.request
        if RESERVED_FIELD in request:
            # Reported by `written_problems`. The rest is checked as if it were absent.
            request = {key: value for key, value in request.items() if key != RESERVED_FIELD}
            written = WrittenRequest(view, kind, written.name, written.policy, request)
        targets = self._targets_of(view, written.policy, read)
        if document is not None:
            read.targets = targets
            if document.metadata.renamedFrom is not None:
                read.former = Reference(document.metadata.renamedFrom, RENAMED_FROM, view.location(RENAMED_FROM))
            read.references = tuple(_references(written))
            read.warnings += policy_warnings(view, written.policy, kind)
            read.warnings += placeholder_warnings(
                view, view.document.value, (("metadata", "labels"), ("spec", "suspend"))
            )
            if kind.is_streaming(request):
                read.warnings += streaming_warnings(view, written.policy)
        labels = document.metadata.labels if document else read.labels
        self._render(written, labels, [name for name in targets if name in self._places], read)

    def _targets_of(self, view: View, policy: Policy, read: ReadSpec) -> tuple[str, ...]:
        """Returns the targets that a spec runs in, and reports each target that the project does not have."""
        if policy.targets is None:
            return self._targets
        for index, name in enumerate(policy.targets):
            if name not in self._targets:
                message = f"there is no target {name}{suggestion(name, self._targets, 'the targets are')}"
                read.problems.append(view.problem(("spec", "targets", index), message, "unknown-target"))
        return tuple(name for name in self._targets if name in policy.targets)

    def _render(
        self, written: WrittenRequest, labels: Mapping[str, str], targets: Sequence[str], read: ReadSpec
    ) -> None:
        own = {"spec.name": written.name, **{f"spec.label.{key}": value for key, value in labels.items()}}
        has_slots = written.policy.schedule is not None

        def scope(target: str) -> Scope:
            return Scope(target, {**self._values[target], **own}, has_slots, self._elsewhere)

        requests, problems = render_all(written, targets, scope)
        warnings: ByTarget = []
        for request, sharing in _shared(requests):
            for names, checked in self._checked(written, request, sharing):
                problems += [(name, problem) for name in names for problem in checked.problems]
                warnings += [(name, warning) for name in names for warning in checked.warnings]
                warnings += self._misplaced(written, checked.request, names)
                if checked.request is not None and not read.problems:
                    read.desired |= dict.fromkeys(names, _desired(written, checked, checked.request, labels, read))
        read.problems += merged(problems, targets)
        read.warnings += merged(warnings, targets)

    def _misplaced(self, written: WrittenRequest, request: JSON | None, targets: Sequence[str]) -> ByTarget:
        """Returns warnings about ARNs whose account or region differs from the target's. Checks only targets whose
        account is in the project file.
        """
        if request is None or not self._warn:
            return []
        warnings: ByTarget = []
        for name in targets:
            if name in self._with_account:
                place = self._places[name]
                remarks = place_remarks(request, written.kind.placed, place.account, place.region)
                warnings += [(name, warning) for warning in written.view.remarks(remarks, REQUEST, "warning")]
        return warnings

    def _checked(
        self, written: WrittenRequest, request: RenderedRequest, targets: Sequence[str]
    ) -> Iterator[tuple[Sequence[str], CheckedRequest]]:
        """Checks a request that several targets share."""
        # Only the owner tag differs between the targets, and only AWS's size limit depends on it, so a request that is
        # valid with the longest owner is valid for all of them.
        owners = {name: self._places[name].owner(written.name) for name in targets}
        checked = check_request(written, request, max(owners.values(), key=len), warn=self._warn)
        if checked.problems and len(targets) > 1:
            for name, owner in owners.items():
                yield (name,), check_request(written, request, owner, warn=self._warn)
        else:
            yield targets, checked


def _stated(value: object, key: str) -> str | None:
    """Returns the name at `key` in the metadata of a document, or `None` if it is not valid."""
    name = part(value, "metadata").get(key)
    return name if isinstance(name, str) and _NAME.fullmatch(name) else None


def _renamed_from(read: ReadSpec) -> RenamedFrom | None:
    former = read.former
    return RenamedFrom(former.name, position(former.location)) if former is not None else None


def _desired(
    written: WrittenRequest, checked: CheckedRequest, request: JSON, labels: Mapping[str, str], read: ReadSpec
) -> DesiredSpec:
    kind = written.kind
    streaming = kind.is_streaming(request)
    policy = written.policy.effective(streaming=streaming)
    own_digest, whole_digest = both_digests(kind.name, written.policy.revision, request)
    # The digest of a shorthand is that of the form that version 0.1.0 sent, so that an upgrade starts no run.
    if checked.identity is not None and checked.identity is not request:
        own_digest = digest(kind.name, written.policy.revision, checked.identity)
    spec = DesiredSpec(
        name=written.name,
        kind=kind.name,
        content=Content(
            digest=own_digest,
            revision=written.policy.revision,
            request=request,
            location=kind.location(request),
            deletion_policy=policy.deletionPolicy,
            streaming=streaming,
            source=Source(written.view.source.path, read.line),
        ),
        policy=policy,
        labels=labels,
        renamed_from=_renamed_from(read),
        doubts=tuple(f"{position(each)}: {each.message}" for each in checked.doubts),
    )
    # Every plan needs this cached property. It is filled here, because `both_digests` computes both digests from one
    # canonical form. `vars` is how `cached_property` itself writes to a frozen object.
    vars(spec)["request_digest"] = whole_digest
    return spec


def position(location: Problem) -> str:
    """Formats the location of a spec or of a part of a spec: ``orders.yaml:4:9``."""
    return f"{location.path}:{location.line}:{location.col}"


def _shared(requests: Mapping[str, RenderedRequest]) -> list[tuple[RenderedRequest, list[str]]]:
    """Returns the distinct requests, each with the targets that share it."""
    groups: dict[int, tuple[RenderedRequest, list[str]]] = {}
    for target, request in requests.items():
        groups.setdefault(id(request), (request, []))[1].append(target)
    return list(groups.values())


def _validated(view: View, value: JSON, read: ReadSpec) -> tuple[SpecDocument | None, JSON]:
    """Returns the document as its model (`None` if the model refuses it), and the document's value with corrected field
    names."""
    try:
        return SpecDocument.model_validate(value), value
    except ValidationError as error:
        problems, meant = view.refused(error, SpecDocument, value)
        read.problems += problems
        return None, meant


def _kind(view: View, name: object, read: ReadSpec) -> Kind | None:
    if not isinstance(name, str):
        return None  # the model has already reported it
    if name in MODULES:
        return kind_named(name)
    message = f"unknown kind {name}{suggestion(name, MODULES, 'expected one of')}"
    read.problems.append(view.problem(("kind",), message, "unknown-kind"))
    return None


def _presumed_policy(spec: JSON) -> Policy:
    """Returns the parts of an invalid policy that determine what a request may contain, so that the request is still
    checked."""
    targets = spec.get("targets")
    names = tuple(name for name in targets if isinstance(name, str)) if isinstance(targets, list) else None
    return Policy.model_construct(schedule="* * * * *" if "schedule" in spec else None, targets=names)


def _references(written: WrittenRequest) -> Iterator[Reference]:
    """Yields all references to other specs in a spec's policy, and the first reference to each other spec in its
    request."""
    for index, dependency in enumerate(written.policy.dependsOn):
        loc: Loc = ("spec", "dependsOn", index, "name")
        yield Reference(dependency.name, loc, written.view.location(loc))
    names: set[str] = set()
    for name, path, condition in written.kind.references(written.request):
        if name not in names:
            names.add(name)
            loc = (*REQUEST, *path)
            yield Reference(name, loc, written.view.location(loc), written.kind.name, condition)


def policy_warnings(view: View, policy: Policy, kind: Kind) -> Iterator[Problem]:
    """Yields warnings about fields without effect, and schedules that probably run differently than intended."""
    for name in NEEDS_SCHEDULE if policy.schedule is None else ():
        if name in policy.given:
            message = "has no effect without a schedule"
            yield view.problem(("spec", name), message, "no-schedule", "warning", on_key=True)
    if "shutdownGracePeriodSeconds" in policy.given and not kind.graceful:
        message = f"has no effect for a {kind.name}: its service stops runs at once"
        yield view.problem(("spec", "shutdownGracePeriodSeconds"), message, "no-grace", "warning", on_key=True)
    for message in step_warnings(policy.schedule) if policy.schedule is not None else ():
        yield view.problem(("spec", "schedule"), message, "schedule-step", "warning")


def placeholder_warnings(view: View, value: JSON, paths: Sequence[tuple[str, ...]]) -> Iterator[Problem]:
    """Yields warnings about placeholders in texts that are not rendered."""
    for path in paths if OPENING in view.source.text else ():
        inner: object = value
        for key in path:
            inner = inner.get(key) if isinstance(inner, dict) else None
        for loc, text in texts(inner, path):
            if OPENING in text.replace(ESCAPED, ""):
                message = "placeholders are for text of the request: this one is not replaced"
                yield view.problem(loc, message, "placeholder", "warning")


def streaming_warnings(view: View, policy: Policy) -> Iterator[Problem]:
    """Yields warnings about a policy under which a streaming job is never replaced."""
    if "concurrencyPolicy" in policy.given and policy.concurrencyPolicy == "Forbid":
        message = "Forbid never deploys a change: a streaming job runs until it is stopped. Use Replace, the default"
        yield view.problem(("spec", "concurrencyPolicy"), message, "streaming-forbid", "warning")
