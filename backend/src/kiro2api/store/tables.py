"""The tables as the program uses them; `migrations` makes them, a test holds the two together."""

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)

METADATA = MetaData()

# One row per login. Sealed columns are bound to the row's id and the column's name.
ACCOUNTS = Table(
    "accounts",
    METADATA,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("group_name", String, nullable=False),
    Column("position", Integer, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("soft_cap", Integer, nullable=False),
    Column("source", String, nullable=False),  # "configuration", "import", "login", "follow:…"
    Column("entry", LargeBinary, nullable=False),  # JSON of what KIRO_AUTH_TOKEN wished last
    Column("removed_reason", String, nullable=False),  # "": it is in the pool
    Column("auth_kind", String, nullable=False),
    Column("region", String, nullable=False),
    Column("client_id", String, nullable=False),
    Column("client_secret", LargeBinary, nullable=False),  # sealed
    Column("refresh_token", LargeBinary, nullable=False),  # sealed
    Column("api_key", LargeBinary),  # sealed
    Column("token_endpoint", String, nullable=False),
    Column("issuer_url", String, nullable=False),
    Column("scopes", String, nullable=False),  # with a space between two
    Column("start_url", String, nullable=False),
    Column("provider", String, nullable=False),
    Column("version", Integer, nullable=False),  # counts the changes of the credential
    Column("access_token", LargeBinary),  # sealed
    Column("access_expires_at", Float),
    Column("profile_arn", String, nullable=False),
    Column("condition", LargeBinary),  # JSON
    Column("models", LargeBinary, nullable=False),  # JSON as the upstream sent it
    Column("models_fetched_at", Float, nullable=False),
    Column("route", String, nullable=False),  # the key of the strategy that worked last
    Column("quota", LargeBinary, nullable=False),  # JSON
    Column("quota_fetched_at", Float, nullable=False),
    Column("user_id", String, nullable=False),  # a keyed digest
)

# The columns of an account that only the key opens.
SEALED = ("client_secret", "refresh_token", "api_key", "access_token")

# By which credentials an account is recognised: those that the configuration brought it with stay,
# and the one it was rotated to last (`current`) is replaced with each rotation.
CREDENTIAL_DIGESTS = Table(
    "credential_digests",
    METADATA,
    Column("digest", LargeBinary, primary_key=True),
    Column("account_id", String, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
    Column("current", Boolean, nullable=False),
    Index("credential_digests_of_account", "account_id"),
)

# Who refreshes an account now; times are wall times.
LEASES = Table(
    "leases",
    METADATA,
    Column("account_id", String, ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True),
    Column("holder", String, nullable=False),
    Column("taken_at", Float, nullable=False),
    Column("until", Float, nullable=False),
)

GROUPS = Table(
    "groups",
    METADATA,
    Column("name", String, primary_key=True),
    Column("strategy", String, nullable=False),
    Column("soft_cap", Integer, nullable=False),
)

CLIENT_KEYS = Table(
    "client_keys",
    METADATA,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("digest", LargeBinary, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("groups", LargeBinary, nullable=False),  # JSON, like the models
    Column("models", LargeBinary, nullable=False),
    Column("expires_at", Float),
    Column("created_at", Float, nullable=False),
    Column("last_used_at", Float),
)

# One row; every change that another process must notice raises it.
REVISION = Table(
    "revision",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("value", Integer, nullable=False),
)

# What the program knows about itself, one value per name.
FACTS = Table(
    "facts",
    METADATA,
    Column("name", String, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)
