"""The command line: parses arguments, calls the use case, prints the result, and chooses an exit code.

Allowed here: click commands, and the code for options, output, signals and exit codes that they share. Not allowed:
decisions, AWS, storage. To keep start-up fast, the modules of this package import only click and each other at the top.
All other imports happen when a command runs, so that ``--help`` and ``--version`` load nothing more.
"""

import atexit
import gc
import sys

SCANNED_OBJECTS = 100_000
"""The number of new objects that triggers the garbage collector. With Python's default of 700, it would take a tenth of
the start-up time and find nothing."""


def main(arguments: list[str] | None = None) -> int:
    """Runs one command and returns its exit code. This is the entry point of the installed ``reconciler`` script.

    `arguments` are the arguments after the program's name. By default, the arguments of the process are used.
    """
    gc.set_threshold(SCANNED_OBJECTS)
    atexit.register(gc.freeze)  # otherwise Python scans all objects before it exits
    try:
        from reconciler.cli.program import run

        return run(arguments)
    except KeyboardInterrupt:  # while modules are imported, or after the command has ended
        sys.stderr.write("Interrupted.\n")
        return 1
