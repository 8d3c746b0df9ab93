"""Tables on a terminal, all of one look: figures stay whole, and what is spare goes first."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

_ENDLESS = 10_000  # columns of a terminal on which nothing is wrapped
_WORDS = 16  # what words are wrapped to before figures suffer
_BETWEEN = 2  # spaces between columns, and on either side


class _FigureTable(Table):
    """A table that breaks its figures only where they have no room at all: nothing gets lost."""

    def least_width(self, console: Console, options: ConsoleOptions) -> int:
        """Return how many characters it needs so that every figure is in one line."""
        endless = options.update(width=_ENDLESS)

        def width(column: Column) -> int:
            parts = (column.header, *column.cells)
            widest = max(Measurement.get(console, endless, part).maximum for part in parts)
            return widest if column.no_wrap else min(widest, _WORDS)

        return sum(width(column) + _BETWEEN for column in self.columns) + _BETWEEN

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.least_width(console, options) > options.max_width:
            for column in self.columns:
                column.no_wrap = False
        yield from super().__rich_console__(console, options)


def new_table(title: str, *columns: str, text: Collection[str] = ()) -> _FigureTable:
    """Return a table whose first column holds names and the others figures.

    Names are left-aligned and wrapped; figures are right-aligned, and whole where they can be.

    Args:
        text: Columns that hold words like the first one.
    """
    table = _FigureTable(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.collapse_padding = True
    for number, name in enumerate(columns):
        if not number or name in text:
            table.add_column(name, overflow="fold")
        else:
            table.add_column(name, overflow="fold", justify="right", no_wrap=True)
    return table


class FittingTable:
    """A table that leaves its spare columns out where the console is too narrow for them.

    Args:
        rows: Cells by their columns; all rows have the same ones.
        spare: Columns that only a wide console shows.
        caption: Stands below.
    """

    def __init__(
        self,
        title: str,
        rows: Sequence[Mapping[str, str]],
        *,
        spare: Collection[str],
        caption: str = "",
    ) -> None:
        self._title, self._rows, self._caption = title, rows, caption
        self._columns = list(rows[0])
        self._kept = [column for column in self._columns if column not in spare]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        wide = self._table(self._columns)
        fits = wide.least_width(console, options) <= options.max_width
        # As wide as the console and not as the table, which may be much narrower.
        yield Text(self._title, style="bold")
        yield wide if fits else self._table(self._kept)
        if self._caption:
            yield Text(self._caption, style="italic")

    def _table(self, columns: Sequence[str]) -> _FigureTable:
        table = new_table("", *columns)
        for row in self._rows:
            table.add_row(*(Text(row[column]) for column in columns))  # names are no markup
        return table
