"""Detects secrets by the name of a value, or by its shape.

Masking too much is a risk too, because reviewers cannot review masked values. Therefore a value under a secret-looking
name is shown if it is clearly not a secret but, for example, a reference to a secret, a class name, a count or a path.

The shapes are from the providers' pages and from maintained rule sets, read in November 2026: gitleaks
(``config/gitleaks.toml``), detect-secrets (``detect_secrets/plugins``) and kingfisher (``data/rules``). The patterns
were written for this program and accept more lengths, so that older and newer tokens match. Rules for hexadecimal
numbers near a provider's name are left out, because commits, digests and ids look the same.
"""

import re
from collections.abc import Iterator
from functools import cache, lru_cache

# --- names ------------------------------------------------------------------------------------------------------------

NOT_SECRET = frozenset({
    "clienttoken", "reconciler:token", "expiredtoken", "expiredtokenexception", "invalidtoken", "invalidclienttokenid",
})  # fmt: skip
"""The names of reconciler's own tokens, which identify runs, and AWS's error codes, which precede a message."""

MAX_KEY = 300  # characters of a name that are examined


@cache
def _secret_words() -> re.Pattern[str]:
    """Returns the pattern of a secret's name, split into lower-case words: Spark's own redaction pattern (secret,
    password, token, access.key) and the names that other tools use."""
    return re.compile(
        r"secret(?!ar)|passw(?:or)?d|passphrase|passcode|passkey|credential|userinfo"
        r"|(?:^| )[a-z0-9]*tokens?(?: |$)"
        r"|(?:^| )(?:[a-z0-9]*pwd|(?!(?:by|com|sur|tres)pass)[a-z0-9]*pass|(?:db|pg|my|bind)?pw|pswd|creds?|auths"
        r"|authorization|bearer)(?: |$)"
        r"|(?:access|api|private|secret|encryption|decryption|signing|master|account|shared|storage|ssh|auth|license"
        r"|subscription|app|application|webhook|sas|fernet|aes|hmac|jwt|cipher|deploy|admin|customer|sse c|gpg"
        r"|pgp|tls|ssl|enc|crypt|unseal|recovery|wireguard|mailgun|sendgrid|algolia|firebase|honeycomb"
        r"|stripe|openai|anthropic|datadog|dd|twilio|pagerduty|opsgenie|gemini|cohere|hf|okta|snyk|mixpanel|segment"
        r") ?keys?(?: |$)"
        r"|(?:basic|http|proxy|redis|rediscli|registry|docker|smtp|npm) ?auth(?: |$)"
        r"|(?:github|gitlab|gh|gl|git|devops|ext|azure|ado|databricks|snowflake|jira) pat$"
        r"|(?:^| )(?:jwt|otp|totp|cookies?)$|sonar login$|shared access signature$"
    )


@cache
def _boundaries() -> re.Pattern[str]:
    """Returns the pattern of word boundaries in a name: separators, ``aB``, ``ABc``."""
    return re.compile(r"[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@lru_cache(maxsize=4096)
def words(key: str) -> tuple[str, ...]:
    """Splits a name into words: ``fs.s3a.secretKey`` → ``("fs", "s3a", "secret", "key")``."""
    return tuple(word.lower() for word in _boundaries().split(key[:MAX_KEY]) if word)


@lru_cache(maxsize=4096)
def secret_key(key: str) -> bool:
    """Returns whether the value of a field, variable, setting or option of this name is usually a secret."""
    return key.lower() not in NOT_SECRET and _secret_words().search(" ".join(words(key))) is not None


REFERENCE = (
    r"arn:aws[a-z-]*:(?:secretsmanager|ssm|kms|iam):\S*"
    r"|EMR\.secret@\S+|Ref::[A-Za-z_]\w*|\{\{resolve:[^}]*\}\}"
    r"|\$?\$\{[A-Za-z_][\w.:%-]*\}|\$[A-Z_][A-Z0-9_]*|\$\([^)\n]*\)|`[^`\n]+`"
)
"""Values that refer to a secret: ARNs, ``EMR.secret@NAME``, Batch's ``Ref::name``, ``{{resolve:…}}``, placeholders,
shell variables, and commands: ``$(cat file)``."""


@cache
def _reference() -> re.Pattern[str]:
    return re.compile(REFERENCE)


CLASS = r"[A-Za-z_$][\w$]*(?:\.[A-Za-z_$][\w$]*)+"
PATH = r"(?:(?:s3|s3a|s3n|hdfs|file|local|abfss|gs|https?)://|\.{0,2}/|~/)[^\s@?]*"
RELATIVE_PATH = rf"{PATH}|[\w.~+%-]+(?:/[\w.~+%=-]*)*"
NAME = r"[A-Za-z_][\w./-]*"
ANYTHING = r"[\s\S]*"
NAMED_THINGS = (
    "name", "user", "username", "column", "field", "header", "env", "store", "manager", "backend", "method", "policy",
    "scope", "alias", "algorithm", "table", "model", "dataset", "database", "schema", "topic", "region", "format",
)  # fmt: skip
PLAIN_BY_LAST_WORD = {
    "provider": CLASS + rf"(?:\s*,\s*{CLASS})*",
    "providers": CLASS + rf"(?:\s*,\s*{CLASS})*",
    "class": CLASS,
    "factory": CLASS,
    "impl": CLASS,
    "file": RELATIVE_PATH,
    "path": RELATIVE_PATH,
    "dir": RELATIVE_PATH,
    "location": PATH,
    "pass": r"(?:env|file|fd):\S+|stdin|\d",  # OpenSSL's sources of a password, the number of a pass
    "key": r"[\w./~+:-]*(?:\.(?:pem|key|p8|p12|pub|asc|der|crt|json)|/id_[a-z0-9]+)",
    "id": r"[A-Za-z]\w*(?:[/-][A-Za-z][\w.]*)+",  # a path such as prod/db; Vault's secret_id is a UUID
    "stdin": ANYTHING,
    "prompt": ANYTHING,
    "command": ANYTHING,
    "cmd": ANYTHING,
    "helper": ANYTHING,
    **dict.fromkeys(("pwd", "oldpwd"), r"\.{0,2}/\S*"),  # the working folder, as shells export it
    "arn": r"(?:arn:|alias/|mrk-)\S+|[0-9a-f-]{36}|\w{1,3}",
    "url": r"[a-z][a-z0-9+.-]*://\S+",
    "uri": r"[a-z][a-z0-9+.-]*://\S+",
    "endpoint": r"(?:[a-z][a-z0-9+.-]*://\S+|[a-z0-9-]+(?:\.[a-z0-9-]+)+(?::\d+)?)",
    **dict.fromkeys(NAMED_THINGS, NAME),
    "type": r"[A-Za-z_-]{1,24}",
    "version": r"\d{1,4}(?:\.\d{1,4})*|AWSCURRENT|AWSPREVIOUS",
}
"""Maps the last word of a name to the pattern of its harmless values. For example, ``credentials.provider`` is a class.
Harmless values are still searched for secrets by shape."""

SCHEMES = frozenset({"basic", "bearer", "digest", "negotiate", "ntlm", "token"})
"""Words before the credential in an Authorization header."""

COUNTS = frozenset({
    "max", "min", "num", "number", "count", "limit", "length", "size", "retries", "tokens",
    "ttl", "timeout", "expiry", "expiration", "expires", "lifetime", "interval", "period", "duration", "age",
    "days", "hours", "minutes", "seconds", "ms", "day", "hour", "minute", "second",
})  # fmt: skip


@cache
def _plain(last_word: str) -> re.Pattern[str] | None:
    pattern = PLAIN_BY_LAST_WORD.get(last_word)
    return re.compile(pattern) if pattern else None


def harmless(key: str, value: object) -> bool:
    """Returns whether a value under a secret-looking name is clearly not a secret: it is empty, a boolean, a reference
    to a secret, a count under the name of a count, or of the type in the last word of the name (a class, a path, a
    name)."""
    text = str(value).strip()
    if isinstance(value, bool) or text.lower() in {"", "none", "null", "true", "false", "yes", "no"}:
        return True
    if _reference().fullmatch(text):
        return True
    parts = words(key)
    if not parts:
        return False
    if parts[-1] == "authorization":
        scheme, _, rest = text.partition(" ")
        if scheme.lower() in SCHEMES and (not rest.strip() or _reference().fullmatch(rest.strip())):
            return True
    if parts[-1] in COUNTS and re.fullmatch(r"-?[0-9]{1,12}(?:\.[0-9]{1,3})?\s?[a-z]{0,7}", text):
        return True
    plain = _plain(parts[-1])
    return plain is not None and plain.fullmatch(text) is not None


# --- shapes -----------------------------------------------------------------------------------------------------------

Span = tuple[int, int]

# AWS: "Understanding unique ID prefixes" in the IAM guide. A key id alone is not a secret, but it identifies its owner.
KEY_ID_STARTS = ("AKIA", "ASIA")  # of the keys of users and of sessions
ACCESS_KEY_ID = r"(?<![A-Za-z0-9])(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])"

# The 40 characters of an AWS secret access key. Both cases are required, which excludes hex digests (git commits).
SECRET_ACCESS_KEY = (
    r"(?<![A-Za-z0-9/+=])(?=[A-Za-z0-9/+]{0,39}[a-z])(?=[A-Za-z0-9/+]{0,39}[A-Z])(?=[A-Za-z0-9/+]{0,39}[0-9])"
    r"[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])"
)

TOKENS = (
    # code hosts and package registries
    ("ghp_ gho_ ghu_ ghs_ ghr_ github_pat_", r"\w{20,}"),
    ("glpat- gloas- gldt- glrt- glrtr- glcbt- glptt- glft- glimt- glagent- glwt- glsoat- glffct-", r"[\w-]{16}[\w.-]*"),
    ("GR1348941", r"[\w-]{16,}"),
    ("ATATT3 ATCTT3 ATBB", r"[\w=-]{24,}"),  # Atlassian, Bitbucket
    ("npm_", r"[A-Za-z0-9]{20,}"),
    ("pypi-", r"(?:AgE[\w-]{13,}|[A-Za-z0-9]{20}[\w-]*)"),
    ("rubygems_ pul- sqp_ sqa_ squ_ bkua_ sbp_", r"[0-9a-z]{32,}"),  # Pulumi, SonarQube, Buildkite, Supabase
    ("CLOJARS_ CCIPAT_ CCIPRJ_ sgp_ slk_", r"\w{32,}"),  # CircleCI, Sourcegraph
    ("oy2", r"[a-z0-9]{43}(?!\w)"),  # NuGet
    ("cio", r"[A-Za-z0-9]{32}(?!\w)"),  # crates.io
    ("AKCp cmVmd", r"[A-Za-z0-9]{59,}"),  # Artifactory
    ("dckr_pat_ dckr_oat_", r"[\w-]{16,}"),
    # clouds and their tools
    ("hvs. hvb. hvr.", r"[\w-]{20,}"),  # Vault
    ("s.", r"(?=\w{0,23}[0-9])(?=\w{0,23}[A-Z])[A-Za-z0-9]{24}(?!\w|\.\w|\()"),  # Vault before 1.10
    ("AIza", r"[\w-]{30,}"),
    ("ya29. GOCSPX-", r"[\w.-]{20,}"),  # Google
    ("1//0", r"[\w-]{40,}"),
    ("ABSK bedrock-api-key-", r"[A-Za-z0-9+/]{40,}={0,2}"),
    ("IQoJb3JpZ2lu FwoGZXIvYXdz", r"[A-Za-z0-9+/%]{40,}={0,2}"),  # AWS session tokens
    ("LTAI AKID", r"[A-Za-z0-9]{12,32}(?!\w)"),  # Alibaba, Tencent
    ("dop_v1_ doo_v1_ dor_v1_", r"[0-9a-f]{40,}"),  # DigitalOcean
    ("v1.0-", r"[0-9a-f]{24,80}-[0-9a-f]{80,}"),  # Cloudflare
    ("HRKU-", r"[\w-]{30,}"),
    ("fo1_ fm1a_ fm1r_ fm2_", r"[\w+/-]{40,}={0,3}"),  # Fly
    ("sha256~", r"[\w-]{40,}"),  # OpenShift
    ("tskey-", r"[a-z]+-[\w-]{10,}"),  # Tailscale
    ("dp.pt. dp.st. dp.ct. dp.sa. dp.scim. dp.audit.", r"[\w.-]{40,}"),  # Doppler
    ("ops_eyJ", r"[\w+/-]{20,}={0,3}"),  # 1Password
    ("A3-", r"[A-Z0-9]{6}-[A-Z0-9]{6}-?[A-Z0-9]{5}(?:-[A-Z0-9]{5}){2,3}(?![\w-])"),
    ("AGE-SECRET-KEY-1", r"[0-9A-Z]{20,}"),
    # data and models
    ("dapi dose", r"[0-9a-f]{32}(?:-\d)?(?!\w)"),  # Databricks
    ("hf_ api_org_", r"[A-Za-z0-9]{20,}"),  # Hugging Face
    ("sk-ant- sk-proj- sk-svcacct- sk-admin- sk-or- sk-lf-", r"[\w-]{16,}"),
    ("sk-", r"[A-Za-z0-9]{20,}"),
    ("gsk_ pplx- r8_ xai- pcsk_", r"\w{30,}"),  # Groq, Perplexity, Replicate, xAI, Pinecone
    ("nvapi-", r"[\w-]{40,}"),
    ("lsv2_pt_ lsv2_sk_", r"\w{32,}"),  # LangSmith
    ("dbtc_ dbtu_", r"[\w-]{30,}"),  # dbt
    ("pscale_tkn_ pscale_pw_ pscale_oauth_", r"[\w.=-]{30,}"),  # PlanetScale
    ("AVNS_", r"[\w-]{15,}"),  # Aiven
    ("napi_", r"[a-z0-9]{40,}"),  # Neon
    ("sb_secret_", r"[\w-]{20,}"),
    ("cflt", r"[A-Za-z0-9+/]{60,}"),  # Confluent
    ("4b1d", r"[A-Za-z0-9]{38}(?!\w)"),  # ClickHouse
    ("pnu_ pnb_", r"[A-Za-z0-9]{36}(?!\w)"),  # Prefect
    # messages, monitoring, payments
    ("xoxa- xoxb- xoxc- xoxd- xoxe- xoxe.xox xoxo- xoxp- xoxr- xoxs- xapp- xwfp-", r"[A-Za-z0-9%-]{10,}"),
    ("SG.", r"[\w-]{10,}\.[\w-]{16,}"),  # SendGrid
    ("xkeysib- xsmtpsib-", r"[0-9a-f]{40,}[\w-]*"),  # Brevo
    ("SK", r"[0-9a-f]{32}(?!\w)"),  # Twilio
    ("sk_live_ sk_test_ sk_prod_ rk_live_ rk_test_ rk_prod_", r"[A-Za-z0-9]{10,}"),  # Stripe
    ("whsec_", r"[A-Za-z0-9+/]{20,}={0,2}"),
    ("sq0atp- sq0csp-", r"[\w-]{20,}"),  # Square
    ("EAAA EAAC EAAM", r"[\w-]{60,}"),  # Square, Facebook
    ("EZAK EZTK", r"[A-Za-z0-9]{54}(?!\w)"),  # EasyPost
    ("shippo_live_ shippo_test_ duffel_live_ duffel_test_ FLWSECK-", r"[\w=-]{30,}"),
    ("shpat_ shpca_ shppa_ shpss_", r"[0-9a-fA-F]{32}"),  # Shopify
    ("glsa_ glc_ sntrys_ sntryu_", r"[\w+/]{32,}={0,2}"),  # Grafana, Sentry
    ("eyJrIjoi", r"[A-Za-z0-9]{40,}={0,2}"),
    ("dt0", r"[a-z]\d\d\.[A-Z0-9]{24}\.[A-Z0-9]{64}"),  # Dynatrace
    ("NRAK-", r"[A-Z0-9]{20,}"),  # New Relic
    ("NRII- NRJS-", r"[\w-]{16,}"),
    ("PMAK-", r"[0-9a-f]{24}-[0-9a-f]{30,}"),  # Postman
    (
        "phx_ lin_api_ lin_oauth_ ntn_ rdme_ fio-u- tfp_",
        r"[\w=-]{32,}",
    ),  # PostHog, Linear, Notion, ReadMe, Frame.io, Typeform
    ("CFPAT- mdb_sa_sk_ tkn.v1_ ak_live_", r"[\w=-]{24,}"),  # Contentful, MongoDB, Teamwork, Pagar.me
    ("aio_ odt_", r"[A-Za-z0-9]{28,}"),  # Adafruit, Dependency-Track
    ("sl.", r"[\w-]{60,}"),  # Dropbox
    ("pat-na1- pat-eu1-", r"[0-9a-f-]{36}"),  # HubSpot
    ("00D", r"[A-Za-z0-9]{12,15}![\w.]{60,}"),  # Salesforce
    ("secret_", r"[A-Za-z0-9]{43}(?!\w)"),  # Notion
    ("figd_", r"[\w-]{36,}"),
    ("API-", r"[A-Z0-9]{26}(?!\w)"),  # Octopus Deploy
    ("sm_aat_ sm_pat_ sm_sat_", r"[A-Za-z0-9]{16}(?!\w)"),  # SettleMint
    ("pat. sat.", r"[\w-]{22}\.[A-Za-z0-9]{24}\.[A-Za-z0-9]{20}"),  # Harness
    ("pat", r"[A-Za-z0-9]{14}\.[0-9a-f]{60,}"),  # Airtable
)
"""Maps prefixes of tokens, separated by spaces, to the pattern of the rest of the token."""

SCHEME = r"(?i:basic|bearer|digest|negotiate|ntlm|token|apikey|api-key|aws4-hmac-sha256)"
ASSIGNED = r"\\{0,15}[\"']?[ \t]*(?::|=>?)[ \t]*\\{0,15}[\"']?"
REFERENCE_START = (
    r"\$?\$\{[^}\s]*\}|\$[A-Z_][A-Z0-9_]*(?!\w)|\$\([^)\n]*\)|`[^`\n]+`|Ref::|EMR\.secret@|\{\{resolve:|\(sensitive"
)
PARAMETER = r"[\w-]+=(?:\\{0,15}\"[^\"\\\n]*\\{0,15}\"|[^\s\"'\\,}\]]+)"
# The text after the scheme: parameters, as in Digest, or one word; not a reference, nor the scheme before a reference.
CREDENTIAL = (
    rf"(?!{REFERENCE_START}|{SCHEME}(?:[ \t]+(?:{REFERENCE_START})|\W*$))"
    rf"(?:{PARAMETER}(?:,[ \t]*{PARAMETER})+|{PARAMETER}|[^\s\"'\\,}}\]]+)"
)
IN_URL = r"(?:\$\w+|\$?\$\{[^}\s]*\}|\$\([^)\n]*\)|%\w+%|\{\{[^}\n]*\}\}|<[\w -]+>|\*+|git|anonymous)@"  # no secrets

OTHERS = (
    ("akia asia abia acca", ACCESS_KEY_ID),
    (
        "private",
        r"----[- ]BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?[- ]----(?s:.*?)"
        r"(?:----[- ]END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?[- ]----[-]?|\Z)",
    ),
    ("putty-user-key-file", r"PuTTY-User-Key-File-\d(?s:.*)"),
    # JSON Web Tokens: a JSON object in base64url starts with "eyJ", in base64 once more with "ZXlK"
    ("eyj", r"(?<![\w-])eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]+)*"),
    ("zxlk", r"(?<![\w-])ZXlK[A-Za-z0-9+/_-]{60,}={0,2}"),
    (".atlasv1.", r"(?<!\w)[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{40,}"),  # Terraform
    ("q~", r"(?<![\w~.-])[\w~.]{3}\dQ~[\w~.-]{31,34}(?![\w~-])"),  # Microsoft Entra
    ("azdo", r"(?<!\w)[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4}(?!\w)"),  # Azure DevOps
    ("==", r"(?<![A-Za-z0-9+/-])[A-Za-z0-9+/]{86}==(?!=)"),  # Azure's 64-byte keys; sha512-… is a checksum
    (":aa", r"(?:(?<=/bot)|(?<![\w:]))\d{8,10}:AA[\w-]{30,36}(?![\w-])"),  # Telegram
    ("$1$ $2a$ $2b$ $2x$ $2y$ $5$ $6$ $y$", r"\$(?:[1256y]|2[abxy])\$[./A-Za-z0-9$=]{20,}"),  # hashed passwords
    ("$argon2", r"\$argon2\w{1,2}\$[./A-Za-z0-9$=,+]{20,}"),
    # web hooks: anyone with the address can post
    ("hooks.slack", r"hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/(?P<s>[\w/+-]+)"),
    ("api/webhooks", r"discord(?:app)?\.com/api/webhooks/\d+/(?P<s>[\w-]+)"),
    ("office.com/webhook", r"office\.com/webhook(?:b2)?/(?P<s>[^\s\"']+)"),
    ("hooks.zapier", r"hooks\.zapier\.com/hooks/catch/(?P<s>[\w/]+)"),
    # scheme://user:password@host, even if the password contains @ or /; a port is not a password
    ("@", rf"://[^/\s:@\"']{{0,200}}:(?!{IN_URL})(?P<s>[^\s/\"']{{1,4000}})@"),
    ("@", rf"://[^/\s:@\"']{{0,200}}:(?!\d+(?:/|$)|{IN_URL})(?P<s>[^\s\"'@]{{1,200}})@"),
    ("@", rf"(?i:https?|wss?)://(?!{IN_URL})(?P<s>[^\s/:@\"'?#<>,;\\]{{1,4000}})@(?=[\w\[$])"),  # a token alone
    ("jdbc:oracle", r"jdbc:oracle:\w+:[^/\s@:]+/(?P<s>[^\s@]{1,400})@"),
    ("@tcp( @unix(", r"(?<![\w.-])[\w.-]{1,200}:(?P<s>[^\s@]{1,200})@(?:tcp|unix)\("),
    # signed URLs: S3 and Azure
    ("sig= signature=", r"(?i)[?&](?:x-amz-signature|signature|sig)=(?P<s>[^\s&\"']+)"),
    ("bearer", r"(?i)(?<!\w)bearer\s+(?P<s>[A-Za-z0-9._~+/-]{8,}=*)"),
    # headers: any scheme after Authorization itself, the usual schemes after any name that ends with it
    (
        "authorization",
        rf"(?i:(?<![\w.])(?:proxy-)?authorization){ASSIGNED}(?P<s>(?:[A-Za-z][\w-]*[ \t]+)?{CREDENTIAL})",
    ),
    ("authorization", rf"(?i:authorization){ASSIGNED}(?P<s>{SCHEME}[ \t]+{CREDENTIAL})"),
    (
        "x-",
        r"(?i:(?<![\w.-])x-(?:[a-z]+-){0,4}(?:api-?key|key|token|secret|password|auth))"
        rf":[ \t]*(?P<s>{CREDENTIAL})",
    ),
    ("cookie:", r"(?i)(?<![\w-])cookie:[ \t]*(?P<s>[^\s\"'=;]{1,200}=[^\n\"']+)"),
    ("gitlab_session=", r"(?<!\w)_gitlab_session=(?P<s>\w+)"),
    ("_auth", r"(?<!\w)_auth\s?=\s?(?P<s>[\w+/=-]{4,})"),  # .npmrc
    ("machine", r"(?<!\w)machine\s+\S{1,200}\s+login\s+\S{1,200}\s+password\s+(?P<s>\S+)"),  # .netrc
    (
        "identified password secret_access_key session_token",
        r"(?i)\b(?:identified\s+by|password|secret_access_key|session_token)\s+(?P<s>'[^'\n]+'|\"[^\"\n]+\")",
    ),
    ("identified", r"(?i)\buser\s+\S{1,100}\s+identified\s+by\s+(?!password\b|values\b)(?P<s>[^\s'\";(]+)"),
)
"""Maps lower-case hints, separated by spaces, to a pattern. Every match of the pattern contains one of the hints."""


START = r"(?<!\w)\w{1,3}"


@cache
def _tokens() -> dict[str, list[str]]:
    """Returns the patterns of tokens, keyed by their first letters, which `START` finds. Few texts contain a word that
    starts with these letters.
    """
    patterns: dict[str, list[str]] = {}
    for prefixes, rest in TOKENS:
        for prefix in prefixes.split():
            start = re.findall(START, prefix.lower())[0]
            more = "0123456789abcdef" if start == prefix.lower() and len(start) < 3 else [""]  # SK, and a digit
            for each in more:
                patterns.setdefault(start + each, []).append(rf"{re.escape(prefix)}(?<!\w{re.escape(prefix)}){rest}")
    return patterns


@cache
def _hints() -> dict[str, list[str]]:
    """Returns the other patterns, keyed by their hints."""
    patterns: dict[str, list[str]] = {}
    for hints, pattern in OTHERS:
        for hint in hints.split():
            patterns.setdefault(hint, []).append(pattern)
    return patterns


def _candidates(text: str) -> dict[str, None]:
    """Returns the patterns whose first letters or hint occur in the text."""
    low, tokens, hints = text.lower(), _tokens(), _hints()
    starts = tokens.keys() & set(_compiled(START).findall(low))
    hinted = filter(low.__contains__, hints)
    return dict.fromkeys(
        [pattern for start in starts for pattern in tokens[start]] + [p for h in hinted for p in hints[h]]
    )


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def has_access_key_id(text: str) -> bool:
    """Returns whether the text contains an AWS access key id. A 40-character string near it is its secret key."""
    return any(start in text for start in KEY_ID_STARTS) and _compiled(ACCESS_KEY_ID).search(text) is not None


def shape_spans(text: str, *, beside_key_id: bool = False) -> Iterator[Span]:
    """Yields the parts of `text` that have the shape of a secret.

    With `beside_key_id`, an AWS access key id is near, so a 40-character string is treated as its secret key.
    """
    for pattern in _candidates(text):
        compiled = _compiled(pattern)
        group = "s" if "s" in compiled.groupindex else 0
        for match in compiled.finditer(text):
            yield match.span(group)
    if len(text) >= 40 and (beside_key_id or has_access_key_id(text)):
        yield from (match.span() for match in _compiled(SECRET_ACCESS_KEY).finditer(text))
    if len(text) >= 60:
        yield from _key_lines(text)


def _key_lines(text: str) -> Iterator[Span]:
    """Yields lines that contain only base64, as in the body of a private key. Lines with a hex digest are ignored."""
    for match in _compiled(r"(?m)^[ \t]*(?:- )?[\"']?([A-Za-z0-9+/]{60,}={0,2})[\"']?[ \t]*$").finditer(text):
        body = match[1]
        if re.search(r"[a-z]", body) and re.search(r"[A-Z]", body) and re.search(r"[0-9+/]", body):
            yield match.span(1)
