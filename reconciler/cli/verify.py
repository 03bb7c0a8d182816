"""`reconciler verify`: checks that the AWS resources in the specs exist and fit the requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.exit_codes import ACTION_REQUIRED, DONE
from reconciler.cli.options import format_option, ledger_options, selection_options, takes_options
from reconciler.cli.output import annotate, out, out_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.app.options import CommandOptions
    from reconciler.app.verify import Verified

MARKS = {"ok": "[OK]", "warning": "[WARN]", "error": "[NG]", "not-asked": "[SKIP]"}


@click.command("verify")
@click.option("--quiet", "-q", is_flag=True, help="Omit successful checks.")
@format_option("json")
@selection_options
@ledger_options
@takes_options
def verify(options: CommandOptions, *, quiet: bool, output_format: str) -> int:
    """Check with read-only calls to AWS that the resources in the specs of a target exist and fit: applications,
    queues, job definitions, roles and their trust, files and log locations in S3, log groups, vCPUs and quotas.

    Resources that could not be checked, for example because a permission is missing, are shown as [SKIP].

    \b
    Examples:
      reconciler verify -t prod
      reconciler verify -t prod --only orders-daily --quiet

    Exit code 3 if something is missing or does not fit.
    """
    from reconciler.app.session import opened
    from reconciler.app.verify import verify

    with opened(options) as session:
        verified = verify(session)
    annotate([each.location for each in verified if each.problem is not None], options)
    if output_format == "json":
        out_json({"findings": [_json(each) for each in verified], "ok": not any(each.is_error for each in verified)})
    else:
        out("\n".join(_lines(verified, quiet=quiet)))
    return ACTION_REQUIRED if any(each.is_error for each in verified) else DONE


def _lines(verified: Sequence[Verified], *, quiet: bool) -> Iterator[str]:
    """Yields one line for each result, and a line with the number of results of each kind. Equal results share a
    line."""
    from collections import Counter

    from reconciler.render.text import sentence

    seen = set()
    for each in verified:
        answer, text = str(each.verdict.answer), each.verdict.message
        at = "" if answer == "ok" else f"{each.location.path}:{each.location.line}:{each.location.col}: "
        line = f"{MARKS[answer]:7}{sentence(f'{at}{text}')}"
        if line not in seen and not (quiet and answer == "ok"):
            yield line
        seen.add(line)
    counts = Counter(str(each.verdict.answer) for each in verified)
    names = {"ok": "OK", "warning": "to review", "error": "missing or unsuitable", "not-asked": "not checked"}
    yield ", ".join(f"{counts[answer]} {name}" for answer, name in names.items()) + "."


def _json(each: Verified) -> dict[str, Any]:
    return {
        "answer": str(each.verdict.answer),
        "name": each.verdict.name,
        "field": ".".join(map(str, each.verdict.loc)),
        "path": each.location.path,
        "line": each.location.line,
        "col": each.location.col,
        "message": each.verdict.message,
    }
