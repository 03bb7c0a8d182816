"""The command line: parse, call, print, pick an exit code.

Allowed here: click commands, and the code for options, output, signals and exit codes that they share. Not
allowed: decisions, AWS, storage. To keep the start fast, the imports at the top of a module are limited to click and
modules of this package. Everything else is imported when a command runs, so that ``--help`` and ``--version`` load
nothing more.
"""

import atexit
import gc

SCANNED_OBJECTS = 100_000
"""The number of new objects after which the garbage collector scans them. With Python's default of 700, it takes a
tenth of the start, and finds nothing."""


def main(arguments: list[str] | None = None) -> int:
    """Runs one command and returns its exit code; the entry point of the installed ``reconciler`` script.

    `arguments` are those after the program's name; `None` means those of the process.
    """
    gc.set_threshold(SCANNED_OBJECTS)
    atexit.register(gc.freeze)  # Python would scan all objects before it exits
    from reconciler.cli.program import run

    return run(arguments)
