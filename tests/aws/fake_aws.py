"""Contains a fake AWS for tests of whole adapters. The server passes requests to functions of a test and counts calls
by operation."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

Answer = tuple[int, dict[str, Any] | list[Any] | str]
"""Contains a status and JSON content. For statuses of 400 and above, the text is AWS's error code."""

Handler = Callable[[dict[str, Any]], Answer]

ROUTES = [
    ("GET", r"/applications/(?P<applicationId>[^/]+)/jobruns/(?P<jobRunId>[^/]+)", "GetJobRun"),
    ("DELETE", r"/applications/(?P<applicationId>[^/]+)/jobruns/(?P<jobRunId>[^/]+)", "CancelJobRun"),
    ("GET", r"/applications/(?P<applicationId>[^/]+)/jobruns", "ListJobRuns"),
    ("POST", r"/v1/(?P<operation>listjobs|describejobs|terminatejob)", ""),
]
NAMES = {
    "listjobs": "ListJobs",
    "describejobs": "DescribeJobs",
    "terminatejob": "TerminateJob",
    "canceljob": "CancelJob",
}


class FakeAws:
    """`operations` maps each operation to its answer. `calls` counts the calls, and `inputs` contains their
    requests."""

    def __init__(self) -> None:
        self.operations: dict[str, Handler] = {}
        self.calls: Counter[str] = Counter()
        self.inputs: list[dict[str, Any]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """Returns the address of the server."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def play(self, **operations: Handler) -> None:
        """Resets the counts and uses these answers from now on."""
        self.operations = operations
        self.calls.clear()
        self.inputs.clear()

    def answer(self, operation: str, given: dict[str, Any]) -> Answer:
        """Returns the test's answer to this call."""
        self.calls[operation] += 1
        self.inputs.append(given)
        return self.operations[operation](given)

    def __enter__(self) -> FakeAws:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(aws: FakeAws) -> type[BaseHTTPRequestHandler]:
    class Conversation(BaseHTTPRequestHandler):
        def _take(self) -> None:
            operation, given = self._routed()
            status, form = aws.answer(operation, given)
            self.send_response(status)
            self.send_header("x-amzn-RequestId", "1-2-3")
            if status >= 400:
                self.send_header("x-amzn-ErrorType", str(form))
                form = {"message": "said no"}
            body = json.dumps(form).encode()
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _routed(self) -> tuple[str, dict[str, Any]]:
            target = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            given: dict[str, Any] = {**parse_qs(target.query), **(json.loads(body) if body else {})}
            for method, pattern, operation in ROUTES:
                match = re.fullmatch(pattern, target.path)
                if match and method == self.command:
                    named = match.groupdict()
                    return operation or NAMES[named.pop("operation")], {**given, **named}
            raise AssertionError(f"no such operation: {self.command} {self.path}")

        do_GET = do_POST = do_DELETE = _take  # noqa: N815 - the names the library gives them

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name the library gives it
            """Logs nothing."""

    return Conversation
