"""image-builder beside buildah and docker: the real service over HTTP, real registries and databases."""
