"""What a group offers."""

from kiro2api.gateway.catalogue import restore_models
from kiro2api.gateway.offer import OfferedModel, offered_models
from kiro2api.gateway.ports import StoredAccount
from kiro2api.gateway.roster import Entry, make_entry
from kiro2api.pool.account import Condition, ModelRefusal
from kiro2api.protocol.codewhisperer.endpoints import Endpoints
from kiro2api.protocol.codewhisperer.models import ModelMap, UpstreamModel, write_models
from tests.support.fakes import FakeClock, stored_account

NOW = FakeClock().wall()
PUBLIC = "claude-sonnet-4-20250514"


def listing(name: str, *ids: str, **more: object) -> StoredAccount:
    models = [UpstreamModel(one, one.title(), window_tokens=1000) for one in ids]
    return stored_account(name, models=write_models(models) if ids else b"", **more)


def entry_of(stored: StoredAccount) -> Entry:
    entry = make_entry(stored, endpoints=Endpoints(), wall_to_monotonic_s=0.0)
    entry.models = restore_models(stored.models)
    return entry


def offered(*accounts: StoredAccount, group: str = "default") -> dict[str, OfferedModel]:
    entries = [entry_of(account) for account in accounts]
    models = offered_models(entries, group, models=ModelMap(), now=NOW)
    return {model.id: model for model in models}


def refusing(model: str, until: float) -> Condition:
    return Condition(models={model: ModelRefusal(until, "not in the plan")})


def test_a_model_on_a_live_list_is_told_with_those_who_have_it() -> None:
    model = offered(listing("a", "brand-new"), listing("b", "other"))["brand-new"]

    assert model == OfferedModel(
        id="brand-new",
        name="Brand-New",
        upstream=("brand-new",),
        window_tokens=1000,
        accounts=("a",),
        refused=(),
        hidden=False,
    )


def test_a_name_that_we_promise_is_told_with_what_it_is_upstream() -> None:
    assert offered(listing("a"))[PUBLIC].upstream == ("CLAUDE_SONNET_4_20250514_V1_0",)


def test_an_account_that_was_refused_the_model_is_named_apart() -> None:
    refused = listing("a", condition=refusing(PUBLIC, NOW + 60))
    model = offered(refused, listing("b"))[PUBLIC]

    assert (model.accounts, model.refused, model.hidden) == (("b",), ("a",), False)


def test_a_model_that_every_account_was_refused_is_hidden_from_clients() -> None:
    model = offered(listing("a", condition=refusing(PUBLIC, NOW + 60)))[PUBLIC]

    assert (model.accounts, model.hidden) == ((), True)


def test_a_refusal_whose_time_has_come_counts_no_more() -> None:
    model = offered(listing("a", condition=refusing(PUBLIC, NOW - 1)))[PUBLIC]

    assert (model.accounts, model.refused) == (("a",), ())


def test_neither_other_groups_nor_disabled_accounts_offer_anything() -> None:
    found = offered(listing("a", "brand-new", group="pro"), listing("b", "off", enabled=False))

    assert "brand-new" not in found
    assert "off" not in found
    assert found[PUBLIC].accounts == ()
