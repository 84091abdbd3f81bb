"""Counters and gauges."""

import pytest

from kiro2api.metrics import Metrics


def test_a_counter_adds_up() -> None:
    metrics = Metrics()

    metrics.counter("requests").add()
    metrics.counter("requests").add(2)

    assert metrics.snapshot() == {"requests": 3}


def test_labels_make_series_of_their_own_whatever_their_order() -> None:
    metrics = Metrics()

    metrics.counter("requests", dialect="anthropic", group="pro").add()
    metrics.counter("requests", group="pro", dialect="anthropic").add()
    metrics.counter("requests", group="default", dialect="anthropic").add()

    assert metrics.snapshot() == {
        'requests{dialect="anthropic",group="default"}': 1,
        'requests{dialect="anthropic",group="pro"}': 2,
    }


def test_a_gauge_returns_to_where_it_was() -> None:
    gauge = Metrics().gauge("streams")

    gauge.rise()
    gauge.rise()
    gauge.fall()

    assert gauge.value == 1


def test_a_gauge_that_would_fall_below_zero_is_an_error() -> None:
    gauge = Metrics().gauge("streams")

    with pytest.raises(ValueError, match="below zero"):
        gauge.fall()


def test_a_counter_never_goes_back() -> None:
    with pytest.raises(ValueError, match="never"):
        Metrics().counter("requests").add(-1)


def test_one_name_is_not_two_kinds() -> None:
    metrics = Metrics()
    metrics.counter("streams")

    with pytest.raises(TypeError, match="streams"):
        metrics.gauge("streams")
