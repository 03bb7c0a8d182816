"""`reconciler ledger init`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.options import chosen, ledger_options
from reconciler.cli.terminal import echo_error, out

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.app.session import Session
    from reconciler.core.findings import Finding
    from reconciler.ledger.open import Policy

MARKS = {"OK": "OK", "WARN": "ADVICE", "FAIL": "NG"}
"""How a severity is printed."""

HELP = """Make the store of a target's ledger ready, and say what to turn on.

\b
dynamodb://TABLE       makes the table, or looks at the one that is there
s3://BUCKET/PREFIX     looks at the bucket: conditional writes, versioning, lifecycle rules
sqlite:///PATH         needs nothing: the file begins with the first write

It prints the policies to add. Nothing that is there is changed, and it may be run again at any time.

\b
Example:
  reconciler ledger init -t prod

Exit code 1 when something would harm a ledger there.
"""


@click.command("init", help=HELP)
@ledger_options
@click.pass_context
def command(context: click.Context, /, **shared: Any) -> int:  # noqa: ANN401 - click's own values
    """Prints what is found, as it is found."""
    from reconciler.app.session import opened
    from reconciler.core.findings import Severity
    from reconciler.ledger.open import Policy

    wrong, policies = 0, []
    with opened(chosen(context, shared)) as session:
        place = session.place
        out(f"Ledger {session.ledger.address} of project {place.project}, target {place.target}")
        out(f"(account {place.account}, region {place.region})\n")
        for found in _found(session):
            if isinstance(found, Policy):
                policies.append(found)
            else:
                wrong += found.severity is Severity.FAIL
                out(f"{f'[{MARKS[found.severity]}]':9}{found.message}.")
    for policy in policies:
        out(f"\n{policy.title}\n\n{policy.text}")
    if wrong:
        echo_error(f"Error: the ledger {session.ledger.address} is not safe there: see what is marked [NG].")
    return 1 if wrong else 0


def _found(session: Session) -> Iterator[Finding | Policy]:
    """What the store finds, after the account has been checked where something may be made in it."""
    from reconciler.ledger.open import prepare

    if not session.ledger.address.startswith("sqlite:"):
        session.aws.check()
    return prepare(session.ledger.address, session.root, session.place)
