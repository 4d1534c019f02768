"""Where jobs, users and registries are kept: SQLite, PostgreSQL, or MySQL and MariaDB."""
