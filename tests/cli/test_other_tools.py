"""Tests the hints about commands and options that other tools have."""

from pathlib import Path

import click
import pytest

from reconciler.cli.other_tools import COMMANDS, OPTIONS
from reconciler.cli.program import COMMANDS as OURS
from reconciler.cli.program import program, run
from tests.specs.builders import write

TWO_DASHES = "A long option has two dashes:"
HINTS = {
    "apply -auto-approve": "No such option '-a'. Instead of -auto-approve, use --yes, or -y.",
    "apply --auto-approve": "No such option '--auto-approve': use --yes, or -y.",
    "reconcile --auto-approve": "leave it out, because this command does not ask for confirmation.",
    "reconcile --yes": "No such option '--yes': leave it out, because this command does not ask for confirmation.",
    "apply --dry-run": "use the command plan, which only shows what an apply would do.",
    "plan --json": "No such option '--json': use --format json.",
    "plan -o json": "No such option '-o': use --format json.",
    "plan -vv -refresh=false": "Instead of -refresh, use --no-refresh.",
    "plan -detailed-exitcode": f"{TWO_DASHES} --detailed-exitcode.",
    "plan -target prod": f"Got unexpected extra argument (prod). {TWO_DASHES} --target.",
    "plan clicks": "Got unexpected extra argument (clicks). To select a spec, use --only NAME.",
    "history clicks views": "Got unexpected extra argument (views)",
    "plan --no-cash": "Did you mean",
    "destroy": "there is no command 'destroy'. Did you mean cancel?",
    "version": "there is no command 'version'. Did you mean --version?",
    "sumbit": "there is no command 'sumbit'. Did you mean apply?",
    "ledger vrfy": "there is no command 'vrfy'. Did you mean verify?",
    "ledger show": "there is no command 'show'.",
    "zzz": "there is no command 'zzz'.",
    "resolve clicks --submit --abandon": "choose either --submit, to send it again, or --abandon, to never send it "
    "again, not both",
    "resolve clicks": "choose either --submit, to send it again, or --abandon, to never send it again",
}


@pytest.mark.parametrize(("line", "hint"), HINTS.items(), ids=HINTS)
def test_a_wrong_command_line_is_answered_with_the_right_one(capsys: pytest.CaptureFixture[str], line: str, hint: str):
    """The last line of the usage error contains what to write instead."""
    assert 64 == run(line.split())
    assert capsys.readouterr().err.splitlines()[-1].endswith(hint) or hint == "Did you mean"


def test_a_target_after_one_dash_is_explained(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """`-target=local` is read as `-t arget=local`, which is an unknown target."""
    write(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert 64 == run(["plan", "-target=local"])
    assert f"{TWO_DASHES} --target." in capsys.readouterr().err.splitlines()


def test_hints_lead_only_to_commands_and_options_that_exist():
    """No hint suggests an old name, and none is about a command that exists."""
    commands = [program.get_command(click.Context(program), name) for name in OURS]
    options = {name for command in commands if command for option in command.params for name in option.opts}
    for hint in OPTIONS:
        assert {word.strip(",") for word in hint.split() if word.startswith("--")} <= options
    assert {command for command in COMMANDS if not command.startswith("-")} <= OURS.keys()
    assert not {word for words in COMMANDS.values() for word in words.split()} & OURS.keys()
