"""The project file: its name, where its specs are, its variables and its targets."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from reconciler.model.base import Strict, source_text
from reconciler.model.kind import Rate
from reconciler.model.spec import Name, Suspended

EMULATOR_ACCOUNT = "000000000000"
EMULATOR_REGION = "us-east-1"
STATE_FOLDER = ".reconciler"
DEFAULT_SPECS = ("**/*.{yaml,yml,json}",)
CLAIM_SECONDS = 30
SAFE_SETTLE_SECONDS = (
    1500  # CLAIM_SECONDS + 15 min signature lifetime + 60 s clock error + 5 min listing lag, with room
)

ACCOUNT_PATTERN = r"^[0-9]{12}$"
REGION_PATTERN = r"^[a-z]{2,4}(-[a-z]+)+-[0-9]+$"
BUCKET_PATTERN = r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
TABLE_PATTERN = r"[A-Za-z0-9_.-]{3,255}"
LEDGER_PATTERN = rf"^(sqlite:///[^?#]+|s3://{BUCKET_PATTERN}(/[^?#]*)?|dynamodb://{TABLE_PATTERN})$"
VARIABLE_PATTERN = r"^[A-Za-z_][A-Za-z0-9_-]*$"


def _text(value: Any) -> Any:  # noqa: ANN401 - whatever the file holds there
    """The text of a scalar as it was written; anything else unchanged, for the field to refuse."""
    text = source_text(value)
    return value if text is None else text


def _literal(value: str) -> str:
    """The value of a variable: nothing in it is evaluated, and ``$${`` is how it holds a ``${``."""
    if "${" in value.replace("$${", ""):
        raise ValueError("variables are not evaluated: write $${ for a literal ${")
    return value.replace("$${", "${")


Variables = dict[
    Annotated[str, Field(pattern=VARIABLE_PATTERN)],
    Annotated[str, BeforeValidator(_text), AfterValidator(_literal)],
]
"""Variables by name; plain scalars keep the text they were written with, so ``0.60`` and ``on`` need no quotes."""


class Emulator(Strict):
    """How the embedded AWS of a target behaves."""

    runSeconds: int = Field(2, ge=0, description="How long a run takes, in seconds.")
    outcomes: dict[str, Literal["Succeeded", "Failed"]] = Field(
        {}, description="How the runs of a spec end, by the spec's name; absent: Succeeded."
    )


def _emulator_form(value: Any) -> str:  # noqa: ANN401 - whatever the file holds there
    return "mapping" if isinstance(value, (dict, Emulator)) else "boolean"


class Limits(Strict):
    """How much one pass may do."""

    maxSubmissions: int | None = Field(
        None,
        ge=0,
        description="New and changed specs that one pass may submit; more refuses the plan. Absent: no limit.",
    )
    maxCancellations: int = Field(10, ge=0, description="Runs that one pass may cancel; more refuses the plan.")


Told = Literal["failed", "held", "unknown", "lost"]
"""What people can be told of."""


def _web(value: str) -> str:
    """An http or https URL without a password. Raises `ValueError`."""
    if not re.fullmatch(r"https?://[^\s/@]+(/\S*)?", value):
        raise ValueError("a webhook is an http:// or https:// URL; one that holds a secret goes into urlEnv")
    return value


class Webhook(Strict):
    """Where people are told: a JSON document is posted there, with Slack's ``text``."""

    url: Annotated[str, AfterValidator(_web)] | None = Field(
        None, description="The address, where it is no secret. Either this or urlEnv."
    )
    urlEnv: str | None = Field(
        None, pattern=VARIABLE_PATTERN, description="The environment variable that holds the address."
    )
    headersEnv: dict[str, Annotated[str, Field(pattern=VARIABLE_PATTERN)]] = Field(
        {}, description="Headers by name, each with the environment variable that holds its value."
    )
    events: Annotated[tuple[Literal["failed", "held", "unknown", "lost"], ...], Field(strict=False, min_length=1)] = (
        Field(("failed", "held", "unknown", "lost"), description="What to tell of.")
    )

    @model_validator(mode="after")
    def _one_address(self) -> Webhook:
        if (self.url is None) == (self.urlEnv is None):
            raise ValueError("give either url or urlEnv")
        return self


class Target(Strict):
    """An environment: where runs go, what is recorded where, and how much may happen at once."""

    emulator: Annotated[
        Annotated[bool, Tag("boolean")] | Annotated[Emulator, Tag("mapping")], Discriminator(_emulator_form)
    ] = Field(False, description="true, or settings: an embedded AWS, no account needed.")
    account: str | None = Field(None, pattern=ACCOUNT_PATTERN, description="12 digits, in quotes.")
    region: str | None = Field(None, pattern=REGION_PATTERN, description="AWS region.")
    ledger: str | None = Field(
        None,
        pattern=LEDGER_PATTERN,
        description="sqlite:///PATH (relative to the project), s3://BUCKET/PREFIX or dynamodb://TABLE.",
    )
    vars: Variables = Field({}, description="Variables of this target; they override the project's.")
    limits: Limits = Field(Limits(), description="How much one pass may do.")
    settleSeconds: int = Field(
        SAFE_SETTLE_SECONDS,
        ge=0,
        description="Time after which an unclear submission that AWS does not list is absent.",
    )
    allowUnsafeSettling: bool = Field(False, description="Insist on a settleSeconds below 1500: runs may come twice.")
    claimSeconds: int = Field(
        CLAIM_SECONDS, ge=1, le=300, description="Time that an intent holds the right to be sent."
    )
    onUnknown: Literal["Resubmit", "Hold"] = Field(
        "Resubmit", description="What happens to a submission that is absent after settling."
    )
    rates: dict[str, Rate] = Field({}, description="AWS quotas by operation, where they differ from AWS's defaults.")
    notify: Annotated[tuple[Webhook, ...], Field(strict=False)] = Field(
        (), description="Webhooks that are told when a run failed, or a spec is held, unknown or lost."
    )

    @property
    def is_emulator(self) -> bool:
        """Whether this target is the embedded AWS."""
        return self.emulator is not False

    @property
    def emulator_settings(self) -> Emulator:
        """How the embedded AWS behaves; the defaults where the file says only ``true``."""
        return self.emulator if isinstance(self.emulator, Emulator) else Emulator()

    def missing(self) -> tuple[str, ...]:
        """The fields that this target must give and does not."""
        if self.is_emulator:
            return ()
        return tuple(name for name in ("account", "region", "ledger") if getattr(self, name) is None)

    def settling_problem(self, *, overridden: bool) -> str | None:
        """Why `settleSeconds` is not safe here, or `None`. `overridden`: whether AWS is a stand-in, at an endpoint that
        the environment names. What may be sent later than by default arrives later too, and settles later."""
        safe = SAFE_SETTLE_SECONDS + max(0, self.claimSeconds - CLAIM_SECONDS)
        if self.settleSeconds >= safe or self.is_emulator or overridden or self.allowUnsafeSettling:
            return None
        return (
            f"settleSeconds is {self.settleSeconds}, less than {safe}: a request still under way could "
            "arrive after it was given up, and run twice. allowUnsafeSettling: true insists."
        )

    def completed(self, name: str) -> Target:
        """The target with the account, region and ledger of the emulator filled in where it is one."""
        if not self.is_emulator:
            return self
        return self.model_copy(
            update={
                "account": self.account or EMULATOR_ACCOUNT,
                "region": self.region or EMULATOR_REGION,
                "ledger": self.ledger or f"sqlite:///{STATE_FOLDER}/{name}.sqlite",
            }
        )


class ProjectMetadata(Strict):
    """Who the project is: its name is part of every identity."""

    name: Name = Field(description="Part of every identity: a new name is another project, which runs everything anew.")
    labels: dict[str, str] = Field({}, description="For display.")
    annotations: dict[str, str] = Field({}, description="For people and other tools.")


class ProjectSpec(Strict):
    """The `spec:` of the project file."""

    specs: Annotated[tuple[str, ...], Field(strict=False, min_length=1)] = Field(
        DEFAULT_SPECS, description="Where specs are, as glob patterns relative to the project file."
    )
    defaultTarget: str | None = Field(None, description="The target of commands that name none.")
    suspend: Suspended = Field(
        False, description="true, or why, who and until when: nothing is submitted or cancelled in any target."
    )
    vars: Variables = Field({}, description="Variables of every target, for ${var.NAME}.")
    targets: dict[Name, Target] = Field(min_length=1, description="The environments, by name.")


class Project(Strict):
    """The project file, reconciler.yaml."""

    apiVersion: Literal["reconciler/v1"] = Field(description="The format of this document.")
    kind: Literal["Project"] = Field(description="Project.")
    metadata: ProjectMetadata = Field(description="Who it is.")
    spec: ProjectSpec = Field(description="Where its specs are, and where they run.")

    @property
    def name(self) -> str:
        """The project's name."""
        return self.metadata.name

    def target(self, name: str) -> Target:
        """A target with account, region and ledger filled in. Raises `KeyError` where there is none so called."""
        return self.spec.targets[name].completed(name)

    def variables(self, target: str) -> dict[str, str]:
        """The variables of a target: its own, and the project's where it has none so called."""
        return {**self.spec.vars, **self.spec.targets[target].vars}
