"""What commands share: the project, the host, the engine, the consoles, JSON documents, questions to a person."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Literal, Protocol, TypeVar

from seatrial.errors import EngineError, SeatrialError, SettingsError
from seatrial.text import did_you_mean, plain

if TYPE_CHECKING:
    from threading import Thread

    from rich.console import Console

    from seatrial.checks.model import Severity
    from seatrial.compose.runner import Stack
    from seatrial.engine.find import Engine
    from seatrial.host import Host
    from seatrial.settings.read import Project
    from seatrial.smoke import Target
    from seatrial.stack.state import ServiceState, StackState

APP = {"app": "the app; may be left out where only one has a compose file"}
"""The help of the option that all commands about a stack have."""
BASELINE = {
    "baseline": "the file of known findings; by default seatrial-baseline.json beside the settings, with --image none",
    "no-baseline": "let known findings count, too",
}
"""The help of the options of a baseline."""
FORMAT = {"format": "text or json"}
FORMATS = ("text", "json")
BRIDGES = Path("/proc/sys/net/bridge")
"""There where the kernel may show the firewall what stays within a network."""
SWEPT_WITHIN = 10.0
"""Seconds that a command may take longer for what others left."""
_sweeper: Thread | None = None
_trusted: str | None = None
"""What --trust says; set by each command."""


def project() -> Project:
    """Return the project of the current folder."""
    from seatrial.settings.read import read_project

    return read_project(Path.cwd(), host().trust)


def project_folder() -> Path:
    """Return the folder of the project, or outside of one the current folder."""
    project = project_if_any()
    return project.folder if project else Path.cwd()


def project_if_any() -> Project | None:
    """Return the project, or None outside of one."""
    try:
        return project()
    except SettingsError as error:
        if "no pyproject.toml" in error.what:
            return None
        raise


def trust(level: str | None, *, untrusted: bool) -> None:
    """Take what --trust and --untrusted say.

    Raises:
        SettingsError: they contradict each other.
    """
    global _trusted  # noqa: PLW0603 - of the one command that a process runs
    if level and untrusted and level != "none":
        raise SettingsError(f"--trust {level} and --untrusted contradict each other.", fix="Give one of them.")
    _trusted = "none" if untrusted else level


def host() -> Host:
    """Return this machine."""
    from seatrial.host import this_host

    return this_host(_trusted)


def engine() -> Engine:
    """Return the engine that answers; what dead commands left there is removed meanwhile."""
    from seatrial import owner
    from seatrial.engine import sweep
    from seatrial.engine.find import find_engine, own_socket

    global _sweeper  # noqa: PLW0603 - of the one command that a process runs
    found = find_engine(host())
    if found.candidate.url == own_socket(host()) and BRIDGES.exists():
        from seatrial.offline import keep_networks_open

        keep_networks_open(host(), say)
    _sweeper = sweep.start(found, owner.this())
    return found


def one_app(app: str | None, python: str | None) -> Target:
    """Return the image of the app that is named, or of the only one.

    Raises:
        SettingsError: there is no such app, or several, of which none is named.
    """
    from seatrial.smoke import app_target

    found = project()
    names = list(found.chosen(app))
    if len(names) != 1:
        raise SettingsError("which app?", where=str(found.file), fix=f"Name one with --app: {', '.join(names)}.")
    return app_target(found, names[0], python, host=host())


def with_services(project: Project) -> Project:
    """Return a project with the apps of its compose files' services that are built.

    Where no engine answers, or compose is not there, those are left out, and a line says so.
    """
    from seatrial.images.services import building_files, with_services

    if not building_files(project, host().trust):
        return project
    try:
        return with_services(project, engine=engine(), host=host(), say=say)
    except EngineError as error:
        say(f"The services that compose files build are left out: {error}")
        return project


def swept() -> None:
    """Wait until what dead commands left is removed, for a few seconds."""
    if _sweeper is not None:
        _sweeper.join(SWEPT_WITHIN)


def app_with_stack(project: Project, name: str | None) -> str:
    """Return the named app, or the only one with a compose file."""
    if name is not None:
        project.app(name)
        return name
    apps = sorted(name for name, app in project.chosen(None).items() if app.compose)
    if len(apps) == 1:
        return apps[0]
    raise SettingsError(
        "which app?" if apps else "no app has a compose file.",
        where=f"{project.file.name} {project.table('apps')}",
        fix=f"Name one with --app: {', '.join(apps)}." if apps else "Set `compose` for one.",
    )


def whole_number(option: str, value: str) -> int:
    """Return the number that an option gives; Invoke's own conversion ends in a traceback. Raises SettingsError."""
    try:
        number = int(value)
    except ValueError:
        raise SettingsError(f"{option} {value!r} is not a whole number.", fix="Give digits only.") from None
    if number < 0:
        raise SettingsError(f"{option} {number} is below 0.", fix="Give a larger number.")
    return number


def positive_seconds(timeout: str) -> int:
    """Return what --timeout says; raise SettingsError where that is not a whole number above 0."""
    seconds = whole_number("--timeout", timeout)
    if seconds <= 0:
        raise SettingsError(f"--timeout {seconds} leaves no time.", fix="Give seconds above 0.")
    return seconds


def known_choice(option: str, value: str, known: tuple[str, ...]) -> str:
    """Return an option's value; raise SettingsError where it is not a known one."""
    if value not in known:
        raise SettingsError(f"{option} {value!r} is not known.", fix=did_you_mean(value, known))
    return value


def chosen_severity(value: str | None) -> Severity | None:
    """Return what --fail-on says, None where it is not given; raise SettingsError where it is not a severity."""
    from seatrial.checks.model import Severity

    return None if value is None else Severity(known_choice("--fail-on", value, tuple(Severity)))


def wants_json(value: str) -> bool:
    """Tell whether --format asks for JSON; raise SettingsError where the format is not known."""
    return known_choice("--format", value, FORMATS) == "json"


def console() -> Console:
    """Return the console for a command's result: standard output."""
    from rich.console import Console

    class Screen(Console):
        def on_broken_pipe(self) -> None:
            # rich ends the process with 1, which means here that a check failed.
            raise BrokenPipeError

    return Screen(color_system=_colours(), highlight=False, emoji=False, markup=False)


def error_console() -> Console:
    """Return the console for progress: standard error, so that results can be piped."""
    from rich.console import Console

    return Console(stderr=True, color_system=_colours(), highlight=False, emoji=False, markup=False)


def _colours() -> Literal["auto"] | None:
    """Return rich's colour system: none, and no bold either, where NO_COLOR is set (no-color.org)."""
    return None if host().environment.get("NO_COLOR") else "auto"


@contextmanager
def status_line() -> Iterator[Callable[[str], None]]:
    """Yield a function that shows what is in progress: one line that changes, on a terminal only."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.text import Text

    with error_console().status("") as status:
        yield lambda message: status.update(Text(plain(message)))


def say(message: str) -> None:
    """Print a message on standard error."""
    sys.stderr.write(f"{plain(message)}\n")
    sys.stderr.flush()


def terminal_prompt() -> Callable[[str], bool] | None:
    """Return what asks a person yes or no; None where standard input or error is not a terminal."""
    return confirmed if sys.stdin.isatty() and sys.stderr.isatty() else None


def confirmed(question: str) -> bool:
    """Ask yes or no."""
    return answer(f"{question} [y/N] ").lower() in {"y", "yes"}


def answer(question: str) -> str:
    """Ask for a line; return it without the spaces around it."""
    # Not by `input`: its prompt goes to standard output, which may have to hold JSON alone.
    sys.stderr.write(plain(question))
    sys.stderr.flush()
    return sys.stdin.readline().strip()


@contextmanager
def json_at_the_end(document: Callable[[SeatrialError | None], str], *, wanted: bool) -> Iterator[None]:
    """Print a JSON document when the block ends, if wanted; with the problem where it raises, which is raised on."""
    try:
        yield
    except SeatrialError as error:
        if wanted:
            print(document(error), end="")
        raise
    if wanted:
        print(document(None), end="")


State = TypeVar("State")
Shown_contra = TypeVar("Shown_contra", contravariant=True)


class _Observer(Protocol[Shown_contra]):
    def say(self, text: str) -> None: ...

    def show(self, states: tuple[Shown_contra, ...], seconds: float, /) -> None: ...


class Recorder(Generic[State]):
    """An observer of a stack that keeps the last states that it was shown, and hands all on to another one."""

    def __init__(self) -> None:
        self.states: tuple[State, ...] = ()
        self._observer: _Observer[State] | None = None

    def wrapping(self, observer: _Observer[State]) -> Recorder[State]:
        """Hand on to this observer from now on."""
        self._observer = observer
        return self

    def say(self, text: str) -> None:
        """Hand a message on."""
        if self._observer is not None:
            self._observer.say(text)

    def show(self, states: tuple[State, ...], seconds: float) -> None:
        """Keep the states, and hand them on."""
        self.states = states
        if self._observer is not None:
            self._observer.show(states, seconds)


class UpRecord:
    """What is known so far of a stack that comes up: the JSON document is made from it, also after an error."""

    def __init__(self) -> None:
        self.observer: Recorder[ServiceState] = Recorder()
        self.state: StackState | None = None
        self._started = time.monotonic()

    def document(self, stack: Stack, problem: SeatrialError | None, *, began: bool) -> str:
        """Return the JSON document; `began` tells whether something of the stack may have been changed already."""
        from seatrial.reports.json import up_document

        state = self.state
        return up_document(
            stack,
            state.services if state else self.observer.states,
            addresses=state.addresses if state else (),
            unanswered=state.unanswered if state else (),
            changed=state.changed if state else began,
            seconds=state.seconds if state else time.monotonic() - self._started,
            problem=problem,
        )
