"""Projects that mean harm: nothing of the host runs, is read or is kept because they say so, and it takes no long."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from tests.defects.commands import run

from seatrial import process

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.defects.yard import Yard

pytestmark = pytest.mark.engine

IMAGE = "seatrial-test/hostile"
SECRET = "s3ntinel-of-the-host"
MOST_MEMORY = 300_000_000
"""Bytes that a command may hold, whatever the project says."""

SETTINGS = f"""\
[tool.seatrial.apps.ship]
image = "{IMAGE}"
compose = "compose.yaml"

[tool.seatrial.apps.ship.contract]
modules = ["shipapp.web:app"]
"""
DOCKERFILE = 'FROM scratch\nCOPY . /app\nCMD ["/app"]\n'
COMPOSE = f"services:\n  web:\n    image: {IMAGE}\n"
SMOKE = ("seatrial", "smoke", "--stack", "--app", "ship")
UP = ("seatrial", "up", "--app", "ship")
BUILD = ("seatrial", "build", "--app", "ship")
UNTRUSTED = "--untrusted"


@dataclass(frozen=True, kw_only=True)
class Project:
    """A project's files, a command on it, and what the command says. `{outside}` is a folder of the host's."""

    name: str
    files: Mapping[str, str]
    words: tuple[str, ...]
    says: tuple[str, ...]
    code: int = 2
    within: float = 60
    environment: Mapping[str, str] = field(default_factory=dict)


def service(*lines: str, top: str = "") -> dict[str, str]:
    """Return a compose file whose only service has some more lines."""
    return {"compose.yaml": COMPOSE + "".join(f"    {line}\n" for line in lines) + top}


def bomb(levels: int, width: int = 9) -> str:
    rows = ["x-0: &x0 [" + ", ".join(["lol"] * width) + "]"]
    rows += [f"x-{n}: &x{n} [" + ", ".join([f"*x{n - 1}"] * width) + "]" for n in range(1, levels)]
    return "\n".join(rows) + "\n"


PROJECTS = (
    Project(
        name="a service that is root on the host",
        files=service("privileged: true", "pid: host", "ipc: host"),
        words=(*SMOKE, UNTRUSTED),
        says=("compose.yaml:4", "privileged", "compose.yaml:5", "pid", "compose.yaml:6", "ipc"),
    ),
    Project(
        name="a service that is root on the host in a trusted project",
        files=service("privileged: true"),
        words=SMOKE,
        says=("compose.yaml:4", "privileged", "--trust host"),
    ),
    Project(
        name="the whole host, to be read",
        files=service("volumes: ['/:/host:ro']"),
        words=(*SMOKE, UNTRUSTED),
        says=("compose.yaml:4", "/"),
    ),
    Project(
        name="the engine's socket, to be read",
        files=service("volumes: ['/var/run/docker.sock:/run/docker.sock:ro']"),
        words=SMOKE,
        says=("compose.yaml:4", "docker.sock"),
    ),
    Project(
        name="capabilities and devices",
        files=service("cap_add: [SYS_ADMIN]", "devices: ['/dev/kmsg:/dev/kmsg']"),
        words=(*UP, UNTRUSTED),
        says=("compose.yaml:4", "SYS_ADMIN", "compose.yaml:5", "/dev/kmsg"),
    ),
    Project(
        name="a secret from elsewhere",
        files=service("secrets: [it]", top="secrets:\n  it:\n    file: {outside}/secret\n"),
        words=(*SMOKE, UNTRUSTED),
        says=("compose.yaml", "secret"),
    ),
    Project(
        name="an env file from elsewhere",
        files=service("env_file: ['{outside}/secret']"),
        words=(*UP, UNTRUSTED),
        says=("compose.yaml:4", "secret"),
    ),
    Project(
        name="another compose file from elsewhere",
        files=service(top="include: ['{outside}/other.yaml']\n"),
        words=(*UP, UNTRUSTED),
        says=("compose.yaml:4", "other.yaml"),
    ),
    Project(
        name="a variable of the host's",
        files=service("environment: ['TOKEN=${AWS_SECRET_ACCESS_KEY}']"),
        words=(*UP, UNTRUSTED),
        says=("compose.yaml:4", "AWS_SECRET_ACCESS_KEY"),
        environment={"AWS_SECRET_ACCESS_KEY": SECRET},
    ),
    Project(
        name="a program of the host's as a provider",
        files=service("provider: {type: harm}"),
        words=(*UP, UNTRUSTED),
        says=("compose.yaml:4", "provider"),
    ),
    Project(
        name="aliases of aliases in the compose file",
        files=service(top=bomb(9)),
        words=UP,
        says=("compose.yaml",),
        within=20,
    ),
    Project(
        name="a compose file that is the host's own file",
        files={"compose.yaml": "-> {outside}/secret"},
        words=(*UP, UNTRUSTED),
        says=("outside of the project", "not trusted"),
    ),
    Project(
        name="the folder above as its context",
        files={"pyproject.toml": SETTINGS.replace("image =", 'context = ".."\nimage =')},
        words=(*BUILD, UNTRUSTED),
        says=("context",),
    ),
    Project(
        name="all capabilities in the contract",
        files={"pyproject.toml": f'{SETTINGS}capabilities = ["ALL"]\n'},
        words=("seatrial", "smoke", "--app", "ship"),
        says=("ALL", "--trust host"),
    ),
    Project(
        name="a module of checks",
        files={
            "pyproject.toml": f'[tool.seatrial]\nchecks = ["harm"]\n{SETTINGS}',
            "harm.py": "import pathlib\npathlib.Path('{outside}/ran').write_text('x')\n",
        },
        words=("seatrial", "smoke", "--app", "ship", UNTRUSTED),
        # The rest of the smoke is made, and fails for this project's other faults.
        says=("the checks of harm are not asked",),
        code=1,
    ),
    Project(
        name="stars in the ignore file",
        files={".dockerignore": f"{'*a' * 40}b\n", "a" * 120: ""},
        words=("seatrial", "smoke", "--app", "ship", "--level", "quick"),
        says=(),
        code=1,
        within=60,
    ),
    Project(
        name="a netrc in a layer",
        files={
            "Dockerfile": "FROM seatrial-test/hostile\nUSER 0\n"
            "RUN --mount=type=secret,id=netrc,target=/run/netrc cp /run/netrc /netrc; exit 1\n"
        },
        words=(*BUILD, UNTRUSTED),
        says=("not trusted", "not netrc"),
        code=1,
    ),
)


@pytest.fixture(scope="module", autouse=True)
def image(yard: Yard) -> Iterator[None]:
    yard.engine.client.images.get(yard.bases["clean"]).tag(IMAGE, "latest")
    yield
    yard.engine.client.images.remove(f"{IMAGE}:latest")


def written(folder: Path, files: Mapping[str, str], outside: Path) -> None:
    for name, text in {"Dockerfile": DOCKERFILE, "pyproject.toml": SETTINGS, "compose.yaml": COMPOSE, **files}.items():
        body = text.replace("{outside}", str(outside))
        if body.startswith("-> "):
            (folder / name).symlink_to(body[3:])
        else:
            (folder / name).write_text(body, encoding="utf-8")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Return a folder beside the project, with a secret, and programs that leave a mark where one is run."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_text(f"TOKEN={SECRET}\n", encoding="utf-8")
    (folder / "other.yaml").write_text(f"x-secret: {SECRET}\nservices: {{}}\n", encoding="utf-8")
    (folder / "home").mkdir()
    (folder / "home" / ".netrc").write_text(f"machine example.org login a password {SECRET}\n", encoding="utf-8")
    (folder / "home" / ".netrc").chmod(0o600)
    (folder / "bin").mkdir()
    for name in ("harm", "docker-harm", "docker-compose-harm"):
        (folder / "bin" / name).write_text(f"#!/bin/sh\ntouch {folder}/ran\n", encoding="utf-8")
        (folder / "bin" / name).chmod(0o755)
    return folder


@pytest.mark.parametrize("project", PROJECTS, ids=[entry.name.replace(" ", "-") for entry in PROJECTS])
def test_nothing_of_the_host_is_touched(yard: Yard, tmp_path: Path, outside: Path, project: Project) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    written(folder, project.files, outside)
    environment = {
        "NETRC": str(outside / "home" / ".netrc"),
        "PATH": f"{outside / 'bin'}:{os.environ['PATH']}",
        **project.environment,
    }
    ended = run(*project.words, folder=folder, within=project.within, environment=environment)
    if "up" in project.words and ended.code == 0:
        # It should not have come up at all.
        run("seatrial", "down", "--app", "ship", "--volumes", "--yes", folder=folder)
    said = ended.out + ended.errors
    assert ended.code == project.code, said
    assert [text for text in project.says if text not in said] == [], said
    assert SECRET not in said
    assert "Traceback" not in said
    assert "bug" not in ended.errors
    assert not (outside / "ran").exists()
    assert ended.memory < MOST_MEMORY
    assert yard.left_behind() == []


def test_a_context_that_looks_like_a_repository_is_not_run(yard: Yard, tmp_path: Path, outside: Path) -> None:
    folder = tmp_path / "project"
    process.run(["git", "init", "--quiet", "--bare", folder], timeout=20)
    script = outside / "bin" / "harm"
    with (folder / "config").open("a", encoding="utf-8") as config:
        config.write(f'[core]\n\tfsmonitor = "{script}"\n\tworktree = "."\n')
    labels = "ARG REVISION\nLABEL org.opencontainers.image.revision=$REVISION\n"
    written(folder, {"Dockerfile": DOCKERFILE.replace("COPY", f"{labels}COPY")}, outside)
    name = "seatrial-test/like-a-repository"
    (folder / "pyproject.toml").write_text(SETTINGS.replace(IMAGE, name), encoding="utf-8")
    ended = run(*BUILD, folder=folder)
    yard.engine.client.images.remove(f"{name}:latest")
    assert ended.code == 0, ended.errors
    assert not (outside / "ran").exists()
