"""A spec document: the envelope around a request, with Kubernetes' field names."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, field_validator

from reconciler.model.base import JSON, Strict, Unquoted, hinted
from reconciler.model.schedules import check_schedule, check_time_zone

API_VERSION = "reconciler/v1"
NAME_PATTERN = hinted(
    r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$",
    "a name is 1 to 63 lower-case letters, digits and '-', with a letter or digit at both ends",
)
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
"""A name of a project, target or spec: Kubernetes' DNS label, so that it fits tags, file names and tokens."""

DAY_SECONDS = 86_400
CENTURY_SECONDS = 36_525 * DAY_SECONDS
"""The longest duration. Times must stay within the calendar if it is added to them or subtracted from them."""
LARGEST_REVISION = 2**53
MOST_RETRIES = 1_000_000
"""The largest values that an event of the ledger may have (`reconciler.core.event_fields`)."""
STREAMING_DEFAULTS = {"concurrencyPolicy": "Replace", "restartPolicy": "Always"}


RELATIVE = (
    r"(?i)now|(?:.* )?(?:today|tomorrow|yesterday)(?: .*)?|(?:in|next|last|this) .+"
    r"|.+ (?:ago|from now)|[+-]?\d+ ?[a-z]+"
)
TIME_FORMS = 'write a date (the start of the day in UTC) such as "2026-12-01", or a time such as "2026-12-01T00:00:00Z"'


def _moment(value: str) -> str:
    """Checks an ISO 8601 time with a zone and keeps its text. A date becomes midnight in UTC.

    Raises `ValueError` for anything else, even ``tomorrow``, because a spec must mean the same on every day.
    """
    if re.fullmatch(RELATIVE, value.strip()):
        raise ValueError(f"{value!r} depends on when the file is read; {TIME_FORMS}")
    written = f"{value}T00:00:00Z" if re.fullmatch(r"\d{4}-\d\d-\d\d", value) else value
    try:
        moment = datetime.fromisoformat(written)
        moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):  # `OverflowError` is raised at both ends of the calendar
        raise ValueError(f"{value!r} is not an ISO 8601 time; {TIME_FORMS}") from None
    if moment.tzinfo is None:
        raise ValueError(f'{value!r} has no time zone: add Z for UTC, such as "2026-12-01T00:00:00Z"')
    return written


def _unique(values: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the values. Raises `ValueError` for a duplicate."""
    seen = set[str]()
    for value in values:
        if value in seen:
            raise ValueError(f"duplicate {value!r}")
        seen.add(value)
    return values


def _quoted_date(value: object) -> object:
    """Returns the text of an unquoted date or time, which YAML does not read as a string."""
    return value.source if isinstance(value, Unquoted) and re.match(r"\d{4}-\d\d-\d\d", value.source) else value


class Suspension(Strict):
    """A suspension: why submissions and cancellations are stopped, who stopped them, and until when."""

    reason: str | None = Field(None, min_length=1, description="The reason; plans and status show it.")
    owner: str | None = Field(None, min_length=1, description="The person or team to contact.")
    until: Annotated[str, BeforeValidator(_quoted_date), AfterValidator(_moment)] | None = Field(
        None,
        description='When it should end: a date, which starts in UTC, or a time with a zone, such as "2026-12-01" and '
        '"2026-12-01T00:00:00Z". After that it is overdue: still nothing is submitted, and commands exit 3.',
    )


def _suspend_form(value: Any) -> str:  # noqa: ANN401 - whatever the file holds there
    return "mapping" if isinstance(value, (dict, Suspension)) else "boolean"


Suspended = Annotated[
    Annotated[bool, Tag("boolean")] | Annotated[Suspension, Tag("mapping")], Discriminator(_suspend_form)
]


def suspension(given: bool | Suspension) -> Suspension | None:
    """Returns the suspension that a `suspend:` field declares, or `None` if it is false."""
    return Suspension() if given is True else given or None


class Dependency(Strict):
    """Another spec of the project whose run must end before this one is submitted."""

    name: Name = Field(description="The other spec's metadata.name.")
    condition: Literal["Succeeded", "Completed"] = Field(
        "Succeeded", description="Succeeded: its current run succeeded. Completed: its current run ended, in any state."
    )


class Policy(Strict):
    """How and when a spec runs: everything in `spec:` except the request. Only `revision` is part of the digest."""

    revision: int = Field(1, ge=0, le=LARGEST_REVISION, description="A new number runs the same request again.")
    targets: Annotated[tuple[Name, ...], Field(strict=False, min_length=1), AfterValidator(_unique)] | None = Field(
        None, description="The targets it runs in; absent: every target of the project."
    )
    suspend: Suspended = Field(
        False, description="true, or reason, owner and until: nothing is submitted or cancelled for this spec."
    )
    schedule: Annotated[str, AfterValidator(check_schedule)] | None = Field(
        None, description="Five-field cron. Without it a spec is a one-off: one run for each generation."
    )
    timeZone: Annotated[str, AfterValidator(check_time_zone)] = Field(
        "UTC", description="IANA name of the zone that the schedule is in."
    )
    startingDeadlineSeconds: int | None = Field(
        None,
        ge=0,
        le=CENTURY_SECONDS,
        description="A slot later than this is recorded as missed and never run. Absent: no deadline.",
    )
    catchup: bool = Field(
        False, description="false: only the newest due slot runs, others are missed; true: all of them, oldest first."
    )
    concurrencyPolicy: Literal["Allow", "Forbid", "Replace"] = Field(
        "Forbid", description="What to do while an earlier run is live. Default of streaming jobs: Replace."
    )
    dependsOn: Annotated[tuple[Dependency, ...], Field(strict=False)] = Field(
        (), description="Other specs of this project whose runs must end first."
    )
    backoffLimit: int = Field(0, ge=0, le=MOST_RETRIES, description="The number of extra attempts after a failed run.")
    backoffSeconds: int = Field(
        60,
        ge=0,
        le=DAY_SECONDS,
        description="Wait before the first extra attempt; doubles each time, at most one hour.",
    )
    pendingTimeoutSeconds: int | None = Field(
        None,
        ge=1,
        le=CENTURY_SECONDS,
        description="A run that has not started by then is cancelled and counts as failed. Absent: no limit.",
    )
    shutdownGracePeriodSeconds: int | None = Field(
        None,
        ge=0,
        le=1800,
        description="The time that a cancelled EMR Serverless run has for its cleanup: 0, or 15 to 1800. "
        "Absent: AWS's default.",
    )
    restartPolicy: Literal["OnFailure", "Always"] = Field(
        "OnFailure", description="Always: restart after any end. Default of streaming jobs: Always."
    )
    deletionPolicy: Literal["Orphan", "Cancel"] = Field(
        "Orphan", description="What happens to the live run when this spec is removed from git."
    )

    @field_validator("shutdownGracePeriodSeconds")
    @classmethod
    def _grace(cls, seconds: int | None) -> int | None:
        # https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/job-cancellation-grace-period.html
        if seconds is not None and 0 < seconds < 15:
            raise ValueError(f"AWS allows 0 or 15 to 1800 seconds, got {seconds}")
        return seconds

    @property
    def given(self) -> frozenset[str]:
        """The fields that the file sets."""
        return frozenset(self.model_fields_set)

    def effective(self, *, streaming: bool) -> "Policy":
        """Returns the policy with the defaults of its kind of job. `given` is unchanged.

        Unless the file sets otherwise, a streaming job is replaced when it changes and restarted after it ends for any
        reason.
        """
        if type(self) is Policy and not streaming:
            return self
        if self.model_fields_set <= {"request"} and not streaming:
            return PLAIN_POLICY
        values = {name: getattr(self, name) for name in Policy.model_fields}
        if streaming:
            values |= {name: value for name, value in STREAMING_DEFAULTS.items() if name not in self.model_fields_set}
        return Policy.model_construct(_fields_set=set(self.model_fields_set & Policy.model_fields.keys()), **values)


PLAIN_POLICY = Policy.model_construct()
"""The policy of most specs, which set none of its fields."""


class Metadata(Strict):
    """The spec's name and labels. A change of labels never causes a run; a spec with a new name is another spec."""

    name: Name = Field(description="Unique in the project. With a new name and no renamedFrom, it is another spec.")
    renamedFrom: Name | None = Field(
        None, description="The former name: this spec takes over its runs and its schedule, and nothing runs."
    )
    labels: dict[str, str] = Field({}, description="For selection (-l team=growth) and display.")
    annotations: dict[str, str] = Field({}, description="For people and other tools; the reconciler never reads them.")


class Spec(Policy):
    """The `spec:` of a document: the policy, and the request."""

    request: JSON = Field(
        description="The AWS API call: StartJobRun for EmrServerlessJobRun, SubmitJob for BatchJob, field for field."
    )


class SpecDocument(Strict):
    """One desired job."""

    apiVersion: Literal["reconciler/v1"] = Field(description="The format of this document.")
    kind: str = Field(description="EmrServerlessJobRun or BatchJob.")
    metadata: Metadata = Field(description="Its name and labels.")
    spec: Spec = Field(description="What runs, and when.")

    def policy(self) -> Policy:
        """Returns everything of `spec:` except the request, without the defaults of streaming jobs."""
        return self.spec.effective(streaming=False)
