"""`iam`: least-privilege policies for the roles that plan, apply and operate, from the specs of a target and its
ledger, and their trust policies for GitHub's OIDC provider."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from reconciler.ledger.prepare import access
from reconciler.model.arns import Arns
from reconciler.model.base import JSON
from reconciler.model.kind import MODULES
from reconciler.model.resources_and_permissions import Grant, Role, needs_of, shared_grants
from reconciler.model.template import mapped
from reconciler.specs.git import remote
from reconciler.specs.project import load_target

if TYPE_CHECKING:
    from reconciler.app.session import ChosenTarget

PROVIDER = "token.actions.githubusercontent.com"
ANY_REPOSITORY = "OWNER/REPOSITORY"
ENVIRONMENTS = {Role.APPLY: ("{target}", "{target}-approval"), Role.OPERATE: ("{target}",)}
"""The GitHub environments in which the workflows in docs/github use each role."""

MERGE_QUEUE = "ref:refs/heads/gh-readonly-queue/*"
_SLOT = re.compile(r"\$\{run\.slot[^}]*\}")
_GITHUB = re.compile(r"(?:https?://(?:[^@/]+@)?|git@|ssh://git@)github\.com[:/](?P<name>[\w.-]+/[\w.-]+?)(?:\.git)?/?")


def policies(chosen: ChosenTarget, roles: Iterable[Role], repository: str) -> dict[str, JSON]:
    """Returns the policy and the trust policy of each role. Raises `SpecErrors`, and `LedgerError` for an invalid
    address."""
    place, target = chosen.place, chosen.place.target
    specs = load_target(chosen.project_file, target)
    arns, requests = Arns(place.account, place.region), dict[str, list[JSON]]()
    for spec in specs.values():  # a part that differs between slots may have any value
        request = mapped(spec.request, lambda text: _SLOT.sub("*", text).replace("$${", "${"))
        requests.setdefault(spec.kind, []).append(request)
    grants = list(_grants(requests, arns))
    return {
        str(role): {
            "policy": _policy(
                grants, role, access(chosen.ledger_address, chosen.root, place, writes=role is not Role.PLAN)
            ),
            "trust": _trust(arns, role, target, repository),
        }
        for role in roles
    }


def repository_of(chosen: ChosenTarget) -> str | None:
    """Returns the GitHub repository as ``OWNER/NAME``, from the environment of a workflow or from git's remote."""
    match = _GITHUB.fullmatch(remote(chosen.root) or "")
    return chosen.environ.get("GITHUB_REPOSITORY") or (match["name"] if match is not None else None)


def _grants(requests: Mapping[str, Sequence[JSON]], arns: Arns) -> Iterator[Grant]:
    """Yields the grants for the requests of each kind, and the grants that several kinds need."""
    needs = []
    for kind in MODULES:
        module = needs_of(kind)
        if module is None or kind not in requests:
            continue
        yield from module.grants(requests[kind], arns)
        needs += [need for request in requests[kind] for need in module.needs(request)]
    if needs:
        yield from shared_grants(needs, arns)


def _policy(grants: Iterable[Grant], role: Role, ledger: list[JSON]) -> JSON:
    statements = [_statement(grant) for grant in grants if role in grant.roles]
    return {"Version": "2012-10-17", "Statement": [*statements, *ledger]}


def _statement(grant: Grant) -> JSON:
    condition = {} if grant.condition is None else {"Condition": grant.condition}
    return {
        "Sid": grant.sid,
        "Effect": "Allow",
        "Action": _one_or_all(grant.actions),
        "Resource": _one_or_all(grant.resources),
        **condition,
    }


def _one_or_all(values: Sequence[str]) -> Any:  # noqa: ANN401 - a text or a list of texts
    return values[0] if len(values) == 1 else list(values)


def _trust(arns: Arns, role: Role, target: str, repository: str) -> JSON:
    """Returns the trust policy of a role. The plan role may be assumed for pull requests and in the merge queue. Every
    other role may be assumed only in a GitHub environment, which can require reviewers."""
    subject = f"repo:{repository}:"
    subjects = [f"{subject}environment:{each.format(target=target)}" for each in ENVIRONMENTS.get(role, ())]
    if role is Role.PLAN:
        subjects = [f"{subject}pull_request", f"{subject}{MERGE_QUEUE}"]
    # Only `StringLike` reads the `*` in `MERGE_QUEUE` as a wildcard.
    operator = "StringLike" if role is Role.PLAN else "StringEquals"
    condition: dict[str, dict[str, Any]] = {"StringEquals": {f"{PROVIDER}:aud": "sts.amazonaws.com"}}
    condition.setdefault(operator, {})[f"{PROVIDER}:sub"] = _one_or_all(subjects)
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:{arns.partition}:iam::{arns.account}:oidc-provider/{PROVIDER}"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": condition,
    }
    return {"Version": "2012-10-17", "Statement": [statement]}
