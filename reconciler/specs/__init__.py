"""Reads the files of a project into validated, rendered specs, and locates every problem in them.

Allowed here: the listing of files, the strict YAML and JSON readers, placeholders, problems, git, the scaffold
and the JSON Schema. Not allowed: AWS, the ledger, or decisions about what runs.
"""

import os
from pathlib import Path

from reconciler.errors import ReconcilerError

PROJECT_FILE = "reconciler.yaml"
SPECS_FOLDER = "specs"


def project_folder(chosen: Path | None, cwd: Path) -> Path | None:
    """Returns the project folder: `chosen` (``-C DIR``, relative to `cwd`), else `cwd`, else its ``specs`` folder.
    Returns `None` if it has no ``reconciler.yaml``. Raises `ReconcilerError` if the folder may not be searched.
    """
    for folder in (cwd, cwd / SPECS_FOLDER) if chosen is None else (cwd / chosen,):
        try:
            os.lstat(folder / PROJECT_FILE)
        except PermissionError:
            raise ReconcilerError(f"the folder {folder} cannot be read: permission denied") from None
        except (OSError, ValueError):
            continue
        return folder  # also if the project file is unusable, which raises an error of its own
    return None
