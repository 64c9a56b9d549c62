"""Builds on builders other than the engine's own: buildx's driver `remote`, and the engine of a docker context.

An engine serves BuildKit's own protocol behind an upgraded connection. A socket that asks for the upgrade makes it a
builder such as buildkitd is one. Its network is off, and so its steps run without one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.engine.test_build import Forwarder, Witness, shell_image
from tests.swarm import fleet

from seatrial import process
from seatrial.engine import find, programs
from seatrial.engine.find import find_engine
from seatrial.errors import EngineError
from seatrial.host import this_host
from seatrial.images.build import build
from seatrial.images.plan import plan_build
from seatrial.images.progress import StepOutput
from seatrial.settings.read import read_project

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from seatrial.engine.find import Engine
    from seatrial.host import Host
    from seatrial.images.progress import Event

pytestmark = [pytest.mark.engine, pytest.mark.skipif(sys.platform != "linux", reason="needs Linux programs")]

UPGRADE = b"POST /grpc HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
ANSWERS_WITHIN = 60.0
MARK = "s3cret-marker-ahoy"


class BuildKit(Forwarder):
    """A socket behind which an engine's BuildKit speaks at once."""

    def _greet(self, far: socket.socket) -> None:
        far.sendall(UPGRADE)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += far.recv(1)
        assert head.startswith(b"HTTP/1.1 101 ")


@dataclass(kw_only=True)
class Yard:
    """The engine in use, another one, a builder, and a project."""

    engine: Engine
    other: Engine
    """Also the docker context `other`; it keeps images in containerd's store."""
    folder: Path
    sockets: Path
    """A short path: those of sockets are limited."""
    base: str
    """An image that only the engine in use has."""
    image: str = field(default_factory=lambda: f"seatrial-test-{uuid.uuid4().hex[:12]}")

    @property
    def environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("DOCKER_", "BUILDX_"))}
        return {
            **kept,
            "DOCKER_HOST": self.engine.candidate.url,
            "DOCKER_CONFIG": str(self.folder / "config"),
            "BUILDX_CONFIG": str(self.folder / "buildx"),
            "NETRC": str(self.folder / "netrc"),
        }

    @property
    def host(self) -> Host:
        return replace(this_host(), environment=self.environment)

    def buildx(self, *words: str) -> None:
        program = programs.find("buildx", self.engine, this_host()).path
        process.run([program, *words], timeout=60, environment=self.environment)

    def write(self, dockerfile: str, more: str = "") -> None:
        (self.folder / "pyproject.toml").write_text(f'[tool.seatrial.apps.ship]\nimage = "{self.image}"\n{more}')
        (self.folder / "Dockerfile").write_text(dockerfile)
        (self.folder / "a").write_text(self.image)

    def seatrial(self, *words: str, without: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        surroundings = {**self.environment, **environment}
        surroundings.pop(without, None)
        return subprocess.run(
            [sys.executable, "-m", "seatrial", *words],
            cwd=self.folder, env=surroundings, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    found = find_engine(this_host())
    if not found.candidate.url.startswith("unix://"):
        pytest.skip(f"the engine at {found.candidate.url} is on another machine")
    yield found
    found.client.close()


@pytest.fixture(scope="module")
def base(engine: Engine) -> Iterator[str]:
    name = f"seatrial-test/shell-{uuid.uuid4().hex[:12]}:1"
    shell_image(engine, name)
    yield name
    engine.client.images.remove(name, force=True)


@pytest.fixture(scope="module")
def sockets() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="st-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def other(sockets: Path) -> Iterator[Engine]:
    """Start a second engine, with containerd's image store: its BuildKit has all exporters."""
    host = this_host()
    program = fleet.dockerd(host)
    if os.geteuid() != 0 or program is None:
        pytest.skip("a second engine wants root and dockerd")
    (sockets / "daemon.json").write_text('{"features": {"containerd-snapshotter": true}}')
    url = f"unix://{sockets / 's'}"
    with (sockets / "log").open("wb") as log:
        daemon = subprocess.Popen(
            [
                program, "--config-file", str(sockets / "daemon.json"), "--data-root", str(sockets / "data"),
                "--exec-root", str(sockets / "run"), "--pidfile", str(sockets / "pid"), "--host", url,
                # Two engines must not share these.
                "--bridge=none", "--iptables=false", "--ip6tables=false", "--group=root",
            ],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env={"PATH": fleet.path(host), "HOME": str(sockets), "LC_ALL": "C"},
        )  # fmt: skip
    try:
        found = answering(url, sockets / "log", host)
        yield found
        found.client.close()
    finally:
        daemon.terminate()
        daemon.wait(timeout=60)
        shutil.rmtree(sockets / "data", ignore_errors=True)


def answering(url: str, log: Path, host: Host) -> Engine:
    deadline = time.monotonic() + ANSWERS_WITHIN
    while True:
        try:
            return find.connect(find.Candidate(source="the test", url=url), host)
        except EngineError:
            assert time.monotonic() < deadline, log.read_text(errors="replace")[-3000:]
            time.sleep(0.2)


@pytest.fixture
def yard(engine: Engine, other: Engine, base: str, sockets: Path, tmp_path: Path) -> Iterator[Yard]:
    made = Yard(engine=engine, other=other, folder=tmp_path, sockets=sockets, base=base)
    config = tmp_path / "config"
    (config / "cli-plugins").mkdir(parents=True)
    (config / "cli-plugins" / "docker-buildx").symlink_to(programs.find("buildx", engine, this_host()).path)
    (tmp_path / "netrc").write_text(f"machine index.invalid login me password {MARK}\n")
    add_context(config, "other", other.candidate.url)
    socket_file = sockets / uuid.uuid4().hex[:8]
    builder = BuildKit(socket_file, other.candidate.url.removeprefix("unix://"))
    made.buildx("create", "--name", "far", "--driver", "remote", f"unix://{socket_file}")
    yield made
    builder.cut()
    for entry in (engine, other):
        for image in entry.client.images.list(name=made.image):
            entry.client.images.remove(str(image.id), force=True)


def add_context(config: Path, name: str, url: str) -> None:
    import hashlib
    import json

    meta = config / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
    meta.mkdir(parents=True)
    (meta / "meta.json").write_text(json.dumps({"Name": name, "Metadata": {}, "Endpoints": {"docker": {"Host": url}}}))


def tagged(engine: Engine, image: str) -> list[str]:
    return [str(entry.id) for entry in engine.client.images.list(name=image)]


def test_another_builder_gets_the_engines_images_and_the_engine_the_built_one(yard: Yard) -> None:
    substitute = f"localhost:1/made/{yard.image}"
    yard.write(
        f"# syntax=localhost:1/no/dockerfile:1\nFROM {substitute}:7 AS made\nFROM {yard.base}\n"
        "RUN --network=none --mount=type=secret,id=netrc \\\n"
        "    case $(cat /run/secrets/netrc) in *s3cret-*) echo given;; esac > /kept; cat /kept\n"
        f"COPY --from=made /made /made\nCOPY --from={yard.base} /bin/sh /sh\nCOPY a /a\n",
        'build-secrets = ["netrc"]\n'
        f'[tool.seatrial.standins."{substitute}:{{version}}"]\nrecipe = "recipe.Dockerfile"\n',
    )
    (yard.folder / "recipe.Dockerfile").write_text(f"FROM {yard.base}\nRUN echo made > /made\n")
    temporary = yard.folder / "temporary"
    temporary.mkdir()
    done = yard.seatrial("build", "--builder", "far", TMPDIR=str(temporary))
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("The builder 'far' (remote), named by --builder, builds; the images go into") == 1
    assert f"{yard.base}: no registry in reach" in done.stderr
    assert "using the builder's own Dockerfile syntax" in done.stderr
    [identity] = tagged(yard.engine, yard.image)
    assert f"Built {yard.image}:latest ({identity.removeprefix('sha256:')[:12]})" in done.stderr
    image = yard.engine.client.images.get(identity)
    assert image.labels["seatrial.standins"] == f"{substitute}:7"
    held = yard.engine.client.containers.run(identity, ["cat", "/kept", "/made", "/a"], remove=True).decode()
    assert held == f"given\nmade\n{yard.image}"
    # What was handed over is gone, and the builder's engine has no image of it.
    assert list(temporary.iterdir()) == []
    assert tagged(yard.other, yard.image) == []
    again = yard.seatrial("build", BUILDX_BUILDER="far")
    assert "The builder 'far' (remote), named by BUILDX_BUILDER, builds" in again.stderr
    assert "4 of 4 steps from the cache" in again.stderr
    for local in yard.engine.client.images.list(filters={"label": "seatrial.standin"}):
        if any(yard.image in tag for tag in local.tags):
            yard.engine.client.images.remove(local.tags[0], force=True)


def test_the_engine_of_a_docker_context_builds_and_keeps_the_image(yard: Yard) -> None:
    yard.write("FROM scratch\nCOPY a /a\n")
    planned = yard.seatrial("build", "--dry-run", without="DOCKER_HOST", DOCKER_CONTEXT="other")
    assert f"  with the builder of DOCKER_CONTEXT 'other' ({yard.other.candidate.url})" in planned.stdout.splitlines()
    assert tagged(yard.other, yard.image) == []
    done = yard.seatrial("build", without="DOCKER_HOST", DOCKER_CONTEXT="other")
    assert done.returncode == 0, done.stderr
    [identity] = tagged(yard.other, yard.image)
    assert identity.removeprefix("sha256:")[:12] in done.stderr
    assert tagged(yard.engine, yard.image) == []


@pytest.mark.parametrize("words", [("--builder", "far"), ("--builder", "other")])
def test_the_id_is_the_engines_where_it_keeps_images_in_containerds_store(yard: Yard, words: tuple[str, str]) -> None:
    yard.write("FROM scratch\nCOPY a /a\n")
    done = yard.seatrial("build", *words, without="DOCKER_HOST", DOCKER_CONTEXT="other")
    assert done.returncode == 0, done.stderr
    [identity] = tagged(yard.other, yard.image)
    assert f"({identity.removeprefix('sha256:')[:12]})" in done.stderr
    # The engine's own builder, named, is nothing to tell of.
    assert ("The builder" in done.stderr) is (words[1] == "far")


@pytest.mark.parametrize("words", [(), ("--builder", "far")])
def test_a_credential_is_found_in_containerds_store_too(yard: Yard, words: tuple[str, ...]) -> None:
    yard.write("FROM scratch\nCOPY a /a\nCOPY b /b\n", 'build-secrets = ["netrc"]\n')
    (yard.folder / "b").write_text("nothing")
    done = yard.seatrial("build", *words, without="DOCKER_HOST", DOCKER_CONTEXT="other")
    assert done.returncode == 0, done.stderr
    [entry] = yard.other.client.images.list(name=yard.image)
    assert entry.tags == [f"{yard.image}:latest"]
    (yard.folder / "b").write_text(f"password={MARK}")
    kept = yard.seatrial("build", *words, without="DOCKER_HOST", DOCKER_CONTEXT="other")
    assert kept.returncode == 1
    assert "the image holds the secret 'netrc', in /b; it was not tagged" in kept.stderr
    assert [left.id for left in yard.other.client.images.list(name=yard.image)] == [entry.id]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("faar", "--builder: there is no builder 'faar'. Did you mean 'far'?"),
        ("elsewhere", "there is no builder 'elsewhere'. Known: away, default, far, gone, other."),
        ("other", "Use that engine for everything: DOCKER_CONTEXT=other instead of --builder."),
        ("away", "--builder: the builder 'away' does not answer: nothing answers at unix:///nonexistent/b.sock."),
        ("gone", "--builder: the builder 'gone' does not answer: "),
    ],
)
@pytest.mark.parametrize("dry", [True, False])
def test_a_builder_that_cannot_serve_is_one_clear_line(yard: Yard, name: str, says: str, *, dry: bool) -> None:
    yard.write("FROM scratch\nCOPY a /a\n")
    yard.buildx("create", "--name", "away", "--driver", "remote", "unix:///nonexistent/b.sock")
    add_context(yard.folder / "config", "gone", "unix:///nonexistent/e.sock")
    done = yard.seatrial("build", "--builder", name, *(["--dry-run"] if dry else []))
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert (done.stdout, tagged(yard.engine, yard.image)) == ("", [])


def test_a_dry_run_shows_the_builder(yard: Yard) -> None:
    yard.write("FROM scratch\nCOPY a /a\n")
    done = yard.seatrial("build", "--dry-run", "--builder", "FAR")
    assert done.stdout.splitlines()[2].startswith("  with the builder 'far' (remote), for Docker ")


def test_a_builder_that_goes_away_in_the_middle_is_told(yard: Yard) -> None:
    socket_file = yard.sockets / uuid.uuid4().hex[:8]
    builder = BuildKit(socket_file, yard.other.candidate.url.removeprefix("unix://"))
    yard.buildx("create", "--name", "weak", "--driver", "remote", f"unix://{socket_file}")
    yard.write(f"FROM {yard.base}\nRUN --network=none echo {yard.image}; sleep 60\n")
    witness = Witness()

    def cut(event: Event) -> None:
        if isinstance(event, StepOutput):
            builder.cut()

    witness.on_event = cut
    engine = find_engine(yard.host)
    project = read_project(yard.folder)
    chosen = programs.find_builder(programs.choose_builder("weak", {}), engine, yard.host)
    with pytest.raises(EngineError, match="the builder does not answer, or stopped during the build") as raised:
        build(
            plan_build(project, "ship"),
            engine=engine, host=yard.host, project=project, observer=witness, builder=chosen,
        )  # fmt: skip
    engine.client.close()
    assert raised.value.where == "'weak' (remote)"


def test_layers_are_kept_in_a_folder_for_a_builder_that_has_none(yard: Yard) -> None:
    yard.write(f"FROM {yard.base}\nCOPY a /a\nRUN --network=none echo once\n")
    kept = yard.folder / "kept"
    for before in (False, True):
        assert (kept / "ship" / "index.json").is_file() is before
        yard.buildx("prune", "--builder", "far", "--all", "--force")
        built = yard.seatrial("build", "--builder", "far", "--cache", str(kept))
        assert built.returncode == 0, built.stderr
        assert ("2 of 2 steps from the cache" in built.stderr) is before, built.stderr
        yard.engine.client.images.remove(yard.image, force=True)
    secret = f"FROM {yard.base}\nRUN --network=none --mount=type=secret,id=netrc true\n"
    yard.write(secret, more='build-secrets = ["netrc"]\n')
    told = yard.seatrial("build", "--builder", "far", "--cache", str(yard.folder / "other"))
    assert told.returncode == 0, told.stderr
    assert "Its layers are not kept" in told.stderr
    assert not (yard.folder / "other").exists()


def test_the_engines_own_builder_keeps_none(yard: Yard) -> None:
    yard.write(f"FROM {yard.base}\n")
    refused = yard.seatrial("build", "--cache", "kept")
    assert refused.returncode == 2
    assert "docker buildx create --name ci --driver docker-container" in refused.stderr
