"""Tests digests and tokens, whose values are fixed by golden values. Other tests check which changes may affect
them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core import identity
from reconciler.core.identity import (
    Place,
    SubmissionKey,
    both_digests,
    canonical,
    client_token,
    digest,
    request_digest,
)
from reconciler.core.times import parse_time, seconds_text, time_text
from reconciler.model.kind import kind_named
from tests.campaigns import in_one_test

PLACE = Place("analytics", "prod", "444455556666", "eu-west-1")
REQUEST = {
    "applicationId": "00f1abcdefg",
    "executionRoleArn": "arn:aws:iam::444455556666:role/emr-jobs",
    "jobDriver": {
        "sparkSubmit": {"entryPoint": "s3://acme-jobs/jobs/orders.py", "entryPointArguments": ["--day", "ñ"]}
    },
    "tags": {"team": "growth"},
    "name": "orders-daily",
}
BATCH = kind_named("BatchJob")
GOLDEN_DIGEST = "sha256:b88db5f8fca9f82f2b66308edda20c473bb76ff98f6f34fa1a5739266260df99"
GOLDEN_TOKEN = "r1-84ee7c89c6d1d2f8ce3354c409c4aab4b42506d445d1f557"
GOLDEN_SLOT_TOKEN = "r1-aa6c54784d9266dddf6c41054a5499f2ef5ade32d2f7b742"

json_values = st.recursive(
    st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=12,
)
requests = st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), json_values, max_size=5)


def shuffled(value: Any) -> Any:
    """Returns the same value with the keys of every object in reverse order."""
    if isinstance(value, dict):
        return {key: shuffled(value[key]) for key in reversed(value)}
    return [shuffled(item) for item in value] if isinstance(value, list) else value


def test_canonical_form() -> None:
    """Keys are sorted at every depth, lists keep their order, and characters that UTF-8 can encode are not escaped."""
    assert canonical({"b": [2, 1], "a": {"ñ": True, "n": "\n"}}) == '{"a":{"n":"\\n","ñ":true},"b":[2,1]}'.encode()


@in_one_test("other", [1.0, "1", True, None, [1], {}])
def test_values_that_look_alike_differ(other: Any) -> None:
    """A number, its text, a fraction, true, null and a missing key are different contents."""
    assert canonical({"a": 1}) != canonical({"a": other})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_has_no_canonical_form(value: float) -> None:
    """NaN and infinities have no JSON form and are refused."""
    with pytest.raises(ValueError, match="JSON"):
        canonical({"a": value})


def test_golden_digest() -> None:
    """The digest of an unchanged spec never changes, not even with an upgrade."""
    assert digest("EmrServerlessJobRun", 1, REQUEST) == GOLDEN_DIGEST


def test_golden_token_of_a_generation() -> None:
    """The token of a generation never changes, not even with an upgrade."""
    made = client_token(PLACE, "EmrServerlessJobRun", SubmissionKey("orders-daily", 3), GOLDEN_DIGEST)
    assert made == GOLDEN_TOKEN


def test_golden_token_of_a_slot() -> None:
    """The token of a slot never changes, not even with an upgrade."""
    key = SubmissionKey("orders-daily", slot="2026-11-22T02:00:00Z", attempt=2)
    made = client_token(PLACE, "EmrServerlessJobRun", key, GOLDEN_DIGEST)
    assert made == GOLDEN_SLOT_TOKEN


def test_a_token_fits_emr_serverless() -> None:
    """A token has 51 characters, all of which StartJobRun accepts."""
    assert len(GOLDEN_TOKEN) == 51
    assert set(GOLDEN_TOKEN) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


fields = st.sampled_from(["name", "tags", "jobName", "namespace", "name.", "A", "tagsé", "z", "nam", ""])


@given(st.dictionaries(fields | st.text(st.characters(exclude_categories=["Cs"])), json_values), st.integers(0))
@pytest.mark.parametrize("kind", ["BatchJob", "EmrServerlessJobRun"])
def test_both_digests_are_those_made_alone(kind: str, request_fields: dict[str, Any], revision: int) -> None:
    """The digest of a spec and the digest of its whole request do not depend on whether they are computed together."""
    expected = (digest(kind, revision, request_fields), request_digest(request_fields))

    assert both_digests(kind, revision, request_fields) == expected


def test_fields_are_formatted_once_for_both_digests(monkeypatch: pytest.MonkeyPatch) -> None:
    """When both digests are computed, the canonical form of the fields that decide what runs is computed only once."""
    formatted: list[Any] = []

    def counted(value: Any) -> bytes:
        formatted.append(value)
        return canonical(value)

    monkeypatch.setattr(identity, "canonical", counted)

    both_digests("EmrServerlessJobRun", 1, REQUEST)

    assert [value for value in formatted if isinstance(value, dict) and "jobDriver" in value] == [
        {key: REQUEST[key] for key in ("applicationId", "executionRoleArn", "jobDriver")}
    ]


@given(requests)
def test_key_order_never_changes_a_digest(request: dict[str, Any]) -> None:
    """A request with its keys in another order has the same digest."""
    assert digest("BatchJob", 1, shuffled(request)) == digest("BatchJob", 1, request)


@given(requests, st.sampled_from(BATCH.cosmetic_fields), json_values)
def test_cosmetic_fields_never_change_a_digest(request: dict[str, Any], field: str, value: Any) -> None:
    """Tags and names are not part of the digest."""
    bare = {key: item for key, item in request.items() if key != field}
    assert digest("BatchJob", 1, {**bare, field: value}) == digest("BatchJob", 1, bare)


@given(requests, requests)
def test_different_content_has_different_digests(one: dict[str, Any], two: dict[str, Any]) -> None:
    """Two requests have the same digest only if their canonical content is the same."""
    same = canonical({k: v for k, v in one.items() if k not in BATCH.cosmetic_fields}) == canonical(
        {k: v for k, v in two.items() if k not in BATCH.cosmetic_fields}
    )
    assert (digest("BatchJob", 1, one) == digest("BatchJob", 1, two)) is same


def test_kind_and_revision_are_content() -> None:
    """The same request with another kind or revision has another digest."""
    digests = {digest(kind, revision, REQUEST) for kind in ("BatchJob", "EmrServerlessJobRun") for revision in (1, 2)}
    assert len(digests) == 4


def _token(place: Place, kind: str, content_digest: str, **key: Any) -> str:
    return client_token(place, kind, SubmissionKey(**key), content_digest)


def test_every_part_of_an_identity_changes_the_token() -> None:
    """Submissions that differ in any part of their key have different tokens."""
    base: dict[str, Any] = {"place": PLACE, "kind": "k", "name": "n", "generation": 1, "slot": None, "attempt": 1}
    others: list[dict[str, Any]] = [
        {},
        {"place": Place("x", "prod", "444455556666", "eu-west-1")},
        {"place": Place("analytics", "x", "444455556666", "eu-west-1")},
        {"place": Place("analytics", "prod", "x", "eu-west-1")},
        {"place": Place("analytics", "prod", "444455556666", "x")},
        {"kind": "x"},
        {"name": "x"},
        {"generation": 2},
        {"generation": None, "slot": "2026-11-22T02:00:00Z"},
        {"attempt": 2},
        {"content_digest": "x"},
    ]
    tokens = {_token(**{**base, "content_digest": "d", **other}) for other in others}
    assert len(tokens) == len(others)


@pytest.mark.parametrize(("generation", "slot"), [(None, None), (1, "2026-11-22T02:00:00Z")])
def test_a_submission_has_a_generation_or_a_slot(generation: int | None, slot: str | None) -> None:
    """A key with neither a generation nor a slot, or with both, is refused."""
    with pytest.raises(ValueError, match="generation or a slot"):
        SubmissionKey("n", generation, slot)


def test_the_owner_tag_names_project_target_and_spec() -> None:
    """The owner tag shows which spec a run belongs to."""
    assert PLACE.owner("orders-daily") == "analytics/prod/orders-daily"


def test_times_are_utc_with_a_z() -> None:
    """Times in the ledger include milliseconds, and displayed times do not. Both are in UTC."""
    moment = datetime(2026, 11, 22, 3, 0, 3, 123456, tzinfo=timezone(timedelta(hours=1)))
    assert time_text(moment) == "2026-11-22T02:00:03.123Z"
    assert seconds_text(moment) == "2026-11-22T02:00:03Z"
    assert parse_time(time_text(moment)) == datetime(2026, 11, 22, 2, 0, 3, 123000, tzinfo=UTC)


def test_a_time_without_zone_is_refused() -> None:
    """A time without a zone is refused."""
    with pytest.raises(ValueError, match="no time zone"):
        parse_time("2026-11-22T02:00:03")
