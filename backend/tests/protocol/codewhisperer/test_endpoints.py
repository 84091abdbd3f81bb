"""Where calls go, and what they say in their headers."""

from urllib.parse import parse_qsl, urlsplit

import pytest

from kiro2api.protocol.codewhisperer.credential import AuthKind
from kiro2api.protocol.codewhisperer.endpoints import (
    Endpoints,
    Route,
    WireForm,
    api_region,
    generation_call,
    models_call,
    strategies,
)
from kiro2api.protocol.wire.http import HttpCall

ARN = "arn:aws:codewhisperer:eu-central-1:111122223333:profile/ABCDEFGHIJKL"
RUNTIME = "https://runtime.us-east-1.kiro.dev/generateAssistantResponse"
LEGACY = "https://codewhisperer.us-east-1.amazonaws.com/generateAssistantResponse"


def routes(
    *,
    profile_arn: str = "",
    kind: AuthKind = AuthKind.SOCIAL,
    region: str = "us-east-1",
    api: str = "",
) -> tuple[Route, ...]:
    return strategies(
        profile_arn=profile_arn, kind=kind, region=region, endpoints=Endpoints(api=api)
    )


def call_of(route: Route, *, attempt: int = 1) -> HttpCall:
    return generation_call(
        route,
        token="aoaTOKEN",
        body=b"{}",
        user_agent="kiro2api/1",
        invocation_id="some-id",
        attempt=attempt,
    )


def test_an_own_profile_is_tried_first_where_it_lives() -> None:
    first = routes(profile_arn=ARN)[0]

    assert first.url == "https://runtime.eu-central-1.kiro.dev/generateAssistantResponse"
    assert first.profile_arn == ARN


def test_after_the_own_profile_come_no_profile_and_the_placeholder() -> None:
    _, second, third = routes(profile_arn=ARN)

    assert second == Route("https://q.eu-central-1.amazonaws.com")
    assert third.base_url == "https://runtime.eu-central-1.kiro.dev"
    assert third.profile_arn not in ("", ARN)


def test_without_a_profile_the_older_host_comes_first() -> None:
    first, second = routes()

    assert (first.url, first.profile_arn) == (LEGACY, "")
    assert second.url == RUNTIME
    assert second.profile_arn.startswith("arn:aws:codewhisperer:us-east-1:")


def test_each_kind_of_login_has_a_placeholder_of_its_own() -> None:
    social, idc = routes()[-1], routes(kind=AuthKind.IDC)[-1]

    assert social.profile_arn != idc.profile_arn


def test_a_placeholder_that_is_the_own_profile_is_not_tried_twice() -> None:
    placeholder = routes()[-1].profile_arn
    all_routes = routes(profile_arn=placeholder)

    assert [route.profile_arn for route in all_routes] == [placeholder, ""]


def test_an_override_takes_every_strategy() -> None:
    bases = {route.base_url for route in routes(profile_arn=ARN, api="http://127.0.0.1:9/")}

    assert bases == {"http://127.0.0.1:9"}


@pytest.mark.parametrize(
    ("login", "expected"),
    [
        ("us-east-1", "us-east-1"),
        ("us-west-2", "us-east-1"),
        ("ap-southeast-2", "us-east-1"),
        ("eu-west-1", "eu-central-1"),
        ("eu-central-1", "eu-central-1"),
        ("ca-central-1", "us-east-1"),
        ("", "us-east-1"),
    ],
)
def test_a_login_region_leads_to_the_near_api_region(login: str, expected: str) -> None:
    assert api_region(profile_arn="", region=login) == expected


def test_the_region_of_the_profile_wins_over_that_of_the_login() -> None:
    assert api_region(profile_arn=ARN, region="us-east-1") == "eu-central-1"


@pytest.mark.parametrize(
    "arn", ["nonsense", "arn:aws:codewhisperer", "arn:aws:codewhisperer:evil.example/#:1:profile/A"]
)
def test_a_profile_without_a_region_leaves_it_to_the_login(arn: str) -> None:
    assert api_region(profile_arn=arn, region="eu-west-1") == "eu-central-1"


def test_a_generation_call_has_the_headers_of_the_rest_form() -> None:
    call = call_of(Route("https://host.example", ARN))

    assert (call.method, call.body) == ("POST", b"{}")
    assert dict(call.headers) == {
        "authorization": "Bearer aoaTOKEN",
        "content-type": "application/json",
        "accept": "*/*",
        "x-amzn-kiro-agent-mode": "vibe",
        "x-amzn-codewhisperer-optout": "true",
        "user-agent": "kiro2api/1",
        "x-amz-user-agent": "kiro2api/1",
        "amz-sdk-invocation-id": "some-id",
        "amz-sdk-request": "attempt=1; max=3",
    }


@pytest.mark.parametrize(
    ("attempt", "expected"), [(2, "attempt=2; max=3"), (5, "attempt=5; max=5")]
)
def test_the_attempt_is_never_beyond_its_maximum(attempt: int, expected: str) -> None:
    headers = dict(call_of(Route("https://host.example"), attempt=attempt).headers)

    assert headers["amz-sdk-request"] == expected


def test_the_json_form_posts_to_the_root_and_names_its_target() -> None:
    call = call_of(Route("https://host.example", ARN, WireForm.JSON10))
    headers = dict(call.headers)

    assert call.url == "https://host.example/"
    assert headers["content-type"] == "application/x-amz-json-1.0"
    assert headers["x-amz-target"] == "KiroRuntimeService.GenerateAssistantResponse"
    assert "x-amzn-kiro-agent-mode" not in headers


def list_call(
    *, profile_arn: str = "", region: str = "us-east-1", api: str = "", next_token: str = ""
) -> HttpCall:
    return models_call(
        token="aoaTOKEN",
        profile_arn=profile_arn,
        region=region,
        endpoints=Endpoints(api=api),
        user_agent="kiro2api/1",
        next_token=next_token,
    )


def test_models_are_listed_at_the_older_host_without_a_profile() -> None:
    call = list_call()

    assert call.method == "GET"
    assert call.url == (
        "https://codewhisperer.us-east-1.amazonaws.com/ListAvailableModels"
        "?origin=AI_EDITOR&maxResults=50"
    )
    assert dict(call.headers)["authorization"] == "Bearer aoaTOKEN"


def test_models_are_listed_in_the_region_of_the_profile() -> None:
    parts = urlsplit(list_call(profile_arn=ARN).url)

    assert parts.netloc == "q.eu-central-1.amazonaws.com"
    assert dict(parse_qsl(parts.query))["profileArn"] == ARN


def test_a_next_page_is_asked_by_its_token_to_the_byte() -> None:
    token = "a+b/c=&d e"
    query = urlsplit(list_call(next_token=token, api="http://127.0.0.1:9").url).query

    assert dict(parse_qsl(query))["nextToken"] == token
    assert "+" not in query
