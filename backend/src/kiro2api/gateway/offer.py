"""What a group offers: the models, what each is called upstream, and which accounts have it."""

from collections.abc import Sequence

import msgspec

from kiro2api.errors import RequestError
from kiro2api.gateway.roster import Entry, listed_models, refused_everywhere
from kiro2api.protocol.codewhisperer.models import ModelMap


class OfferedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model as clients name it; `upstream` are its names upstream, one per kind of account.

    `accounts` can be asked for it, `refused` were told that they cannot have it for now; both are
    names. `hidden` tells that clients do not see it in the list: every account was refused it.
    """

    id: str
    name: str
    upstream: tuple[str, ...]
    window_tokens: int
    accounts: tuple[str, ...]
    refused: tuple[str, ...]
    hidden: bool


def offered_models(
    entries: Sequence[Entry], group: str, *, models: ModelMap, now: float
) -> tuple[OfferedModel, ...]:
    """Return what clients of `group` may ask for at `now`, in the order of their list."""
    members = [e for e in entries if e.account.group == group and e.account.enabled]
    live = listed_models(entries, group)
    offered = []
    for public in models.public_names_for(live.values()):
        resolved = {entry.id: _resolved(entry, public.id, models) for entry in members}
        refused = [entry for entry in members if _is_refused(entry, public.id, now)]
        upstream = tuple(dict.fromkeys(filter(None, resolved.values())))
        offered.append(
            OfferedModel(
                id=public.id,
                name=public.display_name,
                upstream=upstream,
                window_tokens=models.window_tokens(next(iter(upstream), ""), [*live.values()]),
                accounts=tuple(
                    entry.account.name
                    for entry in members
                    if resolved[entry.id] and entry not in refused
                ),
                refused=tuple(entry.account.name for entry in refused),
                hidden=refused_everywhere(entries, group, public.id, now),
            )
        )
    return tuple(offered)


def _resolved(entry: Entry, name: str, models: ModelMap) -> str:
    """Return what the upstream calls the model for this account; "" when its list lacks it."""
    try:
        return models.resolve(name, entry.listed)
    except RequestError:
        return ""


def _is_refused(entry: Entry, name: str, now: float) -> bool:
    refusal = entry.account.condition.models.get(name)
    return refusal is not None and refusal.until > now
