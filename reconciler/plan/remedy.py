"""The commands by which a person decides, ready to be pasted into a shell."""

from __future__ import annotations

from shlex import join

RUN_ID = "RUN_ID"
"""What stands for a run that the person is to find."""


def adopt(name: str, run_id: str, target: str) -> str:
    """Says which run it is: `run_id`, or `RUN_ID` where only a person can find it."""
    return join(["reconciler", "adopt", name, run_id, "-t", target, "--reason", "..."])


def resolve(name: str, decision: str, target: str, *, token: str | None = None, force: bool = False) -> str:
    """Decides an unresolved submission: ``submit`` or ``abandon``. `token` where the spec has several."""
    which = ["--token", token] if token is not None else []
    early = ["--force"] if force else []
    return join(["reconciler", "resolve", name, f"--{decision}", *which, *early, "-t", target, "--reason", "..."])
