"""`import`: writes specs for runs that exist in AWS, or for the requests in a file of another tool, and records them as
applied, so that nothing runs because of the import."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from os.path import relpath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconciler.app.accept import decide_accept
from reconciler.app.adopt import decide_adopt
from reconciler.app.decisions import record_decision, view_spec
from reconciler.core.ports import RunReport, RunSource
from reconciler.core.state import RunState
from reconciler.errors import Problem, ReconcilerError, SpecErrors, UsageError
from reconciler.model.base import nests_deeper
from reconciler.model.import_descriptions import described
from reconciler.model.import_expressions import escaped
from reconciler.model.import_payloads import Payload, find
from reconciler.model.kind import MODULES, SPEC_TAG, kind_named
from reconciler.model.template import mapped
from reconciler.specs.files import is_wanted
from reconciler.specs.new_files import default_folder, spec_text, unique_name
from reconciler.specs.project import load, read_project, read_specs
from reconciler.specs.spec import SpecReader
from reconciler.values import dataclass

if TYPE_CHECKING:
    from reconciler.app.session import ChosenTarget, Session
    from reconciler.core.ports import FoundRun
    from reconciler.specs.project import ProjectFile

MOST_BYTES = 16 * 1024**2  # of a file to import; a state machine has at most 1 MiB
DEEPEST = 200  # levels
FOLLOWED = {RunState.SUBMITTED, RunState.RUNNING, RunState.SUCCEEDED}
"""The states of runs that are adopted. After any other end, a spec is on hold."""


@dataclass(frozen=True, slots=True)
class ImportedSpec:
    """One imported spec. `path` is relative to the project. `outcome` is ``adopted``, ``accepted``, ``written`` or
    ``failed``; `error` contains the reason for a failure. `problems` are the problems in the file that the user must
    fix."""

    payload: Payload
    name: str
    path: str
    outcome: str = "written"
    error: str | None = None
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()

    @property
    def incomplete(self) -> bool:
        """Whether the file has a field that the user must fill in."""
        return bool(self.problems or self.payload.variables or self.payload.omitted)


def payloads_of_runs(session: Session, run_ids: Sequence[str]) -> list[Payload]:
    """Reads runs from AWS. Raises `ServiceError`, and `ReconcilerError` if AWS does not have one of the runs or if one
    of them belongs to a spec of this project."""
    recorded = session.ledger.refresh()
    places = {kind: [s.content.location for s in recorded.by_token.values() if s.kind == kind] for kind in MODULES}
    wanted = list(dict.fromkeys(run_ids))
    payloads: dict[str, Payload] = {}
    for kind in MODULES:
        service = session.aws.service(kind)
        missing = [each for each in wanted if each not in payloads]
        if missing and isinstance(service, RunSource):
            runs = service.whole(missing, places[kind])
            payloads |= {text: _of_run(kind, run) for text, run in runs.items()}
            _check_owners(session, runs, payloads)
    if absent := [each for each in wanted if each not in payloads]:
        raise ReconcilerError(f"AWS has no run {', '.join(absent)} in {session.place.region}. Nothing was written")
    by_id = {each.origin: each for each in payloads.values()}  # an id and an ARN may identify the same run
    names = _names(session.project_file)
    owned = [
        s for s in recorded.by_token.values() if f"run {s.run_id}" in by_id and not s.reassigned_to and s.name in names
    ]
    if owned:
        runs_of = ", ".join(f"{s.run_id} is the run of {s.name} ({s.key.label})" for s in owned)
        raise ReconcilerError(f"{runs_of} according to the ledger. Nothing was written")
    return list(by_id.values())


def _of_run(kind: str, run: FoundRun) -> Payload:
    reader = described(kind)
    if reader is None:
        raise ReconcilerError(f"runs of {kind} cannot be imported")
    run_id, report = run.facts.run_id, run.facts.report
    if not isinstance(report, RunReport):
        raise ReconcilerError(f"run {run_id}: {report}")
    read = reader.request_of(run.description, run.defaults)
    name = str(read.request.get(kind_named(kind).name_field) or run_id)
    imported = Payload(
        kind,
        # AWS's `${` is text, and must not become a placeholder of the spec.
        mapped(read.request, escaped),
        name,
        f"run {run_id}",
        left_out=read.left_out,
        notes=read.notes,
        run_id=run_id,
    )
    if report.state in FOLLOWED:
        return imported
    note = f"the run is {report.state}, so it is not adopted; the content counts as applied without a run"
    return replace(imported, run_id=None, notes=(*read.notes, note))


def _check_owners(session: Session, runs: Mapping[str, FoundRun], payloads: Mapping[str, Payload]) -> None:
    """Raises `ReconcilerError` for a run that was submitted for another project or target."""
    mine = f"{session.place.project}/{session.place.target}/"
    for text, run in runs.items():
        owner = run.facts.tags.get(SPEC_TAG, mine)
        if not owner.startswith(mine):
            raise ReconcilerError(
                f"{payloads[text].origin} is tagged as a run of {owner}, which is another project or target. "
                "Nothing was written"
            )


def payloads_of_file(file: Path) -> list[Payload]:
    """Reads the requests in a JSON file. Raises `ReconcilerError` if the file cannot be read or contains no request."""
    try:
        with file.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise ReconcilerError(f"{file} has more than {MOST_BYTES // 1024**2} MiB")
        value = json.loads(content)
        if nests_deeper(value, DEEPEST):
            # Reported like the nesting that Python's own parser refuses.
            raise RecursionError
    except OSError as error:
        raise ReconcilerError(f"{file} cannot be read: {error.strerror}") from error
    except json.JSONDecodeError as error:
        raise ReconcilerError(f"{file}:{error.lineno}:{error.colno}: not JSON: {error.msg.lower()}") from error
    except RecursionError:
        raise ReconcilerError(f"{file} is nested deeper than {DEEPEST} levels") from None
    except ValueError as error:  # not UTF-8, or a number with thousands of digits
        raise ReconcilerError(f"{file}: not JSON: {error}") from error
    payloads = list(find(value, ""))
    if not payloads:
        operations = ", ".join(f"{kind_named(kind).service}'s {kind_named(kind).operation}" for kind in MODULES)
        raise ReconcilerError(
            f"{file} has no request of {operations}: expected the JSON of --cli-input-json, a reply that describes "
            "runs, a state machine of Step Functions, a rule of EventBridge, or a schedule of EventBridge Scheduler"
        )
    return [_from_file(each if each.name else replace(each, name=file.stem)) for each in payloads]


def _from_file(payload: Payload) -> Payload:
    """Returns a payload without its run, because a file may be old, or from another account."""
    if payload.run_id is None:
        return payload
    note = f"the run is not adopted, because it is read from a file: reconciler import {payload.run_id} adopts it"
    return replace(payload, run_id=None, notes=(*payload.notes, note))


def write_specs(chosen: ChosenTarget, payloads: Iterable[Payload], folder: Path | None) -> list[ImportedSpec]:
    """Writes one new file for each payload, and checks it as `validate` does. Raises `ReconcilerError` if the folder is
    not part of the project or cannot be written."""
    file, root = chosen.project_file, chosen.root.resolve()
    home = root / default_folder(file.project.spec.specs) if folder is None else (Path.cwd() / folder).resolve()
    if folder is not None and not home.is_relative_to(root):
        inner = Path(relpath(root / folder))
        hint = "" if folder.is_absolute() or ".." in folder.parts else f". Write --out {inner}"
        raise UsageError(f"--out {folder} is not in the project folder {chosen.root}{hint}")
    inside = home.relative_to(root).parts
    if not is_wanted((*inside, "imported.yaml"), file.patterns):
        raise UsageError(
            f"no pattern in spec.specs matches files in {'/'.join(inside) or '.'}. Choose another --out DIR"
        )
    taken = _names(file) | {each.stem for each in home.glob("*.yaml")}
    specs = []
    for payload in payloads:
        name = unique_name(payload.name, taken)
        taken.add(name)
        specs.append(ImportedSpec(payload, name, "/".join((*inside, f"{name}.yaml"))))
    names = {each.payload.path: each.name for each in specs}
    for each in specs:
        _create(root / each.path, _text(chosen, each.payload, each.name, [names[path] for path in each.payload.after]))
    return _checked(chosen, specs)


def _names(file: ProjectFile) -> set[str]:
    """Returns the names of the project's specs in all targets."""
    problems: list[Problem] = []
    reader = SpecReader(file.project, tuple(file.project.spec.targets), warn=False)
    specs = read_specs(file.files, file.files.find(file.patterns)[0], reader, problems)
    return {spec.name for spec in specs if spec.name is not None}


def _create(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise ReconcilerError(f"{path} cannot be written: {error.strerror}") from error


def _text(chosen: ChosenTarget, payload: Payload, name: str, after: Sequence[str]) -> str:
    kind, schedule = kind_named(payload.kind), payload.schedule
    request = {key: value for key, value in payload.request.items() if (key, value) != (kind.name_field, name)}
    policy: dict[str, Any] = {}
    if len(chosen.project_file.project.spec.targets) > 1:
        # The run exists in one target. In the others, the new spec would start the job.
        policy["targets"] = [chosen.place.target]
    if after:
        policy["dependsOn"] = [{"name": each} for each in after]
    if schedule.cron is not None:
        zone = {"timeZone": schedule.time_zone} if schedule.time_zone else {}
        policy |= {"schedule": schedule.cron, **zone}
        why = "disabled there" if schedule.suspended else "it runs there: disable that schedule, then remove this"
        # Otherwise two schedulers would start the same job.
        policy["suspend"] = {"reason": f"imported, {why}"}
    fill = [f"Fill in ${{var.{name}}} below spec.vars: {text}" for name, text in payload.variables.items()]
    fill += [f"Fill in request.{path}: {text}" for path, text in payload.omitted.items()]
    return spec_text(payload.kind, name, policy, kind.shorthand(request), [f"Imported: {payload.origin}", *fill])


def _checked(chosen: ChosenTarget, written: Sequence[ImportedSpec]) -> list[ImportedSpec]:
    """Adds the problems and warnings that `validate` finds in the new files."""
    problems: Sequence[Problem] = ()
    warnings: Sequence[Problem] = ()
    paths = [chosen.root.resolve() / each.path for each in written]
    try:
        warnings = load(read_project(chosen.root), [chosen.place.target], paths).warnings
    except SpecErrors as error:
        problems = error.problems
    return [replace(each, problems=_in(problems, each.path), warnings=_in(warnings, each.path)) for each in written]


def _in(problems: Sequence[Problem], path: str) -> tuple[Problem, ...]:
    return tuple(problem for problem in problems if problem.path == path or problem.path.endswith(f"/{path}"))


def record_imports(session: Session, specs: Iterable[ImportedSpec]) -> Iterator[ImportedSpec]:
    """Records each complete spec as applied: adopts its run, or accepts its content without a run. If a run cannot be
    adopted, its file is removed."""
    for spec in specs:
        try:
            yield spec if spec.incomplete else replace(spec, outcome=_recorded(session, spec))
        except ReconcilerError as error:
            if spec.payload.run_id is not None:
                (session.root.resolve() / spec.path).unlink()  # otherwise the next pass would start the job again
            yield replace(spec, outcome="failed", error=str(error))


def _recorded(session: Session, spec: ImportedSpec) -> str:
    """Adopts the run of a spec, or accepts the spec's content if it has no run."""
    view, run_id = view_spec(session, spec.name, f"imported: {spec.payload.origin}"), spec.payload.run_id
    if run_id is None:
        record_decision(view, decide_accept(view))
        return "accepted"
    record_decision(view, decide_adopt(view, run_id, slot=None, token=None, force=False))
    return "adopted"
