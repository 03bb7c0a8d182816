"""Tests how a bucket or table is prepared for a ledger, and how problems with it are detected."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from reconciler.core.fsck import Finding, Severity
from reconciler.errors import LedgerMissing, LedgerStoreMissing
from reconciler.ledger.prepare import Policy, prepare
from tests.aws.stub import Act, Stub, answer, http, reply
from tests.ledger.builders import PLACE
from tests.ledger.conftest import Opening
from tests.ledger.relay import dynamodb_error, s3_error, s3_object
from tests.ledger.server import KEYS, Server


def found(url: str, root: Path = Path()) -> tuple[list[Finding], list[Policy]]:
    """Returns the findings for an address, without the policies."""
    everything = list(prepare(url, root, PLACE))
    findings = [one for one in everything if isinstance(one, Finding)]
    return findings, [one for one in everything if isinstance(one, Policy)]


def graded(findings: list[Finding], severity: Severity) -> list[str]:
    """Returns the messages with one severity."""
    return [finding.message for finding in findings if finding.severity is severity]


def test_a_file_needs_nothing(tmp_path: Path):
    """SQLite needs no preparation, and nothing is created."""
    findings, policies = found("sqlite:///ledger.sqlite", tmp_path)
    assert {finding.severity for finding in findings} == {Severity.OK}
    assert policies == []
    assert list(tmp_path.iterdir()) == []


# --- S3 ---------------------------------------------------------------------------------------------------------------


def test_a_good_bucket(aws: Server, opening: Opening):
    """A bucket with versioning passes the check. Checking it twice leaves no objects that the log would read."""
    url = aws.address("s3")
    bucket = url.split("/")[2]
    aws.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for _ in range(2):
        findings, _policies = found(url)
        assert {finding.severity for finding in findings} == {Severity.OK}, findings
        with pytest.raises(LedgerMissing):
            opening(url).read(0)
    keys = [item["Key"] for item in aws.s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert keys == ["ledgers/analytics/prod/probe"]


def test_a_bucket_without_versioning_is_told_how(aws: Server):
    """If versioning is off, a warning contains the command to turn it on."""
    (advice,) = graded(found(aws.address("s3"))[0], Severity.WARN)
    assert "aws s3api put-bucket-versioning --bucket ledger-" in advice


def test_a_bucket_that_is_not_there(aws: Server):
    """The error says where to create the bucket."""
    with pytest.raises(LedgerStoreMissing, match="Create it in eu-west-1"):
        found("s3://nobody-made-this/x")


HARMLESS: list[dict[str, Any]] = [
    {"Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 30}},
    {"Filter": {"Prefix": ""}, "Status": "Disabled", "Expiration": {"Days": 30}},
    {"Filter": {"Tag": {"Key": "temporary", "Value": "yes"}}, "Expiration": {"Days": 30}},
    {"Filter": {"Prefix": "ledgers/analytics/prod/snapshot"}, "Expiration": {"Days": 30}},
    {"Filter": {"Prefix": ""}, "NoncurrentVersionExpiration": {"NoncurrentDays": 30}},
    {"Filter": {"Prefix": ""}, "Expiration": {"ExpiredObjectDeleteMarker": True}},
    {"Filter": {"Prefix": ""}, "Transitions": [{"Days": 30, "StorageClass": "STANDARD_IA"}]},
]
HARMFUL: list[dict[str, Any]] = [
    {"Filter": {"Prefix": ""}, "Expiration": {"Days": 30}},
    {"Filter": {}, "Expiration": {"Date": "2027-01-01T00:00:00Z"}},
    {"Prefix": "ledgers", "Expiration": {"Days": 30}},
    {"Filter": {"Prefix": "ledgers/analytics/prod/log/000"}, "Expiration": {"Days": 30}},
    {"Filter": {"ObjectSizeLessThan": 500}, "Expiration": {"Days": 30}},
    {"Filter": {"And": {"Prefix": "led", "ObjectSizeGreaterThan": 5}}, "Expiration": {"Days": 30}},
    {"Filter": {"Prefix": "ledgers/"}, "Transitions": [{"Days": 30, "StorageClass": "DEEP_ARCHIVE"}]},
]


@pytest.mark.parametrize(("rule", "wrong"), [*((rule, 0) for rule in HARMLESS), *((rule, 1) for rule in HARMFUL)])
def test_a_lifecycle_rule_that_reaches_the_ledger_is_refused(rule: dict[str, Any], wrong: int, aws: Server):
    """A rule that expires or archives batches is reported. A rule for other keys, tags or old versions is not
    reported."""
    url = aws.address("s3")
    rules = {"Rules": [{"ID": "tidy", "Status": "Enabled", **rule}]}
    aws.s3.put_bucket_lifecycle_configuration(Bucket=url.split("/")[2], LifecycleConfiguration=rules)

    findings = graded(found(url)[0], Severity.FAIL)

    assert len(findings) == wrong
    assert all("lifecycle rule tidy" in text and "ledgers/analytics/prod/log/" in text for text in findings)


def test_the_policies_of_a_bucket_are_about_this_ledger(aws: Server):
    """Batches are written once, and nothing is deleted. The role needs only to list, get and put objects."""
    bucket_policy, role_policy = (json.loads(policy.text)["Statement"] for policy in found("s3://" + aws.bucket())[1])
    assert [statement["Effect"] for statement in bucket_policy] == ["Deny", "Deny"]
    assert bucket_policy[0]["Resource"].endswith("/analytics/prod/log/*")
    assert bucket_policy[0]["Condition"]["Null"] == {"s3:if-none-match": "true"}
    assert bucket_policy[1]["Action"] == ["s3:DeleteObject", "s3:DeleteObjectVersion"]
    assert [statement["Action"] for statement in role_policy] == ["s3:ListBucket", ["s3:GetObject", "s3:PutObject"]]


def test_the_bucket_policy_in_the_documents_is_what_init_prints(aws: Server):
    """docs/ledger.md shows exactly the policy for s3://acme-ledger/ledgers."""
    aws.s3.create_bucket(Bucket="acme-ledger", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    text = (Path(__file__).parents[2] / "docs/ledger.md").read_text("utf-8")
    (shown,) = [block for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL) if "LedgerIsWrittenOnce" in block]
    assert json.loads(shown) == found("s3://acme-ledger/ledgers")[1][0].document


PERMISSIONS = {
    "ListObjectsV2": "s3:ListBucket",
    "GetObject": "s3:GetObject",
    "HeadObject": "s3:GetObject",
    "PutObject": "s3:PutObject",
    "Query": "dynamodb:Query",
    "GetItem": "dynamodb:GetItem",
    "PutItem": "dynamodb:PutItem",
}
"""The IAM action for each operation."""


@pytest.mark.parametrize("scheme", ["s3", "dynamodb"])
def test_the_role_gets_what_a_store_uses_and_no_more(scheme: str, aws: Server, opening: Opening):
    """The permissions that init prints are exactly those of the operations that a store uses."""
    url = aws.address(scheme)
    store, sent = opening(url), set[str]()
    clients = store if scheme == "s3" else store.table
    for client in (clients.reader, clients.writer):
        client.meta.events.register("before-send", lambda event_name, **_: sent.add(event_name.rsplit(".", 1)[-1]))
    store.append(1, bytes(1_000_000))
    store.append(1, b"second")
    store.keep_snapshot(1, b"snapshot")
    assert store.newest_snapshot() == (1, b"snapshot")
    assert len(list(store.read(0))) == 1
    assert store.get(2) is None

    (allowed,) = [policy.document["Statement"] for policy in found(url)[1] if "reconciler's role" in policy.title]
    actions = [statement["Action"] for statement in allowed if statement["Effect"] == "Allow"]
    granted = {action for some in actions for action in ([some] if isinstance(some, str) else some)}
    assert granted == {PERMISSIONS[operation] for operation in sent}


LISTING = b"<ListBucketResult><Name>bucket</Name><IsTruncated>false</IsTruncated></ListBucketResult>"


def test_a_bucket_that_takes_every_write_is_refused(monkeypatch: pytest.MonkeyPatch):
    """The check fails for a server that ignores If-None-Match. If the check is denied, the message contains the
    required permission."""
    denied = s3_error(403, "AccessDenied")
    with stub_of_aws(monkeypatch, reply(http(200, LISTING)), s3_object(b""), s3_object(b""), denied):
        findings, _ = found("s3://bucket/x")
    (wrong,) = graded(findings, Severity.FAIL)
    assert "in spite of If-None-Match" in wrong
    assert [text.rpartition(" no ")[2] for text in graded(findings, Severity.WARN)] == [
        "s3:GetBucketVersioning on bucket",
        "s3:GetLifecycleConfiguration on bucket",
    ]


# --- DynamoDB ---------------------------------------------------------------------------------------------------------


def test_a_table_is_made_that_can_hold_a_ledger(aws: Server, opening: Opening):
    """A missing table is created with the right keys, on-demand billing and protection. A second check passes."""
    url = "dynamodb://made-by-init"
    first, _ = found(url)
    second, policies = found(url)

    described = aws.dynamodb.describe_table(TableName="made-by-init")["Table"]
    assert {finding.severity for finding in first + second} == {Severity.OK}, first + second
    assert any("was created" in finding.message for finding in first)
    assert not any("was created" in finding.message for finding in second)
    assert described["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert described["DeletionProtectionEnabled"]
    store = opening(url)
    assert store.append(1, b"batch") == b"batch"
    assert "arn:aws:dynamodb:eu-west-1:444455556666:table/made-by-init" in policies[0].text


@pytest.mark.parametrize(
    "keys",
    [
        [("ledger", "HASH", "S")],
        [("ledger", "HASH", "S"), ("position", "RANGE", "S")],
        [("LockID", "HASH", "S")],
        [("position", "HASH", "N"), ("ledger", "RANGE", "S")],
    ],
)
def test_a_table_with_other_keys_is_refused(keys: list[tuple[str, str, str]], aws: Server):
    """If a table has other keys, the check fails and does not change the table."""
    (wrong,) = graded(found(f"dynamodb://{aws.table(keys)}")[0], Severity.FAIL)
    assert "has the keys " + ", ".join(f"{name} ({kind})" for name, _, kind in keys) in wrong


def test_a_table_whose_items_expire_is_refused(aws: Server):
    """Time to live is reported, because it would delete batches."""
    table = aws.table()
    aws.dynamodb.update_time_to_live(
        TableName=table, TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"}
    )
    (wrong,) = graded(found(f"dynamodb://{table}")[0], Severity.FAIL)
    assert "time to live is on" in wrong


def test_a_table_that_somebody_made_is_not_changed(aws: Server):
    """If deletion protection or point-in-time recovery is off, a warning contains the command to turn it on."""
    table = aws.table()
    advice = graded(found(f"dynamodb://{table}")[0], Severity.WARN)
    assert [text.split("aws dynamodb ")[1].split()[0] for text in advice] == [
        "update-table",
        "update-continuous-backups",
    ]
    assert not aws.dynamodb.describe_table(TableName=table)["Table"].get("DeletionProtectionEnabled")


DESCRIBED = {
    "Table": {
        "TableName": "table",
        "TableStatus": "ACTIVE",
        "KeySchema": [{"AttributeName": name, "KeyType": role} for name, role, _ in KEYS],
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": kind} for name, _, kind in KEYS],
    }
}
NO_ITEMS: dict[str, Any] = {"Items": [], "Count": 0}


def test_a_table_that_may_not_be_looked_at_closely(monkeypatch: pytest.MonkeyPatch):
    """If a check is denied, a warning contains the required permission. This does not count as a failure."""
    denied = dynamodb_error(400, "AccessDeniedException")
    with stub_of_aws(monkeypatch, answer(200, DESCRIBED), answer(200, NO_ITEMS), denied):
        findings, _ = found("dynamodb://table")
    assert graded(findings, Severity.FAIL) == []
    assert [text.rpartition(" no ")[2] for text in graded(findings, Severity.WARN) if " no " in text] == [
        "dynamodb:DescribeTimeToLive on table",
        "dynamodb:DescribeContinuousBackups on table",
    ]


def test_a_table_that_another_init_is_just_making(monkeypatch: pytest.MonkeyPatch):
    """If two inits run at the same time, both succeed. If recovery cannot be turned on yet, this is a warning."""
    acts = [
        dynamodb_error(400, "ResourceNotFoundException"),
        dynamodb_error(400, "ResourceInUseException"),
        answer(200, DESCRIBED),
        dynamodb_error(400, "ContinuousBackupsUnavailableException"),
        answer(200, DESCRIBED),
        answer(200, NO_ITEMS),
        answer(200, {}),
    ]
    with stub_of_aws(monkeypatch, *acts):
        findings, _ = found("dynamodb://table")
    assert graded(findings, Severity.FAIL) == []
    assert any("could not be turned on" in text for text in graded(findings, Severity.WARN))


@contextmanager
def stub_of_aws(monkeypatch: pytest.MonkeyPatch, *acts: Act) -> Iterator[None]:
    """Yields a stub that replaces S3 and DynamoDB and plays these acts, one per request."""
    with Stub(*acts) as stub:
        for name, value in Server(stub.url).environment.items():
            monkeypatch.setenv(name, value)
        yield
