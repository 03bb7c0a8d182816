"""Prints figures about the code: sizes, imports, and the modules and types that one command uses.

Run ``python -m tests.project.figures`` (or ``make figures``) in a checkout. The figures are indications, not goals.
With ``--list``, the names of the modules and types are printed too.

* modules, lines, median and longest module, and the share of import lines, of `reconciler/` with the emulator;
* for ``plan`` and ``apply`` of one BatchJob on the emulator: our modules that a call enters after the imports, without
  the emulator, and our own types whose instances take part (public classes; no exceptions, enums or pydantic models).
"""

from __future__ import annotations

import ast
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "reconciler"

PROJECT = """\
apiVersion: reconciler/v1
kind: Project
metadata: {name: figures}
spec: {defaultTarget: local, targets: {local: {emulator: true}}}
"""
SPEC = """\
apiVersion: reconciler/v1
kind: BatchJob
metadata: {name: one}
spec: {request: {jobName: one, jobQueue: queue, jobDefinition: definition}}
"""

TRACER = """\
import atexit, enum, sys, threading
package, arguments = sys.argv[1], sys.argv[2:]
modules, types, local = set(), set(), threading.local()

def trace(frame, event, _):
    code = frame.f_code
    if code.co_name == "<module>":  # what runs while a module is imported does not count
        local.depth = getattr(local, "depth", 0) + {"call": 1, "return": -1}.get(event, 0)
    elif event == "call" and not getattr(local, "depth", 0):
        if code.co_filename.startswith(package):
            modules.add(code.co_filename)
        owner = type(frame.f_locals.get("self"))
        if owner.__module__.startswith("reconciler."):
            types.add(owner)

def counts(owner):
    plain = not issubclass(owner, (BaseException, enum.Enum)) and not hasattr(owner, "model_fields")
    return plain and not owner.__name__.startswith("_") and ".emulator" not in owner.__module__

def report():
    sys.setprofile(None)
    threading.setprofile(None)
    entered = sorted(name.removeprefix(package) for name in modules if "/emulator/" not in name)
    taking_part = sorted(f"{owner.__module__}.{owner.__qualname__}" for owner in types if counts(owner))
    print(" ".join(entered), " ".join(taking_part), sep="\\n", file=sys.stderr)

atexit.register(report)
sys.argv = ["reconciler", *arguments]
from reconciler.cli import main
threading.setprofile(trace)
sys.setprofile(trace)
main()
"""


def sizes() -> dict[str, float]:
    """Returns counts and lengths of the modules, and the share of lines that are imports, in percent."""
    texts = [path.read_text("utf-8") for path in sorted(PACKAGE.rglob("*.py"))]
    lengths = [len(text.splitlines()) for text in texts]
    imports = sum(
        (node.end_lineno or node.lineno) - node.lineno + 1
        for text in texts
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
    )
    return {
        "modules": len(texts),
        "lines": sum(lengths),
        "median lines a module": statistics.median(lengths),
        "longest module": max(lengths),
        "import lines, %": round(100 * imports / sum(lengths), 1),
    }


def passage(*command: str) -> tuple[list[str], list[str]]:
    """Returns our modules that one command enters, and our types that take part in it."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "reconciler.yaml").write_text(PROJECT)
        (Path(folder) / "one.yaml").write_text(SPEC)
        done = subprocess.run(
            [sys.executable, "-c", TRACER, f"{PACKAGE}{os.sep}", "-C", folder, *command],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    entered, types = done.stderr.splitlines()[-2:]
    return entered.split(), types.split()


def main() -> None:
    """Prints each figure on a line."""
    for name, value in sizes().items():
        print(f"{name:24}{value:g}")
    for command in (("plan",), ("apply", "--yes")):
        entered, types = passage(*command)
        print(f"{command[0]:24}{len(entered)} modules entered, {len(types)} own types")
        for name in [*entered, *types] if "--list" in sys.argv else []:
            print(f"    {name}")


if __name__ == "__main__":
    main()
