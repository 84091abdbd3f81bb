"""What a request means, and which host takes it so."""

import pytest

from kiro2api.emulator.behaviour import Operation
from kiro2api.emulator.exchange import Request
from kiro2api.emulator.hosts import ANY_HOST, Host, host_named
from kiro2api.emulator.operations import FORM_TYPE, Wire, form_of, meaning_of, provider_of, serves
from kiro2api.protocol.wire import json

GENERATE = "/generateAssistantResponse"
KIRO = "KiroRuntimeService.GenerateAssistantResponse"
OLDER = "AmazonCodeWhispererStreamingService.GenerateAssistantResponse"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


def request(method: str, path: str, target: str = "", body: object = None) -> Request:
    headers = {"x-amz-target": target} if target else {}
    return Request(method, path, {}, headers, json.encode(body) if body else b"", "1.1", 1)


def form(path: str, spelled: str) -> Request:
    headers = {"content-type": f"{FORM_TYPE}; charset=utf-8"}
    return Request("POST", path, {}, headers, spelled.encode(), "1.1", 1)


@pytest.mark.parametrize(
    ("sent", "operation", "wire"),
    [
        (request("POST", GENERATE), Operation.GENERATE, Wire.REST),
        (request("POST", "/", KIRO), Operation.GENERATE, Wire.KIRO),
        (request("POST", "/", OLDER), Operation.GENERATE, Wire.CODEWHISPERER),
        (request("POST", "/refreshToken"), Operation.REFRESH, Wire.REST),
        (request("POST", "/token"), Operation.REFRESH, Wire.REST),
        (
            request("POST", "/token", body={"grantType": "refresh_token"}),
            Operation.REFRESH,
            Wire.REST,
        ),
        (request("POST", "/token", body={"grantType": DEVICE}), Operation.LOGIN, Wire.REST),
        (request("POST", "/oauth/token"), Operation.LOGIN, Wire.REST),
        (request("POST", "/client/register"), Operation.REGISTER, Wire.REST),
        (request("POST", "/device_authorization"), Operation.DEVICE, Wire.REST),
        (request("GET", "/authorize"), Operation.AUTHORIZE, Wire.REST),
        (request("GET", "/login"), Operation.AUTHORIZE, Wire.REST),
        (request("GET", "/signin"), Operation.AUTHORIZE, Wire.REST),
        (
            request("GET", "/idp/a/.well-known/openid-configuration"),
            Operation.DISCOVER,
            Wire.REST,
        ),
        (request("GET", "/idp/a/authorize"), Operation.AUTHORIZE, Wire.REST),
        (form("/idp/a/token", "grant_type=refresh_token"), Operation.REFRESH, Wire.REST),
        (form("/idp/a/token", "grant_type=authorization_code"), Operation.LOGIN, Wire.REST),
        (request("GET", "/ListAvailableModels"), Operation.MODELS, Wire.REST),
        (request("GET", "/List-Available-Models"), Operation.MODELS, Wire.DASHED),
        (
            request("POST", "/", "AmazonCodeWhispererService.ListAvailableModels"),
            Operation.MODELS,
            Wire.CODEWHISPERER,
        ),
        (request("GET", "/getUsageLimits"), Operation.USAGE, Wire.REST),
        (
            request("POST", "/", "KiroControlPlaneBearerService.GetUsageLimits"),
            Operation.USAGE,
            Wire.KIRO,
        ),
        (request("POST", "/ListAvailableProfiles"), Operation.PROFILES, Wire.REST),
        (
            request("POST", "/", "AmazonCodeWhispererService.GetProfile"),
            Operation.PROFILE,
            Wire.CODEWHISPERER,
        ),
        # The path decides before the header does.
        (
            request("POST", GENERATE, "AmazonCodeWhispererService.ListAvailableModels"),
            Operation.GENERATE,
            Wire.REST,
        ),
    ],
)
def test_method_path_target_and_grant_make_the_operation(
    sent: Request, operation: Operation, wire: Wire
) -> None:
    found = meaning_of(sent)

    assert (found.operation, found.wire) == (operation, wire)


@pytest.mark.parametrize(
    "sent",
    [
        request("GET", GENERATE),
        request("POST", "/"),
        request("POST", "/", "KiroRuntimeService.InvokeMCP"),
        request("POST", "/", "KiroRuntimeService.ListAvailableModels"),
        request("POST", "/mcp"),
        request("GET", "/idp/a/token"),
        request("POST", "/idp/a/authorize"),
        request("GET", "/idp/a/keys"),
    ],
)
def test_anything_else_is_unknown(sent: Request) -> None:
    assert meaning_of(sent).operation is Operation.UNKNOWN


def test_a_form_is_read_only_where_the_content_type_says_so() -> None:
    spelled = "a=1&b=two+words&c="

    assert form_of(form("/x", spelled)) == {"a": "1", "b": "two words", "c": ""}
    assert form_of(Request("POST", "/x", {}, {}, spelled.encode(), "1.1", 1)) == {}


@pytest.mark.parametrize(
    ("path", "name"), [("/idp/a.b/token", "a.b"), ("/token", ""), ("/idp/a/b/token", "")]
)
def test_a_provider_s_paths_name_the_account(path: str, name: str) -> None:
    assert provider_of(request("POST", path)) == name


RUNTIME = "runtime.us-east-1.kiro.dev"
MANAGEMENT = "management.us-east-1.kiro.dev"
Q = "q.eu-central-1.amazonaws.com"
CODEWHISPERER = "codewhisperer.us-east-1.amazonaws.com"
OIDC = "oidc.eu-west-1.amazonaws.com"
AUTH = "prod.us-east-1.auth.desktop.kiro.dev"
PORTAL = "app.kiro.dev"
MODELS = request("GET", "/ListAvailableModels")
MODELS_KIRO = request("POST", "/", "KiroControlPlaneBearerService.ListAvailableModels")
MODELS_OLDER = request("POST", "/", "AmazonCodeWhispererService.ListAvailableModels")


@pytest.mark.parametrize(
    ("name", "sent", "served"),
    [
        (RUNTIME, request("POST", GENERATE), True),
        (RUNTIME, request("POST", "/", KIRO), True),
        (RUNTIME, request("POST", "/", OLDER), True),
        (RUNTIME, MODELS, False),
        (RUNTIME, MODELS_KIRO, False),
        (MANAGEMENT, MODELS_KIRO, True),
        (MANAGEMENT, MODELS_OLDER, True),
        (MANAGEMENT, request("GET", "/List-Available-Models"), True),
        (MANAGEMENT, MODELS, False),
        (MANAGEMENT, request("GET", "/getUsageLimits"), True),
        (MANAGEMENT, request("POST", GENERATE), False),
        (Q, request("POST", GENERATE), True),
        (Q, request("POST", "/", OLDER), True),
        # The newer services' targets are known to them alone.
        (Q, request("POST", "/", KIRO), False),
        (CODEWHISPERER, MODELS, True),
        (CODEWHISPERER, MODELS_OLDER, True),
        (CODEWHISPERER, MODELS_KIRO, False),
        (CODEWHISPERER, request("POST", "/refreshToken"), False),
        (OIDC, request("POST", "/token"), True),
        (OIDC, request("POST", "/client/register"), True),
        (OIDC, request("POST", "/refreshToken"), False),
        (OIDC, request("GET", "/login"), False),
        (AUTH, request("POST", "/refreshToken"), True),
        (AUTH, request("POST", "/oauth/token"), True),
        (AUTH, request("POST", "/token"), False),
        (AUTH, request("POST", "/client/register"), False),
        (PORTAL, request("GET", "/signin"), True),
        (PORTAL, request("GET", "/authorize"), False),
        (PORTAL, request("POST", "/idp/a/token"), True),
    ],
)
def test_each_host_serves_its_own_operations_in_its_own_spellings(
    name: str, sent: Request, served: bool
) -> None:
    host = host_named(name)

    assert isinstance(host, Host)
    assert serves(host, sent, meaning_of(sent)) is served


@pytest.mark.parametrize("sent", [MODELS, MODELS_KIRO, request("POST", "/", KIRO)])
def test_an_address_without_a_host_serves_everything(sent: Request) -> None:
    assert serves(ANY_HOST, sent, meaning_of(sent))
