"""Tests the rows of the table of outcomes in which TLS breaks after delivery, or a proxy fails before or after
CONNECT."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import struct
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from reconciler.app.session import SystemClock
from reconciler.aws.clients import Aws
from reconciler.core.ports import Accepted, Ambiguous, Outcome
from tests.aws.conftest import CREDENTIALS, PATIENT
from tests.aws.requests import BATCH, in_a_minute
from tests.aws.stub import REQUEST_ID, Act, Stub, close_after_reading, http, reply, reset_unread, silence
from tests.waiting import PATIENCE_SECONDS, eventually

ACCEPTED = http(200, json.dumps(BATCH.accepted).encode(), {"Content-Type": "application/json", **REQUEST_ID})
HOST = "batch.invalid"
HTML = b"<html>no</html>"
HASTY = (PATIENCE_SECONDS, 0.2)


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate for loopback and for `HOST`, and its key."""

    path: Path
    server: ssl.SSLContext


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Returns a certificate that openssl makes for this test run."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    path, key = folder / "certificate.pem", folder / "key.pem"
    names = f"subjectAltName=IP:127.0.0.1,DNS:{HOST}"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    files = ["-keyout", str(key), "-out", str(path), "-subj", "/CN=test", "-addext", names]
    subprocess.run(["openssl", "req", "-x509", *curve, *files], check=True, capture_output=True)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path, key)
    return Certificate(path, server)


Encrypted = Callable[[ssl.SSLSocket, socket.socket, Stub], None]
"""The behaviour of the server after the TLS handshake. The arguments are the encrypted socket and the socket below
it."""


def over_tls(certificate: Certificate, then: Encrypted) -> Act:
    """Returns an act that runs over TLS."""

    def act(connection: socket.socket, stub: Stub) -> None:
        below = socket.socket(fileno=connection.dup().detach())
        with below, suppress(ssl.SSLError), certificate.server.wrap_socket(connection, server_side=True) as encrypted:
            then(encrypted, below, stub)

    return act


def answers(encrypted: ssl.SSLSocket, _: socket.socket, stub: Stub) -> None:
    """Sends the reply that the job was accepted."""
    stub.take(encrypted)
    encrypted.sendall(ACCEPTED)


def ends_without_goodbye(encrypted: ssl.SSLSocket, _: socket.socket, stub: Stub) -> None:
    """Ends the TCP connection after reading the request, without ending TLS."""
    stub.take(encrypted)


def breaks(encrypted: ssl.SSLSocket, below: socket.socket, stub: Stub) -> None:
    """Reads the request and sends bytes that are not TLS."""
    stub.take(encrypted)
    below.sendall(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")


def resets(encrypted: ssl.SSLSocket, below: socket.socket, stub: Stub) -> None:
    """Reads the request and resets the connection."""
    stub.take(encrypted)
    below.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def half_answers(encrypted: ssl.SSLSocket, _: socket.socket, stub: Stub) -> None:
    """Sends the first half of a success reply."""
    stub.take(encrypted)
    encrypted.sendall(ACCEPTED[:-20])


def never_answers(encrypted: ssl.SSLSocket, _: socket.socket, stub: Stub) -> None:
    """Sends nothing until the client disconnects."""
    stub.take(encrypted)
    while encrypted.recv(1):
        pass


@dataclass(frozen=True)
class Way:
    """A stub that acts as the server or as a proxy, and clients that use it. It is shared by the tests of the module,
    because botocore takes longer to make a client than to make a call."""

    stub: Stub
    aws: Aws
    hasty: Aws  # has a short timeout

    def outcome(self, act: Act, *, patient: bool = True) -> Outcome:
        """Returns the outcome of a submission."""
        self.stub.play(act)
        return BATCH.connect(self.aws if patient else self.hasty).submit(BATCH.request, in_a_minute())


SETTINGS = ("AWS_CA_BUNDLE", "AWS_ENDPOINT_URL_BATCH", "HTTP_PROXY", "HTTPS_PROXY")


@contextmanager
def way(
    environment: Callable[[Stub], Mapping[str, str]], scheme: str | None = None, hasty: tuple[float, float] = HASTY
) -> Iterator[Way]:
    """Yields a new stub and its clients. With `scheme`, the clients use the stub's URL; otherwise, the environment
    variables point to it."""
    with Stub(silence) as stub, pytest.MonkeyPatch.context() as patch:
        for name in SETTINGS:  # left by another connection that is still open
            patch.delenv(name, raising=False)
        for name, value in environment(stub).items():
            patch.setenv(name, value)
        url = scheme and stub.url.replace("http:", scheme)
        clients = [
            Aws("eu-west-1", url, CREDENTIALS, timeouts=timeouts, clock=SystemClock()) for timeouts in (PATIENT, hasty)
        ]
        for aws in clients:
            aws.submitter("batch")  # in this environment
        yield Way(stub, *clients)
        for aws in clients:
            aws.close()


@pytest.fixture(scope="module")
def direct(certificate: Certificate) -> Iterator[Way]:
    """Yields a TLS connection to the server."""
    with way(lambda _: {"AWS_CA_BUNDLE": str(certificate.path)}, "https:") as made:
        yield made


@pytest.fixture(scope="module")
def tunnelled(certificate: Certificate) -> Iterator[Way]:
    """Yields a TLS connection through a proxy's tunnel. The stub is both the proxy and the server behind it."""
    with way(partial(_through, certificate)) as made:
        yield made


@pytest.fixture(scope="module")
def hurried(certificate: Certificate) -> Iterator[Way]:
    """Yields the same connection with a client that also has a short timeout for the tunnel."""
    with way(partial(_through, certificate), hasty=(0.2, 0.2)) as made:
        yield made


def _through(certificate: Certificate, stub: Stub) -> Mapping[str, str]:
    return {
        "AWS_CA_BUNDLE": str(certificate.path),
        "AWS_ENDPOINT_URL_BATCH": f"https://{HOST}",
        "HTTPS_PROXY": stub.url,
    }


@pytest.fixture(scope="module")
def proxied() -> Iterator[Way]:
    """Yields a plain HTTP connection through a proxy that reads the requests."""
    with way(lambda stub: {"AWS_ENDPOINT_URL_BATCH": f"http://{HOST}", "HTTP_PROXY": stub.url}) as made:
        yield made


def test_an_acceptance_over_tls(direct: Way, certificate: Certificate) -> None:
    """Without a fault the job is accepted."""
    assert isinstance(direct.outcome(over_tls(certificate, answers)), Accepted)
    assert direct.stub.transmissions == 1


AFTER_DELIVERY = [ends_without_goodbye, breaks, resets, half_answers, never_answers]
EACH = pytest.mark.parametrize("then", AFTER_DELIVERY, ids=lambda then: then.__name__)


@EACH
def test_tls_that_fails_after_delivery_is_ambiguous(then: Encrypted, direct: Way, certificate: Certificate) -> None:
    """AWS has read the whole request before the error occurs."""
    assert isinstance(direct.outcome(over_tls(certificate, then), patient=then is not never_answers), Ambiguous)
    assert eventually(lambda: direct.stub.transmissions == 1)


def test_an_error_of_tls_says_nothing_of_when(direct: Way, certificate: Certificate) -> None:
    """The error after delivery is the same as the error for an untrusted certificate, in which case nothing is sent."""
    after = direct.outcome(over_tls(certificate, breaks))
    assert direct.stub.transmissions == 1
    with way(lambda _: {}, "https:") as mistrusted:
        before = mistrusted.outcome(over_tls(certificate, answers))
        assert mistrusted.stub.transmissions == 0

    assert isinstance(after, Ambiguous)
    assert isinstance(before, Ambiguous)
    assert (after.code, before.code) == ("SSLError", "SSLError")


# --- forward proxies --------------------------------------------------------------------------------------------------


def tunnel(then: Act) -> Act:
    """Returns an act of a proxy that opens the tunnel and then plays `then`."""

    def act(connection: socket.socket, stub: Stub) -> None:
        stub.take(connection)
        stub.transmissions -= 1  # CONNECT is not the request
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        then(connection, stub)

    return act


def close(_: socket.socket, __: Stub) -> None:
    """Closes the connection at once."""


def nothing(connection: socket.socket, _: Stub) -> None:
    """Sends nothing until the client disconnects."""
    while connection.recv(65536):
        pass


def unanswered(connection: socket.socket, stub: Stub) -> None:
    """Reads the request and sends nothing."""
    stub.take(connection)
    nothing(connection, stub)


def garbage(connection: socket.socket, _: Stub) -> None:
    """Sends something that is not TLS."""
    connection.recv(1)
    connection.sendall(b"\x00\x01 no handshake\r\n")


BEFORE_CONNECT = {
    "closed": close_after_reading,
    "reset": reset_unread,
    "407": reply(http(407, HTML, {"Proxy-Authenticate": "Basic"})),
    "502": reply(http(502, HTML)),
    "garbage": reply(b"\x00 no http\r\n\r\n"),
    "open and closed": tunnel(close),
    "open and garbage": tunnel(garbage),
}


@pytest.mark.parametrize("act", BEFORE_CONNECT.values(), ids=BEFORE_CONNECT.keys())
def test_a_proxy_that_fails_before_the_request(act: Act, tunnelled: Way) -> None:
    """Nothing was delivered, but the same errors can occur after delivery, so the outcome is ambiguous."""
    assert isinstance(tunnelled.outcome(act), Ambiguous)


@pytest.mark.parametrize("act", [unanswered, tunnel(nothing)], ids=["no tunnel", "open tunnel"])
def test_a_proxy_that_is_silent_before_the_request(act: Act, hurried: Way) -> None:
    """A timeout on the way to AWS proves nothing either."""
    assert isinstance(hurried.outcome(act, patient=False), Ambiguous)


def test_an_acceptance_through_a_tunnel(tunnelled: Way, certificate: Certificate) -> None:
    """Without a fault the job is accepted."""
    assert isinstance(tunnelled.outcome(tunnel(over_tls(certificate, answers))), Accepted)
    assert tunnelled.stub.transmissions == 1


@EACH
def test_a_tunnel_that_fails_after_delivery_is_ambiguous(
    then: Encrypted, tunnelled: Way, certificate: Certificate
) -> None:
    """The server has read the request."""
    act = tunnel(over_tls(certificate, then))
    assert isinstance(tunnelled.outcome(act, patient=then is not never_answers), Ambiguous)
    assert eventually(lambda: tunnelled.stub.transmissions == 1)


PLAIN = {
    "closed": close_after_reading,
    "reset": reset_unread,
    "silent": unanswered,
    "504": reply(http(504, HTML)),
    "half": reply(ACCEPTED[:-20]),
    "404 html": reply(http(404, HTML)),
}


@pytest.mark.parametrize("act", PLAIN.values(), ids=PLAIN.keys())
def test_a_proxy_that_fails_after_it_has_the_request(act: Act, proxied: Way) -> None:
    """The proxy may have passed the request on."""
    assert isinstance(proxied.outcome(act, patient=act is not unanswered), Ambiguous)
    assert eventually(lambda: proxied.stub.transmissions == 1)
