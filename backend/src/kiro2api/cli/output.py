"""What commands print: tables for people, JSON for programs."""

import sys
from collections.abc import Sequence
from datetime import datetime

from kiro2api.protocol.wire.json import encode


def print_json(value: object) -> None:
    """Print one value as one line of JSON."""
    print(encode(value).decode())


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: with lines and colours on a terminal, else as plain aligned text."""
    if sys.stdout.isatty():
        _print_rich(head, rows)
    else:
        print("\n".join(aligned([head, *rows])))


def _print_rich(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*head)
    for row in rows:
        # As Text: brackets in a name or a reason are no markup.
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return one line per row, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def local_time(wall: float | None) -> str:
    """Return a wall time as the clock of this machine shows it; "" for none."""
    return (
        "" if wall is None else datetime.fromtimestamp(wall).astimezone().isoformat(" ", "seconds")
    )
