"""Unusual JSON values."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

ODD_TEXTS = (
    "", " ", "a", "0", "-1", "1e9", "null", "true", "NaN", "\x00", "\x1b[31m", "\u202e", "\ud800", "é", "日本",
    "\U0001f600", "a" * 300, "${var.x}", "${", "$${", "%", "%s", "{}", "../..", "/dev/zero", "::error::x",
    "##[error]x", "2026-11-22",
    "2026-11-22T02:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999-23:59", "2026-11-22T02:00:00", "r1-",
    "* * * * *", "0 0 31 2 *", "running", "orders", "arn:aws:iam::1:role/x", "s3://b", "--conf a=b", "'", '"', "\\",
)  # fmt: skip
ODD_NUMBERS = (
    0,
    1,
    -1,
    2,
    65,
    2**31,
    2**53 + 1,
    2**64,
    10**60,
    -(10**60),
    0.0,
    -0.0,
    0.5,
    1e300,
    float("inf"),
    float("nan"),
)

SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(ODD_NUMBERS),
    st.sampled_from(ODD_TEXTS),
    st.integers(),
    st.text(max_size=9),
)
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(st.sampled_from(ODD_TEXTS), st.sampled_from(["name", "value", "tags", "a"])), inner, max_size=3
        ),
    ),
    max_leaves=5,
)
"""Generates any JSON value, often one that code tends to mishandle."""
