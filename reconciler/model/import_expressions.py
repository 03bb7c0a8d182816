"""Converts expressions of other tools in payloads to placeholders of a spec: JSONPath, JSONata and intrinsic functions
of Step Functions, and the context attributes of EventBridge Scheduler."""

import re
from collections.abc import Iterator
from dataclasses import field

from reconciler.model.template import ESCAPED, OPENING, SLOT
from reconciler.values import dataclass, regex

_WORDS = regex(r"[A-Za-z_][A-Za-z0-9_]*")
_ROOTS = {"states", "input", "context", "Execution", "Input"}
"""Words at the start of a path that do not describe the value."""

_FUNCTION = regex(r"States\.(?P<name>\w+)\((?P<arguments>.*)\)", re.DOTALL)
_ARGUMENT = regex(r"\s*(?:'(?P<text>(?:[^'\\]|\\.)*)'|(?P<other>(?:[^,()']|\((?:[^()']|'[^']*')*\))+))\s*(?:,|\Z)")
_JSONATA = regex(r"\s*\{%(.*)%\}\s*", re.DOTALL)
_ATTRIBUTE = regex(r"<aws\.scheduler\.([a-z-]+)>")
SCHEDULED_TIME = "scheduled-time"


@dataclass
class Fillings:
    """The variables that were made for expressions, and for which a user must set values: `variables` maps their names
    to the expressions. `omitted` maps the paths of fields that cannot have a placeholder to their expressions.
    `left_out` are the paths of fields without a value, and of fields that AWS's input does not have."""

    slots: bool = False
    variables: dict[str, str] = field(default_factory=dict)
    omitted: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def variable(self, expression: str, fallback: str) -> str:
        """Returns a placeholder for an expression. Equal expressions have the same variable."""
        for name, other in self.variables.items():
            if other == expression:
                return f"${{var.{name}}}"
        base = name = _name(expression) or _name(fallback) or "value"
        number = 1
        while name in self.variables:
            number += 1
            name = f"{base}_{number}"
        self.variables[name] = expression
        return f"${{var.{name}}}"

    def expression(self, expression: str, fallback: str) -> str:
        """Returns the text for a field that is one expression: one placeholder, or the filled-in format of
        ``States.Format``."""
        function = _FUNCTION.fullmatch(expression.strip())
        arguments = None if function is None else list(_arguments(function["arguments"]))
        if function is not None and function["name"] == "Format" and arguments and arguments[0][0] is not None:
            return "".join(self._format(arguments, fallback))
        return self.variable(expression.strip(), fallback)

    def entries(self, expression: str, fallback: str) -> list[str]:
        """Returns the list for a field that is one expression: the entries of ``States.Array``, or one placeholder."""
        function = _FUNCTION.fullmatch(expression.strip())
        if function is not None and function["name"] == "Array":
            return [self._argument(each, fallback) for each in _arguments(function["arguments"])]
        return [self.variable(expression.strip(), fallback)]

    def text(self, text: str, fallback: str) -> str:
        """Returns a text of a payload in the form of a spec, with expressions replaced with placeholders and other text
        escaped."""
        if (whole := _JSONATA.fullmatch(text)) is not None:
            literal = re.fullmatch(r"\s*(?:'([^']*)'|\"([^\"]*)\")\s*", whole[1])
            if literal is not None:
                return escaped(literal[1] or literal[2] or "")
            return self.variable(whole[1].strip(), fallback)
        parts, end = [], 0
        for match in _ATTRIBUTE.finditer(text):
            parts += [escaped(text[end : match.start()]), self._attribute(match, fallback)]
            end = match.end()
        return "".join((*parts, escaped(text[end:])))

    def _attribute(self, match: re.Match[str], fallback: str) -> str:
        if match[1] == SCHEDULED_TIME and self.slots:
            return f"${{{SLOT}}}"
        return self.variable(match[0], fallback)

    def _format(self, arguments: list[tuple[str | None, str]], fallback: str) -> Iterator[str]:
        template, *values = arguments
        pieces = re.split(r"(?<!\\)\{\}", template[0] or "")
        for number, piece in enumerate(pieces):
            yield escaped(re.sub(r"\\(.)", r"\1", piece))
            if number < len(pieces) - 1:
                yield self._argument(values[number], fallback) if number < len(values) else ""

    def _argument(self, argument: tuple[str | None, str], fallback: str) -> str:
        literal, other = argument
        if literal is not None:
            return escaped(re.sub(r"\\(.)", r"\1", literal))
        if re.fullmatch(r"-?\d+(?:\.\d+)?|true|false", other):
            return other
        return self.expression(other, fallback)


def escaped(text: str) -> str:
    """Returns a literal text as it must be written in a spec."""
    return text.replace(OPENING, ESCAPED)


def is_jsonata(value: object) -> bool:
    """Returns whether a value is an expression in JSONata."""
    return isinstance(value, str) and _JSONATA.fullmatch(value) is not None


def _arguments(text: str) -> Iterator[tuple[str | None, str]]:
    """Yields the arguments of an intrinsic function: a quoted text, or `None` and the source of anything else."""
    position = 0
    while position < len(text):
        match = _ARGUMENT.match(text, position)
        if match is None:
            yield None, text[position:].strip()
            return
        yield match["text"], (match["other"] or "").strip()
        position = match.end()


def _name(expression: str) -> str:
    """Returns a name for a variable: ``$.order.Date`` becomes ``order_date``."""
    words = _WORDS.findall(re.sub(r"States\.\w+|'[^']*'", " ", expression))
    telling = words[next((i for i, word in enumerate(words) if word not in _ROOTS), 0) :]
    return "_".join(telling).lower()[:60]
