"""The emulator of one target, in this process for the length of a command, its state kept under the project folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.emulator.server import Emulator
from reconciler.emulator.settings import Settings
from reconciler.model.project import STATE_FOLDER

if TYPE_CHECKING:
    from reconciler.identity.digest import Place
    from reconciler.model.project import Target

CREDENTIALS = ("emulator", "emulator")
"""Access key id and secret key for the emulator, which looks at neither."""

QUEUED_PART = 0.25
"""How much of a run's time it waits to start, so that every state can be seen in a short one."""


def state_file(root: Path, target: str) -> Path:
    """Where the emulator of a target keeps what it accepted, from one command to the next."""
    return root / STATE_FOLDER / f"emulator-{target}.sqlite"


def started(root: Path, place: Place, target: Target, run_names: Mapping[str, str]) -> Emulator:
    """The target's emulator, serving on a free port of loopback. The caller stops it. `run_names`: see `settings`."""
    state = state_file(root, place.target)
    state.parent.mkdir(parents=True, exist_ok=True)
    emulator = Emulator(state, settings(place, target, run_names))
    emulator.start()
    return emulator


def settings(place: Place, target: Target, run_names: Mapping[str, str]) -> Settings:
    """The emulator's settings from what the project file says under ``emulator:``.

    The file gives outcomes by the names of specs, the emulator knows runs by theirs: `run_names` has the run's name
    of each spec that calls it something else.
    """
    given = target.emulator_settings
    return Settings(
        account=place.account,
        region=place.region,
        start_seconds=given.runSeconds * QUEUED_PART,
        run_seconds=given.runSeconds * (1 - QUEUED_PART),
        stop_seconds=given.runSeconds * QUEUED_PART,
        outcomes={
            run_names.get(spec, spec): "failed" if outcome == "Failed" else "succeeded"
            for spec, outcome in given.outcomes.items()
        },
    )
