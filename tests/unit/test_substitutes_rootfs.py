"""How a root filesystem is asked for: names, mmdebstrap's arguments, what the image's apt is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from seatrial.errors import SettingsError
from seatrial.offline.debian import Archive
from seatrial.offline.rootfs import APT_SETTINGS, Rootfs, apt_settings, command, image_files, image_sources, parse

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
    one = parse("trixie+tzdata+ca-certificates", where="x")
    other = parse("trixie+ca-certificates+tzdata+tzdata", where="x")
    assert one == other
    assert one.key == other.key
    assert one.key != parse("trixie+tzdata", where="x").key
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
