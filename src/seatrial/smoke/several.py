"""The smoke of several images, one after the other: a problem with one of them keeps the reports of the others."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from seatrial.checks.verdict import Smoke, worst
from seatrial.errors import EngineError, ExitCode, SeatrialError, StackLeftError
from seatrial.smoke.image import smoke

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from seatrial.checks.model import Level
    from seatrial.engine.find import Engine
    from seatrial.smoke.target import Target
    from seatrial.structure.files import StructureFile


@dataclass(frozen=True, kw_only=True)
class Smoked:
    """The result of several smokes."""

    smokes: tuple[Smoke, ...]
    """Those that finished."""
    problems: tuple[SeatrialError, ...] = ()
    """Why the others did not."""

    @property
    def exit_code(self) -> ExitCode:
        """The worst verdict's; where all pass, a smoke that did not finish is undecided. Ctrl-C counts most."""
        codes = [problem.exit_code for problem in self.problems]
        if ExitCode.INTERRUPTED in codes:
            return ExitCode.INTERRUPTED
        if codes and not self.smokes:
            return codes[0]
        return worst(self.smokes).exit_code or (ExitCode.UNDECIDED if codes else ExitCode.OK)


@dataclass(frozen=True, kw_only=True)
class StructureTests:
    """container-structure-test files to run."""

    files: Mapping[Path, StructureFile]
    environment: Mapping[str, str]
    """The variables that their commands may be given."""
    folder: Path
    """Where relative paths in them begin."""


def each(smokes: Sequence[tuple[str, Callable[[], Smoke]]]) -> Smoked:
    """Run smokes, each with a name for messages, one after the other.

    A `SeatrialError` is kept, and the next one is tried. None is after an `EngineError` or an interrupt.
    """
    finished: list[Smoke] = []
    problems: list[SeatrialError] = []
    for number, (_, run) in enumerate(smokes, 1):
        try:
            finished.append(run())
        except (EngineError, StackLeftError) as error:
            problems.append(error)
            if left := [name for name, _ in smokes[number:]]:
                problems.append(EngineError(f"not smoked after that: {', '.join(left)}."))
            break
        except SeatrialError as error:
            problems.append(error)
    return Smoked(smokes=tuple(finished), problems=tuple(problems))


def smoke_images(
    targets: Iterable[Target],
    engine: Engine,
    *,
    level: Level | None,
    tests: StructureTests | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Smoked:
    """Smoke images by their contracts, by structure tests, or by both.

    Args:
        targets: the images.
        engine: where they are.
        level: how much to do for the contract; None: its checks are left out.
        tests: structure tests to run, too.
        say: told what is in progress.

    """

    def run(target: Target) -> Smoke:
        with target.build_named():
            return _smoke(target, engine, level, tests, lambda step: say(f"{target.reference}: {step}"))

    return each([(target.reference, partial(run, target)) for target in targets])


def _smoke(
    target: Target, engine: Engine, level: Level | None, tests: StructureTests | None, say: Callable[[str], None]
) -> Smoke:
    contracted = None if level is None else smoke(target, engine, level=level, say=say)[0]
    if contracted is not None and tests is None:
        return contracted
    if tests is None:
        raise ValueError("neither a level nor structure tests")
    from seatrial.structure.run import joined, prove

    structure = prove(
        tests.files,
        target.reference,
        target.contract,
        engine,
        environment=tests.environment,
        folder=tests.folder,
        say=say,
    )
    return structure if contracted is None else joined(contracted, structure)
