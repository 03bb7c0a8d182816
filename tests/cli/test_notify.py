"""Notifications of whole commands."""

from __future__ import annotations

import pytest

from reconciler.app import notifications
from tests.app.webhook_receiver import hook
from tests.cli.world import World, project_text


def with_hooks(*lines: str) -> str:
    """Returns the project file with webhooks of its target."""
    return project_text(limits="\n      notify:" + "".join(f"\n        - {line}" for line in lines))


def test_a_spec_on_hold_is_notified_once(world: World):
    """One pass posts it to each webhook that wants it; the address from the environment is in no output."""
    world.aws.configure(outcome="failed", run_seconds=0)
    with hook() as there, hook() as other:
        world.env["HOOK"], world.env["KEY"] = there.url, "Bearer s3cr3t"
        world.write(
            "reconciler.yaml",
            with_hooks(
                "{urlEnv: HOOK, headersEnv: {Authorization: KEY}, events: [held]}",
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


def test_a_missing_webhook_stops_nothing(world: World):
    """The pass ends as usual; standard error names the missing notification."""
    world.aws.configure(outcome="failed", run_seconds=0)
    world.write("reconciler.yaml", with_hooks("{urlEnv: NOWHERE}"))
    world.batch("clicks")
    world.run("apply", "--yes")
    done = world.run("reconcile")
    assert done.code == 3
    assert (
        "no notification of retries-exhausted of clicks by the webhook of NOWHERE: "
        "the environment variable NOWHERE is not set"
    ) in done.err


@pytest.mark.parametrize("verbose", ["", "-v", "-vv", "-vvv"])
@pytest.mark.parametrize("answer", ["nobody", "redirect", "failing"])
def test_a_webhooks_address_is_never_printed(world: World, verbose: str, answer: str, monkeypatch: pytest.MonkeyPatch):
    """Path, query and user of an address are in no output of a pass whose notification fails, however verbose."""
    monkeypatch.setattr(notifications, "PAUSE_SECONDS", 0)
    world.aws.configure(outcome="failed", run_seconds=0)
    with hook(*((302,) if answer == "redirect" else (503,) * 9), location="http://127.0.0.1:1/c4n4ry") as there:
        host = "127.0.0.1:1" if answer == "nobody" else there.url.split("/")[2]
        world.env["HOOK"] = f"http://c4n4ry:c4n4ry@{host}/c4n4ry?c4n4ry=c4n4ry"
        world.write("reconciler.yaml", with_hooks("{urlEnv: HOOK}"))
        world.batch("clicks")
        world.run("apply", "--yes")
        done = world.run("reconcile", *([verbose] if verbose else []))
    assert done.code == 3
    assert "no notification of retries-exhausted of clicks by the webhook of HOOK: it " in done.err
    assert "c4n4ry" not in done.out + done.err


def test_an_address_with_a_password_is_refused(world: World):
    """Secrets do not belong into the project file, which is in git."""
    world.write("reconciler.yaml", with_hooks('{url: "https://me:pass@example.com/x"}', "{events: [held]}"))
    done = world.run("validate")
    assert done.code == 1
    assert "if it contains a secret, use urlEnv" in done.err
    assert "give either url or urlEnv" in done.err
