"""Runs commands without their start-up time, by forking a process that has already imported everything.

`command()` returns a folder to put on PATH, which contains an executable `reconciler`. The executable passes its
arguments, folder, environment, standard streams and the signals in FORWARDED to the forked process, and exits with the
same code. If the executable is killed, the forked process is killed shortly afterwards. Use the installed command
instead if exact timing matters, if the test freezes the command, or if the test is about its start. Coverage does not
measure these commands, because commands that run in the process of a test cover the same code.
"""

from __future__ import annotations

import faulthandler
import marshal
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
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.compat.at_time import COMMAND, end, preload

ROOT = Path(__file__).resolve().parents[2]
CRASH_HOOK = str(ROOT / "tests/crash/hook/sitecustomize.py")
LONGEST_REQUEST = 200_000
"""The maximum size of arguments and environment in bytes, which is what a socket accepts as one message."""

FORWARDED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGABRT, signal.SIGTERM)

CLIENT = """\
#!{python} -IS
import _signal, _socket, marshal, posix, sys  # not signal, socket and os, which take longer to import than all else

def forward(number, _):
    try:
        posix.kill(command, number)
    except ProcessLookupError:  # it has ended: its exit code is on the way
        pass

_signal.pthread_sigmask(_signal.SIG_BLOCK, {forwarded})
server = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
server.connect({address!r})
request = marshal.dumps([sys.argv[1:], posix.getcwd(), posix.environ])
streams = b"".join(stream.to_bytes(4, sys.byteorder) for stream in (0, 1, 2))
server.sendmsg([request], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
command = int(server.recv(20))
for number in {forwarded}:
    _signal.signal(number, forward)
_signal.pthread_sigmask(_signal.SIG_UNBLOCK, {forwarded})
code = int(server.recv(20))
server.close()
if code < 0:
    if code != -_signal.SIGKILL:  # which has no handler
        _signal.signal(-code, _signal.SIG_DFL)
    posix.kill(posix.getpid(), -code)
sys.exit(code)
"""


@cache
def command() -> Path:
    """Starts the forking process, which ends with this process, and returns the folder of its `reconciler`."""
    folder = Path(
        tempfile.mkdtemp(prefix="reconciler-")
    )  # a short path, because the address of a socket has at most 107 characters
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
"""The forking processes. The standard input of these processes stays open as long as this process runs."""


@dataclass(frozen=True)
class Command:
    """A running command, with its process and the connection to the client that waits for it."""

    pid: int
    ended: int
    """A file descriptor that becomes readable when the process has ended."""
    client: socket.socket

    def finish(self) -> None:
        """Sends the exit code of the ended process."""
        _, status = os.waitpid(self.pid, 0)
        with suppress(ConnectionError):  # the client no longer waits
            self.client.send(str(os.waitstatus_to_exitcode(status)).encode())
        self.client.close()
        os.close(self.ended)


def serve(address: str) -> None:
    """Serves clients until standard input ends, and then removes the folder of the socket."""
    preload()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(address)
        listener.listen(64)
        os.write(1, b"ready\n")
        os.dup2(2, 1)
        _answer(listener)
    for path in Path(address).parent.iterdir():
        path.unlink()
    Path(address).parent.rmdir()


def _answer(listener: socket.socket) -> None:
    """Starts the commands of clients, and sends each its exit code, until standard input ends."""
    commands: dict[int, Command] = {}  # by both of its descriptors
    while 0 not in (ready := select.select([listener.fileno(), 0, *commands], [], [])[0]):
        for descriptor in ready:
            if descriptor == listener.fileno():
                if (command := _start(listener)) is not None:
                    commands |= {command.ended: command, command.client.fileno(): command}
                continue
            ended = commands.pop(descriptor, None)
            if ended is not None and descriptor == ended.ended:
                commands.pop(ended.client.fileno(), None)
                ended.finish()
            elif ended is not None:  # the client was killed
                os.kill(ended.pid, signal.SIGKILL)


def _start(listener: socket.socket) -> Command | None:
    """Reads one request, forks a child that becomes the command, and sends its process id. Returns `None` if the client
    was killed before it sent its request."""
    client, _ = listener.accept()
    message, streams = b"", list[int]()
    with suppress(ConnectionError):
        message, streams, _, _ = socket.recv_fds(client, LONGEST_REQUEST, 3)
    if not message:
        client.close()
        return None
    arguments, folder, environ = marshal.loads(message)
    child = os.fork()
    if child == 0:
        listener.close()
        client.close()
        end(become, {"arguments": arguments, "folder": folder, "environ": environ, "streams": streams})
    for stream in streams:
        os.close(stream)
    with suppress(ConnectionError):  # the client was just killed, so the command will be killed too
        client.send(str(child).encode())
    return Command(child, os.pidfd_open(child), client)


def become(arguments: list[str], folder: str, environ: dict[bytes, bytes], streams: list[int]) -> None:
    """Becomes the installed command."""
    for descriptor, stream in enumerate(streams):
        os.dup2(stream, descriptor)
        os.close(stream)
    os.environb.clear()
    os.environb.update(environ)
    encoding = os.environ.get("PYTHONIOENCODING")
    sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", encoding=encoding, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding=encoding, errors="backslashreplace", closefd=False)
    faulthandler.enable()
    os.chdir(folder)
    time.tzset()
    if "CRASH_AT" in os.environ:
        runpy.run_path(CRASH_HOOK)
    sys.path[0] = str(Path(COMMAND).parent)
    sys.argv = [COMMAND, *arguments]
    runpy.run_path(COMMAND, run_name="__main__")


if __name__ == "__main__":
    serve(sys.argv[1])
