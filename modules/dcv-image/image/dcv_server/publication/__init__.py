"""Publishes the session's display to a ConfigMap and to SSM, for as long as the container runs."""
