"""Values that an application is given and that look like secrets: no report shows them, whoever prints them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec import structs

from seatrial.checks.secrets import secret, throw_away
from seatrial.images.secrets.redaction import SHORTEST_SEARCHED, Credential, Redaction, in_addresses

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from seatrial.checks.verdict import Smoke

A_WORD = re.compile(r"[a-z]+|[A-Z]+|[a-z]+(?:[-_.][a-z]+)+|\d+")
"""Values that stand in many other texts: striking them out would make a report unreadable, and keeps nothing secret."""


def variables_of(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the variables that compose's model gives its services, env files and all."""
    for service in (document.get("services") or {}).values():
        for name, value in (service.get("environment") or {}).items():
            yield name, "" if value is None else str(value)


def masked(smoke: Smoke, variables: Iterable[tuple[str, str]]) -> Smoke:
    """Return a smoke without the values of the variables, by name and value, that look like secrets."""
    redaction = Redaction(credential for name, value in variables for credential in _credentials(name, value))
    return structs.replace(
        smoke,
        checks=tuple(
            structs.replace(
                result,
                expected=redaction.strike(result.expected),
                actual=redaction.strike(result.actual),
                fix=redaction.strike(result.fix),
                evidence=tuple(map(redaction.strike, result.evidence)),
                items=tuple(map(redaction.strike, result.items)),
            )
            for result in smoke.checks
        ),
    )


def _credentials(name: str, value: str) -> Iterator[Credential]:
    if not secret(name, value) or throw_away(name, value):
        return
    found = [Credential(source=name, value=value), *in_addresses([value], name)]
    for credential in found:
        if len(credential.value) >= SHORTEST_SEARCHED and not A_WORD.fullmatch(credential.value):
            yield credential
