"""How a script of ours answers from inside an image: one line of JSON behind a number used once."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from seatrial.facts.data import Missing

Answer = TypeVar("Answer")

SHOWN = 500
"""Characters that are kept of why an answer is none."""


def answer_in(written: bytes, nonce: str, shape: type[Answer]) -> Answer | Missing | None:
    """Find the answer in what was written, where an image may write anything beside it; None where there is none."""
    written = b"\n" + written
    marker = f"\n{nonce} ".encode()
    at = written.rfind(marker)
    if at < 0:
        return None
    line = written[at + len(marker) :].partition(b"\n")[0]
    try:
        return msgspec.json.decode(line, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Missing(reason="the answer has another form than the script's", detail=str(error)[:SHOWN])
