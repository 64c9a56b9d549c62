"""smoke and its three classics: proves images against their contracts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import invoke

from seatrial.cli import command as errors
from seatrial.cli import output
from seatrial.cli.command import command
from seatrial.cli.output import chosen_severity, known_choice
from seatrial.errors import BuildError, ExitCode, ImageError, SeatrialError, SettingsError
from seatrial.trust import Trust

if TYPE_CHECKING:
    from seatrial.checks.model import Level, Severity
    from seatrial.checks.verdict import Smoke
    from seatrial.reports.write import Report
    from seatrial.smoke import Smoked, Target
    from seatrial.smoke.baseline import BaselineFile

ONE_IMAGE = {
    "app": "the app whose image to check; all apps without it",
    "image": "any image instead: a name, tag, id or digest",
    "python": "the app's image for this Python version, such as 3.13",
    "fail-on": "error, warning or note: the findings that fail it, those of this severity and above; by default the "
    "contract's `fail-on`, or error",
    **output.BASELINE,
}


@command(
    trusting=True,
    default=True,
    help={
        **ONE_IMAGE,
        "archive": "a saved image instead: a file of `docker save`, or an OCI layout as a file or folder; no engine is "
        "asked, and what needs a process of the image is not run",
        "platform": "of an archive for several platforms, which one: linux/arm64",
        "contract": "with --image or --archive: a TOML file with the keys of an app's contract table",
        "level": "quick (no start), standard (one real start, the default) or deep",
        "structure-test": "run this container-structure-test file (.yaml or .json) instead of the contract's checks; "
        "with --level besides them; repeatable",
        "stack": "bring the app up with its services, in its own compose project, and test it there; --level "
        "standard (the default) starts it once more among them, deep several times",
        "update-baseline": "write what is found now into the baseline: then only what is new, or has grown, fails",
        "all": "the app's image for every Python version that it declares",
        "format": "text, json, junit, sarif, codequality (GitLab), markdown or html; without it, by --output's file "
        "name extension, or text",
        "output": "write the report to this file instead of standard output",
        "also": "write this report too, its format by its extension: .json .xml .sarif .codequality.json .md .html "
        ".txt; repeatable",
        "verbose": "show every check in full, not only those that failed, were undecided or waived",
    },
    iterable=["also", "structure_test"],
)
def smoke(
    _context: invoke.Context,
    app: str | None = None,
    image: str | None = None,
    archive: str | None = None,
    platform: str | None = None,
    contract: str | None = None,
    python: str | None = None,
    all: bool = False,
    level: str | None = None,
    format: str | None = None,
    output: str | None = None,
    also: Sequence[str] | None = None,
    verbose: bool = False,
    structure_test: Sequence[str] | None = None,
    stack: bool = False,
    fail_on: str | None = None,
    baseline: str | None = None,
    update_baseline: bool = False,
    no_baseline: bool = False,
) -> ExitCode:
    """Prove images against their contracts: exit 0 all pass, 1 a check failed, 2 undecided."""
    from seatrial.checks.model import Level
    from seatrial.reports.write import planned

    chosen = Level(known_choice("--level", level or Level.STANDARD, tuple(Level)))
    severity = chosen_severity(fail_on)
    files = [Path(file) for file in structure_test or ()]
    reports = planned(format, output, also or ())
    if stack:
        others = {"--image": image, "--contract": contract, "--all": all, "--structure-test": files}
        if given := [option for option, value in others.items() if value]:
            raise SettingsError(f"{given[0]} does not go with --stack.", fix="Give one of them; or run smoke twice.")
    if platform is not None and archive is None:
        raise SettingsError("--platform goes with --archive.", fix="Leave it out: the engine has the image of one.")
    if archive is not None:
        others = {"--image": image, "--level": level, "--all": all, "--stack": stack, "--structure-test": files}
        if given := [option for option, value in others.items() if value]:
            raise SettingsError(f"{given[0]} does not go with --archive.", fix="An archive is read, and not started.")
    known = known_findings(None if app else image or archive, baseline, update=update_baseline, off=no_baseline)
    if archive is not None:
        target = _archive_target(app, archive, contract, python)
        smoked = _archive(judged_by([target], severity, known)[0], Path(archive), platform or "")
    elif stack:
        smoked = _stacks(app, python, chosen, severity, known)
    else:
        targets = judged_by(targets_of(app, image, contract, python, every=all), severity, known)
        smoked = _images(targets, None if files and level is None else chosen, files)
        if app is None and image is None and not files:
            smoked = smoked.joined(_images(judged_by(_of_services(), severity, known), Level.QUICK, ()))
    return finish(_recorded(smoked, known), reports, verbose=verbose)


def judged_by(targets: list[Target], fail_on: Severity | None, baseline: BaselineFile | None) -> list[Target]:
    """Return the targets with what the options say of their verdicts."""
    return [replace(target, baseline=baseline).failing_on(fail_on) for target in targets]


def _of_services() -> list[Target]:
    """Return the images that only compose files declare, as far as they are here and Python is in them.

    They are not started: nobody said what they need to start alone. A line tells which are left out, and why.
    """
    from seatrial.smoke import app_target, holds_python

    project, host = output.with_services(output.project()), output.host()
    found: dict[str, Target] = {}
    for name in project.of_services:
        try:
            target = app_target(project, name, host=host)
            why = "" if holds_python(target, output.engine()) else "there is no Python in its image."
        except (BuildError, ImageError, SettingsError) as error:
            why = str(error)
        if why:
            output.say(f"Not smoked: {name}, which only a compose file declares: {why}")
        else:
            found[name] = target
    if found:
        names = ", ".join(found)
        output.say(f"Not started, as only compose files declare them: {names}. `invoke smoke --app NAME` starts it.")
    return list(found.values())


def known_findings(
    image: str | None, name: str | None, *, update: bool = False, off: bool = False
) -> BaselineFile | None:
    """Return the baseline that the options name, or the project's; None where there is to be none."""
    from seatrial.smoke.baseline import NAME, open_baseline

    if off and (name or update):
        raise SettingsError("--no-baseline goes with no other option of a baseline.", fix="Give one of them.")
    if off or (image and name is None and not update):
        return None
    if image and name is None:
        raise SettingsError("an image has no baseline of its own.", fix="Name its file: --baseline FILE.")
    folder = output.project_folder()
    file = Path(name) if name else folder / NAME
    return open_baseline(file, trust=output.host().trust, folder=folder, required=bool(name), update=update)


def _recorded(smoked: Smoked, baseline: BaselineFile | None) -> Smoked:
    """Write the baseline, where it is updated; return the smokes, with why it was not written."""
    try:
        if baseline is not None:
            baseline.write(output.say)
    except SeatrialError as error:
        return replace(smoked, problems=(*smoked.problems, error))
    return smoked


def _preload() -> None:
    """Import what judges and reports while the containers run: a quick smoke takes 0.1 s less."""
    import_module("seatrial.checks.registry")
    import_module("seatrial.reports.write")


def _images(targets: Sequence[Target], level: Level | None, files: Sequence[Path]) -> Smoked:
    from seatrial.smoke import Smoked, StructureTests, smoke_images

    tests = None
    if not targets:
        return Smoked(smokes=())
    if files:
        from seatrial.structure.files import read_structure_file

        tests = StructureTests(
            files={file: read_structure_file(file) for file in files},
            # A file of a project that is not trusted is passed none of the host's variables.
            environment={} if output.host().trust is Trust.NONE else output.host().environment,
            folder=Path.cwd(),
        )
    engine = output.engine()
    if tests is not None:
        from seatrial.compose.guard import surroundings
        from seatrial.structure.plan import announced

        around = surroundings(output.project_folder(), engine, output.host())
        for line in announced(tests.files, tests.folder, around, output.host().trust):
            output.say(line)
    Thread(target=_preload, daemon=True).start()
    with output.status_line() as status:
        return smoke_images(targets, engine, level=level, tests=tests, say=status)


def _archive_target(app: str | None, archive: str, contract: str | None, python: str | None) -> Target:
    if app is None:
        return targets_of(None, archive, contract, python)[0]
    return replace(targets_of(app, None, contract, python)[0], reference=archive)


def _archive(target: Target, path: Path, platform: str) -> Smoked:
    from seatrial.smoke.archives import smoke_archive
    from seatrial.smoke.images import each

    with output.status_line() as status:
        made = partial(smoke_archive, target, path, platform, say=status)
        return each([(str(path), lambda: target.beside_baseline(made()[0]))])


def _stacks(
    app: str | None, python: str | None, level: Level, fail_on: Severity | None, baseline: BaselineFile | None
) -> Smoked:
    from seatrial.smoke.stacks import apps_with_stack_contract, require_started, smoke_stacks

    require_started(level)
    project = output.project()
    names = [app] if app else apps_with_stack_contract(project) or [output.app_with_stack(project, None)]
    engine = output.engine()
    with output.status_line() as status:
        return smoke_stacks(
            project,
            names,
            engine,
            output.host(),
            level=level,
            python=python,
            fail_on=fail_on,
            baseline=baseline,
            say=output.say,
            status=status,
        )


def finish(smoked: Smoked, reports: Sequence[Report], *, verbose: bool) -> ExitCode:
    """Write the reports of the smokes that finished, and show why others did not."""
    from seatrial.reports.ci import ACTIONS, workflow_commands
    from seatrial.reports.write import summarise, write

    environment = output.host().environment
    if smoked.smokes:
        write(smoked.smokes, reports, console=output.console, say=output.say, verbose=verbose)
        summarise(smoked.smokes, environment, say=output.say)
        if environment.get(ACTIONS):
            for line in workflow_commands(smoked.smokes, environment, output.project_folder()):
                # On standard error, which GitHub reads too: a report may go to standard output.
                output.say(line)
    for problem in smoked.problems:
        errors.show(problem)
    return smoked.exit_code


def targets_of(
    app: str | None, image: str | None, contract: str | None, python: str | None, *, every: bool = False
) -> list[Target]:
    """Return the images that the options name; raise SettingsError where they contradict each other."""
    from seatrial.smoke import app_target, image_target

    if image is not None:
        if app is not None or python is not None or every:
            raise SettingsError("--image names the image by itself.", fix="Leave --app, --python and --all out.")
        return [image_target(image, Path(contract) if contract else None, output.host().trust)]
    if contract is not None:
        raise SettingsError("--contract goes with --image.", fix="An app's contract is in its settings.")
    project, host = output.project(), output.host()
    if app is not None and app not in project.settings.apps:
        project = output.with_services(project)
    if python is not None and every:
        raise SettingsError("--python names one version, --all means every one.", fix="Give only one of them.")
    return [
        app_target(project, name, version, host=host)
        for name, settings in project.chosen(app).items()
        for version in ((settings.pythons or (None,)) if every else (python,))
    ]


def _classic(show: str, about: str, *names: str) -> invoke.Task[Any]:
    """Make a command that runs a few checks of level quick, and prints one fact as the well-known command prints it."""

    def classic(
        _context: invoke.Context,
        app: str | None = None,
        image: str | None = None,
        python: str | None = None,
        fail_on: str | None = None,
        baseline: str | None = None,
        no_baseline: bool = False,
    ) -> ExitCode:
        from seatrial.checks.model import Level
        from seatrial.checks.registry import CHECKS
        from seatrial.checks.verdict import decisive, worst
        from seatrial.reports.console import print_classic
        from seatrial.smoke import smoke as smoke_image

        known = known_findings(image, baseline, off=no_baseline)
        checks = tuple(check for check in CHECKS if check.id in names)
        severity = output.chosen_severity(fail_on)
        engine, console = output.engine(), output.console()
        smokes: list[Smoke] = []
        for target in targets_of(app, image, None, python):
            with target.build_named():
                # These checks need only the image.
                bare = replace(target, sources=None, baseline=known).failing_on(severity)
                judged, facts = smoke_image(bare, engine, level=Level.QUICK, checks=checks, imports=False)
                judged = bare.beside_baseline(judged)
            print_classic(show, judged, facts, console)
            smokes.append(judged)
        # Where nothing counts, as the contract asks for nothing and all checks are skipped, the fact was the point.
        bad = [smoke for smoke in smokes if decisive(smoke.checks, smoke.fail_on)]
        return worst(bad).exit_code if bad else ExitCode.OK

    classic.__name__, classic.__doc__ = show.replace("-", "_"), about
    return command(trusting=True, help=ONE_IMAGE)(classic)


whoami = _classic(
    "whoami",
    "Print the user that an image runs as; judge it by the contract.",
    *("identity/non-root", "identity/expected-user"),
)
pip_list = _classic(
    "pip-list",
    "Print the packages of the interpreter that the app runs on; judge them by the contract.",
    *("packages/evidence", "packages/forbidden", "packages/no-installers"),
)
size = _classic("size", "Print an image's unpacked size; judge it by the contract.", "size/unpacked")
