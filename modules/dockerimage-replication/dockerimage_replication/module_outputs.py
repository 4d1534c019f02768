"""The outputs of this module: their names are a contract with the modules that read them."""

OUTPUTS: dict[str, str] = {
    "S3Bucket": "Name of the project's metadata bucket.",
    "S3Object": "Key of this deployment's inventory in that bucket.",
    "S3FullPath": "`bucket/key` of the inventory, without `s3://`. Other modules take it as "
    "`replicated-ecr-images-metadata-s3-path`.",
    "s3_bucket": "Deprecated: the same as `S3Bucket`.",
    "s3_object": "Deprecated: the same as `S3Object`.",
    "s3_full_path": "Deprecated: the same as `S3FullPath`.",
}

STATE_KEY = "dockerimage-replication-repositories.json"
"""Key of what this module last did to the project's repositories."""

_INVENTORY = "-metadata.json"


def inventory_key(deployment: str, module: str) -> str:
    """Key of a deployment's inventory; `module` is SeedFarmer's `{group}-{module}`."""
    return f"{deployment}-{module}{_INVENTORY}"


def is_inventory(key: str) -> bool:
    """Whether a key is that of some deployment's inventory."""
    return key.endswith(_INVENTORY)


def deployment_keys(deployment: str, module: str) -> list[str]:
    """Keys of everything in the bucket that belongs to one deployment, its record of use apart."""
    return [inventory_key(deployment, module), lock_key(deployment, module)]


def lock_key(deployment: str, module: str) -> str:
    """Key of a deployment's lock, beside its inventory."""
    return f"{deployment}-{module}-lock.json"


def inventory_outputs(bucket: str, key: str) -> dict[str, str]:
    """The values of `OUTPUTS` for an inventory."""
    values = (bucket, key, f"{bucket}/{key}")
    return dict(zip(OUTPUTS, (*values, *values), strict=True))
