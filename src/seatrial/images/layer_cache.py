"""The layers of a build in a folder, for the next build on another machine: BuildKit's cache of the type `local`."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.errors import BuildError, SettingsError

if TYPE_CHECKING:
    from seatrial.engine.programs import Builder
    from seatrial.images.plan import BuildPlan


def cached_in(folder: str, plan: BuildPlan, builder: Builder | None) -> BuildPlan:
    """Return a build that keeps its layers in a folder of its own below `folder`.

    Raises:
        SettingsError: the engine's own builder is to build, which keeps no layers in folders, or the path has a comma.
    """
    if builder is None:
        raise SettingsError(
            "--cache needs another builder than the engine's own, which keeps its layers to itself.",
            fix="Make one: `docker buildx create --name ci --driver docker-container`; then give --builder ci.",
        )
    if "," in folder:
        raise SettingsError(f"--cache {folder!r}: a comma ends the path for buildx.", fix="Give it another name.")
    return replace(plan, cache=Path(folder).absolute() / "-".join(filter(None, (plan.app, plan.python, plan.target))))


def arguments(kept: Path, made: Path) -> list[str]:
    """Return buildx's arguments: layers come from `kept`, where there are any, and those of this build go to `made`."""
    known = [f"--cache-from=type=local,src={kept}"] if (kept / "index.json").is_file() else []
    return [*known, f"--cache-to=type=local,dest={made},mode=max"]


def keep(made: Path, kept: Path) -> None:
    """Put the layers of a build that ended in the place of older ones: what no build needs any more is gone.

    Raises:
        BuildError: the folder cannot be written.
    """
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(kept, ignore_errors=True)
        shutil.move(made, kept)
    except OSError as error:
        raise BuildError(f"the layers cannot be kept: {error.strerror}.", where=str(kept)) from error
