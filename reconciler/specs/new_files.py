"""Writes new files: those of a first project, which passes `validate` and runs on the emulator without an AWS account,
and those of imported specs, as YAML that is read back as exactly the same request.
"""

import json
import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from textwrap import indent
from typing import Any

import yaml

from reconciler.errors import ReconcilerError, UsageError
from reconciler.model import STATE_FOLDER
from reconciler.model.base import JSON, PATTERN_HINTS
from reconciler.model.kind import MODULES, Kind, kind_named
from reconciler.model.spec import API_VERSION, NAME_PATTERN
from reconciler.redact.escape import escape
from reconciler.specs import PROJECT_FILE
from reconciler.specs.file_patterns import patterns
from reconciler.specs.files import is_wanted
from reconciler.specs.schema import schema
from reconciler.specs.yaml_nodes import plain
from reconciler.values import regex

_NAME = regex(NAME_PATTERN)
SCHEMA_FILE = ".schema.json"

GITIGNORE = ".gitignore"
IGNORED = (f"/{STATE_FOLDER}/", "*.sqlite", "*.sqlite-*", "plan.json", "*.plan", "*.plan.json")
"""Files that must not be committed: ledgers in files, plan files, and the emulator's state."""

FOLDERS = ("specs", "jobs", "reconciler")
"""Possible names for the folder of specs in the root of a repository, which also has other YAML files."""

_PROJECT = f"""\
# yaml-language-server: $schema=./{SCHEMA_FILE}
apiVersion: reconciler/v1
kind: Project
metadata:
  name: NAME
spec:SPECS
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


def init(root: Path, name: str | None = None) -> dict[Path, str]:
    """Writes a new project into a folder, creates the folder if necessary, and returns what was done with each file.

    In the root of a git repository the specs are written to a separate folder, because other YAML files there are not
    specs. An existing `.gitignore` is extended; any other existing file is an error, and nothing is written. `name` is
    the project's name; if it is `None`, the name is derived from the folder's name. Raises `UsageError` if a file
    exists or the name is invalid.
    """
    name = _name_of(root) if name is None else name
    if not _NAME.fullmatch(name):
        raise UsageError(f"invalid project name {name!r}: {PATTERN_HINTS[NAME_PATTERN]}")
    folder = next((each for each in FOLDERS if not os.path.lexists(root / each)), FOLDERS[0])
    files = _files(name, f"{folder}/" if os.path.lexists(root / ".git") else "")
    for file in files:
        if os.path.lexists(root / file):
            raise UsageError(f"{root / file} exists already; nothing was written")
    ignore = root / GITIGNORE
    if os.path.lexists(ignore) and (ignore.is_symlink() or not ignore.is_file()):
        raise UsageError(f"{ignore} exists already and is not a regular file; nothing was written")
    try:
        for file, text in files.items():
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            with (root / file).open("x", encoding="utf-8") as written:
                written.write(text)
        done = _ignore(ignore)
    except OSError as error:
        raise ReconcilerError(f"cannot write {error.filename}: {error.strerror}") from None
    return {**{root / file: "created" for file in files}, **({ignore: done} if done else {})}


def _files(name: str, folder: str) -> dict[str, str]:
    """Returns the text of each new file. The example specs are in `folder`."""
    specs = f'\n  specs: ["{folder}**/*.{{yaml,yml,json}}"]' if folder else ""
    up = "../" if folder else "./"
    return {
        PROJECT_FILE: _PROJECT.replace("NAME", name).replace("SPECS", specs),
        **{f"{folder}{kind.example[0]}.yaml": _spec(kind, up) for kind in map(kind_named, MODULES)},
        SCHEMA_FILE: json.dumps(schema(), indent=1, ensure_ascii=False) + "\n",
    }


def _ignore(file: Path) -> str | None:
    """Adds the missing entries to a ``.gitignore`` and returns what was done, or `None` if none are missing."""
    exists = file.exists()
    before = file.read_bytes() if exists else b""
    lines = {line.strip().removeprefix(b"/") for line in before.splitlines()}
    missing = [line for line in IGNORED if line.removeprefix("/").encode() not in lines]
    if not missing:
        return None
    start = b"" if not before or before.endswith(b"\n") else b"\n"
    with file.open("ab") as written:
        written.write(start + "".join(f"{line}\n" for line in missing).encode())
    return "extended" if exists else "created"


def _spec(kind: Kind, up: str) -> str:
    """Returns the text of an example spec. `up` is the relative path to the folder that contains the schema."""
    name, request = kind.example
    return f"""\
# yaml-language-server: $schema={up}{SCHEMA_FILE}
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
    """Derives a project name from the name of the folder."""
    words = re.sub(r"[^a-z0-9]+", "-", root.resolve().name.lower())[:63].strip("-")
    return words or "my-project"


LONGEST_NAME = 63
WIDTH = 100
FALLBACK = "imported"


class _Dumper(yaml.SafeDumper):
    """Indents lists, and quotes every string that would not be read as a string without quotes."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401 - any value
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = None
    if "\n" in text.rstrip("\n"):
        style = "|"
    elif len(text) > WIDTH and " " in text and "\n" not in text:
        style = ">"
    elif not text or not isinstance(plain(text), str):
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def spec_text(kind: str, name: str, policy: Mapping[str, Any], request: JSON, comments: Iterable[str]) -> str:
    """Returns the text of a spec. `policy` contains the fields of ``spec`` other than the request."""
    document = {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {"name": name},
        "spec": {**policy, "request": request},
    }
    lines = "".join(f"# {escape(comment)}\n" for comment in comments)
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=WIDTH)
    return lines + text


def unique_name(wanted: str, taken: Collection[str]) -> str:
    """Returns a valid spec name that is not in `taken` and is as close as possible to `wanted`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", wanted).lower()
    base = re.sub(r"[^a-z0-9]+", "-", words).strip("-")[:LONGEST_NAME].strip("-") or FALLBACK
    name, number = base, 1
    while name in taken:
        number += 1
        name = f"{base[: LONGEST_NAME - len(str(number)) - 1].rstrip('-')}-{number}"
    return name


def default_folder(written: Sequence[str]) -> str:
    """Returns the folder for new specs, relative to the project. This is the project folder (an empty path) if the
    patterns allow specs in it, otherwise the folder that a pattern starts with. `written` are the patterns of the
    project file. Raises `ReconcilerError` if no such folder exists."""
    wanted = patterns(written)
    starts = ("/".join(takewhile(lambda part: not set(part) & set("*?[{"), each.split("/"))) for each in written)
    for folder in ("", *starts):
        if is_wanted((*filter(None, folder.split("/")), f"{FALLBACK}.yaml"), wanted):
            return folder
    raise ReconcilerError(
        "no pattern in spec.specs matches a new file. With --out DIR, choose a folder that a pattern matches"
    )
