"""Reads the image's account files: passwd(5), shadow(5), group(5)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from seatrial.facts.data import Accounts, Group, Password, User

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_ROWS = 5000
"""Rows of one file that are kept."""


def read_accounts(passwd: str, shadow: str, group: str) -> Accounts:
    """Return the accounts of the image; of passwords only what they come to."""
    shadowed: dict[str, str] = {}
    for row in _rows(shadow):
        # As getspnam(3) does: the first row of a name counts.
        shadowed.setdefault(row[0], row[1])
    users = [
        User(name=row[0], uid=_number(row[2]), password=password(row[1], shadowed.get(row[0]))) for row in _rows(passwd)
    ]
    groups = [Group(name=row[0], gid=_number(row[2])) for row in _rows(group)]
    return Accounts(
        users=tuple(users[:MOST_ROWS]),
        groups=tuple(groups[:MOST_ROWS]),
        cut=max(len(users), len(groups)) > MOST_ROWS,
    )


def password(field: str, shadowed: str | None) -> Password:
    """Tell what an account's password comes to.

    Args:
        field: the second field of its row in /etc/passwd; `x` points to /etc/shadow.
        shadowed: that of its row in /etc/shadow; None where it has none.

    """
    if field == "x":
        # Without a row to compare with, no password is the right one.
        return Password.LOCKED if shadowed is None else password(shadowed, None)
    if not field:
        return Password.EMPTY
    # `*` and `!` begin what no hash begins with; `!` before a hash locks it: shadow(5).
    return Password.LOCKED if field.startswith(("*", "!")) else Password.SET


def _rows(text: str) -> Iterator[list[str]]:
    """Yield the rows of an account file, each with at least three fields."""
    for line in text.split("\n"):
        row = line.strip()
        # `+` and `-` begin the rows of NIS, which name no account of their own.
        if row and not row.startswith(("#", "+", "-")):
            yield [*row.split(":"), "", "", ""]


def _number(text: str) -> int:
    """Return a number as the engine reads it: what is none counts as 0."""
    return int(text) if re.fullmatch(r"[0-9]{1,10}", text) else 0
