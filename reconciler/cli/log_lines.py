"""Log lines on standard error, masked, as text or JSON."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

LIBRARIES = ("boto3", "botocore", "urllib3", "s3transfer", "werkzeug", "py.warnings")
LIBRARY_LEVELS = {2: logging.WARNING, 3: logging.INFO}
"""The log levels of libraries, by the number of -v's. With fewer than two, libraries do not log. The level is never
DEBUG, because botocore would log the bodies of requests."""
SILENT = logging.CRITICAL + 1

TRACEBACK_FROM = 2
"""The minimum number of -v's with which tracebacks are printed."""


def start_logging(verbose: int) -> None:
    """Sends masked log lines to standard error: our warnings at 0, INFO at 1, DEBUG at 2.

    From 2 on, libraries log too, and errors have tracebacks. Below 2, an operator sees one sentence for each error.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(Masking(tracebacks=verbose >= TRACEBACK_FROM))
    libraries = LIBRARY_LEVELS.get(min(verbose, max(LIBRARY_LEVELS)), SILENT)
    ours = {0: logging.WARNING, 1: logging.INFO}.get(verbose, logging.DEBUG)
    for name, level in {"reconciler": ours, **dict.fromkeys(LIBRARIES, libraries)}.items():
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)
    # All other libraries, and Python's own messages, such as a traceback if a line cannot be written.
    logging.lastResort = None if libraries == SILENT else handler
    logging.raiseExceptions = verbose >= TRACEBACK_FROM
    logging.captureWarnings(True)


class Masking(logging.Filter):
    """Masks every record with `redact.text.MaskingFilter`, which is imported when the first record arrives, because
    most commands log nothing."""

    def __init__(self, *, tracebacks: bool) -> None:
        super().__init__()
        self._tracebacks = tracebacks

    def filter(self, record: logging.LogRecord) -> bool:
        """Masks the message, and the traceback and the stack that would be printed after it."""
        from reconciler.redact.text import MaskingFilter

        return MaskingFilter(tracebacks=self._tracebacks).filter(record)


def log_as_json() -> None:
    """Switches log lines to JSON."""
    for handler in logging.getLogger("reconciler").handlers:
        handler.setFormatter(JsonLines())


class JsonLines(logging.Formatter):
    """A log formatter that formats each record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the record as a line of JSON."""
        more = {"exception": record.exc_text} if record.exc_text else {}
        return json_line(record.getMessage(), {"logger": record.name, **more}, record.levelname.lower(), record.created)


def json_line(message: str, fields: Mapping[str, object], level: str = "info", at: float | None = None) -> str:
    """Returns a log line as JSON: ``time`` (UTC), ``level``, ``message`` and `fields`. `at` is in seconds since the
    epoch; `None` means now."""
    import json
    import time
    from datetime import UTC, datetime

    moment = datetime.fromtimestamp(time.time() if at is None else at, UTC)
    written = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"time": written, "level": level, "message": message, **fields})
