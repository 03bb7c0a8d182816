"""Provides S3 and DynamoDB for tests: one local server per test session, on loopback, with a new bucket or table for
each use.

docs/adr/0010-ministack-serves-s3-and-dynamodb.md explains the choice of the server. test_linearizability.py checks it.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
REGION = "eu-west-1"
KEYS = [("ledger", "HASH", "S"), ("position", "RANGE", "N")]


@dataclass(frozen=True)
class Server:
    """Contains the URL of a running server. The names of its buckets and tables are not reused."""

    url: str
    names = count(1)

    @property
    def environment(self) -> dict[str, str]:
        """Returns the environment variables with which boto3 calls this server, for ledgers only."""
        keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        return keys | {f"AWS_ENDPOINT_URL_{service}": self.url for service in ("S3", "DYNAMODB")}

    @cached_property
    def s3(self) -> Any:
        """Returns an S3 client for this server."""
        return self._client("s3")

    @cached_property
    def dynamodb(self) -> Any:
        """Returns a DynamoDB client for this server."""
        return self._client("dynamodb")

    @cached_property
    def logs(self) -> Any:
        """Returns a CloudWatch Logs client for this server."""
        return self._client("logs")

    def bucket(self, region: str = REGION) -> str:
        """Creates an empty bucket and returns its name."""
        name = f"ledger-{next(self.names)}"
        self.s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": region})
        return name

    def table(self, keys: list[tuple[str, str, str]] | None = None) -> str:
        """Creates an empty table with the keys of a ledger, or with other keys, and returns its name."""
        name = f"ledger-{next(self.names)}"
        self.dynamodb.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": k, "AttributeType": kind} for k, _, kind in keys or KEYS],
            KeySchema=[{"AttributeName": k, "KeyType": role} for k, role, _ in keys or KEYS],
        )
        return name

    def address(self, scheme: str) -> str:
        """Returns the address of a ledger in a new bucket or table."""
        return f"s3://{self.bucket()}/ledgers" if scheme == "s3" else f"dynamodb://{self.table()}"

    def _client(self, service: str) -> Any:
        import boto3

        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.session.Session(region_name=REGION, **keys).client(service, endpoint_url=self.url)


@contextmanager
def serving() -> Iterator[Server]:
    """Starts a separate server for the block, and kills it at the end."""
    command = [sys.executable, "-m", "tests.ledger.serve"]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "COV"))}  # not measured
    with (
        tempfile.TemporaryFile("w+") as complaints,
        subprocess.Popen(
            command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, text=True
        ) as process,
    ):
        try:
            assert process.stdout is not None
            port = process.stdout.readline().strip()
            if not port:
                complaints.seek(0)
                raise AssertionError(f"the local S3 and DynamoDB did not start (make setup-dev?):\n{complaints.read()}")
            with socket.create_connection(("127.0.0.1", int(port)), timeout=30):
                yield (started := Server(f"http://127.0.0.1:{port}"))
            for client in started.__dict__.keys() & {"s3", "dynamodb", "logs"}:
                getattr(started, client).close()
        finally:
            process.kill()


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """Yields the server of the session, which is started when the first test needs it."""
    with serving() as started:
        yield started


@pytest.fixture
def aws(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """Yields the server of the session, with environment variables that make boto3 call it."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return server
