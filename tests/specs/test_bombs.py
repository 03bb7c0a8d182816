"""Tests small files that would need excessive time or memory: each is reported as a problem with a location, in limited
time and memory."""

import os
import resource
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import SpecErrors
from reconciler.render.problems import problems_text
from reconciler.specs import file_patterns
from reconciler.specs.file_patterns import expanded, matches
from reconciler.specs.files import MOST_BYTES
from reconciler.specs.yaml_nodes import MOST_PROBLEMS
from tests.specs.builders import PROJECT, batch, load, problems, write

SPEC = batch("a")
SMALL, WHOLE = (
    MOST_BYTES // 8,
    MOST_BYTES,
)  # without limits, quadratic work takes minutes for the small one and hours for the large one
RATIO = 2.5  # relative to the processor time of a file of valid specs of the same size; most bombs take a tenth
MORE_MEASUREMENTS = 2  # other programs can only lengthen a measurement, so the shortest one is used
MEBIBYTES = 400
SIZES = [pytest.param(SMALL, id="small"), pytest.param(WHOLE, id="whole", marks=pytest.mark.soak)]


def seconds_to_read(root: Path) -> tuple[float, tuple[Any, ...], str]:
    """Returns the CPU time of reading a project and printing its problems, and also the problems and their text."""
    began = time.process_time()
    reported: tuple[Any, ...] = ()
    try:
        load(root)
    except SpecErrors as error:
        reported = tuple(error.problems)
    text = problems_text(reported)
    return time.process_time() - began, reported, text


def is_quick(root: Path, ordinary: float, seconds: float) -> bool:
    """Returns whether `seconds`, or the shortest of a few repeated measurements, is at most RATIO times `ordinary`."""
    return seconds < RATIO * ordinary or any(
        seconds_to_read(root)[0] < RATIO * ordinary for _ in range(MORE_MEASUREMENTS)
    )


@pytest.fixture(scope="module")
def ordinary(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], float]:
    """Measures the CPU time of reading a file of valid specs of this size, in the current run."""

    @cache
    def measure(size: int) -> float:
        text = "".join("---\n" + batch(f"job-{number:05}") for number in range(size // len(batch("job-00000---\n"))))
        root = write(tmp_path_factory.mktemp("ordinary"), {"a.yaml": text})
        assert load(root).count > 0
        return seconds_to_read(root)[0]

    return measure


def filled(unit: str, size: int) -> str:
    """Returns a text, repeated as often as it fits."""
    return unit * ((size - 1000) // len(unit))


def bomb(entry: str, first: str) -> str:
    """Returns nine references to nine references, and so on, in one of YAML's notations."""
    lines = [f"a0: &a0 {first}"]
    return "\n".join([*lines, *(f"a{i}: &a{i} {entry.replace('*', f'*a{i - 1}')}" for i in range(1, 30))]) + "\n"


TEN = ", ".join(["*"] * 10)
ALIASES = {
    "aliases in a list": bomb(f"[{TEN}]", "[x]"),
    "aliases in a mapping": bomb("{" + ", ".join(f"k{i}: *" for i in range(10)) + "}", "{x: y}"),
    "aliases of a long text": f"a: &a {'x' * 10_000}\nb: [{', '.join(['*a'] * 1000)}]\n",
    "merge keys": bomb("{<<: [" + TEN + "]}", "{x: y}"),
    "merge keys, each": bomb("{<<: *, x: y}", "{x: y}"),
    "merge keys in quotes": bomb('{"<<": [' + TEN + "]}", "{x: y}"),
    "merge keys by tag": bomb("{!!merge <<: *}", "{x: y}"),
    "aliases as keys": bomb("{? [" + TEN + "] : x}", "[x]"),
}


@pytest.mark.campaign
@pytest.mark.parametrize("name", ALIASES)
def test_aliases_are_counted_in_every_spelling(tmp_path, ordinary, name):
    """A few hundred characters that expand to 10^30 nodes are a problem, in every notation."""
    root = write(tmp_path, {"a.yaml": ALIASES[name]})
    seconds, reported, _ = seconds_to_read(root)
    assert reported
    assert is_quick(root, ordinary(SMALL), seconds)


YAML = {
    "nested lists": lambda n: "[" * n,
    "nested block lists": lambda n: filled("- ", n),
    "nested keys": lambda n: filled("? ", n),
    "nested mappings": lambda n: filled("{a: ", n),
    "a long key": lambda n: "a" * (n - 1000) + ": c\n",
    "a huge text": lambda n: SPEC + "    x: " + "a" * (n - 1000) + "\n",
    "a huge integer": lambda n: SPEC.replace("request:", f"revision: {'9' * (n - 1000)}\n  request:"),
    "a huge fraction": lambda n: SPEC.replace("request:", f"revision: 1.{'9' * (n - 1000)}\n  request:"),
    "a huge exponent": lambda n: SPEC.replace("request:", f"revision: 1e{'9' * (n - 1000)}\n  request:"),
    "documents": lambda n: filled("---\n", n),
    "documents of text": lambda n: filled("--- a\n", n),
    "nulls": lambda n: filled("- ~\n", n),
    "nulls on one line": lambda n: "[" + filled("~, ", n) + "]",
    "the same key": lambda n: filled("a: 1\n", n),
    "the same anchor": lambda n: filled("- &a x\n", n),
    "tags": lambda n: filled("- !x\n", n),
    "tag directives": lambda n: "".join(f"%TAG !a{i:05}! t\n" for i in range(n // 16 - 10)),
    "unknown fields": lambda n: SPEC + "".join(f"    x{i:06}: y\n" for i in range(n // 15 - 50)),
    "wrong values": lambda n: (
        SPEC
        + "    containerOverrides:\n      environment:\n"
        + "".join(f"      - {{name: A{i:06}, value: on}}\n" for i in range(n // 35 - 50))
    ),
    "placeholders": lambda n: SPEC + "    parameters: {a: '" + filled("${x}", n) + "'}\n",
    "backslashes after a secret": lambda n: SPEC + "    parameters: {password: '" + filled("\\", n) + "'}\n    x: y\n",
    "secrets inside a path": lambda n: SPEC + "    x: '" + filled("secret.file=/", n) + "'\n",
}
JSON = {
    "lists": lambda n: "[" * n,
    "closed lists": lambda n: "[" * (n // 2) + "]" * (n // 2),
    "objects": lambda n: filled('{"a":', n),
    "an integer": lambda n: '{"apiVersion": ' + "9" * (n - 100) + "}",
    "a fraction": lambda n: '{"apiVersion": 0.' + "9" * (n - 100) + "}",
    "a key": lambda n: '{"' + "a" * (n - 100) + '": 1}',
    "nulls": lambda n: "[" + filled("null,", n) + "1]",
    "backslashes": lambda n: '"' + filled("\\\\", n) + '"',
}
FILES = {
    **{f"{name}, YAML": ("a.yaml", text) for name, text in YAML.items()},
    **{f"{name}, JSON": ("a.json", text) for name, text in JSON.items()},
}


@pytest.mark.campaign
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", FILES)
def test_a_bomb_is_a_problem_within_bounds(tmp_path, ordinary, name, size):
    """A file of up to 1 MiB causes at most a thousand problems, in limited memory and about as fast as valid specs."""
    file, text = FILES[name]
    root = write(tmp_path, {file: text(size)})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds, reported, shown = seconds_to_read(root)
    assert 0 < len(reported) <= MOST_PROBLEMS + 2
    assert len(shown) < 1_000_000
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024 < MEBIBYTES
    assert is_quick(root, ordinary(size), seconds)


def test_at_most_a_thousand_problems_of_a_document_are_reported(tmp_path):
    """The first thousand problems of a document are reported, with a note that there are more."""
    files = {"a.yaml": "- ~\n" * (MOST_PROBLEMS + 1), "b.yaml": "- ~\n" * (MOST_PROBLEMS - 1)}
    lines = problems(write(tmp_path, files))
    last = "a.yaml:1001:3: more than 1,000 problems; fix these first, then run again"
    assert [last] == [line for line in lines if "more than" in line]
    assert 1 + MOST_PROBLEMS == sum(line.startswith("a.yaml") for line in lines)


def test_the_project_file_is_read_as_strictly(tmp_path):
    """An alias bomb in the project file, or a pattern that expands to very many patterns, is a problem in the project
    file."""
    assert "aliases expand" in problems(write(tmp_path, project=ALIASES["aliases in a list"]))[0]
    many = "{" + "," * 200_000 + "}" + "x" * 200_000
    text = PROJECT.replace("spec:\n", f"spec:\n  specs: ['{many}']\n", 1)
    (line,) = problems(write(tmp_path, project=text))
    assert line.endswith("expands to more than 1000 patterns")
    text = PROJECT.replace("spec:\n", f"spec:\n  specs: [{', '.join(f'a{i}.yaml' for i in range(1001))}]\n", 1)
    assert ["reconciler.yaml:5:10: spec.specs: expands to more than 1000 patterns"] == problems(
        write(tmp_path, project=text)
    )


def test_a_pattern_is_matched_without_backtracking(monkeypatch):
    """A pattern with twenty `**` compares each of its segments with each folder at most once."""
    steps: list[str] = []

    def counting(segment: str) -> Callable[[str], bool | None]:
        def match(name: str) -> bool | None:
            steps.append(name)
            return segment == name or None

        return match

    monkeypatch.setattr(file_patterns, "_segment", counting)
    pattern, path = ("**", "a") * 20 + ("x",), ("a",) * 60
    assert not matches(pattern, path)
    assert len(steps) <= len(pattern) * len(path)
    assert [("**", "a")] == expanded("**/**/**/a")


def test_symlinks_between_folders_are_counted(tmp_path, monkeypatch):
    """Ten folders that link to each other form three million paths, so the search stops at a limit."""
    root = write(tmp_path, {f"d{i}/x.txt": "" for i in range(10)})
    for i in range(10):
        for j in range(10):
            if i != j:
                (root / f"d{i}" / f"to{j}").symlink_to(f"../d{j}")
    monkeypatch.setattr("reconciler.specs.files.MOST_LINKED", 2000)
    walked: list[str] = []
    scandir = os.scandir

    def counting(folder: str) -> Any:
        walked.append(folder)
        return scandir(folder)

    monkeypatch.setattr("reconciler.specs.files.os.scandir", counting)
    messages = {line.split(": ")[1] for line in problems(root)}
    assert "symlinks to folders lead to more than 2,000 files and folders" in messages
    assert len(walked) < 2000


def test_very_deep_folders_are_a_problem(tmp_path):
    """Folders that are nested deeper than the limit are a problem and are not searched."""
    root = write(tmp_path, {"a.yaml": SPEC})
    (root / "/".join("d" * 100)).mkdir(parents=True)
    (line,) = problems(root)
    assert line.endswith("d/d:1:1: folders nested deeper than 64 levels")


def test_every_faulty_file_is_reported(tmp_path):
    """Hundreds of files, each with a problem, are all reported."""
    names = [f"f{i:04}.yaml" for i in range(300)]
    lines = problems(write(tmp_path, dict.fromkeys(names, "a: ~\n")))
    assert set(names) == {line.split(":")[0] for line in lines}


@pytest.mark.parametrize(("size", "read"), [(MOST_BYTES, True), (MOST_BYTES + 1, False)])
def test_the_limit_of_a_file_is_to_the_byte(tmp_path, size, read):
    """A file of exactly 1 MiB is read, even with multi-byte characters. One byte more is refused."""
    text = SPEC.encode() + "# é".encode()
    write(tmp_path, {"a.yaml": text + b"#" * (size - len(text))})
    if read:
        assert 1 == load(tmp_path).count
    else:
        assert ["a.yaml:1:1: larger than 1 MiB: split the file"] == problems(tmp_path)
