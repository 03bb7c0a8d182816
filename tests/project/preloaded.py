"""Runs commands without their start-up time: a process that has everything imported forks for each of them.

`command()` returns a folder with an executable `reconciler`, for a PATH. It passes its arguments, folder, environment
and standard streams on and exits with the command's exit code. Signals are not passed on: for a command that is stopped
by a signal, use the installed one.
"""

from __future__ import annotations

import json
import os
import runpy
import select
import socket
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

from tests.compat.at_time import COMMAND, end, preload

ROOT = Path(__file__).resolve().parents[2]
LONGEST_REQUEST = 200_000
"""Bytes of arguments and environment together: what a socket takes as one message."""

CLIENT = """\
#!{python} -IS
import json, os, socket, sys

with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
    server.connect({address!r})
    request = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)])
    socket.send_fds(server, [request.encode()], [0, 1, 2])
    sys.exit(server.recv(1)[0])
"""


@cache
def command() -> Path:
    """Starts the process for this one, with which it ends, and returns the folder of its `reconciler`.

    In a coverage run this is the folder of the installed command, which is measured.
    """
    if any(name.startswith("COV") for name in os.environ):
        return Path(COMMAND).parent
    folder = Path(tempfile.mkdtemp(prefix="reconciler-"))  # short: the address of a socket has at most 107 characters
    address = str(folder / "socket")
    client = folder / "reconciler"
    client.write_text(CLIENT.format(python=sys.executable, address=address))
    client.chmod(0o755)
    server = subprocess.Popen(
        [sys.executable, "-m", __name__, address],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    _servers.append(server)
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n"
    return folder


_servers: list[subprocess.Popen[bytes]] = []
"""Their standard input stays open as long as this process runs."""


def serve(address: str) -> None:
    """Answers until standard input ends; then removes the folder of the socket."""
    preload()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(address)
        listener.listen(64)
        os.write(1, b"ready\n")
        os.dup2(2, 1)
        while listener.fileno() in select.select([listener.fileno(), 0], [], [])[0]:
            connection, _ = listener.accept()
            if os.fork() == 0:
                end(answer, {"connection": connection})
            connection.close()
            _reap()
    for path in Path(address).parent.iterdir():
        path.unlink()
    Path(address).parent.rmdir()


def _reap() -> None:
    """Collects the children that have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def answer(connection: socket.socket) -> None:
    """Reads one request, has a child become the command, and sends its exit code."""
    message, streams, _, _ = socket.recv_fds(connection, LONGEST_REQUEST, 3)
    arguments, folder, environ = json.loads(message)
    child = os.fork()
    if child == 0:
        end(become, {"arguments": arguments, "folder": folder, "environ": environ, "streams": streams})
    _, status = os.waitpid(child, 0)
    connection.send(bytes([os.waitstatus_to_exitcode(status) % 256]))


def become(arguments: list[str], folder: str, environ: dict[str, str], streams: list[int]) -> None:
    """Becomes the installed command."""
    for descriptor, stream in enumerate(streams):
        os.dup2(stream, descriptor)
        os.close(stream)
    sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    sys.path[0] = str(Path(COMMAND).parent)
    sys.argv = [COMMAND, *arguments]
    runpy.run_path(COMMAND, run_name="__main__")


if __name__ == "__main__":
    serve(sys.argv[1])
