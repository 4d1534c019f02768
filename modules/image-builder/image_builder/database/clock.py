"""The database's own clock, which all processes that share a database agree on."""

from typing import Any

from sqlalchemy import BigInteger
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class now_ms(FunctionElement[int]):  # noqa: N801  written as an SQL function is
    """Milliseconds since 1970, UTC."""

    type = BigInteger()
    inherit_cache = True


@compiles(now_ms, "sqlite")
def _sqlite(element: now_ms, compiler: Any, **_: Any) -> str:  # noqa: ANN401
    return "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"


@compiles(now_ms, "postgresql")
def _postgresql(element: now_ms, compiler: Any, **_: Any) -> str:  # noqa: ANN401
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"


@compiles(now_ms, "mysql")
@compiles(now_ms, "mariadb")
def _mysql(element: now_ms, compiler: Any, **_: Any) -> str:  # noqa: ANN401
    # Of the statement's beginning; UNIX_TIMESTAMP is UTC whatever the session's time zone is.
    return "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)"
