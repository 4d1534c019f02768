"""Builds as Kubernetes Jobs, in the place of builds in the service's own process."""
