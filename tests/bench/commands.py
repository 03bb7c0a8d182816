"""Measures whole commands on projects in which nothing has to change, against plain programs and Terraform."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from tests.bench.measure import ROUNDS, Goal, Report, Row, Usage, run
from tests.bench.projects import BARE, generate, new_ledger, path_of, settled, spec_text

ROOT = Path(__file__).parents[2]
FEW, SOME, MANY, MOST = 100, 1000, 10_000, 50_000
CHANGED = 100
PLAN = ("plan", "--no-refresh")
COLD = (*PLAN, "--no-cache")
COMMON = {
    "--version": ["--version"],
    "validate": ["validate"],
    "plan --no-refresh": ["plan", "--no-refresh"],
    "plan --format markdown": ["plan", "--no-refresh", "--format", "markdown"],
    "plan --format json": ["plan", "--no-refresh", "--format", "json"],
}
"""The commands that exist in every version."""

BARE_CLICK = "import click\n@click.command()\ndef main(): pass\nmain()"
BARE_MODELS = """\
import pydantic
from reconciler.model.project import Project
from reconciler.model.spec import SpecDocument
from reconciler.model.kind import kind_named
kind_named("EmrServerlessJobRun").model
"""
SILENT = """\
from reconciler.cli.plan_output import PlanOutput
PlanOutput._parts = lambda *_: iter(())
from reconciler.cli import main
main()
"""
RECORDED = {"CPU": 39 / 4.4, "wall": 29 / 4.4, "MB": 2000.0}
"""The ratio of Terraform 1.11.4 to the bare read with 10,000 specs, as measured for issue 11. Used if Terraform is not
installed."""


@dataclass(frozen=True)
class Trees:
    """Folders with projects of each size, in which each spec has run; `cache` is the user's cache folder."""

    folders: Mapping[int, Path]
    terraform: Path | None
    cache: Path

    @property
    def new(self) -> Path:
        """The folder of a project in which no spec has run."""
        return self.cache.parent / "new"

    @property
    def environ(self) -> dict[str, str]:
        """The environment of commands, without the user's settings and with a separate cache."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "RECONCILER_", "CI"))}
        return {**kept, "XDG_CACHE_HOME": str(self.cache), "PYTHONPATH": str(ROOT)}

    def use(self, specs: int, *arguments: str, one_core: bool = False) -> Usage:
        """Runs a command in the project with this many specs."""
        command = [sys.executable, "-m", "reconciler", *arguments]
        return run(command, self.folders[specs], self.environ, one_core=one_core)

    def script(self, specs: int, text: str, *arguments: str) -> Usage:
        """Runs the text of a Python program in the project with this many specs."""
        return run([sys.executable, "-c", text, *arguments], self.folders[specs], self.environ)


SMALL_SPREAD = 0.02
"""If the CPU times of two rounds differ by less than this, the third round is skipped."""


def rows(sides: Mapping[str, Callable[[], Usage]], rounds: int = ROUNDS) -> dict[str, list[Usage]]:
    """Measures some commands in turn, so that a change of the machine's speed affects all of them. Stops after two of
    the three long rounds if their times are close."""
    samples: dict[str, list[Usage]] = {name: [] for name in sides}
    for done in range(rounds):
        if rounds == ROUNDS and done == 2 and all(abs(a.cpu / b.cpu - 1) < SMALL_SPREAD for a, b in samples.values()):
            break
        for name, side in sides.items():
            samples[name].append(side())
    return samples


def settled_and_planned(trees: Trees, number: int) -> None:
    """Writes a project without pending changes, and fills the cache with its plan."""
    settled(trees.folders[number], number)
    trees.use(number, *PLAN)


def new_project(trees: Trees) -> None:
    """Writes a project of new specs, with a ledger that contains only the event that opened it."""
    generate(trees.new, MANY)
    new_ledger(trees.new)


def cpu(name: str, samples: list[Usage]) -> Row:
    """Returns the CPU seconds of samples."""
    return Row(name, "CPU s", [each.cpu for each in samples])


def cold(trees: Trees, report: Report) -> float:
    """Compares a plan without changes that reads everything with Terraform, the bare read and a tenth of the specs.
    Returns the CPU seconds of the warm plan."""
    used = rows(
        {
            "bare read": lambda: trees.script(MANY, BARE, "."),
            "one core": lambda: trees.use(MANY, *COLD, one_core=True),
            "all cores": lambda: trees.use(MANY, *COLD),
            "a tenth": lambda: trees.use(SOME, *COLD),
        }
    )
    bare, single, tenth = (
        cpu("bare read", used["bare read"]),
        cpu("plan, one core", used["one core"]),
        cpu("plan, 1,000", used["a tenth"]),
    )
    wall = Row("plan, all cores", "s", [each.wall for each in used["all cores"]])
    memory = Row("plan", "MB", [each.memory for each in used["all cores"]])
    grown = single.compare(tenth)
    theirs, note = _terraform(trees, bare)
    single.compare(theirs["CPU"], inverse=True)
    wall.compare(theirs["wall"], inverse=True)
    memory.compare(theirs["MB"], inverse=True)
    report.table(
        f"plan --no-refresh --no-cache, {MANY} specs, no changes; Terraform's to ours",
        [bare, tenth, *theirs.values(), single, wall, memory],
    )
    what = f"no-op plan of {MANY} specs, cold, against Terraform"
    report.add(
        Goal(f"{what}: one core, CPU", single.ratio, 7, at_least=True, note=note),
        Goal(f"{what}: {len(os.sched_getaffinity(0))} cores, wall", wall.ratio, 12, at_least=True, note=note),
        Goal(f"{what}: memory", memory.ratio, 10, at_least=True, note=note),
        Goal(f"growth of the cold plan, {SOME} to {MANY} specs", grown, 10.5),
    )
    return warm(trees, report, theirs["CPU"], note)


def _terraform(trees: Trees, bare: Row) -> tuple[dict[str, Row], str]:
    """Returns the figures of one plan of Terraform, and a note. If it is not installed, computes them from the bare
    read."""
    program = shutil.which("terraform")
    if program is None or trees.terraform is None:
        note = "Terraform is not installed: its recorded ratio to the bare read"
        figures = {"CPU": RECORDED["CPU"] * bare.median, "wall": RECORDED["wall"] * bare.median, "MB": RECORDED["MB"]}
    else:
        note, environ = "", {**trees.environ, "TF_CLI_CONFIG_FILE": os.devnull}
        run([program, "init", "-no-color"], trees.terraform, environ)
        used = run([program, "plan", "-input=false", "-refresh=false", "-lock=false"], trees.terraform, environ)
        figures = {"CPU": used.cpu, "wall": used.wall, "MB": used.memory}
    units = {"CPU": "CPU s", "wall": "s", "MB": "MB"}
    return {name: Row("Terraform", units[name], [figure] * ROUNDS) for name, figure in figures.items()}, note


def warm(trees: Trees, report: Report, terraform: Row, note: str) -> float:
    """Measures the same plan with a warm cache, other commands without changes, and other numbers of specs."""
    sides: dict[str, Callable[[], Usage]] = {
        "bare click": lambda: trees.script(MANY, BARE_CLICK),
        "plan": lambda: trees.use(MANY, *PLAN),
        "validate": lambda: trees.use(MANY, "validate"),
        "status": lambda: trees.use(MANY, "status", "--no-refresh"),
        f"plan of {FEW}": lambda: trees.use(FEW, *PLAN),
        f"plan of {MOST}": lambda: trees.use(MOST, *PLAN),
    }
    for name, side in sides.items():
        if name != "bare click":
            side()
    used = {name: cpu(name, samples) for name, samples in rows(sides, 5).items()}
    plan, few = used["plan"], used[f"plan of {FEW}"]
    ratios = {name: row.compare(plan) for name, row in used.items() if name in {"validate", "status"}}
    ratios["most"] = used[f"plan of {MOST}"].compare(few)
    ratios["click"] = plan.compare(used["bare click"])
    report.table(f"warm, {MANY} specs; ratio to bare click, to the plan, or to {FEW} specs", [*used.values()])
    report.add(
        Goal(
            f"no-op plan of {MANY} specs, warm, against Terraform: CPU",
            plan.compare(terraform, inverse=True),
            150,
            at_least=True,
            note=note,
        ),
        Goal(f"no-op plan of {MANY} specs, warm, against bare click", ratios["click"], 4),
        Goal("validate, warm, against the warm plan", ratios["validate"], 1.3),
        Goal("status --no-refresh, warm, against the warm plan", ratios["status"], 1.3),
        Goal(f"warm plan, {MOST} against {FEW} specs", ratios["most"], 2),
    )
    _changed(trees, report, plan.median)
    return plan.median


def _changed(trees: Trees, report: Report, quiet: float) -> None:
    """Measures a plan after one spec in a hundred changed."""
    marks, row = count(1), Row(f"plan, {CHANGED} of {MANY} specs changed", "CPU s")
    for _ in range(ROUNDS):
        mark = f"-{next(marks)}"
        for number in range(CHANGED):
            path_of(trees.folders[MANY], number).write_text(spec_text(number, number % 20, mark))
        row.samples.append(trees.use(MANY, *PLAN).cpu)
    for number in range(CHANGED):
        path_of(trees.folders[MANY], number).write_text(spec_text(number, number % 20))
    report.table("1 % changed", [row])
    report.add(
        Goal(
            "1 % changed, warm: beyond the warm plan, for each changed spec",
            (row.median - quiet) / CHANGED * 1e3,
            3,
            "ms",
        )
    )


def start(trees: Trees, report: Report) -> None:
    """Measures commands that do so little that only the start of the program takes time."""
    file = path_of(trees.folders[MANY], 7).name
    used = rows(
        {
            "bare click": lambda: trees.script(MANY, BARE_CLICK),
            "--help": lambda: trees.use(MANY, "--help"),
            "plan --help": lambda: trees.use(MANY, "plan", "--help"),
            "--version": lambda: trees.use(MANY, "--version"),
            "importing pydantic and the models": lambda: trees.script(MANY, BARE_MODELS),
            "validate FILE": lambda: trees.use(MANY, "validate", "--no-cache", file),
        },
        5,
    )
    every = {name: cpu(name, samples) for name, samples in used.items()}
    click, models = every["bare click"], every["importing pydantic and the models"]
    for name in ("--help", "plan --help", "--version"):
        report.add(Goal(f"{name}, against bare click", every[name].compare(click), 1.5))
    report.add(
        Goal(
            "validate of one file, against importing pydantic and the models",
            every["validate FILE"].compare(models),
            1.5,
        )
    )
    report.table("start; ratio to bare click, or to importing the models", [*every.values()])


def rendering(trees: Trees, report: Report) -> None:
    """Compares plans of new specs in each format with the same plan without rendering."""

    def plain() -> Usage:
        return run([sys.executable, "-c", SILENT, *COLD], trees.new, trees.environ)

    def shown(form: str) -> Usage:
        options = () if form == "text" else ("--format", form)
        return run([sys.executable, "-m", "reconciler", *COLD, *options], trees.new, trees.environ)

    used = {"none": [plain()], **{form: [shown(form)] for form in ("text", "markdown", "json")}}
    table = list[Row]()
    for form, samples in used.items():
        seconds, memory = cpu(form, samples), Row(form, "MB", [each.memory for each in samples])
        if form != "none":
            what = f"plan of {MANY} new specs, {form}, against no rendering"
            report.add(
                Goal(f"{what}: CPU", seconds.compare(table[0]), 2), Goal(f"{what}: memory", memory.compare(table[1]), 2)
            )
        table += [seconds, memory]
    report.table(f"plan of {MANY} new specs; ratio to the plan without rendering", table)
