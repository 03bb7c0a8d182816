"""Runs commands without their start-up time: a process that has everything imported forks for each of them.

`command()` returns a folder with an executable `reconciler`, for a PATH. It passes its arguments, folder, environment
and standard streams on, and the signals in FORWARDED, and it ends as the command does. If it is killed, the command is
killed a moment later. Use the installed command if the moment matters, to freeze a command, and for tests of start-up.
A coverage run does not measure these commands: commands in the process of a test show the same code.
"""

from __future__ import annotations

import faulthandler
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

from tests.compat.at_time import COMMAND, end, preload

ROOT = Path(__file__).resolve().parents[2]
CRASH_HOOK = str(ROOT / "tests/crash/hook/sitecustomize.py")
LONGEST_REQUEST = 200_000
"""Bytes of arguments and environment together: what a socket takes as one message."""

FORWARDED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGABRT, signal.SIGTERM)

CLIENT = """\
#!{python} -IS
import contextlib, json, os, signal, socket, sys

def forward(number, _):
    with contextlib.suppress(ProcessLookupError):  # it has ended: its exit code is on the way
        os.kill(command, number)

signal.pthread_sigmask(signal.SIG_BLOCK, {forwarded})
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
    server.connect({address!r})
    request = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)])
    socket.send_fds(server, [request.encode()], [0, 1, 2])
    command = int(server.recv(20))
    for number in {forwarded}:
        signal.signal(number, forward)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {forwarded})
    code = int(server.recv(20))
    if code < 0:
        with contextlib.suppress(OSError):  # SIGKILL has no handler
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)
"""


@cache
def command() -> Path:
    """Starts the process for this one, with which it ends, and returns the folder of its `reconciler`."""
    folder = Path(tempfile.mkdtemp(prefix="reconciler-"))  # short: the address of a socket has at most 107 characters
    address = str(folder / "socket")
    client = folder / "reconciler"
    client.write_text(
        CLIENT.format(python=sys.executable, address=address, forwarded=[int(number) for number in FORWARDED])
    )
    client.chmod(0o755)
    server = subprocess.Popen(
        [sys.executable, "-m", __name__, address],
        cwd=ROOT,
        env=not_measured(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    _servers.append(server)
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n"
    return folder


def not_measured() -> dict[str, str]:
    """Returns the environment for a process that a coverage run does not measure."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COV")}


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
    """Reads one request, has a child become the command, and sends its process id and its exit code."""
    message, streams, _, _ = socket.recv_fds(connection, LONGEST_REQUEST, 3)
    arguments, folder, environ = json.loads(message)
    child = os.fork()
    if child == 0:
        end(become, {"arguments": arguments, "folder": folder, "environ": environ, "streams": streams})
    connection.send(str(child).encode())
    client = connection.fileno()
    if client in select.select([os.pidfd_open(child), client], [], [])[0]:  # the client was killed
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    with suppress(BrokenPipeError):  # nobody waits for the command any more
        connection.send(str(os.waitstatus_to_exitcode(status)).encode())


def become(arguments: list[str], folder: str, environ: dict[str, str], streams: list[int]) -> None:
    """Becomes the installed command."""
    for descriptor, stream in enumerate(streams):
        os.dup2(stream, descriptor)
        os.close(stream)
    encoding = environ.get("PYTHONIOENCODING")
    sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", encoding=encoding, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding=encoding, errors="backslashreplace", closefd=False)
    faulthandler.enable()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    if "CRASH_AT" in environ:
        runpy.run_path(CRASH_HOOK)
    sys.path[0] = str(Path(COMMAND).parent)
    sys.argv = [COMMAND, *arguments]
    runpy.run_path(COMMAND, run_name="__main__")


if __name__ == "__main__":
    serve(sys.argv[1])
