"""Checks a model with one flag: spin searches its states exhaustively."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

MODELS = Path(__file__).resolve().parents[2] / "docs/models"

HOLDS = "holds"
"""Every state was visited, and no assertion failed in any of them."""

COUNTEREXAMPLE = "counterexample"
"""An assertion failed."""

BROKEN = (
    "NO_INTENT",
    "UNASKED",
    "NO_DEADLINE",
    "DEADLINE_AFTER_INTENT",
    "DEADLINE_BEFORE_SIGNING",
    "SDK_RETRY",
    "NO_SIGNATURE_AGE",
    "UNCLEAR_IS_REFUSED",
    "TIMEOUT_IS_UNSENT",
    "REFUSAL_CLOSES_ALL",
    "LATE_REFUSAL_UNDOES",
    "NO_SETTLING",
    "SHORT_SETTLING",
    "SETTLED_BY_FIRST",
    "NO_LOOKS",
    "ONE_LOOK",
    "LOOKS_TOGETHER",
    "NO_MEMORY_BOUND",
    "LATE_LOOKS",
    "SUPERSEDED_AT_ONCE",
    "SUPERSEDED_UNASKED",
)
"""Each flag removes one rule, or breaks one condition, in both models."""

BROKEN_BATCH = ("COMES_TWICE",)
BROKEN_EMR = (
    "FRESH_TOKEN",
    "SHORT_TOKEN",
    "REPEATS_FOR_EVER",
    "REPEAT_PROVES",
    "REFUSED_COMES_TWICE",
    "SECOND_ANSWER",
)
REACHES = ("REACHES_ADOPTION", "REACHES_RESEND", "REACHES_HOLD", "REACHES_GIVING_UP")
"""Each flag claims that a desirable state is never reached; if the claim held, the model would prove nothing."""

REACHES_EMR = ("REACHES_SAME_RUN",)

SECONDS = 300
"""The time limit of a search in seconds."""


@dataclass(frozen=True, slots=True)
class Check:
    """A model, the flag that it is compiled with (or an empty text), and the expected result."""

    model: str
    flag: str
    expected: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a search. `result` is `HOLDS`, `COUNTEREXAMPLE`, or the reason why the search proved nothing."""

    result: str
    states: int
    seconds: float


def _checks(model: str, flags: tuple[str, ...]) -> tuple[Check, ...]:
    return (Check(model, "", HOLDS), *(Check(model, flag, COUNTEREXAMPLE) for flag in flags))


CHECKS = _checks("batch", BROKEN + BROKEN_BATCH + REACHES) + _checks("emr", BROKEN + BROKEN_EMR + REACHES + REACHES_EMR)


def run_check(check: Check) -> Outcome:
    """Compiles and searches the model in a temporary folder.

    Raises `subprocess.CalledProcessError` if spin or gcc refuse it.
    """
    flags = [f"-D{check.flag}"] if check.flag else []
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for file in MODELS.glob("*.pml"):
            shutil.copy(file, folder)
        _tool(folder, "spin", *flags, "-a", f"{check.model}.pml")
        _tool(folder, "gcc", "-O2", "-w", "-DSAFETY", "-DCOLLAPSE", "-DMEMLIM=2000", "-o", "pan", "pan.c")
        try:
            output = _tool(folder, "./pan", "-m100000", "-n")
        except subprocess.TimeoutExpired:
            return Outcome("out of time", 0, time.monotonic() - started)
    states = re.search(r"(\d+) states, stored", output)
    return Outcome(verdict(output), int(states[1]) if states else 0, time.monotonic() - started)


def verdict(output: str) -> str:
    """Returns the result according to the output of a search. A search that was cut off can only prove a
    counterexample."""
    if "assertion violated" in output:
        return COUNTEREXAMPLE
    if "max search depth too small" in output or "Search not completed" in output or "out of memory" in output:
        return "cut off"
    return HOLDS if re.search(r"errors: 0$", output, re.MULTILINE) else "another error"


def _tool(folder: str, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)
    if command[0] != "./pan":  # the result of a search is in its output, not in its exit code
        done.check_returncode()
    return done.stdout + done.stderr
