"""Reads the files of a project into validated, rendered specs, and locates every problem in them.

Allowed here: the listing of files, the strict YAML and JSON readers, placeholders, problems, git, the scaffold
and the JSON Schema. Not allowed: AWS, the ledger, or decisions about what runs.
"""

import os
from pathlib import Path

PROJECT_FILE = "reconciler.yaml"
SPECS_FOLDER = "specs"


def project_folder(chosen: Path | None, cwd: Path) -> Path | None:
    """Returns the project folder: `chosen` (``-C DIR``, relative to `cwd`), else `cwd`, else its ``specs`` folder.
    Returns `None` if it has no ``reconciler.yaml``.
    """
    folders = (cwd, cwd / SPECS_FOLDER) if chosen is None else (cwd / chosen,)
    # An unusable project file raises its own error instead of "no project".
    return next((folder for folder in folders if os.path.lexists(folder / PROJECT_FILE)), None)
