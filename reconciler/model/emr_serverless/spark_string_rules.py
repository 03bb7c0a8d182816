"""Warns about mistakes in the string of Spark parameters: quotes, dashes, options, values.

EMR Serverless splits the string into words at white space, keeps text in double quotes together, and passes single
quotes and backslashes on unchanged; docs/adr/0017 has the sources. spark-submit then parses the words. At the first
word that belongs to no option, it stops parsing options, and reads that word as the entry point and all following words
as arguments.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from difflib import get_close_matches

from reconciler.model.base import JSON, Remark, part, text
from reconciler.model.emr_serverless import spark_parameters as spark
from reconciler.model.emr_serverless.spark_values import value_problems
from reconciler.values import dataclass, regex

DASHES = {
    "\N{HYPHEN}": "a typographic hyphen",
    "\N{NON-BREAKING HYPHEN}": "a non-breaking hyphen",
    "\N{FIGURE DASH}": "a figure dash",
    "\N{EN DASH}": "an en dash",
    "\N{EM DASH}": "an em dash",
    "\N{HORIZONTAL BAR}": "a horizontal bar",
    "\N{MINUS SIGN}": "a minus sign",
    "\N{FULLWIDTH HYPHEN-MINUS}": "a full-width hyphen",
}
QUOTES = "\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}\N{DOUBLE LOW-9 QUOTATION MARK}" + (
    "\N{DOUBLE HIGH-REVERSED-9 QUOTATION MARK}\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}"
    "\N{SINGLE LOW-9 QUOTATION MARK}\N{SINGLE HIGH-REVERSED-9 QUOTATION MARK}\N{FULLWIDTH QUOTATION MARK}"
    "\N{LEFT-POINTING DOUBLE ANGLE QUOTATION MARK}\N{RIGHT-POINTING DOUBLE ANGLE QUOTATION MARK}"
)
SPACES = {
    "\N{NO-BREAK SPACE}": "a non-breaking space",
    "\N{NARROW NO-BREAK SPACE}": "a non-breaking space",
    "\N{FIGURE SPACE}": "a figure space",
    "\N{IDEOGRAPHIC SPACE}": "a full-width space",
    **{chr(code): "a typographic space" for code in (*range(0x2000, 0x2007), *range(0x2008, 0x200B))},
}
INVISIBLE = "\N{ZERO WIDTH SPACE}\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}\N{WORD JOINER}\ufeff\N{SOFT HYPHEN}"
"""The characters that word processors, chats and web pages substitute for dashes, quotes and spaces."""

_STARTS = f"(?:(?<=[\\s=\"'{QUOTES}])|(?<![\\s\\S]))"
_TYPOGRAPHIC_DASH = regex(f"{_STARTS}-*[{''.join(DASHES)}][-{''.join(DASHES)}]*(?=\\S)")
_DOUBLE_QUOTED = regex(r'\\"(?:(?!\\")[\s\S])*\\"|"(?:\\[\s\S]|[^"\\])*"')
_WORD = regex(rf"(?:{_DOUBLE_QUOTED.pattern}|'[^']*'|\S)+")
_PIECE = regex(rf"(?P<double>{_DOUBLE_QUOTED.pattern})|(?P<single>'[^']*')|(?P<open>[\"'])|[^\"'\\]+|\\")
_LOCATION = regex(r"(?:s3[an]?|file|local|hdfs)://\S+|\S+\.(?:py|jar)")
_NAME = regex(r"[\w.-]*")
CONTINUATIONS = {"\\", "`", "^"}
ONE_STRING = "remove it, the string may have several lines without it"
MOST = 20  # remarks about one string; a string with more is not a list of options
LONGEST_SHOWN = 60  # characters of a word


@dataclass(frozen=True, slots=True)
class Word:
    """One word: its text without quotes, its text as written, and its start."""

    text: str
    raw: str
    start: int

    @property
    def is_option(self) -> bool:
        """`True` if the word starts with two dashes and is an option of spark-submit or unquoted."""
        of_spark = self.text.partition("=")[0][2:] in spark.ALL
        return self.text.startswith("--") and len(self.text) > 2 and (of_spark or self.raw.startswith("-"))

    @property
    def names_option(self) -> bool:
        """`True` if the word is an option with one dash or two. A value such as ``-Xmx2g`` is not an option."""
        bare = self.text.partition("=")[0]
        return self.is_option or bare in spark.SHORTS or (bare[:1] == "-" and bare[1:] in spark.ALL)


def warnings(request: JSON) -> list[Remark]:
    """Returns the mistakes in the Spark parameters of a request as it is sent, in the order of the text."""
    parameters = text(part(request, "jobDriver", "sparkSubmit"), spark.PARAMETERS)
    if parameters is None:
        return []
    return _Check(parameters).run()


class _Check:
    """The remarks about one string."""

    def __init__(self, parameters: str) -> None:
        self._parameters = parameters
        self._remarks: list[tuple[int, Remark]] = []
        self._words: list[Word] = []
        self._next = 0
        self._is_cut = False
        self._keys: set[str] = set()

    def run(self) -> list[Remark]:
        """Checks characters, then quotes, then options."""
        self._words = list(self._quoted_words(self._without_typography()))
        while self._next < len(self._words) and len(self._remarks) < MOST:
            self._option(self._take())
        ordered = sorted(self._remarks, key=lambda each: each[0])
        return list(dict.fromkeys(remark for _, remark in ordered))

    def _warn(self, start: int, word: str, message: str) -> None:
        """Adds a remark about `word`, which starts at offset `start` of the string."""
        if len(self._remarks) < MOST:
            text = _searchable(self._parameters[start : start + len(word)])
            nth = self._parameters.count(text, 0, start)
            self._remarks.append((start, Remark((*spark.SPARK, spark.PARAMETERS), message, spark.RULE, text, nth)))

    def _shown(self, word: Word) -> str:
        """Returns the part of a word that messages show. It can be found in the file, and it is hidden if it is a
        secret."""
        return _searchable(self._parameters[word.start : word.start + len(word.raw)])

    # --- characters ---------------------------------------------------------------------------------------------------

    def _without_typography(self) -> str:
        """Returns the string with typographic characters replaced with ASCII characters, one for one."""
        if self._parameters.isascii():
            return self._parameters
        # Characters are replaced one for one, so that offsets in both strings are the same.
        plain = list(self._parameters)
        faults = [(match.start(), self._dash(match, plain)) for match in _TYPOGRAPHIC_DASH.finditer(self._parameters)]
        texts = [offset for match in _DOUBLE_QUOTED.finditer(self._parameters) for offset in match.span()]
        for offset, character in enumerate(self._parameters):
            if character in SPACES:
                faults.append((offset, f"{SPACES[character]} does not separate words: write an ordinary space"))
                plain[offset] = " "
            elif character in INVISIBLE:
                code = f"U+{ord(character):04X}"
                faults.append((offset, f"an invisible character ({code}) is part of the word: remove it"))
            elif character in QUOTES and not self._is_text(offset, texts):
                faults.append((offset, 'typographic quotes are part of the value: write " instead'))
                plain[offset] = '"'
        self._warn_of_typography("".join(plain), sorted(faults))
        return "".join(plain)

    def _warn_of_typography(self, plain: str, faults: Sequence[tuple[int, str]]) -> None:
        """Warns once about equal faults in one word, because an opening quote has a closing one."""
        starts = [match.start() for match in _WORD.finditer(plain)]
        seen: set[tuple[int, str]] = set()
        for offset, message in faults:
            word = (bisect_right(starts, offset), message)
            if word not in seen:
                self._warn(offset, self._parameters[offset : offset + LONGEST_SHOWN], message)
            seen.add(word)

    def _dash(self, match: re.Match[str], plain: list[str]) -> str:
        """Replaces typographic dashes at the start of an option or a value in `plain`, and returns the message."""
        start, end = match.span()
        plain[start:end] = "-" * (end - start)
        what = next(DASHES[character] for character in match[0] if character in DASHES)
        name = _NAME.match(self._parameters, end)
        meant = f"--{name[0]}" if name is not None and name[0] in spark.ALL else "- instead"
        return f"{what} is not an option's dash: write {meant}"

    def _is_text(self, offset: int, texts: Sequence[int]) -> bool:
        """Returns whether a typographic quote is an apostrophe or is inside double quotes, and so part of a text."""
        before, after = self._parameters[max(offset - 1, 0) : offset], self._parameters[offset + 1 : offset + 2]
        # The offset is inside double quotes if an odd number of starts and ends comes before it.
        return bisect_right(texts, offset) % 2 == 1 or (before.isalpha() and after.isalpha())

    # --- quotes -------------------------------------------------------------------------------------------------------

    def _quoted_words(self, plain: str) -> Iterator[Word]:
        """Yields the words, up to a quote that is never closed."""
        for match in _WORD.finditer(plain):
            word, start = match[0], match.start()
            if word.startswith("--") or set(self._parameters[start : start + 2]).isdisjoint(DASHES):
                meant = word
            else:
                bare = word.lstrip("-")
                meant = f"--{bare}" if bare.partition("=")[0] in spark.ALL else f"-{bare}"
            pieces = list(_PIECE.finditer(meant))
            opened = next((piece for piece in pieces if piece["open"]), None)
            if opened is not None:
                kind = "double" if opened["open"] == '"' else "single"
                self._warn(start, word, f"unbalanced {kind} quote: close it at the end of the value, or remove it")
                self._is_cut = True
                return
            self._check_pieces(start, word, pieces)
            bare = "".join(_unquoted(piece) for piece in pieces)
            if len(word) > 1 and word.endswith("\\"):
                self._warn(start, word, f"the backslash after a word is part of it: {ONE_STRING}")
                bare = bare[:-1]
            yield Word(bare, word, start)

    def _check_pieces(self, start: int, word: str, pieces: Sequence[re.Match[str]]) -> None:
        """Warns about single quotes and escaped quotes, which EMR Serverless does not read."""
        if any(piece["single"] for piece in pieces):
            message = 'EMR Serverless does not read single quotes, they are part of the value: write " instead'
            self._warn(start, word, message)
        if any((piece["double"] or "").startswith("\\") for piece in pieces):
            self._warn(start, word, 'the backslash before a quote is part of the value: write " without it')
        elif any('\\"' in (piece["double"] or "") for piece in pieces):
            message = (
                "a backslash does not escape a quote here, it is part of the value: set it in "
                "configurationOverrides.applicationConfiguration, classification spark-defaults"
            )
            self._warn(start, word, message)

    # --- options ------------------------------------------------------------------------------------------------------

    def _take(self) -> Word:
        self._next += 1
        return self._words[self._next - 1]

    def _peek(self) -> Word | None:
        return self._words[self._next] if self._next < len(self._words) else None

    def _option(self, word: Word) -> None:
        """Checks the option that starts with a word, and consumes its value."""
        written, equals, inline = word.text.partition("=")
        name = spark.SHORTS.get(written, written.lstrip("-"))
        if not word.names_option:
            self._stray(word)
        elif name not in spark.ALL:
            self._unknown(word, written)
        else:
            if written not in spark.SHORTS and written != f"--{name}":
                self._warn(word.start, word.raw, f"an option has two dashes: write --{name}")
            if name in spark.NOT_TAKEN or name in spark.NO_RUN:
                self._warn(word.start, word.raw, f"--{name} {spark.useless(name)}")
            if name in spark.WITHOUT_VALUE:
                if equals:
                    self._warn(word.start, word.raw, f"--{name} takes no value: write --{name}")
            elif equals and inline:
                self._value(name, replace(word, text=inline))
            else:
                self._next_value(name, word, with_equals=bool(equals))

    def _next_value(self, name: str, word: Word, *, with_equals: bool) -> None:
        """Checks the value of an option that is in the next word."""
        following = self._peek()
        example = "KEY=VALUE" if name == spark.CONF else "VALUE"
        if following is None and self._is_cut:
            return
        if following is None:
            self._warn(word.start, word.raw, f"--{name} has no value: write --{name} {example}, or remove it")
        elif following.names_option and (
            name not in spark.DASHED_VALUES or following.text.partition("=")[0][2:] in spark.ALL
        ):
            message = f"--{name} has no value, {following.text.partition('=')[0]} follows: write --{name} {example}"
            self._warn(word.start, word.raw, message)
        elif with_equals or following.text.startswith("="):
            self._warn(word.start, word.raw, f"spaces around = after --{name}: write --{name} {example}")
            self._take_right_side()
        else:
            self._value(name, self._take())

    def _value(self, name: str, value: Word) -> None:
        """Checks a value, and the following words that may belong to it."""
        key, equals, setting = value.text.partition("=") if name == spark.CONF else ("", "", value.text)
        for message in value_problems(name, key, setting):
            self._warn(value.start, value.raw, message)
        if name != spark.CONF:
            self._rest_of_value(name, "")
            return
        self._check_repeated(key, value)
        following = self._peek()
        if following and (following.names_option or _is_setting(following)):
            following = None
        if following and (following.text.startswith("=") if not equals else not setting and value.raw.endswith("=")):
            self._warn(value.start, value.raw, f"= with spaces around it: write {key}=VALUE without spaces")
            self._take_right_side()
        elif not equals:
            meant = match[0] if (match := _NAME.match(key)) and match[0] else "KEY"
            self._warn(value.start, value.raw, f"--conf wants KEY=VALUE: write {meant}=VALUE")
            if following is not None and not _is_remark(following):
                self._next += 1
        elif following is None and value.raw.endswith((",", ";")):
            self._warn(value.start, value.raw, f"the {value.raw[-1]} at the end is part of the value: remove it")
        elif "=" in setting.partition(",spark.")[2]:
            self._warn(value.start, value.raw, "a --conf has one setting: write another --conf for each further one")
        elif not key.startswith("spark."):
            message = f"spark-submit ignores {key}: write spark.{key}, or spark.hadoop.{key} if it is Hadoop's"
            self._warn(value.start, value.raw, message)
        self._rest_of_value(name, key)

    def _check_repeated(self, key: str, value: Word) -> None:
        if key in self._keys:
            self._warn(value.start, value.raw, f"{key} is set twice, and the last value counts: remove one of them")
        self._keys.add(key)

    def _take_right_side(self) -> None:
        """Consumes ``= 1`` or ``=1`` or ``1`` after the left side of an equals sign."""
        if self._take().text == "=" and (right := self._peek()) and not right.names_option:
            self._next += 1

    def _rest_of_value(self, name: str, key: str) -> None:
        """Checks words after a value that were probably meant as part of it."""
        following = self._peek()
        if following is None or following.names_option:
            return
        in_list = name in spark.LISTS and not _is_remark(following) and not _is_setting(following)
        if not in_list and (name not in spark.MAY_HAVE_SPACES or _ends_value(following)):
            return
        remedy = f"write the list of --{name} with commas and without spaces"
        if not in_list:
            remedy = f'quote the value, --{name} {key}{"=" if key else ""}"VALUE"'
        self._warn(following.start, following.raw, f"{self._shown(following)} is a word of its own: {remedy}")
        while following is not None and not (following.names_option or (not in_list and _ends_value(following))):
            self._next += 1
            following = self._peek()

    def _unknown(self, word: Word, written: str) -> None:
        """Warns about an option that spark-submit does not have, and consumes its value."""
        bare = written.lstrip("-")
        glued = next((name for name in sorted(spark.ALL, key=len, reverse=True) if bare.startswith(name)), None)
        close = get_close_matches(bare.lower().replace("_", "-"), sorted(spark.ALL), n=1)
        if bare in spark.JAVA_OPTIONS:
            hint = ", which is Java's: quote the value that it belongs to"
        elif bare.startswith("spark."):
            hint = f"; write --conf {bare}=VALUE"
        elif glued is not None and bare[len(glued) :].startswith(("spark.", "s3:", ":s")):
            hint = f"; write --{glued} with a space after it"
        elif close or written.lower() in spark.SHORTS:
            hint = f"; did you mean {f'--{close[0]}' if close else written.lower()}?"
        else:
            single = not written.startswith("--")
            hint = ": options have two dashes" if single else ": remove it, or write a setting, --conf KEY=VALUE"
        self._warn(word.start, word.raw, f"unknown option {written}{hint}")
        following = self._peek()
        if "=" not in word.text and following is not None and not following.text.startswith("-"):
            self._next += 1

    def _stray(self, word: Word) -> None:
        """Warns about a word that belongs to no option."""
        if word.text in CONTINUATIONS:
            what = "a backslash" if word.text == "\\" else word.text
            message = f"{what} at the end of a line is a word of its own here: {ONE_STRING}"
        elif word.text.startswith("#"):
            message = (
                "# does not start a comment here, it is part of the string: remove it, or move it out of the string"
            )
            self._skip_comment(word)
        elif word.text.rpartition("/")[2] == "spark-submit":
            message = f"{self._shown(word)} belongs to no option: write only the options of spark-submit"
        elif _is_setting(word):
            key, equals, _ = word.text.partition("=")
            remedy = "write --conf before it" if equals else f"write --conf {key.rstrip(':')}=VALUE"
            message = f"{self._shown(word)} belongs to no option: {remedy}"
            self._next += not equals and (following := self._peek()) is not None and not following.names_option
        elif not word.text.strip("-"):
            message = "an option has a space after its dashes: write the dashes directly before its name"
            self._join_dashes()
        elif word.text.startswith("--"):
            message = "an option with its value in quotes is one word: quote only the value"
        elif word.text.startswith("-"):
            self._unknown(word, word.text.partition("=")[0])
            return
        else:
            message = f"{self._shown(word)} belongs to no option: spark-submit treats it as the entry point. Remove it"
        self._warn(word.start, word.raw, message)

    def _join_dashes(self) -> None:
        """Joins single dashes and the name that follows them into an option."""
        following = self._peek()
        if following is not None and following.text.partition("=")[0] in spark.ALL:
            option = f"--{following.text}"
            self._words[self._next] = replace(following, text=option, raw=option)

    def _skip_comment(self, word: Word) -> None:
        """Skips the words of a comment: to the end of its line, or in folded text to the next option."""
        end = self._parameters.rstrip().find("\n", word.start)
        while (following := self._peek()) is not None:
            if following.start > end >= 0 or (end < 0 and following.names_option):
                return
            self._next += 1


def _searchable(word: str) -> str:
    """Returns the start of a word that is the same in the file and in the string, whichever quotes surround it."""
    return (re.split(r"[\s\"'\\]", word.lstrip("\"'\\"), maxsplit=1)[0] or word[:1])[:LONGEST_SHOWN]


def _unquoted(piece: re.Match[str]) -> str:
    if piece["double"]:
        return piece[0][2:-2] if piece[0].startswith("\\") else piece[0][1:-1]
    return piece[0][1:-1] if piece["single"] else piece[0]


def _is_setting(word: Word) -> bool:
    """Returns whether `word` is a setting, or the name of one."""
    return re.match(r"spark\.\w", word.text) is not None


def _ends_value(word: Word) -> bool:
    """Returns whether `word` cannot be the next part of a value with spaces."""
    return word.names_option or _is_setting(word) or _is_remark(word) or _LOCATION.fullmatch(word.text) is not None


def _is_remark(word: Word) -> bool:
    """Returns whether `word` is a line continuation or starts a comment."""
    return word.text in CONTINUATIONS or word.text.startswith("#")
