"""One difference between two requests, for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Op = Literal["add", "remove", "change", "reorder"]


@dataclass(frozen=True, slots=True)
class Change:
    """`path` in AWS's words, as in ``jobDriver.sparkSubmit.entryPointArguments[1]``; `before` is `None` for an
    addition, `after` for a removal. ``reorder``: the same entries in another order; `before` and `after` name them.
    Values are whole: masking is for those who print. `sensitive`: one of them is a secret that only its neighbours
    tell, such as the argument after ``--password``; what tells by itself is found when printing.
    """

    path: str
    op: Op
    before: Any
    after: Any
    sensitive: bool = False
