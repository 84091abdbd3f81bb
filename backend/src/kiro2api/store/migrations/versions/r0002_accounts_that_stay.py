"""More kinds of accounts and sources, leases, groups, client keys, and the revision."""

import sqlalchemy as sa
from alembic import op

from kiro2api.protocol.wire import json

revision = "0002"
down_revision = "0001"

_GONE = "removed from configuration"
_BYTES = ("entry", "quota")
_TEXTS = (
    "source",
    "removed_reason",
    "token_endpoint",
    "issuer_url",
    "scopes",
    "start_url",
    "provider",
    "route",
    "user_id",
)


def upgrade() -> None:
    """Widen the accounts, make the new tables, and move the generated client key into its own."""
    _widen_accounts()
    op.create_table(
        "leases",
        sa.Column(
            "account_id",
            sa.String,
            sa.ForeignKey("accounts.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("holder", sa.String, nullable=False),
        sa.Column("taken_at", sa.Float, nullable=False),
        sa.Column("until", sa.Float, nullable=False),
    )
    op.create_table(
        "groups",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("strategy", sa.String, nullable=False),
        sa.Column("soft_cap", sa.Integer, nullable=False),
    )
    _make_client_keys()
    op.create_table(
        "revision",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("value", sa.Integer, nullable=False),
    )
    op.execute("INSERT INTO revision (id, value) VALUES (1, 1)")


def _widen_accounts() -> None:
    with op.batch_alter_table("accounts", recreate="always") as table:
        for name in _TEXTS:
            table.add_column(sa.Column(name, sa.String, nullable=False, server_default=""))
        for name in _BYTES:
            table.add_column(
                sa.Column(name, sa.LargeBinary, nullable=False, server_default=sa.text("x''"))
            )
        table.add_column(sa.Column("soft_cap", sa.Integer, nullable=False, server_default="0"))
        table.add_column(
            sa.Column("quota_fetched_at", sa.Float, nullable=False, server_default="0")
        )
        table.add_column(sa.Column("api_key", sa.LargeBinary))
    accounts = sa.table(
        "accounts",
        *(sa.column(name) for name in ("id", "name", "group_name", "position", "enabled")),
        *(sa.column(name) for name in ("source", "removed_reason", "removed")),
        sa.column("entry", sa.LargeBinary),
    )
    connection = op.get_bind()
    # All came from the configuration, which every start has followed in every point.
    for row in connection.execute(sa.select(accounts)).all():
        wish = {
            "name": row.name,
            "group": row.group_name,
            "enabled": bool(row.enabled),
            "place": row.position,
        }
        values = {"source": "configuration", "entry": json.encode(wish)}
        values["removed_reason"] = _GONE if row.removed else ""
        connection.execute(sa.update(accounts).where(accounts.c.id == row.id).values(values))
    with op.batch_alter_table("accounts", recreate="always") as table:
        table.drop_column("configured")
        table.drop_column("removed")


def _make_client_keys() -> None:
    op.create_table(
        "client_keys",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False, unique=True),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("groups", sa.LargeBinary, nullable=False),
        sa.Column("models", sa.LargeBinary, nullable=False),
        sa.Column("expires_at", sa.Float),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("last_used_at", sa.Float),
    )
    op.execute(
        "INSERT INTO client_keys (id, name, digest, enabled, groups, models, created_at) "
        "SELECT 'default', 'default', value, 1, x'5b5d', x'5b5d', 0 FROM facts "
        "WHERE name = 'generated_key_digest'"
    )
    op.execute("DELETE FROM facts WHERE name = 'generated_key_digest'")
