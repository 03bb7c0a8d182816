"""Tests how secrets are recognized by their name and their form."""

from __future__ import annotations

import subprocess
import sys

from reconciler.redact.shapes import harmless, secret_key, words
from reconciler.redact.text import mask_text
from tests.campaigns import in_one_test


@in_one_test(
    "key",
    [
        "secret", "password", "passwd", "DB_PASS", "dbpass", "DB_PWD", "pwd", "passphrase", "token", "authToken",
        "GITHUB_TOKEN", "sessiontoken", "credential", "AWS_SHARED_CREDENTIALS", "access.key", "accessKey",
        "AWS_ACCESS_KEY_ID", "spark.hadoop.fs.s3a.access.key", "spark.hadoop.fs.s3a.secret.key", "apiKey", "API-KEY",
        "x_api_key", "privateKey", "private-key", "SSH_KEY", "fs.azure.account.key.acme.dfs.core.windows.net",
        "url.userinfo", "Authorization", "encryptionKey", "spark.ssl.keyPassword", "--db-password", "signing_key",
        "spark.hadoop.javax.jdo.option.ConnectionPassword", "spark.authenticate.secret",
        "DB_PW", "pw", "registry-creds", "AIRFLOW__CORE__FERNET_KEY", "REDISCLI_AUTH", "GITHUB_PAT", "auths",
        "DD_APP_KEY", "REDIS_AUTH", "TLS_KEY", "GPG_KEY", "vault.unsealKey", "LDAP_BINDPW", "SENDGRID_KEY",
    ],
)  # fmt: skip
def test_names_of_secrets(key):
    """These names match Spark's redaction pattern, or are used for secrets by other tools, in each spelling."""
    assert secret_key(key)


@in_one_test(
    "key",
    [
        "clientToken", "reconciler:token", "tokenizer", "TOKENIZERS_PARALLELISM", "tokenize", "partitionKey",
        "spark.sql.shuffle.partitions", "primary_key", "keyword", "monkey", "bypass", "compass", "author", "stage",
        "entryPoint", "kmsKeyId", "ExpiredTokenException", "ExpiredToken", "InvalidClientTokenId",
        "passenger", "pipeline", "path", "compat", "StrictHostKeyChecking", "GCP_AUTH_MODE", "power", "pwm", "credit",
        "spark.executor.memory", "session_key", "spark.app.keyspace", "encKeyspace", "",
    ],
)  # fmt: skip
def test_names_of_other_things(key):
    """Identifiers, counts of words and ordinary settings are not names of secrets."""
    assert not secret_key(key)


@in_one_test(
    ("key", "value"),
    [
        ("max_tokens", 4096),
        ("tokens", "4096"),
        ("token.ttl", "3600s"),
        ("credentials.provider", "com.acme.A, com.acme.B"),
        ("passwordFile", "/run/secrets/db"),
        ("passwordFile", "db.txt"),
        ("password-stdin", "registry.acme.example"),
        ("secretId", "prod/db"),
        ("sshKey", "/home/app/.ssh/id_rsa"),
        ("private-key", "certs/../client.pem"),
        ("password", "$(cat /run/secrets/db)"),
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
    """A reference, count, class name, path or empty value is shown, so that it can be reviewed."""
    assert secret_key(key)
    assert harmless(key, value)


@in_one_test(
    ("key", "value"),
    [
        ("password", "hunter2"),
        ("password", 12345),
        ("credentials.provider", "hunter2"),
        ("tokenUrl", "hunter2"),
        ("secretId", "3f2a9c1d-3f2a-9c1d-3f2a-9c1d3f2a9c1d"),
        ("privateKey", "/AbC/0123/dEf"),
        ("min.io.password", "12345"),
        ("PWD", "hunter2"),
        ("password", "$ecret"),
        ("", "x"),
    ],
)
def test_values_that_may_be_secrets(key, value):
    """A value that does not fit the last word of its name may be a secret."""
    assert not harmless(key, value)


def test_words_of_a_name():
    """Names are split at separators and at changes of case."""
    assert words("fs.s3a.secretKey") == ("fs", "s3a", "secret", "key")
    assert words("AWSSecretAccessKey") == ("aws", "secret", "access", "key")


def test_the_package_is_cheap_to_import():
    """Every module that logs imports this package, so it imports neither pydantic nor deepdiff."""
    modules = ["commands", "escape", "request", "shapes", "text"]
    program = f"import sys, {', '.join(f'reconciler.redact.{module}' for module in modules)}\n"
    program += "sys.exit(any(name in sys.modules for name in ('pydantic', 'deepdiff', 'yaml', 'click')))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def characters(length: int, alphabet: str = "a1B2c3D4e5F6g7H8i9J0kLmNoPqRsTuVwXyZ") -> str:
    """Returns this many characters of a token. They are generated, because otherwise secret scanners would report the
    samples below."""
    return (alphabet * (length // len(alphabet) + 1))[:length]


HEX, UPPER, LOWER = "0a1b2c3d4e5f6789", "A1B2C3D4E5F6G7H8", "a1b2c3d4e5f6g7h8"

TOKENS = {
    "Hugging Face": "hf_" + characters(34, "aBcDeFgHiJkLmN"),
    "Hugging Face, lower case": "hf_" + characters(34, "abcdefghijklmn"),
    "Hugging Face organisation": "api_org_" + characters(34, "aBcDeFgHiJkLmN"),
    "Vault service": "hvs." + characters(95),
    "Vault service, short": "hvs." + characters(24),
    "Vault batch": "hvb." + characters(140),
    "Vault before 1.10": "s." + characters(24),
    "Docker Hub": "dckr_pat_" + characters(27),
    "Docker organisation": "dckr_oat_" + characters(32),
    "SendGrid": f"SG.{characters(22)}.{characters(43)}",
    "GitHub": "ghp_" + characters(36),
    "GitHub OAuth": "gho_" + characters(36),
    "GitHub server": "ghs_" + characters(36),
    "GitHub refresh": "ghr_" + characters(36),
    "GitHub fine-grained": f"github_pat_{characters(22)}_{characters(59)}",
    "GitLab": "glpat-" + characters(20),
    "GitLab routable": f"glpat-{characters(27)}.01.{characters(9, LOWER)}",
    "GitLab runner": "glrt-t1_" + characters(20),
    "GitLab runner registration": "GR1348941" + characters(20),
    "GitLab deploy": "gldt-" + characters(20),
    "GitLab job": "glcbt-64_" + characters(20),
    "GitLab trigger": "glptt-" + characters(40, HEX),
    "GitLab feed": "glft-" + characters(20),
    "GitLab mail": "glimt-" + characters(25),
    "GitLab agent": "glagent-" + characters(50),
    "GitLab OAuth": "gloas-" + characters(64),
    "GitLab SCIM": "glsoat-" + characters(20),
    "GitLab feature flags": "glffct-" + characters(20),
    "Slack bot": f"xoxb-123456789012-123456789012-{characters(24)}",
    "Slack user": f"xoxp-123456789012-123456789012-123456789012-{characters(32, HEX)}",
    "Slack app": f"xapp-1-{characters(11, UPPER)}-1234567890123-{characters(64, HEX)}",
    "Slack rotated": f"xoxe.xoxp-1-{characters(163, UPPER)}",
    "npm": "npm_" + characters(36),
    "PyPI": "pypi-AgEIcHlwaS5vcmcC" + characters(120),
    "RubyGems": "rubygems_" + characters(48, HEX),
    "crates.io": "cio" + characters(32),
    "NuGet": "oy2" + characters(43, LOWER),
    "OpenAI": "sk-" + characters(48),
    "OpenAI project": "sk-proj-" + characters(120),
    "Anthropic": f"sk-ant-api03-{characters(93)}AA",
    "Groq": "gsk_" + characters(52),
    "xAI": "xai-" + characters(80),
    "Replicate": "r8_" + characters(37),
    "Nvidia": "nvapi-" + characters(64),
    "Stripe": "sk_live_" + characters(24),
    "Stripe restricted": "rk_test_" + characters(99),
    "Twilio": "SK" + characters(32, HEX),
    "AWS access key": "AKIA" + characters(16, "A2B3C4D5E6F7G7H2"),
    "AWS temporary key": "ASIA" + characters(16, "A2B3C4D5E6F7G7H2"),
    "AWS session": "IQoJb3JpZ2luX2Vj" + characters(300),
    "Bedrock": "ABSK" + characters(120),
    "Google API": "AIza" + characters(35),
    "Google OAuth": "ya29.a0" + characters(60),
    "Google client": "GOCSPX-" + characters(28),
    "Azure storage": characters(86) + "==",
    "Microsoft Entra": "abc8Q~" + characters(34),
    "Azure DevOps": characters(76) + "AZDOa1B2",
    "Databricks": "dapi" + characters(32, HEX),
    "Databricks, second": f"dapi{characters(32, HEX)}-2",
    "DigitalOcean": "dop_v1_" + characters(64, HEX),
    "Terraform": f"{characters(14)}.atlasv1.{characters(67)}",
    "Pulumi": "pul-" + characters(40, HEX),
    "Heroku": "HRKU-AA" + characters(58),
    "Tailscale": f"tskey-auth-{characters(12)}-{characters(32)}",
    "Doppler": "dp.pt." + characters(43),
    "Dynatrace": f"dt0c01.{characters(24, UPPER)}.{characters(64, UPPER)}",
    "Grafana": f"glsa_{characters(32)}_{characters(8, HEX)}",
    "Grafana Cloud": "glc_" + characters(100),
    "New Relic": "NRAK-" + characters(27, UPPER),
    "Sentry": "sntryu_" + characters(64, HEX),
    "SonarQube": "squ_" + characters(40, HEX),
    "Artifactory": "AKCp" + characters(69),
    "Atlassian": "ATATT3xFfGF0" + characters(180),
    "Postman": f"PMAK-{characters(24, HEX)}-{characters(34, HEX)}",
    "Linear": "lin_api_" + characters(40),
    "Notion": "ntn_" + characters(46),
    "Figma": "figd_" + characters(40),
    "Shopify": "shpat_" + characters(32, HEX),
    "Square": "sq0atp-" + characters(22),
    "Airtable": f"pat{characters(14)}.{characters(64, HEX)}",
    "PlanetScale": "pscale_tkn_" + characters(43),
    "Supabase": "sbp_" + characters(40, HEX),
    "Prefect": "pnu_" + characters(36),
    "1Password": "ops_eyJ" + characters(250),
    "age": "AGE-SECRET-KEY-1" + characters(58, UPPER),
    "Telegram": f"123456789:AA{characters(33)}",
    "JWT": f"eyJ{characters(30)}.eyJ{characters(40)}.{characters(43)}",
    "bcrypt": f"$2b$12${characters(53)}",
    "sha512-crypt": f"$6${characters(8)}${characters(86)}",
}  # fmt: skip


@in_one_test("token", TOKENS.values(), ids=TOKENS)
@in_one_test("around", ["{}", "run --x={} --y", '{{"x": "{}"}}', "export X='{}'; run", "a,{},b", "see {}."])
def test_tokens_of_providers(token, around):
    """A token in a provider's format is masked, whatever its name and the surrounding text are."""
    masked = mask_text(around.format(token))
    assert masked.rstrip(".") == around.format("(sensitive)").rstrip(".")


@in_one_test(
    ("url", "expected"),
    [
        ("https://x@host/a", "https://(sensitive)@host/a"),
        ("git+https://x@host/a", "git+https://(sensitive)@host/a"),
        ("https://user:pass@host", "https://user:(sensitive)@host"),
        ("https://oauth2:t@gitlab.com/a", "https://oauth2:(sensitive)@gitlab.com/a"),
        ("redis://:pw@host", "redis://:(sensitive)@host"),
        ("amqp://u:p@host:5672/%2f", "amqp://u:(sensitive)@host:5672/%2f"),
        ("mongodb+srv://u:p@host/db", "mongodb+srv://u:(sensitive)@host/db"),
        ("u:p@tcp(host:3306)/db", "u:(sensitive)@tcp(host:3306)/db"),
        ("jdbc:mysql://h/db?user=u&password=p", "jdbc:mysql://h/db?user=u&password=(sensitive)"),
        ("jdbc:sqlserver://h;user=u;password=p;x=y", "jdbc:sqlserver://h;user=u;password=(sensitive);x=y"),
        ("https://hooks.slack.com/services/T0/B0/x1", "https://hooks.slack.com/services/(sensitive)"),
        ("https://hooks.slack.com/workflows/T0/A0/1/x", "https://hooks.slack.com/workflows/(sensitive)"),
        ("https://discord.com/api/webhooks/123/a-b", "https://discord.com/api/webhooks/123/(sensitive)"),
        ("https://a.webhook.office.com/webhookb2/a@b/c", "https://a.webhook.office.com/webhookb2/(sensitive)"),
        ("https://api.telegram.org/bot123456789:AA" + "b" * 33 + "/x", "https://api.telegram.org/bot(sensitive)/x"),
        ("https://a.blob.core.windows.net/c?sv=1&sig=a%2Fb", "https://a.blob.core.windows.net/c?sv=1&sig=(sensitive)"),
        ("machine h login u password p", "machine h login u password (sensitive)"),
        ("//r.io/:_authToken=x", "//r.io/:_authToken=(sensitive)"),
        ("Cookie: a=b; c=d", "Cookie: (sensitive)"),
        ("---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nabc", "(sensitive)"),
        ("PuTTY-User-Key-File-2: ssh-rsa\nabc", "(sensitive)"),
    ],
)  # fmt: skip
def test_secrets_in_addresses_and_files(url, expected):
    """The secret part of a URL, a connection string, a webhook address or a key file is masked, and the rest is
    shown."""
    assert mask_text(url) == expected
    assert mask_text(expected) == expected


@in_one_test(
    "text",
    [
        "https://$TOKEN@host/a", "https://${TOKEN}@host", "https://user:$PASS@host", "https://u:${PASS}@host",
        "https://u:<password>@host", "https://u:***@host", "ssh://git@host/r", "git@github.com:o/r.git", "user@host",
        "https://git@github.com/o/r", "me@acme.example", "abfss://container@account.dfs.core.windows.net/x",
        "https://host:8080/a@b", "https://host/?mail=a@b", "https://medium.com/@user", "s3://bucket/x@y",
        "registry.io/image@sha256:" + "0a" * 32, "111122223333.dkr.ecr.eu-west-1.amazonaws.com/jobs:1.2.3",
        "commit " + "0a1b" * 10, "arn:aws:iam::111122223333:role/emr-jobs",
        "arn:aws:secretsmanager:eu-west-1:111122223333:secret:db-AbCdEf", "${var.secret}", "00f1abcdefgh0001",
        "sha512-" + "aB3+" * 21 + "aB==", "s3://bucket/sk-learn/task-1/hf_cache/npm_modules/SG.parquet",
        "sk-learn-training-pipeline-production", "hf_transformers_small", "glue-catalog",
        "pypi-mirror-internal-production",
        "s.sparkContext", "task_id=pat.1", "com.acme.jobs.Main", "spark.sql.adaptive.enabled=true",
        "s3://b/0a1b2c3d-4e5f-6789-0a1b-2c3d4e5f6789/part-00000.snappy.parquet", "eyJ", "price is $5 or $6 a day",
    ],
)  # fmt: skip
def test_ordinary_texts_are_shown(text):
    """Addresses, digests, commits, ARNs, references, and words that start like a token are shown."""
    assert mask_text(text) == text
