"""Logs to standard error: nothing by default, more with each -v, always masked."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping

LIBRARIES = ("boto3", "botocore", "urllib3", "s3transfer", "werkzeug")
LIBRARIES_FROM = 3  # -v's; and even then no bodies: botocore writes those at DEBUG, libraries get INFO at most


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        more = {"exception": record.exc_text} if record.exc_text else {}
        return line_json(record.getMessage(), {"logger": record.name, **more}, record.levelname.lower(), record.created)


def line_json(message: str, fields: Mapping[str, object], level: str = "info", at: float | None = None) -> str:
    """One line of a log as a JSON object: ``time`` (UTC), ``level``, ``message``, and what else there is."""
    import json
    import time
    from datetime import UTC, datetime

    moment = datetime.fromtimestamp(time.time() if at is None else at, UTC)
    written = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"time": written, "level": level, "message": message, **fields})


def log_as_json() -> None:
    """From now on log lines are JSON."""
    for handler in logging.getLogger("reconciler").handlers:
        handler.setFormatter(JsonLines())


def start_logging(verbose: int) -> None:
    """Sends log lines to standard error: warnings of ours at 0, INFO at 1, DEBUG at 2, libraries too at 3."""
    from reconciler.redact.logs import MaskingFilter

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(MaskingFilter())
    ours = logging.getLogger("reconciler")
    ours.handlers = [handler]
    ours.propagate = False
    ours.setLevel({0: logging.WARNING, 1: logging.INFO}.get(verbose, logging.DEBUG))
    for name in LIBRARIES:
        library = logging.getLogger(name)
        library.handlers = [handler]
        library.propagate = False
        library.setLevel(logging.INFO if verbose >= LIBRARIES_FROM else logging.WARNING)
