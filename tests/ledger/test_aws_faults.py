"""Tests replies of S3, DynamoDB and proxies to writes and reads, over real sockets."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from reconciler.aws import clients
from reconciler.errors import (
    LedgerCorrupt,
    LedgerDenied,
    LedgerError,
    LedgerMissing,
    LedgerStoreInvalid,
    LedgerStoreMissing,
    LedgerUnreachable,
)
from reconciler.ledger.dynamodb import DynamoStore
from reconciler.ledger.log import Log
from reconciler.ledger.s3 import S3Store
from tests.aws.stub import UNDECODABLE, Act, Stub, close_after_reading, http, reply, reset_unread, silence, until_closed
from tests.campaigns import pairs
from tests.cli.clients import Pool, kept_clients, new_pool
from tests.ledger.builders import PLACE, StandingClock, always, intended
from tests.ledger.relay import (
    DYNAMODB_ID,
    S3_ID,
    dynamodb_error,
    dynamodb_said,
    first_write,
    page,
    s3_error,
    s3_object,
    s3_said,
)
from tests.ledger.server import Server
from tests.waiting import PATIENCE_SECONDS, eventually

KINDS = ["s3", "dynamodb"]


@dataclass
class Wired:
    """A store that is connected to a stub server. `play` sets the next replies and whether reads are retried."""

    kind: str
    store: S3Store | DynamoStore
    stub: Stub

    @property
    def writes(self) -> int:
        """Returns how many of the transmissions were writes."""
        return self.stub.transmissions - sum(
            head.startswith(b"GET ") or b".GetItem" in head for head in self.stub.heads
        )

    def play(self, *acts: Act) -> None:
        """Plays these acts, one per connection. The store's open connections are closed first."""
        self.store.close()
        self.stub.play(*acts)


@pytest.fixture(scope="module")
def stub() -> Iterator[Stub]:
    """Yields one server for all tests of this module, so that tests can share clients."""
    with Stub(silence) as stub:
        yield stub


@pytest.fixture(scope="module")
def pool() -> Pool:
    """Yields the clients that the tests of this module share."""
    return new_pool()


Wire = Callable[..., Wired]


@pytest.fixture
def wire(stub: Stub, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """Yields a function that connects a new store to the server. It waits `read_seconds` for a reply."""
    for name, value in Server(stub.url).environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "7")  # the environment does not apply to writes
    stub.play(silence)
    made: list[Wired] = []

    def connected(kind: str, read_seconds: float = PATIENCE_SECONDS) -> Wired:
        timeouts = (PATIENCE_SECONDS, read_seconds)
        store = (
            S3Store("s3://bucket/prefix", PLACE, timeouts=timeouts)
            if kind == "s3"
            else DynamoStore("dynamodb://table", PLACE, timeouts=timeouts)
        )
        made.append(Wired(kind, store, stub))
        return made[-1]

    with kept_clients(pool):
        yield connected
        for wired in made:
            wired.store.close()


@pytest.fixture(params=KINDS)
def wired(request: pytest.FixtureRequest, wire: Wire) -> Wired:
    """Yields one store of each kind."""
    return wire(request.param)


@pytest.fixture
def s3(wire: Wire) -> Wired:
    """Yields a store in S3."""
    return wire("s3")


@pytest.fixture
def asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turns off the retries of reads, so that the test does not wait for them."""
    monkeypatch.setattr(clients, "READ_ATTEMPTS", 1)


def _taken(kind: str, content: bytes) -> tuple[Act, ...]:
    """Returns the replies for a position that contains `content`."""
    if kind == "s3":
        return s3_error(412, "PreconditionFailed"), s3_object(content)
    return (dynamodb_error(400, "ConditionalCheckFailedException", Item=_item(content)),)


def _item(content: bytes) -> dict[str, object]:
    keys = {"ledger": {"S": "analytics/prod"}, "position": {"N": "1"}}
    return {**keys, "batch": {"B": b64encode(content).decode()}}


def _found(kind: str, content: bytes) -> Act:
    """Returns the reply to a read of a position that contains `content`."""
    if kind == "s3":
        return s3_object(content)
    return reply(http(200, json.dumps({"Item": _item(content)}).encode(), DYNAMODB_ID))


# --- writes: what leaves it open --------------------------------------------------------------------------------------

UNCLEAR: dict[str, Act] = {
    "closed after reading": close_after_reading,
    "reset unread": reset_unread,
    "cut short": reply(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "not HTTP": reply(b"hello\r\n\r\n"),
    "500 page": page(500),
    "502 page": page(502),
    "503 page": page(503),
    "403 page": page(403),
    "404 page": page(404),
    "408 page": page(408),
    "429 page": page(429),
}


@pytest.mark.parametrize("name", UNCLEAR)
def test_a_write_whose_reply_is_lost_is_transmitted_once(wired: Wired, name: str):
    """Without a reply from AWS, it is unknown whether the batch was written, and the write is not transmitted again."""
    wired.play(UNCLEAR[name])
    with pytest.raises(LedgerUnreachable, match="did not answer"):
        wired.store.append(1, b"batch")
    assert wired.writes == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_write_that_is_never_answered_is_transmitted_once(kind: str, wire: Wire):
    """After a timeout, it is unknown whether the batch was written, and the write is not transmitted again."""
    wired = wire(kind, read_seconds=0.3)
    wired.play(until_closed)
    with pytest.raises(LedgerUnreachable, match="did not answer"):
        wired.store.append(1, b"batch")
    assert eventually(lambda: wired.writes == 1)


NOTHING_PROVEN = [
    ("s3", s3_said(500, "InternalError")),
    ("s3", s3_said(503, "SlowDown")),
    ("s3", s3_said(403, "AccessDenied", own=False)),
    ("s3", s3_said(400, "SomethingNew")),
    ("dynamodb", dynamodb_said(500, "InternalServerError")),
    ("dynamodb", dynamodb_said(503, "ServiceUnavailable")),
    ("dynamodb", dynamodb_said(400, "ProvisionedThroughputExceededException")),
    ("dynamodb", dynamodb_said(400, "ThrottlingException")),
    ("dynamodb", dynamodb_said(400, "TransactionConflictException")),
    ("dynamodb", dynamodb_said(400, "AccessDeniedException", own=False)),
    ("s3", None),
    ("dynamodb", None),
]
"""The replies to the first write. `None` means that the write arrives and its reply is lost."""


@pytest.mark.parametrize(("kind", "said"), NOTHING_PROVEN)
def test_a_write_that_is_not_proven_is_asked_for_again_and_recorded_once(
    kind: str, said: bytes | None, aws: Server, wire: Wire, monkeypatch: pytest.MonkeyPatch
):
    """After throttling, AWS-internal errors, unknown error codes and lost replies, the log reads the same position. It
    recognizes its own batch if that was written, and the batch is stored once."""
    url = aws.address(kind)
    wired = wire(kind)
    for name, value in Server(wired.stub.url).environment.items():
        monkeypatch.setenv(name, value)
    store = S3Store(url, PLACE) if kind == "s3" else DynamoStore(url, PLACE)
    clock = StandingClock()
    log = Log(store, PLACE, "0.1.0", clock)
    wired.play(first_write(aws.url, said))
    assert 1 == log.append([intended()], always)
    assert clock.slept == [0.1]
    assert [1] == [position for position, _ in store.read(0)]
    store.close()


def test_a_success_that_says_nothing_is_looked_after(wired: Wired):
    """If fields of the service are missing, a reply with status 200 may be from a proxy, so the position is read."""
    wired.play(page(200) if wired.kind == "s3" else reply(http(200, b"{}")), _found(wired.kind, b"another"))
    assert wired.store.append(1, b"batch") == b"another"


@pytest.mark.parametrize(("status", "name"), pairs([200, 400, 403, 412], list(UNDECODABLE)))
def test_a_reply_to_a_write_that_cannot_be_decoded_is_no_proof(status: int, name: str, wire: Wire, asked_once: None):
    """A damaged reply to a write does not prove success or a refusal, even with DynamoDB's request id and an error code
    in a header. The outcome is unknown, so the log reads the position."""
    body, headers = UNDECODABLE[name]
    raw = http(status, body, {**DYNAMODB_ID, "x-amzn-ErrorType": "AccessDeniedException", **headers})
    wired = wire("dynamodb")
    wired.play(reply(raw))
    with pytest.raises(LedgerUnreachable, match="did not answer"):
        wired.store.append(1, b"batch")
    with pytest.raises(LedgerUnreachable, match="did not answer"):
        wired.store.get(1)
    with pytest.raises(LedgerUnreachable, match="did not answer"):
        wired.store.read(0)


@pytest.mark.parametrize("status", [200, 301, 400, 403, 404])
@pytest.mark.parametrize("body", [b"<Error><Code>AccessDen", b"\xff\xfe", b"busy", b"<Error>\xff</Error>"])
def test_a_reply_of_s3_that_cannot_be_decoded_is_no_proof(s3: Wired, status: int, body: bytes, asked_once: None):
    """The same applies to S3, whose reply to a successful write has no body."""
    s3.play(reply(http(status, body, {**S3_ID, "ETag": '"e"'})))
    with pytest.raises(LedgerUnreachable, match="did not answer"):
        s3.store.append(1, b"batch")
    with pytest.raises(LedgerUnreachable, match="did not answer"):
        s3.store.read(0)


def test_a_write_at_the_same_time_is_looked_after(s3: Wired):
    """A 409 means that another write to this key was in progress. The position is read afterwards, so the outcome
    becomes known."""
    s3.play(s3_error(409, "ConditionalRequestConflict"), s3_object(b"another"))
    assert s3.store.append(1, b"batch") == b"another"

    s3.play(s3_error(409, "ConditionalRequestConflict"), s3_error(404, "NoSuchKey"))
    with pytest.raises(LedgerUnreachable, match="the position is empty"):
        s3.store.append(1, b"batch")


# --- writes: what is certain ------------------------------------------------------------------------------------------


def test_a_position_that_is_taken_gives_what_is_there(wired: Wired):
    """The second writer receives the first one's batch. Its own write was transmitted only once."""
    for held in (b"another", b"batch"):
        acts = _taken(wired.kind, held)
        wired.play(*acts)
        assert held == wired.store.append(1, b"batch")
        assert len(acts) == wired.stub.transmissions


def test_a_write_is_conditional(wire: Wire):
    """The request writes to the position only if it is free."""
    dynamodb = wire("dynamodb")
    dynamodb.play(*_taken("dynamodb", b"another"))
    dynamodb.store.append(1, b"batch")
    sent = json.loads(dynamodb.stub.bodies[0])
    assert sent["ConditionExpression"] == "attribute_not_exists(#position)"
    assert sent["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD"


def test_an_object_is_created_only_if_there_is_none(s3: Wired):
    """The request has the header that makes S3 refuse to overwrite an object."""
    s3.play(*_taken("s3", b"another"))
    s3.store.append(7, b"batch")
    head = s3.stub.heads[0].lower()
    assert head.startswith(b"put /bucket/prefix/analytics/prod/log/00000000000000000007 ")
    assert b"\r\nif-none-match: *\r\n" in head


ELSEWHERE = {"x-amz-bucket-region": "us-east-1"}
CERTAIN = [
    ("s3", s3_error(403, "AccessDenied"), LedgerDenied, "need s3:PutObject on bucket"),
    ("s3", s3_error(403, "InvalidAccessKeyId"), LedgerDenied, "AWS does not recognize these credentials"),
    ("s3", s3_error(403, "SignatureDoesNotMatch"), LedgerDenied, "the secret key is wrong"),
    ("s3", s3_error(400, "ExpiredToken"), LedgerDenied, "the AWS credentials have expired"),
    ("s3", s3_error(403, "RequestTimeTooSkewed"), LedgerDenied, "this machine's clock is wrong"),
    ("s3", s3_error(404, "NoSuchBucket"), LedgerStoreMissing, "there is no bucket bucket. Create it in eu-west-1"),
    (
        "s3",
        s3_error(301, "PermanentRedirect", headers=ELSEWHERE),
        LedgerStoreInvalid,
        "in another region, us-east-1, and",
    ),
    (
        "s3",
        s3_error(307, "TemporaryRedirect"),
        LedgerStoreInvalid,
        "in another region, and target prod is in eu-west-1",
    ),
    (
        "s3",
        s3_error(400, "AuthorizationHeaderMalformed", detail="<Region>us-east-1</Region>"),
        LedgerStoreInvalid,
        "in another region, us-east-1",
    ),
    ("dynamodb", dynamodb_error(400, "AccessDeniedException"), LedgerDenied, "need dynamodb:PutItem on table"),
    ("dynamodb", dynamodb_error(400, "UnrecognizedClientException"), LedgerDenied, "AWS does not recognize"),
    ("dynamodb", dynamodb_error(400, "ExpiredTokenException"), LedgerDenied, "the AWS credentials have expired"),
    ("dynamodb", dynamodb_error(400, "ResourceNotFoundException"), LedgerStoreMissing, "ledger init -t prod"),
    ("dynamodb", dynamodb_error(400, "ValidationException"), LedgerStoreInvalid, "its partition key must be ledger"),
]


@pytest.mark.parametrize(
    ("kind", "act", "expected", "says"), CERTAIN, ids=[f"{kind} {says}" for kind, _, _, says in CERTAIN]
)
def test_a_refusal_is_one_sentence_and_nothing_was_written(
    kind: str, act: Act, expected: type[LedgerError], says: str, wire: Wire
):
    """If AWS refuses a write, nothing is written. The error contains the problem and the remedy, and no redirect is
    followed."""
    wired = wire(kind)
    wired.play(act)
    with pytest.raises(LedgerError) as met:
        wired.store.append(1, b"batch")
    assert type(met.value) is expected
    assert says in str(met.value)
    assert str(met.value).startswith(f"the ledger {wired.store.address}: ")
    assert "\n" not in str(met.value)
    assert wired.stub.transmissions == 1


# --- reads ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "act", "expected", "says"),
    [
        (kind, act, expected, says.replace("PutObject", "ListBucket").replace("PutItem", "Query"))
        for kind, act, expected, says in CERTAIN
        if "region" not in says
    ],
    ids=[f"{kind} {says}" for kind, _, _, says in CERTAIN if "region" not in says],
)
def test_a_read_says_what_is_wrong_too(
    kind: str, act: Act, expected: type[LedgerError], says: str, wire: Wire, asked_once: None
):
    """A missing or forbidden bucket or table is never treated as an empty ledger."""
    wired = wire(kind)
    wired.play(act)
    with pytest.raises(LedgerError) as met:
        wired.store.read(0)
    assert type(met.value) is expected
    assert says in str(met.value)


@pytest.mark.parametrize(
    "raw",
    [
        http(200),
        http(200, b"{}"),
        http(200, b"<html></html>"),
        http(200, b"<?xml version='1.0'?><ListBucketResult><Na", S3_ID),
        http(200, b"<ListBucketResult><Name>other</Name><IsTruncated>false</IsTruncated></ListBucketResult>", S3_ID),
        http(200, b"<ListBucketResult><Name>bucket</Name><IsTruncated>true</IsTruncated></ListBucketResult>", S3_ID),
        http(404, b"not here"),
        http(503, b"busy"),
    ],
    ids=["empty", "braces", "page", "cut short", "another bucket", "no end", "404", "503"],
)
def test_an_answer_that_is_no_listing_is_no_empty_ledger(wired: Wired, raw: bytes, asked_once: None):
    """A reply without a listing is an error. If it counted as an empty ledger, everything would run again."""
    wired.play(reply(raw))
    with pytest.raises(LedgerError) as met:
        wired.store.read(0)
    assert not isinstance(met.value, LedgerMissing)


def _listing(*positions: int) -> Act:
    keys = "".join(
        f"<Contents><Key>prefix/analytics/prod/log/{position:020}</Key></Contents>" for position in positions
    )
    body = f"<ListBucketResult><Name>bucket</Name><IsTruncated>false</IsTruncated>{keys}</ListBucketResult>"
    return reply(http(200, body.encode(), S3_ID))


def test_a_body_that_is_cut_short_is_asked_for_again(s3: Wired):
    """If the body of an object ends early, the object is read again, and the incomplete body is not used."""
    s3.play(_listing(1), s3_object(b"bat", length=5), s3_object(b"batch"))
    assert [(1, b"batch")] == list(s3.store.read(0))

    s3.play(_listing(1), s3_object(b"bat", length=5))
    with pytest.raises(LedgerUnreachable):
        list(s3.store.read(0))


def test_a_page_is_no_batch(s3: Wired):
    """A reply without an ETag is not from S3, and is not reported as a damaged batch."""
    s3.play(_listing(1), page(200))
    with pytest.raises(LedgerUnreachable, match="not an object"):
        list(s3.store.read(0))


def test_a_batch_that_is_deleted_while_it_is_read(s3: Wired):
    """A batch that is listed but no longer exists is reported as damage."""
    s3.play(_listing(1), s3_error(404, "NoSuchKey"))
    with pytest.raises(LedgerCorrupt, match="position 1"):
        list(s3.store.read(0))


def test_one_failure_of_a_read_is_passed_over(wired: Wired, monkeypatch: pytest.MonkeyPatch):
    """The SDK retries a failed read."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    wired.play(page(503), _found(wired.kind, b"batch"))
    assert wired.store.get(1) == b"batch"


# --- before anything is sent ------------------------------------------------------------------------------------------


def test_no_credentials(wired: Wired, monkeypatch: pytest.MonkeyPatch):
    """Without credentials, nothing is sent, and the error explains what to configure."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(LedgerDenied, match="no AWS credentials were found"):
        wired.store.append(1, b"batch")
    with pytest.raises(LedgerDenied, match="no AWS credentials were found"):
        wired.store.read(0)
    assert wired.stub.transmissions == 0


def test_a_profile_that_does_not_exist(wired: Wired, monkeypatch: pytest.MonkeyPatch):
    """The error contains the misspelt name of the profile."""
    monkeypatch.setenv("AWS_PROFILE", "prood")
    with pytest.raises(LedgerDenied, match="prood"):
        wired.store.read(0)


@pytest.mark.parametrize(
    ("url", "says"), [("http://127.0.0.1:1", "could not be reached"), ("nowhere", "Invalid endpoint: nowhere")]
)
def test_an_endpoint_that_is_none(wired: Wired, url: str, says: str, monkeypatch: pytest.MonkeyPatch, asked_once: None):
    """The error contains the endpoint if it is not a URL, or if no server listens there."""
    for service in ("S3", "DYNAMODB"):
        monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", url)
    with pytest.raises(LedgerError, match=says):
        wired.store.read(0)
