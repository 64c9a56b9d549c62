"""`$VARIABLE` in a text, replaced as Go's os.Expand does: what is not set is nothing, `$$` and `$1` are names too."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

REFERENCE = re.compile(
    r"""\$(?:
        \{(?P<braced>[^}]+)\}   # ${NAME}, whatever the name holds
      | (?P<broken>\{\}?)       # ${} and a brace that is never closed: dropped
      | (?P<special>[*#$@!?0-9-])
      | (?P<name>[A-Za-z0-9_]+)
    )""",
    re.VERBOSE,
)


def expand(text: str, environment: Mapping[str, str]) -> str:
    """Return a text with its variables replaced; a dollar that no name follows stays."""

    def value(found: re.Match[str]) -> str:
        name = found["braced"] or found["special"] or found["name"]
        return environment.get(name, "") if name else ""

    return REFERENCE.sub(value, text)
