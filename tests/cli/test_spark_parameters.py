"""Tests Spark parameters in whole commands: the request that is sent, the warnings, and ledgers with the quoting of
version 0.1.0."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.apply import protocol, recording
from reconciler.core.events import Intended
from reconciler.core.identity import Place, SubmissionKey, client_token, digest
from reconciler.core.plan import ActionType
from reconciler.emulator import Plan, Rule
from reconciler.model.emr_serverless import spark_parameters
from tests.cli.world import ACCOUNT, REGION, World, spark_text
from tests.model.requests import corpus

MAPPING = """\
        sparkSubmitParameters:
          class: shop.Main
          conf:
            spark.executor.extraJavaOptions: -XX:+UseG1GC -Dx=1
            spark.executor.memory: 4g
"""
NOW = '--class shop.Main --conf spark.executor.extraJavaOptions="-XX:+UseG1GC -Dx=1" --conf spark.executor.memory=4g'
IN_0_1_0 = (
    "--class shop.Main --conf 'spark.executor.extraJavaOptions=-XX:+UseG1GC -Dx=1' --conf spark.executor.memory=4g"
)


def write(world: World, parameters: str = MAPPING, argument: str = "A", **policy: str) -> Path:
    """Writes the spec `orders` with these lines in its driver."""
    return world.write("orders.yaml", spark_text("orders", argument, **policy) + parameters)


def string(world: World, parameters: str) -> Path:
    """Writes the spec `orders` with a string of Spark parameters."""
    return write(world, f"        sparkSubmitParameters: {json.dumps(parameters, ensure_ascii=False)}\n")


def sent(world: World) -> list[str]:
    """The Spark parameters of each run that AWS accepted."""
    return [request["jobDriver"]["sparkSubmit"]["sparkSubmitParameters"] for request in world.sent("orders")]


@pytest.fixture
def old(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A ledger as version 0.1.0 wrote it, with that version's quoting, its digest, and no declarations."""
    write(world)
    with monkeypatch.context() as patch:
        patch.setattr(spark_parameters, "_as_sent", lambda words: " ".join(map(spark_parameters._posix_quoted, words)))
        patch.setattr(recording, "record_declarations", lambda *_: None)
        assert world.run("apply", "--yes").code == 0
    (intent,) = [event for event in world.events() if isinstance(event, Intended)]
    request = intent.content.request or {}
    written = {key: value for key, value in request.items() if key not in {"clientToken", "tags"}}
    place = Place("shop", "staging", ACCOUNT, REGION)
    expected = digest("EmrServerlessJobRun", 1, written)
    assert [IN_0_1_0] == sent(world)
    assert expected == intent.content.digest
    assert intent.token == client_token(place, "EmrServerlessJobRun", SubmissionKey("orders", 1), expected)
    assert not [event for event in world.events() if event.type == "declared"]
    return world


def test_a_mapping_is_sent_in_double_quotes(world: World):
    """In the request that AWS receives, the value is in double quotes, and the plan file can be applied."""
    write(world)
    plan_file = world.folder.parent / "plan.json"
    assert world.run("plan", "--out", plan_file).code == 0

    done = world.run("apply", "--yes", plan_file)

    assert done.code == 0, done.err
    assert [NOW] == sent(world)
    assert "No changes" in world.run("plan").out


@pytest.mark.parametrize("live", [True, False])
def test_an_upgrade_changes_nothing(old: World, live: bool):
    """`plan`, `status`, `fsck`, `adopt` and `apply` find nothing to do for a live or finished run that version 0.1.0
    started."""
    run_id = old.runs()[0].id
    if not live:
        old.aws.finish(run_id, "succeeded")

    plan = old.run("plan", "--detailed-exitcode")
    as_json = old.run("plan", "--format", "json")
    status = old.run("status", "--format", "json")
    fsck = old.run("fsck")
    adopt = old.run("adopt", "orders", run_id, "--yes")
    applied = [old.run("apply", "--yes"), old.run("reconcile")]

    assert (plan.code, "No changes" in plan.out) == (0, True), plan
    assert [(ActionType.NONE, "in-sync")] == as_json.actions("action", "reason")
    assert [] == as_json.json.get("changes", [])
    assert (0, ["running" if live else "succeeded"]) == (status.code, [s["state"] for s in status.json["specs"]])
    assert fsck.code == 0, fsck
    assert f"run {run_id} already belongs to orders" in adopt.out + adopt.err
    assert [0, 0] == [done.code for done in applied]
    assert [IN_0_1_0] == sent(old)


def test_an_upgrade_with_a_lost_ledger_adopts_the_run(old: World):
    """The old run has the token of the spec, so nothing runs twice, and `fsck` can rebuild the ledger."""
    run_id = old.runs()[0].id
    for path in old.folder.glob("ledger.sqlite*"):
        path.unlink()
    old.init()

    done = old.run("apply", "--yes", "--format", "json")

    assert (done.code, [run_id]) == (0, [action["run_id"] for action in done.json["actions"]]), done
    assert [IN_0_1_0] == sent(old)


def test_a_change_after_an_upgrade_shows_only_itself(old: World):
    """The plan compares values without their quoting. The new run is sent with the new quoting."""
    old.aws.finish(old.runs()[0].id, "succeeded")
    write(old, argument="B")

    plan = old.run("plan", "--format", "json")
    applied = old.run("apply", "--yes")

    (action,) = [action for action in plan.json["actions"] if action["action"] != "none"]
    assert ["jobDriver.sparkSubmit.entryPointArguments[0]"] == [change["path"] for change in action["changes"]]
    assert applied.code == 0, applied.err
    assert [IN_0_1_0, NOW] == sent(old)


def test_a_new_revision_after_an_upgrade_is_one(old: World):
    """The plan shows that only the revision changed."""
    old.aws.finish(old.runs()[0].id, "succeeded")
    write(old, revision="2")

    assert [("submit", "revision-changed")] == old.run("plan", "--format", "json").actions("action", "reason")


def test_a_request_that_0_1_0_lost_is_sent_again_as_it_was(world: World, monkeypatch: pytest.MonkeyPatch):
    """A repeated request has the same bytes as the recorded intent, with the old quoting."""
    write(world)
    monkeypatch.setattr(protocol, "LOOK_PAUSES", (0.0,))
    world.aws.inject(Plan([Rule("lost", "closed", operation="StartJobRun")]))
    with monkeypatch.context() as patch:
        patch.setattr(spark_parameters, "_as_sent", lambda words: " ".join(map(spark_parameters._posix_quoted, words)))
        assert world.run("apply", "--yes").code == 3
    assert [] == sent(world)
    world.aws.inject(Plan())

    done = world.run("apply", "--yes")

    assert done.code == 0, done.err
    assert [IN_0_1_0] == sent(world)


REFUSED = {"'it''s'": "quotes", "'C:\\jobs'": "backslashes", "'5\" disk'": "quotes", '"a\\nb"': "line breaks"}


@pytest.mark.parametrize("value", REFUSED)
def test_what_cannot_be_sent_is_refused(world: World, value: str):
    """Nothing is planned and nothing is sent. The error contains the location of the value and explains where the
    setting works."""
    write(world, f"        sparkSubmitParameters:\n          conf:\n            spark.x: {value}\n")

    for command in (["validate"], ["plan"], ["apply", "--yes"]):
        done = world.run(*command)
        assert done.code == 1, done
        assert "orders.yaml:16:22:" in done.err
        assert f"does not accept {REFUSED[value]} in a value here" in done.err.replace(" or tabs", "")
        assert (
            "set spark.x in configurationOverrides.applicationConfiguration, classification spark-defaults" in done.err
        )
    assert [] == world.runs()


def test_paired_quotes_are_refused_by_validate_and_warned_of_by_every_plan(world: World):
    """A 0.1.0 project with paired quotes still plans and applies as before, but every plan prints a warning."""
    write(world, '        sparkSubmitParameters:\n          conf:\n            spark.x: two "words"\n')

    validated = world.run("validate")
    texts = [world.run(*command.split()) for command in ("plan", "apply --yes", "plan", "reconcile")]
    page = world.run("plan", "--format", "markdown").out
    warnings = world.run("plan", "--format", "json").json["warnings"]

    assert validated.code == 1, validated
    assert [done.code for done in texts] == [0, 0, 0, 0]
    for shown in (validated.err, *(done.out for done in texts), *warnings):
        assert "orders.yaml:16:22:" in shown
        assert "EMR Serverless does not accept quotes" in shown
        assert "classification spark-defaults" in shown
    assert all("Warning: orders.yaml:16:22:" in done.out for done in texts)
    assert "Warning: orders.yaml:16:22:" in page
    assert ["--conf 'spark.x=two \"words\"'"] == sent(world)


STYLES = {
    "double-quoted": ('"--class a.B --config spark.x=1"', 14, 45),
    "single-quoted": ("'--class a.B --config spark.x=1'", 14, 45),
    "plain": ("--class a.B --config spark.x=1", 14, 44),
    "folded": (">-\n          --class a.B\n          --config spark.x=1", 16, 11),
    "literal": ("|\n          --class a.B\n          --config spark.x=1", 16, 11),
}


@pytest.mark.parametrize("style", STYLES)
def test_a_warning_points_into_the_string(world: World, style: str):
    """The location of the affected word is shown, whatever the style of the YAML scalar is."""
    text, line, column = STYLES[style]
    write(world, f"        sparkSubmitParameters: {text}\n")

    done = world.run("validate")

    assert done.code == 0, done.err
    assert f"orders.yaml:{line}:{column}: warning: " in done.err
    assert "unknown option --config; did you mean --conf?" in done.err


def test_a_word_that_a_placeholder_gives_is_reported_at_the_string(world: World):
    """A problem in the value of a placeholder is reported at the start of the string."""
    string(world, "--conf ${spec.name}")

    done = world.run("validate")

    assert "orders.yaml:14:32: warning: " in done.err
    assert "--conf wants KEY=VALUE: write orders=VALUE" in done.err


def test_a_warning_hides_secrets(world: World):
    """If a string contains a secret, the warning quotes no part of the string."""
    string(world, "--conf spark.db.password=hunter2 open-sesame --config spark.x=1")

    done = world.run("validate")

    assert "is a word of its own: quote the value" in done.err
    assert "unknown option --config" in done.err
    assert "hunter2" not in done.err
    assert "open-sesame" not in done.err


FIELD = [case for case in corpus("field") if case.marks or case.values[0]["id"].startswith("ssp-")]


@pytest.mark.parametrize("case", FIELD)
def test_cases_from_the_field(world: World, case: dict[str, object]):
    """Each collected string causes the expected warning or no warning, and is sent as expected."""
    request = json.dumps(case["request"]).replace("123456789012", ACCOUNT)
    spec = {"apiVersion": "reconciler/v1", "kind": case["kind"], "metadata": {"name": "orders"}}
    world.write("orders.json", json.dumps({**spec, "spec": {"request": json.loads(request)}}))

    validated = world.run("validate")

    assert validated.code == 0, validated.err
    if case["want"] == "warning":
        assert str(case["say"]) in validated.err
    else:
        assert "warning" not in validated.err
    if case["want"] == "sends":
        assert world.run("apply", "--yes").code == 0
        assert [case["say"]] == sent(world)


def test_a_slot_with_a_quoted_value_is_planned_and_sent(world: World):
    """A plan file of a slot can be applied, and the slot is inserted between the quotes."""
    setting = "spark.x: day ${run.slot:%Y-%m-%d} of ${spec.name}"
    mapping = f"        sparkSubmitParameters:\n          conf:\n            {setting}\n"
    write(world, mapping, schedule='"0 2 * * *"')
    plan_file = world.folder.parent / "plan.json"
    ends = [
        world.run("reconcile"),
        world.run("backfill", "orders", "--from", "2026-11-20T00:00:00Z", "--to", "2026-11-21T00:00:00Z", "--yes"),
        world.run("plan", "--out", plan_file),
        world.run("apply", "--yes", plan_file),
    ]

    assert [0, 0, 0, 0] == [done.code for done in ends], ends
    assert ['--conf spark.x="day 2026-11-20 of orders"'] == sent(world)
