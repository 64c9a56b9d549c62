"""What a module asks for, by its syntax tree: what is guarded, optional or for another platform does not count."""

from __future__ import annotations

import textwrap

import pytest

from seatrial.observe.python.syntax import Module, read_module

BOMBS = ("def", "\0", "(" * 10_000, "x = a" + ".b" * 50_000, "if x:\n pass\n" + "elif y:\n pass\n" * 20_000)


def read(source: str, name: str = "shop.api", *, package: bool = False, main: bool = False) -> Module:
    found = read_module(textwrap.dedent(source), name, package=package, version=(3, 12), main=main)
    assert found is not None
    return found


def asked(source: str, *, package: bool = False, main: bool = False) -> list[str]:
    """Return what is asked for, each with `?` where that depends on something, and `()` where a function does it."""
    return [
        f"{row.name}{'()' if row.nested else ''}{'?' if row.conditional else ''}"
        for row in read(source, package=package, main=main).asked
    ]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import a, b.c as d", ["a", "b.c"]),
        ("from a.b import c", ["a.b"]),
        ("from . import x", ["shop"]),
        ("from .x import y", ["shop.x"]),
        ("from ..x import y", []),
        ("from ...x import y", []),
        ("from __future__ import annotations", []),
        ("def f():\n import a", ["a()"]),
        ("class C:\n def f(self):\n  import a", ["a()"]),
        ("async def f():\n with x:\n  import a", ["a()"]),
        ("def f():\n if x:\n  import a\n else:\n  import b", ["a()?", "b()?"]),
        ("for x in y:\n import a", ["a?"]),
        ("match x:\n case 1:\n  import a", ["a?"]),
        ("def f():\n if x:\n  return\n import a", ["a()?"]),
        ("def f():\n if x:\n  y()\n import a", ["a()"]),
        # Guards.
        ("try:\n import a\nexcept ImportError:\n import b", []),
        ("try:\n import a\nexcept (ValueError, ModuleNotFoundError):\n a = None", []),
        ("try:\n import a\nexcept Exception:\n a = None", []),
        ("try:\n import a\nexcept:\n a = None", []),
        ("try:\n import a\nexcept OPTIONAL:\n a = None", []),
        ("try:\n import a\nexcept ImportError:\n a = None\nelse:\n import b\nfinally:\n import c", ["c"]),
        ("try:\n import a\nexcept ValueError:\n import b", ["a", "b?"]),
        ("with contextlib.suppress(ImportError):\n import a", []),
        ("with suppress(ValueError):\n import a", ["a"]),
        ("if TYPE_CHECKING:\n import a\nelse:\n import b", ["b"]),
        ("if typing.TYPE_CHECKING:\n import a", []),
        ("if not TYPE_CHECKING:\n import a", ["a"]),
        ("if importlib.util.find_spec('a'):\n import a", []),
        ("if HAS_A:\n import a", []),
        ("def f():\n if not a_available():\n  raise ValueError\n import a", []),
        ("if path.exists('local.py'):\n import local", []),
        # Another platform or version.
        ("if sys.version_info >= (3, 13):\n import a\nelse:\n import b", ["b"]),
        ("if sys.version_info < (3, 11):\n import tomli\nelse:\n import tomllib", ["tomllib"]),
        ("if sys.version_info[:2] == (3, 12):\n import a", ["a"]),
        ("if sys.version_info[:2] > (3, 12):\n import a\nelse:\n import b", ["b"]),
        ("if sys.version_info > (3, 12):\n import a\nelse:\n import b", ["a"]),
        ("if sys.version_info[:2] <= (3, 12):\n import a", ["a"]),
        ("if sys.platform == 'win32':\n import winreg\nelif x:\n import b\nelse:\n import c", ["b?", "c?"]),
        ("if os.name != 'nt' and sys.version_info > (3, 8):\n import a", ["a"]),
        ("if sys.platform.startswith('win') or x:\n import a", ["a?"]),
        ("if platform.system() == 'Darwin':\n import a", []),
        ("if __name__ == '__main__':\n import a", []),
        ("def f():\n if sys.platform == 'linux':\n  return\n import a", []),
    ],
)
def test_imports(source: str, found: list[str]) -> None:
    assert asked(source) == found


def test_a_script_runs_what_stands_under_main() -> None:
    assert asked("if __name__ == '__main__':\n import a", main=True) == ["a"]


def test_a_package_is_the_place_that_its_relative_imports_begin_at() -> None:
    assert asked("from .x import y", package=True) == ["shop.api.x"]


def test_what_some_module_does_without_is_known() -> None:
    assert read("try:\n import a.b\nexcept ImportError: pass").optional == {"a"}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from zoneinfo import ZoneInfo\nZ = ZoneInfo('Europe/Kyiv')", ["zone Europe/Kyiv"]),
        ("import zoneinfo as z\nz.ZoneInfo(key='UTC')", ["zone UTC"]),
        ("import zoneinfo\ntry:\n zoneinfo.ZoneInfo('X')\nexcept zoneinfo.ZoneInfoNotFoundError: pass", []),
        ("def ZoneInfo(x): ...\nZoneInfo('X')", []),
        ("import locale\nlocale.setlocale(locale.LC_ALL, 'de_DE.UTF-8')", ["locale de_DE.UTF-8"]),
        ("import locale\nlocale.setlocale(locale.LC_ALL, ('de_DE', 'UTF-8'))", ["locale de_DE.UTF-8"]),
        ("import locale\ntry:\n locale.setlocale(0, 'de_DE')\nexcept locale.Error: pass", []),
        ("open('x', encoding='cp1252')", ["codec cp1252"]),
        ("p.read_text(encoding='big5')", ["codec big5"]),
        ("model.encode('some words', encoding='gpt')", []),
        ("import subprocess\nsubprocess.run(['ffmpeg', '-i', x])", ["program ffmpeg"]),
        ("from subprocess import check_output as c\nc(('git', 'x'))", ["program git"]),
        ("import subprocess\nsubprocess.run('A=1 convert x', shell=True)", ["program convert"]),
        ("import os\nos.system('lp ' + name)", []),
        ("import os\nos.system('lp x')", ["program lp"]),
        ("import asyncio\nasync def f():\n await asyncio.create_subprocess_exec('wk', x)", ["program wk"]),
        ("import subprocess\ntry:\n subprocess.run(['x'])\nexcept FileNotFoundError: pass", []),
        ("import subprocess\nsubprocess.run([program, 'x'])", []),
        ("f = lambda: ZoneInfo('X')", []),
    ],
)
def test_names_of_things_outside_of_python(source: str, found: list[str]) -> None:
    assert [f"{row.kind} {row.name}" for row in read(source).asked if row.kind != "import"] == found


def test_a_program_that_is_looked_for_is_known() -> None:
    found = read("import shutil\nif shutil.which('ffmpeg'): ...")
    assert found.looked_for == {"ffmpeg"}


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("from pathlib import Path\nX = Path.home()", 2),
        ("import os\n\nos.path.expanduser('~/x')", 3),
        ("import os\nos.environ['HOME']", 2),
        ("import os\nos.path.expanduser(x)", 0),
    ],
)
def test_the_line_that_asks_for_the_home_folder(source: str, line: int) -> None:
    assert read(source).wants_home == line


@pytest.mark.parametrize(
    ("source", "changes"),
    [
        ("import sys\nsys.path.insert(0, 'lib')", True),
        ("import sys\nsys.path += ['lib']", True),
        ("import sys\nsys.path[:0] = ['lib']", True),
        ("import sys\nprint(sys.path)", False),
    ],
)
def test_a_changed_path_is_known(source: str, changes: bool) -> None:
    assert read(source).changes_path is changes


@pytest.mark.parametrize("source", BOMBS, ids=range(len(BOMBS)))
def test_what_cannot_be_parsed_is_nothing(source: str) -> None:
    assert read_module(source, "shop", package=False, version=(3, 12)) is None
