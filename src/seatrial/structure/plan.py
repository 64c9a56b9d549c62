"""Plans what a structure test file asks of an image: pure, from the file, the image and the caller's environment.

The order of the tests, and where a variable counts, are container-structure-test's own: global variables become part
of the image, a test's own ones do so for its setup; an argument is expanded from the image's environment alone.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from seatrial.compose.reach import Grade, Surroundings, path_reach
from seatrial.engine.containers import NO_ENTRYPOINT
from seatrial.errors import SettingsError
from seatrial.facts import Json, VolumeFolder
from seatrial.observe.running.sandbox import volume_mounts
from seatrial.settings.model import Contract
from seatrial.structure.files import (
    CommandTest,
    FileContentTest,
    FileExistenceTest,
    LicenseTest,
    MetadataTest,
    RunOptions,
    StructureFile,
    Variable,
)
from seatrial.text import parse_size, plain_line
from seatrial.trust import Trust

REFERENCE = re.compile(
    r"""\$(?:
        \{(?P<braced>[^}]+)\}   # ${NAME}, whatever the name holds
      | (?P<broken>\{\}?)       # ${} and a brace that is never closed: dropped
      | (?P<special>[*#$@!?0-9-])
      | (?P<name>[A-Za-z0-9_]+)
    )""",
    re.VERBOSE,
)
PLACEHOLDER = "NEVER_STARTED"
"""A container whose files are read must have a command, as some images have none."""
LONGEST_NAME = 120
"""Characters of a test's name in its id."""
TITLES: dict[str, str] = {
    "commandTests": "answer a command as expected",
    "fileContentTests": "hold a file with the expected contents",
    "fileExistenceTests": "hold a file, or not, as expected",
    "licenseTests": "hold no licence text of a refused kind",
    "metadataTest": "be configured as expected",
}
"""What the image must, for each kind of test, in the order in which the tool runs them."""
Test = CommandTest | FileContentTest | FileExistenceTest | LicenseTest | MetadataTest


@dataclass(frozen=True, kw_only=True)
class CommandRun:
    """The containers of a command test, as the engine is asked for them."""

    setup: tuple[Json, ...]
    """Each starts from what the one before it left; the command's own container starts from the last."""
    command: Json
    exit_code: int = 0
    """The one that is expected of the command."""
    missing: tuple[str, ...] = ()
    """Variables to pass on that the caller does not have: the tool then cannot start the command."""


@dataclass(frozen=True, kw_only=True)
class PlannedTest:
    """One test, and which one it is."""

    id: str
    title: str
    where: str
    """`file:line`."""
    test: Test
    """Its path is expanded where the tool expands it."""
    run: CommandRun | None = None
    """Of a command test."""


@dataclass(frozen=True, kw_only=True)
class FilePlan:
    """All that one file asks, in the tool's own order."""

    tests: tuple[PlannedTest, ...]
    container: Json
    """Its files are read; it is never started."""
    in_order: bool
    """Commands reach the host (bind mounts, privileged): one after another, as in the tool."""


def environment_of(config: Json) -> dict[str, str]:
    """Return the variables of an image's configuration, the engine's JSON."""
    return dict(pair.partition("=")[::2] for pair in config.get("Env") or ())


def expand(text: str, environment: Mapping[str, str]) -> str:
    """Return a text with its variables replaced as os.Expand does: what is not set by nothing, `$$` and `$1` too."""

    def value(found: re.Match[str]) -> str:
        name = found["braced"] or found["special"] or found["name"]
        return environment.get(name, "") if name else ""

    return REFERENCE.sub(value, text)


def plan_file(
    name: str,
    file: StructureFile,
    image: Json,
    contract: Contract,
    *,
    passed_on: Mapping[str, str | None],
    used: Counter[str],
    volumes: Mapping[str, VolumeFolder] | None = None,
) -> FilePlan:
    """Return what a file asks of an image, of which `image` is the engine's JSON; the contract's limits hold.

    `passed_on` is what the file's run options add to the commands' environment, None for a variable that the caller
    does not have; `used` counts the ids that were given, in all files of a run; `volumes` are those of the image that
    are empty, which the commands get memory-backed.
    """
    options = file.container_run_options
    image_environment = environment_of(image.get("Config") or {})
    global_variables = _expanded(file.global_env_vars, image_environment)
    environment = image_environment | global_variables
    container = {"Image": image["Id"], "HostConfig": _host(options, contract)}
    bound = {bind.split(":")[1].rstrip("/") for bind in options.bind_mounts if ":" in bind}
    mounts = volume_mounts({path: folder for path, folder in (volumes or {}).items() if path.rstrip("/") not in bound})
    limited = {**container, "HostConfig": {**container["HostConfig"], "Mounts": mounts}}
    command = {**limited, "Entrypoint": NO_ENTRYPOINT, "AttachStdout": True, "AttachStderr": True}
    if options.user:
        command["User"] = options.user

    def planned(family: str, title: str, test: Test) -> PlannedTest:
        run = None
        if isinstance(test, CommandTest):
            run = _command_run(test, command, environment, global_variables, passed_on)
        elif isinstance(test, FileExistenceTest):
            test = msgspec.structs.replace(test, path=expand(test.path, environment))
        return PlannedTest(
            id=_id(family, title, used), title=TITLES[family], where=f"{name}:{test.line}", test=test, run=run
        )

    families: dict[str, list[tuple[str, Test]]] = {
        "commandTests": [(test.name, test) for test in file.command_tests],
        "fileContentTests": [(test.name, test) for test in file.file_content_tests],
        "fileExistenceTests": [(test.name, test) for test in file.file_existence_tests],
        "licenseTests": [(str(number), test) for number, test in enumerate(file.license_tests, 1)],
        "metadataTest": [("", file.metadata_test)] if file.metadata_test and not _is_empty(file.metadata_test) else [],
    }
    return FilePlan(
        tests=tuple(planned(family, title, test) for family, tests in families.items() for title, test in tests),
        container={**container, "Cmd": [PLACEHOLDER]},
        in_order=options.privileged or bool(options.bind_mounts),
    )


def _host(options: RunOptions, contract: Contract) -> Json:
    """Return what a file's containers may do: what the tool gives them, within the contract's limits.

    The network is the engine's own and the capabilities are its default ones, as without them the same test could
    have another verdict. More capabilities are not added: the tool asks for them in a field that engines ignore.
    """
    memory = parse_size(contract.memory)
    return {
        "Memory": memory,
        "MemorySwap": memory,
        "PidsLimit": contract.processes,
        "Privileged": options.privileged,
        "Binds": list(options.bind_mounts),
        "LogConfig": {"Type": "none"},
        "RestartPolicy": {"Name": "no"},
    }


def _command_run(
    test: CommandTest,
    container: Json,
    environment: Mapping[str, str],
    global_variables: Mapping[str, str],
    passed_on: Mapping[str, str | None],
) -> CommandRun:
    def made(words: Iterable[str], variables: Mapping[str, str]) -> Json:
        return {**container, "Cmd": list(words), "Env": [f"{key}={value}" for key, value in variables.items()]}

    own = _expanded(test.env_vars, environment)
    setup = tuple(made(words, {**global_variables, **own}) for words in test.setup)
    # The image that setup leaves behind has the test's variables in its own environment.
    known = {**environment, **own} if test.setup else environment
    words = [expand(word, known) for word in (test.command, *test.args)]
    literal = {variable.key: variable.value for variable in test.env_vars}
    there = {name: value for name, value in passed_on.items() if value is not None}
    missing = tuple(name for name, value in passed_on.items() if value is None)
    command = made(words, {**global_variables, **literal, **there})
    return CommandRun(setup=setup, command=command, exit_code=test.exit_code, missing=missing)


def _id(family: str, name: str, used: Counter[str]) -> str:
    """Return a test's id; several of the same name, in one file or more, get a number."""
    short = plain_line(name)[:LONGEST_NAME]
    wanted = given = f"structure/{family}" + (f"/{short}" if short else "")
    while given in used:
        used[wanted] += 1
        given = f"{wanted}#{used[wanted]}"
    used[given] = 1
    return given


def _expanded(variables: Iterable[Variable], environment: Mapping[str, str]) -> dict[str, str]:
    return {variable.key: expand(variable.value, environment) for variable in variables}


def _is_empty(test: MetadataTest) -> bool:
    return msgspec.structs.replace(test, line=0) == MetadataTest()


def announced(files: Mapping[Path, StructureFile], folder: Path, around: Surroundings, trust: Trust) -> tuple[str, ...]:
    """Return what the commands of files reach of the host, a line each; `folder` is where their paths begin.

    Raises:
        SettingsError: the project is not trusted, and they reach beyond it: all of that is named.
    """
    found = [
        (f"{file}:{said.container_run_options.line}", what, grade)
        for file, said in files.items()
        for what, grade in _reaches(said.container_run_options, folder, around)
    ]
    if found and trust is Trust.NONE:
        (where, what, _), several = found[0], len(found) > 1
        raise SettingsError(
            f"{what}: refused, as the project is not trusted{f' ({len(found)} places, all below)' if several else ''}.",
            where=where,
            fix="Take it out; or, if you trust this project, give --trust project.",
            detail="\n".join(f"{place}: {each}" for place, each, _ in found) if several else "",
        )
    return tuple(f"{where}: {what}." for where, what, grade in found if grade is not Grade.OUTSIDE)


def _reaches(options: RunOptions, folder: Path, around: Surroundings) -> Iterator[tuple[str, Grade]]:
    if options.privileged:
        yield "its commands are privileged: they have the host's devices", Grade.ROOT
    for bind in options.bind_mounts:
        source, _, flags = bind.partition(":")
        if not source.startswith("/"):
            yield f"its commands get the volume {source} of the engine", Grade.HOST
            continue
        read_only = "ro" in flags.partition(":")[2].split(",")
        if (seen := path_reach(source, around, read_only=read_only)) is not None:
            yield f"its commands get {seen[0]}{'' if read_only else ', writable'}", seen[1]
    if options.env_file and (seen := path_reach(str(folder / options.env_file), around, read_only=True)) is not None:
        yield f"its commands get the env file {seen[0]}", seen[1]
