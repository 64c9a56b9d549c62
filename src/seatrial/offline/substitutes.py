"""Builds local substitutes: once each, found again by the digest of what they are made of."""

from __future__ import annotations

import re
import shutil
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from seatrial import process
from seatrial.engine import programs
from seatrial.errors import BuildError, ImageError, SettingsError
from seatrial.filesystem import locked
from seatrial.offline import catalogue, interpreter, rootfs
from seatrial.offline.catalogue import Input, Kind, Plan, Row, parse_input
from seatrial.offline.inputs import Workshop, image_label, prepare
from seatrial.offline.rootfs import text_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from seatrial.engine.find import Engine
    from seatrial.host import Host
    from seatrial.offline.interpreter import HostPython
    from seatrial.settings.read import Project


LABEL = "seatrial.standin"
"""The official image that a stand-in takes the place of; what is built on a stand-in carries it too."""
RECIPE_LABEL = "seatrial.standin.recipe"
NOTE_LABEL = "seatrial.standin.note"
"""How it differs from what its name promises; empty where it does not."""
FORMAT = "1"
"""Changes when a stand-in is to be made again although its recipe and its inputs read the same."""
BUILD_TIMEOUT = 1800.0
LAST_LINES = 25
LONGEST_LINE = 300


@dataclass(frozen=True, kw_only=True)
class _Chosen:
    """A plan with the interpreters that it will use."""

    plan: Plan
    interpreters: dict[str, HostPython]
    digest: str
    images: dict[str, _Chosen]


def ensure(
    plan: Plan,
    *,
    engine: Engine,
    host: Host,
    say: Callable[[str], None],
    now: Callable[[], float] = time.time,
) -> str:
    """Return the stand-in's local name, building it when it is not there yet or its recipe has changed.

    Args:
        plan: what `stand_in_for` returned.
        engine: where it is built.
        host: this machine.
        say: told what is made.
        now: seconds since the epoch.

    Raises:
        ImageError: there can be no such stand-in on this host.
        BuildError: a recipe or an input is missing, or the recipe's build failed; with its last lines.
        EngineError: the engine does not answer, or the host's Debian archive cannot be reached.

    """
    return _ensure(_choose(plan, host), engine=engine, host=host, say=say, now=now)


def _ensure(
    chosen: _Chosen, *, engine: Engine, host: Host, say: Callable[[str], None], now: Callable[[], float]
) -> str:
    plan = chosen.plan
    if image_label(engine, plan.name, RECIPE_LABEL) == chosen.digest:
        return plan.name
    for needed in chosen.images.values():
        _ensure(needed, engine=engine, host=host, say=say, now=now)
    folder = host.cache / "standins"
    slug = re.sub(r"[^a-z0-9.]+", "-", plan.name.lower())
    own = folder / "work" / slug
    own.mkdir(parents=True, exist_ok=True)
    work = own / "run"
    with (
        locked(own, waiting=lambda: say(f"Waiting: another run makes {plan.name}.")),
        ExitStack() as cleanup,
    ):
        if image_label(engine, plan.name, RECIPE_LABEL) == chosen.digest:
            return plan.name
        # What a killed run left behind goes first; the lock is ours.
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        cleanup.callback(shutil.rmtree, work, ignore_errors=True)
        say(f"Making the stand-in for {plan.reference}{f': {plan.note}' if plan.note else ''}.")
        workshop = Workshop(
            engine=engine, host=host, say=say, now=now, folder=work, rootfs=folder / "rootfs",
            interpreters=chosen.interpreters,
            images={key: one.plan.name for key, one in chosen.images.items()},
            slug=slug, cleanup=cleanup,
        )  # fmt: skip
        _build(chosen, workshop)
    return plan.name


def _choose(plan: Plan, host: Host) -> _Chosen:
    """Settle what depends on the host: which interpreter, or what serves without one."""
    if plan.refusal:
        raise ImageError(
            f"there is no stand-in for {plan.reference}: {plan.refusal}",
            fix="Use one of those, pull the official image where a registry is in reach, or add a recipe "
            "to [tool.seatrial.standins].",
        )
    recipe = _recipe(plan)
    found: dict[str, HostPython] = {}
    for key, one in plan.inputs.items():
        if one.kind is Kind.INTERPRETER:
            python = interpreter.find(one.argument, host)
            if python is None:
                return _without(plan, one.argument, host)
            found[key] = python
    images = {key: _choose(needed, host) for key, needed in plan.images.items()}
    digest = text_digest(
        FORMAT,
        rootfs.FORMAT,
        plan.reference,
        recipe,
        *(f"{key}={one}" for key, one in sorted(plan.inputs.items())),
        *(f"{key}={value}" for key, value in sorted(plan.arguments.items())),
        *(f"{key}={python.prefix} {python.version}" for key, python in sorted(found.items())),
        *(f"{key}={one.digest}" for key, one in sorted(images.items())),
    )
    return _Chosen(plan=plan, interpreters=found, digest=digest, images=images)


def _without(plan: Plan, version: str, host: Host) -> _Chosen:
    if plan.otherwise is not None:
        return _choose(plan.otherwise, host)
    raise ImageError(
        f"there is no stand-in for {plan.reference}: this host has no Python {version} to make it from, "
        "and Debian has none of its own.",
        fix=f"Install one: `uv python install {version}`, or `pyenv install {version}`.",
    )


def _recipe(plan: Plan) -> str:
    try:
        return plan.recipe.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BuildError(
            f"the recipe of the stand-in for {plan.reference} cannot be read.",
            where=str(plan.recipe),
            fix="Correct `recipe` in [tool.seatrial.standins], or the file.",
            detail=str(error),
        ) from error


def _build(chosen: _Chosen, workshop: Workshop) -> None:
    plan = chosen.plan
    engine, host = workshop.engine, workshop.host
    programs.require_named_contexts(engine)
    buildx = programs.find("buildx", engine, host)
    contexts: dict[str, str] = {}
    arguments = dict(plan.arguments)
    for key, one in plan.inputs.items():
        ready = prepare(key, one, workshop)
        contexts[key] = ready.context
        arguments.update(ready.arguments)
    empty = workshop.folder / "empty"
    empty.mkdir()
    argv = [
        buildx.path, "build", "--load", "--progress=plain", "--provenance=false",
        "--builder", engine.candidate.context or "default",
        "--file", str(plan.recipe), "--tag", plan.name,
        "--label", f"{LABEL}={plan.reference}", "--label", f"{RECIPE_LABEL}={chosen.digest}",
        "--label", f"{NOTE_LABEL}={plan.note}",
        *_options("--build-context", contexts), *_options("--build-arg", arguments), str(empty),
    ]  # fmt: skip
    done = process.run(argv, timeout=BUILD_TIMEOUT, environment=engine.programs_environment, check=False)
    if done.code != 0:
        raise BuildError(
            f"the stand-in for {plan.reference} could not be built.",
            where=str(plan.recipe),
            fix="The last lines below say which step of the recipe failed.",
            detail=last_lines(done.errors or done.output),
        )


def last_lines(output: str) -> str:
    """Return what matters of buildx's plain output: what the failing step printed, and the verdict."""
    lines = output.strip().splitlines()
    # Every line starts with its step's number; the step that failed says ERROR. buildx's own summary at the
    # end shows fewer lines of it, and the Dockerfile's, which we know.
    failed = [found.group(1) for line in lines if (found := re.match(r"#(\d+) ERROR", line))]
    if failed:
        lines = [line for line in lines if line.startswith(f"#{failed[-1]} ")]
    return "\n".join(line[:LONGEST_LINE] for line in lines[-LAST_LINES:])


def _options(option: str, values: dict[str, str]) -> Iterator[str]:
    for key, value in values.items():
        yield option
        yield f"{key}={value}"


__all__ = ["Plan", "Table", "ensure", "stand_in_for", "table"]

PREFIX = "seatrial-standin"
"""What the name of every stand-in starts with."""

HUB = re.compile(r"^(?:(?:index\.|registry-1\.)?docker\.io/)?(?:library/)?(?=[^/]+$)|^(?:index\.)?docker\.io/")


@dataclass(frozen=True, kw_only=True)
class Table:
    """Which stand-in serves for which image: a project's own rows first, then seatrial's."""

    rows: tuple[Row, ...] = field(default_factory=tuple)


def table(project: Project | None) -> Table:
    """Return the rows of `[tool.seatrial.standins]`, then the built-in ones.

    Raises:
        SettingsError: an input of a project's stand-in has no kind, or one that does not exist.

    """
    own: list[Row] = []
    if project is not None:
        for name, standin in project.settings.standins.items():
            where = f'{project.file}: [tool.seatrial.standins."{name}"]'
            for key, text in standin.inputs.items():
                parse_input(text, where=f"{where} inputs.{key}")
            recipe = project.folder / standin.recipe
            own.append(Row(pattern=name, recipe=recipe, inputs=standin.inputs, where=where))
    return Table(rows=(*own, *catalogue.built_in()))


def stand_in_for(reference: str, table: Table) -> Plan | None:
    """Plan the stand-in for an official image, as a Dockerfile or a compose file names it.

    A digest after the tag is set aside: no stand-in can have it. None where no recipe is known.

    Raises:
        SettingsError: a project's recipe needs an image that no recipe is known for, or itself.

    """
    return _planned(reference, table, ())


def _planned(reference: str, table: Table, parents: tuple[str, ...]) -> Plan | None:
    name = familiar(reference)
    for row in table.rows:
        if (parts := row.match(name)) is not None:
            return _plan(row, name, parts, table, parents)
    return None


def _plan(row: Row, name: str, parts: Mapping[str, str], table: Table, parents: tuple[str, ...]) -> Plan:
    inputs = {key: _filled(text, parts, row.where) for key, text in row.inputs.items()}
    images: dict[str, Plan] = {}
    for needed in (one.argument for one in inputs.values() if one.kind is Kind.IMAGE):
        if familiar(needed) in (*parents, name):
            raise SettingsError(
                f"the stand-in for {name} needs itself, by way of {needed}.",
                where=row.where,
                fix="Name another image in its inputs.",
            )
        plan = _planned(needed, table, (*parents, name))
        if plan is None:
            raise SettingsError(
                f"the stand-in for {name} needs {needed}, and no recipe for that is known.",
                where=row.where,
                fix="Name an image that has a stand-in: see docs/standins.md.",
            )
        images[needed] = plan
    otherwise = None if row.otherwise is None else _plan(row.otherwise, name, parts, table, parents)
    return Plan(
        reference=name,
        name=local_name(name),
        recipe=row.recipe,
        inputs=inputs,
        images=images,
        arguments={**{part.upper(): value for part, value in parts.items()}, **row.arguments},
        otherwise=otherwise,
        note=row.note,
        refusal=row.refusal,
    )


def _filled(text: str, parts: Mapping[str, str], where: str) -> Input:
    for part, value in parts.items():
        text = text.replace(f"{{{part}}}", value)
    return parse_input(text, where=where)


def familiar(reference: str) -> str:
    """Return an image's name as people write it.

    `docker.io/library/python:3.13-slim@sha256:…` is python:3.13-slim; a name without a tag means `latest`.
    """
    name = HUB.sub("", reference.partition("@")[0].strip())
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def local_name(name: str) -> str:
    """Return the stand-in's own name: never the official one."""
    repository, _, tag = name.rpartition(":")
    return f"{PREFIX}/{repository.replace(':', '-')}:{tag}"
