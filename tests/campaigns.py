"""Sets how many examples and cases the tests try, and prints the report of `make soak`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from inspect import signature
from typing import Any

import pytest
from hypothesis import settings

EXAMPLES = 25
"""The number of examples that hypothesis tries in `make test` by default."""


def examples(every_day: int, soak: int | None = None) -> int:
    """Returns how many examples a test tries: in `make test`, `every_day`; in `make soak`, `soak` or 40 times as
    many."""
    times = settings().max_examples // EXAMPLES
    return every_day if times == 1 else soak or every_day * times


def in_one_test(
    names: str | tuple[str, ...], cases: Iterable[Any], ids: Iterable[str] | Callable[[Any], str] = repr
) -> Callable[[Callable[..., Any]], Any]:
    """Runs all cases of a test in one test, which fails with a list of the cases that fail.

    Use it instead of `pytest.mark.parametrize` for cases that take less time than pytest's overhead per test. The cases
    share the fixtures.
    """
    listed = list(cases)
    keys, values = ((names,), [(case,) for case in listed]) if isinstance(names, str) else (names, listed)
    titles = list(map(ids, listed)) if callable(ids) else list(ids)
    every = [(title, dict(zip(keys, each, strict=True))) for title, each in zip(titles, values, strict=True)]

    def decorated(test: Callable[..., Any]) -> Any:
        @wraps(test)
        def all_cases(*arguments: Any, **fixtures: Any) -> None:
            failures: list[BaseException] = []
            for title, case in every:
                try:
                    test(*arguments, **fixtures, **case)
                except (Exception, pytest.fail.Exception) as failure:  # noqa: BLE001 - raised below
                    failure.add_note(f"in the case {title}")
                    failures.append(failure)
            if failures:
                raise BaseExceptionGroup(f"{len(failures)} of {len(every)} cases failed", failures)
            assert every

        wanted = signature(test)
        others = [parameter for name, parameter in wanted.parameters.items() if name not in keys]
        all_cases.__signature__ = wanted.replace(parameters=others)  # type: ignore[attr-defined]
        return all_cases

    return decorated


def in_soak(cases: Iterable[Any], every_day: Callable[[Any], bool]) -> list[Any]:
    """Returns parameters of a test. The cases for which `every_day` is false run only in `make soak`."""
    marks = {True: (), False: (pytest.mark.soak,)}
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=marks[bool(every_day(case))])
        for case in cases
    ]


def pairs(first: Sequence[Any], second: Sequence[Any]) -> list[Any]:
    """Returns all pairs as parameters of a test. `make test` runs just enough of them that each value occurs once, and
    `make soak` runs the others."""
    return [
        pytest.param(
            *(one if isinstance(one, tuple) else (one,)),
            *(other if isinstance(other, tuple) else (other,)),
            marks=() if at % len(second) == to % len(first) else pytest.mark.soak,
        )
        for at, one in enumerate(first)
        for to, other in enumerate(second)
    ]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Prints the table of the campaigns in `make soak`."""
    if config.option.markexpr.startswith("soak"):
        terminalreporter.section("campaigns")
        for line in table(report for reports in terminalreporter.stats.values() for report in reports):
            terminalreporter.line(line)


def table(reports: Iterable[Any]) -> list[str]:
    """Returns a line for each campaign, which is a test with all its cases, followed by the counts that its cases
    recorded."""
    campaigns: dict[str, list[pytest.TestReport]] = defaultdict(list)
    for report in reports:
        if isinstance(report, pytest.TestReport) and report.when == "call":
            campaigns[report.nodeid.partition("[")[0]].append(report)
    lines = []
    for name, cases in sorted(campaigns.items()):
        failed, seconds = sum(case.failed for case in cases), sum(case.duration for case in cases)
        lines.append(f"{name}: {len(cases)} cases, {failed} failed, {seconds:.0f} s")
        lines += [f"    {counted}" for case in cases for key, counted in case.user_properties if key == "campaign"]
    return lines
