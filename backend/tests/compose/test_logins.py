"""What makes logins, put together for a command."""

import asyncio
from pathlib import Path

from kiro2api.compose.logins import open_logins
from kiro2api.config import Settings
from kiro2api.gateway.login import LoginState, Wish
from kiro2api.store.opening import open_store
from tests.support.emulator import RunningEmulator


def test_a_login_goes_to_the_hosts_of_the_settings_and_into_the_store(
    tmp_path: Path, emulator: RunningEmulator
) -> None:
    emulator.add_account("me", kind="builder_id")
    emulator.set_sign_in(person="me", device_interval_s=0.01)
    settings = Settings(oidc_endpoint=emulator.url)

    async def scene() -> tuple[LoginState, list[str]]:
        store = await open_store(tmp_path / "my.db")
        try:
            async with open_logins(settings, store) as logins:
                login = await logins.start_builder_id(Wish(name="mine"))
                await login.finish()
            return login.state, [account.name for account in await store.accounts.accounts()]
        finally:
            await store.close()

    assert asyncio.run(scene()) == (LoginState.APPROVED, ["mine"])
