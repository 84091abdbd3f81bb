"""Counters and gauges of this process, for whoever wants to show them."""

from typing import TypeVar


class Counter:
    """A number that only grows; lives as long as the `Metrics` that made it."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0

    def add(self, amount: int = 1) -> None:
        """Count `amount` more."""
        if amount < 0:
            raise ValueError("a counter never goes back")
        self.value += amount


class Gauge:
    """A number that rises and falls; lives as long as the `Metrics` that made it."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0

    def rise(self) -> None:
        """Count one more that is there now."""
        self.value += 1

    def fall(self) -> None:
        """Count one less; a fall without its rise is an error of the program."""
        if self.value == 0:
            raise ValueError("a gauge that counts what is there fell below zero")
        self.value -= 1


_Series = TypeVar("_Series", Counter, Gauge)


class Metrics:
    """The numbers of one running program, by name and labels; made and owned by `compose`.

    A name with labels is a series of its own: `counter("requests", dialect="anthropic")`. Keep the
    returned object where it is counted: looking it up is dearer than counting.
    """

    def __init__(self) -> None:
        self._series: dict[str, Counter | Gauge] = {}

    def counter(self, name: str, **labels: str) -> Counter:
        """Return the counter of that name and labels, made on first use."""
        return self._get(name, labels, Counter)

    def gauge(self, name: str, **labels: str) -> Gauge:
        """Return the gauge of that name and labels, made on first use."""
        return self._get(name, labels, Gauge)

    def snapshot(self) -> dict[str, int]:
        """Return all values now, keyed like `requests{dialect="anthropic"}`, in order of the keys."""
        return {key: series.value for key, series in sorted(self._series.items())}

    def _get(self, name: str, labels: dict[str, str], kind: type[_Series]) -> _Series:
        spelled = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
        key = f"{name}{{{spelled}}}" if spelled else name
        series = self._series.setdefault(key, kind())
        if not isinstance(series, kind):
            raise TypeError(f"{key} is a {type(series).__name__}, not a {kind.__name__}")
        return series
