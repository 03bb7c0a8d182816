"""Generates the rows of a plan's Markdown page: changes and actions, with those that have the same content in one row.

Rows and their fields are generated when they are needed, because most do not fit on the page of a large plan.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property

from reconciler.core.identity import Source
from reconciler.core.plan import Action, Change, ChangeType, SpecChange
from reconciler.redact.text import SENSITIVE, mask_sentence
from reconciler.render import markdown
from reconciler.render import plan_phrases as phrases
from reconciler.render.diff_lines import added_lines, change_lines
from reconciler.render.runs import usual_text
from reconciler.values import dataclass

MOST_NAMES = 100
FEWEST_TOGETHER = 3  # the minimum number of specs with the same content that share a row
CHANGE_SIGNS = {ChangeType.ADDED: "+", ChangeType.CHANGED: "~", ChangeType.RENAMED: "~", ChangeType.REMOVED: "-"}


@dataclass(frozen=True)
class Entry:
    """A change or an action with the name and location of its spec: the sign, the effect, the sentences below the
    effect, and the usual duration and cost of the spec's runs (empty if unknown)."""

    block: phrases.Block
    sign: str
    what: str
    below: tuple[str, ...]
    name: str
    source: Source | None
    usual: str
    folded: bool = False

    @cached_property
    def fields(self) -> tuple[tuple[str, ...], ...]:
        """The fields as lines."""
        parts = phrases.fields_of(self.block)
        return tuple(tuple(change_lines(each) if isinstance(each, Change) else added_lines(*each)) for each in parts)

    @property
    def hides_parts(self) -> bool:
        """Whether the lines mask or omit a part of the fields, so that different fields may have the same lines."""
        return any(SENSITIVE[:-1] in line or "…" in line for lines in self.fields for line in lines)

    def content(self, fields: object) -> tuple[object, ...]:
        """Returns the values that the entries in a row have in common, with their `fields` in any form."""
        return self.sign, self.what, self.below, self.folded, fields


def change_entry(change: SpecChange, block: phrases.Block) -> Entry:
    """Returns an entry for a change: its effect, and when it takes effect."""
    action, effect, origin = block.action, phrases.effect_line(change), phrases.origin_words(change)
    below = [effect, f"origin: {origin}" if origin else ""]
    if action is not None:
        sign, what = phrases.symbol(action), phrases.what_happens(action)
        below = [action.message if action.message not in effect else "", *below]
    else:
        sign, what = CHANGE_SIGNS[change.change], phrases.change_words(change)
    present, added = tuple(filter(None, below)), change.change is ChangeType.ADDED
    return Entry(block, sign, what, present, change.name, change.source, _usual(action), added)


def action_entry(action: Action) -> Entry:
    """Returns an entry for an action that no change causes."""
    below = (action.message,) if action.message else ()
    words = phrases.symbol(action), phrases.what_happens(action)
    return Entry(phrases.Block(None, action), *words, below, action.name, action.source, _usual(action))


def _groups(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Yields the entries in groups with the same content. Their lines are generated only if different fields may have
    the same lines."""
    by_fields: dict[object, list[int]] = {}
    for number, entry in enumerate(entries):
        by_fields.setdefault(entry.content(phrases.fields_key(entry.block)), []).append(number)
    groups = list(by_fields.values())
    for at, group in enumerate(groups):
        if entries[group[0]].hides_parts:
            by_lines: dict[object, list[int]] = {}
            for other in groups[at:]:
                first = entries[other[0]]
                by_lines.setdefault(first.content(first.fields), []).extend(other)
            yield from ([entries[number] for number in sorted(numbers)] for numbers in by_lines.values())
            return
        yield [entries[number] for number in group]


def section_of(
    what: str, heading: Sequence[str], entries: Sequence[Entry], repository: markdown.Repository | None
) -> markdown.Section:
    """Returns a section with a row for each group of entries. Its rows are generated when they are needed."""

    def rows() -> Iterator[markdown.Row]:
        for group in _groups(entries):
            size = MOST_NAMES if len(group) >= FEWEST_TOGETHER else 1
            for at in range(0, len(group), size):
                yield _row(group[at : at + size], repository)

    return markdown.Section(what, [*heading, ""], markdown.Made(rows()), len(entries))


def _row(entries: Sequence[Entry], repository: markdown.Repository | None) -> markdown.Row:
    first = entries[0]
    names = ", ".join(markdown.linked(markdown.code(each.name), each.source, repository) for each in entries)
    what = markdown.prose(mask_sentence(first.what))
    below = [markdown.prose(markdown.shortened(mask_sentence(text))) for text in first.below]
    if len(entries) == 1:
        below += [markdown.prose(first.usual)] if first.usual else []
        where = [markdown.code(str(first.source))] if first.source is not None and repository is None else []
        line = " · ".join([f"{markdown.code(first.sign)} {names} {what}", *where, *below])
    else:  # some code hosts break lines only at an explicit mark, others also at the end of a source line
        line = " · ".join([f"{markdown.code(first.sign)} **{len(entries)} specs**", what, *below]) + f"<br>{names}"
    return markdown.Row([line, ""], [*map(list, first.fields)], number=len(entries), folded=first.folded)


def _usual(action: Action | None) -> str:
    """Returns the usual duration and cost of a submitted spec's runs."""
    typical = action.typical if action is not None else None
    return f"usual: {usual_text(typical)}" if typical is not None and typical.runs > 1 else ""
