"""What commands print: tables for people, JSON for programs."""

import sys
from collections.abc import Sequence
from datetime import datetime
from unicodedata import combining, east_asian_width

from kiro2api.protocol.wire.json import encode


def print_json(value: object) -> None:
    """Print one value as one line of JSON."""
    print(encode(value).decode())


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: with lines on a terminal, else as plain aligned text.

    Cells are texts of others, too: what would steer a terminal is not printed.
    """
    head = [one_line(cell) for cell in head]
    rows = [[one_line(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _print_rich(head, rows)
    else:
        print("\n".join(aligned([head, *rows])))


def _print_rich(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    # Folded: an id or a time that is cut off is of no use.
    table = Table(*(Column(title, overflow="fold") for title in head))
    for row in rows:
        # As Text: brackets in a name or a reason are no markup.
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return one line per row, each column as wide as its widest cell."""
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]


def one_line(text: str) -> str:
    """Return `text` on one line, without control characters."""
    return "".join(char if char.isprintable() else " " for char in text)


def _width(text: str) -> int:
    """Return how many columns of a terminal `text` takes."""
    return sum(2 if east_asian_width(c) in "WF" else 1 for c in text if not combining(c))


def local_time(wall: float | None) -> str:
    """Return a wall time as the clock of this machine shows it; "" for none."""
    return "" if wall is None else datetime.fromtimestamp(wall).isoformat(" ", "seconds")
