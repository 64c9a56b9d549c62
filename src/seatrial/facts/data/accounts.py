"""The image's accounts, from its own account files."""

from __future__ import annotations

from enum import StrEnum

from seatrial.facts.data.base import Fact


class Password(StrEnum):
    """What an account's password comes to; the password or its hash itself is never kept."""

    EMPTY = "empty"
    """Whoever asks is let in."""
    SET = "set"
    LOCKED = "locked"


class User(Fact, frozen=True, kw_only=True):
    """A row of /etc/passwd, with its row of /etc/shadow."""

    name: str
    uid: int
    password: Password


class Group(Fact, frozen=True, kw_only=True):
    """A row of /etc/group."""

    name: str
    gid: int


class Accounts(Fact, frozen=True, kw_only=True):
    """What /etc/passwd, /etc/shadow and /etc/group hold."""

    users: tuple[User, ...] = ()
    groups: tuple[Group, ...] = ()
    cut: bool = False
    """There are more rows than were kept."""
