"""Packages are downloaded by apt with its own lists; here apt answers from memory."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from seatrial.errors import EngineError, ProgramError
from seatrial.filesystem import os_errors
from seatrial.host import Host
from seatrial.offline.debian import KEYRING, Archive, fetch, parse_candidates, unpack
from seatrial.process import Completed

ARCHIVE = Archive(uri="http://mirror.example/debian", signed_by=KEYRING, security_uri=None, codename="bookworm")


class Apt:
    """apt-get and dpkg, which answer from memory."""

    def __init__(self, **packages: bytes) -> None:
        self.packages = packages
        self.needed: tuple[str, ...] = ()
        self.update = Completed(argv=(), code=0, output="", errors="")
        self.damaged = False
        self.code = 0
        self.downloaded: list[str] = []
        self.environment: dict[str, str] = {}

    def __call__(self, argv: list[str], *, folder: Path | None = None, **options: object) -> Completed:
        self.environment = dict(options["environment"])  # type: ignore[call-overload]
        if argv[0] == "dpkg":
            return Completed(argv=tuple(argv), code=0, output="amd64\n", errors="")
        if argv[-1] == "update":
            return self.update
        install = "install" in argv
        names = argv[argv.index("install" if install else "download") + 1 :]
        if folder is not None:
            self.downloaded += names
            for name in names:
                (folder / f"{name}_1%3a2_all.deb").write_bytes(b"half" if self.damaged else self.packages[name])
        lines = [self.line(name) for name in (*self.needed * install, *names) if name in self.packages]
        return Completed(argv=tuple(argv), code=self.code, output="".join(lines), errors="E: no\n")

    def line(self, name: str) -> str:
        data = self.packages[name]
        file = f"{name}_1%3a2_all.deb"
        return f"'http://mirror.example/{file}' {file} {len(data)} SHA256:{hashlib.sha256(data).hexdigest()}\n"


@pytest.fixture
def apt(monkeypatch: pytest.MonkeyPatch) -> Apt:
    apt = Apt(runc=b"r" * 7, tini=b"t" * 9)
    monkeypatch.setattr("seatrial.process.run", apt)
    return apt


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(environment={"PATH": "/mine"}, home=tmp_path, data=tmp_path, cache=tmp_path / "cache")


def fetched(host: Host, *packages: str, said: list[str] | None = None, missing: bool = False) -> list[str]:
    say = [] if said is None else said
    files = fetch(packages, suite="trixie", host=host, say=say.append, archive=ARCHIVE, missing_dependencies=missing)
    return [file.read_text() for file in files]


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


def test_what_was_downloaded_is_kept_and_checked(apt: Apt, host: Host) -> None:
    said: list[str] = []
    assert fetched(host, "tini", "runc", said=said) == ["t" * 9, "r" * 7]
    assert said == ["Downloading tini, runc of Debian trixie: 0 MB from http://mirror.example/debian."]
    assert fetched(host, "runc", "tini") == ["r" * 7, "t" * 9]
    assert apt.downloaded == ["tini", "runc"]
    # A file of the right size and another content is not the package.
    kept = host.cache / "debian/trixie-amd64/packages"
    (kept / "runc_1%3a2_all.deb").write_bytes(b"x" * 7)
    assert fetched(host, "runc", "tini") == ["r" * 7, "t" * 9]
    assert apt.downloaded == ["tini", "runc", "runc"]
    # A newer version takes the place of the older one.
    (kept / "runc_0_all.deb").write_bytes(b"old")
    apt.packages["runc"] = b"newer"
    assert fetched(host, "runc") == ["newer"]
    assert sorted(file.name for file in kept.iterdir()) == ["runc_1%3a2_all.deb", "tini_1%3a2_all.deb"]


def test_apt_speaks_english_and_finds_the_programs_of_root(apt: Apt, host: Host) -> None:
    fetched(host, "runc")
    assert apt.environment["LC_ALL"] == "C"
    assert apt.environment["PATH"] == "/mine:/usr/sbin:/usr/bin:/sbin:/bin"
    settings = (host.cache / "debian/trixie-amd64/apt.conf").read_text()
    assert f'Dir::State::lists "{host.cache}/debian/trixie-amd64/lists";' in settings
    assert 'APT::Architectures { "amd64"; };' in settings


def test_missing_dependencies_follow_once(apt: Apt, host: Host) -> None:
    apt.needed = ("tini",)
    assert fetched(host, "runc", missing=True) == ["r" * 7, "t" * 9]
    assert fetched(host, "runc") == ["r" * 7]
    apt.code = 100
    with pytest.raises(EngineError, match="Debian trixie has no runc for amd64"):
        fetched(host, "runc", missing=True)


def test_packages_that_the_suite_lacks_are_named(apt: Apt, host: Host) -> None:
    with pytest.raises(EngineError, match="has no nothing for amd64") as caught:
        fetched(host, "runc", "nothing")
    assert caught.value.detail == "E: no"
    apt.code = 100
    with pytest.raises(EngineError, match="has no runc, tini for amd64"):
        fetched(host, "runc", "tini")


def test_a_damaged_download_is_not_kept(apt: Apt, host: Host) -> None:
    apt.damaged = True
    with pytest.raises(EngineError, match=r"cannot be downloaded: runc_1%3a2_all\.deb"):
        fetched(host, "runc")
    folder = host.cache / "debian/trixie-amd64"
    assert list((folder / "packages").iterdir()) == list(folder.glob("download-*")) == []


@pytest.mark.parametrize(
    ("evidence", "what"),
    [
        ("E: The repository 'x' does not have a Release file.", "has no suite 'trixie'"),
        ("W: Could not connect", "the lists of Debian trixie cannot be downloaded"),
    ],
)
@pytest.mark.parametrize("where", ["output", "errors"])
def test_a_missing_suite_is_told_from_a_mirror_that_does_not_answer(
    apt: Apt, host: Host, evidence: str, what: str, where: str
) -> None:
    texts = {"output": "", "errors": "", where: evidence}
    apt.update = Completed(argv=(), code=100, output=texts["output"], errors=texts["errors"])
    with pytest.raises(EngineError, match=what) as caught:
        fetched(host, "runc")
    assert caught.value.detail == evidence


def test_a_host_without_dpkg_is_told_what_to_do(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object, **__: object) -> Completed:
        raise ProgramError("the program 'dpkg' is not installed.")

    monkeypatch.setattr("seatrial.process.run", run)
    with pytest.raises(EngineError, match="dpkg does not run here") as caught:
        fetched(host, "runc")
    assert "DOCKER_HOST" in caught.value.fix


def test_packages_are_unpacked_one_after_another(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    monkeypatch.setattr("seatrial.process.run", lambda argv, **_: seen.append([str(word) for word in argv]))
    unpack([Path("a.deb"), Path("b.deb")], tmp_path / "new" / "tree", host=host)
    assert (tmp_path / "new" / "tree").is_dir()
    assert seen == [["dpkg-deb", "--extract", name, str(tmp_path / "new" / "tree")] for name in ("a.deb", "b.deb")]


@pytest.mark.parametrize("suite", ["-o", "", "tri xie", "../x", 'a"b', "trixie\n"])
def test_no_suite_reaches_apt_as_an_option(host: Host, suite: str) -> None:
    with pytest.raises(EngineError, match="not the name of a Debian suite"):
        fetch(["runc"], suite=suite, host=host, say=print)
    assert not host.cache.exists()


def test_no_package_reaches_apt_as_an_option(host: Host) -> None:
    with pytest.raises(EngineError, match="not the name of a Debian package"):
        fetch(["--simulate"], suite="trixie", host=host, say=print)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EngineError, match="Not a directory") as caught, os_errors(tmp_path):
        (tmp_path / "file" / "folder").mkdir()
    assert caught.value.where.endswith("file/folder")
