"""Bringing a checkout up to date before a pass: fetch and fast-forward, never merge."""

from __future__ import annotations

from pathlib import Path

from reconciler.errors import ReconcilerError
from reconciler.specs.checkout import run_git

TIMEOUT_SECONDS = 120


def pull(root: Path) -> str:
    """Fetches the upstream branch of the checkout in `root`, fast-forwards to it, and returns the commit it is at.

    Raises `ReconcilerError` where there is no upstream, the remote does not answer, or the checkout has moved apart
    from it: what is checked out stays as it was.
    """
    upstream = _said(root, "rev-parse", "--abbrev-ref", "--symbolic-full-name", "@{upstream}")
    _said(root, "fetch", "--quiet", "--", upstream.partition("/")[0])
    _said(root, "merge", "--quiet", "--ff-only", "@{upstream}")
    return _said(root, "rev-parse", "--verify", "HEAD^{commit}")


def _said(root: Path, *arguments: str) -> str:
    """What git answers. Raises `ReconcilerError` with its words where it refuses."""
    try:
        done = run_git(root, *arguments, timeout=TIMEOUT_SECONDS)
    except FileNotFoundError:
        raise ReconcilerError("--git-pull needs git, and there is no git program") from None
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise ReconcilerError(f"git {arguments[0]} in {root}: {said}")
    return done.stdout.strip()
