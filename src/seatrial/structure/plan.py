"""Plans what a structure test file asks of an image: pure, from the file, the image's configuration and the caller's.

The order of things, and where a variable counts, are container-structure-test's own: global variables become part of
the image, a test's own ones do so for its setup; an argument is expanded from the image's environment alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from seatrial.sizes import parse_size
from seatrial.structure.expansion import expand
from seatrial.text import plain_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from seatrial.facts import Json
    from seatrial.settings.model import Contract
    from seatrial.structure.model import (
        CommandTest,
        FileContentTest,
        FileExistenceTest,
        LicenseTest,
        MetadataTest,
        RunOptions,
        StructureFile,
        Variable,
    )

PLACEHOLDER = "NEVER_STARTED"
"""A container whose files are read must have a command, as some images have none."""
LONGEST_NAME = 120
"""Characters of a test's name in its id."""
TITLES = {
    "commandTests": "answer a command as expected",
    "fileExistenceTests": "hold a file, or not, as expected",
    "fileContentTests": "hold a file with the expected contents",
    "metadataTest": "be configured as expected",
    "licenseTests": "hold no licence text of a refused kind",
}
"""What the image must, for each kind of test."""


@dataclass(frozen=True, kw_only=True)
class ImageConfig:
    """What the tool looks at of an image's configuration."""

    id: str
    environment: Mapping[str, str]
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    exposed_ports: tuple[str, ...] = ()
    """Without their protocol."""
    volumes: tuple[str, ...] = ()
    labels: Mapping[str, str]
    workdir: str = ""
    user: str = ""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Which test of which file something belongs to."""

    id: str
    title: str
    where: str
    """`file:line`."""


@dataclass(frozen=True, kw_only=True)
class HandedOn:
    """What the run options add to the environment of a file's commands, setup apart."""

    variables: Mapping[str, str]
    missing: tuple[str, ...] = ()
    """Variables to hand on that the caller does not have: the tool's commands then cannot be started."""
    note: str = ""
    """What was wrong with the env file; the tool goes on without it."""


@dataclass(frozen=True, kw_only=True)
class CommandPlan:
    """A command to run in a container of its own, and what to run before it."""

    origin: Origin
    test: CommandTest
    setup: tuple[Json, ...]
    """The containers that make the image of the command's own, each from what the one before it left."""
    config: Json
    handed_on: HandedOn


@dataclass(frozen=True, kw_only=True)
class ExistencePlan:
    """A file to look at."""

    origin: Origin
    test: FileExistenceTest
    path: str


@dataclass(frozen=True, kw_only=True)
class ContentPlan:
    """A file to read."""

    origin: Origin
    test: FileContentTest


@dataclass(frozen=True, kw_only=True)
class MetadataPlan:
    """A configuration to compare: no container is asked."""

    origin: Origin
    test: MetadataTest
    config: ImageConfig


@dataclass(frozen=True, kw_only=True)
class LicencePlan:
    """Licence texts to read."""

    origin: Origin
    test: LicenseTest


FilePlan = ExistencePlan | ContentPlan | LicencePlan
TestPlan = CommandPlan | FilePlan | MetadataPlan


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that one file asks, in the tool's own order."""

    tests: tuple[TestPlan, ...]
    files: Json
    """The container whose files are read; it is never started."""
    in_order: bool
    """Commands reach the host (bind mounts, privileged): one after another, as in the tool."""


def image_config(inspected: Json) -> ImageConfig:
    """Turn the engine's JSON into what the tool looks at."""
    config = inspected.get("Config") or {}
    return ImageConfig(
        id=str(inspected["Id"]),
        environment=dict(pair.partition("=")[::2] for pair in config.get("Env") or ()),
        entrypoint=tuple(config.get("Entrypoint") or ()),
        cmd=tuple(config.get("Cmd") or ()),
        exposed_ports=tuple(port.partition("/")[0] for port in config.get("ExposedPorts") or ()),
        volumes=tuple(config.get("Volumes") or ()),
        labels=dict(config.get("Labels") or {}),
        workdir=config.get("WorkingDir") or "",
        user=config.get("User") or "",
    )


def plan_file(
    file: str,
    said: StructureFile,
    image: ImageConfig,
    contract: Contract,
    *,
    handed_on: HandedOn,
    names: Names,
) -> Plan:
    """Return what a file asks of an image.

    Args:
        file: its name, as the caller gave it.
        said: what it says.
        image: the image's configuration.
        contract: whose limits hold.
        handed_on: what its run options add to the commands' environment.
        names: gives the ids; one for all files of a run.

    """
    options = said.container_run_options
    global_variables = _expanded(said.global_env_vars, image.environment)
    base = {**image.environment, **global_variables}
    commands = _Commands(
        image=image.id,
        options=options,
        host=host_config(options, contract),
        base=base,
        global_variables=global_variables,
        handed_on=handed_on,
    )

    def origin(family: str, name: str, line: int) -> Origin:
        return names.origin(family, name, file, line)

    tests: list[TestPlan] = [
        commands.plan(one, origin("commandTests", one.name, one.line)) for one in said.command_tests
    ]
    tests += [
        ContentPlan(origin=origin("fileContentTests", one.name, one.line), test=one) for one in said.file_content_tests
    ]
    tests += [
        ExistencePlan(origin=origin("fileExistenceTests", one.name, one.line), test=one, path=expand(one.path, base))
        for one in said.file_existence_tests
    ]
    tests += [
        LicencePlan(origin=origin("licenseTests", str(number), one.line), test=one)
        for number, one in enumerate(said.license_tests, 1)
    ]
    if said.metadata_test is not None and not _is_empty(said.metadata_test):
        tests.append(
            MetadataPlan(
                origin=origin("metadataTest", "", said.metadata_test.line), test=said.metadata_test, config=image
            )
        )
    return Plan(
        tests=tuple(tests),
        files={"Image": image.id, "Cmd": [PLACEHOLDER], "HostConfig": host_config(options, contract)},
        in_order=options.privileged or bool(options.bind_mounts),
    )


def host_config(options: RunOptions, contract: Contract) -> Json:
    """Return what a file's containers may do: what the tool gives them, within the contract's limits.

    The network is the engine's own and the capabilities are its default ones, as without them the same test could
    come to another verdict. More capabilities are not added: the tool asks for them in a field that engines ignore.
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


@dataclass(frozen=True, kw_only=True)
class _Commands:
    image: str
    options: RunOptions
    host: Json
    base: Mapping[str, str]
    global_variables: Mapping[str, str]
    handed_on: HandedOn

    def plan(self, test: CommandTest, origin: Origin) -> CommandPlan:
        own = _expanded(test.env_vars, self.base)
        setup = [self._config(words, {**self.global_variables, **own}) for words in test.setup]
        # The image that setup leaves behind has the test's variables in its own environment.
        known = {**self.base, **own} if test.setup else self.base
        words = [expand(word, known) for word in (test.command, *test.args)]
        given = {one.key: one.value for one in test.env_vars}
        config = self._config(words, {**self.global_variables, **given, **self.handed_on.variables})
        return CommandPlan(origin=origin, test=test, setup=tuple(setup), config=config, handed_on=self.handed_on)

    def _config(self, words: Iterable[str], environment: Mapping[str, str]) -> Json:
        return {
            "Image": self.image,
            # One empty word, and not an empty list: that is what the engine takes for "none".
            "Entrypoint": [""],
            "Cmd": list(words),
            "Env": [f"{key}={value}" for key, value in environment.items()],
            "AttachStdout": True,
            "AttachStderr": True,
            "Tty": self.options.allocate_tty,
            "HostConfig": self.host,
            **({"User": self.options.user} if self.options.user else {}),
        }


class Names:
    """Gives each test its id; several of one name, in one file or more, are told apart by a number."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def origin(self, family: str, name: str, file: str, line: int) -> Origin:
        """Return which test this is."""
        short = plain_line(name)[:LONGEST_NAME]
        id_ = f"structure/{family}" + (f"/{short}" if short else "")
        self._seen[id_] = self._seen.get(id_, 0) + 1
        number = f"#{self._seen[id_]}" if self._seen[id_] > 1 else ""
        return Origin(id=id_ + number, title=TITLES[family], where=f"{file}:{line}")


def _expanded(variables: Iterable[Variable], known: Mapping[str, str]) -> dict[str, str]:
    return {one.key: expand(one.value, known) for one in variables}


def _is_empty(test: MetadataTest) -> bool:
    lists = (
        *(test.env_vars, test.unbound_env_vars, test.labels, test.exposed_ports, test.unexposed_ports),
        *(test.volumes, test.unmounted_volumes, test.workdir, test.user),
    )
    return not any(lists) and test.entrypoint is None and test.cmd is None
