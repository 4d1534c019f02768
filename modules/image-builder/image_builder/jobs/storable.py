"""Texts from outside as every database takes them."""


def storable(text: str) -> str:
    """Without what a database refuses: PostgreSQL has no NUL in texts, and none has half a surrogate."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
