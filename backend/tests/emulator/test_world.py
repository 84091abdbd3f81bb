"""The state of the emulated service."""

import msgspec

from kiro2api.emulator.accounts import AccountKind, AccountSpec
from kiro2api.emulator.behaviour import Operation
from kiro2api.emulator.exchange import Request
from kiro2api.emulator.profile import ProfileName
from kiro2api.emulator.world import World

REQUEST = Request("POST", "/p", {"q": "1"}, {"a": "b"}, b"{}", "2", 7)


def world(*specs: AccountSpec, seed: int = 1) -> World:
    return World(
        seed=seed,
        profile=ProfileName.RUNTIME_2026,
        accounts=specs,
        clock=lambda: 100.0,
        monotonic=lambda: 5.0,
    )


def test_a_reset_returns_to_the_start() -> None:
    made = world(AccountSpec(name="first"))
    made.add_account(AccountSpec(name="second"))
    made.record(REQUEST, Operation.UNKNOWN)
    made.clock.advance(10.0)
    made.use_profile(ProfileName.Q_2025)
    made.reset()

    assert (list(made.accounts), made.records, made.clock.now()) == (["first"], [], 100.0)
    assert made.rules.profile.name is ProfileName.RUNTIME_2026


def test_the_same_seed_gives_the_same_tokens_again_after_a_reset() -> None:
    made = world(AccountSpec(name="a"))
    before = made.issue_access_token(made.accounts["a"])
    made.reset()

    assert made.issue_access_token(made.accounts["a"]) == before


def test_access_tokens_live_one_lifetime_of_their_account() -> None:
    made = world(AccountSpec(name="a", access_lifetime_s=60.0))
    token = made.issue_access_token(made.accounts["a"])

    assert made.access_tokens[token].expires_at == 160.0


def test_an_api_key_never_expires() -> None:
    made = world(AccountSpec(name="a", kind=AccountKind.API_KEY))
    (key,) = made.accounts["a"].access_tokens

    assert made.access_tokens[key].expires_at == float("inf")


def test_a_rotated_away_token_still_tells_whose_it_was() -> None:
    made = world(AccountSpec(name="a"))
    account = made.accounts["a"]
    old = account.refresh_token
    account.rotate(now=100.0)

    assert made.account_of_refresh_token(old) is account
    assert made.account_of_refresh_token("another") is None


def test_a_record_has_number_times_and_facts() -> None:
    made = world()
    made.record(REQUEST, Operation.UNKNOWN)
    record = made.record(REQUEST, Operation.GENERATE)

    assert (record.id, record.at, record.monotonic_s) == (2, 100.0, 5.0)
    assert (record.operation, record.http_version, record.connection) == ("generate", "2", 7)
    assert (record.headers, record.query, record.body) == ({"a": "b"}, {"q": "1"}, {})


def test_a_record_of_an_unfinished_answer_is_brought_up_to_date() -> None:
    made = world()
    record = made.record(REQUEST, Operation.GENERATE)
    made.sending[record.id] = lambda: 42

    assert made.look()[0].sent_bytes == 42


def test_a_violation_points_to_its_record() -> None:
    made = world()
    made.violate("R1", "why", made.record(REQUEST, Operation.UNKNOWN))

    (violation,) = made.violations
    assert msgspec.to_builtins(violation) == {"rule": "R1", "message": "why", "record": 1}


def test_each_refresh_token_is_known_to_the_records() -> None:
    made = world(AccountSpec(name="a"))
    account = made.accounts["a"]
    account.rotate(now=100.0)
    made.learn_refresh_token(account)

    assert made.redactor.text(account.refresh_token) == "[refresh token 2 of a]"


def test_a_gate_is_one_and_the_same_by_its_name() -> None:
    made = world()

    assert made.gate("g") is made.gate("g")
    assert not made.gate("g").is_set()


def test_traffic_remembers_its_peak() -> None:
    traffic = world().traffic
    traffic.enter()
    traffic.enter()
    traffic.leave()

    assert (traffic.in_flight, traffic.max_in_flight) == (1, 2)
