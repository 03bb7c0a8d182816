"""Checks that a store is ready for a ledger, for `reconciler ledger init`, and creates a DynamoDB table.

Existing resources are not changed. The check of conditional writes leaves one object in a bucket, under a key that the
log never reads.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from reconciler.aws.errors import ErrorAnswer, code_of, translate_ledger_errors
from reconciler.core.fsck import Finding, fail, ok, warn
from reconciler.core.identity import Place
from reconciler.core.ports import Store
from reconciler.errors import LedgerDenied, LedgerError, LedgerMissing, LedgerStoreMissing
from reconciler.ledger.dynamodb import PARTITION, POSITION, DynamoStore, Table
from reconciler.ledger.open import open_store
from reconciler.ledger.s3 import S3Store
from reconciler.model.arns import Arns
from reconciler.values import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """An IAM policy that the user must add manually: its purpose and its statements."""

    title: str
    statements: list[dict[str, Any]]

    @property
    def document(self) -> dict[str, Any]:
        """The policy document in the form that AWS accepts."""
        return {"Version": "2012-10-17", "Statement": self.statements}

    @property
    def text(self) -> str:
        """The policy document as JSON."""
        return json.dumps(self.document, indent=2)


def prepare(url: str, root: Path, place: Place) -> Iterator[Finding | Policy]:
    """Prepares the store at `url` for a ledger, or checks that it is ready. Yields each finding as soon as it is
    available. Does not create the ledger.

    Raises `LedgerError` if the store cannot be used at all.
    """
    store = open_store(url, root, place)
    if isinstance(store, S3Store):
        yield from _prepare_bucket(store, place)
    elif isinstance(store, DynamoStore):
        yield from _prepare_table(store, place)
    else:
        yield from _state(store)
        yield ok("a file needs no preparation; keep it on a permanent local disk")


def _state(store: Store) -> Iterator[Finding]:
    """Returns a finding on whether the store already contains a ledger. Raises `LedgerError` if it cannot be read."""
    try:
        begun = any(True for _ in store.read(0))
    except LedgerMissing:
        begun = False
    if begun:
        yield ok("it contains a readable ledger of this project and target")


def _denied(what: str, action: str, name: str) -> Finding:
    return warn(f"{what} could not be checked: these credentials have no {action} on {name}")


# --- S3 ---------------------------------------------------------------------------------------------------------------

PROBE = b"This object shows that the bucket refuses a second write. It means nothing to the ledger.\n"
ARCHIVES = {"GLACIER", "DEEP_ARCHIVE"}
"""Storage classes whose objects cannot be read immediately."""


def _prepare_bucket(store: S3Store, place: Place) -> Iterator[Finding | Policy]:
    try:
        yield from _state(store)
        yield _conditional_writes(store)
        yield _versioning(store)
        yield from _lifecycle(store)
        yield from _bucket_policies(store, place)
    finally:
        store.close()


def _conditional_writes(store: S3Store) -> Finding:
    """Writes the same key twice. The first write is accepted unless an earlier check left its probe; the second must
    be refused."""
    key = f"{store.keys.folder}probe"
    store.put_if_none(key, PROBE)
    if store.put_if_none(key, PROBE):
        return fail(
            f"{store.keys.bucket} accepts a second write of the same key in spite of If-None-Match: two reconcilers "
            "would overwrite each other. Use a bucket in Amazon S3"
        )
    return ok("a second write of the same key is refused: conditional writes work")


def _versioning(store: S3Store) -> Finding:
    bucket = store.keys.bucket
    try:
        with translate_ledger_errors(store.site, "s3:GetBucketVersioning"):
            on = store.reader.get_bucket_versioning(Bucket=bucket).get("Status") == "Enabled"
    except LedgerDenied:
        return _denied("versioning", "s3:GetBucketVersioning", bucket)
    if on:
        return ok("versioning is on: objects that are deleted by mistake can be restored")
    return warn(
        "versioning is off: objects that are deleted by mistake are lost. Turn it on: aws s3api put-bucket-versioning "
        f"--bucket {bucket} --versioning-configuration Status=Enabled"
    )


def _lifecycle(store: S3Store) -> Iterator[Finding]:
    log = store.keys.log
    try:
        rules = _lifecycle_rules(store)
    except LedgerDenied:
        yield _denied("lifecycle rules", "s3:GetLifecycleConfiguration", store.keys.bucket)
        return
    harmful = [(rule.get("ID") or "without a name", harm) for rule in rules if (harm := _harm(rule, log))]
    for name, harm in harmful:
        yield fail(
            f"the lifecycle rule {name} {harm} objects under {log}: the ledger would lose batches, and what they "
            "recorded would run again. Leave this prefix out of the rule"
        )
    if not harmful:
        yield ok(f"no lifecycle rule expires or archives objects under {log}")


def _lifecycle_rules(store: S3Store) -> list[Mapping[str, Any]]:
    with translate_ledger_errors(store.site, "s3:GetLifecycleConfiguration"):
        try:
            answer = store.reader.get_bucket_lifecycle_configuration(Bucket=store.keys.bucket)
        except ErrorAnswer as error:
            if code_of(error) == "NoSuchLifecycleConfiguration":
                return []
            raise
        rules: list[Mapping[str, Any]] = answer.get("Rules", [])
        return rules


def _harm(rule: Mapping[str, Any], log: str) -> str | None:
    """Returns a description of how a lifecycle rule harms batches, or `None` if it does not. Rules for noncurrent
    versions are harmless."""
    if rule.get("Status") != "Enabled" or not _covers(rule, log):
        return None
    if {"Days", "Date"} & set(rule.get("Expiration", {})):
        return "expires"
    moved = {transition.get("StorageClass") for transition in rule.get("Transitions", [])}
    return "archives" if moved & ARCHIVES else None


def _covers(rule: Mapping[str, Any], log: str) -> bool:
    """Returns whether a rule can apply to batches. A rule for a tag cannot, because batches have no tags."""
    condition = rule.get("Filter", {})
    all_of = condition.get("And", {})
    if "Tag" in condition or all_of.get("Tags"):
        return False
    prefix = rule.get("Prefix") or condition.get("Prefix") or all_of.get("Prefix") or ""
    return log.startswith(prefix) or prefix.startswith(log)


def _bucket_policies(store: S3Store, place: Place) -> Iterator[Policy]:
    bucket = Arns(place.account, place.region).in_s3(store.keys.bucket)
    written_once = {
        "Sid": "LedgerIsWrittenOnce",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"{bucket}/{store.keys.log}*",
        # S3 accepts no such header in the other operations of s3:PutObject, such as UploadPart.
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html
        "Condition": {"Null": {"s3:if-none-match": "true"}, "Bool": {"s3:ObjectCreationOperation": "true"}},
    }
    not_deleted = {
        "Sid": "LedgerIsNotDeleted",
        "Effect": "Deny",
        "Principal": "*",
        "Action": ["s3:DeleteObject", "s3:DeleteObjectVersion"],
        "Resource": f"{bucket}/{store.keys.folder}*",
    }
    yield Policy(
        f"Add to the policy of the bucket {store.keys.bucket}, so that nobody replaces or deletes a batch:",
        [written_once, not_deleted],
    )
    yield Policy("Permissions of the reconciler's role for this ledger:", _bucket_access(store, place, writes=True))


def _bucket_access(store: S3Store, place: Place, *, writes: bool) -> list[dict[str, Any]]:
    bucket = Arns(place.account, place.region).in_s3(store.keys.bucket)
    listed = {"Sid": "LedgerIsListed", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": bucket}
    read_and_written = {
        "Sid": "LedgerIsReadAndWritten" if writes else "LedgerIsRead",
        "Effect": "Allow",
        "Action": ["s3:GetObject", "s3:PutObject"] if writes else ["s3:GetObject"],
        "Resource": f"{bucket}/{store.keys.folder}*",
    }
    return [listed, read_and_written]


# --- DynamoDB ---------------------------------------------------------------------------------------------------------

KEYS = [(PARTITION, "HASH", "S"), (POSITION, "RANGE", "N")]
"""The name, role and type of each key of the table."""
WAIT = {"Delay": 2, "MaxAttempts": 90}
"""Seconds between two checks of a table that is being created, and the maximum number of checks."""


def _prepare_table(store: DynamoStore, place: Place) -> Iterator[Finding | Policy]:
    table = store.table
    try:
        description = _describe(table)
        if description is None:
            _create(table)
            yield ok(f"the table {table.name} was created in {place.region}, paid by request")
            yield _turn_recovery_on(table)
            description = _describe(table) or {}
        keys = _keys(description)
        if keys != KEYS:
            yield fail(
                f"the table {table.name} has the keys {_key_text(keys)}, but a ledger needs {_key_text(KEYS)}. "
                "Use another table name; init creates the table"
            )
            return
        yield from _state(store)
        yield _expiry(table)
        yield _protection(table, description)
        yield _recovery(table)
        yield _table_policy(store, place)
    finally:
        store.close()


def _describe(table: Table) -> Mapping[str, Any] | None:
    """Returns DynamoDB's description of the table, or `None` if there is no table."""
    try:
        with translate_ledger_errors(table.site, "dynamodb:DescribeTable"):
            description: Mapping[str, Any] = table.reader.describe_table(TableName=table.name)["Table"]
            return description
    except LedgerStoreMissing:
        return None


def _create(table: Table) -> None:
    """Creates the table, unless it is already being created, and waits until it can be used."""
    with translate_ledger_errors(table.site, "dynamodb:CreateTable"):
        try:
            # botocore may repeat this call, because a table that exists is no error below.
            table.reader.create_table(
                TableName=table.name,
                BillingMode="PAY_PER_REQUEST",
                DeletionProtectionEnabled=True,
                AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, _, kind in KEYS],
                KeySchema=[{"AttributeName": name, "KeyType": role} for name, role, _ in KEYS],
            )
        except ErrorAnswer as error:
            if code_of(error) != "ResourceInUseException":
                raise
        table.reader.get_waiter("table_exists").wait(TableName=table.name, WaiterConfig=WAIT)


def _turn_recovery_on(table: Table) -> Finding:
    """Turns on point-in-time recovery for a new table. This fails if the table is not ready for it yet."""
    try:
        with translate_ledger_errors(table.site, "dynamodb:UpdateContinuousBackups"):
            table.reader.update_continuous_backups(
                TableName=table.name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
            )
    except LedgerError as error:
        return warn(f"point-in-time recovery could not be turned on: {error}")
    return ok("point-in-time recovery was turned on")


def _keys(description: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    types = {each["AttributeName"]: each["AttributeType"] for each in description.get("AttributeDefinitions", [])}
    schema = description.get("KeySchema", [])
    return [(key["AttributeName"], key["KeyType"], types.get(key["AttributeName"], "")) for key in schema]


def _key_text(keys: list[tuple[str, str, str]]) -> str:
    return ", ".join(f"{name} ({kind})" for name, _, kind in keys)


def _expiry(table: Table) -> Finding:
    try:
        with translate_ledger_errors(table.site, "dynamodb:DescribeTimeToLive"):
            answer = table.reader.describe_time_to_live(TableName=table.name)
    except LedgerDenied:
        return _denied("time to live", "dynamodb:DescribeTimeToLive", table.name)
    if answer.get("TimeToLiveDescription", {}).get("TimeToLiveStatus") in {"ENABLED", "ENABLING"}:
        return fail(f"time to live is on for {table.name}: a ledger must not expire. Turn it off, or use another table")
    return ok("time to live is off: nothing expires")


def _protection(table: Table, description: Mapping[str, Any]) -> Finding:
    if description.get("DeletionProtectionEnabled"):
        return ok("the table is protected against deletion")
    return warn(
        "the table is not protected against deletion. Turn it on: "
        f"aws dynamodb update-table --table-name {table.name} --deletion-protection-enabled"
    )


def _recovery(table: Table) -> Finding:
    try:
        with translate_ledger_errors(table.site, "dynamodb:DescribeContinuousBackups"):
            answer = table.reader.describe_continuous_backups(TableName=table.name)
    except LedgerDenied:
        return _denied("point-in-time recovery", "dynamodb:DescribeContinuousBackups", table.name)
    recovery = answer.get("ContinuousBackupsDescription", {}).get("PointInTimeRecoveryDescription", {})
    if recovery.get("PointInTimeRecoveryStatus") == "ENABLED":
        return ok("point-in-time recovery is on: a damaged table can be restored under another name")
    return warn(
        "point-in-time recovery is off. Turn it on: aws dynamodb update-continuous-backups "
        f"--table-name {table.name} --point-in-time-recovery-specification PointInTimeRecoveryEnabled=true"
    )


def _table_policy(store: DynamoStore, place: Place) -> Policy:
    denied = ["BatchWriteItem", "DeleteItem", "DeleteTable", "PartiQLDelete", "PartiQLUpdate", "UpdateItem"]
    deny = {
        "Sid": "LedgerIsNotDeleted",
        "Effect": "Deny",
        "Action": [f"dynamodb:{action}" for action in (*denied, "UpdateTimeToLive")],
        "Resource": _table_arn(store, place),
    }
    return Policy(
        "Permissions of the reconciler's role for this ledger, and actions to deny to everybody:",
        [*_table_access(store, place, writes=True), deny],
    )


def _table_arn(store: DynamoStore, place: Place) -> str:
    return Arns(place.account, place.region).of("dynamodb", "table/", store.table.name)


def _table_access(store: DynamoStore, place: Place, *, writes: bool) -> list[dict[str, Any]]:
    # Snapshots and the parts of large batches have partitions of their own.
    leading = {"dynamodb:LeadingKeys": [store.ledger, f"{store.ledger}#*"]}
    actions = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"]
    return [
        {
            "Sid": "LedgerIsReadAndWritten" if writes else "LedgerIsRead",
            "Effect": "Allow",
            "Action": actions if writes else [each for each in actions if each != "dynamodb:PutItem"],
            "Resource": _table_arn(store, place),
            "Condition": {"ForAllValues:StringLike": leading},
        }
    ]


def access(url: str, root: Path, place: Place, *, writes: bool) -> list[dict[str, Any]]:
    """Returns the policy statements that a role needs to read the ledger at `url` and, with `writes`, to append to it.
    A ledger in a file needs none."""
    store = open_store(url, root, place)
    if isinstance(store, S3Store):
        return _bucket_access(store, place, writes=writes)
    return _table_access(store, place, writes=writes) if isinstance(store, DynamoStore) else []
