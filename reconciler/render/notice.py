"""How a notice reads: one sentence for people, and fields for what sorts it."""

from __future__ import annotations

from reconciler.identity.digest import Place
from reconciler.model.strict import JSON
from reconciler.plan.notice import Notice
from reconciler.render.shown import plain, sentence


def notice_json(notice: Notice, place: Place, at: str) -> JSON:
    """The document that a webhook gets; ``text`` is what Slack and its like show. Masked, as all that people read."""
    return {
        "text": notice_text(notice, place),
        "project": place.project,
        "target": place.target,
        "spec": notice.name,
        "kinds": sorted(str(kind) for kind in notice.kinds),
        "reason": notice.reason,
        "message": sentence(notice.message),
        "generation": notice.generation,
        "slot": notice.slot,
        "attempt": notice.attempt,
        "run_id": notice.run_id,
        "client_token": notice.client_token,
        "commit": notice.commit,
        "at": at,
    }


def notice_text(notice: Notice, place: Place) -> str:
    """``analytics/prod: orders-daily: retries-exhausted: run 00f1 failed (generation 3, commit 1a2b3c4d5e6f)``."""
    which = f"slot {notice.slot}" if notice.slot else f"generation {notice.generation}" if notice.generation else ""
    more = [
        which,
        f"run {notice.run_id}" if notice.run_id else "",
        f"commit {notice.commit[:12]}" if notice.commit else "",
    ]
    said = ", ".join(part for part in more if part)
    message = f": {sentence(notice.message)}" if notice.message else ""
    place_and_name = f"{place.project}/{place.target}: {notice.name}"
    return f"{plain(place_and_name)}: {plain(notice.reason)}{message}" + (f" ({plain(said)})" if said else "")
