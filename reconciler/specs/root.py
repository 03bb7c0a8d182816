"""Which folder is the project."""

from __future__ import annotations

from pathlib import Path

from reconciler.errors import UsageError
from reconciler.specs.files import PROJECT_FILE

SPECS_FOLDER = "specs"


def find_root(chosen: Path | None, cwd: Path) -> Path:
    """The project folder: `chosen` (``-C DIR``, relative to `cwd`), else `cwd` or its ``specs`` folder, whichever holds
    ``reconciler.yaml``. Raises `UsageError` where none does."""
    if chosen is not None:
        folder = cwd / chosen
        if not _is_project(folder):
            raise UsageError(f"{chosen} holds no {PROJECT_FILE}. To start a project there: reconciler -C {chosen} init")
        return folder
    for folder in (cwd, cwd / SPECS_FOLDER):
        if _is_project(folder):
            return folder
    raise UsageError(
        f"no {PROJECT_FILE} here or in ./{SPECS_FOLDER}: name the project folder with -C DIR, or start one with "
        "reconciler init"
    )


def _is_project(folder: Path) -> bool:
    # lexists: a project file that cannot be used is an error of its own, never "no project".
    return (folder / PROJECT_FILE).exists() or (folder / PROJECT_FILE).is_symlink()
