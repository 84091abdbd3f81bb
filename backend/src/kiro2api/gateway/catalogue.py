"""Each account's live list of models: fetched in the background, kept, and read back."""

from kiro2api import logs
from kiro2api.errors import UpstreamError
from kiro2api.gateway.ports import AccountStore, Clock, Upstream
from kiro2api.gateway.renewal import Renewal
from kiro2api.gateway.roster import Entry
from kiro2api.logs import LogEvent
from kiro2api.protocol.codewhisperer.endpoints import Endpoints, models_call
from kiro2api.protocol.codewhisperer.fault import classify
from kiro2api.protocol.codewhisperer.models import UpstreamModel, read_models, write_models

MAX_AGE_S = 3600.0
CALL_LIMIT_S = 30.0
MAX_PAGES = 20


class Catalogue:
    """Fetches lists of models; one for the whole program."""

    def __init__(
        self,
        *,
        upstream: Upstream,
        store: AccountStore,
        renewal: Renewal,
        clock: Clock,
        endpoints: Endpoints,
        user_agent: str,
    ) -> None:
        self._upstream = upstream
        self._store = store
        self._renewal = renewal
        self._clock = clock
        self._endpoints = endpoints
        self._user_agent = user_agent

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
        token = await self._renewal.fresh_token(entry)
        call = models_call(
            kind=entry.credential.kind,
            token=token,
            profile_arn=entry.profile_arn,
            region=entry.credential.region,
            endpoints=self._endpoints,
            user_agent=self._user_agent,
            next_token=next_token,
        )
        answer = await self._upstream.fetch(call, total_s=CALL_LIMIT_S)
        if answer.status != 200:
            raise classify(answer.status, answer.headers, answer.body)
        return answer.body


def restore_models(stored: bytes) -> tuple[UpstreamModel, ...] | None:
    """Return the list that `fetch` has kept; None when there is none that can be read."""
    if not stored:
        return None
    try:
        return read_models(stored).models
    except UpstreamError:
        return None
