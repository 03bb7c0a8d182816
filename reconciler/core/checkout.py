"""The git checkout that specs are read from, and how recorded commits relate to it.

This module imports no models, because the stored output of a plan is compared with the checkout.
"""

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from reconciler.values import dataclass


class Ancestry(StrEnum):
    """How a recorded commit relates to the commit that is checked out."""

    CONTAINED = "contained"  # HEAD is this commit, or descends from it
    NEWER = "newer"  # HEAD is an ancestor of this commit: the checkout is old
    UNKNOWN = "unknown"  # the commits diverged, or the clone is shallow
    MISSING = "missing"  # this clone does not have the commit


@dataclass(frozen=True, slots=True)
class Checkout:
    """The git checkout that the specs were read from. Outside git, `commit` is `None` and nothing is checked.

    `ancestry` is known for the commits of the newest intents and declarations; any other commit is missing.
    `uncommitted` is true if files of the project differ from the commit. `shallow` is true if the clone has only a part
    of the history, which may be the reason why a commit is unknown. `unborn` is true if the repository has no commit
    yet.
    """

    commit: str | None = None
    ancestry: Mapping[str, Ancestry] = field(default_factory=dict)
    uncommitted: bool = False
    shallow: bool = False
    unborn: bool = False

    def why_not_newer(self, commit: str | None) -> str | None:
        """Returns why this checkout must not change what was applied at `commit`: the commit is newer, or is not part
        of the history of the checkout. Returns `None` if it may, also outside git and if no commit is recorded."""
        head = self.commit
        if head is None or commit is None or commit == head:
            return None
        match self.ancestry.get(commit, Ancestry.MISSING):
            case Ancestry.CONTAINED:
                return None
            case Ancestry.NEWER:
                why = f"this checkout ({head[:12]}) is older than the commit applied last ({commit[:12]})"
            case _ if self.shallow:
                why = (
                    "shallow clone: fetch the whole history. It is unknown whether this checkout "
                    f"({head[:12]}) contains the commit applied last ({commit[:12]})"
                )
            case Ancestry.UNKNOWN:
                why = f"diverged: this checkout ({head[:12]}) does not contain the commit applied last ({commit[:12]})"
            case Ancestry.MISSING:
                why = (
                    f"older or diverged: this clone, at {head[:12]}, does not have the commit applied last "
                    f"({commit[:12]}). Update it, for example with `git pull`"
                )
        return f"{why}; --allow-rollback overrides"
