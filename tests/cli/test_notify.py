"""Tests the notifications that whole commands send."""

from __future__ import annotations

import pytest

from reconciler.app import webhooks
from reconciler.emulator import Plan, Rule
from tests.app.webhook_receiver import hook
from tests.campaigns import pairs
from tests.cli.world import World, project_text


def with_hooks(*lines: str) -> str:
    """Returns the project file with webhooks of its target."""
    return project_text(limits="\n      notify:" + "".join(f"\n        - {line}" for line in lines))


def test_a_spec_on_hold_is_notified_once(world: World):
    """One pass posts the notification to each webhook that subscribes to it. The address, which comes from the
    environment, appears in no output."""
    world.aws.configure(outcome="failed", run_seconds=0)
    with hook() as there, hook() as other:
        world.env["RECONCILER_NOTIFY_HOOK"], world.env["RECONCILER_NOTIFY_KEY"] = there.url, "Bearer s3cr3t"
        world.write(
            "reconciler.yaml",
            with_hooks(
                "{urlEnv: RECONCILER_NOTIFY_HOOK, headersEnv: {Authorization: RECONCILER_NOTIFY_KEY}, events: [held]}",
                f'{{url: "{other.url}", events: [unknown, lost]}}',
            ),
        )
        world.batch("clicks")
        assert world.run("apply", "--yes").code == 0
        for _ in range(3):
            done = world.run("reconcile", "-v")
            assert done.code == 3
            assert "s3cr3t" not in done.out + done.err
    (document,) = there.documents
    assert document["text"].startswith("shop/staging: clicks: retries-exhausted: run ")
    assert (document["spec"], document["kinds"], document["generation"]) == ("clicks", ["failed", "held"], 1)
    assert there.headers[0]["Authorization"] == "Bearer s3cr3t"
    assert other.documents == []


def test_an_apply_of_a_plan_file_notifies_of_what_it_sent(world: World):
    """A rejected submission is posted at once. A hold in the file may be resolved by then, so a later pass posts it."""
    world.aws.configure(outcome="failed", run_seconds=0)
    world.batch("held")
    world.run("apply", "--yes")
    with hook() as there:
        world.env["RECONCILER_NOTIFY_HOOK"] = there.url
        world.write("reconciler.yaml", with_hooks("{urlEnv: RECONCILER_NOTIFY_HOOK, events: [held]}"))
        world.batch("rejected")
        world.aws.inject(Plan([Rule("lost", "error", operation="SubmitJob", code="ClientException", count=1)]))
        world.run("plan", "--out", "team.plan")
        applied = world.run("apply", "team.plan", "--yes")
        posted = [(each["spec"], each["reason"]) for each in there.documents]
        world.run("reconcile")

    assert applied.code == 3
    assert posted == [("rejected", "rejected")]
    assert [each["spec"] for each in there.documents] == ["rejected", "held"]


def test_a_missing_webhook_stops_nothing(world: World):
    """The pass ends as usual, and standard error reports that the notification failed."""
    world.aws.configure(outcome="failed", run_seconds=0)
    world.write("reconciler.yaml", with_hooks("{urlEnv: RECONCILER_NOTIFY_NOWHERE}"))
    world.batch("clicks")
    world.run("apply", "--yes")
    done = world.run("reconcile")
    assert done.code == 3
    assert (
        "no notification of retries-exhausted of clicks by the webhook of RECONCILER_NOTIFY_NOWHERE: "
        "the environment variable RECONCILER_NOTIFY_NOWHERE is not set"
    ) in done.err


@pytest.mark.parametrize(("verbose", "answer"), pairs(["-vvv", "", "-v", "-vv"], ["nobody", "redirect", "failing"]))
def test_a_webhooks_address_is_never_printed(world: World, verbose: str, answer: str, monkeypatch: pytest.MonkeyPatch):
    """If a notification fails, no output contains the path, query or user of the webhook's address, even with -vvv."""
    monkeypatch.setattr(webhooks, "PAUSE_SECONDS", 0)
    world.aws.configure(outcome="failed", run_seconds=0)
    with hook(*((302,) if answer == "redirect" else (503,) * 9), location="http://127.0.0.1:1/c4n4ry") as there:
        host = "127.0.0.1:1" if answer == "nobody" else there.url.split("/")[2]
        world.env["RECONCILER_NOTIFY_HOOK"] = f"http://c4n4ry:c4n4ry@{host}/c4n4ry?c4n4ry=c4n4ry"
        world.write("reconciler.yaml", with_hooks("{urlEnv: RECONCILER_NOTIFY_HOOK}"))
        world.batch("clicks")
        world.run("apply", "--yes")
        done = world.run("reconcile", *([verbose] if verbose else []))
    assert done.code == 3
    assert "no notification of retries-exhausted of clicks by the webhook of RECONCILER_NOTIFY_HOOK: it " in done.err
    assert "c4n4ry" not in done.out + done.err


def test_an_address_with_a_password_is_refused(world: World):
    """The project file is in git and must not contain secrets."""
    world.write("reconciler.yaml", with_hooks('{url: "https://me:pass@example.com/x"}', "{events: [held]}"))
    done = world.run("validate")
    assert done.code == 1
    assert "if it contains a secret, use urlEnv" in done.err
    assert "set either url or urlEnv" in done.err


def line_and_column(world: World, word: str) -> str:
    """Returns the line and column of a word in the project file."""
    before, _, _ = (world.folder / "reconciler.yaml").read_text().partition(word)
    return f"reconciler.yaml:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}: "


@pytest.mark.parametrize("arguments", [("validate",), ("apply", "--yes"), ("reconcile",), ("status",)])
def test_a_variable_that_is_not_for_webhooks_is_refused(world: World, arguments: tuple[str, ...]):
    """Each variable is reported at its location with both ways to fix it, before anything is sent to AWS or to a
    webhook."""
    with hook() as there:
        world.env |= {"SLACK_URL": there.url, "TOKEN": "s3cr3t", "RECONCILER_NOTIFY_ALLOWED": "OTHER"}
        world.write("reconciler.yaml", with_hooks("{urlEnv: SLACK_URL, headersEnv: {Authorization: TOKEN}}"))
        world.batch("clicks")
        done = world.run(*arguments)
    assert done.code == 1
    for name in ("SLACK_URL", "TOKEN"):
        (line,) = (line for line in done.err.splitlines() if f"rename {name} to RECONCILER_NOTIFY_{name}" in line)
        assert line.startswith(line_and_column(world, name))
        assert f"RECONCILER_NOTIFY_ALLOWED={','.join(sorted(['OTHER', name]))}" in line
    assert "s3cr3t" not in done.out + done.err
    assert (world.runs(), there.documents) == ([], [])


def test_the_operator_allows_other_variables(world: World):
    """Operators list the allowed variables in the environment, because the project file must not extend the list."""
    world.aws.configure(outcome="failed", run_seconds=0)
    with hook() as there:
        allowed = " SLACK_URL, TOKEN ,"
        world.env |= {"SLACK_URL": there.url, "TOKEN": "s3cr3t", "RECONCILER_NOTIFY_ALLOWED": allowed}
        world.write("reconciler.yaml", with_hooks("{urlEnv: SLACK_URL, headersEnv: {Authorization: TOKEN}}"))
        world.batch("clicks")
        assert world.run("apply", "--yes").code == 0
        assert world.run("reconcile").code == 3
    assert [headers["Authorization"] for headers in there.headers] == ["s3cr3t"]


@pytest.mark.parametrize("name", ["AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL_BATCH", "aws_session_token"])
@pytest.mark.parametrize("field", ["{{urlEnv: {}}}", "{{url: https://example.com/, headersEnv: {{X: {}}}}}"])
def test_aws_variables_are_never_sent(world: World, name: str, field: str):
    """They are refused even if the operator's list contains them."""
    world.env |= {"RECONCILER_NOTIFY_ALLOWED": name}
    world.write("reconciler.yaml", with_hooks(field.format(name)))
    done = world.run("validate")
    assert done.code == 1
    assert line_and_column(world, name) in done.err
    assert f"{name} is never sent to a webhook" in done.err
