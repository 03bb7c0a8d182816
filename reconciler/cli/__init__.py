"""The command line: parse, call, print, pick an exit code.

What may live here: click commands, and what they share about options, output, signals and exit codes. What may not:
decisions, AWS, storage. To keep the start fast, a module imports only click and modules of this package at its top. It
imports everything else when its command runs, so that ``--help`` and ``--version`` load nothing more.
"""


def main(arguments: list[str] | None = None) -> int:
    """Runs one command and returns its exit code; the entry point of the installed ``reconciler`` script.

    `arguments` are those after the program's name; `None` means those of the process.
    """
    from reconciler.cli.program import run

    return run(arguments)
