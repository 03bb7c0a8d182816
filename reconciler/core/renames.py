"""Renames of specs: finds the renames requested in git, and applies them to the recorded state. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from copy import copy
from dataclasses import field, replace

from reconciler.core.archive import Archive
from reconciler.core.desired import Desired, DesiredSpec, InvalidSpec, RenamedFrom, stale_message
from reconciler.core.state import FormerName, Recorded, SpecRecord
from reconciler.core.suggestions import NearNames
from reconciler.errors import LedgerCorrupt
from reconciler.values import dataclass


@dataclass(frozen=True, slots=True)
class Renames:
    """The renames of one plan.

    `pending` maps the new name of each spec to the current name of its record. `conflicts` maps names to the reason why
    a rename is impossible; both the spec that requests it and the record of the former name are on hold. `notes` are
    sentences about former names without a record.
    """

    pending: Mapping[str, str] = field(default_factory=dict)
    conflicts: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def find_renames(desired: Desired, recorded: Recorded) -> Renames:
    """Returns the renames that the specs request, whether the specs are selected or not. Recorded renames are left out,
    because `renamedFrom` may remain in the file."""
    pending: dict[str, str] = {}
    conflicts: dict[str, str] = {}
    unknown: list[tuple[DesiredSpec, RenamedFrom]] = []
    taken: set[str] = set()
    # The result must not depend on the order of files if two specs request the same record.
    for spec in sorted((*desired.specs.values(), *desired.others.values()), key=lambda spec: spec.name):
        if spec.renamed_from is None or _is_done(spec, spec.renamed_from.name, recorded):
            continue
        old = recorded.current_name(spec.renamed_from.name)
        if old not in recorded.specs:
            unknown.append((spec, spec.renamed_from))
        elif objection := _objection(spec, old, desired, recorded, taken):
            message = f"{objection}. Remove renamedFrom at {spec.renamed_from.location}"
            conflicts[spec.name] = message
            if old not in desired.names and old not in taken:
                conflicts[old] = message
        else:
            pending[spec.name] = old
            taken.add(old)
    return Renames(pending, conflicts, tuple(_notes(unknown, recorded)) if unknown else ())


def _is_done(spec: DesiredSpec, former: str, recorded: Recorded) -> bool:
    """Returns whether the record of the spec already had the former name. A later record of that name belongs to
    another spec."""
    return any(name.name == former for name in recorded.spec(spec.name).former_names)


def _objection(spec: DesiredSpec, old: str, desired: Desired, recorded: Recorded, taken: Collection[str]) -> str | None:
    """Returns why a spec cannot take over a record, or `None` if it can. `taken` are the records that other specs take
    over."""
    newest = recorded.spec(spec.name).newest
    if old in desired.names:
        return f"the record of {spec.renamed_from.name if spec.renamed_from else old} now belongs to {old}"
    if old in taken:
        return f"another spec takes over the record of {old}"
    if newest is not None:
        return (
            f"{spec.name} has submissions of its own (the newest is {newest.key.label}), so it cannot take over those "
            f"of {old}"
        )
    return None


def _notes(specs: Iterable[tuple[DesiredSpec, RenamedFrom]], recorded: Recorded) -> Iterator[str]:
    """Yields a note about each former name without a record, unless the ledger has a record of the spec itself."""
    near = NearNames(recorded.specs)
    for spec, former in specs:
        record = recorded.spec(spec.name)
        if record.declaration is None and record.newest is None:
            close = near.to(former.name)
            question = f" Did you mean {close}?" if close else ""
            yield (
                f"{former.location}: renamedFrom: the ledger has no record of {former.name}, so {spec.name} is a new "
                f"spec.{question}"
            )


def rename_hints(desired: Desired, recorded: Recorded) -> Iterator[str]:
    """Yields a suggestion of `renamedFrom` for each new spec that has the content of a removed spec."""
    gone: dict[str, SpecRecord] = {}
    absent = [recorded.specs[name] for name in recorded.specs if name not in desired.names]
    # Of several removed specs with the same content, the one that changed last is suggested.
    for record in sorted(absent, key=lambda record: record.head):
        contents = (record.declaration, record.baseline)
        gone |= {each.digest: record for each in contents if each is not None and each.digest}
    for name, spec in sorted(desired.specs.items()) if gone else ():
        record, same = recorded.spec(name), gone.get(spec.digest)
        is_new = record.newest is None and (record.declaration is None or record.undeclared)
        if same is not None and is_new and stale_message(record, desired) is None:
            what = "its schedule would start anew" if spec.policy.schedule is not None else "it would run again"
            yield (
                f"{name} is new and equal to {same.name}, which was removed. If it was renamed, add `renamedFrom: "
                f"{same.name}` "
                f"to its metadata{f' ({spec.source})' if spec.source else ''}: it takes over the runs of {same.name}, "
                f"and nothing runs. Otherwise {what} under the new name"
            )


def after_renames(recorded: Recorded, pending: Mapping[str, str]) -> Recorded:
    """Returns the state after the renames in `pending` (by new name) that are possible and not recorded yet. Never
    changes `recorded`, and returns it unchanged if there is nothing to rename."""
    pending = {
        name: old for name, old in pending.items() if old in recorded.specs and not recorded.spec(name).submissions
    }
    if not pending:
        return recorded
    view = copy(recorded)
    view.specs, view.by_token = copy(recorded.specs), copy(recorded.by_token)
    view.former_names = dict(recorded.former_names)
    for name, old in pending.items():
        record = copy(view.specs[old])
        # `rename` changes the key of each submission in place.
        record.submissions = [copy(submission) for submission in record.submissions]
        view.specs[old] = record
        view.by_token.update({submission.token: submission for submission in record.submissions})
        rename(view, old, name, recorded.position + 1)
    return view


def name_now(name: str, specs: Mapping[str, DesiredSpec | InvalidSpec], recorded: Recorded) -> str:
    """Returns the name of a spec after all renames, including the pending ones in git; the name itself if there are
    none."""
    current = recorded.current_name(name)
    former = {
        new: spec.renamed_from.name
        for new, spec in specs.items()
        if isinstance(spec, DesiredSpec) and spec.renamed_from
    }
    claims = (new for new, old in former.items() if recorded.current_name(old) == current)
    return current if current in specs else next(claims, current)


def rename(recorded: Recorded, old: str, new: str, position: int, commit: str | None = None) -> None:
    """Renames the record of a spec, as recorded by the event at `position` from the checkout `commit`.

    Raises `LedgerCorrupt` if the former name has no record, or the new name has submissions.
    """
    own = recorded.spec(new)
    if old not in recorded.specs or own.submissions or old == new:
        raise LedgerCorrupt(f"the ledger contains a rename of {old} to {new}, which is not possible")
    record = recorded.specs.pop(old)
    recorded.former_names[old] = former = _former_name(record, new, position, commit)
    recorded.specs[new] = _joined(record, own, former)


def _former_name(record: SpecRecord, renamed_to: str, position: int, commit: str | None) -> FormerName:
    """Returns the former name of a record, as of the rename at `position`."""
    before = record.predecessor or FormerName(record.name, "", 0)
    archive = record.archive or Archive()
    return FormerName(
        record.name,
        renamed_to,
        position,
        commit,
        record.next_generation - 1,
        max((before.slot, archive.slot, *(s.slot or "" for s in record.submissions))),
        max((before.attempt, archive.attempt, *(s.attempt for s in record.submissions))),
    )


def _joined(record: SpecRecord, own: SpecRecord, former: FormerName) -> SpecRecord:
    """Returns a record under the name of `own`, which has no submissions. Other values recorded under the new name
    are preserved."""
    for submission in record.submissions:
        submission.key = replace(submission.key, name=own.name)
    scheduled = own if own.schedule is not None else record
    return SpecRecord(
        own.name,
        head=max(record.head, own.head),
        positions=sorted({*record.positions, *own.positions}),
        submissions=record.submissions,
        schedule=scheduled.schedule,
        missed=[*record.missed, *own.missed],
        handled_until=scheduled.handled_until,
        backfill=[*record.backfill, *(slot for slot in own.backfill if slot not in record.backfill)],
        notified=[*record.notified, *own.notified],
        declaration=own.declaration or record.declaration,
        former_names=[*own.former_names, *record.former_names, former],
        predecessor=own.predecessor,
        archive=record.archive,
        base=record.base,
    )
