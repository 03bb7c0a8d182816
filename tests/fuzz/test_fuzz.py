"""Runs the fuzz targets on their seeds in `make test`, and under atheris in `make soak`."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.campaigns import examples
from tests.fuzz.targets import TARGETS, seeds

ROOT = Path(__file__).parents[2]
SECONDS = int(os.environ.get("FUZZ_SECONDS", "40"))
PIECES = (
    b"${",
    b"}",
    b'"',
    b"'",
    b"\\",
    b"\n",
    b": ",
    b"- ",
    b"[",
    b"{",
    b"&a ",
    b"*a",
    b"<<",
    b"!!x ",
    b"\x00",
    b"\xff",
    b"::",
)


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_takes_its_seeds(target):
    """Every target accepts its seeds."""
    for seed in seeds(target):
        TARGETS[target](seed)


@st.composite
def spoilt(draw: st.DrawFn, seed: bytes) -> bytes:
    """Returns a seed with a few random changes."""
    content = seed
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        end = start + draw(st.sampled_from([0, 0, 1, 2, 10, 100, 1000]))
        content = content[:start] + draw(st.one_of(st.sampled_from(PIECES), st.binary(max_size=4))) + content[end:]
    return content


@pytest.mark.parametrize("target", TARGETS)
def test_changed_seeds_raise_nothing(target):
    """A target raises no error for seeds with a few bytes changed, added or removed; every run tries the same
    inputs."""

    @settings(max_examples=examples(25), deadline=None, derandomize=True, database=None)
    @given(st.sampled_from(seeds(target)).flatmap(spoilt))
    def raises_nothing(content: bytes) -> None:
        TARGETS[target](content)

    raises_nothing()


@pytest.mark.soak
@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None,
    reason="atheris is not installed: it has wheels for some versions of Python only (pip install '.[fuzz]')",
)
@pytest.mark.parametrize("target", TARGETS)
def test_a_guided_search_finds_nothing(target, tmp_path):
    """atheris searches for inputs that reach new lines of code, and none of them fails, hangs or takes too much
    memory."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.harness", target, str(SECONDS), str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=SECONDS + 240,
        check=False,
    )
    failing = {path.name: path.read_bytes() for path in tmp_path.glob("failing-*")}
    assert (0, {}) == (done.returncode, failing), done.stderr[-6000:]
    ran = re.search(r"stat::number_of_executed_units:\s+(\d+)", done.stderr)
    assert ran is not None, done.stderr[-2000:]
    assert int(ran[1]) > 100
