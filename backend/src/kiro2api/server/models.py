"""The list of models, in the shape of the caller's dialect."""

from kiro2api.errors import RequestError
from kiro2api.gateway.attempt import Gateway
from kiro2api.gateway.roster import listed_models, refused_everywhere
from kiro2api.protocol.anthropic.models import render_model as anthropic_model
from kiro2api.protocol.anthropic.models import render_models as anthropic_models
from kiro2api.protocol.openai_chat.render import render_model as openai_model
from kiro2api.protocol.openai_chat.render import render_models as openai_models
from kiro2api.server.exchange import Exchange
from kiro2api.server.keys import ClientKey

Entry = tuple[str, str, int]


def public_models(gateway: Gateway, group: str, holder: ClientKey) -> list[Entry]:
    """Return id, display name and creation time of each model that `holder` may ask `group` for."""
    entries = gateway.roster.entries()
    now = gateway.clock.monotonic()
    return [
        (model.id, model.display_name, model.created_s)
        for model in gateway.models.public_names_for(listed_models(entries, group).values())
        if holder.opens_model(model.id) and not refused_everywhere(entries, group, model.id, now)
    ]


async def send_models(exchange: Exchange, gateway: Gateway, group: str, holder: ClientKey) -> None:
    """Answer with the whole list; it is short, so there are no pages."""
    render = anthropic_models if "anthropic-version" in exchange.headers else openai_models
    await exchange.answer(200, render(public_models(gateway, group, holder)))


async def send_model(
    exchange: Exchange, gateway: Gateway, group: str, holder: ClientKey, model: str
) -> None:
    """Answer with one model.

    Raises:
        RequestError: there is no such model in `group`.
    """
    for entry in public_models(gateway, group, holder):
        if entry[0] == model:
            render = anthropic_model if "anthropic-version" in exchange.headers else openai_model
            await exchange.answer(200, render(entry))
            return
    raise RequestError(
        f"Model {model!r} is not offered. GET /v1/models lists those that are.",
        status=404,
        code="model_not_found",
    )
