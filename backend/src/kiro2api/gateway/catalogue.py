"""Each account's live list of models: fetched in the background, kept, and read back."""

from kiro2api import logs
from kiro2api.errors import UpstreamError
from kiro2api.gateway.control import ControlPlane
from kiro2api.gateway.ports import AccountStore, Clock
from kiro2api.gateway.roster import Entry
from kiro2api.logs import LogEvent
from kiro2api.protocol.codewhisperer.endpoints import models_call
from kiro2api.protocol.codewhisperer.models import UpstreamModel, read_models, write_models

MAX_AGE_S = 3600.0
MAX_PAGES = 20


class Catalogue:
    """Fetches lists of models; one for the whole program."""

    def __init__(self, *, control: ControlPlane, store: AccountStore, clock: Clock) -> None:
        self._control = control
        self._store = store
        self._clock = clock

    def is_due(self, entry: Entry) -> bool:
        """Tell whether the list is unknown or older than an hour."""
        return entry.models is None or self._clock.wall() - entry.models_fetched_at > MAX_AGE_S

    async def fetch(self, entry: Entry) -> None:
        """Put the account's list as it is now into `entry` and into the store.

        Raises:
            UpstreamError, TransferError, StoreError: the old list stays.
        """
        models: dict[str, UpstreamModel] = {}
        next_token = ""
        for _ in range(MAX_PAGES):
            page = read_models(await self._page(entry, next_token))
            models.update((model.id, model) for model in page.models)
            next_token = page.next_token
            if not next_token:
                break
        entry.models = tuple(models.values())
        entry.models_fetched_at = self._clock.wall()
        logs.write(LogEvent.MODELS_FETCHED, account=entry.account.name, models=len(models))
        await self._store.save_models(
            entry.id, models=write_models(entry.models), fetched_at=entry.models_fetched_at
        )

    async def _page(self, entry: Entry, next_token: str) -> bytes:
        return await self._control.ask(
            entry,
            lambda token, form: models_call(
                kind=entry.credential.kind,
                token=token,
                form=form,
                profile_arn=entry.profile_arn,
                region=entry.credential.region,
                endpoints=self._control.endpoints,
                user_agent=self._control.user_agent,
                next_token=next_token,
            ),
        )


def restore_models(stored: bytes) -> tuple[UpstreamModel, ...] | None:
    """Return the list that `fetch` has kept; None when there is none that can be read."""
    if not stored:
        return None
    try:
        return read_models(stored).models
    except UpstreamError:
        return None
