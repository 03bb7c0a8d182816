"""Checks the layout of the repository: entries, lengths, names, package docstrings and imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.campaigns import in_one_test
from tests.project.place import BIN, ROOT, git, run

FILES = {"pyproject.toml", "Makefile", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE"}
FOLDERS = {"reconciler", "specs", "tests", "docs"}
LONGEST_MODULE = 400
SHORTEST_MODULE = 40
LONGEST_FUNCTION = 40
SHAPELESS = {"utils", "util", "helpers", "helper", "manager", "data", "common", "misc"}

MODULES = sorted(
    (path for path in (ROOT / "reconciler").rglob("*.py") if path.name != "_version.py"),  # written by the build
    key=lambda path: path.relative_to(ROOT).as_posix(),
)


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Counts the lines of a function without its docstring."""
    whole = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is None:
        return whole
    return whole - ((first.end_lineno or first.lineno) - first.lineno + 1)


def test_top_level_holds_only_what_a_newcomer_expects():
    """The top level of the repository contains only a short, fixed list of entries and dotfiles."""
    tracked = {line.split("/")[0] for line in git(ROOT, "ls-files").splitlines()}

    assert {entry for entry in tracked if not entry.startswith(".")} == FILES | FOLDERS


@in_one_test("path", MODULES, ids=_name)
def test_modules_and_functions_are_short_enough_to_read(path: Path):
    """A module has 40 to 400 lines and a function at most 40 lines, without docstrings."""
    source = path.read_text("utf-8")

    too_long = [f"{f.name}: {_lines(f)}" for f in _functions(ast.parse(source)) if _lines(f) > LONGEST_FUNCTION]

    assert too_long == []
    assert len(source.splitlines()) <= LONGEST_MODULE
    if path.stem not in {"__init__", "__main__"}:
        assert len(source.splitlines()) >= SHORTEST_MODULE


def test_module_names_say_what_is_inside():
    """No module has a name that would fit any content, such as utils."""
    assert SHAPELESS.isdisjoint(part for path in MODULES for part in path.relative_to(ROOT).with_suffix("").parts)


@in_one_test("path", [path for path in MODULES if path.name == "__init__.py"], ids=_name)
def test_every_package_says_what_may_live_in_it(path: Path):
    """The docstring of each package states what the package may contain; that of a subpackage describes it."""
    docstring = " ".join((ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").split())

    assert docstring != ""
    if path.parent.parent == ROOT / "reconciler":
        assert "not allowed" in docstring.lower()


def test_imports_go_one_way():
    """import-linter reports that every layer contract in pyproject.toml is kept."""
    done = run([BIN / "lint-imports", "--no-logo", "--no-cache"], ROOT)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout
