"""Moves submissions on which no decision depends any more from the state to its archive, so that the state does not
grow with the history. Restores them when an event is about them."""

from bisect import insort
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from reconciler.core.archive import SLOT_LENGTH, SPEC, Archive, Entry, Recall, entry_of, is_plain_slot, where_of
from reconciler.core.identity import SubmissionKey
from reconciler.core.state import Recorded, SpecRecord
from reconciler.core.submission import Attempts, Phase, RunState, Submission, ended_at
from reconciler.core.times import parse_time

ENDED_RUNS = 20
"""The number of newest ended runs, and of newest successful runs, that are kept for each spec. The usual durations of
its runs are computed from them (`durations.LAST_RUNS`)."""

SLACK = 16
"""The number of new submissions after which the submissions of a record are archived again. A record that keeps many
submissions must first grow by a quarter, so that the work per submission is bounded."""

SPEC_POSITIONS = 64
"""The maximum number of kept positions of events about a spec itself; beyond it, the older half is archived."""

RETRIED_WITHIN = timedelta(days=1)
"""A slot is not attempted again automatically if a newer slot was submitted this long after its last attempt ended."""

NOTIFIED_WITHIN = timedelta(days=1)
"""A failed run is reported only within this time after its end, so that turning notifications on does not report all
past failures."""

COMPLETED = timedelta(hours=2)
"""How long a run is kept if AWS did not report all details of its end: longer than it is queried again
(`observations.LATE`)."""

ARRIVED_WITHIN = timedelta(minutes=5)
ABSENT_WITHIN = timedelta(days=1)
"""A search in AWS for runs since the newest submission of a spec must recognise the runs of older submissions by their
tokens. An older submission is therefore kept for the first period after it was submitted or, without a recorded run,
for the second period after the deadline of its last send."""

UNDONE = {Phase.UNSENT, Phase.SUPERSEDED}
NOT_RETRIED = {Phase.INTENDED, Phase.CONFLICTED, Phase.UNSENT, Phase.APPLIED, Phase.ABANDONED}

Group = tuple[int | None, str | None]
"""A generation or a slot."""


def archive_ended(recorded: Recorded, record: SpecRecord) -> None:
    """Archives the ended submissions of a record beyond the newest ones, if it has many more than are kept."""
    if len(record.positions) > SPEC_POSITIONS:
        _archive_positions(recorded, record)
    kept = record.archive.kept if record.archive is not None else ENDED_RUNS
    if len(record.submissions) <= kept + max(SLACK, kept // 4):
        return
    archive = record.archive = record.archive or Archive()
    groups = _groups(record.submissions)
    keep = _deciding(record, groups)
    gone = [s for group, attempts in groups.items() if group not in keep for s in attempts]
    # `History` reads entries from the end, so newer submissions must come later.
    for submission in sorted(gone, key=lambda s: s.first_position):
        archive.add(submission)
        recorded.unindexed.append(entry_of(submission, record.name_at(submission.first_position)).text)
        del recorded.by_token[submission.token]
    tokens = {submission.token for submission in gone}
    record.submissions = [s for s in record.submissions if s.token not in tokens]
    record.notified = [key for key in record.notified if not _is_past(key, tokens, record.submissions[-1])]
    archive.kept = len(record.submissions)


def _is_past(key: str, tokens: set[str], newest: Submission) -> bool:
    """Returns whether the occurrence that the notification `key` was about can no longer be reported, because its
    submission is one of the archived `tokens`, or because its slot was missed more than a day before the newest
    submission."""
    if key.startswith("missed:") and is_plain_slot(slot := key[-SLOT_LENGTH:]):
        return parse_time(slot) + NOTIFIED_WITHIN < parse_time(newest.first_intent_at)
    return not tokens.isdisjoint(key.split(":"))


def _archive_positions(recorded: Recorded, record: SpecRecord) -> None:
    older, record.positions = record.positions[: -SPEC_POSITIONS // 2], record.positions[-SPEC_POSITIONS // 2 :]
    by_name: dict[str, list[int]] = {}
    for position in older:
        by_name.setdefault(record.name_at(position), []).append(position)
    recorded.unindexed += [Entry(name, SPEC, tuple(positions)).text for name, positions in by_name.items()]


def _groups(submissions: Iterable[Submission]) -> dict[Group, list[Submission]]:
    groups: dict[Group, list[Submission]] = {}
    for submission in submissions:
        groups.setdefault(_group(submission), []).append(submission)
    return groups


def _group(submission: Submission) -> Group:
    return submission.generation, submission.slot


def _deciding(record: SpecRecord, groups: dict[Group, list[Submission]]) -> set[Group]:
    """Returns the generations and slots on which a decision may still depend, and those of the newest ended runs."""
    newest = record.submissions[-1]
    top = max((s for s in record.submissions if s.slot is not None), key=lambda s: s.slot or "", default=newest)
    ended = [s for s in record.submissions if s.accepted and not s.live]
    succeeded = [s for s in ended if s.run_state is RunState.SUCCEEDED]
    keep = {_group(s) for s in (newest, top, *ended[-ENDED_RUNS:], *succeeded[-ENDED_RUNS:], *_landmarks(record))}
    return keep | {
        group for group, attempts in groups.items() if group not in keep and _is_open(record, attempts, top, newest)
    }


def _landmarks(record: SpecRecord) -> Iterator[Submission]:
    """Yields the newest submission of each type that plans and operators' decisions refer to, such as the newest
    accepted one."""
    newest_first = record.submissions[::-1]
    by_slot = sorted((s for s in newest_first if s.slot is not None), key=lambda s: s.slot or "", reverse=True)
    declared = record.declaration.token if record.declaration is not None else None
    for some in (
        (s for s in newest_first if s.accepted or s.unresolved or s.applied),  # `SpecRecord.baseline`
        (s for s in newest_first if s.accepted or s.unresolved),  # a slot of another spec may depend on it
        (s for s in newest_first if not s.applied),  # `why NAME`, `logs NAME`
        (s for s in newest_first if s.commit is not None),  # the age of a checkout
        (s for s in newest_first if s.token == declared),  # its intent contains the request applied last
        # `retry NAME` without a slot
        (s for s in by_slot if s.phase not in NOT_RETRIED and s.run_state is not RunState.SUCCEEDED),
    ):
        yield from (s for s in [next(some, None)] if s is not None)


def _is_open(record: SpecRecord, attempts: Attempts, top: Submission, newest: Submission) -> bool:
    """Returns whether a decision may still depend on a slot or generation, even if it is not the newest."""
    if any(s.unresolved or s.live or s.conflict or s.retry_asked_at is not None for s in attempts):
        return True
    slot, now = attempts[0].slot, parse_time(newest.first_intent_at)
    # Slots in another form do not sort by time, so `Archive.slot` would not be the newest.
    if slot is not None and (not is_plain_slot(slot) or slot in record.backfill or _is_due(record, slot)):
        return True
    if slot is not None and any(s.counts for s in attempts) and not _is_past_retries(attempts, top):
        return True
    return any(_may_be_reported(s, record, now) or _may_be_asked_about(s, now) for s in attempts)


def _is_due(record: SpecRecord, slot: str) -> bool:
    """Returns whether the due slots of the record are computed from a time before this slot."""
    if record.schedule is None or slot <= (record.handled_until or ""):
        return False
    return parse_time(slot) > parse_time(record.schedule.since)


def _is_past_retries(attempts: Attempts, top: Submission) -> bool:
    """Returns whether a slot that was submitted is not attempted again automatically, no matter how the policy of its
    spec changes."""
    last = max(attempts, key=lambda s: s.attempt)
    failed = last.failed and last.attempt <= last.backoff_limit
    if not failed and last.phase not in UNDONE:
        return True
    return sum(s.accepted for s in attempts) > last.backoff_limit or no_longer_retried(last, top)


def no_longer_retried(last: Submission, top: Submission) -> bool:
    """Returns whether the newest slot of a spec was submitted so long after the last attempt of another slot that the
    other slot is not attempted again. `top` is the submission of the newest slot."""
    if (top.slot or "") <= (last.slot or ""):
        return False
    return parse_time(top.first_intent_at) > ended_at(last) + RETRIED_WITHIN


def _may_be_reported(submission: Submission, record: SpecRecord, now: datetime) -> bool:
    """Returns whether a notification about the end of a run may still be due, or must still be remembered so that it is
    not repeated."""
    ended = submission.finished_at or submission.submitted_at
    if ended is None or now >= parse_time(ended) + NOTIFIED_WITHIN:
        return False
    failed = submission.failed or submission.run_state is RunState.FAILED
    return failed or any(submission.token in key for key in record.notified)


def _may_be_asked_about(submission: Submission, now: datetime) -> bool:
    """Returns whether AWS may still be queried about the end of a run, or whether a search for runs since the newest
    submission may find a run of this submission."""
    if submission.partial and submission.ended_at is not None and parse_time(submission.ended_at) + COMPLETED > now:
        return True
    if submission.accepted and submission.submitted_at is not None:
        return parse_time(submission.submitted_at) + ARRIVED_WITHIN > now
    return max(parse_time(send.not_after) for send in submission.sends) + ABSENT_WITHIN > now


def restore_group(recorded: Recorded, record: SpecRecord, key: SubmissionKey, recall: Recall) -> None:
    """Restores the attempts of a slot or generation from the archive, if they are archived."""
    archive = record.archive
    if archive is not None and archive.may_have(key.slot, key.generation) and not _has(record, key):
        _restore(recorded, recall.of_group(recorded, record, where_of(key)))


def restore_token(recorded: Recorded, token: str, recall: Recall) -> None:
    """Restores a submission from the archive, with the other attempts of its slot or generation, if it is archived."""
    if recorded.archives:
        _restore(recorded, recall.of_token(recorded, token))


def _has(record: SpecRecord, key: SubmissionKey) -> bool:
    return any(_group(s) == (key.generation, key.slot) for s in record.submissions)


def _restore(recorded: Recorded, submissions: Sequence[Submission]) -> None:
    for submission in submissions:
        if submission.token in recorded.by_token:
            continue
        recorded.by_token[submission.token] = submission
        record = recorded.record(submission.name)
        insort(record.submissions, submission, key=lambda s: s.first_position)
        if record.archive is not None:
            # The highest slot, generation and attempt remain, because they are only upper bounds.
            record.archive.number -= 1


def index(recorded: Recorded, position: int, entries: Sequence[str]) -> None:
    """Records that the batch at `position` has these index entries."""
    done = set(entries)
    recorded.unindexed = [entry for entry in recorded.unindexed if entry not in done]
    slots = sorted(slot for text in entries if is_plain_slot(slot := text.partition("|")[0]))
    recorded.indexes.append("|".join((str(position), *slots[:1], *slots[-1:])))
