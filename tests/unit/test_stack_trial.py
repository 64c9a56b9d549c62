"""What a trial of a stack sees: writes and reads, a worker killed, the database restarted, all stopped."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.fakes.app import App
from tests.fakes.engine import Life, healthy
from tests.fakes.world import World

from seatrial.errors import ImageError
from seatrial.facts import DatabaseRestart, Exchange, Ready, ServiceStop, StackRun, Unavailable, WorkerLoss
from seatrial.facts.stack import NOT_UP
from seatrial.observe.gather import Wanted
from seatrial.stack import trial as trials
from seatrial.stack.isolated import plan_isolated
from seatrial.stack.trial import NO_STARTS, Trial, try_stack

if TYPE_CHECKING:
    from pathlib import Path

COMPOSE = """
    services:
      api:
        image: ship:1
        ports: ["8000:8000"]
        depends_on:
          db: {condition: service_healthy}
      db:
        image: postgres:17
        ports: ["5432:5432"]
        volumes: ["data:/data"]
    volumes:
      data: {}
    """
SETTINGS = """
    [tool.seatrial.apps.ship.contract]
    interpreter = "/usr/bin/python3"
    [tool.seatrial.apps.ship.contract.stack]
    database = "db"
    ready = "/ready"
    write = { path = "/things", body = { name = "{unique}" } }
    read = "/things/{id}"
    recovers-within = 10
    """


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(tmp_path, monkeypatch)
    world.memory.add_image("postgres:17")
    world.write(COMPOSE)
    world.settings(SETTINGS)
    world.memory.script("db", healthy(2, stops=3))
    return world


@pytest.fixture
def app(world: World) -> App:
    return App(world.memory)


def trial(world: World, wanted: Wanted = NO_STARTS) -> Trial:
    stack = plan_isolated(
        world.project,
        "ship",
        engine=world.engine,
        host=world.host,
        labels={"mine": "1"},
        say=world.observer.say,
    )
    return Trial(
        stack=stack,
        contract=world.project.app("ship").contract,
        engine=world.engine,
        host=world.host,
        observer=world.observer,
        substitute=None,
        say=world.observer.say,
        wanted=wanted,
        clock=world.clock,
    )


def tried(world: World) -> StackRun:
    run = try_stack(trial(world))
    assert world.memory.containers == {}
    assert world.memory.volumes == {}
    assert world.memory.networks == {}
    return run


def stopped(run: StackRun) -> tuple[ServiceStop, ...]:
    assert not isinstance(run.stops, Unavailable)
    return run.stops


def seen(fact: Any, kind: type[Any]) -> Any:
    assert isinstance(fact, kind), fact
    return fact


def test_all_goes_well(world: World, app: App) -> None:
    run = tried(world)
    assert run.app == "api"
    assert run.services == ("db: up", "api: up")
    # The app publishes and exposes no port: six seconds without work say that it has started.
    assert run.up_after == pytest.approx(8.2, abs=0.4)
    assert seen(run.ready, Ready).after == 0
    exchanged = seen(run.exchange, Exchange)
    assert (exchanged.held, exchanged.write, exchanged.read) == (True, "POST /things", "GET /things/1")
    assert app.stored["1"]["name"] in exchanged.shown.body
    workers = seen(run.workers, WorkerLoss)
    assert (workers.workers, workers.killed, workers.failures) == (2, "worker 10", ())
    assert workers.back_after == pytest.approx(1, abs=0.1)
    assert workers.waited == pytest.approx(2, abs=0.1)
    database = seen(run.database, DatabaseRestart)
    assert (database.service, database.killed, database.lost, database.app_restarts) == ("db", False, (), 0)
    assert database.took == pytest.approx(3)
    assert database.acknowledged >= 6
    assert database.refused > 0
    assert database.refusals == ("the database is away",)
    assert database.recovered_after is not None
    assert [(stop.service, stop.code, stop.killed) for stop in stopped(run)] == [("api", 0, False), ("db", 0, False)]
    assert [stop.seconds for stop in stopped(run)] == pytest.approx([0.1, 3])


def test_it_touches_nothing_of_the_stack_that_is_up(world: World, app: App) -> None:
    own = world.container("db", image="postgres:17")
    assert app.stored == {}
    try_stack(trial(world))
    assert own.status == "running"
    assert list(world.memory.containers) == [own.id]


def test_what_a_killed_smoke_has_left_is_removed_first(world: World, app: App) -> None:
    assert app.stored == {}
    stack = trial(world).stack.plan.stack
    world.memory.volumes[f"{stack.compose_project}_data"] = {
        "Labels": {"com.docker.compose.project": stack.compose_project}
    }
    tried(world)
    assert world.memory.called("remove_volume")[0] == f"{stack.compose_project}_data"


def test_a_stack_that_does_not_come_up(world: World) -> None:
    world.memory.script("db", Life(ends=1, code=3, prints=["no disk"]))
    run = tried(world)
    assert run.up_after is None
    assert run.failure == "ship did not come up: db ended with exit code 3."
    assert run.evidence[-1] == "    no disk"
    assert run.ready == run.workers == run.boots == NOT_UP


def test_an_image_that_cannot_be_had(world: World) -> None:
    del world.memory.images["postgres:17"]
    with pytest.raises(ImageError):
        tried(world)


def test_ctrl_c_in_the_middle_removes_all(world: World, app: App) -> None:
    assert app.stored == {}
    world.clock.interrupt_at(5)
    with pytest.raises(KeyboardInterrupt):
        tried(world)
    assert world.memory.containers == {}
    assert world.memory.volumes == {}


# Ready.


def test_it_is_asked_until_it_is_ready(world: World, app: App) -> None:
    app.ready_from = 12
    ready = seen(tried(world).ready, Ready)
    assert ready.after == pytest.approx(3.8, abs=0.4)
    assert ready.last.status == 200


def test_it_is_never_ready(world: World, app: App) -> None:
    app.ready_from = 9999
    run = tried(world)
    ready = seen(run.ready, Ready)
    assert (ready.after, ready.last.status) == (None, 503)
    assert seen(run.workers, WorkerLoss).failures[0] == "after 0.0 s: status 503"
    assert len(seen(run.workers, WorkerLoss).failures) == 20


# Writes and reads.


def test_what_was_stored_is_not_there(world: World, app: App) -> None:
    app.loses = {"1"}
    exchanged = seen(tried(world).exchange, Exchange)
    assert (exchanged.held, exchanged.shown.status, exchanged.missing) == (False, 404, ())


def test_something_else_is_shown(world: World, app: App) -> None:
    app.garbles = True
    exchanged = seen(tried(world).exchange, Exchange)
    assert not exchanged.held
    assert len(exchanged.missing) == 1


@pytest.mark.parametrize(
    ("read", "said"), [("/things/{key}", "no text or number of that name"), ("/things/{made}", "no text or number")]
)
def test_the_answer_lacks_what_is_asked_for(world: World, app: App, read: str, said: str) -> None:
    world.settings(SETTINGS.replace("/things/{id}", read))
    exchanged = seen(tried(world).exchange, Exchange)
    assert said in exchanged.problem
    assert exchanged.shown is None
    assert len(app.stored) > 1


def test_a_write_that_is_refused_is_not_read(world: World, app: App) -> None:
    assert app.stored == {}
    world.memory.apps["api"] = lambda asked: {"status": 500} if asked["do"] == "request" else {"workers": []}
    run = tried(world)
    exchanged = seen(run.exchange, Exchange)
    assert (exchanged.written.status, exchanged.shown) == (500, None)


def test_an_app_that_cannot_answer_yet_is_asked_again(world: World, app: App) -> None:
    said: list[dict[str, Any]] = [{"status": 201, "body": '{"id": 1}'}, {"status": 503}, {"error": "refused"}]
    answers = iter(said)
    asked_at: list[float] = []

    def answer(asked: dict[str, Any]) -> dict[str, Any] | None:
        if asked["do"] == "request" and asked["path"] != "/ready":
            asked_at.append(world.clock.now)
            return next(answers, {"status": 404})
        return app(asked)

    world.memory.apps["api"] = answer
    exchanged = seen(tried(world).exchange, Exchange)
    assert exchanged.shown.status == 404
    assert [moment - asked_at[0] for moment in asked_at[1:4]] == pytest.approx([0, 0.2, 0.4])


# A worker is killed.


def test_a_worker_that_is_never_replaced(world: World, app: App) -> None:
    app.replaced_after = None
    workers = seen(tried(world).workers, WorkerLoss)
    assert workers.back_after is None
    assert workers.waited == pytest.approx(10, abs=0.1)


def test_a_worker_that_is_not_gone_yet_has_not_been_replaced(world: World, app: App) -> None:
    app.dies_after, app.replaced_after = 0.7, 1.5
    assert seen(tried(world).workers, WorkerLoss).back_after == pytest.approx(1.5, abs=0.1)


def test_as_many_workers_as_before_are_waited_for(world: World, app: App) -> None:
    app.pids = [10, 11, 12]

    def answer(asked: dict[str, Any]) -> dict[str, Any] | None:
        if asked["do"] == "kill":
            app.pids.remove(11)
            world.clock.after(3, lambda: app.pids.append(13))
        return app(asked)

    world.memory.apps["api"] = answer
    workers = seen(tried(world).workers, WorkerLoss)
    assert (workers.workers, workers.back_after) == (3, pytest.approx(3, abs=0.1))


def test_requests_that_fail_while_a_worker_is_missing(world: World, app: App) -> None:
    def answer(asked: dict[str, Any]) -> dict[str, Any] | None:
        if asked["do"] == "request" and len(app.pids) == 1:
            return {"status": 502}
        return app(asked)

    world.memory.apps["api"] = answer
    workers = seen(tried(world).workers, WorkerLoss)
    assert workers.failures[0] == "after 0.0 s: status 502"
    assert workers.failures[-1] in {"after 0.9 s: status 502", "after 1.0 s: status 502"}
    assert (workers.requests, len(workers.failures)) == (41, 19)


def test_a_single_worker_is_not_killed(world: World, app: App) -> None:
    app.pids = [7]
    assert seen(tried(world).workers, WorkerLoss) == WorkerLoss(workers=1)
    assert app.pids == [7]


def test_no_worker_is_seen(world: World, app: App) -> None:
    app.pids = []
    assert "no process can be seen" in seen(tried(world).workers, Unavailable).reason


def test_a_worker_that_cannot_be_killed(world: World, app: App) -> None:
    app.kill_error = "Operation not permitted"
    workers = seen(tried(world).workers, Unavailable)
    assert (workers.reason, workers.detail) == ("its worker could not be killed", "Operation not permitted")


def test_an_app_that_goes_with_its_worker(world: World, app: App) -> None:
    def answer(asked: dict[str, Any]) -> dict[str, Any] | None:
        if asked["do"] == "kill":
            world.memory.end(world.memory.of("api"), 1)
            return None
        return app(asked)

    world.memory.apps["api"] = answer
    run = tried(world)
    assert "the app's container ended" in seen(run.workers, Unavailable).reason
    assert [stop.service for stop in stopped(run)] == ["db"]


# The database restarts.


def test_what_was_acknowledged_and_is_lost_is_named(world: World, app: App) -> None:
    app.loses = {"3", "4"}
    database = seen(tried(world).database, DatabaseRestart)
    assert database.lost == ("GET /things/3: status 404", "GET /things/4: status 404")


def test_no_more_than_ten_losses_are_named(world: World, app: App) -> None:
    app.loses = {str(number) for number in range(2, 99)}
    app.memory.script("db", healthy(2, stops=0))
    world.settings(SETTINGS.replace("recovers-within = 10", "recovers-within = 1"))
    assert len(seen(tried(world).database, DatabaseRestart).lost) <= 10


def test_an_app_that_never_finds_its_database_again(world: World, app: App) -> None:
    app.reconnects_after = None
    database = seen(tried(world).database, DatabaseRestart)
    assert (database.recovered_after, database.lost) == (None, ())
    assert database.last.error == "the database is away"


def test_an_app_that_takes_a_while_to_find_it_again(world: World, app: App) -> None:
    app.reconnects_after = 4
    assert seen(tried(world).database, DatabaseRestart).recovered_after == pytest.approx(4, abs=1.5)


def test_a_database_that_is_killed(world: World, app: App) -> None:
    assert app.stored == {}
    world.memory.script("db", healthy(2, stops=None))
    run = tried(world)
    database = seen(run.database, DatabaseRestart)
    assert database.killed
    assert database.took == pytest.approx(10)
    last = stopped(run)[-1]
    assert (last.killed, last.code, last.grace) == (True, 137, 10)


def test_an_app_that_crashes_with_its_database_and_is_started_again(world: World, app: App) -> None:
    world.write(COMPOSE.replace("image: ship:1", "image: ship:1\n        restart: always"))
    first: list[bool] = []

    def crash(_: str) -> None:
        if not first and world.memory.called("start") == []:
            first.append(True)
            world.clock.after(0.2, lambda: world.memory.end(world.memory.of("api"), 1, wanted=False))

    world.memory.before("stop", lambda target: crash(target) if target == "db" else None)
    database = seen(tried(world).database, DatabaseRestart)
    assert database.app_restarts == 1
    assert app.stored


def test_a_database_that_does_not_run(world: World, app: App) -> None:
    def answer(asked: dict[str, Any]) -> dict[str, Any] | None:
        if asked["do"] == "kill":
            world.memory.end(world.memory.of("db"), 0)
        return app(asked)

    world.memory.apps["api"] = answer
    database = tried(world).database
    assert isinstance(database, DatabaseRestart | Unavailable)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('    database = "db"\n', "names no `database`"),
        ('    write = { path = "/things", body = { name = "{unique}" } }\n    read = "/things/{id}"\n', "`write`"),
    ],
)
def test_what_the_contract_does_not_ask_for(world: World, app: App, line: str, reason: str) -> None:
    world.settings(SETTINGS.replace(line, ""))
    assert reason in seen(tried(world).database, Unavailable).reason
    assert len(app.pids) == 2


def test_nothing_is_asked(world: World) -> None:
    world.settings("")
    run = tried(world)
    assert seen(run.ready, Unavailable).reason == "the contract does not ask for it"
    assert run.exchange == run.workers == run.database == run.ready
    assert [stop.service for stop in stopped(run)] == ["api", "db"]


def test_no_port_is_known(world: World) -> None:
    world.write(COMPOSE.replace('        ports: ["8000:8000"]\n', ""))
    assert "nothing says which port api listens on" in seen(tried(world).ready, Unavailable).reason


@pytest.mark.parametrize("exposed", [{"9000/tcp": {}}, {"9000/tcp": {}, "9001/udp": {}}])
def test_the_port_that_the_image_exposes(world: World, app: App, exposed: dict[str, Any]) -> None:
    world.write(COMPOSE.replace('        ports: ["8000:8000"]\n', ""))
    world.memory.add_image("ship:1", ExposedPorts=exposed)
    asked: list[int] = []

    def answer(question: dict[str, Any]) -> dict[str, Any] | None:
        asked.append(question["port"])
        return app(question)

    world.memory.apps["api"] = answer
    tried(world)
    assert set(asked) == {9000}


def test_where_services_listen_is_looked_at_among_the_ports_that_the_file_publishes(world: World, app: App) -> None:
    assert app.pids
    world.memory.script("api", Life(listens=((0.0, 8000), (0.0, 9000))))
    world.memory.script("db", replace(healthy(2, stops=3), listens=((0.0, 5433),)))
    published = {found.service: found for found in seen(tried(world).published, tuple)}
    assert (published["api"].listening, published["api"].silent) == ((8000, 9000), ())
    assert str(published["db"]) == "db publishes 5432, and listens on 5433"


def test_an_agent_that_cannot_be_started(world: World, app: App) -> None:
    world.memory.refuse("exec_start", 400, "no such program", of="api", times=9999)
    run = tried(world)
    assert seen(run.ready, Ready).last.error == "the app's container cannot be asked: no such program"
    assert app.stored == {}


# All is stopped.


def test_what_leaves_with_another_code_or_is_killed(world: World, app: App) -> None:
    assert app.stored == {}
    world.memory.script("api", Life(stops=4, stop_code=143))
    world.memory.script("db", healthy(2, stops=None))
    stops = stopped(tried(world))
    assert [(stop.service, stop.code, stop.killed) for stop in stops] == [("api", 143, False), ("db", 137, True)]
    assert [stop.seconds for stop in stops] == pytest.approx([4, 10])


def test_what_depends_on_the_app_is_stopped_before_it(world: World, app: App) -> None:
    assert app.stored == {}
    world.write(COMPOSE.replace("services:\n", "services:\n      proxy: {image: nginx, depends_on: [api]}\n"))
    world.memory.add_image("nginx")
    run = tried(world)
    assert [stop.service for stop in stopped(run)] == ["proxy", "api", "db"]


def test_the_contract_says_how_long_it_may_take_to_come_up(world: World) -> None:
    world.settings(SETTINGS + "    up-within = 1\n")
    assert "was not up after 1 s" in tried(world).failure


# It is started again among its services.


@pytest.mark.parametrize("deep", [True, False])
def test_it_is_started_again_where_that_is_wanted(
    world: World,
    app: App,
    monkeypatch: pytest.MonkeyPatch,
    deep: bool,
) -> None:
    assert app.stored == {}
    asked: list[tuple[str, bool]] = []

    def start(_engine: object, container: str, _contract: object, *, deep: bool) -> Unavailable:
        made = world.memory.containers[container]
        asked.append((made.service, deep))
        # It has been stopped by then, and its services run.
        assert (made.status, world.memory.of("db").status) == ("exited", "running")
        return Unavailable(reason="started")

    monkeypatch.setattr(trials, "boot_as_service", start)
    run = try_stack(trial(world, Wanted(deep=deep)))
    assert seen(run.boots, Unavailable).reason == "started"
    assert asked == [("api", deep)]


def test_what_compose_copies_into_it_cannot_be_given_to_another_container(world: World, app: App) -> None:
    assert app.stored == {}
    secret = "\n    secrets:\n      key: {environment: KEY}"
    world.write(COMPOSE.rstrip().replace("image: ship:1", "image: ship:1\n        secrets: [{source: key}]") + secret)
    run = try_stack(trial(world, Wanted()))
    assert "compose copies key into its container" in seen(run.boots, Unavailable).reason
