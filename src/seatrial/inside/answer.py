"""How a script answers: one line of its proof, a space, and JSON. The proof is the HMAC of the JSON with the secret."""

import json
import sys

from seatrial.inside.handed import SECRET


def proof(secret: bytes, body: bytes) -> str:
    """Return the HMAC-SHA256: RFC 2104. OpenSSL, which `hmac` and `hashlib` load, takes longer than all of it."""
    try:
        from _sha2 import sha256  # type: ignore[import-not-found]
    except ImportError:
        try:
            from _sha256 import sha256  # type: ignore[import-not-found]
        except ImportError:
            from hashlib import sha256
    key = secret.ljust(64, b"\0")
    inner = sha256(bytes(byte ^ 0x36 for byte in key) + body).digest()
    said: str = sha256(bytes(byte ^ 0x5C for byte in key) + inner).hexdigest()
    return said


def give(answer: object) -> None:
    # A path that is not UTF-8 must not spoil the whole answer: what JSON cannot hold becomes a question mark.
    body = json.dumps(answer, ensure_ascii=False).encode("utf-8", "replace")
    # A line of its own, in one write: something else may write at the same time.
    sys.stdout.buffer.write(b"\n" + proof(SECRET.encode(), body).encode() + b" " + body + b"\n")
    sys.stdout.buffer.flush()
