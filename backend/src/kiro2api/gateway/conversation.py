"""Names of conversations towards the upstream."""

from hashlib import sha256

from kiro2api.gateway.ports import Chance


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
