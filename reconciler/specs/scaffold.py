"""Writes a first project, which passes `validate` and runs on the emulator without an AWS account."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from textwrap import indent

from reconciler.errors import ReconcilerError, UsageError
from reconciler.model.kind import MODULES, Kind, kind_named
from reconciler.model.project import STATE_FOLDER
from reconciler.model.spec import API_VERSION, NAME_PATTERN
from reconciler.specs.files import PROJECT_FILE
from reconciler.specs.problems import HINTS
from reconciler.specs.schema import schema

_NAME = re.compile(NAME_PATTERN)
SCHEMA_FILE = ".schema.json"

_PROJECT = f"""\
# yaml-language-server: $schema=./{SCHEMA_FILE}
apiVersion: reconciler/v1
kind: Project
metadata:
  name: NAME
spec:
  defaultTarget: local
  vars:
    bucket: my-bucket
  targets:
    local:
      emulator: true             # an embedded AWS: nothing leaves this machine
      vars:
        application_id: 00example0application
    # prod:
    #   account: "111122223333"
    #   region: eu-west-1
    #   ledger: s3://my-ledger-bucket/NAME
    #   vars:
    #     application_id: 00f1abcdefg
"""


def init(root: Path, name: str | None = None) -> list[Path]:
    """Writes a new project into a folder, which is created if necessary, and returns its files.

    `name` is the project's; `None`: derived from the folder's. Raises `UsageError` for an invalid name, and if one of
    the files exists already: then nothing is written.
    """
    name = _name_of(root) if name is None else name
    if not _NAME.fullmatch(name):
        raise UsageError(f"invalid project name {name!r}: {HINTS[NAME_PATTERN]}")
    kinds = [kind_named(each) for each in MODULES]
    files = {
        PROJECT_FILE: _PROJECT.replace("NAME", name),
        **{f"{kind.example[0]}.yaml": _spec(kind) for kind in kinds},
        SCHEMA_FILE: json.dumps(schema(), indent=1, ensure_ascii=False) + "\n",
        ".gitignore": f"/{STATE_FOLDER}/\n",
    }
    for file in files:
        if os.path.lexists(root / file):
            raise UsageError(f"{root / file} exists already; nothing was written")
    try:
        root.mkdir(parents=True, exist_ok=True)
        for file, text in files.items():
            with (root / file).open("x", encoding="utf-8") as written:
                written.write(text)
    except OSError as error:
        raise ReconcilerError(f"cannot write {error.filename}: {error.strerror}") from None
    return [root / file for file in files]


def _spec(kind: Kind) -> str:
    """The text of an example spec."""
    name, request = kind.example
    return f"""\
# yaml-language-server: $schema=./{SCHEMA_FILE}
apiVersion: {API_VERSION}
kind: {kind.name}
metadata:
  name: {name}
  labels:
    team: examples
spec:
  request:                       # every field of {kind.operation}
{indent(request, "    ")}"""


def _name_of(root: Path) -> str:
    """A project name like the folder's."""
    words = re.sub(r"[^a-z0-9]+", "-", root.resolve().name.lower())[:63].strip("-")
    return words or "my-project"
