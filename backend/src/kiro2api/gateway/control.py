"""Calls to the control plane in an account's name, outside any client's request."""

from collections.abc import Callable

from kiro2api.errors import FaultKind, UpstreamError
from kiro2api.gateway.ports import Upstream
from kiro2api.gateway.renewal import Renewal
from kiro2api.gateway.roster import Entry
from kiro2api.protocol.codewhisperer.endpoints import Endpoints, WireForm
from kiro2api.protocol.codewhisperer.fault import classify
from kiro2api.protocol.wire.http import HttpCall

CALL_LIMIT_S = 30.0

CallWith = Callable[[str, WireForm], HttpCall]
"""Makes a call of a bearer and of the form that the account's hosts know."""


class ControlPlane:
    """Asks about models, profiles and usage; one for the whole program."""

    def __init__(
        self, *, upstream: Upstream, renewal: Renewal, endpoints: Endpoints, user_agent: str
    ) -> None:
        self._upstream = upstream
        self._renewal = renewal
        self.endpoints = endpoints
        self.user_agent = user_agent

    async def ask(self, entry: Entry, call_with: CallWith) -> bytes:
        """Return the body of the good answer to the call that `call_with` makes.

        A host that does not know the form of the call is asked in the other one, which is
        remembered for the account.

        Raises:
            UpstreamError: the upstream, or the login service, refused.
            TransferError: no answer came.
            StoreError: the token had to be refreshed and could not be saved.
        """
        token = await self._renewal.fresh_token(entry)
        try:
            return await self._answer(call_with(token, entry.control_form))
        except UpstreamError as error:
            if error.kind is not FaultKind.WRONG_ENDPOINT:
                raise
        other = WireForm.REST if entry.control_form is WireForm.JSON10 else WireForm.JSON10
        body = await self._answer(call_with(token, other))
        entry.control_form = other
        return body

    async def _answer(self, call: HttpCall) -> bytes:
        answer = await self._upstream.fetch(call, total_s=CALL_LIMIT_S)
        if answer.status != 200:
            raise classify(answer.status, answer.headers, answer.body)
        return answer.body
