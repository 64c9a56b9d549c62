"""init: declares a project's apps."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import invoke

from seatrial.cli import output
from seatrial.cli.command import command
from seatrial.errors import ExitCode, SettingsError
from seatrial.text import counted

if TYPE_CHECKING:
    from seatrial.adopt.model import Understanding, Unknown

MOST_NOTES = 12
WRITING = "writing"
FOR_APP = re.compile(r"([A-Za-z0-9][\w.-]*)=")
"""How an answer begins that is for one of several apps."""
OF_APP = "; of several apps, APP=VALUE"


@command(
    help={
        "name": f"what an app is called{OF_APP}",
        "module": f"what an app serves, such as shop.main:app{OF_APP}",
        "command": f"what an app without a Dockerfile starts with, as a shell would read it{OF_APP}",
        "server": f"what serves an app whose dependencies have no server: gunicorn, uvicorn and others{OF_APP}",
        "port": f"the port that an app without a Dockerfile listens on{OF_APP}",
        "context": f"the folder that an app is built from{OF_APP}",
        "build-argument": "a build argument of all apps, NAME=VALUE; may be given more than once",
        "ci": "github or gitlab: also write a workflow that builds and smokes each app; --force replaces only that",
        "force": "change files that exist: settings are proposed anew",
        "prove": "then build and smoke each app, change what is certain in the files just written, and smoke again; "
        "the exit code is that of the last smoke",
        "dry-run": "print what is understood of the project and what would be written, and write nothing",
        "format": "of what --dry-run prints: text or json",
    },
    iterable=["name", "module", "command", "server", "port", "context", "build_argument"],
)
def init(
    _context: invoke.Context,
    name: Sequence[str] | None = None,
    module: Sequence[str] | None = None,
    command: Sequence[str] | None = None,
    server: Sequence[str] | None = None,
    port: Sequence[str] | None = None,
    context: Sequence[str] | None = None,
    build_argument: Sequence[str] | None = None,
    ci: str | None = None,
    force: bool = False,
    prove: bool = False,
    dry_run: bool = False,
    format: str = "text",
) -> ExitCode:
    """Declare the project's Dockerfiles as apps in a seatrial.toml, and make a tasks.py."""
    from seatrial import scaffold
    from seatrial.adopt.proposal import ARGUMENT, COMMAND, CONTEXT, MODULE, NAME, PORT, SERVER, answered
    from seatrial.adopt.understand import understand

    as_json = output.wants_json(format)
    system = None if ci is None else _known_system(ci)
    if as_json and not dry_run:
        raise SettingsError("--format json is for --dry-run.", fix="Add --dry-run, or leave --format out.")
    if prove and dry_run:
        raise SettingsError("--prove builds what is written, and --dry-run writes nothing.", fix="Give one of them.")
    answers = dict(
        _answers({NAME: name, MODULE: module, COMMAND: command, SERVER: server, PORT: port, CONTEXT: context})
    )
    answers |= {(f"{ARGUMENT} {key}", ""): value for key, value in map(_assignment, build_argument or ())}

    seen: list[Understanding] = []

    def understood() -> Understanding:
        found = answered(understand(Path.cwd()), answers)
        seen.append(answered(found, _asked(found.unknown)))
        return seen[-1]

    if dry_run:
        _print_dry_run(answered(understand(Path.cwd()), answers), as_json=as_json, force=force)
        if system and not as_json:
            _write_workflow(system, force=force, dry_run=True)
        return ExitCode.OK
    plan = scaffold.plan(Path.cwd(), understood, anew=force and system is None)
    _print_plan(plan, WRITING)
    for each in seen:
        _say_what_is_open(each)
    _require_consent([file for file in plan if file.is_file()], force=force)
    scaffold.write(plan)
    if plan:
        _say_what_is_next(prove=prove)
    if system:
        _write_workflow(system, force=force, dry_run=False)
    if not prove:
        return ExitCode.OK
    from seatrial.cli.prove import prove_written as proved

    # What is declared already may be as an init before this one wrote it.
    before = scaffold.still_own(Path.cwd(), lambda files: answered(understand(Path.cwd(), files), answers))
    return proved((seen[-1], plan) if seen else before)


def _known_system(ci: str) -> str:
    """Return the CI system that --ci names, whose workflow can be written here."""
    from seatrial import scaffold
    from seatrial.workflows import FILES

    system = output.known_choice("--ci", ci, tuple(FILES))
    scaffold.require_writable(Path.cwd() / FILES[system], Path.cwd())
    return system


def _say_what_is_next(*, prove: bool) -> None:
    """See that the settings can be read as they were written, and say how to go on."""
    output.project()
    if not prove:
        print("next: `seatrial build`, then `seatrial smoke`; or `seatrial init --prove`, which fixes what is certain")


def _write_workflow(system: str, *, force: bool, dry_run: bool) -> None:
    """Print a CI system's workflow, and write it; one that exists is left unless that is wanted."""
    from seatrial import scaffold
    from seatrial.filesystem import replace
    from seatrial.workflows import FILES, workflow

    project = output.project_if_any()
    if dry_run and not (project and project.settings.apps):
        print(f"would write {FILES[system]}, once the apps are declared")
        return
    file = output.project_folder() / FILES[system]
    plan = {file: workflow(system, project or output.project()).encode()}
    scaffold.require_writable(file, output.project_folder())
    if file.is_file() and file.read_bytes() == plan[file]:
        print(f"nothing to do: {file} is as it would be written")
        return
    _print_files(plan, "would write" if dry_run else WRITING)
    if dry_run:
        return
    _require_consent([file for file in plan if file.is_file()], force=force)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        replace(file, plan[file])
    except OSError as error:
        raise SettingsError(f"cannot be written: {error.strerror}.", where=str(file)) from error


def _answers(given: Mapping[str, Sequence[str] | None]) -> Sequence[tuple[tuple[str, str], str]]:
    """Return the answers that options give, by option and app."""
    pairs = [(option, FOR_APP.match(text), text) for option, texts in given.items() for text in texts or ()]
    return [((option, app[1] if app else ""), text[app.end() :] if app else text) for option, app, text in pairs]


def _assignment(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (equals and re.fullmatch(r"[A-Za-z_]\w*", key)):
        raise SettingsError(f"--build-argument {text!r} is not an argument.", fix="Give it as NAME=VALUE.")
    return key, value


def _asked(unknown: Sequence[Unknown]) -> dict[tuple[str, str], str]:
    """Ask on a terminal for what is not known; an empty answer takes the default."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return {}
    answers: dict[tuple[str, str], str] = {}
    for each in unknown:
        if each.ask and (each.ask, each.app) not in answers:
            default = f" [{each.default}]" if each.default else ""
            answer = output.answer(f"{each.what} ({each.where}: {each.why}){default}: ") or each.default
            if answer:
                answers[each.ask, each.app] = answer
    return answers


def _say_what_is_open(understanding: Understanding) -> None:
    for note in understanding.notes[:MOST_NOTES]:
        output.say(f"note: {note.where}: {note.what}")
    for each in understanding.unknown:
        if each.ask:
            output.say(f"not known: {each.what}, {each.where}: {each.why}; {each.ask} says it")


def _require_consent(files: Sequence[Path], *, force: bool) -> None:
    """Ask whether files that exist may be changed; without a terminal, --force says so."""
    if not files or force:
        return
    names = " and ".join(file.name for file in files)
    ask = output.terminal_prompt()
    if ask is None or not ask(f"Change {names} so?"):
        raise SettingsError(f"{names} exists, and is left as it is.", fix="Give --force to have it changed so.")


def _print_files(plan: Mapping[Path, bytes], doing: str) -> None:
    for file, content in plan.items():
        text = content.decode()
        if file.is_file():
            before = file.read_bytes().decode("utf-8", errors="replace")
            lines = difflib.unified_diff(before.splitlines(), text.splitlines(), file.name, file.name, lineterm="")
            print(f"{doing} {file}, which exists:")
        elif doing == WRITING and file.suffix != ".toml":
            # What is in it can be read there.
            print(f"{doing} {file}, {counted(len(text.splitlines()), 'line')}")
            continue
        else:
            lines = iter(text.strip().splitlines())
            print(f"{doing} {file}:")
        print("".join(f"    {line}\n" for line in lines))


def _print_plan(plan: Mapping[Path, bytes], doing: str) -> None:
    _print_files(plan, doing)
    if not plan:
        print("nothing to do: the project declares its apps already")
    tasks = Path("tasks.py")
    if tasks not in plan and tasks.is_file() and b"seatrial" not in tasks.read_bytes():
        print("tasks.py exists: add `from seatrial.tasks import ns` to it, and `invoke build` is `seatrial build`")


def _print_dry_run(understanding: Understanding, *, as_json: bool, force: bool) -> None:
    """Print what is understood of the current folder, and what would be written, where that is known."""
    from seatrial import scaffold
    from seatrial.reports.understanding import print_understanding, understanding_document

    if not as_json:
        print_understanding(output.console(), understanding)
        _print_plan(scaffold.plan(Path.cwd(), lambda: understanding, anew=force), "would write")
        return
    try:
        plan = scaffold.plan(Path.cwd(), lambda: understanding, anew=force)
    except SettingsError:
        plan = {}
    print(understanding_document(understanding, {file: text.decode() for file, text in plan.items()}), end="")
