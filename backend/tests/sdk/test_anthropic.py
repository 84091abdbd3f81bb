"""The Anthropic SDK for Python, in its two generations, works with the gateway."""

import asyncio
import os
import subprocess
import sys

import msgspec
import pytest
from anthropic import AsyncAnthropic

from kiro2api.protocol.wire import json
from tests.sdk.anthropic_claims import ASK, CLAIMS, Client, ask, prove, weather_tool
from tests.sdk.anthropic_judge import judge
from tests.support.gateway import KEY, RunningGateway
from tests.support.tree import ANTHROPIC_0, BACKEND, SOURCE
from tests.support.wiretap import Wiretap

pytestmark = pytest.mark.sdk


@pytest.mark.parametrize("name", CLAIMS)
def test_it_holds_for_the_current_sdk(name: str, tap: Wiretap, gateway: RunningGateway) -> None:
    prove(CLAIMS[name], tap, gateway.emulator)


class Outcomes(msgspec.Struct, frozen=True):
    """What the process of the earlier SDK has found: a traceback for each claim, "" if it holds."""

    version: str
    outcomes: dict[str, str]


def test_the_same_holds_for_the_earlier_sdk(gateway: RunningGateway) -> None:
    """All claims in one test: their process is dear to start."""
    if not ANTHROPIC_0.is_dir():
        pytest.fail("the earlier SDK is not there: `make test` installs it")
    script = BACKEND / "tests" / "sdk" / "anthropic_generation.py"
    paths = [ANTHROPIC_0, BACKEND, SOURCE.parent]
    done = subprocess.run(
        [sys.executable, str(script), gateway.url, gateway.emulator.url],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(str(path) for path in paths)},
        capture_output=True,
        timeout=55,
    )

    assert done.returncode == 0, done.stderr.decode()
    found = json.decode(done.stdout, Outcomes)
    failures = [f"{name}: {trace}" for name, trace in found.outcomes.items() if trace]
    assert failures == [], "\n\n".join(failures)
    assert found.outcomes.keys() == CLAIMS.keys()
    assert found.version == "0.125.0"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_the_tool_runner_goes_on_without_threads_once_they_are_refused(
    tap: Wiretap, gateway: RunningGateway, stream: bool
) -> None:
    client = Client(tap, gateway.emulator)
    runner = client.sdk.beta.messages.tool_runner(**ask(ASK, tools=[weather_tool()], stream=stream))
    for turn in runner:
        final = turn.get_final_message() if stream else turn

    assert final.content[0].text == "FINAL:It rains in Zürich."
    assert [(one.status, "thread" in one.asked) for one in client.exchanges] == [
        (400, True),
        (200, False),
        (200, False),
    ]
    assert len(gateway.emulator.generations()) == 2
    judge(client.exchanges)


def test_the_asynchronous_client_streams_several_replies_at_once(
    tap: Wiretap, gateway: RunningGateway
) -> None:
    async def say(client: AsyncAnthropic, word: str) -> str:
        async with client.messages.stream(**ask(word)) as stream:
            return await stream.get_final_text()

    async def say_all() -> list[str]:
        async with AsyncAnthropic(base_url=tap.url, api_key=KEY) as client:
            return await asyncio.gather(*(say(client, f"word {n}") for n in range(10)))

    assert asyncio.run(say_all()) == [f"You said: word {n}" for n in range(10)]
    judge(tap.exchanges())
