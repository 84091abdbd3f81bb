"""What must hold for the vendor's Python SDK, whichever generation of it is imported.

Each claim is a function of a `Client`. The current generation is judged in the tests' own process,
the earlier one in a process of its own: only what both have may be used here.
"""

import base64
import io
from collections.abc import Callable
from typing import Any

import anthropic
from anthropic import Anthropic, beta_tool
from PIL import Image

from tests.sdk.anthropic_judge import judge
from tests.support.emulator import RunningEmulator
from tests.support.gateway import KEY, MODEL
from tests.support.wiretap import Exchange, Wiretap

Claim = Callable[["Client"], None]
CLAIMS: dict[str, Claim] = {}

TOOLS: list[Any] = [
    {
        "name": name,
        "description": "Tells the weather.",
        "input_schema": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    }
    for name in ("get_weather", "get_forecast")
]
ASK = '[[CALL get_weather {"city": "Zürich"}]]'
ASK_BOTH = ASK + '&[[CALL get_forecast {"city": "北京"}]]'


class Client:
    """An SDK in front of a tapped gateway; lives as long as one claim."""

    def __init__(self, tap: Wiretap, emulator: RunningEmulator) -> None:
        self.tap = tap
        self.emulator = emulator
        self.sdk = self.connect()
        self.create = self.sdk.messages.create
        self.stream = self.sdk.messages.stream

    def connect(self, base: str = "", **options: Any) -> Anthropic:
        """Return an SDK client; `base` follows the address in the base URL."""
        given: dict[str, Any] = {"api_key": KEY, "max_retries": 0, "timeout": 20.0} | options
        return Anthropic(base_url=self.tap.url + base, _strict_response_validation=True, **given)

    @property
    def exchanges(self) -> list[Exchange]:
        return self.tap.exchanges()

    def upstream_message(self) -> dict[str, Any]:
        """Return the newest user message as it went upstream."""
        body: Any = self.emulator.generations()[-1].body
        message: dict[str, Any] = body["conversationState"]["currentMessage"]["userInputMessage"]
        return message


def prove(claim: Claim, tap: Wiretap, emulator: RunningEmulator) -> None:
    """Require the claim, and every answer on the way to it to be what the SDK's types say."""
    client = Client(tap, emulator)
    try:
        claim(client)
    finally:
        client.sdk.close()
    judge(client.exchanges)


def claim(function: Claim) -> Claim:
    CLAIMS[function.__name__] = function
    return function


def ask(content: Any = "Hello", **more: Any) -> dict[str, Any]:
    """Return the arguments of a request that says `content`."""
    messages = [{"role": "user", "content": content}]
    return {"model": MODEL, "max_tokens": 1000, "messages": messages} | more


def picture() -> str:
    """Return a small PNG in base64."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 30, 30)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


# --------------------------------------------------------------------------------------- text


@claim
def a_reply_is_a_whole_message(client: Client) -> None:
    message = client.create(**ask("你好"))

    assert [block.model_dump()["text"] for block in message.content] == ["You said: 你好"]
    assert (message.model, message.stop_reason) == (MODEL, "end_turn")
    assert message.usage.input_tokens > 0
    assert message.usage.output_tokens > 0


@claim
def a_streamed_reply_gives_the_same_message_as_a_whole_one(client: Client) -> None:
    whole = client.create(**ask("Tell me more, please"))
    with client.stream(**ask("Tell me more, please")) as stream:
        pieces = list(stream.text_stream)
        final = stream.get_final_message()

    assert len(pieces) > 1
    assert "".join(pieces) == final.content[0].text == whole.content[0].text
    assert final.model_dump(exclude={"id"}) == whole.model_dump(exclude={"id"}) | {
        "content": final.model_dump()["content"]
    }


@claim
def the_raw_events_come_in_the_order_of_the_api(client: Client) -> None:
    kinds = [event.type for event in client.create(**ask(stream=True))]

    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert set(kinds[2:-3]) == {"content_block_delta"}


@claim
def the_helper_sees_text_grow_and_blocks_end(client: Client) -> None:
    with client.stream(**ask()) as stream:
        events = list(stream)

    texts = [event for event in events if event.type == "text"]
    assert texts[-1].snapshot == "You said: Hello"
    assert [e.content_block.text for e in events if e.type == "content_block_stop"] == [
        "You said: Hello"
    ]


@claim
def the_beta_calls_work_like_the_others(client: Client) -> None:
    message = client.sdk.beta.messages.create(**ask(), betas=["interleaved-thinking-2025-05-14"])
    with client.sdk.beta.messages.stream(**ask(), betas=["never-heard-of-2026-01-01"]) as stream:
        final = stream.get_final_message()

    assert message.content[0].text == final.content[0].text == "You said: Hello"
    assert {one.path.partition("?")[0] for one in client.exchanges} == {"/v1/messages"}


@claim
def system_texts_in_both_forms_reach_the_model(client: Client) -> None:
    client.create(**ask(system="Speak like a sailor."))
    client.create(
        **ask(
            system=[
                {"type": "text", "text": "Speak like a pirate."},
                {
                    "type": "text",
                    "text": "Be brief.",
                    "cache_control": {"type": "ephemeral"},
                },
            ]
        )
    )

    first, second = (str(one.body) for one in client.emulator.generations())
    assert "Speak like a sailor." in first
    assert "Speak like a pirate." in second
    assert "Be brief." in second


# ----------------------------------------------------------------------------------- thinking


@claim
def thinking_comes_with_a_signature_and_goes_back_in_the_history(client: Client) -> None:
    client.emulator.queue(scenario="reasoning")
    with client.stream(**ask()) as stream:
        final = stream.get_final_message()
    answer = {"role": "assistant", "content": [block.model_dump() for block in final.content]}
    follow_up = [{"role": "user", "content": "Hello"}, answer, {"role": "user", "content": "Go on"}]
    reply = client.create(**ask(messages=follow_up))

    thinking, text = final.content
    assert (thinking.type, text.type) == ("thinking", "text")
    assert thinking.thinking == "The user greets. I greet back."
    assert thinking.signature
    assert reply.content[0].text == "You said: Go on"


@claim
def opaque_thinking_comes_as_such(client: Client) -> None:
    client.emulator.queue(scenario="reasoning_redacted")
    message = client.create(**ask())

    assert [block.type for block in message.content] == ["redacted_thinking", "text"]


# -------------------------------------------------------------------------------------- tools


@claim
def a_tool_call_and_its_result_make_a_round_trip(client: Client) -> None:
    called = client.create(**ask(ASK, tools=TOOLS))
    final = client.create(**answered(ASK, called))

    [use] = called.content
    assert called.stop_reason == "tool_use"
    assert (use.type, use.name, use.input) == ("tool_use", "get_weather", {"city": "Zürich"})
    assert (final.content[0].text, final.stop_reason) == ("FINAL:result 0", "end_turn")


@claim
def a_streamed_tool_call_and_its_result_make_a_round_trip(client: Client) -> None:
    with client.stream(**ask(ASK, tools=TOOLS)) as stream:
        events = list(stream)
        called = stream.get_final_message()
    with client.stream(**answered(ASK, called)) as stream:
        text = stream.get_final_text()

    assert [e.snapshot for e in events if e.type == "input_json"][-1] == {"city": "Zürich"}
    assert called.stop_reason == "tool_use"
    assert called.content[0].input == {"city": "Zürich"}
    assert text == "FINAL:result 0"


@claim
def parallel_tool_calls_and_their_results_keep_their_order(client: Client) -> None:
    with client.stream(**ask(ASK_BOTH, tools=TOOLS)) as stream:
        called = stream.get_final_message()
    final = client.create(**answered(ASK_BOTH, called))

    assert [(use.name, use.input) for use in called.content] == [
        ("get_weather", {"city": "Zürich"}),
        ("get_forecast", {"city": "北京"}),
    ]
    assert len({use.id for use in called.content}) == 2
    results = client.upstream_message()["userInputMessageContext"]["toolResults"]
    assert [one["content"][0]["text"] for one in results] == ["result 0", "result 1"]
    assert final.content[0].text == "FINAL:result 1"


@claim
def a_tool_without_arguments_is_called_with_an_empty_object(client: Client) -> None:
    tools = [{"name": "now", "input_schema": {"type": "object", "properties": {}}}]
    whole = client.create(**ask("[[CALL now {}]]", tools=tools))
    with client.stream(**ask("[[CALL now {}]]", tools=tools)) as stream:
        streamed = stream.get_final_message()

    assert whole.content[0].input == streamed.content[0].input == {}


@claim
def text_around_tool_calls_stays_where_it_was(client: Client) -> None:
    client.emulator.queue(scenario="tool_text_between")
    tools = [{"name": "ls", "input_schema": {"type": "object"}}]
    with client.stream(**ask(tools=tools)) as stream:
        final = stream.get_final_message()

    kinds = [block.type for block in final.content]
    assert kinds == ["text", "tool_use", "text", "tool_use", "text"]


@claim
def a_name_too_long_for_the_upstream_comes_back_whole(client: Client) -> None:
    name = "mcp__a_server_with_a_long_name__" + "x" * 60
    tools = [{"name": name, "input_schema": {"type": "object"}}]
    called = client.create(**ask(f"[[CALL {name} {{}}]]", tools=tools))
    final = client.create(**answered(f"[[CALL {name} {{}}]]", called, tools=tools))

    assert called.content[0].name == name
    assert final.content[0].text == "FINAL:result 0"


@claim
def the_tool_runner_runs_tools_until_the_answer(client: Client) -> None:
    runner = client.sdk.beta.messages.tool_runner(**ask(ASK, tools=[weather_tool()]))
    final = runner.until_done()

    assert final.content[0].text == "FINAL:It rains in Zürich."
    assert len(client.emulator.generations()) == 2


@claim
def the_streaming_tool_runner_runs_tools_until_the_answer(client: Client) -> None:
    tools = [weather_tool()]
    runner = client.sdk.beta.messages.tool_runner(**ask(ASK, tools=tools, stream=True))
    finals = [stream.get_final_message() for stream in runner]

    assert finals[-1].content[0].text == "FINAL:It rains in Zürich."
    assert len(client.emulator.generations()) == 2


def weather_tool() -> Any:
    """Return a tool that the runner can run."""

    @beta_tool
    def get_weather(city: str) -> str:
        """Tells the weather.

        Args:
            city: where
        """
        return f"It rains in {city}."

    return get_weather


def answered(prompt: str, called: Any, **more: Any) -> dict[str, Any]:
    """Return the request that follows a reply with tool calls: numbered results for all of them."""
    uses = [block for block in called.content if block.type == "tool_use"]
    results = [
        {"type": "tool_result", "tool_use_id": use.id, "content": f"result {number}"}
        for number, use in enumerate(uses)
    ]
    messages = [
        {"role": "user", "content": prompt},
        {"role": "assistant", "content": [block.model_dump() for block in called.content]},
        {"role": "user", "content": results},
    ]
    return ask(messages=messages) | {"tools": TOOLS} | more


# ------------------------------------------------------------------------------------- images


@claim
def an_image_in_a_message_reaches_the_model(client: Client) -> None:
    data = picture()
    source = {"type": "base64", "media_type": "image/png", "data": data}
    content = [{"type": "text", "text": "What is it?"}, {"type": "image", "source": source}]
    message = client.create(**ask(content))

    assert client.upstream_message()["images"] == [{"format": "png", "source": {"bytes": data}}]
    assert "What is it?" in message.content[0].text


@claim
def an_image_in_a_tool_result_reaches_the_model(client: Client) -> None:
    data = picture()
    called = client.create(**ask(ASK, tools=TOOLS))
    request = answered(ASK, called)
    source = {"type": "base64", "media_type": "image/png", "data": data}
    request["messages"][-1]["content"][0]["content"] = [
        {"type": "text", "text": "a picture"},
        {"type": "image", "source": source},
    ]
    client.create(**request)

    assert client.upstream_message()["images"] == [{"format": "png", "source": {"bytes": data}}]


# ------------------------------------------------------------------------------ ends and usage


@claim
def each_end_of_a_reply_has_its_stop_reason(client: Client) -> None:
    reasons = []
    for scenario in ("stop_end_turn", "stop_max_tokens", "stop_content_filtered"):
        client.emulator.queue(scenario=scenario)
        reasons.append(client.create(**ask()).stop_reason)
        client.emulator.queue(scenario=scenario)
        with client.stream(**ask()) as stream:
            reasons.append(stream.get_final_message().stop_reason)

    assert reasons == [
        "end_turn",
        "end_turn",
        "max_tokens",
        "max_tokens",
        "refusal",
        "refusal",
    ]


@claim
def cached_tokens_are_told_apart_in_the_usage(client: Client) -> None:
    client.emulator.queue(scenario="usage_cached")
    usage = client.create(**ask()).usage

    assert usage.input_tokens == 812
    assert usage.cache_read_input_tokens == 10240
    assert usage.cache_creation_input_tokens == 64
    assert usage.output_tokens == 96


@claim
def tokens_are_counted_and_cost_no_call(client: Client) -> None:
    count = client.sdk.messages.count_tokens
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}
    plain = count(**body)
    more = count(**body, system="Speak like a pirate.", tools=TOOLS)
    beta = client.sdk.beta.messages.count_tokens(**body)

    assert 0 < plain.input_tokens < more.input_tokens
    assert beta.input_tokens == plain.input_tokens
    assert client.emulator.generations() == []


# ------------------------------------------------------------------------------------- models


@claim
def the_models_can_be_listed_and_looked_at(client: Client) -> None:
    listed = list(client.sdk.models.list())
    names = [model.id for model in listed]

    assert {
        "claude-opus-4-5-20251101",
        "claude-sonnet-4-5-20250929",
        "claude-sonnet-4-20250514",
        "claude-3-7-sonnet-20250219",
        "claude-haiku-4-5",
    } <= set(names)
    assert len(set(names)) == len(names)
    for model in listed:
        assert client.sdk.models.retrieve(model.id) == model


@claim
def a_model_that_is_not_there_is_not_found(client: Client) -> None:
    error = failure_of(lambda: client.sdk.models.retrieve("no-such-model"))

    assert isinstance(error, anthropic.NotFoundError)


# ------------------------------------------------------------------------------ keys and paths


@claim
def the_key_counts_in_either_header(client: Client) -> None:
    for options in (
        {"api_key": KEY},
        {"api_key": None, "auth_token": KEY},
        {"api_key": "wrong", "default_headers": {"authorization": f"Bearer {KEY}"}},
        {"api_key": None, "auth_token": "wrong", "default_headers": {"x-api-key": KEY}},
    ):
        sdk = client.connect(**options)
        assert sdk.messages.create(**ask()).content[0].text == "You said: Hello"
        sdk.close()

    headers = [set(one.headers) & {"x-api-key", "authorization"} for one in client.exchanges]
    assert {"authorization"} in headers
    assert {"authorization", "x-api-key"} in headers


@claim
def every_form_of_the_base_url_works(client: Client) -> None:
    for base in ("", "/", "/v1", "/v1/", "/pro", "/pro/", "/pro/v1", "/pro/v1/"):
        sdk = client.connect(base)
        assert sdk.messages.create(**ask()).content[0].text == "You said: Hello"
        with sdk.messages.stream(**ask()) as stream:
            assert stream.get_final_text() == "You said: Hello"
        assert sdk.messages.count_tokens(model=MODEL, messages=ask()["messages"]).input_tokens
        assert [model.id for model in sdk.models.list()]
        sdk.close()

    accounts = [one.account for one in client.emulator.generations()]
    assert accounts == ["alpha"] * 8 + ["gamma"] * 8


@claim
def a_wrong_key_is_told_and_not_tried_again(client: Client) -> None:
    sdk = client.connect(api_key="wrong", max_retries=3)
    error = failure_of(lambda: sdk.messages.create(**ask()))
    sdk.close()

    assert isinstance(error, anthropic.AuthenticationError)
    assert len(client.exchanges) == 1


# --------------------------------------------------------------------------- refused requests


@claim
def a_request_that_makes_no_sense_is_refused_with_the_place(client: Client) -> None:
    error = failure_of(lambda: client.create(**ask(messages=[])))

    assert isinstance(error, anthropic.BadRequestError)
    assert "messages" in error.message
    assert client.emulator.generations() == []


@claim
def an_unknown_model_is_not_found_for_streams_too(client: Client) -> None:
    for stream in (False, True):
        error = failure_of(lambda s=stream: client.create(**ask(model="claude-no-9", stream=s)))

        assert isinstance(error, anthropic.NotFoundError)
        assert "claude-no-9" in error.message


@claim
def an_unknown_group_is_not_found(client: Client) -> None:
    sdk = client.connect("/nobody")
    error = failure_of(lambda: sdk.messages.create(**ask()))
    sdk.close()

    assert isinstance(error, anthropic.NotFoundError)
    assert "nobody" in error.message


def failure_of(call: Callable[[], object]) -> anthropic.APIStatusError:
    """Return the SDK's error of a call that must fail."""
    try:
        call()
    except anthropic.APIStatusError as error:
        return error
    raise AssertionError("the call succeeded")
