"""What the probe's script says of the environment, asked of every CPython of this host."""

from __future__ import annotations

import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.defects.wheels import elf, extension
from tests.unit.test_probe_script import HERE, INTERPRETERS, NONCE, ran

from seatrial import process
from seatrial.facts import Probe
from seatrial.observe.running.probe import ProbeRequest, read_probe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seatrial.facts.probe import Bytecode

SOMEONE = 12345
SOURCES = ("compiled", "unchecked", "checked", "stale", "rewritten", "foreign", "bare", "no_python")


def environment(folder: Path, python: Path) -> Path:
    """Make a virtual environment whose sources have bytecode of every kind, and return its interpreter."""
    venv = folder / "venv"
    process.run([python, "-m", "venv", "--without-pip", venv], timeout=60)
    site = next(venv.glob("lib/python3.*/site-packages"))
    (site / "good-1.dist-info").mkdir()
    (site / "good-1.dist-info" / "METADATA").write_text("Name: good\nVersion: 1\n", encoding="utf-8")
    (site / "good.egg-link").write_text("/src/good\n", encoding="utf-8")
    for name in SOURCES:
        (site / f"{name}.py").write_text(f"import json, decimal  # {name}\n", encoding="utf-8")
    (site / "some-script.py").write_text("import json\n", encoding="utf-8")
    (site / "no_python.py").write_text("this is {{ a template }} of something\n", encoding="utf-8")
    runs = {"unchecked": "UNCHECKED_HASH", "checked": "CHECKED_HASH", "rewritten": "CHECKED_HASH"}
    for name in ("compiled", "unchecked", "checked", "stale", "rewritten", "foreign"):
        mode = runs.get(name, "TIMESTAMP")
        line = "import py_compile, sys; py_compile.compile(sys.argv[1], doraise=True, "
        line += f"invalidation_mode=py_compile.PycInvalidationMode.{mode})"
        process.run([venv / "bin" / "python", "-c", line, site / f"{name}.py"], timeout=60)
    os.utime(site / "stale.py", (1, 1))
    for name in ("unchecked", "rewritten"):
        (site / f"{name}.py").write_text("import json  # another text, of another length\n", encoding="utf-8")
    compiled = next((site / "__pycache__").glob("foreign.*"))
    compiled.write_bytes(b"\0\0\r\n" + compiled.read_bytes()[4:])
    (site / "other.cpython-39-riscv64-linux-gnu.so").write_bytes(extension("libc.so.6", machine="aarch64"))
    (site / "musl.abi3.so").write_bytes(extension("libc.musl-x86_64.so.1"))
    (site / "attach_arm.so").write_bytes(extension("libc.so.6", machine="aarch64", symbol=""))
    package = folder / "src" / "shop"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("import decimal\n", encoding="utf-8")
    (package / "api.py").write_text("app = 1\n", encoding="utf-8")
    return venv / "bin" / "python"


def asked(
    python: Path, request: ProbeRequest, folder: Path, variables: Mapping[str, str] | None = None, **how: int
) -> Probe:
    environment = {"PATH": f"{python.parent}:/usr/bin:/bin", "HOME": str(folder)} | dict(variables or {})
    answer = read_probe(ran(python, request, cwd=folder, env=environment, **how), NONCE, str(python))
    assert isinstance(answer, Probe), answer
    assert answer.problems == {}
    return answer


def probed_by(version: str, folder: Path) -> tuple[Probe, Path]:
    python = environment(folder, INTERPRETERS[version])
    request = ProbeRequest(modules=("shop.api:app", "good"), import_root=str(folder / "src"))
    return asked(python, request, folder), folder


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Probe, Path]]:
    folders = [tmp_path_factory.mktemp(f"environment-{version}") for version in HERE]
    with ThreadPoolExecutor(max_workers=2) as pool:
        return dict(zip(HERE, pool.map(probed_by, HERE, folders), strict=True))


@pytest.fixture(params=HERE)
def answer(request: pytest.FixtureRequest, answers: dict[str, tuple[Probe, Path]]) -> Probe:
    return answers[request.param][0]


def test_the_environment_is_told(answer: Probe) -> None:
    seen = answer.environment
    assert seen is not None
    assert seen.real == seen.home_python
    assert (seen.machine, seen.implementation) == (os.uname().machine, "cpython")
    assert [(python.name, python.environment, python.real) for python in seen.pythons] == [
        (name, answer.interpreter.prefix, seen.real) for name in ("python", "python3")
    ]
    assert [Path(text).name for text in seen.linked] == ["good.egg-link"]


def names(rows: tuple[str, ...]) -> list[str]:
    return [Path(row).stem for row in rows]


def test_bytecode_is_judged_as_the_import_system_does(answer: Probe) -> None:
    seen: Bytecode | None = answer.bytecode
    assert seen is not None
    assert (names(seen.missing), seen.missing_count, seen.complete) == (["bare"], 1, True)
    assert {Path(stale.source).stem: stale.problem for stale in seen.stale} == {
        "stale": "it records another time or size of its source",
        "rewritten": "it records another hash of its source",
        "foreign": "its magic number is that of another Python",
    }
    assert (seen.stale_count, seen.sources) == (3, len(SOURCES) - 1), "what is no Python does not count"


def test_what_the_imports_loaded_of_the_standard_library(answer: Probe) -> None:
    seen = answer.standard_bytecode
    assert seen is not None
    assert seen.complete
    assert 10 < seen.sources < 200
    assert names(seen.missing) == [] or seen.missing_count <= seen.sources


def test_the_code_is_found_without_an_import(answer: Probe) -> None:
    assert answer.code is not None
    shop, good = answer.code
    assert shop.origin.endswith("/src/shop")
    assert (good.name, good.origin) == ("good", "")
    assert shop.files > 0 or os.geteuid() == 0


def test_the_interpreter_tests_itself(answer: Probe) -> None:
    seen = answer.selftest
    assert seen is not None
    assert [module for module in seen.modules if not module.ok] == []
    assert {"_ssl", "_sqlite3", "zlib", "_ctypes", "_lzma", "_bz2", "_uuid", "_hashlib"} <= {
        module.name for module in seen.modules
    }
    assert (seen.recursion, seen.ended) == (True, "")
    assert seen.trust is not None
    assert seen.trust.error == ""


def test_time_and_encoding_are_told(answer: Probe) -> None:
    assert answer.locale is not None
    assert answer.locale.filesystem == "utf-8"
    assert answer.locale.zone


def test_modules_of_another_machine_or_c_library(answer: Probe) -> None:
    foreign = {Path(module.path).name: module.built_for for module in answer.native.foreign}
    assert foreign == {"other.cpython-39-riscv64-linux-gnu.so": "aarch64", "musl.abi3.so": "musl"}, (
        "a shared object that is no module of Python may be data"
    )
    assert answer.native.libc == "glibc"


# --- what one interpreter is enough for -------------------------------------------------------------------

ONE = HERE[-1]
NOTHING = ProbeRequest(modules=(), import_root="")


def test_a_zone_an_encoding_and_a_store_that_are_not_there(tmp_path: Path) -> None:
    python = environment(tmp_path, INTERPRETERS[ONE])
    variables = {
        "TZ": "EST5EDT",
        "PYTHONIOENCODING": "latin-1",
        "SSL_CERT_FILE": "/nowhere.pem",
        "SSL_CERT_DIR": "/nowhere",
    }
    answer = asked(python, NOTHING, tmp_path, variables)
    assert answer.locale is not None
    assert (answer.locale.utc, answer.locale.zone) == (False, "EST/EDT")
    assert answer.locale.output in {"latin-1", "iso8859-1"}
    assert answer.selftest is not None
    assert answer.selftest.trust is not None
    trust = answer.selftest.trust
    assert (trust.certificates, trust.file, trust.folder, trust.certifi) == (0, "/nowhere.pem", "/nowhere", "")
    assert trust.lost == ("SSL_CERT_FILE names /nowhere.pem", "SSL_CERT_DIR names /nowhere")
    assert answer.standard_bytecode is not None
    assert answer.standard_bytecode.sources == 0


def test_a_package_that_imports_without_a_library(tmp_path: Path) -> None:
    python = environment(tmp_path, INTERPRETERS[ONE])
    site = tmp_path / "site"
    for name, body in {"whole": "", "broken": "raise ImportError('libtide.so.9')\n", "alone": ""}.items():
        (site / name).mkdir(parents=True)
        (site / name / "__init__.py").write_text(body, encoding="utf-8")
        (site / name / "_fast.so").write_bytes(elf("libtide.so.9"))
        if name != "alone":
            (site / name / "_base.so").write_bytes(elf("libc.so.6"))
    (site / "single.so").write_bytes(elf("libtide.so.9"))
    answer = asked(python, NOTHING, tmp_path, {"PYTHONPATH": str(site)})
    of_site = [row for row in answer.native.missing if row.needed_by.startswith(f"{site}/")]
    told = {row.needed_by.removeprefix(f"{site}/"): row.optional for row in of_site}
    assert told == {"whole/_fast.so": True, "broken/_fast.so": False, "alone/_fast.so": False, "single.so": False}
    assert answer.standard_bytecode is not None
    assert answer.standard_bytecode.sources == 0


def test_a_thread_without_room_takes_the_process_with_it(tmp_path: Path) -> None:
    python = environment(tmp_path, INTERPRETERS[ONE])
    (tmp_path / "sitecustomize.py").write_text("import threading\nthreading.stack_size(65536)\n", encoding="utf-8")
    answer = asked(python, NOTHING, tmp_path, {"PYTHONPATH": str(tmp_path)})
    seen = answer.selftest
    assert seen is not None
    assert (seen.recursion, seen.at, seen.ended) == (
        False,
        "a thread that recurses",
        "the interpreter was killed by SIGSEGV",
    )


def test_a_module_of_the_standard_library_that_does_not_import(tmp_path: Path) -> None:
    python = environment(tmp_path, INTERPRETERS[ONE])
    line = "import sys\nsys.modules['_sqlite3'] = None\n"
    (tmp_path / "sitecustomize.py").write_text(line, encoding="utf-8")
    answer = asked(python, NOTHING, tmp_path, {"PYTHONPATH": str(tmp_path)})
    assert answer.selftest is not None
    assert [(module.name, module.absent) for module in answer.selftest.modules if not module.ok] == [("_sqlite3", True)]


def test_an_import_that_ends_the_process_hides_what_it_loaded(tmp_path: Path) -> None:
    python = environment(tmp_path, INTERPRETERS[ONE])
    (tmp_path / "leaves.py").write_text("import os\nos._exit(3)\n", encoding="utf-8")
    answer = asked(python, ProbeRequest(modules=("leaves",), import_root=str(tmp_path)), tmp_path)
    assert answer.standard_bytecode is not None
    assert not answer.standard_bytecode.complete


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another account")
def test_what_another_account_may_change() -> None:
    system = Path("/usr/bin/python3")
    if not system.exists():
        pytest.skip("NOT PROBED AS ANOTHER ACCOUNT: this host has no /usr/bin/python3")
    # Not below pytest's own folders, which only their owner may enter.
    root = Path(tempfile.mkdtemp(prefix="seatrial-code-", dir="/tmp"))
    root.chmod(0o755)
    package = root / "src" / "shop"
    package.mkdir(parents=True)
    for name in ("__init__.py", "api.py", "open.py", "shared.py"):
        (package / name).write_text("", encoding="utf-8")
    (package / "circle").symlink_to(package)
    (package / "gone").symlink_to("/nowhere")
    os.chown(package / "api.py", SOMEONE, 0)
    (package / "open.py").chmod(0o666)
    (package / "shared.py").chmod(0o664)
    os.chown(package / "shared.py", 0, SOMEONE)
    request = ProbeRequest(modules=("shop.api", "shop.other"), import_root=str(root / "src"))
    try:
        how = {"user": SOMEONE, "group": SOMEONE, "extra_groups": ()}
        answer = asked(system, request, Path("/"), {"HOME": "/"}, **how)  # type: ignore[arg-type]
        assert answer.code is not None
        (shop,) = answer.code
        assert {Path(changeable.path).name: changeable.owner for changeable in shop.changeable} == {
            "api.py": f"{SOMEONE}:0",
            "open.py": "0:0",
            "shared.py": f"0:{SOMEONE}",
        }
        os.chown(root, SOMEONE, 0)
        again = asked(system, request, Path("/"), {"HOME": "/"}, **how)  # type: ignore[arg-type]
        assert again.code is not None
        assert str(root) in {changeable.path for changeable in again.code[0].changeable}, (
            "whoever owns a folder above may move it"
        )
    finally:
        shutil.rmtree(root)
