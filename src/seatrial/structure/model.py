"""What a container-structure-test file of schema 2.0.0 may say, as types."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Struct


class Mark:
    """What a text must be besides text."""

    def __init__(self, name: str) -> None:
        self.name = name


FILLED = Mark("filled")
EXPRESSION = Mark("expression")

Filled = Annotated[str, FILLED]
"""A text that must not be empty."""
Expression = Annotated[str, EXPRESSION]
"""A regular expression as Go writes it."""
Words = tuple[str, ...]
Command = tuple[str, ...]


class Part(Struct, frozen=True, kw_only=True, rename="camel"):
    """A table of the file."""


class Placed(Part, frozen=True, kw_only=True):
    """A table that knows where it stands."""

    line: int = 0
    """Set by the reader; no key of the file."""


class Variable(Placed, frozen=True, kw_only=True):
    """An environment variable, or a label."""

    key: Filled
    value: str = ""
    is_regex: bool = False


class CommandTest(Placed, frozen=True, kw_only=True):
    """A command, and what it must say."""

    name: Filled
    setup: tuple[Command, ...] = ()
    teardown: tuple[Command, ...] = ()
    env_vars: tuple[Variable, ...] = ()
    exit_code: int = 0
    command: Filled
    args: Words = ()
    expected_output: tuple[Expression, ...] = ()
    excluded_output: tuple[Expression, ...] = ()
    expected_error: tuple[Expression, ...] = ()
    excluded_error: tuple[Expression, ...] = ()


class FileExistenceTest(Placed, frozen=True, kw_only=True):
    """A file that must be there or must not, and its mode and owner."""

    name: Filled
    path: Filled
    should_exist: bool = True
    permissions: str = ""
    uid: int = -1
    """-1: not asked for."""
    gid: int = -1
    is_executable_by: Literal["", "any", "owner", "group", "other"] = ""


class FileContentTest(Placed, frozen=True, kw_only=True):
    """A file, and what it must hold."""

    name: Filled
    path: Filled
    expected_contents: tuple[Expression, ...] = ()
    excluded_contents: tuple[Expression, ...] = ()


class MetadataTest(Placed, frozen=True, kw_only=True):
    """The image's configuration."""

    env_vars: tuple[Variable, ...] = ()
    unbound_env_vars: tuple[Variable, ...] = ()
    labels: tuple[Variable, ...] = ()
    entrypoint: Words | None = None
    cmd: Words | None = None
    exposed_ports: tuple[Filled, ...] = ()
    unexposed_ports: Words = ()
    volumes: tuple[Filled, ...] = ()
    unmounted_volumes: Words = ()
    workdir: str = ""
    user: str = ""


class LicenseTest(Placed, frozen=True, kw_only=True):
    """Licence texts that must not be of some kinds."""

    debian: bool = False
    files: Words = ()


class RunOptions(Placed, frozen=True, kw_only=True):
    """How the test containers are made."""

    user: str = ""
    privileged: bool = False
    allocate_tty: bool = False
    env_vars: Words = ()
    """Names of variables to hand on from the caller's own environment."""
    env_file: str = ""
    capabilities: Words = ()
    bind_mounts: Words = ()


class StructureFile(Part, frozen=True, kw_only=True):
    """A whole file."""

    schema_version: str
    global_env_vars: tuple[Variable, ...] = ()
    command_tests: tuple[CommandTest, ...] = ()
    file_existence_tests: tuple[FileExistenceTest, ...] = ()
    file_content_tests: tuple[FileContentTest, ...] = ()
    metadata_test: MetadataTest | None = None
    license_tests: tuple[LicenseTest, ...] = ()
    container_run_options: RunOptions = RunOptions()
