"""Tests that a plan that reads only changed files and specs with something to do equals the plan that reads all
files."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from reconciler.app import specs_at_rest
from reconciler.core import decide
from reconciler.core.at_rest import is_at_rest
from reconciler.core.decide import plan
from reconciler.core.desired import Desired
from reconciler.core.plan import Plan
from reconciler.specs import stamps
from reconciler.specs.files import Folder
from reconciler.specs.parse import SourceText
from reconciler.specs.private_cache import PrivateCache
from reconciler.specs.spec import ReadSpec
from tests.cli.test_stored_output import edit_within_a_second, swap
from tests.cli.world import Done, World

PLAN = ("plan", "--no-refresh", "--format", "markdown")
JSON = ("plan", "--no-refresh", "--format", "json")
TEXT = ("plan", "--no-refresh", "--detailed-exitcode")
OTHERS = (
    TEXT,
    ("plan", "--no-refresh", "--only", "orders"),
    (*JSON, "--only", "visits", "--only", "clicks"),
    (*JSON, "--at", "2100-01-01"),
    ("plan", "--no-refresh", "--format", "junit"),
    (*PLAN, "--only", "missing"),
)
FILES = ["clicks.yaml", "daily.yaml", "orders.yaml", "visits.yaml"]


@pytest.fixture
def reads(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Records which spec files are read; every stamp is treated as reliable. One spec is scheduled, one depends on
    another, and none has a pending action."""
    paths: list[str] = []
    real = Folder.read

    def read(self: Folder, path: str) -> SourceText:
        if path != "reconciler.yaml":
            paths.append(path)
        return real(self, path)

    monkeypatch.setattr(Folder, "read", read)
    monkeypatch.setattr(stamps, "RACY_NS", 0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    world.aws.configure(run_seconds=0)
    world.batch("clicks", "A")
    world.batch("orders", "A", dependsOn="[{name: clicks}]", labels="{team: a}")
    world.batch("daily", "A", schedule="0 0 1 1 *")
    world.spark("visits", "A")
    for command in (("apply", "--yes"), ("reconcile",), ("reconcile",)):
        assert world.run(*command).code == 0
    assert world.run(*PLAN).code == 0
    paths.clear()
    return paths


def entry() -> str:
    """Returns the name of the newest cache entry."""
    folder = Path(os.environ["XDG_CACHE_HOME"]) / "reconciler"
    return max(folder.glob("at-rest-*"), key=lambda path: path.stat().st_mtime_ns).name


def same_plans(world: World, *more: tuple[str, ...]) -> None:
    """Compares plans from the cache with plans from the files that decide about each spec."""
    for how in (PLAN, (*JSON, "--detailed-exitcode"), *more):
        cached = world.run(*how)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(specs_at_rest, "is_at_rest", lambda *_: False)
            anew = world.run(*how, "--no-cache")
        assert (cached.code, cached.err, shown(cached)) == (anew.code, anew.err, shown(anew))


def shown(done: Done) -> str:
    """Returns the output of a plan without its time."""
    return without_time(done.out)


def without_time(text: str) -> str:
    """Returns a plan without the time at which it was made, and without its checksum."""
    return re.sub(r'planned \S+|"created_at": "[^"]*"|sha256:\w+', "", text)


def test_only_changed_files_and_the_specs_they_refer_to_are_read(world: World, reads: list[str]):
    """For an unchanged project, no spec file is read. A changed spec is read together with its dependency."""
    world.run(*PLAN)
    assert reads == []
    world.batch("orders", "B", dependsOn="[{name: clicks}]", labels="{team: a}")
    world.run(*PLAN)
    assert reads == ["orders.yaml", "clicks.yaml"]
    same_plans(world)


def test_a_plan_without_a_cache_decides_only_about_specs_with_something_to_do(
    world: World, reads: list[str], monkeypatch: pytest.MonkeyPatch
):
    """All files are read, but no plan decides about a spec whose run succeeded, whether it counts, prints or saves such
    specs. It decides about a scheduled or changed spec, and reads the specs that it refers to again."""
    decided: list[list[str]] = []

    def recording(desired: Desired, *rest: Any) -> Plan:
        decided.append(sorted(desired.specs))
        return plan(desired, *rest)

    monkeypatch.setattr(decide, "plan", recording)
    for change, expected, more in (
        (None, ["daily"], []),
        ("B", ["clicks", "daily", "orders"], ["clicks.yaml"]),
    ):
        if change is not None:
            world.batch("orders", change, dependsOn="[{name: clicks}]", labels="{team: a}")
        for how in (PLAN, JSON, (*TEXT, "--out", "saved.plan")):
            reads.clear()
            assert world.run(*how, "--no-cache").code in {0, 2}
            assert reads == [*FILES, *more]
            assert decided.pop() == expected
        saved = (world.folder / "saved.plan").read_text()
        monkeypatch.setattr(specs_at_rest, "is_at_rest", lambda *_: False)
        world.run(*TEXT, "--out", "saved.plan")
        monkeypatch.setattr(specs_at_rest, "is_at_rest", is_at_rest)
        assert sorted(decided.pop()) == ["clicks", "daily", "orders", "visits"]
        assert without_time((world.folder / "saved.plan").read_text()) == without_time(saved)


def test_a_spec_with_something_to_do_is_read_each_time(world: World, reads: list[str]):
    """The change is shown with its fields, which are not in the cache, until it was applied and its run has ended."""
    world.spark("visits", "SECRET-OF-NOBODY")
    for _ in range(2):
        reads.clear()
        assert "SECRET-OF-NOBODY" in world.run(*PLAN).out
        assert reads == ["visits.yaml"]
    world.run("apply", "--yes")
    world.run("reconcile")
    for expected in (["visits.yaml"], []):
        reads.clear()
        world.run(*PLAN)
        assert reads == expected
    assert b"SECRET-OF-NOBODY" not in (PrivateCache(os.environ).read(entry()) or b"")
    same_plans(world)


CHANGES: tuple[Callable[[World], object], ...] = (
    lambda _: None,
    edit_within_a_second,
    swap,
    lambda world: world.batch("new", "A"),
    lambda world: world.batch("orders", "A", dependsOn="[{name: missing}]"),
    lambda world: world.batch("orders", "A", dependsOn="[{name: visits}]"),
    lambda world: world.batch("visits", "A", dependsOn="[{name: orders}]"),
    lambda world: world.spark("visits", "A"),
    lambda world: world.batch("daily", "A", schedule="5 0 1 1 *"),
    lambda world: world.run("apply", "--yes"),
    lambda world: world.run("reconcile"),
    lambda world: (world.folder / "clicks.yaml").unlink(),
    lambda world: world.batch("clicks", "A", targets="[local]"),
    lambda world: world.batch("orders", "A"),
    lambda world: world.write("broken.yaml", "kind: BatchJob\n"),
    lambda world: (world.folder / "broken.yaml").unlink(),
    lambda world: world.write("twice.yaml", (world.folder / "visits.yaml").read_text()),
    lambda world: (world.folder / "twice.yaml").unlink(),
    lambda world: world.batch("orders", "A", suspend='{until: "2026-01-01"}'),
    lambda world: world.run("reconcile"),
)


def test_the_plan_from_the_cache_is_the_plan_from_the_files(world: World, reads: list[str]):
    """After each change, both plans are the same in each format, and so are the problems and the exit codes."""
    for change, other in zip(CHANGES, cycle(OTHERS), strict=False):
        change(world)
        same_plans(world, other)


def test_a_pending_change_is_compared_with_the_cache(world: World, reads: list[str], monkeypatch: pytest.MonkeyPatch):
    """As long as no name, kind, target or reference changes, only specs to which others refer are checked again, also
    if the changed file was read before."""
    restored: list[str] = []
    real = specs_at_rest._restored

    def restoring(path: str, form: specs_at_rest.Spec) -> ReadSpec:
        restored.append(path)
        return real(path, form)

    monkeypatch.setattr(specs_at_rest, "_restored", restoring)
    for argument in ("B", "B", "C"):
        world.spark("visits", argument)
        assert "visits" in world.run(*PLAN).out
        assert restored == []
    world.spark("visits", "C", dependsOn="[{name: orders}]")
    world.run(*PLAN)
    assert restored == ["clicks.yaml", "daily.yaml"]
    same_plans(world)


def test_a_plan_as_json_decides_about_a_spec_that_is_not_at_rest(world: World, reads: list[str]):
    """The actions of other specs follow from the ledger and from their locations in the cache. A plan of one spec reads
    no other spec. The cache serves plans in both formats."""
    for how, expected in (
        (JSON, ["daily.yaml"]),
        (("plan", "--no-refresh", "--only", "orders"), []),
        ((*JSON, "--only", "orders"), ["daily.yaml"]),
        (PLAN, []),
    ):
        reads.clear()
        assert world.run(*how).code == 0
        assert reads == expected
    world.batch("orders", "B", dependsOn="[{name: clicks}]", labels="{team: a}")
    same_plans(world, *OTHERS)


def test_a_plan_against_a_base_reads_the_changed_files_of_the_checkout(world: World, reads: list[str]):
    """The origins of the changes are the same as without a cache."""
    world.git("init", "--quiet", "--initial-branch=main")
    world.commit()
    world.git("checkout", "--quiet", "-b", "other")
    world.run(*PLAN)
    world.batch("orders", "B", dependsOn="[{name: clicks}]", labels="{team: a}")
    world.commit()
    base = ("plan", "--no-refresh", "--base", "main", "--format", "markdown")
    reads.clear()
    assert re.search(r"1 this.change", world.run(*base).out)
    assert reads == ["orders.yaml", "clicks.yaml"]
    same_plans(world, base, ("plan", "--no-refresh", "--base", "main", "--format", "json"))


def leaves(value: Any, *path: str | int) -> Iterator[tuple[str | int, ...]]:
    """Yields the path of each value that is not a list or an object."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, *path, key)
    else:
        yield path


def forged(content: bytes, path: tuple[str | int, ...]) -> bytes:
    """Returns the content of the cache with another value of the same type at one path."""
    form = json.loads(content)
    inner = form
    for key in path[:-1]:
        inner = inner[key]
    value = inner[path[-1]]
    inner[path[-1]] = value + 1 if isinstance(value, int) else f"{value}x" if value else "visits"
    return json.dumps(form).encode()


def test_a_forged_field_never_changes_what_runs(world: World, reads: list[str]):
    """After a change to one spec, each value in the cache is forged in turn. No plan fails with a traceback, and
    `apply` submits exactly that change."""
    content = PrivateCache(os.environ).read(entry()) or b""
    world.spark("visits", "B")
    before = len(world.runs())
    name = entry()
    for how in (PLAN, JSON):
        plain = shown(world.run(*how, "--no-cache"))
        for path in leaves(json.loads(content)):
            if path[0] != 4 or path[1] == "orders.yaml":  # the entries for the files have the same form
                PrivateCache(os.environ).write(name, forged(content, path))
                done = world.run(*how)
                assert done.code in {0, 1}
                assert "bug" not in done.err
                assert shown(done) == plain or path[0] == 4
    reads.clear()
    assert world.run("apply", "--yes").code == 0
    assert sorted(set(reads)) == FILES
    assert len(world.runs()) == before + 1


NEVER_WRITTEN = (
    b'[0,1180591620717411303424,"a",0,{}]',
    b"",
    b"[]",
    b"{}",
    b"\xff",
    b'[0,1,"a",0,{}]',
    b'[0,1,"a",0,{"clicks.yaml":[[1,2,3,4,5],[["a"]]]}]',
)


def test_content_that_this_version_never_writes_is_no_error(world: World, reads: list[str]):
    """All files are read, and the cache is rewritten. The same happens after a truncation or a flipped bit."""
    expected = shown(world.run(*PLAN))
    file = Path(os.environ["XDG_CACHE_HOME"]) / "reconciler" / entry()
    whole = file.read_bytes()
    for content in (*NEVER_WRITTEN, whole[:-1], whole[:-1] + b" "):
        if content in NEVER_WRITTEN:
            PrivateCache(os.environ).write(file.name, content)
        else:
            file.write_bytes(content)
        reads.clear()
        assert shown(world.run(*PLAN)) == expected
        assert sorted(reads) == FILES


def test_what_proves_nothing_is_not_used(world: World, reads: list[str], monkeypatch: pytest.MonkeyPatch):
    """A plan reads all files if they have just changed, if they are on a network file system, if the clock was set
    back, and with another version of the program, another project file or another ledger. The file of a spec is also
    read if its next slot is due."""
    cache, name = PrivateCache(os.environ), entry()
    whole = cache.read(name) or b""

    def read_by_plan(since: int | None = None, checksum: str | None = None, slot: str | None = None) -> list[str]:
        form = json.loads(whole)
        form[0], form[2] = since or form[0], checksum or form[2]
        form[4]["daily.yaml"][1][0][-1] = slot or form[4]["daily.yaml"][1][0][-1]
        cache.write(name, json.dumps(form).encode())
        reads.clear()
        world.run(*PLAN)
        return sorted(reads)

    assert read_by_plan() == []
    assert read_by_plan(since=2**62) == FILES
    assert read_by_plan(checksum="0" * 64) == FILES
    assert read_by_plan(slot="2026-01-01T00:00:00Z") == ["daily.yaml"]
    for function, value in (("has_unreliable_times", lambda _: True), ("code_version", lambda: "another")):
        with monkeypatch.context() as patch:
            patch.setattr(specs_at_rest, function, value)
            assert read_by_plan() == FILES
    path = world.folder / "reconciler.yaml"
    path.write_text(path.read_text() + "\n# changed\n")
    monkeypatch.setattr(stamps, "RACY_NS", 3_600_000_000_000)
    assert read_by_plan() == FILES
    assert read_by_plan() == FILES


WITHOUT_CACHE = (
    ("reconcile",),
    ("plan", "--no-refresh", "--out", "saved.plan"),
    ("plan", "--no-refresh", "-l", "team=a"),
    (*PLAN, "--no-cache"),
    ("apply", "--yes"),
)


def test_other_commands_read_all_files(world: World, reads: list[str]):
    """Commands that apply or save a plan, or select specs by their labels, do not use the cache."""
    for command in WITHOUT_CACHE:
        reads.clear()
        assert world.run(*command).code == 0
        assert sorted(set(reads)) == FILES
