"""Completes the names of specs and targets in a shell, from the files of the project.

Completion reads only names. It validates nothing, calls no service, and prints nothing about a project that it cannot
read.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import click

    from reconciler.specs.project import ProjectFile

NAME = r"[\"']?([a-z0-9][-a-z0-9]*)"
SPEC_NAMES = (
    re.compile(rf"^metadata:[ \t]*(?:#.*)?\n(?:[ \t]+.*\n|[ \t]*\n)*?[ \t]+name:[ \t]*{NAME}", re.MULTILINE),
    re.compile(rf"[\"']?\bmetadata[\"']?[ \t]*:\s*\{{(?:[^{{}}]|\{{[^{{}}]*\}})*?[\"']?\bname[\"']?[ \t]*:\s*{NAME}"),
)
"""Matches the name in a spec's metadata, in block and in flow style, because this is faster than parsing YAML."""


def complete_specs(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Returns the names of specs that start with `incomplete`, sorted. Returns no names if the project cannot be
    read."""
    try:
        return _beginning(incomplete, _spec_names(_project(context)))
    except Exception:  # noqa: BLE001 - a shell must not show an error in the middle of a line
        return []


def complete_targets(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Returns the targets that start with `incomplete`, sorted. Returns no targets if the project cannot be read."""
    try:
        return _beginning(incomplete, _project(context).project.spec.targets)
    except Exception:  # noqa: BLE001 - a shell must not show an error in the middle of a line
        return []


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return sorted({name for name in names if name.startswith(incomplete)})


def _project(context: click.Context) -> ProjectFile:
    from reconciler.specs.project import find_root, read_project

    chosen = context.params.get("directory") or context.find_root().params.get("directory")
    return read_project(find_root(chosen, Path.cwd()))


def _spec_names(file: ProjectFile) -> Iterator[str]:
    from reconciler.specs.files import NotReadable

    paths, _problems = file.files.find(file.patterns)
    for path in paths:
        try:
            text = file.files.read(path).text
        except NotReadable:
            continue
        for pattern in SPEC_NAMES:
            yield from pattern.findall(text)
