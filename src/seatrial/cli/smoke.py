"""smoke and its three classics."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.cli import output, reporting, smoke_stack
from seatrial.cli import output as surroundings
from seatrial.cli.errors import command
from seatrial.errors import ExitCode, ImageError, SettingsError
from seatrial.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import invoke

    from seatrial.checks.model import Level
    from seatrial.checks.verdict import Smoke
    from seatrial.engine.find import Engine
    from seatrial.smoke import Target
    from seatrial.structure.files import StructureFile


def tests_of(files: Sequence[str]) -> Mapping[Path, StructureFile]:
    """Return what structure test files say.

    Raises:
        SettingsError: one cannot be read, or says something wrong.

    """
    if not files:
        return {}
    from seatrial.structure.files import read_structure_file

    return {Path(file): read_structure_file(Path(file)) for file in files}


def proven(
    target: Target,
    engine: Engine,
    level: Level | None,
    tests: Mapping[Path, StructureFile],
    say: Callable[[str], None],
    meanwhile: Callable[[], None],
) -> Smoke:
    """Prove an image by its contract (not with level None), by structure tests (where there are any), or by both.

    `meanwhile` is called while containers run.

    Raises:
        ImageError: the engine has no such image.
        EngineError: it stopped answering.

    """
    from seatrial import smoke as smoking

    contracted = None if level is None else smoking.smoke(target, engine, level=level, say=say, meanwhile=meanwhile)[0]
    if contracted is not None and not tests:
        return contracted
    from seatrial.structure.run import joined, prove

    structure = prove(
        tests,
        target.reference,
        target.contract,
        engine,
        environment=output.host().environment,
        folder=Path.cwd(),
        say=say,
    )
    return structure if contracted is None else joined(contracted, structure)


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
        "level": "quick (no start), standard (one real start, the default) or deep",
        "structure-test": "run this container-structure-test file (.yaml or .json) instead of the contract's checks; "
        "with --level besides them; repeatable",
        "stack": "bring the app up with its services, in a compose project of its own, and try it so; --level "
        "standard (the default) starts it once more among them, deep several times",
        "all": "the app's image for every Python version that it declares",
        "format": "text, json, junit, sarif, markdown or html; without it, what --output's ending says, or text",
        "output": "write the report to this file instead of standard output",
        "also": "write this report too, its form by its ending: .json .xml .sarif .md .html .txt; repeatable",
        "verbose": "tell every check in full, not only what failed, was undecided or waived",
    },
    iterable=["also", "structure_test"],
)
def smoke(
    _context: invoke.Context,
    app: str | None = None,
    image: str | None = None,
    contract: str | None = None,
    python: str | None = None,
    all: bool = False,  # noqa: A002 - the option's name
    level: str | None = None,
    format: str | None = None,  # noqa: A002 - the option's name
    output: str | None = None,
    also: Sequence[str] | None = None,
    verbose: bool = False,
    structure_test: Sequence[str] | None = None,
    stack: bool = False,
) -> ExitCode:
    """Prove images against their contracts: exit 0 all pass, 1 a check failed, 2 undecided."""
    from seatrial.checks.model import Level
    from seatrial.checks.verdict import worst

    chosen = Level(_one_of("--level", level or Level.STANDARD, tuple(Level)))
    tests = tests_of(structure_test or ())
    checked = None if tests and level is None else chosen
    reports = reporting.planned(format, output, also or ())
    if stack:
        others = {"--image": image, "--contract": contract, "--all": all, "--structure-test": tests}
        return smoke_stack.smoke_stacks(app, python, reports, level=chosen, verbose=verbose, others=others)
    targets = _targets(app, image, contract, python, every=all)
    engine = surroundings.engine()
    smokes: list[Smoke] = []
    missing: list[ImageError] = []
    with surroundings.telling() as tell:
        for target in targets:
            try:
                with _known_image(target):
                    asked = (target, engine, checked, tests, _about(target, tell))
                    smokes.append(proven(*asked, meanwhile=lambda: reporting.load(reports)))
            except ImageError as error:
                missing.append(error)
    if smokes:
        reporting.write(smokes, reports, verbose=verbose)
        reporting.summarise(smokes, surroundings.host().environment)
    for one in missing if smokes else missing[1:]:
        surroundings.say(f"error: {one}")
    if not smokes:
        raise missing[0]
    # An image that was not there was not proven; one that failed still counts most.
    verdict = worst(smokes).exit_code
    return verdict or (ExitCode.UNDECIDED if missing else ExitCode.OK)


def _about(target: Target, tell: Callable[[str], None]) -> Callable[[str], None]:
    return lambda message: tell(f"{target.reference}: {message}")


def _targets(
    app: str | None, image: str | None, contract: str | None, python: str | None, *, every: bool = False
) -> list[Target]:
    from seatrial import smoke as smoking

    if image is not None:
        if app is not None or python is not None or every:
            raise SettingsError("--image names the image by itself.", fix="Leave --app, --python and --all out.")
        return [smoking.image_target(image, Path(contract) if contract else None)]
    if contract is not None:
        raise SettingsError("--contract goes with --image.", fix="An app's contract stands in pyproject.toml.")
    project = surroundings.project()
    host = surroundings.host()
    if python is not None and every:
        raise SettingsError("--python names one version, --all means every one.", fix="Give only one of them.")
    return [
        smoking.app_target(project, name, version, host=host)
        for name, one in project.chosen(app).items()
        for version in ((one.pythons or (None,)) if every else (python,))
    ]


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


def _classic(app: str | None, image: str | None, python: str | None, names: tuple[str, ...], show: str) -> ExitCode:
    """Run some checks of level quick alone, and show one fact readably."""
    import dataclasses

    from seatrial import smoke as smoking
    from seatrial.checks.model import Level
    from seatrial.checks.registry import CHECKS
    from seatrial.checks.verdict import worst
    from seatrial.reports import classics

    checks = tuple(check for check in CHECKS if check.id in names)
    engine = surroundings.engine()
    console = surroundings.screen()
    smokes: list[Smoke] = []
    for target in _targets(app, image, None, python):
        with _known_image(target):
            # These checks look at the image alone.
            bare = dataclasses.replace(target, sources=None)
            judged, facts = smoking.smoke(bare, engine, level=Level.QUICK, checks=checks, imports=False)
        classics.show(show, judged, facts, console)
        smokes.append(judged)
    return ExitCode.OK if all(_held(one) for one in smokes) else worst(smokes).exit_code


def _held(smoke: Smoke) -> bool:
    """A classic that no contract speaks of has shown its fact: that is enough."""
    from seatrial.checks.model import Status

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
