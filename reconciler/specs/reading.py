"""Reads the documents of many files as specs, in several processes if that is quicker."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from reconciler.errors import Problem
from reconciler.specs.document import MOST_PROBLEMS, TOO_MANY, Document, Unreadable
from reconciler.specs.files import Folder, IsPlanFile, NotReadable, ProjectFiles
from reconciler.specs.other_files import unreadable_other
from reconciler.specs.parse import SourceText, json_documents, yaml_documents
from reconciler.specs.problems import TooMany, View, at, unreadable
from reconciler.specs.spec import FAMILY, ReadSpec, SpecReader

FEWEST_FILES = 400
"""The fewest files for which a further process pays: it reads them in a tenth of a second."""

MOST_PROCESSES = 8
KNOWN_THREADS = 2  # the main thread, and the one that watches for signals

Read = tuple[list[ReadSpec], list[Problem]]


def read_all(files: ProjectFiles, paths: Sequence[str], reader: SpecReader, problems: list[Problem]) -> list[ReadSpec]:
    """Returns every document of every file as a spec, in order. Problems with whole files are appended to
    `problems`."""
    processes = _processes(len(paths)) if isinstance(files, Folder) else 1

    def read(part: Sequence[str]) -> Read:
        found: list[Problem] = []
        return list(read_specs(files, part, reader, found)), found

    with _uncollected():
        size = max(1, -(-len(paths) // processes))
        parts = [paths[start : start + size] for start in range(0, len(paths), size)]
        specs: list[ReadSpec] = []
        for part, found in _in_processes(read, parts):
            specs += part
            problems += found
    return specs


def read_specs(
    files: ProjectFiles, paths: Sequence[str], reader: SpecReader, problems: list[Problem]
) -> Iterator[ReadSpec]:
    """Yields every document of every file as a spec. Problems with whole files are appended to `problems`."""
    for path in paths:
        try:
            source = files.read(path)
        except IsPlanFile:
            continue
        except NotReadable as error:
            problems.append(error.problem)
            continue
        is_empty, reported = True, 0
        try:
            for document in documents(source):
                is_empty = False
                read = reader.read(View(source, document))
                reported += len(read.problems)
                yield read
                if reported > MOST_PROBLEMS:
                    raise Unreadable(document.offset, TOO_MANY, "too-many")
        except Unreadable as error:
            problems += unreadable(source, error) if FAMILY in source.text else unreadable_other(source, error)
        except TooMany as error:
            problems += error.problems
        else:
            if is_empty:
                problems.append(at(source, 0, "no document in this file: write a spec, or remove the file", "empty"))


def documents(source: SourceText) -> Iterator[Document]:
    """Yields the documents of a file: one if its extension is that of JSON, any number if it is that of YAML. Raises
    `Unreadable`.
    """
    read = json_documents if source.path.endswith(".json") else yaml_documents
    return read(source.text)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Stops the garbage collector inside the block, because it would scan all new objects many times and free
    nothing."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _processes(files: int) -> int:
    """Returns in how many processes to read this number of files. A process with other threads is not forked, because
    they may hold locks."""
    if sys.platform != "linux" or threading.active_count() > KNOWN_THREADS:
        return 1
    return max(1, min(len(os.sched_getaffinity(0)), files // FEWEST_FILES, MOST_PROCESSES))


def _in_processes(read: Callable[[Sequence[str]], Read], parts: Sequence[Sequence[str]]) -> Iterator[Read]:
    """Yields the result of each part, in order. All parts but the first are read in processes of their own; a part
    whose process failed is read again in this one, which then raises the error."""
    children = [_forked(read, part) for part in parts[1:]]
    for part, child in zip(parts, [None, *children], strict=False):
        yield read(part) if child is None else _received(child) or read(part)


def _forked(read: Callable[[Sequence[str]], Read], part: Sequence[str]) -> tuple[int, int] | None:
    """Starts a process that reads a part. Returns its id and the pipe of its result, `None` if none can be started."""
    try:
        receiver, sender = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # about the thread that watches for signals
            process = os.fork()
    except OSError:
        return None
    if process:
        os.close(sender)
        return process, receiver
    try:  # in the new process, which ends without cleaning up what belongs to its parent
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        with open(sender, "wb") as pipe:
            pickle.dump(read(part), pipe, pickle.HIGHEST_PROTOCOL)
    finally:
        os._exit(0)


def _received(child: tuple[int, int]) -> Read | None:
    process, receiver = child
    result: Read | None = None
    with open(receiver, "rb") as pipe, suppress(EOFError, pickle.UnpicklingError):
        result = pickle.load(pipe)  # noqa: S301 - from our own process
    os.waitpid(process, 0)
    return result
