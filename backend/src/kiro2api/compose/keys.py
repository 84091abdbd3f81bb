"""Client keys: where they come from, and the one that the first start makes."""

from collections.abc import Callable

from kiro2api import logs
from kiro2api.compose.system import SystemClock
from kiro2api.config import Installation, Settings, database_path
from kiro2api.errors import StoreError
from kiro2api.logs import LogEvent
from kiro2api.secrets import new_client_key
from kiro2api.server.keys import ClientKey, ClientKeys
from kiro2api.store.keys import GENERATED
from kiro2api.store.opening import Store, open_store

CLIENT_KEY_PURPOSE = "client key"


async def first_key(settings: Settings, store: Store) -> str:
    """Return the client key that was made just now, on the first start; "" when none was."""
    if settings.client_token or await store.keys.generated_key_digest() is not None:
        return ""
    return await make_client_key(store)


async def read_client_keys(settings: Settings, store: Store) -> list[ClientKey]:
    """Return the keys that open the data plane: those of the store, and `KIRO_CLIENT_TOKEN`.

    While that is set, the key that was made on the first start opens nothing.
    """
    keys = [
        ClientKey(
            key.name,
            key.digest,
            enabled=key.enabled and not (settings.client_token and key.id == GENERATED),
            groups=key.groups,
            models=tuple(model.lower() for model in key.models),
            expires_at=key.expires_at,
        )
        for key in await store.keys.keys()
    ]
    if settings.client_token:
        digest = store.ring.digest(CLIENT_KEY_PURPOSE, settings.client_token)
        keys.append(ClientKey(GENERATED, digest))
    return keys


async def touch_keys(clients: ClientKeys, store: Store) -> None:
    """Note when keys were used last; a note that fails is not worth a request."""
    used = clients.take_used()
    if not used:
        return
    try:
        ids = {key.name: key.id for key in await store.keys.keys()}
        await store.keys.touch({ids[name]: at for name, at in used.items() if name in ids})
    except StoreError as error:
        logs.write(LogEvent.STORE_WRITE_FAILED, what="last use of keys", reason=str(error))


async def make_client_key(store: Store) -> str:
    """Return a new generated client key; the one before it opens nothing any more."""
    key = new_client_key()
    logs.register_secrets([key])
    digest = store.ring.digest(CLIENT_KEY_PURPOSE, key)
    await store.keys.save_generated_key_digest(digest, now=SystemClock.wall())
    logs.write(LogEvent.CLIENT_KEY_CREATED)
    return key


async def reset_client_key(settings: Settings, installation: Installation) -> str:
    """Return a new generated client key, made in the store of this installation."""
    store = await open_store(database_path(settings, installation), secret_key=settings.secret_key)
    try:
        return await make_client_key(store)
    finally:
        await store.close()


def client_keys(store: Store, keys: list[ClientKey], *, wall: Callable[[], float]) -> ClientKeys:
    """Return `keys` as the data plane asks them."""
    return ClientKeys(lambda shown: store.ring.digests(CLIENT_KEY_PURPOSE, shown), keys, wall=wall)


def admin_keys(settings: Settings, store: Store) -> list[ClientKey]:
    """Return the key of the operator, if one is set."""
    if not settings.admin_token:
        return []
    return [ClientKey("admin", store.ring.digest(CLIENT_KEY_PURPOSE, settings.admin_token))]
