"""Writes the files of imported specs, as YAML that is read back as exactly the same request."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import takewhile
from typing import Any

import yaml

from reconciler.errors import ReconcilerError
from reconciler.model.base import JSON
from reconciler.model.spec import API_VERSION
from reconciler.redact.escape import escape
from reconciler.specs.file_patterns import patterns
from reconciler.specs.files import is_wanted
from reconciler.specs.yaml_nodes import plain

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
    raise ReconcilerError("no pattern of spec.specs matches a new file. Give a folder that one matches with --out DIR")
