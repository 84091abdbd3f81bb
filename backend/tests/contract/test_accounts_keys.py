"""Client keys in the store, made and changed by another process while the gateway runs."""

import time
from typing import Any

import pytest

from tests.support.database import Database
from tests.support.emulator import RunningEmulator
from tests.support.gateway import (
    MODEL,
    Response,
    RunningGateway,
    StartGateway,
    anthropic_body,
    chat_body,
)
from tests.support.talk import WHOLE, Way, name_of

SECRET = "k2a-the-key-of-a-team"
HAIKU = "claude-haiku-4-5"
NOTICED_S = 1.3


@pytest.fixture
def running(start_gateway: StartGateway, emulator: RunningEmulator) -> RunningGateway:
    """Return a gateway with an account in each of two groups."""
    entries = [
        emulator.add_account(group).auth_entry(name=group, group=group)
        for group in ("default", "pro")
    ]
    return start_gateway(entries)


def ask(
    gateway: RunningGateway, way: Way, *, prefix: str = "", key: str = SECRET, **more: Any
) -> Response:
    body = anthropic_body(**more) if way.dialect == "anthropic" else chat_body(**more)
    return gateway.post(prefix + way.path, body, key=key)


def noticed(gateway: RunningGateway, status: int, *, within_s: float = 2.5) -> None:
    """Return once the key has this effect; the gateway must notice within about a second."""
    gateway.wait_for(
        lambda: gateway.get("/v1/models", key=SECRET).status == status,
        f"a {status}",
        within_s=within_s,
    )


@pytest.mark.parametrize("way", WHOLE, ids=name_of)
def test_a_key_that_is_made_while_running_opens_every_group(
    running: RunningGateway, database: Database, way: Way
) -> None:
    before = ask(running, way).status
    database.create_key("team", SECRET)
    noticed(running, 200)

    assert before == 401
    assert [ask(running, way, prefix=prefix).status for prefix in ("", "/pro")] == [200, 200]
    assert {line["key"] for line in running.log_lines("request_finished") if line.get("key")} == {
        "team"
    }


@pytest.mark.parametrize("way", WHOLE, ids=name_of)
def test_a_key_of_one_group_is_told_in_its_dialect_that_it_opens_no_other(
    running: RunningGateway, emulator: RunningEmulator, database: Database, way: Way
) -> None:
    database.create_key("team", SECRET, groups=["pro"])
    time.sleep(NOTICED_S)
    refused = ask(running, way)
    error = refused.json["error"]

    assert ask(running, way, prefix="/pro").status == 200
    assert refused.status == 403
    assert error["type"] == "permission_error"
    assert "'default'" in error["message"]
    assert ("code" in error) is (way.dialect == "chat")
    assert [record.account for record in emulator.generations()] == ["pro"]


@pytest.mark.parametrize("way", WHOLE, ids=name_of)
def test_a_key_of_some_models_is_refused_others_and_shown_its_own(
    running: RunningGateway, emulator: RunningEmulator, database: Database, way: Way
) -> None:
    database.create_key("team", SECRET, models=[HAIKU])
    noticed(running, 200)
    refused = ask(running, way, model=MODEL)
    listed = running.get("/v1/models", key=SECRET).json["data"]

    assert (refused.status, refused.json["error"]["type"]) == (403, "permission_error")
    assert MODEL in refused.json["error"]["message"]
    assert ask(running, way, model=HAIKU).status == 200
    assert [model["id"] for model in listed] == [HAIKU]
    assert len(emulator.generations()) == 1


@pytest.mark.parametrize("way", WHOLE, ids=name_of)
def test_a_key_ends_at_its_time(running: RunningGateway, database: Database, way: Way) -> None:
    database.create_key("team", SECRET, expires_at=time.time() + 4.0)
    noticed(running, 200)
    noticed(running, 401, within_s=5.0)

    assert ask(running, way).status == 401


def test_a_key_that_is_disabled_opens_nothing_within_about_a_second_and_again_when_enabled(
    running: RunningGateway, database: Database
) -> None:
    key = database.create_key("team", SECRET)
    noticed(running, 200)
    database.work(lambda store: store.keys.edit(key.id, enabled=False))
    noticed(running, 401)
    statuses = [ask(running, way).status for way in WHOLE]
    database.work(lambda store: store.keys.edit(key.id, enabled=True))
    noticed(running, 200)

    assert statuses == [401, 401]


def test_a_key_that_is_deleted_opens_nothing(running: RunningGateway, database: Database) -> None:
    key = database.create_key("team", SECRET)
    noticed(running, 200)
    database.work(lambda store: store.keys.delete(key.id))
    noticed(running, 401)

    assert [ask(running, way).status for way in WHOLE] == [401, 401]
    assert [ask(running, way, key="123456").status for way in WHOLE] == [200, 200]


def test_the_last_use_of_a_key_is_noted(running: RunningGateway, database: Database) -> None:
    database.create_key("team", SECRET)
    database.create_key("idle", "k2a-not-used")
    noticed(running, 200)
    used_at = time.time()
    assert ask(running, WHOLE[0]).status == 200
    assert running.stop() == 0

    assert database.key("team").last_used_at == pytest.approx(used_at, abs=3.0)
    assert database.key("idle").last_used_at is None


def test_a_key_lasts_over_a_kill_and_its_secret_is_nowhere(
    running: RunningGateway,
    start_gateway: StartGateway,
    emulator: RunningEmulator,
    database: Database,
) -> None:
    database.create_key("team", SECRET)
    noticed(running, 200)
    running.kill()
    after = start_gateway([emulator.account("default"), emulator.account("pro")])

    assert [ask(after, way).status for way in WHOLE] == [200, 200]
    assert SECRET.encode() not in database.path.read_bytes()
    assert SECRET not in after.log_text()
