"""One digest for a list of texts."""

from __future__ import annotations

import hashlib


def text_digest(*texts: str) -> str:
    """Return the SHA-256, in hex, of texts and of where one ends and the next begins."""
    whole = hashlib.sha256()
    for text in texts:
        data = text.encode()
        whole.update(f"{len(data)}:".encode())
        whole.update(data)
    return whole.hexdigest()
