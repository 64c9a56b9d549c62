"""What a Dockerfile's own commands install: files by any name, extras, groups, members of a workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.unit.factories import probe

from seatrial.dockerfile import parse
from seatrial.facts import Unavailable
from seatrial.facts.sources import LockFile
from seatrial.observe.project.declared import read_project_facts
from seatrial.observe.project.selection import ANY, chosen_by
from seatrial.requirements import image_environment, resolve

if TYPE_CHECKING:
    from pathlib import Path

    from seatrial.facts import ProjectFacts
    from seatrial.observe.project.selection import Chosen

IMAGE = image_environment(probe())


def chosen(folder: Path, *lines: str) -> Chosen:
    return chosen_by(parse("\n".join(("FROM python:3.13-slim", *lines))), {}, folder)


@pytest.mark.parametrize(
    ("line", "extras", "groups", "defaults"),
    [
        ("uv sync --frozen --no-dev", (), (), True),
        ("uv sync --frozen", (), (), True),
        ("uv sync --extra tls --extra=redis --group jobs --no-dev", ("redis", "tls"), ("jobs",), True),
        ("uv sync --all-extras --all-groups", (ANY,), (ANY,), True),
        ("UV_NO_DEV=1 uv sync", (), (), True),
        ("uv sync --no-default-groups", (), (), False),
        ("poetry install --only main --no-root", (), ("main",), False),
        ("poetry install --with jobs,docs --extras 'tls redis' -E x", ("redis", "tls", "x"), ("docs", "jobs"), True),
        ("pdm sync --prod -G tls", ("tls",), ("tls",), False),
        ("pip install .[tls,redis]", ("redis", "tls"), (), True),
        ("pip install -e './app[tls]'", ("tls",), (), True),
        ("pip install Django[argon2]", (), (), True),
        ("pip install --group jobs --group pyproject.toml:docs", (), ("docs", "jobs"), True),
        ("uv export --no-dev --extra tls -o r.txt && pip install -r r.txt", ("tls",), (), True),
        ("poetry export --with jobs -o r.txt && pip install -r r.txt", (), ("jobs",), False),
        ("uv sync --extra $EXTRA --no-dev", (), (), True),
    ],
)
def test_extras_and_groups(
    tmp_path: Path, line: str, extras: tuple[str, ...], groups: tuple[str, ...], defaults: bool
) -> None:
    found = chosen(tmp_path, f"RUN {line}")
    assert (tuple(sorted(found.extras)), tuple(sorted(found.groups))) == (extras, groups)
    # Of the default groups uv's --no-dev leaves out the one of that name alone.
    assert (found.defaults, "dev" in found.without) == (defaults, "no-dev" in line or "NO_DEV" in line)


def test_only_the_stages_that_reach_the_image_count(tmp_path: Path) -> None:
    unused, builder = "FROM a AS dev\nRUN uv sync --group x\n", "FROM a AS builder\nRUN uv sync --no-dev\n"
    text = f"{unused}{builder}FROM a\nCOPY --from=builder /a /a"
    assert chosen_by(parse(text), {}, tmp_path).groups == frozenset()


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (("COPY requirements/prod.txt .", "RUN pip install -r prod.txt"), ("requirements/prod.txt",)),
        (("COPY requirements/prod.txt reqs.txt", "RUN pip install -r /app/reqs.txt"), ("requirements/prod.txt",)),
        (("COPY . /app", "RUN pip install -r /app/requirements/prod.txt"), ("requirements/prod.txt",)),
        (("COPY requirements /r", "RUN pip install -r /r/prod.txt -r /r/more.txt"), ("requirements/prod.txt",)),
        (("RUN --mount=type=bind,source=deps.in,target=/r.txt pip install -r /r.txt",), ("deps.in",)),
        (("COPY . .", "RUN pip wheel -w /wheels -rdeps.in"), ("deps.in",)),
        (("RUN pip install -r ${FILE}.txt",), ()),
        (("RUN pip install -r ../../etc/passwd",), ()),
    ],
)
def test_requirement_files_by_any_name(tmp_path: Path, lines: tuple[str, ...], found: tuple[str, ...]) -> None:
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "prod.txt").write_text("flask==3.0\n", encoding="utf-8")
    (tmp_path / "deps.in").write_text("flask==3.0\n", encoding="utf-8")
    assert chosen(tmp_path, *lines).requirements == found


def project(folder: Path, **files: str) -> ProjectFacts:
    for name, text in files.items():
        (folder / {"dockerfile": "Dockerfile"}.get(name, name.replace("__", "."))).write_text(text, encoding="utf-8")
    return read_project_facts(folder, folder / "Dockerfile")


def test_requirements_and_constraints_are_the_lock(tmp_path: Path) -> None:
    seen = project(
        tmp_path,
        prod__txt="Django[argon2]\nuvicorn==0.30\n",
        held__txt="django==5.1\nargon2-cffi==23.1\n",
        dockerfile="FROM a\nCOPY . .\nRUN pip install -r prod.txt -c held.txt gunicorn==21.2 pip-tools\n",
    )
    assert (seen.dependencies, seen.dependencies_file) == (("Django[argon2]", "uvicorn==0.30"), "prod.txt")
    lock = seen.lock
    assert isinstance(lock, LockFile)
    assert {name: package.version for name, package in resolve(lock, IMAGE, ()).items()} == {
        "django": "5.1",
        "uvicorn": "0.30",
    }
    assert [(root.name, root.extras) for root in lock.roots] == [("django", ("argon2",)), ("uvicorn", ())]
    assert lock.beside == ("gunicorn==21.2",)


def test_what_cannot_be_followed_is_no_lock(tmp_path: Path) -> None:
    seen = project(tmp_path, prod__txt="-r ../gone.txt\n", dockerfile="FROM a\nCOPY . .\nRUN pip install -r prod.txt\n")
    assert isinstance(seen.lock, Unavailable)
    assert "prod.txt" in seen.lock.reason
    assert seen.dependencies is None


UV = """
[[package]]
name = "api"
source = { editable = "api" }
dependencies = [{ name = "shared" }]
[package.dev-dependencies]
dev = [{ name = "pytest" }]
jobs = [{ name = "celery" }]

[[package]]
name = "root"
source = { virtual = "." }
dependencies = [{ name = "rich" }]

[[package]]
name = "shared"
source = { editable = "shared" }
dependencies = [{ name = "click" }]
"""
PYPROJECT = """
[project]
name = "root"
[tool.uv]
default-groups = ["jobs"]
"""
ROWS = "".join(
    f'[[package]]\nname = "{name}"\nversion = "1"\nsource = {{ registry = "x" }}\n'
    for name in ("rich", "click", "pytest", "celery")
)


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("uv sync --frozen", {"rich"}),
        ("uv sync --frozen --package api --no-dev", {"shared", "click", "celery"}),
        ("uv sync --frozen --package api --no-default-groups", {"shared", "click"}),
        ("uv sync --frozen --package api", {"shared", "click", "celery"}),
        ("uv sync --frozen --package api --no-default-groups --group dev", {"shared", "click", "pytest"}),
    ],
)
def test_a_members_own_dependencies_in_a_workspace(tmp_path: Path, line: str, names: set[str]) -> None:
    seen = project(tmp_path, uv__lock=UV + ROWS, pyproject__toml=PYPROJECT, dockerfile=f"FROM a\nRUN {line}\n")
    assert isinstance(seen.lock, LockFile)
    assert set(resolve(seen.lock, IMAGE, seen.lock.chosen)) == names


POETRY = """
[tool.poetry.dependencies]
python = "^3.11"
flask = "^3"
celery = { version = "^5", extras = ["redis"] }
ipdb = { version = "*", optional = true }
[tool.poetry.group.dev.dependencies]
pytest = "*"
[tool.poetry.group.docs]
optional = true
[tool.poetry.group.docs.dependencies]
sphinx = "*"
"""
POETRY_LOCK = "".join(
    f'[[package]]\nname = "{name}"\nversion = "1"\ngroups = ["{group}"]\n'
    for name, group in (("flask", "main"), ("pytest", "dev"), ("sphinx", "docs"))
)


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("poetry install", {"flask", "pytest"}),
        ("poetry install --only main", {"flask"}),
        ("poetry install --without dev --with docs", {"flask", "sphinx"}),
        ("poetry sync --only=main,docs", {"flask", "sphinx"}),
    ],
)
def test_poetrys_groups(tmp_path: Path, line: str, names: set[str]) -> None:
    seen = project(tmp_path, poetry__lock=POETRY_LOCK, pyproject__toml=POETRY, dockerfile=f"FROM a\nRUN {line}\n")
    assert isinstance(seen.lock, LockFile)
    assert set(resolve(seen.lock, IMAGE, seen.lock.chosen)) == names
    assert seen.dependencies == ("flask", "celery[redis]")


def test_groups_alone_are_no_lock_to_compare_with(tmp_path: Path) -> None:
    lock = project(tmp_path, uv__lock=UV + ROWS, dockerfile="FROM a\nRUN uv sync --only-group jobs\n").lock
    assert isinstance(lock, Unavailable)
    both = "FROM a\nCOPY . .\nRUN uv sync --frozen\nRUN pip install -r more.txt\n"
    lock = project(tmp_path, more__txt="x==1\n", dockerfile=both).lock
    assert isinstance(lock, Unavailable)
    assert lock.reason == "the Dockerfile installs from uv.lock and from more.txt"
