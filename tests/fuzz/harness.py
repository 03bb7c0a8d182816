"""Runs one target under atheris for some seconds: `python -m tests.fuzz.harness TARGET SECONDS FOLDER`.

The seeds, the inputs that libFuzzer adds, and inputs that fail are written to FOLDER. Exits 0 if no input failed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

LONGEST_INPUT_SECONDS = 20
MEBIBYTES = 2048

with atheris.instrument_imports(include=["reconciler"]):
    from tests.fuzz.targets import TARGETS, seeds


def main(target: str, seconds: str, folder: Path) -> None:
    """Fuzzes until the time is over or an input fails, and never returns."""
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(target)):
        (corpus / f"seed-{number}").write_bytes(seed)
    arguments = [
        sys.argv[0],
        str(corpus),
        f"-max_total_time={int(seconds)}",
        f"-timeout={LONGEST_INPUT_SECONDS}",
        f"-rss_limit_mb={MEBIBYTES}",
        "-max_len=20000",
        f"-artifact_prefix={folder}/failing-",
        "-print_final_stats=1",
    ]
    atheris.Setup(arguments, TARGETS[target])
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
