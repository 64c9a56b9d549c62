"""The probe's script, run for real by every CPython of this host, in a virtual environment that has faults."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from seatrial import inside, process
from seatrial.engine.streams import Output
from seatrial.facts import Probe
from seatrial.observe.running.probe import ProbeRequest, read_probe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seatrial.facts import Import

NONCE = "c0ffee" * 5
WANTED = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14")


def interpreters() -> dict[str, Path]:
    """Return this host's CPythons: pyenv's, those on PATH, and the one that runs this."""
    found: dict[str, Path] = {"{}.{}".format(*sys.version_info): Path(sys._base_executable)}  # type: ignore[attr-defined]  # noqa: SLF001
    for path in sorted((Path.home() / ".pyenv" / "versions").glob("3.*/bin/python")):
        version = re.match(r"3\.\d+", path.parents[1].name)
        if version:
            found.setdefault(version.group(), path)
    for name in WANTED:
        if on_path := shutil.which(f"python{name}"):
            found.setdefault(name, Path(on_path))
    return found


INTERPRETERS = interpreters()

MODULES = {
    "fine": "import os\nclass Thing:\n    value = 1\n",
    "leaves": "import os, sys\nprint('about to leave', flush=True)\nos._exit(7)\n",
    "crashes": "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n",
    "hangs": "import time\ntime.sleep(600)\n",
    "floods": "import sys\nsys.stdout.write('x' * 1_000_000)\nsys.stderr.write('y' * 1_000_000)\n",
    "floods_and_fails": "print('x' * 1_000_000)\nraise RuntimeError('the end')\n",
    "quits": "raise SystemExit('no configuration')\n",
    "forges": "import os\nfor fd in range(3, 30):\n    try:\n        os.write(fd, b'{\"name\": 1}\\nnoise\\n[1]\\n')\n"
    "    except OSError:\n        pass\n",
    "leaves_a_child": "import subprocess, sys\n"
    "subprocess.Popen([sys.executable, '-c', 'import time as t; t.sleep(2)'])\n",
}


def distribution(site: Path, name: str, files: Mapping[str, str]) -> None:
    (site / name).mkdir()
    for file, text in files.items():
        (site / name / file).write_text(text, encoding="utf-8")


def script(folder: Path, name: str, first: str) -> None:
    (folder / name).write_text(f"{first}\nprint()\n", encoding="utf-8")
    (folder / name).chmod(0o755)


def environment(folder: Path, python: Path) -> Path:
    """Make a virtual environment with faults, and return its interpreter."""
    venv = folder / "venv"
    process.run([python, "-m", "venv", "--without-pip", venv], timeout=60)
    site = next(venv.glob("lib/python3.*/site-packages"))
    for name, text in MODULES.items():
        (site / f"{name}.py").write_text(text, encoding="utf-8")
    metadata = "Metadata-Version: 2.1\nName: Good.Thing\nVersion: 1.2\nRequires-Dist: click>=8\n\nName: not-this\n"
    points = "[gui_scripts]\nno = a:b\n[console_scripts]\ngood = good:main\n"
    distribution(site, "good-1.2.dist-info", {"METADATA": metadata, "entry_points.txt": points})
    distribution(site, "Good_Thing-1.0.dist-info", {"METADATA": "Name: good_thing\nVersion: 1.0\n"})
    distribution(
        site, "linked-0.1.dist-info", {"METADATA": "Name: linked\nVersion: 0.1\n", "direct_url.json": EDITABLE}
    )
    distribution(site, "odd-1.dist-info", {"METADATA": "Name: odd\nVersion: 1\n", "direct_url.json": "[1"})
    distribution(site, "empty-1.dist-info", {"METADATA": ""})
    distribution(site, "gone-1.dist-info", {})
    (site / "old.egg-info").write_text("Name: old\nVersion: 3\n", encoding="utf-8")
    binaries = venv / "bin"
    script(binaries, "sound", f"#!{binaries / 'python'}")
    script(binaries, "moved", "#!/build/.venv/bin/python")
    script(binaries, "env-found", "#!/usr/bin/env -S sh -e")
    script(binaries, "env-lost", "#!/usr/bin/env no-such-program")
    script(binaries, "trampoline", "#!/bin/sh\n'''exec' \"/build here/bin/python\" \"$0\" \"$@\"\n' '''")
    script(binaries, "windows", f"#!{binaries / 'python'}\r")
    (folder / "in-the-way").write_text("a file", encoding="utf-8")
    return binaries / "python"


EDITABLE = json.dumps({"url": "file:///src/linked", "dir_info": {"editable": True}})


def ran(python: Path, request: ProbeRequest, **how: Any) -> Output:
    """Run the probe as its container does, but all at once; `how` is for `subprocess.run`."""
    asked = inside.question(NONCE, msgspec.json.encode(request).decode())
    words = [str(python), *inside.ISOLATED]
    completed = subprocess.run(words, input=asked, capture_output=True, check=False, timeout=120, **how)
    return Output(
        out=completed.stdout,
        errors=completed.stderr,
        code=completed.returncode,
        truncated=False,
        timed_out=False,
        asked_at=completed.stdout.find(inside.READY) + len(inside.READY),
    )


def probed(python: Path, request: ProbeRequest, folder: Path, variables: Mapping[str, str] | None = None) -> Probe:
    environment = {"PATH": f"{python.parent}:/usr/bin:/bin", "HOME": str(folder)} | dict(variables or {})
    answer = read_probe(ran(python, request, cwd=folder, env=environment), NONCE, str(python))
    assert isinstance(answer, Probe), answer
    return answer


@pytest.mark.parametrize("version", [item for item in WANTED if item not in INTERPRETERS])
def test_a_python_that_this_host_lacks(version: str) -> None:
    pytest.skip(f"THE PROBE WAS NOT RUN BY PYTHON {version}: this host has none")


HERE = [item for item in WANTED if item in INTERPRETERS]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Probe]:
    """Run all beside one another: most of the time goes into waiting for the import that hangs."""
    folders = [tmp_path_factory.mktemp(f"probe-{version}") for version in HERE]
    with ThreadPoolExecutor(max_workers=3) as pool:
        return dict(zip(HERE, pool.map(probed_by, HERE, folders), strict=True))


@pytest.fixture(params=HERE)
def answer(request: pytest.FixtureRequest, answers: dict[str, Probe]) -> Probe:
    return answers[request.param]


def probed_by(version: str, folder: Path) -> Probe:
    # A module that would take the place of the standard library's, were the working directory on the path.
    (folder / "json.py").write_text("raise SystemExit('shadowed')\n", encoding="utf-8")
    python = environment(folder, INTERPRETERS[version])
    (folder / "root").mkdir()
    (folder / "root" / "beside.py").write_text("here = 1\n", encoding="utf-8")
    return probed(
        python,
        ProbeRequest(
            modules=("fine", "fine:Thing.value", "fine:Nothing", "no_such_module", "beside:here", *list(MODULES)[1:]),
            import_root=str(folder / "root"),
            import_seconds=2.0,
            executables=("sh", "sound", "no-such-program"),
            places=(str(folder), str(folder / "a/b"), str(folder / "in-the-way/x"), "/proc/1/nowhere"),
        ),
        folder,
    )


def imported(answer: Probe, name: str) -> Import:
    return next(entry for entry in answer.imports if entry.name == name)


def test_who_and_what_runs(answer: Probe) -> None:
    assert (answer.identity.uid, answer.identity.gid) == (os.geteuid(), os.getegid())
    assert answer.identity.directory == answer.identity.home
    assert answer.interpreter.executable.endswith("venv/bin/python")
    assert answer.interpreter.prefix != answer.interpreter.base_prefix
    assert answer.interpreter.settings["home"]
    assert answer.interpreter.implementation == "CPython"
    assert "" not in answer.interpreter.path


def test_the_environments_distributions_are_listed(answer: Probe) -> None:
    own = {entry.name: entry for entry in answer.distributions if not entry.base}
    # Of two with one name, the first on the path is the one that is imported.
    assert sorted(own) in (["Good.Thing", "linked", "odd", "old"], ["good_thing", "linked", "odd", "old"])
    assert own["linked"].editable == "file:///src/linked"
    assert own["old"].version == "3"


def test_metadata_and_entry_points_are_read(answer: Probe) -> None:
    names = {Path(entry.location).name for entry in answer.broken_distributions}
    assert {"empty-1.dist-info", "gone-1.dist-info"} <= names
    for entry in answer.distributions:
        if entry.name == "Good.Thing":
            assert (entry.version, entry.requires, entry.scripts) == ("1.2", ("click>=8",), ("good",))


def test_every_scripts_interpreter_is_looked_for(answer: Probe) -> None:
    found = {Path(entry.path).name: entry for entry in answer.scripts}
    assert found["sound"].found
    assert not found["moved"].found
    assert found["moved"].interpreter == "/build/.venv/bin/python"
    assert (found["env-found"].interpreter, found["env-found"].found) == ("sh", True)
    assert (found["env-lost"].interpreter, found["env-lost"].found) == ("no-such-program", False)
    assert (found["trampoline"].interpreter, found["trampoline"].found) == ("/build here/bin/python", False)
    assert not found["windows"].found


@pytest.mark.parametrize("name", ["fine", "fine:Thing.value", "beside:here", "floods", "forges", "leaves_a_child"])
def test_a_sound_import_holds_whatever_it_prints(answer: Probe, name: str) -> None:
    assert imported(answer, name).ok, imported(answer, name)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("fine:Nothing", "AttributeError: "),
        ("no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("quits", "SystemExit: no configuration"),
        ("floods_and_fails", "RuntimeError: the end"),
        ("leaves", "the interpreter ended with code 7"),
        ("crashes", "the interpreter was killed by SIGSEGV"),
        ("hangs", "it took longer than 2 s"),
    ],
)
def test_a_broken_import_says_how(answer: Probe, name: str, error: str) -> None:
    row = imported(answer, name)
    assert not row.ok
    assert row.error.startswith(error)
    assert len(row.traceback) <= 4000
    assert name != "leaves" or "about to leave" in row.traceback


def test_each_import_answers_once(answer: Probe) -> None:
    names = [entry.name for entry in answer.imports]
    assert sorted(names) == sorted({*MODULES, "fine:Thing.value", "fine:Nothing", "no_such_module", "beside:here"})


def test_programs_are_found_on_path(answer: Probe) -> None:
    paths = {executable.name: executable.path for executable in answer.executables}
    assert paths["sh"].endswith("/sh")
    assert paths["sound"].endswith("venv/bin/sound")
    assert paths["no-such-program"] == ""


def test_places_are_judged(answer: Probe) -> None:
    whole, below, in_the_way, system = answer.places
    assert (whole.exists, whole.writable) == (True, True)
    assert (below.exists, below.writable, below.nearest) == (False, True, whole.path)
    assert (in_the_way.exists, in_the_way.writable) == (False, False)
    assert system.writable is (os.geteuid() == 0)


def test_the_standard_librarys_modules_have_their_libraries(answer: Probe) -> None:
    assert answer.native.modules > 30
    assert [name for name in answer.native.missing if "lib-dynload" in name.needed_by] == []
    assert answer.truncated == ()


# --- what one interpreter is enough for -------------------------------------------------------------------


def own_environment(folder: Path) -> tuple[Path, Path]:
    python = environment(folder, Path(sys._base_executable))  # type: ignore[attr-defined]  # noqa: SLF001
    return python, next(python.parents[1].glob("lib/python3.*/site-packages"))


NOTHING = ProbeRequest(modules=(), import_root="")


def test_a_library_that_is_not_there_is_named(tmp_path: Path) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("NO ELF FILE WAS PROBED: this host has no C compiler")
    python, site = own_environment(tmp_path)
    (tmp_path / "a.c").write_text("int a(void) { return 1; }\n", encoding="utf-8")
    (tmp_path / "b.c").write_text("int a(void); int b(void) { return a(); }\n", encoding="utf-8")
    for name in ("libgone.so.1", "libhere.so.1"):
        process.run(
            [compiler, "-shared", "-fPIC", "-o", name, "-Wl,-soname," + name, "a.c"], folder=tmp_path, timeout=60
        )
    package = site / "package"
    package.mkdir()
    (package / "libs").mkdir()
    link = [compiler, "-shared", "-fPIC", "b.c", "-Wl,--no-as-needed", "-Wl,-rpath,$ORIGIN/libs"]
    process.run([*link, "libgone.so.1", "-o", package / "broken.so"], folder=tmp_path, timeout=60)
    process.run([*link, "libhere.so.1", "-o", package / "sound.so"], folder=tmp_path, timeout=60)
    shutil.move(tmp_path / "libhere.so.1", package / "libs")
    (package / "no-elf.so").write_bytes(b"\x7fELF" + b"\xff" * 200)
    (package / "short.so").write_bytes(b"\x7fELF")
    missing = probed(python, NOTHING, tmp_path).native.missing
    assert [(library.library, Path(library.needed_by).name) for library in missing] == [("libgone.so.1", "broken.so")]
    assert str(package / "libs") in missing[0].searched
    found = probed(python, NOTHING, tmp_path, {"LD_LIBRARY_PATH": str(tmp_path)}).native.missing
    assert found == ()


def test_a_path_that_is_not_utf8_does_not_spoil_the_answer(tmp_path: Path) -> None:
    python, site = own_environment(tmp_path)
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    odd.mkdir()
    (Path(os.fsdecode(os.fsencode(site) + b"/\xff-1.dist-info"))).mkdir()
    script(python.parent, os.fsdecode(b"\xff"), "#!/gone")
    answer = probed(python, ProbeRequest(modules=("fine",), import_root=""), odd)
    assert answer.identity.directory.endswith("/?")
    assert any(entry.location.endswith("?-1.dist-info") for entry in answer.broken_distributions)
    assert answer.imports[0].ok


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another account")
def test_another_account_may_not_write_what_is_not_its_own(tmp_path: Path) -> None:
    system = Path("/usr/bin/python3")
    if not system.exists():
        pytest.skip("NOT PROBED AS ANOTHER ACCOUNT: this host has no /usr/bin/python3")
    request = ProbeRequest(modules=(), import_root="", places=("/etc/x", "/etc/passwd", "/tmp", str(tmp_path / "x")))
    someone: dict[str, Any] = {"user": 12345, "group": 12345, "extra_groups": ()}
    answer = read_probe(ran(system, request, cwd="/", env={"PATH": "/usr/bin"}, **someone), NONCE, str(system))
    assert isinstance(answer, Probe), answer
    assert [place.writable for place in answer.places] == [False, False, True, False]
    assert (answer.identity.uid, answer.identity.gid, answer.identity.name) == (12345, 12345, "")
    assert answer.places[0].owner == "0:0"
