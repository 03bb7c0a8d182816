"""Log records without secrets."""

from __future__ import annotations

import io
import logging

import pytest

from reconciler.redact.logs import MaskingFilter


@pytest.fixture
def log():
    """A logger of its own, and what it has written."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(MaskingFilter())
    logger = logging.Logger("test")
    logger.addHandler(handler)
    return logger, stream


def test_arguments_are_masked(log):
    """A secret that comes in by an argument is masked, because the formatted message is what is masked."""
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
    """The text of an exception is masked too, wherever it is printed."""
    logger, stream = log
    secret = "hunter" + "2"
    try:
        raise ValueError("password=" + secret)
    except ValueError:
        logger.exception("failed with password: %s", secret, stack_info=True)
    assert secret not in stream.getvalue()
    assert "ValueError: password=(sensitive)" in stream.getvalue()


def test_a_broken_format_loses_nothing(log):
    """A message whose arguments do not fit is still written, masked."""
    logger, stream = log
    logger.warning("two %s %s", "password=hunter2")  # noqa: PLE1206 - the mistake is the case
    assert stream.getvalue() == "two %s %s ('password=(sensitive)',)\n"
