"""Builds and smokes what a project declares, and changes what is certain of the files that init has written."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial import scaffold
from seatrial.adopt.repair import repaired, repairs
from seatrial.cli import command as errors
from seatrial.cli import output
from seatrial.cli.build import build_apps
from seatrial.errors import EngineError, ExitCode, SeatrialError, StackLeftError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from seatrial.adopt.model import Understanding
    from seatrial.adopt.repair import Repair
    from seatrial.checks.model import Severity
    from seatrial.checks.verdict import Smoke
    from seatrial.engine.find import Engine
    from seatrial.images.plan import BuildPlan
    from seatrial.settings.read import Project
    from seatrial.smoke import Target

    Own = tuple[Understanding, Mapping[Path, bytes]]
    """What init understood, and the files that are as it wrote them."""

NOT_OWN = "The settings are not as init would write them"
ROUNDS = 3
"""How often files are changed."""


def prove_written(known: Own | None) -> ExitCode:
    """Prove what init has written, and say the result of each round; return the exit code of the last smoke."""
    if known is None:
        output.say(f"{NOT_OWN}: the apps are proved as they are, and nothing is changed.")
    rounds = count(1)

    def step(_: int, doing: str) -> None:
        if doing == "build":
            output.say(f"round {next(rounds)}: building and smoking")

    left = prove(Path.cwd(), lambda _: known, engine=output.engine(), step=step)
    for app, reason in left.reasons.items():
        output.say(f"{app}: left: {reason}")
    return left.exit_code


def prove(
    folder: Path,
    own: Callable[[Left], Own | None],
    *,
    engine: Engine,
    may_change: Callable[[str, Sequence[str]], str] = lambda *_: "",
    fail_on: Severity | None = None,
    step: Callable[[int, str], None] = lambda *_: None,
) -> Left:
    """Build every app of a project and smoke it; change what is certain, and begin again, a few times at most.

    Changed are the files of `own`, which init has written by what is understood, no others, and only where
    `may_change`, which gets their names and what is changed, returns no reason against it. What does not build after
    that is put back. Returns the apps that are left at the end.
    """
    before: dict[Path, bytes] = {}
    unbuilt: set[str] = set()
    known: Own | None = None
    for number in range(1, ROUNDS + 2):
        left = Left()
        smokes = build_and_smoke(output.project(), engine, left, fail_on, step)
        failed = {name for name, reason in left.reasons.items() if reason == NOT_BUILT}
        if before and failed - unbuilt:
            scaffold.write(before)
            output.say(f"put back, as it does not build with the last changes: {_names(before, folder)}")
            break
        unbuilt = failed
        known = known or own(left)
        if known is None:
            break
        understanding, written = known
        found = {smoke.app: repairs(smoke, understanding) for smoke in smokes}
        made = _changed(folder, understanding, found, written)
        if made is None or number > ROUNDS:
            _say(found, left=f"left, as the files were changed by hand or {ROUNDS} times here")
            break
        understanding, files = made
        says = [f"{name}: {repair.says}" for name, certain in found.items() for repair in certain if not repair.left]
        refused = may_change(_names(files, folder), says)
        _say(found, left=refused)
        if refused:
            break
        before = {file: written[file] for file in files}
        scaffold.write(files)
        output.say(f"changed: {_names(files, folder)}")
        known = understanding, {**written, **files}
    return left


NOT_BUILT = "it was not built"


def build_and_smoke(
    project: Project,
    engine: Engine,
    left: Left,
    fail_on: Severity | None,
    step: Callable[[int, str], None] = lambda *_: None,
) -> Sequence[Smoke]:
    """Build every app and smoke it; print the verdicts, and return the smokes. `step` announces each."""
    from seatrial.cli.smoke import judged_by, known_findings
    from seatrial.smoke import app_target

    host, known = output.host(), known_findings(None, None)
    apps = project.chosen(None)
    step(1, "build")
    targets: list[Target] = []
    for name in apps:
        # What the settings say of it has to hold before anything is built.
        with left.going_on(name, NOT_BUILT):
            targets += judged_by([app_target(project, name, host=host)], fail_on, known)
    build_apps(project, left.others(apps), engine, host, left.not_built)
    step(2, "smoke")
    return _smoke([target for target in targets if target.app not in left.reasons], engine, left)


class Left:
    """The apps that did not come through a step: the others go on."""

    def __init__(self) -> None:
        self.reasons: dict[str, str] = {}
        self.exit_code = ExitCode.OK

    def add(self, name: str, reason: str, code: ExitCode) -> None:
        """Leave an app, for a reason; of all exit codes a failure counts most."""
        self.reasons[name] = reason
        if self.exit_code is not ExitCode.FAILED:
            self.exit_code = code

    def others(self, names: Iterable[str]) -> list[str]:
        """Return those that are not left."""
        return [name for name in names if name not in self.reasons]

    def not_built(self, plan: BuildPlan, error: SeatrialError) -> None:
        """Leave an app whose build failed."""
        if isinstance(error, EngineError):
            raise error
        self.add(plan.app, NOT_BUILT, error.exit_code)

    @contextmanager
    def going_on(self, name: str, reason: str) -> Iterator[None]:
        """Show what keeps an app from coming through, and leave it. Nothing goes on without an engine.

        Raises:
            EngineError: the engine answers no more.
            StackLeftError: interrupted.
        """
        try:
            yield
        except (EngineError, StackLeftError):
            raise
        except SeatrialError as error:
            errors.show(error)
            self.add(name, reason, error.exit_code)


def _smoke(targets: Sequence[Target], engine: Engine, left: Left) -> Sequence[Smoke]:
    from seatrial.checks.model import Level
    from seatrial.reports.console import print_smoke_line
    from seatrial.smoke import smoke_images

    console, smoked = output.console(), smoke_images(targets, engine, level=Level.STANDARD)
    codes = {target.app or "": ExitCode.UNDECIDED for target in targets}
    for smoke in smoked.smokes:
        print_smoke_line(console, smoke)
        codes[smoke.app] = smoke.verdict.exit_code
    for problem in smoked.problems:
        errors.show(problem)
    for name, code in codes.items():
        if code:
            left.add(name, f"its image does not pass; in full: `invoke smoke --app {name}`", code)
    return smoked.smokes


def _changed(
    folder: Path, understanding: Understanding, found: Mapping[str, Sequence[Repair]], written: Mapping[Path, bytes]
) -> tuple[Understanding, dict[Path, bytes]] | None:
    """Return what is understood with what was found, and the files that say so; None where no file changes."""
    after = understanding
    for name, certain in found.items():
        after = repaired(after, name, certain)
    files = scaffold.changed(folder, understanding, after, written) if after != understanding else {}
    return (after, files) if files else None


def _say(found: Mapping[str, Sequence[Repair]], *, left: str) -> None:
    """Say what is changed, or why it is left."""
    for name, certain in found.items():
        for repair in certain:
            if repair.left:
                output.say(f"{name}: left: {repair.value}: {repair.left}")
            else:
                output.say(f"{name}: {f'{left}: ' if left else ''}{repair.says}")


def _names(files: Iterable[Path], folder: Path) -> str:
    return ", ".join(str(file.relative_to(folder)) for file in files)
