"""The service as a Python library sees it."""

from .client import Client
from .errors import ServiceError
from .follow import LogEvent

__all__ = ["Client", "LogEvent", "ServiceError"]
