from __future__ import annotations

import stat
from typing import Any

import pytest

from seatrial.checks.model import Outcome, Status
from seatrial.engine.streams import Output
from seatrial.facts import FileEntry, FileKind
from seatrial.structure.files import (
    CommandTest,
    FileContentTest,
    FileExistenceTest,
    LicenseTest,
    MetadataTest,
    Variable,
    matches,
    problem_of,
)
from seatrial.structure.judge import Licences, Refusal, Unknown, judge, mode_text
from seatrial.structure.plan import expand

REFUSED = Refusal(reason="no such program")
CUT = Unknown(reason="it was stopped after 600 s")


def command(**changed: Any) -> CommandTest:
    return CommandTest(**{"name": "n", "command": "c", **changed})


def ran(out: bytes = b"", errors: bytes = b"", code: int = 0) -> Output:
    return Output(out=out, errors=errors, code=code, truncated=False, timed_out=False)


@pytest.mark.parametrize(
    ("test", "seen", "actual"),
    [
        (command(exit_code=1), ran(), "exit code 0"),
        (command(), ran(code=2), "exit code 2"),
        (command(expected_output=("a", "b")), ran(b"a"), "stdout does not match 'b'"),
        (command(excluded_output=("a",)), ran(b"a"), "stdout matches 'a'"),
        (command(expected_error=("a",)), ran(b"a"), "stderr does not match 'a'"),
        (command(excluded_error=("a",)), ran(b"", b"a"), "stderr matches 'a'"),
        # `$` is the very end of the text, and `.` no line's end: Go's defaults.
        (command(expected_output=("^b$",)), ran(b"a\nb\n"), "stdout does not match '^b$'"),
        (command(expected_output=("a.b",)), ran(b"a\nb"), "stdout does not match 'a.b'"),
        (command(), REFUSED, "no such program"),
    ],
)
def test_a_command_that_answers_otherwise_fails(test: CommandTest, seen: Output | Refusal, actual: str) -> None:
    outcome = judge(test, seen)
    assert (outcome.status, outcome.actual) == (Status.FAIL, actual)
    assert outcome.fix


def test_a_command_that_answers_as_expected_passes_and_one_that_was_cut_is_undecided() -> None:
    test = command(exit_code=3, expected_output=("(?m)^b$", "(?s)a.b"), excluded_error=("x",))
    assert judge(test, ran(b"a\nb\n", b"y", 3)).status is Status.PASS
    undecided = judge(test, CUT)
    assert (undecided.status, undecided.actual) == (
        Status.ERROR,
        "could not be decided: it was stopped after 600 s",
    )


def test_a_failure_shows_the_last_lines() -> None:
    out = "".join(f"{number}\n" for number in range(100)).encode()
    outcome = judge(command(exit_code=1), ran(out, b"why\xff"))
    assert outcome.evidence[-2:] == ("stdout: 99", "stderr: why\ufffd")
    assert len(outcome.evidence) == 21


STAT = FileEntry(kind=FileKind.FILE, mode=0o754, uid=10, gid=20)


def existence(**changed: Any) -> Outcome:
    return judge(FileExistenceTest(**{"name": "n", "path": "/p", **changed}), STAT)


@pytest.mark.parametrize(
    "asked",
    [
        {"permissions": "-rwxr-xr-x"},
        {"uid": 0},
        {"gid": 0},
        {"is_executable_by": "other"},
        {"should_exist": False},
        {"should_exist": False, "permissions": "-rwxr-xr--"},
    ],
)
def test_a_file_that_is_otherwise_fails(asked: dict[str, Any]) -> None:
    outcome = existence(**asked)
    assert outcome.status is Status.FAIL
    assert "-rwxr-xr--, uid 10, gid 20" in outcome.actual


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"permissions": "-rwxr-xr--", "uid": 10, "gid": 20},
        {"is_executable_by": "any"},
        {"is_executable_by": "owner"},
        {"is_executable_by": "group"},
    ],
)
def test_a_file_that_is_as_asked_passes(asked: dict[str, Any]) -> None:
    assert existence(**asked).status is Status.PASS


def test_what_was_expected_of_a_file_is_named() -> None:
    assert existence().expected == "/p"
    assert existence(permissions="-rwxr-xr--", uid=10).expected == "/p, permissions -rwxr-xr--, uid 10"
    assert existence(should_exist=False).expected == "no /p"


def test_a_file_that_is_not_there() -> None:
    gone = Refusal(reason="/p is not in the image")
    there = FileExistenceTest(name="n", path="/p")
    assert judge(there, gone).status is Status.FAIL
    absent = FileExistenceTest(name="n", path="/p", should_exist=False)
    assert judge(absent, gone).status is Status.PASS
    assert judge(absent, CUT).status is Status.ERROR
    assert judge(there, CUT).status is Status.ERROR


def test_contents() -> None:
    test = FileContentTest(name="n", path="/p", expected_contents=("^a",), excluded_contents=("b",))
    assert judge(test, b"a\n").status is Status.PASS
    assert judge(test, b"c").actual == "/p does not match '^a'"
    assert judge(test, b"ab").actual == "/p matches 'b'"
    assert judge(test, REFUSED).status is Status.FAIL
    assert judge(test, CUT).status is Status.ERROR


CONFIG = {
    "Env": ["A=1", "EMPTY=", "B2=x=y", "B2=z"],
    "Entrypoint": ["/e"],
    "Cmd": ["c", "d"],
    "ExposedPorts": {"80/tcp": {}},
    "Volumes": {"/v": {}},
    "Labels": {"l": "v1"},
    "WorkingDir": "/w",
    "User": "app",
}


def variable(key: str, value: str = "", *, is_regex: bool = False) -> tuple[Variable, ...]:
    return (Variable(key=key, value=value, is_regex=is_regex),)


@pytest.mark.parametrize(
    ("asked", "actual"),
    [
        ({"env_vars": variable("A", "2")}, "variable A is '1', not '2'"),
        ({"env_vars": variable("B", "2")}, "variable B is not set"),
        ({"env_vars": variable("A", "^2", is_regex=True)}, "variable A is '1', and does not match '^2'"),
        ({"unbound_env_vars": variable("EMPTY")}, "variable EMPTY is set"),
        ({"labels": variable("l", "v.")}, "label l is 'v1', not 'v.'"),
        ({"entrypoint": ()}, "entrypoint is ['/e'], not []"),
        ({"cmd": ("c",)}, "cmd is ['c', 'd'], not ['c']"),
        ({"exposed_ports": ("80/tcp",)}, "port 80/tcp is not exposed"),
        ({"unexposed_ports": ("80",)}, "port 80 is exposed"),
        ({"volumes": ("/x",)}, "/x is not a volume"),
        ({"unmounted_volumes": ("/v",)}, "/v is a volume"),
        ({"workdir": "/"}, "workdir is '/w', not '/'"),
        ({"user": "root"}, "user is 'app', not 'root'"),
    ],
)
def test_a_configuration_that_is_otherwise_fails(asked: dict[str, Any], actual: str) -> None:
    outcome = judge(MetadataTest(**asked), CONFIG)
    assert (outcome.status, outcome.actual) == (Status.FAIL, actual)


def test_a_configuration_that_is_as_asked_passes() -> None:
    asked = MetadataTest(
        env_vars=(*variable("A", "^[0-9]$", is_regex=True), *variable("EMPTY"), *variable("B2", "z")),
        unbound_env_vars=variable("B"),
        labels=variable("l", "v1"),
        entrypoint=("/e",),
        cmd=("c", "d"),
        exposed_ports=("80",),
        unexposed_ports=("81",),
        volumes=("/v",),
        unmounted_volumes=("/x",),
        workdir="/w",
        user="app",
    )
    assert judge(asked, CONFIG).status is Status.PASS


def test_an_image_that_says_nothing_has_an_empty_configuration() -> None:
    assert judge(MetadataTest(cmd=(), entrypoint=(), unbound_env_vars=variable("A")), {}).status is Status.PASS
    assert judge(MetadataTest(workdir="/"), {"WorkingDir": ""}).actual == "workdir is '', not '/'"


def licences(*texts: bytes | Refusal | Unknown) -> Outcome:
    found: Licences = tuple((f"/{number}", text) for number, text in enumerate(texts))
    return judge(LicenseTest(), found)


def test_licences() -> None:
    fine, bad = b"MIT", b"GNU Agpl 3"
    assert licences(fine).actual == "1 texts"
    failing = licences(fine, bad, REFUSED, CUT)
    assert (failing.status, failing.actual) == (Status.FAIL, "2 of 4")
    assert set(failing.evidence) == {"/1 names AGPL", "no such program"}
    assert licences(fine, CUT).status is Status.ERROR
    assert judge(LicenseTest(), REFUSED).status is Status.FAIL
    assert judge(LicenseTest(), CUT).status is Status.ERROR


@pytest.mark.parametrize(
    ("mode", "kind", "text"),
    [
        (0o644, FileKind.FILE, "-rw-r--r--"),
        (0o4755, FileKind.FILE, "urwxr-xr-x"),
        (0o2755, FileKind.FILE, "grwxr-xr-x"),
        (stat.S_ISVTX | 0o777, FileKind.FOLDER, "dtrwxrwxrwx"),
        (0o777, FileKind.LINK, "Lrwxrwxrwx"),
        (0o6000, FileKind.FOLDER, "dug---------"),
    ],
)
def test_a_mode_is_shown_as_go_shows_it(mode: int, kind: FileKind, text: str) -> None:
    assert mode_text(mode, kind) == text


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$A/${A}/x", "1/1/x"),
        ("$NONE", ""),
        ("$AB", ""),
        ("a$", "a$"),
        ("$ A", "$ A"),
        ("${}x", "x"),
        ("${A", "A"),
        ("$$A", "A"),
        ("$1A", "A"),
        ("${A B}", "odd"),
        ("$ä", "$ä"),
    ],
)
def test_variables_are_expanded_as_go_expands_them(text: str, expanded: str) -> None:
    assert expand(text, {"A": "1", "A B": "odd"}) == expanded


def test_expressions_are_gos() -> None:
    assert matches(r"\pL\Q.*\E\z", "é.*".encode())
    assert matches("(?i)^ß$", "ẞ".encode())
    assert matches("^a\ufffd\ufffdb$", b"a\xff\xfeb")
    assert not matches("a$", b"a\n")
    assert problem_of("[a-z") == "missing ]: [a-z"
    assert problem_of(r"\\C") == ""
    assert "invalid" in problem_of("(?=a)")


def test_no_text_keeps_an_expression_busy() -> None:
    assert not matches("(a*)*b", b"a" * 1_000_000)
