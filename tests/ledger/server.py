"""S3 and DynamoDB for tests: one local server for a test session, on loopback, with a new bucket or table for each use.

docs/adr/0010-ministack-serves-s3-and-dynamodb.md says why this one; test_linearizability.py checks it before anything
relies on it.
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
    """A running server at `url`. Buckets and tables that it makes have names that nobody else was given."""

    url: str
    names = count(1)

    @property
    def environment(self) -> dict[str, str]:
        """What makes boto3 talk to it by itself, for ledgers only."""
        keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        return keys | {f"AWS_ENDPOINT_URL_{service}": self.url for service in ("S3", "DYNAMODB")}

    @cached_property
    def s3(self) -> Any:
        """A client of its S3."""
        return self._client("s3")

    @cached_property
    def dynamodb(self) -> Any:
        """A client of its DynamoDB."""
        return self._client("dynamodb")

    @cached_property
    def logs(self) -> Any:
        """A client of its CloudWatch Logs."""
        return self._client("logs")

    def bucket(self, region: str = REGION) -> str:
        """A new, empty bucket."""
        name = f"ledger-{next(self.names)}"
        self.s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": region})
        return name

    def table(self, keys: list[tuple[str, str, str]] | None = None) -> str:
        """A new, empty table with a ledger's keys, or with others."""
        name = f"ledger-{next(self.names)}"
        self.dynamodb.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": k, "AttributeType": kind} for k, _, kind in keys or KEYS],
            KeySchema=[{"AttributeName": k, "KeyType": role} for k, role, _ in keys or KEYS],
        )
        return name

    def address(self, scheme: str) -> str:
        """A ledger's address in a new bucket or table."""
        return f"s3://{self.bucket()}/ledgers" if scheme == "s3" else f"dynamodb://{self.table()}"

    def _client(self, service: str) -> Any:
        import boto3

        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.session.Session(region_name=REGION, **keys).client(service, endpoint_url=self.url)


@contextmanager
def serving() -> Iterator[Server]:
    """A server of its own, up when the block begins, killed at its end."""
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
    """The session's server, started when the first test asks for it."""
    with serving() as started:
        yield started


@pytest.fixture
def aws(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The session's server, and an environment in which boto3 finds it."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return server
