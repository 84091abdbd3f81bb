"""Accounts whose login another program keeps: its file is looked at again, and never written."""

from typing import Protocol

from kiro2api import logs
from kiro2api.errors import SetupError, StoreError
from kiro2api.gateway.intake import Intake
from kiro2api.gateway.ports import AccountStore, Clock
from kiro2api.logs import LogEvent
from kiro2api.protocol.codewhisperer.credential import AuthKind

FOLLOW = "follow:"
LOOK_S = 15.0


class Files(Protocol):
    """The files of other programs."""

    async def state(self, path: str) -> str:
        """Return a text that changes with the file."""
        ...

    async def read(self, path: str) -> Intake:
        """Return the accounts in the file.

        Raises:
            SetupError: it cannot be read, or is nothing of the kind.
        """
        ...


class Following:
    """Brings the store up to what the followed files hold; one for the whole program.

    A login that the other program has made or rotated replaces the account's own, and ends a
    verdict that asked for a login. One that we have rotated since we took it is known to the store
    as an older one, and left.
    """

    def __init__(self, *, store: AccountStore, files: Files, clock: Clock) -> None:
        self._store = store
        self._files = files
        self._clock = clock
        self._seen: dict[str, str] = {}

    async def run_forever(self) -> None:
        """Look at every followed file, again and again, until cancelled."""
        while True:
            await self._clock.sleep(LOOK_S)
            try:
                await self.look()
            except StoreError as error:
                logs.write(LogEvent.STORE_READ_FAILED, what="followed files", reason=str(error))

    async def look(self) -> None:
        """Bring every account that follows a file up to it.

        Raises:
            StoreError: the store is away; the next look does it.
        """
        for account in await self._store.accounts():
            if account.source.startswith(FOLLOW):
                await self.bring_up(account.source.removeprefix(FOLLOW))

    async def bring_up(self, path: str) -> None:
        """Bring the accounts that follow the file at `path` up to it, if it has changed.

        A file that cannot be read changes nothing: what was taken from it goes on.

        Raises:
            StoreError: the store is away; the next look does it.
        """
        state = await self._files.state(path)
        if self._seen.get(path) == state:
            return
        try:
            intake = await self._files.read(path)
        except SetupError as error:
            self._seen[path] = state
            logs.write(LogEvent.FOLLOWED_FILE_READ_FAILED, path=path, reason=str(error))
            return
        source = FOLLOW + path
        kinds = [a.credential.kind for a in await self._store.accounts() if a.source == source]
        for new in intake.new_accounts(source=source):
            # What else is in the file by now was not asked for.
            if new.credential.kind in kinds:
                await self._store.add(new)
        self._seen[path] = state


def follow_problem(intake: Intake) -> str:
    """Return why a file with these accounts cannot be followed; "" when it can."""
    kinds = [_way(entry.credential.kind) for entry in intake.entries]
    if len(set(kinds)) < len(kinds):
        return "it holds several logins of one kind, so that a new one could be anybody's"
    if AuthKind.API_KEY in kinds:
        return "a key never changes: import it without following"
    return ""


def _way(kind: AuthKind) -> AuthKind:
    # These two log in by one way, and not every file tells them apart.
    return AuthKind.IDC if kind is AuthKind.BUILDER_ID else kind
