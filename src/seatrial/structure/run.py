"""Runs structure tests: commands in their own containers, files from the engine's archive.

What asks the engine raises EngineError when it does not answer.
"""

from __future__ import annotations

import os
import posixpath
import re
import stat
import tarfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import docker.errors
import msgspec

from seatrial.checks.model import Result, Severity
from seatrial.checks.verdict import Smoke, summed_up, truncate, truncate_lines
from seatrial.engine import runs
from seatrial.engine.containers import MOST_WRITTEN, Container, committed, container, engine_errors, refusal
from seatrial.engine.find import Engine
from seatrial.engine.runs import Run
from seatrial.engine.streams import Output, run_to_end
from seatrial.errors import SettingsError
from seatrial.facts import FileEntry, FileKind, Json
from seatrial.facts.boot import KILLED
from seatrial.observe.configuration import read_configuration
from seatrial.observe.files import EngineFiles, leads_nowhere
from seatrial.observe.gather import with_folders
from seatrial.settings.model import Contract
from seatrial.structure.files import (
    CommandTest,
    FileContentTest,
    FileExistenceTest,
    LicenseTest,
    MetadataTest,
    RunOptions,
    StructureFile,
    read_file,
)
from seatrial.structure.judge import Content, Licences, Observation, Refusal, Unknown, judge
from seatrial.structure.plan import CommandRun, FilePlan, PlannedTest, plan_file
from seatrial.text import show_size

LARGEST = 64 * 1024 * 1024
"""Bytes of a file that is read."""
MOST_MEMBERS = 200_000
"""Members of one archive that are read."""
MOST_LINKS = 40
EXEMPT = "libgnutls30"
"""The package whose licence text the tool does not read."""
DEBIAN_LICENCES = "/usr/share/doc"
KINDS = {
    tarfile.DIRTYPE: FileKind.FOLDER,
    tarfile.REGTYPE: FileKind.FILE,
    tarfile.AREGTYPE: FileKind.FILE,
    tarfile.LNKTYPE: FileKind.FILE,
    tarfile.SYMTYPE: FileKind.LINK,
}

Members = Iterator[tuple[tarfile.TarInfo, tarfile.TarFile]]


class _StoppedError(Exception):
    """A path cannot be read."""

    def __init__(self, answer: Refusal | Unknown) -> None:
        super().__init__(answer.reason)
        self.answer = answer


class Archive:
    """The files of a container that was made, and never started."""

    def __init__(self, client: docker.APIClient, container: str) -> None:
        self._files = EngineFiles(client, container)

    def stat(self, path: str) -> FileEntry | Refusal | Unknown:
        """Return what is at a path."""
        try:
            with self._members(path) as members:
                for member, _ in members:
                    if member.type in KINDS and _is_named(member, path):
                        kind, mode = KINDS[member.type], stat.S_IMODE(member.mode)
                        return FileEntry(kind=kind, mode=mode, uid=member.uid, gid=member.gid)
        except _StoppedError as stopped:
            return stopped.answer
        return _absent(path)

    def contents(self, path: str) -> Content:
        """Return what a file holds."""
        asked = path
        try:
            for _ in range(MOST_LINKS):
                with self._members(path) as members:
                    found = _contents(path, members)
                if not isinstance(found, str):
                    return found
                path = found
        except _StoppedError as stopped:
            return stopped.answer
        return Refusal(reason=f"{asked} is a circle of links")

    def licences(self) -> Licences | Refusal | Unknown:
        """Return the licence texts of Debian's packages."""
        try:
            with self._members(DEBIAN_LICENCES) as members:
                parts = [member.name.strip("/").split("/") for member, _ in members if member.isdir()]
        except _StoppedError as stopped:
            return stopped.answer
        packages = [path[1] for path in parts if len(path) == 2 and path[1] != EXEMPT]  # noqa: PLR2004 - doc/PACKAGE
        paths = [f"{DEBIAN_LICENCES}/{package}/copyright" for package in packages]
        return tuple((path, self.contents(path)) for path in paths)

    @contextmanager
    def _members(self, path: str) -> Iterator[Members]:
        """Give the members of a path's archive as they come; closed half read, the engine sends no more."""
        try:
            with self._files.tree(path) as stream, tarfile.open(fileobj=stream, mode="r|", bufsize=512) as archive:
                yield _limited(path, archive)
        except docker.errors.APIError as error:
            raise _StoppedError(_refusal(path, error)) from error


def _limited(path: str, archive: tarfile.TarFile) -> Members:
    for number, member in enumerate(archive):
        if number >= MOST_MEMBERS:
            raise _StoppedError(Unknown(reason=f"{path} has more than {MOST_MEMBERS} files below it"))
        yield member, archive


def _refusal(path: str, error: docker.errors.APIError) -> Refusal | Unknown:
    """Tell a path that leads nowhere from an engine that cannot say: the latter must not pass as an absent file."""
    said = str(error.explanation or error)
    if error.status_code == 404:  # noqa: PLR2004 - HTTP not found
        return Refusal(reason=f"{path} is not in the image")
    if error.status_code == 400 or leads_nowhere(said):  # noqa: PLR2004 - HTTP bad request
        return Refusal(reason=f"{path} leads nowhere: {said}")
    return Unknown(reason=f"the engine refused {path}: {said}")


def _absent(path: str) -> Refusal:
    return Refusal(reason=f"{path} is not in the image, or is a device or a pipe")


def _contents(path: str, members: Members) -> Content | str:
    """Return what the member that bears the path's name holds, or the target of the first link before it."""
    for member, archive in members:
        if member.issym():
            return member.linkname
        if not _is_named(member, path):
            continue
        if member.isdir():
            return Refusal(reason=f"{path} is a directory")
        if member.isreg() and member.size > LARGEST:
            return Unknown(reason=f"{path} has {member.size} bytes; {LARGEST} are read")
        if member.isreg() and (source := archive.extractfile(member)):
            return source.read()
    return _absent(path)


def _is_named(member: tarfile.TarInfo, path: str) -> bool:
    # tarfile takes the slash off a folder's name: nothing is left of the root's.
    name = posixpath.normpath(member.name) if member.name else "/"
    return name == (posixpath.basename(path.rstrip("/")) or ("/" if path else "."))


WHY = "A structure test of the project says so."
SECONDS = 600.0
"""A command may take so long; the tool waits for ever."""
MOST_OUTPUT = 16 * 1024 * 1024
"""Bytes that a command may write."""
PARALLEL = 4
"""Commands that run at once: starting a container is mostly waiting for the engine."""


def prove(
    files: Mapping[Path, StructureFile],
    reference: str,
    contract: Contract,
    engine: Engine,
    *,
    environment: Mapping[str, str],
    folder: Path,
    say: Callable[[str], None] = lambda _: None,
) -> Smoke:
    """Prove an image by structure tests, within the contract's limits on memory and processes.

    `environment` is the caller's own, of which a file may pass on variables by name; `folder` is where an env file that
    a file names is looked for; `say` receives the progress.

    Raises:
        SettingsError: an env file cannot be read.
        ImageError: the engine has no such image.
    """
    started = time.perf_counter()
    passed_on = {file: _passed_on(said.container_run_options, environment, folder) for file, said in files.items()}
    with engine_errors(f"testing the structure of {reference}"), runs.running(engine, pid=os.getpid()) as run:
        configuration = with_folders(run, read_configuration(engine, reference), ())
        image = engine.client.api.inspect_image(configuration.id)  # type: ignore[no-untyped-call]
        used = Counter[str]()
        plans = [
            plan_file(
                str(file),
                said,
                image,
                contract,
                passed_on=passed_on[file],
                used=used,
                volumes=configuration.empty_volumes,
            )
            for file, said in files.items()
        ]
        say("running structure tests")
        results = run_plans(run, plans, image.get("Config") or {})
    return Smoke(
        image=truncate(reference),
        id=configuration.id,
        seconds=round(time.perf_counter() - started, 3),
        **summed_up(results, Severity(contract.fail_on)),
    )


def joined(smoke: Smoke, structure: Smoke) -> Smoke:
    """Return the contract's checks and the structure tests of one image as one smoke."""
    return msgspec.structs.replace(
        smoke,
        seconds=round(smoke.seconds + structure.seconds, 3),
        **summed_up((*smoke.checks, *structure.checks), smoke.fail_on),
        timings={**smoke.timings, "structure": structure.seconds},
    )


def _passed_on(options: RunOptions, environment: Mapping[str, str], folder: Path) -> dict[str, str | None]:
    """Return what the commands' environment gets: the env file's variables, then the caller's; None is not set."""
    variables = read_env_file(folder / options.env_file) if options.env_file else {}
    return {**variables, **{name: environment.get(name) or None for name in options.env_vars}}


ENV_LINE = re.compile(
    r"""\s*(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=\s*
        (?:'(?P<literal>[^']*)'|"(?P<quoted>[^"\\]*)"|(?P<bare>[^'"\\#\s](?:[^\\#]|(?<=\S)\#)*?)?)\s*(?:(?<=\s)\#.*)?""",
    re.VERBOSE,
)
ENV_REFERENCE = re.compile(r"\$\{?([A-Z0-9_]+)\}?")


def read_env_file(file: Path) -> dict[str, str]:
    """Return the variables of the file that `envFile` names; empty ones are left out, as the tool does.

    Raises SettingsError: it cannot be read, or holds what is not supported.
    """
    variables: dict[str, str] = {}
    for number, line in enumerate(read_file(file).splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = ENV_LINE.fullmatch(line)
        text = (found["quoted"] or found["bare"] or "") if found else "$("
        if found is None or "$(" in text:
            fix = "Write NAME=value, the value plain or in quotes, with no backslash."
            raise SettingsError("not supported in an env file.", where=f"{file}:{number}", fix=fix)
        value = ENV_REFERENCE.sub(lambda name: variables.get(name[1], ""), text)
        variables[found["name"]] = found["literal"] or value
    return {name: value for name, value in variables.items() if value}


def run_plans(run: Run, plans: Sequence[FilePlan], config: Json) -> tuple[Result, ...]:
    """Return each test's result, in the files' order.

    Where commands of a file reach the host, everything runs one after another, as the tool does it: a later test
    may look at what an earlier one left there. Raises APIError: the engine answers no more.
    """
    workers = 1 if any(plan.in_order for plan in plans) else PARALLEL
    with ThreadPoolExecutor(max_workers=workers) as pool, runs.ending(run):
        pending: list[Future[list[Result]]] = []
        for plan in plans:
            pending += [pool.submit(_command_result, run, test, test.run) for test in plan.tests if test.run]
            pending.append(pool.submit(_file_results, run, plan))
        results = {result.id: result for future in pending for result in future.result()}
    metadata = {test.id: _result(test, config) for plan in plans for test in plan.tests if test.id not in results}
    return tuple((results | metadata)[test.id] for plan in plans for test in plan.tests)


def _result(test: PlannedTest, observed: Observation, started: float | None = None) -> Result:
    outcome = judge(test.test, observed)
    return Result(
        id=test.id,
        title=test.title,
        status=outcome.status,
        expected=truncate(outcome.expected),
        actual=truncate(outcome.actual),
        why=WHY,
        fix=truncate(outcome.fix),
        evidence=truncate_lines(outcome.evidence),
        seconds=round(time.perf_counter() - started, 6) if started else 0.0,
        where=test.where,
    )


def _command_result(run: Run, test: PlannedTest, command: CommandRun) -> list[Result]:
    started = time.perf_counter()
    return [_result(test, _command(run, command), started)]


def _command(run: Run, planned: CommandRun) -> Output | Refusal | Unknown:
    if planned.missing:
        return Refusal(reason=f"not set, and so not passed on: {', '.join(planned.missing)}")
    image, where = planned.command["Image"], "in its setup, "
    with ExitStack() as stack:
        try:
            for step in planned.setup:
                made = stack.enter_context(container(run, {**step, "Image": image}, watched=True))
                output = _output(made)
                if isinstance(output, Unknown):
                    return Unknown(reason=f"{where}{output.reason}")
                image = stack.enter_context(committed(run, made))
            where = ""
            made = stack.enter_context(container(run, {**planned.command, "Image": image}, watched=True))
            return _output(made, expected=planned.exit_code)
        except docker.errors.APIError as error:
            return _refused(error, where)


def _output(made: Container, expected: int = 0) -> Output | Unknown:
    output = run_to_end(made, seconds=SECONDS, most=MOST_OUTPUT)
    if made.written:
        written, most = show_size(made.written[0]), show_size(MOST_WRITTEN)
        return Unknown(reason=f"the command was stopped when it had written {written} to disk; it may write {most}")
    if output.timed_out:
        return Unknown(reason=f"the command was stopped after {SECONDS:g} s")
    if output.truncated or output.code is None:
        return Unknown(reason=f"the command was stopped when it had written {MOST_OUTPUT} bytes")
    # A container's first process cannot be killed from within, and the engine at times loses the kernel's word that the
    # memory limit was the cause: what was killed, and was not expected to be, counts as killed for it.
    killed = output.code == KILLED
    if killed and (expected != KILLED or made.client.inspect_container(made.id)["State"]["OOMKilled"]):
        return Unknown(
            reason="the command was killed (exit code 137), as at the memory limit; the contract's `memory` raises it"
        )
    return output


def _refused(error: docker.errors.APIError, where: str = "") -> Refusal:
    """Return why a container could not be made or started; the engine's own faults are raised again."""
    if error.explanation is None:
        raise error
    return Refusal(reason=f"{where}the engine refused: {refusal(error)}")


def _file_results(run: Run, plan: FilePlan) -> list[Result]:
    tests = [test for test in plan.tests if not isinstance(test.test, CommandTest | MetadataTest)]
    results: list[Result] = []
    if not tests:
        return results
    try:
        with container(run, plan.container) as made:
            for test in tests:
                started = time.perf_counter()
                results.append(_result(test, _file(Archive(made.client, made.id), test), started))
    except docker.errors.APIError as error:
        results += [_result(test, _refused(error)) for test in tests[len(results) :]]
    return results


def _file(archive: Archive, planned: PlannedTest) -> Observation:
    match test := planned.test:
        case FileExistenceTest():
            return archive.stat(test.path)
        case FileContentTest():
            return archive.contents(test.path)
        case LicenseTest():
            debian = archive.licences() if test.debian else ()
            if not isinstance(debian, tuple):
                return debian
            return (*debian, *((path, archive.contents(path)) for path in test.files))
        case _:
            raise TypeError(f"{planned.id} reads no file")
