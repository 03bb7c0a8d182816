"""The registry of kinds: one line for each AWS operation a spec can stand for.

Each module named here exports `KIND`. It is imported when a spec of that kind is first met.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import cast

from reconciler.model.kind import Kind

MODULES = {
    "EmrServerlessJobRun": "reconciler.model.emr_serverless",
    "BatchJob": "reconciler.model.batch",
}


@cache
def kind_named(name: str) -> Kind:
    """The kind called `name`. Raises `KeyError` where there is none: `MODULES` holds the names."""
    return cast("Kind", import_module(MODULES[name]).KIND)
