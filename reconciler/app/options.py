"""What the command line chose: project folder, target, specs, and what is allowed this once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.errors import UsageError

if TYPE_CHECKING:
    from reconciler.core.desired import DesiredSpec
    from reconciler.model.project import Limits

TARGET_VARIABLE = "RECONCILER_TARGET"


@dataclass(frozen=True, slots=True)
class CommandOptions:
    """The options that decide what a command is about; `None` and empty: not given.

    `only` are names of specs, `labels` selectors such as ``team=growth``. `local_ledger` accepts a local file in CI.
    The rest overrides, for this command, what the target allows.
    """

    directory: Path | None = None
    target: str | None = None
    only: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    local_ledger: bool = False
    allow_rollback: bool = False
    max_submissions: int | None = None
    max_cancellations: int | None = None

    def limits(self, limits: Limits) -> Limits:
        """The target's limits with those that were given laid over."""
        given = {"maxSubmissions": self.max_submissions, "maxCancellations": self.max_cancellations}
        return limits.model_copy(update={name: limit for name, limit in given.items() if limit is not None})


def target_name(choice: CommandOptions, environ: Mapping[str, str], default: str | None, targets: Iterable[str]) -> str:
    """The target to work on. Raises `UsageError` where none is chosen or there is none of that name."""
    names = sorted(targets)
    chosen = choice.target or environ.get(TARGET_VARIABLE) or default
    if not chosen:
        raise UsageError(
            f"which target? Give -t NAME, set {TARGET_VARIABLE}, or write defaultTarget in reconciler.yaml. "
            f"This project has: {', '.join(names)}"
        )
    if chosen not in names:
        raise UsageError(f"there is no target {chosen!r}.{_hint(chosen, names)} This project has: {', '.join(names)}")
    return chosen


def selected_names(
    choice: CommandOptions,
    specs: Mapping[str, DesiredSpec],
    recorded: Iterable[str],
    elsewhere: Mapping[str, Iterable[str]],
) -> frozenset[str] | None:
    """The names that this command is about, `None` where nothing narrows it down: then it is about all.

    A name that is only in the ledger can be chosen by name, never by label. `elsewhere` holds the specs of other
    targets, for the message. Raises `UsageError` for a name or a label that nothing has: a typing error must not end
    as "nothing to do".
    """
    if not choice.only and not choice.labels:
        return None
    known = specs.keys() | set(recorded)
    for name in choice.only:
        if name not in known:
            raise UsageError(f"there is no spec {name!r} in this target.{_where(name, known, elsewhere)}")
    chosen = frozenset(choice.only) if choice.only else frozenset(known)
    if choice.labels:
        terms = [term for text in choice.labels for term in _terms(text)]
        chosen &= {name for name, spec in specs.items() if all(_has(spec.labels, *term) for term in terms)}
        if not chosen:
            raise UsageError(f"no spec of this target has the label {', '.join(choice.labels)}.{_labels(specs)}")
    return chosen


def _terms(text: str) -> list[tuple[str, str]]:
    """``a=x,b=y`` as pairs. Raises `UsageError` for another form."""
    terms = []
    for part in text.split(","):
        key, equals, value = part.partition("=")
        if not key or not equals:
            raise UsageError(f"{text!r} is not a label selector: write LABEL=VALUE, as in -l team=growth")
        terms.append((key.strip(), value.strip()))
    return terms


def _has(labels: Mapping[str, str], key: str, value: str) -> bool:
    return labels.get(key) == value


def _labels(specs: Mapping[str, DesiredSpec]) -> str:
    pairs = sorted({f"{key}={value}" for spec in specs.values() for key, value in spec.labels.items()})
    return f" There are: {', '.join(pairs[:10])}{' …' if len(pairs) > 10 else ''}" if pairs else " No spec has any."


def _where(name: str, known: Iterable[str], elsewhere: Mapping[str, Iterable[str]]) -> str:
    """What may have been meant: the same spec in another target, or a name that is nearly this one."""
    others = sorted(target for target, names in elsewhere.items() if name in names)
    return f" It is in: {', '.join(others)}" if others else _hint(name, known)


def _hint(name: str, names: Iterable[str]) -> str:
    close = get_close_matches(name, sorted(names), n=1)
    return f" Did you mean {close[0]}?" if close else ""
