"""Which path means what."""

import pytest

from kiro2api.server.routes import (
    METHODS,
    OPEN,
    Endpoint,
    Route,
    looks_anthropic,
    parse_path,
)

ENDPOINTS = {
    "/messages": Endpoint.MESSAGES,
    "/messages/count_tokens": Endpoint.COUNT_TOKENS,
    "/chat/completions": Endpoint.CHAT_COMPLETIONS,
    "/models": Endpoint.MODELS,
}


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("prefix", ["", "/v1", "/v1/v1"])
@pytest.mark.parametrize("group", ["", "pro", "team-a.b_c"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_an_endpoint_answers_under_every_prefix(
    path: str, prefix: str, group: str, slash: str
) -> None:
    full = (f"/{group}" if group else "") + prefix + path + slash

    assert parse_path(full) == Route(ENDPOINTS[path], group)


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        ("/", Endpoint.ROOT),
        ("", Endpoint.ROOT),
        ("/api/hello", Endpoint.HELLO),
        ("/api/tokens", Endpoint.ACCOUNTS),
        ("/api/tokens/", Endpoint.ACCOUNTS),
        ("/health", Endpoint.HEALTH),
        ("/livez", Endpoint.LIVEZ),
        ("/readyz", Endpoint.READYZ),
    ],
)
def test_the_plain_endpoints_stand_alone(path: str, endpoint: Endpoint) -> None:
    assert parse_path(path) == Route(endpoint)


def test_a_model_is_named_by_the_rest_of_the_path() -> None:
    assert parse_path("/pro/v1/models/claude-sonnet-4") == Route(
        Endpoint.MODEL, "pro", "claude-sonnet-4"
    )


@pytest.mark.parametrize(
    "path",
    [
        "/v1",
        "/pro",
        "/pro/v1",
        "/v1/v1/v1/messages",
        "/a/b/v1/messages",
        "/Pro/v1/messages",
        "/pro%20/v1/messages",
        "/../v1/messages",
        "//v1//messages",
        "/v1/messages/../../api/tokens",
        "/pro/api/tokens",
        "/pro/health",
        "/v1/unknown",
        "/index.html",
    ],
)
def test_other_paths_mean_nothing(path: str) -> None:
    assert parse_path(path) is None


def test_every_endpoint_says_its_methods() -> None:
    assert set(METHODS) == set(Endpoint)


def test_what_tells_of_accounts_or_costs_credits_is_not_open() -> None:
    assert OPEN.isdisjoint(
        {
            Endpoint.MESSAGES,
            Endpoint.COUNT_TOKENS,
            Endpoint.CHAT_COMPLETIONS,
            Endpoint.MODELS,
            Endpoint.MODEL,
            Endpoint.ACCOUNTS,
        }
    )


@pytest.mark.parametrize(
    ("path", "headers", "anthropic"),
    [
        ("/v1/messages/batches", {}, True),
        ("/v1/chat/other", {"x-api-key": "k"}, False),
        ("/v1/files", {"anthropic-version": "2023-06-01"}, True),
        ("/v1/files", {"x-api-key": "k"}, True),
        ("/v1/files", {}, False),
    ],
)
def test_an_error_about_an_unknown_path_is_told_in_the_likely_dialect(
    path: str, headers: dict[str, str], anthropic: bool
) -> None:
    assert looks_anthropic(path, headers) is anthropic
