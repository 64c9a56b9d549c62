"""What `init` writes into a project, and when it writes nothing."""

from __future__ import annotations

import errno
import io
import json
import sys
import tomllib
from pathlib import Path
from typing import Any

import invoke
import pytest
from tests.unit.project_shapes import SHAPES

from seatrial import filesystem, scaffold
from seatrial.cli.init import init
from seatrial.errors import SettingsError
from seatrial.settings.read import OWN, read_project

PYTHON = 'FROM python:3.13-slim\nCOPY . .\nCMD ["uvicorn", "shop:app"]\n'
FASTAPI = "from fastapi import FastAPI\napp = FastAPI()\n"
PYPROJECT = '[project]\nname = "My_Shop"\ndependencies = ["fastapi", "uvicorn"]\n'
SOURCES = {"shop.py": FASTAPI, "pyproject.toml": PYPROJECT}
SHOP = {"Dockerfile": PYTHON, **SOURCES}


class Folder:
    """A project in which init is run; the current folder."""

    def __init__(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.path = path
        self._capsys = capsys

    def write(self, files: dict[str, str]) -> Folder:
        for name, text in files.items():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).write_text(text, encoding="utf-8")
        return self

    def init(self, **options: Any) -> str:
        """Run init; return what it printed."""
        init(invoke.Context(), **options)
        return self._capsys.readouterr().out

    def refusal(self, **options: Any) -> str:
        """Run init, which must refuse; return its error."""
        before = self.content()
        with pytest.raises(invoke.Exit):
            init(invoke.Context(), **options)
        assert self.content() == before, "nothing is written"
        return self._capsys.readouterr().err

    def content(self) -> dict[str, bytes]:
        return {str(file): file.read_bytes() for file in sorted(self.path.rglob("*")) if file.is_file()}

    @property
    def settings(self) -> str:
        return (self.path / OWN).read_text(encoding="utf-8")

    @property
    def declared(self) -> dict[str, Any]:
        return tomllib.loads(self.settings)["apps"]  # type: ignore[no-any-return]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Folder:
    path = tmp_path / "handmade"
    path.mkdir()
    monkeypatch.chdir(path)
    return Folder(path, capsys)


# --- what is written ----------------------------------------------------------------------------------------


def test_a_project_with_one_dockerfile(folder: Folder) -> None:
    folder.write(
        {
            **SHOP,
            "compose.yml": "services: {web: {image: my-shop}}\n",
            "compose.prod.yml": "services: {web: {image: my-shop:2}}\n",
        }
    ).init()
    (app,) = read_project(folder.path).settings.apps.items()
    assert (app[0], app[1].context, app[1].dockerfile, app[1].compose) == ("my-shop", ".", "Dockerfile", "compose.yml")
    assert (folder.path / "tasks.py").read_text() == scaffold.TASKS
    assert (folder.path / "pyproject.toml").read_text() == PYPROJECT, "its layer of a Dockerfile stays"
    before = folder.content()
    assert "nothing to do" in folder.init()
    assert folder.content() == before


COMPOSE = """\
services:
  db: {image: "postgres:17"}
  web:
    build: {context: ., dockerfile: docker/app.Dockerfile, target: prod, args: {UID: "${UID:-1000}", API_TOKEN: x}}
    image: registry.example/shop/web:latest
    command: gunicorn --bind 0.0.0.0:9000 shop.wsgi
    ports: ["80:8000"]
    healthcheck: {test: [CMD, curl, "http://localhost:9000/ready"]}
  worker:
    build: {context: ., dockerfile: docker/app.Dockerfile, target: prod, args: {UID: "${UID:-1000}", API_TOKEN: x}}
    command: celery -A shop worker
"""


def test_what_the_compose_file_says_is_written_with_its_lines(folder: Folder) -> None:
    folder.write(
        {
            "compose.yaml": COMPOSE,
            "compose.override.yaml": "services: {web: {build: {target: dev}, command: flask run}}\n",
            "docker/app.Dockerfile": "FROM python:3.13 AS prod\nENV GIVEN=1\nCOPY shop shop\n",
            "shop/__init__.py": "",
            "shop/wsgi.py": "from flask import Flask\napplication = Flask(__name__)\n",
            "shop/settings.py": (
                "from pydantic_settings import BaseSettings\nfrom pydantic import EmailStr\n"
                "class Settings(BaseSettings):\n    admin: EmailStr\n    debug: bool\n    given: str\n"
                "    database_url: str\n    api_key: str\n    rest: int = 1\n"
            ),
            "requirements.txt": "flask\ngunicorn\nsqlalchemy\nasyncpg\npydantic-settings\n",
        }
    ).init()
    assert folder.declared == {
        "handmade": {
            "context": ".",
            "dockerfile": "docker/app.Dockerfile",
            "target": "prod",
            "build-arguments": {"UID": "1000"},
            "image": "registry.example/shop/web",
            "compose": "compose.yaml",
            "command": ["gunicorn", "--bind", "0.0.0.0:9000", "shop.wsgi"],
            "contract": {
                "modules": ["shop.wsgi:application"],
                "environment": {
                    "ADMIN": "nobody@example.com",
                    "DEBUG": "false",
                    "DATABASE_URL": "postgresql+asyncpg://app:made-up@localhost:5432/app",
                    "API_KEY": "made-up",
                },
                "stack": {"service": "web", "port": 9000, "ready": "/ready"},
            },
        }
    }
    assert 'target = "prod"  # compose.yaml:4' in folder.settings
    assert 'service = "web"  # compose.yaml:3; its image also runs worker' in folder.settings
    assert all("  # " in line for line in folder.settings.splitlines() if " = " in line)


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_written_is_read_again(folder: Folder, shape: str) -> None:
    """Each shape with a Dockerfile is adopted; the others are refused, and nothing is written."""
    before = folder.write(SHAPES[shape][0]).content()
    try:
        folder.init()
    except invoke.Exit:
        assert folder.content() == before
    else:
        project = read_project(folder.path)
        assert project.settings.apps
        assert all(project.dockerfile(app).is_file() for app in project.settings.apps.values())


def test_what_is_a_guess_is_a_comment(folder: Folder) -> None:
    image = 'FROM python\nCOPY . .\nCMD ["/start"]\n'
    compose = "services: {web: {image: 'registry/other:2'}, db: {image: postgres}}\n"
    folder.write({"Dockerfile": image, "compose.yaml": compose, "one.py": FASTAPI, "two.py": FASTAPI}).init()
    assert "contract" not in folder.declared["handmade"]
    assert "compose" not in folder.declared["handmade"]
    assert (
        '# compose = "compose.yaml"  # a guess: it runs registry/other:2, postgres; with `image = NAME`'
        in folder.settings
    )
    assert '# modules = ["one:app"]  # ' in folder.settings
    assert "a guess: several could be served: one:app, two:app" in folder.settings


def test_a_dashboards_port_is_not_the_web_servers(folder: Folder) -> None:
    celery = "celery --broker=redis://redis:6379/0 flower --port=5555"
    services = (
        "  web:\n    build: .\n    command: uvicorn main:app --host 0.0.0.0\n    ports: ['8004:8000']\n"
        f"  dashboard:\n    build: .\n    command: {celery}\n    ports: ['5556:5555']\n"
    )
    image = "FROM python:3.13-slim\nCOPY requirements.txt .\nRUN pip install -r requirements.txt\nCOPY . .\n"
    requirements = "fastapi==0.1\nuvicorn==0.1\ncelery==5.1\nflower==1.0\n"
    files = {"Dockerfile": image, "compose.yaml": f"services:\n{services}", "requirements.txt": requirements}
    folder.write({**files, "main.py": FASTAPI}).init()
    (app,) = folder.declared.values()
    assert app["contract"]["stack"] == {"service": "web"}


def test_a_project_with_many_dockerfiles(folder: Folder) -> None:
    names = ("services/api", "docker/worker", "legacy/api", 'a"b\\c', "\u00e9t\u00e9")
    without = ("node_modules/x", ".venv", "a/b/c/d/e/f")
    images = {f"{name}/Dockerfile": PYTHON for name in (*names, *without)}
    folder.write(images | {"services/api/pyproject.toml": PYPROJECT}).init()
    assert {app["dockerfile"] for app in folder.declared.values()} == {f"{name}/Dockerfile" for name in names}
    assert any(app["context"] == "services/api" for app in folder.declared.values())


OWN_BASE = 'FROM registry.example/base:1\nCOPY . .\nCMD ["serve"]\n'


@pytest.mark.parametrize(
    "files",
    [
        {"Dockerfile": OWN_BASE},
        {"Dockerfile": OWN_BASE, "compose.yaml": "services:\n  web:\n    build: .\n"},
        {
            "docker/Dockerfile": OWN_BASE,
            "docker/db.Dockerfile": "FROM registry.example/postgres:17\n",
            "compose.yaml": (
                "services:\n  web: {build: {context: ., dockerfile: docker/Dockerfile}}\n"
                "  db: {build: {context: ., dockerfile: docker/db.Dockerfile}}\n"
            ),
        },
    ],
    ids=["alone", "by compose", "by compose, beside a database"],
)
def test_a_base_of_the_projects_own_may_bring_python(folder: Folder, files: dict[str, str]) -> None:
    folder.write({**SOURCES, **files}).init()
    assert list(folder.declared) == ["my-shop"]
    assert folder.declared["my-shop"]["dockerfile"] in files


def test_an_image_of_another_language_beside_a_project_without_one_is_left_alone(folder: Folder) -> None:
    front = {"front/Dockerfile": "FROM node:22\n", "compose.yaml": "services:\n  front:\n    build: front\n"}
    folder.write(SOURCES | front).init()
    assert list(folder.declared) == ["my-shop"]
    assert (folder.path / "Dockerfile").read_text(encoding="utf-8").startswith("#")


# --- answers ------------------------------------------------------------------------------------------------

ASKING = {"Dockerfile": 'ARG BASE\nFROM ${BASE}\nRUN pip install x\nCMD ["/x"]\n', "one.py": FASTAPI, "two.py": FASTAPI}


def test_what_a_build_needs_is_asked_for_by_its_option(folder: Folder) -> None:
    assert "Dockerfile:1: build argument BASE of handmade is not known" in (said := folder.write(ASKING).refusal())
    assert "--build-argument BASE=VALUE" in said
    assert "is not an argument" in folder.refusal(build_argument=["BASE"])
    assert "there is no such app" in folder.refusal(module=["x=one:app"])
    assert "there is no folder x" in folder.refusal(build_argument=["BASE=python:3.13"], context=["x"])
    assert "says no name" in folder.refusal(name=["!!"])
    assert "expected a module" in folder.refusal(build_argument=["BASE=python:3.13"], module=["one app"])
    folder.init(build_argument=["BASE=python:3.13"], module=["two:app"], name=["Shop Front"], context=["handmade=."])
    app = folder.declared["shop-front"]
    assert (app["build-arguments"], app["contract"]["modules"]) == ({"BASE": "python:3.13"}, ["two:app"])


def test_what_a_compose_file_takes_from_its_environment_is_asked_for(folder: Folder) -> None:
    built = "a: {build: {context: ., args: [BASE, X=1]}, ports: ['80']}"
    compose = f"services:\n  {built}\n  b: {{build: {{dockerfile_inline: FROM x}}}}\n"
    assert "--build-argument BASE=VALUE" in folder.write({**ASKING, "compose.yaml": compose}).refusal()
    folder.init(build_argument=["BASE=python:3.13"])
    app = folder.declared["a"]
    assert (app["build-arguments"], "stack" in app.get("contract", {})) == ({"X": "1", "BASE": "python:3.13"}, False)


def test_a_person_is_asked_once_for_each_thing(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stdin", Terminal("\npython:3.13\n\n"))
    monkeypatch.setattr(sys, "stderr", screen)
    folder.write(ASKING).init()
    app = folder.declared["handmade"]
    assert (app["build-arguments"], app["contract"]["modules"]) == ({"BASE": "python:3.13"}, ["one:app"])
    assert "build argument BASE of handmade (Dockerfile:1: a FROM needs it, and it has no value): " in screen.getvalue()
    assert screen.getvalue().endswith("several could be served: one:app, two:app) [one:app]: ")


# --- where nothing is written -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "error"),
    [
        ({}, "no Python project"),
        ({"main.go": "package main", "Dockerfile": "FROM golang\n"}, "no Python project"),
        ({"shop.py": FASTAPI}, "shop.py:2: no ASGI server is among its dependencies"),
        ({**SHOP, "pyproject.toml": "x = [\ny ="}, "pyproject.toml:2:1: is not TOML"),
        ({**SHOP, "Dockerfile": "FROM python\n  RUNN pip install x\n"}, "Dockerfile:2:3: unknown instruction RUNN"),
        ({**SHOP, "Dockerfile": "RUN x\nFROM python\n"}, "Dockerfile:1:1: RUN stands before the first FROM"),
        ({**SHOP, "Dockerfile": "FROM python base\n"}, "Dockerfile:1:1: FROM takes an image, or an image, AS and"),
        ({**SHOP, "Dockerfile": "FROM python\nRUN <<-EOF\n\tx\n"}, "Dockerfile:2:1: the heredoc EOF has no end"),
        ({**SHOP, "Dockerfile": "FROM python\0\n"}, "Dockerfile: cannot be read: it is not a text file"),
        ({**SHOP, "compose.yaml": "services:\n  web: {build: .\n"}, "compose.yaml:3:1: invalid YAML"),
        ({**SHOP, "compose.yaml": "services: {web: {build: ..}}\n"}, "compose.yaml:1: the build context .. leads out"),
        ({**SHOP, "seatrial.toml": "apps = 3\n"}, "seatrial.toml:1: apps: expected a table"),
        ({**SHOP, "pyproject.toml": PYPROJECT + "[tool]\nseatrial = {engine = {suite = 'x'}}\n"}, "no table can be"),
        ({**SHOP, "seatrial.toml": "", "pyproject.toml": "[tool.seatrial.engine]\nsuite = 'x'\n"}, "in two files"),
        ({**SHOP, "seatrial.toml": "[engine]\nsuite = 'forky'\n"}, "seatrial.toml exists, and is left as it is"),
        ({**SHOP, "seatrial.toml/x": ""}, "seatrial.toml: is a folder"),
        ({**SHOP, "tasks.py/x": ""}, "tasks.py: is a folder"),
    ],
)  # fmt: skip
def test_what_keeps_init_from_writing_is_one_line(folder: Folder, files: dict[str, str], error: str) -> None:
    said = folder.write(files).refusal()
    assert error in said
    assert len(said.splitlines()) == 1 or "no table can be" in error, said


@pytest.mark.parametrize("name", ["seatrial.toml", "tasks.py"])
@pytest.mark.parametrize("there", [True, False])
def test_init_writes_through_no_link_out_of_the_project(folder: Folder, name: str, there: bool) -> None:
    outside = folder.path.parent / "outside"
    if there:
        outside.write_text("")
    folder.write(SHOP)
    (folder.path / name).symlink_to(outside)
    # A tasks.py that is there is left alone, wherever it lies.
    if there and name == "tasks.py":
        folder.init()
    else:
        assert f"{name}: is a link to {outside}, outside of the project" in folder.refusal()
    assert outside.read_bytes() == b"" if there else not outside.exists()


def test_what_exists_is_changed_with_consent_alone(folder: Folder) -> None:
    folder.write(SHOP | {"seatrial.toml": "# mine\n[engine]\nsuite = 'forky'\n"})
    printed = folder.init(force=True)
    assert "+[apps.my-shop]" in printed
    assert folder.settings.startswith("# mine\n[engine]\nsuite = 'forky'\n\n[apps.my-shop]\n")
    (folder.path / OWN).write_text(folder.settings.replace('"."', '"x"'))
    assert "nothing to do" in folder.init()
    assert '-context = "x"' in folder.init(force=True)
    assert folder.declared["my-shop"]["context"] == "."


def test_a_workflow_that_leads_out_is_refused_before_anything_is_written(folder: Folder) -> None:
    folder.write(SHOP)
    (folder.path / ".github").symlink_to(folder.path.parent)
    before = sorted(file.name for file in folder.path.iterdir())
    assert "images.yml: is a link to" in folder.refusal(ci="github")
    assert sorted(file.name for file in folder.path.iterdir()) == before


def test_settings_in_pyproject_stay_there(folder: Folder) -> None:
    before = PYPROJECT + "[tool.seatrial.engine]\nsuite = 'forky'"
    folder.write({**SHOP, "pyproject.toml": before}).init(force=True)
    assert not (folder.path / OWN).exists()
    assert (folder.path / "pyproject.toml").read_text().startswith(f"{before}\n\n[tool.seatrial.apps.my-shop]\n")
    assert list(read_project(folder.path).settings.apps) == ["my-shop"]


def test_a_disk_that_refuses_the_second_file_gets_none(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Path.write_bytes

    def refuse(file: Path, data: bytes) -> int:
        if "tasks" in file.name:
            raise OSError(errno.EROFS, "Read-only file system", str(file))
        return write(file, data)

    monkeypatch.setattr(Path, "write_bytes", refuse)
    said = folder.write(SHOP).refusal()
    assert "cannot be written: Read-only file system; nothing was." in said


def test_files_that_are_written_together_are_all_as_before_where_one_fails(tmp_path: Path) -> None:
    old, new, target = tmp_path / "old", tmp_path / "new", tmp_path / "target"
    old.write_text("before")
    target.mkdir()
    with pytest.raises(OSError, match="target"):
        filesystem.replace_all({old: b"after", new: b"x", target: b"x"})
    assert (old.read_text(), sorted(tmp_path.iterdir())) == ("before", [old, target])


# --- where settings are read from -----------------------------------------------------------------------------


def test_settings_are_read_from_a_file_of_their_own(folder: Folder) -> None:
    folder.write({**SHOP, OWN: "[apps.api]\ncontext = 'x'\n", "inner/x": ""})
    project = read_project(folder.path / "inner")
    assert (project.name, list(project.settings.apps), project.file.name) == ("My_Shop", ["api"], OWN)
    with pytest.raises(SettingsError, match=r"seatrial\.toml \[apps\]"):
        project.app("apy")
    folder.write({OWN: "\n[apps.api]\ncontxt = 'x'\n"})
    with pytest.raises(SettingsError, match=r"seatrial\.toml:3: apps\.api: the key 'contxt'"):
        read_project(folder.path)
    folder.write({"pyproject.toml": "[project]\n[tool.seatrial.apps.b]\n"})
    with pytest.raises(SettingsError, match=r"seatrial\.toml: .*two files.*\[tool\.seatrial\] of .*pyproject\.toml:2"):
        read_project(folder.path)


def test_a_dry_run_as_json_holds_the_settings(folder: Folder) -> None:
    document = json.loads(folder.write(SHOP).init(dry_run=True, format="json"))
    assert "[apps.my-shop]" in document["writes"][str(folder.path / OWN)]
    assert not (folder.path / OWN).exists()
