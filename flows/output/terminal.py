"""Text that reaches a terminal: nothing that steers it, and only signs that it has."""

import codecs
import io
import re
import sys
from collections.abc import Iterable
from typing import Any

import rich.console
import rich.markup
from rich.cells import cell_len
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

_UNBOUNDED = 10_000
_TIGHT = (0, 1, 0, 0)
_NARROWEST = 16
_FALLBACK = "headstart.signs"
_SIGNS = {
    "→": "->", "←": "<-", "–": "-", "—": "-", "−": "-", "·": "*", "…": "...", "×": "x", "±": "+-", "≥": ">=", "≤": "<=",
    "✓": "+", "✗": "x", "²": "2", "µ": "u", "“": '"', "”": '"',
}  # fmt: skip
# Control characters, which can write the clipboard or hide a line; marks that turn the order of what follows; and what
# stands for bytes of a file name that are not UTF-8. Tabs and ends of lines stay.
_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class Console(rich.console.Console):
    """Rich's console, which shows what steers a terminal, and signs that this one lacks, as what can be read.

    Whatever it prints comes by here: names in tables and notes, errors, progress. Colours are added afterwards.
    """

    def __init__(self, **options: Any) -> None:
        # A file may be called :cat:.png; and in a notebook, Rich would draw bars by widgets that may not be there.
        super().__init__(emoji=False, force_jupyter=False, **options)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print; names are never cut and never broken, a table that is too wide for the screen runs over it instead."""
        known = self._width
        for table in (one for one in objects if isinstance(one, Table)):
            self.width = max(self.width, self._make_room(table))
        if not options.get("soft_wrap", self.soft_wrap):
            highlight, width = options.get("highlight"), self.width
            objects = tuple(
                _between_words(self.render_str(one, highlight=highlight), width) if isinstance(one, str) else one
                for one in objects
            )
            options |= {"soft_wrap": all(isinstance(one, Text) for one in objects), "crop": False}
        super().print(*objects, **options)
        self._width = known

    def _make_room(self, table: Table) -> int:
        """Return the width that a table needs: by less space between columns, and folds in those that give way."""
        whole = self.options.update(max_width=_UNBOUNDED)
        for column in table.columns:
            sizes = [self.measure(cell) for cell in (column.header, *column.cells)]
            needed = (size.maximum if column.no_wrap else size.minimum for size in sizes)
            column.min_width = max(column.min_width or 0, *needed)
        if self.measure(table, options=whole).minimum > self.width:
            table.padding = _TIGHT
        excess = self.measure(table, options=whole).minimum - self.width
        for column in (one for one in reversed(table.columns) if not one.no_wrap):
            needed_width = column.min_width or 0
            if excess > 0 and needed_width > _NARROWEST:
                column.max_width = column.min_width = max(_NARROWEST, needed_width - excess)
                excess -= needed_width - column.min_width
        return self.measure(table, options=whole).minimum

    def render_str(self, text: str, **options: Any) -> Text:
        """Make text safe before it is measured, so that columns stay straight."""
        return super().render_str(self._shown(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Make safe what did not come as a string."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=self._shown(segment.text))

    def _shown(self, text: str) -> str:
        shown = visible(text)
        return shown if shown.isascii() else shown.encode(self.encoding, _FALLBACK).decode(self.encoding)


def _between_words(text: Text, width: int) -> Text:
    """Break lines between words alone: Rich would break a name that is longer than a line."""
    places, column = [], 0
    for word in re.finditer(r"(\S*)([^\S\n]*)(\n?)", text.plain):
        length = cell_len(word[1])
        if column and column + length > width:
            places.append(word.start())
            column = 0
        column = 0 if word[3] else column + length + cell_len(word[2])
    lines = text.divide(places)
    for line in lines:
        line.rstrip()
    return Text("\n").join(lines)


def visible(text: str) -> str:
    """Write what steers a terminal by its number, as Python does: ``backslash x1b``."""
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def escape(text: str) -> str:
    """Have text of others shown as it is and on one line: no markup, no control characters."""
    return rich.markup.escape(visible(text).replace("\n", "\\n"))


def as_markdown(text: str) -> str:
    """Write text so that Markdown takes nothing in it, such as a file's name, for a mark of its own."""
    return re.sub(r"([\\`*_{}\[\]<>|#~$])", r"\\\1", " ".join(text.split()))


def replace_signs_that_the_terminal_lacks() -> None:
    """Let whatever is printed without a `Console`, as help is, never fail for a sign that the terminal has not."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_FALLBACK)


def emit_text(text: str) -> None:
    """Write a table of text to standard output: as UTF-8 into files and pipes, and to a terminal what it can show."""
    if sys.stdout.isatty() or not isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.write(visible(text))
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode(errors="backslashreplace"))
    sys.stdout.buffer.flush()


def _fall_back(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_SIGNS.get(sign) or sign.encode("ascii", "backslashreplace").decode() for sign in lacking), error.end


codecs.register_error(_FALLBACK, _fall_back)
