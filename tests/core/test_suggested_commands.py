"""Tests the commands that are suggested for unknown submissions."""

from __future__ import annotations

from reconciler.core.decide import plan
from reconciler.core.events import Event
from reconciler.core.suggestions import Invocation, SuggestedCommands
from tests.builders import NOW, desired, intended, outcome, ran, recorded, spec, token


def _remedies(*events: Event, found: tuple[str, ...] | None = (), content: str = "A") -> list[SuggestedCommands | None]:
    """Returns the suggested commands of each action in the plan of one spec. `found` contains the runs with its newest
    token."""
    state = recorded(*events)
    newest = state.spec("orders").newest
    if found is not None and newest is not None:
        state.runs_by_token[newest.token] = found
    return [action.suggested for action in plan(desired(spec(content)), state, NOW).actions]


def test_a_command_repeats_where_it_was_called():
    """Commands contain the project folder, quoted for a shell, the target, and the kind of ledger. If none of these is
    needed, commands are short."""
    assert Invocation().command("init") == "reconciler init"
    by = Invocation("prod", "my jobs", local_ledger=True)
    assert by.command("retry", "a b") == "reconciler -C 'my jobs' retry 'a b' -t prod --local-ledger"


def test_commands_in_messages_get_the_folder():
    """The folder is added only to commands that are meant to be pasted. If no folder is given, commands do not
    change."""
    message = "there is no table reconciler ledger. Make the table: reconciler ledger init -t prod"
    by = Invocation("prod", r"my\1 jobs")
    assert by.completed(message) == message.replace(": reconciler", r": reconciler -C 'my\1 jobs'")
    assert Invocation("prod").completed(message) == message


def test_an_unknown_without_a_run_has_three_ways():
    """The commands adopt, resubmit or abandon the submission. They contain the target and can be pasted."""
    assert _remedies(intended(seconds=-60)) == [
        SuggestedCommands(
            (
                'reconciler adopt orders RUN_ID -t prod --reason "..."',
                'reconciler resolve orders --submit -t prod --reason "..."',
                'reconciler resolve orders --abandon -t prod --reason "..."',
            ),
            "2026-11-22T01:59:00Z",
            "2026-11-22T02:24:00Z",
        )
    ]


def test_a_conflict_names_its_runs():
    """If there are several runs, the commands adopt one of them or abandon all. No command sends the request again."""
    assert [remedy.commands for remedy in _remedies(intended(), found=("run-8", "run-9")) if remedy] == [
        (
            'reconciler adopt orders run-8 -t prod --reason "..."',
            'reconciler adopt orders run-9 -t prod --reason "..."',
            'reconciler resolve orders --abandon -t prod --reason "..."',
        )
    ]


def test_a_submission_with_a_second_run_names_both():
    """If there is a second run, each command chooses the run to keep."""
    intent = intended()
    events = [intent, outcome("submitted", intent), outcome("adopted", intent, run_id="run-9")]

    assert [remedy.commands for remedy in _remedies(*events) if remedy] == [
        (
            'reconciler adopt orders run-1 -t prod --reason "..."',
            'reconciler adopt orders run-9 -t prod --reason "..."',
        )
    ]


def test_of_several_unresolved_each_is_named():
    """If a spec has two submissions, `resolve` needs the token of one of them."""
    told = _remedies(intended("A", 1), intended("B", 2, seconds=-60), found=None, content="B")

    assert [remedy.commands[1] for remedy in told if remedy] == [
        f'reconciler resolve orders --submit --token {token(content, number)} -t prod --reason "..."'
        for content, number in (("A", 1), ("B", 2))
    ]


def test_a_bad_end_can_be_retried():
    """A held spec suggests the retry command."""
    rejected = intended()
    for events in (ran(end="failed"), ran(end="cancelled"), (rejected, outcome("rejected", rejected))):
        assert _remedies(*events) == [SuggestedCommands(('reconciler retry orders -t prod --reason "..."',))]


def test_what_is_known_needs_no_person():
    """No command is suggested for actions that are in sync, adopt a run or submit."""
    assert _remedies(*ran()) == [None]
    assert _remedies(intended(), found=("run-1",)) == [None]
    assert _remedies() == [None]
