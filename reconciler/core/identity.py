"""Identifies a submission by its key and its content, and computes the digest and client token from them."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from hashlib import sha256
from typing import Any

from reconciler.core.event_fields import Few, Flag, Number, Request, Text, TextMapping, Time
from reconciler.model.base import JSON
from reconciler.model.kind import MODULES, kind_named
from reconciler.model.project import EMULATOR_ACCOUNT
from reconciler.values import dataclass


def canonical(value: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """Returns the canonical bytes of a JSON value: object keys sorted by code point, lists in order, no escapes for
    characters that UTF-8 can encode, no white space.

    Raises `ValueError` for NaN and infinities, `TypeError` for values that JSON cannot represent, `UnicodeEncodeError`
    for lone surrogates. ``1``, ``1.0``, ``"1"``, ``null`` and a missing key are all different.
    """
    return "".join(_parts(value, 0)).encode()


def _encoder() -> Callable[[Any, int], Iterable[str]]:
    """Returns the function that yields the parts of the canonical form. `json` would make its encoder in C anew for
    each value, which takes as long as encoding a small one."""
    encoder = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    make, text = getattr(json.encoder, "c_make_encoder", None), getattr(json.encoder, "encode_basestring", None)
    if make is None:  # an implementation of Python without the encoder in C
        return lambda value, _: encoder.iterencode(value)
    parts: Callable[[Any, int], Iterable[str]] = make(None, encoder.default, text, None, ":", ",", True, False, False)
    return parts


_parts = _encoder()


TOKEN_PREFIX = "r1-"
TOKEN_HEX_DIGITS = 48  # 51 characters with the prefix; EMR Serverless accepts 1 to 64 of [A-Za-z0-9._-]


def digest(kind: str, revision: int, request: JSON) -> str:
    """Returns ``sha256:…`` over the values that determine *what runs*: kind, revision and the request without tags and
    name.

    `request` is the rendered request without our tags and token. A scheduled spec keeps its ``${run.slot}`` unrendered,
    so that slots of the same content have the same digest.
    """
    form = {"kind": kind, "revision": revision, "request": kind_named(kind).content(request)}
    return "sha256:" + sha256(canonical(form)).hexdigest()


def both_digests(kind: str, revision: int, request: JSON) -> tuple[str, str]:
    """Returns the results of `digest` and `request_digest`. The canonical form of the fields that both digests include
    is computed once, because it takes most of the time."""
    cosmetic = kind_named(kind).cosmetic_fields
    content, whole, fields = list[bytes](), list[bytes](), JSON()
    for key in [*sorted(request), None]:
        if key is not None and key not in cosmetic:
            fields[key] = request[key]
            continue
        if fields:
            # Keys are visited in sorted order, so the parts without their braces join to one canonical object.
            content.append(canonical(fields)[1:-1])
            whole.append(content[-1])
        if key is not None:
            whole.append(canonical({key: request[key]})[1:-1])
        fields = {}
    head = b'{"kind":%b,"request":{' % canonical(kind)
    form = b'%b%b},"revision":%b}' % (head, b",".join(content), canonical(revision))
    return f"sha256:{sha256(form).hexdigest()}", f"sha256:{sha256(b'{%b}' % b','.join(whole)).hexdigest()}"


def digests(kind: str, revision: int, request: JSON) -> frozenset[str]:
    """Returns every digest that a spec with this request may have: the digest of the request, and the digest of the
    form in which version 0.1.0 sent the same shorthand."""
    return frozenset(digest(kind, revision, form) for form in (request, kind_named(kind).first_form(request)))


@dataclass(frozen=True, slots=True)
class Place:
    """The project, target, account and region of runs. They are part of the identity of every submission."""

    project: Text
    target: Text
    account: Text
    region: Text

    def __str__(self) -> str:
        return f"project {self.project}, target {self.target}, account {self.account}, region {self.region}"

    def owner(self, name: str) -> str:
        """The value of the ``reconciler:spec`` tag: ``PROJECT/TARGET/NAME``."""
        return f"{self.project}/{self.target}/{name}"

    def console_url(self, kind: str, location: Mapping[str, str], run_id: str | None) -> str | None:
        """Returns the page of a run in AWS's console, or `None` for the emulator and for a service without such
        pages."""
        if run_id is None or self.account == EMULATOR_ACCOUNT or kind not in MODULES:
            return None
        return kind_named(kind).console_url(self.region, location, run_id)


@dataclass(frozen=True, slots=True)
class Source:
    """The location of a spec: a path relative to the project folder with forward slashes, and its first line."""

    path: Text
    line: Number

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True)
class SubmissionKey:
    """Identifies one submission: the spec, its generation (one-off) or slot (scheduled), and the attempt.

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
        """The text that identifies the submission within its spec: ``generation 3``, or ``slot 2026-11-22T02:00:00Z,
        attempt 2``."""
        run = f"slot {self.slot}" if self.slot is not None else f"generation {self.generation}"
        return run + (f", attempt {self.attempt}" if self.attempt > 1 else "")

    def __str__(self) -> str:
        return f"{self.name}, {self.label}"


@dataclass(frozen=True, slots=True)
class Content:
    """The content that a submission runs, how its run is found, and how the run is treated after the spec was removed.

    `digest` is empty if there is no content. `request` is rendered, without our tags and token. In events that begin a
    submission, it is the request as sent, or `None` if it is stored only in the ledger. `location` contains the fields
    with which the run is found again, such as ``{"applicationId": …}``. `source` is `None` if it is not recorded.
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
    """Returns the stable token of one submission. It is the same on every machine and at any time."""
    form = {
        "project": place.project,
        "target": place.target,
        "account": place.account,
        "region": place.region,
        "kind": kind,
        "name": key.name,
        "attempt": key.attempt,
        "digest": content_digest,
        # An absent key and null have different canonical forms, and tokens must never change.
        **({"generation": key.generation} if key.slot is None else {"slot": key.slot}),
    }
    return TOKEN_PREFIX + sha256(canonical(form)).hexdigest()[:TOKEN_HEX_DIGITS]


def request_digest(request: JSON) -> str:
    """Returns ``sha256:…`` over a whole request, including the names and tags that the digest of a spec leaves out."""
    return "sha256:" + sha256(canonical(request)).hexdigest()
