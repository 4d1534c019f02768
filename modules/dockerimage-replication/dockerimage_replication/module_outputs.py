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


def inventory_key(deployment: str, module: str) -> str:
    """Key of a deployment's inventory; `module` is SeedFarmer's `{group}-{module}`."""
    return f"{deployment}-{module}-metadata.json"


def lock_key(deployment: str, module: str) -> str:
    """Key of a deployment's lock, beside its inventory."""
    return f"{deployment}-{module}-lock.json"


def inventory_outputs(bucket: str, key: str) -> dict[str, str]:
    """The values of `OUTPUTS` for an inventory."""
    values = (bucket, key, f"{bucket}/{key}")
    return dict(zip(OUTPUTS, (*values, *values), strict=True))
