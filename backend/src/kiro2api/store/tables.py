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
    Column("configured", Boolean, nullable=False),  # it came from KIRO_AUTH_TOKEN
    Column("removed", Boolean, nullable=False),  # it came from there, and has left it
    Column("auth_kind", String, nullable=False),
    Column("region", String, nullable=False),
    Column("client_id", String, nullable=False),
    Column("client_secret", LargeBinary, nullable=False),  # sealed
    Column("refresh_token", LargeBinary, nullable=False),  # sealed
    Column("version", Integer, nullable=False),  # counts the changes of the credential
    Column("access_token", LargeBinary),  # sealed
    Column("access_expires_at", Float),
    Column("profile_arn", String, nullable=False),
    Column("condition", LargeBinary),  # JSON
    Column("models", LargeBinary, nullable=False),  # JSON as the upstream sent it
    Column("models_fetched_at", Float, nullable=False),
)

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

# What the program knows about itself, one value per name.
FACTS = Table(
    "facts",
    METADATA,
    Column("name", String, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)
