"""Reads the documents of many files as specs, in several processes if that is faster."""

from collections.abc import Callable, Iterator, Sequence

from reconciler.errors import Problem
from reconciler.specs.files import Folder, IsPlanFile, NotReadable, ProjectFiles
from reconciler.specs.other_files import FAMILY, unreadable_other
from reconciler.specs.parse import SourceText, json_documents, yaml_documents
from reconciler.specs.problems import TooMany, View, at, unreadable
from reconciler.specs.processes import in_processes, processes_for
from reconciler.specs.spec import ReadSpec, SpecReader
from reconciler.specs.yaml_nodes import MOST_PROBLEMS, TOO_MANY, Document, Unreadable
from reconciler.values import uncollected

FEWEST_FILES = 400
"""The minimum number of files for which another process is worthwhile. A process reads that many in a tenth of a
second."""

Read = tuple[list[ReadSpec], list[Problem]]
Reading = Callable[[ProjectFiles, Sequence[str], SpecReader, list[Problem]], list[ReadSpec]]
"""A function that reads files as `read_all` does."""


def read_all(files: ProjectFiles, paths: Sequence[str], reader: SpecReader, problems: list[Problem]) -> list[ReadSpec]:
    """Returns every document of every file as a spec, in order. Problems with whole files are appended to
    `problems`."""
    processes = processes_for(len(paths), FEWEST_FILES) if isinstance(files, Folder) else 1

    def read(part: Sequence[str]) -> Read:
        found: list[Problem] = []
        return list(read_specs(files, part, reader, found)), found

    with uncollected():
        size = max(1, -(-len(paths) // processes))
        parts = [paths[start : start + size] for start in range(0, len(paths), size)]
        specs: list[ReadSpec] = []
        for part, found in in_processes(read, parts):
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
    """Yields the documents of a file: exactly one for a JSON file, any number for a YAML file, according to the file's
    extension. Raises `Unreadable`.
    """
    read = json_documents if source.path.endswith(".json") else yaml_documents
    return read(source.text)
