"""Calls to the control plane in an account's name, outside any client's request."""

from collections.abc import Callable

from kiro2api.gateway.ports import Upstream
from kiro2api.gateway.renewal import Renewal
from kiro2api.gateway.roster import Entry
from kiro2api.protocol.codewhisperer.endpoints import Endpoints
from kiro2api.protocol.codewhisperer.fault import classify
from kiro2api.protocol.wire.http import HttpCall

CALL_LIMIT_S = 30.0


class ControlPlane:
    """Asks about models, profiles and usage; one for the whole program."""

    def __init__(
        self, *, upstream: Upstream, renewal: Renewal, endpoints: Endpoints, user_agent: str
    ) -> None:
        self._upstream = upstream
        self._renewal = renewal
        self.endpoints = endpoints
        self.user_agent = user_agent

    async def ask(self, entry: Entry, call_with: Callable[[str], HttpCall]) -> bytes:
        """Return the body of the good answer to the call that `call_with` makes of a bearer.

        Raises:
            UpstreamError: the upstream, or the login service, refused.
            TransferError: no answer came.
            StoreError: the token had to be refreshed and could not be saved.
        """
        token = await self._renewal.fresh_token(entry)
        answer = await self._upstream.fetch(call_with(token), total_s=CALL_LIMIT_S)
        if answer.status != 200:
            raise classify(answer.status, answer.headers, answer.body)
        return answer.body
