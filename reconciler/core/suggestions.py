"""Commands and names to suggest in messages: the commands with which an operator decides, and the name that a mistyped
name was probably meant to be.
"""

from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from functools import cached_property
from shlex import join

from reconciler.core.event_fields import Text, Texts
from reconciler.core.state import Phase, Recorded, Submission
from reconciler.core.times import parse_time, seconds_text
from reconciler.values import dataclass, regex

RUN_ID = "RUN_ID"
"""The placeholder for the id of a run that the operator must find."""


COMMAND = regex(r"(?<=: )reconciler(?= [a-z])")
"""Matches the beginning of a command in a message."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """How the current command was called, so that suggested commands apply to the same project and target.

    `directory` is the value of ``-C``, or `None` without this option. Every command that is printed for pasting is
    built by this class.
    """

    target: str | None = None
    directory: str | None = None
    local_ledger: bool = False

    def command(self, *words: str) -> str:
        """Returns a command quoted for a shell. It applies to the same project, target and kind of ledger as this
        one."""
        where = ["-C", self.directory] if self.directory is not None else []
        target = ["-t", self.target] if self.target is not None else []
        ledger = ["--local-ledger"] if self.local_ledger else []
        return join(["reconciler", *where, *words, *target, *ledger])

    def completed(self, message: str) -> str:
        """Returns a message with the project folder added to the commands in it, such as ``create the table: reconciler
        ledger init -t prod``."""
        if self.directory is None:
            return message
        where = f"reconciler {join(['-C', self.directory])}"
        return COMMAND.sub(lambda _: where, message)


@dataclass(frozen=True, slots=True)
class SuggestedCommands:
    """The commands by which an operator decides, ready for pasting into a shell.

    For an unknown submission, `since` is the time when it was first sent, and `settles_at` is the time after which no
    send of it can arrive. Before that, `resolve` needs ``--force``. Both are ISO 8601 text to the second, or `None` in
    other cases.
    """

    commands: Texts
    since: Text | None = None
    settles_at: Text | None = None


def suggested_commands(
    name: str, token: str | None, recorded: Recorded, by: Invocation, settle_seconds: int
) -> SuggestedCommands | None:
    """Returns the commands for a submission of a spec, or `None` if its outcome is known."""
    submission = recorded.by_token.get(token or "")
    tagged = recorded.runs_by_token.get(token or "", ())
    if submission is None:
        return SuggestedCommands(tuple(adopt(name, run_id, by) for run_id in tagged)) if len(tagged) > 1 else None
    if not submission.unresolved:
        runs = submission.conflict
        return SuggestedCommands(tuple(adopt(name, run_id, by) for run_id in runs)) if runs else None
    several = len(recorded.spec(name).unresolved) > 1
    runs = tuple(dict.fromkeys((*tagged, *submission.conflict)))
    return SuggestedCommands(
        tuple(_commands(submission, runs, by, token if several else None)),
        seconds_text(parse_time(submission.first_intent_at)),
        seconds_text(submission.settles_at(settle_seconds)),
    )


def _commands(submission: Submission, runs: Sequence[str], by: Invocation, token: str | None) -> Iterator[str]:
    for run_id in runs or (RUN_ID,):
        yield adopt(submission.name, run_id, by)
    if not runs and submission.phase is Phase.INTENDED:
        yield resolve(submission.name, "submit", by, token)
    # A single run is adopted by the next pass, so abandoning it would be a mistake.
    if len(runs) != 1:
        yield resolve(submission.name, "abandon", by, token)


def retry(name: str, slot: str | None, by: Invocation) -> SuggestedCommands:
    """Returns the command that runs a spec on hold once more after a failed run."""
    which = ["--slot", slot] if slot is not None else []
    return SuggestedCommands((by.command("retry", name, *which) + WHY,))


def adopt(name: str, run_id: str, by: Invocation) -> str:
    """Returns the command that adopts a run for a spec."""
    return by.command("adopt", name, run_id) + WHY


def rebuild(name: str, run_ids: Sequence[str], by: Invocation) -> SuggestedCommands:
    """Returns the commands that record runs with a spec's tag that are missing from the ledger: all of them, or one as
    the current run."""
    every = by.command("fsck", "--adopt") + WHY
    return SuggestedCommands((every, *(adopt(name, run_id, by) for run_id in run_ids)))


def after_rollback(target: str) -> str:
    """Returns advice on what to do with a ledger that was rolled back."""
    by = Invocation(target)
    return (
        "Nothing was sent or written. Restore the newest copy of the ledger. If there is none, list the runs that it "
        f"lacks: {by.command('fsck')}. Then continue with it: {by.command('ledger', 'accept-rollback')}{WHY}. "
        f"Then record those runs: {by.command('fsck', '--adopt')}"
    )


def resolve(name: str, decision: str, by: Invocation, token: str | None = None) -> str:
    """Returns the command that resolves a submission with `decision`: ``submit`` or ``abandon``. `token` is needed if
    the spec has several unresolved submissions."""
    which = ["--token", token] if token is not None else []
    return by.command("resolve", name, f"--{decision}", *which) + WHY


WHY = ' --reason "..."'
"""The option with a placeholder for the reason, which the operator fills in."""


MOST_COMPARED = 100_000
"""The maximum number of comparisons between mistyped and existing names, which takes about two seconds. After that,
nothing is suggested, because a project with so many mistakes does not need a suggestion for each."""

LEAST = 10
"""The number of mistyped names for which a suggestion is always sought, however many names the project has."""


class NearNames:
    """The names of a project. Each mistyped name is compared with them only once, because thousands of specs may
    mention the same one.

    Case is ignored, and the order of `names` does not matter.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._all = names
        self._near: dict[str, str | None] = {}

    @cached_property
    def _names(self) -> dict[str, str]:  # most projects have no mistyped name, so they are sorted on first use
        return {name.lower(): name for name in sorted(self._all)}

    @cached_property
    def _most(self) -> int:
        return max(LEAST, MOST_COMPARED // max(1, len(self._names)))

    def to(self, word: str) -> str | None:
        """Returns the nearest name, or `None` if no name is similar to `word`."""
        if word not in self._near:
            if len(self._near) == self._most:
                return None
            close = get_close_matches(word.lower(), self._names, n=1)
            self._near[word] = self._names[close[0]] if close else None
        return self._near[word]


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Returns a question that suggests the most similar name, or an empty text if no name is similar."""
    close = get_close_matches(name, sorted(names), n=1)
    return f" Did you mean {close[0]}?" if close else ""
