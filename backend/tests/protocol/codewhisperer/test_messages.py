"""Tests of single messages on their way up."""

import json
from typing import Any

import pytest
from msgspec import Raw

from kiro2api.errors import RequestError
from kiro2api.protocol.chat.request import (
    Block,
    Document,
    Image,
    RedactedThinking,
    Role,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Turn,
)
from kiro2api.protocol.codewhisperer.media import MAX_DOCUMENTS, MAX_IMAGES
from kiro2api.protocol.codewhisperer.messages import (
    FAILED,
    FAILED_SILENTLY,
    NO_OUTPUT,
    Messages,
)
from kiro2api.protocol.codewhisperer.names import NameMap, tool_id_to_upstream
from kiro2api.protocol.wire.json import encode
from tests.support.histories import GIF, PDF, PNG

PICTURE, MOVING = Image("image/png", PNG), Image("image/gif", GIF)
BROKEN = Image("image/png", "none of it!")
PAPER = Document("paper.pdf", "application/pdf", data=PDF)
LONG_NAME = "mcp__" + "server_" * 12


def messages(*names: str, with_reasoning: bool = True) -> Messages:
    return Messages(
        NameMap(names or ["Read", "Shot"]),
        model_id="m",
        origin="AI_EDITOR",
        with_reasoning=with_reasoning,
    )


def user(*blocks: Block, by: Messages | None = None, **options: Any) -> Any:
    """Return the message as the upstream reads it."""
    message = (by or messages()).user(Turn(Role.USER, blocks), **options)
    return json.loads(encode(message))["userInputMessage"]


def assistant(*blocks: Block, by: Messages | None = None) -> Any:
    message = (by or messages()).assistant(Turn(Role.ASSISTANT, blocks))
    return message.assistant_response_message


def result_of(message: Any, at: int = 0) -> Any:
    return message["userInputMessageContext"]["toolResults"][at]


# ------------------------------------------------------------------------------------ text


def test_a_message_of_the_user_carries_its_text_the_model_and_the_origin() -> None:
    assert user(Text("hello")) == {"content": "hello", "modelId": "m", "origin": "AI_EDITOR"}


def test_neighbouring_texts_are_joined_by_a_line_break() -> None:
    assert user(Text("one"), Text("two"))["content"] == "one\ntwo"
    assert assistant(Text("one"), Text("two")).content == "one\ntwo"


def test_control_characters_leave_texts_and_tabs_and_breaks_stay() -> None:
    assert user(Text("a\x00\t\r\nb\x1b"))["content"] == "a\t\r\nb"
    assert assistant(Text("a\ud83db")).content == "ab"


def test_the_system_text_comes_first_after_a_blank_line() -> None:
    assert user(Text("hi"), system="Be kind.")["content"] == "Be kind.\n\nhi"


def test_the_system_text_alone_stands_without_a_blank_line() -> None:
    assert user(ToolResult("a", ()), system="Be kind.")["content"] == "Be kind."


# --------------------------------------------------------------------------- calls, results


def test_a_call_carries_its_id_its_name_and_its_input_as_it_came() -> None:
    raw = Raw(b'{"path" : "x"}')
    (use,) = assistant(ToolUse("toolu_1", "Read", raw)).tool_uses

    assert (use.tool_use_id, use.name) == ("toolu_1", "Read")
    assert use.input is raw


def test_text_on_both_sides_of_a_call_is_kept() -> None:
    found = assistant(Text("before"), ToolUse("a", "Read", Raw(b"{}")), Text("after"))

    assert found.content == "before\nafter"


def test_a_call_alone_has_an_empty_text() -> None:
    assert assistant(ToolUse("a", "Read", Raw(b"{}"))).content == ""


def test_odd_ids_and_names_are_mapped_the_same_way_in_call_and_result() -> None:
    by = messages(LONG_NAME)
    (use,) = assistant(ToolUse("call:1/2", LONG_NAME, Raw(b"{}")), by=by).tool_uses
    answer = result_of(user(ToolResult("call:1/2", (Text("x"),)), by=by))

    assert use.name == by.names.to_upstream(LONG_NAME) != LONG_NAME
    assert use.tool_use_id == answer["toolUseId"] == tool_id_to_upstream("call:1/2")


def test_the_input_of_a_call_follows_the_renamed_properties() -> None:
    by = Messages(
        NameMap(["Read"], {"Read": {"a_b_1": "a b"}}), model_id="m", origin="x", with_reasoning=True
    )
    (use,) = assistant(ToolUse("a", "Read", Raw(b'{"a b":1}')), by=by).tool_uses

    assert bytes(use.input) == b'{"a_b_1":1}'


def test_a_result_has_one_text_and_a_status() -> None:
    found = user(ToolResult("a", (Text("one"), Text(" "), Text("two\x00"))), Text("and?"))

    assert found["content"] == "and?"
    assert result_of(found) == {
        "toolUseId": "a",
        "content": [{"text": "one\ntwo"}],
        "status": "success",
    }


def test_a_result_alone_has_an_empty_text_beside_it() -> None:
    assert user(ToolResult("a", (Text("x"),)))["content"] == ""


@pytest.mark.parametrize("content", [(), (Text(""),), (Text(" \n"), Text("\x00"))])
def test_a_result_without_output_says_so(content: tuple[Text, ...]) -> None:
    assert result_of(user(ToolResult("a", content)))["content"] == [{"text": NO_OUTPUT}]


def test_a_failure_says_so_in_its_status_and_in_its_text() -> None:
    found = result_of(user(ToolResult("a", (Text("no such file"),), is_error=True)))

    assert found["status"] == "error"
    assert found["content"] == [{"text": f"{FAILED}\nno such file"}]


def test_a_failure_without_output_says_so() -> None:
    found = result_of(user(ToolResult("a", (), is_error=True)))

    assert found["content"] == [{"text": FAILED_SILENTLY}]


# ------------------------------------------------------------------------------- reasoning


def reasoning(*blocks: Block, with_reasoning: bool = True) -> Any:
    found = assistant(*blocks, Text("x"), by=messages(with_reasoning=with_reasoning))
    return json.loads(encode(found)).get("reasoningContent")


def test_signed_reasoning_goes_back_as_it_came() -> None:
    assert reasoning(Thinking("hm", "c2ln")) == {
        "reasoningText": {"text": "hm", "signature": "c2ln"}
    }


def test_a_signature_without_a_text_goes_back_too() -> None:
    assert reasoning(Thinking("", "c2ln")) == {"reasoningText": {"text": "", "signature": "c2ln"}}


def test_sealed_reasoning_goes_back_as_it_came() -> None:
    assert reasoning(RedactedThinking("c2VhbGVk")) == {"redactedContent": "c2VhbGVk"}


def test_of_several_the_last_one_that_can_be_trusted_goes_back() -> None:
    blocks = (Thinking("1", "a"), Thinking("2", "b"), Thinking("3", ""), RedactedThinking("?"))

    assert reasoning(*blocks) == {"reasoningText": {"text": "2", "signature": "b"}}


@pytest.mark.parametrize("block", [Thinking("hm", ""), Thinking("hm", " "), RedactedThinking("?")])
def test_reasoning_that_nobody_signed_is_left_out(block: Block) -> None:
    assert reasoning(block) is None


def test_reasoning_is_never_part_of_the_text() -> None:
    assert assistant(Thinking("secret thought", "c2ln"), Text("x")).content == "x"


def test_reasoning_is_left_out_when_it_is_not_wanted() -> None:
    blocks = (Thinking("hm", "c2ln"), RedactedThinking("c2VhbGVk"))

    assert reasoning(*blocks, with_reasoning=False) is None


# ---------------------------------------------------------------------------------- images


def test_images_of_a_message_stand_beside_its_text_in_order() -> None:
    found = user(Text("one"), PICTURE, Text("two"), MOVING)

    assert found["content"] == "one\ntwo"
    assert found["images"] == [
        {"format": "png", "source": {"bytes": PNG}},
        {"format": "gif", "source": {"bytes": GIF}},
    ]


def test_files_without_a_text_are_named_in_one() -> None:
    assert user(PICTURE, PAPER)["content"] == "(attached: image, document)"


def test_an_image_of_a_result_is_lifted_and_leaves_its_number() -> None:
    found = user(ToolResult("a", (Text("shot:"), PICTURE)))

    assert result_of(found)["content"] == [{"text": "shot:\n(image 1 of this message)"}]
    assert [image["format"] for image in found["images"]] == ["png"]
    assert found["content"] == ""


def test_several_images_are_told_apart_in_one_line_at_the_start() -> None:
    by = messages()
    assistant(ToolUse("a", "Read", Raw(b"{}")), ToolUse("b", "Shot", Raw(b"{}")), by=by)
    found = user(
        ToolResult("a", (PICTURE,)),
        ToolResult("b", (MOVING, Text("x"))),
        Text("which?"),
        PICTURE,
        by=by,
    )

    legend, said = found["content"].split("\n")
    assert legend == (
        "(images of this message, in order: "
        "1 from the result of Read; 2 from the result of Shot; 3 from the user)"
    )
    assert said == "which?"
    assert result_of(found, 1)["content"] == [{"text": "(image 2 of this message)\nx"}]
    assert [image["format"] for image in found["images"]] == ["png", "gif", "png"]


def test_several_images_of_the_user_alone_need_no_legend() -> None:
    assert user(Text("which?"), PICTURE, MOVING)["content"] == "which?"


def test_an_image_that_cannot_be_sent_is_refused_in_the_last_message() -> None:
    with pytest.raises(RequestError) as caught:
        user(Text("x"), PICTURE, BROKEN, is_current=True)

    assert "Image 2" in caught.value.message
    assert "base64" in caught.value.message
    assert caught.value.path == "messages"


def test_an_image_that_cannot_be_sent_is_a_note_in_an_older_message() -> None:
    found = user(Text("x"), BROKEN, PICTURE)

    assert found["content"] == "x\n(Image 1 of this message is left out: it is not valid base64)"
    assert len(found["images"]) == 1


def test_an_image_of_an_older_result_that_cannot_be_sent_is_a_note_there() -> None:
    assert "left out" in result_of(user(ToolResult("a", (BROKEN,))))["content"][0]["text"]


def test_too_many_images_are_refused_in_the_last_message() -> None:
    with pytest.raises(RequestError, match="10 images"):
        user(*[PICTURE] * (MAX_IMAGES + 1), is_current=True)


def test_too_many_images_are_notes_in_an_older_message() -> None:
    found = user(*[PICTURE] * (MAX_IMAGES + 2))

    assert len(found["images"]) == MAX_IMAGES
    assert found["content"].count("left out") == 2


# ------------------------------------------------------------------------------- documents


def test_a_document_of_text_is_text_in_its_place() -> None:
    notes = Document("notes.md", "text/markdown", text="# N\x00")
    found = user(Text("before"), notes, Text("after"))

    assert found["content"] == (
        "before\n(document notes.md)\n# N\n(end of the document notes.md)\nafter"
    )
    assert "documents" not in found


def test_a_file_goes_up_as_a_document() -> None:
    assert user(Text("x"), PAPER)["documents"] == [
        {"name": "paper", "format": "pdf", "source": {"bytes": PDF}}
    ]


def test_a_document_of_a_result_is_lifted_and_leaves_its_name() -> None:
    found = user(ToolResult("a", (PAPER, Document("n", "text/plain", text="note"))))

    assert [document["name"] for document in found["documents"]] == ["paper"]
    text = result_of(found)["content"][0]["text"]
    assert text == "(document paper: attached)\n(document n)\nnote\n(end of the document n)"


def test_documents_of_different_messages_have_names_of_their_own() -> None:
    by = messages()
    user(PAPER, by=by)

    assert user(PAPER, by=by)["documents"][0]["name"] == "paper (2)"


def test_a_document_that_cannot_be_sent_is_refused_in_the_last_message() -> None:
    with pytest.raises(RequestError, match=r"x\.zip"):
        user(Document("x.zip", "application/zip", data=PDF), is_current=True)


def test_too_many_documents_are_refused_in_the_last_message_and_notes_in_older_ones() -> None:
    many = [PAPER] * (MAX_DOCUMENTS + 1)

    assert user(*many)["content"].count("left out") == 1
    with pytest.raises(RequestError, match="5 documents"):
        user(*many, is_current=True)
