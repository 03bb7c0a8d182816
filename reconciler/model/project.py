"""The project file: its name, its spec files, its variables, its targets and their prices."""

import re
from collections.abc import Collection, Iterator
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from reconciler.model import STATE_FOLDER
from reconciler.model.base import JSON, Loc, Strict, hinted, source_text
from reconciler.model.kind import MODULES, Rate, Resources
from reconciler.model.spec import CENTURY_SECONDS, Name, Suspended


class PriceList(Strict):
    """The prices of the resources that runs use. Costs do not include a resource without a price."""

    vCPUHour: float = Field(0, ge=0, description="The price of one vCPU for an hour.")
    memoryGBHour: float = Field(0, ge=0, description="The price of one GB of memory for an hour.")
    storageGBHour: float = Field(0, ge=0, description="The price of one GB of storage for an hour.")

    def cost(self, resources: Resources) -> float:
        """Returns the price of these resources."""
        return (
            self.vCPUHour * resources.vcpu_hours
            + self.memoryGBHour * resources.memory_gb_hours
            + self.storageGBHour * resources.storage_gb_hours
        )


class Prices(PriceList):
    """Your prices, from which `plan` and `runs` compute costs."""

    currency: str = Field("USD", pattern=r"^[A-Z]{3}$", description="The currency of the prices, as in ISO 4217.")
    kinds: dict[str, PriceList] = Field(
        {}, description="Other prices for the runs of a kind, such as BatchJob, instead of those above."
    )

    @field_validator("kinds")
    @classmethod
    def _known(cls, kinds: dict[str, PriceList]) -> dict[str, PriceList]:
        for name in kinds:
            if name not in MODULES:
                raise ValueError(f"{name!r} is not a kind: use {' or '.join(MODULES)}")
        return kinds

    def cost_of(self, kind: str, resources: Resources | None) -> float | None:
        """Returns the cost of a run that used `resources`, or `None` if they are not known."""
        return None if resources is None else self.kinds.get(kind, self).cost(resources)


EMULATOR_ACCOUNT = "000000000000"
EMULATOR_REGION = "us-east-1"
DEFAULT_SPECS = ("**/*.{yaml,yml,json}",)
CLAIM_SECONDS = 30
SAFE_SETTLE_SECONDS = (
    1500  # CLAIM_SECONDS + 15 min signature lifetime + 60 s clock error + 5 min listing lag, with room
)

ACCOUNT_PATTERN = hinted(r"^[0-9]{12}$", 'an account is 12 digits in quotes, such as "111122223333"')
REGION_PATTERN = hinted(r"^[a-z]{2,4}(-[a-z]+)+-[0-9]+$", "a region looks like eu-west-1")
BUCKET_PATTERN = r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
TABLE_PATTERN = r"[A-Za-z0-9_.-]{3,255}"
LEDGER_PATTERN = hinted(
    rf"^(sqlite:///[^?#]+|s3://{BUCKET_PATTERN}(/[^?#]*)?|dynamodb://{TABLE_PATTERN})$",
    "a ledger is sqlite:///PATH, s3://BUCKET/PREFIX or dynamodb://TABLE",
)
VARIABLE_PATTERN = hinted(
    r"^[A-Za-z_][A-Za-z0-9_-]*$",
    "a variable's name is letters, digits, '_' and '-', and does not start with a digit",
)


_NAMES_ONLY: JSON = {"additionalProperties": False}
_EMULATED_OR_COMPLETE: JSON = {
    "anyOf": [
        {"properties": {"emulator": {"not": {"const": False}}}, "required": ["emulator"]},
        {"required": ["account", "region", "ledger"]},
    ]
}
"""Keywords for the JSON Schema of targets. `Target.missing` checks the same on validation."""


def _text(value: Any) -> Any:  # noqa: ANN401 - whatever the file holds there
    """Returns the text of a scalar as written. Any other value is unchanged, and the field refuses it."""
    text = source_text(value)
    return value if text is None else text


def _literal(value: str) -> str:
    """Returns the value of a variable. It must not contain placeholders, and ``$${`` is a literal ``${``."""
    if "${" in value.replace("$${", ""):
        raise ValueError("variables cannot contain placeholders: write $${ for a literal ${")
    return value.replace("$${", "${")


Variables = dict[
    Annotated[str, Field(pattern=VARIABLE_PATTERN)],
    Annotated[
        str,
        BeforeValidator(_text),
        AfterValidator(_literal),
        WithJsonSchema({"type": ["string", "number", "boolean"]}),
    ],
]
"""Variables by name; plain scalars keep their text, so ``0.60`` and ``on`` need no quotes."""


class Emulator(Strict):
    """How the embedded AWS of a target behaves."""

    runSeconds: int = Field(2, ge=0, le=CENTURY_SECONDS, description="How long a run takes, in seconds.")
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


def _web(value: str) -> str:
    """Checks an http or https URL without a password. Raises `ValueError`."""
    if not re.fullmatch(r"https?://[^\s/@]+(/\S*)?", value):
        raise ValueError("a webhook is an http:// or https:// URL; if it contains a secret, use urlEnv")
    return value


NOTIFY_PREFIX = "RECONCILER_NOTIFY_"
ALLOWED_VARIABLE = "RECONCILER_NOTIFY_ALLOWED"
"""The environment variable in which operators list further variables that webhooks may use, separated by commas."""
NEVER_SENT = "AWS_"


def variable_problem(name: str, allowed: Collection[str]) -> str | None:
    """Returns why a webhook may not use an environment variable, or `None` if it may. Without this restriction, anyone
    who can change the project file could send the machine's credentials to any address. `allowed` is the operator's
    list."""
    if name.upper().startswith(NEVER_SENT):
        return f"{name} is never sent to a webhook, because variables of this name are AWS's: use {NOTIFY_PREFIX}NAME"
    if name.startswith(NOTIFY_PREFIX) or name in allowed:
        return None
    return (
        f"a webhook gets only variables that begin with {NOTIFY_PREFIX}: rename {name} to {NOTIFY_PREFIX}{name}, or "
        f"allow it in the environment of reconciler: {ALLOWED_VARIABLE}={','.join(sorted({*allowed, name}))}"
    )


NotifyEvent = Literal["failed", "held", "unknown", "lost", "missed", "stuck", "recovered", "succeeded"]
"""An event that webhooks can be notified about."""


class Webhook(Strict):
    """A webhook: notifications are posted to it as JSON, with Slack's ``text``."""

    url: Annotated[str, AfterValidator(_web)] | None = Field(
        None, description="The address, if it is not a secret. Give either this or urlEnv."
    )
    urlEnv: str | None = Field(
        None,
        pattern=VARIABLE_PATTERN,
        description=f"The environment variable with the address, which begins with {NOTIFY_PREFIX}.",
    )
    headersEnv: dict[str, Annotated[str, Field(pattern=VARIABLE_PATTERN)]] = Field(
        {},
        description="Headers by name, each with the environment variable of its value, "
        f"which begins with {NOTIFY_PREFIX}.",
    )
    events: Annotated[tuple[NotifyEvent, ...], Field(strict=False, min_length=1)] = Field(
        ("failed", "held", "unknown", "lost", "missed", "stuck", "recovered"),
        description="The events to notify about. Default: all except succeeded.",
    )

    @model_validator(mode="after")
    def _one_address(self) -> "Webhook":
        if (self.url is None) == (self.urlEnv is None):
            raise ValueError("set either url or urlEnv")
        return self


def webhook_secrets(document: JSON) -> Iterator[Loc]:
    """Yields the paths of values that may be secrets in the webhooks of a project file, even if they are invalid: all
    values except names of variables and events."""
    spec = document.get("spec")
    targets = spec.get("targets") if isinstance(spec, dict) else None
    for name, target in targets.items() if isinstance(targets, dict) else ():
        if isinstance(target, dict) and "notify" in target:
            yield from _unnamed(target["notify"], ("spec", "targets", name, "notify"))


def _unnamed(value: Any, loc: Loc) -> Iterator[Loc]:  # noqa: ANN401 - whatever the file holds there
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _unnamed(inner, (*loc, key))
    elif isinstance(value, str) and not re.fullmatch(VARIABLE_PATTERN, value):
        yield loc


class Target(Strict, json_schema_extra=_EMULATED_OR_COMPLETE):
    """An environment: its AWS account and region, its ledger, and its limits."""

    emulator: Annotated[
        Annotated[bool, Tag("boolean")] | Annotated[Emulator, Tag("mapping")], Discriminator(_emulator_form)
    ] = Field(False, description="true, or settings: an embedded AWS that needs no account.")
    account: str | None = Field(None, pattern=ACCOUNT_PATTERN, description="12 digits, in quotes.")
    region: str | None = Field(None, pattern=REGION_PATTERN, description="AWS region.")
    ledger: str | None = Field(
        None,
        pattern=LEDGER_PATTERN,
        description="sqlite:///PATH (relative to the project), s3://BUCKET/PREFIX or dynamodb://TABLE.",
    )
    vars: Variables = Field(
        {}, description="Variables of this target; they override the project's.", json_schema_extra=_NAMES_ONLY
    )
    limits: Limits = Field(Limits.model_construct(), description="How much one pass may do.")
    settleSeconds: int = Field(
        SAFE_SETTLE_SECONDS,
        ge=0,
        le=CENTURY_SECONDS,
        description="Time after which a submission with an unknown outcome that AWS does not list counts as absent.",
    )
    allowUnsafeSettling: bool = Field(
        False, description="Allow a settleSeconds below 1500, at the risk of duplicate runs."
    )
    claimSeconds: int = Field(CLAIM_SECONDS, ge=1, le=300, description="Time within which an intent may be sent.")
    onUnknown: Literal["Resubmit", "Hold"] = Field(
        "Resubmit", description="What to do with a submission that is absent after settleSeconds."
    )
    rates: dict[str, Rate] = Field({}, description="AWS quotas by operation, where they differ from AWS's defaults.")
    prices: Prices | None = Field(None, description="Prices for the costs in plan and runs; absent: no costs.")
    notify: Annotated[tuple[Webhook, ...], Field(strict=False)] = Field(
        (), description="Webhooks to notify of failed and stuck runs, missed slots, and specs that need an operator."
    )

    @property
    def is_emulator(self) -> bool:
        """`True` if this target is the embedded AWS."""
        return self.emulator is not False

    @property
    def emulator_settings(self) -> Emulator:
        """How the embedded AWS behaves. These are the defaults if the file has only ``true``."""
        return self.emulator if isinstance(self.emulator, Emulator) else Emulator()

    def missing(self) -> tuple[str, ...]:
        """The required fields that are missing in this target."""
        if self.is_emulator:
            return ()
        return tuple(name for name in ("account", "region", "ledger") if getattr(self, name) is None)

    def settling_problem(self, *, overridden: bool) -> str | None:
        """Returns why `settleSeconds` is not safe, or `None`. `overridden` means that an endpoint from the environment
        replaces AWS.

        A longer `claimSeconds` allows a request to be sent later, so `settleSeconds` must be longer too.
        """
        safe = SAFE_SETTLE_SECONDS + max(0, self.claimSeconds - CLAIM_SECONDS)
        if self.settleSeconds >= safe or self.is_emulator or overridden or self.allowUnsafeSettling:
            return None
        return (
            f"settleSeconds is {self.settleSeconds}, less than {safe}: a request that is still under way could arrive "
            "after the reconciler gave it up, and run twice. To accept that, set allowUnsafeSettling: true"
        )

    def completed(self, name: str) -> "Target":
        """Returns the target, with account, region and ledger filled in if it is an emulator."""
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
    """The project's name, which is part of every identity, and its labels."""

    name: Name = Field(
        description="Part of the identity of every run: a project with a new name runs everything again."
    )
    labels: dict[str, str] = Field({}, description="For display.")
    annotations: dict[str, str] = Field({}, description="For people and other tools.")


class ProjectSpec(Strict):
    """The `spec:` of the project file."""

    specs: Annotated[tuple[str, ...], Field(strict=False, min_length=1)] = Field(
        DEFAULT_SPECS,
        description="Glob patterns of spec files, relative to the project file; those that start with ! leave files "
        'or folders out, such as "!charts".',
    )
    defaultTarget: str | None = Field(None, description="The target of commands without -t.")
    suspend: Suspended = Field(
        False, description="true, or reason, owner and until: nothing is submitted or cancelled in any target."
    )
    vars: Variables = Field(
        {}, description="Variables of every target, for ${var.NAME}.", json_schema_extra=_NAMES_ONLY
    )
    targets: dict[Name, Target] = Field(min_length=1, description="The environments, by name.")


class Project(Strict):
    """The project file, reconciler.yaml."""

    apiVersion: Literal["reconciler/v1"] = Field(description="The format of this document.")
    kind: Literal["Project"] = Field(description="Project.")
    metadata: ProjectMetadata = Field(description="Its name and labels.")
    spec: ProjectSpec = Field(description="Its spec files and its targets.")

    @property
    def name(self) -> str:
        """The project's name."""
        return self.metadata.name

    def target(self, name: str) -> Target:
        """Returns a target with account, region and ledger filled in. Raises `KeyError` if there is no target of that
        name."""
        return self.spec.targets[name].completed(name)

    def variables(self, target: str) -> dict[str, str]:
        """Returns the variables of a target: its own, and the project's variables that it does not override."""
        return {**self.spec.vars, **self.spec.targets[target].vars}
