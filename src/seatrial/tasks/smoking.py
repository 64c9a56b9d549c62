"""smoke and its three classics."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.checks.model import Level, Status
from seatrial.errors import ExitCode, ImageError, SettingsError
from seatrial.names import did_you_mean
from seatrial.tasks import surroundings
from seatrial.tasks.boundary import command

if TYPE_CHECKING:
    from collections.abc import Callable

    import invoke

    from seatrial.checks.verdict import Smoke
    from seatrial.smoke import Target

FORMATS = ("text", "json", "junit", "markdown")

HELP = {
    "app": "the app whose image to look at; all apps without it",
    "image": "any image instead: a name, tag, id or digest",
    "contract": "with --image: a TOML file with the keys of an app's contract table",
    "python": "the app's image for this Python version, such as 3.13",
}


@command(
    default=True,
    help=HELP
    | {
        "level": "quick (no start), standard (one real start) or deep",
        "format": "text, json, junit or markdown",
        "output": "write the report to this file instead of standard output",
    },
)
def smoke(
    _context: invoke.Context,
    app: str | None = None,
    image: str | None = None,
    contract: str | None = None,
    python: str | None = None,
    level: str = "standard",
    format: str = "text",  # noqa: A002 - the option's name
    output: str | None = None,
) -> ExitCode:
    """Prove images against their contracts: exit 0 all pass, 1 a check failed, 2 undecided."""
    from seatrial import smoke as smoking
    from seatrial.reports.data import worst

    chosen = Level(_one_of("--level", level, tuple(Level)))
    shape = _one_of("--format", format, FORMATS)
    file = _writable(output)
    targets = _targets(app, image, contract, python)
    engine = surroundings.engine()
    smokes: list[Smoke] = []
    missing: list[ImageError] = []
    with surroundings.telling() as tell:
        for target in targets:
            try:
                with _known_image(target):
                    smokes.append(smoking.smoke(target, engine, level=chosen, say=_about(target, tell))[0])
            except ImageError as error:
                missing.append(error)
    if smokes:
        _write(smokes, shape, file)
    for one in missing if smokes else missing[1:]:
        surroundings.say(f"error: {one}")
    if not smokes:
        raise missing[0]
    # An image that was not there was not proven; one that failed still counts most.
    verdict = worst(smokes).exit_code
    return verdict or (ExitCode.UNDECIDED if missing else ExitCode.OK)


def _about(target: Target, tell: Callable[[str], None]) -> Callable[[str], None]:
    return lambda message: tell(f"{target.reference}: {message}")


def _targets(app: str | None, image: str | None, contract: str | None, python: str | None) -> list[Target]:
    from seatrial import smoke as smoking

    if image is not None:
        if app is not None or python is not None:
            raise SettingsError("--image names the image by itself.", fix="Leave --app and --python out.")
        return [smoking.image_target(image, Path(contract) if contract else None)]
    if contract is not None:
        raise SettingsError("--contract goes with --image.", fix="An app's contract stands in pyproject.toml.")
    project = surroundings.project()
    return [smoking.app_target(project, name, python) for name in project.chosen(app)]


class _known_image:  # noqa: N801 - used as a with statement's verb
    """For an app's image that is not there: say which command builds it."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Name the command."""
        if isinstance(error, ImageError) and self._target.app is not None:
            python = f" --python {self._target.contract.python}" if self._target.contract.python else ""
            error.fix = f"Build it: `invoke build --app {self._target.app}{python}`."


def _one_of(option: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise SettingsError(f"{option} {value!r} is not known.", fix=did_you_mean(value, known))
    return value


def _writable(output: str | None) -> Path | None:
    """Refuse a file that cannot be written before minutes are spent on what goes into it."""
    if output is None:
        return None
    file = Path(output)
    folder = file.parent
    if file.is_dir() or not folder.is_dir() or not os.access(file if file.exists() else folder, os.W_OK):
        raise SettingsError("cannot be written.", where=output, fix="Give --output a file in a folder that exists.")
    return file


def _write(smokes: list[Smoke], shape: str, file: Path | None) -> None:
    from rich.console import Console

    from seatrial.reports import data
    from seatrial.reports.smoke import print_smoke

    makers = {"json": data.as_json, "junit": data.as_junit, "markdown": data.as_markdown}
    if shape == "text" and file is None:
        console = surroundings.screen()
        for number, one in enumerate(smokes):
            if number:
                console.print()
            print_smoke(one, console)
        return
    if shape == "text":
        from io import StringIO

        text = StringIO()
        console = Console(file=text, width=120, highlight=False, emoji=False, markup=False)
        for one in smokes:
            print_smoke(one, console)
        made = text.getvalue()
    else:
        made = makers[shape](smokes)
    if file is None:
        print(made, end="")
        return
    _replace(file, made)
    for one in smokes:
        surroundings.say(f"{one.verdict.value.upper()}  {one.image}: the report is in {file}")


def _replace(file: Path, text: str) -> None:
    """Write a file whole or not at all; what is no file of its own (a device, a link) is written into."""
    if file.exists() and (file.is_symlink() or not file.is_file()):
        try:
            file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise SettingsError(f"cannot be written: {error.strerror}.", where=str(file)) from error
        return
    half = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        half.write_text(text, encoding="utf-8")
        half.replace(file)
    except OSError as error:
        half.unlink(missing_ok=True)
        raise SettingsError(f"cannot be written: {error.strerror}.", where=str(file)) from error


def _classic(app: str | None, image: str | None, python: str | None, names: tuple[str, ...], show: str) -> ExitCode:
    """Run some checks of level quick alone, and show one fact readably."""
    from seatrial import smoke as smoking
    from seatrial.checks.registry import CHECKS
    from seatrial.reports import classics
    from seatrial.reports.data import worst

    checks = tuple(check for check in CHECKS if check.id in names)
    engine = surroundings.engine()
    console = surroundings.screen()
    smokes: list[Smoke] = []
    for target in _targets(app, image, None, python):
        with _known_image(target):
            judged, facts = smoking.smoke(target, engine, level=Level.QUICK, checks=checks)
        classics.show(show, judged, facts, console)
        smokes.append(judged)
    return ExitCode.OK if all(_held(one) for one in smokes) else worst(smokes).exit_code


def _held(smoke: Smoke) -> bool:
    """A classic that no contract speaks of has shown its fact: that is enough."""
    return not (smoke.counts[Status.FAIL] or smoke.counts[Status.ERROR])


CLASSIC_HELP = {key: HELP[key] for key in ("app", "image", "python")}


@command(help=CLASSIC_HELP)
def whoami(
    _context: invoke.Context, app: str | None = None, image: str | None = None, python: str | None = None
) -> ExitCode:
    """Print the user that an image runs as; judge it by the contract."""
    return _classic(app, image, python, ("identity/non-root", "identity/expected-user"), "whoami")


@command(help=CLASSIC_HELP)
def pip_list(
    _context: invoke.Context, app: str | None = None, image: str | None = None, python: str | None = None
) -> ExitCode:
    """Print the packages of the interpreter that the app runs on; judge them by the contract."""
    names = ("packages/evidence", "packages/forbidden", "packages/no-installers")
    return _classic(app, image, python, names, "pip-list")


@command(help=CLASSIC_HELP)
def size(
    _context: invoke.Context, app: str | None = None, image: str | None = None, python: str | None = None
) -> ExitCode:
    """Print an image's unpacked size, layer by layer; judge it by the contract."""
    return _classic(app, image, python, ("size/unpacked",), "size")
