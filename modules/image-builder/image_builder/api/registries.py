"""/registry: the registries that requests can name."""

import uuid
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, HTTPException, Path, Query

from ..accounts.users import NameTakenError, NotFoundError
from .access import Administrator, ServicesHere, SignedIn, same_origin
from .errors import CONFLICT, NOT_FOUND, SIGNED_IN
from .models import Message, NewRegistry, RegistryAnswer, UpdatedRegistry

router = APIRouter(
    prefix="/registry", tags=["registries"], dependencies=[Depends(same_origin)], responses=SIGNED_IN
)

RegistryKey = Annotated[str, Path(min_length=1, max_length=512, pattern=r"^[^\x00-\x20\x7f/]+$")]


@router.get("/{registry_id_or_name}/get", responses=NOT_FOUND)
async def get_registry(
    registry_id_or_name: RegistryKey,
    services: ServicesHere,
    caller: SignedIn,
    match_by: Annotated[Literal["id", "registry_name"] | None, Query()] = None,
) -> RegistryAnswer:
    """A registry, by id or by name, without its password."""
    condition: dict[str, object] = {"registry_name": registry_id_or_name}
    if match_by != "registry_name":
        try:
            condition = {"id": uuid.UUID(registry_id_or_name)}
        except ValueError:
            if match_by == "id":
                raise HTTPException(404, "there is no such registry") from None
    try:
        return RegistryAnswer.of(await services.registries.find(condition))
    except NotFoundError as error:
        raise HTTPException(404, str(error)) from None


@router.post("/create", status_code=201, responses=CONFLICT)
async def create_registry(body: NewRegistry, services: ServicesHere, caller: Administrator) -> RegistryAnswer:
    """Make a registry; its password is kept encrypted and shown to nobody."""
    try:
        created = await services.registries.create(
            body.registry_name,
            body.registry_uri,
            body.registry_user,
            body.registry_password.get_secret_value(),
        )
    except NameTakenError as error:
        raise HTTPException(409, str(error)) from None
    return RegistryAnswer.of(created)


@router.put("/update", status_code=202, responses={**NOT_FOUND, **CONFLICT})
async def update_registry(
    body: UpdatedRegistry, services: ServicesHere, caller: Administrator
) -> RegistryAnswer:
    """Change one registry."""
    given = body.model_dump(exclude={"id", "registry_password"}, exclude_none=True)
    password = body.registry_password
    try:
        changed = await services.registries.change(
            body.id, given, None if password is None else password.get_secret_value()
        )
    except NotFoundError as error:
        raise HTTPException(404, str(error)) from None
    except NameTakenError as error:
        raise HTTPException(409, str(error)) from None
    return RegistryAnswer.of(changed)


@router.delete("/{registry_id}/delete", responses=NOT_FOUND)
async def delete_registry(registry_id: uuid.UUID, services: ServicesHere, caller: Administrator) -> Message:
    """Remove a registry."""
    try:
        await services.registries.remove(registry_id)
    except NotFoundError as error:
        raise HTTPException(404, str(error)) from None
    return Message(message="Registry deleted.")
