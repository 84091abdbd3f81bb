"""Where calls go, and what they say in their headers."""

import json
from urllib.parse import parse_qsl, urlsplit

import pytest

from kiro2api.errors import FaultKind
from kiro2api.protocol.codewhisperer.credential import AuthKind
from kiro2api.protocol.codewhisperer.endpoints import (
    Endpoints,
    Route,
    WireForm,
    api_region,
    generation_call,
    get_profile_call,
    models_call,
    onward,
    profile_regions,
    profiles_call,
    strategies,
    usage_call,
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
    """Return the ways in the plain form; each has its twin."""
    return all_routes(profile_arn=profile_arn, kind=kind, region=region, api=api)[::2]


def all_routes(
    *,
    profile_arn: str = "",
    kind: AuthKind = AuthKind.SOCIAL,
    region: str = "us-east-1",
    api: str = "",
) -> tuple[Route, ...]:
    return strategies(
        profile_arn=profile_arn, kind=kind, region=region, endpoints=Endpoints(api=api)
    )


def call_of(route: Route, *, attempt: int = 1, kind: AuthKind = AuthKind.SOCIAL) -> HttpCall:
    return generation_call(
        route,
        kind=kind,
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
    ways = routes(profile_arn=placeholder)

    assert [route.profile_arn for route in ways] == [placeholder, ""]


def test_an_override_takes_every_strategy() -> None:
    bases = {route.base_url for route in routes(profile_arn=ARN, api="http://127.0.0.1:9/")}

    assert bases == {"http://127.0.0.1:9"}


def test_an_override_may_keep_the_hosts_apart() -> None:
    own, none, _ = routes(profile_arn=ARN, api="http://127.0.0.1:9/{host}/")

    assert own.url == ("http://127.0.0.1:9/runtime.eu-central-1.kiro.dev/generateAssistantResponse")
    assert none.base_url == "http://127.0.0.1:9/q.eu-central-1.amazonaws.com"


@pytest.mark.parametrize("kind", [AuthKind.API_KEY, AuthKind.EXTERNAL_IDP])
def test_a_kind_without_a_placeholder_is_never_lent_one(kind: AuthKind) -> None:
    assert [route.profile_arn for route in routes(kind=kind)] == [""]
    assert [route.profile_arn for route in routes(kind=kind, profile_arn=ARN)] == [ARN, ""]


def test_each_way_is_there_in_both_wire_forms() -> None:
    keys = [route.key for route in all_routes(profile_arn=ARN)]

    assert keys == [
        *("own/rest", "own/json10"),
        *("none/rest", "none/json10"),
        *("placeholder/rest", "placeholder/json10"),
    ]


def test_the_key_of_a_way_outlives_a_change_of_region() -> None:
    here, there = (
        routes(kind=AuthKind.IDC, region=region) for region in ("us-east-1", "eu-west-1")
    )

    assert [route.key for route in here] == [route.key for route in there]
    assert {route.base_url for route in here}.isdisjoint(route.base_url for route in there)


def led(at: str, fault: FaultKind) -> list[str]:
    """Return where `fault` leads an account with a profile of its own that stands `at`."""
    ways = all_routes(profile_arn=ARN)
    place = [route.key for route in ways].index(at)
    return [ways[index].key for index in onward(ways, at=place, fault=fault)]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("own/rest", ["own/json10", "none/rest", "placeholder/rest"]),
        ("own/json10", ["own/rest", "none/rest", "placeholder/rest"]),
        ("none/json10", ["none/rest", "placeholder/rest", "own/rest"]),
    ],
)
def test_a_wrong_endpoint_leads_to_the_other_form_of_the_same_way_first(
    at: str, expected: list[str]
) -> None:
    assert led(at, FaultKind.WRONG_ENDPOINT) == expected


@pytest.mark.parametrize("fault", [FaultKind.PROFILE_REQUIRED, FaultKind.TOKEN_REJECTED])
@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("own/rest", ["none/rest", "placeholder/rest"]),
        ("none/json10", ["placeholder/rest", "own/rest"]),
        ("placeholder/rest", ["own/rest", "none/rest"]),
    ],
)
def test_a_wrong_profile_leads_to_another_one(
    at: str, expected: list[str], fault: FaultKind
) -> None:
    assert led(at, fault) == expected


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


def test_the_json_form_of_the_older_hosts_has_the_older_target() -> None:
    headers = dict(call_of(Route("https://host.example", "", WireForm.JSON10)).headers)

    assert headers["x-amz-target"] == (
        "AmazonCodeWhispererStreamingService.GenerateAssistantResponse"
    )


TOKEN_TYPES = [
    (AuthKind.API_KEY, "API_KEY"),
    (AuthKind.EXTERNAL_IDP, "EXTERNAL_IDP"),
    (AuthKind.SOCIAL, None),
    (AuthKind.IDC, None),
    (AuthKind.BUILDER_ID, None),
]


@pytest.mark.parametrize(("kind", "expected"), TOKEN_TYPES)
def test_a_bearer_that_must_be_named_as_such_is(kind: AuthKind, expected: str | None) -> None:
    generation = call_of(Route("https://host.example"), kind=kind)

    assert dict(generation.headers).get("tokentype") == expected
    for call in control_calls(kind):
        assert dict(call.headers).get("tokentype") == expected


def control_calls(
    kind: AuthKind = AuthKind.SOCIAL,
    *,
    form: WireForm = WireForm.REST,
    profile_arn: str = "",
    region: str = "us-east-1",
    api: str = "",
) -> list[HttpCall]:
    """Return the calls for models, usage, profiles, and one profile, in this order."""
    who = {"kind": kind, "token": "aoaTOKEN", "region": region, "user_agent": "kiro2api/1"}
    who["endpoints"] = Endpoints(api=api)
    return [
        models_call(**who, profile_arn=profile_arn, form=form),
        usage_call(**who, profile_arn=profile_arn, form=form),
        profiles_call(**who, form=form),
        get_profile_call(**who, profile_arn=profile_arn),
    ]


def list_call(
    *, profile_arn: str = "", region: str = "us-east-1", api: str = "", next_token: str = ""
) -> HttpCall:
    return models_call(
        kind=AuthKind.SOCIAL,
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


def test_usage_is_asked_at_the_older_host_by_its_path() -> None:
    usage = control_calls(profile_arn=ARN)[1]
    parts = urlsplit(usage.url)

    assert (usage.method, usage.body) == ("GET", b"")
    assert (parts.netloc, parts.path) == ("q.eu-central-1.amazonaws.com", "/getUsageLimits")
    assert dict(parse_qsl(parts.query)) == {
        "origin": "AI_EDITOR",
        "resourceType": "AGENTIC_REQUEST",
        "isEmailRequired": "true",
        "profileArn": ARN,
    }


def test_profiles_are_listed_in_the_region_that_is_named() -> None:
    call = control_calls(region="eu-central-1")[2]

    assert (call.method, call.url) == (
        "POST",
        "https://q.eu-central-1.amazonaws.com/ListAvailableProfiles",
    )
    assert json.loads(call.body) == {"maxResults": 10}
    assert dict(call.headers)["content-type"] == "application/json"


def test_a_next_page_of_profiles_is_asked_by_its_token() -> None:
    call = profiles_call(
        kind=AuthKind.IDC,
        token="aoaTOKEN",
        region="us-east-1",
        endpoints=Endpoints(),
        user_agent="kiro2api/1",
        next_token="more",
    )

    assert json.loads(call.body)["nextToken"] == "more"


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        ("us-west-2", ("us-east-1", "eu-central-1")),
        ("eu-west-1", ("eu-central-1", "us-east-1")),
    ],
)
def test_profiles_may_be_in_every_region_of_the_service(
    region: str, expected: tuple[str, ...]
) -> None:
    assert profile_regions(region) == expected


def test_the_newer_control_host_takes_targets() -> None:
    calls = control_calls(form=WireForm.JSON10, profile_arn=ARN)
    targets = [dict(call.headers)["x-amz-target"] for call in calls]

    assert targets == [
        "KiroControlPlaneBearerService.ListAvailableModels",
        "KiroControlPlaneBearerService.GetUsageLimits",
        "KiroControlPlaneBearerService.ListAvailableProfiles",
        "AmazonCodeWhispererService.GetProfile",
    ]
    assert {call.method for call in calls} == {"POST"}
    assert {dict(call.headers)["content-type"] for call in calls} == {"application/x-amz-json-1.0"}


def test_the_newer_control_host_is_that_of_the_profiles_region() -> None:
    models, usage, _, profile = control_calls(form=WireForm.JSON10, profile_arn=ARN)

    assert {models.url, usage.url, profile.url} == {"https://management.eu-central-1.kiro.dev/"}


def test_the_newer_control_host_gets_the_members_in_the_body() -> None:
    models, usage, profiles, profile = control_calls(form=WireForm.JSON10, profile_arn=ARN)

    assert json.loads(models.body) == {
        "origin": "AI_EDITOR",
        "maxResults": 50,
        "profileArn": ARN,
    }
    assert json.loads(usage.body)["isEmailRequired"] is True
    assert json.loads(profiles.body) == {"maxResults": 10}
    assert json.loads(profile.body) == {"profileArn": ARN}


def test_the_profile_of_an_api_key_is_asked_for_without_naming_one() -> None:
    assert control_calls(AuthKind.API_KEY)[3].body == b"{}"


def test_every_control_call_takes_the_override_with_its_host() -> None:
    calls = control_calls(api="http://127.0.0.1:9/{host}", form=WireForm.JSON10)

    assert {urlsplit(call.url).path for call in calls} == {"/management.us-east-1.kiro.dev/"}
