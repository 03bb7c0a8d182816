"""Groups of commands that are imported when they run."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, cast

import click


class Table(click.Group):
    """A group that knows its commands by name and imports one only when it is asked for.

    `table` has each name with its line of help, in the order people meet them; `module` says where a command is, with
    ``{}`` for its name: each is `command` there.
    """

    def __init__(self, *args: Any, table: Mapping[str, str], module: str, **more: Any) -> None:  # noqa: ANN401 - click's own values
        super().__init__(*args, **more)
        self.table, self.module = table, module

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the table's order."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, `None` where there is none."""
        if cmd_name not in self.table:
            return None
        command = cast("click.Command", import_module(self.module.format(cmd_name)).command)
        command.short_help = self.table[cmd_name]  # what shells show beside a completion
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with a suggestion for a name that is nearly one of ours."""
        name = args[0]
        if name not in self.table and not name.startswith("-"):
            from difflib import get_close_matches

            close = get_close_matches(name, self.table, n=1)
            hint = f" Did you mean {close[0]}?" if close else ""
            ctx.fail(f"there is no command {name!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table, without importing a single command."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self.table.items()))
