"""What the commands on stacks share that answer as text or as JSON."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from seatrial.errors import SeatrialError, SettingsError
from seatrial.names import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SHAPES = ("text", "json")


def is_json(shape: str) -> bool:
    """Tell what --format asks for.

    Raises:
        SettingsError: a form that there is not.

    """
    if shape not in SHAPES:
        raise SettingsError(f"--format {shape!r} is not known.", fix=did_you_mean(shape, SHAPES))
    return shape == "json"


@contextmanager
def answered(document: Callable[[SeatrialError | None], str], *, as_json: bool) -> Iterator[None]:
    """Print a document on standard output when the block ends, well or with a problem, which goes on its way.

    Args:
        document: makes it; given the problem, or None.
        as_json: whether one is wanted at all.

    """
    try:
        yield
    except SeatrialError as error:
        if as_json:
            print(document(error), end="")
        raise
    if as_json:
        print(document(None), end="")
