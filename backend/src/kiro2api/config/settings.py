"""Every setting: its name, its meaning in two languages, its bounds, its default."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec

import kiro2api

_HIDDEN = "***"


class LogLevel(StrEnum):
    """From which weight on log lines are written."""

    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"


class LogFormat(StrEnum):
    """What log lines look like; `auto` is text on a terminal, else JSON."""

    AUTO = "auto"
    TEXT = "text"
    JSON = "json"


class GinMode(StrEnum):
    """Words that older set-ups pass; they change nothing."""

    RELEASE = "release"
    DEBUG = "debug"
    TEST = "test"


class HttpVersion(StrEnum):
    """The HTTP version towards the upstream."""

    AUTO = "auto"
    HTTP_1_1 = "1.1"
    HTTP_2 = "2"


class About(msgspec.Struct, frozen=True):
    """What the documents and the messages say about one setting, in English and Chinese."""

    env: str
    en: str
    zh: str
    unit: Literal["", "s", "bytes", "characters"] = ""
    allowed: str = ""
    secret: bool = False


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table of settings; `name` is the field of `Settings`, `kind` its type."""

    name: str
    about: About
    kind: Any  # an annotated type, which typing gives no name to
    default: object


def _is(env: str, en: str, zh: str, **more: Any) -> msgspec.Meta:  # members of About, by name
    return msgspec.Meta(extra={"about": About(env, en, zh, **more)})


_Url = Annotated[str, msgspec.Meta(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$")]
_URL = "a base URL such as https://host or http://127.0.0.1:9000/path"
_VisibleAscii = Annotated[str, msgspec.Meta(pattern=r"^[\x21-\x7e]+$")]
_VISIBLE_ASCII = "printable ASCII characters without spaces"
_Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything an operator can choose; made once at start, given to whoever needs a part of it."""

    client_token: Annotated[
        _VisibleAscii,
        _is(
            "KIRO_CLIENT_TOKEN",
            "The key that clients must show. Not set: one is made on first start and shown once.",
            "客户端必须出示的密钥。未设置时首次启动会生成一个，只显示一次。",
            allowed=_VISIBLE_ASCII,
            secret=True,
        ),
    ] = ""
    auth_token: Annotated[
        str,
        _is(
            "KIRO_AUTH_TOKEN",
            "The accounts: JSON, or the path of a file with it, or of a Kiro IDE token file.",
            "账号：JSON，或包含该 JSON 的文件路径，或 Kiro IDE 令牌文件的路径。",
            secret=True,
        ),
    ] = ""
    db_path: Annotated[
        str,
        _is(
            "KIRO_DB_PATH",
            "The database file; its folder is created. A relative path starts at the installation "
            "(a checkout: `backend/`; else the data folder), never at the current folder. "
            "Default: `backend/data/kiro2api.db` of a checkout, else `kiro2api.db` in the data folder.",
            "数据库文件，所在目录会自动创建。相对路径以安装位置为起点（源码检出：`backend/`；否则为数据目录），"
            "与当前目录无关。默认：源码检出中的 `backend/data/kiro2api.db`，否则为数据目录中的 `kiro2api.db`。",
        ),
    ] = ""
    database_url: Annotated[
        Annotated[str, msgspec.Meta(pattern=r"^sqlite(\+aiosqlite)?:///[^:?]+$")],
        _is(
            "KIRO_DATABASE_URL",
            "The database as a URL, instead of `KIRO_DB_PATH`; `sqlite:///file`.",
            "以 URL 指定数据库，代替 `KIRO_DB_PATH`；`sqlite:///文件`。",
            allowed="sqlite:///relative/file or sqlite:////absolute/file",
            secret=True,  # the URL of another kind of database holds a password
        ),
    ] = ""
    host: Annotated[
        _VisibleAscii,
        _is(
            "HOST",
            "The address to listen on; `0.0.0.0` for all.",
            "监听地址；`0.0.0.0` 表示全部。",
            allowed="a host name or an address",
        ),
    ] = "127.0.0.1"
    port: Annotated[
        Annotated[int, msgspec.Meta(ge=0, le=65_535)],
        _is(
            "PORT",
            "The port to listen on; 0 takes a free one.",
            "监听端口；0 表示任取一个空闲端口。",
        ),
    ] = 8080
    log_level: Annotated[
        LogLevel,
        _is("LOG_LEVEL", "How much is logged.", "日志级别。"),
    ] = LogLevel.INFO
    log_format: Annotated[
        LogFormat,
        _is(
            "LOG_FORMAT",
            "The form of log lines; `auto`: text on a terminal, else JSON.",
            "日志格式；`auto`：终端上为文本，否则为 JSON。",
        ),
    ] = LogFormat.AUTO
    gin_mode: Annotated[
        GinMode,
        _is(
            "GIN_MODE",
            "Accepted so that existing set-ups start; changes nothing.",
            "为兼容已有配置而接受，不改变任何行为。",
        ),
    ] = GinMode.RELEASE
    max_tool_description_length: Annotated[
        Annotated[int, msgspec.Meta(ge=1, le=1_000_000)],
        _is(
            "MAX_TOOL_DESCRIPTION_LENGTH",
            "Longer tool descriptions are cut there; what was cut moves to the system text.",
            "工具描述超过此长度时截断，截下的部分移入系统文本。",
            unit="characters",
        ),
    ] = 10_000
    admin_token: Annotated[
        _VisibleAscii,
        _is(
            "KIRO_ADMIN_TOKEN",
            "The operator's key: `GET /api/tokens` takes it as well as the client key.",
            "运维密钥：`GET /api/tokens` 除客户端密钥外也接受它。",
            allowed=_VISIBLE_ASCII,
            secret=True,
        ),
    ] = ""
    secret_key: Annotated[
        Annotated[str, msgspec.Meta(min_length=16)],
        _is(
            "KIRO_SECRET_KEY",
            "Seals the tokens in the database; best 32 random bytes in base64. "
            "Not set: `secret.key` beside the database, made on first start.",
            "用于加密数据库中的令牌；最好是 32 个随机字节的 base64。"
            "未设置时使用数据库旁的 `secret.key`，首次启动时生成。",
            allowed="16 characters or more",
            secret=True,
        ),
    ] = ""
    region: Annotated[
        Annotated[str, msgspec.Meta(pattern=r"^[a-z]{2}(-[a-z]+){1,2}-[0-9]{1,2}$")],
        _is(
            "KIRO_REGION",
            "The region of accounts that name none.",
            "未注明区域的账号所用的区域。",
            allowed="a region such as us-east-1",
        ),
    ] = "us-east-1"
    proxy_url: Annotated[
        Annotated[str, msgspec.Meta(pattern=r"^(https?|socks5h?)://[^\s/?#]+/?$")],
        _is(
            "KIRO_PROXY_URL",
            "The proxy for all outbound calls; those of the environment are ignored.",
            "所有出站请求使用的代理；忽略环境变量中的其他代理设置。",
            allowed="http://host:port, https://host:port, socks5://host:port or socks5h://host:port",
            secret=True,  # a user name and a password may stand in it
        ),
    ] = ""
    user_agent: Annotated[
        Annotated[str, msgspec.Meta(pattern=r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$")],
        _is(
            "KIRO_USER_AGENT",
            "What the program calls itself in outbound calls.",
            "出站请求中程序的自称。",
            allowed="printable ASCII characters",
        ),
    ] = f"kiro2api/{kiro2api.__version__}"
    ca_file: Annotated[
        str,
        _is(
            "SSL_CERT_FILE",
            "The certificate authorities to trust, as a PEM file; else the ones that certifi brings.",
            "受信任的证书颁发机构（PEM 文件）；默认使用 certifi 自带的。",
            allowed="an existing file",
        ),
    ] = ""
    api_endpoint: Annotated[
        _Url,
        _is(
            "KIRO_API_ENDPOINT",
            "Replaces the hosts of generation, models, profiles, usage and MCP.",
            "替换生成、模型、配置文件、用量与 MCP 的主机。",
            allowed=_URL,
        ),
    ] = ""
    social_endpoint: Annotated[
        _Url,
        _is(
            "KIRO_SOCIAL_ENDPOINT",
            "Replaces the host that refreshes Social logins.",
            "替换刷新 Social 登录的主机。",
            allowed=_URL,
        ),
    ] = ""
    oidc_endpoint: Annotated[
        _Url,
        _is(
            "KIRO_OIDC_ENDPOINT",
            "Replaces the host that refreshes IdC logins.",
            "替换刷新 IdC 登录的主机。",
            allowed=_URL,
        ),
    ] = ""
    idp_hosts: Annotated[
        Annotated[str, msgspec.Meta(pattern=r"^[^\s,/:@]+( *, *[^\s,/:@]+)*$")],
        _is(
            "KIRO_IDP_HOSTS",
            "Hosts of external identity providers to trust beside the well-known ones, separated by "
            "commas; `*.example.org` covers those below it.",
            "除常见身份提供商之外，另外信任的外部身份提供商主机，以逗号分隔；`*.example.org` 涵盖其下的主机。",
            allowed="host names such as sso.example.com or *.example.org, separated by commas",
        ),
    ] = ""
    connect_timeout_s: Annotated[
        _Seconds,
        _is(
            "KIRO_CONNECT_TIMEOUT",
            "How long a connection to the upstream may take to open.",
            "与上游建立连接的最长时间。",
            unit="s",
        ),
    ] = 10.0
    first_event_timeout_s: Annotated[
        _Seconds,
        _is(
            "KIRO_FIRST_EVENT_TIMEOUT",
            "How long the upstream may be silent before its first event.",
            "上游在首个事件之前的最长静默时间。",
            unit="s",
        ),
    ] = 90.0
    idle_timeout_s: Annotated[
        _Seconds,
        _is(
            "KIRO_IDLE_TIMEOUT",
            "How long the upstream may be silent between events.",
            "上游在事件之间的最长静默时间。",
            unit="s",
        ),
    ] = 120.0
    client_stall_timeout_s: Annotated[
        _Seconds,
        _is(
            "KIRO_CLIENT_STALL_TIMEOUT",
            "How long a client may take nothing of its stream before it is closed.",
            "客户端不读取数据流的最长时间，超过即关闭。",
            unit="s",
        ),
    ] = 120.0
    status_commit_s: Annotated[
        Annotated[float, msgspec.Meta(ge=0, le=86_400)],
        _is(
            "KIRO_STATUS_COMMIT",
            "How long a stream waits for its first good event before its status 200 is sent; "
            "a failure until then keeps its own status.",
            "流在发出状态 200 之前等待首个有效事件的最长时间；在此之前的失败保留其真实状态码。",
            unit="s",
        ),
    ] = 10.0
    ping_interval_s: Annotated[
        _Seconds,
        _is(
            "KIRO_PING_INTERVAL",
            "After how long a silence of a stream a ping is sent to the client.",
            "流静默多久之后向客户端发送 ping。",
            unit="s",
        ),
    ] = 15.0
    drain_timeout_s: Annotated[
        Annotated[float, msgspec.Meta(ge=0, le=86_400)],
        _is(
            "KIRO_DRAIN_TIMEOUT",
            "How long running requests may take to end after a stop was asked for.",
            "收到停止信号后，正在进行的请求的最长收尾时间。",
            unit="s",
        ),
    ] = 30.0
    max_body_bytes: Annotated[
        Annotated[int, msgspec.Meta(ge=1_024, le=1_073_741_824)],
        _is(
            "KIRO_MAX_BODY_BYTES",
            "The largest request body that is read.",
            "可接受的最大请求体。",
            unit="bytes",
        ),
    ] = 32 * 1024 * 1024
    max_streams: Annotated[
        Annotated[int, msgspec.Meta(ge=1, le=1_000_000)],
        _is(
            "KIRO_MAX_STREAMS",
            "How many requests may be served at once; more get a 503.",
            "同时处理的最大请求数；超出的返回 503。",
        ),
    ] = 4_000
    http_version: Annotated[
        HttpVersion,
        _is(
            "KIRO_HTTP_VERSION",
            "The HTTP version towards the upstream; `auto`: 2 where it is offered, else 1.1.",
            "与上游通信的 HTTP 版本；`auto`：上游支持则用 2，否则用 1.1。",
        ),
    ] = HttpVersion.AUTO
    models: Annotated[
        str,
        _is(
            "KIRO_MODELS",
            "Model names of clients and the upstream's names for them, over the built-in ones: "
            'JSON such as `{"claude-haiku-4-5":"auto"}`, or the path of a file with it.',
            "客户端模型名到上游模型名的映射，优先于内置映射："
            '形如 `{"claude-haiku-4-5":"auto"}` 的 JSON，或包含该 JSON 的文件路径。',
        ),
    ] = ""
    config_file: Annotated[
        str,
        _is(
            "KIRO_CONFIG",
            "A TOML file with settings under these names; otherwise `kiro2api.toml` beside `.env` is read.",
            "以上述名称保存设置的 TOML 文件；默认读取 `.env` 旁的 `kiro2api.toml`。",
        ),
    ] = ""
    origins: Mapping[str, str] = {}
    warnings: tuple[str, ...] = ()

    def origin_of(self, name: str) -> str:
        """Return where the field `name` got its value: "default", "environment", "flag" or a file."""
        return self.origins.get(name, "default")

    def shown(self, name: str) -> str:
        """Return the value of a field as text that may be printed: secrets are only hinted at."""
        value = getattr(self, name)
        if isinstance(value, float):
            return f"{value:g}"
        return _HIDDEN if value and BY_NAME[name].about.secret else str(value)

    def __repr__(self) -> str:
        """Name what differs from the defaults, without the secrets."""
        changed = [s.name for s in SETTINGS if getattr(self, s.name) != s.default]
        return f"Settings({', '.join(f'{name}={self.shown(name)!r}' for name in changed)})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:  # as msgspec declares it
        """Give rich the printable values; its own way would print the secrets."""
        return [(s.name, self.shown(s.name)) for s in SETTINGS]


def _read_settings() -> tuple[Setting, ...]:
    hints = get_type_hints(Settings, include_extras=True)
    found = []
    for field in msgspec.structs.fields(Settings):
        if get_origin(hints[field.name]) is Annotated:
            about = get_args(hints[field.name])[-1].extra["about"]
            setting = Setting(
                name=field.name, about=about, kind=hints[field.name], default=field.default
            )
            found.append(setting)
    return tuple(found)


SETTINGS: tuple[Setting, ...] = _read_settings()
BY_NAME = {setting.name: setting for setting in SETTINGS}
BY_ENV = {setting.about.env: setting for setting in SETTINGS}


def allowed(setting: Setting) -> str:
    """Return what a value of `setting` may be, as the end of a sentence."""
    if setting.about.allowed:
        return setting.about.allowed
    if isinstance(setting.default, StrEnum):
        return " or ".join(type(setting.default))
    if not isinstance(setting.default, int | float):
        return "text"
    metas = [meta for meta in get_args(setting.kind) if isinstance(meta, msgspec.Meta)]
    most = next(meta.le for meta in metas if meta.le is not None)
    number = "a whole number" if isinstance(setting.default, int) else "a number"
    for meta in metas:
        if meta.gt is not None:
            return f"{number} above {meta.gt} and up to {most}"
    least = next(meta.ge for meta in metas if meta.ge is not None)
    return f"{number} from {least} to {most}"
