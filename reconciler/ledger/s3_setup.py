"""What `reconciler ledger init` does for a ledger in S3: it looks at the bucket, and says what to turn on.

It leaves one object behind, the probe of conditional writes, under a key that the log never reads.
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
from reconciler.errors import LedgerDenied
from reconciler.ledger.open import Policy, standing, statements
from reconciler.ledger.s3 import S3Store

PROBE = b"This object shows that the bucket refuses a second write. It means nothing to the ledger.\n"
ARCHIVES = {"GLACIER", "DEEP_ARCHIVE"}
"""Storage classes whose objects cannot be read at once."""


def prepare(url: str, _root: Path, place: Place) -> Iterator[Finding | Policy]:
    """Looks at everything that a ledger rests on. Raises `LedgerError` where the bucket cannot be used at all."""
    store = S3Store(url, place)
    try:
        yield standing(store)
        yield _conditional(store)
        yield _versioning(store)
        yield from _lifecycle(store)
        yield from _policies(store, place)
    finally:
        store.close()


def _conditional(store: S3Store) -> Finding:
    """The first of two writes is taken, unless an earlier look left its probe; the second must be refused."""
    key = f"{store.keys.folder}probe"
    store.put_if_none(key, PROBE)
    if store.put_if_none(key, PROBE):
        return fail(
            f"{store.keys.bucket} takes a second write of the same key in spite of If-None-Match: two reconcilers "
            "would overwrite each other. Use a bucket of Amazon S3 itself",
        )
    return ok("a second write of the same key is refused: conditional writes work")


def _versioning(store: S3Store) -> Finding:
    bucket = store.keys.bucket
    try:
        with translated(store.site, "s3:GetBucketVersioning"):
            on = store.clients.reading.get_bucket_versioning(Bucket=bucket).get("Status") == "Enabled"
    except LedgerDenied:
        return _unseen("versioning", "s3:GetBucketVersioning", bucket)
    if on:
        return ok("versioning is on: what is deleted by mistake can be restored")
    return warn(
        "versioning is off: what is deleted by mistake is lost. Turn it on: aws s3api put-bucket-versioning "
        f"--bucket {bucket} --versioning-configuration Status=Enabled",
    )


def _lifecycle(store: S3Store) -> Iterator[Finding]:
    bucket = store.keys.bucket
    try:
        with translated(store.site, "s3:GetLifecycleConfiguration"):
            rules = _rules(store)
    except LedgerDenied:
        yield _unseen("lifecycle rules", "s3:GetLifecycleConfiguration", bucket)
        return
    harmful = [(rule.get("ID") or "without a name", what) for rule in rules if (what := _harm(rule, store.keys.log))]
    for name, what in harmful:
        yield fail(
            f"the lifecycle rule {name} {what} objects under {store.keys.log}: the ledger would come apart, and what "
            "it held would run again. Leave this prefix out of the rule",
        )
    if not harmful:
        yield ok(f"no lifecycle rule expires or archives objects under {store.keys.log}")


def _rules(store: S3Store) -> list[Mapping[str, Any]]:
    try:
        answer = store.clients.reading.get_bucket_lifecycle_configuration(Bucket=store.keys.bucket)
    except ClientError as error:
        if ledger_code_of(error) == "NoSuchLifecycleConfiguration":
            return []
        raise
    rules: list[Mapping[str, Any]] = answer.get("Rules", [])
    return rules


def _harm(rule: Mapping[str, Any], log: str) -> str | None:
    """What a lifecycle rule does to batches, `None` where nothing. Old versions do not matter: no batch has any."""
    if rule.get("Status") != "Enabled" or not _covers(rule, log):
        return None
    if {"Days", "Date"} & set(rule.get("Expiration", {})):
        return "expires"
    moved = {transition.get("StorageClass") for transition in rule.get("Transitions", [])}
    return "archives" if moved & ARCHIVES else None


def _covers(rule: Mapping[str, Any], log: str) -> bool:
    """Whether a rule may mean batches: it does not where it asks for a tag, since they have none."""
    found = rule.get("Filter", {})
    all_of = found.get("And", {})
    if "Tag" in found or all_of.get("Tags"):
        return False
    prefix = rule.get("Prefix") or found.get("Prefix") or all_of.get("Prefix") or ""
    return log.startswith(prefix) or prefix.startswith(log)


def _unseen(what: str, action: str, bucket: str) -> Finding:
    return warn(f"{what} could not be looked at: these credentials have no {action} on {bucket}")


def _policies(store: S3Store, place: Place) -> Iterator[Policy]:
    bucket = f"arn:{arn_partition(place.region)}:s3:::{store.keys.bucket}"
    everyone: dict[str, Any] = {"Effect": "Deny", "Principal": "*"}
    yield Policy(
        f"Add to the policy of the bucket {store.keys.bucket}, so that nobody replaces or deletes a batch:",
        statements(
            {
                "Sid": "LedgerIsWrittenOnce",
                **everyone,
                "Action": "s3:PutObject",
                "Resource": f"{bucket}/{store.keys.log}*",
                "Condition": {"Null": {"s3:if-none-match": "true"}, "Bool": {"s3:ObjectCreationOperation": "true"}},
            },
            {
                "Sid": "LedgerIsNotDeleted",
                **everyone,
                "Action": ["s3:DeleteObject", "s3:DeleteObjectVersion"],
                "Resource": f"{bucket}/{store.keys.folder}*",
            },
        ),
    )
    yield Policy(
        "What the reconciler's role needs for this ledger:",
        statements(
            {"Sid": "LedgerIsListed", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": bucket},
            {
                "Sid": "LedgerIsReadAndWritten",
                "Effect": "Allow",
                "Action": ["s3:GetObject", "s3:PutObject"],
                "Resource": f"{bucket}/{store.keys.folder}*",
            },
        ),
    )
