"""The application's own modules, read from an image's files, and what of their wishes the image does not meet."""

from __future__ import annotations

import posixpath
import textwrap
from typing import TYPE_CHECKING

import pytest
from tests.unit.test_bounds import soon
from tests.unit.test_installed import BASE, LIB, SITE, VENV, laid_out, package
from tests.unit.trees import FOLDER, access

from seatrial.observe.python.layout import off_path_of
from seatrial.observe.python.own_code import MOST_MODULES, Start, read_own_code

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seatrial.facts import Distribution, OwnCode
    from seatrial.facts.probe import OffPath

ZONE = "/usr/share/zoneinfo/Europe/Rome"
TREE: dict[str, str | None] = {
    **BASE,
    **VENV,
    f"{LIB}/json/__init__.py": "",
    f"{LIB}/encodings/utf_8.py": "",
    f"{SITE}/click/__init__.py": "",
    f"{SITE}/click/core.py": "",
    f"{SITE}/six.py": "",
    f"{SITE}/fast.cpython-313-x86_64-linux-gnu.so": "",
    f"{SITE}/google/cloud/storage/__init__.py": "",
    f"{SITE}/lazy/__init__.py": "def __getattr__(name): ...",
    f"{SITE}/distutils-precedence.pth": "import os; x",
    ZONE: "TZif",
    "/app/src/shop/__init__.py": "",
}


def looked(
    files: Mapping[str, str],
    start: Start | None = None,
    more: Mapping[str, str | None] | None = None,
    distributions: tuple[Distribution, ...] = (),
) -> OwnCode:
    """Read the code of a tree whose own files lie in /app/src."""
    own = {posixpath.join("/app/src", name): textwrap.dedent(text) for name, text in files.items()}
    tree = {**TREE, **(more or {}), **own}
    seen = access(tree)

    def load(path: str) -> dict[str, str]:
        return {
            file: text
            for file, text in tree.items()
            if text is not None and file.endswith(".py") and (file == path or file.startswith(f"{path}/"))
        }

    begun = start or Start(modules=("shop.api:app",), root="/app/src", path="/app/.venv/bin:/usr/bin", directory="/app")
    return read_own_code(begun, laid_out(seen), seen, load, distributions)


def missing(files: Mapping[str, str], **more: str | None) -> list[str]:
    found = looked(files, more={posixpath.join("/", *name.split("__")): text for name, text in more.items()})
    return [
        f"{row.missing} {posixpath.basename(row.file)}:{row.line} "
        f"{'certain' if row.certain else 'maybe' if row.reached else 'unreached'}"
        for row in found.missing
    ]


def test_an_import_inside_of_a_function_is_found() -> None:
    found = looked({"shop/api.py": "def export():\n    from openpyxl import Workbook\n"})
    (row,) = found.missing
    assert (row.asked, row.missing, row.file, row.line) == ("openpyxl", "openpyxl", "/app/src/shop/api.py", 2)
    assert (row.nested, row.certain, row.lies_in) == (True, True, "")
    assert (found.packages, found.modules, found.reached, found.asked) == (("shop",), 2, 2, 1)


@pytest.mark.parametrize(
    "line",
    [
        "import os, sys, json, math, _thread, winreg",
        "import click.core, six.moves.urllib, fast, fast.inner",
        "import google.cloud.storage",
        "import lazy.something",
        "import shop, shop.api",
        "import os.path",
        "import xml.etree.cElementTree",
    ],
)
def test_what_is_there_is_not_missing(line: str) -> None:
    assert missing({"shop/api.py": line}) == []


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("import gone", "gone"),
        ("import click.gone", "click.gone"),
        ("import google.cloud.gone", "google.cloud.gone"),
        ("from shop.gone import x", "shop.gone"),
        ("from .gone import x", "shop.gone"),
        ("import telnetlib", "telnetlib"),
        ("import distutils", "distutils"),
    ],
)
def test_what_is_not_there_is_named_by_the_part_that_is_missing(line: str, what: str) -> None:
    found = missing({"shop/api.py": line})
    # A namespace may have parts that no file shows.
    assert found == ([] if what.startswith("google") else [f"{what} api.py:1 certain"])


def test_setuptools_brings_distutils_along() -> None:
    found = looked({"shop/api.py": "import distutils"}, more={f"{SITE}/setuptools/__init__.py": ""})
    assert found.missing == ()


def test_what_a_start_reaches_is_certain_and_the_rest_is_not() -> None:
    files = {
        "shop/api.py": """\
            import helper
            def f():
                from shop import export
                if settings.cloud:
                    from shop import cloud
            try:
                from shop import guarded
            except ImportError:
                guarded = None
            from shop import bottle, _vendor
            APPS = ["shop.plugin.Config"]
            """,
        "shop/bottle.py": "__author__ = 'Somebody'\n__version__ = '0.13'\ndef f():\n    import flup\n",
        "shop/_vendor/__init__.py": "import gone8",
        "shop/export.py": "import gone1",
        "shop/cloud.py": "import gone2",
        "shop/guarded.py": "import gone3",
        "shop/plugin.py": "import gone4",
        "shop/command.py": "import gone5",
        "shop/tests/test_it.py": "import pytest",
        "helper.py": "import gone6",
        "unrelated.py": "import gone7",
    }
    assert sorted(missing(files)) == [
        "gone1 export.py:1 certain",
        "gone2 cloud.py:1 maybe",
        "gone3 guarded.py:1 unreached",
        "gone4 plugin.py:1 maybe",
        "gone5 command.py:1 unreached",
        "gone6 helper.py:1 certain",
    ]


def test_what_some_module_does_without_is_not_certain() -> None:
    files = {
        "shop/api.py": "from shop import other\ndef f():\n    import redis\n",
        "shop/other.py": "try:\n    import redis\nexcept ImportError:\n    redis = None\n",
    }
    assert missing(files) == ["redis api.py:3 maybe"]


def test_a_module_that_lies_off_the_path_is_told_with_its_folder() -> None:
    more = {"/opt/lib/gone/__init__.py": "", "/opt/lib/pkg/__init__.py": "", "/opt/lib/pkg/gone.py": ""}
    (row,) = looked({"shop/api.py": "import gone"}, more=more).missing
    assert row.lies_in == "/opt/lib"
    # The code itself may put it on the path.
    changes = "import sys\nsys.path.insert(0, LIB)\nimport gone"
    assert looked({"shop/api.py": changes}, more=more).missing == ()


def test_start_hooks_of_its_own_may_bring_modules() -> None:
    hook: dict[str, str | None] = {f"{SITE}/own.pth": "import own_finder"}
    (row,) = looked({"shop/api.py": "import gone"}, more=hook).missing
    assert not row.certain


def test_a_script_is_the_main_module_and_not_the_package_of_its_name() -> None:
    start = Start(modules=(), script="/app/src/shop.py", root="/app/src")
    found = looked({"shop.py": "from shop import app\nif __name__ == '__main__':\n    import gone\n"}, start)
    assert [(row.missing, row.certain) for row in found.missing] == [("gone", True)]
    assert found.packages == ("__main__", "shop")


def test_what_was_installed_from_an_index_is_not_its_own() -> None:
    start = Start(modules=("click.core:main",), root="/app")
    assert looked({}, start).modules == 0
    named = Start(modules=("click.core:main",), root="/app", project="Click")
    assert looked({}, named).modules == 2


def test_packages_in_any_folder_with_metadata_are_not_its_own() -> None:
    more = {"/app/src/dep/__init__.py": "import gone", "/app/src/dep-1.dist-info/METADATA": "Name: dep\nVersion: 1\n"}
    assert looked({"shop/api.py": "import dep"}, more=more).modules == 0


def test_files_that_are_no_code_are_listed_with_their_package() -> None:
    found = looked({"shop/api.py": "open('templates/home.html')", "shop/templates/home.html": "x"})
    (row,) = found.packaged
    assert (row.name, row.folder, row.files, row.installed) == (
        "shop",
        "/app/src/shop",
        ("templates/home.html",),
        False,
    )
    assert "templates/home.html" in found.texts


@pytest.mark.parametrize(
    ("line", "lacks"),
    [
        ("import zoneinfo; zoneinfo.ZoneInfo('Europe/Rome')", False),
        ("import zoneinfo; zoneinfo.ZoneInfo('US/Eastern')", True),
        ("import locale; locale.setlocale(0, 'de_DE.UTF-8')", True),
        ("import locale; locale.setlocale(0, 'C.UTF-8')", False),
        ("import locale; locale.setlocale(0, '')", False),
        ("open('x', encoding='utf-8')", False),
        ("open('x', encoding='big5')", True),
        ("open('x', encoding='of-its-own')", False),
        ("import subprocess; subprocess.run(['python', '-V'])", False),
        ("import subprocess; subprocess.run(['ffmpeg'])", True),
        ("import subprocess; subprocess.run(['/usr/bin/ffmpeg'])", True),
        ("import subprocess; subprocess.run(['./ffmpeg'])", False),
        ("import subprocess; subprocess.run(['/proc/self/exe'])", False),
        ("import os; os.system('cd /x')", False),
        ("import subprocess, shutil\nif shutil.which('ffmpeg'):\n    subprocess.run(['ffmpeg'])", False),
    ],
)
def test_names_are_held_against_the_image(line: str, lacks: bool) -> None:
    found = looked({"shop/api.py": line}).named
    assert [row.certain for row in found] == ([True] if lacks else [])


def test_zones_and_locales_of_packages_count() -> None:
    more: dict[str, str | None] = {
        f"{SITE}/tzdata/__init__.py": "",
        f"{SITE}/tzdata/zoneinfo/US/Eastern": "TZif",
        "/usr/lib/locale/de_DE.utf8": FOLDER,
    }
    code = "import zoneinfo, locale\nzoneinfo.ZoneInfo('US/Eastern')\nlocale.setlocale(0, 'de_DE.UTF-8')\n"
    assert looked({"shop/api.py": code}, more=more).named == ()
    archive: dict[str, str | None] = {"/usr/lib/locale/locale-archive": "x"}
    assert [row.kind for row in looked({"shop/api.py": code}, more=archive).named] == ["zone"]


def test_the_home_folder_is_judged_where_code_asks_for_it() -> None:
    start = Start(modules=("shop.api",), root="/app/src", home="/nowhere")
    found = looked({"shop/api.py": "from pathlib import Path\nX = Path.home()\n"}, start)
    assert found.home == "/app/src/shop/api.py:2"
    assert found.home_folder is not None
    assert (found.home_folder.exists, found.home_folder.writable) == (False, False)


# --- folders off the path -------------------------------------------------------------------------------------------

BIN = "/usr/local/bin"
USER_SITE = "/home/app/.local/lib/python3.13/site-packages"


def off_path(
    *folders: str, python: str = "/usr/local/bin/python3", home: str = "/app", **variables: str
) -> list[OffPath]:
    tree = {**BASE, f"{LIB}/site-packages": FOLDER}
    for folder in folders:
        tree |= package(folder, "uvicorn")
        if folder == SITE:
            tree |= VENV
    seen = access(tree)
    layout = laid_out(seen, python, **{"HOME": home, **variables})
    return list(off_path_of(layout, variables, home, seen))


def test_packages_of_another_home_are_told_with_the_reason() -> None:
    (row,) = off_path(USER_SITE)
    assert (row.folder, row.distributions) == (USER_SITE, ("uvicorn",))
    assert row.why == "installed with --user, and Python looks for such packages in /app/.local, as HOME is /app"
    assert "`ENV PYTHONUSERBASE=/home/app/.local`" in row.fix
    assert off_path(USER_SITE, home="/home/app") == []
    assert off_path(USER_SITE, PYTHONUSERBASE="/home/app/.local") == []


@pytest.mark.parametrize(
    ("folder", "variables", "why"),
    [
        (USER_SITE, {"PYTHONNOUSERSITE": "1", "home": "/home/app"}, "PYTHONNOUSERSITE is set"),
        (USER_SITE, {"PYTHONUSERBASE": "/x"}, "PYTHONUSERBASE says so"),
        (
            "/usr/local/lib/python3.12/site-packages",
            {},
            "it is for Python 3.12, and the application runs on Python 3.13",
        ),
        ("/deps", {}, "sys.path does not name it"),
        ("/opt/lib/python3.13/site-packages", {}, "it is not below /usr/local"),
        (SITE, {}, "it belongs to the environment /app/.venv, and the command runs on /usr/local/bin/python3"),
    ],
)
def test_each_reason_has_its_fix(folder: str, variables: dict[str, str], why: str) -> None:
    (row,) = off_path(folder, **variables)
    assert why in row.why
    assert row.fix


def test_a_virtual_environment_leaves_users_folders_out() -> None:
    found = off_path(SITE, USER_SITE, python="/app/.venv/bin/python", home="/home/app")
    assert [row.why for row in found] == [
        "installed with --user, and the environment /app/.venv leaves such folders out"
    ]


def test_many_modules_are_read_in_linear_time_and_too_many_are_told() -> None:
    many = {f"shop/m{number}.py": f"import shop.m{number + 1}\n" for number in range(8000)}
    files = {"shop/api.py": "import shop.m0\n", "shop/m8000.py": "", **many}
    with soon(8.0):
        seen = looked(files)
    assert (seen.modules, seen.reached, seen.missing) == (8003, 8003, ())
    more = {f"shop/n{number}.py": "" for number in range(MOST_MODULES)}
    cut = looked({**files, **more})
    assert cut.modules == MOST_MODULES
    assert f"or {MOST_MODULES} modules" in cut.unread[0]
