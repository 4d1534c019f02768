"""Helm charts without Helm: found, read, and pushed as OCI artifacts with their bytes unchanged."""
