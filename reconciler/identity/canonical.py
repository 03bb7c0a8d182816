"""The one text form of a JSON value: keys sorted, lists in order, UTF-8, no white space."""

from __future__ import annotations

import json
from typing import Any

from reconciler.model.strict import JSON


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
