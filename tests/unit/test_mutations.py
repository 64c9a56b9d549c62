"""Settings, Dockerfiles and compose files that somebody has broken: each is read, or refused in plain words."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.unit.factories import facts
from tests.unit.source_factories import sources

from seatrial import doctor
from seatrial.checks.registry import CHECKS
from seatrial.checks.verdict import judge
from seatrial.compose import guard
from seatrial.compose.reach import Surroundings
from seatrial.compose.reading import read_ahead
from seatrial.compose.runner import identify
from seatrial.compose.services import own_images
from seatrial.compose.text import ComposeText, line_of, read_text
from seatrial.compose.variables import check_variables
from seatrial.dockerfile import DockerfileError, bases, parse, secret_mounts, without_syntax
from seatrial.errors import SeatrialError
from seatrial.facts import ComposeSource, DockerfileSource, Unavailable
from seatrial.host import Host
from seatrial.images.plan import plan_build, read_dockerfile
from seatrial.observe.project.declared import read_project_facts
from seatrial.observe.project.sources import read_context
from seatrial.settings.model import Contract
from seatrial.settings.read import read_project
from seatrial.smoke import app_target
from seatrial.stack.plan import compose_file
from seatrial.trust import Trust

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
SETTINGS = (ROOT / "pyproject.toml", *ROOT.glob("examples/*/pyproject.toml"))
DOCKERFILES = (*ROOT.glob("docker/*/Dockerfile"), ROOT / "tests/defects/the_plan/Dockerfile")
COMPOSE_FILES = tuple(ROOT.glob("docker/*/compose.yaml"))
ROUNDS = {"settings": 600, "Dockerfiles": 500, "compose files": 500}
NO_MODEL = Unavailable(reason="compose was not asked")
SECONDS = 120.0
"""Of processor time that all rounds of a kind may take."""
WORDS = (
    *("", " ", "\t", "\r", "\0", "\x85", "\u2028", "é", "'", '"', '"""', "\\", "\\\n", "${", "${A:-${B:?c}}", "$$"),
    *("}", "[", "]", "{}", "[]", "[[", "=", ":", ",", "#", "%", "@", "~", "- ", "? ", "|\n", ">-\n", "---\n", "&a "),
    *("*a", "<<: *a", "!!binary ", "!reset ", "null", "true", "no", "-1", "0", "0x", "1e999", "nan", "9" * 400),
    *("1979-05-27", "08:30:00", "a" * 5000, "../..", "/", "/etc", "FROM ", "FROM scratch AS x\n", "RUN <<EOF\n"),
    *("ONBUILD ", "--mount=type=secret,id=", "--from=9", "ARG A=${A}\n", "HEALTHCHECK ", "COPY . ", "services:\n"),
    *(
        "\\u0000",
        '"\\u0000"',
        "\\ud800",
        '"' + "b" * 300 + '"',
        "build: .\n",
        "include: [compose.yaml]\n",
        "extends: {file: compose.yaml}\n",
    ),
)


def mutated(text: str, chosen: random.Random) -> str:
    """Return a text that differs in one to four places."""
    for _ in range(chosen.randint(1, 4)):
        lines = text.split("\n")
        at, other = chosen.randrange(len(lines)), chosen.randrange(len(lines))
        place = chosen.randrange(len(text) + 1)
        match chosen.randrange(7):
            case 0:
                del lines[at : at + chosen.randint(1, 3)]
                text = "\n".join(lines)
            case 1:
                lines.insert(at, lines[other])
                text = "\n".join(lines)
            case 2:
                lines[at] = chosen.choice(("", " ", "  ", "\t", "    ")) + lines[at].strip()
                text = "\n".join(lines)
            case 3:
                text = text[:place] + text[place + chosen.randint(1, 40) :]
            case 4:
                separator = chosen.choice("=: ")
                lines[at] = f"{lines[at].partition(separator)[0]}{separator}{chosen.choice(WORDS)}"
                text = "\n".join(lines)
            case _:
                text = text[:place] + chosen.choice(WORDS) + text[place:]
    return text


def host(folder: Path, trust: Trust) -> Host:
    return Host(environment={"PATH": "/bin"}, home=folder / "home", data=folder, cache=folder, trust=trust)


def read_settings(folder: Path) -> None:
    read_project_facts(folder, folder / "Dockerfile")
    project = read_project(folder)
    list(doctor._settings(lambda: project))  # noqa: SLF001 - the rest asks the host
    for name, app in project.settings.apps.items():
        identify(project, name)
        own_images(project)
        for trust in (Trust.NONE, Trust.PROJECT):
            try:
                app_target(project, name, app.pythons[0] if app.pythons else None, trust=trust)
                plan_build(project, name, trust=trust)
                compose_file(project, name)
            except SeatrialError as error:
                assert_plain(error)


def read_a_dockerfile(folder: Path) -> None:
    file = folder / "Dockerfile"
    text = read_dockerfile(file, where="Dockerfile", named="it")
    without_syntax(text)
    parsed = parse(text)
    secret_mounts(parsed, {})
    read_context(folder, file, ".", folder)
    changed = DockerfileSource(path="Dockerfile", parsed=parsed, bases=bases(parsed, {}, {}))
    judge_all(facts(sources=sources(dockerfile=changed)), "dockerfile/", "context/", "secrets/")


def read_a_compose_file(folder: Path) -> bool:
    file = folder / "compose.yaml"
    around = Surroundings(project=folder, home=folder / "home")
    content = file.read_bytes()
    text = read_text(content)
    for message in ("services.api.ports.0 must be", "line 3: x", "additional properties 'x'", "containerPort: 80"):
        line_of(message, content.decode("utf-8", "replace"))
    if isinstance(text, ComposeText):
        list(check_variables(file, text, {}))
        source = ComposeSource(
            path="compose.yaml", model=NO_MODEL, values=text.values, variables=text.variables, files=text.files
        )
        judge_all(facts(sources=sources(compose=source)), "compose/")
    for trust in (Trust.PROJECT, Trust.NONE):
        reading = read_ahead(file, around, host(folder, trust))
        for read in reading.texts:
            document = guard._rough(read)  # noqa: SLF001 - what is said of a text that compose does not get to see
            guard.findings(reading, document, trust, smoke=True)
    return not isinstance(text, ComposeText)


def judge_all(seen: object, *families: str) -> None:
    for check in CHECKS:
        if check.id.startswith(families):
            judge(check, seen, Contract())  # type: ignore[arg-type]


def assert_plain(error: SeatrialError) -> None:
    assert str(error)
    assert "Traceback" not in f"{error} {error.detail}"


@pytest.mark.parametrize(
    ("kind", "files", "name", "read"),
    [
        ("settings", SETTINGS, "pyproject.toml", read_settings),
        ("Dockerfiles", DOCKERFILES, "Dockerfile", read_a_dockerfile),
        ("compose files", COMPOSE_FILES, "compose.yaml", read_a_compose_file),
    ],
)
def test_no_broken_file_gives_a_traceback(
    tmp_path: Path, kind: str, files: tuple[Path, ...], name: str, read: Callable[[Path], bool | None]
) -> None:
    chosen = random.Random(1600)  # noqa: S311 - a fixed seed
    (tmp_path / "Dockerfile").write_text("FROM scratch\n", encoding="utf-8")
    texts = [file.read_text(encoding="utf-8") for file in files]
    began, refused = time.process_time(), 0
    for number in range(ROUNDS[kind]):
        text = mutated(chosen.choice(texts), chosen)
        (tmp_path / name).write_bytes(text.encode("utf-8", "surrogateescape"))
        try:
            refused += bool(read(tmp_path))
        except (SeatrialError, DockerfileError) as error:
            refused += 1
            if isinstance(error, SeatrialError):
                assert_plain(error)
        except Exception as error:
            kept = tmp_path / f"{number}-{name}"
            kept.write_text(text, encoding="utf-8")
            raise AssertionError(f"{kind}, round {number}, in {kept}: {error!r}") from error
    assert 0 < refused < ROUNDS[kind]
    assert time.process_time() - began < SECONDS
