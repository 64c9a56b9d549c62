"""Where the services of a stack stand on a swarm, and what a person is told of it."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from seatrial.errors import ExitCode, SettingsError, StackError
from seatrial.reports.json import deploy_document, plan_document, removed_document
from seatrial.reports.stack_console import (
    ChangedLines,
    describe_swarm_service,
    print_deployed,
    print_notes,
    print_removed,
)
from seatrial.swarm.cluster import printed_by, read_service, read_task
from seatrial.swarm.deploy import stack_name
from seatrial.swarm.rollout import condition, explain, service_states
from seatrial.swarm.state import (
    Conversion,
    Deployed,
    Note,
    Outcome,
    Phase,
    RemovedStack,
    Swarm,
    SwarmService,
    SwarmServiceState,
    Task,
    Update,
)

SERVICE = SwarmService(id="s1", name="api", version="v2", replicas=2)
SWARM = Swarm(node="n1", names={"n1": "alpha", "n2": "beta"})


def task(number: int, **more: Any) -> Task:
    values: dict[str, Any] = {"state": "running", "desired": "running", "slot": number, "node_id": "n2"}
    return Task(id=f"t{number}", service_id="s1", **(values | more))


def stands(service: SwarmService, *tasks: Task, before: frozenset[str] = frozenset()) -> SwarmServiceState:
    (found,) = service_states([service], tasks, before=before)
    return found


def test_a_service_is_up_when_all_that_it_shall_run_runs() -> None:
    assert stands(SERVICE, task(1), task(2)).phase is Phase.UP
    assert stands(SERVICE, task(1), task(2, state="starting")).phase is Phase.DEPLOYING
    assert stands(SERVICE).phase is Phase.DEPLOYING
    assert stands(replace(SERVICE, replicas=0)).phase is Phase.UP


def test_what_ran_before_counts_for_nothing() -> None:
    found = stands(SERVICE, task(1), task(2, current=False))
    assert (found.phase, found.running) == (Phase.DEPLOYING, 1)
    # The old one is on its way out.
    assert stands(SERVICE, task(1), task(2), task(3, current=False, desired="shutdown")).phase is Phase.UP


@pytest.mark.parametrize(
    ("update", "phase"),
    [
        (Update.UPDATING, Phase.DEPLOYING),
        (Update.COMPLETED, Phase.UP),
        (Update.ROLLING_BACK, Phase.ROLLING_BACK),
        (Update.ROLLED_BACK, Phase.ROLLED_BACK),
        (Update.PAUSED, Phase.FAILED),
        (Update.ROLLBACK_PAUSED, Phase.FAILED),
    ],
)
def test_an_update_is_over_when_swarm_says_so(update: Update, phase: Phase) -> None:
    assert stands(replace(SERVICE, update=update), task(1), task(2)).phase is phase


def test_what_failed_before_is_no_failure_of_this_deploy() -> None:
    broken = task(3, state="failed", desired="shutdown", error="exit (1)")
    assert stands(SERVICE, task(1), task(2), broken).broken == (broken,)
    assert stands(SERVICE, task(1), task(2), broken, before=frozenset({"t3"})).broken == ()


def test_what_was_to_stay_and_ends_well_has_failed_too() -> None:
    ended = task(3, state="complete", desired="shutdown", node_id="n1")
    state = stands(SERVICE, task(1), task(2), ended)
    assert state.broken == (ended,)
    error = explain("ship", [replace(state, phase=Phase.ROLLED_BACK)], SWARM, outputs={}, checks={})
    assert "api.3 on alpha ended with exit code 0 but should have kept running" in error.detail
    assert stands(SERVICE, task(1), task(2), replace(ended, state="shutdown")).broken == ()
    assert stands(replace(SERVICE, job=True, replicas=1), ended).broken == ()


def test_a_service_that_is_not_started_again_has_failed() -> None:
    broken = task(1, state="failed", desired="shutdown")
    assert stands(SERVICE, broken).phase is Phase.FAILED
    assert stands(SERVICE, broken, task(2, state="ready", desired="ready")).phase is Phase.DEPLOYING
    # Swarm has not seen to it yet: it waits until the time for another try has come.
    assert stands(SERVICE, broken, task(2, state="rejected", desired="ready")).phase is Phase.DEPLOYING


def test_the_newest_failure_comes_first() -> None:
    old = task(1, state="failed", changed="2026-01-01T00:00:00Z")
    new = task(2, state="rejected", changed="2026-01-02T00:00:00Z")
    assert stands(SERVICE, old, new).broken == (new, old)


def test_one_on_each_node() -> None:
    everywhere = replace(SERVICE, replicas=None)
    assert stands(everywhere).phase is Phase.DEPLOYING
    assert stands(everywhere, task(1), task(2), task(3)).phase is Phase.UP
    assert stands(everywhere, task(1), task(2, state="preparing")).phase is Phase.DEPLOYING


def test_a_job_is_done_when_it_has_completed_in_this_round() -> None:
    job = replace(SERVICE, replicas=1, job=True, job_round=2)
    earlier = task(1, state="complete", desired="complete", job_round=1)
    assert stands(job, earlier).phase is Phase.DEPLOYING
    assert stands(job, earlier, task(2, state="complete", desired="complete", job_round=2)).phase is Phase.DONE
    failed = task(2, state="failed", desired="shutdown", job_round=2)
    assert stands(job, earlier, failed).phase is Phase.FAILED
    again = task(3, state="ready", desired="complete", job_round=2)
    assert stands(job, failed, replace(again, desired="ready")).phase is Phase.DEPLOYING


def test_a_job_that_works_is_wanted_complete() -> None:
    # Swarm wants the tasks of a job to be complete from their first moment on.
    job = replace(SERVICE, replicas=1, job=True)
    assert stands(job, task(1, desired="complete")).phase is Phase.DEPLOYING


def test_the_engines_words_are_read() -> None:
    template = {"ContainerSpec": {"Image": "x"}, "Placement": {"Constraints": ["node.id==n7"]}}
    said = {
        "ID": "s1",
        "Spec": {"Name": "ship_api", "Mode": {"Replicated": {"Replicas": 3}}, "TaskTemplate": template},
        "UpdateStatus": {"State": "rollback_completed"},
    }
    service = read_service(said, "ship")
    assert (service.name, service.replicas, service.update, service.node_pin) == ("api", 3, Update.ROLLED_BACK, "n7")
    job = read_service(
        {
            "ID": "s2",
            "Spec": {"Name": "ship_migrate", "Mode": {"ReplicatedJob": {"TotalCompletions": 1}}},
            "JobStatus": {"JobIteration": {"Index": 4}},
        },
        "ship",
    )
    assert (job.job, job.job_round, job.replicas, job.update) == (True, 4, 1, None)
    assert read_service({"ID": "s3", "Spec": {"Mode": {"Global": {}}}}, "ship").replicas is None
    known = {"s1": service.version}
    found = read_task(
        {
            "ID": "t1",
            "ServiceID": "s1",
            "Slot": 2,
            "NodeID": "n1",
            "DesiredState": "shutdown",
            "Spec": {"ContainerSpec": {"Image": "x"}},
            "Status": {"State": "failed", "Err": "\x1b[1mtask: non-zero exit (3)", "ContainerStatus": {"ExitCode": 3}},
        },
        known,
    )
    assert found.current
    assert (found.state, found.error, found.exit_code) == ("failed", "task: non-zero exit (3)", 3)
    assert not read_task({"ID": "t2", "ServiceID": "s1", "Spec": {"ContainerSpec": {"Image": "y"}}}, known).current


@pytest.mark.parametrize(
    "change",
    [
        {"Resources": {"Limits": {"MemoryBytes": 5}}},
        {"RestartPolicy": {"Condition": "any"}},
        {"LogDriver": {"Name": "none"}},
        {"Networks": [{"Target": "n2"}]},
        {"ForceUpdate": 1},
    ],
)
def test_a_task_of_other_limits_or_networks_is_not_current(change: dict[str, Any]) -> None:
    spec = {"ContainerSpec": {"Image": "x", "DNSConfig": {}}, "RestartPolicy": {"MaxAttempts": 0}, "Resources": {}}
    service = read_service({"ID": "s1", "Spec": {"TaskTemplate": {**spec, "Runtime": "container"}}}, "ship")
    known = {"s1": service.version}
    # Swarm writes what is empty at one time, and leaves it out at another.
    assert read_task({"ID": "t", "ServiceID": "s1", "Spec": {"ContainerSpec": {"Image": "x"}}}, known).current
    assert not read_task({"ID": "t", "ServiceID": "s1", "Spec": {**spec, **change}}, known).current


def test_whatever_is_said_of_a_service_is_told_apart() -> None:
    first = read_service({"ID": "s1", "Spec": {"TaskTemplate": {}, "EndpointSpec": {"Mode": "vip"}}}, "ship")
    other = read_service({"ID": "s1", "Spec": {"TaskTemplate": {}, "EndpointSpec": {"Mode": "dnsrr"}}}, "ship")
    assert first.version == other.version
    assert first.spec != other.spec


def test_a_job_that_is_to_run_no_time_is_done() -> None:
    none = replace(SERVICE, job=True, replicas=0)
    assert stands(none).phase is Phase.DONE
    # A job on each node has no task before swarm has assigned any.
    assert stands(replace(none, replicas=None)).phase is Phase.DEPLOYING


def test_log_lines_are_told_apart_by_their_task() -> None:
    lines = [
        "2026-01-01T00:00:02Z com.docker.swarm.node.id=n,com.docker.swarm.task.id=t1 the second",
        "2026-01-01T00:00:01Z com.docker.swarm.node.id=n,com.docker.swarm.task.id=t1 the first",
        "2026-01-01T00:00:01Z com.docker.swarm.task.id=t2 of another",
        "no such line",
    ]
    assert printed_by(lines, frozenset({"t1"})) == ("the first", "the second")


def test_a_rollback_is_explained() -> None:
    broken = task(
        1,
        state="failed",
        node_id="n1",
        error="task: non-zero exit (137): dockerexec: unhealthy container",
        exit_code=137,
    )
    rolled = SwarmServiceState(
        service=replace(SERVICE, update=Update.ROLLED_BACK),
        phase=Phase.ROLLED_BACK,
        running=2,
        wanted=2,
        broken=(broken,),
    )
    other = SwarmServiceState(service=replace(SERVICE, id="s2", name="db"), phase=Phase.UP, running=1, wanted=1)
    error = explain(
        "ship",
        [rolled, other],
        SWARM,
        outputs={"api": ["no such table"]},
        checks={"t1": ["exit code 1: 503"]},
    )
    assert error.exit_code is ExitCode.FAILED
    assert "api was rolled back: what ran before runs on (2 of 2)" in error.what
    assert "the task api.1 on alpha failed: task: non-zero exit (137)" in error.detail
    assert "exit code 1: 503" in error.detail
    assert "no such table" in error.detail
    assert "the others: db is up (1 of 1)" in error.detail
    assert "deploy again" in error.fix


def test_a_missing_image_is_explained_once() -> None:
    broken = tuple(task(number, state="rejected", error="No such image: api:latest") for number in (1, 2, 3))
    late = SwarmServiceState(service=SERVICE, phase=Phase.DEPLOYING, running=0, wanted=2, broken=broken)
    error = explain("ship", [late], SWARM, outputs={}, checks={}, timed_out=30)
    assert "after 30 s: api runs 0 of 2" in error.what
    assert error.detail.count("No such image") == 1
    assert "docker save" in error.fix


def test_a_deploy_that_takes_too_long_names_what_is_not_up() -> None:
    up = SwarmServiceState(service=SERVICE, phase=Phase.UP, running=2, wanted=2)
    late = SwarmServiceState(service=replace(SERVICE, name="db"), phase=Phase.DEPLOYING, running=0, wanted=1)
    error = explain("ship", [up, late], SWARM, outputs={}, checks={}, timed_out=5)
    assert "db runs 0 of 1" in error.what
    assert "--timeout" in error.fix
    assert "api is up" in error.detail


def test_what_ends_again_and_again_needs_no_more_time() -> None:
    broken = (task(1, state="failed", error="task: non-zero exit (1)"),)
    loops = SwarmServiceState(service=SERVICE, phase=Phase.DEPLOYING, running=0, wanted=1, broken=broken)
    error = explain("ship", [loops], SWARM, outputs={}, checks={}, timed_out=30)
    assert error.fix.startswith("Fix why it ends, then deploy again")
    assert "--timeout" not in error.fix


def test_a_task_that_finds_no_node_is_told_of() -> None:
    pending = task(1, state="pending", node_id="", error="no suitable node (insufficient resources on 3 nodes)")
    starting = task(2, state="starting", container_id="c2")
    state = stands(SERVICE, pending, starting)
    assert state.unready == (pending, starting)
    error = explain("ship", [state], SWARM, outputs={}, checks={"t2": ["exit code 1: not yet"]}, timed_out=9)
    assert "the task api.1 is pending: no suitable node (insufficient resources on 3 nodes)" in error.detail
    assert "the task api.2 on beta is starting" in error.detail
    assert "exit code 1: not yet" in error.detail
    assert "it printed nothing that can be read" in error.detail


@pytest.mark.parametrize("phase", list(Phase))
def test_each_phase_has_words(phase: Phase) -> None:
    assert condition(SwarmServiceState(service=SERVICE, phase=phase, running=1, wanted=2))


@pytest.mark.parametrize(
    ("app", "given", "name"), [("My App", None, "my-app"), ("a", "ship", "ship"), ("A_1", None, "a_1")]
)
def test_a_stacks_name(app: str, given: str | None, name: str) -> None:
    assert stack_name(app, given) == name


@pytest.mark.parametrize("given", ["", "-x", "Ship", "a b", "a" * 41, "ä", "a/b"])
def test_no_name_for_a_stack(given: str) -> None:
    with pytest.raises(SettingsError, match="not a valid stack name"):
        stack_name("api", given)


def console() -> tuple[Console, io.StringIO]:
    screen = io.StringIO()
    return Console(file=screen, width=80), screen


def test_the_loudest_notes_come_first() -> None:
    found = [
        Note(outcome=outcome, place="api x", text=f"about [b]{outcome}\x1b[2J")
        for outcome in (Outcome.CHANGED, Outcome.LOST, Outcome.RISK)
    ]
    out, screen = console()
    print_notes(Conversion(document={}, notes=tuple(found), materials=()), out)
    lines = screen.getvalue().splitlines()
    assert [line.strip() for line in lines[1::2]] == [
        f"api x: about [b]{outcome}" for outcome in ("careful", "lost", "changed")
    ]


def test_a_line_per_change() -> None:
    out, screen = console()
    lines = ChangedLines(out, describe_swarm_service)
    waiting = SwarmServiceState(service=SERVICE, phase=Phase.DEPLOYING, running=0, wanted=2)
    lines.show((waiting,), 0.5)
    lines.show((waiting,), 1.0)
    lines.show((replace(waiting, broken=(task(1, state="failed", error="exit (1)"),)),), 1.5)
    broken = task(1, state="failed", error="exit (1)")
    lines.show((replace(waiting, phase=Phase.UP, running=2, broken=(broken,)),), 2.0)
    assert screen.getvalue().splitlines() == [
        "   0.5 s  api: runs 0 of 2",
        "   1.5 s  api: runs 0 of 2; exit (1)",
        "   2.0 s  api: is up (2 of 2)",
    ]


def test_the_end_is_told() -> None:
    out, screen = console()
    up = SwarmServiceState(service=SERVICE, phase=Phase.UP, running=2, wanted=2)
    print_deployed(Deployed(name="ship", services=(up,), changed=True, seconds=12.34), out)
    print_deployed(Deployed(name="ship", services=(), changed=False, seconds=1), out)
    print_removed("ship", RemovedStack(services=("ship_api",), kept_volumes=("ship_data",)), out)
    print_removed("ship", RemovedStack(), out)
    told = screen.getvalue()
    assert "ship is deployed after 12.3 s." in told
    assert "nothing has changed" in told
    assert "Removed: 1 service (ship_api)." in told
    assert "Its data stays on this node: ship_data" in told
    assert "Nothing of the stack ship is on this swarm." in told


def test_a_deploy_as_json() -> None:
    broken = task(1, state="failed", desired="shutdown", error="exit (3)", exit_code=3, container_id="c1")
    waits = task(2, state="pending", node_id="", error="no suitable node")
    found = service_states([SERVICE], [broken, waits], before=frozenset())
    note = Note(outcome=Outcome.LOST, place="api links", text="by name\u202e")
    error = StackError("it broke.", where="stack ship", fix="Mend it.", detail="a\nb")
    text = deploy_document(
        "sea", "ship", found, notes=[note], nodes=SWARM.names, changed=True, seconds=1.23456, problem=error
    )
    assert text.isascii()
    document = json.loads(text)
    (service,) = document.pop("services")
    assert document == {
        "schema": 1,
        "app": "sea",
        "stack": "ship",
        "deployed": False,
        "changed": True,
        "seconds": 1.235,
        "notes": [{"fate": "lost", "place": "api links", "text": "by name\u202e"}],
        "problem": {"what": "it broke.", "where": "stack ship", "fix": "Mend it.", "detail": ["a", "b"]},
    }
    failed, pending = service.pop("tasks")
    assert service == {
        "service": "api",
        "state": "deploying",
        "condition": "runs 0 of 2",
        "job": False,
        "wanted": 2,
        "running": 0,
        "update": None,
    }
    assert failed == {
        "id": "t1",
        "slot": 1,
        "node": "beta",
        "container": "c1",
        "state": "failed",
        "error": "exit (3)",
        "exit_code": 3,
    }
    assert (pending["node"], pending["container"], pending["exit_code"]) == (None, None, None)
    assert pending["error"] == "no suitable node"


def test_a_deploy_that_went_well_as_json() -> None:
    found = service_states([replace(SERVICE, update=Update.COMPLETED)], [task(1), task(2)], before=frozenset())
    document = json.loads(deploy_document("sea", "ship", found, notes=(), nodes={}, changed=False, seconds=0))
    assert (document["deployed"], document["changed"], document["problem"]) == (True, False, None)
    (service,) = document["services"]
    assert (service["state"], service["running"], service["update"], service["tasks"]) == ("up", 2, "completed", [])


def test_what_would_be_deployed_as_json() -> None:
    note = Note(outcome=Outcome.REFUSED, place="api ports", text="open")
    good = json.loads(plan_document("sea", "ship", notes=()))
    assert good == {
        "schema": 1,
        "app": "sea",
        "stack": "ship",
        "deployable": True,
        "notes": [],
        "problem": None,
    }
    bad = json.loads(plan_document("sea", "", notes=[note], problem=StackError("no.")))
    assert (bad["deployable"], bad["stack"], bad["problem"]["what"]) == (False, None, "no.")
    assert bad["notes"] == [{"fate": "refused", "place": "api ports", "text": "open"}]


def test_a_removal_as_json_tells_what_is_gone_and_what_is_left() -> None:
    found = RemovedStack(services=("ship_api",), networks=("ship_default",), kept_volumes=("ship_data",))
    gone = json.loads(removed_document("sea", "ship", found=found, left=RemovedStack(), seconds=2))
    assert (gone["gone"], gone["kept_volumes"], gone["problem"]) == (True, ["ship_data"], None)
    assert gone["removed"] == {"services": ["ship_api"], "networks": ["ship_default"], "secrets": [], "configs": []}
    left = RemovedStack(networks=("ship_default",))
    half = json.loads(
        removed_document("sea", "ship", found=found, left=left, seconds=2, problem=StackError("it stays."))
    )
    assert (half["gone"], half["removed"]["services"], half["removed"]["networks"]) == (False, ["ship_api"], [])
    assert half["left"]["networks"] == ["ship_default"]
    # Only looked at: all is left.
    planned = json.loads(removed_document("sea", "ship", found=found, left=found, seconds=0))
    assert (planned["gone"], planned["removed"]["services"]) == (False, [])
    blind = json.loads(removed_document("sea", "ship", found=None, left=None, seconds=0, problem=StackError("no.")))
    assert (blind["gone"], blind["left"]["services"]) == (False, [])
