"""Requests with a different secret in each usual position; some are recognisable by their name, others by their
form."""

from __future__ import annotations

import base64
import json
from typing import Any


class Canaries:
    """Creates secrets, all different, and keeps a list of them."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def word(self) -> str:
        """Returns a password that can be recognised only by the name next to it."""
        return self._listed(f"q7Canary{len(self.made):03}x8Zw")

    def jwt(self) -> str:
        """Returns a JSON Web Token."""
        head = base64.urlsafe_b64encode(b'{"alg":"HS256"}').decode().rstrip("=")
        return f"{head}.{head}.{self._listed(f'sigCanary{len(self.made):03}abcdefgh')}"

    def key_pair(self) -> str:
        """Returns an AWS key id and its secret key."""
        secret = self._listed(f"Canary{len(self.made):03}/abcdefghij0123456789ABCDEFGHIJK"[:40].ljust(40, "Z"))
        return f"AKIAIOSFODNN7EXAMPLE {secret}"

    def private_key(self) -> str:
        """Returns a private key with several lines."""
        body = self._listed(f"MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDCanary{len(self.made):03}")
        return f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----"

    def url(self) -> str:
        """Returns a URL with a password."""
        return f"postgresql://etl:{self.word()}@db.internal:5432/orders"

    def _listed(self, secret: str) -> str:
        self.made.append(secret)
        return secret

    def found_in(self, text: str) -> list[str]:
        """Returns the secrets that a text contains."""
        return [secret for secret in self.made if secret in text]


def environment(made: Canaries) -> list[dict[str, str]]:
    """Returns environment variables with secrets that are recognisable by name or by form."""
    values = {
        "DB_PASSWORD": made.word(),
        "API_KEY": made.word(),
        "GITHUB_TOKEN": made.word(),
        "DATABASE_URL": made.url(),
        "SESSION": made.jwt(),
        "PEM": made.private_key(),
        "CREDENTIALS": json.dumps({"user": "etl", "password": made.word()}),
        "AUTH": f"Authorization: Bearer {made.word()}",
        "STAGE": "prod",
    }
    return [{"name": name, "value": value} for name, value in values.items()]


def arguments(made: Canaries) -> list[str]:
    """Returns arguments with secrets."""
    return [
        "--day", "2026-11-21", "--password", made.word(), f"--db-token={made.word()}", f"-Dapi.secret={made.word()}",
        "--header", f"Authorization: Basic {made.word()}", "--url", made.url(), "--jwt", made.jwt(),
        "--keys", made.key_pair(), f"mysql --password={made.word()} -h db",
        f"curl -u etl:{made.word()} https://h; mysql -p{made.word()}; echo {made.word()} | kinit u",
        json.dumps({"client_secret": made.word()}),
    ]  # fmt: skip


def spark_request(made: Canaries) -> dict[str, Any]:
    """Returns a Spark run."""
    conf = f"--conf spark.hadoop.fs.s3a.secret.key={made.word()} --conf spark.app.url={made.url()}"
    properties = {
        "spark.hadoop.javax.jdo.option.ConnectionPassword": made.word(),
        "spark.emr-serverless.driverEnv.DB_PASSWORD": made.word(),
        "spark.sql.catalog.x.url": made.url(),
    }
    nested = [{"classification": "hive-site", "properties": {"javax.jdo.option.ConnectionPassword": made.word()}}]
    override = {"classification": "spark-defaults", "properties": properties, "configurations": nested}
    return {
        "applicationId": "00app0spark",
        "executionRoleArn": "arn:aws:iam::111122223333:role/jobs",
        "jobDriver": {
            "sparkSubmit": {
                "entryPoint": "s3://shop-jobs/a.py",
                "entryPointArguments": arguments(made),
                "sparkSubmitParameters": conf,
            }
        },
        "configurationOverrides": {"applicationConfiguration": [override]},
        "tags": {"db.password": made.word(), "team": "growth"},
    }


def hive_request(made: Canaries) -> dict[str, Any]:
    """Returns a Hive run."""
    query = f"CREATE USER etl IDENTIFIED BY '{made.word()}'"
    hive = {"query": query, "parameters": f"--hiveconf hive.server2.keystore.password={made.word()}"}
    return {
        "applicationId": "00app0hive",
        "executionRoleArn": "arn:aws:iam::111122223333:role/jobs",
        "jobDriver": {"hive": hive},
    }


def container_request(made: Canaries) -> dict[str, Any]:
    """Returns a job in one container."""
    return {
        "jobQueue": "nightly",
        "jobDefinition": "worker:1",
        "parameters": {"password": made.word(), "url": made.url(), "day": "2026-11-21"},
        "containerOverrides": {"command": arguments(made), "environment": environment(made)},
        "tags": {"api-key": made.word()},
    }


def nodes_request(made: Canaries) -> dict[str, Any]:
    """Returns a job on several nodes."""
    override = {"command": arguments(made), "environment": environment(made)}
    return {
        "jobQueue": "nightly",
        "jobDefinition": "nodes:1",
        "nodeOverrides": {"nodePropertyOverrides": [{"targetNodes": "0:", "containerOverrides": override}]},
    }


def pod_request(made: Canaries) -> dict[str, Any]:
    """Returns a job in a pod."""
    container = {"args": arguments(made), "env": environment(made)}
    return {
        "jobQueue": "nightly",
        "jobDefinition": "pods:1",
        "eksPropertiesOverride": {"podProperties": {"containers": [container]}},
    }


def task_request(made: Canaries) -> dict[str, Any]:
    """Returns a job of several containers."""
    container = {"name": "main", "command": arguments(made), "environment": environment(made)}
    return {
        "jobQueue": "nightly",
        "jobDefinition": "tasks:1",
        "ecsPropertiesOverride": {"taskProperties": [{"containers": [container]}]},
    }


def command_request(made: Canaries) -> dict[str, Any]:
    """Returns a job whose command is a program with a secret among its arguments."""
    command = [
        "curl",
        "-sSu",
        f"etl:{made.word()}",
        "-H",
        f"PRIVATE-TOKEN: {made.word()}",
        f"https://{made.word()}@host/x",
    ]
    return {"jobQueue": "nightly", "jobDefinition": "curl:1", "containerOverrides": {"command": command}}


REQUESTS = {
    "spark": ("EmrServerlessJobRun", spark_request),
    "hive": ("EmrServerlessJobRun", hive_request),
    "container": ("BatchJob", container_request),
    "nodes": ("BatchJob", nodes_request),
    "pod": ("BatchJob", pod_request),
    "task": ("BatchJob", task_request),
    "command": ("BatchJob", command_request),
}
"""The kind of each request, and the function that creates it."""


def documents(made: Canaries, *, revision: int = 1) -> dict[str, dict[str, Any]]:
    """Returns a spec for each request, keyed by name."""
    return {
        name: {
            "apiVersion": "reconciler/v1",
            "kind": kind,
            "metadata": {"name": name, "labels": {"team": "growth"}},
            "spec": {"revision": revision, "request": make(made)},
        }
        for name, (kind, make) in REQUESTS.items()
    }
