"""Stand-ins: local images that take official images' place where no registry is in reach.

`stand_in_for` plans and touches nothing; `seatrial.images.standins.make.ensure` carries a plan out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from seatrial.errors import SettingsError
from seatrial.images.standins import rows
from seatrial.images.standins.make import ensure
from seatrial.images.standins.plan import Input, Kind, Plan, parse_input
from seatrial.images.standins.rows import Row

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seatrial.settings.read import Project

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
    return Table(rows=(*own, *rows.built_in()))


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
