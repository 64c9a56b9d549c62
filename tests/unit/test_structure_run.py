"""What is run for a structure test, in which order and from which image, and what each end of a command means."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import docker.errors
import pytest

from seatrial.checks.model import Result, Status
from seatrial.engine import runs, streams
from seatrial.settings.model import Contract
from seatrial.structure import run
from seatrial.structure.files import (
    CommandTest,
    FileContentTest,
    FileExistenceTest,
    MetadataTest,
    RunOptions,
    StructureFile,
)
from seatrial.structure.judge import Refusal
from seatrial.structure.plan import plan_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

IMAGE = {"Id": "sha256:image", "Config": {"WorkingDir": "/app"}}


class Containers:
    """Stands for the engine: what commands print, by their first word."""

    def __init__(self) -> None:
        self.made: list[dict[str, Any]] = []
        self.left: list[str] = []
        self.out_of_memory = False
        self.written: list[int] = []
        self.outputs: dict[str, dict[str, Any]] = {}

    @contextmanager
    def container(self, _run: object, config: dict[str, Any], *, watched: bool = False) -> Iterator[SimpleNamespace]:
        if config["Cmd"][0] == "refused":
            raise docker.errors.APIError("refused", explanation="OCI: unable to start container process: no such file")
        assert watched == (config["Cmd"] != ["NEVER_STARTED"]), "what runs is watched"
        self.made.append(config)
        self.left.append(config["Cmd"][0])
        yield SimpleNamespace(id=config["Cmd"][0], client=self, written=self.written)
        self.left.remove(config["Cmd"][0])

    @contextmanager
    def committed(self, _run: object, made: SimpleNamespace) -> Iterator[str]:
        self.left.append(f"image of {made.id}")
        yield f"image of {made.id}"
        self.left.remove(f"image of {made.id}")

    def run_to_end(self, made: SimpleNamespace, **_limits: object) -> streams.Output:
        end: dict[str, Any] = {"out": b"", "errors": b"", "code": 0, "truncated": False, "timed_out": False}
        return streams.Output(**{**end, **self.outputs.get(made.id, {})})

    def inspect_container(self, _container: str) -> dict[str, Any]:
        return {"State": {"OOMKilled": self.out_of_memory}}


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Containers:
    made = Containers()
    for name in ("container", "committed", "run_to_end"):
        monkeypatch.setattr(run, name, getattr(made, name))
    monkeypatch.setattr(runs, "ending", lambda _run: nullcontext())
    monkeypatch.setattr(run, "Archive", lambda _client, _id: SimpleNamespace(stat=path, contents=path))
    return made


def path(asked: str) -> bytes | Refusal:
    return b"held" if asked == "/there" else Refusal(reason="gone")


def results(passed_on: Mapping[str, str | None] | None = None, **said: Any) -> tuple[Result, ...]:
    file = StructureFile(schema_version="2.0.0", **said)
    plan = plan_file("t.yaml", file, IMAGE, Contract(), passed_on=passed_on or {}, used=Counter())
    return run.run_plans(SimpleNamespace(), [plan], IMAGE["Config"])  # type: ignore[arg-type]


def command(*setup: tuple[str, ...], passed_on: Mapping[str, str | None] | None = None, **said: Any) -> Result:
    test = CommandTest(**{"name": "n", "command": "asked", "setup": setup, **said})
    (result,) = results(passed_on, command_tests=(test,))
    return result


def test_each_setup_starts_from_what_the_one_before_left(engine: Containers) -> None:
    engine.outputs["one"] = {"code": 9}
    assert command(("one",), ("two",)).status is Status.PASS
    assert [(made["Cmd"], made["Image"]) for made in engine.made] == [
        (["one"], "sha256:image"),
        (["two"], "image of one"),
        (["asked"], "image of two"),
    ]
    assert engine.left == []


@pytest.mark.parametrize(
    ("ended", "said"),
    [
        ({"timed_out": True, "code": None}, "stopped after 600 s"),
        ({"truncated": True, "code": None}, "stopped when it had written 16777216 bytes"),
        ({"code": None}, "stopped when it had written"),
    ],
)
def test_what_meets_a_limit_is_undecided_in_its_setup_too(engine: Containers, ended: dict[str, Any], said: str) -> None:
    engine.outputs["asked"] = ended
    alone = command()
    assert (alone.status, said in alone.actual) == (Status.ERROR, True)
    engine.outputs = {"one": ended}
    setup = command(("one",))
    assert setup.status is Status.ERROR
    assert "in its setup, the command was stopped" in setup.actual
    assert [made["Cmd"] for made in engine.made] == [["asked"], ["one"]]


def test_a_command_that_fills_the_disk_is_undecided(engine: Containers) -> None:
    engine.outputs["asked"] = {"code": 137}
    engine.written = [2 * 1024**3]
    result = command(exit_code=137)
    assert result.status is Status.ERROR
    assert "stopped when it had written 2.1 GB to disk" in result.actual


@pytest.mark.parametrize(("out_of_memory", "status"), [(True, Status.ERROR), (False, Status.PASS)])
def test_only_what_the_memory_limit_killed_is_undecided(
    engine: Containers, out_of_memory: bool, status: Status
) -> None:
    engine.outputs["asked"] = {"code": 137}
    engine.out_of_memory = out_of_memory
    assert command(exit_code=137).status is status


def test_a_command_that_cannot_start_fails(engine: Containers) -> None:
    alone = command(command="refused")
    assert (alone.status, alone.actual) == (Status.FAIL, "the engine refused: no such file")
    setup = command(("one",), ("refused",))
    assert (setup.status, setup.actual) == (Status.FAIL, "in its setup, the engine refused: no such file")
    assert engine.made[-1]["Cmd"] == ["one"]


def test_the_engines_own_fault_is_no_verdict(engine: Containers, monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine.made == []

    def broken(*_: object, **__: object) -> None:
        raise docker.errors.APIError("server misbehaving")

    monkeypatch.setattr(run, "run_to_end", broken)
    with pytest.raises(docker.errors.APIError, match="misbehaving"):
        command()


def test_a_variable_that_the_caller_does_not_have_fails_every_command(engine: Containers) -> None:
    result = command(passed_on={"HERE": "1", "GONE": None})
    assert (result.status, result.actual) == (Status.FAIL, "not set, and so not passed on: GONE")
    assert engine.made == []


def test_results_come_in_the_files_order_and_files_share_a_container(engine: Containers) -> None:
    found = results(
        command_tests=(CommandTest(name="a", command="a"), CommandTest(name="b", command="b")),
        file_content_tests=(FileContentTest(name="c", path="/there"), FileContentTest(name="d", path="/gone")),
        file_existence_tests=(FileExistenceTest(name="e", path="/gone", should_exist=False),),
        metadata_test=MetadataTest(workdir="/app", line=3),
        container_run_options=RunOptions(privileged=True),
    )
    assert [result.id.rpartition("/")[2] for result in found] == ["a", "b", "c", "d", "e", "metadataTest"]
    assert [result.status is Status.PASS for result in found] == [True, True, True, False, True, True]
    assert [made["Cmd"] for made in engine.made] == [["a"], ["b"], ["NEVER_STARTED"]]


def test_where_no_file_is_asked_for_no_container_is_made(engine: Containers) -> None:
    assert results(metadata_test=MetadataTest(workdir="/", line=3))[0].status is Status.FAIL
    assert engine.made == []
