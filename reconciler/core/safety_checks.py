"""Safety checks before any send, as pure functions: each returns nothing or raises a `GuardError`.

They take plain values, because `app` reads the environment, calls AWS and opens the ledger. The limits on the number of
actions are methods of the plan.
"""

from collections.abc import Mapping

from reconciler.errors import AccountMismatch, ClockSkew, GuardError, LocalLedgerInCI

ENDPOINT = "AWS_ENDPOINT_URL"


CLOCK_ERROR_SECONDS = 60.0
"""The largest accepted difference between this machine's clock and AWS's. The settling time includes it."""


def endpoint_overridden(environ: Mapping[str, str]) -> bool:
    """Returns whether the environment redirects all calls that run jobs to an endpoint other than AWS.

    The variables are those that AWS's SDKs read by themselves: one for all services, and one for each service. An
    endpoint for another service, such as a ledger's store or STS, does not change where the jobs run.
    """
    if environ.get(ENDPOINT):
        return True
    from reconciler.model.kind import MODULES  # noqa: PLC0415 - imports pydantic, which stored output does not need

    services = (module.rpartition(".")[2] for module in MODULES.values())  # as in the names of the variables
    return all(environ.get(f"{ENDPOINT}_{service.upper()}") for service in services)


CI_VARIABLES = (
    "TF_BUILD", "CODEBUILD_BUILD_ID", "JENKINS_URL", "TEAMCITY_VERSION", "BITBUCKET_BUILD_NUMBER", "CIRCLECI", "DRONE",
    "GITHUB_ACTIONS", "GITLAB_CI", "BUILDKITE", "TRAVIS", "APPVEYOR", "SEMAPHORE", "CIRRUS_CI", "bamboo_buildKey",
    "GO_PIPELINE_NAME", "WOODPECKER_CI", "HARNESS_BUILD_ID", "CODEFRESH_IO", "CF_BUILD_ID",
)  # fmt: skip
"""The variables that CI services set, from their documentation. Not all of them set ``CI``."""


def in_ci(environ: Mapping[str, str]) -> bool:
    """Returns whether this process runs on a CI service. ``CI=false`` overrides the other variables."""
    ci = environ.get("CI", "").strip().lower()
    return ci in {"true", "1"} or (not ci and any(environ.get(name) for name in CI_VARIABLES))


def check_ledger(address: str, *, emulated: bool, durable: bool, environ: Mapping[str, str]) -> None:
    """Raises `LocalLedgerInCI` for a ledger in a local file on a CI runner, because the file is lost with the runner.

    `durable` is true if the user states that the file outlives the runner; `emulated` is true if the target is the
    emulator. Both allow such a ledger.
    """
    if address.startswith("sqlite:") and in_ci(environ) and not (emulated or durable or endpoint_overridden(environ)):
        raise LocalLedgerInCI(address)


def is_relative(address: str) -> bool:
    """Returns whether a ledger is a file in the project folder, so that each checkout has its own ledger."""
    return address.startswith("sqlite:///") and not address.startswith("sqlite:////")


def check_account(target: str, expected: str, actual: str) -> None:
    """Raises `AccountMismatch` if the credentials belong to another account than the target."""
    if actual != expected:
        raise AccountMismatch(target, expected, actual)


def check_clock(ahead: float | None, *, needed: bool = False) -> None:
    """Raises `ClockSkew` if this machine's clock is too far ahead of AWS's clock, or too far behind it.

    `ahead` is the difference in seconds, or `None` if AWS sent no time. A missing time is an error only if `needed` is
    set, because then a decision depends on the time alone.
    """
    if ahead is None and needed:
        raise GuardError(
            "AWS's reply has no time, and without it due slots cannot be determined: nothing was recorded or sent"
        )
    if ahead is not None and abs(ahead) > CLOCK_ERROR_SECONDS:
        raise ClockSkew(ahead, CLOCK_ERROR_SECONDS)


def check_settling(problem: str | None) -> None:
    """Raises `GuardError(problem)` if the target's settling time is too short. `problem` is the message, or `None`."""
    if problem is not None:
        raise GuardError(problem)
