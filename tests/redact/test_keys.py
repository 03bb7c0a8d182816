"""Recognition of secrets by name."""

from __future__ import annotations

import subprocess
import sys

import pytest

from reconciler.redact.keys import harmless, secret_key, words


@pytest.mark.parametrize(
    "key",
    [
        "secret", "password", "passwd", "DB_PASS", "dbpass", "DB_PWD", "pwd", "passphrase", "token", "authToken",
        "GITHUB_TOKEN", "sessiontoken", "credential", "AWS_SHARED_CREDENTIALS", "access.key", "accessKey",
        "AWS_ACCESS_KEY_ID", "spark.hadoop.fs.s3a.access.key", "spark.hadoop.fs.s3a.secret.key", "apiKey", "API-KEY",
        "x_api_key", "privateKey", "private-key", "SSH_KEY", "fs.azure.account.key.acme.dfs.core.windows.net",
        "url.userinfo", "Authorization", "encryptionKey", "spark.ssl.keyPassword", "--db-password", "signing_key",
        "spark.hadoop.javax.jdo.option.ConnectionPassword", "spark.authenticate.secret",
    ],
)  # fmt: skip
def test_names_of_secrets(key):
    """Names that match Spark's redaction pattern or that other tools use for secrets, in each spelling."""
    assert secret_key(key)


@pytest.mark.parametrize(
    "key",
    [
        "clientToken", "reconciler:token", "tokenizer", "TOKENIZERS_PARALLELISM", "tokenize", "partitionKey",
        "spark.sql.shuffle.partitions", "primary_key", "keyword", "monkey", "bypass", "compass", "author", "stage",
        "entryPoint", "kmsKeyId",
        "passenger", "pipeline", "spark.executor.memory", "",
    ],
)  # fmt: skip
def test_names_of_other_things(key):
    """Identifiers, word counters and ordinary settings are not names of secrets."""
    assert not secret_key(key)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("max_tokens", 4096),
        ("tokens", "4096"),
        ("token.ttl", "3600s"),
        ("credentials.provider", "com.acme.A, com.acme.B"),
        ("passwordFile", "/run/secrets/db"),
        ("secretArn", "arn:aws:ecs:eu-west-1:1:x"),
        ("tokenUrl", "https://login.acme.example/oauth"),
        ("credential.endpoint", "169.254.170.2:80"),
        ("SECRET_NAME", "prod/db"),
        ("password", ""),
        ("password", True),
        ("password", "null"),
        ("password", "{{resolve:secretsmanager:db}}"),
        ("PWD", "/srv/dir"),
    ],
)
def test_harmless_values(key, value):
    """A reference, count, class, path or empty value is shown, so that people can review it."""
    assert secret_key(key)
    assert harmless(key, value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("password", "hunter2"),
        ("password", 12345),
        ("credentials.provider", "hunter2"),
        ("passwordFile", "hunter2"),
        ("tokenUrl", "hunter2"),
        ("min.io.password", "12345"),
        ("PWD", "hunter2"),
        ("password", "$ecret"),
        ("", "x"),
    ],
)
def test_values_that_may_be_secrets(key, value):
    """A value that does not match the last word of its name may be the secret itself."""
    assert not harmless(key, value)


def test_words_of_a_name():
    """Names are split at separators and at changes of case."""
    assert words("fs.s3a.secretKey") == ("fs", "s3a", "secret", "key")
    assert words("AWSSecretAccessKey") == ("aws", "secret", "access", "key")


def test_the_package_is_cheap_to_import():
    """Every module that logs imports it, so it imports neither pydantic nor deepdiff."""
    modules = ["escape", "keys", "logs", "request", "shapes", "text"]
    program = f"import sys, {', '.join(f'reconciler.redact.{module}' for module in modules)}\n"
    program += "sys.exit(any(name in sys.modules for name in ('pydantic', 'deepdiff', 'yaml', 'click')))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
