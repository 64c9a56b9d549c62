"""Each kind of lock file, and what of it applies to an image's own interpreter."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import msgspec
import pytest
from packaging.requirements import Requirement
from tests.unit.factories import environment, probe

from seatrial.errors import SettingsError
from seatrial.facts import Unavailable
from seatrial.facts.sources import LockFile
from seatrial.observe.project.declared import read_project_facts
from seatrial.observe.project.lockfiles import read_lock, requirement_lines
from seatrial.requirements import UnclearMarkerError, image_environment, marker_holds, resolve
from seatrial.requirements import holds as requirement_holds

EXAMPLES = Path(__file__).parents[2] / "examples"
IMAGE = image_environment(probe())

UV = """
version = 1
revision = 3
requires-python = ">=3.10"

[[package]]
name = "Shop"
source = { editable = "." }
dependencies = [
    { name = "fastapi" },
    { name = "uvicorn", extra = ["standard"] },
    { name = "tomli", marker = "python_full_version < '3.11'" },
    { name = "numpy", version = "1.26.0", marker = "python_full_version < '3.12'" },
    { name = "numpy", version = "2.1.0", marker = "python_full_version >= '3.12'" },
    { name = "tide" },
]

[package.optional-dependencies]
cpu = [{ name = "torch", version = "2.5.1+cpu", marker = "extra == 'extra-4-shop-cpu'" }]
gpu = [{ name = "torch", version = "2.5.1", marker = "extra == 'extra-4-shop-gpu'" }]

[package.dev-dependencies]
dev = [{ name = "pytest" }]
jobs = [{ name = "celery" }]

[[package]]
name = "tide"
version = "0.1"
source = { directory = "libs/tide" }
dependencies = [{ name = "colorama", marker = "sys_platform == 'win32'" }, { name = "h11" }]

[[package]]
name = "fastapi"
version = "0.115.0"
source = { registry = "https://example.org/simple" }
sdist = { url = "https://example.org/fastapi.tar.gz", hash = "sha256:00", size = 1 }
wheels = [
    { url = "https://example.org/fastapi.whl", hash = "sha256:00", size = 1 },
    { url = "https://example.org/fastapi2.whl", hash = "sha256:00", size = 1 },
]

[[package]]
name = "uvicorn"
version = "0.30.0"
source = { registry = "https://example.org/simple" }
dependencies = [{ name = "h11" }]

[package.optional-dependencies]
standard = [{ name = "httptools" }]
"""


def package(name: str, version: str = "1.0", more: str = "") -> str:
    return f'\n[[package]]\nname = "{name}"\nversion = "{version}"\n{more or source("registry")}\n'


def source(kind: str) -> str:
    return f'source = {{ {kind} = "https://example.org/simple" }}'


UV += "".join(
    package(*row)
    for row in (
        ("h11",),
        ("httptools",),
        ("tomli",),
        ("numpy", "1.26.0"),
        ("numpy", "2.1.0"),
        ("torch", "2.5.1"),
        ("torch", "2.5.1+cpu"),
        ("pytest",),
        ("celery",),
        ("colorama",),
    )
)


def read(folder: Path, file: str, text: str, name: str = "shop") -> LockFile:
    (folder / file).write_text(text, encoding="utf-8")
    found = read_lock(folder, name)
    assert isinstance(found, LockFile), found
    return found


def versions(lock: LockFile, *chosen: str, environment: dict[str, str] = IMAGE) -> dict[str, str]:
    return {name: one.version for name, one in resolve(lock, environment, chosen).items() if not one.local}


BASE = {"fastapi": "0.115.0", "uvicorn": "0.30.0", "h11": "1.0", "httptools": "1.0", "numpy": "2.1.0"}


def test_a_uv_lock_is_walked_from_the_project(tmp_path: Path) -> None:
    lock = read(tmp_path, "uv.lock", UV)
    assert versions(lock) == BASE
    assert {entry.name for entry in lock.packages if entry.local} == {"shop", "tide"}
    assert lock.names == ("cpu", "gpu", "dev", "jobs")


def test_a_uv_locks_extras_and_groups(tmp_path: Path) -> None:
    lock = read(tmp_path, "uv.lock", UV)
    assert versions(lock, "jobs") == {**BASE, "celery": "1.0"}
    assert versions(lock, "cpu")["torch"] == "2.5.1+cpu"
    assert versions(lock, "gpu")["torch"] == "2.5.1"
    # The groups of a workspace whose root is no project: uv installs them with each of its members.
    shared = f'{UV}\n[manifest.dependency-groups]\ntools = [{{ name = "celery", specifier = ">=1" }}]\n'
    assert versions(read(tmp_path, "uv.lock", shared), "tools")["celery"] == "1.0"


def test_another_python_gets_another_choice(tmp_path: Path) -> None:
    old = image_environment(msgspec.structs.replace(probe(), interpreter=older("3.10.4")))
    found = versions(read(tmp_path, "uv.lock", UV), environment=old)
    assert (found["numpy"], found["tomli"]) == ("1.26.0", "1.0")


def older(version: str) -> object:
    return msgspec.structs.replace(probe().interpreter, version=version)


def test_a_uv_lock_of_a_project_without_a_name(tmp_path: Path) -> None:
    assert read(tmp_path, "uv.lock", UV, name="").project == "shop"
    (tmp_path / "uv.lock").write_text("version = 1\n" + package("h11"), encoding="utf-8")
    assert isinstance(read_lock(tmp_path, ""), Unavailable)


def test_forks_without_a_version_are_told_apart_by_their_markers(tmp_path: Path) -> None:
    rows = "\n".join(
        package("numpy", version, f"{source('registry')}\nresolution-markers = [\"python_full_version {sign} '3.12'\"]")
        for version, sign in (("1.26", "<"), ("2.1", ">="))
    )
    own = '[[package]]\nname = "shop"\nsource = { virtual = "." }\ndependencies = [{ name = "numpy" }]\n'
    assert versions(read(tmp_path, "uv.lock", own + rows)) == {"numpy": "2.1"}


PYLOCK = """
lock-version = "1.0"
extras = ["gpu"]
dependency-groups = ["dev", "jobs"]
default-groups = ["dev", "jobs"]
created-by = "pip"

[[packages]]
name = "Fast_API"
version = "0.115.0"

[[packages]]
name = "shop"
directory = { path = ".", editable = true }

[[packages]]
name = "pywin32"
version = "306"
marker = "sys_platform == 'win32'"

[[packages]]
name = "torch"
version = "2.5"
marker = "'gpu' in extras"

[[packages]]
name = "pytest"
version = "8"
marker = "'dev' in dependency_groups"

[[packages]]
name = "celery"
version = "5"
marker = "'jobs' in dependency_groups and python_version >= '3.10'"
"""


def test_a_pylock(tmp_path: Path) -> None:
    lock = read(tmp_path, "pylock.toml", PYLOCK)
    assert versions(lock) == {"fast-api": "0.115.0", "celery": "5"}, "default groups, without those of development"
    assert versions(lock, "gpu", "dev") == {"fast-api": "0.115.0", "celery": "5", "torch": "2.5", "pytest": "8"}


POETRY = """
[[package]]
name = "fastapi"
version = "0.115.0"
optional = false
python-versions = ">=3.8"
groups = ["main", "dev"]
files = [
    {file = "fastapi.whl", hash = "sha256:00"},
]

[[package]]
name = "psycopg"
version = "3.2"
groups = ["main"]
markers = "python_version >= \\"3.9\\" and extra == \\"postgres\\""

[[package]]
name = "colorama"
version = "0.4"
groups = ["main", "dev"]
markers = {main = "sys_platform == \\"win32\\"", dev = "python_version >= \\"3.8\\""}

[[package]]
name = "tide"
version = "0.1"
groups = ["main"]
source = {type = "directory", url = "libs/tide"}

[[package]]
name = "pytest"
version = "8.4"
groups = ["dev"]

[extras]
postgres = ["psycopg"]

[metadata]
lock-version = "2.1"
"""


def test_a_poetry_lock(tmp_path: Path) -> None:
    lock = read(tmp_path, "poetry.lock", POETRY)
    assert versions(lock) == {"fastapi": "0.115.0"}
    assert versions(lock, "postgres") == {"fastapi": "0.115.0", "psycopg": "3.2"}
    assert versions(lock, "dev") == {"fastapi": "0.115.0", "colorama": "0.4", "pytest": "8.4"}
    assert set(lock.names) == {"postgres", "dev"}


PDM = """
[metadata]
groups = ["default", "dev", "gpu"]
strategy = ["inherit_metadata"]

[[package]]
name = "fastapi"
version = "0.115.0"
groups = ["default", "dev"]
files = [
    {file = "a", hash = "sha256:00"},
]

[[package]]
name = "uvicorn"
version = "0.30"
extras = ["standard"]
groups = ["default"]
marker = "python_version >= \\"3.9\\""

[[package]]
name = "torch"
version = "2.5"
groups = ["gpu"]

[[package]]
name = "tide"
version = "0.1"
path = "./libs/tide"
groups = ["default"]
"""


def test_a_pdm_lock(tmp_path: Path) -> None:
    lock = read(tmp_path, "pdm.lock", PDM)
    assert versions(lock) == {"fastapi": "0.115.0", "uvicorn": "0.30"}
    assert versions(lock, "gpu")["torch"] == "2.5"
    assert lock.names == ("dev", "gpu")


@pytest.mark.parametrize(("file", "text"), [("poetry.lock", POETRY), ("pdm.lock", PDM)])
def test_an_older_lock_that_names_no_groups(tmp_path: Path, file: str, text: str) -> None:
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("groups"))
    (tmp_path / file).write_text(lines, encoding="utf-8")
    found = read_lock(tmp_path, "shop")
    assert isinstance(found, Unavailable)
    assert "does not say which groups want a package" in found.reason


REQUIREMENTS = """\
# comment
--index-url https://example.org/simple
fastapi==0.115.0 \\
    --hash=sha256:00
uvicorn[standard] == 0.30  # the server
pywin32===306 ; sys_platform == 'win32'
tide @ https://example.org/tide.whl#sha256=00
-r more.txt
-c constraints.txt
"""


def test_exact_requirements(tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("-r requirements.txt\nh11==0.16\n", encoding="utf-8")
    lock = read(tmp_path, "requirements.txt", REQUIREMENTS)
    assert versions(lock) == {"fastapi": "0.115.0", "uvicorn": "0.30", "tide": "", "h11": "0.16"}
    assert not lock.whole


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("fastapi>=0.1", "`fastapi>=0.1` is not an exact version"),
        ("fastapi==0.1.*", "`fastapi==0.1.*` is not an exact version"),
        ("./libs/tide", "`./libs/tide` names no distribution and version"),
        ("# nothing", "names no distribution"),
    ],
)
def test_requirements_that_are_no_lock(tmp_path: Path, line: str, reason: str) -> None:
    (tmp_path / "requirements.txt").write_text(f"{line}\n", encoding="utf-8")
    found = read_lock(tmp_path, "")
    assert isinstance(found, Unavailable)
    assert reason in found.reason


def test_a_requirements_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("-r gone.txt\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"gone\.txt: cannot be read"):
        requirement_lines(tmp_path / "requirements.txt")


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("uv.lock", "package = 3", "malformed lock file"),
        ("uv.lock", "[[package]]\nname = 'a'", "malformed lock file"),
        ("pylock.toml", "packages = [{ version = '1' }]", "malformed lock file"),
        ("poetry.lock", "a = ", "is not TOML"),
        ("pdm.lock", "[[package]]\nname = 1\ngroups = ['default']", "malformed lock file"),
    ],
)
def test_what_is_no_lock_is_told_with_its_path(tmp_path: Path, file: str, text: str, words: str) -> None:
    (tmp_path / file).write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=words) as caught:
        read_lock(tmp_path, "shop")
    assert str(tmp_path / file) in str(caught.value)


def test_the_lock_of_the_tool_goes_before_the_requirements(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("fastapi>=1\n", encoding="utf-8")
    assert read(tmp_path, "uv.lock", UV).file == "uv.lock"
    assert read_lock(tmp_path / "nowhere", "") is None


def test_a_lock_names_a_package_that_it_does_not_hold(tmp_path: Path) -> None:
    own = '[[package]]\nname = "shop"\nsource = { virtual = "." }\ndependencies = [{ name = "gone" }]\n'
    assert versions(read(tmp_path, "uv.lock", own)) == {}


def test_a_circle_of_packages_has_an_end(tmp_path: Path) -> None:
    rows = (
        '[[package]]\nname = "shop"\nsource = { virtual = "." }\ndependencies = [{ name = "a" }]\n'
        + package("a", more=f'{source("registry")}\ndependencies = [{{ name = "b" }}]')
        + package("b", more=f'{source("registry")}\ndependencies = [{{ name = "a" }}]')
    )
    assert versions(read(tmp_path, "uv.lock", rows)) == {"a": "1.0", "b": "1.0"}


@pytest.mark.parametrize(
    ("marker", "holds"),
    [
        ("", True),
        ("extra == 'gpu'", True),
        ("extra != 'gpu'", False),
        ("'gpu' == extra", True),
        ("extra == 'extra-4-shop-gpu' and extra != 'extra-4-shop-cpu'", True),
        ("extra == 'group-4-shop-dev'", False),
        ("platform_machine == 'x86_64' and implementation_name == 'cpython'", True),
        ("no marker at all (", False),
        ("'x' in extras", False),
        ("unknown == '1'", False),
    ],
)
def test_markers_of_locks(marker: str, holds: bool) -> None:
    assert marker_holds(marker, IMAGE, frozenset({"gpu"}), "shop") is holds


def test_markers_are_judged_by_the_image_not_by_the_host() -> None:
    seen = msgspec.structs.replace(
        probe(),
        interpreter=msgspec.structs.replace(probe().interpreter, version="3.9.2", implementation="PyPy"),
        environment=environment(machine="riscv64", implementation="pypy"),
    )
    found = image_environment(seen)
    assert (found["python_version"], found["python_full_version"]) == ("3.9", "3.9.2")
    assert (found["platform_machine"], found["implementation_name"]) == ("riscv64", "pypy")
    assert found["platform_python_implementation"] == "PyPy"


@pytest.mark.parametrize(
    ("marker", "holds"),
    [
        ("python_full_version < '3.11.3'", None),
        ("implementation_version >= '3.11.3'", None),
        ("python_full_version < '3.12'", True),
        ("python_full_version < '3.11.3' and sys_platform == 'win32'", False),
    ],
)
def test_a_marker_that_asks_for_more_of_a_version_than_is_known_is_undecided(marker: str, holds: bool | None) -> None:
    known = {**IMAGE, "python_version": "3.11", "python_full_version": "3.11", "implementation_version": "3.11"}
    asks = (
        partial(marker_holds, marker, known, frozenset(), "shop"),
        partial(requirement_holds, Requirement(f"six ; {marker}"), known),
    )
    for ask in asks:
        if holds is None:
            with pytest.raises(UnclearMarkerError):
                ask()
        else:
            assert ask() is holds


@pytest.mark.parametrize(
    ("app", "file", "count"), [("course-supporter", "uv.lock", 34), ("weather-agent", "requirements.txt", 38)]
)
def test_the_examples_locks(app: str, file: str, count: int) -> None:
    lock = read_project_facts(EXAMPLES / app).lock
    assert isinstance(lock, LockFile)
    assert lock.file == file
    assert abs(len(versions(lock)) - count) <= 3
    assert "pytest" not in versions(lock)
