"""Are the settings usable, and is each one that was given also heard?"""

from collections.abc import Mapping

from kiro2api.compose.settings import read_model_overrides
from kiro2api.config import Installation, Settings, load
from kiro2api.doctor.finding import Finding, fault, good, note
from kiro2api.errors import SetupError

CHECK = "settings"
PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy")
_GUESSABLE_CHARACTERS = 16
_LOOPBACK = ("127.", "localhost", "::1")
_STARTS_NOT = "the gateway does not start with it"


def read_settings(
    environ: Mapping[str, str], installation: Installation, *, env_file: str | None
) -> tuple[Settings | None, list[Finding]]:
    """Return the settings, None when they are unusable, and what is to be said of them."""
    try:
        settings = load({}, environ, installation=installation, env_file=env_file)
    except SetupError as error:
        cure = "correct it where it is set; `kiro2api config docs` prints what each setting takes"
        return None, [fault(CHECK, str(error), why=_STARTS_NOT, cure=cure)]
    findings = [_ignored(warning) for warning in settings.warnings]
    findings += _models(settings, installation)
    findings += _guessable_key(settings)
    if not findings:
        findings = [good(CHECK, f"{len(settings.origins)} are set, all of them known")]
    return settings, findings + check_proxy_variables(environ, settings)


def check_proxy_variables(environ: Mapping[str, str], settings: Settings) -> list[Finding]:
    """Return what is to be said of the proxy variables of the environment."""
    names = sorted(name for name in environ if name.lower() in PROXY_VARIABLES and environ[name])
    if not names:
        used = "calls go through KIRO_PROXY_URL" if settings.proxy_url else "calls go out directly"
        return [good("proxy variables", f"none in the environment; {used}")]
    if settings.proxy_url:
        return [good("proxy variables", f"{', '.join(names)} ignored: KIRO_PROXY_URL is set")]
    return [
        note(
            "proxy variables",
            f"{', '.join(names)} ignored",
            why="the gateway uses KIRO_PROXY_URL alone, so its calls go out directly",
            cure="if they must go through that proxy, set KIRO_PROXY_URL to it",
        )
    ]


def _ignored(warning: str) -> Finding:
    return note(
        CHECK,
        warning,
        why="what it was meant to change is as if it had not been given",
        cure="spell it right, or remove it",
    )


def _models(settings: Settings, installation: Installation) -> list[Finding]:
    try:
        read_model_overrides(settings.models, installation)
    except SetupError as error:
        return [fault(CHECK, str(error), why=_STARTS_NOT, cure="correct KIRO_MODELS or unset it")]
    return []


def _guessable_key(settings: Settings) -> list[Finding]:
    key = settings.client_token
    if not key or len(key) >= _GUESSABLE_CHARACTERS or settings.host.startswith(_LOOPBACK):
        return []
    return [
        note(
            CHECK,
            f"KIRO_CLIENT_TOKEN has {len(key)} characters, and HOST={settings.host} lets others in",
            why="who reaches the port and guesses the key spends your credits",
            cure=f"take a random key of {_GUESSABLE_CHARACTERS} characters or more",
        )
    ]
