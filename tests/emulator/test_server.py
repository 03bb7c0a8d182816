"""Tests the HTTP server: it listens on loopback only, keeps connections open, and leaves nothing running when it
stops."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path

import pytest

from reconciler.emulator import Emulator, http
from reconciler.emulator.dispatch import dispatcher
from reconciler.emulator.http import Call, Reply, Server, _Connection
from reconciler.emulator.server import Control
from reconciler.emulator.state import State
from reconciler.errors import UsageError
from tests.campaigns import in_one_test
from tests.emulator.conftest import client, job_request, send
from tests.waiting import PATIENCE_SECONDS, eventually, new_threads


@in_one_test("host", ["0.0.0.0", "192.168.1.5", "example.com", "::", ""])
def test_only_loopback_hosts_are_accepted(host: str) -> None:
    """Any other host could be reached from other machines, and the emulator checks no credentials."""
    with pytest.raises(UsageError, match="loopback"):
        Emulator(None, host=host)


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", "127.0.0.1"), ("localhost", "localhost"), ("::1", "[::1]")])
def test_every_loopback_host_answers(host: str, shown: str) -> None:
    """Clients can connect to each host with the emulator's `url`."""
    if host == "::1" and not _has_ipv6():
        pytest.skip("this machine has no IPv6")
    with Emulator(None, host=host) as emulator:
        assert emulator.url.startswith(f"http://{shown}:")
        batch = client("batch", emulator.url)
        assert batch.submit_job(**job_request())["jobId"]
        batch.close()


def _has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def test_a_taken_port_is_an_error() -> None:
    """The message contains the host and the port."""
    with Emulator(None) as emulator:
        port = int(emulator.url.rpartition(":")[2])
        with pytest.raises(UsageError, match=f"cannot listen on 127.0.0.1:{port}"):
            Emulator(None, port=port).start()


def test_one_connection_carries_many_requests(emulator: Emulator) -> None:
    """The server keeps a connection open between calls."""
    connection = HTTPConnection(emulator.url.removeprefix("http://"), timeout=PATIENCE_SECONDS)
    connection.connect()
    first = connection.sock.getsockname()
    for _ in range(3):
        connection.request("GET", "/_emulator/runs")
        assert connection.getresponse().read() == b'{"runs": []}'
        assert first == connection.sock.getsockname()
    connection.close()


def test_stopping_ends_open_connections_and_threads() -> None:
    """A client that keeps its connection open does not delay the stop."""
    before = frozenset(threading.enumerate())
    emulator = Emulator(None).start()
    with emulator as same:
        assert same is emulator
        connection = HTTPConnection(emulator.url.removeprefix("http://"), timeout=PATIENCE_SECONDS)
        connection.request("GET", "/_emulator/runs")
        connection.getresponse().read()
    assert connection.sock.recv(1) == b""
    connection.close()
    emulator.stop()

    assert new_threads(before) == set()
    with pytest.raises(RuntimeError, match="not running"):
        _ = emulator.url


def test_a_call_in_progress_is_answered_before_the_stop() -> None:
    """The server waits for a handler that is still running, and the client receives its reply."""
    entered, resume = threading.Event(), threading.Event()

    def slow(call: Call) -> Reply:
        entered.set()
        resume.wait(PATIENCE_SECONDS)
        return Reply(200, {}, call.body)

    server = Server("127.0.0.1", 0, slow)
    threading.Thread(target=server.serve_forever, args=(0.01,)).start()
    connection = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_SECONDS)
    connection.request("POST", "/", b"still here")
    entered.wait(PATIENCE_SECONDS)
    stopping = threading.Thread(target=server.stop)
    stopping.start()
    resume.set()

    assert connection.getresponse().read() == b"still here"
    stopping.join()
    connection.close()


def test_a_handler_can_drop_the_connection() -> None:
    """Faults are built on this: a handler around the dispatcher processes the call and drops the reply."""
    state = State(None)
    dispatch = dispatcher(state)

    def lossy(call: Call) -> Reply:
        dispatch(call)
        raise ConnectionAbortedError

    server = Server("127.0.0.1", 0, lossy)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    batch = client("batch", f"http://127.0.0.1:{server.port}")
    with pytest.raises(Exception, match="Connection was closed"):
        batch.submit_job(**job_request())
    batch.close()
    server.stop()
    thread.join()

    with state.reading() as records:
        assert [run.name for run in records.accepted()] == ["orders"]
    state.close()


def test_the_server_survives_broken_connections(emulator: Emulator) -> None:
    """One client sends invalid data, and another one disconnects in the middle of its request."""
    host, _, port = emulator.url.removeprefix("http://").partition(":")
    for sent in (b"\x00\x01garbage\r\n\r\n", b"POST /v1/submitjob HTTP/1.1\r\nContent-Length: 100\r\n\r\n{"):
        with socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS) as connection:
            connection.sendall(sent)
    assert emulator.runs() == []


def test_a_failing_state_file_is_a_500_everywhere(emulator: Emulator, tmp_path: Path) -> None:
    """The control endpoint and STS also reply with status 500."""
    state = State(tmp_path / "aws.sqlite")
    dispatch = Control(state).handler()
    state.close()

    for call in (
        Call("GET", "/_emulator/runs"),
        Call("POST", "/", body=b"Action=GetCallerIdentity&Version=2011-06-15"),
        Call("POST", "/v1/submitjob", body=b'{"jobName": "a", "jobQueue": "b", "jobDefinition": "c"}'),
    ):
        assert dispatch(call).status == 500


def test_starting_loads_no_service_model_and_no_client_library() -> None:
    """The start is fast, because each service's model is read at the first call to the service, and boto3 and pydantic
    are not imported."""
    script = (
        "import sys\n"
        "from reconciler.emulator import Emulator\n"
        "from reconciler.emulator.protocol import service_model\n"
        "with Emulator(None):\n"
        "    print(service_model.cache_info().currsize, 'boto3' in sys.modules, 'pydantic' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, capture_output=True, text=True)

    assert done.stdout.strip() == "0 False False"


STRANGE = {
    "rebound name": {"Host": "evil.example:5555"},
    "another address": {"Host": "10.0.0.7"},
    "a name that begins so": {"Host": "localhost.evil.example"},
    "two hosts": {"Host": "127.0.0.1, evil.example"},
    "no name": {"Host": "[::1"},
    "another origin": {"Origin": "https://evil.example"},
    "another port": {"Origin": "http://127.0.0.1:1"},
    "a sandboxed page": {"Origin": "null"},
    "a page of another site": {"Sec-Fetch-Site": "cross-site"},
    "a page of the same site": {"Sec-Fetch-Site": "same-site"},
}


REQUESTS = (
    ("GET", "/_emulator/runs", None),
    ("POST", "/_emulator/reset", "{}"),
    ("PUT", "/_emulator/settings", '{"outcome": "failed"}'),
    ("POST", "/v1/submitjob", job_request()),
)


@in_one_test(("name", "method", "path", "body"), [(name, *request) for name in STRANGE for request in REQUESTS])
def test_a_web_page_of_another_origin_is_refused(
    emulator: Emulator, name: str, method: str, path: str, body: object
) -> None:
    """Both the control endpoint and AWS's operations refuse the request, and nothing changes."""
    before = emulator.settings
    response, text = send(emulator, method, path, body, {"Content-Type": "application/json", **STRANGE[name]})
    assert response.status == 403
    assert b'"runs"' not in text
    assert (emulator.runs(), emulator.settings) == ([], before)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:5555", "localhost:1", "LOCALHOST", "[::1]:9", "127.9.9.9"])
def test_names_of_this_machine_are_answered(emulator: Emulator, host: str) -> None:
    """The port in the Host header is ignored, because forwarded ports keep their own number. A page of the same origin
    is accepted."""
    own = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
    assert send(emulator, "GET", "/_emulator/runs", headers={"Host": host})[0].status == 200
    assert send(emulator, "GET", "/_emulator/runs", headers=own)[0].status == 200


@pytest.mark.parametrize(
    ("content_type", "status"),
    [(None, 415), ("text/plain", 415), ("application/x-www-form-urlencoded", 415), ("multipart/form-data", 415),
     ("application/json", 200), ("application/json; charset=utf-8", 200)],
)  # fmt: skip
def test_control_by_post_needs_a_type_that_no_page_sends_unasked(
    emulator: Emulator, content_type: str | None, status: int
) -> None:
    """An HTML form, or a script that may not read the reply, cannot reset the emulator."""
    send(emulator, "POST", "/v1/submitjob", job_request())
    headers = {"Content-Type": content_type} if content_type else {}
    response, _ = send(emulator, "POST", "/_emulator/reset", "{}", headers)
    assert response.status == status
    assert len(emulator.runs()) == (0 if status == 200 else 1)


@pytest.mark.parametrize(
    "sent", [b"", b"GET /_emu", b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"]
)
def test_a_silent_connection_is_closed(emulator: Emulator, sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection without data or with a partial request is closed. A connection that is in use stays open."""
    monkeypatch.setattr(_Connection, "timeout", 0.2)
    port = int(emulator.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS) as silent:
        silent.sendall(sent)
        while silent.recv(4096):
            pass
    monkeypatch.undo()
    assert send(emulator, "GET", "/_emulator/runs")[0].status == 200


def test_connections_are_bounded(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection above the limit is closed without a reply. When another connection ends, a new one is accepted."""
    monkeypatch.setattr(http, "CONNECTIONS", 2)
    port = int(emulator.url.rpartition(":")[2])
    with ExitStack() as stack:
        kept = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS))
            for _ in range(2)
        ]
        for connection in kept:
            connection.sendall(b"GET /_emulator/runs HTTP/1.1\r\n\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS) as third:
            assert third.recv(1) == b""
    assert eventually(lambda: send(emulator, "GET", "/_emulator/runs")[0].status == 200)
