"""Names of conversations towards the upstream."""

from uuid import UUID

from kiro2api.gateway.conversation import conversation_id
from tests.support.fakes import FakeChance


def test_the_same_key_of_one_owner_names_the_same_conversation() -> None:
    chance = FakeChance()

    names = {conversation_id("session 1", owner="a", chance=chance) for _ in range(2)}

    assert len(names) == 1


def test_two_owners_never_share_a_conversation() -> None:
    chance = FakeChance()

    names = {conversation_id("session 1", owner=owner, chance=chance) for owner in "ab"}

    assert len(names) == 2


def test_without_a_key_every_request_is_a_conversation_of_its_own() -> None:
    chance = FakeChance()

    names = {conversation_id("", owner="a", chance=chance) for _ in range(2)}

    assert len(names) == 2


def test_a_name_is_a_uuid() -> None:
    name = conversation_id("session \ud83d", owner="a", chance=FakeChance())

    assert str(UUID(name)) == name
