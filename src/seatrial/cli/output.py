"""What every command begins with and ends in: the host, the project, an engine, the console."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from seatrial.errors import SeatrialError, SettingsError
from seatrial.suggest import did_you_mean
from seatrial.text import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from seatrial.engine.find import Engine
    from seatrial.host import Host
    from seatrial.settings.read import Project


def project() -> Project:
    """Return the project that the command was given in."""
    from seatrial.settings.read import read_project

    return read_project(Path.cwd())


def project_if_any() -> Project | None:
    """Return the project, or None outside of one; for commands that need none."""
    try:
        return project()
    except SettingsError as error:
        if "no pyproject.toml" in error.what:
            return None
        raise


def host() -> Host:
    """Return the machine."""
    from seatrial.host import this_host

    return this_host()


def engine() -> Engine:
    """Return the engine that answers."""
    from seatrial.engine.find import find_engine

    return find_engine(host())


def screen() -> Console:
    """Return the console for a command's result: standard output."""
    from rich.console import Console

    class Screen(Console):
        def on_broken_pipe(self) -> None:
            # rich ends the process with 1, which means here that a check failed.
            raise BrokenPipeError

    return Screen(color_system=_colours(), highlight=False, emoji=False, markup=False)


def _colours() -> Literal["auto"] | None:
    """Return what rich may use: neither colour nor bold where NO_COLOR is set (no-color.org), to whatever."""
    return None if host().environment.get("NO_COLOR") else "auto"


def progress_screen() -> Console:
    """Return the console for what is under way: standard error, so that results can be piped."""
    from rich.console import Console

    return Console(stderr=True, color_system=_colours(), highlight=False, emoji=False, markup=False)


@contextmanager
def telling() -> Iterator[Callable[[str], None]]:
    """Give a function that says what is under way: one line that changes, on a terminal only."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.text import Text

    with progress_screen().status("") as status:
        yield lambda message: status.update(Text(plain(message)))


def say(message: str) -> None:
    """Tell what is under way."""
    sys.stderr.write(f"{plain(message)}\n")
    sys.stderr.flush()


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
