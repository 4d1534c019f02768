"""The first tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_BINARY = {"charset": "utf8mb4", "collation": "utf8mb4_bin"}


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("username", _text(128), nullable=False),
        sa.Column("first_name", _text(256), nullable=False),
        sa.Column("last_name", _text(256), nullable=False),
        sa.Column("email", _text(320), nullable=False),
        sa.Column("administrator", sa.Boolean(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("password_hash", _text(512), nullable=False),
        sa.Column("token_generation", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("username", name="uq_users_username"),
    )
    op.create_table(
        "revoked_tokens",
        sa.Column("token_id", sa.Uuid(), primary_key=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_revoked_tokens_expires_at", "revoked_tokens", ["expires_at"])
    op.create_table(
        "login_failures",
        sa.Column("who", sa.String(64), primary_key=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_login_failures_last_at", "login_failures", ["last_at"])
    op.create_table(
        "registries",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("registry_name", _text(128), nullable=False),
        sa.Column("registry_uri", _text(512), nullable=False),
        sa.Column("registry_user", _text(256), nullable=False),
        sa.Column("encrypted_password", _long_text(), nullable=False),
        sa.UniqueConstraint("registry_name", name="uq_registries_registry_name"),
    )
    _create_jobs()
    op.create_table(
        "job_events",
        sa.Column("job_id", sa.Uuid(), primary_key=True),
        sa.Column("sequence", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("text", _long_text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
    )


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("name", _text(256), nullable=False),
        sa.Column("tag", _text(128), nullable=False),
        sa.Column("registry", _text(512), nullable=False),
        sa.Column("image", _text(1024), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("context", _long_text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(128)),
        sa.Column("request", _long_text(), nullable=False),
        sa.Column("encrypted_target", _long_text()),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("lease_owner", sa.String(64)),
        sa.Column("lease_until", sa.BigInteger()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger()),
        sa.Column("finished_at", sa.BigInteger()),
    )
    op.create_index("ix_jobs_status_created_at", "jobs", ["status", "created_at"])
    op.create_index("ix_jobs_owner_id_created_at", "jobs", ["owner_id", "created_at"])
    op.create_index("ix_jobs_lease_owner", "jobs", ["lease_owner"])
    op.create_index("ix_jobs_finished_at", "jobs", ["finished_at"])


def _text(length: int) -> sa.String:
    return sa.String(length).with_variant(mysql.VARCHAR(length, **_BINARY), "mysql", "mariadb")


def _long_text() -> sa.Text:
    return sa.Text().with_variant(mysql.LONGTEXT(**_BINARY), "mysql", "mariadb")
