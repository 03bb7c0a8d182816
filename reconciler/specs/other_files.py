"""Reports each file of a project that is not a spec once, with the pattern that excludes it."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from glob import escape

from reconciler.errors import Problem
from reconciler.model.base import Unquoted
from reconciler.model.kind import MODULES, RESERVED_FIELD, kind_named
from reconciler.model.spec import API_VERSION
from reconciler.specs import PROJECT_FILE
from reconciler.specs.file_patterns import EXCEPT
from reconciler.specs.parse import SourceText
from reconciler.specs.problems import View, at, unreadable
from reconciler.specs.yaml_nodes import Unreadable

FAMILY = API_VERSION.split("/", maxsplit=1)[0] + "/"
NOT_A_SPEC = "not-a-spec"
"""The rule name of problems with a document or an unreadable file that is not a spec."""


def leave_out(path: str, rest: str = "") -> str:
    """Returns a hint that shows how to exclude a file or, if `rest` is ``/**``, a folder from a project."""
    return f'leave it out: add "{EXCEPT}{escape(path)}{rest}" to spec.specs of {PROJECT_FILE}'


def not_a_spec(view: View) -> Problem:
    """Returns a problem which reports that the document is not a spec that this version can read."""
    value = view.document.value
    if isinstance(value, Unquoted) and not value.source:
        return view.problem((), "empty document: write a spec, or remove the ---", "empty")
    version = value.get("apiVersion") if isinstance(value, dict) else None
    if isinstance(version, str) and version.startswith(FAMILY):
        return view.problem(("apiVersion",), f"this version reads {API_VERSION}, not {version}", "api-version")
    if isinstance(value, dict) and (hint := _misspelt(value)):
        return view.problem((), hint, "api-version")
    if isinstance(value, dict) and (kind := _kind_of_request(value)):
        imported = ", or run reconciler import --from-json with this file" if view.source.path.endswith(".json") else ""
        hint = f"it is a request of {kind} without a spec: write it below spec.request of a spec{imported}"
        return view.problem((), f"not a spec: {hint}", NOT_A_SPEC)
    message = f"not a spec: expected apiVersion: {API_VERSION}. If it is none, {leave_out(view.source.path)}"
    return view.problem(("apiVersion",) if version is not None else (), message, NOT_A_SPEC)


def _misspelt(value: dict[str, object]) -> str:
    """Returns what to write in a document that is certainly meant as a spec, although its version is missing or
    misspelt. Returns an empty string for any other document."""
    key = next((key for key in value if key.lower().replace("_", "").replace("-", "") == "apiversion"), None)
    version = value.get(key) if key is not None else None
    if isinstance(version, str) and version.lower().strip() in {API_VERSION, API_VERSION.replace("/", "")}:
        return f"write apiVersion: {API_VERSION}, not {key}: {version}"
    if key is None and isinstance(value.get("kind"), str) and value["kind"] in MODULES:
        return f"apiVersion is missing: write apiVersion: {API_VERSION}"
    return ""


def _kind_of_request(value: dict[str, object]) -> str | None:
    """Returns the kind of the request that a document contains, such as the input of an AWS CLI command, or `None`."""
    names = {key.lower() for key in value}
    for kind in MODULES:
        fields = kind_named(kind).model.model_fields.items()
        required = {name.lower() for name, field in fields if field.is_required() and name != RESERVED_FIELD}
        if required <= names:
            return kind
    return None


def unreadable_other(source: SourceText, error: Unreadable) -> list[Problem]:
    """Returns the problems of a file that cannot be read and does not look like a spec."""
    if error.rule not in {"syntax", "tab", "tag"}:
        return list(unreadable(source, error))
    message = f"{error.message}. If this is not a spec, {leave_out(source.path)}"
    return [at(source, error.offset, message, NOT_A_SPEC)]


def reported_once(problems: Iterable[Problem], with_specs: Collection[str]) -> list[Problem]:
    """Returns the problems, with "not a spec" only once for each file, or once for a folder without any spec.

    `with_specs` are the files with at least one spec. Other problems of a file that is not a spec are dropped.
    """
    in_use = {path.partition("/")[0] for path in with_specs if "/" in path}
    left: dict[str, dict[str, Problem]] = {}  # by the folder or file to exclude
    others = []
    for problem in sorted(problems, key=Problem.order):
        if problem.rule == NOT_A_SPEC:
            folder, slash, _ = problem.path.partition("/")
            whole = folder if slash and folder not in in_use else problem.path
            left.setdefault(whole, {}).setdefault(problem.path, problem)
        else:
            others.append(problem)
    foreign = {path for files in left.values() for path in files if path not in with_specs}
    return [*(each for each in others if each.path not in foreign), *(_one(*entry) for entry in left.items())]


def _one(whole: str, files: dict[str, Problem]) -> Problem:
    first = next(iter(files.values()))
    if len(files) == 1:
        return first
    message = (
        f"none of the {len(files)} files in {whole} is a spec. If the folder has no specs, {leave_out(whole, '/**')}"
    )
    return replace(first, message=message)
