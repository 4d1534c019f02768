"""Specification of the registry client."""
