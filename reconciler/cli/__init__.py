"""The command line: parse, call, print, pick an exit code.

What may live here: click commands, and the code for options, output, signals and exit codes that they share. What may
not: decisions, AWS, storage. To keep the start fast, the imports at the top of a module are limited to click and
modules of this package. Everything else is imported when a command runs, so that ``--help`` and ``--version`` load
nothing more.
"""


def main(arguments: list[str] | None = None) -> int:
    """Runs one command and returns its exit code; the entry point of the installed ``reconciler`` script.

    `arguments` are those after the program's name; `None` means those of the process.
    """
    from reconciler.cli.program import run

    return run(arguments)
