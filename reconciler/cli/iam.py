"""`reconciler iam`: policies for the roles that plan, apply and operate."""

import re

import click

from reconciler.app.options import CommandOptions
from reconciler.cli.exit_codes import DONE
from reconciler.cli.options import place_options, takes_options
from reconciler.cli.output import echo_error, out_json

LONGEST_POLICY = 6144
"""IAM's quota for the number of characters in a managed policy, without white space."""


@click.command("iam")
@click.option("--role", type=click.Choice(["plan", "apply", "operate"]), help="Only this role.  [default: all of them]")
@click.option(
    "--repository",
    metavar="OWNER/NAME",
    help="The repository on GitHub.  [default: GITHUB_REPOSITORY, else git's origin]",
)
@place_options
@takes_options
def iam(options: CommandOptions, *, role: str | None, repository: str | None) -> int:
    """Print least-privilege IAM policies for a target as JSON, and trust policies for GitHub's OIDC provider.

    \b
    plan      reads: for pull requests, and for `verify`
    apply     also starts and stops runs, and writes the ledger: for merges and scheduled passes
    operate   stops runs and writes the ledger: for manual decisions, `import` and `fsck --adopt`

    The policies name the resources in the specs, so print them again when a spec uses a new one. The roles that Batch
    jobs run with are in their job definitions and need no permission here.

    \b
    Examples:
      reconciler iam --role plan -t prod
      reconciler iam -t prod --repository acme/jobs > iam.json
    """
    import json

    from reconciler.app.iam import ANY_REPOSITORY, policies, repository_of
    from reconciler.app.session import choose_target
    from reconciler.model.resources_and_permissions import Role

    if repository is not None and not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise click.UsageError("--repository must be OWNER/NAME, such as acme/jobs")
    chosen = choose_target(options)
    name = repository or repository_of(chosen)
    if name is None:
        name = ANY_REPOSITORY
        echo_error(f"Warning: git has no origin on GitHub: the trust policies name {name}. Use --repository OWNER/NAME")
    made = policies(chosen, list(Role) if role is None else [Role(role)], name)
    for each, documents in made.items():
        length = len(json.dumps(documents["policy"], separators=(",", ":")))
        if length > LONGEST_POLICY:
            echo_error(
                f"Warning: the policy of {each} has {length} characters, and IAM allows {LONGEST_POLICY}: split it"
            )
    out_json(made if role is None else made[role])
    return DONE
