"""The health check is asked when the application stops computing; the engine here is a script of answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import docker.errors
import pytest
import requests

from seatrial.observe.running.health_poller import HealthPoller

if TYPE_CHECKING:
    from collections.abc import Callable

WORDS = ("python", "health.py")


class Engine:
    """Counts processor time as it is told to, and lets questions end when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0
        self.taken = 0.02
        self.code: int | None = None
        self.asked: list[list[str]] = []
        self.counts = True
        self.takes = 0.0
        self.refuses = False
        self.stalls = False
        self.gone = False

    def stats(self, container: str, **_: object) -> Any:
        assert container == "c"
        self.now += self.takes
        taken = {"total_usage": int(self.taken * 1e9)} if self.counts else {}
        return {"cpu_stats": {"cpu_usage": taken}}

    def exec_create(self, container: str, words: list[str], **_: object) -> dict[str, str]:
        assert container == "c"
        if self.refuses:
            message = "is not running"
            raise docker.errors.APIError(message)
        self.asked.append(words)
        return {"Id": f"q{len(self.asked)}"}

    def exec_start(self, question: str, *, detach: bool) -> None:
        if self.stalls:
            raise requests.exceptions.ReadTimeout
        assert detach
        assert question == f"q{len(self.asked)}"

    def exec_inspect(self, question: str) -> dict[str, Any]:
        assert question == f"q{len(self.asked)}"
        if self.gone:
            message = "no such exec"
            raise docker.errors.NotFound(message)
        return {"Running": self.code is None, "ExitCode": self.code}

    def passes(self, seconds: float, computing: float = 0.0) -> None:
        self.now += seconds
        self.taken += seconds * computing


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    made = Engine()
    monkeypatch.setattr("time.monotonic", lambda: made.now)
    return made


@pytest.fixture
def poller(engine: Engine) -> HealthPoller:
    client = cast("docker.APIClient", engine)
    return HealthPoller(client=client, container="c", words=WORDS, timeout=10.0, due=engine.now + 0.2)


def looks(engine: Engine, poller: HealthPoller, seconds: float, computing: float) -> list[int]:
    """Look every 50 ms; return the exit codes that came."""
    codes = []
    for _ in range(round(seconds / 0.05)):
        engine.passes(0.05, computing)
        if answer := poller.poll():
            codes.append(answer.exit_code)
    return codes


def test_what_computes_is_not_asked_and_what_stops_computing_is_asked_at_once(
    engine: Engine, poller: HealthPoller
) -> None:
    assert looks(engine, poller, 3, computing=1.0) == []
    assert engine.asked == []
    looks(engine, poller, 0.1, computing=0.0)
    assert engine.asked == [list(WORDS)]


def test_a_good_answer_is_given_with_the_seconds_that_it_took(engine: Engine, poller: HealthPoller) -> None:
    looks(engine, poller, 0.5, computing=0.0)
    engine.code = 0
    engine.passes(0.05)
    answer = poller.poll()
    assert answer is not None
    assert (answer.exit_code, answer.output) == (0, "")
    assert 0.05 <= answer.seconds <= 0.4


def test_an_answer_after_the_images_own_limit_is_left_to_the_engine(engine: Engine, poller: HealthPoller) -> None:
    poller.timeout = 1.0
    assert looks(engine, poller, 2.0, computing=0.0) == []
    assert engine.asked == [list(WORDS)]
    engine.code = 0
    assert looks(engine, poller, 1.0, computing=0.0) == []
    assert poller.over


def test_while_something_else_runs_in_the_container_it_is_not_asked(engine: Engine, poller: HealthPoller) -> None:
    for _ in range(20):
        engine.passes(0.05)
        assert poller.poll(busy=True) is None
    assert engine.asked == []
    looks(engine, poller, 0.2, computing=0.0)
    assert len(engine.asked) == 1


def test_one_question_at_a_time_and_after_a_bad_answer_a_pause(engine: Engine, poller: HealthPoller) -> None:
    looks(engine, poller, 5, computing=0.0)
    assert len(engine.asked) == 1
    engine.code = 1
    codes = looks(engine, poller, 1.0, computing=0.0)
    assert codes == [1, 1]
    assert len(engine.asked) <= 3


def test_it_is_not_asked_in_the_first_moments(engine: Engine, poller: HealthPoller) -> None:
    looks(engine, poller, 0.15, computing=0.0)
    assert engine.asked == []


def cannot_count(engine: Engine) -> None:
    engine.counts = False


def refuses(engine: Engine) -> None:
    engine.refuses = True


def counts_nothing(engine: Engine) -> None:
    engine.taken = 0.0


def counts_slowly(engine: Engine) -> None:
    engine.takes = 1.0


@pytest.mark.parametrize("breaks", [cannot_count, refuses, counts_nothing, counts_slowly])
def test_an_engine_that_cannot_be_asked_is_left_to_ask_by_itself(
    engine: Engine, poller: HealthPoller, breaks: Callable[[Engine], None]
) -> None:
    breaks(engine)
    assert looks(engine, poller, 2, computing=0.0) == []
    assert poller.over
    assert engine.asked == []


def stalls(engine: Engine) -> None:
    engine.stalls = True


def goes(engine: Engine) -> None:
    engine.gone = True


@pytest.mark.parametrize("breaks", [stalls, goes])
def test_a_question_that_goes_wrong_is_the_last_one(
    engine: Engine, poller: HealthPoller, breaks: Callable[[Engine], None]
) -> None:
    breaks(engine)
    assert looks(engine, poller, 2, computing=0.0) == []
    assert poller.over
    assert len(engine.asked) == 1
