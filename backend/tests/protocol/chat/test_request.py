"""The hub's request."""

from kiro2api.protocol.chat.request import ChatRequest, Role, Text, Turn


def test_blocks_come_in_the_order_of_the_conversation() -> None:
    request = ChatRequest(
        model="m",
        turns=(
            Turn(Role.USER, (Text("a"), Text("b"))),
            Turn(Role.ASSISTANT, ()),
            Turn(Role.USER, (Text("c"),)),
        ),
    )

    assert list(request.blocks()) == [Text("a"), Text("b"), Text("c")]
