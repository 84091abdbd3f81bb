"""Nothing that was said is lost: what the client wrote reaches the upstream, and the other way."""

import base64
from typing import Any

import pytest

from tests.support.emulator import RunningEmulator
from tests.support.gateway import RunningGateway, StartGateway, anthropic_body
from tests.support.talk import STREAMS, WAYS, WHOLE, Way, name_of, read, sent

PNG = base64.b64encode(
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
    + (8).to_bytes(4) * 2
    + b"\x08\x02\x00\x00\x00"
    + b"\0" * 8
).decode()
GIF = base64.b64encode(b"GIF89a" + (8).to_bytes(2, "little") * 2 + b"\0" * 24).decode()

A_TOOL = {"name": "ls", "description": "List.", "input_schema": {"type": "object"}}
A_FUNCTION = {"type": "function", "function": {"name": "ls", "parameters": {"type": "object"}}}


def a_call(id: str = "t1", **input: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": id, "name": "ls", "input": input}


def a_result(id: str, content: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": id, "content": content}


def a_picture(data: str = PNG, media_type: str = "image/png") -> dict[str, Any]:
    source = {"type": "base64", "media_type": media_type, "data": data}
    return {"type": "image", "source": source}


def a_picture_part(data: str = PNG, media_type: str = "image/png") -> dict[str, Any]:
    url = f"data:{media_type};base64,{data}"
    return {"type": "image_url", "image_url": {"url": url}}


def chat_call(id: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def assistant(content: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content}


# ---------------------------------------------------------------------------- what a client says


@pytest.mark.parametrize("text_first", [True, False], ids=["before", "after"])
def test_text_beside_a_tool_result_is_kept(gateway: RunningGateway, text_first: bool) -> None:
    blocks: list[Any] = [a_result("t1", "a.txt"), {"type": "text", "text": "And now?"}]
    history = [user("Look."), assistant([a_call()])]
    gateway.messages(
        messages=[*history, user(blocks[::-1] if text_first else blocks)], tools=[A_TOOL]
    )

    assert sent(gateway).results() == [("t1", "success", "a.txt")]
    assert sent(gateway).contents[-1] == "And now?"


def test_a_users_message_after_a_tool_message_is_kept(gateway: RunningGateway) -> None:
    called = {"role": "assistant", "tool_calls": [chat_call("c1", "ls", "{}")]}
    result = {"role": "tool", "tool_call_id": "c1", "content": "a.txt"}
    gateway.chat(messages=[user("Look."), called, result, user("And now?")], tools=[A_FUNCTION])

    assert sent(gateway).results() == [("c1", "success", "a.txt")]
    assert sent(gateway).contents[-1] == "And now?"


@pytest.mark.parametrize("way", WHOLE, ids=name_of)
def test_neighbours_of_one_role_are_kept_in_order(gateway: RunningGateway, way: Way) -> None:
    talk = [user("one"), user("two"), assistant("three"), assistant("four"), user("five")]
    way.hear(gateway, messages=talk)

    assert sent(gateway).roles == ["user", "assistant", "user"]
    first, second, third = sent(gateway).contents
    assert [first.split(), second.split(), third.split()] == [
        ["one", "two"],
        ["three", "four"],
        ["five"],
    ]


@pytest.mark.parametrize("way", WHOLE, ids=name_of)
def test_neighbouring_texts_of_one_message_are_not_glued_together(
    gateway: RunningGateway, way: Way
) -> None:
    texts = [{"type": "text", "text": "the end"}, {"type": "text", "text": "The start"}]
    way.hear(gateway, messages=[user(texts), assistant(texts), user(texts)])

    assert sent(gateway).contents == ["the end\nThe start"] * 3


@pytest.mark.parametrize(
    "system",
    ["Be brief.\nBe kind.", [{"type": "text", "text": t} for t in ("Be brief.", "Be kind.")]],
    ids=["string", "blocks"],
)
def test_the_system_prompt_is_kept(gateway: RunningGateway, system: Any) -> None:
    gateway.messages("Hello", system=system)

    assert sent(gateway).contents == ["Be brief.\nBe kind.\n\nHello"]


@pytest.mark.parametrize("role", ["system", "developer"])
@pytest.mark.parametrize(
    "content",
    ["Be brief.", [{"type": "text", "text": "Be brief."}]],
    ids=["string", "parts"],
)
def test_a_leading_system_message_is_kept(gateway: RunningGateway, role: str, content: Any) -> None:
    gateway.chat(messages=[{"role": role, "content": content}, user("Hello")])

    assert sent(gateway).contents == ["Be brief.\n\nHello"]


@pytest.mark.parametrize("role", ["system", "developer"])
@pytest.mark.parametrize("way", WHOLE, ids=name_of)
def test_a_system_message_among_the_others_stays_in_its_place(
    gateway: RunningGateway, way: Way, role: str
) -> None:
    middle = {"role": role, "content": "From now on in French."}
    way.hear(gateway, messages=[user("one"), assistant("two"), middle, user("three")])

    assert sent(gateway).roles == ["user", "assistant", "user"]
    last = sent(gateway).contents[-1]
    assert "From now on in French." in last
    assert last.index("French") < last.index("three")


def test_tool_calls_and_results_of_the_chat_dialect_are_kept(gateway: RunningGateway) -> None:
    called = {
        "role": "assistant",
        "content": "I look.",
        "tool_calls": [chat_call("c1", "ls", '{"path":"a"}'), chat_call("c2", "ls", '{"n":[1]}')],
    }
    results = [
        {"role": "tool", "tool_call_id": "c2", "content": "second"},
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "first"}]},
    ]
    gateway.chat(messages=[user("Look."), called, *results], tools=[A_FUNCTION])

    assert sent(gateway).contents == ["Look.", "I look.", ""]
    assert sent(gateway).uses(1) == [("c1", "ls", {"path": "a"}), ("c2", "ls", {"n": [1]})]
    assert sent(gateway).results() == [("c1", "success", "first"), ("c2", "success", "second")]


def test_a_failed_tool_says_so_in_words_too(gateway: RunningGateway) -> None:
    failed = a_result("t1", "no such file") | {"is_error": True}
    gateway.messages(messages=[user("Look."), assistant([a_call()]), user([failed])])

    [(_, status, text)] = sent(gateway).results()
    assert status == "error"
    assert "failed" in text
    assert "no such file" in text


def test_pictures_are_kept_in_any_position(gateway: RunningGateway) -> None:
    """In the history, in a tool result, in the current message; each beside its own text."""
    gif = a_picture(GIF, "image/gif")
    answered = user([a_result("t1", [{"type": "text", "text": "seen:"}, gif]), a_picture()])
    talk = [user([a_picture(), {"type": "text", "text": "old"}]), assistant([a_call()]), answered]
    read_back = gateway.messages(messages=[*talk, assistant("ok"), user([gif])], tools=[A_TOOL])
    assert read_back.status == 200

    formats = [
        [(image["format"], image["source"]["bytes"]) for image in message.get("images", [])]
        for message in sent(gateway).messages
    ]
    gif_sent, png_sent = ("gif", GIF), ("png", PNG)
    assert formats == [[png_sent], [], [gif_sent, png_sent], [], [gif_sent]]
    assert "seen:" in sent(gateway).results(2)[0][2]


def test_pictures_of_the_chat_dialect_are_kept_in_any_position(gateway: RunningGateway) -> None:
    gif = a_picture_part(GIF, "image/gif")
    called = {"role": "assistant", "tool_calls": [chat_call("c1", "ls", "{}")]}
    result = {"role": "tool", "tool_call_id": "c1", "content": [gif]}
    talk = [user([a_picture_part(), {"type": "text", "text": "old"}]), called, result]
    gateway.chat(messages=[*talk, user([a_picture_part()])], tools=[A_FUNCTION])

    formats = [
        [image["format"] for image in message.get("images", [])]
        for message in sent(gateway).messages
    ]
    assert formats == [["png"], [], ["gif", "png"]]


def test_a_picture_of_a_tool_says_which_tool_it_came_from(gateway: RunningGateway) -> None:
    """The upstream knows pictures by their order only."""
    calls = assistant([a_call("t1"), a_call("t2")])
    answers = user([a_result("t2", [a_picture(GIF)]), a_result("t1", [a_picture()])])
    gateway.messages(messages=[user("Look."), calls, answers], tools=[A_TOOL])

    assert [image["format"] for image in sent(gateway).messages[-1]["images"]] == ["png", "gif"]
    assert [text for _, _, text in sent(gateway).results()] == [
        "(image 1 of this message)",
        "(image 2 of this message)",
    ]


def test_blocks_that_nobody_knows_become_text(gateway: RunningGateway) -> None:
    strange = {"type": "hologram", "beam": "blue light"}
    gateway.messages([strange, {"type": "text", "text": "Look."}])

    assert "blue light" in sent(gateway).contents[0]
    assert "Look." in sent(gateway).contents[0]


def test_text_after_a_tool_call_in_the_history_is_kept(gateway: RunningGateway) -> None:
    said = [{"type": "text", "text": "before"}, a_call(), {"type": "text", "text": "after"}]
    gateway.messages(messages=[user("Go."), assistant(said), user([a_result("t1", "ok")])])

    assert sent(gateway).contents[1] == "before\nafter"


# ------------------------------------------------------------------------- what the upstream says


@pytest.mark.parametrize("way", WAYS, ids=name_of)
@pytest.mark.parametrize(
    "scenario", ["tool", "tool_whole", "tool_stop_with_last", "tool_named_once"]
)
def test_the_first_and_the_last_fragment_of_tool_input_are_kept(
    gateway: RunningGateway, way: Way, scenario: str
) -> None:
    gateway.emulator.queue(scenario=scenario)
    [call] = way.hear(gateway, tools=[tool_of(way)]).calls

    assert call.name == "ls"
    assert call.input == {"path": "a/b.txt", "text": 'line "one"\nline two \\ é 世 👋', "n": 3}


@pytest.mark.parametrize("way", WAYS, ids=name_of)
def test_input_in_the_first_event_of_a_call_is_kept(gateway: RunningGateway, way: Way) -> None:
    fragment = {"toolUseId": "tooluse_1", "name": "ls"}
    gateway.emulator.queue_stream(
        {"do": "event", "type": "toolUseEvent", "payload": {**fragment, "input": '{"pa'}},
        {"do": "event", "type": "toolUseEvent", "payload": {**fragment, "input": 'th":1}'}},
        {"do": "event", "type": "toolUseEvent", "payload": {**fragment, "stop": True}},
        {"do": "tail"},
    )
    [call] = way.hear(gateway, tools=[tool_of(way)]).calls

    assert call.input == {"path": 1}


@pytest.mark.parametrize("way", WAYS, ids=name_of)
def test_text_after_a_tool_call_is_kept(gateway: RunningGateway, way: Way) -> None:
    gateway.emulator.queue(scenario="tool_text_between")
    told = way.hear(gateway, tools=[tool_of(way)])

    assert told.text == "First. \nSecond. \nDone."
    assert [call.input for call in told.calls] == [{"path": "a"}, {"path": "b"}]


@pytest.mark.parametrize("way", STREAMS, ids=name_of)
def test_an_exception_of_the_upstream_is_told_after_what_was_said(
    way: Way, start_gateway: StartGateway, emulator: RunningEmulator
) -> None:
    gateway = start_gateway(emulator.add_account("one"))
    exception = {"type": "error", "payload": {"message": "The stream ended."}}
    said = {"do": "text", "text": "Half a sen"}
    emulator.queue_stream(said, {"do": "wait", "s": 0.05}, {"do": "exception", **exception})
    told = read(way.ask(gateway))

    assert told.text == "Half a sen"
    assert told.stop is None
    assert "The stream ended." in told.error["message"]


def test_a_rotated_refresh_token_is_kept(
    start_gateway: StartGateway, emulator: RunningEmulator
) -> None:
    """It serves the next refresh, also after a restart with the old one in the settings."""
    account = emulator.add_account("one", rotation="strict")
    first = start_gateway(account)
    assert first.messages().status == 200
    emulator.advance_clock(2 * account.spec["access_lifetime_s"])
    assert first.messages().status == 200
    first.kill()
    emulator.advance_clock(2 * account.spec["access_lifetime_s"])
    again = start_gateway(account)
    assert again.messages().status == 200

    assert emulator.account("one").refreshes >= 3
    assert emulator.account("one").dead_token_uses == 0
    assert all(record.status == 200 for record in emulator.refreshes())


def test_fields_that_nobody_knows_do_no_harm(gateway: RunningGateway) -> None:
    body = anthropic_body("Hello", brand_new={"a": 1}, metadata=None, top_k=3)

    assert gateway.post("/v1/messages?beta=true", body).status == 200


def tool_of(way: Way) -> dict[str, Any]:
    return A_TOOL if way.dialect == "anthropic" else A_FUNCTION


def test_signed_reasoning_travels_to_the_client_and_back(gateway: RunningGateway) -> None:
    gateway.emulator.queue(scenario="reasoning")
    thought, said = gateway.messages(stream=False).json["content"]
    assert (thought["thinking"], said["text"]) == (
        "The user greets. I greet back.",
        "Hello, world.",
    )
    gateway.messages(messages=[user("Hello"), assistant([thought, said]), user("Go on.")])

    reply = sent(gateway).messages[1]
    signed = {"text": thought["thinking"], "signature": thought["signature"]}
    assert reply["reasoningContent"] == {"reasoningText": signed}
    assert reply["content"] == "Hello, world."


def test_sealed_reasoning_travels_to_the_client_and_back(gateway: RunningGateway) -> None:
    gateway.emulator.queue(scenario="reasoning_redacted")
    content = gateway.messages(stream=False).json["content"]
    assert content[0] == {"type": "redacted_thinking", "data": "b3BhcXVl"}
    gateway.messages(messages=[user("Hello"), assistant(content), user("Go on.")])

    assert sent(gateway).messages[1]["reasoningContent"] == {"redactedContent": "b3BhcXVl"}


def test_a_signature_that_has_gone_stale_costs_the_reasoning_and_not_the_request(
    gateway: RunningGateway,
) -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": "c3RhbGU="}
    said = assistant([thought, {"type": "text", "text": "Yes."}])
    gateway.emulator.queue(error="signature_invalid")
    answer = gateway.messages(messages=[user("Hello"), said, user("Go on.")])

    assert answer.status == 200
    assert "reasoningContent" not in sent(gateway).messages[1]
    assert [record.account for record in gateway.emulator.generations()] == ["alpha", "alpha"]
