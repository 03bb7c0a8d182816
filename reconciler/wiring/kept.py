"""A session that is kept from one pass to the next: the ledger stays read, connections stay open."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.specs.project_file import read_project
from reconciler.wiring.session import opened

if TYPE_CHECKING:
    from reconciler.wiring.choice import Choice
    from reconciler.wiring.session import Session


class KeptSession:
    """Gives the session of each pass. The project file is read anew; while the target stays what it was, ledger and
    services are those of the pass before."""

    def __init__(self, choice: Choice) -> None:
        self._choice = choice
        self._stack = ExitStack()
        self._session: Session | None = None
        self._root: Path | None = None

    @property
    def root(self) -> Path:
        """The project folder. Known from the first pass on."""
        return self._root or self.session().root

    def session(self) -> Session:
        """The session of the next pass. Raises as `opened` does."""
        kept = self._session
        if kept is not None:
            project = read_project(kept.root).project
            name = kept.place.target
            if project.name == kept.place.project and name in project.spec.targets:
                target = project.target(name)
                if target == kept.target:
                    self._session = replace(kept, project=project)
                    return self._session
            self.close()
        self._session = self._stack.enter_context(opened(self._choice))
        self._root = self._session.root
        return self._session

    def close(self) -> None:
        """Lets go of everything: after a pass that failed the next one starts from nothing."""
        self._session = None
        self._stack.close()
        self._stack = ExitStack()
