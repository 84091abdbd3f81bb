"""A world of the emulator with one account, and a client that signs in to it; no connection."""

from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec

from kiro2api.emulator import browser, code_grants, oidc, sign_in
from kiro2api.emulator.accounts import Account, AccountSpec
from kiro2api.emulator.behaviour import Operation
from kiro2api.emulator.exchange import Request
from kiro2api.emulator.hosts import take_host
from kiro2api.emulator.logins import Consent, SignInSettings, challenge_of
from kiro2api.emulator.operations import FORM_TYPE, meaning_of
from kiro2api.emulator.profile import ProfileName
from kiro2api.emulator.records import Record
from kiro2api.emulator.world import World
from kiro2api.protocol.wire import json

Answer = tuple[int, Any]

START_URL = "https://view.awsapps.com/start"
CALLBACK = "http://127.0.0.1:3128/oauth/callback"
VERIFIER = "v" * 43
SCOPES = ["codewhisperer:completions", "codewhisperer:conversations"]


class SignIn:
    """A world with one account named `a`, and how its sign-in services answer."""

    def __init__(self, kind: str = "builder_id", **spec: Any) -> None:
        self.world = World(
            seed=1,
            profile=ProfileName.RUNTIME_2026,
            accounts=(msgspec.convert({"name": "a", "kind": kind, **spec}, AccountSpec),),
            clock=lambda: 1000.0,
            monotonic=lambda: 0.0,
        )
        self.world.url = "http://127.0.0.1:9"
        self.client: dict[str, str] = {}
        self.record: Record | None = None

    @property
    def account(self) -> Account:
        return self.world.accounts["a"]

    @property
    def violations(self) -> list[str]:
        return [violation.rule for violation in self.world.violations]

    def settle(self, **settings: Any) -> None:
        """Choose how the sign-in services behave."""
        self.world.logins.settings = SignInSettings(**settings)

    def ask(self, path: str, sent: dict[str, Any], *, as_form: bool = False) -> Answer:
        """Return the status and the JSON of the answer to a POST."""
        data = urlencode(sent).encode() if as_form else json.encode(sent)
        headers = {"content-type": FORM_TYPE if as_form else "application/json"}
        request = take_host(Request("POST", path, {}, headers, data, "1.1", 1))[1]
        operation = meaning_of(request).operation
        self.record = self.world.record(request, operation)
        match operation:
            case Operation.REGISTER:
                found = oidc.register(self.world, request, self.record)
            case Operation.DEVICE:
                found = oidc.authorize_device(self.world, request, self.record)
            case Operation.LOGIN:
                found = code_grants.trade(self.world, request, self.record)
            case _:
                asked = sign_in.parse_refresh(self.world, request)
                if asked.account is None:
                    found = sign_in.refuse_unknown(self.world, asked, self.record)
                else:
                    found = sign_in.refresh(self.world, asked, asked.account, self.record)
        return found[0], json.decode(found[2])

    def get(self, path: str, **query: str) -> tuple[int, dict[str, str], bytes]:
        """Return the answer to opening a page."""
        request = Request("GET", path, query, {}, b"", "1.1", 1)
        record = self.world.record(request, meaning_of(request).operation)
        if record.operation == Operation.DISCOVER:
            return code_grants.discover(self.world, request, record)
        return browser.answer_page(self.world, request, record)

    def register(self, host: str = "", **changes: Any) -> Answer:
        """Return the answer to a registration, and keep the client that it brings."""
        sent = {"clientName": "a client", "clientType": "public", "scopes": SCOPES, **changes}
        status, answer = self.ask(f"{host}/client/register", sent)
        if status == 200:
            self.client = {name: answer[name] for name in ("clientId", "clientSecret")}
        return status, answer

    def start_device(self, host: str = "", **changes: Any) -> Answer:
        """Return the answer to the start of a login by device, registering first if need be."""
        if not self.client:
            self.register(host)
        sent = {**self.client, "startUrl": START_URL, **changes}
        return self.ask(f"{host}/device_authorization", sent)

    def poll(self, device: dict[str, Any], host: str = "", **changes: Any) -> Answer:
        """Return the answer to one poll of a device."""
        sent = {**self.client, "deviceCode": device["deviceCode"], "grantType": oidc.DEVICE_GRANT}
        return self.ask(f"{host}/token", {**sent, **changes})

    def consent(self, device: dict[str, Any], consent: Consent = Consent.APPROVE) -> None:
        """Have the person answer the device."""
        browser.answer_device(self.world, device["userCode"], "a", consent)

    def code(self, path: str, query: dict[str, str], consent: Consent = Consent.APPROVE) -> str:
        """Return the code that a page gives to the account's person; "" when none."""
        return self.callback(path, query, consent).get("code", "")

    def callback(
        self, path: str, query: dict[str, str], consent: Consent = Consent.APPROVE
    ) -> dict[str, str]:
        """Return what the browser brings to the callback after the person has answered."""
        target = browser.open_page(self.world, path, query, "a", consent)
        return {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}


def pkce(**query: str) -> dict[str, str]:
    """Return the query of a page of sign-in, with a challenge and a state."""
    challenge = {"code_challenge": challenge_of(VERIFIER), "code_challenge_method": "S256"}
    return {"redirect_uri": CALLBACK, "state": "s1", **challenge, **query}
