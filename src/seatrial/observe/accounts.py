"""Accounts of an image, from its own files: the one that USER names, and all of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from seatrial.errors import ImageError
from seatrial.facts import Account, Accounts, FileKind, Group, Password, User
from seatrial.observe import paths

if TYPE_CHECKING:
    from seatrial.facts import Configuration
    from seatrial.observe.paths import Files
MOST_ROWS = 5000
"""Rows of one file that are kept."""


def read_account(configuration: Configuration, files: Files) -> Account:
    """Return the account that USER names.

    Raises:
        ImageError: an account file is a pipe or a device: the engine would read it at a start, and wait for ever.

    """
    texts: list[str] = []
    for path in ("/etc/passwd", "/etc/group"):
        # Some builders (Nix among them) make links of them.
        trail = paths.follow(path, files)
        if trail.entry is not None and trail.entry.kind is FileKind.OTHER:
            raise ImageError(
                f"its {trail} is no file; the engine would wait on it for ever, so nothing was started.",
                where=configuration.reference,
                fix=f"Make {trail.end} a plain file.",
            )
        texts.append(files.text(trail.end))
    return account_of(configuration.user, *texts)


def account_of(user: str, passwd: str, group: str) -> Account:
    """Return the account that a USER instruction names, as the engine reads it from the image's files.

    The rules are those of moby's user package: a number is a uid, whatever account has it for a name; rows may be
    short and have blanks around them, and what is no number counts as 0; the first row that fits is taken.
    """
    who, _, group_name = user.partition(":")
    rows, groups = _rows(passwd), _rows(group)
    wanted = who or "0"
    by_number = _number(wanted)
    if by_number is None:
        row = next((row for row in rows if row[0] == wanted), None)
        uid = _field(row[2]) if row else None
    else:
        row = next((row for row in rows if _field(row[2]) == by_number), None)
        uid = by_number
    name = row[0] if row else ""
    gids: list[int] = []
    if group_name:
        named = next((row[2] for row in groups if row[0] == group_name), group_name)
        gids = [number for number in [_number(named)] if number is not None]
    elif row:
        gids = [number for number in [_field(row[3])] if number is not None]
    elif uid is not None:
        gids = [0]
    # With a group in USER, the engine gives the process that group alone.
    more = [_number(members[2]) for members in groups if name and not group_name and name in members[3].split(",")]
    gids += [number for number in more if number is not None and number not in gids]
    return Account(name=name, uid=uid, gids=tuple(gids), home=(row[5] or "/") if row else "/")


def read_accounts(passwd: str, shadow: str, group: str) -> Accounts:
    """Return the accounts of the image; of passwords only what they come to."""
    shadowed: dict[str, str] = {}
    for row in _own_rows(shadow):
        # As getspnam(3) does: the first row of a name counts.
        shadowed.setdefault(row[0], row[1])
    users = [
        User(name=row[0], uid=_number(row[2]) or 0, password=password(row[1], shadowed.get(row[0])))
        for row in _own_rows(passwd)
    ]
    groups = [Group(name=row[0], gid=_number(row[2]) or 0) for row in _own_rows(group)]
    return Accounts(
        users=tuple(users[:MOST_ROWS]),
        groups=tuple(groups[:MOST_ROWS]),
        cut=max(len(users), len(groups)) > MOST_ROWS,
    )


def password(field: str, shadowed: str | None) -> Password:
    """Tell whether an account's password is empty, set or locked.

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


def _rows(text: str) -> list[list[str]]:
    """Return the rows of an account file, each with at least seven fields."""
    lines = (line.strip() for line in text.split("\n"))
    return [[*line.split(":"), *[""] * 7] for line in lines if line]


def _own_rows(text: str) -> list[list[str]]:
    """Return the rows without comments and those of NIS: `+` and `-` begin rows that name no account of their own."""
    return [row for row in _rows(text) if not row[0].startswith(("#", "+", "-"))]


def _field(text: str) -> int | None:
    """Return a number of an account file: what is none counts as 0, one out of all range as none."""
    return _number(text) if re.fullmatch(r"[0-9]+", text) else 0


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,10}", text) else None
