"""Which errors of a database pass: work is done again after these, and after no others."""

import pytest
from image_builder.database.connection import is_outage
from sqlalchemy.exc import DBAPIError


class MysqlError(Exception):
    """As PyMySQL raises it: number and text, and the state that the server gave."""

    sqlstate = "HY000"


class PostgresqlError(Exception):
    """As asyncpg raises it."""

    def __init__(self, state: str) -> None:
        super().__init__("text")
        self.sqlstate = state


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        # https://mariadb.com/kb/en/mariadb-error-codes/
        (MysqlError(1205, "Lock wait timeout exceeded"), True),
        (MysqlError(1040, "Too many connections"), True),
        (MysqlError(1203, "User already has more than 'max_user_connections' active connections"), True),
        (MysqlError(1062, "Duplicate entry"), False),
        # PostgreSQL's documentation, appendix A
        (PostgresqlError("57P01"), True),
        (PostgresqlError("40001"), True),
        (PostgresqlError("23505"), False),
    ],
)
def test_an_error_that_passes_is_told_from_one_that_stays(error: Exception, passes: bool) -> None:
    assert is_outage(DBAPIError("statement", None, error)) is passes
