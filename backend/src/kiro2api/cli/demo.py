"""`kiro2api demo`: the gateway on the built-in fake upstream, with nothing to set up."""

import tempfile
from pathlib import Path

from kiro2api import compose, logs
from kiro2api.config import Installation, Settings, load
from kiro2api.emulator import AccountSpec, Emulator, EmulatorOptions
from kiro2api.protocol.wire.json import encode
from kiro2api.secrets import new_client_key

REFRESH_TOKEN = "demo-refresh-token"
# An operator's accounts have no place in a demo: of the environment only these count.
_TAKEN = ("HOST", "PORT", "LOG_LEVEL", "LOG_FORMAT")


def run_demo(port: int | None) -> None:
    """Run emulator and gateway until told to stop; nothing of it stays on disk.

    Raises:
        SetupError: the port is taken, or a setting is wrong.
    """
    with tempfile.TemporaryDirectory(prefix="kiro2api-demo-") as folder:
        compose.main_loop(lambda: _demo(Path(folder), port))


async def _demo(folder: Path, port: int | None) -> None:
    account = AccountSpec(name="demo", refresh_token=REFRESH_TOKEN)
    async with Emulator(EmulatorOptions(accounts=(account,))) as emulator:
        installation = Installation(folder, folder, ())
        settings = _settings(installation, emulator.url, port)
        logs.configure(settings.log_level.value, settings.log_format.value)

        def announce(started: compose.Started) -> None:
            print(text(started.url, settings.client_token, emulator.url), flush=True)

        await compose.run(settings, installation, announce)


def _settings(installation: Installation, upstream: str, port: int | None) -> Settings:
    environ = {k: v for k, v in compose.environment().items() if k in _TAKEN}
    accounts = [{"auth": "Social", "refreshToken": REFRESH_TOKEN, "name": "demo"}]
    environ |= {
        "KIRO_CLIENT_TOKEN": new_client_key(),
        "KIRO_AUTH_TOKEN": encode(accounts).decode(),
        "KIRO_API_ENDPOINT": upstream,
        "KIRO_SOCIAL_ENDPOINT": upstream,
        "KIRO_OIDC_ENDPOINT": upstream,
    }
    return load({"port": port}, environ, installation=installation)


def text(url: str, key: str, upstream: str) -> str:
    """Return what the person at the terminal reads: where it runs and a call that answers."""
    return f"""
kiro2api demo: the gateway answers from a built-in fake upstream ({upstream}), not from a model.

Try it:

  curl {url}/v1/messages \\
    -H "Authorization: Bearer {key}" \\
    -d '{{"model": "claude-sonnet-4-20250514", "max_tokens": 100,
         "messages": [{{"role": "user", "content": "Hello"}}]}}'

Claude Code:

  ANTHROPIC_BASE_URL={url} ANTHROPIC_API_KEY={key} claude

Stop it with Ctrl-C.
"""
