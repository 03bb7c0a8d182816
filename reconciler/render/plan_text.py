"""Renders a plan as text: the actions with their fields, the warnings and a summary."""

from collections.abc import Iterator, Sequence
from typing import Any

from reconciler.core.identity import Place, Source
from reconciler.core.plan import ActionType, Change, Plan, Reason
from reconciler.redact.escape import lines_text
from reconciler.redact.request import masked_change
from reconciler.render import plan_phrases as phrases
from reconciler.render.runs import usual_text
from reconciler.render.text import Style, columns, path_label, place_line, plain, sentence, value_text

OP_SIGNS = {"add": "+", "remove": "-", "change": "~", "reorder": "~"}
WIDE_LIST = 80  # a list with a longer line has one line per entry


def _field_lines(block: phrases.Block) -> Iterator[list[str]]:
    """Yields each field of a block as lines. The first line of a field starts with its sign."""
    for part in phrases.fields_of(block):
        yield change_block(part) if isinstance(part, Change) else _block(f"+ {path_label(part[0])}: ", part[1])


def change_block(change: Change) -> list[str]:
    """Returns a change as lines, with secrets masked. The first line starts with the change's sign."""
    before, after = masked_change(change)
    path = path_label(change.path)
    sign = OP_SIGNS[change.op]
    match change.op:
        case "add":
            return _block(f"{sign} {path}: ", after)
        case "remove":
            return _block(f"{sign} {path}: ", before)
        case "change" if before == after:
            return [f"{sign} {path}: {value_text(after)}"]
        case "change":
            return [f"{sign} {path}: {value_text(before)} -> {value_text(after)}"]
        case "reorder":
            return [f"{sign} {path}: order changed", f"    {value_text(before)}", f" -> {value_text(after)}"]


def _block(start: str, value: Any) -> list[str]:  # noqa: ANN401 - any JSON value
    line = start + value_text(value)
    if not isinstance(value, list) or not value or len(line) <= WIDE_LIST:
        return [line]
    return [f"{start}[", *(f"    {value_text(entry)}," for entry in value), "  ]"]


FIELD_INDENT = " " * 6


def plan_text(plan: Plan, *, color: bool = False) -> str:
    """Returns the plan as text: its project, target, account and region, a legend of the signs, a block for each change
    and for each other action that is not in sync, the warnings, and the summary. There is no final line break.

    Secrets are masked and control characters escaped.
    """
    return "".join(plan_text_parts(plan, color=color))


def plan_text_parts(plan: Plan, *, color: bool = False) -> Iterator[str]:
    """Yields `plan_text` in parts, block by block."""
    style = Style(color)
    blocks = phrases.blocks_of(plan)
    yield lines_text([place_line(plan.place), "", *_legend(blocks, style), ""])
    for block in blocks:
        yield lines_text([*_block_lines(block, plan.place, style), "", ""])
    lines = [*_next_slots(plan)]
    for warning in plan.warnings:
        lines += [style.paint("Warning: ", "yellow") + sentence(warning), ""]
    if plan.changes and plan.plan_id:
        lines += [f"Plan id: {plain(plan.plan_id)}", ""]
    yield lines_text([*lines, style.bold(phrases.summary_line(plan))])


def _next_slots(plan: Plan) -> Iterator[str]:
    """Yields the next slot of each spec with a schedule. Yields nothing if no spec has a schedule."""
    slots = [(plain(name), plain(slot)) for name, slot in phrases.next_slots(plan).items()]
    if slots:
        yield "Next slots:"
        yield from (f"  {line}" for line in columns(slots))
        yield ""


def _legend(blocks: Sequence[phrases.Block], style: Style) -> Iterator[str]:
    """Yields the signs that the plan uses: the signs of actions, and ``~`` if a field changes."""
    signs = {
        phrases.symbol(block.action): phrases.symbol_word(phrases.symbol(block.action))
        for block in blocks
        if block.action is not None
    }
    if any(block.action is None or _changes_a_field(block) for block in blocks):
        signs["~"] = "changed field"
    if signs:
        yield "Symbols:"
        for sign in sorted(signs, key=list(phrases.SYMBOL_COLOURS).index):
            yield f"  {style.paint(f'{sign:>2}', phrases.SYMBOL_COLOURS[sign])} {signs[sign]}"
        yield ""


def _changes_a_field(block: phrases.Block) -> bool:
    changes = block.change.fields if block.change is not None else block.action.changes if block.action else ()
    return any(change.op in {"change", "reorder"} for change in changes) or _revised(block)


def _revised(block: phrases.Block) -> bool:
    """Returns whether the spec runs again only because of its revision, which is not a field of the request."""
    action = block.action
    return (
        block.change is None
        and action is not None
        and action.action is ActionType.SUBMIT
        and action.reason is Reason.REVISION_CHANGED
    )


def _block_lines(block: phrases.Block, place: Place, style: Style) -> Iterator[str]:
    """Yields the effect, the sign with the name, the fields, and the time when the fields take effect."""
    effect = phrases.effect_line(block.change) if block.change is not None else ""
    yield from _heading(block, effect, style)
    if _revised(block) and block.action is not None:
        changed = f" revision: changed to {block.action.content.revision} (the request is the same)"
        yield FIELD_INDENT + style.paint("~", phrases.SYMBOL_COLOURS["~"]) + changed
    for lines in _field_lines(block):
        mark, rest = lines[0][0], lines[0][1:]
        yield FIELD_INDENT + style.paint(mark, phrases.SYMBOL_COLOURS[mark]) + rest
        yield from (FIELD_INDENT + line for line in lines[1:])
    if effect:
        yield FIELD_INDENT + sentence(effect)
    if block.change is not None and (origin := phrases.origin_words(block.change)):
        yield FIELD_INDENT + sentence(f"origin: {origin}")
    if (action := block.action) is None:
        return
    if action.typical is not None and action.typical.runs > 1:
        yield FIELD_INDENT + style.dim(f"usual: {usual_text(action.typical)}")
    if url := place.console_url(action.kind, action.content.location, action.run_id):
        yield FIELD_INDENT + style.dim(f"console: {plain(url)}")


def _heading(block: phrases.Block, effect: str, style: Style) -> Iterator[str]:
    """Yields the lines above the fields of an action, or of a change that no action applies now."""
    action, change = block.action, block.change
    if action is None:
        if change is not None:
            yield style.bold(f"  # {plain(change.name)} {plain(phrases.change_words(change))}")
            yield f"  {style.paint('~', phrases.SYMBOL_COLOURS['~'])} {_title(change.name, change.kind, change.source)}"
        return
    yield style.bold(f"  # {plain(action.name)} {sentence(phrases.what_happens(action))}")
    if action.message and action.message not in effect:
        yield f"  #   {sentence(action.message)}"
    if action.suggested:
        yield from (f"  #   {line}" for line in phrases.suggested_lines(action.suggested))
    sign = phrases.symbol(action)
    yield f"  {style.paint(sign, phrases.SYMBOL_COLOURS[sign])} {_title(action.name, action.kind, action.source)}"


def _title(name: str, kind: str, source: Source | None) -> str:
    where = f", {source.path}:{source.line}" if source else ""
    return plain(f"{name} ({kind}{where})")
