"""init --prove: builds and smokes what init has written, and changes of it what is certain."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from seatrial import scaffold
from seatrial.adopt.repair import repaired, repairs
from seatrial.cli import output
from seatrial.cli.onboard import NOT_BUILT, Left, build_and_smoke
from seatrial.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from seatrial.adopt.model import Understanding
    from seatrial.adopt.repair import Repair

ROUNDS = 3
"""How often files are changed."""


def prove(understanding: Understanding | None, written: Mapping[Path, bytes]) -> ExitCode:
    """Build every app and smoke it; change what is certain, and begin again, a few times at most.

    Changed are the files that init has written by what is understood, no others. What does not build after that is put
    back. Returns the exit code of the last smoke.
    """
    engine, folder = output.engine(), Path.cwd()
    before: dict[Path, bytes] = {}
    unbuilt: set[str] = set()
    if understanding is None:
        output.say(
            "The settings are not as init would write them: the apps are proved as they are, and nothing is changed."
        )
    for number in range(1, ROUNDS + 2):
        left = Left()
        output.say(f"round {number}: building and smoking")
        smokes = build_and_smoke(output.project(), engine, left, None)
        failed = {name for name, reason in left.reasons.items() if reason == NOT_BUILT}
        if before and failed - unbuilt:
            scaffold.write(before)
            output.say(f"put back, as it does not build with the last changes: {_names(before)}")
            break
        unbuilt = failed
        found = {smoke.app: repairs(smoke, understanding) for smoke in smokes} if understanding is not None else {}
        made = _changed(folder, understanding, found, written) if understanding is not None else None
        _say(found, changing=made is not None and number <= ROUNDS)
        if made is None or number > ROUNDS:
            break
        understanding, files = made
        before = {file: written[file] for file in files}
        scaffold.write(files)
        output.say(f"changed: {_names(files)}")
        written = {**written, **files}
    for name, reason in left.reasons.items():
        output.say(f"{name}: left: {reason}")
    return left.exit_code


def _changed(
    folder: Path, understanding: Understanding, found: Mapping[str, Sequence[Repair]], written: Mapping[Path, bytes]
) -> tuple[Understanding, dict[Path, bytes]] | None:
    """Return what is understood with what was found, and the files that say so; None where no file changes."""
    after = understanding
    for name, certain in found.items():
        after = repaired(after, name, certain)
    files = scaffold.changed(folder, understanding, after, written) if after != understanding else {}
    return (after, files) if files else None


def _say(found: Mapping[str, Sequence[Repair]], *, changing: bool) -> None:
    for name, certain in found.items():
        for repair in certain:
            if repair.left:
                output.say(f"{name}: left: {repair.value}: {repair.left}")
            elif changing:
                output.say(f"{name}: {repair.says}")
            else:
                output.say(f"{name}: left, as the files were changed by hand or {ROUNDS} times here: {repair.says}")


def _names(files: Mapping[Path, bytes]) -> str:
    return ", ".join(str(file.relative_to(Path.cwd())) for file in files)
