"""Defines mutants of R7 to R11, the rules about recording, clocks, signals and changes of a spec."""

from __future__ import annotations

from tests.simulation.desired import BATCH
from tests.simulation.mutant import DECIDE, DECIDED, LOG, PROTOCOL, UNRESOLVED, mutant, text

ENDS = (
    mutant(
        "failed-runs-again",
        "R7",
        "runs a spec again after its run failed",
        text(
            "core.state:SpecRecord.baseline",
            ("if s.accepted or s.unresolved", 'if (s.accepted and s.run_state != "failed") or s.unresolved'),
        ),
    ),
    mutant(
        "finished-runs-again",
        "R7",
        "runs a spec again after its run ended",
        text("core.state:SpecRecord.baseline", ("if s.accepted or s.unresolved", "if s.live or s.unresolved")),
    ),
    mutant(
        "cancel-before-it-is-written",
        "R7",
        "cancels first and records the cancellation afterwards",
        text(
            f"{DECIDED}:cancel",
            ("    failure = yield Cancel(action.kind, token, run_id, reason)\n", ""),
            ("    try:\n", "    failure = yield Cancel(action.kind, token, run_id, reason)\n    try:\n"),
        ),
    ),
)

WAITING = {"pending_seconds": 600, "read_faults": 0.2, "fates": ("accepted", "reply lost"), "wrong": 0.0}
QUEUED = {**WAITING, "queue_seconds": 900.0}
"""Faults in which runs start late or never, with and without a time limit of the queue."""

NOT_STARTED = "core.cancels:cancel_not_started"

STARTS = (
    mutant(
        "given-up-too-early",
        "R7",
        "cancels runs that wait for half of their pendingTimeoutSeconds",
        text(NOT_STARTED, ("limit = timedelta(seconds=seconds)", "limit = timedelta(seconds=seconds / 2)")),
        **WAITING,
    ),
    mutant(
        "waits-for-ever",
        "R7",
        "never cancels a run that does not start",
        text(
            NOT_STARTED, ("seconds = spec.policy.pendingTimeoutSeconds if spec is not None else None", "seconds = None")
        ),
        **WAITING,
    ),
    mutant(
        "unread-has-not-started",
        "R7",
        "cancels runs that had not started when their state was last read",
        text(NOT_STARTED, (" and run.token not in recorded.observe_errors", "")),
        **{**WAITING, "freeze": 0.0, "aim": None, "read_faults": 0.5},
    ),
    mutant(
        "not-started-is-no-failure",
        "R7",
        "does not attempt a run again that did not start in time",
        text("core.submission:Submission.failed", ("return late or (", "return (")),
        **WAITING,
    ),
    mutant(
        "queue-is-a-person",
        "R7",
        "treats a run that the time limit of its queue ended as cancelled by a person",
        text("aws.batch_runs:stopped_by_queue", ("return stopped and ", "return False and ")),
        **{**QUEUED, "kind": BATCH, "pending_seconds": 7200},
    ),
)

WRITES = (
    mutant(
        "lost-reply-is-won",
        "R8",
        "treats a write with a lost reply as done",
        text("ledger.append:append_with_retries", ("unclear = error\n", "return raw\n")),
    ),
    mutant(
        "nonce-no-matter",
        "R8",
        "treats any batch at the position as its own",
        text(f"{LOG}:Log._won", ("held != raw", "False")),
    ),
    mutant(
        "lost-reply-is-lost",
        "R8",
        "treats a write with a lost reply as not done, and writes the same batch at the next position",
        text(
            f"{LOG}:Log._put",
            (
                "if self._won(position, batch):",
                "try:\n            won = self._won(position, batch)\n        except LedgerError:\n"
                "            self._follow()\n            return self._append(events, lambda _: None)\n"
                "        if won:",
            ),
        ),
        text("ledger.append:append_with_retries", ("unclear = error\n", "raise\n")),
    ),
    mutant(
        "validity-asked-once",
        "R8",
        "does not check again whether an event is valid after others have written",
        text(
            f"{LOG}:Log._put",
            ("why = valid(self._recorded) or", "why = (None if asked else valid(self._recorded)) or"),
            ("while True:\n", "asked = False\n    while True:\n"),
            (
                "return position\n        self._follow()\n",
                "return position\n        self._follow()\n        asked = True\n",
            ),
        ),
    ),
)

CLOCKS = (
    mutant(
        "clocks-no-matter",
        "R9",
        "acts with a clock that is off by hours",
        text("core.safety_checks:check_clock", ("abs(ahead) > CLOCK_ERROR_SECONDS", "False")),
    ),
)

STOPPING = (
    mutant(
        "sends-after-a-signal",
        "R10",
        "sends after a stop signal",
        text("apply.interpreter:_transmit", ("if world.stop.is_set():", "if False:")),
    ),
)

TAKEN_BACK = {
    "kind": BATCH, "on_unknown": "Resubmit", "fates": ("request lost", "reply lost"), "lag": 300.0,
    "aim": "append superseded", "freezing": True, "crash": 0.0, "freeze": 0.0, "ledger_faults": 0.0,
}  # fmt: skip
"""Faults in which no request gets a reply, and a process that is about to give up a submission is frozen."""

CHANGES = (
    mutant(
        "edited-no-matter",
        "R11",
        "sends again although the spec has other content now",
        text(f"{UNRESOLVED}:_same", ("return spec.digest == submission.digest", "return True")),
    ),
    mutant(
        "suspended-no-matter",
        "R11",
        "sends again although the spec is suspended",
        text(f"{UNRESOLVED}:_asks", (" and desired.suspension_of(spec) is None", "")),
    ),
    mutant(
        "bytes-rendered-anew",
        "R11",
        "sends the spec's current bytes instead of those of the first intent",
        text("apply.intents:_content_to_send", ("if action.send == 1:", "if True:")),
    ),
    mutant(
        "resend-with-another-token",
        "R11",
        "gives a further send its own token",
        text(
            f"{UNRESOLVED}:_again",
            ("return replace(again, ", 'return replace(again, client_token=submission.token[:-1] + "x", '),
        ),
        text("apply.intents:_content_to_send", ("if action.send == 1:", "if True:")),
        text(
            f"{PROTOCOL}:_may_intend",
            ("return None if again and newest else what_moved(action, recorded)", "return None"),
        ),
        text("ledger.log:intended_before", ("submission.key == event.key and", "False and")),
    ),
    mutant(
        "new-generation-meanwhile",
        "R11",
        "submits new content while the old submission is unresolved",
        text(f"{DECIDE}:_decide", ("if not any(_blocks(action) for action in unresolved):", "if True:")),
        text("core.state:SpecRecord.baseline", ("s.accepted or s.unresolved", "s.accepted")),
        text(f"{PROTOCOL}:_blocked", ("return bool(record.unresolved)", "return False")),
    ),
    mutant(
        "superseded-at-once",
        "R11",
        "does not wait for settling before it gives up a submission that the spec no longer requires",
        text(
            f"{UNRESOLVED}:decide_unresolved",
            (
                "if not proven_absent(submission, desired.settle_seconds):",
                "asked = spec is not None and _asks(spec, submission, desired)\n"
                "    if asked and not proven_absent(submission, desired.settle_seconds):",
            ),
        ),
        text(f"{DECIDED}:supersede", ("return None if proven else what_moved(action, recorded)", "return None")),
    ),
    mutant(
        "superseded-unproven-by-now",
        "R11",
        "gives up a submission although another process has sent it again in the meantime",
        text(f"{DECIDED}:supersede", ("return None if proven else what_moved(action, recorded)", "return None")),
        **TAKEN_BACK,
    ),
)
