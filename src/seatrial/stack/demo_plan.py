"""What a demo is: an app beside a service that speaks for all that it calls.

An app has a demo when a service of its compose file is in the profile `demo` and its label `seatrial.demo.ask` holds a
command. Run in that service, with the question as its last word, the command prints the app's answer. Where a
`demo.env` stands beside the compose file, compose reads it in place of `.env`.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from seatrial.compose import runner
from seatrial.compose.services import Stack, identify
from seatrial.compose.text import ComposeText, read_text
from seatrial.errors import SettingsError, StackError
from seatrial.settings.read import TABLE
from seatrial.stack.plan import StackPlan, compose_file, read_services

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from seatrial.engine.find import Engine
    from seatrial.host import Host
    from seatrial.settings.read import Project

PROFILE = "demo"
LABEL = "seatrial.demo.ask"
ENV_FILE = "demo.env"
LONGEST_QUESTION = 4096
"""Characters: what Telegram takes, and more than a person types."""


@dataclass(frozen=True, kw_only=True)
class DemoPlan:
    """What a demo is going to bring up, and how it is asked."""

    up: StackPlan
    service: str
    """The service that is asked."""
    words: tuple[str, ...]
    """The command that asks it."""


def choose(project: Project, name: str | None) -> str:
    """Return the app whose demo is meant: the named one, or the only one that has a demo.

    Raises:
        SettingsError: no app has that name; or none was named, and not just one has a demo.

    """
    if name is not None:
        project.app(name)
        return name
    found = [
        key for key, app in project.settings.apps.items() if app.compose and _mentioned(project.folder, app.compose)
    ]
    if len(found) == 1:
        return found[0]
    raise SettingsError(
        "which app?" if found else "no app has a demo.",
        where=f"{project.file.name} [{TABLE}.apps]",
        fix=f"Say --app with one of: {', '.join(sorted(found))}." if found else _how(),
    )


def checked(question: str) -> str:
    """Return a question that can be asked, without the white space around it.

    Raises:
        SettingsError: it is empty, too long, or no text.

    """
    asked = question.strip()
    try:
        asked.encode()
    except UnicodeEncodeError:
        raise SettingsError("the question is no text in UTF-8.", fix="Write it in your terminal's letters.") from None
    if not asked:
        raise SettingsError("the question is empty.", fix="Ask something: `invoke demo 'What to wear in Kyiv?'`.")
    if len(asked) > LONGEST_QUESTION:
        raise SettingsError(
            f"the question has {len(asked)} characters, more than {LONGEST_QUESTION}.", fix="Ask a shorter one."
        )
    return asked


def plan_demo(project: Project, name: str, *, engine: Engine, host: Host) -> DemoPlan:
    """Return what a demo is going to bring up; nothing is started.

    Raises:
        SettingsError: no app has that name.
        StackError: it has no compose file, or no demo, or compose refuses the file.
        EngineError: compose is not installed, or too old.

    """
    file = compose_file(project, name)
    stack = stack_of(project, name, file)
    program = runner.find(stack, file, engine=engine, host=host)
    try:
        document, notes = program.model()
    except StackError:
        # What an app without a demo wants to come up is beside the point.
        if mentions(file):
            raise
        raise _none(name, file) from None
    service, words = asking(document, name, file)
    env_file = file.parent / ENV_FILE
    return DemoPlan(
        up=StackPlan(
            stack=stack,
            file=file,
            env_file=env_file if env_file.is_file() else None,
            services=read_services(document),
            own_images={app.image or key: key for key, app in project.settings.apps.items()},
            notes=notes,
        ),
        service=service,
        words=words,
    )


def stack_of(project: Project, name: str, file: Path) -> Stack:
    """Return the demo's stack: under a name of its own, so that a stack of the app that is up stays as it is."""
    stack = identify(project, name)
    readable, _, digest = stack.compose_project.rpartition("-")
    options = ["--profile", PROFILE]
    if (file.parent / ENV_FILE).is_file():
        options += ["--env-file", str(file.parent / ENV_FILE)]
    return replace(stack, compose_project=f"{readable}-{PROFILE}-{digest}", options=tuple(options))


def asking(document: Mapping[str, Any], name: str, file: Path) -> tuple[str, tuple[str, ...]]:
    """Return the service that is asked, and the command that asks it."""
    for service, table in sorted((document.get("services") or {}).items()):
        command = (table.get("labels") or {}).get(LABEL)
        if command is None or PROFILE not in (table.get("profiles") or ()):
            continue
        try:
            words = tuple(shlex.split(str(command)))
        except ValueError as error:
            raise _bad_label(service, file, f"is no command: {error}") from error
        if not words:
            raise _bad_label(service, file, "is empty")
        return service, words
    raise _none(name, file)


def _bad_label(service: str, file: Path, wrong: str) -> StackError:
    return StackError(
        f"the label {LABEL} of the service {service!r} {wrong}.",
        where=str(file),
        fix=f"Write the command that takes a question: `{LABEL}: python -m demo ask`.",
    )


def _none(name: str, file: Path) -> StackError:
    return StackError(f"{name} has no demo.", where=str(file), fix=_how())


def _how() -> str:
    return f"Give its compose file a service in the profile `{PROFILE}` with the label `{LABEL}`."


def _mentioned(folder: Path, named: str) -> bool:
    try:
        return mentions((folder / named).resolve())
    except OSError:
        return False


def mentions(file: Path) -> bool:
    """Tell whether a compose file's own text puts a service into the profile."""
    text = read_text(file.read_bytes())
    if not isinstance(text, ComposeText):
        return True  # It is no YAML: what compose says of it is what matters.
    return any(one.where.endswith(".profiles") and one.text == PROFILE for one in text.values)
