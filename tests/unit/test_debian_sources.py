from __future__ import annotations

from pathlib import Path

import pytest

from seatrial.errors import EngineError
from seatrial.offline.debian import KEYRING, Source, choose, host_archive, parse_deb822, parse_one_line, sources

DEBIAN_12 = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_CODENAME=bookworm\nID=debian\n'
OFFICIAL = """\
Types: deb
# a snapshot's address in a comment
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security/
Suites: bookworm-security
Components: main
"""


def host(root: Path, *, release: str = DEBIAN_12, **files: str) -> Path:
    (root / "etc/apt/sources.list.d").mkdir(parents=True)
    (root / "etc/os-release").write_text(release)
    for name, text in files.items():
        path = {"main": "sources.list", "sources": "sources.list.d/a.sources", "list": "sources.list.d/b.list"}
        (root / "etc/apt" / path[name]).write_text(text)
    return root


def test_deb822_sources_give_mirror_and_security(tmp_path: Path) -> None:
    archive = host_archive(host(tmp_path, sources=OFFICIAL))
    assert archive.uri == "http://mirror.example/debian"
    assert archive.security_uri == "http://mirror.example/debian-security"
    assert archive.signed_by == KEYRING
    assert archive.codename == "bookworm"


def test_one_line_sources_with_options_and_comments(tmp_path: Path) -> None:
    text = (
        "# deb http://commented.example/debian bookworm main\n"
        "deb-src http://source.example/debian bookworm main\n"
        "deb cdrom:[Debian 12]/ bookworm main\n"
        "deb [ arch=amd64 signed-by=/keys/own.gpg ] https://own.example/debian/ bookworm main contrib # ours\n"
    )
    archive = host_archive(host(tmp_path, main=text))
    assert archive.uri == "https://own.example/debian"
    assert archive.signed_by == Path("/keys/own.gpg")
    assert archive.security_uri is None


def test_third_parties_and_security_are_not_the_mirror(tmp_path: Path) -> None:
    third = (
        "deb [signed-by=/keys/third.gpg] https://third.example/tools bookworm main\n"
        "deb http://security.example/debian-security bookworm-security main\n"
        "deb https://docker.example/linux/debian bookworm stable\n"
        "deb https://browser.example/chrome/deb stable main\n"
    )
    assert host_archive(host(tmp_path, main=third, sources=OFFICIAL)).uri == "http://mirror.example/debian"


def test_a_disabled_or_source_only_stanza_is_passed_over() -> None:
    assert list(parse_deb822("Types: deb-src\nURIs: http://a/debian\nSuites: bookworm\nComponents: main\n")) == []
    text = "Enabled: no\nTypes: deb\nURIs: http://a/debian\nSuites: bookworm\nComponents: main\n"
    assert list(parse_deb822(text)) == []


def test_deb822_continuation_lines_and_a_key_in_the_file() -> None:
    text = (
        "Types: deb deb-src\nURIs: http://a/debian\n http://b/debian\nSuites: stable\nComponents: main\n"
        "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n"
    )
    assert [(source.uri, source.signed_by) for source in parse_deb822(text)] == [
        ("http://a/debian", None),
        ("http://b/debian", None),
    ]


def test_an_alias_counts_on_debians_own_path_only(tmp_path: Path) -> None:
    assert (
        host_archive(host(tmp_path, main="deb http://a.example/debian stable main\n")).uri == "http://a.example/debian"
    )
    strange = Source(uri="http://b.example/deb", suites=("stable",), components=("main",))
    with pytest.raises(EngineError, match="no source list names Debian's archive"):
        choose([strange], codename="bookworm", where=Path("/etc/apt"))


def test_the_first_of_equals_wins() -> None:
    lines = "deb http://one/debian bookworm main\ndeb http://two/debian bookworm main\n"
    archive = choose(parse_one_line(lines), codename="bookworm", where=Path("/etc/apt"))
    assert archive.uri == "http://one/debian"


def test_another_system_is_named_in_the_refusal(tmp_path: Path) -> None:
    other = host(tmp_path, release='PRETTY_NAME="Other 1"\nID=other\nVERSION_CODENAME=bookworm\n')
    with pytest.raises(EngineError, match=r"on a Debian host only.*Other 1"):
        host_archive(other)


def test_a_host_without_release_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="unknown"):
        host_archive(tmp_path)


def test_source_list_has_security_updates_but_not_for_sid(tmp_path: Path) -> None:
    archive = host_archive(host(tmp_path, sources=OFFICIAL))
    options = f"[signed-by={KEYRING} target=Packages lang=none]"
    assert sources(archive, "trixie") == (
        f"deb {options} http://mirror.example/debian trixie main\n"
        f"deb {options} http://mirror.example/debian-security trixie-security main\n"
    )
    assert sources(archive, "sid") == f"deb {options} http://mirror.example/debian sid main\n"


def test_of_two_mirrors_the_one_with_debians_own_keys_wins() -> None:
    own = Source(uri="http://own/debian", suites=("bookworm",), components=("main",), signed_by=Path("/keys/own.gpg"))
    official = Source(uri="http://official/debian", suites=("bookworm",), components=("main",), signed_by=KEYRING)
    keyless = Source(uri="http://keyless/debian", suites=("bookworm",), components=("main",))
    for best in (official, keyless):
        assert choose([own, best], codename="bookworm", where=Path("/etc/apt")).uri == best.uri
    assert choose([own], codename="bookworm", where=Path("/etc/apt")).signed_by == Path("/keys/own.gpg")
    assert choose([keyless], codename="bookworm", where=Path("/etc/apt")).signed_by == KEYRING


@pytest.mark.parametrize(
    ("value", "file"), [("/keys/a.gpg", Path("/keys/a.gpg")), ("0123ABCD", None), ("/keys/a.gpg /keys/b.gpg", None)]
)
def test_only_a_key_file_is_used(value: str, file: Path | None) -> None:
    [source] = parse_deb822(f"Types: deb\nURIs: http://a/debian\nSuites: x\nComponents: main\nSigned-By: {value}\n")
    assert source.signed_by == file
