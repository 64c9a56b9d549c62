"""A smoke for programs: JSON, and the verdict of several smokes together."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

import msgspec

from seatrial.checks.verdict import Smoke, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence


class Smokes(msgspec.Struct, frozen=True, kw_only=True):
    """Several smokes in one document."""

    schema: Literal[1] = 1
    verdict: Verdict
    """The worst of them: a failure counts most, then what could not be decided."""
    smokes: tuple[Smoke, ...]


def worst(smokes: Sequence[Smoke]) -> Verdict:
    """Return the verdict of several smokes together: a failure counts most, then what could not be decided."""
    verdicts = {one.verdict for one in smokes}
    for verdict in (Verdict.FAIL, Verdict.ERROR):
        if verdict in verdicts:
            return verdict
    return Verdict.PASS if verdicts else Verdict.ERROR


def as_json(smokes: Sequence[Smoke]) -> str:
    """Return one smoke as an object; several as an object with a list of them."""
    data = smokes[0] if len(smokes) == 1 else Smokes(verdict=worst(smokes), smokes=tuple(smokes))
    return dumped(data)


def dumped(data: object) -> str:
    """Return data as JSON of ASCII letters alone.

    What came from the image is escaped, and no terminal that it is printed on takes it for a code. Half of a pair of
    surrogates, which no UTF-8 holds, becomes the sign for what cannot be shown.
    """
    text = json.dumps(msgspec.to_builtins(data, str_keys=True), indent=2, ensure_ascii=False)
    whole = text.encode("utf-8", "replace").decode()
    return json.dumps(json.loads(whole), indent=2) + "\n"
