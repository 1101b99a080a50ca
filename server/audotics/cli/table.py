"""Tables that fit: cells and the width of a terminal go in, a table comes out in which as little as possible is folded.

On a narrow terminal columns first move closer together, then headings are broken between words, and then cells are
folded. Nothing is ever cut off, so that an id can always be copied.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.table import Column, Table
from rich.text import Text

_APART: Final = ((0, 1), False)
_CLOSE: Final = ((0, 1), True)
_CLOSEST: Final = ((0, 0), False)
"""Padding above and beside cells, and whether neighbours share it."""

_GAPS: Final = {_APART: 3, _CLOSE: 2, _CLOSEST: 1}
"""What that puts between columns."""

_EDGES: Final = 2
"""Left and right of a table."""

_FOLDED: Final = 10
"""What is folded is not folded to less."""


def fitted(
    rows: Sequence[Sequence[str]],
    *,
    columns: Sequence[str],
    numeric: Collection[str],
    whole: Collection[str],
    width: int,
) -> tuple[Table, int]:
    """The table, and how wide it has to be printed, which is more than `width` where it cannot be folded to that.

    The columns named in `numeric`, which are aligned to the right, and those in `whole` are not folded.
    """
    lines = [[Text(cell) for cell in row] for row in rows]
    kept = [column in {*numeric, *whole} for column in columns]
    cells = [max([1, *(line[place].cell_len for line in lines)]) for place in range(len(columns))]
    plain = [max(cell, len(column)) for cell, column in zip(cells, columns, strict=True)]
    broken = [
        max(cell, *map(len, column.split())) if keep and column else full
        for cell, column, keep, full in zip(cells, columns, kept, plain, strict=True)
    ]
    ways = ((plain, _APART), (plain, _CLOSE), (broken, _CLOSE), (broken, _CLOSEST))
    folded = [size if keep else min(size, _FOLDED) for size, keep in zip(broken, kept, strict=True)]
    otherwise = (broken, _CLOSE if _needed(folded, _CLOSE) <= width else _CLOSEST)
    widths, spacing = next((way for way in ways if _needed(*way) <= width), otherwise)
    padding, shared = spacing
    table = Table(
        *(
            Column(
                column,
                justify="right" if column in numeric else "left",
                overflow="fold",
                width=size if keep else None,
            )
            for column, size, keep in zip(columns, widths, kept, strict=True)
        ),
        box=SIMPLE_HEAD,
        title_justify="left",
        pad_edge=False,
        padding=padding,
        collapse_padding=shared,
    )
    for line in lines:
        table.add_row(*line)
    return table, max(width, _needed(folded, spacing))


def _needed(widths: Sequence[int], spacing: tuple[tuple[int, int], bool]) -> int:
    return sum(widths) + _GAPS[spacing] * (len(widths) - 1) + _EDGES
