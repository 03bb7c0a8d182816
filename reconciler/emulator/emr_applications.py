"""EMR Serverless: applications. They exist as soon as somebody names them, unless the settings list them."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.emulator import arns
from reconciler.emulator.operations import Context, Params
from reconciler.emulator.paging import page, position
from reconciler.emulator.records import EMR
from reconciler.emulator.wire import Missing

MAX_PAGE = 50
"""Applications in one reply; from the API reference."""
_MADE_AT = 1704067200.0
"""2024-01-01: applications were there before the emulator was."""


def require_application(application_id: str, context: Context) -> None:
    """Raises `Missing` for an application that is not among the known ones."""
    known = context.settings.applications
    if known is not None and application_id not in known:
        raise Missing(f"Application {application_id} does not exist")


def get_application(params: Params, context: Context) -> Params:
    """An application, started, with the tags it was given."""
    require_application(params["applicationId"], context)
    application = _application(params["applicationId"], context)
    return {"application": {**application, "tags": context.records.tags(application["arn"])}}


def list_applications(params: Params, context: Context) -> Params:
    """A page of the applications in the settings, or of the ones that runs have named."""
    states = params.get("states", [])
    known = _known(context) if not states or "STARTED" in states else ()
    after = position(params.get("nextToken")) or 0
    numbers = range(after + 1, len(known) + 1)
    found, token = page(numbers, params.get("maxResults", MAX_PAGE), lambda number: number)
    return {"applications": [_summary(known[number - 1], context) for number in found], "nextToken": token}


def _known(context: Context) -> Sequence[str]:
    known = context.settings.applications
    return context.records.named(EMR, "place") if known is None else sorted(known)


def _summary(application_id: str, context: Context) -> Params:
    application = _application(application_id, context)
    return {"id": application.pop("applicationId"), **application}


def _application(application_id: str, context: Context) -> Params:
    return {
        "applicationId": application_id,
        "name": application_id,
        "arn": arns.application(context.settings, application_id),
        "releaseLabel": context.settings.release_label,
        "type": "Spark",
        "state": "STARTED",
        "createdAt": _MADE_AT,
        "updatedAt": _MADE_AT,
        "architecture": "X86_64",
    }
