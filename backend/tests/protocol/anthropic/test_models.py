"""The list of models, judged by the vendor's own types."""

import datetime
from typing import Any

import msgspec
from anthropic.types import ModelInfo
from hypothesis import given
from hypothesis import strategies as st

from kiro2api.protocol.anthropic.models import render_model, render_models, rfc3339
from kiro2api.protocol.chat.answer import PublicModel

ENTRIES = [
    PublicModel("claude-opus-4.5", "Claude Opus 4.5", 1_763_942_400),
    PublicModel("auto", "Auto"),
    PublicModel("claude-haiku-4.5", "Claude Haiku 4.5", 1_759_276_800),
]


def page(entries: list[PublicModel]) -> Any:  # JSON
    return msgspec.json.decode(render_models(entries))


def test_a_list_is_one_page_in_the_given_order() -> None:
    found = page(ENTRIES)

    assert [model["id"] for model in found["data"]] == [entry.id for entry in ENTRIES]
    assert (found["has_more"], found["first_id"], found["last_id"]) == (
        False,
        "claude-opus-4.5",
        "claude-haiku-4.5",
    )


def test_an_empty_list_has_no_first_and_no_last() -> None:
    assert page([]) == {"data": [], "has_more": False, "first_id": None, "last_id": None}


def test_a_model_alone_is_what_the_list_has() -> None:
    assert msgspec.json.decode(render_model(ENTRIES[0])) == page(ENTRIES)["data"][0]


def test_every_model_is_one_of_the_vendors() -> None:
    model = ModelInfo.model_validate_json(render_model(ENTRIES[0]), strict=True)

    assert (model.id, model.display_name) == ("claude-opus-4.5", "Claude Opus 4.5")
    assert model.created_at.timestamp() == 1_763_942_400


@given(st.datetimes(timezones=st.just(datetime.UTC)))
def test_a_time_is_spelled_as_the_calendar_has_it(when: datetime.datetime) -> None:
    when = when.replace(microsecond=0)
    seconds = (when - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)) // datetime.timedelta(
        seconds=1
    )

    assert rfc3339(seconds) == when.isoformat().replace("+00:00", "Z")
