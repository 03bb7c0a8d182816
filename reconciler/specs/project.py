"""Reads a whole project: its folder, reconciler.yaml, its specs (in several processes if that is faster), and the
relations between them."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from reconciler.core.desired import DesiredSpec
from reconciler.core.suggestions import Invocation
from reconciler.errors import Problem, SpecErrors, UsageError
from reconciler.model.arns import region_problem
from reconciler.model.base import JSON, Loc, part
from reconciler.model.kind import MODULES, kind_named
from reconciler.model.project import ALLOWED_VARIABLE, Project, variable_problem
from reconciler.model.spec import API_VERSION
from reconciler.redact.request import secret_places
from reconciler.specs import PROJECT_FILE, SPECS_FOLDER, project_folder
from reconciler.specs.field_names import spelling
from reconciler.specs.file_patterns import EXCEPT, MOST_ALTERNATIVES, Patterns, expanded, matches, patterns
from reconciler.specs.files import ChosenFiles, Folder, IsPlanFile, NotReadable, ProjectFiles, chosen_files, left_out
from reconciler.specs.other_files import FAMILY, NOT_A_SPEC, reported_once, unreadable_other
from reconciler.specs.parse import SourceText, documents, yaml_documents
from reconciler.specs.problems import TooMany, View, at, unreadable
from reconciler.specs.processes import in_processes, processes_for
from reconciler.specs.relations import reference_warnings, relation_problems
from reconciler.specs.spec import ReadSpec, SpecReader, placeholder_warnings
from reconciler.specs.wrong_values import suggestion
from reconciler.specs.yaml_nodes import MOST_PROBLEMS, TOO_MANY, Document, Unreadable
from reconciler.values import dataclass, uncollected

TEXT_OF_TARGETS = ("ledger", "notify", "emulator")
DEFAULT_TARGET: Loc = ("spec", "defaultTarget")


def find_root(chosen: Path | None, cwd: Path) -> Path:
    """Finds the project folder: `chosen` (``-C DIR``, relative to `cwd`), else `cwd`, else its ``specs`` folder.

    Raises `UsageError` if there is no ``reconciler.yaml``.
    """
    folder = project_folder(chosen, cwd)
    if folder is not None:
        return folder
    if chosen is not None and (cwd / chosen).is_file():
        raise UsageError(f"-C takes the project folder, not a file: -C {chosen.parent}")
    if chosen is not None:
        raise UsageError(
            f"no {PROJECT_FILE} in {chosen}. To start a project there, run: "
            + Invocation(directory=str(chosen)).command("init")
        )
    if (cwd / "reconciler.yml").is_file():
        raise UsageError(f"the project file is called {PROJECT_FILE}: rename reconciler.yml")
    above = next((folder for folder in cwd.parents if (folder / PROJECT_FILE).is_file()), None)
    if above is not None:
        raise UsageError(f"no {PROJECT_FILE} here, but in {above}: name the project folder, -C {above}")
    raise UsageError(
        f"no {PROJECT_FILE} here or in ./{SPECS_FOLDER}: name the project folder with -C DIR, or start a project with "
        "reconciler init"
    )


@dataclass(frozen=True, slots=True)
class ProjectFile:
    """A project in the folder `root`, the document it was read from, and the source of its spec files."""

    root: Path
    project: Project
    view: View
    files: ProjectFiles

    @property
    def patterns(self) -> Patterns:
        """The patterns of the project's spec files."""
        return patterns(self.project.spec.specs)

    def unused(self, paths: Sequence[str]) -> Iterator[Problem]:
        """Yields a warning for each pattern that matches no file, usually because a folder was moved."""
        for index, pattern in enumerate(self.project.spec.specs):
            if not pattern.startswith(EXCEPT) and not any(
                matches(segments, tuple(path.split("/"))) for segments in expanded(pattern) for path in paths
            ):
                loc = ("spec", "specs", index)
                yield self.view.problem(loc, f"no file matches {pattern}", "no-files", "warning")

    def warnings(self) -> Iterator[Problem]:
        """Yields warnings about values in the project file that are probably mistakes, such as unknown regions and
        placeholders."""
        for name, target in self.project.spec.targets.items():
            if target.region is not None and (problem := region_problem(target.region)):
                yield self.view.problem(("spec", "targets", name, "region"), problem, "region", "warning")
            yield from self._unknown_rates(name, target.rates)
        value = self.view.document.value
        yield from self._secrets(value)
        targets = [("spec", "targets", name, key) for name in self.project.spec.targets for key in TEXT_OF_TARGETS]
        paths = (("metadata", "labels"), ("spec", "suspend"), *targets)
        yield from placeholder_warnings(self.view, value, paths)

    def _unknown_rates(self, target: str, rates: Iterable[str]) -> Iterator[Problem]:
        """Yields a warning for each quota whose operation is misspelt."""
        known = [operation for kind in MODULES for operation in kind_named(kind).rates]
        for operation in rates:
            if operation not in known and (meant := spelling(operation, known)):
                loc = ("spec", "targets", target, "rates", operation)
                message = f"there is no operation {operation}; did you mean {meant}?"
                yield self.view.problem(loc, message, "rates", "warning", on_key=True)

    def _secrets(self, value: JSON) -> Iterator[Problem]:
        """Yields a warning for each variable that is probably a secret. Where it is used, only its value is known."""
        for loc in (("spec",), *(("spec", "targets", name) for name in self.project.spec.targets)):
            for path in secret_places({"vars": part(value, *loc, "vars")}):
                message = (
                    "looks like a secret, readable by everyone who can read this file, the plans or the AWS console. "
                    "Keep it in AWS Secrets Manager and let the job read it from there"
                )
                yield self.view.problem((*loc, *path), message, "secret", "warning")


def read_project(root: Path, files: ProjectFiles | None = None) -> ProjectFile:
    """Reads the project file of a folder, or of other `files`. Raises `SpecErrors` with all problems in it."""
    files = files or Folder(root.resolve())
    try:
        source = files.read(PROJECT_FILE)
    except NotReadable as error:
        raise SpecErrors([error.problem]) from None
    try:
        documents = list(yaml_documents(source.text))
    except Unreadable as error:
        raise SpecErrors(list(unreadable(source, error))) from None
    try:
        return _project(root, files, source, documents)
    except TooMany as error:
        raise SpecErrors(error.problems) from None


def _project(root: Path, files: ProjectFiles, source: SourceText, documents: list[Document]) -> ProjectFile:
    if len(documents) != 1:
        offset = documents[1].offset if documents else 0
        raise SpecErrors([at(source, offset, f"expected one document, got {len(documents)}", "project")])
    view = View(source, documents[0])
    problems = list(view.flaws())
    project = None
    if not isinstance(view.document.value, dict) or "apiVersion" not in view.document.value:
        problems.append(view.problem((), f"expected apiVersion: {API_VERSION}", "api-version"))
    else:
        try:
            project = Project.model_validate(view.document.value)
        except ValidationError as error:
            problems += view.refused(error, Project, view.document.value)[0]
    if project is not None:
        problems += _rules(view, project)
        if isinstance(files, Folder):  # the webhooks of a project that is read from a commit are not used
            problems += _variable_problems(view, project, os.environ)
    if problems or project is None:
        raise SpecErrors(problems)
    return ProjectFile(root, project, view, files)


def _variable_problems(view: View, project: Project, environ: Mapping[str, str]) -> Iterator[Problem]:
    """Yields a problem for each environment variable that the project's webhooks may not read."""
    allowed = {name.strip() for name in environ.get(ALLOWED_VARIABLE, "").split(",")} - {""}
    for name, target in project.spec.targets.items():
        for index, webhook in enumerate(target.notify):
            loc: Loc = ("spec", "targets", name, "notify", index)
            variables = {(*loc, "headersEnv", header): value for header, value in webhook.headersEnv.items()}
            if webhook.urlEnv is not None:
                variables[*loc, "urlEnv"] = webhook.urlEnv
            for where, variable in variables.items():
                if (problem := variable_problem(variable, allowed)) is not None:
                    yield view.problem(where, problem, "notify-variable")


def _rules(view: View, project: Project) -> Iterator[Problem]:
    """Yields violations of rules that involve more than one field of the model."""
    default = project.spec.defaultTarget
    if default is not None and default not in project.spec.targets:
        message = f"there is no target {default}{suggestion(default, project.spec.targets, 'the targets are')}"
        yield view.problem(DEFAULT_TARGET, message, "unknown-target")
    for name, target in project.spec.targets.items():
        loc: Loc = ("spec", "targets", name)
        for field in target.missing():
            yield view.problem((*loc, field), "is missing: only emulator targets may omit it", "missing")
        if target.is_emulator and target.ledger is not None and not target.ledger.startswith("sqlite:"):
            yield view.problem((*loc, "ledger"), "the emulator's ledger is a local file: sqlite:///PATH", "ledger")
    total = 0
    for index, pattern in enumerate(project.spec.specs):
        try:
            total += len(expanded(pattern.removeprefix(EXCEPT)))
        except ValueError as error:
            yield view.problem(("spec", "specs", index), f"{pattern}: {error}", "glob")
    if total > MOST_ALTERNATIVES:
        yield view.problem(("spec", "specs"), f"expands to more than {MOST_ALTERNATIVES} patterns", "glob")


FEWEST_FILES = 400
"""The minimum number of files for which another process is worthwhile. A process reads that many in a tenth of a
second."""

Read = tuple[list[ReadSpec], list[Problem]]
Reading = Callable[[ProjectFiles, Sequence[str], SpecReader, list[Problem]], list[ReadSpec]]
"""A function that reads files as `read_all` does."""


def read_all(
    files: ProjectFiles,
    paths: Sequence[str],
    reader: SpecReader,
    problems: list[Problem],
    shortened: Callable[[ReadSpec], ReadSpec] = lambda spec: spec,
) -> list[ReadSpec]:
    """Returns every document of every file as a spec, in order. Problems with whole files are appended to `problems`.
    `shortened` removes what is not needed of a spec, in the process that reads it."""
    # The files of a commit are read by a single git process.
    processes = processes_for(len(paths), FEWEST_FILES) if isinstance(files, Folder) else 1

    def read(part: Sequence[str]) -> Read:
        unread: list[Problem] = []
        return [*map(shortened, read_specs(files, part, reader, unread))], unread

    with uncollected():
        size = max(1, -(-len(paths) // processes))
        parts = [paths[start : start + size] for start in range(0, len(paths), size)]
        specs: list[ReadSpec] = []
        for part, unread in in_processes(read, parts):
            specs += part
            problems += unread
    return specs


def read_specs(
    files: ProjectFiles, paths: Sequence[str], reader: SpecReader, problems: list[Problem]
) -> Iterator[ReadSpec]:
    """Yields every document of every file as a spec. Problems with whole files are appended to `problems`."""
    for path in paths:
        try:
            source = files.read(path)
        except IsPlanFile:
            continue
        except NotReadable as error:
            problems.append(error.problem)
            continue
        is_empty, reported = True, 0
        try:
            for document in documents(source):
                is_empty = False
                read = reader.read(View(source, document))
                reported += len(read.problems)
                yield read
                if reported > MOST_PROBLEMS:
                    raise Unreadable(document.offset, TOO_MANY, "too-many")
        except Unreadable as error:
            # A text without our API group is probably a file of another tool, which the message says how to leave out.
            problems += unreadable(source, error) if FAMILY in source.text else unreadable_other(source, error)
        except TooMany as error:
            problems += error.problems
        else:
            if is_empty:
                problems.append(at(source, 0, "no document in this file: write a spec, or remove the file", "empty"))


@dataclass(frozen=True, slots=True)
class Loaded:
    """A project in which the offline checks have found no errors.

    `specs` maps every requested target to the specs that run in it, sorted and keyed by name. `warnings` are sorted by
    location. `listed` contains the name, path and first line of every spec or, if files were chosen, of every spec in
    these files.
    """

    specs: Mapping[str, Mapping[str, DesiredSpec]]
    warnings: tuple[Problem, ...]
    listed: tuple[tuple[str, str, int], ...]

    @property
    def count(self) -> int:
        """The number of specs. If files were chosen, only their specs are counted."""
        return len(self.listed)


def load(file: ProjectFile, targets: Sequence[str] | None = None, only_paths: Sequence[Path] | None = None) -> Loaded:
    """Reads the specs of a project for some of its targets, or for all of them if `targets` is `None`, and collects
    warnings. If `only_paths` are given, reads only these files, the files below these folders, and the files with specs
    that they refer to. Then only the problems, warnings and specs of the chosen files are reported. Raises `SpecErrors`
    with all problems and the warnings of the specs, and `UsageError` for targets and paths that the project does not
    have."""
    chosen = chosen_files(file.root, only_paths) if only_paths is not None else None
    names = _targets(file.project, targets)
    reader, paths, problems = SpecReader(file.project, names, warn=True), list[str](), list[Problem]()
    if chosen is None:
        paths, problems = file.files.find(file.patterns)
        specs = read_all(file.files, paths, reader, problems)
    else:
        specs = _with_named(file, chosen, reader, problems)
    _check(file, specs, problems, chosen)
    warnings = {*_warnings(specs, chosen), *left_out(file.files, file.patterns, chosen)}
    if chosen is None:
        warnings.update(file.unused(paths), file.warnings())
    ordered = tuple(sorted(warnings, key=Problem.order))
    return Loaded(_by_target(specs, names), ordered, tuple(_listed(specs, chosen)))


def load_targets(
    file: ProjectFile, targets: Sequence[str], reading: Reading = read_all
) -> dict[str, dict[str, DesiredSpec]]:
    """Returns the specs of some targets of a project, by target and sorted by name. Raises `SpecErrors`, as `load`
    does, which also collects warnings. `reading` reads the files."""
    paths, problems = file.files.find(file.patterns)
    specs = reading(file.files, paths, SpecReader(file.project, targets, warn=False), problems)
    _check(file, specs, problems)
    return _by_target(specs, targets)


def load_target(file: ProjectFile, target: str, reading: Reading = read_all) -> Mapping[str, DesiredSpec]:
    """Returns the specs of one target, as `load_targets` does."""
    return load_targets(file, [target], reading)[target]


def _check(
    file: ProjectFile, specs: Sequence[ReadSpec], problems: Sequence[Problem], chosen: ChosenFiles | None = None
) -> None:
    """Raises `SpecErrors` if there are problems with files, with specs, or between specs."""
    problems = [*problems, *(problem for spec in specs for problem in spec.problems)]
    problems += [problem for _, problem in relation_problems(specs, file.project.spec.targets)]
    problems = [problem for problem in problems if _is_chosen(chosen, problem)]
    if problems:
        warnings = _warnings(specs, chosen)
        raise SpecErrors([*reported(problems, specs), *warnings], _listed(specs, chosen))


def _warnings(specs: Sequence[ReadSpec], chosen: ChosenFiles | None) -> set[Problem]:
    """Returns the warnings about specs and about references between them."""
    warnings = {warning for spec in specs if _is_chosen(chosen, spec.location) for warning in spec.warnings}
    return warnings | {warning for warning in reference_warnings(specs) if _is_chosen(chosen, warning)}


def _with_named(file: ProjectFile, chosen: ChosenFiles, reader: SpecReader, problems: list[Problem]) -> list[ReadSpec]:
    """Reads the chosen files, and the files with specs that they refer to, directly or indirectly. Other files are
    searched only if a chosen spec refers to another spec. They are read only if they contain its name, or if no file
    has a spec with that name."""
    wanted, every = chosen.files(file.patterns), None
    if wanted is None:
        every = _found(file, problems)
        wanted = [path for path in every if path in chosen]
    specs: list[ReadSpec] = []
    done: set[str] = set()
    while wanted:
        done.update(wanted)
        specs += read_all(file.files, wanted, reader, problems)
        named = {each.name for spec in specs for each in (*spec.references, *filter(None, [spec.former]))}
        if not named:
            break
        own = {spec.name for spec in specs if spec.name is not None}
        every = _found(file, problems) if every is None else every
        left = [path for path in every if path not in done]
        # If no file has a spec with the name, all files are read, so that the message can suggest a similar name.
        wanted = [path for path in left if _contains(file.files, path, named | own)] or (left if named - own else [])
    return sorted(specs, key=lambda spec: spec.location.path)


def _found(file: ProjectFile, problems: list[Problem]) -> list[str]:
    paths, others = file.files.find(file.patterns)
    problems += others
    return paths


def _contains(files: ProjectFiles, path: str, names: Iterable[str]) -> bool:
    try:
        text = files.read(path).text
    except NotReadable:
        return True  # reading the file reports why
    return any(name in text for name in names)


def reported(problems: Sequence[Problem], specs: Sequence[ReadSpec]) -> list[Problem]:
    """Returns the problems without duplicates. "Not a spec" is reported only once for each file or folder."""
    with_specs = {spec.location.path for spec in specs if all(each.rule != NOT_A_SPEC for each in spec.problems)}
    return reported_once(dict.fromkeys(problems), with_specs)


def _listed(specs: Sequence[ReadSpec], chosen: ChosenFiles | None) -> list[tuple[str, str, int]]:
    """Returns the names of specs, each with its path and first line."""
    located = ((spec.name, spec.location, spec.line) for spec in specs)
    return [(name, at.path, line) for name, at, line in located if name is not None and _is_chosen(chosen, at)]


def _targets(project: Project, names: Sequence[str] | None) -> tuple[str, ...]:
    targets = tuple(project.spec.targets)
    for name in names or ():
        if name not in targets:
            raise UsageError(f"there is no target {name}{suggestion(name, targets, 'the targets are')}")
    return targets if names is None else tuple(names)


def _is_chosen(chosen: ChosenFiles | None, problem: Problem) -> bool:
    return chosen is None or problem.path in chosen


def _by_target(specs: Sequence[ReadSpec], targets: Sequence[str]) -> dict[str, dict[str, DesiredSpec]]:
    ordered = sorted(((s.name, s.desired) for s in specs if s.name is not None), key=lambda named: named[0])
    return {target: {name: desired[target] for name, desired in ordered if target in desired} for target in targets}
