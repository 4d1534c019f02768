"""What goes in and out of the API."""

import uuid
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StrictBool,
    StrictStr,
    ValidationError,
)

from ..accounts.passwords import MAX_LENGTH, MIN_LENGTH
from ..accounts.registries import Registry as StoredRegistry
from ..accounts.users import User
from ..jobs.job import Job, Status
from ..layers.request import ImageRequest, Registry

# One line without control characters: what databases, logs and terminals can hold.
_LINE = r"^[^\x00-\x1f\x7f]*$"
_USERNAME = r"^[^\x00-\x20\x7f/]+$"

Username = Annotated[StrictStr, Field(min_length=1, max_length=128, pattern=_USERNAME)]
ShortText = Annotated[StrictStr, Field(max_length=256, pattern=_LINE)]
Email = Annotated[StrictStr, Field(max_length=320, pattern=r"^(?:[^\x00-\x20\x7f@]+@[^\x00-\x20\x7f@]+)?$")]
NewPassword = Annotated[SecretStr, Field(min_length=MIN_LENGTH, max_length=MAX_LENGTH)]
RegistryUri = Annotated[
    StrictStr,
    Field(min_length=1, max_length=255, pattern=_LINE),
    AfterValidator(lambda value: _address(value)),
]
RegistryUser = Annotated[StrictStr, Field(max_length=255, pattern=_LINE)]
RegistryName = Annotated[StrictStr, Field(min_length=1, max_length=128, pattern=r"^[^\x00-\x20\x7f/]+$")]


class Input(BaseModel):
    """What a client sends: a misspelt field is an error."""

    model_config = ConfigDict(extra="forbid")


class Login(Input):
    """Who signs in."""

    username: Annotated[StrictStr, Field(max_length=128, examples=["admin"])]
    password: Annotated[SecretStr, Field(max_length=MAX_LENGTH, examples=["the password"])]


class Message(BaseModel):
    """What was done."""

    message: str


class LoginAnswer(Message):
    """Who is signed in; the token is in the cookie."""

    id: uuid.UUID
    username: str
    expires_in: int = Field(description="seconds until the token expires")


class NewUser(Input):
    """A user to make."""

    username: Username
    password: NewPassword
    first_name: ShortText = ""
    last_name: ShortText = ""
    email: Email = ""
    administrator: StrictBool = False
    disabled: StrictBool = False


class UpdatedUser(Input):
    """Changes of one user; what is left out stays."""

    id: uuid.UUID
    username: Username | None = None
    password: NewPassword | None = None
    first_name: ShortText | None = None
    last_name: ShortText | None = None
    email: Email | None = None
    administrator: StrictBool | None = None
    disabled: StrictBool | None = None


class UserAnswer(BaseModel):
    """A user, without the password."""

    id: uuid.UUID
    username: str
    first_name: str
    last_name: str
    email: str
    administrator: bool
    disabled: bool

    @classmethod
    def of(cls, user: User) -> "UserAnswer":
        """The user as the API shows it."""
        return cls(**{name: getattr(user, name) for name in cls.model_fields})


class NewRegistry(Input):
    """A registry that requests can name."""

    registry_name: RegistryName
    registry_uri: RegistryUri
    registry_user: RegistryUser = ""
    registry_password: Annotated[SecretStr, Field(max_length=8192)] = SecretStr("")


class UpdatedRegistry(Input):
    """Changes of one registry; what is left out stays."""

    id: uuid.UUID
    registry_name: RegistryName | None = None
    registry_uri: RegistryUri | None = None
    registry_user: RegistryUser | None = None
    registry_password: Annotated[SecretStr, Field(max_length=8192)] | None = None


class RegistryAnswer(BaseModel):
    """A registry, without the password."""

    id: uuid.UUID
    registry_name: str
    registry_uri: str
    registry_user: str

    @classmethod
    def of(cls, registry: StoredRegistry) -> "RegistryAnswer":
        """The registry as the API shows it."""
        return cls(**vars(registry))


class NamedRegistry(Input):
    """A registry that an administrator has made."""

    registry_name: RegistryName


class ImageOrder(ImageRequest):
    """A request for an image; its registry is given, named, or the service's own."""

    registry: Registry | NamedRegistry | None = None  # type: ignore[assignment]

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "hello-world",
                    "tag": "latest",
                    "layers": [
                        {"layer_type": "stage", "base": "python", "tag": "3.11-slim"},
                        {"layer_type": "entrypoint", "command": ["echo", "Hello world!"]},
                    ],
                }
            ]
        }
    )


class JobMetadata(BaseModel):
    """A job, as far as it has come."""

    job_id: uuid.UUID
    id: uuid.UUID = Field(description="the same as job_id")
    name: str
    tag: str
    registry: str = Field(description="host and path that the image is pushed to")
    image: str = Field(description="the whole reference of the image")
    status: Status
    context: str = Field(description="why the job ended, if not well")
    size: int = Field(description="bytes of the pushed image, compressed")
    digest: str | None
    attempt: int
    owner_id: uuid.UUID
    cancel_requested: bool
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, job: Job) -> "JobMetadata":
        """The job as the API shows it."""
        values = {**vars(job), "job_id": job.id}
        for name in ("created_at", "started_at", "finished_at"):
            values[name] = _time(values[name])
        return cls(**values)


class JobList(BaseModel):
    """Jobs, the newest first."""

    jobs: list[JobMetadata]


class Limit(BaseModel):
    """A limit that was reached."""

    message: str
    limit: float
    current: float


class LimitAnswer(BaseModel):
    """The answer when a limit was reached."""

    detail: Limit


class Detail(BaseModel):
    """What is wrong."""

    detail: str


class NotNow(BaseModel):
    """The database is away."""

    message: str
    job_id: uuid.UUID | None = None


class NotNowAnswer(BaseModel):
    """The answer when the database is away."""

    detail: NotNow


class Health(BaseModel):
    """Whether the service is well."""

    status: Literal["ok", "unavailable"]


def _time(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)


def _address(value: str) -> str:
    try:
        Registry(registry_url=value)
    except ValidationError as error:
        raise ValueError(error.errors()[0]["msg"].removeprefix("Value error, ")) from None
    return value
