"""Reads a compose file: as compose understands it, and as it stands there, line by line.

Both are wanted. Compose alone knows what extensions, merges and short forms come to; the file alone knows its lines,
and tells a secret that is written into it from one that a variable brings.
"""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.compose import runner
from seatrial.compose.services import Stack, read_services
from seatrial.compose.text import ComposeText, read_text
from seatrial.compose.variables import EXAMPLES, explanations, in_folder, sources
from seatrial.errors import EngineError, StackError
from seatrial.facts import ComposeModel, ComposeSource, Unavailable
from seatrial.text import plain_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.compose.runner import Compose
    from seatrial.engine.find import Engine
    from seatrial.facts import Json
    from seatrial.host import Host


MOST_BYTES = 1024 * 1024
MOST_SIBLINGS = 500


def read_compose(file: Path, shown: str, engine: Engine, host: Host) -> ComposeSource | Unavailable:
    """Return what a compose file says.

    Args:
        file: the compose file.
        shown: its path for a person.
        engine: the engine, whose compose is asked.
        host: this machine.

    """
    try:
        content = file.read_bytes()
    except OSError as error:
        return Unavailable(reason=f"{shown} cannot be read: {error.strerror}")
    if len(content) > MOST_BYTES:
        return Unavailable(reason=f"{shown} is larger than {MOST_BYTES} bytes")
    text = read_text(content)
    if isinstance(text, Unavailable):
        return Unavailable(reason=f"{shown}: {text.reason}")
    explained_by = [name for name in (".env", *EXAMPLES) if (file.parent / name).is_file()]
    return ComposeSource(
        path=shown,
        model=_model(file, text, engine, host),
        values=text.values,
        variables=text.variables,
        explained=frozenset(name for example in explained_by for name in explanations(file.parent / example)),
        explained_by=tuple(explained_by),
        files=tuple(in_folder(env_file, file.parent) for env_file in text.files),
    )


def _model(file: Path, text: ComposeText, engine: Engine, host: Host) -> ComposeModel | Unavailable:
    stack = Stack(app="", compose_project="seatrial-reads", options=("--profile", "*"))
    try:
        document = as_if_filled(runner.find(stack, file, engine=engine, host=host), text)
    except StackError as error:
        return Unavailable(reason=plain_line(error.what.removesuffix("."))[:300])
    except EngineError as error:
        return Unavailable(reason=plain_line(str(error))[:300])
    return ComposeModel(services=tuple(sorted(read_services(document, text), key=attrgetter("name"))))


def as_if_filled(compose: Compose, text: ComposeText) -> Json:
    """Return compose's own model of a file as if every env file and variable were there.

    What a person has to fill in first is no fault of the file. What is judged here is its form, not its values; a
    number serves for a port as well as for a password.

    Args:
        compose: compose, for the file.
        text: what the file says.

    Raises:
        StackError: compose refuses the file even so.

    """
    missing = [env_file.path for env_file in text.files if not (compose.file.parent / env_file.path).is_file()]
    names = [variable.name for variable in text.variables]
    unset = set(names) - sources(compose, names).keys()
    environment = {**compose.environment, **dict.fromkeys(unset, "1")}
    try:
        with _with_env_files(compose.file.parent, missing) as folder:
            document, _ = replace(compose, environment=environment, folder=folder).model()
    except OSError as error:
        raise StackError(f"docker compose could not read it: {error.strerror}.", where=str(compose.file)) from error
    return document


@contextmanager
def _with_env_files(folder: Path, missing: list[str]) -> Iterator[Path | None]:
    """Give a folder that also has the missing env files, empty; None where none is missing."""
    # Only what lies beside the compose file: further down, the links lead into the project itself.
    names = [name for name in missing if Path(name).name == name]
    if not names:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="seatrial-compose-") as temporary:
        for entry in islice(folder.iterdir(), MOST_SIBLINGS):
            if entry.name not in names:
                (Path(temporary) / entry.name).symlink_to(entry.absolute())
        for name in names:
            (Path(temporary) / name).touch()
        yield Path(temporary)
