"""Secrets in arguments of programs whose manual is not known, and in the text of files and code."""

from __future__ import annotations

import base64

import pytest

from reconciler.redact.request import masked
from reconciler.redact.text import mask_text
from tests.campaigns import in_one_test

SECRET = "Zk7hunter2Qx"
HIDDEN = [
    ["PASSWORD", SECRET],
    ["PASSWORD", "swordfish"],
    ["DB_PASSWORD", SECRET],
    ["API_KEY", SECRET],
    ["password", SECRET],
    ["spark.db.password", SECRET],
    ["--arg", "password", SECRET],
    [f"--pass:{SECRET}"],
    [f"--password:{SECRET}"],
    [f"-password:{SECRET}"],
    [f"/password:{SECRET}"],
    [f"password:{SECRET}"],
    [f"--conf=spark.x.password:{SECRET}"],
    ["--conf", f"spark.x.password {SECRET}"],
    ["--ssl.keystore.password", SECRET],
    ["-p", SECRET],
    [f"-p{SECRET}"],
    ["-u", "bob", "-p", "swordfish"],
    ["-u", f"bob:{SECRET}"],
    ["--user", f"bob:{SECRET}"],
    ["--auth", SECRET],
    [f"<password>{SECRET}</password>"],
    [f"<property><name>db.password</name><value>{SECRET}</value></property>"],
    [f'<add key="Password" value="{SECRET}"/>'],
    [f"ParameterKey=DbPassword,ParameterValue={SECRET}"],
    [f"os.environ['DB_PASSWORD'] = '{SECRET}'"],
    [f'conf.set("spark.x.password", "{SECRET}")'],
    ["STRIPE_KEY", SECRET],
    ["--otp", SECRET],
    [base64.b64encode(f'{{"password": "{SECRET}"}}'.encode()).decode()],
]
SHOWN = [
    ["--passes", "3"],
    ["--tokenizer", "bert"],
    ["--partition-key", "customer_id"],
    ["--secretary", "Ann"],
    ["--columns", "user", "password", "email"],
    ["--columns", "PASSWORD", "EMAIL"],
    ["--drop", "password", "--keep", "name"],
    ["PASSWORD_RESETS", "s3://acme/resets"],
    ["--stage", "token", "2026-01-01"],
    ["--filter", "type:token"],
    ["--field", "password:string"],
    ["--schema", "id:int,password:string,token:string"],
    ["token:bpe", "secret:false", "pass:1"],
    ["arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod/db-Ab12Cd"],
    ["-p", "8080:80"],
    ["-p", "/tmp/Data2026Xy"],
    ["-p", "2026-01-01"],
    ["-u", "bob", "-p", "5432"],
    ["--user", "1000:1000"],
    ["--auth", "SCRAM-SHA-512"],
    ["--class", "com.acme.TokenJob", "--name", "x"],
    ["--encryption-key-arn", "alias/orders"],
    ["TOKEN_TABLE", "auth.tokens"],
    ["OLDPWD", "/app"],
    ["--token", "$TOKEN"],
    ["password", "${var.password}"],
    [base64.b64encode(b"an ordinary text in base64, without names").decode()],
]


@in_one_test("arguments", HIDDEN, ids=" ".join)
def test_secrets_are_hidden(arguments: list[str]):
    """The secret is hidden, and the arguments around it are shown."""
    shown = masked({"command": ["x.py", "--day", "2026-01-01", *arguments, "--to", "s3://acme/out"]})["command"]
    text = " ".join(shown)
    assert "(sensitive)" in text
    assert SECRET not in text
    assert "swordfish" not in text
    assert (shown[:3], shown[-2:]) == (["x.py", "--day", "2026-01-01"], ["--to", "s3://acme/out"])


@in_one_test("arguments", SHOWN, ids=" ".join)
def test_ordinary_values_are_shown(arguments: list[str]):
    """People must be able to review them, in a list and in a text."""
    request = {"command": ["x.py", *arguments, "--to", "s3://acme/out"]}
    assert masked(request) == request
    assert mask_text(" ".join(request["command"])) == " ".join(request["command"])


@pytest.mark.parametrize(
    "text",
    [
        f"x.py -u bob -p {SECRET}",
        f"run PASSWORD {SECRET} --to x",
        f"login token:{SECRET}",
        f"spark.hadoop.x.password   {SECRET}",
    ],
)
def test_secrets_in_command_lines_are_hidden(text: str):
    """In a text, a value after a name without dashes is hidden if it looks random."""
    assert SECRET not in mask_text(text)


@in_one_test(
    "text",
    [
        "the security token included in the request is invalid",
        "client token                   r1-ae9a6b09d61dfa31387bb01be18c741403a3d22ff4be353c",
        "CREATE TABLE users (password VARCHAR(64), token STRING)",
        "see docs/secrets.md for passwords",
        "spec.request.password must have at least 8 characters",
    ],
)
def test_sentences_are_shown(text: str):
    """A word after the name of a secret is not a secret."""
    assert mask_text(text) == text
