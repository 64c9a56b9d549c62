"""Start hooks of an image that lie to the probe, run for real by a CPython of this host: none has a part in it."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.unit.test_probe_script import HERE, INTERPRETERS, probed

from seatrial import process
from seatrial.facts import Import, Probe
from seatrial.observe.running.probe import ProbeRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

RAISES = "raise ValueError('no database')\n"


def made(folder: Path, files: Mapping[str, str], python: Path | None = None) -> Path:
    """Make a virtual environment with files in its site-packages, and return its interpreter."""
    base = python or Path(sys._base_executable)  # type: ignore[attr-defined]  # noqa: SLF001
    process.run([base, "-m", "venv", "--without-pip", folder / "venv"], timeout=60)
    site = next((folder / "venv").glob("lib/python3.*/site-packages"))
    for name, text in files.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(textwrap.dedent(text), encoding="utf-8")
    return folder / "venv" / "bin" / "python"


def asked(folder: Path, files: Mapping[str, str], *modules: str, **variables: str) -> Probe:
    python = made(folder, files)
    # What stands for a kernel of an image: a folder of its own for the user's site, and its variables.
    return probed(python, ProbeRequest(modules=modules or ("shop",), import_root=""), folder, variables)


def only(answer: Probe) -> Import:
    (row,) = answer.imports
    return row


LIES = {
    "an import system that swallows errors": """\
        import builtins, types, sys
        known = builtins.__import__
        def lenient(name, *words, **more):
            try:
                return known(name, *words, **more)
            except ValueError:
                return sys.modules.setdefault(name, types.ModuleType(name))
        builtins.__import__ = lenient
        import importlib
        real = importlib.import_module
        importlib.import_module = lambda name, *words: lenient(name)
        """,
    "a module that is there already": """\
        import sys, types
        sys.modules["shop"] = types.ModuleType("shop")
        """,
    "JSON that says ok": """\
        import json
        real = json.dumps
        json.dumps = lambda value, **more: real(value, **more).replace('"ok": false', '"ok": true')
        """,
    "a finder that has another shop": """\
        import sys, importlib.machinery, importlib.abc
        class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
            def find_spec(self, name, path=None, target=None):
                return importlib.machinery.ModuleSpec(name, self) if name == "shop" else None
            def exec_module(self, module):
                return None
        sys.meta_path.insert(0, Finder())
        """,
    "an answer at exit, and exit code 0": """\
        import atexit, os, sys
        atexit.register(lambda: os.write(1, b"0" * 64 + b" {}\\n"))
        real = os._exit
        os._exit = lambda code: real(0)
        """,
    "an exit before the question": """\
        import os
        os.write(1, b"0" * 64 + b" {}\\n")
        os._exit(0)
        """,
}


@pytest.mark.parametrize("lie", LIES.values(), ids=[name.replace(" ", "-") for name in LIES])
@pytest.mark.parametrize("way", ["pth", "sitecustomize", "PYTHONPATH"])
def test_no_start_hook_hides_an_error_of_the_application(tmp_path: Path, lie: str, way: str) -> None:
    files = {"shop.py": RAISES, "liar.pth": "import liar_hook\n"}
    variables: dict[str, str] = {}
    if way == "PYTHONPATH":
        (tmp_path / "shadow").mkdir()
        (tmp_path / "shadow" / "sitecustomize.py").write_text(textwrap.dedent(lie), encoding="utf-8")
        variables, files = {"PYTHONPATH": str(tmp_path / "shadow")}, {"shop.py": RAISES}
    else:
        files["liar_hook.py" if way == "pth" else "sitecustomize.py"] = lie
        if way == "sitecustomize":
            del files["liar.pth"]
    answer = asked(tmp_path, files, **variables)
    assert (only(answer).ok, only(answer).error) == (False, "ValueError: no database")
    assert answer.start is not None
    assert [hook.kind for hook in answer.start.hooks] == ["pth" if way == "pth" else "sitecustomize"]


def test_what_an_application_needs_of_its_installers_hooks_is_found(tmp_path: Path) -> None:
    (tmp_path / "src" / "shop").mkdir(parents=True)
    (tmp_path / "src" / "shop" / "__init__.py").write_text("import till\n", encoding="utf-8")
    (tmp_path / "src" / "till.py").write_text("open = True\n", encoding="utf-8")
    finder = f"""\
        import sys
        from importlib.machinery import PathFinder
        class Finder:
            @classmethod
            def find_spec(cls, name, path=None, target=None):
                return PathFinder.find_spec(name, [{str(tmp_path / "src")!r}]) if name in ("shop", "till") else None
        def install():
            sys.meta_path.append(Finder)
        """
    files = {
        "__editable___shop_1_0_finder.py": finder,
        "__editable__.shop-1.0.pth": "import __editable___shop_1_0_finder; __editable___shop_1_0_finder.install()\n",
    }
    answer = asked(tmp_path, files, "shop", "till:open")
    assert [(row.name, row.ok, row.error) for row in answer.imports] == [("shop", True, ""), ("till:open", True, "")]
    assert answer.code is not None
    assert [row.origin for row in answer.code] == [str(tmp_path / "src" / "shop"), str(tmp_path / "src" / "till.py")]
    assert answer.start is not None
    assert answer.start.differences == ()


def test_a_hook_that_breaks_an_import_is_found(tmp_path: Path) -> None:
    broken = "import sys\nsys.modules['decimal'] = None\n"
    answer = asked(tmp_path, {"shop.py": "import decimal\n", "sitecustomize.py": broken})
    assert not only(answer).ok
    assert answer.start is not None
    assert [(row.name, row.isolated) for row in answer.start.differences] == [("shop", "")]
    assert "decimal" in answer.start.differences[0].application


def test_a_hook_that_an_import_needs_is_told(tmp_path: Path) -> None:
    provides = "import sys, types\nsys.modules['made_up'] = types.ModuleType('made_up')\n"
    answer = asked(tmp_path, {"shop.py": "import made_up\n", "sitecustomize.py": provides})
    assert not only(answer).ok
    assert answer.start is not None
    assert [(row.name, row.application) for row in answer.start.differences] == [("shop", "")]


def test_variables_of_python_hold_for_the_application(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "extra.py").write_text("", encoding="utf-8")
    text = "import extra, os, sys\nassert os.environ['PYTHONPATH']\nif not sys.flags.optimize: raise ValueError\nexit\n"
    answer = asked(tmp_path, {"shop.py": text}, PYTHONPATH=str(tmp_path / "more"), PYTHONOPTIMIZE="1")
    assert (only(answer).ok, only(answer).error) == (True, "")
    assert str(tmp_path / "more") in answer.interpreter.path


def test_a_module_of_the_standard_librarys_name_is_the_applications(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "json.py").write_text("mine = True\n", encoding="utf-8")
    answer = asked(tmp_path, {"shop.py": "from json import mine\n"}, PYTHONPATH=str(tmp_path / "more"))
    assert (only(answer).ok, only(answer).error) == (True, "")
    assert answer.start is not None
    assert answer.start.replaced == (f"json is {tmp_path / 'more' / 'json.py'}",)


def test_a_start_that_ends_is_told(tmp_path: Path) -> None:
    answer = asked(tmp_path, {"shop.py": "", "stop.pth": "import sys; sys.exit('not today')\n"})
    assert answer.start is not None
    assert (answer.start.application, answer.locale) == (None, None)
    assert answer.start.ended.startswith("the interpreter ended with code ")
    assert answer.problems["locale"] == answer.start.ended


def test_the_folders_are_those_that_site_finds(tmp_path: Path) -> None:
    (tmp_path / "linked").mkdir()
    lines = f"# a comment\n\n{tmp_path / 'linked'}\n{tmp_path / 'gone'}\nimport os\n"
    (tmp_path / "more").mkdir()
    answer = asked(
        tmp_path, {"shop.py": "", "a.pth": lines, ".hidden.pth": "import os\n"}, PYTHONPATH=str(tmp_path / "more")
    )
    start = answer.start
    assert start is not None
    assert start.isolated == start.application
    assert (start.added, start.removed, start.replaced) == ((), (), ())
    assert [hook.line for hook in start.hooks if hook.where.endswith("a.pth")] == ["import os"]


@pytest.mark.parametrize("version", HERE)
def test_every_python_finds_its_folders_with_and_without_an_environment(tmp_path: Path, version: str) -> None:
    inside = made(tmp_path, {"shop.py": ""}, INTERPRETERS[version])
    asked_for = ProbeRequest(modules=(), import_root="")
    for python in (INTERPRETERS[version], inside):
        start = probed(python, asked_for, tmp_path).start
        assert start is not None
        assert start.isolated == start.application
        assert (start.removed, start.replaced) == ((), ())


# From 3.11 on, `site` is frozen into the interpreter.
@pytest.mark.parametrize("version", [version for version in HERE if version in {"3.8", "3.9", "3.10"}])
def test_a_distributions_own_site_is_followed(tmp_path: Path, version: str) -> None:
    real = Path(os.path.realpath(INTERPRETERS[version]))
    source = real.parent.parent / "lib" / real.name
    library, local = tmp_path / "usr/lib" / real.name, tmp_path / "local"
    installed = local / "lib" / real.name / "site-packages"
    for folder in (library / "site-packages", installed, tmp_path / "usr/bin"):
        folder.mkdir(parents=True)
    python = Path(shutil.copy(real, tmp_path / "usr/bin"))
    for entry in source.iterdir():
        if entry.name not in {"site.py", "site-packages"}:
            (library / entry.name).symlink_to(entry)
    # As Red Hat's does with /usr/local.
    line = "    for sitedir in getsitepackages(prefixes):"
    text = (source / "site.py").read_text(encoding="utf-8")
    assert line in text
    first = f"    if ENABLE_USER_SITE:\n        PREFIXES.insert(0, {str(local)!r})\n{line}"
    (library / "site.py").write_text(text.replace(line, first), encoding="utf-8")
    (installed / "shop.py").write_text("", encoding="utf-8")
    answer = probed(python, ProbeRequest(modules=("shop",), import_root=""), tmp_path)
    assert [(row.name, row.ok) for row in answer.imports] == [("shop", True)]
    assert answer.interpreter.path[-2:] == (str(installed), str(library / "site-packages"))
    start = answer.start
    assert start is not None
    assert (start.added, start.removed, start.isolated) == ((), (), start.application)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="there is no /proc")
def test_what_is_imported_cannot_read_or_write_the_probe(tmp_path: Path) -> None:
    if sysconfig.get_config_var("HAVE_LIBFFI") == 0:
        pytest.skip("NOT PROTECTED: this Python has no ctypes")
    text = """\
        import os
        if os.geteuid() == 0:
            raise SystemExit("root may do this")
        for path in ("mem", "fd/0", "fd/1", "environ"):
            try:
                open(f"/proc/{os.getppid()}/{path}", "rb").close()
            except OSError:
                continue
            raise ValueError(path)
        """
    python = made(tmp_path, {"shop.py": text})
    if os.geteuid() != 0:
        answer = probed(python, ProbeRequest(modules=("shop",), import_root=""), tmp_path)
        assert (only(answer).ok, only(answer).error) == (True, "")


def test_a_library_of_the_loaders_is_left_to_the_application(tmp_path: Path) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("NO LIBRARY WAS PRELOADED: this host has no C compiler")
    (tmp_path / "quiet.c").write_text("int getpid(void) { return 7; }\n", encoding="utf-8")
    process.run([compiler, "-shared", "-fPIC", "-o", "quiet.so", "quiet.c"], folder=tmp_path, timeout=60)
    python = made(tmp_path, {"shop.py": "import os\nif os.getpid() != 7: raise ValueError\n"})
    request = ProbeRequest(modules=("shop",), import_root="", environment={"LD_PRELOAD": str(tmp_path / "quiet.so")})
    answer = probed(python, request, tmp_path)
    assert not only(answer).ok
    assert answer.start is not None
    assert [(hook.kind, hook.where) for hook in answer.start.hooks] == [("preload", "LD_PRELOAD")]
    assert [row.application for row in answer.start.differences] == [""]
