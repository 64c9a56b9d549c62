"""A whole build without an engine: buildx is a script that plays a stream, the engine answers from a table."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import docker.errors
import pytest
import requests
from tests.fakes.engine import refusal

from seatrial.engine.find import Candidate, Engine
from seatrial.engine.programs import Builder, Choice
from seatrial.errors import BuildError, BuildFailedError, EngineError, SeatrialError
from seatrial.host import Host
from seatrial.images import untrusted
from seatrial.images.bases import Refusal, Registries
from seatrial.images.build import BuildResult, build, build_all
from seatrial.images.plan import plan_build
from seatrial.images.progress import Event, StepChanged
from seatrial.settings.read import read_project
from seatrial.trust import Trust

if TYPE_CHECKING:
    from pathlib import Path

    from seatrial.images.plan import BuildPlan

BUILDX = """\
#!/bin/sh
if [ "$1" = version ]; then echo "buildx v0.13.1"; exit 0; fi
printf '%s\\n' "$@" > "$FOLDER/arguments"
env > "$FOLDER/environment"
while [ $# -gt 0 ]; do
    if [ "$1" = --iidfile ]; then printf 'sha256:built\\n' > "$2"; fi
    if [ "$1" = --file ]; then cp "$2" "$FOLDER/dockerfile"; ls "$(dirname "$2")" > "$FOLDER/beside"; fi
    shift
done
cat "$FOLDER/stream" >&2
if [ -f "$FOLDER/hangs" ]; then trap 'echo > "$FOLDER/interrupted"; exit 1' INT; sleep 20 & wait; fi
exit "$(cat "$FOLDER/code")"
"""
DOCKERFILE = "# syntax=docker/dockerfile:1\nFROM python:3.13-slim\nRUN true\n"
DONE = {
    "digest": "1", "name": "[2/2] RUN true",
    "started": "2026-01-01T00:00:00Z", "completed": "2026-01-01T00:00:02Z",
}  # fmt: skip
NO_ANSWER = refusal(500, "dial tcp 10.0.0.9:443: connect: connection refused")


class Images:
    """What the engine and the registries answer for a reference: an image, or an error."""

    def __init__(self) -> None:
        self.local: dict[str, Any] = {}
        self.remote: dict[str, Exception] = {}
        self.asked: list[str] = []

    def get(self, reference: str) -> Any:
        if reference not in self.local:
            raise docker.errors.ImageNotFound("no", response=SimpleNamespace(status_code=404))  # type: ignore[arg-type]
        if isinstance(self.local[reference], Exception):
            raise self.local[reference]
        return self.local[reference]

    def get_registry_data(self, reference: str) -> None:
        self.asked.append(reference)
        if reference in self.remote:
            raise self.remote[reference]


def image(number: str) -> SimpleNamespace:
    return SimpleNamespace(id=number, history=lambda: [{"Size": 3}, {"Size": 4}])


class TableEngine(Engine):
    """An engine that answers from a table."""

    @property
    def client(self) -> Any:
        return TABLES[self.candidate.url]


TABLES: dict[str, SimpleNamespace] = {}


@dataclass
class Witness:
    """Keeps what a build tells."""

    said: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    results: list[BuildResult] = field(default_factory=list)

    def began(self, plan: BuildPlan) -> None:
        self.said.append(f"began {plan.app}")

    def say(self, message: str) -> None:
        self.said.append(message)

    def event(self, event: Event) -> None:
        self.events.append(event)

    def ended(self, result: BuildResult) -> None:
        self.results.append(result)


class Site:
    """A project, a script in place of buildx, and an engine that answers from a table."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.images = Images()
        self.images.local["sha256:built"] = image("sha256:built")
        self.engine_answers = True
        self.witness = Witness()
        plugins = folder / "config" / "cli-plugins"
        plugins.mkdir(parents=True)
        (plugins / "docker-buildx").write_text(BUILDX)
        (plugins / "docker-buildx").chmod(0o755)
        (folder / "pyproject.toml").write_text('[tool.seatrial.apps.one]\n[project]\nname = "one"\n')
        self.write(DOCKERFILE)
        self.play(DONE)
        environment = {
            "DOCKER_CONFIG": str(folder / "config"), "FOLDER": str(folder), "PATH": "/usr/bin:/bin",
            "PIP_CONFIG_FILE": "/dev/null", "UV_NO_CONFIG": "1",
        }  # fmt: skip
        self.host = Host(environment=environment, home=folder, data=folder / "data", cache=folder / "cache")
        TABLES[str(folder)] = SimpleNamespace(
            images=self.images, api=SimpleNamespace(timeout=60), version=lambda: {"Arch": "amd64"},
            ping=self._ping, info=lambda: {"DockerRootDir": "/var/lib/docker"},
        )  # fmt: skip
        self.engine = TableEngine(
            candidate=Candidate(source="a table", url=str(folder)), version="28.0.0", api_version="1.48",
            platform="linux/amd64", programs_environment=environment,
        )  # fmt: skip

    def _ping(self) -> bool:
        if not self.engine_answers:
            raise requests.exceptions.ConnectionError
        return True

    def write(self, dockerfile: str) -> None:
        (self.folder / "Dockerfile").write_text(dockerfile)

    def play(self, *vertices: dict[str, Any], said: str = "", code: int = 0) -> None:
        (self.folder / "stream").write_text(json.dumps({"vertexes": vertices}) + f"\n{said}\n")
        (self.folder / "code").write_text(str(code))

    def build(
        self, builder: Builder | None = None, registries: Registries | None = None, trust: Trust = Trust.PROJECT
    ) -> BuildResult:
        project = read_project(self.folder)
        moments = iter((10.0, 13.5))
        return build(
            plan_build(project, "one", trust=trust), engine=self.engine, host=self.host, project=project,
            observer=self.witness, builder=builder, registries=registries, clock=lambda: next(moments),
        )  # fmt: skip

    def fails(self, builder: Builder | None = None) -> SeatrialError:
        with pytest.raises(SeatrialError) as raised:
            self.build(builder)
        return raised.value

    def read(self, name: str) -> list[str]:
        return (self.folder / name).read_text().splitlines()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_build_tells_its_steps_and_gives_the_engines_image(site: Site) -> None:
    result = site.build()
    assert (result.image_id, result.size_bytes, result.seconds) == ("sha256:built", 7, 3.5)
    assert [step.text for step in result.counted] == ["RUN true"]
    assert site.witness.said == ["began one"]
    assert [type(event) for event in site.witness.events] == [StepChanged]
    assert site.witness.results == [result]
    arguments = site.read("arguments")
    assert arguments[:5] == ["build", "--progress=rawjson", "--load", "--builder", "default"]
    assert arguments[-2:] == ["--", str(site.folder)]
    assert site.read("dockerfile") == DOCKERFILE.splitlines()
    assert not [word for word in arguments if word.startswith("--target")]


def test_the_target_reaches_buildx_and_only_its_bases_are_asked_for(site: Site) -> None:
    (site.folder / "pyproject.toml").write_text('[tool.seatrial.apps.one]\ntarget = "app"\n')
    site.write("FROM scratch AS app\nRUN true\nFROM nowhere:1 AS dev\n")
    site.build()
    assert "--target=app" in site.read("arguments")
    site.write("FROM scratch\n")
    assert "no stage is called 'app'" in str(site.fails())


def test_bases_that_cannot_be_had_are_told_all_at_once_with_their_lines(site: Site) -> None:
    site.write(
        "FROM python:3.13-alpine AS made\nCOPY --from=me.test/tools:1 /x /x\nFROM redis:6 AS unused\n"
        "FROM python:2.7\nCOPY --from=made /x /x\nCOPY --from=mad /y /y\n"
    )
    for name in ("python:3.13-alpine", "me.test/tools:1", "python:2.7", "mad"):
        site.images.remote[name] = refusal(500, "dial tcp: lookup registry.test on 10.0.0.1:53: no such host")
    error = site.fails()
    assert (error.what, error.where) == ("4 base images cannot be had; a line each tells what to do.", "Dockerfile")
    told = [
        ("Dockerfile:1: the base image python:3.13-alpine cannot", "an Alpine image", "Name python:3.13-slim, pull"),
        ("Dockerfile:2: the base image me.test/tools:1 cannot", "no local substitute either", "`docker load`"),
        ("Dockerfile:4: the base image python:2.7 cannot", "Debian has none either", "`uv python install 2.7`"),
        ("Dockerfile:6: no stage is called 'mad'", "no registry in reach", "Did you mean the stage 'made'?"),
    ]
    for line, (where, why, advice) in zip(error.detail.splitlines(), told, strict=True):
        assert line.startswith(where)
        assert "no registry in reach (no such host: registry.test)" in line
        assert why in line
        assert advice in line


def labelled(**labels: str) -> SimpleNamespace:
    return SimpleNamespace(id="sha256:there", labels=labels, history=list)


def test_an_untrusted_build_has_its_own_caches(site: Site) -> None:
    (site.folder / "pyproject.toml").write_text(
        f'[tool.seatrial.apps.one]\nbuild-arguments = {{ {untrusted.CACHE_NAMESPACE} = "" }}\n'
    )
    site.build()
    assert f"--build-arg={untrusted.CACHE_NAMESPACE}=" in site.read("arguments")
    site.write("FROM scratch\nRUN true\n")
    site.build(trust=Trust.NONE)
    owner = untrusted.owner_of(site.folder)
    given = [word for word in site.read("arguments") if untrusted.CACHE_NAMESPACE in word]
    assert given == [f"--build-arg={untrusted.CACHE_NAMESPACE}={owner}"]
    assert f"--label={untrusted.LABEL}={owner}" in site.read("arguments")
    site.images.local["one:latest"] = labelled(**{untrusted.LABEL: owner})
    site.build(trust=Trust.NONE)


@pytest.mark.parametrize("labels", [{}, {"seatrial.app": "one"}, {untrusted.LABEL: "another"}])
def test_an_untrusted_build_replaces_no_image_of_others(site: Site, labels: dict[str, str]) -> None:
    site.images.local["one:latest"] = labelled(**labels)
    site.build()
    with pytest.raises(BuildError, match="one:latest is an image that this project did not build"):
        site.build(trust=Trust.NONE)


def test_an_untrusted_build_is_called_like_no_image_that_builders_pull(site: Site) -> None:
    (site.folder / "pyproject.toml").write_text('[tool.seatrial.apps.one]\nimage = "docker/dockerfile"\n')
    with pytest.raises(BuildError, match="docker/dockerfile:latest is an image that builds use"):
        site.build(trust=Trust.NONE)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("FROM shop:latest\n", 1),
        ("ARG BASE=shop\nFROM $BASE:latest\n", 2),
        ("FROM scratch\nCOPY --from=shop:latest / /\n", 2),
        ("FROM shop:latest AS a\nFROM scratch\nRUN --mount=from=a,target=/a cp /a/x /x\n", 1),
        ("FROM scratch\n\nRUN --mount=type=bind,from=shop:latest,target=/a cp /a/x /x\n", 3),
    ],
)
@pytest.mark.parametrize("labels", [{"seatrial.app": "shop"}, {"seatrial.app": "shop", untrusted.LABEL: "another"}])
def test_an_untrusted_build_takes_no_image_of_another_project(
    site: Site, text: str, line: int, labels: dict[str, str]
) -> None:
    site.write(text)
    site.images.local["shop:latest"] = labelled(**labels)
    with pytest.raises(BuildError, match="shop:latest is an image of another project") as caught:
        site.build(trust=Trust.NONE)
    assert caught.value.where == f"Dockerfile:{line}"
    site.build()
    site.images.local["shop:latest"] = labelled(
        **{"seatrial.app": "shop", untrusted.LABEL: untrusted.owner_of(site.folder)}
    )
    site.build(trust=Trust.NONE)
    site.images.local["shop:latest"] = labelled(**{"org.opencontainers.image.title": "python"})
    site.build(trust=Trust.NONE)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('FROM sh"op"\n', 1),
        ("ARG A=shopx\nFROM ${A%x}\n", 2),
        ("ARG A=shopx\nARG B=${A%x}\nFROM $B\n", 2),
        ("FROM scratch\nONBUILD COPY --from=shop / /\n", 2),
        ("FROM scratch\nONBUILD RUN --mount=from=shop,target=/a true\n", 2),
    ],
)
def test_an_untrusted_build_says_plainly_what_it_takes(site: Site, text: str, line: int) -> None:
    site.write(text)
    with pytest.raises(BuildError, match="cannot be told: refused") as caught:
        site.build(trust=Trust.NONE)
    assert caught.value.where == f"Dockerfile:{line}"
    site.build()


def test_an_untrusted_build_may_use_variables_and_a_digest(site: Site) -> None:
    digest = f"shop@sha256:{'0' * 64}"
    site.write(f"ARG A\nARG B=${{A:-scratch}}\nFROM ${{B}}\nONBUILD RUN echo from here\nCOPY --from={digest} / /\n")
    site.images.local[digest] = labelled(**{"seatrial.app": "shop"})
    assert site.build(trust=Trust.NONE).image_id


@pytest.mark.parametrize(
    "text",
    [
        "# syntax=evil/frontend\nFROM scratch\n",
        "#!/bin/sh\n#SYNTAX = evil/frontend:1\nFROM scratch\n",
        "// syntax=evil/frontend\nFROM scratch\n",
        "\ufeff# escape=`\n# syntax=docker/dockerfile.evil\nFROM scratch\n",
        '{"syntax": "evil/frontend"}\n',
    ],
)
def test_an_untrusted_dockerfile_names_no_frontend(site: Site, text: str) -> None:
    site.write(text)
    with pytest.raises(BuildError, match="a program that makes the build"):
        plan_build(read_project(site.folder), "one", trust=Trust.NONE)


def test_an_untrusted_build_argument_names_no_frontend(site: Site) -> None:
    (site.folder / "pyproject.toml").write_text(
        '[tool.seatrial.apps.one]\nbuild-arguments = { BUILDKIT_SYNTAX = "evil/frontend" }\n'
    )
    with pytest.raises(BuildError, match="BUILDKIT_SYNTAX"):
        plan_build(read_project(site.folder), "one", trust=Trust.NONE)


def test_the_frontend_of_docker_may_be_named(site: Site) -> None:
    site.write("# syntax=docker/dockerfile:1.7\nFROM scratch\n")
    assert plan_build(read_project(site.folder), "one", trust=Trust.NONE).owner


def test_an_engine_that_knows_the_image_by_another_id_is_asked_by_tag(site: Site) -> None:
    site.images.local = {"one:latest": image("sha256:other")}
    assert site.build().image_id == "sha256:other"


def test_what_the_engine_has_is_not_asked_of_a_registry(site: Site) -> None:
    site.images.local |= {"python:3.13-slim": image("a"), "docker/dockerfile:1": image("b")}
    site.build()
    assert site.images.asked == []
    assert site.witness.said == ["began one"]


def test_a_syntax_that_cannot_be_pulled_is_left_out_and_said(site: Site) -> None:
    site.images.local["python:3.13-slim"] = image("a")
    site.images.remote["docker/dockerfile:1"] = NO_ANSWER
    (site.folder / "Dockerfile.dockerignore").write_text("x\n")
    site.build()
    assert site.read("dockerfile") == ["#", *DOCKERFILE.splitlines()[1:]]
    assert site.read("beside") == ["Dockerfile", "Dockerfile.dockerignore", "image-id"]
    [said] = site.witness.said[1:]
    assert said == (
        "docker/dockerfile:1: no registry in reach (nothing answers at 10.0.0.9:443); "
        "using the engine's own Dockerfile syntax"
    )


def test_a_base_that_comes_from_nowhere_ends_the_build_before_it_starts(site: Site) -> None:
    site.write("FROM nosuch:1\n")
    site.images.remote["nosuch:1"] = NO_ANSWER
    error = site.fails()
    assert isinstance(error, BuildError)
    assert error.where == "Dockerfile:1"
    assert not (site.folder / "arguments").exists()


def test_an_engine_that_fails_while_bases_are_looked_for_is_named(site: Site) -> None:
    site.images.local["python:3.13-slim"] = refusal(500, "broken")
    error = site.fails()
    assert isinstance(error, EngineError)
    assert "broken" in error.what


def test_a_failed_step_is_the_error(site: Site) -> None:
    broken = {**DONE, "error": 'process "/bin/sh -c true" did not complete successfully: exit code: 3'}
    site.play(broken, code=1)
    error = site.fails()
    assert isinstance(error, BuildFailedError)
    assert (error.where, error.what) == ("Dockerfile:3", "this step failed: RUN true (exit code 3).")
    assert site.witness.results == []


def test_an_engine_that_stopped_answering_during_the_build_is_told(site: Site) -> None:
    site.play(said="ERROR: something", code=1)
    assert site.fails().what == "something."
    site.engine_answers = False
    assert "stopped answering during the build" in site.fails().what


def test_a_full_disk_names_the_engines_folder(site: Site) -> None:
    site.play(said="ERROR: failed to solve: no space left on device", code=1)
    assert site.fails().where == "/var/lib/docker"


def test_another_builder_is_named_where_it_is_the_cause(site: Site) -> None:
    site.play(said="ERROR: context deadline exceeded", code=1)
    assert site.fails(Builder(name="far", driver="remote")).where == "'far' (remote)"
    # On the engine's own builder the same words are buildx's own.
    assert site.fails().where == "Dockerfile"


def test_a_build_has_a_time_limit_and_tells_what_was_running(site: Site) -> None:
    (site.folder / "hangs").touch()
    site.play({key: value for key, value in DONE.items() if key != "completed"})
    (site.folder / "pyproject.toml").write_text("[tool.seatrial.apps.one]\nbuild-within = 0.5\n")
    error = site.fails()
    assert isinstance(error, BuildFailedError)
    assert error.where == "Dockerfile:3"
    assert error.what == "the build took longer than 0.5 s and was stopped: RUN in line 3 was running."
    assert "`build-within` in [tool.seatrial.apps.one]" in error.fix
    assert (site.folder / "interrupted").exists()


def test_what_lies_outside_of_the_project_is_announced(site: Site, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("Outside")
    (site.folder / "pyproject.toml").write_text(
        f'[tool.seatrial.apps.one]\ncontext = "{outside}"\ndockerfile = "Dockerfile"\n'
    )
    site.build()
    [said] = site.witness.said[1:]
    assert said.startswith(f"Note that the build context {outside} lies outside of the project's folder: ")


def test_an_untrusted_build_gets_no_credential(site: Site) -> None:
    (site.folder / "pyproject.toml").write_text('[tool.seatrial.apps.one]\nbuild-secrets = ["netrc", "pip-config"]\n')
    (site.folder / ".netrc").write_text("machine a login b password c\n")
    site.host = replace(
        site.host,
        environment={**site.host.environment, "PIP_INDEX_URL": "https://me:tok@index.test"},
        trust=Trust.NONE,
    )
    site.build()
    assert "--secret" not in site.read("arguments")
    assert not any("index.test" in line for line in site.read("environment") if "PIP_INDEX_URL" not in line)


def test_an_observer_that_raises_ends_the_build(site: Site) -> None:
    def gone(_: Event) -> None:
        raise BrokenPipeError

    site.witness.event = gone  # type: ignore[assignment,method-assign]
    with pytest.raises(BrokenPipeError):
        site.build()


def test_secrets_reach_buildx_through_its_environment(site: Site) -> None:
    site.host = Host(
        environment={**site.host.environment, "PIP_INDEX_URL": "https://index.test", "HTTPS_PROXY": "http://p"},
        home=site.folder, data=site.folder, cache=site.folder,
    )  # fmt: skip
    (site.folder / ".netrc").write_bytes(b"x" * 600_000)
    site.build()
    assert "id=pip-config,env=SEATRIAL_SECRET_PIP_CONFIG" in site.read("arguments")
    assert "index-url = https://index.test" in site.read("environment")
    assert any("netrc is not passed to the build as the secret 'netrc'" in line for line in site.witness.said)


# What registries say is kept for the run.


def test_a_registry_out_of_reach_is_asked_once(site: Site) -> None:
    registries = Registries(engine=site.engine)
    site.images.remote = {"far.test/a": NO_ANSWER, "far.test/b": NO_ANSWER}
    first = registries.refusal("far.test/a")
    assert first == Refusal(reason="no registry in reach (nothing answers at 10.0.0.9:443)", certain=True)
    assert registries.refusal("far.test/b") == first
    assert registries.refusal("near.test/a") is None
    assert site.images.asked == ["far.test/a", "near.test/a"]


@pytest.mark.parametrize("status", [401, 404, 499])
def test_a_registry_that_refuses_one_image_is_asked_for_the_next(site: Site, status: int) -> None:
    registries = Registries(engine=site.engine)
    site.images.remote["far.test/a"] = refusal(status, "dial tcp 1: connect: connection refused")
    # Its own words: it was reached.
    assert registries.refusal("far.test/a") == Refusal(reason="dial tcp 1: connect: connection refused", certain=True)
    assert registries.refusal("far.test/b") is None
    assert site.images.asked == ["far.test/a", "far.test/b"]


def test_an_image_that_can_be_pulled_is_asked_for_once(site: Site) -> None:
    registries = Registries(engine=site.engine)
    assert registries.refusal("far.test/a") is None
    assert registries.refusal("far.test/a") is None
    assert site.images.asked == ["far.test/a"]


@pytest.mark.parametrize(
    ("error", "reason", "kept"),
    [
        (requests.exceptions.Timeout(), "far.test did not answer within 5 s", True),
        (docker.errors.DockerException("no credentials"), "no credentials", False),
    ],
)
def test_what_gives_no_clear_answer_is_uncertain(site: Site, error: Exception, reason: str, kept: bool) -> None:
    registries = Registries(engine=site.engine)
    site.images.remote["far.test/a"] = error
    assert registries.refusal("far.test/a") == Refusal(reason=reason, certain=False)
    assert (registries.refusal("far.test/b") is not None) is kept
    assert site.engine.client.api.timeout == 60


@pytest.mark.parametrize("status", [404, 400])
def test_a_reference_that_the_engine_does_not_know_is_not_there(site: Site, status: int) -> None:
    registries = Registries(engine=site.engine)
    site.images.local["a"] = refusal(status, "no")
    assert not registries.has_locally("a")
    assert registries.has_locally("sha256:built")
    site.images.local["a"] = refusal(500, "broken")
    with pytest.raises(docker.errors.APIError):
        registries.has_locally("a")


def test_the_answers_of_one_run_are_shared_by_its_builds(site: Site) -> None:
    registries = Registries(engine=site.engine)
    site.build(registries=registries)
    asked = list(site.images.asked)
    assert asked == ["python:3.13-slim", "docker/dockerfile:1"]
    site.build(registries=registries)
    assert site.images.asked == asked
    site.build()
    assert site.images.asked == [*asked, *asked]


def test_a_builder_elsewhere_has_no_use_of_the_engines_syntax_image(site: Site) -> None:
    site.images.local |= {"docker/dockerfile:1": image("b")}
    site.build(Builder(name="far", driver="remote"))
    assert "docker/dockerfile:1" in site.images.asked
    assert site.read("arguments")[3:6] == ["--builder", "far", "--platform=linux/amd64"]


# Several builds.


@pytest.mark.parametrize("count", [1, 2])
def test_every_build_is_tried_and_the_first_problem_is_raised(site: Site, count: int) -> None:
    site.play({**DONE, "error": "broken"}, code=1)
    project = read_project(site.folder)
    with pytest.raises(BuildFailedError, match="broken"):
        build_all(
            [plan_build(project, "one")] * count, engine=site.engine, host=site.host, project=project, choice=None,
            observer=site.witness,
        )  # fmt: skip
    assert site.witness.said.count("began one") == count
    # Of several, each is named when it fails; the last message is the error's own.
    assert sum("one:latest was not built: " in line for line in site.witness.said) == (count if count > 1 else 0)


def test_bases_of_all_builds_are_looked_for_before_the_first_and_what_has_its_own_is_built(site: Site) -> None:
    tables = {"one": "", "two": 'dockerfile = "two"', "three": 'target = "x"'}
    settings = (f"[tool.seatrial.apps.{name}]\n{line}\n" for name, line in tables.items())
    (site.folder / "pyproject.toml").write_text("".join(settings))
    site.write("FROM scratch AS x\nRUN true\n")
    (site.folder / "two").write_text("FROM a.test/a:1\nCOPY --from=a.test/b:1 /x /x\n")
    site.images.remote |= dict.fromkeys(("a.test/a:1", "a.test/b:1"), refusal(404, "no such manifest"))
    project = read_project(site.folder)
    plans = [plan_build(project, name) for name in tables]
    with pytest.raises(BuildError, match="2 base images cannot be had"):
        build_all(plans, engine=site.engine, host=site.host, project=project, choice=None, observer=site.witness)
    first, *others = site.witness.said
    assert first.startswith("two:latest was not built: two: 2 base images cannot be had")
    assert "two:2: the base image a.test/b:1 cannot be pulled: no such manifest" in first
    assert others == ["began one", "began three"]


def test_a_builder_that_was_named_is_said_before_the_builds(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    project = read_project(site.folder)
    far = Builder(name="far", driver="remote")
    for found in (far, None):
        monkeypatch.setattr("seatrial.engine.programs.find_builder", lambda *_, found=found: found)
        site.witness.said.clear()
        results = build_all(
            [plan_build(project, "one")], engine=site.engine, host=site.host, project=project,
            choice=Choice(name="far", source="--builder"), observer=site.witness,
        )  # fmt: skip
        assert [result.image_id for result in results] == ["sha256:built"]
        named = [line for line in site.witness.said if "named by --builder, builds" in line]
        assert len(named) == (1 if found else 0)


def with_bundle(site: Site) -> str:
    bundle = site.folder / "ca.pem"
    bundle.write_text("-----BEGIN CERTIFICATE-----\n")
    site.host = replace(site.host, environment={**site.host.environment, "SSL_CERT_FILE": str(bundle)})
    return str(bundle)


def handed_file(site: Site) -> str:
    arguments = site.read("arguments")
    return arguments[arguments.index("--file") + 1]


def test_without_certificates_of_the_hosts_own_the_dockerfile_is_the_projects_file(site: Site) -> None:
    site.write("FROM scratch\nRUN true\n")
    site.build()
    assert handed_file(site) == str(site.folder / "Dockerfile")
    assert "--secret" not in site.read("arguments")
    assert site.witness.said == ["began one"]


@pytest.mark.parametrize("trust", [Trust.NONE, Trust.PROJECT])
def test_each_run_gets_the_hosts_certificates(site: Site, trust: Trust) -> None:
    bundle = with_bundle(site)
    site.host = replace(site.host, trust=trust)
    text = "# syntax=docker/dockerfile:1.7\nFROM scratch\n\nRUN true\n"
    site.write(text)
    (site.folder / "Dockerfile.dockerignore").write_text("secret\n")
    site.images.local["docker/dockerfile:1.7"] = image("sha256:syntax")
    site.build(trust=trust)
    assert handed_file(site) != str(site.folder / "Dockerfile")
    assert set(site.read("beside")) >= {"Dockerfile", "Dockerfile.dockerignore"}
    assert (site.folder / "Dockerfile").read_text() == text
    handed = site.read("dockerfile")
    assert handed[:3] == text.splitlines()[:3]
    assert handed[3].startswith("RUN --mount=type=secret,id=ca-bundle,target=/dev/seatrial/ca.pem,mode=0444 --mount=")
    assert handed[3].endswith(" . /dev/seatrial/env; true")
    arguments = site.read("arguments")
    given = [arguments[at + 1] for at, word in enumerate(arguments) if word == "--secret"]
    assert given[0] == f'"id=ca-bundle","src={bundle}"'
    assert [word.partition(",")[0] for word in given[1:]] == [
        "id=seatrial-apt-conf",
        "id=seatrial-wgetrc",
        "id=seatrial-env",
    ]
    environment = "\n".join(site.read("environment"))
    assert "SEATRIAL_SECRET_SEATRIAL_ENV={ export SSL_CERT_FILE=" in environment
    [said] = site.witness.said[1:]
    assert said == (
        f"Dockerfile: 1 RUN gets the host's certificates ({bundle}) while running. `build-certificates = false` in "
        "[tool.seatrial.apps.one] of pyproject.toml keeps them out."
    )


def test_a_setting_keeps_the_hosts_certificates_out(site: Site) -> None:
    bundle = with_bundle(site)
    (site.folder / "pyproject.toml").write_text("[tool.seatrial.apps.one]\nbuild-certificates = false\n")
    site.write("FROM scratch\nRUN true\n")
    site.build()
    assert handed_file(site) == str(site.folder / "Dockerfile")
    # A RUN can still mount them by itself.
    assert f'"id=ca-bundle","src={bundle}"' in site.read("arguments")
    assert site.witness.said == ["began one"]


def test_a_dockerfile_that_something_else_reads_gets_no_certificates(site: Site) -> None:
    with_bundle(site)
    site.write("# syntax=example/frontend:1\nFROM scratch\nRUN true\n")
    site.build()
    assert handed_file(site) == str(site.folder / "Dockerfile")
    assert "no RUN gets the host's certificates" in site.witness.said[-1]


def test_a_syntax_that_is_left_out_leaves_the_mounts_to_the_builders_own(site: Site) -> None:
    with_bundle(site)
    site.images.remote["docker/dockerfile:1"] = NO_ANSWER
    site.images.local["python:3.13-slim"] = image("sha256:base")
    site.build()
    first, _, run = site.read("dockerfile")
    assert first == "#"
    # The engine of these tests is one of those that have a new frontend built in.
    assert ",env=SSL_CERT_FILE --mount" in run
    assert run.endswith(" true")
    assert "SEATRIAL_SECRET_SEATRIAL_SSL_CERT_FILE=/dev/seatrial/ca.pem" in site.read("environment")


def test_a_failure_quotes_the_dockerfile_as_it_is_written(site: Site) -> None:
    with_bundle(site)
    site.write("FROM scratch\nRUN --network=default false\n")
    site.engine = replace(site.engine, version="26.1.5")
    site.build()
    run = site.read("dockerfile")[1]
    command = run.partition("--network=default ")[2]
    failed = {
        **DONE, "name": f"[2/2] {run}",
        "error": f'process "/bin/sh -c {command}" did not complete successfully: exit code: 1',
    }  # fmt: skip
    site.play(failed, said=f"Dockerfile:2\n--------------------\n   2 | >>> {run}\n", code=1)
    error = site.fails()
    assert error.where == "Dockerfile:2"
    assert error.what == "this step failed: RUN --network=default false (exit code 1)."
    assert "seatrial" not in f"{error.detail} {site.witness.events}"


def test_a_credential_that_the_settings_name_reaches_each_run_unless_the_dockerfile_mounts_it(site: Site) -> None:
    (site.folder / ".netrc").write_text("machine a login b\n")
    (site.folder / "pyproject.toml").write_text('[tool.seatrial.apps.one]\nbuild-secrets = ["netrc"]\n')
    site.write("FROM scratch\nRUN true\n")
    site.build()
    assert "id=netrc,target=/dev/seatrial/netrc,mode=0444" in site.read("dockerfile")[1]
    assert site.witness.said[-1] == "Dockerfile: 1 RUN gets netrc while running."
    site.write("FROM scratch\nRUN --mount=type=secret,id=netrc true\nRUN true\n")
    site.build()
    assert handed_file(site) == str(site.folder / "Dockerfile")
    site.write("FROM scratch\nRUN true\n")
    site.host = replace(site.host, trust=Trust.NONE)
    site.build(trust=Trust.NONE)
    assert handed_file(site) == str(site.folder / "Dockerfile")
