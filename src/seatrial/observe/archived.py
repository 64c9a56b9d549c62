"""Gathers the facts of a saved image in a file or folder: no engine is asked, and nothing of it runs."""

from __future__ import annotations

import posixpath
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from seatrial.engine.find import no_engine
from seatrial.facts import (
    NO_SOURCES,
    DoesNotApply,
    Facts,
    Identity,
    Interpreter,
    Native,
    Probe,
    ProjectFacts,
    Unavailable,
)
from seatrial.facts.probe import Environment
from seatrial.observe import paths
from seatrial.observe.by_files import ByFiles
from seatrial.observe.command.application import application_of
from seatrial.observe.command.resolve import find_python, health_command, launched, resolve_command
from seatrial.observe.configuration import configuration_of
from seatrial.observe.files import read_account, read_accounts
from seatrial.observe.index import IndexFiles
from seatrial.observe.inventory import inventory_of
from seatrial.observe.layers.files import ArchiveFiles
from seatrial.observe.layers.manifests import MACHINES
from seatrial.observe.layers.stacked import layers_of
from seatrial.observe.project.sources import SourceFiles, read_sources
from seatrial.observe.python.agreement import settle
from seatrial.observe.running.boot_series import timed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from seatrial.facts import Account, Accounts, Configuration, ResolvedCommand, Sources
    from seatrial.observe.command.application import Application
    from seatrial.observe.configuration import OtherCommand
    from seatrial.observe.index import Index
    from seatrial.observe.layers.saved_image import SavedImage
    from seatrial.settings.model import Contract

NO_PYTHON = Unavailable(reason="the image holds no Python interpreter")
NOT_RUN = DoesNotApply(reason="not run: it needs a process of the image, and of an archive none is started")
WHOLE_VERSION = re.compile(r"3\.\d{1,3}\.\d{1,3}(?:(?:a|b|rc)\d{1,3})?")
RECORDED = re.compile(r"^version(?:_info)? *= *(\S+)", re.MULTILINE)
"""What pyvenv.cfg says of its Python: as `venv` writes it, and uv."""
IN_PATH = re.compile(r"(?<=[/-])3\.\d{1,3}\.\d{1,3}(?=[-+/])")
"""In the path of a Python that uv or pyenv brought: its version."""
NO_STACK = DoesNotApply(reason="not run: of an archive, no compose file is asked; `seatrial check` checks it")


def gather_archive(
    path: Path,
    contract: Contract,
    project: ProjectFacts | None = None,
    *,
    platform: str = "",
    sources: SourceFiles | None = None,
    other_command: OtherCommand | None = None,
    files: ArchiveFiles | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Facts:
    """Observe a saved image: its configuration, files and layers, and the project's own files.

    `files` are the archive's, where it has been read already.

    Raises:
        ImageError: it holds no image that can be read.

    """
    seconds: dict[str, float] = {}
    project = project or ProjectFacts()
    say("reading the archive")
    with timed(seconds, "archive"):
        files = files or ArchiveFiles(path, platform)
    configuration = configuration_in(files.image, str(path))
    if other_command is not None:
        configuration = other_command.of(configuration)
    by_files = ByFiles(configuration=configuration, contract=contract, project=project.name)
    index = files.index.index
    who = read_account(configuration, files)
    started = launched(configuration, files, contract.environment)
    python = find_python(configuration, files, contract.interpreter, started)
    meant = application_of(started, files)
    with timed(seconds, "own code"):
        own_code = by_files.own_code(who, python, meant, index, files.python_files)
    found = NO_SOURCES if sources is None else _sources(sources)
    chain = () if isinstance(found, Unavailable) else found.dockerfile.parsed.final_instructions
    modules = by_files.modules(meant)
    start = resolve_command(configuration, files, who, contract.interpreter, started)
    accounts = read_accounts(*(files.text(f"/etc/{name}") for name in ("passwd", "shadow", "group")))
    return Facts(
        configuration=configuration,
        command=start,
        probe=NOT_RUN,
        by_files=_by_files(by_files, files.index.index, who, accounts, start, meant),
        agreement=NOT_RUN,
        boot=NOT_RUN,
        deep=NOT_RUN,
        override=NOT_RUN,
        project=project,
        sources=found,
        health_command=health_command(configuration, files, who),
        contents=by_files.contents(index, modules),
        accounts=accounts,
        working_directory=paths.follow(configuration.working_directory or "/", files),
        own_code=own_code,
        inventory=inventory_of(index),
        today=datetime.now(UTC).date(),
        layers=layers_of(files.image, by_files.rules(index, modules), chain),
        seconds=seconds,
    )


def _by_files(
    image: ByFiles, index: Index, who: Account, accounts: Accounts, start: ResolvedCommand, meant: Application
) -> Probe | Unavailable:
    """Return what the files tell of what a probe tells; what only a process can tell is not asked of it."""
    if not start.python:
        return NO_PYTHON
    if who.uid is None:
        return Unavailable(reason=f"USER names an account that the image lacks: {image.configuration.user[:100]!r}")
    identity = Identity(
        uid=who.uid,
        gid=next(iter(who.gids), 0),
        groups=who.gids,
        name=who.name,
        home=who.home,
        directory=image.configuration.working_directory,
    )
    files = IndexFiles(index)
    named = "PyPy" if "pypy" in posixpath.basename(files.folder(start.python)) else "CPython"
    version = python_version(start.python, files, image.configuration.environment)
    interpreter = Interpreter(
        executable=start.python, version=version, implementation=named, prefix="", base_prefix="", path=()
    )
    architecture = image.configuration.platform.partition("/")[2]
    machine = next((machine for machine, name in MACHINES.items() if name == architecture), architecture)
    blank = Probe(
        identity=identity,
        interpreter=interpreter,
        distributions=(),
        scripts=(),
        imports=(),
        executables=(),
        places=(),
        native=Native(modules=0),
        environment=Environment(real="", machine=machine, implementation=named.lower()),
        complete=False,
    )
    seen = image.image(image.configuration, who, index, accounts, start)
    told, agreement = settle(blank, start.python, image.request(who, meant), seen)
    return agreement if told is blank and isinstance(agreement, Unavailable) else told


def python_version(python: str, files: IndexFiles, environment: Mapping[str, str]) -> str:
    """Return the whole version of a Python, as its files and the image's variables tell; empty where they do not."""
    real, inventory = files.folder(python), inventory_of(files.index)
    packages = () if isinstance(inventory, Unavailable) else inventory.packages
    names = {"python3", posixpath.basename(real)}
    packaged = next((package.version for package in packages if package.name in names), "")
    recorded = files.text(posixpath.join(posixpath.dirname(python), "..", "pyvenv.cfg"))
    recorded = "".join(RECORDED.findall(recorded)[:1])
    # The official images set it, for what they build into /usr/local.
    given = environment.get("PYTHON_VERSION", "")
    order = (packaged,) if real.startswith("/usr/bin/") else (*IN_PATH.findall(real), recorded, given)
    said = given if given and real.startswith("/usr/local/") else next(filter(None, order), "")
    return match[0] if (match := WHOLE_VERSION.match(said)) else ""


def configuration_in(image: SavedImage, reference: str) -> Configuration:
    """Return the configuration of a saved image."""
    described = image.description
    config = msgspec.to_builtins(described.config or {})
    inspected = {"Id": image.id, "Os": described.os, "Architecture": described.architecture, "Config": config}
    sizes = iter([sum(layer.sizes.values()) for layer in image.layers])
    history = [
        {"CreatedBy": step.created_by, "Size": 0 if step.empty_layer else next(sizes, 0)}
        for step in described.history or ()
    ]
    # Layers of which the history says nothing.
    history += [{"CreatedBy": "", "Size": size} for size in sizes]
    return configuration_of(inspected, history[::-1], reference)


def _sources(files: SourceFiles) -> Sources | Unavailable:
    """Return the project's files; the compose file is left to `seatrial check`, as an engine says what images hold."""
    found = read_sources(replace(files, compose=None), no_engine(files.host))
    if isinstance(found, Unavailable) or files.compose is None:
        return found
    return msgspec.structs.replace(found, compose=NO_STACK)
