from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from seatrial.errors import EngineError
from seatrial.filesystem import os_errors
from seatrial.host import Host
from seatrial.offline.debian import fetch, parse_candidates

if TYPE_CHECKING:
    from pathlib import Path


def test_candidates_are_read_from_apts_list() -> None:
    text = (
        "'http://m/pool/d/docker.io_26.1.5%2bdfsg1_amd64.deb' docker.io_26.1.5+dfsg1_amd64.deb 230 SHA256:ab12\n"
        "W: something else\n"
        "'http://m/pool/t/tini_0.19.deb' tini_0.19.deb 7 MD5Sum:aa\n"
    )
    (only,) = parse_candidates(text)
    assert (only.name, only.file, only.size, only.sha256) == (
        "docker.io",
        "docker.io_26.1.5+dfsg1_amd64.deb",
        230,
        "ab12",
    )


@pytest.mark.parametrize("suite", ["-o", "", "tri xie", "../x", 'a"b', "trixie\n"])
def test_no_suite_reaches_apt_as_an_option(tmp_path: Path, suite: str) -> None:
    host = Host(environment={}, home=tmp_path, data=tmp_path, cache=tmp_path / "cache")
    with pytest.raises(EngineError, match="not the name of a Debian suite"):
        fetch(["runc"], suite=suite, host=host, say=print)
    assert not (tmp_path / "cache").exists()


def test_no_package_reaches_apt_as_an_option(tmp_path: Path) -> None:
    host = Host(environment={}, home=tmp_path, data=tmp_path, cache=tmp_path / "cache")
    with pytest.raises(EngineError, match="not the name of a Debian package"):
        fetch(["--simulate"], suite="trixie", host=host, say=print)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EngineError, match="Not a directory") as caught, os_errors(tmp_path):
        (tmp_path / "file" / "folder").mkdir()
    assert caught.value.where.endswith("file/folder")
