"""The verdict of each test by what was observed for it: pure, and the same as container-structure-test's."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import assert_never

from seatrial.checks.model import Outcome, Status, failed, passed
from seatrial.engine.streams import Output
from seatrial.facts import FileEntry, FileKind, Json
from seatrial.structure.files import (
    CommandTest,
    FileContentTest,
    FileExistenceTest,
    LicenseTest,
    MetadataTest,
    Variable,
    matches,
)
from seatrial.structure.plan import Test, environment_of


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """What the engine would not do: start a program that is not there, read a file that is not there."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Unknown:
    """What was ended at a limit of ours, or never came to be: nothing can be said of it."""

    reason: str


Content = bytes | Refusal | Unknown
"""A file's bytes, or why there are none."""
Licences = tuple[tuple[str, Content], ...]
"""Licence texts by their path."""
Observation = Output | FileEntry | Refusal | Unknown | bytes | Licences | Json

MODE_KINDS = {FileKind.FOLDER: "d", FileKind.LINK: "L", FileKind.FILE: ""}
MODE_BITS = ((stat.S_ISUID, "u"), (stat.S_ISGID, "g"), (stat.S_ISVTX, "t"))
EXECUTABLE = {"": 0, "any": 0o111, "owner": 0o100, "group": 0o010, "other": 0o001}
REFUSED_LICENCES = (b"AGPL", b"WTFPL")
SHOWN_LINES = 20
"""Lines of a text that a failure shows, the last ones."""
FIX = "Change the image, or this test."


def judge(test: Test, observed: Observation) -> Outcome:
    """Return a test's verdict."""
    expected = "; ".join(_expected(test))
    if isinstance(observed, tuple) and not _licence_problems(observed):
        observed = next((text for _, text in observed if isinstance(text, Unknown)), observed)
    if isinstance(observed, Unknown):
        return Outcome(status=Status.ERROR, actual=f"could not be decided: {observed.reason}", expected=expected)
    if isinstance(observed, Refusal):
        if isinstance(test, FileExistenceTest) and not test.should_exist:
            return passed(f"{test.path} does not exist", expected=expected)
        return failed(observed.reason, expected=expected, fix=FIX)
    problems, said, evidence = _compared(test, observed)
    if problems:
        return failed("; ".join(problems), expected=expected, fix=FIX, evidence=tuple(evidence))
    return passed(said, expected=expected)


def _compared(test: Test, observed: Observation) -> tuple[list[str], str, list[str]]:
    """Return what is wrong, what there is, and what shows it."""
    match test, observed:
        case CommandTest(), Output():
            said = f"exit code {observed.code}, {len(observed.out)} bytes on stdout, {len(observed.errors)} on stderr"
            shown = [*_tail("stdout", observed.out), *_tail("stderr", observed.errors)]
            problems = [
                *([] if observed.code == test.exit_code else [f"exit code {observed.code}"]),
                *_mismatches("stdout", observed.out, test.expected_output, test.excluded_output),
                *_mismatches("stderr", observed.errors, test.expected_error, test.excluded_error),
            ]
            return problems, said, shown
        case FileExistenceTest(), FileEntry():
            mode = mode_text(observed.mode, observed.kind)
            said = f"{test.path} is {mode}, uid {observed.uid}, gid {observed.gid}"
            return [] if _is_as_expected(test, observed, mode) else [said], said, []
        case FileContentTest(), bytes():
            problems = _mismatches(test.path, observed, test.expected_contents, test.excluded_contents)
            return problems, f"{test.path} has {len(observed)} bytes", _tail(test.path, observed)
        case MetadataTest(), dict():
            return _metadata_problems(test, observed), "it is as the test describes", []
        case LicenseTest(), tuple():
            problems = _licence_problems(observed)
            return problems and [f"{len(problems)} of {len(observed)}"], f"{len(observed)} texts", problems
        case _:
            raise TypeError(f"{type(observed).__name__} does not answer a {type(test).__name__}")


def _expected(test: Test) -> list[str]:
    match test:
        case CommandTest():
            return [
                f"exit code {test.exit_code}",
                *_wishes("stdout", test.expected_output, test.excluded_output),
                *_wishes("stderr", test.expected_error, test.excluded_error),
            ]
        case FileExistenceTest(should_exist=False):
            return [f"no {test.path}"]
        case FileExistenceTest():
            wanted = {
                "permissions": test.permissions,
                "uid": "" if test.uid == -1 else str(test.uid),
                "gid": "" if test.gid == -1 else str(test.gid),
                "executable by": test.is_executable_by,
            }
            return [", ".join((test.path, *(f"{name} {value}" for name, value in wanted.items() if value)))]
        case FileContentTest():
            return _wishes(test.path, test.expected_contents, test.excluded_contents) or [f"{test.path} can be read"]
        case MetadataTest():
            return ["the configuration that the test describes"]
        case LicenseTest():
            return ["no licence text that names AGPL or WTFPL"]
        case _:
            assert_never(test)


def _wishes(what: str, expected: Iterable[str], excluded: Iterable[str]) -> list[str]:
    return [
        *(f"{what} matches {expression!r}" for expression in expected),
        *(f"{what} does not match {expression!r}" for expression in excluded),
    ]


def _mismatches(what: str, text: bytes, expected: Iterable[str], excluded: Iterable[str]) -> list[str]:
    return [
        *(f"{what} does not match {expression!r}" for expression in expected if not matches(expression, text)),
        *(f"{what} matches {expression!r}" for expression in excluded if matches(expression, text)),
    ]


def mode_text(mode: int, kind: FileKind) -> str:
    """Return a mode as fs.FileMode writes it: `-rwxr-xr-x`, `drwxr-xr-x`, `Lrwxrwxrwx`, `dtrwxrwxrwx`, `urwxr-xr-x`."""
    marks = MODE_KINDS.get(kind, "?") + "".join(letter for bit, letter in MODE_BITS if mode & bit)
    bits = "".join(letter if mode & (1 << (8 - place)) else "-" for place, letter in enumerate("rwxrwxrwx"))
    return (marks or "-") + bits


def _is_as_expected(test: FileExistenceTest, file: FileEntry, mode: str) -> bool:
    bits = EXECUTABLE[test.is_executable_by]
    return (
        test.should_exist
        and test.permissions in {"", mode}
        and test.uid in {-1, file.uid}
        and test.gid in {-1, file.gid}
        and (not bits or file.mode & bits != 0)
    )


def _metadata_problems(test: MetadataTest, config: Json) -> list[str]:
    environment = environment_of(config)
    volumes = config.get("Volumes") or {}
    ports = {port.partition("/")[0] for port in config.get("ExposedPorts") or {}}
    lists = {"cmd": (test.cmd, config.get("Cmd")), "entrypoint": (test.entrypoint, config.get("Entrypoint"))}
    texts = {"workdir": (test.workdir, config.get("WorkingDir")), "user": (test.user, config.get("User"))}
    return [
        *_variable_problems("variable", test.env_vars, environment),
        *(f"variable {variable.key} is set" for variable in test.unbound_env_vars if variable.key in environment),
        *_variable_problems("label", test.labels, config.get("Labels") or {}),
        *(
            f"{what} is {list(found or ())}, not {list(wanted)}"
            for what, (wanted, found) in lists.items()
            if wanted is not None and list(wanted) != list(found or ())
        ),
        *(
            f"{what} is {found or ''!r}, not {wanted!r}"
            for what, (wanted, found) in texts.items()
            if wanted and wanted != found
        ),
        *(f"port {port} is not exposed" for port in test.exposed_ports if port not in ports),
        *(f"port {port} is exposed" for port in test.unexposed_ports if port in ports),
        *(f"{volume} is not a volume" for volume in test.volumes if volume not in volumes),
        *(f"{volume} is a volume" for volume in test.unmounted_volumes if volume in volumes),
    ]


def _variable_problems(what: str, wanted: Iterable[Variable], found: Mapping[str, str]) -> list[str]:
    problems: list[str] = []
    for variable in wanted:
        key, value = variable.key, found.get(variable.key)
        if value is None:
            problems.append(f"{what} {key} is not set")
        elif variable.is_regex and not matches(variable.value, value.encode("utf-8", "replace")):
            problems.append(f"{what} {key} is {value!r}, and does not match {variable.value!r}")
        elif not variable.is_regex and value != variable.value:
            problems.append(f"{what} {key} is {value!r}, not {variable.value!r}")
    return problems


def _licence_problems(texts: Licences) -> list[str]:
    upper = {path: text.decode("utf-8", "replace").upper().encode() for path, text in texts if isinstance(text, bytes)}
    return [
        *(text.reason for _, text in texts if isinstance(text, Refusal)),
        *(f"{path} names {name.decode()}" for path, text in upper.items() for name in REFUSED_LICENCES if name in text),
    ]


def _tail(what: str, text: bytes) -> list[str]:
    lines = text.decode("utf-8", "replace").splitlines()
    return [f"{what}: {line}" for line in lines[-SHOWN_LINES:]]
