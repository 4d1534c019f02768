"""The service's settings: the document's variables, files in their place, and what is refused."""

from datetime import timedelta
from pathlib import Path

import pytest
from image_builder.durations import parse_duration
from image_builder.service_settings import ServiceSettings, read_settings, variables
from image_builder.shared.errors import ParameterError

STRONG = "a-secret-with-at-least-thirty-two-bytes"

# The document's own list, as `docker run --env-file` hands it over: quotes and comments stay in the values.
DOCUMENT = {
    "DCRX_KV_MAX_MEMORY_PERCENT_USAGE": "50 # The percent of system memory",
    "DCRX_KV_JOB_PRUNE_INTERVAL": "'1s' # How often",
    "DCRX_KV_JOB_MAX_AGE": "'1m'",
    "DCRX_KV_JOB_POOL_SIZE": "10",
    "DCRX_KV_JOB_WORKERS": "4",
    "DCRX_KV_TOKEN_EXPIRATION": "'15m'",
    "DCRX_KV_SECRET_KEY": "testingthis",
    "DCRX_KV_AUTH_ALGORITHM": "HS256",
    "DCRX_KV_DATABASE_TYPE": "sqlite",
    "DCRX_KV_DATABASE_USER": "admin",
    "DCRX_KV_DATABASE_PASSWORD": "test1234",
    "DCRX_KV_DATABASE_NAME": "dcrx",
    "DCRX_KV_DATABASE_URI": "sqlite+aiosqlite:///dcrx",
    "DCRX_KV_DATABASE_PORT": "3369",
    "DOCKER_REGISTRY_URI": "https://docker.io/v1/myrepo/test-images",
    "DOCKER_REGISTRY_USERNAME": "test",
    "DOCKER_REGISTRY_PASSWORD": "test-repo-password",
}


def read(**variables: str) -> ServiceSettings:
    return read_settings({"DCRX_KV_SECRET_KEY": STRONG, **variables})


def test_the_documents_variables_are_understood() -> None:
    settings = read_settings({**DOCUMENT, "DCRX_KV_DEVELOPMENT": "true"})

    assert settings.job_prune_interval == timedelta(seconds=1)
    assert settings.job_max_age == timedelta(minutes=1)
    assert (settings.job_pool_size, settings.job_workers) == (10, 4)
    assert settings.database.url.database == "dcrx"
    assert settings.registry_uri == "https://docker.io/v1/myrepo/test-images"


def test_what_is_left_out_has_the_documents_default() -> None:
    settings = read()

    assert settings.max_memory_percent_usage == 50
    assert settings.job_prune_interval == timedelta(seconds=1)
    assert settings.job_max_age == timedelta(minutes=1)
    assert settings.job_record_age == timedelta(days=90)
    assert settings.job_pool_size == 10
    assert settings.job_workers >= 1
    assert settings.token_expiration == timedelta(minutes=15)
    assert settings.auth_algorithm == "HS256"
    assert str(settings.database) == "sqlite+aiosqlite:///dcrx"


def test_a_short_secret_is_refused_unless_for_development() -> None:
    with pytest.raises(ParameterError, match="DCRX_KV_SECRET_KEY must have at least 32 bytes") as raised:
        read(DCRX_KV_SECRET_KEY="testingthis")

    assert raised.value.exit_status == 2
    assert "testingthis" not in str(raised.value)
    assert read(DCRX_KV_SECRET_KEY="testingthis", DCRX_KV_DEVELOPMENT="true").development


def test_every_key_for_encryption_has_to_be_strong() -> None:
    with pytest.raises(ParameterError, match="DCRX_KV_ENCRYPTION_KEY must have at least 32 bytes"):
        read(DCRX_KV_ENCRYPTION_KEY=f"{STRONG},short")

    assert read(DCRX_KV_ENCRYPTION_KEY=f"{STRONG}, {STRONG}2").listed_encryption_keys == [
        STRONG,
        f"{STRONG}2",
    ]


def test_a_value_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{STRONG}\n")

    settings = read_settings({"DCRX_KV_SECRET_KEY_FILE": str(tmp_path / "secret")})

    assert settings.secret_key.get_secret_value() == STRONG


def test_a_value_and_its_file_contradict_each_other(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(STRONG)

    with pytest.raises(ParameterError, match="DCRX_KV_SECRET_KEY and DCRX_KV_SECRET_KEY_FILE"):
        read(DCRX_KV_SECRET_KEY_FILE=str(tmp_path / "secret"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"DCRX_KV_DATABASE_PASSWORD_FILE: the file .*nowhere"):
        read(DCRX_KV_DATABASE_PASSWORD_FILE=str(tmp_path / "nowhere"))


def test_all_problems_are_named_at_once() -> None:
    with pytest.raises(ParameterError) as raised:
        read_settings(
            {
                "DCRX_KV_JOB_POOL_SIZE": "many",
                "DCRX_KV_JOB_MAX_AGE": "soon",
                "DCRX_KV_AUTH_ALGORITHM": "none",
                "DCRX_KV_DATABASE_TYPE": "oracle",
            }
        )

    for name in ("SECRET_KEY", "JOB_POOL_SIZE", "JOB_MAX_AGE", "AUTH_ALGORITHM", "DATABASE_TYPE"):
        assert f"DCRX_KV_{name}: " in str(raised.value)


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        (
            {
                "DCRX_KV_DATABASE_TYPE": "asyncpg",
                "DCRX_KV_DATABASE_HOST": "db",
                "DCRX_KV_DATABASE_USER": "me",
            },
            "postgresql+asyncpg://me:***@db/dcrx",
        ),
        (
            {
                "DCRX_KV_DATABASE_TYPE": "mysql",
                "DCRX_KV_DATABASE_PORT": "3369",
                "DCRX_KV_DATABASE_USER": "me",
            },
            "mysql+aiomysql://me:***@localhost:3369/dcrx",
        ),
        (
            {"DCRX_KV_DATABASE_TYPE": "mysql", "DCRX_KV_DATABASE_URI": "postgresql://me:secret@db:5/x"},
            "postgresql+asyncpg://me:***@db:5/x",
        ),
    ],
)
def test_the_uri_wins_over_the_single_settings(variables: dict[str, str], address: str) -> None:
    assert str(read(DCRX_KV_DATABASE_PASSWORD="p@ss/word", **variables).database) == address


@pytest.mark.parametrize("uri", ["nonsense", "oracle://me:canary@db/x", "postgresql://me:canary@db"])
def test_a_wrong_uri_is_refused_without_its_password(uri: str) -> None:
    with pytest.raises(ParameterError, match="DCRX_KV_DATABASE_URI") as raised:
        read(DCRX_KV_DATABASE_URI=uri)

    assert "canary" not in str(raised.value)


def test_settings_show_no_secret() -> None:
    settings = read(
        DCRX_KV_DATABASE_URI="postgresql://me:canary@db/x",
        DOCKER_REGISTRY_PASSWORD="canary",
        DCRX_KV_ENCRYPTION_KEY=f"canary{STRONG}",
    )

    assert "canary" not in repr(settings)
    assert STRONG not in repr(settings)


def test_the_readme_has_every_variable() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()

    assert [name for name in variables() if f"`{name}`" not in readme] == []


@pytest.mark.parametrize(
    ("text", "seconds"), [("1s", 1), ("15m", 900), ("1h30m", 5400), ("90d", 7_776_000), ("250ms", 0.25)]
)
def test_a_length_of_time(text: str, seconds: float) -> None:
    assert parse_duration(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "1", "s", "1 s", "-1s", "1s2", "1y", "99999999999999999999d", "4000d"])
def test_no_length_of_time(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        parse_duration(text)
