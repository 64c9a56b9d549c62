"""Files as container-structure-test reads them, from archives that are made here."""

from __future__ import annotations

import io
import tarfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import docker.errors
import pytest
import requests

from seatrial.facts import FileEntry, FileKind
from seatrial.structure import run
from seatrial.structure.judge import Refusal, Unknown
from seatrial.structure.run import Archive

if TYPE_CHECKING:
    from collections.abc import Iterator

Member = tuple[str, bytes, str | bytes]
"""A name, a type, and what the file holds or where the link leads."""


def refused(status: int, said: str) -> docker.errors.APIError:
    response = requests.Response()
    response.status_code = status
    kind = docker.errors.NotFound if status == 404 else docker.errors.APIError
    return kind("refused", response=response, explanation=said)


def packed(members: list[Member]) -> io.BytesIO:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as made:
        for name, kind, held in members:
            member = tarfile.TarInfo(name)
            member.type, member.mode, member.uid, member.gid = kind, 0o4754, 10, 20
            if isinstance(held, str):
                member.linkname = held
                made.addfile(member)
            else:
                member.size = len(held)
                made.addfile(member, io.BytesIO(held))
    sink.seek(0)
    return sink


class Files:
    """Stands for the engine: archives, or refusals, by the path that is asked for."""

    def __init__(self, paths: dict[str, list[Member] | docker.errors.APIError], _container: str) -> None:
        self.paths = paths

    @contextmanager
    def tree(self, path: str) -> Iterator[io.BytesIO]:
        answer = self.paths.get(path) or refused(404, "Could not find the file")
        if isinstance(answer, docker.errors.APIError):
            raise answer
        yield packed(answer)


@pytest.fixture(autouse=True)
def _engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "EngineFiles", Files)


def files(paths: dict[str, Any]) -> Archive:
    return Archive(paths, "container")  # type: ignore[arg-type]


REG, DIR, LINK, HARD, PIPE = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE


@pytest.mark.parametrize(
    ("path", "members", "kind"),
    [
        ("/a/file", [("file", REG, b"x")], FileKind.FILE),
        ("/a/file", [("file", HARD, "other")], FileKind.FILE),
        ("/a/link", [("link", LINK, "/x")], FileKind.LINK),
        ("/a/dir/", [("dir/", DIR, ""), ("dir/dir", REG, b"")], FileKind.FOLDER),
        ("/", [("/", DIR, "")], FileKind.FOLDER),
        ("/a/b", [("other", REG, b""), ("b", REG, b"")], FileKind.FILE),
        ("/a/.", [("./", DIR, "")], FileKind.FOLDER),
    ],
)
def test_what_is_at_a_path(path: str, members: list[Member], kind: FileKind) -> None:
    assert files({path: members}).stat(path) == FileEntry(kind=kind, mode=0o4754, uid=10, gid=20)


@pytest.mark.parametrize("members", [[("pipe", PIPE, "")], [("other", REG, b"")], [("pipe/pipe", REG, b"")]])
def test_what_bears_another_name_or_is_a_pipe_is_absent(members: list[Member]) -> None:
    found = files({"/pipe": members})
    assert found.stat("/pipe") == found.contents("/pipe")
    assert found.stat("/pipe") == Refusal(reason="/pipe is not in the image, or is a device or a pipe")


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (refused(404, "no"), Refusal(reason="/a is not in the image")),
        (refused(400, "no"), Refusal(reason="/a leads nowhere: no")),
        (refused(500, "x: not a directory"), Refusal(reason="/a leads nowhere: x: not a directory")),
        (refused(500, "out of space"), Unknown(reason="the engine refused /a: out of space")),
    ],
)
def test_an_engine_that_cannot_say_is_told_from_an_absent_file(
    error: docker.errors.APIError, answer: Refusal | Unknown
) -> None:
    found = files({"/a": error, run.DEBIAN_LICENCES: error})
    assert found.stat("/a") == answer
    assert found.contents("/a") == answer
    assert type(found.licences()) is type(answer)


def test_contents_are_read_through_links_to_whole_paths() -> None:
    found = files(
        {
            "/a": [("a", LINK, "/b")],
            "/b": [("b", LINK, "/dir/c")],
            "/dir/c": [("c", REG, b"held")],
            "/relative": [("relative", LINK, "c")],
            "/dir": [("dir", DIR, ""), ("dir/c", REG, b"held")],
            "/loop": [("loop", LINK, "/loop")],
        }
    )
    assert found.contents("/a") == b"held"
    assert found.contents("/relative") == Refusal(reason="c is not in the image")
    assert found.contents("/dir") == Refusal(reason="/dir is a directory")
    assert found.contents("/loop") == Refusal(reason="/loop is a circle of links")


def test_what_is_too_much_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "LARGEST", 3)
    monkeypatch.setattr(run, "MOST_MEMBERS", 2)
    several: list[Member] = [("x", DIR, ""), ("x/1", REG, b""), ("x/2", REG, b"")]
    found = files({"/a": [("a", REG, b"abcd")], "/b": [("b", REG, b"abc")], "/c": several})
    assert found.contents("/a") == Unknown(reason="/a has 4 bytes; 3 are read")
    assert found.contents("/b") == b"abc"
    assert found.stat("/c") == Unknown(reason="/c has more than 2 files below it")


def test_licences_of_debian_s_packages() -> None:
    found = files(
        {
            "/usr/share/doc": [
                ("doc/", DIR, ""),
                ("doc/one/", DIR, ""),
                ("doc/one/copyright", REG, b"MIT"),
                ("doc/libgnutls30/", DIR, ""),
                ("doc/two/", DIR, ""),
                ("doc/two/examples/", DIR, ""),
                ("doc/three", LINK, "one"),
            ],
            "/usr/share/doc/one/copyright": [("copyright", REG, b"MIT")],
        }
    )
    gone = Refusal(reason="/usr/share/doc/two/copyright is not in the image")
    assert found.licences() == (
        ("/usr/share/doc/one/copyright", b"MIT"),
        ("/usr/share/doc/two/copyright", gone),
    )
