"""After a pass: what people were not told of yet is written down as told, and posted to the target's webhooks."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from reconciler.errors import LedgerError, NotTold
from reconciler.identity.instant import text
from reconciler.plan.decide import plan
from reconciler.plan.notice import Notice, notices
from reconciler.ports import Moved
from reconciler.recorded.events import Notified
from reconciler.render.notice import notice_json

if TYPE_CHECKING:
    from reconciler.model.project import Webhook
    from reconciler.recorded.state import Recorded
    from reconciler.wiring.session import Session
    from reconciler.wiring.survey import Survey

log = logging.getLogger(__name__)


def tell(session: Session, found: Survey) -> None:
    """Tells of what the pass led to. Each thing is told at most once, whoever finds it: the ledger says so first. A
    webhook that cannot be reached is logged and stops nothing."""
    webhooks = session.target.notify
    if not webhooks:
        return
    now = session.now()
    after = plan(found.desired, session.ledger.recorded, now)
    for notice in notices(after, session.ledger.recorded, now):
        wanted = [webhook for webhook in webhooks if notice.kinds & set(webhook.events)]
        if wanted and _is_ours(session, notice, text(now)):
            document = notice_json(notice, session.place, text(now))
            for webhook in wanted:
                _post(webhook, document, session.environ)


def _is_ours(session: Session, notice: Notice, at: str) -> bool:
    """Whether this process is the one that tells."""

    def valid(recorded: Recorded) -> str | None:
        return "told already" if notice.key in recorded.spec(notice.name).notified else None

    kinds = tuple(sorted(str(kind) for kind in notice.kinds))
    try:
        appended = session.ledger.append([Notified(at=at, name=notice.name, key=notice.key, kinds=kinds)], valid)
    except LedgerError as error:
        log.warning("nobody was told of %s (%s): %s", notice.name, notice.reason, error)
        return False
    return not isinstance(appended, Moved)


def _post(webhook: Webhook, document: Mapping[str, object], environ: Mapping[str, str]) -> None:
    from reconciler.notify.webhook import post

    try:
        url = webhook.url or _variable(webhook.urlEnv or "", environ)
        headers = {name: _variable(variable, environ) for name, variable in webhook.headersEnv.items()}
        post(url, dict(document), headers)
    except NotTold as error:
        log.warning("%s of %s was not told: %s", document["reason"], document["spec"], error)


def _variable(name: str, environ: Mapping[str, str]) -> str:
    value = environ.get(name, "")
    if not value:
        raise NotTold(f"the environment variable {name} is not set")
    return value
