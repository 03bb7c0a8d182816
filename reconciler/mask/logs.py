"""Log records without secrets."""

from __future__ import annotations

import logging

from reconciler.mask.escape import escape
from reconciler.mask.text import mask_text


class MaskingFilter(logging.Filter):
    """Masks and escapes the formatted text of every record that passes, tracebacks included. It lets all of them pass.

    Put it on handlers: a filter on a logger does not see the records of the loggers below it.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Replaces the record's message, and what would be printed after it."""
        record.msg = escape(mask_text(_message(record)), single_line=False)
        record.args = None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = escape(mask_text(record.exc_text), single_line=False)
        if record.stack_info:
            record.stack_info = escape(mask_text(record.stack_info), single_line=False)
        return True


def _message(record: logging.LogRecord) -> str:
    """The formatted message; where it and its arguments do not go together, both, so that nothing is lost."""
    try:
        return record.getMessage()
    except (TypeError, ValueError):
        return f"{record.msg} {record.args!r}"
