"""Names of conversations: towards the upstream, and for the account that they stick to."""

from hashlib import sha256

from kiro2api.gateway.ports import Chance
from kiro2api.protocol.chat.request import ChatRequest, Role, Text


def conversation_id(key: str, *, owner: str, chance: Chance) -> str:
    """Return a UUID-shaped name: stable for `key` of one `owner`, random without a key.

    The owner is part of it, so that two client keys never share a conversation.
    """
    if not key:
        return chance.uuid()
    digest = sha256(f"{owner}\n{key}".encode("utf-8", "replace")).hexdigest()
    return "-".join(
        (digest[:8], digest[8:12], "4" + digest[13:16], "8" + digest[17:20], digest[20:32])
    )


def sticky_key(request: ChatRequest, *, owner: str) -> str:
    """Return what all requests of one conversation have in common, for the choice of an account.

    The client's own key as it stands; without one a digest of how the conversation begins and of
    the client key `owner`. Nothing in it changes while a conversation grows.
    """
    if request.conversation_key:
        return request.conversation_key
    digest = sha256(owner.encode("utf-8", "replace"))
    first = next((turn.blocks for turn in request.turns if turn.role is Role.USER), ())
    for block in (*request.system, *first):
        if isinstance(block, Text):
            digest.update(b"\0" + block.text.encode("utf-8", "replace"))
    return digest.hexdigest()[:32]
