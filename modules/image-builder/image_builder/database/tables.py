"""The tables. Times are milliseconds since 1970 (UTC), because the databases' own types differ."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.dialects import mysql

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)

# MySQL's TEXT ends at 64 KiB; requests carry files and logs are long. Its usual collation takes `A` and
# `ä` for `a`, which must never make two users one.
LongText = Text().with_variant(mysql.LONGTEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb")


def name_type(length: int) -> String:
    """Text that is compared byte by byte in every database; `length` in characters."""
    return String(length).with_variant(
        mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
    )


users = Table(
    "users",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("username", name_type(128), nullable=False),
    Column("first_name", name_type(256), nullable=False),
    Column("last_name", name_type(256), nullable=False),
    Column("email", name_type(320), nullable=False),
    Column("administrator", Boolean, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("password_hash", name_type(512), nullable=False),
    # Every token holds the number that was here when it was issued; raising it revokes them all.
    Column("token_generation", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("username"),
)

revoked_tokens = Table(
    "revoked_tokens",
    metadata,
    Column("token_id", Uuid, primary_key=True),
    Column("expires_at", BigInteger, nullable=False, index=True),
)

login_failures = Table(
    "login_failures",
    metadata,
    # SHA-256 of who tried; names that were typed in by mistake may be passwords.
    Column("who", String(64), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("last_at", BigInteger, nullable=False, index=True),
)

registries = Table(
    "registries",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("registry_name", name_type(128), nullable=False),
    Column("registry_uri", name_type(512), nullable=False),
    Column("registry_user", name_type(256), nullable=False),
    Column("encrypted_password", LongText, nullable=False),
    UniqueConstraint("registry_name"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("owner_id", Uuid, nullable=False),
    Column("name", name_type(256), nullable=False),
    Column("tag", name_type(128), nullable=False),
    Column("registry", name_type(512), nullable=False),
    Column("image", name_type(1024), nullable=False),
    Column("status", String(16), nullable=False),
    Column("context", LongText, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("digest", String(128)),
    Column("request", LongText, nullable=False),
    # What the push needs to know and nobody else; removed when the job has ended.
    Column("encrypted_target", LongText),
    Column("cancel_requested", Boolean, nullable=False),
    Column("attempt", Integer, nullable=False),
    # Raised by every claim. A worker writes only under the number of its own claim.
    Column("fence", Integer, nullable=False),
    Column("lease_owner", String(64)),
    Column("lease_until", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger),
    Index("ix_jobs_status_created_at", "status", "created_at"),
    Index("ix_jobs_owner_id_created_at", "owner_id", "created_at"),
    Index("ix_jobs_lease_owner", "lease_owner"),
    Index("ix_jobs_finished_at", "finished_at"),
)

job_events = Table(
    "job_events",
    metadata,
    Column("job_id", Uuid, primary_key=True),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(16), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("text", LongText, nullable=False),
    Column("at", BigInteger, nullable=False),
)
