"""Small files that ask for very much: each is answered within seconds, in bounded memory, with a problem at a place."""

import resource
import time

import pytest

from reconciler.errors import SpecErrors
from reconciler.render.problems import problems_text
from reconciler.specs.document import MOST_PROBLEMS
from reconciler.specs.files import MOST_BYTES
from reconciler.specs.globs import expanded, matches
from tests.specs.builders import PROJECT, batch, load, problems, write

SPEC = batch("a")
SMALL, WHOLE = MOST_BYTES // 8, MOST_BYTES  # what is quadratic takes minutes for the one, and hours for the other
SECONDS = {SMALL: 3.0, WHOLE: 20.0}  # of processor time, reading and printing; with a guard each takes a tenth
MEBIBYTES = 400
SIZES = [pytest.param(SMALL, id="small"), pytest.param(WHOLE, id="whole", marks=pytest.mark.soak)]


def filled(unit: str, size: int) -> str:
    """A text again and again, as often as it goes."""
    return unit * ((size - 1000) // len(unit))


def bomb(entry: str, first: str) -> str:
    """Nine references to nine references to … in one of YAML's spellings."""
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
def test_aliases_are_counted_in_every_spelling(tmp_path, name):
    """A few hundred characters that stand for 10 to the power of 30 nodes are a problem at once."""
    began = time.process_time()
    assert problems(write(tmp_path, {"a.yaml": ALIASES[name]}))
    assert time.process_time() - began < 1


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
def test_a_bomb_is_a_problem_soon(tmp_path, name, size):
    """Whatever a file of at most 1 MiB holds, what is wrong with it is told soon, and at most a thousand times."""
    file, text = FILES[name]
    root = write(tmp_path, {file: text(size)})
    began, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(SpecErrors) as caught:
        load(root)
    shown = problems_text(caught.value.problems)
    assert 0 < len(caught.value.problems) <= MOST_PROBLEMS + 2
    assert len(shown) < 1_000_000
    assert time.process_time() - began < SECONDS[size]
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024 < MEBIBYTES


def test_what_is_told_of_too_many_problems(tmp_path):
    """The first thousand problems of a document, and that there are more."""
    found = problems(
        write(tmp_path, {"a.yaml": "- ~\n" * (MOST_PROBLEMS + 1), "b.yaml": "- ~\n" * (MOST_PROBLEMS - 1)})
    )
    said = "a.yaml:1001:3: more than 1,000 problems; fix these first, then run again"
    assert [said] == [line for line in found if "more than" in line]
    assert 1 + MOST_PROBLEMS == sum(line.startswith("a.yaml") for line in found)


def test_the_project_file_is_read_as_strictly(tmp_path):
    """A bomb there, or patterns that stand for very many, are problems of it."""
    assert "aliases expand" in problems(write(tmp_path, project=ALIASES["aliases in a list"]))[0]
    many = "{" + "," * 200_000 + "}" + "x" * 200_000
    text = PROJECT.replace("spec:\n", f"spec:\n  specs: ['{many}']\n", 1)
    (line,) = problems(write(tmp_path, project=text))
    assert line.endswith("expands to more than 1000 patterns")
    text = PROJECT.replace("spec:\n", f"spec:\n  specs: [{', '.join(f'a{i}.yaml' for i in range(1001))}]\n", 1)
    assert ["reconciler.yaml:5:10: spec.specs: expands to more than 1000 patterns"] == problems(
        write(tmp_path, project=text)
    )


@pytest.mark.campaign
def test_a_pattern_is_matched_without_trying_everything():
    """Many depths in one pattern take no longer than one."""
    began = time.process_time()
    assert not matches(("**", "a") * 20 + ("x",), ("a",) * 60)
    assert time.process_time() - began < 1
    assert [("**", "a")] == expanded("**/**/**/a")


@pytest.mark.campaign
def test_links_between_folders_are_counted(tmp_path, monkeypatch):
    """Ten folders that link to each other are three million paths: they are counted and not walked."""
    root = write(tmp_path, {f"d{i}/x.txt": "" for i in range(10)})
    for i in range(10):
        for j in range(10):
            if i != j:
                (root / f"d{i}" / f"to{j}").symlink_to(f"../d{j}")
    monkeypatch.setattr("reconciler.specs.files.MOST_LINKED", 2000)
    began = time.process_time()
    found = problems(root)
    assert "symlinks to folders lead to more than 2,000 files and folders" in {line.split(": ")[1] for line in found}
    assert time.process_time() - began < SECONDS[SMALL]


def test_very_deep_folders_are_a_problem(tmp_path):
    """Folders nested deeper than any project's are named and not followed."""
    root = write(tmp_path, {"a.yaml": SPEC})
    (root / "/".join("d" * 100)).mkdir(parents=True)
    (line,) = problems(root)
    assert line.endswith("d/d:1:1: folders nested deeper than 64 levels")


def test_many_files(tmp_path):
    """Thousands of files with something wrong are all told."""
    found = problems(write(tmp_path, {f"f{i:04}.yaml": "a: ~\n" for i in range(300)}))
    assert {f"f{i:04}.yaml" for i in range(300)} == {line.split(":")[0] for line in found}


@pytest.mark.parametrize(("size", "read"), [(MOST_BYTES, True), (MOST_BYTES + 1, False)])
def test_the_limit_of_a_file_is_to_the_byte(tmp_path, size, read):
    """1 MiB is read, in characters of several bytes too; one byte more is not."""
    text = SPEC.encode() + "# é".encode()
    write(tmp_path, {"a.yaml": text + b"#" * (size - len(text))})
    if read:
        assert 1 == load(tmp_path).count
    else:
        assert ["a.yaml:1:1: larger than 1 MiB: split the file"] == problems(tmp_path)
