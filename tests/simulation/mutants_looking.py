"""Defines mutants of R4 to R6, the rules about lookups and the proof of absence."""

from __future__ import annotations

from datetime import timedelta

from tests.simulation.mutant import PROTOCOL, SUBMISSION, UNRESOLVED, mutant, text
from tests.simulation.patches import Value

DAY = timedelta(hours=24)

LOOKS = (
    mutant(
        "listing-error-is-absence",
        "R4",
        "treats a failed listing as an empty one",
        text(
            "aws.batch:Batch._tagged",
            ("{want.token: str(error) for want in wanted}", "{want.token: () for want in wanted}"),
        ),
        text(
            "aws.emr_serverless:EmrServerless.find",
            ("{want.token: str(error) for want in window.wanted}", "{want.token: () for want in window.wanted}"),
        ),
    ),
    mutant(
        "unread-tags-are-absence",
        "R4",
        "ignores listed jobs whose tags could not be read",
        text(
            "aws.batch:Batch._tags",
            ("if job_id not in jobs:\n", "if job_id not in jobs:\n                continue\n"),
        ),
    ),
    mutant(
        "first-page-only",
        "R4",
        "reads one page of a listing",
        text("aws.adapter:pages", ('if not answer.get("nextToken"):', "if True:")),
    ),
    mutant(
        "name-is-enough",
        "R4",
        "adopts a run by its name, whatever its tag",
        text(
            "aws.batch:Batch._tagged",
            (
                "answers(wanted, self._tags(list(listed())))",
                "{want.token: list(self._tags(list(listed()))) for want in wanted}",
            ),
        ),
    ),
    mutant(
        "first-of-two",
        "R4",
        "adopts the first of two runs that have the tag",
        text(f"{UNRESOLVED}:decide_unresolved", ("submission.phase is Phase.CONFLICTED or len(runs) > 1", "False")),
        text(f"{PROTOCOL}:_find_out", ("len(runs) == 1", "len(runs) > 0")),
    ),
)

SETTLES = "return parse_time(self.newest_send.at) + timedelta(seconds=settle_seconds)"

BLIND = {"fates": ("reply lost",), "on_unknown": "Resubmit", "glitch": 0.5, "clocks": 1.0, "lag": 0.0}
"""Faults in which every reply is lost, and listings are empty for some time."""

ABSENCE = (
    mutant(
        "no-settling",
        "R5",
        "does not wait for settling",
        text(f"{SUBMISSION}:Submission.settles_at", (SETTLES, "return parse_time(self.newest_send.at)")),
    ),
    mutant(
        "settling-without-lag",
        "R5",
        "omits the listing lag and the margin from the settling time",
        text(f"{SUBMISSION}:Submission.settles_at", ("seconds=settle_seconds", "seconds=settle_seconds - 300 - 210")),
    ),
    mutant(
        "settling-from-the-first-send",
        "R5",
        "counts settling from the first send, not the newest",
        text(f"{SUBMISSION}:Submission.settles_at", ("self.newest_send.at", "self.first_intent_at")),
    ),
    mutant(
        "one-look",
        "R5",
        "accepts one empty lookup as proof",
        text(
            f"{UNRESOLVED}:proven_absent",
            ("len(looks) > 1 and looks[-1] - looks[0] >= _apart(settle_seconds)", "len(looks) > 0"),
        ),
    ),
    mutant(
        "looks-together",
        "R5",
        "accepts two lookups at the same moment as proof",
        text(f"{UNRESOLVED}:_apart", ("seconds=settle_seconds / LOOKS_APART", "seconds=0")),
        **BLIND,
    ),
    mutant(
        "early-looks-count",
        "R5",
        "counts lookups from before settling",
        text(f"{UNRESOLVED}:proving_looks", ("moment >= settled and ", "")),
        text(
            f"{UNRESOLVED}:_counts", ("settled = looked_at >= submission.settles_at(settle_seconds) and ", "settled = ")
        ),
    ),
    mutant(
        "no-24-hours",
        "R5",
        "assumes that AWS remembers runs forever",
        Value(f"{UNRESOLVED}:MEMORY", DAY, timedelta(days=10_000)),
    ),
    mutant(
        "hold-is-resubmit",
        "R5",
        "sends again although onUnknown is Hold",
        text(f"{UNRESOLVED}:_absent", ('desired.on_unknown == "Hold"', "False")),
    ),
    mutant(
        "hold-nothing-resolves",
        "R5",
        "puts every unknown submission on hold forever",
        text(f"{UNRESOLVED}:_absent", ('desired.on_unknown == "Hold"', "True")),
    ),
)

REPEATS = (
    mutant(
        "repeats-for-an-hour",
        "R6",
        "repeats the same token long after the first minute",
        Value(f"{UNRESOLVED}:REPEAT_SECONDS", 60.0, 3600.0),
    ),
    mutant(
        "batch-repeats",
        "R6",
        "repeats a request although the service takes no token",
        text(f"{UNRESOLVED}:_may_repeat", ("kind_named(submission.kind).token_field is not None", "True")),
        text("apply.intents:submit_task", ("idempotent=kind.token_field is not None", "idempotent=True")),
    ),
    mutant(
        "repeat-counts-as-proven",
        "R6",
        "treats a repeated send as proof that earlier sends did not arrive",
        text(f"{PROTOCOL}:_send", ("proven = number > 1 and not repeats", "proven = number > 1")),
    ),
)
