"""/users: signing in and out, and who may."""

import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path, Request, Response

from ..accounts.users import LastAdministratorError, NameTakenError, NotFoundError, Person, User
from .access import COOKIE, Administrator, Caller, ServicesHere, SignedIn, same_origin
from .errors import CONFLICT, NOT_FOUND, SIGNED_IN
from .models import Detail, Login, LoginAnswer, Message, NewUser, UpdatedUser, UserAnswer
from .services import Services

router = APIRouter(prefix="/users", tags=["users"], dependencies=[Depends(same_origin)], responses=SIGNED_IN)

UserKey = Annotated[str, Path(min_length=1, max_length=128, pattern=r"^[^\x00-\x20\x7f/]+$")]
_OWN_FIELDS = {"first_name", "last_name", "email", "password"}


@router.post("/login", responses={429: {"model": Detail, "description": "Too many tries"}})
async def login(body: Login, request: Request, response: Response, services: ServicesHere) -> LoginAnswer:
    """Sign in; the answer sets the cookie that all other calls need."""
    address = request.client.host if request.client else ""
    wait = await services.throttle.admit(body.username, address)
    if wait:
        seconds = str(-(-wait // 1000))
        raise HTTPException(429, f"too many tries; wait {seconds} s", {"Retry-After": seconds})
    user = await _authenticated(services, body)
    await services.throttle.succeeded(body.username, address)
    lifetime = int(services.tokens.lifetime.total_seconds())
    response.set_cookie(
        COOKIE,
        services.tokens.issue(user.id, user.token_generation),
        max_age=lifetime,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return LoginAnswer(message="User logged in.", id=user.id, username=user.username, expires_in=lifetime)


@router.post("/logout")
async def logout(response: Response, services: ServicesHere, caller: SignedIn) -> Message:
    """Sign out; the token is worthless from now on."""
    await services.users.revoke(caller.token.token_id, caller.token.expires_at)
    services.sessions.forget()
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return Message(message="User logged out.")


@router.get("/{user_id_or_name}/get", responses=NOT_FOUND)
async def get_user(user_id_or_name: UserKey, services: ServicesHere, caller: SignedIn) -> UserAnswer:
    """A user, by id or by name; who is no administrator sees only themselves."""
    own = user_id_or_name in (caller.user.username, str(caller.user.id))
    if not own and not caller.user.administrator:
        raise HTTPException(403, "only an administrator may see other users")
    try:
        return UserAnswer.of(await _found(services, user_id_or_name))
    except NotFoundError as error:
        raise HTTPException(404, str(error)) from None


@router.post("/create", status_code=201, responses=CONFLICT)
async def create_user(body: NewUser, services: ServicesHere, caller: Administrator) -> UserAnswer:
    """Make a user."""
    person = Person(**body.model_dump(exclude={"password"}))
    hashed = await services.passwords.hash(body.password.get_secret_value())
    try:
        return UserAnswer.of(await services.users.create(person, hashed))
    except NameTakenError as error:
        raise HTTPException(409, str(error)) from None


@router.put("/update", status_code=202, responses={**NOT_FOUND, **CONFLICT})
async def update_user(body: UpdatedUser, services: ServicesHere, caller: SignedIn) -> UserAnswer:
    """Change one user. A new password, and being disabled, sign the user out everywhere."""
    given = {name: value for name, value in body.model_dump(exclude={"id"}).items() if value is not None}
    _must_be_allowed(caller, body.id, given)
    password = given.pop("password", None)
    if password is not None:
        given["password_hash"] = await services.passwords.hash(password.get_secret_value())
    try:
        changed = await services.users.change(body.id, given)
    except NotFoundError as error:
        raise HTTPException(404, str(error)) from None
    except (NameTakenError, LastAdministratorError) as error:
        raise HTTPException(409, str(error)) from None
    services.sessions.forget()
    return UserAnswer.of(changed)


@router.delete("/{user_id}/delete", responses={**NOT_FOUND, **CONFLICT})
async def delete_user(user_id: uuid.UUID, services: ServicesHere, caller: Administrator) -> Message:
    """Remove a user; the records of their jobs stay."""
    try:
        await services.users.remove(user_id)
    except NotFoundError as error:
        raise HTTPException(404, str(error)) from None
    except LastAdministratorError as error:
        raise HTTPException(409, str(error)) from None
    services.sessions.forget()
    return Message(message="User deleted.")


async def _authenticated(services: Services, body: Login) -> User:
    """The user, if the password is right and the user not disabled; which of these fails is not said."""
    try:
        user = await services.users.by_name(body.username)
    except NotFoundError:
        user = None
    hashed = user.password_hash if user else None
    right = await services.passwords.matches(hashed, body.password.get_secret_value())
    if user is None or not right or user.disabled:
        raise HTTPException(401, "the username or the password is wrong")
    return user


async def _found(services: Services, key: str) -> User:
    try:
        return await services.users.by_id(uuid.UUID(key))
    except (ValueError, NotFoundError):
        return await services.users.by_name(key)


def _must_be_allowed(caller: Caller, user_id: uuid.UUID, given: dict[str, Any]) -> None:
    if caller.user.administrator:
        return
    if user_id != caller.user.id:
        raise HTTPException(403, "only an administrator may change other users")
    if not given.keys() <= _OWN_FIELDS:
        raise HTTPException(
            403, f"only an administrator may change {', '.join(sorted(given.keys() - _OWN_FIELDS))}"
        )
