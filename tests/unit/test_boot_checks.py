"""The checks of a running application: which restriction, which port, which process, which start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.unit.boot_cases import CHECK, FAILING, down, listening, running
from tests.unit.factories import PYTHON, boot, configuration, facts, inside, starts
from tests.unit.source_factories import sources

from seatrial.checks import registry
from seatrial.checks.boot_again import in_the_way
from seatrial.checks.model import Severity, Status
from seatrial.checks.verdict import judge
from seatrial.facts import (
    NO_SOURCES,
    NOT_DEEP,
    CommandOverride,
    Enforced,
    Exit,
    Freeze,
    Health,
    HealthAnswer,
    Heartbeat,
    Restriction,
    Unavailable,
    Usage,
)
from seatrial.settings.model import Contract

if TYPE_CHECKING:
    from seatrial.checks.model import Result
    from seatrial.facts import Boot, Facts

CHECKS = {check.id: check for check in registry.CHECKS}
ALL = tuple(Restriction)
FOUR = ("boot/read-only", "boot/drop-capabilities", "boot/no-new-privileges", "boot/limits")


def judged(check: str, seen: Facts, **contract: Any) -> Result:
    return judge(CHECKS[check], seen, Contract(**contract))


def statuses(seen: Facts) -> dict[str, Status]:
    return {check: judged(check, seen).status for check in FOUR}


# --- restrictions ---------------------------------------------------------------------------------------


def test_a_start_that_comes_up_hardened_says_what_was_in_force() -> None:
    told = {check: judged(check, facts()).actual for check in FOUR}
    assert told == {
        "boot/read-only": "started and stayed up on a read-only root",
        "boot/drop-capabilities": "started and stayed up with all capabilities dropped but none",
        "boot/no-new-privileges": "started and stayed up with no-new-privileges",
        "boot/limits": "started and stayed up within 1024 MiB of memory and 256 processes and threads; "
        "it took 90 MiB and 5",
    }


def test_what_the_engine_does_not_enforce_is_no_pass() -> None:
    nothing = Enforced(read_only=False, dropped=(), added=(), no_new_privileges=False, memory=0, processes=0)
    for enforced in (nothing, None):
        for check in FOUR:
            result = judged(check, facts(boot=boot(enforced=enforced)))
            assert result.status is Status.ERROR
            assert "the engine does not enforce this" in result.actual


@pytest.mark.parametrize(
    ("restriction", "check", "under", "without"),
    [
        (Restriction.READ_ONLY, "boot/read-only", "on a read-only root", "with a writable root"),
        (
            Restriction.CAPABILITIES,
            "boot/drop-capabilities",
            "without capabilities",
            "with the capabilities that the engine gives by default",
        ),
        (
            Restriction.NO_NEW_PRIVILEGES,
            "boot/no-new-privileges",
            "with no-new-privileges",
            "without no-new-privileges",
        ),
        (Restriction.LIMITS, "boot/limits", "within its limits", "with four times the memory and processes"),
    ],
)
def test_the_one_restriction_in_the_way_is_named_and_the_others_hold(
    restriction: Restriction, check: str, under: str, without: str
) -> None:
    relaxed = (boot(lifted=ALL), boot(lifted=(restriction,)))
    line = "OSError: [Errno 30] Read-only file system: '/x'"
    seen = facts(boot=down(log=(line,)), relaxed=relaxed)
    result = judged(check, seen)
    assert (result.status, result.evidence[-1]) == (Status.FAIL, f"log: {line}")
    ended = "the container exited at start: exit code 1 after 0.2 s"
    assert result.actual == f"{under}: {ended}; {without} it starts"
    assert {one for one, status in statuses(seen).items() if status is Status.PASS} == set(FOUR) - {check}
    assert judged("boot/healthy", seen).status is Status.PASS


def test_two_restrictions_in_the_way_are_both_named() -> None:
    both = {Restriction.READ_ONLY, Restriction.CAPABILITIES}

    def started(*lifted: Restriction) -> Boot:
        return boot(lifted=lifted) if both <= set(lifted) else down(lifted=lifted)

    relaxed = [started(*ALL), *(started(restriction) for restriction in ALL)]
    relaxed += [started(*(restriction for restriction in ALL if restriction is not left)) for left in ALL]
    seen = facts(boot=down(), relaxed=tuple(relaxed))
    assert {one for one, status in statuses(seen).items() if status is Status.FAIL} == {FOUR[0], FOUR[1]}
    assert {one for one, status in statuses(seen).items() if status is Status.PASS} == {FOUR[2], FOUR[3]}
    assert judged(FOUR[1], seen).actual.endswith("without capabilities, even where that is its only restriction")


def test_what_comes_up_at_times_is_blamed_on_nothing_and_passes_nothing() -> None:
    relaxed = [boot(lifted=ALL), *(down(lifted=(restriction,)) for restriction in ALL)]
    relaxed += [boot(lifted=tuple(restriction for restriction in ALL if restriction is not left)) for left in ALL]
    seen = facts(boot=down(), relaxed=tuple(relaxed))
    assert set(statuses(seen).values()) == {Status.ERROR}
    assert in_the_way({frozenset(): down()}) == set()


def test_a_slow_start_is_not_blamed_on_a_root_that_it_did_not_write_to() -> None:
    late = down(exit=None, watched=30.0)
    seen = facts(boot=late, relaxed=(boot(lifted=ALL), boot(lifted=(Restriction.READ_ONLY,))))
    assert set(statuses(seen).values()) == {Status.ERROR}
    assert judged("boot/read-only", seen).actual == (
        "could not be decided: a later start succeeded, and no restriction is seen to have kept it from starting the "
        "first time: still starting after 30.0 s"
    )


def test_what_no_restriction_keeps_from_coming_up() -> None:
    result = judged("boot/limits", facts(boot=down(), relaxed=(down(lifted=ALL),)))
    assert result.actual == (
        "could not be decided: it does not start without any restriction either: see boot/healthy or boot/stays-up"
    )


@pytest.mark.parametrize(
    ("exit_", "status", "says"),
    [
        (Exit(code=0, after=0.4), Status.PASS, "exit code 0 after 0.4 s"),
        (Exit(code=3, after=0.4), Status.FAIL, "the container exited at start: exit code 3 after 0.4 s"),
        (None, Status.FAIL, "still ran after 30.0 s"),
    ],
)
def test_a_job_is_to_end_well(exit_: Exit | None, status: Status, says: str) -> None:
    seen = facts(boot=down(job=True, exit=exit_, health=Health.NONE, watched=30.0))
    found = judged("boot/stays-up", seen, job=True)
    assert (found.status, found.actual) == (status, says)
    for skipped in (
        "boot/healthy",
        "health/declared",
        "health/cheap",
        "process/graceful-stop",
        "network/exposed-ports",
    ):
        assert judged(skipped, seen, job=True).status is Status.SKIP


def test_a_job_that_is_late_for_want_of_a_processor_is_undecided() -> None:
    late = down(job=True, exit=None, health=Health.NONE, watched=30.0, waited=20.0)
    found = judged("boot/stays-up", facts(boot=late), job=True)
    assert found.status is Status.ERROR
    assert "it had not ended 30 s after a start, and for 20 s of these the machine had no processor" in found.actual


@pytest.mark.parametrize(
    ("seen", "says"),
    [
        (
            down(exit=Exit(code=137, after=1, out_of_memory=True)),
            "it was killed, out of memory: the limit is 1 GiB",
        ),
        (boot(out_of_memory=True), "a process of it was killed, out of memory"),
        (
            boot(health=Health.STARTING, healthy_after=None, stop=None, usage=Usage(memory=1, processes=256)),
            "it has 256 processes and threads, as many as it is allowed, and does not start",
        ),
        (boot(usage=Usage(memory=1, processes=256)), "it has 256 processes and threads, as many as it is allowed"),
        (
            down(log=("RuntimeError: can't start new thread",)),
            "it is limited to 256 processes and threads: RuntimeError",
        ),
    ],
)
def test_a_limit_that_was_reached_is_seen_at_the_start_itself(seen: Boot, says: str) -> None:
    result = judged("boot/limits", facts(boot=seen))
    assert (result.status, says in result.actual) == (Status.FAIL, True), result.actual


# --- the log --------------------------------------------------------------------------------------------


def test_a_first_line_only_at_the_stop_is_buffered_output() -> None:
    result = judged("boot/first-log", facts(boot=boot(first_log=None, log_at_stop=True, log=("hello",))))
    assert result.actual == ("nothing in 1.2 s, and its first line only at its stop signal: output is buffered")
    assert result.fix == "Add `ENV PYTHONUNBUFFERED=1` to the Dockerfile, or flush what it prints."


def test_a_first_line_too_late_and_none_at_all() -> None:
    late = judged("boot/first-log", facts(boot=boot(first_log=4.0)), first_log_within=3)
    assert (late.status, late.actual) == (Status.FAIL, "its first line came after 4.0 s")
    assert judged("boot/first-log", FAILING["boot/first-log"]).actual.startswith("it logged nothing at all")
    assert judged("boot/first-log", facts()).actual == "its first line came after 0.2 s"
    assert judged("boot/first-log", facts(boot=down())).status is Status.ERROR


# --- network ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seen", "status", "says"),
    [
        (listening(), Status.PASS, "listens on nothing"),
        (listening("0.0.0.0 8000 tcp", exposed=("8000/tcp",)), Status.PASS, "listens on 0.0.0.0:8000/tcp"),
        (listening(":: 8000 tcp", exposed=("8000/tcp",)), Status.PASS, "listens on [::]:8000/tcp"),
        (listening("127.0.0.1 9 tcp", "::ffff:127.0.0.1 8 tcp"), Status.PASS, "listens on 127.0.0.1:9/tcp"),
        (listening("0.0.0.0 40000 udp"), Status.PASS, "40000"),
        (listening(exposed=("8000/tcp",)), Status.FAIL, "EXPOSE names 8000/tcp, and nothing listens there"),
        (
            listening("127.0.0.1 8000 tcp", exposed=("8000/tcp",)),
            Status.FAIL,
            "127.0.0.1:8000/tcp answers inside the container only",
        ),
        (listening("0.0.0.0 8000 udp", exposed=("8000/tcp",)), Status.FAIL, "nothing listens there"),
        (listening("0.0.0.0 8000 tcp"), Status.FAIL, "0.0.0.0:8000/tcp, which EXPOSE does not name"),
        (listening(exposed=("8000/sctp",)), Status.ERROR, "only TCP and UDP are checked"),
    ],
)
def test_what_is_listened_on_and_what_is_exposed(seen: Facts, status: Status, says: str) -> None:
    result = judged("network/exposed-ports", seen)
    assert (result.status, says in result.actual) == (status, True), result.actual


def test_ports_that_could_not_all_be_seen_are_not_judged() -> None:
    seen = facts(boot=boot(proc=inside(truncated=("listeners",))))
    assert judged("network/exposed-ports", seen).status is Status.ERROR
    missing = facts(boot=boot(proc=Unavailable(reason="no Python", detail="x")))
    assert judged("network/no-privileged-ports", missing).actual == "could not be decided: no Python"
    assert judged("network/no-privileged-ports", facts(boot=down())).status is Status.ERROR


def test_a_low_port_is_named() -> None:
    assert judged("network/no-privileged-ports", listening("0.0.0.0 1023 tcp")).actual == (
        "it listens on 0.0.0.0:1023/tcp"
    )
    assert judged("network/no-privileged-ports", listening("0.0.0.0 1024 tcp")).status is Status.PASS


# --- processes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("/bin/sh -c shop; true", Status.FAIL),
        ("-bash", Status.FAIL),
        ("sudo -u app shop", Status.FAIL),
        ("/usr/bin/tini -- shop", Status.PASS),
        (f"{PYTHON} -m shop", Status.PASS),
        ("nginx: master process", Status.PASS),
    ],
)
def test_who_is_pid_1(line: str, status: Status) -> None:
    result = judged("process/pid1-is-app", running(line))
    assert (result.status, line in result.actual) == (status, True)


def test_pid_1_is_known_by_the_image_alone_or_not_at_all() -> None:
    gone = Unavailable(reason="no ps", detail="500")
    own = facts(boot=boot(process_list=gone, proc=inside(command=("sh", "/start.sh"))))
    assert judged("process/pid1-is-app", own).actual.startswith("PID 1 is `sh /start.sh`")
    result = judged("process/pid1-is-app", facts(boot=boot(process_list=gone, proc=gone)))
    assert (result.actual, result.evidence) == ("could not be decided: no ps", ("500", "500"))


GUNICORN = f"{PYTHON} /app/.venv/bin/gunicorn"


def beating(path: str, kind: str, line: str = f"{GUNICORN} shop:app", **environment: str) -> Facts:
    seen = running(line, proc=inside(heartbeats=(Heartbeat(path=path, filesystem=kind),)))
    return facts(boot=seen.boot, configuration=configuration(environment=environment))


@pytest.mark.parametrize(
    ("seen", "status", "says"),
    [
        (beating("/dev/shm/wgunicorn-a", "tmpfs"), Status.PASS, "/dev/shm"),
        (beating("/tmp/wgunicorn-a", "overlay"), Status.FAIL, "(here: overlay)"),
        # The default folder: in memory here, where the contract mounts a tmpfs there, and not elsewhere.
        (beating("/tmp/wgunicorn-a", "tmpfs"), Status.FAIL, "/tmp, which is on the overlay file system wherever"),
        (beating("/run/x/wgunicorn-a", "tmpfs", f"{GUNICORN} --worker-tmp-dir=/run/x a:b"), Status.PASS, "/run/x"),
        (beating("/run/x/wgunicorn-a", "tmpfs", GUNICORN_CMD_ARGS="--worker-tmp-dir /run/x"), Status.PASS, "/run/x"),
        (running(f"{GUNICORN} --worker-tmp-dir /dev/shm a:b"), Status.PASS, "/dev/shm"),
        (running(f"{GUNICORN} a:b"), Status.ERROR, "no heartbeat file of gunicorn was seen"),
        (running("gunicorn: master [a:b]", proc=Unavailable(reason="no Python")), Status.ERROR, "no Python"),
        (running(f"{PYTHON} -m uvicorn a:b"), Status.SKIP, "gunicorn does not run in it"),
    ],
)
def test_where_gunicorn_keeps_its_heartbeat(seen: Facts, status: Status, says: str) -> None:
    result = judged("runtime/worker-heartbeat", seen)
    assert (result.status, says in result.actual) == (status, True), result.actual


def test_an_entrypoint_that_runs_another_command() -> None:
    with_entrypoint = configuration(entrypoint=("/start.sh",))
    ran = CommandOverride(ran=True, happened="it ended with exit code 0")
    check = "runtime/command-override"
    assert judged(check, facts()).actual == f"it has no ENTRYPOINT, and ran {PYTHON}"
    assert judged(check, facts(configuration=with_entrypoint, override=ran)).status is Status.PASS
    assert judged(check, facts(configuration=with_entrypoint)).status is Status.SKIP
    gone = facts(configuration=with_entrypoint, override=Unavailable(reason="no Python"))
    assert judged(check, gone).status is Status.ERROR
    failing = judged(check, FAILING[check])
    assert failing.actual == "`/start.sh` did not run the command behind it: it ended with exit code 1"
    assert failing.evidence == ("it said: no", "it said: such")


# --- health ---------------------------------------------------------------------------------------------------


def test_the_quickest_good_answer_counts() -> None:
    with_check = configuration(health_check=CHECK)
    answers = tuple(HealthAnswer(exit_code=code, output="", seconds=took) for code, took in ((1, 0.1), (0, 3), (0, 2)))
    assert judged("health/cheap", facts(configuration=with_check, boot=boot(answers=answers))).actual == (
        "the quickest answer took 2.00 s"
    )
    assert (
        judged("health/cheap", facts(configuration=with_check, boot=boot(answers=answers[:1]))).status is Status.ERROR
    )
    assert judged("health/cheap", facts(configuration=configuration(health_check=None))).status is Status.SKIP
    assert "half of its timeout of 5 s" in judged("health/cheap", FAILING["health/cheap"]).expected


def test_a_freeze_that_nobody_notices() -> None:
    check = "health/detects-freeze"
    assert judged(check, FAILING[check]).actual == ("with every process stopped, it was still healthy after 60.0 s")
    assert judged(check, facts()).actual == "unhealthy 2.5 s after every process was stopped"
    assert judged(check, facts(configuration=configuration(health_check=None))).status is Status.SKIP
    for freeze in (None, Unavailable(reason="no signal")):
        assert judged(check, facts(deep=starts(freeze=freeze))).status is Status.ERROR
    assert Freeze(unhealthy_after=1.0, waited=1.0).output == ""


# --- more starts ------------------------------------------------------------------------------------------


def without(seen: Boot) -> Result:
    return judged(
        "boot/missing-environment", facts(deep=starts(without={"A_KEY": seen})), required_environment=("A_KEY",)
    )


@pytest.mark.parametrize(
    ("seen", "status", "says"),
    [
        (down(log=("KeyError: 'A_KEY'",)), Status.PASS, "without A_KEY it ended with 1, and named it"),
        (boot(), Status.FAIL, "it starts anyway"),
        (down(exit=None, watched=4.0), Status.FAIL, "it still runs after 4.0 s, and is not healthy"),
        (down(healthy_after=1.0, log=("A_KEY",)), Status.FAIL, "it became healthy first"),
        (down(exit=Exit(code=0, after=0.1), log=("A_KEY",)), Status.FAIL, "exit code 0, as if all were well"),
        (down(log=("KeyError",)), Status.FAIL, "exit code 1, and its log does not name it"),
        (boot(start_error="no"), Status.ERROR, "the engine could not start it: no"),
    ],
)
def test_a_start_without_a_variable(seen: Boot, status: Status, says: str) -> None:
    result = without(seen)
    assert (result.status, says in result.actual) == (status, True), result.actual


def test_a_variable_that_was_not_taken_away_is_not_judged() -> None:
    assert judged("boot/missing-environment", facts(), required_environment=("A",)).status is Status.ERROR
    assert judged("boot/missing-environment", facts()).status is Status.SKIP


def test_a_start_as_an_unknown_uid() -> None:
    other = facts(deep=starts(other_user=boot()))
    assert judged("boot/arbitrary-uid", other).status is Status.SKIP
    assert judged("boot/arbitrary-uid", other, arbitrary_uid=True).status is Status.PASS
    assert judged("boot/arbitrary-uid", facts(), arbitrary_uid=True).status is Status.ERROR


def test_a_second_start_that_is_another_one() -> None:
    moved = listening("0.0.0.0 8001 tcp").boot
    assert not isinstance(moved, Unavailable)
    first = listening("0.0.0.0 8000 tcp").boot
    result = judged("boot/recreate", facts(boot=first, deep=starts(again=moved)))
    assert result.actual == "the first time it listened on 8000/tcp, the second time on 8001/tcp"
    assert judged("boot/recreate", facts()).actual == "started again, after 1.2 s"
    gone = Unavailable(reason="gone")
    assert judged("boot/recreate", facts(deep=starts(again=gone))).status is Status.ERROR


def test_what_it_writes_on_a_writable_root() -> None:
    check = "boot/writes-declared"
    assert judged(check, FAILING[check]).evidence == ("wrote /app/logs/shop.log",)
    assert judged(check, facts()).actual == "on a writable root it wrote nothing elsewhere"
    lifted = (Restriction.READ_ONLY,)
    for writable in (boot(), down(lifted=lifted), Unavailable(reason="gone")):
        assert judged(check, facts(deep=starts(writable=writable))).status is Status.ERROR


def test_without_the_deep_starts_nothing_of_them_passes() -> None:
    deep = ("boot/missing-environment", "boot/recreate", "boot/writes-declared", "health/detects-freeze")
    for check in deep:
        assert judged(check, facts(deep=NOT_DEEP)).actual == f"could not be decided: {NOT_DEEP.reason}"


def test_an_app_that_ends_alone_is_told_of_its_services_where_it_has_any() -> None:
    ended = down()
    alone = judged(
        "boot/healthy", facts(configuration=configuration(health_check=CHECK), boot=ended, sources=NO_SOURCES)
    )
    composed = judged(
        "boot/healthy", facts(configuration=configuration(health_check=CHECK), boot=ended, sources=sources())
    )
    assert (alone.status, composed.status) == (Status.FAIL, Status.FAIL)
    assert "--stack" not in (alone.fix or "")
    assert "`invoke smoke --stack` starts it among them" in (composed.fix or "")


def test_the_engines_own_resolver_is_no_port_of_the_application() -> None:
    seen = judged("network/exposed-ports", listening("0.0.0.0 8000 tcp", "127.0.0.11 41234 tcp", exposed=("8000/tcp",)))
    assert (seen.status, seen.actual) == (Status.PASS, "listens on 0.0.0.0:8000/tcp")


def test_of_very_many_ports_some_are_named() -> None:
    ports = tuple(f"{port}/tcp" for port in range(1, 65536))
    result = judged("network/exposed-ports", listening("0.0.0.0 8000 tcp", exposed=ports))
    assert result.actual.endswith("9/tcp, 10/tcp and 65,524 more, and nothing listens there")
    assert result.expected == (
        "listens on 1/tcp, 2/tcp, 3/tcp, 4/tcp, 5/tcp, 6/tcp, 7/tcp, 8/tcp, 9/tcp, 10/tcp and 65,525 more, "
        "and on nothing else"
    )


def test_a_port_that_only_another_port_answers_for_is_silent() -> None:
    result = judged("network/exposed-ports", listening("127.0.0.1 9999 tcp", exposed=("8000/tcp",)))
    assert result.actual == "EXPOSE names 8000/tcp, and nothing listens there"
    assert "slow start" not in result.fix
    unhealthy = configuration(exposed_ports=("8000/tcp",), health_check=None)
    slow = msgspec.structs.replace(listening("0.0.0.0 9999 tcp", exposed=("8000/tcp",)), configuration=unhealthy)
    assert "a slow start needs a larger `healthy-within`" in judged("network/exposed-ports", slow).fix


@pytest.mark.parametrize("limit", ["memory", "processes"])
def test_a_limit_that_the_engine_does_not_enforce_is_undecided(limit: str) -> None:
    sound = boot()
    assert sound.enforced is not None
    seen = boot(enforced=msgspec.structs.replace(sound.enforced, **{limit: 0}))
    assert judged("boot/limits", facts(boot=seen)).status is Status.ERROR


def test_a_command_that_says_how_to_use_it_is_a_warning() -> None:
    plain = configuration(health_check=None, command=("shop", "--help"))
    ended = facts(configuration=plain, boot=down(exit=Exit(code=0, after=0.3)))
    result = judged("boot/stays-up", ended)
    assert (result.status, result.severity) == (Status.FAIL, Severity.WARNING)
    assert "shop --help, says how to use it and ends" in result.actual
    for check in ("process/graceful-stop", "process/reaps-children", "boot/keeps-workers"):
        assert judged(check, ended).status is Status.SKIP
    crashed = facts(configuration=plain, boot=down(exit=Exit(code=1, after=0.3)))
    assert judged("boot/stays-up", crashed).severity is Severity.ERROR


def late(**changed: Any) -> Boot:
    seen = {"health": Health.STARTING, "healthy_after": None, "watched": 30.0, "stop": None, **changed}
    return boot(**seen)


def test_a_start_that_had_no_processor_is_undecided_and_not_failed() -> None:
    ended = down(lifted=())
    whole = late(lifted=tuple(Restriction), waited=20.0)
    for seen in (facts(boot=late(waited=20.0)), facts(boot=ended, relaxed=(whole,))):
        result = judged("boot/healthy", seen)
        assert result.status is Status.ERROR
        assert "for 20 s of these the machine had no processor for it" in result.actual
        assert judged("boot/drop-capabilities", seen).status is Status.ERROR
    assert judged("boot/healthy", facts(boot=late(waited=3.0))).status is Status.FAIL


def test_a_health_check_without_its_program_fails_on_a_busy_machine_too() -> None:
    answer = HealthAnswer(exit_code=127, output="curl: not found", seconds=0.1)
    assert judged("boot/healthy", facts(boot=late(waited=20.0, answers=(answer,)))).status is Status.FAIL
    assert judged("boot/healthy", facts(boot=late(waited=20.0, answers=()))).status is Status.ERROR
