"""Logs to standard error: nothing by default, more with each -v, always masked."""

from __future__ import annotations

import logging
import sys

LIBRARIES = ("boto3", "botocore", "urllib3", "s3transfer", "werkzeug")
LIBRARIES_FROM = 3  # -v's; and even then no bodies: botocore writes those at DEBUG, libraries get INFO at most


def start_logging(verbose: int) -> None:
    """Sends log lines to standard error: warnings of ours at 0, INFO at 1, DEBUG at 2, libraries too at 3."""
    from reconciler.mask.logs import MaskingFilter

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
