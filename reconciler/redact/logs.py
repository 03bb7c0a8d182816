"""Masks and escapes log records before a handler writes them."""

from __future__ import annotations

import logging

from reconciler.redact.escape import escape, lines_text
from reconciler.redact.text import mask_text


class MaskingFilter(logging.Filter):
    """Masks and escapes the formatted text of every record, tracebacks included. Drops no record.

    Add it to handlers: a filter on a logger does not see the records of its child loggers.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Replaces the record's message, and the traceback and stack that would be printed after it."""
        record.msg = masked_lines(_message(record))
        record.args = None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = masked_lines(record.exc_text)
        if record.stack_info:
            record.stack_info = masked_lines(record.stack_info)
        return True


def masked_lines(text: str) -> str:
    """`text` with secrets masked and control characters escaped, safe for terminals and CI runners. Keeps lines."""
    return lines_text(escape(mask_text(text), single_line=False).split("\n"))


def _message(record: logging.LogRecord) -> str:
    """The formatted message; if the message and its arguments do not match, both of them, so that nothing is lost."""
    try:
        return record.getMessage()
    except (TypeError, ValueError):
        return f"{record.msg} {record.args!r}"
