"""Real starts against an engine in memory: when they are over, what is told of them, and how they are stopped."""

from __future__ import annotations

import threading
import types
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest
from tests.unit.boot_engine import Script, api_error, installed
from tests.unit.factories import boot, configuration, facts, starts, trail

from seatrial.checks import registry
from seatrial.checks.model import Status
from seatrial.checks.verdict import judge
from seatrial.errors import EngineError
from seatrial.facts import (
    NOT_DEEP,
    DeepBoots,
    Health,
    HealthCheck,
    ProcessList,
    Restart,
    Restriction,
    Unavailable,
    Usage,
    VolumeFolder,
)
from seatrial.observe.command.resolve import Python
from seatrial.observe.running.boot import KEPT_LINE, KEPT_LINES, run_boot
from seatrial.observe.running.boot_series import boot_as_service, boots
from seatrial.observe.running.deep_boots import ARBITRARY_USER, deep_boots, freeze, restart
from seatrial.settings.model import Contract

if TYPE_CHECKING:
    from tests.unit.boot_engine import BootEngine

    from seatrial.facts import Json
    from seatrial.observe.running.boot_series import BootSeries
    from seatrial.observe.running.sandbox import BootSetup

WITHOUT_CHECK: dict[str, Any] = {"health_check": None}
STARTS_AFTER_KILL = next(check for check in registry.CHECKS if check.id == "boot/starts-after-kill")


# --- one start ----------------------------------------------------------------------------------------------------


def test_a_healthy_start_is_over_soon_after_and_told_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = installed(monkeypatch, Script(healthy=1.0))
    boot = run_boot(engine.starter())
    assert boot.came_up
    assert boot.health is Health.HEALTHY
    assert boot.healthy_after == pytest.approx(1.0, abs=0.06)
    # It settles for a moment, and is watched for a least time.
    assert boot.watched == pytest.approx(1.3, abs=0.11)
    assert (boot.exit, boot.start_error, boot.log, boot.log_cut) == (None, "", ("started",), False)
    assert boot.first_log == pytest.approx(0.1)
    assert not boot.log_at_stop
    assert boot.process_list == ProcessList(first="shop serve", commands=("shop serve", "worker"))
    assert boot.usage == Usage(memory=123, processes=4)
    assert isinstance(boot.proc, Unavailable)
    assert boot.enforced is not None
    assert (boot.enforced.read_only, boot.enforced.dropped, boot.enforced.no_new_privileges) == (True, ("ALL",), True)
    assert boot.stop is not None
    assert (boot.stop.signal, boot.stop.code, boot.stop.killed) == ("SIGTERM", 0, False)
    assert boot.stop.seconds == pytest.approx(0.2, abs=0.06)
    assert engine.signals == ["SIGTERM"]
    assert not boot.written


def test_a_start_that_is_healthy_at_once_is_still_watched_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    boot = run_boot(installed(monkeypatch, Script(healthy=0.0)).starter())
    assert boot.watched == pytest.approx(1.2, abs=0.06)


def test_one_that_dies_right_after_its_first_good_answer_is_not_up(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = installed(monkeypatch, Script(healthy=0.5, exits=0.8, code=3, out_of_memory=True))
    boot = run_boot(engine.starter())
    assert not boot.came_up
    assert boot.exit is not None
    assert (boot.exit.code, boot.exit.out_of_memory, boot.out_of_memory) == (3, True, True)
    assert boot.exit.after == pytest.approx(0.8)
    assert (boot.stop, engine.signals) == (None, [])


def test_one_that_never_gets_healthy_is_late_and_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = installed(monkeypatch, Script(healthy=None))
    boot = run_boot(engine.starter(Contract(healthy_within=7.0)))
    assert boot.watched == pytest.approx(7.0, abs=0.11)
    assert (boot.came_up, boot.healthy_after, boot.health, boot.stop) == (False, None, Health.STARTING, None)
    assert engine.signals == ["SIGKILL"]
    # It was not looked into, but what it takes is counted.
    assert (boot.usage, isinstance(boot.proc, Unavailable)) == (Usage(memory=123, processes=4), True)


def test_without_a_health_check_and_a_port_it_must_have_computed_next_to_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = installed(monkeypatch, Script(computes=((0.0, 3.0),)))
    engine.counts = True
    boot = run_boot(engine.starter(Contract(stays_up=4.0), exposed_ports=(), **WITHOUT_CHECK))
    assert (boot.came_up, boot.health, boot.healthy_after, boot.answers) == (True, Health.NONE, None, ())
    assert boot.finished
    # Three seconds of imports, and four of which it computed less than a tenth.
    assert boot.finished_after == pytest.approx(6.6, abs=0.2)
    assert boot.watched == pytest.approx(6.9, abs=0.25)
    assert boot.stop is not None
    assert isinstance(boot.process_list, ProcessList)


def test_without_a_health_check_one_that_ends_is_not_up(monkeypatch: pytest.MonkeyPatch) -> None:
    boot = run_boot(installed(monkeypatch, Script(exits=0.3, code=1)).starter(**WITHOUT_CHECK))
    assert (boot.came_up, boot.stop) == (False, None)
    assert isinstance(boot.usage, Unavailable)


def test_one_that_ignores_its_stop_signal_is_killed_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = installed(monkeypatch, Script(stops=None))
    boot = run_boot(engine.starter(Contract(stops_within=3.0), stop_signal="SIGQUIT"))
    assert boot.stop is not None
    assert (boot.stop.signal, boot.stop.code, boot.stop.killed) == ("SIGQUIT", 137, True)
    assert boot.stop.seconds == pytest.approx(3.0, abs=0.06)
    assert engine.signals == ["SIGQUIT", "SIGKILL"]


def test_a_stop_with_another_exit_code_is_no_kill(monkeypatch: pytest.MonkeyPatch) -> None:
    for code, killed in ((143, False), (137, True)):
        boot = run_boot(installed(monkeypatch, Script(stop_code=code)).starter())
        assert boot.stop is not None
        assert (boot.stop.code, boot.stop.killed) == (code, killed)


def test_one_that_ends_between_the_last_look_and_its_stop_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = installed(monkeypatch, Script())

    def too_late(name: str, signal: str = "SIGKILL") -> None:
        engine.lives[name].killed = engine.now
        raise api_error(409, f"no process for {signal}")

    monkeypatch.setattr(engine, "kill", too_late)
    boot = run_boot(engine.starter())
    assert boot.stop is not None
    assert boot.stop.killed


def test_an_engine_that_cannot_signal_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = installed(monkeypatch, Script())

    def broken(*_: object, **__: object) -> None:
        raise api_error(500, "the shim is gone")

    monkeypatch.setattr(engine, "kill", broken)
    with pytest.raises(EngineError, match="the shim is gone"):
        run_boot(engine.starter())


def test_a_start_that_the_engine_refuses_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = installed(monkeypatch, Script(refuses='exec: "shop": executable file not found'))
    boot = run_boot(engine.starter(), lifted=(Restriction.LIMITS, Restriction.READ_ONLY))
    assert boot.start_error == 'exec: "shop": executable file not found'
    assert boot.lifted == (Restriction.READ_ONLY, Restriction.LIMITS)
    assert not boot.came_up


def test_an_engine_error_that_is_no_refusal_is_not_the_images_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = installed(monkeypatch)

    def broken(_: str) -> None:
        raise api_error(503, "try again")

    monkeypatch.setattr(engine, "start", broken)
    with pytest.raises(EngineError, match="try again"):
        run_boot(engine.starter())


def test_an_image_without_a_command_is_not_started(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = installed(monkeypatch)
    boot = run_boot(engine.starter(entrypoint=(), command=()))
    assert boot.start_error == "the image has no ENTRYPOINT and no CMD"
    assert engine.lives == {}


def test_its_last_lines_are_kept_within_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = tuple(f"line {number}" for number in range(150))
    boot = run_boot(installed(monkeypatch, Script(log=lines)).starter())
    assert (len(boot.log), boot.log[-1], boot.log_cut) == (KEPT_LINES, "line 149", False)
    boot = run_boot(installed(monkeypatch, Script(log=("x" * (KEPT_LINE + 1),))).starter())
    assert (len(boot.log[0]), boot.log_cut) == (KEPT_LINE, True)
    boot = run_boot(installed(monkeypatch, Script(log=("y" * 90_000, "z" * 90_000, "the end"))).starter())
    assert (boot.log[-1], boot.log_cut) == ("the end", True)
    assert sum(map(len, boot.log)) <= 64 * 1024


def test_a_log_that_comes_only_at_the_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    boot = run_boot(installed(monkeypatch, Script(first_log=60.0)).starter())
    assert (boot.first_log, boot.log_at_stop) == (None, True)
    boot = run_boot(installed(monkeypatch, Script(log=())).starter())
    assert (boot.first_log, boot.log_at_stop) == (None, False)
    boot = run_boot(installed(monkeypatch, Script(first_log=60.0, exits=0.1)).starter())
    assert (boot.first_log, boot.log_at_stop) == (None, False)


def test_what_it_writes_outside_of_tmpfs_and_mounts_is_told_for_a_writable_root(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changed = ("/app", "/app/logs", "/app/logs/shop.log", "/tmp/x", "/data/file", "/dev/null", "/sbin/docker-init")
    more = ("/scratch/a", "/application", "/run/secrets/key")
    script = Script(changed=changed + more)
    contract = Contract(tmpfs=("/tmp", "/scratch"))
    writable = run_boot(installed(monkeypatch, script).starter(contract), lifted=(Restriction.READ_ONLY,))
    assert writable.written == ("/app/logs/shop.log", "/sbin/docker-init", "/application")
    assert run_boot(installed(monkeypatch, script).starter(contract)).written == ()
    many = Script(changed=tuple(f"/srv/{number}" for number in range(80)))
    assert len(run_boot(installed(monkeypatch, many).starter(), lifted=(Restriction.READ_ONLY,)).written) == 50


def test_the_engines_own_init_is_nothing_that_it_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = installed(monkeypatch, Script(changed=("/sbin/docker-init", "/srv/x")))
    known = engine.inspect_container

    def with_init(name: str) -> Json:
        inspected = known(name)
        return {**inspected, "HostConfig": {**inspected["HostConfig"], "Init": True}}

    monkeypatch.setattr(engine, "inspect_container", with_init)
    assert run_boot(engine.starter(), lifted=(Restriction.READ_ONLY,)).written == ("/srv/x",)


def test_it_turns_unhealthy_after_it_was_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    boot = run_boot(installed(monkeypatch, Script(healthy=0.3, unhealthy=0.9)).starter())
    assert boot.health is Health.UNHEALTHY
    assert boot.healthy_after == pytest.approx(0.3, abs=0.06)


def test_a_good_answer_to_our_own_question_comes_before_the_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = installed(monkeypatch, Script(healthy=5.0))
    engine.answer = 0
    boot = run_boot(engine.starter())
    assert (boot.came_up, boot.health, boot.answers[0].exit_code) == (True, Health.HEALTHY, 0)
    assert boot.healthy_after is not None
    assert boot.healthy_after < 1.0
    turned = installed(monkeypatch, Script(healthy=None, unhealthy=0.9))
    turned.answer = 0
    assert run_boot(turned.starter()).health is Health.UNHEALTHY


def test_a_bad_answer_to_our_own_question_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = installed(monkeypatch, Script(healthy=2.0))
    engine.answer = 1
    boot = run_boot(engine.starter())
    assert boot.healthy_after == pytest.approx(2.0, abs=0.06)
    assert boot.answers == ()
    assert len(engine.commands) > 1


# --- starts with restrictions lifted, and those of level deep ------------------------------------------------------


def needs(engine: BootEngine, *lifted: Restriction) -> None:
    """Let a container get healthy only where these restrictions are lifted."""

    def choose(plan: Json) -> Script:
        host = plan["HostConfig"]
        free = {
            Restriction.READ_ONLY: not host["ReadonlyRootfs"],
            Restriction.CAPABILITIES: not host["CapDrop"],
            Restriction.NO_NEW_PRIVILEGES: not host["SecurityOpt"],
            Restriction.LIMITS: host["PidsLimit"] > Contract().processes,
        }
        return Script(healthy=1.0 if all(free[restriction] for restriction in lifted) else None, exits=None)

    engine.choose = choose


def test_a_start_that_fails_is_tried_with_restrictions_lifted(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = installed(monkeypatch)
    needs(engine, Restriction.READ_ONLY)
    seconds: dict[str, float] = {}
    first, relaxed, deep = boots(engine.starter(Contract(healthy_within=3.0)), seconds, deep=False)
    assert not first.came_up
    assert {boot.lifted for boot in relaxed if boot.came_up} == {(Restriction.READ_ONLY,), tuple(Restriction)}
    assert deep == NOT_DEEP
    assert sorted(seconds) == ["boot", "relaxed boots"]


def test_starts_that_may_loop_wait_for_the_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, made = installed(monkeypatch), list[int]()
    needs(engine, Restriction.READ_ONLY)
    starter, probed = engine.starter(Contract(healthy_within=3.0)), threading.Event()
    vars(starter.run)["ended"] = threading.Event()

    def end() -> None:
        made.append(len(engine.lives))
        probed.set()

    threading.Timer(0.5, end).start()
    _, relaxed, _ = boots(replace(starter, probed=probed), {}, deep=False)
    assert made == [1]
    assert len(relaxed) > 1


def test_a_start_that_comes_up_is_not_made_again_but_for_level_deep(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = installed(monkeypatch)
    first, relaxed, deep = boots(engine.starter(), {}, deep=False)
    assert (first.came_up, relaxed, deep, len(engine.lives)) == (True, (), NOT_DEEP, 1)


@pytest.mark.parametrize(
    ("computes", "starved", "is_starved"),
    [
        ((0.0, 1.0), (0.0, 90.0), True),  # It would compute all the time, and hardly ever did.
        ((0.0, 90.0), (0.0, 90.0), False),  # It computed all the time.
        ((0.0, 1.0), (0.0, 1.0), False),  # It waited for something else.
    ],
)
def test_a_late_start_tells_whether_it_had_a_processor(
    monkeypatch: pytest.MonkeyPatch, computes: tuple[float, float], starved: tuple[float, float], is_starved: bool
) -> None:
    engine = installed(monkeypatch, Script(healthy=None, computes=(computes,), starved=starved))
    engine.counts, engine.answer = True, 1
    first, _, _ = boots(engine.starter(Contract(healthy_within=20.0)), {}, deep=False)
    assert first.healthy_after is None
    assert first.is_starved is is_starved


def test_what_forks_without_end_is_killed_and_not_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    # At each moment 300 of them, each of which lives for 0.4 s.
    workers = tuple(
        (1000 * turn + number, 0.4 * turn, 0.4 * (turn + 1)) for turn in range(1, 80) for number in range(300)
    )
    engine = installed(monkeypatch, Script(healthy=None, exits=None, workers=workers))
    first, relaxed, _ = boots(engine.starter(Contract(healthy_within=30.0)), {}, deep=False)
    assert not first.came_up
    assert "256 processes and threads" in first.filled
    assert first.watched < 10
    assert (relaxed, len(engine.lives)) == ((), 1)


def test_many_workers_that_stay_are_no_fork_bomb(monkeypatch: pytest.MonkeyPatch) -> None:
    workers = tuple((number, 0.0, None) for number in range(100, 350))
    engine = installed(monkeypatch, Script(healthy=4.0, workers=workers))
    first, relaxed, _ = boots(engine.starter(Contract(healthy_within=30.0)), {}, deep=False)
    assert first.came_up
    assert (first.filled, relaxed) == ("", ())


@pytest.mark.parametrize("exits", [None, 0.2])
def test_what_says_that_it_has_no_more_processes_is_started_again_only_where_it_ended(
    monkeypatch: pytest.MonkeyPatch, exits: float | None
) -> None:
    engine = installed(monkeypatch, Script(healthy=None, exits=exits, log=("sh: 1: Cannot fork",)))
    first, relaxed, _ = boots(engine.starter(Contract(healthy_within=3.0)), {}, deep=False)
    assert not first.came_up
    assert bool(relaxed) is (exits is not None)


def test_what_the_engine_cannot_start_is_not_tried_with_less(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = installed(monkeypatch, Script(refuses="no such file"))
    _, relaxed, deep = boots(engine.starter(), {}, deep=True)
    assert (relaxed, len(engine.lives)) == ((), 1)
    assert isinstance(deep, Unavailable)


def test_the_deep_starts_change_one_thing_each(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = installed(monkeypatch, Script(changed=("/srv/x",)))
    contract = Contract(required_environment=("A_KEY", "A_KEY", "B_KEY"), arbitrary_uid=True)
    first, _, deep = boots(engine.starter(contract), {}, deep=True)
    assert isinstance(deep, DeepBoots)
    assert list(deep.without) == ["A_KEY", "B_KEY"]
    assert deep.other_user is not None
    assert first.came_up
    plans = [life.plan for life in engine.lives.values()]
    assert [plan["Env"] for plan in plans if "A_KEY" in plan["Env"]] == [["A_KEY"]]
    assert [plan.get("User") for plan in plans].count(ARBITRARY_USER) == 1
    assert [plan["HostConfig"]["ReadonlyRootfs"] for plan in plans].count(False) == 1
    # The first, the same again, a writable root, two without a variable, another user, one to kill, one to freeze.
    assert len(plans) == 8
    assert not isinstance(deep.writable, Unavailable)
    assert deep.writable.written == ("/srv/x",)
    assert deep.freeze is not None


def test_without_health_check_and_wishes_the_deep_starts_are_three(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = installed(monkeypatch)
    _, _, deep = boots(engine.starter(**WITHOUT_CHECK), {}, deep=True)
    assert isinstance(deep, DeepBoots)
    assert (deep.without, deep.other_user, deep.freeze, len(engine.lives)) == ({}, None, None, 4)


def test_the_deep_starts_begin_where_the_fewest_restrictions_are_lifted(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = installed(monkeypatch)
    needs(engine, Restriction.READ_ONLY)
    _, _, deep = boots(engine.starter(Contract(healthy_within=3.0)), {}, deep=True)
    assert isinstance(deep, DeepBoots)
    assert not isinstance(deep.again, Unavailable)
    assert deep.again.lifted == (Restriction.READ_ONLY,)
    # Its root is writable already: the start itself tells what it writes.
    assert not isinstance(deep.writable, Unavailable)
    assert deep.writable.lifted == (Restriction.READ_ONLY,)


def test_what_does_not_come_up_has_no_deep_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = installed(monkeypatch, Script(healthy=None))
    starter = engine.starter(Contract(healthy_within=2.0))
    missing = deep_boots(starter, run_boot(starter))
    assert isinstance(missing, Unavailable)
    assert "it does not start" in missing.reason


# --- killed, and started again ---------------------------------------------------------------------------------------


def test_a_second_start_after_a_kill(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = Script(healthy=None, exits=0.4, code=1, log=("Pidfile /data/beat.pid already exists",))
    engine = installed(monkeypatch, Script(second=refused, left=("beat.pid", "notes")))
    seen = restart(engine.starter(volumes=("/data",), empty_volumes={"/data": VolumeFolder()}), ())
    assert isinstance(seen, Restart)
    assert (seen.boot.came_up, seen.files) == (False, ("/data/beat.pid", "/data/notes"))
    assert seen.boot.exit is not None
    assert seen.boot.log == refused.log
    assert engine.signals == ["SIGKILL"]
    # One container, whose volume outlasts its first start.
    (life,) = engine.lives.values()
    assert (life.plan["HostConfig"]["Mounts"], engine.watched) == ([], [True])
    result = judge(STARTS_AFTER_KILL, facts(deep=starts(killed=seen)), Contract())
    assert "exit code 1 after 0.4 s; the first start left /data/beat.pid" in result.actual


def test_one_that_takes_over_what_a_killed_start_left(monkeypatch: pytest.MonkeyPatch) -> None:
    images: tuple[dict[str, Any], ...] = ({}, {**WITHOUT_CHECK, "exposed_ports": ()})
    for image in images:
        seen = restart(installed(monkeypatch, Script(left=("beat.pid",))).starter(**image), ())
        assert isinstance(seen, Restart)
        assert seen.boot.came_up
        assert judge(STARTS_AFTER_KILL, facts(deep=starts(killed=seen)), Contract()).status is Status.PASS


@pytest.mark.parametrize("script", [Script(refuses="no"), Script(healthy=None), Script(healthy=0.3, exits=0.5)])
def test_what_does_not_start_is_not_killed(monkeypatch: pytest.MonkeyPatch, script: Script) -> None:
    seen = restart(installed(monkeypatch, script).starter(Contract(healthy_within=2.0)), ())
    assert isinstance(seen, Unavailable)


# --- freezing -------------------------------------------------------------------------------------------------------


def test_a_health_check_that_sees_a_frozen_application(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = installed(monkeypatch, Script(frozen_health=2.0))
    frozen = freeze(engine.starter(), ())
    assert not isinstance(frozen, Unavailable)
    assert frozen.unhealthy_after == pytest.approx(2.0, abs=0.11)
    assert engine.signals == ["SIGSTOP", "SIGKILL"]
    # One bad answer is enough.
    (life,) = engine.lives.values()
    assert life.plan["Healthcheck"]["Retries"] == 1
    assert engine.commands[-1][0] == "/usr/bin/python3"


@pytest.mark.parametrize(("seconds", "stopped"), [(1.0, True), (4.9, True), (5.2, False)])
def test_processes_may_take_a_moment_to_stop(monkeypatch: pytest.MonkeyPatch, *, seconds: float, stopped: bool) -> None:
    engine = installed(monkeypatch, Script())
    top = engine.top

    def slowly(name: str, ps_args: str = "") -> Json:
        frozen = engine.lives[name].frozen
        engine.lives[name].script.stays_awake = frozen is None or engine.now < frozen + seconds
        return top(name, ps_args)

    monkeypatch.setattr(engine, "top", slowly)
    assert isinstance(freeze(engine.starter(), ()), Unavailable) is not stopped


def test_a_health_check_that_sees_nothing_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    check = HealthCheck(test=("CMD", "x"), interval=30.0, timeout=2.0, start_period=0.0, retries=3)
    engine = installed(monkeypatch, Script(frozen_health=None))
    frozen = freeze(engine.starter(Contract(unhealthy_within=9.0), health_check=check), ())
    assert not isinstance(frozen, Unavailable)
    assert frozen.unhealthy_after is None
    assert frozen.waited == pytest.approx(9.0, abs=0.11)
    # A contract that allows less than one check takes does not end it before.
    engine = installed(monkeypatch, Script(frozen_health=None))
    frozen = freeze(engine.starter(Contract(unhealthy_within=1.0), health_check=check), ())
    assert not isinstance(frozen, Unavailable)
    assert frozen.waited == pytest.approx(3.5, abs=0.11)


@pytest.mark.parametrize(
    ("script", "python", "reason", "detail"),
    [
        (Script(refuses="no"), "/p", "it could not be started to be frozen", "no"),
        (Script(healthy=None), "/p", "it did not become healthy when it was started to be frozen", ""),
        (Script(healthy=0.4, exits=0.8), "/p", "it did not become healthy when it was started to be frozen", ""),
        (Script(), "", "its processes could not be frozen", "no Python interpreter to send the signal with"),
        (Script(stays_awake=True), "/p", "its processes could not be frozen", "not all of them are seen to be stopped"),
    ],
)
def test_what_cannot_be_frozen_is_told(
    monkeypatch: pytest.MonkeyPatch, script: Script, python: str, reason: str, detail: str
) -> None:
    engine = installed(monkeypatch, script)
    seen = freeze(engine.starter(Contract(healthy_within=2.0), python), ())
    assert isinstance(seen, Unavailable)
    assert seen.reason == reason
    assert detail in seen.detail


# --- among services -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "told"), [("shop_default", True), ("container:abc", False)])
def test_the_app_is_started_as_its_service_runs_it(monkeypatch: pytest.MonkeyPatch, mode: str, told: bool) -> None:
    engine = installed(monkeypatch, Script())
    inspected = {
        "Id": "f" * 64,
        "Image": "sha256:1",
        "Config": {"Cmd": ["serve"], "Env": ["A=1"], "User": "5", "Healthcheck": {"Test": ["CMD", "x"]}},
        "HostConfig": {"NetworkMode": mode},
        "NetworkSettings": {"Networks": {"shop_default": {"Aliases": ["app"]}}},
    }
    monkeypatch.setattr(engine, "client", types.SimpleNamespace(api=engine), raising=False)
    monkeypatch.setattr(engine, "inspect_container", lambda _: inspected)
    run = types.SimpleNamespace(engine=engine, ended=threading.Event())
    monkeypatch.setattr("seatrial.engine.runs.running", lambda *_, **__: nullcontext(run))
    monkeypatch.setattr("seatrial.observe.running.boot_series.read_configuration", lambda *_: configuration())
    found = Python(path="/usr/bin/python3", why="", resolved=trail("/usr/bin/python3"))
    monkeypatch.setattr("seatrial.observe.running.boot_series.find_python", lambda *_: found)
    made = boot()
    asked: list[BootSetup] = []

    def started(setup: BootSetup, seconds: dict[str, float], *, deep: bool) -> BootSeries:
        assert not deep
        asked.append(setup)
        seconds["boot"] = 1.0
        return made, (), NOT_DEEP

    monkeypatch.setattr("seatrial.observe.running.boot_series.boots", started)
    seen = boot_as_service(cast("Any", engine), "c", Contract(), deep=False)
    assert (seen.configuration.command, seen.configuration.user, seen.seconds) == (("serve",), "5", {"boot": 1.0})
    (setup,) = asked
    # One at a time, with the service's own values.
    assert (setup.at_once, dict(setup.contract.environment), setup.python.result()) == (
        1,
        {"A": "1"},
        "/usr/bin/python3",
    )
    # The ports of a network that another container owns are not this app's.
    assert (seen.boot == made) is told
    assert isinstance(seen.boot.proc, Unavailable) is not told
