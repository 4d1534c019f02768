"""Large files of requests: brought in parts, kept by their digest, each seen by its owner alone."""

from .store import Upload, UploadLimits, UploadStore

__all__ = ["Upload", "UploadLimits", "UploadStore"]
