"""Finds templates of other tools in requests. Nothing replaces them here, so AWS would receive them unchanged."""

import re
from collections.abc import Iterator, Sequence

from reconciler.model.base import Loc, Remark
from reconciler.values import regex

RULE = "template"
LONGEST_SHOWN = 60  # characters
LONGEST_READ = 200  # characters of a template in which its name and its format are looked for

JINJA, JSONATA, STEP_FUNCTIONS, PYTHON = "Jinja, as in Airflow", "Jinja or JSONata", "Step Functions", "Python"
COMMAND = "a shell, make or Kubernetes"

_TEMPLATES: dict[str, re.Pattern[str]] = {
    JINJA: regex(r"\{\{-?\s*(?:[A-Za-z_]|\.(?:Values|Release|Chart|Files)\b)[^{}]*\}\}"),
    JSONATA: regex(r"\{%-?\s*[A-Za-z$_][^%]*%\}"),
    STEP_FUNCTIONS: regex(r"\A\$\$?(?:\.[A-Za-z_]\w*|\[[^\]]*\])+\Z|\bStates\.[A-Z]\w+\([^()]*"),
    COMMAND: regex(r"\$\([^()]*\)+|`(?:date|hostname|whoami|uuidgen|cat|echo|aws)\b[^`]*`"),
    PYTHON: regex(r"%\([A-Za-z_]\w*\)[a-z0-9.]*[sdifrx]"),
    "AWS Data Pipeline or Ruby": regex(r"#\{\s*[A-Za-z_@][^{}]*\}"),
    "Azure Data Factory": regex(r"@\{\s*[A-Za-z_][^{}]*\}"),
    "EventBridge Scheduler": regex(r"<aws\.[a-z]+\.[a-z-]+>"),
    "Windows": regex(r"(?<![\w'\"%])%[A-Z][A-Z0-9_]{2,}%(?![\w'\"%])"),  # not the '%ERROR%' of SQL
    "CloudFormation": regex(r"\A!(?:Ref|Sub|GetAtt|Join|ImportValue|Select)\s.+", re.DOTALL),
}
"""The tools whose templates are detected, each with the pattern of its templates."""

_SUSPECT = regex(r"[{$%#@!<]|States\.")
_TO_FILL_IN = regex(r"<(?!(?i:none|null|nil|empty|unset|unknown|eof|stdin|stdout|br)>)[A-Za-z][\w -]*>")

SHELL = regex(r"\$\(|%|`")
KUBERNETES = regex(r"\$\([A-Za-z_][\w.-]*\)\Z")
"""The templates that a shell and Kubernetes expand themselves."""

_SHELLS = regex(r"(?:.*/)?(?:(?:ba|z|k|da|a|c|fi)?sh|busybox|cmd|powershell|pwsh)(?:\.exe)?", re.IGNORECASE)
_LITERAL_OPTIONS = {
    JINJA: regex(r"--?[\w-]*(?:format|template)"),
    JSONATA: regex(r"--?[\w-]*(?:format|template|query|expr\w*)"),
    STEP_FUNCTIONS: regex(r"--?[\w-]*(?:json-?path|jq|query|expr\w*|select\w*|filter|pattern)"),
}
"""The options of commands whose value may be a template or a path that is intended as it is."""

_LOGGING = regex(
    r"%\((?:asctime|created|exc_info|filename|funcName|level(?:name|no)|lineno|message|module|msecs|msg|name|pathname|"
    r"process(?:Name)?|relativeCreated|stack_info|thread(?:Name)?|taskName)\)"
)
_FORMAT = regex(r"""(?:date\b[^+]*\+|strftime\()["']?(%[^"')`\s]*)""")
_TIMES = {
    **dict.fromkeys(("ds", "date", "run_date"), "%Y-%m-%d"),
    "ds_nodash": "%Y%m%d",
    "ts_nodash": "%Y%m%dT%H%M%S",
    **dict.fromkeys(("ts", "execution_date", "logical_date", "data_interval_start"), ""),
    "aws.scheduler.scheduled-time": "",
}
"""The names that other tools have for the time of a run, each with the equivalent format of ``${run.slot}``."""


def template_remarks(
    loc: Loc, text: str, *, expanded: re.Pattern[str] | None = None, option: str = ""
) -> Iterator[Remark]:
    """Yields a remark about the first template of another tool in a text.

    `expanded` is the kind of templates that the reader of the text expands, `SHELL` or `KUBERNETES`. `option` is the
    command option whose value is the text.
    """
    if not _SUSPECT.search(text):
        return
    if _TO_FILL_IN.fullmatch(text):
        yield Remark(loc, f"{_shown(text)} is to be filled in: write the value, or ${{var.NAME}}", RULE)
        return
    for tool, pattern in _TEMPLATES.items():
        match = pattern.search(text)
        if match and not (expanded and expanded.match(match[0])) and not _is_meant(tool, match, option):
            yield Remark(loc, _message(tool, match[0]), RULE)
            return


def command_remarks(loc: Loc, words: Sequence[object], *, expanded: re.Pattern[str] | None = None) -> Iterator[Remark]:
    """Yields remarks, as `template_remarks` does, for each word of a command. If the command is a shell, its own
    variables are allowed.
    """
    if any(isinstance(word, str) and _SHELLS.fullmatch(word) for word in words[:2]):
        expanded = SHELL
    before = ""
    for index, word in enumerate(words):
        if isinstance(word, str):
            option, equals, _ = word.partition("=")
            yield from template_remarks((*loc, index), word, expanded=expanded, option=option if equals else before)
        before = word if isinstance(word, str) else ""


def _is_meant(tool: str, match: re.Match[str], option: str) -> bool:
    """Returns whether a text that looks like a template is probably intended as it is."""
    if tool == PYTHON:
        return _LOGGING.search(match.string) is not None
    if tool == COMMAND:  # a script in one word, which the entry point of an image may pass to a shell
        return any(char.isspace() for char in match.string[: match.start()] + match.string[match.end() :])
    literal = _LITERAL_OPTIONS.get(tool)
    return literal is not None and literal.fullmatch(option) is not None


def _message(tool: str, template: str) -> str:
    start = template[:LONGEST_READ]
    name = re.search(r"[A-Za-z_][\w.-]*", start)
    slot_format = _TIMES.get(name[0].removeprefix("dag_run.")) if name else None
    if written := _FORMAT.search(start):
        slot_format = written[1]
    if slot_format is None:
        remedy = "write ${var.NAME}, with NAME in spec.vars, or ${run.slot:%Y-%m-%d} for the day of the slot"
    else:
        instead = f"${{run.slot:{slot_format}}}" if slot_format else "${run.slot}"
        remedy = f"write {instead}, in a spec with a schedule"
    return f"{_shown(template)} is a template of another tool ({tool}), which is not evaluated here: {remedy}"


def _shown(template: str) -> str:
    return template if len(template) <= LONGEST_SHOWN and template.isprintable() else "this"
