"""Makes boto3 clients cheap: what botocore reads and checks for each client anew, it reads and checks once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.hooks import BaseEventHooks, EventAliaser
from botocore.loaders import JSONFileLoader, Loader


def prepare() -> None:
    """Reads botocore's service models and checks its event handlers once for all clients in this process."""
    for owner, name, once in (
        (JSONFileLoader, "load_file", _remembering),
        (Loader, "list_available_services", _remembering),
        (EventAliaser, "_alias_event_name", _remembering),
        (BaseEventHooks, "_verify_accept_kwargs", _verified_once),
    ):
        setattr(owner, name, once(getattr(owner, name)))


def _remembering(method: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a method that caches its results by arguments, for all instances together."""
    results: dict[Any, Any] = {}

    def remembered(self: Any, *arguments: Any, **more: Any) -> Any:
        key = (arguments, tuple(sorted(more.items())))
        if key not in results:
            results[key] = method(self, *arguments, **more)
        return results[key]

    return remembered


def _verified_once(verify: Callable[..., None]) -> Callable[..., None]:
    """Returns a method that checks the signature of each handler only once, because the result depends only on the
    code."""
    verified: set[Any] = set()

    def once(self: Any, handler: Callable[..., Any]) -> None:
        code = getattr(handler, "__code__", None)
        if code is None or code not in verified:
            verify(self, handler)
            verified.add(code)

    return once
