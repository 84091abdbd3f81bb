"""Real Claude Code works with the gateway: tools, groups, keys, long conversations, failures."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from kiro2api.protocol.wire import json
from tests.e2e.claude_code import ClaudeCode, StartClaude, call
from tests.support.emulator import RunningEmulator
from tests.support.gateway import KEY, RunningGateway, StartGateway

pytestmark = pytest.mark.e2e

MAKE_A_FILE = call("Bash", command="echo the tool ran | tee made.txt", description="Make a file")
BASES = {
    "": "/v1/messages",
    "/v1": "/v1/v1/messages",
    "/pro": "/pro/v1/messages",
    "/pro/v1": "/pro/v1/v1/messages",
}
KEY_HEADERS = {
    "ANTHROPIC_API_KEY": ("x-api-key", KEY),
    "ANTHROPIC_AUTH_TOKEN": ("authorization", f"Bearer {KEY}"),
}


# ------------------------------------------------------------------------- base URLs and keys


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("variable", KEY_HEADERS)
def test_it_uses_a_tool_and_finishes_with_every_base_url_and_either_key_header(
    claude: ClaudeCode, gateway: RunningGateway, base: str, variable: str
) -> None:
    run = claude.run(MAKE_A_FILE, base=base, **{variable: KEY})

    assert (run.code, run.said) == (0, "FINAL:the tool ran"), run
    assert (claude.work / "made.txt").read_text() == "the tool ran\n"
    header, value = KEY_HEADERS[variable]
    assert [(one.path, one.headers.get(header)) for one in run.exchanges] == [
        (f"{BASES[base]}?beta=true", value)
    ] * 2
    account = "gamma" if base.startswith("/pro") else "alpha"
    assert [one.account for one in gateway.emulator.generations()] == [account] * 2


def test_a_valid_key_beside_a_wrong_one_is_enough(
    claude: ClaudeCode, gateway: RunningGateway
) -> None:
    run = claude.run("Hello", ANTHROPIC_API_KEY="wrong", ANTHROPIC_AUTH_TOKEN=KEY)

    assert run.code == 0, run
    assert {"x-api-key", "authorization"} <= set(run.exchanges[0].headers)
    assert len(gateway.emulator.generations()) == 1


def test_a_wrong_key_ends_it_within_seconds_after_one_try(
    claude: ClaudeCode, gateway: RunningGateway
) -> None:
    run = claude.run("Hello", ANTHROPIC_API_KEY="wrong")

    assert (run.code, [one.status for one in run.exchanges]) == (1, [401]), run
    assert "Invalid API key" in run.said
    assert run.took_s < 10
    assert gateway.emulator.generations() == []


# ---------------------------------------------------------------------------- models and bodies


@pytest.mark.parametrize(
    "model",
    [
        "claude-opus-4-5-20251101",
        "claude-sonnet-4-5-20250929",
        "claude-sonnet-4-20250514",
        "claude-3-7-sonnet-20250219",
        "claude-haiku-4-5",
    ],
)
def test_it_works_with_each_built_in_model(
    claude: ClaudeCode, gateway: RunningGateway, model: str
) -> None:
    run = claude.run(MAKE_A_FILE, "--model", model)

    # For older models it adds a reminder of its own to the result, which the model repeats.
    assert (run.code, run.said.split("\n")[0]) == (0, "FINAL:the tool ran"), run
    assert len(gateway.emulator.generations()) == len(run.exchanges) == 2


@pytest.mark.parametrize(
    "variables",
    [
        {"CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS": "1"},
        {"ENABLE_TOOL_SEARCH": "false"},
        {"MAX_THINKING_TOKENS": "0"},
    ],
    ids=["without betas", "with all tools at once", "without thinking"],
)
def test_it_works_with_the_other_shapes_of_its_requests(
    claude: ClaudeCode, gateway: RunningGateway, variables: dict[str, str]
) -> None:
    run = claude.run(MAKE_A_FILE, **variables)

    assert (run.code, run.said) == (0, "FINAL:the tool ran"), run
    assert len(gateway.emulator.generations()) == len(run.exchanges) == 2


def test_a_model_that_does_not_exist_is_named_to_the_user_and_costs_nothing(
    claude: ClaudeCode, gateway: RunningGateway
) -> None:
    run = claude.run("Hello", "--model", "claude-nothing-9")

    assert {one.status for one in run.exchanges} == {404}, run
    assert "issue with the selected model (claude-nothing-9)" in run.said
    assert [one.status for one in gateway.emulator.generations() if one.status == 200] == []


def test_it_finds_the_models_of_the_gateway(claude: ClaudeCode) -> None:
    run = claude.run("Hello", CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY="1")

    [listed] = run.asked("/v1/models?limit=1000")
    names = [model["id"] for model in json.decode(listed.answer)["data"]]
    assert "claude-sonnet-4-20250514" in names
    assert [one.status for one in run.exchanges] == [200, 200]


def test_the_context_view_has_counts_for_all_of_its_parts(
    claude: ClaudeCode, gateway: RunningGateway
) -> None:
    run = claude.run("/context")

    counted = run.asked("/count_tokens?beta=true")
    assert len(counted) > 10
    assert {one.status for one in counted} == {200}
    assert "Free space" in run.said
    assert gateway.emulator.generations() == []


# --------------------------------------------------------------------------------------- tools


def test_it_works_through_several_tools_one_after_another(
    claude: ClaudeCode, gateway: RunningGateway
) -> None:
    path = str(claude.work / "note.txt")
    edit = call("Edit", file_path=path, old_string="two", new_string="zwei")
    steps = [
        call("Write", file_path=path, content='one\ntwo "quoted" \\ 世界 🙂\n'),
        edit,
        call("Read", file_path=path),
    ]

    run = claude.run("\n".join(steps))

    assert Path(path).read_text() == 'one\nzwei "quoted" \\ 世界 🙂\n'
    assert 'zwei "quoted" \\ 世界 🙂' in run.said
    assert len(gateway.emulator.generations()) == len(run.exchanges) == 4


def test_tools_called_in_parallel_all_run_and_their_results_go_back_together(
    claude: ClaudeCode, gateway: RunningGateway
) -> None:
    both = "&".join(call("Bash", command=f"echo {n} | tee {n}.txt") for n in ("one", "two"))

    run = claude.run(both)

    assert run.said == "FINAL:two", run
    assert (claude.work / "one.txt").exists()
    assert len(gateway.emulator.generations()) == 2


def test_a_long_file_is_written_whole(claude: ClaudeCode) -> None:
    content = "".join(f"line {number} of a long file\n" for number in range(2_000))

    run = claude.run(call("Write", file_path=str(claude.work / "long.txt"), content=content))

    assert run.code == 0, run
    assert (claude.work / "long.txt").read_text() == content


def test_a_tool_that_fails_does_not_end_the_conversation(claude: ClaudeCode) -> None:
    run = claude.run(call("Bash", command="echo first words; exit 3"))

    assert run.code == 0, run
    assert run.said.startswith("FINAL:")
    assert "first words" in run.said


def test_a_picture_that_it_reads_reaches_the_model(
    claude: ClaudeCode, gateway: RunningGateway
) -> None:
    Image.effect_noise((64, 64), 50).save(claude.work / "picture.png")

    run = claude.run(call("Read", file_path=str(claude.work / "picture.png")))

    assert run.code == 0, run
    body = gateway.emulator.generations()[-1].body
    assert isinstance(body, dict)
    message = body["conversationState"]["currentMessage"]["userInputMessage"]
    assert [image["format"] for image in message["images"]] == ["png"]


def test_a_subagent_has_a_conversation_of_its_own(
    claude: ClaudeCode, gateway: RunningGateway
) -> None:
    given = {"description": "Greet", "prompt": "Greet me", "subagent_type": "general-purpose"}

    run = claude.run(call("Agent", run_in_background=False, **given))

    assert run.code == 0, run
    assert "Subagent hand-back" in run.said
    assert len(gateway.emulator.generations()) == len(run.exchanges) == 3


# ----------------------------------------------------------------------------------- failures


@pytest.fixture
def own_gateway(start_gateway: StartGateway, emulator: RunningEmulator) -> Iterator[RunningGateway]:
    """A gateway with one account, for what changes the account's standing."""
    gateway = start_gateway(emulator.add_account("alpha"))
    gateway.wait_until_settled()
    emulator.forget_records()
    yield gateway
    assert emulator.violations() == []


def test_a_conversation_that_is_too_long_is_compacted_and_goes_on(
    start_claude: StartClaude, own_gateway: RunningGateway, emulator: RunningEmulator
) -> None:
    claude = start_claude(own_gateway)
    claude.run("Hello")
    emulator.forget_records()
    emulator.queue(error="context_too_long")

    run = claude.run(MAKE_A_FILE, "--continue")

    assert run.code == 0, run
    assert [one.status for one in run.exchanges][:2] == [400, 200]
    assert run.exchanges[0].answer.startswith(b'{"type":"error"')
    assert run.said.startswith("FINAL:the tool ran"), run
    assert len(emulator.generations()) == len(run.exchanges)


def test_a_single_exchange_that_is_too_long_ends_with_a_clear_message(
    start_claude: StartClaude, own_gateway: RunningGateway, emulator: RunningEmulator
) -> None:
    emulator.queue(error="context_too_long", times=0)

    run = start_claude(own_gateway).run("Hello")

    assert run.code == 1
    assert run.said.startswith("Prompt is too long"), run
    assert [one.status for one in run.exchanges] == [400]


def test_a_short_rate_limit_is_waited_out_for_as_long_as_the_answer_says(
    start_claude: StartClaude, own_gateway: RunningGateway, emulator: RunningEmulator
) -> None:
    emulator.queue(error="user_rate_header")

    run = start_claude(own_gateway).run(MAKE_A_FILE)

    assert (run.code, run.said) == (0, "FINAL:the tool ran"), run
    assert [one.status for one in run.exchanges] == [429, 200, 200]
    assert run.exchanges[0].answer_headers["retry-after"] == "2"
    assert run.took_s > 2


def test_a_reply_that_breaks_off_is_asked_for_again(
    start_claude: StartClaude, own_gateway: RunningGateway, emulator: RunningEmulator
) -> None:
    emulator.queue(scenario="reset_after_text")

    run = start_claude(own_gateway).run(MAKE_A_FILE)

    assert (run.code, run.said) == (0, "FINAL:the tool ran"), run
    assert run.exchanges[0].events[-1].name == "error"
    assert len(emulator.generations()) == 3


def test_a_failure_before_the_first_word_is_not_noticed(
    start_claude: StartClaude, own_gateway: RunningGateway, emulator: RunningEmulator
) -> None:
    emulator.queue(error="internal")

    run = start_claude(own_gateway).run(MAKE_A_FILE)

    assert (run.code, run.said) == (0, "FINAL:the tool ran"), run
    assert [one.status for one in run.exchanges] == [200, 200]
    assert [one.status for one in emulator.generations()] == [500, 200, 200]
