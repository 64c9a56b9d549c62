from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from seatrial import offline
from seatrial.errors import EngineError, ExitCode
from seatrial.host import Host
from seatrial.offline import provide
from seatrial.offline.install import (
    ENGINE,
    NEEDED,
    HostState,
    Unpacked,
    inspect_host,
    install,
    layout_of,
    require_root,
    require_suitable,
    unpacked,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

GOOD = HostState(system="linux", root=True, missing_tools=(), free=NEEDED)


def host(data: Path) -> Host:
    return Host(environment={}, home=Path("/nowhere"), data=data, cache=Path("/nowhere/cache"))


def refusal(state: HostState, *, data: Path = Path("/srv/d"), unpacked: bool = False) -> EngineError:
    with pytest.raises(EngineError) as caught:
        require_suitable(state, layout_of(host(data)), unpacked=unpacked)
    assert caught.value.exit_code == ExitCode.UNDECIDED
    assert caught.value.fix
    return caught.value


def test_a_good_host_is_taken() -> None:
    require_suitable(GOOD, layout_of(host(Path("/srv/d"))), unpacked=False)
    assert refusal(dataclasses.replace(GOOD, free=0)).what


def test_not_root() -> None:
    assert "by root only" in refusal(dataclasses.replace(GOOD, root=False)).what


def test_not_linux() -> None:
    assert "this is darwin" in refusal(dataclasses.replace(GOOD, system="darwin", root=False)).what


def test_not_debian() -> None:
    told = refusal(dataclasses.replace(GOOD, missing_tools=("apt-get", "dpkg")))
    assert "apt-get, dpkg not found" in told.what
    assert "DOCKER_HOST" in told.fix


def test_too_little_space_tells_how_much() -> None:
    told = refusal(dataclasses.replace(GOOD, free=1_200_000_000))
    assert "1.2 GB free, 2.5 GB needed" in told.what


def test_what_is_unpacked_needs_neither_tools_nor_space() -> None:
    poor = dataclasses.replace(GOOD, missing_tools=("dpkg",), free=0)
    require_suitable(poor, layout_of(host(Path("/srv/d"))), unpacked=True)
    assert "dpkg" in refusal(poor).what


def test_a_folder_too_deep_for_a_socket() -> None:
    told = refusal(GOOD, data=Path("/srv") / ("d" * 100))
    assert "this one has 124 bytes" in told.what
    assert "XDG_DATA_HOME" in told.fix


def test_a_folder_with_a_colon_would_break_path() -> None:
    assert "no colon" in refusal(GOOD, data=Path("/srv/a:b")).what


def test_inspect_host_sees_free_space_though_the_folder_is_not_there_yet(tmp_path: Path) -> None:
    seen = inspect_host(layout_of(host(tmp_path / "not" / "yet")))
    assert seen.free > 0
    assert seen.system == "linux"


def test_stop_and_remove_are_for_root_only(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="root only"):
        require_root(dataclasses.replace(GOOD, root=False))
    assert not tmp_path.joinpath("engine").exists()


def test_status_of_nothing(tmp_path: Path) -> None:
    seen = offline.engine_status(host(tmp_path))
    assert (seen.unpacked, seen.running, seen.pid, seen.version, seen.suite) == (False, False, None, None, None)
    assert seen.folder == tmp_path / "engine"
    assert seen.socket == f"unix://{tmp_path}/engine/docker.sock"
    assert offline.engine_disk_bytes(host(tmp_path)) == 0
    assert list(tmp_path.iterdir()) == []


def test_disk_bytes_count_a_hard_link_once(tmp_path: Path) -> None:
    folder = tmp_path / "engine" / "data"
    folder.mkdir(parents=True)
    (folder / "a").write_bytes(b"x" * 40960)
    (folder / "b").hardlink_to(folder / "a")
    assert 40960 <= offline.engine_disk_bytes(host(tmp_path)) < 81920


def nest(folder: Path, depth: int) -> None:
    """Make folders in each other, more than a path can name."""
    folder.mkdir(parents=True)
    handle = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=handle)
        inner = os.open("d", os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = inner
    os.close(handle)


def test_a_tree_that_is_deeper_than_python_recurses_is_counted_and_deleted(tmp_path: Path) -> None:
    nest(tmp_path / "engine" / "data", 3000)
    assert offline.engine_disk_bytes(host(tmp_path)) >= 3000 * 4096
    provide._delete(tmp_path / "engine")  # noqa: SLF001 - root alone removes an engine
    assert not (tmp_path / "engine").exists()


def test_disk_bytes_count_data_once(tmp_path: Path) -> None:
    data = tmp_path / "engine" / "data"
    data.mkdir(parents=True)
    (data / "b").write_bytes(b"x" * 409600)
    assert 409600 <= offline.engine_disk_bytes(host(tmp_path)) < 500000


def test_the_tools_that_are_not_installed_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name, path: None if name == "dpkg" else f"{path}/{name}")
    assert inspect_host(layout_of(host(tmp_path))).missing_tools == ("dpkg",)


@pytest.mark.parametrize("lacking", [(), ("runc",), ("runc", "iptables")])
def test_programs_are_replaced_as_a_whole_with_those_that_the_host_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: tuple[str, ...]
) -> None:
    fetched: list[tuple[tuple[str, ...], str, bool]] = []
    said: list[str] = []

    def fetch(packages: Sequence[str], *, suite: str, missing_dependencies: bool = False, **_: object) -> list[Path]:
        fetched.append((tuple(packages), suite, missing_dependencies))
        return [Path(f"{name}_26.1.5_amd64.deb") for name in packages]

    def unpack(debs: Sequence[Path], folder: Path, **_: object) -> None:
        (folder / "usr/sbin").mkdir(parents=True)
        (folder / "usr/sbin/iptables-nft").touch()
        (folder / "debs").write_text(str(len(debs)))

    monkeypatch.setattr("seatrial.offline.debian.fetch", fetch)
    monkeypatch.setattr("seatrial.offline.debian.unpack", unpack)
    monkeypatch.setattr("seatrial.offline.install.host_archive", lambda: SimpleNamespace(codename="bookworm"))
    monkeypatch.setattr("shutil.which", lambda name, path: None if name in lacking else f"{path}/{name}")
    layout = layout_of(host(tmp_path))
    layout.folder.mkdir()
    for suite in ("trixie", "forky"):
        done = install(layout, host(tmp_path), suite=suite, say=said.append)
        assert done == unpacked(layout) == Unpacked(suite=suite, version="26.1.5")
    assert (layout.programs / "usr/sbin/iptables").readlink() == Path("iptables-nft")
    assert not (layout.programs / "usr/sbin/ip6tables").is_symlink()
    assert [entry.name for entry in layout.folder.iterdir()] == ["programs"]
    assert fetched[0] == (ENGINE, "trixie", False)
    assert fetched[1] == ((lacking, "bookworm", True) if lacking else (ENGINE, "forky", False))
    assert any("has no" in line for line in said) is bool(lacking)
