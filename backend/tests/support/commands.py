"""Commands run in this process, on an installation of their own."""

from pathlib import Path
from typing import Any

import pytest

from kiro2api.cli import main, target
from kiro2api.config import SETTINGS, Installation
from kiro2api.pool.account import Condition
from kiro2api.protocol.wire.json import decode
from kiro2api.store.opening import Store
from tests.support.stores import SECRET_KEY, social, with_store


class Commands:
    """Runs commands and returns what they printed; lives for one test."""

    def __init__(self, database: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.database = database
        self.error = ""
        self._capsys = capsys

    def run(self, *words: str, code: int = 0) -> str:
        """Return the output of a command that ends with `code`; `error` has what it said beside."""
        with pytest.raises(SystemExit) as ended:
            main(words)
        output, self.error = self._capsys.readouterr()
        assert ended.value.code == code, output + self.error
        return output

    def json(self, *words: str, code: int = 0) -> Any:
        """Return the value that a command prints as JSON."""
        return decode(self.run(*words, "--json", code=code))

    def fill(self, *names: str, group: str = "default", **conditions: Condition) -> None:
        """Put accounts of these names into the store, in these conditions."""
        entries = [
            social(f"token {index} {name}", index=index, name=name, group=group)
            for index, name in enumerate(names)
        ]

        async def work(store: Store) -> None:
            await store.accounts.sync_configured(entries)
            for stored in await store.accounts.accounts():
                if stored.name in conditions:
                    await store.accounts.save_condition(stored.id, conditions[stored.name])

        with_store(self.database, work)


@pytest.fixture
def commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Commands:
    """Commands on an empty installation, without any setting but the secret key."""
    for setting in SETTINGS:
        monkeypatch.delenv(setting.about.env, raising=False)
    monkeypatch.setenv("KIRO_SECRET_KEY", SECRET_KEY)
    found = Installation(tmp_path, tmp_path / "data", (tmp_path,))
    monkeypatch.setattr(target, "find_installation", lambda environ: found)
    return Commands(tmp_path / "data" / "kiro2api.db", capsys)
