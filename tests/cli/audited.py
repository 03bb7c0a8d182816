"""Runs a command under an audit hook: `python audited.py REPORT ARGUMENT…` writes a report of the command's actions."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from reconciler.cli import main

WATCHED = ("open", "subprocess.", "os.", "socket.", "sqlite3.", "shutil.", "tempfile.", "ctypes.", "pty.", "ftplib.")
READING = {"os.listdir", "os.scandir", "os.walk", "os.fwalk"}

seen: list[list[Any]] = []


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Records events about files, processes and sockets. File descriptors of pipes are left out."""
    if not event.startswith(WATCHED) or event in READING or (event == "open" and isinstance(arguments[0], int)):
        return
    what = list(map(str, arguments[1])) if event == "subprocess.Popen" else [str(each) for each in arguments]
    seen.append([event, *what])


if __name__ == "__main__":
    sys.addaudithook(watch)
    code = main(sys.argv[2:])
    report = list(seen)
    with open(sys.argv[1], "w") as file:
        json.dump({"seen": report, "flags": {"write": os.O_WRONLY | os.O_RDWR | os.O_CREAT}}, file)
    sys.exit(code)
