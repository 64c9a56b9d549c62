"""What is installed, by an image's files alone: it has to be what a sound interpreter says, on every Python."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.unit.factories import probe
from tests.unit.test_probe_script import HERE, INTERPRETERS, distribution, environment, probed
from tests.unit.trees import FOLDER, PYTHON, USER, access, index, index_of_host

from seatrial import process
from seatrial.facts import Account, Accounts, Agreement, Code, Difference, Password, PathAccess, Unavailable, User
from seatrial.observe.kept import LEAST_EXPORTED
from seatrial.observe.python import agreement, installed
from seatrial.observe.python.agreement import settle
from seatrial.observe.python.changeable import Changes
from seatrial.observe.python.finder import Finder
from seatrial.observe.python.layout import Layout, layout_of, runs_code
from seatrial.observe.running.probe import ProbeRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seatrial.facts import Probe
    from seatrial.observe.python.layout import Access

ELF = PYTHON
LIB = "/usr/local/lib/python3.13"
BASE: dict[str, str | None] = {
    "/usr/local/bin/python3.13": ELF,
    "/usr/local/bin/python3": "-> python3.13",
    f"{LIB}/os.py": "",
    f"{LIB}/lib-dynload": FOLDER,
}
SITE = "/app/.venv/lib/python3.13/site-packages"
VENV: dict[str, str | None] = {
    "/app/.venv/bin/python": "-> /usr/local/bin/python3.13",
    "/app/.venv/pyvenv.cfg": "home = /usr/local/bin\nversion = 3.13.5\ninclude-system-site-packages = false\n",
    "/app/.venv/lib64": "-> lib",
}
METADATA = "Metadata-Version: 2.1\nName: {}\nVersion: {}\n\nThe text.\nName: another\n"


def package(folder: str, name: str, version: str = "1.0") -> dict[str, str | None]:
    return {f"{folder}/{name}-{version}.dist-info/METADATA": METADATA.format(name, version)}


def laid_out(seen: Access, python: str = "/app/.venv/bin/python", **variables: str) -> Layout:
    found = layout_of(python, variables, "/app", seen)
    assert isinstance(found, Layout), found
    return found


def finder(folders: list[str], seen: Access) -> Finder:
    layout = Layout(executable="", real="", version="3.13", prefix="", base_prefix="", library="", path=tuple(folders))
    return Finder(layout, "", seen)


def names(seen: Access, python: str = "/app/.venv/bin/python", **variables: str) -> dict[tuple[str, bool], str]:
    found = installed.packages_of(laid_out(seen, python, **variables), seen)
    return {(row.name, row.base): f"{row.version} in {row.location}" for row in found.distributions}


# --- where packages are looked for --------------------------------------------------------------------------------


def test_a_virtual_environment_has_its_own_folders_and_its_bases_beside() -> None:
    seen = access({**BASE, **VENV, SITE: FOLDER, f"{LIB}/site-packages": FOLDER})
    found = laid_out(seen)
    assert (found.prefix, found.base_prefix, found.version) == ("/app/.venv", "/usr/local", "3.13")
    assert (found.path, found.base) == ((LIB, f"{LIB}/lib-dynload", SITE), (f"{LIB}/site-packages",))
    assert found.settings["version"] == "3.13.5"
    assert (found.executable, found.real) == ("/app/.venv/bin/python", "/usr/local/bin/python3.13")


def test_an_environment_with_the_systems_packages_has_all_folders() -> None:
    system = {"/app/.venv/pyvenv.cfg": "home = /usr/local/bin\ninclude-system-site-packages = TRUE\n"}
    user = "/home/app/.local/lib/python3.13/site-packages"
    seen = access({**BASE, **VENV, **system, SITE: FOLDER, f"{LIB}/site-packages": FOLDER, user: FOLDER})
    found = laid_out(seen)
    assert (found.path[2:], found.base) == ((SITE, user, f"{LIB}/site-packages"), ())
    assert found.scripts == ("/app/.venv/bin", "/home/app/.local/bin")
    assert laid_out(seen, PYTHONNOUSERSITE="1").path[2:] == (SITE, f"{LIB}/site-packages")
    assert laid_out(seen, HOME="/elsewhere").path[2:] == (SITE, f"{LIB}/site-packages")
    assert laid_out(seen, HOME="/x", PYTHONUSERBASE="/home/app/.local").path[3] == user


def test_debians_python_has_its_dist_packages() -> None:
    folders = ["/usr/local/lib/python3.11/dist-packages", "/usr/lib/python3/dist-packages"]
    tree: dict[str, str | None] = {
        "/usr/bin/python3.11": ELF,
        "/usr/bin/python3": "-> python3.11",
        "/usr/lib/python3.11/os.py": "",
    }
    tree |= dict.fromkeys((*folders, "/usr/lib/python3.11/site-packages"), FOLDER)
    seen = access({**tree, "/bin": "-> usr/bin"})
    assert laid_out(seen, "/bin/python3").path == ("/usr/lib/python3.11", *folders)
    assert laid_out(seen, "/bin/python3").scripts == ("/bin", "/usr/bin", "/usr/local/bin", "/home/app/.local/bin")
    # Another interpreter of that image does not look there.
    other = access({**tree, **BASE})
    assert laid_out(other, "/usr/local/bin/python3").path == (LIB, f"{LIB}/lib-dynload")


def test_red_hats_python_has_its_library_in_lib64() -> None:
    tree: dict[str, str | None] = {
        "/usr/bin/python3.12": ELF,
        "/usr/lib64/python3.12/os.py": "",
        "/usr/lib64/python3.12/site-packages": FOLDER,
        "/usr/lib/python3.12/site-packages": FOLDER,
    }
    found = laid_out(access(tree), "/usr/bin/python3.12")
    sites = ("/usr/lib64/python3.12/site-packages", "/usr/lib/python3.12/site-packages")
    assert found.path == ("/usr/lib64/python3.12", *sites)


def test_red_hats_python_has_what_pip_installs_in_usr_local() -> None:
    local = ("/usr/local/lib64/python3.12/site-packages", "/usr/local/lib/python3.12/site-packages")
    own = ("/usr/lib64/python3.12/site-packages", "/usr/lib/python3.12/site-packages")
    tree: dict[str, str | None] = {
        "/usr/bin/python3.12": ELF,
        "/usr/lib64/python3.12/os.py": "",
        "/usr/lib64/python3.12/site.py": '        PREFIXES.insert(0, "/usr/local")\n',
        **dict.fromkeys((*local, *own), FOLDER),
    }
    seen = access(tree)
    assert laid_out(seen, "/usr/bin/python3.12").path[1:] == (*local, *own)
    assert laid_out(seen, "/usr/bin/python3.12", PYTHONNOUSERSITE="1").path[1:] == own
    plain = access({**tree, "/usr/lib64/python3.12/site.py": "PREFIXES = []\n"})
    assert laid_out(plain, "/usr/bin/python3.12").path[1:] == own
    venv = {"/v/bin/python": "-> /usr/bin/python3.12", "/v/lib64/python3.12/site-packages": FOLDER}
    alone = access({**tree, **venv, "/v/pyvenv.cfg": "home = /usr/bin\n"})
    assert laid_out(alone, "/v/bin/python").path[1:] == ("/v/lib64/python3.12/site-packages",)
    assert laid_out(alone, "/v/bin/python").base == own
    both = access({**tree, **venv, "/v/pyvenv.cfg": "home = /usr/bin\ninclude-system-site-packages = true\n"})
    assert laid_out(both, "/v/bin/python").path[2:] == (*local, *own)


@pytest.mark.parametrize("lib", ["lib", "lib64"])
@pytest.mark.parametrize("top", ["/usr/local", "/opt/python/3.13"])
def test_a_python_elsewhere_has_its_folders_there(top: str, lib: str) -> None:
    site = f"{top}/{lib}/python3.13/site-packages"
    tree: dict[str, str | None] = {
        f"{top}/bin/python3.13": ELF,
        f"{top}/{lib}/python3.13/os.py": "",
        **package(site, "pip"),
        "/v/bin/python": f"-> {top}/bin/python3.13",
        "/v/pyvenv.cfg": f"home = {top}/bin\n",
        "/v/lib64/python3.13/site-packages": FOLDER,
        "/v/lib/python3.13/site-packages/src.pth": "/srv/shop\n../../../../srv/more\n",
        **package("/srv/shop", "shop"),
        **package("/srv/more", "more"),
    }
    seen = access(tree)
    assert laid_out(seen, f"{top}/bin/python3.13").path[1:] == (site,)
    found = laid_out(seen, "/v/bin/python")
    assert (found.base_prefix, found.base) == (top, (site,))
    assert set(found.path[1:]) == {f"/v/{name}/python3.13/site-packages" for name in ("lib", "lib64")} | {
        "/srv/shop",
        "/srv/more",
    }
    # A target of a .pth file may lie anywhere.
    assert names(seen, "/v/bin/python") == {
        ("shop", False): "1.0 in /srv/shop",
        ("more", False): "1.0 in /srv/more",
        ("pip", True): f"1.0 in {site}",
    }


def test_a_library_under_two_names_is_one() -> None:
    tree = {**BASE, "/usr/local/lib/python3.1": "-> python3.13", "/usr/local/bin/python": "-> python3.13"}
    assert laid_out(access(tree), "/usr/local/bin/python").version == "3.13"


@pytest.mark.parametrize("text", ["# x\rimport evil\n", "\ufeffimport evil\n", "x\x0cimport evil\n"])
def test_code_in_a_path_file_is_seen_however_its_lines_end(text: str) -> None:
    assert runs_code([SITE], access({**BASE, **VENV, f"{SITE}/a.pth": text}).files) == (f"{SITE}/a.pth",)


@pytest.mark.parametrize("place", ["src/app", "", "//app/pkg", "../x"])
def test_a_place_that_is_none_ends_the_search(place: str) -> None:
    assert Changes(access({**BASE, **VENV})).of_package("pkg", (place,)).origin.startswith("/")


def test_path_files_are_read_and_their_code_is_not_run() -> None:
    lines = "# a comment\n\n../../../../lib\nimport os; os.abort()\nimport\tsys\n/opt/more  \n/gone\n/opt/more\n"
    tree = {
        **BASE,
        **VENV,
        f"{SITE}/a.pth": lines,
        f"{SITE}/.hidden.pth": "/opt/hidden\n",
        f"{SITE}/b.pth": "/opt/zip.egg\n",
    }
    tree |= {"/app/lib": FOLDER, "/opt/more": FOLDER, "/opt/hidden": FOLDER}
    assert laid_out(access(tree)).path[2:] == (SITE, "/app/lib", "/opt/more")
    assert laid_out(access(tree)).archives == ()
    assert laid_out(access({**tree, "/opt/zip.egg": "PK", "/usr/local/lib/python313.zip": "PK"})).archives == (
        "/usr/local/lib/python313.zip",
        "/opt/zip.egg",
    )
    assert runs_code([SITE], access(tree).files) == (f"{SITE}/a.pth",)


def test_pythonpath_comes_first_and_may_be_relative() -> None:
    seen = access({**BASE, **VENV, SITE: FOLDER, "/app/src": FOLDER, "/srv/a.pth": "/opt\n", "/opt": FOLDER})
    found = laid_out(seen, PYTHONPATH="src:/srv::/gone:/srv/")
    assert found.path == ("/app/src", "/srv", "/app", LIB, f"{LIB}/lib-dynload", SITE)


def test_what_user_may_not_enter_is_on_no_path() -> None:
    tree = {**BASE, **VENV, **package(SITE, "a"), "/opt/closed/site": FOLDER, f"{SITE}/x.pth": "/opt/closed/site\n"}
    assert laid_out(access(tree, {"/opt/closed": (0o700, 0, 0)})).path[2:] == (SITE,)
    assert names(access(tree, {SITE: (0o711, 0, 0)})) == {}
    # A root without capabilities is an account like any other.
    root = Account(name="root", uid=0, gids=(0,), home="/root")
    assert laid_out(access(tree, {"/opt/closed": (0o700, 7, 7)}, root)).path[2:] == (SITE,)
    assert laid_out(access(tree, {"/opt/closed": (0o700, 7, 7)}, Account())).path[2:] == (SITE, "/opt/closed/site")


@pytest.mark.parametrize(
    ("tree", "says"),
    [
        ({}, "does not lead to a file"),
        ({"/app/.venv/bin/python": FOLDER}, "does not lead to a file"),
        ({"/app/.venv/bin/python": "-> python"}, "does not lead to a file"),
        ({"/app/.venv/bin/python": "#!/bin/sh\nexec real-python\n"}, "is a script, and not an interpreter"),
        ({"/app/.venv/bin/python": ELF}, "no library of Python's lies beside"),
        ({**BASE, "/app/.venv/bin/python": "-> /opt/python3.12", "/opt/python3.12": ELF}, "no library of Python's"),
        # Which of two is it?
        (
            {
                "/app/.venv/bin/python": "-> /o/bin/py",
                "/o/bin/py": ELF,
                "/o/lib/python3.9/os.py": "",
                "/o/lib/python3.8/os.py": "",
            },
            "no library of Python's",
        ),
    ],
)
def test_what_the_files_do_not_tell_is_said(tree: dict[str, str | None], says: str) -> None:
    found = layout_of("/app/.venv/bin/python", {}, "/app", access(tree))
    assert isinstance(found, str)
    assert says in found


# --- distributions, programs, places ------------------------------------------------------------------------------


def test_distributions_are_read_with_what_they_need_and_declare() -> None:
    good, own = f"{SITE}/good-1.2.dist-info", f"{SITE}/own-1.0.dist-info"
    editable = '{"url": "file:///src/linked", "dir_info": {"editable": true}}'
    tree = {
        **BASE,
        **VENV,
        f"{good}/METADATA": "Name: Good.Thing\r\nVersion: 1.2\r\nRequires-Dist: click>=8\r\n\r\nName: x\r\n",
        f"{good}/entry_points.txt": "[gui_scripts]\nno = a:b\n[console_scripts]\ngood = good:main\n",
        **package(SITE, "own"),
        f"{own}/RECORD": "own/__init__.py,,\nown/x.py,,\nother/__init__.py,sha256=x,3\n",
        f"{own}/direct_url.json": '{"url": "file:///src", "dir_info": {}}',
        **package(SITE, "linked"),
        f"{SITE}/linked-1.0.dist-info/direct_url.json": editable,
        **package(SITE, "odd"),
        f"{SITE}/odd-1.0.dist-info/direct_url.json": "[1",
        **package(SITE, "odder"),
        f"{SITE}/odder-1.0.dist-info/direct_url.json": "[" * 60_000,
        f"{SITE}/old.egg-info": "Name: old\nVersion: 3\n",
        f"{SITE}/older.egg-info/PKG-INFO": "Name: older\nVersion: 4\n",
        f"{SITE}/__editable__.linked.pth": "/src/linked\n",
        f"{SITE}/egg.egg-link": "/src\n",
        **package(f"{LIB}/site-packages", "pip"),
    }
    seen = access(tree)
    found = {row.name: row for row in installed.packages_of(laid_out(seen), seen).distributions}
    assert found["Good.Thing"].requires == ("click>=8",)
    assert found["Good.Thing"].scripts == ("good",)
    assert (found["own"].origin, found["own"].packages, found["own"].editable) == ("file:///src", ("other", "own"), "")
    assert (found["linked"].editable, found["old"].version, found["older"].version) == ("file:///src/linked", "3", "4")
    assert (found["pip"].base, found["odd"].origin, found["odder"].editable) == (True, "", "")
    assert installed.linked_folders(laid_out(seen), seen) == (f"{SITE}/__editable__.linked.pth", f"{SITE}/egg.egg-link")


def test_metadata_that_cannot_be_read_is_broken() -> None:
    tree = {
        **BASE,
        **VENV,
        f"{SITE}/gone-1.dist-info": FOLDER,
        f"{SITE}/lost-1.dist-info/METADATA": "-> /cache/METADATA",
        f"{SITE}/empty-1.dist-info/METADATA": "",
        **package(SITE, "closed"),
    }
    seen = access(tree, {f"{SITE}/closed-1.0.dist-info/METADATA": (0o600, 0, 0)})
    found = installed.packages_of(laid_out(seen), seen)
    assert found.distributions == ()
    assert {Path(row.location).name: row.problem for row in found.broken} == {
        "gone-1.dist-info": f"{SITE}/gone-1.dist-info/METADATA is not there",
        "lost-1.dist-info": f"{SITE}/lost-1.dist-info/METADATA is not there",
        "empty-1.dist-info": "it has no name or no version",
        "closed-1.0.dist-info": "USER may not read it",
    }


def test_the_first_of_a_name_counts_and_a_linked_folder_is_read_once() -> None:
    tree = {**BASE, **VENV, **package(SITE, "shop", "1.0"), "/app/lib": "-> .venv/lib"}
    tree |= package("/srv", "Shop", "2.0")
    assert names(access(tree)) == {("shop", False): f"1.0 in {SITE}"}
    assert names(access(tree), PYTHONPATH="/srv") == {("Shop", False): "2.0 in /srv"}


def test_more_distributions_than_the_limit_are_told() -> None:
    tree: dict[str, str | None] = {**BASE, **VENV}
    for number in range(installed.MOST_DISTRIBUTIONS + 1):
        tree |= package(SITE, f"p{number}")
    seen = access(tree)
    found = installed.packages_of(laid_out(seen), seen)
    assert (len(found.distributions), found.complete) == (installed.MOST_DISTRIBUTIONS, False)


def test_scripts_and_their_interpreters_are_followed() -> None:
    binaries = "/app/.venv/bin"
    tree = {
        **BASE,
        **VENV,
        "/bin/sh": ELF,
        f"{binaries}/sound": f"#!{binaries}/python\n",
        f"{binaries}/moved": "#!/build/.venv/bin/python\n",
        f"{binaries}/env-found": "#!/usr/bin/env -S sh -e\n",
        f"{binaries}/env-lost": "#!/usr/bin/env no-such-program\n",
        f"{binaries}/trampoline": "#!/bin/sh\n'''exec' \"/build here/bin/python\" \"$0\" \"$@\"\n' '''",
        f"{binaries}/windows": f"#!{binaries}/python\r\n",
    }
    seen = access(tree)
    found = {
        Path(row.path).name: (row.interpreter, row.found)
        for row in installed.scripts_of(laid_out(seen), "/bin", "/", seen)
    }
    assert found == {
        "sound": (f"{binaries}/python", True),
        "moved": ("/build/.venv/bin/python", False),
        "env-found": ("sh", True),
        "env-lost": ("no-such-program", False),
        "trampoline": ("/build here/bin/python", False),
        "windows": (f"{binaries}/python\r", False),
    }


def test_programs_are_those_that_user_can_run() -> None:
    tree = {
        "/a/git": ELF,
        "/b/git": ELF,
        "/b/closed/x": ELF,
        "/c/pip": FOLDER,
        "/d/pip": "-> /gone",
        "/e/pip": ELF,
        "/l": "-> e",
    }
    seen = access(tree, {"/a/git": (0o644, 0, 0), "/b/closed": (0o700, 0, 0)})
    found = installed.executables_of(("git", "x", "pip", "none"), "/a:b:/b/closed::/c:/d:/l", "/", seen)
    assert {row.name: row.path for row in found} == {"git": "/b/git", "x": "", "pip": "/l/pip", "none": ""}


def test_a_path_of_many_folders_is_looked_through_at_once() -> None:
    seen = access(BASE)
    path = ":".join(f"/nothing/{number}" for number in range(300_000)) + ":/usr/local/bin"
    assert installed.program("python3", path, "/", seen) == "/usr/local/bin/python3"


def test_places_are_judged_by_owner_group_and_mode() -> None:
    tree = {"/data": FOLDER, "/group": FOLDER, "/mine/file": "x", "/sealed": FOLDER, "/l": "-> /mine", "/home": FOLDER}
    modes = {
        "/data": (0o777, 0, 0),
        "/group": (0o770, 0, 10001),
        "/mine": (0o700, 10001, 0),
        "/sealed": (0o577, 10001, 0),
    }
    modes["/mine/file"] = (0o644, 10001, 0)
    seen = access(tree, modes)

    def judged(path: str) -> tuple[bool, bool, str]:
        found = installed.place_of(path, seen)
        return found.writable, found.exists, found.nearest

    assert judged("/data") == (True, True, "/data")
    assert judged("/data/a/b") == (True, False, "/data")
    assert judged("/group/x") == (True, False, "/group")
    assert judged("/mine/file") == (True, True, "/mine/file")
    assert judged("/mine/file/below") == (False, False, "/mine/file")
    assert judged("/l/new") == (True, False, "/l")
    assert judged("/sealed/x") == (False, False, "/sealed")
    assert judged("/home/app/.cache") == (False, False, "/home")
    assert judged("/") == (False, True, "/")
    assert installed.place_of("/home/x", access(tree, who=Account(uid=0))).writable


def test_code_is_found_as_the_import_system_finds_it() -> None:
    tree = {
        "/src/shop/__init__.py": "",
        "/src/shop/api.py": "",
        "/ns/one/part": FOLDER,
        "/two/part.py": "",
        "/three/part/__init__.cpython-313-x86_64-linux-gnu.so": "",
        "/x/both.py": "",
        "/x/both.cpython-313-x86_64-linux-gnu.so": "",
        "/x/only.txt": "",
    }
    seen = access(tree)
    assert finder(["/gone", "/src"], seen).find("shop", ["/gone", "/src"]).paths == ("/src/shop",)
    assert finder(["/ns/one", "/two"], seen).find("part", ["/ns/one", "/two"]).paths == ("/two/part.py",)
    assert finder(["/ns/one"], seen).find("part", ["/ns/one"]).paths == ("/ns/one/part",)
    assert finder(["/ns/one", "/three"], seen).find("part", ["/ns/one", "/three"]).paths == ("/three/part",)
    assert finder(["/x"], seen).find("both", ["/x"]).paths == ("/x/both.cpython-313-x86_64-linux-gnu.so",)
    assert finder(["/x"], seen).find("only", ["/x"]).paths == ()


def test_code_that_user_can_change_is_named() -> None:
    tree = {"/app/shop/__init__.py": "", "/app/shop/mine.py": "", "/app/shop/open/x.py": ""}
    modes = {"/app/shop/mine.py": (0o400, 10001, 0), "/app/shop/open": (0o757, 0, 0), "/app": (0o1777, 0, 0)}
    found = Changes(access(tree, modes)).of_package("shop", ["/app/shop"])
    assert (found.origin, found.files) == ("/app/shop", 7)
    # Of a folder and what lies below it, the folder is listed, and all are counted.
    assert [(row.path, row.mode) for row in found.changeable] == [("/app", "1777")]
    assert found.count == 3
    found = Changes(access(tree, {**modes, "/app": (0o755, 0, 0)})).of_package("shop", ["/app/shop"])
    assert [(row.path, row.mode) for row in found.changeable] == [
        ("/app/shop/mine.py", "0400"),
        ("/app/shop/open", "0757"),
    ]
    # In a sticky folder above, what belongs to others stays where it is.
    deeper = Changes(access(tree, {"/app": (0o1777, 0, 0)})).of_package("shop", ["/app/shop/open"])
    assert deeper.changeable == ()
    assert Changes(access(tree, modes, Account(uid=0))).of_package("shop", ["/app/shop"]).files == 0


MINE = (0o755, 10001, 10001)
RUNS: dict[str, str | None] = {
    **BASE,
    **VENV,
    f"{LIB}/json/__init__.py": "",
    f"{LIB}/site-packages/pip/__init__.py": "",
    **package(SITE, "shop"),
    f"{SITE}/shop/__init__.py": "",
    f"{SITE}/tides/__init__.py": "",
    f"{SITE}/tides/data/table.csv": "",
    f"{SITE}/mark.so.2": "",
    "/app/entry.sh": "#!/bin/sh\n",
    "/bin/sh": ELF,
    "/srv/local/helper/__init__.py": "",
    "/srv/local/uploads/a.txt": "",
    "/work/job.py": "",
    "/work/out/b.txt": "",
}


def changed_by_user(modes: dict[str, tuple[int, int, int]], **more: Any) -> dict[str, list[str]]:
    """Return what USER may change of what the command runs and imports, by part."""
    who = more.get("who", USER)
    seen = access({**RUNS, **more.get("tree", {})}, modes, who)
    command = ("/app/entry.sh", "/bin/sh", "/app/.venv/bin/python", "gone", "app/entry.sh")
    parts = Changes(seen).of_environment(laid_out(seen, PYTHONPATH="/srv/local"), command, "/work")
    return {part.name: [row.path for row in part.changeable] for part in parts if part.count}


COMMAND, INTERPRETER, PACKAGES = "what its command runs", "its Python", "the packages on its path"


@pytest.mark.parametrize(
    ("part", "path"),
    [
        (COMMAND, "/app/entry.sh"),
        (COMMAND, "/bin/sh"),
        (COMMAND, "/app/.venv/bin"),
        (COMMAND, "/usr/local/bin"),
        (INTERPRETER, "/app/.venv/pyvenv.cfg"),
        (INTERPRETER, f"{LIB}/os.py"),
        (INTERPRETER, f"{LIB}/json"),
        (INTERPRETER, f"{LIB}/lib-dynload"),
        (PACKAGES, f"{SITE}/tides"),
        (PACKAGES, f"{SITE}/tides/__init__.py"),
        (PACKAGES, f"{SITE}/mark.so.2"),
        (PACKAGES, SITE),
        (PACKAGES, "/srv/local/helper/__init__.py"),
        (PACKAGES, "/srv/local"),
        (PACKAGES, "/work/job.py"),
        (PACKAGES, "/work"),
    ],
)
def test_what_the_code_runs_on_and_user_can_change_is_named(part: str, path: str) -> None:
    folder = path.rpartition(".")[0] == "" or "." not in path.rpartition("/")[2]
    modes = {path: (0o755 if folder else 0o644, 10001, 10001)}
    if path == f"{LIB}/lib-dynload":
        modes[f"{LIB}/lib-dynload/_ssl.so"] = (0o644, 0, 0)
    assert changed_by_user(modes, tree={f"{LIB}/lib-dynload/_ssl.so": ""}) == {part: [path]}


@pytest.mark.parametrize(
    "path",
    [
        # Data of a package, of a folder on the path, of the folder that a program starts in.
        f"{SITE}/tides/data",
        f"{SITE}/tides/data/table.csv",
        "/srv/local/uploads",
        "/srv/local/uploads/a.txt",
        "/work/out",
        # What is installed for the interpreter below the environment is not imported.
        f"{LIB}/site-packages/pip",
        f"{LIB}/site-packages",
        "/app/.venv/.lock",
    ],
)
def test_what_is_no_code_may_be_changed(path: str) -> None:
    assert changed_by_user({path: (0o777, 10001, 10001)}, tree={"/app/.venv/.lock": ""}) == {}


def test_a_group_that_user_is_in_counts_and_another_does_not() -> None:
    assert changed_by_user({f"{SITE}/tides": (0o775, 0, 10001)}) == {PACKAGES: [f"{SITE}/tides"]}
    assert changed_by_user({f"{SITE}/tides": (0o775, 0, 5)}) == {}
    member = Account(name="app", uid=10001, gids=(10001, 5), home="/home/app")
    assert changed_by_user({f"{SITE}/tides": (0o775, 0, 5)}, who=member) == {PACKAGES: [f"{SITE}/tides"]}
    assert changed_by_user({SITE: (0o777, 0, 0)}, who=Account(uid=0)) == {}


def test_a_whole_project_of_users_is_told_once() -> None:
    whole = {path: MINE for path in access(RUNS).files.index.paths if path.startswith("/app")}
    assert changed_by_user(whole) == {
        COMMAND: ["/app"],
        INTERPRETER: ["/app/.venv/pyvenv.cfg"],
        PACKAGES: ["/app/.venv/lib"],
    }


def test_links_that_lead_nowhere_are_no_code() -> None:
    tree = {"/usr/local/bin/one": "-> two", "/usr/local/bin/two": "-> one", "/app/shop/a.py": "-> b.py"}
    seen = access({**RUNS, **tree, "/app/shop/b.py": "-> a.py", f"{SITE}/tides/c.py": "-> /gone"})
    assert Changes(seen).of_package("shop", ["/app/shop"]).count == 0
    parts = Changes(seen).of_environment(laid_out(seen), ("/usr/local/bin/one", "/usr/local/bin/two"), "/app/shop")
    assert [part.count for part in parts] == [0, 0, 0]


def test_paths_that_no_report_can_hold_are_shown() -> None:
    tree = {f"{SITE}/tides/a\udcff\n.py": ""}
    odd = f"{SITE}/tides/a\udcff\n.py"
    assert changed_by_user({odd: MINE}, tree=tree) == {PACKAGES: [f"{SITE}/tides/a\\xff\\n.py"]}


def test_a_package_behind_a_link_is_looked_at() -> None:
    tree = {f"{SITE}/linked": "-> /opt/cache/linked", "/opt/cache/linked/__init__.py": ""}
    assert changed_by_user({"/opt/cache/linked": (0o755, 10001, 0)}, tree=tree) == {PACKAGES: [f"{SITE}/linked"]}
    assert changed_by_user({"/opt/cache": (0o755, 10001, 0)}, tree=tree) == {PACKAGES: ["/opt/cache"]}
    data = {f"{SITE}/linked": "-> /opt/data", "/opt/data/a.csv": ""}
    assert changed_by_user({"/opt/data": (0o755, 10001, 0)}, tree=data) == {}
    assert changed_by_user({}, tree=tree) == {}


def test_an_egg_that_is_a_folder_holds_its_own_metadata() -> None:
    egg = "/opt/tides-1.0-py3.13.egg"
    tree: dict[str, str | None] = {
        f"{SITE}/easy-install.pth": f"{egg}\n/opt/plain\n",
        f"{egg}/EGG-INFO/PKG-INFO": METADATA.format("tides", "1.0"),
        f"{egg}/EGG-INFO/requires.txt": "click\n",
        f"{egg}/tides/__init__.py": "",
        "/opt/plain/EGG-INFO/PKG-INFO": METADATA.format("none", "1.0"),
    }
    seen = access({**BASE, **VENV, **tree})
    found = installed.packages_of(laid_out(seen), seen)
    assert [(row.name, row.location, row.requires, row.without_code) for row in found.distributions] == [
        ("tides", egg, ("click",), "")
    ]


# --- whether their code is there ---------------------------------------------------------------------------------


def with_record(folder: str, name: str, *files: str, version: str = "1.0") -> dict[str, str | None]:
    """Return a distribution whose RECORD names files, and not these."""
    info = f"{name}-{version}.dist-info"
    record = "".join(f"{file},sha256=x,1\n" for file in (*files, f"{info}/METADATA", f"{info}/RECORD"))
    return {**package(folder, name, version), f"{folder}/{info}/RECORD": record}


def files_of(folder: str, *files: str) -> dict[str, str | None]:
    return {f"{folder}/{file}": "" for file in files}


OTHERS = {**with_record(SITE, "other", "other/__init__.py"), **files_of(SITE, "other/__init__.py")}


def without_code(tree: Mapping[str, str | None], **variables: str) -> dict[str, str]:
    seen = access({**BASE, **VENV, **OTHERS, **tree})
    found = installed.packages_of(laid_out(seen, **variables), seen)
    return {row.name: row.without_code for row in found.distributions if row.without_code}


@pytest.mark.parametrize(
    ("recorded", "there"),
    [
        (["tides/__init__.py", "tides/x.py"], ["tides/__init__.py"]),
        (["tides.py"], ["tides.py"]),
        # Sources left out, one file made of a package, tests removed.
        (["tides.py"], ["tides.pyc"]),
        (["tides/__init__.py"], ["tides/__init__.pyc"]),
        (["tides/__init__.py"], ["tides.cpython-313-x86_64-linux-gnu.so"]),
        (["tests/__init__.py", "tides/__init__.py"], ["tides/__init__.py"]),
        (["_tides.cpython-313-x86_64-linux-gnu.so"], ["_tides.cpython-313-x86_64-linux-gnu.so"]),
        # A namespace, an editable install, requirements alone, data, types.
        (["sea/tides/low/__init__.py"], ["sea/tides/low/__init__.py"]),
        (["sea/__pycache__/tides.cpython-313.pyc", "sea/tides.py"], ["sea/tides.py"]),
        (["__editable__.tides-1.0.pth"], ["__editable__.tides-1.0.pth"]),
        ([], []),
        (["../../../share/tides/table.csv", "../../../bin/tides"], []),
        (["tides-stubs/__init__.pyi"], []),
        (["tides-1.0.dist-info/licenses/licence.py"], []),
    ],
)
def test_a_distribution_is_whole_if_any_of_its_code_is_there(recorded: list[str], there: list[str]) -> None:
    assert without_code({**with_record(SITE, "tides", *recorded), **files_of(SITE, *there)}) == {}


@pytest.mark.parametrize(
    ("recorded", "there", "why"),
    [
        (["tides/__init__.py", "tides/x.py"], [], "its RECORD names tides, and"),
        (
            ["tides.py", "low.py"],
            ["tides.txt", "__pycache__/tides.cpython-313.pyc"],
            "its RECORD names tides.py, low.py",
        ),
        (["sea/tides/low/__init__.py"], ["sea/other/__init__.py"], "its RECORD names sea/tides/low/, and none of that"),
    ],
)
def test_a_distribution_none_of_whose_code_is_there_is_told(recorded: list[str], there: list[str], why: str) -> None:
    found = without_code({**with_record(SITE, "tides", *recorded), **files_of(SITE, *there)})
    assert list(found) == ["tides"]
    assert found["tides"].startswith(why)
    assert found["tides"].endswith(f"lies in {SITE}")


def test_without_a_record_there_is_code_that_nothing_else_names() -> None:
    forged = package(SITE, "tides", "2.0")
    assert without_code(forged) == {
        "tides": f"it has no RECORD, and {SITE} holds no code but that of other distributions"
    }
    for file in ("tide_tables.py", "tables/x.py", "native.abi3.so"):
        assert without_code({**forged, f"{SITE}/{file}": ""}) == {}
    assert without_code({**forged, f"{SITE}/tides.libs/x": "", f"{SITE}/README.txt": ""}) != {}
    editable = {f"{SITE}/tides-2.0.dist-info/direct_url.json": '{"url": "file:///x", "dir_info": {"editable": true}}'}
    assert without_code({**forged, **editable}) == {}


def test_a_systems_package_manager_leaves_the_record_out() -> None:
    tree: dict[str, str | None] = {"/usr/bin/python3.11": ELF, "/usr/lib/python3.11/os.py": ""}
    seen = access({**tree, **package("/usr/lib/python3/dist-packages", "tides")})
    found = installed.packages_of(laid_out(seen, "/usr/bin/python3.11"), seen)
    assert [(row.name, row.without_code) for row in found.distributions] == [("tides", "")]


def test_metadata_before_the_version_that_has_the_code_is_told() -> None:
    real = {**with_record(SITE, "tides", "tides/__init__.py"), **files_of(SITE, "tides/__init__.py")}
    # What lies beside the forged metadata is the application's own.
    forged = {**package("/app/src", "tides", "2.0"), "/app/src/shop/__init__.py": ""}
    assert without_code({**real, **forged}, PYTHONPATH="/app/src") == {
        "tides": f"its code is that of 1.0 in {SITE}; in /app/src there is none"
    }
    assert without_code({**real, **forged, "/app/src/tides/__init__.py": ""}, PYTHONPATH="/app/src") == {}
    empty = with_record("/app/src", "tides", version="2.0")
    assert list(without_code({**real, **empty}, PYTHONPATH="/app/src")) == ["tides"]
    assert without_code({**real, **with_record("/app/src", "tides")}, PYTHONPATH="/app/src") == {}, "one version"


# --- both sides ---------------------------------------------------------------------------------------------------


SOUND = {**BASE, **VENV, **package(SITE, "shop"), **package(f"{LIB}/site-packages", "pip"), "/app/.venv/bin/git": ELF}
REQUEST = ProbeRequest(modules=(), import_root="", executables=("git", "pip"), places=("/tmp/x", "/app/x"))


def image(tree: Mapping[str, str | None], **changed: Any) -> agreement.Image:
    plain = agreement.Image(
        index=index(tree),
        account=USER,
        accounts=Accounts(users=(User(name="app", uid=10001, password=Password.LOCKED),)),
        environment={},
        directory="/app",
        path="/app/.venv/bin",
    )
    return replace(plain, **changed)


def said(**changed: Any) -> Probe:
    """Return the answer of a sound interpreter of that image."""
    seen = access(SOUND)
    layout = laid_out(seen)
    answer = probe(
        interpreter=msgspec.structs.replace(
            probe().interpreter,
            executable=layout.executable,
            prefix="/app/.venv",
            base_prefix="/usr/local",
            path=layout.path,
        ),
        distributions=installed.packages_of(layout, seen).distributions,
        executables=installed.executables_of(REQUEST.executables, "/app/.venv/bin", "/app", seen),
        places=(PathAccess(path="/tmp/x", exists=False, writable=True, nearest="/tmp", owner="0:0", mode="1777"),),
    )
    return msgspec.structs.replace(answer, **changed)


def settled(
    answer: Probe, seen: agreement.Image, python: str = "/app/.venv/bin/python"
) -> tuple[Probe, tuple[Difference, ...]]:
    result, found = settle(answer, python, REQUEST, seen)
    assert isinstance(found, Agreement), found
    return result, found.differences


def test_a_sound_answer_agrees() -> None:
    result, differences = settled(said(), image(SOUND))
    assert differences == ()
    assert [(row.name, row.base) for row in result.distributions] == [("shop", False), ("pip", True)]
    # What the process sees otherwise is told alike.
    same = [
        said(**interpreter(path=("/gone.zip", *ON_PATH, "__editable__.x.finder"))),
        said(**identity(groups=())),
        said(distributions=said().distributions, truncated=("native modules: more than 200000 files",)),
    ]
    assert [settled(answer, image(SOUND))[1] for answer in same] == [()] * len(same)


EXPORTS = "\x7fELF\0" + "".join(f"PyThing_{number}\0" for number in range(LEAST_EXPORTED))
LINKS = "\x7fELF\0Py_BytesMain\0libpython3.13.so.1.0\0libc.so.6\0"
SHARED = {**SOUND, "/usr/local/bin/python3.13": LINKS, "/usr/local/lib/libpython3.13.so": "-> libpython3.13.so.1.0"}
REAL_LIBRARY = {"/usr/local/lib/libpython3.13.so.1.0": EXPORTS}
SHIM = "\x7fELF\0Py_BytesMain\0Py_RunMain\0execv\0"


@pytest.mark.parametrize(
    "tree",
    [
        {**SOUND, "/usr/local/bin/python3.13": EXPORTS},
        {**SHARED, **REAL_LIBRARY},
        {**SHARED, **REAL_LIBRARY, "/usr/local/lib/libpython3.so": SHIM, "/opt/libpython3.13.so.1.0-gdb.py": ""},
        {**SHARED, **REAL_LIBRARY, "/usr/lib/libpython3.13.so.1.0": "-> /gone"},
    ],
)
def test_a_python_and_its_library_are_known_by_what_they_export(tree: dict[str, str | None]) -> None:
    assert settled(said(), image(tree))[1] == ()


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"/usr/local/bin/python3.13": SHIM}, "/usr/local/bin/python3.13 is not Python: "),
        ({"/usr/local/lib/libpython3.13.so.1.0": SHIM}, "libpython3.13.so is not Python's library: "),
        ({"/opt/libpython3.13.so.1.0": SHIM}, "/opt/libpython3.13.so.1.0 is not Python's library: "),
        ({"/opt/libpython3.13.so.1.0": "-> shim.so", "/opt/shim.so": SHIM}, "/opt/libpython3.13.so.1.0 is not "),
        ({"/usr/local/lib/libpython3.13.so.1.0": None}, "links Python's library, and no such library is there"),
    ],
)
def test_another_program_or_library_in_pythons_place_decides_nothing(
    changed: dict[str, str | None], reason: str
) -> None:
    tree = {**SHARED, **REAL_LIBRARY, **changed}
    if None in changed.values():
        tree = {path: body for path, body in tree.items() if "libpython" not in path}
    _, found = settle(said(), "/app/.venv/bin/python", REQUEST, image(tree))
    assert isinstance(found, Unavailable)
    assert reason in found.reason
    assert found.reason.endswith("what /app/.venv/bin/python says is its own word")


def test_another_standard_library_than_the_one_beside_the_interpreter_is_told() -> None:
    away = {
        "/app/.venv/pyvenv.cfg": "home = /opt/other/bin\n",
        "/opt/other/bin/python3.13": "-> /usr/local/bin/python3.13",
    }
    there = msgspec.structs.replace(said().interpreter, base_prefix="/opt/other")
    other = {**SOUND, **away, "/opt/other/lib/python3.13/os.py": ""}
    _, differences = settled(said(interpreter=there, distributions=said().distributions[:1]), image(other))
    assert [row.what for row in differences] == ["the standard library"]
    assert differences[0].files == "/usr/local/lib/python3.13 lies beside /usr/local/bin/python3.13"
    # The same one by another way is the same one.
    same = {**SOUND, **away, "/opt/other": "-> /usr/local"}
    del same["/opt/other/bin/python3.13"]
    assert settled(said(), image(same))[1] == ()


def test_an_account_without_a_row_agrees() -> None:
    nobody = Account(uid=4242, gids=(0,), home="/")
    answer = said(**identity(uid=4242, gid=0, groups=(0,), name=""))
    assert settled(answer, image(SOUND, account=nobody, accounts=Accounts()))[1] == ()
    unknown = image(SOUND, account=Account(uid=None))
    assert settled(answer, unknown)[1] == ()


def identity(**changed: Any) -> dict[str, Any]:
    return {"identity": msgspec.structs.replace(said().identity, **changed)}


def interpreter(**changed: Any) -> dict[str, Any]:
    return {"interpreter": msgspec.structs.replace(said().interpreter, **changed)}


def distributions(**changed: Any) -> dict[str, Any]:
    return {"distributions": tuple(msgspec.structs.replace(row, **changed) for row in said().distributions)}


ON_PATH = said().interpreter.path
EXTRA = msgspec.structs.replace(said().distributions[0], name="extra")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"distributions": ()}, ("pip", "shop")),
        ({"distributions": (*said().distributions, EXTRA)}, ("extra",)),
        (distributions(version="9"), ("pip", "shop")),
        (distributions(location="/srv"), ("pip 1.0", "shop 1.0")),
        ({"executables": ()}, ("the program git",)),
        (identity(uid=0), ("the uid of USER",)),
        (identity(gid=0), ("the gid of USER",)),
        (identity(groups=(10001, 27)), ("the groups of USER",)),
        (identity(name="root"), ("the name of USER",)),
        (interpreter(version="3.12.1"), ("the version of Python",)),
        (interpreter(prefix="/opt\n\x1b[31m"), ("sys.prefix",)),
        (interpreter(base_prefix="/usr\0"), ("sys.base_prefix",)),
        (interpreter(path=()), ("sys.path",)),
        (interpreter(path=(*ON_PATH, f"{LIB}/site-packages")), ("sys.path",)),
    ],
)
def test_an_answer_that_differs_is_told_and_the_files_word_is_taken(
    change: dict[str, Any], what: tuple[str, ...]
) -> None:
    result, differences = settled(said(**change), image(SOUND))
    assert tuple(difference.what for difference in differences) == what
    assert all(difference.files.isprintable() and difference.said.isprintable() for difference in differences)
    sound, _ = settled(said(), image(SOUND))
    assert (result.distributions, result.executables) == (sound.distributions, sound.executables)
    assert result.interpreter.path == sound.interpreter.path
    assert result.identity.uid == 10001


def test_what_a_tmpfs_hides_is_not_there_and_its_modes_are_the_engines() -> None:
    tree = {**SOUND, **package("/home/app/.local/lib/python3.13/site-packages", "own"), "/tmp": FOLDER}
    tree["/app/.venv/pyvenv.cfg"] = "home = /usr/local/bin\ninclude-system-site-packages = true\n"
    shown = settled(said(), image(tree))[0]
    assert {row.name for row in shown.distributions} == {"shop", "own", "pip"}
    assert {place.path: place.writable for place in shown.places} == {"/tmp/x": False, "/app/x": False}
    hidden = settled(said(), image(tree, tmpfs=("/home/app", "/tmp/")))[0]
    assert {row.name for row in hidden.distributions} == {"shop", "pip"}
    assert {place.path: place.writable for place in hidden.places} == {"/tmp/x": True, "/app/x": False}


def test_code_behind_a_link_is_looked_at() -> None:
    tree = {"/app/shop/__init__.py": "", "/app/shop/sub": "-> /srv/sub", "/srv/sub/__init__.py": "x"}
    found = Changes(access(tree, {"/srv/sub/__init__.py": (0o400, 10001, 0)})).of_package("shop", ["/app/shop"])
    assert [row.path for row in found.changeable] == ["/app/shop/sub/__init__.py"]
    found = Changes(access(tree, {"/srv": (0o755, 10001, 0)})).of_package("shop", ["/app/shop"])
    assert [row.path for row in found.changeable] == ["/srv"]


@pytest.mark.parametrize(
    ("tree", "why"),
    [
        ({"/app/shop/__init__.py": ""}, "No module named shop.__main__"),
        ({"/app/shop/__init__.py": "", "/app/shop/__main__.py": ""}, ""),
        ({"/app/shop.py": ""}, ""),
    ],
)
def test_a_package_is_run_by_its_main_module(tree: dict[str, str], why: str) -> None:
    found = finder(["/app"], access(tree)).not_executable("shop")
    assert (why in found) if why else found == ""
    assert finder(["/app"], access(tree)).not_executable("elsewhere") == ""


def test_code_that_only_a_finder_finds_is_judged_where_the_probe_found_it() -> None:
    rows = (Code(name="shop", origin="/src/shop", files=1), Code(name="lost", origin=""))
    result, _ = settled(said(code=rows), image({**SOUND, "/src/shop/__init__.py": ""}))
    assert result.code is not None
    own = [(row.name, row.origin, row.files) for row in result.code if row.own]
    assert own == [("shop", "/src/shop", 4), ("lost", "", 0)]


def test_what_the_command_runs_is_judged_with_the_code() -> None:
    tree = {**SOUND, "/entry.sh": "#!/bin/sh\n", "/srv/main.py": "", "/srv/settings.py": "", "/srv/data/x.csv": ""}
    mine = {"/entry.sh": MINE, "/srv/main.py": MINE, "/srv/settings.py": MINE, "/srv/data": MINE}
    seen = replace(image(tree), index=index(tree, mine), command=("/entry.sh", "/srv/main.py"))
    asked = msgspec.structs.replace(REQUEST, script="/srv/main.py", import_root="/srv")
    result, _ = settle(said(code=()), "/app/.venv/bin/python", asked, seen)
    assert result.code is not None
    assert {(row.name, row.own): [place.path for place in row.changeable] for row in result.code} == {
        ("main.py", True): ["/srv/main.py"],
        (COMMAND, False): ["/entry.sh"],
        (INTERPRETER, False): [],
        (PACKAGES, False): ["/srv/settings.py"],
    }
    unknown, _ = settle(said(code=None), "/app/.venv/bin/python", asked, seen)
    assert unknown.code is None


def test_files_that_were_not_read_whole_decide_nothing() -> None:
    partial = msgspec.structs.replace(index(SOUND), cut=("/: it was read for 60 s",))
    result, found = settle(said(), "/app/.venv/bin/python", REQUEST, replace(image({}), index=partial))
    assert "distributions" in result.truncated
    assert isinstance(found, Unavailable)
    assert "not seen whole: /: it was read for 60 s" in found.reason


def test_a_python_that_is_a_script_cannot_be_compared() -> None:
    tree = {**SOUND, "/app/.venv/bin/python": "#!/bin/sh\nexec /opt/python"}
    result, found = settle(said(), "/app/.venv/bin/python", REQUEST, image(tree))
    assert result == said()
    assert isinstance(found, Unavailable)
    assert "is a script" in found.reason


# Each takes a second, and more where the machine is busy.
@pytest.mark.parametrize("version", sorted({HERE[0], HERE[-1]}))
def test_a_sound_interpreter_says_what_its_files_say(version: str, tmp_path: Path) -> None:
    python = environment(tmp_path, INTERPRETERS[version])
    assert_agrees(python, tmp_path, {})


@pytest.mark.parametrize("options", [["--system-site-packages"], ["--copies"]])
def test_other_environments_agree_too(options: list[str], tmp_path: Path) -> None:
    process.run([INTERPRETERS[HERE[-1]], "-m", "venv", "--without-pip", *options, tmp_path / "venv"], timeout=60)
    site = next((tmp_path / "venv").glob("lib/python3.*/site-packages"))
    distribution(site, "good-1.2.dist-info", {"METADATA": "Name: good\nVersion: 1.2\n"})
    extra = tmp_path / "extra"
    extra.mkdir()
    distribution(extra, "good-2.0.dist-info", {"METADATA": "Name: good\nVersion: 2.0\n"})
    (site / "extra.pth").write_text(f"{extra}\nimport sys; sys.path\n", encoding="utf-8")
    user = tmp_path / ".local/lib" / site.parts[-2] / "site-packages"
    user.mkdir(parents=True)
    distribution(user, "own-1.dist-info", {"METADATA": "Name: own\nVersion: 1\n"})
    assert_agrees(tmp_path / "venv/bin/python", tmp_path, {})
    assert_agrees(tmp_path / "venv/bin/python", tmp_path, {"PYTHONPATH": f"{extra}:."})
    assert_agrees(INTERPRETERS[HERE[-1]], tmp_path, {})
    system = Path("/usr/bin/python3")
    if system.exists():
        assert_agrees(system, tmp_path, {})


def assert_agrees(python: Path, folder: Path, variables: Mapping[str, str]) -> None:
    """Let an interpreter answer for real, and compare it with what the files of this host say."""
    request = ProbeRequest(modules=(), import_root="", executables=("python", "sh", "good"), places=(f"{folder}/x/y",))
    answer = probed(python, request, folder, variables)
    top = Path(answer.interpreter.base_prefix)
    tops = [
        folder,
        python.parent,
        top / "bin",
        top / "lib" if top.name != "usr" else top / "lib/python3",
        Path("/usr/local/bin"),
    ]
    if top.name == "usr":
        tops += [*top.glob("lib/python3.*"), *Path("/usr/local/lib").glob("python3.*")]
    tops += [Path(os.path.realpath("/bin")), Path(os.path.realpath(python)).parent]
    who = answer.identity
    account = Account(name=who.name, uid=who.uid, gids=tuple(dict.fromkeys((who.gid, *who.groups))), home=who.home)
    seen = agreement.Image(
        index=index_of_host([top for top in tops if top.exists()]),
        account=account,
        accounts=Accounts(),
        environment={"HOME": str(folder), **variables},
        directory=str(folder),
        path=f"{python.parent}:/usr/bin:/bin",
    )
    result, found = settle(answer, str(python), request, seen)
    assert isinstance(found, Agreement), found
    assert found.differences == ()
    parts = ("executables", "own_packages", "environment", *(("scripts",) if top.name != "usr" else ()))
    for part in parts:
        assert getattr(result, part) == getattr(answer, part), part
    # Where a distribution came from, its files tell without a RECORD, too; and these hold no code.
    told = (
        tuple(msgspec.structs.replace(row, origin="", packages=(), without_code="") for row in side)
        for side in (result.distributions, answer.distributions)
    )
    assert next(told) == next(told)
    assert {row.location for row in result.broken_distributions} == {
        row.location for row in answer.broken_distributions
    }
