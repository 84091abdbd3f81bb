"""Bodies as agents send them, through parsing and building, against the strictest host."""

import json
import re
from pathlib import Path

import pytest

from kiro2api.protocol.anthropic.parse import parse as parse_anthropic
from kiro2api.protocol.chat.request import ChatRequest
from kiro2api.protocol.codewhisperer.build import BuildPlan, build
from kiro2api.protocol.openai_chat.parse import parse as parse_chat
from tests.support.strict_body import messages_of, violations

FOLDER = Path(__file__).parent / "requests"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
PLAN = BuildPlan(model_id="m", conversation_id="c")
# Two words or more in capitals, or one before a colon: what the bodies mark as said.
MARKED = re.compile(r"\b[A-Z]{3,}(?: [A-Z]{2,})+|\b[A-Z]{3,}(?=:)")


def asked(name: str) -> ChatRequest:
    parse = parse_anthropic if name.startswith("anthropic") else parse_chat
    return parse((FOLDER / f"{name}.json").read_bytes(), {})


def test_there_are_bodies_of_both_dialects() -> None:
    assert {name.split("-")[0] for name in NAMES} == {"anthropic", "chat"}


@pytest.mark.parametrize("name", NAMES)
def test_the_strictest_host_takes_it(name: str) -> None:
    assert violations(build(asked(name), PLAN).body) == []


@pytest.mark.parametrize("name", NAMES)
def test_all_that_is_said_arrives(name: str) -> None:
    said = set(MARKED.findall((FOLDER / f"{name}.json").read_text()))
    arrived = build(asked(name), PLAN).body.decode()

    assert said
    assert {words for words in said if words not in arrived} == set()


@pytest.mark.parametrize("name", NAMES)
def test_every_name_of_a_tool_comes_back(name: str) -> None:
    request = asked(name)
    built = build(request, PLAN)
    context = messages_of(built.body)[-1]["userInputMessage"]["userInputMessageContext"]
    sent = [tool["toolSpecification"]["name"] for tool in context["tools"]]

    assert {spec.name for spec in request.tools} <= {built.names.to_client(n) for n in sent}


def test_a_long_description_goes_on_before_the_first_prompt() -> None:
    content = messages_of(build(asked("anthropic-agent-first"), PLAN).body)[0]["userInputMessage"][
        "content"
    ]

    assert content.count("- Quote paths") > 50
    assert content.index("The description of the tool Bash") < content.index("FIRST PROMPT")
    assert content.index("MAIN PROMPT") < content.index("The description of the tool Bash")


def test_a_picture_and_a_file_of_a_result_stand_beside_the_message() -> None:
    message = messages_of(build(asked("anthropic-agent-tools"), PLAN).body)[2]["userInputMessage"]

    assert [image["format"] for image in message["images"]] == ["png"]
    assert [document["format"] for document in message["documents"]] == ["pdf"]
    results = message["userInputMessageContext"]["toolResults"]
    assert [r["toolUseId"] for r in results] == ["toolu_01A", "toolu_01B", "toolu_01C"]
    assert "failed" in results[0]["content"][0]["text"]


def test_the_input_of_a_renamed_property_comes_back_as_the_client_knows_it() -> None:
    built = build(asked("chat-agent-mcp"), PLAN)
    (use, _) = messages_of(built.body)[1]["assistantResponseMessage"]["toolUses"]
    client = built.names.to_client(use["name"])

    assert "$filter" not in json.dumps(use["input"])
    assert json.loads(built.names.input_to_client(client, json.dumps(use["input"]))) == {
        "query": {"$filter": "a eq 1"}
    }
