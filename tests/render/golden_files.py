"""Compares output with golden files, which contain the expected output and are stored next to the tests.

`UPDATE_GOLDEN=1 pytest tests/render` rewrites them. Review the difference before you commit it.
"""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(__file__).parent / "golden"


def check(name: str, text: str) -> None:
    """Asserts that the golden file `name` contains exactly `text` and a line break."""
    path = FOLDER / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_bytes(f"{text}\n".encode())
    assert path.read_bytes().decode() == f"{text}\n"
