"""Tests `status --watch` on a terminal, and `graph`."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import time

from tests.cli.world import World, forked_command
from tests.waiting import PATIENCE_SECONDS


def read_until(terminal: int, *wanted: str) -> str:
    """Reads the terminal until all of `wanted` has appeared, and returns the text."""
    shown, deadline = "", time.monotonic() + PATIENCE_SECONDS
    while not all(text in shown for text in wanted):
        assert time.monotonic() < deadline, shown
        if select.select([terminal], [], [], 0.5)[0]:
            shown += os.read(terminal, 65536).decode(errors="replace")
    return shown


def test_watch_shows_the_table_until_interrupted(world: World):
    """Problems in the project are shown below the table. Ctrl-C ends the command with exit code 0."""
    world.batch("clicks")
    world.run("apply", "--yes")
    world.write("zzz.yaml", "a: [")
    terminal, other = pty.openpty()
    env = {**world.environment(), "COLUMNS": "120", "LINES": "40", "TERM": "xterm"}
    process = subprocess.Popen(
        [forked_command(), "status", "--watch"],
        cwd=world.folder,
        env=env,
        stdin=other,
        stdout=other,
        stderr=subprocess.PIPE,
    )
    os.close(other)
    try:
        shown = read_until(terminal, "clicks", "1 of 1 in sync.", "expected a value", "(Ctrl-C ends)")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=PATIENCE_SECONDS) == 0, process.stderr.read() if process.stderr else ""
    finally:
        process.kill()
        process.communicate()
        os.close(terminal)
    assert shown.index("clicks") < shown.index("expected a value")


def test_watch_needs_a_terminal(world: World):
    """The error message suggests a command for scripts."""
    done = world.run("status", "--watch")
    assert (done.code, "status --format json" in done.err) == (64, True)
    assert world.run("status", "--watch", "--format", "json").code == 64


def diamond(world: World) -> None:
    """Writes five specs: four that form a diamond, and one without dependencies."""
    world.batch("extract")
    world.batch("left", dependsOn="[{name: extract}]")
    world.spark("right", dependsOn="[{name: extract, condition: Completed}]")
    world.batch("load", dependsOn="[{name: left}, {name: right}]")
    world.batch("alone")


def test_graph_in_three_forms(world: World):
    """Dependencies are listed first, and each arrow shows its condition."""
    diamond(world)
    assert world.run("graph").out.splitlines() == [
        "alone",
        "extract",
        "left",
        "  after extract (Succeeded)",
        "right",
        "  after extract (Completed)",
        "load",
        "  after left (Succeeded)",
        "  after right (Succeeded)",
    ]
    mermaid = world.run("graph", "--format", "mermaid").out.splitlines()
    assert mermaid[0] == "flowchart LR"
    assert {'  s1["extract"]', "  s1 -->|Completed| s4"} <= set(mermaid)
    dot = world.run("graph", "--format", "dot").out
    assert dot.startswith("digraph specs {")
    assert '  "left" -> "load" [label="Succeeded"];' in dot


def test_graph_of_a_selection(world: World):
    """The graph shows the selected specs and their direct dependencies."""
    diamond(world)
    assert world.run("graph", "--only", "left").out.splitlines() == ["extract", "left", "  after extract (Succeeded)"]


def test_graph_of_an_array_dependency(world: World):
    """A dependency in a Batch request is shown with its type."""
    world.batch("extract")
    path = world.batch("each")
    path.write_text(
        path.read_text() + "    arrayProperties: {size: 3}\n    dependsOn: [{spec: extract, type: N_TO_N}]\n"
    )
    assert world.run("graph").out.splitlines() == ["extract", "each", "  after extract (N_TO_N)"]
