"""Renders checks of specs as JUnit XML: a test case for each spec, and a failure for its problems or holds.

`folder` is the path of the project in its repository, empty or ending with a slash. It is the prefix of each case's
`file`.
"""

from collections.abc import Iterable, Sequence
from xml.etree import ElementTree

from reconciler.core.declarations import PROJECT_KIND
from reconciler.core.identity import Source
from reconciler.core.plan import Action, Plan, Reason
from reconciler.errors import Problem
from reconciler.redact.escape import escape
from reconciler.redact.text import mask_sentence, masked_lines
from reconciler.render.plan_phrases import change_words, effect_line, suggested_lines, what_happens
from reconciler.render.problems import message_of
from reconciler.values import dataclass

Failure = tuple[str, str]
"""A failure: a stable identifier of the problem, and a sentence that describes it."""


@dataclass(frozen=True, slots=True)
class _Case:
    """The test case of one spec: its failure, and its output lines."""

    name: str
    source: Source | None
    failures: Sequence[Failure] = ()
    lines: Sequence[str] = ()


def problems_junit(
    suite: str, specs: Iterable[tuple[str, Source]], problems: Sequence[Problem], folder: str = ""
) -> str:
    """Returns the XML for `validate`: a case for each spec, with the problems between its first line and the next spec,
    and a case for each file that has problems but no spec. Warnings appear in the output of their case."""
    begins: dict[str, list[tuple[int, str]]] = {}
    for name, source in specs:
        begins.setdefault(source.path, []).append((source.line, name))
    by_spec: dict[tuple[str, int, str], list[Problem]] = {
        (path, line, name): [] for path, each in begins.items() for line, name in each
    }
    for problem in sorted(problems, key=Problem.order):
        before = [(line, name) for line, name in sorted(begins.get(problem.path, ())) if line <= problem.line]
        line, name = before[-1] if before else (1, problem.path)
        by_spec.setdefault((problem.path, line, name), []).append(problem)
    cases = [
        _Case(
            name,
            Source(path, line),
            [(problem.rule, _located(problem)) for problem in each if problem.severity == "error"],
            [_located(problem) for problem in each if problem.severity == "warning"],
        )
        for (path, line, name), each in by_spec.items()
    ]
    return _document(suite, cases, folder)


def _located(problem: Problem) -> str:
    return f"{problem.path}:{problem.line}:{problem.col}: {message_of(problem)}"


def plan_junit(plan: Plan, folder: str = "") -> str:
    """Returns the XML for `plan`: a case for each spec, which fails if the spec needs an operator or its outcome is
    unknown. The output of a case describes the plan for the spec."""
    actions: dict[str, list[Action]] = {}
    for action in plan.actions:
        actions.setdefault(action.name, []).append(action)
    changes = {change.name: change for change in plan.changes}
    held = {id(action) for action in plan.held}
    cases = []
    for name in sorted(actions.keys() | changes.keys()):
        mine, change = actions.get(name, []), changes.get(name)
        source = next((action.source for action in mine if action.source), change.source if change else None)
        failures = [(str(action.reason), _held(action)) for action in mine if id(action) in held]
        lines = [f"{name} {what_happens(action)}" for action in mine if id(action) not in held]
        if change is not None and change.stale and change.kind == PROJECT_KIND:
            failures.append((str(Reason.STALE_CHECKOUT), f"{name} {change_words(change)}: {change.message}"))
        elif change is not None:
            lines.append(f"{name} {change.change}: {effect_line(change) or change.effect}")
        cases.append(_Case(name, source, failures, lines))
    return _document(f"{plan.place.project}/{plan.place.target}", cases, folder)


def _held(action: Action) -> str:
    message = f"{action.name} {what_happens(action)}" + (f": {action.message}" if action.message else "")
    return "\n".join([message, *(suggested_lines(action.suggested) if action.suggested else ())])


def failure_junit(suite: str, error: str) -> str:
    """Returns the XML for a command that failed before any case was available: one case with an error."""
    return _document(suite, [_Case(suite, None, [("error", error)])], tag="error")


def _document(suite: str, cases: Sequence[_Case], folder: str = "", tag: str = "failure") -> str:
    failed = sum(bool(case.failures) for case in cases)
    counts = {"tests": len(cases), "failures": 0, "errors": 0, "skipped": 0} | {f"{tag}s": failed}
    attributes = {"name": _clean(suite), **{name: str(number) for name, number in counts.items()}, "time": "0"}
    root = ElementTree.Element("testsuites", {name: attributes[name] for name in attributes if name != "skipped"})
    element = ElementTree.SubElement(root, "testsuite", attributes)
    for case in sorted(cases, key=lambda case: (case.source.path if case.source else "", case.name)):
        element.append(_element(case, suite, folder, tag))
    ElementTree.indent(root)
    # In ASCII, with references for other characters, so that standard output can have any encoding.
    text: bytes = ElementTree.tostring(root, encoding="us-ascii", xml_declaration=True)
    return text.decode()


def _element(case: _Case, suite: str, folder: str, tag: str) -> ElementTree.Element:
    attributes = {"name": case.name, "classname": case.source.path if case.source else suite, "time": "0"}
    if case.source is not None:
        attributes |= {"file": folder + case.source.path, "line": str(case.source.line)}
    element = ElementTree.Element("testcase", {name: _clean(value) for name, value in attributes.items()})
    if case.failures:
        more = f" (and {len(case.failures) - 1} more)" if len(case.failures) > 1 else ""
        kind, message = case.failures[0]
        summary = {"message": _clean(message.partition("\n")[0] + more), "type": _clean(kind)}
        failure = ElementTree.SubElement(element, tag, summary)
        failure.text = masked_lines("\n".join(message for _, message in case.failures))
    if case.lines:
        ElementTree.SubElement(element, "system-out").text = masked_lines("\n".join(case.lines))
    return element


def _clean(text: str) -> str:
    """Returns text for an attribute without control characters that XML cannot represent."""
    return escape(mask_sentence(text))
