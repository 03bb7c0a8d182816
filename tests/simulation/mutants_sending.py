"""Defines mutants of R1 to R3, the rules about sending and about the evidence in replies."""

from __future__ import annotations

from tests.simulation.mutant import FOLD, OUTCOME, PROTOCOL, mutant, text

ALWAYS_SENT = "    if self.sent:\n"
NEVER_SENT = "    if False:\n"
CHECK = "self.clock.now() > self.deadline.wall or self.clock.boot() > self.deadline.boot"
TRANSMIT = "    outcome = _outcome((yield Transmit(event.kind, event.request, deadline)))\n"
DEADLINE = "    deadline = Instant(reading.wall + task.claim_seconds, reading.boot + task.claim_seconds)\n"

INTENT = (
    mutant(
        "intent-after-call",
        "R1",
        "calls AWS first and writes the intent afterwards",
        text(
            f"{PROTOCOL}:_send", (TRANSMIT, ""), ("    try:\n        appended", TRANSMIT + "    try:\n        appended")
        ),
    ),
    mutant(
        "no-intent-no-matter",
        "R1",
        "calls AWS although the intent could not be written",
        text(
            f"{PROTOCOL}:_send",
            (
                'return _Sent(ActionResult(ActionOutcome.UNSENT, error=f"nothing was sent: {error}"))',
                "appended = None",
            ),
        ),
    ),
    mutant(
        "moved-no-matter",
        "R1",
        "calls AWS although another process owns the submission",
        text(f"{PROTOCOL}:_send", ("return _Sent(moved(appended))", "pass")),
    ),
    mutant(
        "deadline-from-after-the-append",
        "R1",
        "counts the deadline from when the intent was confirmed",
        text(
            f"{PROTOCOL}:_send",
            (TRANSMIT, "    reading = yield from read_clock()\n" + DEADLINE + TRANSMIT),
        ),
    ),
    mutant(
        "intent-of-what-moved",
        "R1",
        "does not check whether a first intent is still valid",
        text(
            f"{PROTOCOL}:_may_intend",
            ("if submission is not None or (record.head != action.ledger_head and not action.beside):", "if False:"),
            ("if _blocked(action, record):", "if False:"),
            (
                "return what_moved(action, recorded) if any(s.key == action.key for s in record.submissions) else None",
                "return None",
            ),
        ),
    ),
    mutant(
        "further-send-unasked",
        "R1",
        "does not check whether a further send is still valid",
        text(
            f"{PROTOCOL}:_may_intend",
            ("return None if again and newest else what_moved(action, recorded)", "return None"),
        ),
    ),
)

TRANSMISSIONS = (
    mutant("no-deadline", "R2", "never checks the deadline", text(f"{OUTCOME}:Transmission.pass_on", (CHECK, "False"))),
    mutant(
        "deadline-before-signing",
        "R2",
        "checks the deadline before the request is signed",
        text(f"{OUTCOME}:guard", ('"before-send"', '"before-call"')),
    ),
    mutant(
        "boot-clock-only",
        "R2",
        "checks the deadline by the boot-time clock alone, which may stop while a machine sleeps",
        text(f"{OUTCOME}:Transmission.pass_on", (CHECK, "self.clock.boot() > self.deadline.boot")),
        aim="connecting",
        freezing=True,
    ),
    mutant(
        "sdk-retries",
        "R2",
        "lets the SDK transmit again",
        text(f"{OUTCOME}:Transmission.pass_on", (ALWAYS_SENT, NEVER_SENT)),
        text("aws.clients:Aws.submitter", ('"total_max_attempts": 1', '"total_max_attempts": 3')),
    ),
)

AMBIGUOUS_5XX = 'return Ambiguous(code, clean(f"HTTP {status}: {message}"), conflict=status == CONFLICT)'

OUTCOMES = (
    mutant(
        "unclear-is-rejected",
        "R3",
        "treats an unclear answer as a rejection",
        text(f"{OUTCOME}:classify", ("return Ambiguous(code, message)", "return Declined(code, message)")),
    ),
    mutant(
        "timeout-is-unsent",
        "R3",
        "treats a missing reply as a request that was never sent",
        text(f"{OUTCOME}:classify", ("return Ambiguous(code, message)", "return NotSent(code, message)")),
    ),
    mutant(
        "5xx-is-refused",
        "R3",
        "sends again after a 5xx",
        text(f"{OUTCOME}:_refusal", (AMBIGUOUS_5XX, "return Refused(code, message)")),
    ),
    mutant(
        "5xx-is-unsent",
        "R3",
        "treats a 5xx as a request that was never sent",
        text(f"{OUTCOME}:_refusal", (AMBIGUOUS_5XX, "return NotSent(code, message)")),
    ),
    mutant(
        "empty-200-is-accepted",
        "R3",
        "treats a 200 without a run id as a run",
        text(
            f"{OUTCOME}:accepted",
            (
                'return Ambiguous("UnexpectedReply", f"the reply reports success without {reply_fields.run_id}")',
                'return Accepted("")',
            ),
        ),
    ),
    mutant(
        "empty-200-is-unsent",
        "R3",
        "treats a 200 without a run id as a request that was never sent",
        text(
            f"{OUTCOME}:accepted",
            (
                'return Ambiguous("UnexpectedReply", f"the reply reports success without {reply_fields.run_id}")',
                'return NotSent("UnexpectedReply", "no id")',
            ),
        ),
    ),
    mutant(
        "proxy-is-aws",
        "R3",
        "treats a 4xx from a proxy as an answer from AWS",
        text(
            f"{OUTCOME}:_refusal",
            (
                'return Ambiguous(code, f"HTTP {status} without a request id: not a reply from AWS itself")',
                "return Declined(code, message)",
            ),
        ),
    ),
    mutant(
        "refusal-closes-earlier-sends",
        "R3",
        "treats a refusal of one send as a refusal of earlier, unresolved sends",
        text(f"{FOLD}:_fail", (" and all(send.outcome is not None for send in submission.sends)", "")),
    ),
    mutant(
        "late-refusal-undoes-a-run",
        "R3",
        "lets a refusal that is recorded late undo a recorded run",
        text(f"{FOLD}:_fail", ("submission.phase is Phase.INTENDED and ", "")),
    ),
)
