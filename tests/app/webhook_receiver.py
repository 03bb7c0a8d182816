"""A webhook on this machine that stores the documents it receives, and responds as requested."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


class Hook:
    """Stores the requests, and the statuses of the next responses. After these, every response has the status 200."""

    def __init__(self) -> None:
        self.documents: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.answers: list[int] = []
        self.url = ""


@contextmanager
def hook(*answers: int, **headers: str) -> Iterator[Hook]:
    """Serves a webhook for the duration of a test. Sets the given response headers; `_` in an argument's name stands
    for `-`."""
    made = Hook()
    made.answers = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            made.documents.append(json.loads(body))
            made.headers.append(dict(self.headers))
            self.send_response(made.answers.pop(0) if made.answers else 200)
            for name, value in {"Content_Length": "0", **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Prints nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_port}/hooks/T0/secret-part"
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
