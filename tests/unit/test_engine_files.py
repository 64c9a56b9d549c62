"""An image's files as the engine packs them: what stands at a path, and what the engine says where nothing does."""

from __future__ import annotations

import io
import tarfile
import types
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, cast

import docker.errors
import pytest
from tests.unit.boot_engine import api_error
from tests.unit.factories import configuration

from seatrial.facts import FileEntry, FileKind, VolumeFolder
from seatrial.observe.files import KEPT, EngineFiles, empty_volumes

if TYPE_CHECKING:
    from collections.abc import Mapping


class Archive:
    """What docker-py's client does for the engine's archive API, out of a table of paths."""

    def __init__(self, table: Mapping[str, tarfile.TarInfo | Exception], bodies: Mapping[str, bytes]) -> None:
        self.table, self.bodies = table, bodies
        self.asked: list[str] = []
        self.open = 0

    def _url(self, form: str, container: str) -> str:
        return form.format(container)

    def _get(self, address: str, *, params: Mapping[str, str], **_: Any) -> Any:
        assert address == "/containers/c1/archive"
        self.asked.append(params["path"])
        found = self.table.get(params["path"], docker.errors.NotFound("nothing"))
        packed = io.BytesIO()
        if not isinstance(found, Exception):
            with tarfile.open(fileobj=packed, mode="w") as archive:
                body = self.bodies.get(params["path"], b"")
                found.size = len(body)
                archive.addfile(found, io.BytesIO(body))
            packed.seek(0)
        self.open += 1
        return types.SimpleNamespace(raw=packed, error=found, close=self._close)

    def _close(self) -> None:
        self.open -= 1

    def _raise_for_status(self, answer: Any) -> None:
        if isinstance(answer.error, Exception):
            raise answer.error


def member(kind: bytes = tarfile.REGTYPE, mode: int = 0o644, target: str = "", name: str = "x") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.mode, made.linkname, made.uid, made.gid = kind, mode, target, 7, 8
    return made


def files(
    bodies: Mapping[str, bytes] | None = None, **table: tarfile.TarInfo | Exception
) -> tuple[EngineFiles, Archive]:
    archive = Archive({f"/{name}": what for name, what in table.items()}, bodies or {})
    return EngineFiles(cast("Any", archive), "c1"), archive


def test_each_kind_of_path() -> None:
    seen, archive = files(
        a=member(mode=0o755),
        b=member(tarfile.DIRTYPE),
        c=member(tarfile.SYMTYPE, target="../lib"),
        d=member(tarfile.FIFOTYPE),
        e=member(tarfile.CHRTYPE),
    )
    kinds = {path: entry.kind for path in ("/a", "/b", "/c", "/d", "/e") if (entry := seen.entry(path))}
    assert kinds == {
        "/a": FileKind.FILE,
        "/b": FileKind.FOLDER,
        "/c": FileKind.LINK,
        "/d": FileKind.OTHER,
        "/e": FileKind.OTHER,
    }
    assert seen.entry("/a") == FileEntry(kind=FileKind.FILE, mode=0o755, uid=7, gid=8)
    link = seen.entry("/c")
    assert link is not None
    assert link.target == "../lib"
    assert archive.open == 0


def test_a_hard_link_has_no_target() -> None:
    entry = files(a=member(tarfile.LNKTYPE, target="b"))[0].entry("/a")
    assert entry is not None
    assert entry.target == ""


def test_a_path_is_asked_for_once() -> None:
    seen, archive = files({"/a": b"#!/bin/sh\n"}, a=member())
    assert seen.beginning("/a") == b"#!/bin/sh\n"
    assert seen.entry("/a") is not None
    assert seen.entry("/none") is None
    assert seen.beginning("/none") == b""
    assert archive.asked == ["/a", "/none"]


def test_a_small_file_is_read_whole_and_of_others_the_beginning() -> None:
    body = b"root:x:0:0::/:\n" * 1000
    seen, archive = files({"/etc": body, "/small": "größe".encode()}, etc=member(), small=member())
    assert seen.beginning("/etc") == body[:KEPT]
    assert seen.text("/etc") == body.decode()
    assert seen.text("/small") == "größe"
    assert (seen.text("/none"), archive.asked) == ("", ["/etc", "/etc", "/small", "/none"])


def test_a_long_name_comes_with_headers_of_its_own() -> None:
    seen, _ = files({"/a": b"body"}, a=member(name="n" * 300))
    assert seen.beginning("/a") == b"body"


def test_no_path_holds_a_zero_byte() -> None:
    seen, archive = files()
    assert seen.entry("/a\0b") is None
    assert archive.asked == []


@pytest.mark.parametrize("status", [400, 500])
@pytest.mark.parametrize("said", ["not a directory", "too many links", "file name too long", "lstat /a: no such file"])
def test_what_leads_nowhere_is_not_there(status: int, said: str) -> None:
    assert files(a=api_error(status, f"the path /a: {said}"))[0].entry("/a") is None


@pytest.mark.parametrize(("status", "said"), [(500, "input/output error"), (409, "not a directory"), (503, "busy")])
def test_what_the_engine_cannot_do_is_no_missing_file(status: int, said: str) -> None:
    seen, archive = files(a=api_error(status, said))
    with pytest.raises(docker.errors.APIError, match=said):
        seen.entry("/a")
    assert archive.open == 0


def test_a_folder_is_given_as_a_stream() -> None:
    seen, archive = files(a=member(tarfile.DIRTYPE, name="a"))
    with seen.tree("/a") as stream, tarfile.open(fileobj=stream, mode="r|") as packed:
        assert [found.name for found in packed] == ["a"]
    assert archive.open == 0
    with pytest.raises(docker.errors.NotFound), seen.tree("/none"):
        pass


def test_a_volume_is_empty_where_its_folder_holds_nothing_or_is_missing() -> None:
    folder = member(tarfile.DIRTYPE, mode=0o750)
    seen, _ = files(empty=folder, link=member(tarfile.SYMTYPE, target="/empty"))
    image = configuration(volumes=("/empty", "/link", "/none"))
    assert empty_volumes(image, seen) == {"/empty": VolumeFolder(mode=0o750, uid=7, gid=8), "/none": VolumeFolder()}


def test_a_folder_that_holds_something_is_not_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name in ("data", "data/seed"):
            archive.addfile(member(tarfile.DIRTYPE, name=name))
    seen, _ = files(data=member(tarfile.DIRTYPE))
    monkeypatch.setattr(EngineFiles, "tree", lambda *_: nullcontext(io.BytesIO(packed.getvalue())))
    assert empty_volumes(configuration(volumes=("/data",)), seen) == {}
