"""The probe's and the override's containers, and the look into a running one: what is asked, and what comes of it."""

from __future__ import annotations

import json
import threading
import types
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest
from tests.unit.boot_engine import BootEngine, api_error, asked
from tests.unit.factories import configuration, probe, start, trail

from seatrial import inside
from seatrial.engine.streams import Output, Question
from seatrial.errors import EngineError
from seatrial.facts import CommandOverride, Probe, ProcessList, ProcInfo, Unavailable, Usage
from seatrial.observe.command.resolve import Python
from seatrial.observe.running import introspect
from seatrial.observe.running.introspect import Introspection, read_top
from seatrial.observe.running.probe import ProbeRequest, run_override, run_probe, sharing_soon
from seatrial.observe.running.questions import proof
from seatrial.settings.model import Contract

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import docker

    from seatrial.facts import Json

SECRET = "c0ffee" * 8
RUN = cast("Any", types.SimpleNamespace())
PYTHON = Python(path="/usr/bin/python3", why="", resolved=trail("/usr/bin/python3"))
REQUEST = ProbeRequest(modules=("shop",), import_root="/app")
FOREIGN = {"platform": "linux/arm64", "engine_platform": "linux/amd64"}


class Containers:
    """Keeps the plans of containers, and gives the output that a test wants."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answer: Callable[[Json], Output]) -> None:
        self.plans: list[Json] = []
        self.questions: list[Question | None] = []
        self.answer = answer
        monkeypatch.setattr("seatrial.observe.running.probe.container", self.container)
        monkeypatch.setattr("seatrial.observe.running.probe.run_to_end", self.run_to_end)
        monkeypatch.setattr("seatrial.observe.running.probe.secrets.token_hex", lambda _: SECRET)

    def run_to_end(self, made: Json, *, question: Question | None = None, **_: object) -> Output:
        self.questions.append(question)
        return self.answer(made)

    @contextmanager
    def container(self, _: object, plan: Json, *, watched: bool = False) -> Iterator[Json]:
        assert watched is False
        self.plans.append(plan)
        yield plan


def wrote(text: str, **more: Any) -> Output:
    given = {"errors": b"", "code": 0, "truncated": False, "timed_out": False, **more}
    return Output(out=text.encode(), **given)


def refused(status: int, said: str) -> Callable[[Json], Output]:
    def answer(_: Json) -> Output:
        raise api_error(status, said)

    return answer


def answered(_: Json) -> Output:
    """Answer as the probe does, behind noise of the image's own."""
    body = msgspec.json.encode(probe())
    return wrote(f"noise\n{proof(SECRET, body).decode()} {body.decode()}\n", asked_at=0)


# --- the probe ------------------------------------------------------------------------------------------------------


def test_the_probes_answer_is_found_among_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Containers(monkeypatch, answered)
    seen = run_probe(RUN, configuration(), PYTHON, REQUEST, Contract())
    assert isinstance(seen, Probe)
    assert seen == probe()
    (plan,), (question,) = made.plans, made.questions
    assert (plan["Entrypoint"], plan["Cmd"][:3]) == (["/usr/bin/python3"], ["-I", "-S", "-B"])
    assert (plan["OpenStdin"], plan["StdinOnce"], plan["AttachStdin"]) == (True, True, True)
    assert question is not None
    assert question.ready == inside.READY
    assert SECRET in question.text.decode()
    assert '"modules":["shop"]' in question.text.decode()
    assert SECRET not in json.dumps(plan)
    assert plan["HostConfig"]["CpuShares"] == 32


def test_a_boot_comes_before_the_probe_for_some_seconds_only(monkeypatch: pytest.MonkeyPatch) -> None:
    updated: list[tuple[str, int]] = []
    shared = threading.Event()

    def update_container(name: str, *, cpu_shares: int) -> None:
        updated.append((name, cpu_shares))
        shared.set()

    made = cast("Any", types.SimpleNamespace(id="c0", client=types.SimpleNamespace(update_container=update_container)))
    with sharing_soon(made):
        pass
    monkeypatch.setattr("seatrial.observe.running.probe.OTHERS_FIRST", 0.01)
    with sharing_soon(made):
        assert shared.wait(5)
    assert updated == [("c0", 1024)]


def test_alone_the_probe_gets_its_share_of_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Containers(monkeypatch, answered)
    run_probe(RUN, configuration(), PYTHON, REQUEST, Contract(), beside=False)
    assert "CpuShares" not in made.plans[0]["HostConfig"]


@pytest.mark.parametrize(
    ("output", "reason", "detail"),
    [
        (wrote("", timed_out=True), "did not answer within 60 s", ""),
        (wrote("", truncated=True), "wrote more than 8388608 bytes instead of an answer", ""),
        (wrote("hello", code=3), "ended with code 3 and gave no answer", "hello"),
        (wrote("hello", code=1, errors=b"Traceback\n"), "ended with code 1 and gave no answer", "Traceback"),
    ],
)
def test_no_answer_says_why(monkeypatch: pytest.MonkeyPatch, output: Output, reason: str, detail: str) -> None:
    Containers(monkeypatch, lambda _: output)
    seen = run_probe(RUN, configuration(), PYTHON, REQUEST, Contract())
    assert isinstance(seen, Unavailable)
    assert (seen.reason, seen.detail) == (f"/usr/bin/python3 {reason}", detail)


def test_an_answer_of_another_form_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    line = f"{proof(SECRET, b'{}').decode()} {{}}"
    Containers(monkeypatch, lambda _: wrote(line, asked_at=0))
    seen = run_probe(RUN, configuration(), PYTHON, REQUEST, Contract())
    assert isinstance(seen, Unavailable)
    assert seen.reason == "/usr/bin/python3 gave an answer of another form than the script's"


def test_without_an_interpreter_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Containers(monkeypatch, answered)
    none = run_probe(RUN, configuration(), None, REQUEST, Contract())
    broken = Python(path="/p", why="", resolved=trail("/p", "/gone/python", missing="/gone"))
    lost = run_probe(RUN, configuration(), broken, REQUEST, Contract())
    assert isinstance(none, Unavailable)
    assert isinstance(lost, Unavailable)
    assert none.reason == "the image holds no Python interpreter"
    assert lost.reason.endswith("does not resolve: /p -> /gone/python, and /gone is not there")
    assert made.plans == []


@pytest.mark.parametrize("status", [400, 404, 500])
def test_an_interpreter_that_the_engine_cannot_start(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    Containers(monkeypatch, refused(status, "unable to start container process: exec: permission denied"))
    seen = run_probe(RUN, configuration(), PYTHON, REQUEST, Contract())
    assert isinstance(seen, Unavailable)
    assert (seen.reason, seen.detail) == ("/usr/bin/python3 could not be started", "exec: permission denied")


def test_an_image_for_another_platform_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for answer in (refused(400, "exec format error"), lambda _: wrote("", code=255, errors=b"exec format error")):
        Containers(monkeypatch, answer)
        seen = run_probe(RUN, configuration(**FOREIGN), PYTHON, REQUEST, Contract())
        assert isinstance(seen, Unavailable)
        assert seen.reason.startswith("the image is for linux/arm64")


def test_an_engine_that_fails_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    Containers(monkeypatch, refused(503, "busy"))
    with pytest.raises(EngineError, match="busy"):
        run_probe(RUN, configuration(), PYTHON, REQUEST, Contract())
    with pytest.raises(EngineError, match="busy"):
        run_override(RUN, configuration(), start(), Contract())


def test_what_is_loaded_before_the_interpreter_is_left_to_the_application(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Containers(monkeypatch, answered)
    given = Contract(environment={"LD_AUDIT": "/a.so", "KEPT": "1"})
    run_probe(RUN, configuration(environment={"LD_PRELOAD": "/p.so"}), PYTHON, REQUEST, given)
    assert made.plans[0]["Env"] == ["KEPT=1", "LD_PRELOAD", "LD_AUDIT"]
    assert "/etc/ld.so.preload" in made.plans[0]["HostConfig"]["MaskedPaths"]
    question = made.questions[0]
    assert question is not None
    assert '"environment":{"LD_PRELOAD":"/p.so","LD_AUDIT":"/a.so"}' in question.text.decode()


# --- another command ------------------------------------------------------------------------------------------------


def test_another_command_is_the_images_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Containers(monkeypatch, lambda plan: wrote(plan["Cmd"][-1].split("'")[1]))
    seen = run_override(RUN, configuration(), start(python="/venv/bin/python"), Contract())
    assert isinstance(seen, CommandOverride)
    assert seen.ran
    assert made.plans[0]["Cmd"][0] == "/venv/bin/python"


def test_another_command_that_cannot_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Containers(monkeypatch, refused(404, "no such file"))
    none = run_override(RUN, configuration(), start(python=""), Contract())
    assert isinstance(none, Unavailable)
    assert made.plans == []
    seen = run_override(RUN, configuration(), start(), Contract())
    assert isinstance(seen, Unavailable)
    assert seen.detail == "no such file"


# --- the look into a running container ------------------------------------------------------------------------------


def look(engine: object, python: str = "/usr/bin/python3") -> Introspection:
    found: Future[str] = Future()
    found.set_result(python)
    run = cast("Any", types.SimpleNamespace(engine=engine))
    made = Introspection(run=run, container="c0", python=found, pid=42)
    made.wait()
    return made


def running(monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any] | None = None) -> BootEngine:
    """Return an engine whose one container runs, and in which the script answers so."""
    engine = BootEngine()
    engine.lives["c0"] = cast("Any", None)
    known = engine.exec_start

    def exec_start(name: str, **options: Any) -> Any:
        if answer is None:
            return known(name, **options)
        assert options == {"socket": True}
        return asked(lambda _: json.dumps(answer).encode())

    monkeypatch.setattr(engine, "exec_start", exec_start)
    listed = {"Titles": ["PID", "CMD"], "Processes": [["42", "shop"], ["43", "worker"]]}
    monkeypatch.setattr(engine, "top", lambda *_, **__: listed)
    return engine


PROC = {
    "listeners": [{"protocol": "tcp", "address": "0.0.0.0", "port": 8000}],  # noqa: S104
    "command": ["shop"],
    "uid": 5,
    "capabilities": "0",
    "no_new_privileges": True,
    "processes": 2,
}


def test_a_look_tells_processes_usage_and_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = look(running(monkeypatch, PROC))
    assert seen.process_list == ProcessList(first="shop", commands=("shop", "worker"))
    assert seen.usage == Usage(memory=123, processes=4)
    assert isinstance(seen.proc, ProcInfo)
    assert (seen.proc.uid, seen.proc.listeners[0].port, seen.over) == (5, 8000, True)


def test_nothing_of_the_question_stands_in_the_looks_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = running(monkeypatch, PROC)
    look(engine)
    assert engine.commands[-1] == ["/usr/bin/python3", *inside.ISOLATED]


def test_without_an_interpreter_the_engines_own_words_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = look(running(monkeypatch, PROC), python="")
    assert isinstance(seen.proc, Unavailable)
    assert "no Python interpreter" in seen.proc.reason
    assert isinstance(seen.process_list, ProcessList)


def test_what_the_engine_refuses_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = running(monkeypatch, PROC)

    def broken(*_: object, **__: object) -> None:
        raise api_error(409, "container is not running")

    for name in ("top", "stats", "exec_create"):
        monkeypatch.setattr(engine, name, broken)
    seen = look(engine)
    for fact in (seen.process_list, seen.usage, seen.proc):
        assert isinstance(fact, Unavailable)
        assert "container is not running" in fact.detail


def test_an_engine_that_counts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = running(monkeypatch, PROC)
    monkeypatch.setattr(engine, "stats", lambda *_, **__: {"memory_stats": {}})
    assert isinstance(look(engine).usage, Unavailable)


def test_an_engine_that_is_gone_leaves_nothing_but_reasons() -> None:
    def connection() -> docker.APIClient:
        raise EngineError("it is gone.")

    seen = look(types.SimpleNamespace(connection=connection))
    assert isinstance(seen.proc, Unavailable)
    assert "it is gone" in seen.proc.detail
    assert isinstance(seen.process_list, Unavailable)


def test_a_look_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, held = running(monkeypatch, PROC), threading.Event()

    def top(_: str, **__: str) -> Json:
        held.wait(10)
        return {}

    monkeypatch.setattr(engine, "top", top)
    monkeypatch.setattr(introspect, "LOOK_SECONDS", 0.05)
    seen = look(engine)
    assert seen.over
    assert isinstance(seen.proc, Unavailable)
    assert seen.proc.reason == introspect.LATE
    held.set()
    seen._thread.join(5)  # noqa: SLF001
    # What is said after its time is not about the application any more.
    assert seen.proc.reason == introspect.LATE


@pytest.mark.parametrize(
    ("listed", "commands"),
    [
        ({"Titles": ["PID", "CMD"], "Processes": [["7", "b"], ["42", "a"]]}, ("a", "b")),
        ({"Titles": ["PID", "COMMAND"], "Processes": [["42", "a"]]}, ("a",)),
        ({"Titles": ["PID", "CMD"], "Processes": [["7", "b"], ["42"]]}, ("b",)),
        ({"Titles": ["CMD"], "Processes": [["a"]]}, None),
        ({"Titles": ["PID", "USER"], "Processes": [["42", "x"]]}, None),
        ({}, None),
    ],
)
def test_the_engines_table_of_processes(listed: dict[str, Any], commands: tuple[str, ...] | None) -> None:
    seen = read_top(listed, 42)
    assert (seen.commands if isinstance(seen, ProcessList) else None) == commands
    assert isinstance(seen, Unavailable) == (commands is None)
