"""Building and publishing container images: the same copy in every module that does so.

`dcv_image/shared_build/` is the original; `./scripts/sync-shared` copies it. Nothing here names a
module, an image or a manifest parameter: those are given.
"""
