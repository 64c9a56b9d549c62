"""How a stack comes up, on an engine in memory and a clock that moves when somebody sleeps."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.fakes.compose import create
from tests.fakes.engine import Life, healthy, refusal
from tests.fakes.world import World

from seatrial.compose.readiness import Finding, Readiness, note
from seatrial.engine.find import API_TIMEOUT
from seatrial.errors import EngineError, ImageError, StackError, StackFailedError, StackLeftError
from seatrial.stack.up import bring_up as project_up
from seatrial.stack.up import up

if TYPE_CHECKING:
    from pathlib import Path

    from seatrial.stack.state import StackState

TWO = """
    services:
      api:
        image: ship:1
        ports: ["8000:8000"]
        depends_on:
          db: {condition: service_healthy}
      db:
        image: postgres:17
        volumes: ["data:/data"]
    volumes:
      data: {}
    """
ONE = """
services:
  api:
    image: ship:1
"""
ONE_SHOT = """
    services:
      migrate: {image: ship:1}
      api:
        image: ship:1
        depends_on:
          migrate: {condition: service_completed_successfully}
    """


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(tmp_path, monkeypatch)
    world.memory.add_image("postgres:17")
    world.write(TWO)
    world.memory.script("db", healthy(3))
    return world


def bring_up(world: World, **options: Any) -> StackState:
    try:
        return up(
            world.plan(), engine=world.engine, host=world.host, observer=world.observer, clock=world.clock, **options
        )
    finally:
        # Whatever happened, the next request has as long as ever.
        assert world.engine.client.api.timeout == API_TIMEOUT


def bring_up_project(world: World) -> StackState:
    return project_up(world.plan(), world.project, engine=world.engine, host=world.host, observer=world.observer)


def refused(world: World, **options: Any) -> StackFailedError:
    with pytest.raises(StackFailedError) as caught:
        bring_up(world, **options)
    return caught.value


def assert_nothing_left(world: World, *volumes: str) -> None:
    assert world.memory.containers == {}
    assert world.memory.networks == {}
    assert sorted(world.memory.volumes) == [f"{world.stack.compose_project}_{name}" for name in volumes]


# It comes up.


def test_each_is_started_behind_what_it_waits_for(world: World) -> None:
    state = bring_up(world)
    assert state.changed
    assert world.memory.statuses() == {"api": "running", "db": "running"}
    assert world.memory.of("api").started == pytest.approx(3.2, abs=0.3)
    assert [(address.service, address.text) for address in state.addresses] == [("api", "http://engine.test:8000")]
    phases = [phases for _, phases in world.observer.shown]
    assert phases[0] == {"db": "not created", "api": "not created"}
    assert {"db": "starting", "api": "waiting"} in phases
    assert {"db": "up", "api": "starting"} in phases
    assert phases[-1] == {"db": "up", "api": "up"}
    assert state.seconds == pytest.approx(world.clock.now)


@pytest.mark.parametrize(
    ("life", "seconds"),
    [
        # Without a port, it must have computed next to nothing for a while.
        (Life(), 6.0),
        (Life(computes=4), 9.6),
        (Life(ends=2), None),
    ],
)
def test_what_has_no_health_check_must_have_come_to_rest(world: World, life: Life, seconds: float | None) -> None:
    world.write(ONE)
    world.memory.script("api", life)
    if seconds is None:
        error = refused(world)
        assert error.what == "ship did not come up: api ended with exit code 0 but should have kept running."
        return
    bring_up(world)
    started = world.memory.of("api").started
    assert started is not None
    assert world.clock.now - started == pytest.approx(seconds, abs=0.4)


def test_a_bot_that_dies_after_five_seconds_again_and_again_is_not_up(world: World) -> None:
    world.write(ONE + "    restart: unless-stopped\n")
    world.memory.script("api", Life(ends=5, code=1, prints=["no token"]))
    error = refused(world, timeout=60)
    assert "ship was not up after 60 s: api" in error.what
    assert "restarts" in error.what
    assert "--timeout" not in error.fix


@pytest.mark.parametrize(
    ("listens", "seconds"),
    [(None, 0.6), (((3.0, 8000),), 3.6), (((0.0, 9000), (2.0, 8000)), 2.6)],
)
def test_what_publishes_a_port_is_up_once_it_listens_there(world: World, listens: Any, seconds: float) -> None:
    world.memory.script("api", Life(listens=listens))
    bring_up(world)
    started = world.memory.of("api").started
    assert started is not None
    assert world.clock.now - started == pytest.approx(seconds, abs=0.7)


def test_what_never_listens_where_it_publishes_is_not_up(world: World) -> None:
    world.memory.script("api", Life(listens=()))
    error = refused(world, timeout=30)
    assert error.what == "ship was not up after 30 s: api runs and does not listen on 8000, which it publishes."


@pytest.mark.parametrize(
    ("listens", "said"),
    [
        (((0.0, 8000),), ()),
        (((0.0, 9000), (6.0, 8000)), ()),
        (((0.0, 9000),), ("api publishes 8000, and listens on 9000",)),
    ],
)
def test_a_published_port_that_nothing_listens_on_is_told_whatever_its_health_check_says(
    world: World, listens: Any, said: tuple[str, ...]
) -> None:
    world.memory.script("api", replace(healthy(2), listens=listens))
    assert bring_up(world).unanswered == said


def test_a_second_up_changes_nothing(world: World) -> None:
    bring_up(world)
    world.clock.sleep(10)
    made, ran = list(world.memory.containers), len(world.programs.ran)
    state = bring_up(world)
    assert (state.changed, state.seconds) == (False, 0)
    assert list(world.memory.containers) == made
    assert [words for words in world.programs.ran[ran:] if "up" in words] == []
    assert [service.service for service in state.services] == ["db", "api"]


@pytest.mark.parametrize("service", ["api", "db"])
def test_another_configuration_is_brought_up(world: World, service: str) -> None:
    bring_up(world)
    before = {name: world.memory.of(name).id for name in ("api", "db")}
    world.write(TWO.replace(f"{service}:\n", f"{service}:\n        command: [other]\n"))
    assert bring_up(world).changed
    assert {name for name in before if world.memory.of(name).id != before[name]} == {service}


def test_another_image_of_the_same_name_is_brought_up(world: World) -> None:
    bring_up(world)
    before = world.memory.of("api").id
    world.memory.add_image("ship:1", Env=["NEW=1"])
    assert bring_up(world).changed
    assert world.memory.of("api").id != before


def test_what_has_ended_since_is_started_again(world: World) -> None:
    bring_up(world)
    world.memory.end(world.memory.of("db"), 1)
    assert bring_up(world).changed
    assert world.memory.statuses() == {"api": "running", "db": "running"}


def test_a_second_up_at_once_sees_whether_it_stays_up(world: World) -> None:
    bring_up(world)
    world.memory.of("api").started = world.clock.now
    state = bring_up(world)
    assert not state.changed
    assert state.seconds == pytest.approx(0.6, abs=0.3)


def test_a_one_off_container_of_the_stack_changes_nothing(world: World) -> None:
    bring_up(world)
    extra = create(world.memory, world.stack.compose_project, "job", {"image": "ship:1"})
    extra.config["Labels"] |= {"com.docker.compose.oneoff": "True", "com.docker.compose.service": "api"}
    assert not bring_up(world).changed


def test_a_one_shot_completes_before_what_waits_for_it(world: World) -> None:
    world.write(ONE_SHOT)
    world.memory.script("migrate", Life(ends=5))
    state = bring_up(world)
    assert {service.service: service.phase.value for service in state.services} == {"migrate": "completed", "api": "up"}
    assert world.memory.of("api").started == pytest.approx(5.2, abs=0.3)


def test_a_service_that_crashes_once_and_is_started_again_is_waited_for(world: World) -> None:
    """Compose gives up on it; it is asked again, as the engine starts it by itself."""
    world.write(TWO.replace("image: postgres:17", "image: postgres:17\n        restart: always"))
    world.memory.script("db", Life(ends=0.55, code=1, health=((3, "healthy"),)), healthy(2))
    state = bring_up(world)
    assert state.changed
    assert world.memory.of("db").restarts == 1
    assert sum("up" in words for words in world.programs.ran) >= 2


def test_after_a_crash_a_service_without_a_health_check_must_run_for_ten_seconds(world: World) -> None:
    world.write(ONE + "    restart: always\n")
    world.memory.script("api", Life(ends=0.5, code=1), Life())
    bring_up(world)
    started = world.memory.of("api").started
    assert started is not None
    assert world.clock.now - started == pytest.approx(10, abs=0.3)


def test_an_unhealthy_moment_between_two_looks_is_not_seen(world: World) -> None:
    world.memory.script("db", Life(health=((2.25, "unhealthy"), (2.35, "healthy"))))
    assert bring_up(world).changed


def test_a_container_that_is_removed_between_the_list_and_its_inspection_is_no_problem(world: World) -> None:
    other = create(world.memory, world.stack.compose_project, "old", {"image": "ship:1"})

    def vanish(container: str) -> None:
        if container == other.id and other.id in world.memory.containers:
            world.memory.remove(other)

    world.memory.before("inspect_container", vanish)
    assert bring_up(world).changed


def test_how_what_compose_replaces_stood_is_no_failure(world: World) -> None:
    unhealthy = world.container("db", image="postgres:17")
    unhealthy.health = "unhealthy"
    world.container("api", started=False).status = "dead"
    state = bring_up(world)
    assert {service.phase.value for service in state.services} == {"up"}


# What is looked at before.


def test_an_image_that_is_not_here_is_pulled(world: World) -> None:
    del world.memory.images["postgres:17"]
    world.compose.pullable.add("postgres:17")
    bring_up(world)
    assert world.observer.said[0] == "postgres:17 is not here: pulling it."


def test_an_image_that_cannot_be_pulled_is_replaced(world: World) -> None:
    del world.memory.images["postgres:17"]
    world.memory.add_image("local/postgres:17")
    asked: list[str] = []

    def substitute(image: str) -> str:
        asked.append(image)
        return "local/postgres:17"

    bring_up(world, substitute=substitute)
    assert asked == ["postgres:17"]
    assert world.memory.of("db").config["Image"] == "local/postgres:17"
    # And the next one sees that it is up already.
    assert not bring_up(world, substitute=substitute).changed


@pytest.mark.parametrize("substitute", [None, lambda _image: None])
def test_an_image_that_nobody_has_is_an_error_and_nothing_is_started(world: World, substitute: Any) -> None:
    del world.memory.images["postgres:17"]
    with pytest.raises(ImageError, match="postgres:17") as caught:
        bring_up(world, substitute=substitute)
    assert "pull access denied" in caught.value.detail
    assert_nothing_left(world)


def test_an_own_image_that_is_not_built_is_an_error(world: World) -> None:
    del world.memory.images["ship:1"]
    with pytest.raises(StackError, match="has not been built") as caught:
        bring_up(world)
    assert "invoke build --app ship" in caught.value.fix
    assert_nothing_left(world)


def test_all_that_stands_in_the_way_is_told_at_once(world: World) -> None:
    del world.memory.images["ship:1"]
    world.settings('contract.required-environment = ["TOKEN"]')
    with pytest.raises(StackError, match="1 more below") as caught:
        bring_up(world)
    assert "TOKEN" in caught.value.detail


def test_a_port_that_is_taken_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, monkeypatch, url="unix:///memory.sock")
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        world.write(ONE + f'    ports: ["127.0.0.1:{port}:8000"]\n')
        with pytest.raises(StackError, match=f"port {port}, which is taken by"):
            bring_up(world)
    assert_nothing_left(world)
    state = bring_up(world)
    assert state.addresses[0].text == f"http://127.0.0.1:{port}"


def test_what_the_catalogue_says_is_told_and_stops_nothing(world: World) -> None:
    found = [
        replace(note("compose/other-images", "no limit"), result="note"),
        replace(note("compose/ports", "it is open", where="compose.yaml:5"), result="warning"),
        replace(note("compose/user", "root"), result="warning"),
    ]
    bring_up(world, catalogue=lambda: found)
    assert world.observer.said[0] == (
        "warning: compose/ports (compose.yaml:5), compose/user (compose.yaml); note: compose/other-images "
        "(compose.yaml). `invoke up --dry-run --app ship` says why."
    )


def test_what_hands_the_host_over_is_told_in_full(world: World) -> None:
    found = [
        replace(note("compose/ports", "it is open", where="compose.yaml:5"), result="warning"),
        Finding(
            check="compose/engine-socket",
            readiness=Readiness.NOTE,
            what="api: it mounts /var/run/docker.sock of the host",
            where="compose.yaml:7",
            fix="Take it out.",
            result="warning",
        ),
    ]
    bring_up(world, catalogue=lambda: found)
    assert world.observer.said[0] == (
        "warning: compose/engine-socket (compose.yaml:7): api: it mounts /var/run/docker.sock of the host. Take it out."
    )
    assert world.observer.said[1].startswith("warning: compose/ports (compose.yaml:5). `invoke up --dry-run")


@pytest.mark.parametrize("there", [True, False])
def test_what_is_external_must_be_there(world: World, there: bool) -> None:
    world.write(TWO + "networks:\n      proxy: {external: true}\n")
    if there:
        world.memory.networks["n1"] = {"Id": "n1", "Name": "proxy", "Labels": {}}
        bring_up(world)
        return
    with pytest.raises(StackError, match="the network proxy is external, and the engine has none of that name") as told:
        bring_up(world)
    assert told.value.fix == "Make it: `docker network create proxy`."
    assert world.memory.calls == []


def test_an_override_file_is_told_as_left_out(world: World) -> None:
    (world.folder / "compose.override.yaml").write_text("services: {}\n", encoding="utf-8")
    bring_up_project(world)
    assert any(said.startswith("compose.override.yaml lies beside it:") for said in world.observer.said)


# It does not come up.


def test_carriage_returns_of_a_failed_service_are_shown(world: World) -> None:
    world.memory.script("db", Life(ends=1, code=3, prints=["starting", "can't cd to /app\r"]))
    assert "can't cd to /app\\r" in refused(world).detail
    world.memory.script("db", Life(ends=1, code=3, prints=["from\r", "a terminal\r"]))
    assert "\\r" not in refused(world).detail


def test_a_crash_is_told_and_undone(world: World) -> None:
    world.memory.script("db", Life(ends=1, code=3, prints=["starting", "no disk"]))
    error = refused(world)
    assert error.what == "ship did not come up: db ended with exit code 3."
    lines = error.detail.splitlines()
    assert lines[0] == "db ended with exit code 3; api waited for it"
    assert lines[-2:] == ["    starting", "    no disk"]
    assert world.observer.said[: len(lines) + 1] == [error.what, *lines]
    assert_nothing_left(world, "data")


def test_the_volumes_of_the_run_go_when_that_is_asked_for(world: World) -> None:
    world.memory.script("db", Life(ends=1, code=3))
    refused(world, remove_volumes=True)
    assert_nothing_left(world)


def test_a_volume_that_was_there_before_stays(world: World) -> None:
    project = world.stack.compose_project
    world.memory.volumes[f"{project}_data"] = {"Labels": {"com.docker.compose.project": project}}
    world.memory.script("db", Life(ends=1, code=3))
    refused(world, remove_volumes=True)
    assert_nothing_left(world, "data")


def test_an_unhealthy_service_is_told_at_once_with_what_its_check_said(world: World) -> None:
    world.memory.script("db", Life(health=((2, "unhealthy"),), check_output="no such database"))
    error = refused(world)
    assert error.what == "ship did not come up: db is unhealthy."
    assert "    exit code 1: no such database" in error.detail
    assert "it printed nothing" in error.detail
    assert error.detail_shown
    assert world.clock.now < 4


def test_what_is_never_healthy_is_waited_for_just_as_long_as_was_said(world: World) -> None:
    world.memory.script("db", Life(health=((500, "healthy"),), stops=0))
    error = refused(world, timeout=10.1)
    assert error.what == "ship was not up after 10.1 s: db runs and is not healthy yet."
    assert "--timeout" in error.fix
    assert world.observer.shown[-1][0] == pytest.approx(10.1)
    assert_nothing_left(world, "data")


def test_what_is_not_up_after_compose_has_ended_is_waited_for_just_as_long(world: World) -> None:
    world.write(ONE)
    world.memory.script("api", healthy(500, stops=0))
    error = refused(world, timeout=5.05)
    assert "was not up after 5.05 s" in error.what
    assert world.observer.shown[-1][0] == pytest.approx(5.05)


def test_a_crash_loop_is_told_as_one_when_the_time_is_over(world: World) -> None:
    world.write(ONE + "    restart: always\n")
    world.memory.script("api", Life(ends=0.3, code=1, prints=["boom"]))
    error = refused(world, timeout=20)
    assert "api keeps ending with exit code 1 (" in error.what or "api runs after" in error.what
    assert "restarts" in error.what
    assert "    boom" in error.detail
    assert_nothing_left(world)


def test_a_crash_loop_of_what_another_one_waits_for_ends_with_the_time(world: World) -> None:
    world.write(TWO.replace("image: postgres:17", "image: postgres:17\n        restart: always"))
    world.memory.script("db", Life(ends=0.3, code=1, health=((3, "healthy"),)))
    error = refused(world, timeout=20)
    assert "was not up after 20 s: db" in error.what
    assert world.observer.shown[-1][0] == pytest.approx(20, abs=0.25)


def test_what_serves_must_not_end_even_with_zero(world: World) -> None:
    world.write(ONE + '    ports: ["8000:8000"]\n')
    world.memory.script("api", Life(ends=0.5))
    assert refused(world).what == "ship did not come up: api ended with exit code 0 but should have kept running."


def test_a_one_shot_that_fails_is_told_with_what_waited_for_it(world: World) -> None:
    world.write(ONE_SHOT)
    world.memory.script("migrate", Life(ends=1, code=4))
    error = refused(world)
    assert error.what == "ship did not come up: migrate ended with exit code 4."
    assert "api waited for it" in error.detail


def test_what_the_engine_cannot_start_is_told_without_the_names_of_its_parts(world: World) -> None:
    wrapped = "OCI runtime create failed: runc create failed: unable to start container process: "
    world.memory.script("db", Life(refused=f"{wrapped}exec: no-such-program: not found"))
    error = refused(world)
    assert error.what == "ship did not come up: db could not be started: exec: no-such-program: not found."
    assert_nothing_left(world, "data")


def test_why_compose_itself_gave_up_is_told(world: World) -> None:
    world.memory.before("containers", lambda _: None)
    world.write(ONE)
    del world.memory.images["ship:1"]
    world.settings('\n[tool.seatrial.apps.other]\nimage = "other"')
    world.write(ONE.replace("ship:1", "elsewhere:1"))
    world.memory.add_image("elsewhere:1")
    plan = world.plan()

    def gone(_: str) -> None:
        world.memory.images.pop("elsewhere:1", None)

    world.clock.at(0.1, lambda: gone(""))
    with pytest.raises(StackFailedError) as caught:
        up(plan, engine=world.engine, host=world.host, observer=world.observer, clock=world.clock)
    assert caught.value.what == "ship could not be started: Error response from daemon: No such image: elsewhere:1."


@pytest.mark.parametrize(
    ("life", "fix"),
    [
        (Life(ends=1, code=137, out_of_memory=True), "Raise its memory limit"),
        (Life(ends=1, code=1, prints=["write: No space left on device"]), "A disk is full"),
    ],
)
def test_the_fix_suits_the_cause(world: World, life: Life, fix: str) -> None:
    world.memory.script("db", life)
    error = refused(world)
    assert error.fix.startswith(fix)
    assert ("out of memory" in error.what) is life.out_of_memory


# Ctrl-C.


@pytest.mark.parametrize("moment", [0.1, 1.0, 3.5, 3.7])
def test_ctrl_c_removes_what_this_run_started(world: World, moment: float) -> None:
    """While compose creates, while it waits for the database, when it starts the app, and after it has ended."""
    world.clock.interrupt_at(moment)
    with pytest.raises(KeyboardInterrupt):
        bring_up(world)
    assert "Stopping and removing what this run started." in world.observer.said
    assert_nothing_left(world, *(["data"] if moment > 0.2 else []))


def test_ctrl_c_before_anything_is_started_touches_nothing(world: World) -> None:
    del world.memory.images["postgres:17"]
    running = world.container("api")

    def interrupt(_: str) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bring_up(world, substitute=interrupt)
    assert running.status == "running"
    assert world.memory.calls == []


def test_a_second_ctrl_c_while_compose_ends_leaves_at_once_and_names_what_remains(world: World) -> None:
    world.compose.ends_in = 10
    world.clock.interrupt_at(1, 2)
    with pytest.raises(StackLeftError) as caught:
        bring_up(world)
    project = world.stack.compose_project
    assert caught.value.what == (
        f"interrupted again; what remains: {project}-api-1, {project}-db-1, {project}_default, {project}_data."
    )
    assert "invoke down --app ship" in caught.value.fix
    assert world.memory.calls == []


def test_a_second_ctrl_c_while_it_is_undone_leaves_at_once(world: World) -> None:
    world.memory.script("db", healthy(3, stops=None))
    world.clock.interrupt_at(1, 3)
    with pytest.raises(StackLeftError, match="interrupted again; what remains:") as caught:
        bring_up(world)
    assert f"{world.stack.compose_project}-db-1" in caught.value.what


def test_a_second_ctrl_c_when_the_engine_is_gone_says_so(world: World) -> None:
    world.compose.ends_in = 10
    world.clock.at(1.5, world.memory.die)
    world.clock.interrupt_at(1, 2)
    with pytest.raises(StackLeftError, match="the engine does not say what remains"):
        bring_up(world)


def test_what_remains_is_only_what_this_run_made(world: World) -> None:
    running = world.container("old")
    world.compose.ends_in = 10
    world.clock.interrupt_at(1, 2)
    with pytest.raises(StackLeftError) as caught:
        bring_up(world)
    assert running.name not in caught.value.what


def test_ctrl_c_and_not_all_can_be_removed(world: World) -> None:
    world.memory.refuse("remove_network", 500, "a plugin is broken")
    world.clock.interrupt_at(1)
    with pytest.raises(StackLeftError, match="interrupted, and not all is removed: the engine refused: a plugin"):
        bring_up(world)


# Undoing.


def test_what_compose_had_asked_for_before_it_was_ended_is_removed_too(world: World) -> None:
    world.memory.script("db", Life(ends=1, code=3))

    def late() -> None:
        create(world.memory, world.stack.compose_project, "late", {"image": "ship:1"})

    world.compose.at_end = lambda: world.memory.before("remove_network", lambda _: None if late_ones else made())
    late_ones: list[int] = []

    def made() -> None:
        late_ones.append(1)
        late()

    refused(world)
    assert late_ones
    assert_nothing_left(world, "data")


def test_an_undoing_that_fails_is_told_and_the_reason_still_reaches_the_user(world: World) -> None:
    world.memory.script("db", Life(ends=1, code=3))
    world.memory.refuse("remove_container", 500, "device busy")
    assert "db ended with exit code 3" in refused(world).what
    assert world.observer.said[-1] == (
        "Not all of it could be removed: the engine refused: device busy `invoke down --app ship` removes what remains."
    )


@pytest.mark.parametrize("status", [404, 409])
def test_what_another_one_removes_at_the_same_time_is_no_problem(world: World, status: int) -> None:
    world.memory.script("db", Life(ends=1, code=3))
    world.memory.refuse("remove_container", status)
    assert "db ended with exit code 3" in refused(world).what
    assert not any("Not all of it" in line for line in world.observer.said)
    assert_nothing_left(world, "data")


def test_what_stays_whatever_is_done_is_named(world: World) -> None:
    world.memory.script("db", Life(ends=1, code=3))
    world.memory.refuse("remove_network", 403, times=10)
    refused(world)
    assert f"these could not be removed: {world.stack.compose_project}_default." in world.observer.said[-1]


def test_an_engine_that_is_gone_while_a_stack_comes_up(world: World) -> None:
    world.clock.at(2, world.memory.die)
    with pytest.raises(EngineError, match=r"the engine stopped answering\."):
        bring_up(world)
    assert "Not all of it could be removed" in world.observer.said[-1]


def test_an_engine_that_hangs_does_not_hold_up_the_end_of_the_time(world: World) -> None:
    world.clock.at(2, world.memory.hang)
    with pytest.raises(EngineError, match=r"the engine stopped answering\."):
        bring_up(world, timeout=30)
    # What is left of the time, and then the time that an undoing gives one request.
    assert world.clock.now < 30 + 2 * 20 + 5


def test_one_who_asks_an_engine_near_the_end_still_gives_it_a_moment(world: World) -> None:
    world.memory.script("db", healthy(500, stops=0))
    world.clock.at(9.9, world.memory.hang)
    with pytest.raises(EngineError):
        bring_up(world, timeout=10)
    assert world.clock.now >= 10 + 3


# What ran before.


def test_what_was_replaced_runs_again_as_before(world: World) -> None:
    before = world.container("db", image="postgres:17", labels={"mark": "before"})
    world.memory.script("db", Life(ends=1, code=3), Life())
    world.memory.script("db", Life(ends=2, code=3), Life())
    refused(world)
    again = world.memory.of("db")
    assert (again.id != before.id, again.status, again.labels["mark"]) == (True, "running", "before")
    assert again.networks.keys() == before.networks.keys()
    assert "db runs again as it did before." in world.observer.said


def test_what_was_stopped_runs_again(world: World) -> None:
    bring_up(world)
    kept = world.memory.of("api")
    world.write(TWO.replace("volumes: [", "command: [other]\n        volumes: ["))
    world.memory.script("db", Life(ends=1, code=3), Life())
    world.memory.before("remove_container", lambda _: world.memory.end(kept, 0) if kept.restarts == 0 else None)
    refused(world)
    assert kept.status == "running"
    assert "api runs again as it did before." in world.observer.said


def test_what_did_not_run_before_does_not_run_afterwards(world: World) -> None:
    world.write(ONE)
    bring_up(world)
    kept = world.memory.of("api")
    world.memory.end(kept, 1)
    world.memory.script("api", healthy(500))
    refused(world, timeout=3)
    assert kept.id in world.memory.containers
    assert kept.status == "exited"


def test_a_one_shot_that_had_completed_is_not_run_again_by_an_undoing(world: World) -> None:
    done = world.container("db", image="postgres:17", started=False)
    done.status, done.exit_code, done.finished = "exited", 0, 0.0
    done.config["Labels"]["com.docker.compose.config-hash"] = "other"
    world.memory.script("db", Life(ends=1, code=3))
    refused(world)
    assert any("db had completed before; its container was removed" in line for line in world.observer.said)
    assert "db" not in world.memory.statuses()


def test_what_cannot_run_again_is_told(world: World) -> None:
    world.container("db", image="postgres:17", labels={"mark": "before"})
    world.memory.script("db", Life(ends=1, code=3))
    world.memory.fail("create_container", refusal(409, "the name is taken"))
    refused(world)
    assert "db ran before and could not be restored: the engine refused: the name is taken Its data stays." in (
        world.observer.said
    )
