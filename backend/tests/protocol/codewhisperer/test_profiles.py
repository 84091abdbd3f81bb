"""Profiles: pages of them, and one alone in either of its shapes."""

import json

import pytest

from kiro2api.errors import FaultKind, UpstreamError
from kiro2api.protocol.codewhisperer.profiles import (
    Profile,
    ProfilePage,
    read_profile,
    read_profiles,
)

ARN = "arn:aws:codewhisperer:eu-central-1:111122223333:profile/ABCDEFGHIJKL"
ENTRY = {"arn": ARN, "profileName": "Team", "status": "ACTIVE", "profileType": "KIRO"}


def page(body: object) -> ProfilePage:
    return read_profiles(json.dumps(body).encode())


def test_a_page_of_profiles_is_read() -> None:
    found = page({"profiles": [ENTRY, {"arn": f"{ARN}2"}], "nextToken": "more"})

    assert found == ProfilePage((Profile(ARN, "Team", "ACTIVE"), Profile(f"{ARN}2")), "more")


@pytest.mark.parametrize("body", [{}, {"profiles": []}, {"profiles": None}])
def test_no_profile_at_all_is_an_answer(body: object) -> None:
    assert page(body) == ProfilePage(())


@pytest.mark.parametrize(
    "entry", [None, "text", {}, {"profileName": "x"}, {"arn": 5}, {"arn": "x"}, {"arn": "arn:a\nb"}]
)
def test_what_names_no_arn_is_left_out(entry: object) -> None:
    assert page({"profiles": [entry, ENTRY]}).profiles == (Profile(ARN, "Team", "ACTIVE"),)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]"])
def test_a_body_that_is_no_list_is_an_error_of_the_upstream(body: bytes) -> None:
    with pytest.raises(UpstreamError) as caught:
        read_profiles(body)

    assert caught.value.kind is FaultKind.OVERLOADED


@pytest.mark.parametrize("body", [{"profile": ENTRY}, ENTRY])
def test_one_profile_is_read_in_either_shape(body: object) -> None:
    assert read_profile(json.dumps(body).encode()) == Profile(ARN, "Team", "ACTIVE")


@pytest.mark.parametrize("body", [b"", b"{}", b'{"profile":null}', b'{"profile":{"arn":""}}'])
def test_an_answer_without_a_profile_is_an_error_of_the_upstream(body: bytes) -> None:
    with pytest.raises(UpstreamError) as caught:
        read_profile(body)

    assert caught.value.kind is FaultKind.OVERLOADED


@pytest.mark.parametrize(
    ("status", "usable"),
    [("ACTIVE", True), ("", True), ("UPDATING", True), ("CREATING", False), ("DELETING", False)],
)
def test_a_profile_can_be_used_while_it_lives(status: str, usable: bool) -> None:
    assert Profile(ARN, status=status).is_usable is usable
