"""Runs ministack (S3, DynamoDB, CloudWatch Logs) on a free loopback port until standard input ends, and prints the
port.

It runs in a separate process, so that it does not affect what tests measure. It ends with the test session that started
it, even if that was killed.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from threading import Thread


def _end_with_standard_input() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    """Starts the server."""
    os.environ |= {"SERVICES": "s3,dynamodb,logs", "LOG_LEVEL": "ERROR"}
    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack.app import app

    listening = socket.create_server(("127.0.0.1", 0), backlog=512)
    config = Config()
    config.bind = [f"fd://{listening.fileno()}"]
    config.loglevel = "ERROR"
    config.keep_alive_timeout = 75
    Thread(target=_end_with_standard_input, daemon=True).start()
    sys.stdout.write(f"{listening.getsockname()[1]}\n")
    sys.stdout.flush()
    asyncio.run(serve(app, config))


if __name__ == "__main__":
    main()
