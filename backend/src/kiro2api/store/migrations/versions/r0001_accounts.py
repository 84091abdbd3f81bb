"""Accounts, the digests that recognise them, and facts."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "accounts",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("group_name", sa.String, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("configured", sa.Boolean, nullable=False),
        sa.Column("removed", sa.Boolean, nullable=False),
        sa.Column("auth_kind", sa.String, nullable=False),
        sa.Column("region", sa.String, nullable=False),
        sa.Column("client_id", sa.String, nullable=False),
        sa.Column("client_secret", sa.LargeBinary, nullable=False),
        sa.Column("refresh_token", sa.LargeBinary, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("access_token", sa.LargeBinary),
        sa.Column("access_expires_at", sa.Float),
        sa.Column("profile_arn", sa.String, nullable=False),
        sa.Column("condition", sa.LargeBinary),
        sa.Column("models", sa.LargeBinary, nullable=False),
        sa.Column("models_fetched_at", sa.Float, nullable=False),
    )
    op.create_table(
        "credential_digests",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column(
            "account_id",
            sa.String,
            sa.ForeignKey("accounts.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("current", sa.Boolean, nullable=False),
    )
    op.create_index("credential_digests_of_account", "credential_digests", ["account_id"])
    op.create_table(
        "facts",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("value", sa.LargeBinary, nullable=False),
    )
