"""Reads, runs, compares and rewrites the console blocks in documents."""

from __future__ import annotations

import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.project.place import COMMAND, environment, run

BLOCK = re.compile(
    r"(?:<!-- after the run of (?P<wait>[\w-]+) has ended -->\n)?```console\n(?P<body>.*?)```\n", re.DOTALL
)
WAIT_LOOKS = 120

VOLATILE = (
    (re.compile(r"(totalResourceUtilization +)\{[^}]*\}"), r"\1<used>"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?"), "<time>"),
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "<run>"),
    (re.compile(r"\b00[a-z0-9]{14}\b"), "<run>"),
    (re.compile(r"\b(?=[0-9]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{7,40}\b"), "<commit>"),
    (re.compile(r"\b\d+(\.\d+)? ?(ms|s|seconds?|min|minutes?)\b( ago)?"), "<duration>"),
    (re.compile(r"^(  actor +).*$", re.MULTILINE), r"\1<actor>"),
    (re.compile(r"^(  tool version +).*$", re.MULTILINE), r"\1<version>"),
    (re.compile(r" +"), " "),  # the width of columns depends on what was replaced
)


@dataclass(frozen=True)
class Step:
    """One command in a document, with the output that the document shows."""

    command: str
    shown: str


@dataclass(frozen=True)
class Block:
    """One console block: its position in the text, the specs whose runs must have ended before it, and its steps."""

    start: int
    end: int
    wait: str | None
    steps: tuple[Step, ...]


def blocks(text: str) -> list[Block]:
    """Returns the console blocks of a document, in order."""
    return [
        Block(found.start("body"), found.end("body"), found["wait"], tuple(_steps(found["body"])))
        for found in BLOCK.finditer(text)
    ]


def _steps(body: str) -> list[Step]:
    parts = re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]
    return [Step(*_halves(part)) for part in parts]


def _halves(part: str) -> tuple[str, str]:
    """Returns a command, including lines that continue it after a backslash, and the output below it."""
    lines = part.splitlines(keepends=True)
    last = next(number for number, line in enumerate(lines) if not line.endswith("\\\n"))
    return "".join(lines[: last + 1]).rstrip("\n"), "".join(lines[last + 1 :])


def output(block: Block, cwd: Path) -> list[str]:
    """Runs the commands of a block in `cwd`, and returns the output of each."""
    if block.wait:
        until_ended(block.wait, cwd)
    return [_typed(step.command, cwd) for step in block.steps]


def _typed(command: str, cwd: Path) -> str:
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=cwd,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    return "\n".join(line.rstrip() for line in done.stdout.splitlines()) + ("\n" if done.stdout else "")


def until_ended(name: str, cwd: Path) -> None:
    """Polls the state of a spec's run until it has ended."""
    for _ in range(WAIT_LOOKS):
        done = run([COMMAND, "status", "--only", name, "--format", "json"], cwd)
        if re.search(r'"state": ?"(succeeded|failed|cancelled)"', done.stdout):
            return
        time.sleep(0.3)
    raise AssertionError(f"the run of {name} has not ended: {done.stdout}{done.stderr}")


def plain(text: str) -> str:
    """Replaces everything that differs between runs with placeholders."""
    for pattern, word in VOLATILE:
        text = pattern.sub(word, text)
    return text


def renewed(text: str, outputs: list[list[str]]) -> str:
    """Returns the document with its output replaced by `outputs`, block by block."""
    pairs = list(zip(blocks(text), outputs, strict=True))
    for block, printed in reversed(pairs):
        body = "".join(f"$ {step.command}\n{out}" for step, out in zip(block.steps, printed, strict=True))
        text = text[: block.start] + body + text[block.end :]
    return text
