"""The page of a target: its content after a pass, its files, and the application that serves them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from reconciler.app.field_changes import with_field_changes
from reconciler.app.reconcile import preview
from reconciler.core.durations import usual
from reconciler.core.events import Missed
from reconciler.core.times import parse_time, seconds_text, time_text
from reconciler.errors import ReconcilerError
from reconciler.render.page.content import PageContent
from reconciler.render.page.site import POLICY, Site, content_type
from reconciler.render.runs import runs_of
from reconciler.render.status import rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from wsgiref.types import StartResponse, WSGIEnvironment

    from reconciler.app.session import Session
    from reconciler.core.desired import DesiredSpec
    from reconciler.core.plan import Plan
    from reconciler.core.state import Recorded
    from reconciler.ledger.history import History

SHOWN = timedelta(days=30)
"""The longest period that a timeline shows."""

HEADERS = [
    ("Content-Security-Policy", f"{POLICY}; frame-ancestors 'none'"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
]


MOST_BATCHES = 500
"""The maximum number of batches of the ledger that are read for missed slots. A spec adds one batch for each missed
range."""


class MissedSlots:
    """The slots of the last month that were missed, read from the ledger.

    The state of the ledger contains only the ranges that still matter to a pass. Each batch is read once, because a
    service renders the page after every pass.
    """

    def __init__(self) -> None:
        self._read_to = 0
        self._ranges: dict[str, list[tuple[str, str]]] = {}

    def update(self, history: History, recorded: Recorded, since: str) -> Mapping[str, Sequence[tuple[str, str]]]:
        """Returns, for each spec, the first and the last slot of each range that ended after `since`, as of the newest
        batch. Raises `LedgerError`."""
        if recorded.position < self._read_to:  # another ledger
            self._read_to, self._ranges = 0, {}
        scheduled = [record for record in recorded.specs.values() if record.schedule is not None]
        positions = sorted({at for record in scheduled for at in record.positions if at > self._read_to})
        names = {name for record in scheduled for name in record.names}
        for _, events in history.batches(positions[-MOST_BATCHES:], names) if positions else ():
            for event in events:
                if isinstance(event, Missed):
                    self._ranges.setdefault(event.name, []).append((event.first, event.last))
        self._read_to = recorded.position
        kept: dict[str, list[tuple[str, str]]] = {}
        for name, ranges in self._ranges.items():
            recent = [each for each in ranges if each[1] >= since]
            # The spec may have been renamed since the slots were missed.
            kept.setdefault(recorded.current_name(name), []).extend(recent)
        self._ranges = kept
        return kept


def content_now(session: Session, *, refresh: bool) -> PageContent:
    """Makes a plan without writing anything, and returns the content of the page. Calls AWS only with `refresh`."""
    inputs, plan = preview(session, refresh=refresh, tolerant=True)
    return content_of(session, plan, inputs.recorded, inputs.specs)


def content_of(
    session: Session,
    plan: Plan,
    recorded: Recorded,
    specs: Mapping[str, DesiredSpec],
    missed: MissedSlots | None = None,
) -> PageContent:
    """Returns the content of the page from a plan and the state of the ledger. `missed` contains the missed slots of
    earlier passes. Raises `LedgerError`."""
    plan = with_field_changes(session, plan) if plan.changes or plan.pending else plan
    now, prices = parse_time(plan.created_at), session.target.prices
    since = now - SHOWN
    archives = [record for record in recorded.specs.values() if record.archive is not None]
    archived = session.ledger.history.archived(recorded, archives, time_text(since)) if archives else ()
    runs = runs_of(recorded, sorted(recorded.specs), plan.place, now, prices, archived)
    return PageContent(
        plan=plan,
        rows=rows(plan, recorded),
        runs=runs.selected(since, unsuccessful=False).rows,
        specs=specs,
        since=since,
        usual={
            name: typical
            for name, record in recorded.specs.items()
            if (typical := usual(record.submissions, now, prices)) is not None
        },
        currency=runs.currency,
        missed=(missed or MissedSlots()).update(session.ledger.history, recorded, seconds_text(since)),
    )


def write(site: Site, folder: Path) -> int:
    """Writes all files of the page to a folder, creates the folder if necessary, and returns the number of files. Other
    files in the folder are left unchanged. Raises `ReconcilerError`."""
    number = 0
    try:
        (folder / "specs").mkdir(parents=True, exist_ok=True)
        for name in site.names():
            (folder / name).write_text(site.file(name) or "", "utf-8")
            number += 1
    except OSError as error:
        raise ReconcilerError(f"the page cannot be written to {folder}: {error.strerror or error}") from error
    return number


class LivePage:
    """Serves the page of the newest pass, read-only. Thread-safe. Files are rendered on request.

    `hosts` are the host names that requests may use, or `None` for any.
    """

    def __init__(self, hosts: frozenset[str] | None) -> None:
        self.missed = MissedSlots()
        self._hosts = hosts
        self._lock = Lock()
        self._site: Site | None = None
        self._version = ""

    def show(self, content: PageContent) -> None:
        """Replaces the content that is served."""
        site = Site(content, live=True)
        with self._lock:
            self._site, self._version = site, content.plan.created_at

    def respond(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Serves the page, as a WSGI application."""
        with self._lock:
            site, version = self._site, self._version
        if environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
            return _answer(start, "405 Method Not Allowed", "the page is read-only")
        host = environ.get("HTTP_HOST", "").rpartition(":")[0] or environ.get("HTTP_HOST", "")
        # A page of another site could read this one by a host name that resolves to this machine (DNS rebinding).
        if self._hosts is not None and host not in self._hosts:
            return _answer(start, "403 Forbidden", "the page is served under another name")
        if site is None:
            return _answer(start, "503 Service Unavailable", "no pass has ended yet")
        name = environ.get("PATH_INFO", "/").removeprefix("/") or "index.html"
        if name == "version":
            return _answer(start, "200 OK", version)
        text = site.file(name)
        if text is None:
            return _answer(start, "404 Not Found", "there is no page at this path")
        return _answer(start, "200 OK", text, content_type(name))


LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})


def allowed_hosts(address: str) -> frozenset[str] | None:
    """Returns the host names that requests to a page on this address may use: only names of this machine if the address
    is a loopback address, otherwise any (`None`)."""
    return LOOPBACK if address in {"127.0.0.1", "localhost", "::1"} else None


def _answer(start: StartResponse, status: str, text: str, type_: str = "text/plain; charset=utf-8") -> Iterable[bytes]:
    body = text.encode("utf-8", "replace")
    start(status, [("Content-Type", type_), ("Content-Length", str(len(body))), *HEADERS])
    return [body]
