"""Files of a project that would take minutes, gigabytes or forever to read: each is one clear error, soon."""

from __future__ import annotations

import os
import re
import resource
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from seatrial.checks.secrets import assignments, secret
from seatrial.compose import reading
from seatrial.dockerfile import LONGEST_VALUE, MOST_INSTRUCTIONS, DockerfileError, bases, parse, read
from seatrial.errors import SeatrialError, SettingsError
from seatrial.filesystem import read_bytes
from seatrial.images.plan import plan_build
from seatrial.images.secrets.redaction import in_addresses, in_netrc
from seatrial.observe.kept import BEGINNING
from seatrial.observe.path_rules import content_rules
from seatrial.observe.project.declared import read_project_facts
from seatrial.observe.project.lockfiles import read_lock, requirement_lines
from seatrial.settings.read import line_of, parse_toml, read_project, read_toml
from seatrial.structure.files import read_structure_file
from seatrial.trust import Trust

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MILLION = 1_000_000


@contextmanager
def soon(seconds: float = 20.0) -> Iterator[None]:
    """Assert that a block takes few seconds of processor time, whatever else this machine does."""
    before = time.process_time()
    yield
    assert time.process_time() - before < seconds


def problem_of(asked: Callable[[], object]) -> SeatrialError | None:
    try:
        asked()
    except SeatrialError as error:
        return error
    return None


def pipe(file: Path) -> None:
    os.mkfifo(file)


def zeros(file: Path) -> None:
    file.symlink_to("/dev/zero")


def endless(file: Path) -> None:
    """Make a file of 100 MB that takes no room."""
    with file.open("wb") as opened:
        opened.truncate(100 * MILLION)


def folder(file: Path) -> None:
    file.mkdir()


KINDS = [pipe, zeros, endless, folder]


@pytest.mark.parametrize("make", KINDS)
def test_what_is_no_small_file_is_not_read(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "x")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with soon(5), pytest.raises(OSError, match=r"regular file|larger than 1 MiB|directory"):
        read_bytes(tmp_path / "x", 1024 * 1024)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024


def test_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x" * 1000)
    assert read_bytes(tmp_path / "x", 1000) == b"x" * 1000
    with pytest.raises(OSError, match="larger than"):
        read_bytes(tmp_path / "x", 999)
    (tmp_path / "link").symlink_to("x")
    assert len(read_bytes(tmp_path / "link", 1000)) == 1000


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize(
    "name", ["pyproject.toml", "uv.lock", "poetry.lock", "requirements.txt", "Dockerfile", "test.yaml"]
)
def test_a_project_file_of_an_odd_kind_is_one_clear_error(
    tmp_path: Path, make: Callable[[Path], None], name: str
) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.seatrial.apps.one]\n")
    file = tmp_path / name
    file.unlink(missing_ok=True)
    make(file)
    asked: Callable[[], object] = {
        "pyproject.toml": lambda: read_toml(file),
        "Dockerfile": lambda: plan_build(read_project(tmp_path), "one"),
        "test.yaml": lambda: read_structure_file(file),
        "requirements.txt": lambda: requirement_lines(file),
    }.get(name, lambda: read_lock(tmp_path, "one"))
    with soon(5):
        error = problem_of(asked)
    if error is None:
        # A lock is looked for: what is no file is none.
        assert name.endswith(".lock")
    else:
        assert name in error.where
        assert any(word in error.what for word in ("regular file", "larger than", "directory", "leads out"))


DEEP = 100_000


@pytest.mark.parametrize(
    "text",
    [
        f"a = {'[' * DEEP}",
        f"a = {'{b=' * DEEP}",
        f"a = {'[' * DEEP}{']' * DEEP}",
        f"{'a.' * DEEP}b = 1",
        f"{'a . ' * DEEP}b = 1",
        f"x = {{{'a.' * DEEP}b = 1}}",
        f"[{'a.' * DEEP}b]",
        "[[" + '"x y".' * DEEP + "b]]",
        "'x'." * DEEP + "b = 1",
        f"a = {'9' * MILLION}",
        f'a = "{"x" * 3 * MILLION}',
        'a = """' + "x\n" * MILLION,
        f"{'#' * 3 * MILLION}\nx",
        f"{' ' * 3 * MILLION}x",
        f"{'a' * 3 * MILLION}",
        f"{'a-' * MILLION}.",
        "\n" * 4 * MILLION,
        "[a]\n" * 100_000,
    ],
    ids=lambda text: f"{text[:8]!r}…{len(text)}",
)
def test_a_hostile_toml_is_one_clear_error(tmp_path: Path, text: str) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text(text)
    with soon():
        error = problem_of(lambda: read_toml(file))
    # A few of them are TOML.
    assert error is None or (error.where.startswith(str(file)) and len(str(error)) < 1000)


def test_keys_of_many_parts_that_people_write_are_read() -> None:
    text = "[a.b.c.d.e.f]\n" + f"x = '{'a.' * 200}'\n" + f"y = '''\n{'. ' * 200}'''\n"
    assert parse_toml(text.replace("a.a.", "a, ")) == parse_toml(text.replace("a.a.", "a, "))
    assert parse_toml(f"{'a.' * 50}b = 1\n")["a"]
    with pytest.raises(ValueError, match=r"a key of more than 60 parts \(at line 2\)"):
        parse_toml(f"x = 1\n{'a.' * 61}b = 1\n")


def test_the_line_of_a_key_is_found_in_linear_time() -> None:
    text = f"{' ' * MILLION}\n{'a ' * 500_000}\n{'a.' * 500_000}\n[tool]\n'a b'.c = 1\n"
    with soon():
        assert line_of(text, ["tool", "a b", "c"]) == 5


# Dockerfiles.


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"FROM a\nRUN " + b"x" * 50 * MILLION, "larger than 1 MiB"),
        (b"FROM a\nRUN " + b"x" * 70_000, "it has a line of more than 65535 bytes (line 2)"),
        (b"FROM a\n" + b"RUN x\n" * MOST_INSTRUCTIONS, f"more than {MOST_INSTRUCTIONS} instructions (line 2001)"),
        (b"FROM a\n" + b"RUN <<A\nA\n" * 60_000, f"more than {MOST_INSTRUCTIONS} instructions"),
        (b"FROM a\0", "not a text file"),
    ],
)
def test_a_hostile_dockerfile_is_one_clear_error(tmp_path: Path, content: bytes, what: str) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.seatrial.apps.one]\n")
    (tmp_path / "Dockerfile").write_bytes(content)
    with soon(10), pytest.raises((OSError, DockerfileError)) as raised:
        read(tmp_path / "Dockerfile")
    assert what in str(raised.value)
    with soon(10), pytest.raises(SeatrialError, match=r"Dockerfile") as told:
        plan_build(read_project(tmp_path), "one")
    assert what.partition(" (line")[0] in told.value.what


@pytest.mark.parametrize(
    "text",
    [
        "FROM a\nRUN " + "<<A " * 16_000 + "\n" + "x\n" * 200_000,
        "FROM a\nRUN " + "".join(f"<<A{number} " for number in range(8000)) + "\n",
        "FROM a\n" + "RUN \\\n" * 150_000,
        "FROM a\nRUN " + " \\\n".join(["\\ " * 30_000] * 15),
        "".join(f"FROM s{number} AS s{number + 1}\n" for number in range(MOST_INSTRUCTIONS)),
        "".join(f"ARG A{number}=$A{number - 1}$A{number - 1}\n" for number in range(1, 60)).replace("$A0$A0", "xx")
        + "FROM $A59\n",
        "FROM " + "${a:-${b}" * 6000 + "\n",
        "FROM " + "${a:-" * 12_000 + "\n",
        "#" + " " * 60_000 + "=\n" + "FROM a\n",
    ],
    ids=lambda text: f"{text[:18]!r}…{len(text)}",
)
def test_a_dockerfile_within_the_limits_is_parsed_soon(tmp_path: Path, text: str) -> None:
    (tmp_path / "Dockerfile").write_text(text)
    with soon():
        parsed = parse(read(tmp_path / "Dockerfile"))
        found = bases(parsed, {}, {})
    assert all(len(base.reference) <= 2 * LONGEST_VALUE for base in found)


# What a build context leads to.


@pytest.mark.parametrize("how", ["-r ../outside.txt", "-r {}", "--requirement=../../etc/passwd", "link"])
def test_requirements_outside_of_the_context_are_not_read(tmp_path: Path, how: str) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("s3cret of the host\n")
    context = tmp_path / "context"
    context.mkdir()
    (context / "more.txt").write_text("idna==3.10\n")
    file = context / "requirements.txt"
    if how == "link":
        file.symlink_to(outside)
    else:
        file.write_text(f"-r more.txt\n{how.format(outside)}\n")
    with pytest.raises(SettingsError, match="leads out of the build context") as raised:
        read_project_facts(context)
    assert "s3cret" not in str(raised.value)
    file.unlink()
    file.write_text("-r ./more.txt\n")
    assert read_project_facts(context).dependencies == ("idna==3.10",)


@pytest.mark.parametrize("name", ["uv.lock", "pylock.toml", "poetry.lock", "pdm.lock", "pyproject.toml"])
def test_files_that_lead_out_of_the_context_are_not_read(tmp_path: Path, name: str) -> None:
    context = tmp_path / "context"
    context.mkdir()
    (tmp_path / "outside").write_text("s3cret of the host\n")
    (context / name).symlink_to(tmp_path / "outside")
    with pytest.raises(SettingsError, match="leads out of the build context") as raised:
        read_project_facts(context)
    assert "s3cret" not in str(raised.value)
    (context / name).unlink()
    (context / "inside").write_text("version = 1\n")
    (context / name).symlink_to("inside")
    error = problem_of(lambda: read_project_facts(context))
    assert error is None or "leads out" not in error.what


def test_settings_that_lead_out_of_an_untrusted_project_are_not_read(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (tmp_path / "outside").write_text("[tool.seatrial.apps.one]\n")
    (folder / "pyproject.toml").symlink_to(tmp_path / "outside")
    assert list(read_project(folder).settings.apps) == ["one"]
    with pytest.raises(SettingsError, match="as the project is not trusted"):
        read_project(folder, Trust.NONE)
    (folder / "pyproject.toml").unlink()
    (tmp_path / "outside").rename(folder / "inside")
    (folder / "pyproject.toml").symlink_to("inside")
    assert list(read_project(folder, Trust.NONE).settings.apps) == ["one"]


@pytest.mark.parametrize("text", ["\n" * MILLION, " " * MILLION, "\r\n" * 500_000, "export " * 150_000, "a" * MILLION])
def test_an_env_file_is_searched_in_linear_time(text: str) -> None:
    with soon():
        for pattern in (reading.STEERING, reading.BARE, reading.ASSIGNED):
            assert pattern.findall(text) in ([], ["a" * MILLION])
    lines = "\u00a0export COMPOSE_FILE = x\r\n  A\r\nB: c\n"
    assert reading.STEERING.findall(lines) == ["COMPOSE_FILE"]
    assert reading.BARE.findall(lines) == ["A"]
    assert reading.ASSIGNED.findall(lines) == ["COMPOSE_FILE", "B"]


PIECES = (
    "a", "1", " ", "\n", "\t", "/", "@", "://", "a://", "?token", "token", "_", "-", "_PASS", "eyJaaaaaaaaaaaa.",
    "password",
    "password ", "\npassword", "\r", "x=", "'", '"auth" ', '"private_key" ', "_authToken ", "#", "a:b", "privkey",
    "sk-",
    "xoxb-", "AKIA", "/.cache", "/lib/python3", "${", "machine x ", "macdef a\n", "-----BEGIN ", "a1", "export ", "x\\",
)  # fmt: skip
"""What comes again and again in a text that keeps a pattern busy."""
CONTENT = [re.compile(rule.content.encode(), re.DOTALL) for rule in content_rules()]


@pytest.mark.parametrize(
    "asked",
    [
        lambda text: secret(text, text),
        lambda text: list(assignments(text)),
        lambda text: list(in_addresses([text], "pip-config")),
        lambda text: list(in_netrc(text)),
        lambda text: [pattern.search(text[:BEGINNING].encode()) for pattern in CONTENT],
    ],
    ids=["a variable", "a line of the history", "addresses", "a netrc", "a file of the image"],
)
def test_a_megabyte_is_searched_for_secrets_in_linear_time(asked: Callable[[str], object]) -> None:
    for piece in PIECES:
        with soon(8.0):
            asked(f"?{piece * (MILLION // len(piece))}!")
