"""What is understood of a project, as a table for a person and as JSON: what, its value, where it stands, how sure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from rich.table import Table
from rich.text import Text

from seatrial.adopt.model import Found, Sure
from seatrial.reports.json import SCHEMA, dumped
from seatrial.text import counted, plain_line

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from seatrial.adopt.model import App, Project, Stack, Understanding, Variable

MOST_STARTS = 4
MOST_VARIABLES = 16
MOST_NOTES = 12
STYLES = {Sure.STATED: "green", Sure.INFERRED: "", Sure.GUESSED: "yellow"}
NOT_KNOWN = "not known"


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    what: str
    value: str
    where: str = ""
    sure: str = ""
    why: str = ""


def understanding_document(understanding: Understanding, written: Mapping[Path, str]) -> str:
    """Return the JSON document; `written` is what init would write, by file."""
    files = {str(file): text for file, text in written.items()}
    document: dict[str, Any] = {"schema": SCHEMA, **msgspec.to_builtins(understanding), "writes": files}
    return dumped(document)


def print_understanding(console: Console, understanding: Understanding) -> None:
    """Print the tables: the whole, each image with its project, what is not known, notes."""
    for title, rows in sections(understanding):
        table = Table(box=None, pad_edge=False, header_style="bold", title=Text(title, "bold"), title_justify="left")
        for heading in ("", "value", "where", "how sure"):
            table.add_column(heading, overflow="fold")
        for row in rows:
            sure = f"{row.sure}: {row.why}" if row.why and row.sure else row.sure or row.why
            style = "red" if row.sure == NOT_KNOWN else STYLES.get(row.sure, "")  # type: ignore[call-overload]
            cells = (row.what, row.value, row.where, sure)
            table.add_row(*(Text(plain_line(cell), style if number == 3 else "") for number, cell in enumerate(cells)))  # noqa: PLR2004 - how sure
        console.print(table)
        console.print()


def sections(understanding: Understanding) -> Iterator[tuple[str, list[Row]]]:
    """Yield the tables, each with its title."""
    name = understanding.name
    yield (
        f"{name.value}: {counted(understanding.files, 'file')} searched",
        [
            _row("name", name),
            *(row for stack in understanding.stacks if not stack.aside for row in _stack(stack)),
            *(
                Row(
                    "Dockerfile",
                    dockerfile.file + (f" ({', '.join(dockerfile.targets)})" if dockerfile.targets else ""),
                    dockerfile.file,
                    Sure.STATED,
                    "" if dockerfile.python else "no Python in it",
                )
                for dockerfile in understanding.dockerfiles
                if not dockerfile.aside
            ),
        ],
    )
    by_folder = {project.folder: project for project in understanding.projects}
    shown: set[str] = set()
    for app in understanding.apps:
        project = by_folder.get(app.project) if app.python else None
        rows = list(_app(app))
        if project is not None and project.folder not in shown:
            shown.add(project.folder)
            rows += _project(project)
        yield f"image {app.name.value}", rows
    for project in understanding.projects:
        if project.folder not in shown:
            yield (
                f"Python project {project.folder or '.'}, of which no image is made",
                list(_project(project, short=True)),
            )
    unknown = [
        Row(each.what, f"say it with {each.ask}" if each.ask else "", each.where, NOT_KNOWN, each.why)
        for each in understanding.unknown
    ]
    if unknown:
        yield "not known", unknown
    notes = [Row("note", note.what, note.where) for note in understanding.notes[:MOST_NOTES]]
    if more := len(understanding.notes) - len(notes):
        notes.append(Row("", f"and {more} more: --format json"))
    if notes:
        yield "notes", notes


def _row(what: str, found: Found[Any], value: str | None = None) -> Row:
    return Row(what, str(found.value) if value is None else value, found.where, found.sure, found.why)


def _stack(stack: Stack) -> Iterator[Row]:
    built = ", ".join(service.name for service in stack.built)
    others = ", ".join(
        f"{service.name} ({service.image})" for service in stack.services if service.image and not service.built
    )
    says = "; ".join(filter(None, (f"builds {built}" if built else "", f"runs {others}" if others else "")))
    why = f"it adds to {stack.over}" if stack.over else ""
    yield Row(
        "compose file",
        f"{' + '.join(stack.files)}: {says or 'no service with an image'}",
        stack.files[0],
        Sure.STATED,
        why,
    )


def _app(app: App) -> Iterator[Row]:
    yield _row("name", app.name)
    yield _row("build context", app.context)
    if app.dockerfile is None:
        yield Row("Dockerfile", "none: one has to be written", app.context.where, Sure.INFERRED)
    else:
        yield _row("Dockerfile", app.dockerfile)
    if app.target:
        yield Row("target", app.target, app.context.where, Sure.STATED)
    if app.arguments:
        yield Row("build arguments", ", ".join(app.arguments), app.context.where, Sure.STATED)
    if app.compose:
        yield Row("compose file", f"{app.compose[0]}: {', '.join(app.services)}", app.compose[0], Sure.STATED)


def _project(project: Project, *, short: bool = False) -> Iterator[Row]:
    for what, found in (
        ("installer", project.installer),
        ("lock", project.lock),
        ("Python", project.python),
        ("layout", project.layout),
    ):
        if found is not None:
            yield _row(what, found)
    yield from _each("package", project.packages[:8])
    yield from _each("workspace member", project.members)
    for requirements in project.requirements:
        each = requirements.value
        says = (
            "pinned" if each.pinned else "not pinned",
            "hashes" if each.hashed else "",
            "for development" if each.development else "",
        )
        yield _row("requirements", requirements, f"{each.file} ({', '.join(filter(None, says))})")
    for number, start in enumerate(project.starts[:MOST_STARTS]):
        yield _row("starts with" if number == 0 else "or with", start, _start(start))
    if len(project.starts) > MOST_STARTS:
        yield Row("", f"and {len(project.starts) - MOST_STARTS} more: --format json")
    if short:
        return
    for what, single in (("port", project.port), ("health route", project.health)):
        if single is not None:
            yield _row(what, single)
    yield from _variables(project.variables)
    yield from _each("service", project.services)
    yield from _each("migrations", project.migrations)
    yield from _each("data", project.data)
    yield from _each("program", project.programs)
    yield from _each("system package", project.libraries)


def _each(what: str, found: Iterable[Found[str]]) -> Iterator[Row]:
    for each in found:
        yield _row(what, each)


def _start(found: Found[Any]) -> str:
    start = found.value
    command = shlex.join(start.command)
    kind = " ".join(filter(None, (start.framework, start.kind)))
    says = f"{kind}: {start.reference}" if start.reference else kind
    return f"{says} by `{command}`" if command else f"{says}, {NOT_KNOWN} by which server"


def _variables(variables: tuple[Found[Variable], ...]) -> Iterator[Row]:
    for found in variables[:MOST_VARIABLES]:
        variable = found.value
        says = "required" if variable.required else f"default {variable.default}" if variable.default else ""
        says = says or ("" if variable.read else "not seen in the code")
        yield _row("variable", found, f"{variable.name} ({says})" if says else variable.name)
    if len(variables) > MOST_VARIABLES:
        yield Row("", f"and {len(variables) - MOST_VARIABLES} more variables: --format json")
