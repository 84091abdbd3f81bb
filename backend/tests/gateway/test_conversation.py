"""Names of conversations."""

from uuid import UUID

from kiro2api.gateway.conversation import conversation_id, sticky_key
from kiro2api.protocol.chat.request import ChatRequest, Image, Role, Text, Turn
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


def request(*turns: Turn, system: str = "be brief", key: str = "") -> ChatRequest:
    return ChatRequest("auto", turns, system=(Text(system),), conversation_key=key)


def said(text: str, role: Role = Role.USER) -> Turn:
    return Turn(role, (Text(text),))


def test_the_clients_own_key_is_what_a_conversation_sticks_by() -> None:
    assert sticky_key(request(said("hello"), key="session 1"), owner="a") == "session 1"


def test_a_conversation_that_grows_sticks_by_the_same_key() -> None:
    first = request(said("hello"))
    later = request(said("hello"), said("hi", Role.ASSISTANT), said("and now?"))

    assert sticky_key(first, owner="a") == sticky_key(later, owner="a")


def test_conversations_of_other_words_or_owners_have_other_keys() -> None:
    keys = {
        sticky_key(request(said("hello")), owner="a"),
        sticky_key(request(said("hello")), owner="b"),
        sticky_key(request(said("good day")), owner="a"),
        sticky_key(request(said("hello"), system="be verbose"), owner="a"),
    }

    assert len(keys) == 4


def test_a_conversation_that_begins_with_the_assistant_is_known_by_its_first_question() -> None:
    opened = said("welcome", Role.ASSISTANT)
    keys = {sticky_key(request(opened, said(text)), owner="a") for text in ("one", "two")}

    assert len(keys) == 2


def test_a_conversation_without_a_question_has_a_key_too() -> None:
    assert sticky_key(request(said("welcome", Role.ASSISTANT)), owner="a")


def test_a_picture_is_no_part_of_the_key() -> None:
    picture = Turn(Role.USER, (Image("image/png", "aGk="), Text("what is it?")))

    assert sticky_key(request(picture), owner="a") == sticky_key(
        request(said("what is it?")), owner="a"
    )
