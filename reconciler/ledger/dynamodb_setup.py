"""What `reconciler ledger init` does for a ledger in DynamoDB: it makes the table, or looks at the one that is there.

A table that is there is never changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from reconciler.aws.clients import arn_partition
from reconciler.aws.errors import ledger_code_of, translated
from reconciler.core.findings import Finding, fail, ok, warn
from reconciler.core.identity import Place
from reconciler.errors import LedgerDenied, LedgerError, LedgerStoreMissing
from reconciler.ledger.dynamodb import PARTITION, POSITION, DynamoStore, Table
from reconciler.ledger.open import Policy, standing, statements

KEYS = [(PARTITION, "HASH", "S"), (POSITION, "RANGE", "N")]
"""Name, role and type of each key."""
WAIT = {"Delay": 2, "MaxAttempts": 90}
"""Seconds between two looks at a table that is being made, and how many there are."""


def prepare(url: str, _root: Path, place: Place) -> Iterator[Finding | Policy]:
    """Makes the table where there is none, and looks at everything that a ledger rests on. Raises `LedgerError`."""
    store = DynamoStore(url, place)
    table = store.table
    try:
        described = _described(table)
        if described is None:
            _make(table)
            yield ok(f"the table {table.name} was made in {place.region}, paid by request")
            yield _recovery_on(table)
            described = _described(table) or {}
        keys = _keys(described)
        if keys != KEYS:
            yield fail(f"the table {table.name} has other keys than a ledger's: {_words(keys)}")
            return
        yield standing(store)
        yield _expiry(table)
        yield _protection(table, described)
        yield _recovery(table)
        yield _policy(store, place)
    finally:
        store.close()


def _described(table: Table) -> Mapping[str, Any] | None:
    """The table as DynamoDB describes it, `None` where there is none."""
    try:
        with translated(table.site, "dynamodb:DescribeTable"):
            described: Mapping[str, Any] = table.clients.reading.describe_table(TableName=table.name)["Table"]
            return described
    except LedgerStoreMissing:
        return None


def _make(table: Table) -> None:
    """Makes the table and waits until it can be used; one that somebody else is just making is as good."""
    with translated(table.site, "dynamodb:CreateTable"):
        try:
            table.clients.reading.create_table(
                TableName=table.name,
                BillingMode="PAY_PER_REQUEST",
                DeletionProtectionEnabled=True,
                AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, _, kind in KEYS],
                KeySchema=[{"AttributeName": name, "KeyType": role} for name, role, _ in KEYS],
            )
        except ClientError as error:
            if ledger_code_of(error) != "ResourceInUseException":
                raise
        table.clients.reading.get_waiter("table_exists").wait(TableName=table.name, WaiterConfig=WAIT)


def _recovery_on(table: Table) -> Finding:
    """Turns point-in-time recovery on for a table that was just made; it may be too early for that."""
    try:
        with translated(table.site, "dynamodb:UpdateContinuousBackups"):
            table.clients.reading.update_continuous_backups(
                TableName=table.name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
            )
    except LedgerError as error:
        return warn(f"point-in-time recovery could not be turned on: {error}")
    return ok("point-in-time recovery was turned on")


def _keys(described: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    types = {given["AttributeName"]: given["AttributeType"] for given in described.get("AttributeDefinitions", [])}
    schema = described.get("KeySchema", [])
    return [(key["AttributeName"], key["KeyType"], types.get(key["AttributeName"], "")) for key in schema]


def _words(keys: list[tuple[str, str, str]]) -> str:
    found = ", ".join(f"{name} ({kind})" for name, _, kind in keys)
    wanted = ", ".join(f"{name} ({kind})" for name, _, kind in KEYS)
    return f"{found}, and not {wanted}. Give the target another table name: init makes the table"


def _expiry(table: Table) -> Finding:
    try:
        with translated(table.site, "dynamodb:DescribeTimeToLive"):
            answer = table.clients.reading.describe_time_to_live(TableName=table.name)
    except LedgerDenied:
        return _unseen(table, "time to live", "dynamodb:DescribeTimeToLive")
    if answer.get("TimeToLiveDescription", {}).get("TimeToLiveStatus") in {"ENABLED", "ENABLING"}:
        return fail(
            f"time to live is on for {table.name}: a ledger must not expire. Turn it off, or use another table",
        )
    return ok("time to live is off: nothing expires")


def _protection(table: Table, described: Mapping[str, Any]) -> Finding:
    if described.get("DeletionProtectionEnabled"):
        return ok("the table is protected against deletion")
    return warn(
        "the table is not protected against deletion. Turn it on: "
        f"aws dynamodb update-table --table-name {table.name} --deletion-protection-enabled",
    )


def _recovery(table: Table) -> Finding:
    try:
        with translated(table.site, "dynamodb:DescribeContinuousBackups"):
            answer = table.clients.reading.describe_continuous_backups(TableName=table.name)
    except LedgerDenied:
        return _unseen(table, "point-in-time recovery", "dynamodb:DescribeContinuousBackups")
    found = answer.get("ContinuousBackupsDescription", {}).get("PointInTimeRecoveryDescription", {})
    if found.get("PointInTimeRecoveryStatus") == "ENABLED":
        return ok("point-in-time recovery is on: a damaged table can be restored under another name")
    return warn(
        "point-in-time recovery is off. Turn it on: aws dynamodb update-continuous-backups "
        f"--table-name {table.name} --point-in-time-recovery-specification PointInTimeRecoveryEnabled=true",
    )


def _unseen(table: Table, what: str, action: str) -> Finding:
    return warn(f"{what} could not be looked at: these credentials have no {action} on {table.name}")


def _policy(store: DynamoStore, place: Place) -> Policy:
    resource = f"arn:{arn_partition(place.region)}:dynamodb:{place.region}:{place.account}:table/{store.table.name}"
    leading = {"dynamodb:LeadingKeys": [store.ledger, f"{store.ledger}#*"]}
    return Policy(
        "What the reconciler's role needs for this ledger, and what nobody should be allowed:",
        statements(
            {
                "Sid": "LedgerIsReadAndWritten",
                "Effect": "Allow",
                "Action": ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"],
                "Resource": resource,
                "Condition": {"ForAllValues:StringLike": leading},
            },
            {
                "Sid": "LedgerIsNotDeleted",
                "Effect": "Deny",
                "Action": [
                    "dynamodb:BatchWriteItem",
                    "dynamodb:DeleteItem",
                    "dynamodb:DeleteTable",
                    "dynamodb:PartiQLDelete",
                    "dynamodb:PartiQLUpdate",
                    "dynamodb:UpdateItem",
                    "dynamodb:UpdateTimeToLive",
                ],
                "Resource": resource,
            },
        ),
    )
