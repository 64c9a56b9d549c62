"""What a stand-in is made of, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from seatrial.errors import SettingsError
from seatrial.names import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Kind(StrEnum):
    """What an input of a recipe can be."""

    ROOTFS = "rootfs"
    """`rootfs:SUITE+PACKAGE+…`: a root filesystem of Debian."""
    INTERPRETER = "interpreter"
    """`interpreter:X.Y`: a CPython of the host, laid out for /usr/local."""
    WHEEL = "wheel"
    """`wheel:NAME==VERSION`: the programs that a wheel holds."""
    IMAGE = "image"
    """`image:REFERENCE`: another stand-in."""


@dataclass(frozen=True, kw_only=True)
class Input:
    """A named build context of a recipe, prepared on the host."""

    kind: Kind
    argument: str

    def __str__(self) -> str:
        """Return it as the settings write it."""
        return f"{self.kind}:{self.argument}"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How the stand-in for one image is made."""

    reference: str
    """The official image, by its familiar name."""
    name: str
    """The local image."""
    recipe: Path
    inputs: Mapping[str, Input] = field(default_factory=dict)
    images: Mapping[str, Plan] = field(default_factory=dict)
    """The plans of the stand-ins that the inputs name."""
    arguments: Mapping[str, str] = field(default_factory=dict)
    """Build arguments."""
    otherwise: Plan | None = None
    """What serves where the host has no interpreter as the inputs name it."""
    note: str = ""
    """How it differs from what its name promises."""
    refusal: str = ""
    """Why there can be no stand-in."""


def parse_input(text: str, *, where: str) -> Input:
    """Read `kind:argument`.

    Raises:
        SettingsError: there is no such kind, or no argument.

    """
    kind, _, argument = text.partition(":")
    kinds = [known.value for known in Kind]
    if kind not in kinds:
        raise SettingsError(f"{text!r} is no input of a stand-in.", where=where, fix=did_you_mean(kind, kinds))
    if not argument:
        raise SettingsError(f"the input {text!r} says nothing after its kind.", where=where)
    return Input(kind=Kind(kind), argument=argument)
