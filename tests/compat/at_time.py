"""Runs the installed `reconciler` at other times, in forks of a process that has already imported everything.

It reads one JSON object per line and replies to each with a number:

* ``{"run": {"arguments", "folder", "environ", "now", "out", "err"}}``: runs a command and replies with its exit code.
  The command starts at the time `now`. Waits take a hundredth of their time, but the clock advances by the whole time.
  The host name is `runner`, so that ledgers do not depend on this machine.
* ``{"start": {...}}``: starts a command that keeps running, at the real time if `now` is null. Replies with its pid.
* ``{"stop": pid}``: stops that command, and replies with its exit code.

This script also runs with version 0.1.0. It does not import any other test module.
"""

from __future__ import annotations

import gc
import json
import os
import pkgutil
import runpy
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import boto3
from botocore.hooks import BaseEventHooks, EventAliaser
from botocore.loaders import JSONFileLoader, Loader
from pydantic import BaseModel, TypeAdapter

import reconciler

SPEED = 100
PATIENCE_SECONDS = 60
COMMAND = str(Path(sys.executable).parent / "reconciler")


def preload() -> None:
    """Imports all modules of the program and creates the objects that they otherwise create on first use."""
    for module in pkgutil.walk_packages(reconciler.__path__, "reconciler."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    for made in gc.get_objects():
        if isinstance(made, TypeAdapter):
            made.rebuild()
        elif isinstance(made, type) and issubclass(made, BaseModel) and made.__module__.startswith("reconciler."):
            made.model_rebuild()
        elif type(made).__name__ == "_Pattern":
            made.search  # noqa: B018 - compiles it
    prepare_botocore()
    _make_clients()
    gc.freeze()  # otherwise the first garbage collection of each command copies all of it


def _make_clients() -> None:
    """Makes botocore read and check the service models that clients need."""
    session = boto3.session.Session("none", "none", region_name="eu-west-1")
    for service in ("sts", "batch", "emr-serverless"):
        session.client(service).close()


def prepare_botocore() -> None:
    """Reads botocore's service models and checks its event handlers once for all clients in this process."""
    for owner, name, once in (
        (JSONFileLoader, "load_file", _remembering),
        (Loader, "list_available_services", _remembering),
        (EventAliaser, "_alias_event_name", _remembering),
        (BaseEventHooks, "_verify_accept_kwargs", _verified_once),
    ):
        setattr(owner, name, once(getattr(owner, name)))


def _remembering(method: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a method that caches its results by arguments, for all instances of the class."""
    results: dict[Any, Any] = {}

    def remembered(self: Any, *arguments: Any, **more: Any) -> Any:
        key = (arguments, tuple(sorted(more.items())))
        if key not in results:
            results[key] = method(self, *arguments, **more)
        return results[key]

    return remembered


def _verified_once(verify: Callable[..., None]) -> Callable[..., None]:
    """Returns a method that checks the signature of each handler only once, because the result depends only on the
    code."""
    verified: set[Any] = set()

    def once(self: Any, handler: Callable[..., Any]) -> None:
        code = getattr(handler, "__code__", None)
        if code is None or code not in verified:
            verify(self, handler)
            verified.add(code)

    return once


def move_clock(now: str) -> None:
    """Sets the clock of `time.time` to `now`."""
    real_time, real_sleep = time.time, time.sleep
    ahead = [datetime.fromisoformat(now).timestamp() - real_time()]

    def sleep(seconds: Any) -> None:
        real_sleep(seconds / SPEED)
        ahead.append(seconds - seconds / SPEED)

    time.time, time.sleep = lambda: real_time() + sum(ahead), sleep


def run(arguments: list[str], folder: str, environ: dict[str, str], now: str | None, out: str, err: str) -> None:
    """Runs the command in this process."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for path, descriptor in ((out, 1), (err, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    if now is not None:
        signal.alarm(PATIENCE_SECONDS)
        move_clock(now)
    socket.gethostname = lambda: "runner"
    sys.argv = [COMMAND, *arguments]
    runpy.run_path(COMMAND, run_name="__main__")


def serve() -> None:
    """Replies to requests until standard input ends."""
    while line := sys.stdin.readline():
        ((what, request),) = json.loads(line).items()
        if what == "stop":
            os.kill(request, signal.SIGTERM)
        child = request if what == "stop" else forked(request)
        print(child if what == "start" else os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def forked(request: dict[str, Any]) -> int:
    """Starts a command, and returns its pid."""
    child = os.fork()
    if child == 0:
        end(run, request)
    return child


def end(command: Callable[..., None], request: dict[str, Any]) -> NoReturn:
    """Runs a command, and ends the process without the interpreter's clean-up, which would take most of the time."""
    code = 0
    try:
        command(**request)
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
    except Exception:  # noqa: BLE001 - the interpreter would do the same
        traceback.print_exc()
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    preload()
    serve()
