"""`verify`: checks with read-only calls to AWS that the resources in the specs of a target exist and fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, cast

from reconciler.app.options import selected_names
from reconciler.core.ports import Answer, Verdict, Verifier
from reconciler.errors import Problem, ReconcilerError
from reconciler.model.kind import MODULES
from reconciler.specs.parse import documents
from reconciler.specs.problems import REQUEST, View
from reconciler.specs.project import load_target
from reconciler.values import dataclass

if TYPE_CHECKING:
    from reconciler.app.session import Session
    from reconciler.core.desired import DesiredSpec
    from reconciler.errors import Severity

RULES: Mapping[Answer, Severity | None] = {Answer.ERROR: "error", Answer.WARNING: "warning"}


@dataclass(frozen=True, slots=True)
class Verified:
    """The result of one check of a spec, with the location of the field in its file."""

    verdict: Verdict
    location: Problem

    @property
    def is_error(self) -> bool:
        """Whether a resource is missing or does not fit."""
        return self.verdict.answer is Answer.ERROR

    @property
    def problem(self) -> Problem | None:
        """The result as a problem in the file, or `None` if the check found no problem in the file."""
        return self.location if RULES.get(self.verdict.answer) else None


def verify(session: Session) -> list[Verified]:
    """Checks the selected specs against AWS. Raises `SpecErrors` for invalid specs, and `GuardError` and `ServiceError`
    if the account cannot be confirmed."""
    specs = load_target(session.project_file, session.place.target)
    chosen = selected_names(session.options, specs, (), {})
    selected = {name: spec for name, spec in specs.items() if chosen is None or name in chosen}
    views = _views(session, selected)
    return [
        _located(verdict, views[verdict.name]) for kind in MODULES for verdict in _verdicts(session, kind, selected)
    ]


def _verdicts(session: Session, kind: str, specs: Mapping[str, DesiredSpec]) -> Iterator[Verdict]:
    requests = {name: spec.request for name, spec in specs.items() if spec.kind == kind}
    if not requests:
        return
    service = session.aws.service(kind)
    if isinstance(service, Verifier):
        yield from service.verify(requests)
    else:
        yield from (Verdict(name, (), Answer.NOT_ASKED, f"{kind} cannot be verified") for name in requests)


def _views(session: Session, specs: Mapping[str, DesiredSpec]) -> dict[str, View]:
    """Returns the document of each spec, which has the locations of its fields."""
    views = {}
    for path in sorted({spec.source.path for spec in specs.values() if spec.source is not None}):
        source = session.project_file.files.read(path)
        for document in documents(source):
            name = cast("dict[str, dict[str, str]]", document.value)["metadata"]["name"]
            views[name] = View(source, document)
    if missing := specs.keys() - views.keys():
        raise ReconcilerError(f"the files of {', '.join(sorted(missing))} changed while they were read: run again")
    return views


def _located(verdict: Verdict, view: View) -> Verified:
    severity = RULES.get(verdict.answer) or "warning"
    return Verified(
        verdict, view.problem((*REQUEST, *verdict.loc), verdict.message, f"verify-{verdict.answer}", severity)
    )
