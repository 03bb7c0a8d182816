"""Identity of a submission: canonical form, digest and client token."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from reconciler.model.base import JSON


def canonical(value: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """The canonical bytes of a JSON value: object keys sorted by code point, lists in order, nothing escaped that
    UTF-8 can carry, no white space.

    Raises `ValueError` for NaN and infinities, `TypeError` for what JSON cannot say, `UnicodeEncodeError` for lone
    surrogates. ``1``, ``1.0``, ``"1"``, ``null`` and a missing key are five different things.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


NAME_FIELDS = ("name", "jobName")
COSMETIC_FIELDS = ("tags", *NAME_FIELDS)
"""Fields of a request that never cause a run; a change of one takes effect with the next run."""


def content(request: JSON) -> JSON:
    """The part of a request that decides what runs."""
    return {key: value for key, value in request.items() if key not in COSMETIC_FIELDS}


TOKEN_PREFIX = "r1-"
TOKEN_HEX_DIGITS = 48  # with the prefix 51 characters: EMR Serverless takes 1 to 64 of [A-Za-z0-9._-]


def digest(kind: str, revision: int, request: JSON) -> str:
    """``sha256:…`` over what decides *what runs*: kind, revision and the request without tags and name.

    `request` is the rendered request as the spec stands for it: without our tags and token, and for a scheduled spec
    with its ``${run.slot}`` unrendered, so that slots of the same content share a digest.
    """
    form = {"kind": kind, "revision": revision, "request": content(request)}
    return "sha256:" + sha256(canonical(form)).hexdigest()


@dataclass(frozen=True, slots=True)
class Place:
    """Where runs go: the part of every identity that a project and its target give."""

    project: str
    target: str
    account: str
    region: str

    def owner(self, name: str) -> str:
        """The value of the ``reconciler:spec`` tag: ``PROJECT/TARGET/NAME``."""
        return f"{self.project}/{self.target}/{name}"


def client_token(  # noqa: PLR0917 - the parts of an identity, in the order of docs/identity.md
    place: Place,
    kind: str,
    name: str,
    generation: int | None,
    slot: str | None,
    attempt: int,
    content_digest: str,
) -> str:
    """The stable token of one submission: the same for the same submission, on every machine and at every time.

    Exactly one of `generation` (one-off) and `slot` (scheduled, ``2026-11-22T02:00:00Z``) is given.
    """
    if (generation is None) == (slot is None):
        raise ValueError("a submission has a generation or a slot, and never both")
    form = {
        "project": place.project,
        "target": place.target,
        "account": place.account,
        "region": place.region,
        "kind": kind,
        "name": name,
        "attempt": attempt,
        "digest": content_digest,
        **({"generation": generation} if slot is None else {"slot": slot}),
    }
    return TOKEN_PREFIX + sha256(canonical(form)).hexdigest()[:TOKEN_HEX_DIGITS]
