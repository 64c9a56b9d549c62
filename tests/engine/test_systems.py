"""The two systems, from source to a proven, running container, by the commands that a person gives."""

from __future__ import annotations

import json
import mmap
import re
import secrets
import shutil
import subprocess
import sys
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import certifi
import pytest
from tests.installers import installs_that_ran

from seatrial.checks.model import Level
from seatrial.checks.registry import among_services
from seatrial.engine.find import find_engine
from seatrial.errors import EngineError
from seatrial.host import this_host
from seatrial.images.build import build
from seatrial.images.plan import plan_build
from seatrial.images.progress import StepState
from seatrial.images.secrets.credentials import find_secrets
from seatrial.settings.read import read_project

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.engine.find import Engine
    from seatrial.images.build import BuildResult
    from seatrial.images.plan import BuildPlan
    from seatrial.images.progress import Event

pytestmark = pytest.mark.engine

CHECKOUT = Path(__file__).parents[2]
APPS = ("course-supporter", "weather-agent")
IMAGES = "seatrial-test/systems"
"""What the images are named below: the developer's own stay as they are."""
PORT = 18431


class Silent:
    """Watches a build and says nothing."""

    def began(self, plan: BuildPlan) -> None:
        """Say nothing."""

    def say(self, message: str) -> None:
        """Say nothing."""

    def event(self, event: Event) -> None:
        """Say nothing."""

    def ended(self, result: BuildResult) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def engine() -> Engine:
    try:
        return find_engine(this_host())
    except EngineError as error:
        pytest.skip(f"NOT RUN: {error}")


@pytest.fixture(scope="module")
def project(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the project: images, a stack and an .env of its own."""
    copy = tmp_path_factory.mktemp("systems") / "project"
    copy.mkdir()
    skipped = shutil.ignore_patterns(".env", ".venv", "__pycache__", ".*_cache")
    for folder in ("docker", "examples"):
        shutil.copytree(CHECKOUT / folder, copy / folder, ignore=skipped)
    settings = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8")
    for app in APPS:
        table = f"[tool.seatrial.apps.{app}]\n"
        assert table in settings
        settings = settings.replace(table, f'{table}image = "{IMAGES}/{app}"\n')
        compose = copy / "docker" / app / "compose.yaml"
        text = compose.read_text(encoding="utf-8")
        assert f" image: {app}:" in text
        compose.write_text(text.replace(f" image: {app}:", f" image: {IMAGES}/{app}:"), encoding="utf-8")
    (copy / "pyproject.toml").write_text(settings, encoding="utf-8")
    yield copy
    names = [name for image in engine.client.api.images() for name in image["RepoTags"] or ()]
    for name in names:
        if name.startswith(f"{IMAGES}/"):
            engine.client.images.remove(name, force=True)


def seatrial(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "seatrial", *words], cwd=folder, capture_output=True, text=True, timeout=800, check=False
    )


def ask(path: str, *, method: str = "GET", body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{PORT}{path}", method=method, data=data, headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return json.load(answer)


@pytest.mark.core
@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("app", APPS)
def test_an_app_is_built_and_passes_its_smoke(app: str, project: Path) -> None:
    built = seatrial("build", "--app", app, folder=project)
    assert built.returncode == 0, built.stderr
    assert f"Built {IMAGES}/{app}:py3." in built.stderr
    smoked = seatrial("smoke", "--app", app, "--format", "json", folder=project)
    assert smoked.returncode == 0, smoked.stdout + smoked.stderr
    report = json.loads(smoked.stdout)
    assert report["verdict"] == "pass"
    assert {entry["id"]: entry["status"] for entry in report["checks"] if entry["status"] not in {"pass", "skip"}} == {}
    assert report["counts"]["pass"] >= 18


@pytest.mark.parametrize("app", APPS)
def test_a_saved_image_is_judged_the_same_without_an_engine(
    app: str, project: Path, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert seatrial("build", "--app", app, folder=project).returncode == 0
    name = f"{IMAGES}/{app}:py{read_project(project).app(app).pythons[0]}"
    archive = tmp_path / "image.tar"
    with archive.open("wb") as file:
        file.writelines(engine.client.images.get(name).save())
    quick = json.loads(seatrial("smoke", "--app", app, "--level", "quick", "--format", "json", folder=project).stdout)
    monkeypatch.setenv("DOCKER_HOST", "tcp://engine.invalid:1")
    saved = seatrial("smoke", "--app", app, "--archive", str(archive), "--format", "json", folder=project)
    report = json.loads(saved.stdout)
    assert (saved.returncode, report["verdict"]) == (0, "pass"), saved.stderr
    asked = {entry["id"]: entry["status"] for entry in report["checks"] if not entry["actual"].startswith("not run")}
    same = {entry["id"]: entry["status"] for entry in quick["checks"] if entry["id"] in asked}
    assert len(same) > 40
    assert {check: asked[check] for check in same} == same


@pytest.mark.usefixtures("engine")
def test_the_list_of_parts_is_what_pip_and_dpkg_list(project: Path, engine: Engine) -> None:
    built = seatrial("build", "--app", "course-supporter", folder=project)
    assert built.returncode == 0, built.stderr
    listed = seatrial("sbom", "--app", "course-supporter", folder=project)
    assert listed.returncode == 0, listed.stderr
    components = json.loads(listed.stdout)["components"]
    purls = {urllib.parse.unquote(component["purl"].partition("?")[0]) for component in components}
    asked = (
        "import importlib.metadata as m; print(*{f'{d.name}@{d.version}' for d in m.distributions()})",
        "dpkg-query --show --showformat '${Package}@${Version} '",
    )
    image = f"{IMAGES}/course-supporter"
    python, dpkg = (
        str(engine.client.containers.run(image, entrypoint=words, remove=True, network_mode="none").decode()).split()
        for words in (["python", "-c", asked[0]], ["sh", "-c", asked[1]])
    )
    assert {purl for purl in purls if purl.startswith("pkg:deb/")} == {f"pkg:deb/debian/{name}" for name in dpkg}
    names = (name.partition("@") for name in python)
    expected = {f"pkg:pypi/{re.sub('[-_.]+', '-', name).lower()}@{version}" for name, _, version in names}
    # Other environments of the image count too: the interpreter's own pip, for one.
    assert expected <= {purl for purl in purls if purl.startswith("pkg:pypi/")}


@pytest.fixture
def stack(engine: Engine, project: Path) -> Iterator[Path]:
    """The Course Supporter's stack, up; taken down with its data at the end."""
    assert engine.version
    example = (project / "docker/course-supporter/.env.example").read_text(encoding="utf-8")
    environment = re.sub(r"(?m)^#?\s*API_PORT=.*$", "", example) + f"\nAPI_PORT={PORT}\n"
    (project / "docker/course-supporter/.env").write_text(environment, encoding="utf-8")
    # Where these tests are not run as a whole, nothing has built it.
    built = seatrial("build", "--app", "course-supporter", folder=project)
    assert built.returncode == 0, built.stderr
    up = seatrial("up", "--app", "course-supporter", folder=project)
    try:
        assert up.returncode == 0, up.stderr
        assert f"http://127.0.0.1:{PORT}" in up.stdout
        yield project
    finally:
        down = seatrial("down", "--app", "course-supporter", "--volumes", "--yes", folder=project)
    assert down.returncode == 0, down.stderr


@pytest.mark.core
def test_a_request_creates_a_course_and_reads_it_back(stack: Path) -> None:
    assert ask("/health/ready")["status"] == "ready"
    made = ask("/courses", method="POST", body={"title": "Бази даних", "description": "SQL from the start"})
    read = ask(f"/courses/{made['id']}")
    assert read["title"] == "Бази даних"
    again = seatrial("up", "--app", "course-supporter", folder=stack)
    assert "nothing has changed" in again.stdout
    assert ask(f"/courses/{made['id']}") == read


def test_the_course_supporter_passes_its_trial_with_its_services(stack: Path) -> None:
    made = ask("/courses", method="POST", body={"title": "Мережі", "description": "The developer's own"})
    smoked = seatrial("smoke", "--stack", "--app", "course-supporter", "--format", "json", folder=stack)
    assert smoked.returncode == 0, smoked.stdout + smoked.stderr
    report = json.loads(smoked.stdout)
    assert (report["verdict"], report["level"]) == ("pass", "stack")
    seen = {entry["id"]: entry["status"] for entry in report["checks"]}
    assert {name for name, status in seen.items() if status != "pass"} == {"boot/stays-up", "runtime/worker-heartbeat"}
    assert set(seen) == {check.id for check in among_services(Level.STANDARD)}
    # The developer's stack beside it holds what it held, and nothing of the trial.
    assert [entry["id"] for entry in ask("/courses")["items"]] == [made["id"]]
    restarted = seatrial("restart", "--app", "course-supporter", folder=stack)
    assert restarted.returncode == 0, restarted.stderr
    assert f"http://127.0.0.1:{PORT}" in restarted.stdout
    assert ask(f"/courses/{made['id']}") == made
    query = ("psql", "-U", "course_supporter", "-tAc", "select title from courses")
    asked = seatrial("exec", "--app", "course-supporter", "--service", "db", "--", *query, folder=stack)
    assert (asked.returncode, asked.stdout) == (0, "Мережі\n"), asked.stderr


@pytest.mark.parametrize(
    ("app", "source"),
    [
        ("course-supporter", "examples/course-supporter/src/course_supporter/prompts.py"),
        ("weather-agent", "examples/weather-agent/src/weather_agent/texts.py"),
    ],
)
def test_a_source_change_rebuilds_without_an_install_step(app: str, source: str, project: Path, engine: Engine) -> None:
    first = built(app, project, engine)
    file = project / source
    original = file.read_text(encoding="utf-8")
    try:
        # A change that no build has seen: the engine may hold the layers of an earlier run of this test.
        file.write_text(f"{original}\n# changed: {secrets.token_hex(8)}\n", encoding="utf-8")
        second = built(app, project, engine)
    finally:
        file.write_text(original, encoding="utf-8")
        built(app, project, engine)
    assert second.image_id != first.image_id
    # The first took its names back.
    engine.client.images.remove(second.image_id)
    ran = [step.text for step in second.steps if step.countable and step.state is StepState.DONE]
    assert any(text.startswith("COPY") for text in ran)
    assert installs_that_ran(second.steps) == ()
    assert not any("pip install" in text or "uv sync" in text for text in ran)


def built(app: str, project: Path, engine: Engine) -> BuildResult:
    read = read_project(project)
    return build(plan_build(read, app), engine=engine, host=this_host(), project=read, observer=Silent())


@pytest.mark.parametrize("app", APPS)
def test_nothing_of_the_hosts_own_certificates_is_in_an_image(
    app: str, project: Path, engine: Engine, tmp_path: Path
) -> None:
    bundle = find_secrets(this_host()).files.get("ca-bundle")
    if bundle is None:
        pytest.skip("NOT RUN: this host names no CA bundle")
    image = engine.client.images.get(built(app, project, engine).image_id)
    saved = tmp_path / "image.tar"
    with saved.open("wb") as file:
        file.writelines(image.save())
    host_lines = {line for line in bundle.read_bytes().split() if len(line) == 64}
    # The image has the public certificates of its base and of its packages; the host's own ones are what may
    # not be there.
    base = read_file(engine, image.id, "/etc/ssl/certs/ca-certificates.crt")
    known = [Path(certifi.where()), *Path("/usr/share/ca-certificates").rglob("*.crt")]
    own = host_lines - set(base.split()) - {line for file in known for line in file.read_bytes().split()}
    if not own:
        pytest.skip("NOT RUN: this host trusts no certificate of its own")
    # Read where it lies: an image is hundreds of megabytes.
    with saved.open("rb") as packed, mmap.mmap(packed.fileno(), 0, access=mmap.ACCESS_READ) as held:
        assert len(held) > 100_000_000
        assert [line for line in own if held.find(line) >= 0] == []
    assert str(bundle).encode() not in b"".join(str(row).encode() for row in image.history())


def read_file(engine: Engine, image: str | None, path: str) -> bytes:
    container = engine.client.containers.create(image or "")
    try:
        chunks, _ = container.get_archive(path)
        packed = b"".join(chunks)
    finally:
        container.remove(force=True)
    start = packed.index(b"-----BEGIN")
    return packed[start:]
