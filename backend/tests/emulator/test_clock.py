"""The emulator's time and its ids."""

import re

from kiro2api.emulator.clock import Clock, Ids, spell, uuid


def test_the_clock_is_the_machine_s_until_a_test_moves_it() -> None:
    clock = Clock(lambda: 100.0)
    before = clock.now()
    clock.advance(50.0)

    assert (before, clock.now()) == (100.0, 150.0)


def test_the_same_seed_gives_the_same_ids() -> None:
    first, second = Ids(7), Ids(7)

    assert [first.next("t_") for _ in range(3)] == [second.next("t_") for _ in range(3)]


def test_ids_differ_from_each_other_and_between_seeds() -> None:
    one, other = Ids(1), Ids(2)

    assert len({one.next("t_"), one.next("t_"), other.next("t_")}) == 3


def test_a_spelling_has_the_length_that_was_asked_for() -> None:
    assert [len(spell("x", length=n)) for n in (1, 64, 157)] == [1, 64, 157]


def test_a_uuid_looks_like_one_and_depends_on_its_source() -> None:
    assert re.fullmatch(
        r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}", uuid("a")
    )
    assert uuid("a") != uuid("b")
