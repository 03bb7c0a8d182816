"""Converts options of spark-submit from a mapping to the single string that AWS expects, and back to separate settings.

A mapping names options without their dashes: `{class: com.acme.Main, conf: {spark.executor.memory: 8g}, jars: [a, b]}`.
The string does not depend on the order of keys, because options are sorted by name and the settings of `conf` by key. A
value with spaces is put in double quotes, ``--conf k="a b"``, which is the only quoting that EMR Serverless is known to
read; docs/adr/0017 has the sources. Version 0.1.0 quoted as for a POSIX shell, ``--conf 'k=a b'``. Digests are still
computed from that form, so that an upgrade does not start any job again.

The options come from `SparkSubmitOptionParser.java` in Spark 3 and 4, whose lists differ only by additions.
"""

import shlex
from collections import deque
from collections.abc import Iterator
from difflib import get_close_matches

from reconciler.model.base import JSON, Loc, Remark, SourceFloat, Unquoted, part, source_text
from reconciler.model.kind import RequestProblems
from reconciler.values import regex

QUOTING = regex(r"[\"'\\]")
WORD = regex(r"[^ \t\r\n]+")
CONF = "conf"
LISTS = frozenset({"archives", "exclude-packages", "files", "jars", "packages", "py-files", "repositories"})
FLAGS = frozenset({"load-spark-defaults", "supervise", "verbose"})
VALUES = frozenset({
    "class", "deploy-mode", "driver-class-path", "driver-cores", "driver-java-options", "driver-library-path",
    "driver-memory", "executor-cores", "executor-memory", "keytab", "master", "name", "num-executors", "principal",
    "properties-file", "proxy-user", "queue", "remote", "total-executor-cores",
})  # fmt: skip
OPTIONS = LISTS | FLAGS | VALUES | {CONF}
"""The options in the help of spark-submit, which a mapping may contain."""

SHORT = {"-c": CONF, "-v": "verbose"}
PROPERTIES = {
    "archives": "spark.archives",
    "driver-class-path": "spark.driver.extraClassPath",
    "driver-java-options": "spark.driver.extraJavaOptions",
    "driver-library-path": "spark.driver.extraLibraryPath",
    "exclude-packages": "spark.jars.excludes",
    "files": "spark.files",
    "jars": "spark.jars",
    "name": "spark.app.name",
    "packages": "spark.jars.packages",
    "py-files": "spark.submit.pyFiles",
    "repositories": "spark.jars.repositories",
}
"""The property that an option sets, if Spark has one for the same value."""

NO_RUN = {
    "help": "prints the usage",
    "kill": "ends another submission",
    "status": "asks about another submission",
    "usage-error": "prints the usage",
    "version": "prints the version",
}
HIDDEN = {"driver-default-class-path"}  # an option of Spark 4 that is missing from its help
WITH_VALUE = (OPTIONS - FLAGS) | HIDDEN | {"kill", "status"}
WITHOUT_VALUE = FLAGS | (NO_RUN.keys() - {"kill", "status"})
ALL = WITH_VALUE | WITHOUT_VALUE
SHORTS = {**SHORT, "-h": "help"}
DASHED_VALUES = {"driver-java-options", "driver-class-path", "driver-library-path"}
MAY_HAVE_SPACES = DASHED_VALUES | {CONF, "name"}
JAVA_OPTIONS = {"add-exports", "add-modules", "add-opens", "add-reads", "enable-native-access", "enable-preview"}

ITSELF = "EMR Serverless chooses the cluster itself"
NOT_TAKEN = {
    "deploy-mode": f"{ITSELF}: remove it",
    "master": f"{ITSELF}: remove it",
    "num-executors": f"{ITSELF}, and this option is for YARN and Kubernetes: use --conf spark.executor.instances=N",
    "queue": f"{ITSELF}, and this option is for YARN: remove it",
    "remote": f"{ITSELF}: remove it",
    "supervise": (
        f"{ITSELF}, and this option is for standalone clusters: remove it, and set retryPolicy if you need retries"
    ),
    "total-executor-cores": (
        f"{ITSELF}, and this option is for standalone clusters: use --conf spark.executor.instances=N"
    ),
}
"""Options of spark-submit that select or require a cluster manager other than EMR Serverless."""


NEEDS_QUOTES = frozenset(" \t\n\r\v\f'\"\\")
PAIRED = regex(r"""(?:(?:[^"'\\\t\n\r\v\f]*"){2})+[^"'\\\t\n\r\v\f]*""")
RULE = "spark-parameters"
SPARK: Loc = ("jobDriver", "sparkSubmit")
PARAMETERS = "sparkSubmitParameters"


def rendered(parameters: JSON, loc: Loc) -> str:
    """Returns the string for a mapping of options. Raises `RequestProblems` with paths below `loc`."""
    remarks: list[Remark] = []
    words: list[str] = []
    for name in sorted(parameters, key=str):
        try:
            words += _words(name, parameters[name], (*loc, name))
        except RequestProblems as problems:
            remarks += problems.remarks
    if not words and not remarks:
        remarks.append(Remark(loc, "this mapping has no options: remove the field, or add an option", RULE))
    if remarks:
        raise RequestProblems(remarks)
    return _as_sent(words)


def _words(name: object, value: object, loc: Loc) -> list[str]:
    """Returns the words of one option, not yet quoted."""
    if not isinstance(name, str) or name not in OPTIONS:
        raise _problem(loc, _unknown(str(name)))
    if name == CONF:
        return _conf_words(value, loc)
    if name in FLAGS:
        if not isinstance(value, bool):
            raise _problem(loc, f"--{name} takes no value: write true to set it, false to omit it")
        return [f"--{name}"] if value else []
    if name in LISTS and isinstance(value, list):
        joined = ",".join(_list_member(name, member, (*loc, index)) for index, member in enumerate(value))
        return [f"--{name}", joined] if value else []
    if not (given := _option_text(name, value, loc)):
        raise _problem(loc, f"--{name} is empty: add a value, or remove the option")
    return [f"--{name}", given]


def _conf_words(settings: object, loc: Loc) -> list[str]:
    """Returns ``--conf key=value`` for each setting, sorted by key. Values keep their text as written."""
    if not isinstance(settings, dict):
        raise _problem(loc, "expected a mapping of settings, such as {spark.executor.memory: 8g}")
    words: list[str] = []
    remarks: list[Remark] = []
    for key in sorted(settings, key=str):
        value = source_text(settings[key])
        if not isinstance(key, str) or not key or "=" in key or any(map(str.isspace, key)):
            remarks.append(Remark((*loc, key), "a setting's name must not contain '=' or white space", RULE))
        elif not {"'", '"', "\\"}.isdisjoint(key):
            remarks.append(Remark((*loc, key), "a setting's name must not contain quotes or backslashes", RULE))
        elif value is None:
            remarks.append(
                Remark(
                    (*loc, key),
                    f"{key} takes one value; write nested names in full, such as spark.executor.memory",
                    RULE,
                )
            )
        elif (objection := _inexpressible(value, key)) is not None and not PAIRED.fullmatch(value):
            remarks.append(Remark((*loc, key), objection, RULE))
        else:
            words += ["--conf", f"{key}={value}"]
    if remarks:
        raise RequestProblems(remarks)
    return words


def _list_member(name: str, member: object, loc: Loc) -> str:
    value = _option_text(name, member, loc)
    if not value or "," in value:
        raise _problem(loc, f"--{name} joins its entries with commas: write each entry by itself, and none empty")
    return value


def _option_text(name: str, value: object, loc: Loc) -> str:
    """Returns the text of an option's value: a string or an integer. Other plain scalars are refused as ambiguous."""
    if isinstance(value, Unquoted | SourceFloat | bool) or value is None:
        written = source_text(value) or "null"
        raise _problem(loc, f'--{name} takes a string: write "{written}" in quotes')
    given = source_text(value)
    if given is None:
        form = "a string or a list of strings" if name in LISTS else "one string"
        raise _problem(loc, f"--{name} takes {form}")
    if (objection := _inexpressible(given, PROPERTIES.get(name))) is not None and not PAIRED.fullmatch(given):
        raise _problem(loc, objection)
    return given


def _inexpressible(value: str, setting: str | None) -> str | None:
    """Returns why a value cannot be quoted in a way that EMR Serverless is known to read, and the remedy. Returns
    `None` if it can be quoted.
    """
    for what, characters in (("quotes", "'\""), ("backslashes", "\\"), ("line breaks or tabs", "\t\n\r\v\f")):
        if not set(characters).isdisjoint(value):
            return (
                f"EMR Serverless does not accept {what} in a value here: set {setting or 'the property'} in "
                "configurationOverrides.applicationConfiguration, classification spark-defaults"
            )
    return None


def useless(name: str) -> str:
    """Returns the reason why an option is useless on EMR Serverless, and what to do instead."""
    return f"{NO_RUN[name]} and runs nothing: remove it" if name in NO_RUN else f"has no place here: {NOT_TAKEN[name]}"


def _unknown(name: str) -> str:
    bare = name.lstrip("-")
    if bare in OPTIONS:
        return f"write options without their dashes: {bare}"
    if name.startswith("spark."):
        return f"{name} is a setting: write it below conf"
    close = get_close_matches(bare, sorted(OPTIONS), n=1)
    return f"spark-submit has no option --{bare}" + (f"; did you mean {close[0]}?" if close else "")


def _problem(loc: Loc, message: str) -> RequestProblems:
    return RequestProblems([Remark(loc, message, RULE)])


def _as_sent(words: list[str]) -> str:
    """Joins words to the string that is sent. Words with spaces get double quotes, in a setting after the first
    ``=``."""
    quoted: list[str] = []
    for before, word in zip(["", *words], words, strict=False):
        if NEEDS_QUOTES.intersection(word) == {" "}:
            key, equals, value = word.partition("=") if before == "--conf" else ("", "", word)
            quoted.append(f'{key}{equals}"{value}"')
        else:
            # Other special characters are only in values with paired quotes, which are sent as version 0.1.0 sent them.
            quoted.append(_posix_quoted(word))
    return " ".join(quoted)


def _posix_quoted(word: str) -> str:
    return shlex.quote(word) if NEEDS_QUOTES.intersection(word) else word


def first_form(request: JSON) -> JSON:
    """Returns the request as version 0.1.0 sent it for the same mapping, so that its digest is unchanged. If both are
    the same, returns the request itself.

    A string that no mapping is rendered to is unchanged.
    """
    spark = part(request, "jobDriver", "sparkSubmit")
    parameters = spark.get(PARAMETERS)
    # Without double quotes, version 0.1.0 rendered the same string.
    if not isinstance(parameters, str) or '"' not in parameters:
        return request
    try:
        words = _split(parameters)
    except ValueError:
        return request
    if _as_sent(words) != parameters:
        return request
    return _with_spark(request, {**spark, PARAMETERS: " ".join(map(_posix_quoted, words))})


def refused(request: JSON) -> list[Remark]:
    """Returns remarks about values of a mapping in a spec that cannot be sent in a form that EMR Serverless reads.

    Most such values are refused whenever a spec is read. Values with paired double quotes are refused by `validate`,
    and every plan warns about them. They are still sent, because version 0.1.0 sent them, and a project that contains
    one must still plan and apply.
    """
    parameters = part(request, "jobDriver", "sparkSubmit").get(PARAMETERS)
    if not isinstance(parameters, dict):
        return []
    return [
        Remark((*SPARK, PARAMETERS, *loc), objection, RULE)
        for loc, value, setting in _values(parameters)
        if (objection := _inexpressible(value, setting)) is not None
    ]


def _values(parameters: JSON) -> Iterator[tuple[Loc, str, str | None]]:
    """Yields each text of a valid mapping with its path and the property that it sets."""
    for name, value in parameters.items():
        if name == CONF:
            yield from (((name, key), source_text(text) or "", key) for key, text in value.items())
        elif isinstance(value, list):
            texts = map(source_text, value)
            yield from (((name, index), text or "", PROPERTIES.get(name)) for index, text in enumerate(texts))
        else:
            yield (name,), source_text(value) or "", PROPERTIES.get(name)


def settings(parameters: str) -> tuple[JSON, JSON]:
    """Returns the settings of ``--conf``, keyed by name, and the other options of a string, keyed by name with dashes.

    A repeated option has the list of its values, in order; list options have lists; flags are ``True``. Raises
    `ValueError` for a string that is not a list of spark-submit options.
    """
    conf: dict[str, list[object]] = {}
    options: dict[str, list[object]] = {}
    for name, value in _options(_split(parameters)):
        if name == CONF and isinstance(value, str):
            key, equals, setting = value.partition("=")
            if not equals:
                raise ValueError(f"--conf {value} has no value")
            conf.setdefault(key, []).append(setting)
        else:
            options.setdefault(f"--{name}", []).append(value)
    return _single(conf), {name: _listed(name, value) for name, value in _single(options).items()}


def _split(parameters: str) -> list[str]:
    """Splits a string as ``shlex.split`` does. `shlex` takes much longer, and only quotes and backslashes need it."""
    return shlex.split(parameters) if QUOTING.search(parameters) else WORD.findall(parameters)


def _options(words: list[str]) -> Iterator[tuple[str, str | bool]]:
    """Yields each option with its value, `True` for a flag. Raises `ValueError` for a word that is not an option."""
    rest = deque(words)
    while rest:
        word = rest.popleft()
        name, equals, value = SHORT.get(word, word.removeprefix("--")).partition("=")
        if not name or not (word.startswith("--") or word in SHORT):
            raise ValueError(f"{word!r} is not an option")
        if equals:
            yield name, value
        # An option that is not in the list has a value, unless another option follows.
        elif name in FLAGS or (name not in OPTIONS and (not rest or rest[0].startswith("--"))):
            yield name, True
        elif rest:
            yield name, rest.popleft()
        else:
            raise ValueError(f"--{name} has no value")


def _single(values: dict[str, list[object]]) -> JSON:
    return {name: given[0] if len(given) == 1 else given for name, given in values.items()}


def _listed(name: str, value: object) -> object:
    return value.split(",") if name.removeprefix("--") in LISTS and isinstance(value, str) else value


def string_or_mapping(schema: JSON) -> None:
    """Lets the JSON Schema of the string accept the mapping too, with `anyOf` and the string first."""
    string = {key: schema.pop(key) for key in ("type", "minLength", "maxLength", "pattern", "anyOf") if key in schema}
    scalar = {"type": ["string", "number", "boolean"]}
    text, flag = {"type": ["string", "integer"]}, {"type": "boolean"}
    listed = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
    properties: JSON = {CONF: {"type": "object", "additionalProperties": scalar}}
    properties |= dict.fromkeys(VALUES, text) | dict.fromkeys(LISTS, listed) | dict.fromkeys(FLAGS, flag)
    mapping = {"type": "object", "additionalProperties": False, "properties": dict(sorted(properties.items()))}
    schema["anyOf"] = [string, mapping]


def from_spec(request: JSON) -> JSON:
    """Returns the request with its Spark parameters as the string that AWS expects. The input is not changed.

    Raises `RequestProblems` for a mapping that cannot be rendered.
    """
    spark = part(request, "jobDriver", "sparkSubmit")
    parameters = spark.get(PARAMETERS)
    if not isinstance(parameters, dict):
        return request
    return _with_spark(request, {**spark, PARAMETERS: rendered(parameters, (*SPARK, PARAMETERS))})


def shorthand(request: JSON) -> JSON:
    """Returns the request with a mapping of its Spark parameters, or the request itself if the mapping would be
    rendered to another string, because options are sorted."""
    spark = part(request, "jobDriver", "sparkSubmit")
    if not isinstance(spark.get(PARAMETERS), str):
        return request
    try:
        conf, options = settings(spark[PARAMETERS])
        bare = {name.removeprefix("--"): value for name, value in options.items()}
        mapping = {CONF: conf, **bare} if conf else bare
        short = _with_spark(request, {**spark, PARAMETERS: dict(sorted(mapping.items()))})
        return short if from_spec(short) == request else request
    except ValueError:
        return request


def for_display(request: JSON) -> JSON:
    """Returns the request with separate settings instead of its Spark parameters: `conf` by key, and `parameters` by
    option.

    A string that is not a list of options is unchanged.
    """
    spark = part(request, "jobDriver", "sparkSubmit")
    parameters = spark.get(PARAMETERS)
    if not isinstance(parameters, str):
        return request
    try:
        conf, options = settings(parameters)
    except ValueError:
        return request
    shown: JSON = {}
    for key, value in spark.items():
        if key != PARAMETERS:
            shown[key] = value
            continue
        if conf:
            shown["conf"] = conf
        if options:
            shown["parameters"] = options
    return _with_spark(request, shown)


def _with_spark(request: JSON, spark: JSON) -> JSON:
    return {**request, "jobDriver": {**request["jobDriver"], "sparkSubmit": spark}}
