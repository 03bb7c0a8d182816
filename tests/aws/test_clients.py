"""Tests credentials, endpoints and clients."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.app.session import SystemClock
from reconciler.aws.clients import Aws
from reconciler.errors import ServiceError
from tests.aws.conftest import CREDENTIALS, Connect
from tests.aws.stub import REQUEST_ID, Stub, error, http, reply
from tests.ledger.builders import StandingClock

IDENTITY = (
    b'<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
    b"<Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
)


def refusal(code: str) -> bytes:
    """Returns one of STS's typed errors."""
    body = f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
    return http(403, body.encode(), REQUEST_ID)


def test_the_account(aws: Connect):
    """STS returns the account of the credentials."""
    with Stub(reply(http(200, IDENTITY, REQUEST_ID))) as stub:
        assert aws(stub.url).account() == "123456789012"


@pytest.mark.parametrize(
    ("date", "ahead"),
    [
        ("Sun, 22 Nov 2026 02:00:00 GMT", 3.5),
        ("Sun, 22 Nov 2026 02:02:00 GMT", -116.5),
        ("yesterday", None),
        (None, None),
    ],
)
def test_the_clock_is_compared_on_the_way(date: str | None, ahead: float | None):
    """The Date header of the reply contains AWS's time. Without the header, the difference is unknown."""
    headers = REQUEST_ID | ({"Date": date} if date else {})
    clock = StandingClock(datetime(2026, 11, 22, 2, 0, 3, 500_000, tzinfo=UTC).timestamp())
    with Stub(reply(http(200, IDENTITY, headers))) as stub:
        aws = Aws("eu-west-1", stub.url, CREDENTIALS, clock=clock)
        aws.account()
        assert aws.clock_ahead == ahead
        aws.close()


def test_the_account_by_an_endpoint_of_the_environment(aws: Connect, monkeypatch: pytest.MonkeyPatch):
    """Without an endpoint argument, boto3's own settings apply."""
    with Stub(reply(http(200, IDENTITY, REQUEST_ID))) as stub:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", stub.url)
        assert aws(None).account() == "123456789012"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("ExpiredToken", "credentials have expired"),
        ("InvalidClientTokenId", "does not recognize these credentials"),
        ("SignatureDoesNotMatch", "secret key is wrong"),
        ("SomethingElse", "SomethingElse: no"),
    ],
)
def test_credentials_that_sts_refuses(code: str, said: str, aws: Connect):
    """The error message contains instructions."""
    with Stub(reply(refusal(code))) as stub, pytest.raises(ServiceError, match=said) as caught:
        aws(stub.url).account()
    assert caught.value.code == code


@pytest.mark.parametrize("body", [b"", b"<html></html>", b"not xml at all", IDENTITY.replace(b"123456789012", b"")])
def test_an_answer_without_an_account(body: bytes, aws: Connect):
    """A reply without an account is an error."""
    with Stub(reply(http(200, body, REQUEST_ID))) as stub, pytest.raises(ServiceError, match="GetCallerIdentity"):
        aws(stub.url).account()


def test_no_credentials():
    """Missing credentials raise an error with a clear message."""
    with pytest.raises(ServiceError, match="no AWS credentials were found"):
        Aws("eu-west-1", "http://127.0.0.1:1", clock=SystemClock()).account()


@pytest.mark.parametrize("endpoint", ["not a url", "http://"])
def test_an_endpoint_that_is_no_url(endpoint: str, aws: Connect):
    """An invalid endpoint raises one of reconciler's own errors."""
    with pytest.raises(ServiceError):
        aws(endpoint).account()


def test_a_client_is_made_once(aws: Connect):
    """Threads share one client per use of each service."""
    connected = aws("http://127.0.0.1:1")
    with ThreadPoolExecutor(8) as pool:
        clients = list(pool.map(lambda _: (connected.reader("batch"), connected.submitter("batch")), range(8)))
    assert len({id(asking) for asking, _ in clients}) == 1
    assert len({id(sending) for _, sending in clients}) == 1


def test_clients_for_sending_and_for_asking(aws: Connect):
    """Submissions are transmitted once, with short timeouts. Reads have standard retries."""
    connected = Aws("eu-west-1", "http://127.0.0.1:1", CREDENTIALS, clock=SystemClock())
    sending, asking = connected.submitter("batch").meta.config, connected.reader("batch").meta.config
    assert sending.retries == {"total_max_attempts": 1, "mode": "standard"}
    assert asking.retries == {"total_max_attempts": 5, "mode": "standard"}
    assert (sending.connect_timeout, sending.read_timeout) == (3, 15)
    assert sending.user_agent_extra.startswith("reconciler/")
    connected.close()


def test_reads_are_tried_again(aws: Connect, monkeypatch: pytest.MonkeyPatch):
    """botocore repeats a read after a temporary error."""
    with Stub(error(500, "ServerException"), reply(http(200, b'{"jobs": []}', REQUEST_ID))) as stub:
        assert aws(stub.url).reader("batch").describe_jobs(jobs=["a"])["jobs"] == []
        assert stub.transmissions == 2


# --- whether it is AWS at all -----------------------------------------------------------------------------------------


def test_an_endpoint_for_the_emulator_is_not_aws(aws: Connect):
    """An endpoint passed as an argument never counts as AWS."""
    assert aws("http://127.0.0.1:1").overridden("batch")


def test_without_settings_it_is_aws(aws: Connect):
    """If no endpoint is configured, the check creates no client."""
    connected = aws(None)
    assert not connected.overridden("batch")
    assert connected._clients == {}


@pytest.mark.parametrize(
    ("name", "services"),
    [
        ("AWS_ENDPOINT_URL", {"batch", "emr-serverless"}),
        ("AWS_ENDPOINT_URL_BATCH", {"batch"}),
        ("AWS_ENDPOINT_URL_EMR_SERVERLESS", {"emr-serverless"}),
    ],
)
def test_an_endpoint_of_the_environment(name: str, services: set[str], aws: Connect, monkeypatch: pytest.MonkeyPatch):
    """An endpoint set for one service does not affect the others."""
    monkeypatch.setenv(name, "http://127.0.0.1:1")
    connected = aws(None)
    assert {service for service in ("batch", "emr-serverless") if connected.overridden(service)} == services


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_S3"])
def test_an_endpoint_where_nothing_runs(name: str, aws: Connect, monkeypatch: pytest.MonkeyPatch):
    """An endpoint for a service that does not run jobs has no effect."""
    monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert not aws(None).overridden("batch")


def test_an_interface_endpoint_of_aws(aws: Connect, monkeypatch: pytest.MonkeyPatch):
    """Interface VPC endpoints count as AWS."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_BATCH", "https://vpce-1.batch.eu-west-1.vpce.amazonaws.com")
    assert not aws(None).overridden("batch")


def test_an_endpoint_that_only_looks_like_aws(aws: Connect, monkeypatch: pytest.MonkeyPatch):
    """Only a suffix of the host name that starts at a dot counts."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_BATCH", "https://batch.notamazonaws.com")
    assert aws(None).overridden("batch")


def test_endpoints_that_are_to_be_ignored(aws: Connect, monkeypatch: pytest.MonkeyPatch):
    """botocore's own setting to ignore configured endpoints applies."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    assert not aws(None).overridden("batch")


def test_an_endpoint_of_a_profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Profiles are read in the same way as in boto3."""
    config = tmp_path / "config"
    config.write_text(
        "[profile plain]\nregion = eu-west-1\n[profile all]\nendpoint_url = http://127.0.0.1:1\n"
        "[profile one]\nservices = stand-in\n[services stand-in]\nbatch =\n  endpoint_url = http://127.0.0.1:1\n"
        "[profile broken]\nservices = missing\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    assert not Aws("eu-west-1", profile="plain", clock=SystemClock()).overridden("batch")
    assert Aws("eu-west-1", profile="all", clock=SystemClock()).overridden("batch")
    assert Aws("eu-west-1", profile="one", clock=SystemClock()).overridden("batch")
    with pytest.raises(ServiceError):
        Aws("eu-west-1", profile="broken", clock=SystemClock()).overridden("batch")
    with pytest.raises(ServiceError, match="profile does not exist"):
        Aws("eu-west-1", profile="nobody", clock=SystemClock()).overridden("batch")
