"""What is found in an image's file system, as the engine packs it."""

from __future__ import annotations

import io
import os
import re
import tarfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from seatrial.facts import ContentKind, Contents, PathRule
from seatrial.observe.archive import Limits
from seatrial.observe.contents import contents_of, shown
from seatrial.observe.index import Index, IndexReader
from seatrial.observe.path_rules import content_rules, rules

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seatrial.observe.archive import Stream

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n"
PLENTY = Limits(seconds=60.0, most=1_000_000_000)

TREE: dict[str, str] = {
    # Leftovers of a checkout.
    "/app/.git/HEAD": "ref: refs/heads/main",
    "/app/.git/hooks/tests/.env": "A=1",
    "/app/.env": "TOKEN=1",
    "/app/.env.production": "TOKEN=1",
    "/app/.env.example": "TOKEN=",
    "/app/.DS_Store": "x",
    "/app/main.py~": "x",
    "/app/.main.py.swp": "x",
    "/app/.vscode/settings.json": "{}",
    "/app/.pytest_cache/README.md": "x",
    "/app/venv/pyvenv.cfg": "home = /usr/bin",
    "/app/venv/lib/python3.13/site-packages/pkg/.DS_Store": "a wheel brought it",
    "/usr/lib/python3/x.orig": "the system's",
    # Tests.
    "/app/tests/test_api.py": "",
    "/app/src/shop/conftest.py": "",
    "/app/src/shop/test_models.py": "",
    "/opt/venv/lib/python3.13/site-packages/numpy/tests/test_x.py": "",
    "/opt/venv/lib/python3.13/site-packages/shop/tests/test_x.py": "",
    "/usr/local/lib/python3.13/unittest/tests/test_x.py": "",
    # Package lists and caches.
    "/var/lib/apt/lists/deb.debian.org_dists_trixie_InRelease": "x" * 100,
    "/var/lib/apt/lists/lock": "",
    "/var/lib/apt/lists/partial/more": "x" * 11,
    "/var/cache/apt/archives/lock": "",
    "/var/cache/apk/APKINDEX.tar.gz": "x",
    "/home/app/.cache/pip/http-v2/a/b": "x" * 30,
    "/home/app/.cache/pip/selfcheck/c": "x" * 12,
    "/tmp/uv/archive-v0/abc/pkg.py": "x" * 7,
    "/home/app/.cache/uv/CACHEDIR.TAG": "",
    # Tools.
    "/usr/bin/gcc-14": "",
    "/usr/bin/x86_64-linux-gnu-ld.bfd": "",
    "/usr/bin/ld.so": "the loader",
    "/usr/bin/make": "",
    "/usr/local/go/bin/go": "",
    "/opt/venv/lib/python3.13/site-packages/cmake/data/bin/cmake": "",
    "/app/git": "no program: not in a bin folder",
    "/usr/include/stdio.h": "x" * 40,
    "/usr/include/linux/if.h": "x" * 2,
    "/usr/local/include/python3.13/Python.h": "x",
    "/usr/bin/sudo": "",
    "/usr/sbin/sshd": "",
    # Secrets.
    "/root/.ssh/id_ed25519": KEY,
    "/app/server.key": "-----BEGIN PRIVATE KEY-----\nx",
    "/usr/bin/ssh-keygen": "\x7fELF\0-----BEGIN OPENSSH PRIVATE KEY-----\n\0-----BEGIN PRIVATE KEY-----\0",
    "/app/public.pem": "-----BEGIN CERTIFICATE-----\nx",
    "/opt/venv/lib/python3.13/site-packages/tornado/test/test.key": "-----BEGIN PRIVATE KEY-----\nx",
    "/root/.netrc": "machine example.org login me password secret",
    "/root/.pypirc": "[pypi]\nusername = __token__\npassword = pypi-x",
    "/root/.npmrc": "registry=https://example.org/",
    "/root/.docker/config.json": '{"auths": {"example.org": {"auth": "bWU6c2VjcmV0"}}}',
    "/home/app/.docker/config.json": '{"auths": {}}',
    "/root/.aws/credentials": "[default]\naws_secret_access_key = abc",
    "/app/credentials": "aws_secret_access_key = abc, but elsewhere",
    "/etc/pip.conf": "[global]\nindex-url = https://me:secret@example.org/simple",
    "/app/uv.toml": 'index-url = "https://${USER}:${TOKEN}@example.org/simple"',
    "/app/requirements.txt": "--index-url https://me:secret@example.org/simple\nfastapi",
    "/app/pyproject.toml": "[project]\nname = 'x'",
    "/srv/.env": "DEBUG=1\nexport BOT_TOKEN='6514:AAH-x9'\n",
    "/srv/.env.local": "ADMIN_PASSWORD=changethis\nACCESS_TOKEN_EXPIRE_SECONDS=604800\nTOKEN_URL=https://a.example/t\n",
    "/root/.pgpass": "db:5432:*:app:secret",
    "/app/key.json": '{"type": "service_account", "private_key": "-----BEGIN PRIVATE KEY-----"}',
    "/var/log/lastlog": "x" * 300,
    "/srv/lastlog": "not the system's",
}
"""An image's files, each with what it holds."""

MODES = {
    "/usr/bin/find": 0o4755,
    "/usr/bin/wall": 0o2755,
    "/app/open.txt": 0o666,
    "/app/open": 0o777,
    "/app/sticky": 0o1777,
    "/app/sticky/inside": 0o666,
}
FOLDERS = {"/app/open", "/app/sticky", "/var/mail", "/app/empty/.cache/uv"}

EXPECTED = {
    ContentKind.LEFTOVER: {
        *("/app/.git", "/app/.env", "/app/.env.production", "/app/.DS_Store", "/app/main.py~", "/app/.main.py.swp"),
        *("/srv/.env", "/srv/.env.local"),
        *("/app/.vscode", "/app/.pytest_cache"),
    },
    ContentKind.ENVIRONMENT: {"/app/venv/pyvenv.cfg"},
    ContentKind.TESTS: {
        *("/app/tests", "/app/src/shop/conftest.py", "/app/src/shop/test_models.py", "/app/.git/hooks/tests"),
        "/opt/venv/lib/python3.13/site-packages/shop/tests",
    },
    ContentKind.PACKAGE_LISTS: {"/var/lib/apt/lists", "/var/cache/apk"},
    ContentKind.INSTALLER_CACHE: {"/home/app/.cache/pip", "/tmp/uv/archive-v0"},
    ContentKind.BUILD_TOOL: {
        *("/usr/bin/gcc-14", "/usr/bin/x86_64-linux-gnu-ld.bfd", "/usr/bin/make", "/usr/bin/cc"),
        *("/usr/local/go/bin/go", "/usr/include"),
    },
    ContentKind.REMOTE_ACCESS: {"/usr/bin/sudo", "/usr/sbin/sshd"},
    ContentKind.SECRET: {
        *("/root/.ssh/id_ed25519", "/app/server.key", "/root/.netrc", "/root/.pypirc", "/root/.docker/config.json"),
        *("/root/.aws/credentials", "/etc/pip.conf", "/app/requirements.txt", "/root/.pgpass", "/app/key.json"),
        "/srv/.env",
    },
    ContentKind.LOGIN_LOG: {"/var/log/lastlog"},
    ContentKind.SETUID: {"/usr/bin/find", "/usr/bin/wall"},
    ContentKind.WORLD_WRITABLE: {"/app/open.txt", "/app/open"},
}


def grow(root: Path, tree: Mapping[str, str]) -> Path:
    for path, body in tree.items():
        file = Path(f"{root}{path}")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(body, encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = grow(tmp_path_factory.mktemp("tree"), TREE)
    for folder in sorted(FOLDERS):
        Path(f"{root}{folder}").mkdir(parents=True)
    for path, mode in MODES.items():
        file = Path(f"{root}{path}")
        if path not in FOLDERS:
            file.write_text("x", encoding="utf-8")
        file.chmod(mode)
    Path(f"{root}/var/mail").chmod(0o2775)
    Path(f"{root}/usr/bin/cc").symlink_to("gcc-14")
    Path(f"{root}/app/loop").symlink_to("..")
    return root


def packed(root: Path) -> io.BytesIO:
    """Pack a folder as the engine packs an image: its own name first, and a folder before what it holds."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.add(root, arcname="/")
    made.seek(0)
    return made


def read(stream: Stream, limits: Limits = PLENTY) -> Index:
    reader = IndexReader()
    reader.read(stream, limits)
    return reader.index()


def seen(root: Path, limits: Limits = PLENTY) -> Contents:
    return contents_of(read(packed(root), limits), rules(["shop"]), ["/app"])


def paths(found: Contents) -> dict[ContentKind, set[str]]:
    return {kind: {match.path for match in found.found if match.kind is kind} for kind in ContentKind}


def test_each_kind_is_found(tree: Path) -> None:
    found = seen(tree)
    assert paths(found) == EXPECTED
    assert found.cut == ()
    assert sorted(found.folders["/app"]) == sorted(file.name for file in Path(f"{tree}/app").iterdir())
    # The root itself is a path too.
    assert found.paths == 1 + sum(len(folders) + len(files) for _, folders, files in os.walk(tree))
    assert found.counts["setuid"] == 2
    setuid = next(match for match in found.found if match.path == "/usr/bin/find")
    assert (setuid.mode, setuid.uid, setuid.size) == (0o4755, os.geteuid(), 1)


def capable(name: str, value: bytes, link: str = "") -> tarfile.TarInfo:
    """Return a member whose file has capabilities, as engines pack it."""
    made = tarfile.TarInfo(name)
    made.mode = 0o755
    if link:
        made.type, made.linkname = tarfile.LNKTYPE, link
    else:
        made.pax_headers = {"SCHILY.xattr.security.capability": value.decode("utf-8", "surrogateescape")}
    return made


def attribute(*numbers: int, revision: int = 2) -> bytes:
    """Return a file's attribute for these capabilities, permitted and effective."""
    sets = sum(1 << number for number in numbers).to_bytes(8, "little")
    halves = sets[:4] + bytes(4) + (sets[4:] + bytes(4) if revision > 1 else b"")
    return bytes([1, 0, 0, revision]) + halves + (bytes(4) if revision > 2 else b"")


@pytest.mark.parametrize("revision", [1, 2, 3])
def test_file_capabilities_are_a_privilege_by_whatever_name(revision: int) -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(capable("usr/bin/python3", attribute(7, 21, revision=revision)))
        archive.addfile(capable("opt/second", b"", "usr/bin/python3"))
        archive.addfile(capable("usr/bin/ping", attribute(13, revision=revision)))
        archive.addfile(capable("usr/bin/find", attribute(10, revision=revision)))
        archive.addfile(capable("usr/bin/bpf", attribute(39, revision=2)))
        archive.addfile(capable("usr/bin/cut", attribute(7)[:6]))
    made.seek(0)
    found = contents_of(read(made), rules())
    rows = {row.path: row.capabilities for row in found.found if row.kind is ContentKind.SETUID}
    assert rows == {
        "/usr/bin/python3": ("SETUID", "SYS_ADMIN"),
        "/opt/second": ("SETUID", "SYS_ADMIN"),
        "/usr/bin/bpf": ("BPF",),
        "/usr/bin/cut": ("SETUID",),
    }


def test_a_folder_that_is_not_there_has_no_names(tree: Path) -> None:
    found = contents_of(read(packed(tree)), (), ["/app/empty/.cache/uv", "/gone", "/app/main.py~"])
    assert found.folders == {"/app/empty/.cache/uv": (), "/app/main.py~": ()}


def test_a_summarised_folder_is_reported_with_its_files_and_bytes(tree: Path) -> None:
    summaries = {match.path: (match.files, match.size) for match in seen(tree).found if match.files}
    assert summaries["/var/lib/apt/lists"] == (2, 111)
    assert summaries["/home/app/.cache/pip"] == (2, 42)
    assert summaries["/usr/include"] == (2, 42)


def test_what_is_installed_beside_its_metadata_is_a_dependency_wherever_it_lies(tmp_path: Path) -> None:
    key = "-----BEGIN PRIVATE KEY-----\n"
    for path in ("opt/gevent/tests/a.pem", "opt/PyYAML/a.pem", "opt/shop/a.pem", "opt/etc/a.pem", "etc/gevent/a.pem"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(key, encoding="utf-8")
    for name in ("gevent-24.2.dist-info", "PyYAML-6.0.dist-info", "shop-1.0.dist-info"):
        (tmp_path / "opt" / name).mkdir()
    index = read(packed(tmp_path))
    found = contents_of(index, rules(["shop"], index.paths))
    assert paths(found)[ContentKind.SECRET] == {"/opt/shop/a.pem", "/opt/etc/a.pem", "/etc/gevent/a.pem"}


def test_names_that_are_odd_are_shown_escaped(tmp_path: Path) -> None:
    root = tmp_path / "root"
    folder = os.fsencode(root) + b"/line\nend/\xff\xfe"
    Path(os.fsdecode(folder)).mkdir(parents=True)
    for name in (b".env", b"\x1b[31m~", "größe~".encode(), b"a\nb~"):
        Path(os.fsdecode(folder + b"/" + name)).write_bytes(b"")
    expected = {"/line\\nend/\\xff\\xfe/.env", "/line\\nend/\\xff\\xfe/\\x1b[31m~", "/line\\nend/\\xff\\xfe/größe~"}
    expected |= {"/line\\nend/\\xff\\xfe/a\\nb~"}
    assert paths(seen(root))[ContentKind.LEFTOVER] == expected


def test_more_paths_than_the_limit_are_told(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for number in range(20):
        folder = root / f"d{number}"
        folder.mkdir(parents=True)
        for file in range(101):
            (folder / f".env.{file}").touch()
    found = seen(root, replace(PLENTY, entries=2000))
    assert found.cut == ("/: it holds more than 2000 paths",)
    # Of one kind, so many are kept; the others are counted.
    assert len(found.found) == 200
    assert found.counts["leftover"] > 1900
    found = seen(root, replace(PLENTY, names=9000))
    assert found.cut == ("/: its paths have more than 0 MB of names, with the targets of links",)


def test_long_targets_and_wide_letters_count_as_they_are_held(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    for number in range(30):
        (root / f"link{number}").symlink_to("x" * 1000)
    assert "targets of links" in seen(root, replace(PLENTY, names=20_000)).cut[0]
    assert seen(root, replace(PLENTY, names=40_000)).cut == ()
    wide = tmp_path / "wide"
    wide.mkdir()
    for number in range(30):
        (wide / f"{chr(0x1F600) * 50}{number}").touch()
    assert "of names" in seen(wide, replace(PLENTY, names=5_000)).cut[0]


def test_time_is_a_bound_too(tree: Path) -> None:
    assert seen(tree, Limits(seconds=-1.0, most=10**9)).cut == ("/: it was read for -1 s",)


def test_bytes_are_a_bound_for_what_the_engine_packs(tmp_path: Path) -> None:
    root = grow(tmp_path / "root", {"/model.bin": "x" * 3_000_000, "/model.bin~": ""})
    assert seen(root, Limits(seconds=9.0, most=1_000_000)).cut == ("/: 1 MB of it were read",)


def test_an_archive_that_breaks_off_is_no_whole_one(tree: Path) -> None:
    whole = packed(tree).getvalue()
    for stream in (b"no tar at all" * 100, whole[:700], whole[: len(whole) // 2], b""):
        assert read(io.BytesIO(stream)).cut[0].startswith("/: what the engine packed could not be read to its end")


def test_a_deep_tree_and_a_circle_of_links_end(tmp_path: Path) -> None:
    root = tmp_path / "root"
    here = root
    here.mkdir()
    for _ in range(300):
        here /= "d"
        here.mkdir()
    (here / "up").symlink_to("../" * 300)
    (here / ".env").touch()
    (root / "one").symlink_to("two")
    (root / "two").symlink_to("one")
    assert seen(root).counts == {"leftover": 1}


def test_files_below_the_kernels_own_folders_lie_in_a_layer_all_the_same(tmp_path: Path) -> None:
    root = grow(tmp_path / "root", {"/proc/.env": "", "/sys/.env": "", "/dev/id_rsa": KEY, "/app/proc/.env": ""})
    os.mkfifo(root / "dev" / "pipe", 0o666)
    (root / "dev" / "pipe").chmod(0o666)
    for folder in ("dev", "proc", "sys"):
        (root / folder).chmod(0o755)
    found = paths(seen(root))
    assert found[ContentKind.LEFTOVER] == {"/app/proc/.env", "/proc/.env", "/sys/.env"}
    assert found[ContentKind.SECRET] == {"/dev/id_rsa"}
    assert found[ContentKind.WORLD_WRITABLE] == set()


BUNDLE = f"-----BEGIN CERTIFICATE-----\n{'A' * 70_000}\n-----END CERTIFICATE-----\n{KEY}"


@pytest.mark.parametrize(
    "name",
    [
        *(
            "id_rsa",
            "ID_RSA",
            "id_ed25519_deploy",
            "github_rsa",
            "SERVER.PEM",
            "server.key.bak",
            "tls.crt",
            "site.pem~",
        ),
        *("deploy_key", "deploy-key.txt", "private_key.py", "ssh_host_rsa_key", "key.asc"),
    ],
)
def test_a_private_key_is_found_by_names_of_many_forms(tmp_path: Path, name: str) -> None:
    root = grow(tmp_path / "root", {f"/srv/{name}": BUNDLE})
    assert paths(seen(root))[ContentKind.SECRET] == {f"/srv/{name}"}


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_a_private_key_in_another_encoding_is_found(tmp_path: Path, encoding: str) -> None:
    root = grow(tmp_path / "root", {"/srv/id_rsa": ""})
    (root / "srv" / "id_rsa").write_bytes(f"\ufeff{KEY}".encode(encoding))
    assert paths(seen(root))[ContentKind.SECRET] == {"/srv/id_rsa"}


@pytest.mark.parametrize("name", ["rsa.py", "ssh_key_loader.py", "tls_keys.md", "dsa.c", "id_rsa.pub"])
def test_code_about_keys_is_no_key(tmp_path: Path, name: str) -> None:
    text = "ssh-rsa AAAA" if name.endswith(".pub") else f"HEADER = '{KEY}'"
    assert paths(seen(grow(tmp_path / "root", {f"/srv/{name}": text})))[ContentKind.SECRET] == set()


HARD = {
    "line ends": b"\n",
    "blanks": b" ",
    "letters": b"a",
    "begun passwords": b"\npassword ",
    "begun keys": b"-----BEGIN RSA ",
    "begun addresses": b"a://x:",
    "quotes": b'"auth" : "',
    "short lines": b"a\n",
}


@pytest.mark.parametrize("part", HARD.values(), ids=[name.replace(" ", "-") for name in HARD])
def test_no_content_takes_long_to_search(part: bytes) -> None:
    body = (part * 65536)[:65536]
    started = time.process_time()
    for rule in content_rules():
        re.compile(rule.content.encode(), re.DOTALL).search(body)
    assert time.process_time() - started < 1


def test_the_sticky_bit_protects_no_code(tmp_path: Path) -> None:
    root = grow(tmp_path / "root", {"/tmp/scratch": "", "/code/module.py": ""})
    for path, mode in {"tmp": 0o1777, "tmp/scratch": 0o666, "code": 0o1755, "code/module.py": 0o666}.items():
        (root / path).chmod(mode)
    assert paths(seen(root))[ContentKind.WORLD_WRITABLE] == {"/code/module.py"}


def test_tools_are_found_in_every_folder_of_path(tmp_path: Path) -> None:
    index = read(packed(grow(tmp_path / "root", {"/opt/tools/gcc": "", "/opt/tools/sudo": "", "/srv/gcc": ""})))
    assert paths(contents_of(index, rules()))[ContentKind.BUILD_TOOL] == set()
    found = paths(contents_of(index, rules(programs=["/opt/tools", "/usr/bin"])))
    assert found[ContentKind.BUILD_TOOL] == {"/opt/tools/gcc"}
    assert found[ContentKind.REMOTE_ACCESS] == {"/opt/tools/sudo"}


def test_a_key_under_a_second_name_is_found(tmp_path: Path) -> None:
    root = grow(tmp_path / "root", {"/a/boring": KEY, "/b/id_rsa": KEY, "/d/other": "x"})
    (root / "c").mkdir()
    # The first name of one says nothing; that of the other is one that is looked at.
    os.link(root / "a/boring", root / "c/server.key")
    os.link(root / "b/id_rsa", root / "c/id_rsa")
    os.link(root / "d/other", root / "c/public.pem")
    reader = IndexReader()
    reader.read(packed(root), PLENTY)
    asked: list[str] = []

    class Files:
        def text(self, path: str) -> str:
            asked.append(path)
            return Path(f"{root}{path}").read_text(encoding="utf-8")

    reader.read_second_names(Files())  # type: ignore[arg-type]
    found = contents_of(reader.index(), rules())
    assert paths(found)[ContentKind.SECRET] == {"/c/server.key", "/b/id_rsa", "/c/id_rsa"}
    assert asked == ["/c/server.key"]


def test_nothing_secret_is_kept(tree: Path) -> None:
    index = read(packed(tree))
    assert "/root/.ssh/id_ed25519" in index.holding
    kept = repr(index)
    assert not [word for word in ("b3BlbnNzaC1rZXk", "secret@", "bWU6c2VjcmV0", "TOKEN=1") if word in kept]


def test_every_rule_can_be_told_by_a_name_or_a_mode() -> None:
    # A path is looked at closer only where its name or mode fits one of them.
    assert [rule for rule in rules() if not rule.name and not rule.mode] == []
    assert {rule.kind for rule in rules()} == set(ContentKind)
    assert isinstance(rules()[0], PathRule)
    # What an index keeps is told by the same rules.
    kept = {(rule.about, rule.name, rule.content) for rule in content_rules()}
    assert kept == {(rule.about, rule.name, rule.content) for rule in rules(["shop"]) if rule.content}


def test_what_is_shown_can_be_shown() -> None:
    assert shown("/app/größe") == "/app/größe"
    assert shown("/a\tb\u202ec\udcff") == "/a\\tb\\u202ec\\xff"
    assert len(shown("x" * 100_000)) == 4000
