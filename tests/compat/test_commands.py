"""Tests that JSON output and new events contain everything that they contained in 0.1.0."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.compat.cases import PLAN_FILE, READING, TOKENS, WRITING, Case, played, token_rows
from tests.compat.golden import DATA, by_name, comparable, differences, lines

EVERY_DAY = {
    "plan-edited", "plan-next-day", "status-next-day", "why-taken", "why-token", "fsck", "prod-plan-refreshed",
    "prod-status", "prod-verify", "fresh-plan", "apply-plan-file", "apply-next-day", "fresh-apply", "backfill",
    "cancel", "retry", "resolve",
}  # fmt: skip
"""The cases that `make test` runs; they cover each command, target, time and state. Each of the other cases is similar
to one of them."""

CASES = [
    pytest.param(case, id=case.name, marks=() if case.name in EVERY_DAY else pytest.mark.soak)
    for case in (*READING, *WRITING)
]
ROWS: list[dict[str, Any]] = json.loads((DATA / "tokens-0.1.0.json").read_text())


@pytest.mark.parametrize("case", CASES)
def test_a_command_gives_what_0_1_0_gave(tmp_path: Path, case: Case):
    """A command returns the exit code, JSON output, events and tokens that it returned in 0.1.0."""
    golden = json.loads(case.file.read_text())

    now = played(case, tmp_path)

    fixed = not case.writes
    was, gives = comparable(golden["printed"], fixed=fixed), comparable(now.printed, fixed=fixed)
    assert list(differences(was, gives)) == []
    assert list(differences(by_name(golden["events"]), by_name(now.events))) == []
    assert [event for event in now.events if None in event.values()] == []  # fields without a value are left out
    if case.name in TOKENS:
        assert [row for row in ROWS if row["plan"] == case.name] == token_rows(case.name, now.printed)


def test_the_plan_file_is_the_plan_that_is_printed():
    """The file written by `plan --out` contains the output of `plan --format json` and a seal."""
    plan = json.loads(PLAN_FILE.read_text())
    printed = json.loads((DATA / "golden" / "plan-edited.json").read_text())["printed"]

    assert plan.pop("seal").startswith("sha256:")
    assert list(differences(comparable(printed), comparable(plan))) == []


def test_the_table_of_tokens_covers_every_case():
    """The table of tokens contains both kinds, generations and slots, and first and later attempts."""
    sorts = {(row["kind"], row["slot"] is not None, row["attempt"] > 1) for row in ROWS}
    kinds = ("BatchJob", "EmrServerlessJobRun")

    assert {(kind, slot, False) for kind in kinds for slot in (False, True)} <= sorts
    assert {(kind, False, True) for kind in kinds} <= sorts
    assert {row["plan"] for row in ROWS} == set(TOKENS)


def test_a_missing_key_is_a_difference_and_a_new_one_is_not():
    """The comparison accepts new keys and reports missing ones, at every depth."""
    golden = {"a": [{"b": 1, "c": None}]}

    assert list(differences(golden, {"a": [{"b": 1, "c": None, "d": 2}], "e": 3})) == []
    assert list(differences(golden, {"a": [{"b": 1}]})) == ["$.a[0].c is missing"]
    assert list(differences(golden, {"a": [{"b": True, "c": None}]})) == ["$.a[0].b is True, and was 1"]
    assert len(list(differences(golden, {"a": []}))) == 1


def test_sentences_may_be_reworded():
    """The comparison ignores the wording of messages and reasons, but not a missing message."""
    one, other = {"message": "was", "reason": "held: was"}, {"message": "is", "reason": "held: is"}

    assert comparable(one) == comparable(other)
    assert comparable(one) != comparable({**one, "message": None})


@pytest.mark.parametrize("name", ["ledger-0.1.0.jsonl", "renamed-0.1.0.jsonl"])
def test_every_event_of_the_data_was_written_by_0_1_0(name: str):
    """The data contains no version other than 0.1.0."""
    assert {event["tool_version"] for event in lines(DATA / name) if "tool_version" in event} == {"0.1.0"}
