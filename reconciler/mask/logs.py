"""Log records without secrets."""

from __future__ import annotations

import logging

from reconciler.mask.escape import escape, lines_text
from reconciler.mask.text import mask_text


class MaskingFilter(logging.Filter):
    """Masks and escapes the formatted text of every record that passes, tracebacks included. It lets all of them pass.

    Put it on handlers: a filter on a logger does not see the records of the loggers below it.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Replaces the record's message, and what would be printed after it."""
        record.msg = _shown(_message(record))
        record.args = None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = _shown(record.exc_text)
        if record.stack_info:
            record.stack_info = _shown(record.stack_info)
        return True


def _shown(text: str) -> str:
    return lines_text(escape(mask_text(text), single_line=False).split("\n"))


def _message(record: logging.LogRecord) -> str:
    """The formatted message; where it and its arguments do not go together, both, so that nothing is lost."""
    try:
        return record.getMessage()
    except (TypeError, ValueError):
        return f"{record.msg} {record.args!r}"
