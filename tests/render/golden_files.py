"""Golden files: what people and machines read, kept beside the tests.

`UPDATE_GOLDEN=1 pytest tests/render` writes them anew; read the difference before committing it.
"""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(__file__).parent / "golden"


def check(name: str, text: str) -> None:
    """Asserts that `text` is what the golden file `name` holds, byte for byte (and a line end)."""
    path = FOLDER / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_bytes(f"{text}\n".encode())
    assert path.read_bytes().decode() == f"{text}\n"
