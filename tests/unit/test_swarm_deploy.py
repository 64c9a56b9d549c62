"""How a stack is deployed to a swarm and removed again, on a swarm in memory."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.fakes.swarm import HERE, MemorySwarm, TaskLife
from tests.fakes.world import Recorder, World

from seatrial.engine.find import OWN, Candidate
from seatrial.errors import EngineError, ImageError, SettingsError, StackError, StackFailedError
from seatrial.swarm.cluster import find
from seatrial.swarm.deploy import deploy, holdings, plan_deploy, undeploy

if TYPE_CHECKING:
    from pathlib import Path

    from seatrial.swarm.state import Conversion, Deployed, RemovedStack

COMPOSE = """
services:
  api:
    image: ship:1
  db:
    image: postgres:17
"""
TASK_FAILS = TaskLife(ends=1, code=3, prints=["no disk"])


class Fleet:
    """A swarm, and a project whose app is deployed to it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.swarm = MemorySwarm(world.memory)
        self.observer = Recorder()
        self.noted: list[Conversion] = []
        world.memory.add_image("postgres:17")
        world.program("docker")
        world.programs.known["docker"] = self.swarm
        world.write(COMPOSE)

    def deploy(self, **options: Any) -> Deployed:
        world = self.world
        plan = plan_deploy(
            world.project, "ship", stack=None, engine=world.engine, host=world.host, say=self.observer.say
        )
        return deploy(
            plan,
            engine=world.engine,
            host=world.host,
            observer=self.observer,
            noting=self.noted.append,
            clock=world.clock,
            **options,
        )

    def refused(self, **options: Any) -> StackFailedError:
        with pytest.raises(StackFailedError) as caught:
            self.deploy(**options)
        return caught.value

    def undeploy(self, **options: Any) -> RemovedStack:
        world = self.world
        return undeploy("ship", engine=world.engine, host=world.host, clock=world.clock, **options)


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    return Fleet(World(tmp_path, monkeypatch))


def phases(deployed: Deployed) -> dict[str, str]:
    return {state.service.name: state.phase.value for state in deployed.services}


# It converges.


def test_it_converges_and_has_stayed_so(fleet: Fleet) -> None:
    deployed = fleet.deploy()
    assert (deployed.name, deployed.changed) == ("ship", True)
    assert phases(deployed) == {"api": "up", "db": "up"}
    assert fleet.observer.shown[0][1] == {"api": "deploying", "db": "deploying"}
    # It runs after 0.6 s, and must stay for six more.
    assert deployed.seconds == pytest.approx(7, abs=0.6)
    assert len(fleet.noted) == 1
    image = fleet.swarm.documents[0]["services"]["api"]["image"]
    assert image == fleet.world.memory.images["ship:1"]["Id"]


def test_a_second_deploy_changes_nothing(fleet: Fleet) -> None:
    fleet.deploy()
    tasks = [task.id for task in fleet.swarm.all_tasks]
    deployed = fleet.deploy()
    assert (deployed.changed, deployed.seconds) == (False, 0)
    assert [task.id for task in fleet.swarm.all_tasks] == tasks


def test_another_image_is_rolled_out(fleet: Fleet) -> None:
    fleet.deploy()
    fleet.world.memory.add_image("ship:1", Env=["NEW=1"])
    deployed = fleet.deploy()
    assert deployed.changed
    assert [task.state for task in fleet.swarm.all_tasks if task.service == "service-ship_api"] == [
        "shutdown",
        "running",
    ]


def test_what_is_in_the_file_no_more_is_removed(fleet: Fleet) -> None:
    fleet.deploy()
    fleet.world.write("services:\n  api: {image: ship:1}\n")
    assert phases(fleet.deploy()) == {"api": "up"}


def test_a_stack_that_is_not_whole_is_waited_for_though_nothing_has_changed(fleet: Fleet) -> None:
    fleet.deploy()
    task = next(entry for entry in fleet.swarm.all_tasks if entry.service == "service-ship_api")
    fleet.swarm.lives = {"api": [TaskLife(runs=3)]}
    fleet.swarm._fail(fleet.swarm.held["ship_api"], task, "failed")  # noqa: SLF001
    deployed = fleet.deploy()
    assert deployed.changed
    assert deployed.seconds == pytest.approx(1 + 3 + 6, abs=1)


def test_what_fails_once_and_then_runs_is_up(fleet: Fleet) -> None:
    fleet.swarm.lives["api"] = [TASK_FAILS, TaskLife()]
    assert phases(fleet.deploy()) == {"api": "up", "db": "up"}


@pytest.mark.parametrize("seconds", [4, 5])
def test_what_runs_at_first_and_ends_within_six_seconds_does_not_count_as_up(fleet: Fleet, seconds: float) -> None:
    fleet.swarm.lives["api"] = [TaskLife(ends=seconds, code=1)]
    error = fleet.refused(timeout=30)
    assert error.what.startswith("ship is not deployed after 30 s: ")


def test_what_still_computes_has_not_started(fleet: Fleet) -> None:
    fleet.swarm.lives["api"] = [TaskLife(computes=9, ends=14, code=1), TaskLife()]
    deployed = fleet.deploy()
    # The first one ends before it came to rest: another one takes its place.
    assert deployed.seconds > 20
    assert phases(deployed) == {"api": "up", "db": "up"}


def test_each_replica_counts(fleet: Fleet) -> None:
    fleet.world.write(COMPOSE.replace("image: ship:1", "image: ship:1\n    deploy: {replicas: 3}"))
    fleet.swarm.lives["api"] = [TaskLife(), TaskLife(), TaskLife(assigned=None, error="no suitable node")]
    error = fleet.refused(timeout=10)
    assert "api runs 2 of 3" in error.what
    assert "api.3 is pending: no suitable node" in error.detail


def test_a_job_completes(fleet: Fleet) -> None:
    fleet.world.write(
        COMPOSE
        + """
  migrate:
    image: ship:1
  web:
    image: ship:1
    depends_on: {migrate: {condition: service_completed_successfully}}
"""
    )
    fleet.swarm.lives["migrate"] = [TaskLife(ends=3)]
    assert phases(fleet.deploy())["migrate"] == "completed"
    # It runs again at each deploy.
    fleet.deploy()
    assert sum(task.service == "service-ship_migrate" for task in fleet.swarm.all_tasks) == 2


def test_a_job_that_is_given_up(fleet: Fleet) -> None:
    fleet.world.write(COMPOSE + "  job:\n    image: ship:1\n    deploy: {mode: replicated-job}\n")
    fleet.swarm.lives["job"] = [TASK_FAILS]
    fleet.swarm.most_failures["job"] = 2
    error = fleet.refused()
    assert "job failed, and is not started again" in error.what
    assert "    no disk" in error.detail


def test_secrets_are_put_there_before_and_old_ones_removed_afterwards(fleet: Fleet) -> None:
    (fleet.world.folder / "key").write_text("first", encoding="utf-8")
    secret = f"\nsecrets:\n  key: {{file: {fleet.world.folder / 'key'}}}\n"
    fleet.world.write(COMPOSE.replace("image: ship:1", "image: ship:1\n    secrets: [{source: key}]") + secret)
    fleet.deploy()
    (first,) = fleet.swarm.materials["secrets"].values()
    assert (first["Data"], first["Spec"]["Name"][:9]) == (b"first", "ship_key_")
    assert fleet.swarm.documents[0]["secrets"] == {"key": {"external": True, "name": first["Spec"]["Name"]}}
    fleet.deploy()
    assert list(fleet.swarm.materials["secrets"].values()) == [first]
    (fleet.world.folder / "key").write_text("second", encoding="utf-8")
    fleet.deploy()
    # What the service would roll back to is still needed.
    assert [material["Data"] for material in fleet.swarm.materials["secrets"].values()] == [b"first", b"second"]
    (fleet.world.folder / "key").write_text("third", encoding="utf-8")
    fleet.deploy()
    assert [material["Data"] for material in fleet.swarm.materials["secrets"].values()] == [b"second", b"third"]


# It does not.


def test_what_is_never_up_is_waited_for_just_as_long_as_was_said(fleet: Fleet) -> None:
    fleet.swarm.lives["api"] = [TaskLife(runs=500)]
    error = fleet.refused(timeout=20.2)
    assert error.what == "ship is not deployed after 20.2 s: api runs 0 of 1."
    assert "the task api.1 on host-node-1 is preparing" in error.detail
    assert "the others: db is up (1 of 1)" in error.detail
    assert "--timeout" in error.fix
    assert fleet.observer.shown[-1][0] == pytest.approx(20.2)


def test_what_fails_is_told_with_its_output(fleet: Fleet) -> None:
    fleet.swarm.lives["api"] = [TASK_FAILS]
    fleet.swarm.most_failures["api"] = 3
    error = fleet.refused()
    assert error.what == "ship is not deployed: api failed, and is not started again."
    lines = error.detail.splitlines()
    assert "  the task api.1 on host-node-1 failed: task: non-zero exit (3), exit code 3" in lines
    assert lines[lines.index("  its last output:") + 1] == "    no disk"
    # A failure counts when it has lasted for two seconds.
    assert fleet.observer.shown[-1][0] - fleet.observer.shown[-5][0] == pytest.approx(2)


def test_what_fails_on_another_node_is_told_with_what_the_swarm_has_of_its_output(fleet: Fleet) -> None:
    fleet.swarm.lives["api"] = [TaskLife(ends=1, code=3, node="node-2", prints=["far away"])]
    fleet.swarm.most_failures["api"] = 1
    error = fleet.refused()
    assert "    far away" in error.detail
    assert "on host-node-2 failed" in error.detail


@pytest.mark.parametrize(("here", "shown"), [(["from the engine"], "from the engine"), ([], "from the swarm")])
def test_output_is_asked_of_the_engine_before_the_swarm(fleet: Fleet, here: list[str], shown: str) -> None:
    fleet.swarm.lives["api"] = [TaskLife(ends=1, code=3, prints=["from the swarm"], prints_here=here)]
    fleet.swarm.most_failures["api"] = 1
    assert fleet.refused().detail.splitlines()[-2].strip() == shown


def test_the_last_twenty_lines_are_shown(fleet: Fleet) -> None:
    lines = [f"line {number}" for number in range(30)]
    fleet.swarm.lives["api"] = [TaskLife(ends=1, code=3, prints=lines)]
    fleet.swarm.most_failures["api"] = 1
    shown = [line.strip() for line in fleet.refused().detail.splitlines() if line.startswith("    line")]
    assert shown == lines[10:]


def test_failures_that_are_alike_are_told_once_and_no_more_than_three(fleet: Fleet) -> None:
    fleet.swarm.lives["api"] = [TASK_FAILS]
    fleet.swarm.most_failures["api"] = 4
    assert fleet.refused().detail.count("the task api.1") == 1
    fleet.world.memory.add_image("ship:1", Env=["NEW=1"])
    count = sum(task.service == "service-ship_api" for task in fleet.swarm.all_tasks)
    fleet.swarm.lives["api"] = [TASK_FAILS] * count + [TaskLife(ends=1, code=code) for code in range(1, 6)]
    fleet.swarm.most_failures["api"] = 5
    detail = fleet.refused().detail
    assert detail.count("the task api.1") == 3
    assert [f"exit code {code}" in detail for code in (5, 4, 3, 2)] == [True, True, True, False]


def test_what_its_health_check_said_is_told(fleet: Fleet) -> None:
    fleet.swarm.lives["api"] = [TaskLife(ends=1, code=1, check_output="no database")]
    fleet.swarm.most_failures["api"] = 1
    error = fleet.refused()
    assert "      exit code 1: no database" in error.detail
    assert "it printed nothing that can be read" in error.detail


def test_what_ends_with_zero_and_was_to_stay(fleet: Fleet) -> None:
    fleet.swarm.lives["api"] = [TaskLife(ends=1)]
    fleet.swarm.most_failures["api"] = 1
    assert "ended with exit code 0 but should have kept running" in fleet.refused().detail


def test_an_image_that_a_node_does_not_have(fleet: Fleet) -> None:
    fleet.swarm.lives["api"] = [TaskLife(runs=None, error="No such image: ship:1")]
    fleet.swarm.most_failures["api"] = 2
    error = fleet.refused()
    assert "rejected: No such image" in error.detail
    assert error.fix.startswith("Bring the image to each node")


def test_an_update_that_fails_is_rolled_back(fleet: Fleet) -> None:
    fleet.deploy()
    fleet.world.memory.add_image("ship:1", Env=["NEW=1"])
    fleet.swarm.lives["api"] = [TaskLife(), TASK_FAILS, TaskLife()]
    fleet.swarm.failing_update.add("api")
    error = fleet.refused()
    assert error.what == "ship is not deployed: api was rolled back: what ran before runs on (1 of 1)."
    assert {"api": "rolling back", "db": "up"} in [shown for _, shown in fleet.observer.shown]


def test_a_failure_waits_for_the_end_of_another_ones_rollback(fleet: Fleet) -> None:
    fleet.deploy()
    fleet.world.memory.add_image("ship:1", Env=["NEW=1"])
    fleet.world.memory.add_image("postgres:17", Env=["NEW=1"])
    fleet.swarm.lives |= {"api": [TaskLife(), TASK_FAILS, TaskLife(runs=20)], "db": [TaskLife(), TASK_FAILS]}
    fleet.swarm.failing_update.add("api")
    fleet.swarm.most_failures["db"] = 1
    error = fleet.refused()
    assert "api was rolled back" in error.what


@pytest.mark.parametrize("update", ["paused", "rollback_paused"])
def test_an_update_that_swarm_gave_up(fleet: Fleet, update: str) -> None:
    fleet.deploy()
    fleet.world.memory.add_image("ship:1", Env=["NEW=1"])
    fleet.swarm.lives["api"] = [TaskLife(), TaskLife(runs=900)]

    def pause() -> None:
        fleet.swarm.held["ship_api"].update = update

    fleet.world.clock.after(3, pause)
    assert f"api stopped part of the way ({update})" in fleet.refused().what


def test_what_failed_before_this_deploy_is_no_failure_of_it(fleet: Fleet) -> None:
    fleet.swarm.lives["api"] = [TASK_FAILS]
    fleet.swarm.most_failures["api"] = 1
    fleet.refused()
    fleet.swarm.lives = {}
    fleet.swarm.most_failures = {}
    fleet.world.memory.add_image("ship:1", Env=["NEW=1"])
    assert phases(fleet.deploy()) == {"api": "up", "db": "up"}


def test_what_the_docker_command_refuses(fleet: Fleet) -> None:
    fleet.swarm.refuses = "services.api Additional property x is not allowed.\n"
    error = fleet.refused()
    assert error.what == "docker stack deploy refuses it: services.api Additional property x is not allowed."


def test_an_engine_that_is_gone(fleet: Fleet) -> None:
    fleet.world.clock.at(3, fleet.world.memory.die)
    with pytest.raises(EngineError, match="stopped answering"):
        fleet.deploy()


def test_ctrl_c_leaves_the_deploy_to_the_swarm(fleet: Fleet) -> None:
    fleet.world.clock.interrupt_at(0.4)
    with pytest.raises(KeyboardInterrupt):
        fleet.deploy()
    assert set(fleet.swarm.held) == {"ship_api", "ship_db"}


def test_nothing_is_changed_where_an_own_image_is_not_built(fleet: Fleet) -> None:
    del fleet.world.memory.images["ship:1"]
    with pytest.raises(StackError, match="has not been built"):
        fleet.deploy()
    assert fleet.swarm.documents == []
    assert fleet.noted == []


def test_an_image_is_pulled_or_replaced_or_refused(fleet: Fleet) -> None:
    del fleet.world.memory.images["postgres:17"]
    with pytest.raises(ImageError):
        fleet.deploy()
    fleet.world.memory.add_image("local:17")
    fleet.deploy(substitute=lambda _: "local:17")
    assert fleet.swarm.documents[-1]["services"]["db"]["image"] == fleet.world.memory.images["local:17"]["Id"]
    fleet.world.compose.pullable.add("postgres:17")
    fleet.deploy()
    assert fleet.swarm.documents[-1]["services"]["db"]["image"] == fleet.world.memory.images["postgres:17"]["Id"]


def test_what_swarm_cannot_run_as_it_is_written_is_refused(fleet: Fleet) -> None:
    fleet.world.write(COMPOSE.replace("image: ship:1", "image: ship:1\n    privileged: true"))
    looked: list[Conversion] = []
    with pytest.raises(StackError, match="swarm cannot run this as it is written: api privileged") as caught:
        fleet.deploy(looking=looked.append)
    assert "swarm runs no privileged container" in caught.value.detail
    assert len(looked) == 1
    assert fleet.swarm.documents == []


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"LocalNodeState": "inactive"}, "this engine is not a swarm manager"),
        ({"LocalNodeState": "locked"}, "this engine's swarm is locked"),
        ({"LocalNodeState": "active"}, "this engine is a worker of its swarm"),
        ({"LocalNodeState": "active", "Error": "no leader"}, "this engine's swarm has no leader: no leader"),
        ({}, "this engine is not a swarm manager"),
    ],
)
def test_an_engine_that_manages_no_swarm(fleet: Fleet, said: dict[str, str], message: str) -> None:
    fleet.world.memory.information["Swarm"] = said
    with pytest.raises(EngineError, match=message):
        fleet.deploy()
    with pytest.raises(EngineError, match=message):
        fleet.undeploy()


def test_no_docker_command(fleet: Fleet) -> None:
    (fleet.world.folder / "bin" / "docker").unlink()
    with pytest.raises(EngineError, match="the docker command line is needed"):
        fleet.deploy()


def test_a_name_that_is_none(fleet: Fleet) -> None:
    world = fleet.world
    with pytest.raises(SettingsError, match="not a valid stack name"):
        plan_deploy(world.project, "ship", stack="No Name", engine=world.engine, host=world.host, say=print)


def test_a_service_with_data_stays_on_the_node_that_has_it(fleet: Fleet) -> None:
    with_data = COMPOSE.replace("image: postgres:17", "image: postgres:17\n    volumes: [data:/d]")
    fleet.world.write(with_data + "volumes: {data: }\n")
    fleet.deploy()
    assert fleet.swarm.held["ship_db"].spec["TaskTemplate"]["Placement"]["Constraints"] == [f"node.id=={HERE}"]
    fleet.swarm.held["ship_db"].spec["TaskTemplate"]["Placement"]["Constraints"] = ["node.id==node-2"]
    fleet.deploy()
    assert fleet.swarm.held["ship_db"].spec["TaskTemplate"]["Placement"]["Constraints"] == ["node.id==node-2"]


# It is removed.


def test_all_of_it_is_removed(fleet: Fleet) -> None:
    fleet.deploy()
    fleet.world.memory.volumes["ship_data"] = {"Labels": {"com.docker.stack.namespace": "ship"}}
    looks: list[RemovedStack] = []
    removed = fleet.undeploy(seeing=looks.append)
    assert removed.services == ("ship_api", "ship_db")
    assert removed.networks == ("ship_default",)
    assert removed.kept_volumes == ("ship_data",)
    assert holdings("ship", fleet.world.engine).nothing
    assert fleet.swarm.all_tasks == []
    assert looks[0] == removed
    assert looks[-1].nothing
    # A network cannot go before the last container on it: the swarm is told again.
    assert sum("rm" in words for words in fleet.world.programs.ran) == 2


def test_nothing_is_removed(fleet: Fleet) -> None:
    assert fleet.undeploy().nothing
    assert fleet.world.programs.ran == []


def test_what_stays_is_named(fleet: Fleet) -> None:
    fleet.deploy()
    fleet.swarm.stops_in = 999
    with pytest.raises(StackFailedError) as caught:
        fleet.undeploy(timeout=30)
    assert caught.value.what == "after 30 s there is still: ship_default, 2 containers."
    assert "network is in use" in caught.value.detail


def test_what_a_lost_node_runs_is_not_waited_for(fleet: Fleet) -> None:
    fleet.swarm.lives["api"] = [TaskLife(node="node-2")]
    fleet.deploy()
    fleet.swarm.lost.add("node-2")
    fleet.swarm.all_tasks = [task for task in fleet.swarm.all_tasks if task.node == "node-2"]
    for task in fleet.swarm.all_tasks:
        task.spec = {**task.spec}
    fleet.world.memory.networks.clear()
    assert not fleet.undeploy(timeout=10).nothing


@pytest.mark.parametrize("own", [True, False])
def test_the_docker_command_of_seatrials_own_engine_is_for_that_engine(fleet: Fleet, own: bool) -> None:
    world = fleet.world
    beside = world.host.engine_folder / "programs" / "usr" / "bin"
    beside.mkdir(parents=True)
    shutil.copy(world.folder / "bin" / "docker", beside)
    candidate = Candidate(source=OWN if own else "other", url="unix:///memory.sock")
    found = find(replace(world.engine, candidate=candidate), world.host)
    assert found == str((beside if own else world.folder / "bin") / "docker")
