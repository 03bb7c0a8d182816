"""Types of fields that are validated when an event is read, because a ledger can be damaged or forged, and all other
code trusts events. In memory the values are plain strings and numbers."""

from typing import Annotated

from pydantic import AfterValidator, Field, StrictBool, StrictInt, StrictStr

from reconciler.core.times import parse_time
from reconciler.model.base import JSON, nests_deeper

DEEPEST = 100  # the most levels in a request; a spec has at most 64
LARGEST = 2**53  # the largest number: JSON keeps integers exact up to here everywhere
MOST_TIMES = 1_000_000  # attempts and sends: delays and tokens are computed from them


def _time(value: str) -> str:
    try:
        parse_time(value)
    except (ValueError, OverflowError):
        raise ValueError("it must be a time") from None
    return value


def _shallow(value: JSON) -> JSON:
    if nests_deeper(value, DEEPEST):
        raise ValueError(f"it must not nest deeper than {DEEPEST} levels")
    return value


Text = Annotated[StrictStr, Field(min_length=0)]
"""Text that can be encoded again. The length limit makes pydantic refuse lone surrogates, which cannot be encoded."""

Time = Annotated[StrictStr, AfterValidator(_time)]
"""A time with a zone, ISO 8601."""

Times = tuple[Time, ...]
Texts = tuple[Text, ...]

Number = Annotated[StrictInt, Field(ge=-LARGEST, le=LARGEST)]

Few = Annotated[StrictInt, Field(ge=0, le=MOST_TIMES)]
"""A number of attempts or sends."""

Flag = StrictBool

TextMapping = dict[Text, Text]

Request = Annotated[JSON, AfterValidator(_shallow)]
