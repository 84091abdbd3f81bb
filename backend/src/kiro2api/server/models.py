"""The list of models, in the shape of the caller's dialect."""

from kiro2api.errors import RequestError
from kiro2api.gateway.attempt import Gateway
from kiro2api.gateway.roster import listed_models, refused_everywhere
from kiro2api.protocol.chat.answer import PublicModel
from kiro2api.protocol.dialect import ANTHROPIC, OPENAI_CHAT, Dialect
from kiro2api.server.exchange import Exchange
from kiro2api.server.keys import ClientKey


def public_models(gateway: Gateway, group: str, holder: ClientKey) -> list[PublicModel]:
    """Return each model that `holder` may ask `group` for."""
    entries = gateway.roster.entries()
    now = gateway.clock.monotonic()
    return [
        model
        for model in gateway.models.public_names_for(listed_models(entries, group).values())
        if holder.opens_model(model.id) and not refused_everywhere(entries, group, model.id, now)
    ]


async def send_models(exchange: Exchange, gateway: Gateway, group: str, holder: ClientKey) -> None:
    """Answer with the whole list; it is short, so there are no pages."""
    models = public_models(gateway, group, holder)
    await exchange.answer(200, _dialect(exchange).render_models(models))


async def send_model(
    exchange: Exchange, gateway: Gateway, group: str, holder: ClientKey, model_id: str
) -> None:
    """Answer with one model.

    Raises:
        RequestError: there is no such model in `group`.
    """
    for model in public_models(gateway, group, holder):
        if model.id == model_id:
            await exchange.answer(200, _dialect(exchange).render_model(model))
            return
    raise RequestError(
        f"Model {model_id!r} is not offered. GET /v1/models lists those that are.",
        status=404,
        code="model_not_found",
    )


def _dialect(exchange: Exchange) -> Dialect:
    """Return the dialect of the list: one path serves both, and only one of them has a version."""
    return ANTHROPIC if "anthropic-version" in exchange.headers else OPENAI_CHAT
