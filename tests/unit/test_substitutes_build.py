"""What a local substitute's build says when it cannot be made: without an engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from tests.unit.test_build_run import TABLES, Images, TableEngine

from seatrial.engine.find import Candidate, Engine
from seatrial.errors import BuildError, EngineError, ImageError, SeatrialError
from seatrial.host import Host
from seatrial.offline import Substitute, ensure_substitute, find_substitute, recipes
from seatrial.offline.rootfs import text_digest
from seatrial.offline.substitutes import _resolve, last_lines

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
