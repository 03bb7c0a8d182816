"""Encodes the recorded state as a snapshot, decodes it, and decides when to store one.

The codec derives the JSON form from the fields of the state's dataclasses: each object is a list of its field values in
order. A reference to a submission is encoded as its number, so that decoding creates each submission only once.
Observations made during a pass are left out. A snapshot is valid only for the version of the fold that it contains.
"""

import gc
import json
import logging
import sys
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import Field, fields, is_dataclass
from enum import Enum
from functools import cache
from hashlib import sha256
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

from reconciler.core.identity import Place
from reconciler.core.ports import Clock, Snapshots, Store
from reconciler.core.state import OF_THE_PASS, Recorded, Submission
from reconciler.errors import LedgerError
from reconciler.ledger.codec import checksum
from reconciler.model.base import JSON
from reconciler.values import dataclass

Turn = Callable[[Any], Any]
Coder = tuple[Turn, Turn] | None
"""The functions that convert values of a type to JSON and back; `None` if no conversion is needed."""

PLAIN = {str, int, float, bool, NoneType, object, Any}
DERIVED = "by_token"
"""The field that is rebuilt from the submissions."""

FOLD = 1
"""The version of the fold. Raise it if the same events now lead to another state than before, so that older snapshots
are not used. `tests/ledger/fold_sources.json` contains digests of the modules that fold events. A test fails if one
of these modules has changed, so that nobody forgets this number."""


@cache
def fold_version() -> str:
    """Returns the version that a snapshot must have to be used: that of the fold, and a digest of the fields of the
    state, which are the form of a snapshot."""
    shape = sha256("\n".join(_shape(Recorded)).encode()).hexdigest()
    return f"{FOLD}-{shape[:24]}"


def _shape(kind: type) -> list[str]:
    """Returns the fields of a dataclass and of the dataclasses in it, and the values of enums, as text."""
    lines, rest, seen = list[str](), list[Any]([kind]), {kind}
    while rest:
        each = rest.pop()
        if issubclass(each, Enum):
            lines.append(f"{each.__name__}: {[member.value for member in each]}")
            continue
        kept = [field for field in fields(each) if OF_THE_PASS not in field.metadata]
        hints = _hints(each)
        lines.append(f"{each.__name__}: {[(field.name, _text(hints[field.name])) for field in kept]}")
        parts = {part for field in kept for part in _parts(hints[field.name])}
        found = {part for part in parts if is_dataclass(part) or issubclass(part, Enum)}
        rest += sorted(found - seen, key=lambda part: part.__name__)
        seen |= found
    return lines


def _text(hint: Any) -> str:  # noqa: ANN401 - a type as it is written in an annotation
    """Returns a type as text that is the same in every process: `repr` contains addresses of functions."""
    arguments = get_args(hint)
    if get_origin(hint) in {Union, UnionType}:
        return " | ".join(map(_text, arguments))
    name = getattr(get_origin(hint) or hint, "__name__", str(hint))
    return f"{name}[{', '.join(map(_text, arguments))}]" if arguments else name


def _parts(hint: Any) -> Iterator[type]:  # noqa: ANN401 - a type as it is written in an annotation
    """Yields the types that an annotation consists of."""
    if isinstance(hint, type) and not get_args(hint):
        yield hint
    for argument in get_args(hint):
        yield from _parts(argument)


@cache
def _hints(kind: type) -> dict[str, Any]:
    """Returns the types of the fields of a dataclass. They are needed for the version and for the conversion."""
    return get_type_hints(kind)


def to_json(recorded: Recorded) -> JSON:
    """Returns the recorded state as a JSON object. Raises `TypeError` for a field of an unsupported type."""
    submissions = list(recorded.by_token.values())
    numbers = {id(submission): number for number, submission in enumerate(submissions)}
    reference: Coder = (lambda submission: numbers[id(submission)], int)
    whole = _whole(Submission, reference)
    form = {"submissions": [whole[0](submission) for submission in submissions]}
    for field, coder in _kept(reference):
        value = getattr(recorded, field.name)
        form[field.name] = value if coder is None else coder[0](value)
    return form


def from_json(form: Mapping[str, Any]) -> Recorded:
    """Returns the state in a JSON object. Raises `ValueError`, `TypeError`, `KeyError` or `IndexError` for an object
    that `to_json` of this version never returns."""
    submissions: list[Submission] = []
    reference: Coder = (int, submissions.__getitem__)
    submissions += map(_whole(Submission, reference)[1], form["submissions"])
    values = {
        field.name: form[field.name] if coder is None else coder[1](form[field.name])
        for field, coder in _kept(reference)
    }
    return Recorded(**values, by_token={submission.token: submission for submission in submissions})


def _kept(reference: Coder) -> list[tuple[Field[Any], Coder]]:
    """Returns the fields of the state that are encoded, with their coders."""
    hints = _hints(Recorded)
    return [
        (field, _coder(hints[field.name], reference))
        for field in fields(Recorded)
        if field.name != DERIVED and OF_THE_PASS not in field.metadata
    ]


def _coder(hint: Any, reference: Coder) -> Coder:  # noqa: ANN401 - a type as it is written in an annotation
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Submission:
        return reference
    if hint in PLAIN:
        return None
    if origin in {Union, UnionType}:
        return _optional(hint, reference)
    if isinstance(origin, type) and issubclass(origin, Collection):
        return _collection(origin, arguments, reference)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return (attrgetter("value"), {member.value: member for member in hint}.__getitem__)
    if is_dataclass(hint):
        return _whole(cast("type", hint), reference)
    raise TypeError(f"the snapshot codec does not support {hint}")


def _optional(hint: Any, reference: Coder) -> Coder:  # noqa: ANN401 - a type as it is written in an annotation
    coders = [_coder(part, reference) for part in get_args(hint) if part is not NoneType]
    if not any(coders):
        return None
    if len(coders) > 1 or coders[0] is None:
        raise TypeError(f"the snapshot codec cannot tell the parts of {hint} apart")
    to, back = coders[0]
    return (lambda value: None if value is None else to(value), lambda form: None if form is None else back(form))


def _collection(origin: type, arguments: tuple[Any, ...], reference: Coder) -> Coder:
    if issubclass(origin, Mapping):
        return _mapping(arguments, reference)
    item = _coder(arguments[0], reference)
    if origin is tuple and arguments[1:] != (...,):
        raise TypeError(f"the snapshot codec supports tuples of one type only, not {arguments}")
    if item is None and origin is list:
        return None
    to, back = item or (_same, _same)
    ordered: Turn = sorted if issubclass(origin, AbstractSet) else list
    into: Turn = {"Set": frozenset, "Sequence": list}.get(origin.__name__, origin)
    return (lambda values: ordered(map(to, values)), lambda form: into(map(back, form)))


def _mapping(arguments: tuple[Any, ...], reference: Coder) -> Coder:
    key, value = (_coder(argument, reference) for argument in arguments)
    if arguments[0] is str:
        if value is None:
            return None
        to, back = value
        return (
            lambda values: {name: to(held) for name, held in values.items()},
            lambda form: {name: back(held) for name, held in form.items()},
        )
    (key_to, key_back), (to, back) = key or (_same, _same), value or (_same, _same)
    return (
        lambda values: [[key_to(name), to(held)] for name, held in values.items()],
        lambda form: {key_back(name): back(held) for name, held in form},
    )


def _whole(kind: type, reference: Coder) -> tuple[Turn, Turn]:
    """Returns the functions that convert objects of a dataclass to lists and back."""
    hints = _hints(kind)
    names = [field.name for field in fields(kind)]
    coders = [(place, coder) for place, name in enumerate(names) if (coder := _coder(hints[name], reference))]
    positional = not any(field.kw_only for field in fields(kind))
    values_of = attrgetter(*names) if len(names) > 1 else lambda held: (getattr(held, names[0]),)

    def to(held: Any) -> list[Any]:  # noqa: ANN401 - an object of `kind`
        values = list(values_of(held))
        for place, (turn, _) in coders:
            values[place] = turn(values[place])
        return values

    def back(form: list[Any]) -> Any:  # noqa: ANN401 - an object of `kind`
        if len(form) != len(names):
            raise ValueError(f"{kind.__name__} has {len(names)} fields, the form {len(form)}")
        values = list(form)
        for place, (_, turn) in coders:
            values[place] = turn(values[place])
        return kind(*values) if positional else kind(**dict(zip(names, values, strict=True)))

    return to, back


def _same(value: Any) -> Any:  # noqa: ANN401 - any value
    return value


# --- the bytes of a snapshot ------------------------------------------------------------------------------------------

FORMAT = 1
"""The version of these bytes. Any other version is ignored."""

COMPRESSION = 1
"""zlib's fastest level. Most of the size is tokens and digests, which no level makes smaller."""

MOST_BYTES = 1 << 30
"""The maximum size in bytes of a decompressed state, enough for about a million submissions. A larger state is neither
stored nor read.
"""

MOST_FOLD = 100
"""The largest accepted ratio of a state to its compressed form. Real ratios are 2 to 10."""


@dataclass(frozen=True, slots=True)
class Mark:
    """The position of the last batch when a snapshot was stored, and the batch's checksum `link`. Snapshots of every
    version contain a mark.
    """

    position: int
    link: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state up to `recorded.position`, whose batch has the checksum `link`."""

    recorded: Recorded
    link: str

    def fits(self, position: int, raw: bytes) -> bool:
        """Returns whether `raw`, stored at `position`, is the batch that the snapshot ends with."""
        return position == self.recorded.position and checksum(raw) == self.link


def pack(recorded: Recorded, link: str) -> bytes | None:
    """Returns the bytes of a snapshot. Returns `None` if the state contains data that is not in the log, or is too
    large."""
    if recorded.overlaid:
        return None
    with _uncollected():
        body = json.dumps(to_json(recorded), separators=(",", ":"), allow_nan=False).encode("ascii")
    header = {"format": FORMAT, "fold": fold_version(), "position": recorded.position, "batch": link}
    compressed = zlib.compress(body, COMPRESSION)
    if len(body) > _bound(compressed):
        return None
    rest = json.dumps(header).encode("ascii") + b"\n" + compressed
    return sha256(rest).hexdigest().encode("ascii") + b"\n" + rest


def unpack(content: bytes) -> tuple[Mark | None, Snapshot | None]:
    """Returns the mark and the snapshot in `content`. Both are `None` if the content is damaged; the snapshot is also
    `None` if another version wrote it.
    """
    stated, _, rest = content.partition(b"\n")
    if stated != sha256(rest).hexdigest().encode("ascii"):
        return None, None
    mark = None
    try:
        head, _, body = rest.partition(b"\n")
        header = json.loads(head)
        if header["format"] != FORMAT or type(header["position"]) is not int or not isinstance(header["batch"], str):
            return None, None
        mark = Mark(header["position"], header["batch"])
        if header["fold"] != fold_version():
            return mark, None
        with _uncollected():
            recorded = from_json(json.loads(_decompressed(body)))
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, zlib.error):
        return mark, None  # invalid content with a correct checksum was forged
    return mark, Snapshot(recorded, mark.link) if recorded.position == mark.position else None


def _bound(compressed: bytes) -> int:
    return min(MOST_BYTES, MOST_FOLD * len(compressed))


def _decompressed(compressed: bytes) -> bytes:
    """Returns the decompressed content, up to the size that a state may have. Raises `ValueError` and `zlib.error`."""
    decompressor = zlib.decompressobj()
    content = decompressor.decompress(compressed, _bound(compressed))
    if not decompressor.eof:
        raise ValueError("it is cut short, or larger than a state may be")
    return content


@contextmanager
def _uncollected() -> Iterator[None]:
    """Stops the garbage collector inside the block, because it would scan hundreds of thousands of new lists and free
    nothing.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


# --- when a snapshot is kept ------------------------------------------------------------------------------------------

EVERY = 256
"""The number of positions between two snapshots while a log is written. A reader therefore reads at most this many
batches after a snapshot.
"""

AT_THE_END = 16
"""The minimum number of positions since the newest snapshot for a writer to store another snapshot when it closes the
log.
"""

SHARE = 10
"""The minimum ratio of a writer's total time to the time that it spends on snapshots. Snapshots therefore take at most
a tenth of the time, and snapshots of a large state are less frequent.
"""

logger = logging.getLogger(__name__)


class Cache:
    """The snapshots of one ledger, for one log. Not thread-safe, except `keep`."""

    def __init__(self, store: Store, place: Place, clock: Clock) -> None:
        self._store = store if isinstance(store, Snapshots) else None
        self._address, self._place, self._clock = store.address, place, clock
        self._position = 0  # the position of the newest snapshot that this log has read or written
        self.mark: Mark | None = None  # proven by the newest snapshot
        self._not_before = clock.boot()

    def find(self) -> Snapshot | None:
        """Returns the newest snapshot if it is complete and belongs to this version and this place. The caller must
        check that it matches the batches.
        """
        if self._store is None:
            return None
        try:
            stored = self._store.newest_snapshot()
        except LedgerError as error:
            logger.debug("no snapshot: %s", error)
            return None
        self.mark, snapshot = (None, None) if stored is None else unpack(stored[1])
        if snapshot is not None and snapshot.recorded.place != self._place:
            self.mark = snapshot = None
        if snapshot is None:
            logger.debug("no usable snapshot of %s", self._address)
        return snapshot

    def used(self, position: int) -> None:
        """Records that the snapshot at `position` matches the batches."""
        self._position = position

    def due(self, recorded: Recorded, link: str | None, *, ends: bool = False) -> bytes | None:
        """Returns the snapshot to store now, or `None` if none is due. `ends` means that no further append follows."""
        since = recorded.position - self._position
        if self._store is None or link is None or since < (AT_THE_END if ends else EVERY):
            return None
        begun = self._clock.boot()
        if not ends and begun < self._not_before:
            return None
        content = pack(recorded, link)
        now = self._clock.boot()
        self._position, self._not_before = recorded.position, now + SHARE * (now - begun)
        return content

    def keep(self, position: int, content: bytes) -> None:
        """Stores a snapshot. A failure only makes the next reader slower."""
        if self._store is None:
            return
        sys.audit("reconciler.snapshotting", position)
        try:
            self._store.keep_snapshot(position, content)
        except LedgerError as error:
            logger.debug("the snapshot of position %d was not kept: %s", position, error)
        else:
            sys.audit("reconciler.snapshot-kept", position)
            logger.debug("kept a snapshot of position %d, %d bytes", position, len(content))
