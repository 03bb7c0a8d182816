"""Converts options of spark-submit: from a mapping to the one string that AWS takes, and back to single settings.

A mapping names options without their dashes: `{class: com.acme.Main, conf: {spark.executor.memory: 8g}, jars: [a, b]}`.
The string does not depend on the order of keys: options are sorted by name, settings of `conf` by key. Words with white
space, quotes or backslashes are quoted as for a POSIX shell; others are not, because nothing expands them.
"""

from __future__ import annotations

import shlex
from collections import deque
from collections.abc import Iterator
from difflib import get_close_matches

from reconciler.model.base import JSON, Loc, Remark, SourceFloat, Unquoted, part, source_text
from reconciler.model.kind import RequestProblems

CONF = "conf"
LISTS = frozenset({"archives", "exclude-packages", "files", "jars", "packages", "py-files", "repositories"})
FLAGS = frozenset({"load-spark-defaults", "supervise", "verbose"})
VALUES = frozenset({
    "class", "deploy-mode", "driver-class-path", "driver-cores", "driver-java-options", "driver-library-path",
    "driver-memory", "executor-cores", "executor-memory", "keytab", "master", "name", "num-executors", "principal",
    "properties-file", "proxy-user", "queue", "remote", "total-executor-cores",
})  # fmt: skip
OPTIONS = LISTS | FLAGS | VALUES | {CONF}
"""The options of spark-submit as Spark 3 and 4 document them."""

SHORT = {"-c": CONF, "-v": "verbose"}
NEEDS_QUOTES = frozenset(" \t\n\r\v\f'\"\\")
RULE = "spark-parameters"
SPARK: Loc = ("jobDriver", "sparkSubmit")
PARAMETERS = "sparkSubmitParameters"


def rendered(parameters: JSON, loc: Loc) -> str:
    """The string for a mapping of options. Raises `RequestProblems` with paths below `loc`."""
    remarks: list[Remark] = []
    words: list[str] = []
    for name in sorted(parameters, key=str):
        try:
            words += _words(name, parameters[name], (*loc, name))
        except RequestProblems as problems:
            remarks += problems.remarks
    if not words and not remarks:
        remarks.append(Remark(loc, "this mapping has no options: remove the field, or give an option", RULE))
    if remarks:
        raise RequestProblems(remarks)
    return " ".join(map(_quoted, words))


def _words(name: object, value: object, loc: Loc) -> list[str]:
    """The words of one option, not yet quoted."""
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
    return [f"--{name}", _option_text(name, value, loc)]


def _conf_words(settings: object, loc: Loc) -> list[str]:
    """``--conf key=value`` for each setting, by key; values keep their text as written."""
    if not isinstance(settings, dict):
        raise _problem(loc, "expected a mapping of settings, such as {spark.executor.memory: 8g}")
    words: list[str] = []
    remarks: list[Remark] = []
    for key in sorted(settings, key=str):
        value = source_text(settings[key])
        if not isinstance(key, str) or not key or "=" in key or any(map(str.isspace, key)):
            remarks.append(Remark((*loc, key), "a setting's name must not contain '=' or white space", RULE))
        elif value is None:
            remarks.append(
                Remark(
                    (*loc, key),
                    f"{key} takes one value; write nested names in full, such as spark.executor.memory",
                    RULE,
                )
            )
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
    """The text of an option's value: a string or an integer. Other plain scalars may not mean what they seem to."""
    if isinstance(value, Unquoted | SourceFloat | bool) or value is None:
        written = source_text(value) or "null"
        raise _problem(loc, f'--{name} takes a string: write "{written}" in quotes')
    given = source_text(value)
    if given is None:
        form = "a string or a list of strings" if name in LISTS else "one string"
        raise _problem(loc, f"--{name} takes {form}")
    return given


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


def _quoted(word: str) -> str:
    return shlex.quote(word) if not word or NEEDS_QUOTES.intersection(word) else word


def settings(parameters: str) -> tuple[JSON, JSON]:
    """The settings of ``--conf`` by name, and the other options of a string by name with their dashes.

    A repeated one has the list of its values, in order; list options have lists; flags are ``True``. Raises
    `ValueError` for a string that is not a list of spark-submit options.
    """
    conf: dict[str, list[object]] = {}
    options: dict[str, list[object]] = {}
    for name, value in _options(shlex.split(parameters)):
        if name == CONF and isinstance(value, str):
            key, equals, setting = value.partition("=")
            if not equals:
                raise ValueError(f"--conf {value} has no value")
            conf.setdefault(key, []).append(setting)
        else:
            options.setdefault(f"--{name}", []).append(value)
    return _single(conf), {name: _listed(name, value) for name, value in _single(options).items()}


def _options(words: list[str]) -> Iterator[tuple[str, str | bool]]:
    """Each option with its value, `True` for a flag. Raises `ValueError` for a word that is not an option."""
    rest = deque(words)
    while rest:
        word = rest.popleft()
        name, equals, value = SHORT.get(word, word.removeprefix("--")).partition("=")
        if not name or not (word.startswith("--") or word in SHORT):
            raise ValueError(f"{word!r} is not an option")
        if equals:
            yield name, value
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
    """Makes the JSON Schema of the string accept the mapping, too: `anyOf`, the string first."""
    string = {key: schema.pop(key) for key in ("type", "minLength", "maxLength", "pattern", "anyOf") if key in schema}
    scalar = {"type": ["string", "number", "boolean"]}
    text, flag = {"type": ["string", "integer"]}, {"type": "boolean"}
    listed = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
    properties: JSON = {CONF: {"type": "object", "additionalProperties": scalar}}
    properties |= dict.fromkeys(VALUES, text) | dict.fromkeys(LISTS, listed) | dict.fromkeys(FLAGS, flag)
    mapping = {"type": "object", "additionalProperties": False, "properties": dict(sorted(properties.items()))}
    schema["anyOf"] = [string, mapping]


def from_spec(request: JSON) -> JSON:
    """The request with its Spark parameters as the string that AWS takes. The input stays as it is.

    Raises `RequestProblems` for a mapping that cannot be rendered.
    """
    spark = part(request, "jobDriver", "sparkSubmit")
    parameters = spark.get(PARAMETERS)
    if not isinstance(parameters, dict):
        return request
    return _with_spark(request, {**spark, PARAMETERS: rendered(parameters, (*SPARK, PARAMETERS))})


def for_display(request: JSON) -> JSON:
    """The request with single settings instead of its Spark parameters: `conf` by key, and `parameters` by option.

    A string that is not a list of options stays as it is.
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
