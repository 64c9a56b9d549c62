"""Builds against a real engine, on a small base made of this host's own shell: no registry, no archive."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import uuid
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker.errors
import pytest
from tests.installers import installs_that_ran, ran

from seatrial import process
from seatrial.engine import programs
from seatrial.engine.find import find_engine
from seatrial.errors import BuildError, BuildFailedError, EngineError
from seatrial.host import Host, this_host
from seatrial.images.bases import Registries
from seatrial.images.build import BuildResult, build
from seatrial.images.plan import plan_build
from seatrial.images.progress import Event, StepOutput, StepState
from seatrial.settings.read import read_project
from seatrial.trust import Trust

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from seatrial.engine.find import Engine
    from seatrial.images.plan import BuildPlan

pytestmark = [pytest.mark.engine, pytest.mark.skipif(sys.platform != "linux", reason="needs Linux programs")]

BASE = "seatrial-test/shell:1"
PROGRAMS = ("sh", "cat", "ls", "sleep", "seq", "cp", "mkdir", "dd")
MARK = "s3cret-marker-ahoy"


@dataclass
class Witness:
    """Keeps what an observer is told."""

    said: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    on_event: Callable[[Event], None] | None = None

    def began(self, plan: BuildPlan) -> None:
        assert plan.tags

    def say(self, message: str) -> None:
        self.said.append(message)

    def event(self, event: Event) -> None:
        self.events.append(event)
        if self.on_event is not None:
            self.on_event(event)

    def ended(self, result: BuildResult) -> None:
        assert result.image_id.startswith("sha256:")


@dataclass
class Yard:
    """A project with one app, on a real engine."""

    folder: Path
    engine: Engine
    host: Host
    image: str
    witness: Witness = field(default_factory=Witness)
    made: list[str] = field(default_factory=list)

    def write(self, dockerfile: str, *, file: str = "Dockerfile", **files: str) -> None:
        (self.folder / "context").mkdir(exist_ok=True)
        (self.folder / file).write_text(dockerfile, encoding="utf-8")
        for name, text in files.items():
            (self.folder / "context" / name).write_text(text, encoding="utf-8")
        if not (self.folder / "pyproject.toml").exists():
            self.settings()

    def settings(self, *, file: str = "Dockerfile", more: str = "") -> None:
        (self.folder / "pyproject.toml").write_text(
            f'[tool.seatrial.apps.ship]\ncontext = "context"\ndockerfile = "{file}"\nimage = "{self.image}"\n{more}',
            encoding="utf-8",
        )

    def build(self, **options: Any) -> BuildResult:
        project = read_project(self.folder)
        result = build(
            plan_build(project, "ship", **options),
            engine=self.engine,
            host=self.host,
            project=project,
            observer=self.witness,
        )
        self.made += [result.image_id, *result.substitutes.values()]
        return result

    def exists(self) -> bool:
        return bool(self.engine.client.images.list(name=self.image))

    def run(self, *command: str) -> str:
        return self.engine.client.containers.run(self.image, list(command), remove=True).decode()


def shell_image(engine: Engine, reference: str = BASE) -> None:
    """Make an image of this host's shell and a few programs, with the libraries that they need."""
    files: set[str] = set()
    for name in PROGRAMS:
        program = process.find_program(name)
        output = process.run(["ldd", program], timeout=20).output
        files |= {program, *(word for word in output.split() if word.startswith("/"))}
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        for path in sorted(files):
            archive.add(Path(path).resolve(), arcname=path)
        for name in PROGRAMS:
            found = process.find_program(name)
            link = tarfile.TarInfo(f"bin/{name}")
            if found != f"/bin/{name}":
                link.type, link.linkname = tarfile.SYMTYPE, found
                archive.addfile(link)
    repository, _, tag = reference.partition(":")
    engine.client.api.import_image_from_data(sink.getvalue(), repository=repository, tag=tag)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    found = find_engine(this_host())
    shell_image(found)
    yield found
    found.client.images.remove(BASE, force=True)
    found.client.close()


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a folder for temporary files of its own, and look that nothing is left in it."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


@pytest.fixture
def yard(tmp_path: Path, engine: Engine, temporary: Path) -> Iterator[Yard]:
    assert temporary.is_dir()
    made = Yard(folder=tmp_path, engine=engine, host=this_host(), image=f"seatrial-test-{uuid.uuid4().hex[:12]}")
    yield made
    for image in made.made:
        # Building anew may have given up an image; a tag more of it does not keep it.
        with contextlib.suppress(docker.errors.ImageNotFound):
            engine.client.images.remove(image, force=True)


def test_a_build_is_tagged_labelled_and_measured(yard: Yard) -> None:
    yard.settings(more='pythons = ["3.13", "3.12"]\n')
    yard.write(f"FROM {BASE}\nARG PYTHON_VERSION\nRUN echo $PYTHON_VERSION > /version\nCOPY a /a\n", a=yard.image)
    result = yard.build(no_cache=True)
    image = yard.engine.client.images.get(result.image_id)
    assert sorted(image.tags) == sorted([f"{yard.image}:py3.13", f"{yard.image}:latest"])
    assert image.labels["seatrial.app"] == "ship"
    assert image.labels["seatrial.python"] == "3.13"
    assert result.size_bytes == image.attrs["Size"]
    assert yard.run("cat", "/version").strip() == "3.13"
    assert [(step.keyword, step.line, step.state) for step in result.counted] == [
        ("RUN", 3, StepState.DONE),
        ("COPY", 4, StepState.DONE),
    ]
    other = yard.build(python="3.12")
    assert yard.engine.client.images.get(other.image_id).tags == [f"{yard.image}:py3.12"]


def test_the_second_build_is_the_same_image_from_the_cache(yard: Yard) -> None:
    yard.write(f"FROM {BASE}\nRUN echo {yard.image}\nCOPY a /a\n", a="x")
    first = yard.build()
    second = yard.build()
    assert second.image_id == first.image_id
    assert second.cached == second.counted
    assert len(second.counted) == 2
    assert [step.state for step in yard.build(no_cache=True).counted] == [StepState.DONE, StepState.DONE]


def test_a_change_of_the_source_runs_no_install_step(yard: Yard) -> None:
    yard.write(
        f"FROM {BASE}\nCOPY lock /lock\nRUN pip() {{ echo {yard.image}; }}; pip install -r /lock\n"
        "COPY a /a\nRUN ls /a\n",
        lock="1",
        a="1",
    )
    assert [step.line for step in installs_that_ran(yard.build().steps)] == [3]
    # What an earlier run of this test has left in the builder's cache is another one's.
    yard.write((yard.folder / "Dockerfile").read_text(), a=f"2 {yard.image}")
    result = yard.build()
    assert installs_that_ran(result.steps) == ()
    assert [step.line for step in result.counted if ran(step)] == [4, 5]
    yard.write((yard.folder / "Dockerfile").read_text(), lock="2")
    assert [step.line for step in installs_that_ran(yard.build().steps)] == [3]


def test_a_failing_step_tells_its_line_its_code_and_its_last_lines_as_text(yard: Yard) -> None:
    yard.write(
        f"FROM {BASE} AS one\nRUN true\n\nFROM {BASE}\nCOPY --from=one /bin/sh /sh\nRUN seq 100; \\\n"
        "    printf '\\033[31mred [bold]x[/bold]\\033[0m\\033]0;title\\a\\n'; \\\n    exit 3\n"
    )
    with pytest.raises(BuildFailedError) as raised:
        yard.build()
    assert raised.value.where == "Dockerfile:6"
    assert "exit code 3" in raised.value.what
    lines = raised.value.detail.splitlines()
    assert (len(lines), lines[0], lines[-2], lines[-1]) == (20, "82", "100", "red [bold]x[/bold]")
    assert "\x1b" not in str(yard.witness.events)
    assert not yard.exists()


@pytest.mark.parametrize(
    ("dockerfile", "error", "line", "says"),
    [
        ("FROM {BASE}\nRUNN x\n", BuildError, 2, "unknown instruction: RUNN (did you mean RUN?)"),
        ("FROM {BASE}\nCOPY nowhere /x\n", BuildFailedError, 2, '"/nowhere": not found'),
        ("FROM {BASE} AS builder\nFROM {BASE}\nCOPY --from=bulider /x /x\n", BuildError, 3, "no stage is called"),
        ("FROM localhost:1/none:1\n", BuildError, 1, "localhost:1/none:1 cannot be pulled: no registry in reach"),
        ("FROM {BASE}\nRUN --mount=type=secret,id=no,required=true true\n", BuildFailedError, 2, "secret no: not"),
        ("ARG NO\nFROM ${{NO}}\n", BuildError, 2, "should not be blank"),
        ("RUN true\n", BuildError, 1, "no build stage"),
        ("", BuildError, None, "empty"),
        ("FROM {BASE}\nRUN echo 'No space left on device'; false\n", BuildError, 2, "no space left"),
    ],
)
def test_what_is_wrong_is_one_clear_line(
    yard: Yard, dockerfile: str, error: type[BuildError], line: int | None, says: str
) -> None:
    yard.write(dockerfile.format(BASE=BASE))
    with pytest.raises(error) as raised:
        yard.build()
    assert raised.value.where == ("Dockerfile" if line is None else f"Dockerfile:{line}")
    assert says in f"{raised.value.what} {raised.value.fix}"
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("syntax", ["", "# syntax=localhost:1/no/dockerfile:1\n"])
@pytest.mark.parametrize("beside", [False, True])
def test_the_ignore_file_holds_with_and_without_the_syntax_line(yard: Yard, syntax: str, *, beside: bool) -> None:
    yard.settings(file="ship.Dockerfile")
    yard.write(f"{syntax}FROM {BASE}\nCOPY . /all\n", file="ship.Dockerfile", kept="", dropped="", other="")
    (yard.folder / "context" / ".dockerignore").write_text("other\n" if beside else "dropped\n")
    if beside:
        # The one that goes by the Dockerfile's name takes the place of the context's.
        (yard.folder / "ship.Dockerfile.dockerignore").write_text("dropped\n")
    yard.build()
    assert yard.run("ls", "/all").split() == ["kept", "other"]
    assert bool([line for line in yard.witness.said if "Dockerfile syntax" in line]) is bool(syntax)


def test_bytes_that_are_no_utf_8_survive_the_loss_of_the_syntax_line(yard: Yard) -> None:
    yard.write("")
    (yard.folder / "Dockerfile").write_bytes(
        f"# syntax=localhost:1/no:1\n# caf\xe9\nFROM {BASE}\nLABEL drink=caf\xe9\n".encode("latin-1")
    )
    yard.build()
    assert yard.exists()


def searched(engine: Engine, image: str, mark: bytes) -> list[str]:
    """Return where a mark stands in a saved image: its layers, configuration, history and manifest."""
    data = io.BytesIO(b"".join(engine.client.images.get(image).save()))
    found = []
    with tarfile.open(fileobj=data) as archive:
        for member in archive:
            content = archive.extractfile(member)
            content_bytes = content.read() if content is not None else b""
            if content_bytes.startswith(b"\x1f\x8b"):
                content_bytes = gzip.decompress(content_bytes)
            if mark in content_bytes:
                found.append(member.name)
    return found


SECRETS = f"""\
FROM {BASE}
RUN --mount=type=secret,id=ca-bundle --mount=type=secret,id=netrc --mount=type=secret,id=pip-config \\
    --mount=type=secret,id=uv-config set -eu; \\
    for name in ca-bundle netrc pip-config uv-config; do \\
        case "$(cat /run/secrets/$name)" in *{MARK[:6]}*) ;; *) echo "$name is missing"; exit 1;; esac; \\
    done; \\
    case "${{HTTPS_PROXY:-}}" in *{MARK[:6]}*) ;; *) echo "no proxy"; exit 1;; esac
"""


def secret_host(yard: Yard) -> Host:
    (yard.folder / "ca.pem").write_text(f"{MARK}\n")
    (yard.folder / "netrc").write_text(f"machine index.invalid login me password {MARK}\n")
    address = f"https://me:{MARK}@index.invalid/simple"
    return replace(
        yard.host,
        environment={
            **yard.host.environment,
            "SSL_CERT_FILE": str(yard.folder / "ca.pem"),
            "NETRC": str(yard.folder / "netrc"),
            "PIP_INDEX_URL": address,
            "UV_DEFAULT_INDEX": address,
            "HTTPS_PROXY": f"http://me:{MARK}@proxy.invalid:1",
        },
    )


def test_secrets_reach_the_step_that_mounts_them_and_stay_nowhere(yard: Yard) -> None:
    yard.host = secret_host(yard)
    # The engine's environment for programs is made of the host's, as in a real run.
    yard.engine = replace(
        yard.engine, programs_environment={**yard.host.environment, **yard.engine.programs_environment}
    )
    yard.settings(more='build-secrets = ["netrc", "pip-config", "uv-config", "proxy"]\n')
    yard.write(SECRETS + f"RUN echo {yard.image}\n")
    result = yard.build()
    image = yard.engine.client.images.get(result.image_id)
    # Not the tag that it has while it is searched.
    assert image.tags == [f"{yard.image}:latest"]
    # The project's own search, and one that knows nothing of it.
    assert searched(yard.engine, yard.image, MARK.encode()) == []


@pytest.mark.parametrize(
    ("keeping", "place", "line"),
    [
        ("RUN --mount=type=secret,id=netrc cat /run/secrets/netrc > /kept; mkdir /x", "/kept", 2),
        # A later layer hides it only.
        ("RUN --mount=type=secret,id=netrc cp /run/secrets/netrc /kept\nCOPY a /kept", "/kept", 2),
        (
            "RUN mkdir /x\nRUN --mount=type=secret,id=pip-config cat /run/secrets/pip-config > /x/pip.conf",
            "/x/pip.conf",
            3,
        ),
        ("RUN echo $HTTPS_PROXY > /proxy", "/proxy", None),
    ],
)
def test_an_image_that_keeps_a_credential_is_not_tagged(yard: Yard, keeping: str, place: str, line: int | None) -> None:
    yard.host = secret_host(yard)
    yard.engine = replace(
        yard.engine, programs_environment={**yard.host.environment, **yard.engine.programs_environment}
    )
    yard.settings(more='build-secrets = ["netrc", "pip-config", "proxy"]\n')
    yard.write(f"FROM {BASE}\nCOPY a /b\n", a=yard.image)
    before = yard.build()
    # The image's own number keeps its layers out of the cache of other runs.
    yard.write(f"FROM {BASE}\n{keeping}\nRUN echo {yard.image}\n", a=yard.image)
    for _ in range(2):
        # From the cache as well.
        with pytest.raises(
            BuildFailedError, match=rf"the image holds the secret '[\w-]+', in {place}; it was not"
        ) as told:
            yard.build()
        assert told.value.where == ("Dockerfile" if line is None else f"Dockerfile:{line}")
        assert MARK not in f"{told.value}{told.value.detail}"
        [left] = yard.engine.client.images.list(name=yard.image)
        assert (left.id, left.tags) == (before.image_id, [f"{yard.image}:latest"])


def test_a_failing_step_does_not_print_the_password_that_it_was_handed(yard: Yard) -> None:
    yard.host = secret_host(yard)
    yard.settings(more='build-secrets = ["netrc"]\n')
    yard.write(
        f"FROM {BASE}\nRUN --mount=type=secret,id=netrc cat /run/secrets/netrc; echo {MARK[:9]}''{MARK[9:]}; exit 3\n"
    )
    with pytest.raises(BuildFailedError) as raised:
        yard.build()
    assert raised.value.detail.splitlines() == ["machine index.invalid login me password ***", "***"]
    assert MARK not in str((yard.witness.events, yard.witness.said))
    assert any(isinstance(event, StepOutput) for event in yard.witness.events)


def test_a_build_that_takes_too_long_is_ended_in_the_builder_too(yard: Yard) -> None:
    seconds = f"8{uuid.uuid4().int % 10**6:06}"
    yard.settings(more="build-within = 4\n")
    yard.write(f"FROM {BASE}\nRUN echo under way; sleep {seconds}\n")
    before = time.monotonic()
    with pytest.raises(BuildFailedError, match="took longer than 4 s and was stopped: RUN in line 2") as raised:
        yard.build()
    assert time.monotonic() - before < 20
    assert (raised.value.where, raised.value.detail) == ("Dockerfile:2", "under way")
    deadline = time.monotonic() + 10
    while running(f"sleep {seconds}") and time.monotonic() < deadline:
        time.sleep(0.2)
    assert running(f"sleep {seconds}") == []
    assert not yard.exists()


def test_an_untrusted_dockerfile_gets_no_credential(yard: Yard) -> None:
    yard.host = replace(secret_host(yard), trust=Trust.NONE)
    yard.settings(more='build-secrets = ["netrc", "proxy"]\n')
    yard.write(
        f"FROM {BASE}\nRUN --mount=type=secret,id=netrc ls /run/secrets > /seen; echo $HTTPS_PROXY {yard.image}\n"
    )
    yard.build()
    assert yard.run("cat", "/seen").strip() == ""
    said, given = yard.witness.said
    assert said.startswith("The project is not trusted: its build gets the CA bundle, not netrc, HTTPS_PROXY")
    assert given.startswith("Dockerfile: 1 RUN gets the host's certificates")


def test_a_substitute_serves_for_from_and_copy_is_announced_and_recorded(yard: Yard) -> None:
    name = f"localhost:1/made/{yard.image}"
    yard.settings(more=f'[tool.seatrial.standins."{name}:{{version}}"]\nrecipe = "recipe.Dockerfile"\n')
    (yard.folder / "recipe.Dockerfile").write_text(f"FROM {BASE}\nRUN echo made > /made\n")
    yard.write(
        f"FROM {name}:7 AS builder\nRUN cat /made\nFROM {BASE}\nCOPY --from={name}:7 /made /made\n"
        "COPY --from=builder /made /made2\n"
    )
    result = yard.build()
    [announced] = [line for line in yard.witness.said if "using the local substitute" in line]
    assert announced.startswith(f"{name}:7: no registry in reach")
    local = result.substitutes[f"{name}:7"]
    assert local in announced
    assert local != f"{name}:7"
    labels = yard.engine.client.images.get(yard.image).labels
    assert labels["seatrial.standins"] == f"{name}:7"
    assert yard.run("cat", "/made").strip() == "made"
    assert not Registries(engine=yard.engine).has_locally(f"{name}:7")
    assert Registries(engine=yard.engine).has_locally(local)


def test_a_registry_out_of_reach_is_asked_once(engine: Engine) -> None:
    registries = Registries(engine=engine)
    first = registries.refusal("localhost:1/a:1")
    registries.engine = None  # type: ignore[assignment]
    assert first is not None
    assert registries.refusal("localhost:1/b:1") == first


def test_a_registry_that_never_answers_is_not_waited_for(engine: Engine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        before = time.monotonic()
        refusal = Registries(engine=engine, timeout=1).refusal(f"localhost:{port}/a:1")
        assert time.monotonic() - before < 5
    assert refusal is not None
    assert not refusal.certain
    assert engine.client.api.timeout > 1


class Forwarder:
    """A socket in front of the engine's, that can be cut."""

    def __init__(self, path: Path, target: str) -> None:
        self._target = target
        self._open: list[socket.socket] = []
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        for entry in (self._server, *self._open):
            with contextlib.suppress(OSError):
                entry.shutdown(socket.SHUT_RDWR)
            entry.close()

    def _greet(self, far: socket.socket) -> None:
        """Say nothing of its own."""

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            far.connect(self._target)
            self._greet(far)
            self._open += [near, far]
            for pair in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return


def test_an_engine_that_goes_away_in_the_middle_is_told(yard: Yard) -> None:
    url = yard.engine.candidate.url
    if not url.startswith("unix://"):
        pytest.skip(f"the engine at {url} has no socket to stand in front of")
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        path = Path(folder) / "cut.sock"
        forwarder = Forwarder(path, url.removeprefix("unix://"))
        host = replace(yard.host, environment={**yard.host.environment, "DOCKER_HOST": f"unix://{path}"})
        yard.engine = find_engine(host)
        yard.write(f"FROM {BASE}\nRUN echo {yard.image}; sleep 60\n")

        def cut(event: Event) -> None:
            if isinstance(event, StepOutput):
                forwarder.cut()

        yard.witness.on_event = cut
        with pytest.raises(EngineError, match="stopped answering during the build"):
            yard.build()
        yard.engine.client.close()


def test_an_observer_that_fails_ends_the_build_with_its_own_error(yard: Yard) -> None:
    def fail(event: Event) -> None:
        if isinstance(event, StepOutput):
            raise BrokenPipeError

    yard.witness.on_event = fail
    yard.write(f"FROM {BASE}\nRUN echo {yard.image}; sleep 60\n")
    before = time.monotonic()
    with pytest.raises(BrokenPipeError):
        yard.build()
    assert time.monotonic() - before < 30


INTERRUPTED = """
import sys
from pathlib import Path
from seatrial.engine.find import find_engine
from seatrial.host import this_host
from seatrial.images.build import build
from seatrial.images.plan import plan_build
from seatrial.settings.read import read_project

class Loud:
    def began(self, plan): pass
    def say(self, message): pass
    def ended(self, result): pass
    def event(self, event):
        print(getattr(event, "lines", ""), flush=True)

host = this_host()
project = read_project(Path(sys.argv[1]))
try:
    build(plan_build(project, "ship"), engine=find_engine(host), host=host, project=project, observer=Loud())
except KeyboardInterrupt:
    sys.exit(130)
"""


def running(text: str) -> list[str]:
    """Return the command lines on this machine that hold a text."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text in line:
            found.append(line)
    return found


def test_an_interrupt_leaves_nothing_behind(yard: Yard, temporary: Path) -> None:
    seconds = f"7{uuid.uuid4().int % 10**6:06}"
    # The syntax line makes it write a Dockerfile of its own. The echo tells that the step really runs: BuildKit
    # (Docker 26.1) misses an interrupt in the moment in which it starts the step's container.
    yard.write(f"# syntax=localhost:1/no:1\nFROM {BASE}\nRUN echo under way; sleep {seconds}\n")
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(yard.folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
        start_new_session=True,
    ) as child:
        assert child.stdout is not None
        assert any("under way" in line for line in child.stdout)
        assert list(temporary.iterdir())
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate(timeout=60)
    assert (child.returncode, errors) == (130, "")
    assert list(temporary.iterdir()) == []
    assert running(str(yard.folder)) == []
    deadline = time.monotonic() + 10
    while running(f"sleep {seconds}") and time.monotonic() < deadline:
        time.sleep(0.2)
    assert running(f"sleep {seconds}") == []
    assert not yard.exists()


def test_an_engine_of_a_docker_context_builds_with_its_own_builder(yard: Yard, tmp_path: Path) -> None:
    import hashlib

    config = tmp_path / "config"
    meta = config / "contexts" / "meta" / hashlib.sha256(b"sea").hexdigest()
    meta.mkdir(parents=True)
    (meta / "meta.json").write_text(
        json.dumps({"Name": "sea", "Metadata": {}, "Endpoints": {"docker": {"Host": yard.engine.candidate.url}}})
    )
    (config / "cli-plugins").mkdir()
    (config / "cli-plugins" / "docker-buildx").symlink_to(programs.find("buildx", yard.engine, yard.host).path)
    environment = {key: value for key, value in yard.host.environment.items() if key != "DOCKER_HOST"}
    yard.host = replace(yard.host, environment={**environment, "DOCKER_CONFIG": str(config), "DOCKER_CONTEXT": "sea"})
    yard.engine = find_engine(yard.host)
    yard.write(f"FROM {BASE}\nRUN echo {yard.image}\n")
    assert yard.build().counted
    yard.engine.client.close()
