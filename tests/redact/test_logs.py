"""Masking of log records."""

from __future__ import annotations

import io
import logging

import pytest

from reconciler.redact.logs import MaskingFilter


@pytest.fixture
def log():
    """A logger with the filter, and the stream it writes to."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(MaskingFilter())
    logger = logging.Logger("test")
    logger.addHandler(handler)
    return logger, stream


def test_arguments_are_masked(log):
    """A secret in an argument is masked, because the filter masks the formatted message."""
    logger, stream = log
    logger.warning("sending %s to %s", {"password": "hunter2"}, "https://u:hunter2@host/")
    assert "hunter2" not in stream.getvalue()
    assert stream.getvalue() == "sending {'password': (sensitive)} to https://u:(sensitive)@host/\n"


def test_control_characters_are_escaped(log):
    """A log line cannot move the cursor or forge another line with a carriage return."""
    logger, stream = log
    logger.warning("name \x1b[2J\r%s", "\u202ex")
    assert stream.getvalue() == "name \\u001b[2J\\r\\u202ex\n"


def test_tracebacks_and_stacks_are_masked(log):
    """Tracebacks and stacks are masked too."""
    logger, stream = log
    secret = "hunter" + "2"
    try:
        raise ValueError("password=" + secret)
    except ValueError:
        logger.exception("failed with password: %s", secret, stack_info=True)
    assert secret not in stream.getvalue()
    assert "ValueError: password=(sensitive)" in stream.getvalue()


def test_a_wrong_format_loses_nothing(log):
    """A message that does not match its arguments is still written, masked."""
    logger, stream = log
    logger.warning("two %s %s", "password=hunter2")  # noqa: PLE1206 - the mistake is the case
    assert stream.getvalue() == "two %s %s ('password=(sensitive)',)\n"
