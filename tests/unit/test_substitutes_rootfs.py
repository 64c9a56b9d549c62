"""How a root filesystem is asked for: names, mmdebstrap's arguments, what the image's apt is told."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from seatrial.errors import BuildError, ProgramError, SettingsError
from seatrial.host import Host
from seatrial.offline.debian import Archive
from seatrial.offline.rootfs import (
    APT_SETTINGS,
    FRESH,
    Rootfs,
    apt_settings,
    command,
    ensure_tar,
    image_files,
    image_sources,
    parse,
)
from seatrial.process import Completed

ARCHIVE = Archive(
    uri="http://someone:hush@mirror.example/debian",
    signed_by=Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    security_uri="http://mirror.example/debian-security",
    codename="bookworm",
)
DUMP = """\
APT "";
APT::Architecture "amd64";
Acquire "";
Acquire::Check-Valid-Until "false";
Acquire::http "";
Acquire::http::Proxy "http://user:hush@proxy.example:3128";
Acquire::https::CAInfo "/etc/ssl/certs/ours.pem";
Acquire::Retries "3";
Acquire::Languages "none";
"""


def arguments(rootfs: Rootfs, folder: Path, sources: tuple[str, ...] = ("deb http://m trixie main",)) -> list[str]:
    texts = image_files(rootfs, ARCHIVE, {})
    files = {inside: folder / f"file {number}" for number, inside in enumerate((*texts, APT_SETTINGS))}
    maker = folder / "mm" / "usr" / "bin" / "mmdebstrap"
    return command(
        rootfs, maker=maker, target=folder / "out.tar", files=files, debs=folder / "debs", sources=list(sources)
    )


def test_a_name_lists_a_suite_and_packages_in_any_order() -> None:
    first = parse("trixie+tzdata+ca-certificates", where="x")
    second = parse("trixie+ca-certificates+tzdata+tzdata", where="x")
    assert first == second
    assert first.key == second.key
    assert first.key != parse("trixie+tzdata", where="x").key
    assert parse("forky", where="x") == Rootfs(suite="forky")


@pytest.mark.parametrize("argument", ["", "trixie+", "Trixie", "trixie+-o", "--help", "trixie+a,b", "trixie+a b"])
def test_what_is_no_name_is_refused_before_it_reaches_a_program(argument: str) -> None:
    with pytest.raises(SettingsError, match="not a valid root filesystem"):
        parse(argument, where="input rootfs")


def test_nothing_is_on_the_command_line_that_the_image_must_not_keep(tmp_path: Path) -> None:
    argv = arguments(Rootfs(suite="trixie", packages=("tzdata",)), tmp_path)
    assert argv[-3:] == ["trixie", str(tmp_path / "out.tar"), "deb http://m trixie main"]
    assert "--include=tzdata" in argv
    removed = argv[-4]
    assert removed.startswith("--customize-hook=rm -f ")
    assert "99mmdebstrap" in removed
    assert "/etc/apt/sources.list" in removed
    # A folder with a space in its name reaches the hook as one word.
    assert any("'" + str(tmp_path / "file 0") + "'" in word for word in argv)


def test_bookworm_merges_usr_without_perl(tmp_path: Path) -> None:
    hook = f"--hook-dir={tmp_path / 'mm/usr/share/mmdebstrap/hooks/merged-usr'}"
    assert hook in arguments(Rootfs(suite="bookworm"), tmp_path)
    assert hook not in arguments(Rootfs(suite="trixie"), tmp_path)


def test_postgresql_is_told_before_it_is_installed_to_make_no_database(tmp_path: Path) -> None:
    argv = arguments(Rootfs(suite="trixie", packages=("postgresql-17",)), tmp_path)
    assert any(word.startswith("--setup-hook=upload") and "createcluster.d" in word for word in argv)
    assert not any("createcluster.d" in word for word in arguments(Rootfs(suite="trixie"), tmp_path))


def test_the_images_own_sources_carry_no_credentials() -> None:
    text = image_sources(ARCHIVE, "trixie", {})
    assert "URIs: http://mirror.example/debian\nSuites: trixie\n" in text
    assert "Suites: trixie-security\n" in text
    assert "hush" not in text
    assert "Check-Valid-Until" not in text


def test_a_mirror_that_stands_still_is_said_in_the_image_too() -> None:
    text = image_sources(ARCHIVE, "forky", {"Acquire::Check-Valid-Until": "false"})
    assert text.count("Check-Valid-Until: no\n") == 2


def test_only_how_apt_downloads_is_taken_from_the_host() -> None:
    assert apt_settings(DUMP) == {
        "Acquire::Check-Valid-Until": "false",
        "Acquire::http::Proxy": "http://user:hush@proxy.example:3128",
        "Acquire::https::CAInfo": "/etc/ssl/certs/ours.pem",
        "Acquire::Retries": "3",
    }


class Maker:
    """mmdebstrap and what it needs, which writes its target or fails."""

    def __init__(self) -> None:
        self.made: list[list[str]] = []
        self.problem = ""
        self.namespaces = True

    def __call__(self, argv: list[Any], **_: object) -> Completed:
        words = [str(word) for word in argv]
        done = Completed(argv=tuple(words), code=0, output=DUMP if "dump" in words else "", errors="")
        if words[-1] == "true":
            return Completed(argv=tuple(words), code=0 if self.namespaces else 1, output="", errors="")
        if any(word.endswith("/mmdebstrap") for word in words):
            if self.problem:
                raise ProgramError("ended with exit code 25.", detail=self.problem)
            self.made.append(words)
            target = next(word for word in words if word.endswith("rootfs.tar"))
            Path(target).write_text(f"tar {len(self.made)}")
        return done


@pytest.fixture
def maker(monkeypatch: pytest.MonkeyPatch) -> Maker:
    maker = Maker()
    monkeypatch.setattr("seatrial.process.run", maker)
    monkeypatch.setattr("seatrial.offline.rootfs.host_archive", lambda: ARCHIVE)
    monkeypatch.setattr("seatrial.offline.debian.fetch", lambda *_, **__: [])

    def unpack(_: object, folder: Path, **__: object) -> None:
        (folder / "usr/bin").mkdir(parents=True)
        (folder / "usr/bin/mmdebstrap").touch()

    monkeypatch.setattr("seatrial.offline.debian.unpack", unpack)
    return maker


def made_tar(folder: Path, *, said: list[str], now: float = 0, packages: tuple[str, ...] = ()) -> Path:
    host = Host(environment={}, home=folder, data=folder, cache=folder / "cache")
    return ensure_tar(Rootfs(suite="trixie", packages=packages), host=host, say=said.append, now=lambda: now)


def test_a_root_filesystem_is_used_again_for_a_week(tmp_path: Path, maker: Maker) -> None:
    said: list[str] = []
    tar = made_tar(tmp_path, said=said)
    assert tar.read_text() == "tar 1"
    os.utime(tar, (1000, 1000))
    assert made_tar(tmp_path, said=said, now=1000 + FRESH).read_text() == "tar 1"
    assert made_tar(tmp_path, said=said, now=1001 + FRESH).read_text() == "tar 2"
    assert said == ["Making a root filesystem of Debian trixie."] * 2
    made_tar(tmp_path, said=said, packages=("tini", "tzdata"))
    assert said[-1] == "Making a root filesystem of Debian trixie with 2 more packages."
    assert not (tar.parent / "work").exists()
    assert "--include=tini,tzdata" in maker.made[-1]


@pytest.mark.parametrize(("user", "namespaces", "prefixed"), [(0, True, True), (0, False, False), (1000, True, False)])
def test_root_makes_it_in_namespaces_of_its_own_where_it_may(
    tmp_path: Path, maker: Maker, monkeypatch: pytest.MonkeyPatch, user: int, namespaces: bool, prefixed: bool
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: user)
    maker.namespaces = namespaces
    made_tar(tmp_path, said=[])
    assert (maker.made[0][0] == "unshare") is prefixed


def test_a_failure_has_its_last_lines_and_keeps_what_was_there(tmp_path: Path, maker: Maker) -> None:
    tar = made_tar(tmp_path, said=[])
    maker.problem = "\n".join(f"line {number}" for number in range(30))
    with pytest.raises(BuildError, match="Debian trixie cannot be made: mmdebstrap ended with exit code 25") as caught:
        made_tar(tmp_path, said=[], now=tar.stat().st_mtime + FRESH + 1)
    assert caught.value.detail.splitlines() == [f"line {number}" for number in range(10, 30)]
    assert tar.read_text() == "tar 1"
    assert not (tar.parent / "work").exists()
