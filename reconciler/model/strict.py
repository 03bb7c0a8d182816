"""The base of every model: frozen, strict, closed.

Strict: a number where a string is due is an error, never a conversion, because AWS would refuse or misread it.
Closed: an unknown field is an error, because a misspelt field that is dropped silently changes what runs.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

JSON = dict[str, Any]
"""A JSON object as plain dicts, lists, strings, integers and booleans, in the order given."""


class Strict(BaseModel):
    """A frozen model that converts nothing and accepts no field it does not know."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", hide_input_in_errors=True)


def nests_deeper(value: Any, levels: int) -> bool:  # noqa: ANN401 - any JSON value
    """Whether mappings and lists stand inside each other on more than `levels` levels: what walks down a value would
    end at Python's own limit, somewhere."""
    layer = [value]
    for _ in range(levels + 1):
        inside = (each.values() if isinstance(each, dict) else each for each in layer if isinstance(each, dict | list))
        layer = [inner for container in inside for inner in container]
        if not layer:
            return False
    return True
