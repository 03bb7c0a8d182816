"""Tests how text and log records are masked."""

from __future__ import annotations

import io
import logging
import time
import timeit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.cli.output import Masking
from reconciler.redact.text import SENSITIVE, mask_sentence, mask_text
from tests.campaigns import in_one_test

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
KEY_BLOCK = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\nabc\n-----END RSA PRIVATE KEY-----"

HIDDEN = [
    ("password: hunter2", "password: (sensitive)"),
    ("  - password: 'hunter2 and more'", "  - password: (sensitive)"),
    ("db.password=hunter2", "db.password=(sensitive)"),
    ("--password hunter2 --user ops", "--password (sensitive) --user ops"),
    ("--password=hunter2 --user ops", "--password=(sensitive) --user ops"),
    ('--password "two words" --user ops', "--password (sensitive) --user ops"),
    ("-Dpassword=hunter2 -Dfoo=bar", "-Dpassword=(sensitive) -Dfoo=bar"),
    ("--conf spark.x.password=a=b --conf spark.y=1", "--conf spark.x.password=(sensitive) --conf spark.y=1"),
    ("--hiveconf javax.jdo.option.ConnectionPassword=x", "--hiveconf javax.jdo.option.ConnectionPassword=(sensitive)"),
    ("PGPASSWORD='a b' psql -h db", "PGPASSWORD=(sensitive) psql -h db"),
    ("PGPASSWORD=a'b c'd psql", "PGPASSWORD=(sensitive) c'd psql"),
    ('sh -c "mysql --password=hunter2" now', 'sh -c "mysql --password=(sensitive)" now'),
    ('{"db": {"password": "a\\"b", "user": "u"}}', '{"db": {"password": (sensitive), "user": "u"}}'),
    ('"{\\"password\\": \\"hunter2\\", \\"b\\": 2}"', '"{\\"password\\": (sensitive), \\"b\\": 2}"'),
    ('args: ["--user", "u", "--password", "hunter2"]', 'args: ["--user", "u", "--password", (sensitive)]'),
    ("args: [--password, hunter2, --user, u]", "args: [--password, (sensitive), --user, u]"),
    ("- {name: DB_PASSWORD, value: hunter2}", "- {name: DB_PASSWORD, value: (sensitive)}"),
    ('{"name": "DB_PASSWORD", "value": "hunter2"}', '{"name": "DB_PASSWORD", "value": (sensitive)}'),
    ("jdbc:postgresql://h/db?user=u&password=p;q&ssl=true", "jdbc:postgresql://h/db?user=u&password=(sensitive)&ssl=true"),
    ("jdbc:oracle:thin:scott/tiger@//h:1521/x", "jdbc:oracle:thin:scott/(sensitive)@//h:1521/x"),
    ("https://user:pa@ss@host/x", "https://user:(sensitive)@host/x"),
    ("redis://:pa/ss@host:6379", "redis://:(sensitive)@host:6379"),
    ("https://0123456789abcdef0123@github.com/a/b", "https://(sensitive)@github.com/a/b"),
    ("AccountKey=abc==;EndpointSuffix=core", "AccountKey=(sensitive);EndpointSuffix=core"),
    ("https://b.s3.amazonaws.com/k?X-Amz-Signature=abc&x=1", "https://b.s3.amazonaws.com/k?X-Amz-Signature=(sensitive)&x=1"),
    ("id AKIAIOSFODNN7EXAMPLE here", "id (sensitive) here"),
    (
        "ASIAIOSFODNN7EXAMPLE wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "(sensitive) (sensitive)",
    ),
    (f"token {JWT}.", "token (sensitive)."),
    ("Authorization: Bearer abcdef0123456789", "Authorization: (sensitive)"),
    ("curl -H 'Authorization: Bearer SECRETVALUE' https://x", "curl -H 'Authorization: (sensitive)' https://x"),
    ("curl -H 'Authorization: Basic abc=' https://x", "curl -H 'Authorization: (sensitive)' https://x"),
    ("curl -H 'Proxy-Authorization: Basic abc=' https://x", "curl -H 'Proxy-Authorization: (sensitive)' https://x"),
    ("curl -H 'Authorization:Custom v1' y", "curl -H 'Authorization:(sensitive)' y"),
    ("curl -H 'X-Api-Key: v' https://x", "curl -H 'X-Api-Key: (sensitive)' https://x"),
    ("curl -H 'X-Api-Key:v' https://x", "curl -H 'X-Api-Key:(sensitive)' https://x"),
    ('["-H", "Authorization: Bearer S"]', '["-H", "Authorization: (sensitive)"]'),
    ('- "Authorization: Bearer S"', '- "Authorization: (sensitive)"'),
    ("run HTTP_AUTHORIZATION='Basic abc=' x", "run HTTP_AUTHORIZATION=(sensitive) x"),
    ('x Authorization: Digest username="u", response="v" y', "x Authorization: (sensitive) y"),
    ("say Bearer SECRETVA now", "say Bearer (sensitive) now"),
    ("curl -H 'Bearer abcdef0123456789'", "curl -H 'Bearer (sensitive)'"),
    ("ghp_" + "a1B2" * 9, "(sensitive)"),
    ("xoxb-123456789012-abcdef", "(sensitive)"),
    (f"x\n{KEY_BLOCK}\ny", "x\n(sensitive)\ny"),
    ("MIIEpAIBAAKCAQEA7v3kKq0m9pQ1xWc5b2N8u4ZsT6yR0hJdLfGgVnBzXaCeYtUq", "(sensitive)"),
    ("CREATE USER u IDENTIFIED BY 'x y'", "CREATE USER u IDENTIFIED BY (sensitive)"),
    ("ALTER USER u IDENTIFIED BY x;", "ALTER USER u IDENTIFIED BY (sensitive);"),
    ("COPY t FROM 's3://b/k' SECRET_ACCESS_KEY 'x'", "COPY t FROM 's3://b/k' SECRET_ACCESS_KEY (sensitive)"),
    ('my_password := "x y"', "my_password := (sensitive)"),
    ("password   =>   'x y', a", "password   =>   (sensitive), a"),
    ("sasl.jaas.config=x required password=\"a b\";", "sasl.jaas.config=x required password=(sensitive);"),
    ("url.userinfo=ab:c", "url.userinfo=(sensitive)"),
]  # fmt: skip

SHOWN = [
    "curl -H 'Authorization: Bearer $TOKEN' https://x",
    "Authorization: Bearer ${TOKEN}",
    "clientToken: 0000-1111",
    "clientToken=0000-1111",
    "reconciler:token=r1-abc",
    "reconciler:token: r1-abc",
    "--max-tokens 4096",
    "maxTokens=4096",
    "--tokenizer bert --tokenize",
    "TOKENIZERS_PARALLELISM=off",
    "spark.sql.shuffle.partitions=200",
    "spark.hadoop.fs.s3a.aws.credentials.provider=com.amazonaws.auth.DefaultAWSCredentialsProviderChain",
    "spark.hadoop.hive.metastore.client.factory.class=com.amazonaws.glue.Factory",
    "spark.hadoop.javax.jdo.option.ConnectionPassword=EMR.secret@hive",
    "--password Ref::password",
    "DB_PASSWORD=$DB_PASSWORD run",
    "password: ${var.password}",
    "secretArn: arn:aws:secretsmanager:eu-west-1:111122223333:secret:db-AbCdEf",
    "--password-file /run/secrets/db",
    "--use-token --verbose",
    "password: |",
    "partitionKey=day",
    "http://host:8080/path@v1",
    "s3://bucket/a:b/c@d",
    "commit 3f2a9c1d3f2a9c1d3f2a9c1d3f2a9c1d3f2a9c1d",
    "sha256:" + "0f" * 32,
    "bypass=1 compass=2",
    "the user that is identified by its id",
]


@in_one_test(("text", "expected"), HIDDEN, ids=[text[:40] for text, _ in HIDDEN])
def test_secrets_are_hidden(text, expected):
    """Anything that looks like a secret, by its name or its form, is replaced; the text around it is kept."""
    assert expected == mask_text(text)


@in_one_test("text", SHOWN)
def test_harmless_text_is_shown(text):
    """Identifiers, counts, class names, references and addresses are shown, whatever their name is."""
    assert text == mask_text(text)


@in_one_test("text", [text for text, _ in HIDDEN] + SHOWN)
def test_masking_twice_changes_nothing(text):
    """Masked text may be masked again, as the log filter does."""
    once = mask_text(text)
    assert once == mask_text(once)


def test_a_sentence_keeps_text_after_a_colon():
    """In our own messages, a colon follows the name of a field, so only forms and assignments are masked."""
    assert mask_sentence("spec.request.password: unknown field") == "spec.request.password: unknown field"
    assert mask_sentence("ValidationException: password=hunter2") == "ValidationException: password=(sensitive)"


@given(
    before=st.sampled_from(["", "x ", "--user u ", "a=b ", "sh -c '", '["', '{"a": 1, "']),
    key=st.sampled_from(["password", "db.password", "AWS_SECRET_ACCESS_KEY", "api-key", "sessionToken", "credential"]),
    separator=st.sampled_from(["=", " = ", ": "]),
    after=st.sampled_from(["", " --next", "' end", '"]', ", b: c", ";x=y", "&x=y"]),
    secret=st.text(alphabet="abcXYZ0129!#$%^*+-_/.~", min_size=6, max_size=30).map(lambda s: "q7" + s),
)
def test_a_value_after_a_secret_name_is_always_masked(before, key, separator, after, secret):
    """The value of an assignment is masked, whatever surrounds it."""
    assert secret not in mask_text(before + key + separator + secret + after)


@given(st.text())
def test_any_text_can_be_masked(text):
    """Masking accepts any text, and adds nothing but marks."""
    assert len(mask_text(text)) <= len(text) + len(SENSITIVE) * (1 + text.count("\n") + len(text) // 2)


REPEATED = [
    "a-", "--", "a=b;", "x", "password=", '"a', "secret ", "://a:", "https://a", "eyJ", 'token "', "{", "`", "$(", "${",
    "curl -u a:", "curl -u ${", "curl `", "curl \\\n", "curl -s", "mysql -p'", "docker login -p ", "echo x | kinit ",
    "kinit <<< ", "vault login ", "aws configure set token ", "--password $(", "machine a login b password ",
    "cookie:a=", "a@tcp(", "SG.a.", "glpat-", "$2a$", "abc8Q~", "1:AA", "==",
    "----BEGIN A", "-----BEGIN PRIVATE KEY-----",
]  # fmt: skip


@in_one_test("piece", REPEATED)
def test_long_texts_are_masked_in_linear_time(piece):
    """Masking four times as much text takes about four times the CPU time, whatever the text repeats; sixteen times
    would be quadratic."""
    short, long = (piece * (size // len(piece)) for size in (8_000, 32_000))
    # Other processes can only make a measurement longer, so one good pair is enough.
    assert any(_seconds(long) < 10 * _seconds(short) for _ in range(10))


def _seconds(text: str) -> float:
    """Returns the CPU time of masking a text."""
    return timeit.timeit(lambda: mask_text(text), timer=time.process_time, number=1)


@pytest.fixture
def log():
    """Contains a logger with the filter, and the stream that it writes to."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(Masking(tracebacks=True))
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
    """A message that does not match its arguments is still written, with secrets masked."""
    logger, stream = log
    logger.warning("two %s %s", "password=hunter2")  # noqa: PLE1206 - the mistake is the case
    assert stream.getvalue() == "two %s %s ('password=(sensitive)',)\n"
