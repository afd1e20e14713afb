"""Help that fits a screen: commands in panels by purpose, and words that people know beside the options."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from typer.core import TyperCommand, TyperGroup

from headstart.flows.output import Console, escape

_LONGEST_CHOICE = 24  # what stands beside an option on one line; longer ones stand in its help


class ReadableCommand(TyperCommand):
    """A command whose options show what they take in plain words, and nothing where they take nothing."""

    def get_params(self, ctx: Any) -> Any:
        """Return the parameters, with such words."""
        return _in_plain_words(super().get_params(ctx))


class CommandPanels(TyperGroup):
    """All commands in panels by purpose, each on one line: typer's own panels would not fit a screen."""

    def get_params(self, ctx: Any) -> Any:
        """Return the parameters, in plain words."""
        return _in_plain_words(super().get_params(ctx))

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - which writes paragraphs
        """Print usage, commands beside their panels' names, and options: one line each."""
        console = Console()
        console.print(f"[bold]Usage:[/] {escape(ctx.command_path)} COMMAND …\n{self.help}\n", highlight=False)
        panels: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command: Any = self.get_command(ctx, name)
            panels.setdefault(command.rich_help_panel, []).append((name, command.short_help))
        shown = [one for one in self.get_params(ctx) if not one.hidden]
        # A line each: what typer's own have to add stands behind a comma.
        options = [(", ".join(one.opts), f"{(one.help or '').partition(',')[0].rstrip('.')}.") for one in shown]
        console.print(_rows(panels))
        console.print(_rows({"options": options}))
        if self.epilog:
            console.print(f"\n{self.epilog}", highlight=False)


def _rows(panels: Mapping[str, Sequence[tuple[str, str]]]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True, min_width=max(map(len, panels)))
    table.add_column(style="bold cyan", no_wrap=True)
    table.add_column()
    for title, rows in panels.items():
        for place, (name, text) in enumerate(rows):
            table.add_row("" if place else title, name, text)
    return table


def _in_plain_words(parameters: list[Any]) -> list[Any]:
    """Say of each option what it takes: nothing of a flag, one word and more of a list."""
    for one in parameters:
        if one.param_type_name == "argument" and one.nargs != 1:
            one.display_type_rich = lambda **_: "NAME …"  # typer shows its type, whatever is said
        if one.param_type_name != "option" or one.metavar is not None:
            continue
        choices = [str(choice) for choice in getattr(getattr(one, "type_descriptor", None), "choices", None) or ()]
        if one.is_flag or one.count:
            one.metavar = ""
        elif len("|".join(choices)) > _LONGEST_CHOICE:
            one.metavar = "NAME"
            one.help = f"{one.help or ''} One of {', '.join(choices)}.".strip()
        elif one.multiple:
            one.metavar = "NAME …"
    return parameters
