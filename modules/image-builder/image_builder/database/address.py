"""Where a database is."""

from dataclasses import dataclass

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

# SQLite is reached by Python's own module, see local; URIs keep the name that they always had.
_DRIVERS = {"sqlite": "sqlite+aiosqlite", "asyncpg": "postgresql+asyncpg", "mysql": "mysql+aiomysql"}

# What a URI may begin with -> the driver that serves it.
_SCHEMES = {
    **{driver: driver for driver in _DRIVERS.values()},
    "sqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "mysql": "mysql+aiomysql",
    "mariadb": "mysql+aiomysql",
    "mariadb+aiomysql": "mysql+aiomysql",
}


@dataclass(frozen=True)
class DatabaseAddress:
    """The address of a database; its text hides the password."""

    url: URL

    @classmethod
    def of(
        cls, kind: str, *, name: str, user: str | None, password: str | None, host: str, port: int | None
    ) -> "DatabaseAddress":
        """The address from single settings; `kind` is sqlite, asyncpg or mysql."""
        if kind == "sqlite":
            return cls(URL.create(_DRIVERS[kind], database=name))
        return cls(
            URL.create(_DRIVERS[kind], username=user, password=password, host=host, port=port, database=name)
        )

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file of this machine."""
        return self.url.drivername == _DRIVERS["sqlite"]

    def __str__(self) -> str:
        return self.url.render_as_string(hide_password=True)


def parse_database_uri(text: str) -> DatabaseAddress:
    """The address that a URI says.

    Raises:
        ValueError: it is none of a database that the service can use; the text has no password.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError(
            "DCRX_KV_DATABASE_URI must be a URI such as postgresql+asyncpg://user:password@host:5432/dcrx"
        ) from None
    driver = _SCHEMES.get(url.drivername)
    if driver is None:
        known = ", ".join(sorted(_SCHEMES))
        raise ValueError(f"DCRX_KV_DATABASE_URI begins with {url.drivername!r}, which is none of {known}")
    if not url.database:
        raise ValueError("DCRX_KV_DATABASE_URI names no database")
    return DatabaseAddress(url.set(drivername=driver))
