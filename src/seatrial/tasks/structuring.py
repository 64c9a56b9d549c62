"""What `invoke smoke --structure-test` adds to a smoke."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.tasks import surroundings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from seatrial.checks.model import Level
    from seatrial.checks.verdict import Smoke
    from seatrial.engine.find import Engine
    from seatrial.smoke import Target
    from seatrial.structure.model import StructureFile


def tests_of(files: Sequence[str]) -> Mapping[Path, StructureFile]:
    """Return what structure test files say.

    Raises:
        SettingsError: one cannot be read, or says something wrong.

    """
    if not files:
        return {}
    from seatrial.structure.prove import read_files

    return read_files([Path(file) for file in files])


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
    from seatrial.structure.prove import joined, prove

    structure = prove(
        tests,
        target.reference,
        target.contract,
        engine,
        environment=surroundings.host().environment,
        folder=Path.cwd(),
        say=say,
    )
    return structure if contracted is None else joined(contracted, structure)
