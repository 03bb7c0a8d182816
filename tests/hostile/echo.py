"""An emulated AWS that answers each submission with a chosen error or reply that echoes the request."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from reconciler.emulator import Settings
from reconciler.emulator.dispatch import dispatcher
from reconciler.emulator.http import Call, Reply, Server
from reconciler.emulator.state import State
from tests.cli.world import ACCOUNT, REGION

Answer = Callable[[str], Reply]
OWN = {"x-amzn-RequestId": "11111111-2222-3333-4444-555555555555", "Content-Type": "application/json"}


def echo_error(status: int, code: str, *, own: bool = True, form: bool = True) -> Answer:
    """Returns an error whose message echoes the request. With `own`, it has a request id, as AWS's own replies do.
    Without `form`, it is an HTML page."""

    def answer(body: str) -> Reply:
        headers = {**(OWN if own else {}), "x-amzn-ErrorType": code}
        if form:
            return Reply(status, headers, json.dumps({"message": f"Value {body} is not valid"}).encode())
        return Reply(status, {"Content-Type": "text/html"}, f"<html><body>{body}</body></html>".encode())

    return answer


def _sends(call: Call) -> bool:
    return call.path.endswith("/v1/submitjob") or (call.method == "POST" and call.path.endswith("/jobruns"))


@contextmanager
def echoing(answer: Answer) -> Iterator[str]:
    """Yields the URL of a server that replies to submissions with `answer` and emulates everything else."""
    state = State(None)
    state.put_settings(Settings(account=ACCOUNT, region=REGION))
    whole = dispatcher(state)

    def handle(call: Call) -> Reply:
        return answer(call.body.decode(errors="replace")) if _sends(call) else whole(call)

    server = Server("127.0.0.1", 0, handle)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.stop()
        thread.join()
        state.close()
