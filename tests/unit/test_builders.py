"""Builders that a person names: what is read, what is decided, what buildx is told. Nothing here reaches an engine."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.unit.factories import host
from tests.unit.test_bases import Answers

from seatrial.dockerfile import parse
from seatrial.engine import programs
from seatrial.engine.find import OWN, Candidate, Engine
from seatrial.engine.programs import (
    Builder,
    Choice,
    builder_not_found,
    choose_builder,
    read_builder,
    read_names,
    require_usable_builder,
)
from seatrial.errors import BuildError, EngineError, SeatrialError, SettingsError
from seatrial.images import bases, layer_cache, oci_layout
from seatrial.images.bases import Refusal
from seatrial.images.build import buildx_arguments
from seatrial.images.failure import BuildEnvironment, explain
from seatrial.images.plan import BuildPlan
from seatrial.images.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ENGINE = Engine(
    candidate=Candidate(source="the default socket", url="unix:///s"),
    version="26.1.5",
    api_version="1.45",
    platform="linux/arm64",
    programs_environment={"PATH": "/bin", "DOCKER_HOST": "unix:///s"},
)
FAR = Builder(name="far", driver="remote", endpoints=("tcp://b:1",), statuses=("running",))
CHOICE = Choice(name="far", source="--builder")

# As buildx 0.13.1 prints them.
REMOTE = """\
Name:          far
Driver:        remote
Last Activity: 2026-11-29 05:58:31 +0000 UTC

Nodes:
Name:             far0
Endpoint:         tcp://b:1
Status:           running
BuildKit version: v0.13.0
Platforms:        linux/amd64, linux/386
Labels:
 org.mobyproject.buildkit.worker.executor: oci

Name:             far1
Endpoint:         tcp://b:2
Error:            dial tcp: connection refused
"""
CONTEXT = "Name:   sea\nDriver: docker\n\nNodes:\nName:     sea\nEndpoint: sea\nStatus:   running\n"
GONE = (
    "Name:   gone\nDriver: \nError:  Cannot connect to the Docker daemon at unix:///n. Is the docker daemon running?\n"
)
ASLEEP = "Name: box\nDriver: docker-container\n\nNodes:\nName: box0\nEndpoint: unix:///s\nStatus: inactive\n"
DEAD = "Name: far\nDriver: remote\n\nNodes:\nName: far0\nEndpoint: tcp://b:1\nStatus: inactive\n"
BROKEN = "Name: far\nDriver: kubernetes\n\nNodes:\nName: far0\nEndpoint: k\nError: no such \x1b[31mcluster\n"


# --- who is chosen ----------------------------------------------------------------------------------------


def test_the_option_goes_before_the_variable_and_an_empty_variable_is_none() -> None:
    assert choose_builder("a", {"BUILDX_BUILDER": "b"}) == Choice(name="a", source="--builder")
    assert choose_builder(None, {"BUILDX_BUILDER": "b"}) == Choice(name="b", source="BUILDX_BUILDER")
    assert choose_builder(None, {"BUILDX_BUILDER": ""}) is None
    assert choose_builder(None, {}) is None


@pytest.mark.parametrize("name", ["", " "])
def test_an_option_without_a_name_is_refused(tmp_path: Path, name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "seatrial", "build", "--dry-run", "--builder", name],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == "error: --builder names no builder. Give its name, or leave the option out.\n"


@pytest.mark.parametrize(("context", "name"), [(None, "default"), ("sea", "sea")])
def test_for_the_engines_own_builder_nothing_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, context: str | None, name: str
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("a program was looked for")

    monkeypatch.setattr("seatrial.engine.programs.find", never)
    engine = replace(ENGINE, candidate=replace(ENGINE.candidate, context=context))
    assert programs.find_builder(None, engine, host(tmp_path)) is None
    assert programs.find_builder(Choice(name=name, source="--builder"), engine, host(tmp_path)) is None
    with pytest.raises(AssertionError, match="was looked for"):
        programs.find_builder(Choice(name="far", source="--builder"), engine, host(tmp_path))


@pytest.mark.parametrize("folder", [None, "/mine"])
def test_a_persons_builders_are_looked_for_in_their_own_folder(tmp_path: Path, folder: str | None) -> None:
    ours = replace(
        ENGINE,
        candidate=Candidate(source=OWN, url="unix:///s"),
        programs_environment={**ENGINE.programs_environment, "BUILDX_CONFIG": "/engine/buildx"},
    )
    machine = host(tmp_path, **({} if folder is None else {"BUILDX_CONFIG": folder}))
    environment = programs.builder_environment(ours, machine)
    assert environment.get("BUILDX_CONFIG") == folder
    # The image is loaded into the engine in use.
    assert environment["DOCKER_HOST"] == "unix:///s"


# --- what buildx says of it -------------------------------------------------------------------------------


def test_one_node_of_several_that_is_out_of_reach_is_buildxs_own_affair() -> None:
    read = read_builder(REMOTE, "FAR")
    assert (str(read), read.endpoints, read.statuses) == ("'far' (remote)", ("tcp://b:1", "tcp://b:2"), ("running",))
    assert require_usable_builder(read, CHOICE, ENGINE) is read


def test_a_builder_that_buildx_starts_when_it_is_needed_is_taken() -> None:
    assert require_usable_builder(read_builder(ASLEEP, "box"), CHOICE, ENGINE).driver == "docker-container"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (GONE, "Cannot connect to the Docker daemon at unix:///n."),
        (DEAD, "nothing answers at tcp://b:1."),
        (BROKEN, "no such cluster."),
        ("", "nothing answers at its address."),
    ],
)
def test_a_builder_that_does_not_answer_is_told_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(EngineError) as raised:
        require_usable_builder(read_builder(text, "far"), CHOICE, ENGINE)
    assert raised.value.what == f"the builder 'far' does not answer: {reason}"
    assert (raised.value.where, raised.value.exit_code) == ("--builder", 2)


@pytest.mark.parametrize(("source", "more"), [("the default socket", ""), ("DOCKER_HOST", "Unset DOCKER_HOST")])
def test_another_engines_builder_is_refused_with_the_way_that_moves_all(source: str, more: str) -> None:
    engine = replace(ENGINE, candidate=replace(ENGINE.candidate, source=source))
    with pytest.raises(EngineError, match="belongs to another engine than the one in use") as raised:
        require_usable_builder(read_builder(CONTEXT, "sea"), Choice(name="sea", source="BUILDX_BUILDER"), engine)
    assert "DOCKER_CONTEXT=sea instead of BUILDX_BUILDER." in raised.value.fix
    assert more in raised.value.fix
    assert ("DOCKER_HOST" in raised.value.fix) is bool(more)


def test_names_are_read_once_each_and_anything_else_is_passed_over() -> None:
    lines = ['{"Name":"far","Driver":"remote"}', '{"Name":"far"}', '{"Name":"default"}', "[]", "oops", '{"Name":3}']
    assert read_names("\n".join(lines)) == ("far", "default")


@pytest.mark.parametrize(
    ("name", "known", "error"),
    [
        ("fra", ("far", "default"), "--builder: there is no builder 'fra'. Did you mean 'far'?"),
        ("zzz", ("far", "default"), "--builder: there is no builder 'zzz'. Known: default, far."),
        ("zzz", (), "--builder: there is no builder 'zzz'. `docker buildx ls` lists the builders."),
        (
            "far",
            ("far",),
            "--builder: the builder 'far' cannot be used: a bad thing. Inspect it: `docker buildx inspect far`.",
        ),
    ],
)
def test_a_builder_that_buildx_does_not_give_is_told(name: str, known: tuple[str, ...], error: str) -> None:
    assert str(builder_not_found(Choice(name=name, source="--builder"), known, message="ERROR: a bad thing\n")) == error


BUILDX = """\
#!/bin/sh
case "$1" in
    version) echo "buildx v0.13.1" ;;
    inspect) [ "$3" = far ] || { echo "ERROR: no builder $3 found" >&2; exit 1; }; cat "$(dirname "$0")/far" ;;
    ls) echo '{"Name":"far"}' ;;
esac
"""


def test_buildx_is_asked_for_the_builder_that_was_named(tmp_path: Path) -> None:
    plugins = tmp_path / "cli-plugins"
    plugins.mkdir()
    (plugins / "docker-buildx").write_text(BUILDX)
    (plugins / "docker-buildx").chmod(0o755)
    (plugins / "far").write_text(REMOTE)
    machine = host(tmp_path, DOCKER_CONFIG=str(tmp_path))
    found = programs.find_builder(CHOICE, ENGINE, machine)
    assert found is not None
    assert (found.name, found.driver) == ("far", "remote")
    with pytest.raises(EngineError, match=r"there is no builder 'fra'\. Did you mean 'far'\?"):
        programs.find_builder(Choice(name="fra", source="--builder"), ENGINE, machine)


# --- what buildx is told ----------------------------------------------------------------------------------


def plan(folder: Path) -> BuildPlan:
    return BuildPlan(
        app="one", python=None, image="one", tags=("one:latest",), context=folder, dockerfile=folder / "Dockerfile",
        dockerfile_shown="Dockerfile", build_arguments={"A": "1"}, labels={"seatrial.app": "one"}, no_cache=True,
    )  # fmt: skip


def words(folder: Path, builder: Builder | None, context: str | None = None) -> list[str]:
    candidate = replace(ENGINE.candidate, context=context)
    return buildx_arguments(
        plan(folder), engine=replace(ENGINE, candidate=candidate), builder=builder,
        contexts={"python:3.13": "oci-layout:///t@sha256:1"}, substitutes=["b", "a"], provenance={"VERSION": "2"},
        dockerfile=folder / "other", id_file=folder / "id",
    )  # fmt: skip


def test_the_words_of_a_build_on_the_engines_own_builder(tmp_path: Path) -> None:
    said = words(tmp_path, None)
    assert said == [
        "build", "--progress=rawjson", "--load", "--builder", "default", "--provenance=false", "--sbom=false",
        "--iidfile", str(tmp_path / "id"), "--file", str(tmp_path / "other"), "--no-cache", "--tag=one:latest",
        "--label=seatrial.app=one", "--label=seatrial.standins=a,b", "--build-arg=VERSION=2", "--build-arg=A=1",
        "--build-context=python:3.13=oci-layout:///t@sha256:1",
    ]  # fmt: skip
    assert words(tmp_path, None, "sea") == ["sea" if word == "default" else word for word in said]


def test_another_builder_builds_for_the_engines_platform(tmp_path: Path) -> None:
    said = words(tmp_path, FAR, "sea")
    assert [word for word in said if word not in words(tmp_path, None)] == ["far", "--platform=linux/arm64"]


REFUSED = Refusal(reason="no registry in reach", certain=True)


@pytest.mark.parametrize(
    ("refusal", "elsewhere", "images", "syntax"),
    [
        (REFUSED, False, {}, None),
        (REFUSED, True, {"own/base:1": "own/base:1"}, "docker/dockerfile:1"),
        (Refusal(reason="slow", certain=False), True, {"own/base:1": "own/base:1"}, "docker/dockerfile:1"),
        (None, True, {}, None),
    ],
)
def test_what_only_the_engine_has_is_handed_to_another_builder(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    refusal: Refusal | None,
    elsewhere: bool,
    images: dict[str, str],
    syntax: str | None,
) -> None:
    monkeypatch.setattr("seatrial.offline.recipes", lambda *_: ())
    monkeypatch.setattr("seatrial.images.bases._platform_arguments", lambda _: {})
    said: list[str] = []
    answers = Answers(local=True, refusal=refusal)
    result = bases.replacements(
        plan(tmp_path), parse("# syntax=docker/dockerfile:1\nFROM own/base:1\n"), engine=ENGINE, host=host(tmp_path),
        project=None, say=said.append, registries=answers, elsewhere=elsewhere,  # type: ignore[arg-type]
    )  # fmt: skip
    assert (dict(result.images), result.syntax_left_out, dict(result.substitutes)) == (images, syntax, {})
    assert any("passing the engine's image to the builder" in line for line in said) is bool(images)
    # The ordinary build asks no registry for what the engine has.
    assert answers.asked is elsewhere


# --- an image as an OCI layout ----------------------------------------------------------------------------

DIGEST = f"sha256:{'ab' * 32}"


def saved(**files: str) -> Iterator[bytes]:
    """Return an archive in small parts, as an engine sends it."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    data = sink.getvalue()
    return (data[at : at + 700] for at in range(0, len(data), 700))


def test_a_saved_image_is_unpacked_and_its_digest_read(tmp_path: Path) -> None:
    index = json.dumps({"manifests": [{"digest": DIGEST}]})
    oci_layout.unpack(saved(**{"index.json": index, "blobs/sha256/ab": "x" * 5000}), tmp_path, engine="Docker 26")
    assert oci_layout.digest(tmp_path, engine="Docker 26") == DIGEST
    assert (tmp_path / "blobs" / "sha256" / "ab").read_text() == "x" * 5000


def test_an_archive_cannot_write_outside_its_folder(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    with pytest.raises(EngineError, match="cannot be unpacked"):
        oci_layout.unpack(saved(**{"../outside": "x"}), inside, engine="Docker 26")
    assert [path.name for path in tmp_path.iterdir()] == ["inside"]


def test_an_archive_that_ends_too_early_is_told(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="cannot be unpacked") as raised:
        oci_layout.unpack(iter([*saved(**{"index.json": "x" * 5000})][:3]), tmp_path, engine="Docker 26")
    assert raised.value.where == "Docker 26"


@pytest.mark.parametrize(
    ("index", "says"),
    [
        (None, "the form that Docker 25 or later saves"),
        ("{", "without a readable index.json"),
        ("[]", "without a readable index.json"),
        ('{"manifests": []}', "without a readable index.json"),
        ('{"manifests": [{"digest": "latest"}]}', "names no digest"),
    ],
)
def test_what_is_no_oci_layout_is_told(tmp_path: Path, index: str | None, says: str) -> None:
    if index is not None:
        (tmp_path / "index.json").write_text(index)
    with pytest.raises(EngineError, match=says) as raised:
        oci_layout.digest(tmp_path, engine="Docker 24")
    assert raised.value.where == "Docker 24"


@pytest.mark.parametrize("name", ["a:b", "a@b"])
def test_a_path_that_buildx_would_take_apart_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BuildError, match="holds ':' or '@'"):
        oci_layout.save_image(ENGINE, "a:1", tmp_path / name)


# --- why it did not succeed -------------------------------------------------------------------------------


def failed(said: str, *, step: str = "", error: str = "", answers: bool = True) -> SeatrialError:
    progress = Progress(parse("FROM a\n"))
    if step:
        progress.feed(json.dumps({"vertexes": [{"digest": "1", "name": step, "error": error}]}) + "\n")
    progress.feed(f"ERROR: {said}\n")
    return explain(
        progress,
        BuildEnvironment(
            dockerfile="Dockerfile", engine="Docker 1", data_folder=lambda: "/var/lib/docker", answers=lambda: answers,
            syntax_left_out=None, builder=str(FAR),
        ),
    )  # fmt: skip


@pytest.mark.parametrize("said", ["context deadline exceeded", "rpc error: code = Unavailable desc = EOF"])
def test_a_builder_that_is_lost_is_not_taken_for_the_engine(said: str) -> None:
    error = failed(said)
    assert isinstance(error, EngineError)
    assert (error.where, "the builder does not answer" in error.what) == ("'far' (remote)", True)
    assert "the engine stopped answering" in failed(said, answers=False).what


def test_a_builder_that_cannot_be_started_tells_why() -> None:
    why = "dial tcp: lookup hub on 1.1.1.1:53: no such host"
    error = failed(why, step="[internal] booting buildkit", error=why)
    assert isinstance(error, EngineError)
    assert error.what == "the builder cannot be started: no registry in reach (no such host: hub)."


def test_a_full_disk_may_be_the_builders() -> None:
    error = failed("failed to solve: write /x: no space left on device")
    assert (error.where, "the builder's disk" in error.what) == ("'far' (remote)", True)


# --- layers in a folder -----------------------------------------------------------------------------------


def test_layers_have_a_folder_for_each_build_and_older_ones_are_dropped(tmp_path: Path) -> None:
    kept = layer_cache.cached_in(str(tmp_path), replace(plan(tmp_path), python="3.13"), FAR).cache
    assert kept == tmp_path / "one-3.13"
    made = tmp_path / "made"
    assert layer_cache.arguments(kept, made) == [f"--cache-to=type=local,dest={made},mode=max"]
    for name in ("old", "index.json"):
        made.mkdir()
        (made / name).touch()
        layer_cache.keep(made, kept)
    assert [file.name for file in kept.iterdir()] == ["index.json"]
    assert layer_cache.arguments(kept, made)[0] == f"--cache-from=type=local,src={kept}"
    (tmp_path / "file").touch()
    with pytest.raises(BuildError, match="layers cannot be kept"):
        layer_cache.keep(kept, tmp_path / "file" / "x")


@pytest.mark.parametrize(("folder", "builder", "said"), [("a", None, "docker-container"), ("a,b", FAR, "comma")])
def test_where_no_layers_can_be_kept_is_told(tmp_path: Path, folder: str, builder: Builder | None, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        layer_cache.cached_in(folder, plan(tmp_path), builder)
