"""The results: medians, and medians of the ratios within each round, as tables."""

import os
import platform
import statistics
from collections import defaultdict
from collections.abc import Sequence

COLUMNS = ("app", "relay 1.1", "relay 2", "gateway 1.1", "gateway 2")
# What the project wants of itself, as ratios to the bare relay over the same version of HTTP.
GOALS = {"tiny request, us": 2.0, "paced event, us": 1.5}
TOGETHER = "paced events in one write"
# Above this the programs were too late for the single event: its price is that of a part of a write.
TOO_MANY_TOGETHER = 1.2


class Results:
    """All numbers of one run, by measurement and program, one for each round."""

    def __init__(self) -> None:
        self._numbers: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))

    def add(self, measurement: str, program: str, number: float) -> None:
        """Keep one number."""
        self._numbers[measurement][program].append(number)

    @property
    def measurements(self) -> list[str]:
        """What was measured, in order."""
        return list(self._numbers)

    def median(self, measurement: str, program: str) -> float | None:
        """Return the middle one of the numbers; None when there are none."""
        numbers = self._numbers[measurement].get(program)
        return statistics.median(numbers) if numbers else None

    def ratio(self, measurement: str, program: str, base: str) -> float | None:
        """Return the middle one of the ratios of the rounds; None when there are none."""
        pairs = zip(
            self._numbers[measurement].get(program, ()),
            self._numbers[measurement].get(base, ()),
            strict=False,
        )
        ratios = [over / under for over, under in pairs if under > 0]
        return statistics.median(ratios) if ratios else None


def markdown(results: Results) -> str:
    """Return the whole report."""
    lines = [_machine(), "", *_row("", COLUMNS), "|---|" + "--:|" * len(COLUMNS)]
    for measurement in results.measurements:
        cells = [_number(results.median(measurement, column)) for column in COLUMNS]
        lines += _row(measurement, cells)
    lines += ["", *_row("ratio", ("1.1 to relay", "2 to relay", "1.1 to app", "2 to app", "goal"))]
    lines.append("|---|" + "--:|" * 5)
    for measurement in results.measurements:
        cells = [
            _ratio(results.ratio(measurement, f"gateway {version}", base.format(version)))
            for base in ("relay {}", "app")
            for version in ("1.1", "2")
        ]
        goal = GOALS.get(measurement)
        if any(cells) and measurement != TOGETHER:
            lines += _row(measurement, [*cells, f"{goal}x relay" if goal else ""])
    together = [results.median(TOGETHER, column) or 0.0 for column in COLUMNS]
    if max(together) > TOO_MANY_TOGETHER:
        lines += ["", "The machine was too busy: events came several at a time. Measure again."]
    return "\n".join(lines)


def _machine() -> str:
    return (
        f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.system()}; CPU of "
        "the process under test, medians; ratios within each round, medians."
    )


def _row(first: str, cells: Sequence[str]) -> list[str]:
    return [f"| {first} | " + " | ".join(cells) + " |"]


def _number(number: float | None) -> str:
    if number is None:
        return ""
    return (
        f"{number:.0f}" if number >= 100 else f"{number:.1f}" if number >= 10 else f"{number:.2f}"
    )


def _ratio(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}x"
