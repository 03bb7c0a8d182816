"""Parses placeholders, fills in ``${run.slot}`` in the request of a scheduled spec, and finds templates of other tools,
which AWS would receive unchanged.

Such a request is a template: its strings contain ``${run.slot}``, with or without a format, and the escape ``$${`` for
a literal ``${``, so that it is unambiguous.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from reconciler.model.base import JSON, Loc, Remark
from reconciler.values import regex

OPENING, ESCAPED = "${", "$${"
SLOT = "run.slot"

_PIECE = regex(r"\$\$\{|\$\{(?P<inner>[^{}]*)\}|\$\{")
_DIRECTIVE = regex(r"%(.?)", re.DOTALL)
_FORMATS: dict[str, Callable[[datetime], str]] = {
    "Y": lambda t: f"{t.year:04}",
    "y": lambda t: f"{t.year % 100:02}",
    "m": lambda t: f"{t.month:02}",
    "d": lambda t: f"{t.day:02}",
    "H": lambda t: f"{t.hour:02}",
    "M": lambda t: f"{t.minute:02}",
    "S": lambda t: f"{t.second:02}",
    "j": lambda t: f"{t.timetuple().tm_yday:03}",
    "G": lambda t: f"{t.isocalendar().year:04}",
    "V": lambda t: f"{t.isocalendar().week:02}",
    "u": lambda t: f"{t.isoweekday()}",
    "w": lambda t: f"{t.isoweekday() % 7}",
    "s": lambda t: f"{int(t.timestamp())}",
    "%": lambda _: "%",
}
"""The numeric directives of strftime, reimplemented so that neither a locale nor a platform changes them."""

_SHORTHANDS = {"F": "%Y-%m-%d", "T": "%H:%M:%S", "R": "%H:%M", "D": "%m/%d/%y", "e": "%d", "k": "%H"}
LONGEST_SHOWN = 60  # characters that a message repeats
_NAMESPACES = ("var.", "target.", "project.", "spec.", "run.")
_CLOUDFORMATION = {"AWS::AccountId": "target.account", "AWS::Region": "target.region"}


class Piece(NamedTuple):
    """Either literal text (`name` is None), or a placeholder: its name, and its format after a colon."""

    text: str
    name: str | None = None
    slot_format: str | None = None


class PlaceholderProblem(ValueError):
    """Raised for a malformed or unknown placeholder. `offset` is the position of its ``${`` in the string."""

    def __init__(self, offset: int, message: str) -> None:
        super().__init__(message)
        self.offset, self.message = offset, message


@lru_cache(maxsize=4096)
def pieces(text: str) -> tuple[tuple[int, Piece], ...]:
    """Returns the pieces of a string with their offsets, with escapes removed from literals. Raises
    `PlaceholderProblem`."""
    parts: list[tuple[int, Piece]] = []
    end = 0
    for match in _PIECE.finditer(text):
        if match.start() > end:
            parts.append((end, Piece(text[end : match.start()])))
        end = match.end()
        if match[0] == ESCAPED:
            parts.append((match.start(), Piece(OPENING)))
        elif match["inner"] is None:
            raise PlaceholderProblem(match.start(), _unclosed(text, match.end()))
        else:
            parts.append((match.start(), _placeholder(match.start(), match["inner"])))
    if end < len(text):
        parts.append((end, Piece(text[end:])))
    return tuple(parts)


def _unclosed(text: str, end: int) -> str:
    if text.startswith("{", end):
        return "${{ belongs to another tool, such as GitHub Actions, and is not evaluated; a literal ${ is written $${"
    return "missing } of a placeholder; a literal ${ is written $${"


def _placeholder(offset: int, inner: str) -> Piece:
    name, colon, slot_format = inner.partition(":")
    if not colon:
        return Piece("", name)
    if inner in _CLOUDFORMATION:
        raise PlaceholderProblem(offset, f"{inner} is CloudFormation syntax: write ${{{_CLOUDFORMATION[inner]}}}")
    if name != SLOT and name.startswith(_NAMESPACES):
        raise PlaceholderProblem(offset, f"only ${{{SLOT}}} takes a format: ${{{inner}}}")
    if name != SLOT:
        raise PlaceholderProblem(offset, f"unknown placeholder ${{{inner}}}.{literal_hint(inner)}")
    _check_directives(offset, slot_format)
    return Piece("", name, slot_format)


def literal_hint(inner: str) -> str:
    """Returns a sentence that explains how to write a ``${…}`` that another tool fills in, or an empty string for a
    name that resembles ours."""
    return (
        "" if inner.startswith(_NAMESPACES) else f" For the literal text, which another tool reads, write $${{{inner}}}"
    )


def _check_directives(offset: int, slot_format: str) -> None:
    if not slot_format:
        raise PlaceholderProblem(offset, f"empty format: write ${{{SLOT}}}, or ${{{SLOT}:%Y-%m-%d}}")
    for directive in _DIRECTIVE.finditer(slot_format):
        if directive[1] not in _FORMATS:
            directives = " ".join(f"%{letter}" for letter in _FORMATS)
            meant = _SHORTHANDS.get(directive[1]) or _unpadded(slot_format, directive)
            raise PlaceholderProblem(
                offset,
                f"%{directive[1]} is not a numeric date directive; "
                + (f"did you mean {meant}? Expected" if meant else "expected")
                + f" one of {directives}",
            )


def _unpadded(slot_format: str, directive: re.Match[str]) -> str | None:
    """Returns ``%d`` for the platform-specific ``%-d`` or ``%#d``."""
    letter = slot_format[directive.end() : directive.end() + 1]
    return f"%{letter}" if directive[1] in {"-", "#", "_"} and letter in _FORMATS else None


_RUN = regex(r"%.|[A-Za-z]+", re.DOTALL)
_LETTERS = regex(r"YYYY|yyyy|YY|yy|MM|mm|DDD|DD|dd|HH|hh|SS|ss|T|Z")
_MEANT = {"YYYY": "%Y", "YY": "%y", "MM": "%m", "DDD": "%j", "DD": "%d", "HH": "%H", "SS": "%S", "T": "T", "Z": "Z"}
_WORDS = {
    "date": "%Y-%m-%d",
    "year": "%Y",
    "month": "%m",
    "day": "%d",
    "hour": "%H",
    "time": "%H:%M:%S",
} | dict.fromkeys(("epoch", "unix", "timestamp"), "%s")


def format_problem(slot_format: str) -> str | None:
    """Returns why a format is certainly a mistake: it has no directive, or the letters of another notation, as in
    ``YYYY-MM-DD``.

    `pieces` accepts such a format, because existing ledgers may contain it. Only specs that contain it are refused.
    """
    if len(slot_format) > LONGEST_SHOWN:
        return None if "%" in slot_format else "no directive in the format: write some, such as %Y-%m-%d"
    plain = slot_format.replace("'T'", "T")
    meant = _RUN.sub(lambda run: _directives(run[0], plain[max(0, run.start() - 4) : run.start()]), plain)
    if any(directive[1] != "%" for directive in _DIRECTIVE.finditer(slot_format)):
        wrong = [run[0] for run in _RUN.finditer(plain) if _directives(run[0], "") != run[0]]
        return f"{wrong[0]} is text, not a directive; did you mean {meant}?" if wrong else None
    if meant == plain:
        letters = re.findall("[A-Za-z]", plain)
        are_bare = letters != [] and len(set(letters)) == len(letters) and set(letters) <= set("YymdHMSj")
        bare = re.sub("[A-Za-z]", lambda letter: f"%{letter[0]}", plain)
        meant = _WORDS.get(plain.lower()) or (bare if are_bare else "%Y-%m-%d")
    return f"no directive in the format {slot_format}; did you mean {meant}?"


def _directives(run: str, before: str) -> str:
    """Converts a run of letters to directives if it contains only date letters of other notations; else returns it
    unchanged."""
    tokens = _LETTERS.findall(run)
    if "".join(tokens) != run or not any(len(token) > 1 for token in tokens):
        return run
    meant = ""
    for token in tokens:
        # MM is the month, but after an hour it is the minute, in upper or lower case
        after_hour = (before + meant)[-4:].upper().rstrip(":-_.").endswith("H")
        meant += "%M" if token.upper() == "MM" and after_hour else _MEANT[token.upper()]
    return meant


def render_slot(request: JSON, slot: str, time_zone: str) -> JSON:
    """Returns the request of one slot (``2026-11-22T02:00:00Z``), from the template of a scheduled spec.

    ``${run.slot}`` alone is the slot in UTC. With a format it is the slot's time in `time_zone`.
    """
    moment = datetime.fromisoformat(slot).astimezone(ZoneInfo(time_zone))

    def fill(text: str) -> str:
        return "".join(_slot_text(piece, slot, moment) for _, piece in pieces(text))

    filled: JSON = mapped(request, fill)
    return filled


def _slot_text(piece: Piece, slot: str, moment: datetime) -> str:
    if piece.name is None:
        return piece.text
    if piece.slot_format is None:
        return slot
    return _DIRECTIVE.sub(lambda directive: _FORMATS[directive[1]](moment), piece.slot_format)


def mapped(value: Any, change: Callable[[str], str]) -> Any:  # noqa: ANN401 - any JSON value
    """Returns a value with `change` applied to every string that contains a ``${``. Other strings are unchanged."""
    if isinstance(value, str):
        return change(value) if OPENING in value else value
    if isinstance(value, dict):
        return {key: mapped(inner, change) for key, inner in value.items()}
    if isinstance(value, list):
        return [mapped(inner, change) for inner in value]
    return value


RULE = "template"
LONGEST_QUOTED = 60  # characters
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
"""The options of commands whose value may be a template or a path that is intended literally."""

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
        yield Remark(loc, f"{_shown(text)} must be filled in: write the value, or ${{var.NAME}}", RULE)
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
    """Returns whether a text that looks like a template is probably intended literally."""
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
    return template if len(template) <= LONGEST_QUOTED and template.isprintable() else "this"
