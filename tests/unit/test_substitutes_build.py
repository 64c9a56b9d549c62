"""What a local substitute's build says when it cannot be made: without an engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.test_build_run import TABLES, Images, TableEngine

from seatrial.engine.find import Candidate, Engine
from seatrial.errors import BuildError, EngineError, ImageError, ProgramError, SeatrialError
from seatrial.host import Host
from seatrial.offline import Substitute, ensure_substitute, find_substitute, recipes
from seatrial.offline.interpreter import HostPython
from seatrial.offline.packages import fetch_npm, fetch_programs
from seatrial.offline.recipe import Input, Kind
from seatrial.offline.rootfs import text_digest
from seatrial.offline.substitutes import _resolve, last_lines
from seatrial.process import Completed

if TYPE_CHECKING:
    from seatrial.offline import Substitute

OUTPUT = """\
#1 [internal] load build definition from own.Dockerfile
#1 DONE 0.0s
#7 [2/3] RUN make it
#7 0.200 making
#8 [other 1/1] RUN sleep 9
#7 0.345 no such thing
#7 ERROR: process "/bin/sh -c make it" did not complete successfully: exit code: 1
#8 CANCELED
------
 > [2/3] RUN make it:
0.345 no such thing
------
own.Dockerfile:3
ERROR: failed to solve
"""


def test_a_note_says_which_python_it_is_where_that_is_not_the_one_of_its_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    there = HostPython(prefix=tmp_path, version="3.13.4")
    monkeypatch.setattr("seatrial.offline.interpreter.find", lambda *_: there)
    host = Host(environment={}, home=tmp_path, data=tmp_path, cache=tmp_path)

    def note(reference: str) -> str:
        found = find_substitute(reference, recipes(None))
        assert found is not None
        return _resolve(found, host).substitute.note

    assert [note(f"python:{version}-slim") for version in ("3.13", "3.13.4")] == ["", ""]
    assert note("python:3.13.7-slim") == "it has Python 3.13.4, as this host has no 3.13.7"
    assert note("python:3-slim") == "it has Python 3.13.4, the newest of this host"
    assert note("ghcr.io/astral-sh/uv:python3.13-trixie").startswith("ImageMagick")


def never(message: str) -> None:
    raise AssertionError(message)


def refused(plan: Substitute, folder: Path) -> SeatrialError:
    engine = Engine(
        candidate=Candidate(source="nobody", url="unix:///nowhere"),
        version="26.1",
        api_version="1.45",
        platform="linux/amd64",
        programs_environment={},
    )
    host = Host(environment={}, home=folder, data=folder / "data", cache=folder / "cache")
    with pytest.raises((ImageError, BuildError)) as caught:
        ensure_substitute(plan, engine=engine, host=host, say=never)
    # Refused before anything was touched.
    assert not list(folder.iterdir())
    return caught.value


def planned(reference: str) -> Substitute:
    plan = find_substitute(reference, recipes(None))
    assert plan is not None
    return plan


def test_the_last_lines_are_those_of_the_step_that_failed() -> None:
    lines = last_lines(OUTPUT).splitlines()
    assert lines[0] == "#7 [2/3] RUN make it"
    assert "#7 0.345 no such thing" in lines
    assert not any(line.startswith("#8") for line in lines)


def test_output_without_a_failed_step_is_shown_as_it_ends() -> None:
    assert last_lines("error: cannot connect\n" * 60).count("\n") == 24


def test_a_version_that_nobody_has_names_how_to_get_it(tmp_path: Path) -> None:
    error = refused(planned("python:3.99-slim-trixie"), tmp_path)
    assert "no Python 3.99" in error.what
    assert "uv python install 3.99" in error.fix


def test_a_postgres_that_debian_lacks_is_refused(tmp_path: Path) -> None:
    error = refused(planned("postgres:16"), tmp_path)
    assert "17 (trixie)" in error.what


def test_a_missing_recipe_is_named(tmp_path: Path) -> None:
    missing = Path("/nowhere/own.Dockerfile")
    error = refused(replace(planned("debian:trixie-slim"), dockerfile=missing), tmp_path)
    assert error.where == str(missing)


def test_a_digest_tells_where_one_text_ends() -> None:
    assert text_digest("ab", "c") != text_digest("a", "bc")
    assert text_digest("ab") == text_digest("ab")


def asked(images: Images) -> TableEngine:
    TABLES["substitutes"] = SimpleNamespace(images=images)
    return TableEngine(
        candidate=Candidate(source="a table", url="substitutes"), version="28.0.0", api_version="1.48",
        platform="linux/amd64", programs_environment={},
    )  # fmt: skip


def test_a_cache_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    host = Host(environment={}, home=tmp_path, data=tmp_path, cache=tmp_path / "cache")
    with pytest.raises(EngineError, match="cannot be used: Not a directory"):
        ensure_substitute(planned("debian:trixie-slim"), engine=asked(Images()), host=host, say=never)


def test_one_that_was_built_from_the_same_recipe_is_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_buildx(*_: object) -> None:
        raise EngineError("no buildx")

    monkeypatch.setattr("seatrial.engine.programs.find", no_buildx)
    host = Host(environment={}, home=tmp_path, data=tmp_path, cache=tmp_path)
    substitute, images, said = planned("debian:trixie-slim"), Images(), list[str]()
    digest = _resolve(substitute, host).digest
    images.local[substitute.name] = SimpleNamespace(labels={"seatrial.standin.recipe": digest})
    assert ensure_substitute(substitute, engine=asked(images), host=host, say=never) == substitute.name
    assert list(tmp_path.iterdir()) == []
    # Another recipe is built, which takes buildx.
    changed = replace(substitute, arguments={"A": "1"})
    with pytest.raises(EngineError, match="no buildx"):
        ensure_substitute(changed, engine=asked(images), host=host, say=said.append)
    assert said == ["Building the local substitute for debian:trixie-slim."]
    assert not (tmp_path / "standins/work/seatrial-standin-debian-trixie-slim/run").exists()


class Builds(Images):
    """An engine's images, which a build with buildx adds to."""

    def __init__(self) -> None:
        super().__init__()
        self.argv: list[str] = []
        self.code = 0
        self.answer = '{"status": "sha256:1"}'
        self.imported: list[str] = []
        self.removed: list[str] = []

    def run(self, argv: list[Any], **_: object) -> Completed:
        self.argv = [str(word) for word in argv]
        if self.code == 0:
            name = self.argv[self.argv.index("--tag") + 1]
            labels = dict(word.removeprefix("--label=").split("=", 1) for word in argv if word.startswith("--label="))
            if name in self.local:
                self.local[name].tags.remove(name)
            self.local[name] = SimpleNamespace(id=f"sha256:{name}", labels=labels, tags=[name])
        return Completed(argv=(), code=self.code, output="", errors=OUTPUT)

    def remove(self, name: str) -> None:
        self.removed.append(name)

    def import_image_from_file(self, _tar: str, *, repository: str, tag: str) -> str:
        self.imported.append(f"{repository}:{tag}")
        return self.answer


@pytest.fixture
def builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Builds:
    builds = Builds()
    TABLES["substitutes"] = SimpleNamespace(images=builds, api=builds)
    monkeypatch.setattr("seatrial.process.run", builds.run)
    monkeypatch.setattr("seatrial.engine.programs.find", lambda *_: SimpleNamespace(path="buildx"))
    monkeypatch.setattr("seatrial.offline.rootfs.ensure_tar", lambda *_, **__: tmp_path / "root.tar")
    monkeypatch.setattr("seatrial.offline.interpreter.relocate", lambda *_, **__: None)
    return builds


def built(substitute: Substitute, folder: Path, said: list[str] | None = None) -> str:
    host = Host(environment={}, home=folder, data=folder, cache=folder)
    say = [] if said is None else said
    engine = TableEngine(
        candidate=Candidate(source="a table", url="substitutes"), version="28.0.0", api_version="1.48",
        platform="linux/amd64", programs_environment={},
    )  # fmt: skip
    return ensure_substitute(substitute, engine=engine, host=host, say=say.append)


def test_a_root_filesystem_is_an_image_only_while_it_is_needed(builds: Builds, tmp_path: Path) -> None:
    name = built(planned("debian:trixie-slim"), tmp_path)
    taken = "seatrial-standin/input:seatrial-standin-debian-trixie-slim-rootfs"
    assert f"--build-context=rootfs=docker-image://{taken}" in builds.argv
    assert builds.imported == builds.removed == [taken]
    assert builds.local[name].labels["seatrial.standin"] == "debian:trixie-slim"
    assert list((tmp_path / "standins/work").glob("*/*")) == []


@pytest.mark.parametrize("named", [True, False])
def test_a_newer_one_leaves_no_nameless_image(builds: Builds, tmp_path: Path, named: bool) -> None:
    name = planned("debian:trixie-slim").name
    former = SimpleNamespace(id="sha256:old", labels={}, tags=[name, "mine:1"] if named else [name])
    builds.local |= {name: former, former.id: former}
    built(planned("debian:trixie-slim"), tmp_path)
    assert (former.id in builds.removed) is not named


def test_an_interpreter_gives_its_version_and_locale_to_the_build(
    builds: Builds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = HostPython(prefix=Path("/opt/python"), version="3.12.4")
    monkeypatch.setattr("seatrial.offline.interpreter.find", lambda *_: python)
    said: list[str] = []
    built(planned("python:3.12-slim-bookworm"), tmp_path, said)
    assert {"--build-arg=INTERPRETER_VERSION=3.12.4", "--build-arg=LOCALE=utf8"} <= set(builds.argv)
    assert said == [
        "Building the local substitute for python:3.12-slim-bookworm.",
        "Copying Python 3.12.4 from /opt/python.",
    ]


def test_what_it_is_made_from_is_built_first(builds: Builds, tmp_path: Path) -> None:
    base = planned("debian:trixie-slim")
    own = replace(
        base, reference="own:1", name="seatrial-standin/own:1", note="another one", images={base.reference: base},
        inputs={"base": Input(kind=Kind.IMAGE, argument=base.reference)},
    )  # fmt: skip
    said: list[str] = []
    built(own, tmp_path, said)
    assert said == [
        "Building the local substitute for debian:trixie-slim.",
        "Building the local substitute for own:1: another one.",
    ]
    assert f"--build-context=base=docker-image://{base.name}" in builds.argv


def test_a_build_that_fails_shows_the_failed_step(builds: Builds, tmp_path: Path) -> None:
    builds.code = 1
    with pytest.raises(BuildError, match="the build of the local substitute for debian:trixie-slim failed") as caught:
        built(planned("debian:trixie-slim"), tmp_path)
    assert caught.value.detail.startswith("#7 [2/3] RUN make it")
    assert len(builds.removed) == 1


def test_an_import_that_fails_half_way_is_an_error(builds: Builds, tmp_path: Path) -> None:
    builds.answer = '{"error": "no space left"}'
    with pytest.raises(BuildError, match="could not import") as caught:
        built(planned("debian:trixie-slim"), tmp_path)
    assert "no space left" in caught.value.detail


def fetched(folder: Path, monkeypatch: pytest.MonkeyPatch, *, programs: bool = True) -> list[str]:
    seen: list[str] = []

    def run(argv: list[Any], **_: object) -> None:
        seen.extend(map(str, argv))
        target = Path(argv[argv.index("--target") + 1])
        (target / ("bin" if programs else "uv")).mkdir(parents=True)
        (target / ("bin" if programs else "uv") / "uv").touch()

    monkeypatch.setattr("seatrial.process.run", run)
    host = Host(environment={"PATH": "/nowhere"}, home=folder, data=folder, cache=folder)
    fetch_programs("uv==0.9.*", folder / "programs", host=host, say=lambda _: None)
    return seen


@pytest.mark.parametrize(
    ("installed", "uv", "begins"),
    [
        ({"pip", "ensurepip"}, True, ["-m", "pip"]),
        ({"ensurepip"}, True, ["pip", "install"]),
        ({"ensurepip"}, False, []),
    ],
)
def test_a_wheels_programs_are_fetched_by_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: set[str], uv: bool, begins: list[str]
) -> None:
    origin = tmp_path / "ensurepip" / "__init__.py"
    (tmp_path / "ensurepip/_bundled").mkdir(parents=True)
    (tmp_path / "ensurepip/_bundled/pip-26.0-py3-none-any.whl").touch()
    specs = {name: SimpleNamespace(origin=str(origin)) for name in installed}
    monkeypatch.setattr("importlib.util.find_spec", specs.get)
    monkeypatch.setattr("shutil.which", lambda *_, **__: "/bin/uv" if uv else None)
    argv = fetched(tmp_path, monkeypatch)
    assert argv[1 : 1 + len(begins)] == begins
    if not begins:
        assert argv[1].endswith("_bundled/pip-26.0-py3-none-any.whl/pip")
    assert argv[-1] == "uv==0.9.*"
    assert [file.name for file in (tmp_path / "programs").iterdir()] == ["uv"]
    assert not (tmp_path / "programs.unpacked").exists()


def test_a_wheel_that_cannot_be_fetched_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BuildError, match="holds no program"):
        fetched(tmp_path, monkeypatch, programs=False)

    def fail(*_: object, **__: object) -> None:
        raise ProgramError("ended with exit code 1.", detail="\n".join("x" * 400 for _ in range(30)))

    host = Host(environment={}, home=tmp_path, data=tmp_path, cache=tmp_path)
    monkeypatch.setattr("seatrial.process.run", fail)
    with pytest.raises(BuildError, match="cannot be fetched: ended with exit code 1") as caught:
        fetch_programs("uv", tmp_path / "p", host=host, say=lambda _: None)
    assert [len(line) for line in caught.value.detail.splitlines()] == [300] * 20
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(BuildError, match="neither pip nor uv"):
        fetch_programs("uv", tmp_path / "p", host=host, say=lambda _: None)


@pytest.mark.parametrize(
    "text", ["-e/srv/evil", "/srv/evil", "./evil", "--requirement=/etc/shadow", "x @ file:///x", "git+https://x/y"]
)
def test_a_wheel_that_is_a_path_or_an_option_is_refused(tmp_path: Path, text: str) -> None:
    host = Host(environment={}, home=tmp_path, data=tmp_path, cache=tmp_path)
    with pytest.raises(BuildError, match="is no requirement"):
        fetch_programs(text, tmp_path / "bin", host=host, say=never)


@pytest.mark.parametrize("there", [True, False])
def test_packages_of_npm_are_fetched_by_the_hosts_npm_or_by_that_of_a_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    ran: list[list[str]] = []

    def run(argv: list[Any], **_: object) -> None:
        ran.append(list(map(str, argv)))
        if "--prefix" in argv:
            package = tmp_path / "p.unpacked/node_modules/@oven/bun"
            package.mkdir(parents=True)
            (package / "package.json").write_text('{"version": "1.2.3"}')

    monkeypatch.setattr("seatrial.process.run", run)
    monkeypatch.setattr("shutil.which", lambda name, **_: "/bin/npm" if there and name == "npm" else None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: SimpleNamespace(origin=None))
    host = Host(environment={}, home=tmp_path, data=tmp_path, cache=tmp_path)
    assert fetch_npm("@oven/bun@1+npm@10", tmp_path / "p", host=host, say=lambda _: None) == "1.2.3"
    assert (tmp_path / "p/@oven/bun/package.json").exists()
    assert {"--ignore-scripts", "@oven/bun@1", "npm@10"} <= set(ran[-1])
    if there:
        assert ran[0][0] == "/bin/npm"
    else:
        assert any("manylinux" in word for word in ran[0])
        assert not any("musl" in word for word in ran[0])
        assert [word.rpartition("/")[2] for word in ran[1][:2]] == ["node", "npm-cli.js"]
    with pytest.raises(BuildError, match="is no package of npm"):
        fetch_npm("npm+--prefix=/x", tmp_path / "q", host=host, say=never)
