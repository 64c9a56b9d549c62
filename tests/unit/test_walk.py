"""The walk: what is found in a tree by the probe's script and by the engine's reader, which must agree."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.unit.test_probe_script import HERE, INTERPRETERS, NONCE, SCRIPT, probed

from seatrial.engine.containers import Output
from seatrial.facts import ContentKind, Contents, FoundPath, PathRule, Probe, Walk
from seatrial.inside.probe.walk import shown
from seatrial.observe.contents import Limits, Walker, WalkRequest, merge, walk_request
from seatrial.observe.path_rules import rules
from seatrial.observe.probe import ProbeRequest, read_answer
from seatrial.settings.model import Contract

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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


def request(**changed: Any) -> WalkRequest:
    return msgspec.structs.replace(WalkRequest(rules=rules(["shop"]), folders=("/app",)), **changed)


def by_the_script(root: Path, asked: WalkRequest, python: Path | None = None) -> Walk:
    asked = msgspec.structs.replace(asked, root=str(root))
    answer = probed(
        python or Path(sys.executable), ProbeRequest(modules=(), import_root="", walk=asked), root.parent, None
    )
    assert answer.walk is not None
    return answer.walk


def by_the_reader(root: Path, asked: WalkRequest, folder: str = "/", limits: Limits = PLENTY) -> Walk:
    """Pack a folder as the engine does, its own name first, and read that."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(f"{root}{folder.rstrip('/')}", arcname=Path(folder).name or "/")
    packed.seek(0)
    eyes = Walker(asked.rules, asked.folders)
    eyes.read(packed, folder, limits)
    return eyes.result()


def paths(walk: Walk) -> dict[ContentKind, set[str]]:
    return {kind: {match.path for match in walk.found if match.kind is kind} for kind in ContentKind}


@pytest.mark.parametrize("version", HERE)
def test_the_script_finds_each_kind_on_every_python(tree: Path, version: str) -> None:
    walk = by_the_script(tree, request(), INTERPRETERS[version])
    assert paths(walk) == EXPECTED
    assert (walk.cut, walk.unreadable) == ((), ())


def test_the_engines_reader_finds_the_same(tree: Path) -> None:
    walk, script = by_the_reader(tree, request()), by_the_script(tree, request())
    assert paths(walk) == EXPECTED
    assert sorted(walk.found, key=str) == sorted(script.found, key=str)
    assert walk.counts == script.counts
    assert {name: sorted(names) for name, names in walk.folders.items()} == {"/app": sorted(script.folders["/app"])}
    # The folder itself is a member of what is packed.
    assert walk.paths == script.paths + 1


def test_a_summarised_folder_is_reported_with_its_files_and_bytes(tree: Path) -> None:
    summaries = {match.path: (match.files, match.size) for match in by_the_script(tree, request()).found if match.files}
    assert summaries["/var/lib/apt/lists"] == (2, 111)
    assert summaries["/home/app/.cache/pip"] == (2, 42)
    assert summaries["/usr/include"] == (2, 42)


def test_a_part_that_was_read_apart_joins_its_heap(tree: Path) -> None:
    part = by_the_reader(tree, request(), "/var/lib/apt/lists/partial")
    assert [(match.path, match.files, match.size) for match in part.found] == [("/var/lib/apt/lists", 1, 11)]
    rest = Walk(
        paths=1,
        found=(
            FoundPath(
                kind=ContentKind.PACKAGE_LISTS, path="/var/lib/apt/lists", about="apt's lists", files=1, size=100
            ),
        ),
        unreadable=("/var/lib/apt/lists/partial", "/etc/hidden"),
    )
    whole = merge(rest, {"/var/lib/apt/lists/partial": part}, by="probe")
    assert [(match.files, match.size) for match in whole.found] == [(2, 111)]
    assert whole.unreadable == ("/etc/hidden",)


def test_names_that_are_odd_are_shown_escaped(tmp_path: Path) -> None:
    root = tmp_path / "root"
    folder = os.fsencode(root) + b"/line\nend/\xff\xfe"
    Path(os.fsdecode(folder)).mkdir(parents=True)
    for name in (b".env", b"\x1b[31m~", "größe~".encode(), b"a\nb~"):
        Path(os.fsdecode(folder + b"/" + name)).write_bytes(b"")
    expected = {"/line\\nend/\\xff\\xfe/.env", "/line\\nend/\\xff\\xfe/\\x1b[31m~", "/line\\nend/\\xff\\xfe/größe~"}
    expected |= {"/line\\nend/\\xff\\xfe/a\\nb~"}
    assert paths(by_the_script(root, request()))[ContentKind.LEFTOVER] == expected
    assert paths(by_the_reader(root, request()))[ContentKind.LEFTOVER] == expected


def test_more_paths_than_the_limit_are_told(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for number in range(20):
        folder = root / f"d{number}"
        folder.mkdir(parents=True)
        for file in range(101):
            (folder / f".env.{file}").touch()
    walk = by_the_script(root, request(most=2000))
    assert walk.paths == 2000
    assert walk.cut == ("it holds more than 2000 paths",)
    assert len(walk.found) == 200
    assert walk.counts["leftover"] > 1900
    read = by_the_reader(root, request(), limits=replace(PLENTY, paths=2000))
    assert read.cut == ("/: it holds more than 2000 paths",)
    assert len(read.found) == 200


def test_time_is_a_bound_too(tree: Path, tmp_path: Path) -> None:
    root = grow(tmp_path / "root", {f"/d/{number}": "" for number in range(1200)})
    assert by_the_script(root, request(seconds=0.0)).cut == ("only 500 paths were checked in time",)
    late = by_the_reader(tree, request(), limits=Limits(seconds=-1.0, most=10**9))
    assert late.cut == ("/: it was read for -1 s",)


def test_bytes_are_a_bound_for_what_the_engine_packs(tmp_path: Path) -> None:
    root = grow(tmp_path / "root", {"/model.bin": "x" * 3_000_000, "/model.bin~": ""})
    walk = by_the_reader(root, request(), limits=Limits(seconds=9.0, most=1_000_000))
    assert walk.cut == ("/: 1 MB of it were read",)


def test_an_archive_that_breaks_off_is_no_whole_one() -> None:
    eyes = Walker(request().rules)
    eyes.read(io.BytesIO(b"no tar at all" * 100), "/root", PLENTY)
    assert eyes.result().cut[0].startswith("/root: what the engine packed could not be read to its end")


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
    assert by_the_script(root, request()).counts == {"leftover": 1}


def test_the_kernels_own_folders_are_left_out(tmp_path: Path) -> None:
    root = grow(tmp_path / "root", {"/proc/.env": "", "/sys/.env": "", "/dev/.env": "", "/app/proc/.env": ""})
    assert paths(by_the_script(root, request()))[ContentKind.LEFTOVER] == {"/app/proc/.env"}
    assert paths(by_the_reader(root, request()))[ContentKind.LEFTOVER] == {"/app/proc/.env"}


@pytest.fixture
def shared() -> Iterator[Path]:
    """Give a folder that every account may enter; pytest closes its own to others at each start of it."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another account")
def test_what_user_may_not_read_is_named_for_the_engine(shared: Path) -> None:
    system = Path("/usr/bin/python3")
    if not system.exists():
        pytest.skip("NOT WALKED AS ANOTHER ACCOUNT: this host has no /usr/bin/python3")
    root = grow(shared / "root", {"/root/.netrc": "password x", "/listed/a": "", "/app/id_rsa": KEY, "/app/x": ""})
    Path(f"{root}/root").chmod(0o700)
    Path(f"{root}/listed").chmod(0o744)
    Path(f"{root}/app/id_rsa").chmod(0o600)
    odd = Path(os.fsdecode(os.fsencode(root) + b"/\xff"))
    odd.mkdir(mode=0o700)
    asked = ProbeRequest(modules=(), import_root="", walk=request(root=str(root)))
    completed = subprocess.run(
        [system, "-c", SCRIPT, NONCE, msgspec.json.encode(asked).decode()],
        capture_output=True,
        check=False,
        timeout=60,
        cwd="/",
        user=12345,
        group=12345,
        extra_groups=(),
        env={"PATH": "/usr/bin"},
    )
    output = Output(
        out=completed.stdout, errors=completed.stderr, code=completed.returncode, truncated=False, timed_out=False
    )
    answer = read_answer(output, NONCE, str(system))
    assert isinstance(answer, Probe), answer
    assert answer.walk is not None
    assert set(answer.walk.unreadable) == {"/root", "/listed"}
    assert answer.walk.cut == ("/\\xff cannot be read",)
    assert [(match.path, match.unread) for match in answer.walk.found] == [("/app/id_rsa", True)]


def test_a_walk_that_raises_takes_nothing_else_away(tmp_path: Path) -> None:
    asked = ProbeRequest(modules=(), import_root="", walk=request(root=str(tmp_path / "gone")))
    answer = probed(Path(sys.executable), asked, tmp_path)
    assert answer.walk is None
    assert answer.interpreter.executable


def test_a_file_that_two_saw_is_one() -> None:
    row = FoundPath(kind=ContentKind.LEFTOVER, path="/tmp/.env")
    walk = Walk(paths=1, found=(row,))
    whole = merge(walk, {"/tmp": walk}, by="probe")
    assert isinstance(whole, Contents)
    assert (whole.found, whole.paths) == ((row,), 2)


def test_the_request_names_the_contracts_folders_and_the_projects_packages() -> None:
    asked = walk_request(("shop.api:app", "shop.models"), Contract(files={"/app/": ("src",)}))
    assert asked.folders == ("/app",)
    assert any("(?!(?:shop)(?:/|$))" in rule.but for rule in asked.rules)


def test_every_rule_can_be_told_by_a_name_or_a_mode() -> None:
    # The walk looks closer only where a name or a mode fits one of them.
    assert [rule for rule in rules() if not rule.name and not rule.mode] == []
    assert {rule.kind for rule in rules()} == set(ContentKind)
    assert isinstance(rules()[0], PathRule)


def test_what_is_shown_can_be_shown() -> None:
    assert shown("/app/größe") == "/app/größe"
    assert shown("/a\tb\u202ec\udcff") == "/a\\tb\\u202ec\\xff"
    assert len(shown("x" * 100_000)) == 4000
