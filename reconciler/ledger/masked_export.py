"""Exports the data that plans need from a ledger to a file, with masked requests, and reads the file back. A plan from
the file needs no access to the ledger.

The file is JSON. It contains the recorded state, encoded by the snapshot codec, and the earlier requests that a plan
compares with. Everyone in the project may read the file, so it must not contain secrets. It may also be forged, so the
reader must not trust it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass, replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from reconciler import __version__
from reconciler.core.declarations import Declared, ProjectDeclaration
from reconciler.core.events import Beginning, Event
from reconciler.core.identity import Place, canonical
from reconciler.core.ports import Clock
from reconciler.core.settings import completed, declared_digest
from reconciler.core.state import Recorded, SpecRecord, Submission
from reconciler.errors import LedgerCorrupt, LedgerFormatNewer, LedgerPinned, LedgerReadOnly
from reconciler.ledger.chained_batches import Batch, encode
from reconciler.ledger.log import Log
from reconciler.ledger.snapshot_codec import fold_version, from_json, to_json
from reconciler.model.base import JSON, nests_deeper
from reconciler.redact.request import masked
from reconciler.redact.text import mask_sentence

FORMAT = 1
SEAL = "seal"
"""The key that contains the checksum of all other keys. It detects damage but not forgery, because anyone can compute
it."""

MOST_BYTES = 128 * 1024**2
"""The maximum size of a file. A state with 100,000 submissions needs half of it."""

MOST_VALUES = 16_000_000
"""The maximum number of values in a file. Without it, empty lists alone would fill the memory."""

DEEPEST = 100  # levels; a request has at most 64


class DamagedExport(LedgerCorrupt):
    """Raised if a file was not written by `ledger export --snapshot`, or was changed afterwards."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"the ledger snapshot {name} {why}. Export it again: reconciler ledger export --snapshot FILE")


def export(log: Log, place: Place, created_at: str) -> bytes:
    """Returns the content of the file for a ledger whose state has been read. Raises `LedgerError` if its batches
    cannot be read, or if the content is too large."""
    recorded = log.recorded
    wanted = _wanted(recorded)
    batches = {
        position: encode(Batch("", created_at, None, tuple(_masked_events(events, wanted[position])))).decode()
        for position, events in (log.history.batches(sorted(wanted)) if wanted else ())
    }
    form = {
        "format": FORMAT,
        "fold": fold_version(),
        "tool_version": __version__,
        "created_at": created_at,
        "place": asdict(place),
        "position": recorded.position,
        "state": to_json(_reduced(recorded)),
        "batches": {str(position): batch for position, batch in batches.items()},
    }
    text = json.dumps({**form, SEAL: _seal(form)}, separators=(",", ":"), allow_nan=False).encode("ascii")
    if why := _too_large(text):
        raise LedgerCorrupt(f"the snapshot of the ledger {log.address} {why}")
    return text


def read(file: Path, place: Place, clock: Clock, *, founds: bool = False) -> Log:
    """Returns a read-only log with the state in an exported file. `founds` is as in `Log`.

    Raises `DamagedExport`, `LedgerFormatNewer` for a file of another version of the program, and `LedgerPinned` for a
    file of another project, target, account or region.
    """
    name = str(file)
    form = _form(_content(file), name)
    if form.get("fold") != fold_version():
        raise LedgerFormatNewer(
            f"the ledger snapshot {name} was written by another version of reconciler ({form.get('tool_version')!r:.40}"
            f"; this is {__version__}). Export it with the version that plans from it"
        )
    if form.get("place") != asdict(place):
        raise LedgerPinned(f"the ledger snapshot {name} does not belong to {place}. Use the snapshot of that target")
    try:
        recorded = from_json(form["state"])
        batches = {int(position): text.encode("ascii") for position, text in form["batches"].items()}
        conforms = _conforms(recorded, Recorded) and all(map(_fields_conform, recorded.by_token.values()))
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise DamagedExport(name, "has no valid state of a ledger") from error
    if not conforms or recorded.position != form.get("position") or recorded.position < 0:
        raise DamagedExport(name, "has no valid state of a ledger")
    if any(not 0 < position <= recorded.position for position in batches):
        raise DamagedExport(name, "has an event beyond its last position")
    head = batches.setdefault(recorded.position, b"") if recorded.position else None  # the log compares this batch
    log = Log(_Exported(f"snapshot {name}", batches), place, __version__, clock, founds=founds)
    log.start_from(recorded, head)
    return log


class _Exported:
    """The store of an export (`ports.Store`). It is read-only and contains only some of the batches."""

    def __init__(self, address: str, batches: Mapping[int, bytes]) -> None:
        self.address, self._batches = address, batches

    def append(self, position: int, raw: bytes) -> bytes:
        """Raises `LedgerReadOnly`."""
        raise LedgerReadOnly(f"the {self.address} of a ledger cannot be written")

    def read(self, after: int) -> Iterator[tuple[int, bytes]]:
        """Yields the batches in the export that are after a position."""
        yield from sorted(each for each in self._batches.items() if each[0] > after)

    def get(self, position: int) -> bytes | None:
        """Returns one batch, or `None` if it is not in the export."""
        return self._batches.get(position)


def _content(file: Path) -> bytes:
    """Returns the content of a file, up to one byte more than an export may have. Raises `DamagedExport`."""
    try:
        if not file.is_file():  # reading a pipe could take forever
            raise DamagedExport(str(file), "is not a file")
        with file.open("rb") as stream:
            return stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise DamagedExport(str(file), f"cannot be read: {error.strerror}") from error


def _form(content: bytes, name: str) -> JSON:
    """Parses the file and checks its seal. Raises `DamagedExport`."""
    if why := _too_large(content):
        raise DamagedExport(name, why)
    try:
        form = json.loads(content)
        if not isinstance(form, dict) or form.get("format") != FORMAT:
            raise DamagedExport(name, f"is not a snapshot of format {FORMAT}")
        if nests_deeper(form, DEEPEST):
            raise DamagedExport(name, f"is nested deeper than {DEEPEST} levels")
        stated = form.pop(SEAL, None)
        seal = _seal(form)
    except (ValueError, RecursionError, UnicodeEncodeError) as error:
        raise DamagedExport(name, "is not the JSON of an export") from error
    if stated != seal:
        raise DamagedExport(name, "was changed after it was exported")
    return form


def _too_large(content: bytes) -> str | None:
    """Returns why the content is too large to be read, or `None` if it is not."""
    if len(content) > MOST_BYTES:
        return f"has more than {MOST_BYTES // 1024**2} MiB"
    values = sum(content.count(mark) for mark in (b",", b"[", b"{"))
    return f"has more than {MOST_VALUES:,} values" if values > MOST_VALUES else None


def _seal(form: JSON) -> str:
    return "sha256:" + sha256(canonical(form)).hexdigest()


def _wanted(recorded: Recorded) -> dict[int, set[str]]:
    """Returns the positions of the requests that a plan may compare with, each with the tokens and names of the wanted
    events there. For each spec, these are the declaration, the newest submission, and the newest submission that
    counts."""
    wanted: dict[int, set[str]] = {}
    for record in recorded.specs.values():
        submissions = [each for each in (record.baseline, record.newest) if each is not None]
        declared = record.declaration
        if declared is not None:
            submissions += [s for s in record.submissions if s.token == declared.token]
            position = declared.request_at or declared.position
            wanted.setdefault(position, set()).update({record.name, record.name_at(position)})
        for submission in submissions:
            wanted.setdefault(submission.intent_position, set()).add(submission.token)
    return wanted


def _masked_events(events: Sequence[Event], wanted: set[str]) -> Iterator[Event]:
    """Yields the events that contain wanted requests. The requests are masked, and the actors are removed."""
    for event in events:
        if isinstance(event, Beginning) and event.token in wanted:
            content = replace(event.content, request=masked(event.content.request or {}))
            yield replace(event, content=content, actor="")
        elif isinstance(event, Declared) and event.name in wanted:
            request = None if event.request is None else masked(event.request)
            yield replace(event, request=request, actor="")


def _reduced(recorded: Recorded) -> Recorded:
    """Returns a copy of the state without the data that plans do not need. Messages from AWS are masked."""
    submissions = {token: _reduced_submission(each) for token, each in recorded.by_token.items()}

    def reduced(record: SpecRecord) -> SpecRecord:
        mine = [submissions[each.token] for each in record.submissions]
        return replace(record, submissions=mine, positions=[], notified=[])

    specs = {name: reduced(record) for name, record in recorded.specs.items()}
    project = _masked_settings(recorded.project)
    kept = replace(recorded, specs=specs, by_token=submissions, project=project)
    # With the entries, a plan would read archived submissions from batches that are not in the file.
    return replace(kept, undelivered={}, unindexed=[], indexes=[])


def _masked_settings(declared: ProjectDeclaration | None) -> ProjectDeclaration | None:
    if declared is None:
        return None
    return replace(declared, settings=masked(completed(declared.settings)), digest=declared_digest(declared))


def _reduced_submission(submission: Submission) -> Submission:
    error, detail = (None if text is None else mask_sentence(text) for text in (submission.error, submission.detail))
    return replace(submission, actor="", positions=[], usage=None, error=error, detail=detail)


# The codec converts values without checking them, because snapshots come from the store of the ledger.


def _conforms(value: Any, hint: Any) -> bool:  # noqa: ANN401 - a value and its annotation
    """Returns whether a decoded value and everything in it, except submissions, have the annotated types."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in {object, Any}:
        return True
    if origin in {Union, UnionType}:
        return any(_conforms(value, part) for part in arguments)
    if origin is None:
        return type(value) is hint and (not is_dataclass(hint) or _fields_conform(value))
    if not isinstance(value, origin) or isinstance(value, str):
        return False
    if isinstance(value, Mapping):
        return all(_conforms(key, arguments[0]) and _conforms(part, arguments[1]) for key, part in value.items())
    return all(_is_part(part, arguments[0]) for part in value)


def _is_part(value: Any, hint: Any) -> bool:  # noqa: ANN401 - a value and its annotation
    """Returns whether an entry of a list has the annotated type. Submissions are checked once instead of in each
    list."""
    return type(value) is Submission if hint is Submission else _conforms(value, hint)


def _fields_conform(value: Any) -> bool:  # noqa: ANN401 - an object of a dataclass
    return all(_conforms(getattr(value, name), hint) for name, hint in _hints(value.__class__))


@cache
def _hints(kind: type) -> tuple[tuple[str, Any], ...]:
    hints = get_type_hints(kind)
    return tuple(
        (field.name, hints[field.name]) for field in fields(kind) if (kind, field.name) != (Recorded, "by_token")
    )
