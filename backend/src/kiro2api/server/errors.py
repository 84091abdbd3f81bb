"""Errors on their way out: each in the dialect of the caller, with the request id."""

from collections.abc import Sequence

from kiro2api.gateway.ledger import RequestRecord
from kiro2api.gateway.outcome import answer_for
from kiro2api.protocol.chat.answer import ErrorAnswer
from kiro2api.protocol.dialect import Dialect
from kiro2api.server.exchange import JSON_TYPE, Exchange

UNAUTHORIZED = ErrorAnswer(
    401,
    "Wrong or missing client key. Send it as `x-api-key` or as `Authorization: Bearer`; it is the "
    "value of KIRO_CLIENT_TOKEN, or the key shown at the first start.",
    code="invalid_api_key",
)


async def send_error(
    exchange: Exchange,
    dialect: Dialect,
    error: ErrorAnswer | Exception,
    record: RequestRecord,
    *,
    headers: Sequence[tuple[bytes, bytes]] = (),
) -> None:
    """Answer with `error`, and `headers` of its own; nothing when the status is out already."""
    answer = answer_for(error) if isinstance(error, Exception) else error
    record.refused(answer)
    if exchange.started:
        return
    rendered = dialect.render_error(answer, exchange.request_id)
    await exchange.answer(rendered.status, rendered.body, (JSON_TYPE, *rendered.headers, *headers))
