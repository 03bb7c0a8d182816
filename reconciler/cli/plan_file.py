"""Plan files: written whole or not at all, read back as a plan."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconciler.errors import PlanFileError

if TYPE_CHECKING:
    from reconciler.core.plan import Plan
    from reconciler.model.base import JSON

MOST_BYTES = 256 * 1024 * 1024  # tens of thousands of specs that all change
DEEPEST = 100  # levels; a request has at most 64
SEAL = "seal"
"""The key of a plan file that says what all the rest comes to; plans made without it are checked part by part."""


def write(file: Path, plan: Plan) -> None:
    """Puts the plan into `file`, replacing what was there, in one step. Only its owner can read it: requests may hold
    what others must not see. Raises `PlanFileError`."""
    from reconciler.render.plan_json import dumps, plan_json

    form = plan_json(plan)
    content = dumps({**form, SEAL: _seal(form)}).encode()
    try:
        number, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
        try:
            with os.fdopen(number, "wb") as stream:  # mkstemp made it 0600
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            Path(name).replace(file)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise PlanFileError(f"the plan file {file} cannot be written: {error.strerror}") from error


def read(file: Path) -> Plan:
    """The plan in `file`. Raises `PlanFileError` for what cannot be read or is no plan of a version known here."""
    from reconciler.render.plan_json import plan_from_json

    form, seal = _form(file)
    if isinstance(form, dict) and SEAL in form and form.pop(SEAL) != seal:
        raise PlanFileError(f"the plan file {file} was changed after it was made. Nothing was sent; plan again")
    return plan_from_json(form)


def _form(file: Path) -> tuple[Any, str]:
    """What the file holds, and what the seal of it should be."""
    from reconciler.model.base import nests_deeper

    try:
        form = json.loads(_content(file))
        if nests_deeper(form, DEEPEST):
            raise PlanFileError(f"the plan file {file} is no plan: it is nested deeper than {DEEPEST} levels")
        rest = {key: value for key, value in form.items() if key != SEAL} if isinstance(form, dict) else form
        return form, _seal(rest)
    except OSError as error:
        raise PlanFileError(f"the plan file {file} cannot be read: {error.strerror}") from error
    except UnicodeEncodeError as error:
        raise PlanFileError(f"the plan file {file} is no plan: it holds half of a surrogate pair") from error
    except (ValueError, RecursionError) as error:
        raise PlanFileError(f"the plan file {file} is not JSON: {error}") from error


def _content(file: Path) -> bytes:
    """The bytes of a file, and of nothing that has no end or never begins: no device, no pipe."""
    descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise PlanFileError(f"the plan file {file} is not a regular file: keep the plan in one")
        content = stream.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise PlanFileError(f"the plan file {file} is larger than {MOST_BYTES // 1024**2} MiB")
    return content


def _seal(form: JSON) -> str:
    """What the whole of a plan comes to: it finds accidents and edits, and is no signature."""
    from hashlib import sha256

    from reconciler.core.identity import canonical

    return "sha256:" + sha256(canonical(form)).hexdigest()
