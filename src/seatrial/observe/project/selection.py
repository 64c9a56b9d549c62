"""What a Dockerfile's own commands install of its project: requirement files, extras, groups; plain functions."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from seatrial.dockerfile import needed_stages
from seatrial.installs import TOOLS, Install, commands, installs
from seatrial.requirements import parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from seatrial.facts.sources import Dockerfile, Instruction

ANY = "*"
"""All extras, or all groups, whatever their names."""
LOCKS = {"uv sync": "uv.lock", "poetry": "poetry.lock", "pdm": "pdm.lock"}
OFF = re.compile(r"(?:^|\s)UV_(NO_DEV|NO_DEFAULT_GROUPS)=[\"']?(?:1|true)\b", re.IGNORECASE)
FOLDER_WITH_EXTRAS = re.compile(r"(?:\.|[^\[]*/)[^\[]*\[([^\]]+)\]")
"""`.[tls,redis]`: a name without a dot or a slash is a distribution's."""


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What is installed."""

    lock: str = ""
    """The lock that is installed from; empty where no command of the Dockerfile says so."""
    package: str = ""
    """The member of a workspace."""
    extras: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()
    """Groups that are left out."""
    defaults: bool = True
    """The groups that the tool installs unless told otherwise are installed too."""
    main: bool = True
    """The project's own dependencies are installed, not groups alone."""
    requirements: tuple[str, ...] = ()
    """Requirement files, from the build context."""
    constraints: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    """The requirements that commands name one by one."""

    def names(self, extras: Iterable[str], groups: Iterable[str], defaults: Iterable[str]) -> tuple[str, ...]:
        """Return those of a lock's extras and groups that are installed; `defaults` are installed unless told not to.

        All are normalised names.
        """
        found = [name for name in extras if self.extras & {name, ANY}]
        found += [name for name in groups if self.groups & {name, ANY}]
        found += defaults if self.defaults else ()
        return tuple(name for name in dict.fromkeys(found) if name not in self.without)


NOTHING = Chosen()


def chosen_by(dockerfile: Dockerfile, build_arguments: Mapping[str, str], context: Path) -> Chosen:
    """Return what the stages that reach the image install of the project in a build context."""
    chosen = NOTHING
    placed: list[tuple[str, str]] = []
    for stage in sorted(needed_stages(dockerfile, build_arguments), key=lambda stage: stage.index):
        off: set[str] = set()
        for instruction in stage.instructions:
            placed += [(source.lstrip("/"), target) for source, target in instruction.from_context]
            if instruction.keyword == "ENV":
                off |= set(OFF.findall(instruction.text.upper()))
            if instruction.keyword == "RUN":
                for install in (*installs(instruction), *_wheels(instruction)):
                    chosen = _with(chosen, install, placed, context, off=off | set(OFF.findall(install.shown.upper())))
                chosen = _with_export(chosen, instruction)
    return chosen


def _with(
    chosen: Chosen, install: Install, placed: Sequence[tuple[str, str]], context: Path, *, off: set[str]
) -> Chosen:
    if install.tool in LOCKS:
        # The last sync holds: it takes away what it was not told of.
        return replace(
            _of_a_lock(install.tool, install.words, off=off),
            requirements=chosen.requirements,
            constraints=chosen.constraints,
            beside=chosen.beside,
        )
    if install.tool not in {"pip", "pip sync"}:
        return chosen
    files = [file for name in install.files if (file := _in_context(name, placed, context))]
    constraints = [file for name in install.constraints if (file := _in_context(name, placed, context))]
    extras = [extra for named in install.requirements for extra in _extras_of_a_folder(named)]
    named = [text for text in install.requirements if (requirement := parse(text)) and requirement.name not in TOOLS]
    return replace(
        chosen,
        beside=tuple(dict.fromkeys((*chosen.beside, *named))),
        requirements=tuple(dict.fromkeys((*chosen.requirements, *files))),
        constraints=tuple(dict.fromkeys((*chosen.constraints, *constraints))),
        extras=chosen.extras | _names([*extras, *_values(install.words, "--extra")]),
        groups=chosen.groups | _names(value.rpartition(":")[2] for value in _values(install.words, "--group")),
    )


def _extras_of_a_folder(named: str) -> list[str]:
    found = FOLDER_WITH_EXTRAS.fullmatch(named)
    return found[1].split(",") if found else []


def _wheels(instruction: Instruction) -> Iterator[Install]:
    """Yield what `pip wheel` and `pip download` fetch: it is installed by its file later."""
    for words in commands(instruction):
        names = [posixpath.basename(word) for word in words]
        if "pip" in names and (verb := next((word for word in words if word in {"wheel", "download"}), "")):
            rest = words[words.index(verb) + 1 :]
            yield Install(tool="pip", words=rest, line=instruction.line, shown=" ".join(words))


def _of_a_lock(tool: str, words: Sequence[str], *, off: set[str]) -> Chosen:
    if tool == "uv sync":
        only = [*_values(words, "--only-group"), *(["dev"] if "--only-dev" in words else [])]
        return Chosen(
            lock="uv.lock",
            package=canonicalize_name(next(iter(_values(words, "--package")), "")),
            extras=_names(_values(words, "--extra")) | _every(words, "--all-extras"),
            groups=_names([*_values(words, "--group"), *only]) | _every(words, "--all-groups"),
            main=not only,
            # uv's documentation: --no-dev is `--no-group dev`, and other default groups stay.
            without=_names(_values(words, "--no-group"))
            | ({"dev"} if "NO_DEV" in off or "--no-dev" in words else set()),
            defaults=not (only or "NO_DEFAULT_GROUPS" in off or "--no-default-groups" in words),
        )
    if tool == "poetry":
        only = _listed(_values(words, "--only"))
        return Chosen(
            lock="poetry.lock",
            extras=_names(_listed(_values(words, "--extras", "-E"))) | _every(words, "--all-extras"),
            groups=_names([*_listed(_values(words, "--with")), *only]) | _every(words, "--all-groups"),
            without=_names(_listed(_values(words, "--without"))) | ({"dev"} if "--no-dev" in words else set()),
            defaults=not only,
            main=not only or "main" in only,
        )
    groups = _listed(_values(words, "--group", "-G", "--with"))
    return Chosen(
        lock="pdm.lock",
        extras=_names(group for group in groups if group != ":all"),
        groups=_names(group for group in groups if group != ":all") | ({ANY} if ":all" in groups else set()),
        without=_names(_listed(_values(words, "--without"))),
        defaults=not {"--prod", "--production", "--no-dev"} & set(words),
    )


def _with_export(chosen: Chosen, instruction: Instruction) -> Chosen:
    """Return what `uv export` and `poetry export` write from a lock, for pip to install."""
    for words in commands(instruction):
        names = [posixpath.basename(word) for word in words]
        for tool in ("uv", "poetry"):
            if tool in names and "export" in words[names.index(tool) :]:
                rest = words[words.index("export") + 1 :]
                made = _of_a_lock("uv sync" if tool == "uv" else tool, rest, off=set())
                # Poetry exports the main group alone unless told more.
                return replace(made, defaults=made.defaults and tool == "uv", beside=chosen.beside)
    return chosen


def _values(words: Sequence[str], *options: str) -> list[str]:
    found = []
    for at, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name in options and equals:
            found.append(value)
        elif word in options and at + 1 < len(words):
            found.append(words[at + 1])
    # What a variable stands for, only the build knows.
    return [value for value in found if "$" not in value]


def _listed(values: Sequence[str]) -> list[str]:
    return [name for value in values for name in re.split(r"[\s,]+", value) if name]


def _names(values: Sequence[str] | Iterator[str]) -> frozenset[str]:
    return frozenset(canonicalize_name(value.strip()) for value in values if value.strip())


def _every(words: Sequence[str], option: str) -> frozenset[str]:
    return frozenset({ANY}) if option in words else frozenset()


def _in_context(name: str, placed: Sequence[tuple[str, str]], context: Path) -> str:
    """Return the file of the context that a name in the build means; empty where that cannot be told."""
    if "$" in name:
        return ""
    base = posixpath.basename(name)
    for source, target in reversed(placed):
        renamed = posixpath.basename(target) == base
        candidates = [source] if posixpath.basename(source) == base or renamed else [posixpath.join(source, base)]
        for candidate in candidates:
            if candidate and _is_file(context, candidate):
                return posixpath.normpath(candidate)
    parts = [part for part in posixpath.normpath(name).split("/") if part not in {"", ".", ".."}]
    tails = ("/".join(parts[at:]) for at in range(len(parts)))
    return next((tail for tail in tails if _is_file(context, tail)), "")


def _is_file(context: Path, name: str) -> bool:
    try:
        file = (context / name).resolve()
        return file.is_file() and file.is_relative_to(context.resolve())
    except (OSError, ValueError):
        return False
