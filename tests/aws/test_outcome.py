"""Tests every row of the table of outcomes over real sockets."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, ProxyConnectionError, SSLError
from botocore.validate import ParamValidator

from reconciler import __version__
from reconciler.app.session import SystemClock
from reconciler.aws.batch import REPLY_FIELDS
from reconciler.aws.clients import Aws
from reconciler.aws.outcome import REFUSED, Transmission, classify
from reconciler.core.ports import Accepted, Ambiguous, Declined, Instant, NotSent, Outcome, Refused, RunRef, Wanted
from tests.aws.conftest import Connect, Wired
from tests.aws.requests import BATCH, EMR, Submit, in_a_minute
from tests.aws.stub import (
    REQUEST_ID,
    UNDECODABLE,
    Act,
    Stub,
    answer,
    close_after_reading,
    error,
    http,
    reply,
    reset_after,
    reset_unread,
    silence,
)
from tests.campaigns import in_one_test, pairs
from tests.waiting import PATIENCE_SECONDS, eventually

HTML = b"<html><body>Welcome to the proxy</body></html>"
BOTH = pytest.mark.parametrize("submit", [EMR, BATCH], ids=["emr", "batch"])


def outcome_of(act: Act, submit: Submit, wired: Wired) -> Outcome:
    """Returns the outcome of one submission to a server that plays this act. Checks that exactly one transmission
    reaches the server."""
    wired.stub.play(act)
    outcome = submit.connect(wired.aws).submit(submit.request, in_a_minute())
    assert wired.stub.transmissions == 1
    assert "hunter2" not in repr(outcome)
    return outcome


@BOTH
def test_accepted(submit: Submit, wired: Wired):
    """A successful reply with a run id and our own name means that the run exists."""
    outcome = outcome_of(answer(200, submit.accepted), submit, wired)
    arn = submit.accepted.get("arn") or submit.accepted.get("jobArn")
    assert Accepted(submit.run_id, arn) == outcome


@BOTH
def test_accepted_without_an_arn(submit: Submit, wired: Wired):
    """The run id is required. The ARN may be missing."""
    form = {name: value for name, value in submit.accepted.items() if not name.endswith(("arn", "Arn"))}
    assert Accepted(submit.run_id) == outcome_of(answer(200, form), submit, wired)


@BOTH
def test_what_is_sent_is_the_request(submit: Submit, wired: Wired):
    """The body is the unchanged request, and the user agent contains our version."""
    outcome_of(answer(200, submit.accepted), submit, wired)
    in_the_path = {"applicationId"}
    sent = json.loads(wired.stub.bodies[0])
    assert {name: value for name, value in submit.request.items() if name not in in_the_path} == sent
    assert f"reconciler/{__version__}".encode() in wired.stub.heads[0]


UNCLEAR_REPLIES = {
    "empty 200": reply(http(200)),
    "empty 200 with request id": reply(http(200, b"", REQUEST_ID)),
    "empty object": answer(200, {}),
    "html 200": reply(http(200, HTML, {"Content-Type": "text/html"})),
    "list": answer(200, []),
    "string": answer(200, "accepted"),
    "null id": answer(200, {"jobRunId": None, "jobId": None, "applicationId": "00f1abcdefg", "jobName": "orders"}),
    "empty id": answer(200, {"jobRunId": "", "jobId": "", "applicationId": "00f1abcdefg", "jobName": "orders"}),
    "no id": answer(200, {"applicationId": "00f1abcdefg", "jobName": "orders"}),
    "no echo": answer(200, {"jobRunId": "00run", "jobId": "job-1"}),
    "another's echo": answer(
        200, {"jobRunId": "00run", "jobId": "job-1", "applicationId": "other", "jobName": "Orders"}
    ),
    "short body": reply(http(200, b'{"jobName":"orders","jobI', REQUEST_ID, length=200)),
    "no body of many bytes": reply(http(200, b"", REQUEST_ID, length=200)),
    "not utf-8": reply(http(200, b"\xff\xfe\x00", REQUEST_ID)),
    "garbage": reply(b"\x00\x01 garbage, no http at all\r\n\r\n"),
    "chunks cut short": reply(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{"jobName":'),
    "chunks of no length": reply(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n{}"),
    "said to be gzip": reply(http(200, b"\x1f\x8b nothing packed", {"Content-Encoding": "gzip", **REQUEST_ID})),
    "half a body and a reset": reset_after(http(200, b'{"jobName":"orders","jobI', REQUEST_ID, length=200)),
    "100 and no more": reply(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a status that is no number": reply(b"HTTP/1.1 OK\r\n\r\n"),
    "status 999": reply(b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n"),
    "an endless header": reply(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n"),
    "very many headers": reply(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n"),
    "a list nested too deep": reply(http(200, b"[" * 100_000, REQUEST_ID)),
    "half a header": reply(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "reset before reading": reset_unread,
    "closed after reading": close_after_reading,
    "201 without id": answer(201, {}),
    "204": reply(http(204, b"", REQUEST_ID)),
    "301": reply(http(301, b"", {"Location": "http://127.0.0.1:9/", **REQUEST_ID})),
    "302 to itself": reply(http(302, b"", {"Location": "/", **REQUEST_ID})),
    "307": reply(http(307, b"", {"Location": "/v1/submitjob", **REQUEST_ID})),
    "308 typed": error(308, "ValidationException"),
    "400 without request id": error(400, "ValidationException", request_id=False),
    "403 without request id": error(403, "AccessDeniedException", request_id=False),
    "403 html": reply(http(403, HTML, {"Content-Type": "text/html"})),
    "404 html": reply(http(404, HTML, {"Content-Type": "text/html"})),
    "407": reply(http(407, HTML, {"Proxy-Authenticate": "Basic"})),
    "408": error(408, "RequestTimeout"),
    "408 listed code": error(408, "ThrottlingException"),
    "409": error(409, "ConflictException"),
    "409 listed code": error(409, "ValidationException"),
    "429 without request id": error(429, "TooManyRequestsException", request_id=False),
    "429 untyped": reply(http(429, b"slow down", REQUEST_ID)),
    "400 unlisted": error(400, "SerializationException"),
    "402 quota": error(402, "ServiceQuotaExceededException"),
    "400 untyped": answer(400, {"message": "no"}),
    "400 list": answer(400, ["no"]),
    "500 typed": error(500, "InternalServerException"),
    "500 Batch": error(500, "ServerException"),
    "500 throttling": error(500, "ThrottlingException"),
    "502 html": reply(http(502, HTML, {"Content-Type": "text/html"})),
    "503 typed": error(503, "ServiceUnavailable"),
    "503 html with retry-after": reply(http(503, HTML, {"Retry-After": "0"})),
    "503 slow down": error(503, "SlowDown"),
    "504 empty": reply(http(504)),
}


@pytest.mark.parametrize(("name", "submit"), pairs(list(UNCLEAR_REPLIES), [EMR, BATCH]))
def test_what_proves_nothing_is_ambiguous(name: str, submit: Submit, wired: Wired):
    """Any reply that is not on the allow-list may be sent after AWS accepted the request."""
    assert isinstance(outcome_of(UNCLEAR_REPLIES[name], submit, wired), Ambiguous)


@BOTH
def test_read_and_never_answered(submit: Submit, aws: Connect):
    """A timeout while waiting for the reply proves nothing."""
    with Stub(silence) as stub:
        outcome = submit.connect(aws(stub.url, timeouts=(PATIENCE_SECONDS, 0.1))).submit(submit.request, in_a_minute())
        assert eventually(lambda: stub.transmissions == 1)
    assert isinstance(outcome, Ambiguous)
    assert outcome.code == "ReadTimeoutError"


@BOTH
@pytest.mark.parametrize("code", sorted(REFUSED))
def test_refused_for_a_passing_reason(code: str, submit: Submit, wired: Wired):
    """Throttling, credentials and clock errors are refusals that do not depend on the content."""
    status = 429 if "Thrott" in code or "TooMany" in code else 403
    assert isinstance(outcome_of(error(status, code), submit, wired), Refused)


@BOTH
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "ValidationException"),
        (404, "ResourceNotFoundException"),
        (403, "AccessDeniedException"),
        (403, "AccessDenied"),
    ],
)
def test_declined_for_the_content(status: int, code: str, submit: Submit, wired: Wired):
    """AWS refuses the content of the request."""
    outcome = outcome_of(error(status, code, "your\nrequest"), submit, wired)
    assert Declined(code, "your request") == outcome


def test_a_code_in_the_body(wired: Wired):
    """AWS's code is read from the header or the body, without its namespace."""
    body = b'{"__type":"com.amazonaws.batch#ValidationException","message":"no"}'
    assert Declined("ValidationException", "no") == outcome_of(reply(http(400, body, REQUEST_ID)), BATCH, wired)


def test_a_client_exception_is_of_batch_only(wired: Wired):
    """AWS Batch returns ClientException for invalid content. From any other service, it proves nothing."""
    assert isinstance(outcome_of(error(400, "ClientException"), BATCH, wired), Declined)
    assert isinstance(outcome_of(error(400, "ClientException"), EMR, wired), Ambiguous)


def test_messages_are_one_line_and_not_endless(wired: Wired):
    """AWS's message is kept as one printable line of limited length."""
    outcome = outcome_of(error(400, "ValidationException", "a\x1b[31m\r\n" + "x" * 5000), BATCH, wired)
    assert isinstance(outcome, Declined)
    assert outcome.message.isprintable()
    assert len(outcome.message) == 1000


# --- nothing reached AWS ----------------------------------------------------------------------------------------------


@contextmanager
def refusing_port() -> Iterator[int]:
    """Yields a port that refuses connections. It stays bound, so that no other process can listen on it meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@BOTH
def test_nobody_listens(submit: Submit, aws: Connect):
    """If the connection is refused, nothing is transmitted."""
    with refusing_port() as port:
        outcome = submit.connect(aws(f"http://127.0.0.1:{port}")).submit(submit.request, in_a_minute())
    assert isinstance(outcome, NotSent)
    assert outcome.code == "EndpointConnectionError"


@BOTH
def test_no_such_host(submit: Submit, aws: Connect):
    """If the host name cannot be resolved, nothing is transmitted."""
    outcome = submit.connect(aws("http://nowhere.invalid")).submit(submit.request, in_a_minute())
    assert isinstance(outcome, NotSent)
    assert outcome.code == "EndpointConnectionError"


@contextmanager
def full_server() -> Iterator[int]:
    """Yields a port whose connection queue is full, so that new connections are neither accepted nor refused."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        yield server.getsockname()[1]


def test_nobody_takes_the_connection(aws: Connect):
    """If the connection is never established, nothing is transmitted."""
    with full_server() as port:
        aws_ = aws(f"http://127.0.0.1:{port}", timeouts=(0.5, PATIENCE_SECONDS))
        outcome = BATCH.connect(aws_).submit(BATCH.request, in_a_minute())
    assert isinstance(outcome, NotSent)
    assert outcome.code == "ConnectTimeoutError"


@BOTH
def test_botocore_does_not_check_what_the_model_accepts(
    submit: Submit, wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Specs are validated by the model; botocore's own validation is switched off, because it takes a third of the time
    of a call."""
    checked: list[object] = []
    check = ParamValidator.validate

    def validate(self: ParamValidator, params: object, shape: object) -> object:
        checked.append(params)
        return check(self, params, shape)

    monkeypatch.setattr(ParamValidator, "validate", validate)
    assert isinstance(outcome_of(answer(200, submit.accepted), submit, wired), Accepted)
    assert checked == []


@pytest.mark.parametrize(
    ("request_", "place"),
    [
        ({"jobName": 5, "jobQueue": "q", "jobDefinition": "d"}, "jobName"),
        ({"jobName": "hunter2-canary"}, "jobQueue"),
        ({"jobName": "n", "jobQueue": "q", "jobDefinition": "d", "hunter2": "hunter2-canary"}, "Unknown parameter"),
        (
            {"jobName": "n", "jobQueue": "q", "jobDefinition": "d", "parameters": "hunter2-canary, type\nhunter2"},
            "parameters",
        ),
    ],
)
def test_a_request_that_botocore_refuses(request_: dict[str, object], place: str, aws: Connect):
    """A request that botocore's validation refuses is not sent. The message contains the path but not the value."""
    with Stub(answer(200, {})) as stub:
        outcome = BATCH.connect(aws(stub.url)).submit(request_, in_a_minute())
        assert stub.transmissions == 0
    assert isinstance(outcome, NotSent)
    assert outcome.code == "ParamValidationError"
    assert place in outcome.message
    assert "hunter2-canary" not in outcome.message


def test_no_credentials(monkeypatch: pytest.MonkeyPatch):
    """Without credentials, nothing is signed, so nothing is sent."""
    with Stub(answer(200, {})) as stub:
        outcome = BATCH.connect(Aws("eu-west-1", stub.url, clock=SystemClock())).submit(BATCH.request, in_a_minute())
        assert stub.transmissions == 0
    assert isinstance(outcome, NotSent)
    assert outcome.code == "NoCredentialsError"
    assert "no AWS credentials were found" in outcome.message


def test_a_profile_that_does_not_exist():
    """If the client cannot be created, nothing is sent."""
    for submit in (EMR, BATCH):
        outcome = submit.connect(Aws("eu-west-1", profile="nobody", clock=SystemClock())).submit(
            submit.request, in_a_minute()
        )
        assert isinstance(outcome, NotSent)
        assert outcome.code == "ProfileNotFound"


# --- proxies and TLS: errors that can come after delivery -------------------------------------------------------------


def test_a_proxy_that_is_not_there(aws: Connect, monkeypatch: pytest.MonkeyPatch):
    """An error on the way to a proxy is not on the allow-list, so it proves nothing."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_BATCH", "http://batch.invalid")
    with refusing_port() as port:
        monkeypatch.setenv("HTTP_PROXY", f"http://user:hunter2@127.0.0.1:{port}")
        outcome = BATCH.connect(aws(None)).submit(BATCH.request, in_a_minute())
    assert isinstance(outcome, Ambiguous)
    assert outcome.code == "ProxyConnectionError"
    assert "hunter2" not in outcome.message


def test_a_proxy_that_answers_for_aws(aws: Connect, monkeypatch: pytest.MonkeyPatch):
    """A proxy's own page proves nothing."""
    with Stub(reply(http(502, HTML))) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_BATCH", "http://batch.invalid")
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        outcome = BATCH.connect(aws(None)).submit(BATCH.request, in_a_minute())
        assert proxy.transmissions == 1
    assert isinstance(outcome, Ambiguous)


def test_a_proxy_that_passes_aws_answer_on(aws: Connect, monkeypatch: pytest.MonkeyPatch):
    """An acceptance from AWS that arrives through a proxy counts."""
    with Stub(answer(200, BATCH.accepted)) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_BATCH", "http://batch.invalid")
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        outcome = BATCH.connect(aws(None)).submit(BATCH.request, in_a_minute())
    assert Accepted("job-1", "arn:aws:batch:job") == outcome


def test_a_proxy_that_refuses_the_tunnel(aws: Connect, monkeypatch: pytest.MonkeyPatch):
    """If a proxy refuses to open the tunnel, the error counts as one of the proxy, not of AWS."""
    with Stub(reply(http(403, HTML))) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_BATCH", "https://batch.invalid")
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        outcome = BATCH.connect(aws(None)).submit(BATCH.request, in_a_minute())
    assert isinstance(outcome, Ambiguous)


def test_the_emulator_is_never_behind_a_proxy(aws: Connect, monkeypatch: pytest.MonkeyPatch):
    """Requests to the emulator never use the proxy that the environment sets."""
    with Stub(reply(http(502, HTML))) as proxy, Stub(answer(200, BATCH.accepted)) as stub:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        outcome = BATCH.connect(aws(stub.url)).submit(BATCH.request, in_a_minute())
        assert (proxy.transmissions, stub.transmissions) == (0, 1)
    assert isinstance(outcome, Accepted)


def test_a_server_that_does_not_speak_tls(aws: Connect):
    """A TLS error is not on the allow-list."""
    with Stub(lambda connection, _: connection.sendall(http(400))) as stub:
        outcome = BATCH.connect(aws(stub.url.replace("http:", "https:"))).submit(BATCH.request, in_a_minute())
    assert isinstance(outcome, Ambiguous)
    assert outcome.code == "SSLError"


def _sent() -> Transmission:
    return Transmission(Instant(0, 0), SystemClock(), sent=1)


class _Relative(EndpointConnectionError):  # type: ignore[misc]
    pass


@in_one_test(
    ("raised", "expected"),
    [
        (EndpointConnectionError(endpoint_url="u", error="e"), NotSent),
        (ConnectTimeoutError(endpoint_url="u", error="e"), NotSent),
        (_Relative(endpoint_url="u", error="e"), Ambiguous),
        (SSLError(endpoint_url="u", error="e"), Ambiguous),
        (ProxyConnectionError(proxy_url="u", error="e"), Ambiguous),
        (RuntimeError("anything"), Ambiguous),
    ],
)
def test_exactly_two_connection_errors_prove_that_nothing_was_sent(raised: Exception, expected: type):
    """Similar connection errors prove nothing."""
    assert expected is type(classify(raised, _sent(), REPLY_FIELDS))


REFUSALS = [
    (400, "ValidationException"), (403, "AccessDeniedException"), (400, "ClientException"),
    (404, "ResourceNotFoundException"), (429, "TooManyRequestsException"), (403, "ExpiredTokenException"),
]  # fmt: skip


@BOTH
@pytest.mark.parametrize(("status", "code", "name"), pairs(REFUSALS, list(UNDECODABLE)))
def test_a_refusal_that_cannot_be_decoded_is_ambiguous(status: int, code: str, name: str, submit: Submit, wired: Wired):
    """A refusal without AWS's own body proves nothing, even if it has a known status, an error code in a header and a
    request id."""
    body, headers = UNDECODABLE[name]
    act = reply(http(status, body, {**REQUEST_ID, "x-amzn-ErrorType": code, **headers}))
    outcome = outcome_of(act, submit, wired)
    assert isinstance(outcome, Ambiguous)
    assert not outcome.conflict


@BOTH
@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip", "zstd"])
def test_a_success_in_a_wrong_encoding_is_ambiguous(encoding: str, submit: Submit, wired: Wired):
    """A body whose encoding differs from its header does not prove that a run exists, even if it looks like a
    success."""
    act = answer(200, submit.accepted, {"Content-Encoding": encoding})
    assert isinstance(outcome_of(act, submit, wired), Ambiguous)
    assert isinstance(
        outcome_of(answer(200, submit.accepted, {"Content-Encoding": "identity"}), submit, wired), Accepted
    )


@pytest.mark.parametrize(("status", "name"), pairs([200, 404, 500], list(UNDECODABLE)))
def test_a_read_that_cannot_be_decoded_proves_no_absence(
    status: int, name: str, wired: Wired, monkeypatch: pytest.MonkeyPatch
):
    """If the reply is damaged, a run does not count as missing and a lookup result does not count as empty, whatever
    error code the reply contains."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    body, headers = UNDECODABLE[name]
    act = reply(http(status, body, {**REQUEST_ID, "x-amzn-ErrorType": "ResourceNotFoundException", **headers}))
    for submit, location in ((EMR, {"applicationId": "00f1"}), (BATCH, {"jobQueue": "spot", "jobName": "orders"})):
        wired.stub.play(act)
        service = submit.connect(wired.aws)
        assert isinstance(service.observe([RunRef("r1-aa", "run-1", location)])["r1-aa"], str)
        assert isinstance(service.find([Wanted("r1-aa", location, "2026-11-22T00:00:00Z")])["r1-aa"], str)
