"""Reads the files of a commit from git's objects."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from reconciler.errors import ReconcilerError
from reconciler.specs.git import WHOLE_CLONE, inside, run


class TreeEntry(NamedTuple):
    """A file of a commit: its path relative to the listed folder, its mode and its object."""

    path: str
    mode: str
    object_id: str


def tree_entries(root: Path, commit: str, folder: str | None = None) -> list[TreeEntry]:
    """Lists the files in a folder of the repository at a commit, at any depth. `folder` is empty or ends with a slash;
    the default is the folder `root`. The list is empty if the folder does not exist at the commit.

    Reads only git's objects, not the work tree or a remote. Raises `ReconcilerError`.
    """
    entries = []
    prefix = b"".join(os.fsencode(part) + b"/" for part in inside(root)) if folder is None else os.fsencode(folder)
    chosen = (os.fsdecode(prefix),) if prefix else ()
    for line in _objects(root, ("ls-tree", "-r", "-z", commit, "--", *chosen)).split(b"\0")[:-1]:
        about, _, path = line.partition(b"\t")
        mode, _, object_id = about.decode().split(" ")
        entries.append(TreeEntry(os.fsdecode(path.removeprefix(prefix)), mode, object_id))
    return entries


def blobs(root: Path, object_ids: Iterable[str], most_bytes: int) -> dict[str, bytes]:
    """Returns the contents of files in a commit by object id, each truncated to `most_bytes` + 1 bytes. Raises
    `ReconcilerError`, even if an object is only missing because the clone is partial.
    """
    wanted = sorted(set(object_ids))
    answers = _objects(root, ("cat-file", "--batch-check"), _lines(wanted)).decode().splitlines()
    sizes = {words[0]: int(words[2]) for words in map(str.split, answers) if words[1] == "blob"}
    if sizes.keys() != set(wanted):
        raise ReconcilerError(f"this clone lacks files of the commit. {WHOLE_CLONE}")
    small = [each for each in wanted if sizes[each] <= most_bytes]
    # A file that is too large is not loaded. These zeros let the caller refuse it by its length.
    contents = dict.fromkeys(wanted, bytes(most_bytes + 1))
    output, start = _objects(root, ("cat-file", "--batch"), _lines(small)), 0
    for each in small:
        begin = output.index(b"\n", start) + 1
        contents[each] = output[begin : begin + sizes[each]]
        start = begin + sizes[each] + 1
    return contents


def _lines(words: Iterable[str]) -> bytes:
    return "".join(f"{word}\n" for word in words).encode()


def _objects(root: Path, arguments: Sequence[str], stdin: bytes = b"") -> bytes:
    """Returns the output of a git command that reads objects. Raises `ReconcilerError` with git's message if it
    fails."""
    done = run(root, arguments, stdin)
    if done.returncode:
        message = " ".join(done.stderr.decode(errors="backslashreplace").split())
        partial = f". {WHOLE_CLONE}" if "promisor" in message else ""
        raise ReconcilerError(f"git cannot read the files of the commit in {root}: {message}{partial}")
    return done.stdout
