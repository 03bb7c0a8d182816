"""Identifies a submission: its key, its content, and the digest and client token made from them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from reconciler.core.event_fields import Few, Flag, Number, Request, Text, TextMapping, Time
from reconciler.model.base import JSON
from reconciler.model.kind import kind_named


def canonical(value: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """The canonical bytes of a JSON value: object keys sorted by code point, lists in order, nothing escaped that
    UTF-8 can carry, no white space.

    Raises `ValueError` for NaN and infinities, `TypeError` for what JSON cannot say, `UnicodeEncodeError` for lone
    surrogates. ``1``, ``1.0``, ``"1"``, ``null`` and a missing key are five different things.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


TOKEN_PREFIX = "r1-"
TOKEN_HEX_DIGITS = 48  # with the prefix 51 characters: EMR Serverless takes 1 to 64 of [A-Za-z0-9._-]


def digest(kind: str, revision: int, request: JSON) -> str:
    """``sha256:…`` over what decides *what runs*: kind, revision and the request without tags and name.

    `request` is the rendered request without our tags and token. A scheduled spec keeps its ``${run.slot}``, so that
    slots of the same content share a digest.
    """
    form = {"kind": kind, "revision": revision, "request": kind_named(kind).content(request)}
    return "sha256:" + sha256(canonical(form)).hexdigest()


def digests(kind: str, revision: int, request: JSON) -> frozenset[str]:
    """Every digest that a spec with this request may have: that of the request, and that of the form in which version
    0.1.0 sent the same shorthand, which the digest of shorthand is made from."""
    return frozenset(digest(kind, revision, form) for form in (request, kind_named(kind).first_form(request)))


@dataclass(frozen=True, slots=True)
class Place:
    """Where runs go: the part of every identity that a project and its target give."""

    project: Text
    target: Text
    account: Text
    region: Text

    def __str__(self) -> str:
        return f"project {self.project}, target {self.target}, account {self.account}, region {self.region}"

    def owner(self, name: str) -> str:
        """The value of the ``reconciler:spec`` tag: ``PROJECT/TARGET/NAME``."""
        return f"{self.project}/{self.target}/{name}"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a spec is written: a path relative to the project folder with forward slashes, and its first line."""

    path: Text
    line: Number

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True)
class SubmissionKey:
    """Names one submission: the spec, its generation (one-off) or slot (scheduled), and the attempt.

    The ledger refuses a second intent with the same key. Raises `ValueError` unless exactly one of `generation` and
    `slot` is given.
    """

    name: Text
    generation: Number | None = None
    slot: Time | None = None
    attempt: Few = 1

    def __post_init__(self) -> None:
        if (self.generation is None) == (self.slot is None):
            raise ValueError("a submission has a generation or a slot, and never both")

    @property
    def label(self) -> str:
        """``generation 3``, or ``slot 2026-11-22T02:00:00Z, attempt 2``: the submission among those of its spec."""
        run = f"slot {self.slot}" if self.slot is not None else f"generation {self.generation}"
        return run + (f", attempt {self.attempt}" if self.attempt > 1 else "")

    def __str__(self) -> str:
        return f"{self.name}, {self.label}"


@dataclass(frozen=True, slots=True)
class Content:
    """What a submission runs, and how its run is found and treated afterwards.

    `digest` is empty if no content is meant. `request` is rendered, without our tags and token; in the events that
    begin a submission it is the request as sent; `None` if only the ledger has it. `location` has the fields
    by which the run is found again, such as ``{"applicationId": …}``. `source` is `None` if it is not recorded.
    """

    digest: Text = ""
    revision: Number = 1
    request: Request | None = None
    location: TextMapping = field(default_factory=dict)
    deletion_policy: Text = "Orphan"
    streaming: Flag = False
    source: Source | None = None


NO_CONTENT = Content()


def client_token(place: Place, kind: str, key: SubmissionKey, content_digest: str) -> str:
    """The stable token of one submission: the same for the same submission, on every machine and at every time."""
    form = {
        "project": place.project,
        "target": place.target,
        "account": place.account,
        "region": place.region,
        "kind": kind,
        "name": key.name,
        "attempt": key.attempt,
        "digest": content_digest,
        **({"generation": key.generation} if key.slot is None else {"slot": key.slot}),
    }
    return TOKEN_PREFIX + sha256(canonical(form)).hexdigest()[:TOKEN_HEX_DIGITS]
