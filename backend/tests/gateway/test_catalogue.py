"""Live lists of models."""

import asyncio

import pytest

from kiro2api.errors import UpstreamError
from kiro2api.gateway.catalogue import MAX_PAGES, Catalogue, restore_models
from kiro2api.gateway.control import ControlPlane
from kiro2api.gateway.renewal import Renewal
from kiro2api.gateway.roster import Roster, make_entry
from kiro2api.gateway.tasks import TaskOwner
from kiro2api.protocol.codewhisperer.endpoints import Endpoints
from kiro2api.protocol.wire.http import HttpCall
from kiro2api.protocol.wire.json import encode
from tests.support.fakes import FakeClock, FakeStore, FakeTransfer, FakeUpstream, stored_account


class Scene:
    """One account and the catalogue that fetches its list."""

    def __init__(self, *pages: FakeTransfer) -> None:
        answers = list(pages)
        self.clock = FakeClock()
        self.store = FakeStore(stored_account())
        self.upstream = FakeUpstream(self._answer)
        self._answers = answers
        self.entry = make_entry(
            self.store.rows["a"], endpoints=Endpoints(), wall_to_monotonic_s=0.0
        )
        roster = Roster([self.entry])
        renewal = Renewal(
            upstream=self.upstream,
            store=self.store,
            roster=roster,
            tasks=TaskOwner(lambda error: None),
            clock=self.clock,
            endpoints=Endpoints(),
            user_agent="kiro2api/test",
            holder="this process",
        )
        control = ControlPlane(
            upstream=self.upstream,
            renewal=renewal,
            endpoints=Endpoints(),
            user_agent="kiro2api/test",
        )
        self.catalogue = Catalogue(control=control, store=self.store, clock=self.clock)

    def _answer(self, call: HttpCall) -> FakeTransfer:
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    def fetch(self) -> None:
        asyncio.run(self.catalogue.fetch(self.entry))


def page(*ids: str, next_token: str = "") -> FakeTransfer:
    body = {"models": [{"modelId": id} for id in ids], "nextToken": next_token}
    return FakeTransfer(200, encode(body))


def test_all_pages_become_one_list() -> None:
    scene = Scene(page("x", next_token="more"), page("y"))

    scene.fetch()

    assert scene.entry.listed == {"x", "y"}


def test_a_second_page_is_asked_for_by_its_token() -> None:
    scene = Scene(page("x", next_token="more"), page("y"))

    scene.fetch()

    assert "nextToken=more" in scene.upstream.calls[1].url


def test_a_list_without_end_is_left_after_a_bounded_number_of_pages() -> None:
    body = encode({"models": [], "nextToken": "again"})
    scene = Scene(*[FakeTransfer(200, body) for _ in range(MAX_PAGES + 5)])

    scene.fetch()

    assert len(scene.upstream.calls) == MAX_PAGES


def test_a_fetched_list_survives_a_restart() -> None:
    scene = Scene(page("x", "y"))
    scene.fetch()

    models = restore_models(scene.store.rows["a"].models)

    assert models is not None
    assert [model.id for model in models] == ["x", "y"]


def test_an_empty_list_is_an_answer() -> None:
    scene = Scene(page())

    scene.fetch()

    assert scene.entry.listed == frozenset()


def test_a_refused_call_leaves_the_old_list() -> None:
    scene = Scene(page("x"), FakeTransfer(500))
    scene.fetch()

    with pytest.raises(UpstreamError):
        scene.fetch()

    assert scene.entry.listed == {"x"}


def test_a_list_is_due_when_unknown_and_again_after_an_hour() -> None:
    scene = Scene(page("x"))
    before = scene.catalogue.is_due(scene.entry)
    scene.fetch()
    fresh = scene.catalogue.is_due(scene.entry)
    scene.clock.advance(3601)

    assert (before, fresh, scene.catalogue.is_due(scene.entry)) == (True, False, True)


@pytest.mark.parametrize("stored", [b"", b"{broken"])
def test_what_cannot_be_read_back_is_no_list(stored: bytes) -> None:
    assert restore_models(stored) is None
