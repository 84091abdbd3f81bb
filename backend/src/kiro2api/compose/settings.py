"""What the parts of the program are given of the settings."""

from collections.abc import Mapping

from kiro2api import __version__
from kiro2api.config import Installation, Settings, anchored
from kiro2api.errors import RequestError, SetupError
from kiro2api.gateway.attempt import Limits
from kiro2api.protocol.codewhisperer.endpoints import Endpoints
from kiro2api.protocol.wire.json import decode
from kiro2api.server.app import AppOptions
from kiro2api.server.streams import StreamLimits
from kiro2api.upstream.easy import UpstreamOptions


def endpoints_of(settings: Settings) -> Endpoints:
    """Return the hosts that calls go to."""
    return Endpoints(
        settings.api_endpoint,
        settings.social_endpoint,
        settings.oidc_endpoint,
        tuple(host.strip() for host in settings.idp_hosts.split(",") if host.strip()),
    )


def upstream_options(settings: Settings) -> UpstreamOptions:
    """Return how outbound connections are made."""
    return UpstreamOptions(
        ca_file=settings.ca_file,
        proxy_url=settings.proxy_url,
        http_version=settings.http_version.value,
        connect_timeout_s=settings.connect_timeout_s,
    )


def limits_of(settings: Settings) -> Limits:
    """Return how long the upstream may take, and how much it is sent of a tool."""
    return Limits(
        first_event_s=settings.first_event_timeout_s,
        idle_s=settings.idle_timeout_s,
        max_tool_description=settings.max_tool_description_length,
    )


def app_options(settings: Settings) -> AppOptions:
    """Return the limits of the data plane."""
    return AppOptions(
        version=__version__,
        max_body_bytes=settings.max_body_bytes,
        max_streams=settings.max_streams,
        stream_limits=StreamLimits(
            status_commit_s=settings.status_commit_s,
            ping_s=settings.ping_interval_s,
        ),
    )


def read_model_overrides(value: str, installation: Installation) -> Mapping[str, str]:
    """Return the operator's map of models from `KIRO_MODELS`: JSON, or the path of a file.

    Raises:
        SetupError: it is neither.
    """
    text = value.strip()
    if not text:
        return {}
    try:
        if not text.startswith("{"):
            text = anchored(text, installation).read_text("utf-8")
        return decode(text, dict[str, str])
    except (OSError, RequestError) as error:
        raise SetupError(
            'KIRO_MODELS must be a JSON object such as {"name": "upstream id"}, or the path of a '
            f"file with one: {error}"
        ) from None
