"""The targets of the fuzzer: everyday on their seeds, under atheris in `make soak`."""

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
    """The seeds are good inputs: they go all the way."""
    for seed in seeds(target):
        TARGETS[target](seed)


@st.composite
def spoilt(draw: st.DrawFn, seed: bytes) -> bytes:
    """A seed with a few places changed."""
    content = seed
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        end = start + draw(st.sampled_from([0, 0, 1, 2, 10, 100, 1000]))
        content = content[:start] + draw(st.one_of(st.sampled_from(PIECES), st.binary(max_size=4))) + content[end:]
    return content


@pytest.mark.parametrize("target", TARGETS)
def test_spoilt_seeds_end_quietly(target):
    """The same inputs, in every run of the tests, with a few bytes changed, added or cut."""

    @settings(max_examples=25, deadline=None, derandomize=True, database=None)
    @given(st.sampled_from(seeds(target)).flatmap(spoilt))
    def ends_quietly(content: bytes) -> None:
        TARGETS[target](content)

    ends_quietly()


@pytest.mark.soak
@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None,
    reason="atheris is not installed: it has wheels for some versions of Python only (pip install '.[fuzz]')",
)
@pytest.mark.parametrize("target", TARGETS)
def test_a_guided_search_finds_nothing(target, tmp_path):
    """atheris looks for inputs that reach new lines, for some time, and none of them ends badly, hangs or grows."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.harness", target, str(SECONDS), str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=SECONDS + 240,
        check=False,
    )
    found = {path.name: path.read_bytes() for path in tmp_path.glob("found-*")}
    assert (0, {}) == (done.returncode, found), done.stderr[-6000:]
    ran = re.search(r"stat::number_of_executed_units:\s+(\d+)", done.stderr)
    assert ran is not None, done.stderr[-2000:]
    assert int(ran[1]) > 100
