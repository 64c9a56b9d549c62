"""What structure tests reach beyond their project: as with a compose file, refused or announced before they run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from seatrial.compose.reach import Grade, Surroundings, path_reach
from seatrial.errors import SettingsError
from seatrial.structure.files import RunOptions, StructureFile
from seatrial.trust import Trust


def announced(files: Mapping[Path, StructureFile], folder: Path, around: Surroundings, trust: Trust) -> tuple[str, ...]:
    """Return what the commands of files reach of the host, a line each; `folder` is where their paths begin.

    Raises:
        SettingsError: the project is not trusted, and they reach beyond it: all of that is named.
    """
    found = [
        (f"{file}:{said.container_run_options.line}", what, grade)
        for file, said in files.items()
        for what, grade in _reaches(said.container_run_options, folder, around)
    ]
    if found and trust is Trust.NONE:
        (where, what, _), several = found[0], len(found) > 1
        raise SettingsError(
            f"{what}: refused, as the project is not trusted{f' ({len(found)} places, all below)' if several else ''}.",
            where=where,
            fix="Take it out; or, if you trust this project, give --trust project.",
            detail="\n".join(f"{place}: {each}" for place, each, _ in found) if several else "",
        )
    return tuple(f"{where}: {what}." for where, what, grade in found if grade is not Grade.OUTSIDE)


def _reaches(options: RunOptions, folder: Path, around: Surroundings) -> Iterator[tuple[str, Grade]]:
    if options.privileged:
        yield "its commands are privileged: they have the host's devices", Grade.ROOT
    for bind in options.bind_mounts:
        source, _, flags = bind.partition(":")
        if not source.startswith("/"):
            yield f"its commands get the volume {source} of the engine", Grade.HOST
            continue
        read_only = "ro" in flags.partition(":")[2].split(",")
        if (seen := path_reach(source, around, read_only=read_only)) is not None:
            yield f"its commands get {seen[0]}{'' if read_only else ', writable'}", seen[1]
    if options.env_file and (seen := path_reach(str(folder / options.env_file), around, read_only=True)) is not None:
        yield f"its commands get the env file {seen[0]}", seen[1]
