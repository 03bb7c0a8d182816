"""The options that all commands share, with the target and the specs that they select."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.errors import UsageError
from reconciler.values import dataclass

if TYPE_CHECKING:
    from reconciler.core.desired import DesiredSpec, InvalidSpec
    from reconciler.core.suggestions import Invocation
    from reconciler.model.project import Limits

TARGET_VARIABLE = "RECONCILER_TARGET"


@dataclass(frozen=True, slots=True)
class CommandOptions:
    """The shared options of one command; `None` or empty if an option was not given.

    `only` are spec names, `labels` selectors such as ``team=growth``. `local_ledger` allows a SQLite ledger in CI.
    `applied_only` puts changes on hold that no `apply` has applied. With `no_cache`, everything is read again. The
    other options override limits and checks of the target for this command.
    """

    directory: Path | None = None
    target: str | None = None
    only: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    local_ledger: bool = False
    allow_rollback: bool = False
    max_submissions: int | None = None
    max_cancellations: int | None = None
    applied_only: bool = False
    no_cache: bool = False

    @property
    def invocation(self) -> Invocation:
        """How to call the commands that messages suggest, including the target from the command line."""
        from reconciler.core.suggestions import Invocation

        directory = str(self.directory) if self.directory is not None else None
        return Invocation(self.target, directory, self.local_ledger)

    def limits(self, limits: Limits) -> Limits:
        """Returns the target's limits, overridden by the limits on the command line."""
        given = {"maxSubmissions": self.max_submissions, "maxCancellations": self.max_cancellations}
        return limits.model_copy(update={name: limit for name, limit in given.items() if limit is not None})


def target_name(
    options: CommandOptions, environ: Mapping[str, str], default: str | None, targets: Iterable[str]
) -> str:
    """Returns the target to work on. Raises `UsageError` if none is selected or it does not exist."""
    names = sorted(targets)
    name = options.target or environ.get(TARGET_VARIABLE) or default
    if name in names:
        return name
    from reconciler.core.suggestions import did_you_mean

    problem = (
        f"unknown target {name!r}.{did_you_mean(name, names)}"
        if name
        else f"no target selected. Use -t NAME, set {TARGET_VARIABLE}, or set defaultTarget in reconciler.yaml."
    )
    raise UsageError(f"{problem} Targets of this project: {', '.join(names)}")


def selected_names(
    options: CommandOptions,
    specs: Mapping[str, DesiredSpec | InvalidSpec],
    recorded: Iterable[str],
    elsewhere: Mapping[str, Iterable[str]],
) -> frozenset[str] | None:
    """Returns the selected names, or `None` if nothing is selected and the command is about all specs.

    A spec that is only in the ledger can be selected by name, never by label. `elsewhere` contains the specs of other
    targets, for the message. Raises `UsageError` for a name or label without a match, so that a typo does not result in
    "nothing to do".
    """
    if not options.only and not options.labels:
        return None
    names = specs.keys() | set(recorded)
    for name in options.only:
        if name not in names:
            if (several := name.split(",")) != [name] and names.issuperset(several):
                raise UsageError(f"--only takes one name: write {' '.join(f'--only {each}' for each in several)}")
            raise UsageError(f"unknown spec {name!r} in this target.{_elsewhere(name, names, elsewhere)}")
    selected = frozenset(options.only or names)
    if options.labels:
        terms = {term for text in options.labels for term in _terms(text)}
        selected &= {name for name, spec in specs.items() if terms <= spec.labels.items()}
        if not selected:
            raise UsageError(f"no spec of this target has the label {', '.join(options.labels)}.{_labels(specs)}")
    return selected


def _terms(text: str) -> list[tuple[str, str]]:
    """Splits ``a=x,b=y`` into pairs. Raises `UsageError` for any other form."""
    terms = []
    for part in text.split(","):
        key, equals, value = part.partition("=")
        if not key or not equals:
            raise UsageError(f"{text!r} is not a label selector: write LABEL=VALUE, such as -l team=growth")
        terms.append((key.strip(), value.strip()))
    return terms


def _labels(specs: Mapping[str, DesiredSpec | InvalidSpec]) -> str:
    pairs = sorted({f"{key}={value}" for spec in specs.values() for key, value in spec.labels.items()})
    if not pairs:
        return " No spec has a label."
    return f" Labels in use: {', '.join(pairs[:10])}{' …' if len(pairs) > 10 else ''}"


def _elsewhere(name: str, names: Iterable[str], elsewhere: Mapping[str, Iterable[str]]) -> str:
    """Returns a suggestion for the message: the same spec in another target, or a similar name."""
    from reconciler.core.suggestions import did_you_mean

    targets = sorted(target for target, others in elsewhere.items() if name in others)
    return f" It exists in: {', '.join(targets)}" if targets else did_you_mean(name, names)
