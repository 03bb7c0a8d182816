"""Finds secrets in command lines: in the text of a shell, and in a list of arguments.

Most options have a name that shows that their value is a secret (``--password x``); `text` and `request` recognize
these for any program. This module contains the options and arguments that can only be recognized as secrets from the
program's manual, such as ``curl -u a:b`` or ``mysql -pSECRET``. A reference such as ``$PASSWORD`` or ``$(cat file)`` is
not a secret.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from functools import cache, lru_cache
from typing import NamedTuple

from reconciler.redact.shapes import REFERENCE, Span, harmless, secret_key
from reconciler.values import dataclass

Form = tuple[str, ...]
"""The patterns of a secret in a value. The first one that matches the whole value applies. Group ``s`` is the secret.
If there is a group ``key``, the value is a secret only if the key is the name of a secret."""

WHOLE: Form = (r"(?P<s>.+)",)
# The quantifier is possessive (`*+`), so that a long user without a colon is read once.
USER = r"(?:\$\{[^}\n]{0,200}\}|[^:])*+"
PAIR: Form = (rf"{USER}:(?P<s>.+)", r"(?P<s>[^:]+):")  # user:password; with an empty password, the user is a token
PAIR_OR_TOKEN: Form = (*PAIR, *WHOLE)
HEADER: Form = (r"(?P<key>[\w-]+)[ \t]*:[ \t]*(?P<s>.+)",)
ASSIGNED: Form = (r"[^=]*=(?P<s>.+)",)
AFTER_PASS: Form = (r"pass:(?P<s>.+)",)  # OpenSSL's other sources are env:, file:, fd: and stdin
AFTER_SLASH: Form = (r"[^/@=]+/(?P<s>[^@]+)(?:@.*)?",)
AFTER_COMMA: Form = (r"[^,]*,(?P<s>.+)",)
AFTER_PERCENT: Form = (r"[^%]*%(?P<s>.+)",)


class Rule(NamedTuple):
    """A rule for one program: which of its arguments contain secrets, if all the `words` (subcommands) precede them.

    In `arguments`, ``-u`` is an option whose value is in the next argument, after ``=``, or directly after the letter;
    ``-p*`` is one whose value is directly after the letter; ``#2`` is the second argument that is not an option;
    ``NAME`` is the argument after the name of a secret; ``<-S`` is the text that ``echo`` writes to the standard input
    if that option is present, ``<`` without any option.
    """

    programs: str
    words: str
    arguments: str
    form: Form = WHOLE


RULES = (
    Rule("curl", "", "-u --user -U --proxy-user -E --cert --proxy-cert", PAIR),
    Rule("curl wget http https xh", "", "-H --header --proxy-header", HEADER),
    Rule("curl", "", "-b --cookie", ASSIGNED),
    Rule("http https xh", "", "-a --auth", PAIR_OR_TOKEN),
    Rule("docker podman nerdctl buildah skopeo helm oras crane az oc cf ibmcloud", "login", "-p"),
    Rule("docker podman nerdctl buildah skopeo helm oras crane", "login", "<--password-stdin"),
    Rule("podman skopeo buildah", "", "--creds --src-creds --dest-creds", PAIR),
    Rule("mysql mysqldump mysqladmin mysqlimport mysqlshow mysqlcheck mariadb mariadb-dump mariadb-admin", "", "-p*"),
    Rule("mycli mysqlsh 7z 7za 7zr 7zz rar unrar", "", "-p*"),
    Rule("rar", "", "-hp"),
    Rule("mongo mongosh mongodump mongorestore mongoexport mongoimport cqlsh beeline sshpass twine", "", "-p"),
    Rule("poetry", "publish", "-p"),
    Rule("dotnet nuget", "push", "-k"),
    Rule("redis-cli", "", "-a"),
    Rule("sqlcmd bcp osql isql tsql mosquitto_pub mosquitto_sub ipmitool zip unzip", "", "-P"),
    Rule("ldapsearch ldapadd ldapmodify ldapdelete ldapwhoami ldappasswd vsql kadmin", "", "-w"),
    Rule("ldappasswd", "", "-s"),
    Rule("plink pscp psftp kadmin kadmin.local", "", "-pw"),
    Rule("ssh-keygen", "", "-N -P"),
    Rule("useradd usermod rabbitmqadmin", "", "-p"),
    Rule("openssl", "", "-passin -passout -pass -password", AFTER_PASS),
    Rule("openssl", "", "-k -K -hmac"),
    Rule("openssl", "passwd", "#1"),
    Rule("sqlplus sqlldr expdp impdp rman", "", "#1", AFTER_SLASH),
    Rule("lftp", "", "-u --user", AFTER_COMMA),
    Rule("smbclient rpcclient", "", "-U --user", AFTER_PERCENT),
    Rule("etcdctl", "", "--user", PAIR),
    Rule("htpasswd", "", "#3"),
    *(Rule("htpasswd", flags, "#2") for flags in ("-nb", "-bn", "-nbB", "-nBb", "-bnB", "-Bbn")),
    Rule("rabbitmqctl", "add_user", "#2"),
    Rule("rabbitmqctl", "change_password", "#2"),
    Rule("mc", "alias set", "#3 #4"),
    Rule("vault", "login", "#1", (r"(?P<s>[^=]+)",)),
    Rule("vault", "kv put", "#2 #3 #4 #5", ASSIGNED),
    Rule("snyk", "auth", "#1"),
    Rule("kubectl oc", "create secret", "--from-literal", ASSIGNED),
    Rule("gh", "secret set", "-b --body"),
    Rule("fly flyctl doppler", "secrets set", "#1 #2 #3 #4", ASSIGNED),
    Rule("heroku", "config:set", "#1 #2 #3 #4", ASSIGNED),
    Rule("aws", "ssm put-parameter", "--value"),
    Rule("az", "keyvault secret set", "--value"),
    Rule("databricks", "secrets", "--string-value"),
    Rule("hadoop hdfs", "credential create", "-value"),
    Rule("pulumi", "config set --secret", "#2"),
    Rule("poetry", "config", "#3"),  # config http-basic.NAME USER PASSWORD
    Rule("cargo", "login", "#1"),
    Rule("aws", "configure set", "NAME"),
    Rule("npm pnpm yarn poetry git pip pip3 conda composer gcloud rclone", "config", "NAME"),
    Rule("setx setenv nmcli", "", "NAME"),
    Rule("sudo", "", "<-S <--stdin"),
    Rule("passwd", "", "<--stdin"),
    Rule("gpg gpg2", "", "<--passphrase-fd"),
    Rule("gh", "auth login", "<--with-token"),
    Rule("kinit", "", "<"),
    Rule("chpasswd", "", "<", PAIR),
    # in these programs, -p has another meaning, and they may be part of another program's command line
    Rule("ssh scp sftp rsync mkdir echo printf", "", ""),
)
"""Taken from the manuals of these programs. gitleaks has rules for ``curl -u`` and ``curl -H``."""

FLAGS = {"curl": "#0123469afgiIjJklLnNOpqRsSvZ"}
"""Letters of options without a value, which may precede another letter in one argument: ``curl -sSu a:b``."""

NAMING = frozenset({"-u", "-U", "--user", "--username", "-h", "--host", "--name"})
"""Options whose value may look like the name of a program but is not one: ``docker run --name mongo -p
27017:27017``."""

WRITERS = frozenset({"echo", "printf"})
PORTS = r"(?:[\d.]+:)?\d+(?:-\d+)?:\d+(?:-\d+)?(?:/\w+)?"  # -p 8080:80
SHOWN = rf"{REFERENCE}|\$\w+|\$\(.*|`.*|%\w+%|%[sb](?:\\n)?|\{{\{{.*|<[\w ./-]*>|\*+|-|@.*|\(?sensitive\).*|{PORTS}"


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.DOTALL)


@cache
def _rules() -> Mapping[str, Sequence[tuple[frozenset[str], Sequence[str], Form]]]:
    """Returns the rules of each program: the words that must precede the arguments, the arguments and the form."""
    rules: dict[str, list[tuple[frozenset[str], Sequence[str], Form]]] = {}
    for rule in RULES:
        for program in rule.programs.split():
            rules.setdefault(program, []).append((frozenset(rule.words.split()), rule.arguments.split(), rule.form))
    return rules


@cache
def _words() -> frozenset[str]:
    return frozenset(word for rule in RULES for word in rule.words.split())


class Hit(NamedTuple):
    """The position of a secret: it starts at `at` in the argument itself, or is in the next argument if `at` is
    `None`."""

    form: Form
    at: int | None


@dataclass(slots=True)
class Command:
    """Reads the arguments of one command in order. `stdin` is the form of a secret on the standard input, or `None`."""

    program: str = ""
    stdin: Form | None = None
    _seen: set[str] = field(default_factory=set)
    _positions: int = 0
    _before: str = ""

    def read(self, argument: str) -> Hit | None:
        """Reads the next argument. Returns the position of the secret if the argument contains one, or if the following
        argument is one."""
        before, self._before = self._before, argument
        program = argument.rsplit("/", 1)[-1].removesuffix(".exe")
        if program in _rules() and before not in NAMING:
            self.program, self._seen, self._positions = program, set(), 0
            self._expect_input("<")
            return None
        if not self.program:
            return None
        if argument in _words():
            self._seen.add(argument)
            # The numbers in a rule count from the last subcommand.
            self._positions = 0
        if argument.startswith("-"):
            self._expect_input(f"<{argument}")
            return self._option(argument)
        self._positions += argument not in _words()
        return self._positional(argument, before)

    def _applicable(self) -> Iterator[tuple[str, Form]]:
        for words, arguments, form in _rules()[self.program]:
            if words <= self._seen:
                for argument in arguments:
                    yield argument, form

    def _expect_input(self, mark: str) -> None:
        self.stdin = next((form for argument, form in self._applicable() if argument == mark), self.stdin)

    def _option(self, argument: str) -> Hit | None:
        flags = FLAGS.get(self.program, "")
        hits = (_option_hit(option, form, argument, flags) for option, form in self._applicable() if option[0] == "-")
        return next((hit for hit in hits if hit is not None), None)

    def _positional(self, argument: str, before: str) -> Hit | None:
        named = secret_key(before) and before[0] != "-" and "=" not in before and not harmless(before, argument)
        wanted = {f"#{self._positions}", "NAME" if named else ""}
        return next((Hit(form, 0) for place, form in self._applicable() if place in wanted), None)


def _option_hit(option: str, form: Form, argument: str, flags: str) -> Hit | None:
    """Returns a hit if `argument` is the option, alone or with its value."""
    glued_only, name = option.endswith("*"), option.rstrip("*")
    if argument == name:
        return None if glued_only else Hit(form, None)
    if argument.startswith("--") or len(name) > 2:
        return Hit(form, len(name) + 1) if argument.startswith(f"{name}=") else None
    letters = argument[1:].lstrip(flags) if flags else argument[1:]
    if not letters.startswith(name[1]):
        return None
    return Hit(form, len(argument) - len(letters) + 1 if len(letters) > 1 else None)


def secret_part(form: Form, value: str) -> Span | None:
    """Returns the position of the secret in a value of this form, or `None` if it has none or only a reference to
    one."""
    match = next((match for pattern in form if (match := _compiled(pattern).fullmatch(value))), None)
    if match is None or any(_compiled(SHOWN).fullmatch(text) for text in (value, match["s"])):
        return None
    key = match.groupdict().get("key")
    if key is not None and (not (secret_key(key) or key.lower() == "cookie") or harmless(key, match["s"])):
        return None
    return match.span("s")


def has_program(arguments: Sequence[str]) -> bool:
    """Returns whether one of the arguments is a program that has rules here."""
    return not _rules().keys().isdisjoint(argument.rsplit("/", 1)[-1] for argument in arguments)


def argument_spans(arguments: Sequence[str]) -> dict[int, Span]:
    """Returns the secret part of each argument that has one, based on its program and the arguments before it."""
    if not has_program(arguments):
        return {}
    spans: dict[int, Span] = {}
    command, announced = Command(), None
    for index, argument in enumerate(arguments):
        hit = Hit(announced.form, 0) if announced else command.read(argument)
        announced = hit if hit is not None and hit.at is None else None
        if hit is not None and hit.at is not None and (part := secret_part(hit.form, argument[hit.at :])):
            spans[index] = (hit.at + part[0], hit.at + part[1])
    return spans


# --- a shell's text ---------------------------------------------------------------------------------------------------

QUOTE = r"\\{0,15}[\"']"  # escaped in JSON; bounded, so that each run of backslashes is read once
# A bare value ends at white space, at the closing quote of the surrounding text, or at the next name.
BARE = r"(?!\\{0,15}[\"'](?:[\s,;:&\])}\\]|$))(?:[^\s&;,]|[&;,](?![\w.\-]+=)(?=[^\s&;,]))"
SUBSTITUTION = r"\$\([^()\n]*\)|`[^`\n]*`"
VALUE = rf"(?:{SUBSTITUTION}|{BARE})+"
WORD = r"[^\s\"'`\\,;|&()\[\]{}<>]+"
TOKEN = rf"(?P<break>\\n|\n)|(?P<quote>{QUOTE})?(?P<word>{WORD})(?P<glued>{QUOTE}(?=[^\s,;)\]}}]))?"
BEFORE_VALUE = rf"(?:{QUOTE})?\s*(?:\\\n\s*)?,?\s*"  # after an option: its closing quote, white space, a comma
END = r"[;&](?=\s)|&&|\|"


def command_spans(text: str) -> Iterator[Span]:
    """Yields the secrets in the command lines of a text, including arguments written as a list."""
    if " " not in text and "," not in text and "\n" not in text:
        return
    if _rules().keys().isdisjoint(_compiled(r"[\w.-]+").findall(text.replace("\\n", " "))):
        return
    yield from _Shell(text).spans()


@lru_cache(maxsize=16)
def up_to_quote(quote: str) -> re.Pattern[str]:
    """Returns the pattern of a value between two `quote` characters, which may be escaped. A quote with one more
    backslash does not end the value."""
    q = re.escape(quote)
    return re.compile(rf"{q}(?:(?!{q})[^\n]|(?<=\\){q})*(?:{q}|$)")


class _Shell:
    """Reads the commands in a text, token by token."""

    def __init__(self, text: str) -> None:
        self.text, self.command = text, Command()
        self.position = 0
        self.written: list[Span] = []  # printed by echo, in this command or in a command whose output is piped into it

    def spans(self) -> Iterator[Span]:
        """Yields the secrets in order."""
        for token in _compiled(TOKEN).finditer(self.text):
            if token.start() >= self.position:
                gap, self.position = self.text[self.position : token.start()], token.end("word")
                self._divide(token, gap)
                if token["word"] is not None:
                    yield from self._token(token, gap)

    def _divide(self, token: re.Match[str], gap: str) -> None:
        """Starts a new command at the end of a line, or at an operator before the token."""
        if token["break"] is not None:
            self.position = token.end()
            # A backslash before the end of the line continues the command.
            if not gap.endswith("\\"):
                self.command, self.written = Command(), []
        elif (end := _compiled(END).search(gap)) is not None:
            self.command = Command()
            if end[0] != "|":
                self.written = []

    def _token(self, token: re.Match[str], gap: str) -> Iterator[Span]:
        command, word = self.command, token["word"]
        if command.program in WRITERS and not word.startswith("-"):
            self.written.append(value_span(self.text, token.start()))
            self.position = max(self.position, self.written[-1][1])
        glued = token["glued"] if token["glued"] and not token["quote"] else ""
        hit = Hit(command.stdin, 0) if "<<<" in gap and command.stdin else command.read(word + glued)
        if command.stdin and self.written:
            yield from (span for written in self.written for span in self._part(command.stdin, written))
            self.written = []
        if hit is not None:
            yield from self._value(token, hit)

    def _value(self, token: re.Match[str], hit: Hit) -> Iterator[Span]:
        if hit.at is None:
            before = _compiled(BEFORE_VALUE).match(self.text, token.end("word"))
            start = before.end() if before else token.end()
        else:
            start = token.start("word") + hit.at if hit.at else token.start()
        span = value_span(self.text, start)
        self.position = max(self.position, span[1])
        yield from self._part(hit.form, span)

    def _part(self, form: Form, span: Span) -> Iterator[Span]:
        """Yields the secret in the value at a span, which may be quoted."""
        value = self.text[span[0] : span[1]]
        quote = _compiled(QUOTE).match(value)
        start = len(quote[0]) if quote else 0
        inner = value[start:].removesuffix(quote[0]) if quote else value
        if part := secret_part(form, inner):
            yield span[0] + start + part[0], span[0] + start + part[1]


def value_span(text: str, start: int) -> Span:
    """Returns the span of the value that starts at `start`. A quoted value ends at the same quote."""
    quote = _compiled(QUOTE).match(text, start)
    match = up_to_quote(quote[0]).match(text, start) if quote else None
    match = match or re.compile(VALUE).match(text, start)
    return match.span() if match else (start, start)
