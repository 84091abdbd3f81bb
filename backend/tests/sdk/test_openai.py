"""The OpenAI SDK for Python works with the gateway."""

import asyncio
import base64
import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from PIL import Image
from pydantic import BaseModel

from tests.sdk.openai_judge import judge
from tests.support.gateway import KEY, MODEL, RunningGateway
from tests.support.wiretap import Wiretap

pytestmark = pytest.mark.sdk

ASK = '[[CALL get_weather {"city": "Zürich"}]]'
ASK_BOTH = ASK + '&[[CALL get_forecast {"city": "北京"}]]'
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": "Tells the weather.",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
    for name in ("get_weather", "get_forecast")
]


def ask(content: Any = "Hello", **more: Any) -> dict[str, Any]:
    """Return the arguments of a request that says `content`."""
    return {"model": MODEL, "messages": [{"role": "user", "content": content}]} | more


def connect(tap: Wiretap, base: str = "/v1", **options: Any) -> OpenAI:
    given: dict[str, Any] = {"api_key": KEY, "max_retries": 0, "timeout": 20.0} | options
    return OpenAI(base_url=tap.url + base, _strict_response_validation=True, **given)


@pytest.fixture
def client(tap: Wiretap) -> Iterator[OpenAI]:
    """The SDK before the shared gateway; every answer must be what the SDK's types say."""
    with connect(tap) as client:
        yield client
    judge(tap.exchanges())


def newest(gateway: RunningGateway) -> dict[str, Any]:
    """Return the newest user message as it went upstream."""
    body: Any = gateway.emulator.generations()[-1].body
    message: dict[str, Any] = body["conversationState"]["currentMessage"]["userInputMessage"]
    return message


# --------------------------------------------------------------------------------------- text


def test_a_reply_is_a_whole_completion(client: OpenAI) -> None:
    completion = client.chat.completions.create(**ask("你好"))

    [choice] = completion.choices
    assert (choice.message.content, choice.finish_reason) == ("You said: 你好", "stop")
    assert completion.model == MODEL
    usage = completion.usage
    assert usage is not None
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert usage.prompt_tokens > 0


def test_a_stream_says_the_same_as_a_whole_reply(client: OpenAI) -> None:
    chunks = list(client.chat.completions.create(**ask(), stream=True))

    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == "You said: Hello"
    assert [chunk.usage for chunk in chunks] == [None] * len(chunks)


def test_a_stream_ends_with_the_usage_when_that_is_asked_for(client: OpenAI) -> None:
    whole = client.chat.completions.create(**ask())
    chunks = list(
        client.chat.completions.create(**ask(), stream=True, stream_options={"include_usage": True})
    )

    assert chunks[-1].usage == whole.usage
    assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)


def test_the_stream_helper_gives_the_same_completion_as_a_whole_reply(client: OpenAI) -> None:
    whole = client.chat.completions.create(**ask())
    with client.chat.completions.stream(**ask(), stream_options={"include_usage": True}) as stream:
        deltas = [event.delta for event in stream if event.type == "content.delta"]
        final = stream.get_final_completion()

    assert "".join(deltas) == final.choices[0].message.content == "You said: Hello"
    assert final.choices[0].finish_reason == whole.choices[0].finish_reason
    assert final.usage == whole.usage


@pytest.mark.parametrize("role", ["system", "developer"])
def test_a_system_text_reaches_the_model(
    client: OpenAI, gateway: RunningGateway, role: str
) -> None:
    messages = [
        {"role": role, "content": "Speak like a pirate."},
        {"role": "user", "content": "Hello"},
    ]
    client.chat.completions.create(**ask(messages=messages))

    assert "Speak like a pirate." in str(gateway.emulator.generations()[-1].body)


def test_reasoning_comes_beside_the_content(client: OpenAI, gateway: RunningGateway) -> None:
    gateway.emulator.queue(scenario="reasoning", times=2)
    message = client.chat.completions.create(**ask()).choices[0].message
    chunks = list(client.chat.completions.create(**ask(), stream=True))

    extra = message.model_extra or {}
    assert extra["reasoning_content"] == "The user greets. I greet back."
    assert message.content == "Hello, world."
    pieces = [(chunk.choices[0].delta.model_extra or {}) for chunk in chunks]
    streamed = "".join(piece.get("reasoning_content", "") for piece in pieces)
    assert streamed == "The user greets. I greet back."


@pytest.mark.parametrize(
    ("scenario", "reason"),
    [
        ("stop_end_turn", "stop"),
        ("stop_max_tokens", "length"),
        ("stop_content_filtered", "content_filter"),
    ],
)
def test_each_end_of_a_reply_has_its_finish_reason(
    client: OpenAI, gateway: RunningGateway, scenario: str, reason: str
) -> None:
    gateway.emulator.queue(scenario=scenario, times=2)
    whole = client.chat.completions.create(**ask())
    chunks = list(client.chat.completions.create(**ask(), stream=True))

    assert whole.choices[0].finish_reason == chunks[-1].choices[0].finish_reason == reason


def test_cached_tokens_are_told_apart_in_the_usage(client: OpenAI, gateway: RunningGateway) -> None:
    gateway.emulator.queue(scenario="usage_cached")
    usage = client.chat.completions.create(**ask()).usage

    assert usage is not None
    assert usage.prompt_tokens == 812 + 10240 + 64
    assert usage.completion_tokens == 96
    assert usage.prompt_tokens_details is not None
    assert usage.prompt_tokens_details.cached_tokens == 10240


# -------------------------------------------------------------------------------------- tools


def answered(prompt: str, message: Any) -> dict[str, Any]:
    """Return the request that follows a reply with tool calls: numbered results for all of them."""
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": f"result {number}"}
        for number, call in enumerate(message.tool_calls)
    ]
    said = message.model_dump(exclude_none=True, include={"role", "content", "tool_calls"})
    return ask(messages=[{"role": "user", "content": prompt}, said, *results], tools=TOOLS)


def test_a_tool_call_and_its_result_make_a_round_trip(client: OpenAI) -> None:
    called = client.chat.completions.create(**ask(ASK, tools=TOOLS)).choices[0]
    final = client.chat.completions.create(**answered(ASK, called.message)).choices[0]

    [call] = called.message.tool_calls or ()
    assert call.type == "function"
    assert (call.function.name, json.loads(call.function.arguments)) == (
        "get_weather",
        {"city": "Zürich"},
    )
    assert (called.finish_reason, called.message.content) == ("tool_calls", None)
    assert (final.finish_reason, final.message.content) == ("stop", "FINAL:result 0")


def test_a_streamed_tool_call_and_its_result_make_a_round_trip(client: OpenAI) -> None:
    with client.chat.completions.stream(**ask(ASK, tools=TOOLS)) as stream:
        kinds = {event.type for event in stream}
        called = stream.get_final_completion().choices[0]
    with client.chat.completions.stream(**answered(ASK, called.message)) as stream:
        final = stream.get_final_completion().choices[0]

    assert {"tool_calls.function.arguments.delta", "tool_calls.function.arguments.done"} <= kinds
    [call] = called.message.tool_calls or ()
    assert json.loads(call.function.arguments) == {"city": "Zürich"}
    assert called.finish_reason == "tool_calls"
    assert final.message.content == "FINAL:result 0"


def test_parallel_tool_calls_and_their_results_keep_their_order(
    client: OpenAI, gateway: RunningGateway
) -> None:
    with client.chat.completions.stream(**ask(ASK_BOTH, tools=TOOLS)) as stream:
        called = stream.get_final_completion().choices[0].message
    final = client.chat.completions.create(**answered(ASK_BOTH, called)).choices[0].message

    calls = [(c.function.name, json.loads(c.function.arguments)) for c in called.tool_calls or ()]
    assert calls == [("get_weather", {"city": "Zürich"}), ("get_forecast", {"city": "北京"})]
    results = newest(gateway)["userInputMessageContext"]["toolResults"]
    assert [one["content"][0]["text"] for one in results] == ["result 0", "result 1"]
    assert final.content == "FINAL:result 1"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_tool_without_arguments_is_called_with_an_empty_object(
    client: OpenAI, stream: bool
) -> None:
    tools: list[Any] = [{"type": "function", "function": {"name": "now"}}]
    if stream:
        with client.chat.completions.stream(**ask("[[CALL now {}]]", tools=tools)) as replies:
            message: Any = replies.get_final_completion().choices[0].message
    else:
        message = client.chat.completions.create(**ask("[[CALL now {}]]", tools=tools))
        message = message.choices[0].message

    assert message.tool_calls[0].function.arguments == "{}"


def test_a_pydantic_tool_gets_its_arguments_parsed(client: OpenAI) -> None:
    class get_weather(BaseModel):
        """Tells the weather."""

        city: str

    tool = openai.pydantic_function_tool(get_weather)
    completion = client.chat.completions.parse(**ask(ASK, tools=[tool]))

    [call] = completion.choices[0].message.tool_calls or ()
    assert call.function.parsed_arguments == get_weather(city="Zürich")


# ------------------------------------------------------------------------------------- images


def test_an_image_reaches_the_model(client: OpenAI, gateway: RunningGateway) -> None:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 30, 30)).save(file, "PNG")
    data = base64.b64encode(file.getvalue()).decode()
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
    client.chat.completions.create(**ask([{"type": "text", "text": "What is it?"}, image]))

    assert newest(gateway)["images"] == [{"format": "png", "source": {"bytes": data}}]


# ------------------------------------------------------------------------------------- models


def test_the_models_can_be_listed_and_looked_at(client: OpenAI) -> None:
    listed = list(client.models.list())

    assert {
        "claude-opus-4-5-20251101",
        "claude-sonnet-4-5-20250929",
        "claude-sonnet-4-20250514",
        "claude-3-7-sonnet-20250219",
        "claude-haiku-4-5",
    } <= {model.id for model in listed}
    assert [client.models.retrieve(model.id) for model in listed] == listed


# ------------------------------------------------------------------------------ keys and paths


@pytest.mark.parametrize("base", ["", "/", "/v1", "/v1/", "/v1/v1", "/pro", "/pro/v1"])
def test_every_form_of_the_base_url_works(tap: Wiretap, gateway: RunningGateway, base: str) -> None:
    with connect(tap, base) as client:
        whole = client.chat.completions.create(**ask())
        chunks = list(client.chat.completions.create(**ask(), stream=True))
        names = [model.id for model in client.models.list()]

    assert whole.choices[0].message.content == "You said: Hello"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert MODEL in names
    account = "gamma" if base.startswith("/pro") else "alpha"
    assert [one.account for one in gateway.emulator.generations()] == [account] * 2
    judge(tap.exchanges())


def test_a_key_in_the_other_vendor_s_header_is_enough(tap: Wiretap) -> None:
    with connect(tap, api_key="wrong", default_headers={"x-api-key": KEY}) as client:
        assert client.chat.completions.create(**ask()).choices


# --------------------------------------------------------------------------- refused requests


def failure_of(call: Callable[[], object]) -> openai.APIStatusError:
    """Return the SDK's error of a call that must fail."""
    with pytest.raises(openai.APIStatusError) as caught:
        call()
    return caught.value


def test_a_wrong_key_is_told_and_not_tried_again(tap: Wiretap) -> None:
    with connect(tap, api_key="wrong", max_retries=3) as client:
        error = failure_of(lambda: client.chat.completions.create(**ask()))

    assert isinstance(error, openai.AuthenticationError)
    assert error.code == "invalid_api_key"
    assert len(tap.exchanges()) == 1
    judge(tap.exchanges())


def test_a_request_that_makes_no_sense_is_refused_with_the_place(
    client: OpenAI, gateway: RunningGateway
) -> None:
    error = failure_of(lambda: client.chat.completions.create(**ask(messages=[])))

    assert isinstance(error, openai.BadRequestError)
    assert error.param == "messages"
    assert gateway.emulator.generations() == []


def test_several_choices_are_refused_by_name(client: OpenAI) -> None:
    error = failure_of(lambda: client.chat.completions.create(**ask(n=2)))

    assert isinstance(error, openai.BadRequestError)
    assert error.param == "n"


def test_an_image_by_address_is_refused_by_name(client: OpenAI) -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}
    error = failure_of(lambda: client.chat.completions.create(**ask([image])))

    assert isinstance(error, openai.BadRequestError)
    assert "image_url" in str(error.param)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_an_unknown_model_is_not_found(client: OpenAI, stream: bool) -> None:
    request = ask(model="claude-no-9", stream=stream)
    error = failure_of(lambda: client.chat.completions.create(**request))

    assert isinstance(error, openai.NotFoundError)
    assert error.code == "model_not_found"
    assert "claude-no-9" in error.message


def test_an_unknown_group_is_not_found(tap: Wiretap) -> None:
    with connect(tap, "/nobody/v1") as client:
        error = failure_of(lambda: client.chat.completions.create(**ask()))

    assert isinstance(error, openai.NotFoundError)
    assert "nobody" in error.message
    judge(tap.exchanges())


# --------------------------------------------------------------------------------- concurrency


def test_the_asynchronous_client_streams_several_replies_at_once(tap: Wiretap) -> None:
    async def say(client: AsyncOpenAI, word: str) -> str | None:
        async with client.chat.completions.stream(**ask(word)) as stream:
            completion = await stream.get_final_completion()
        return completion.choices[0].message.content

    async def say_all() -> list[str | None]:
        async with AsyncOpenAI(base_url=f"{tap.url}/v1", api_key=KEY) as client:
            return await asyncio.gather(*(say(client, f"word {n}") for n in range(10)))

    assert asyncio.run(say_all()) == [f"You said: word {n}" for n in range(10)]
    judge(tap.exchanges())
