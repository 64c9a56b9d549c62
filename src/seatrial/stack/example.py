"""What the example beside a compose file says of each variable."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seatrial.facts.compose import EXAMPLES
from seatrial.text import plain_line

if TYPE_CHECKING:
    from pathlib import Path

ASSIGNED = re.compile(r"^[ \t]*(?P<off>#[ \t]*)?(?:export[ \t]+)?(?P<name>[A-Za-z_]\w*)[ \t]*=(?P<value>.*)$")
"""A line that names a variable. One that is commented out shows its default."""
LONGEST_SAYING = 300


@dataclass(frozen=True, kw_only=True)
class Saying:
    """What an example says of one variable."""

    file: str
    comment: str
    """The comment lines right above it, as one."""
    value: str
    """The example's own value: it is in version control, and so no secret."""

    def __str__(self) -> str:
        """Return it as the rest of a sentence that begins with the variable's name."""
        if not (self.comment or self.value):
            return f"{self.file} names it and leaves it empty"
        says = f" says: {self.comment}" if self.comment else " names it"
        return f"{self.file}{says}" + (f" (its example: {self.value})" if self.value else "")


def example_beside(file: Path) -> Path | None:
    """Return the example that stands beside a compose file, or None."""
    return next((file.parent / name for name in EXAMPLES if (file.parent / name).exists()), None)


def sayings(example: Path | None) -> dict[str, Saying]:
    """Return what an example says, by variable; nothing where there is none, or it cannot be read."""
    if example is None:
        return {}
    try:
        text = example.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    return read_sayings(text, example.name)


def read_sayings(text: str, file: str) -> dict[str, Saying]:
    """Return what the text of an example says, by variable."""
    found: dict[str, Saying] = {}
    comment: list[str] = []
    for line in text.splitlines():
        assigned = ASSIGNED.match(line)
        if assigned is not None:
            said = plain_line(" ".join(comment))[:LONGEST_SAYING]
            value = plain_line(assigned["value"])[:LONGEST_SAYING]
            found.setdefault(assigned["name"], Saying(file=file, comment=said, value=value))
            comment = []
        elif line.lstrip().startswith("#"):
            comment.append(line.lstrip("# \t"))
        else:
            comment = []
    return found
