"""When a start is over: by its health check, by its ports, by what it computes; never by a fixed time."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.boot_engine import Script, installed, table
from tests.unit.factories import boot, configuration, facts, inside

from seatrial.checks import registry
from seatrial.checks.verdict import judge
from seatrial.engine.startup import Sight, StartFollower, is_over, ports_in
from seatrial.facts import Listener
from seatrial.observe.running.boot import run_boot
from seatrial.observe.running.boot_series import boots
from seatrial.settings.model import Contract

if TYPE_CHECKING:
    from seatrial.checks.model import Result
    from seatrial.facts import Boot

SERVER: dict[str, Any] = {"health_check": None, "exposed_ports": ("8000/tcp",)}
BOT: dict[str, Any] = {"health_check": None, "exposed_ports": ()}
PORT = frozenset({8000})
NONE: frozenset[int] = frozenset()
CHECKS = {check.id: check for check in registry.CHECKS}


def judged_boot(check: str, seen: Boot, *, relaxed: tuple[Boot, ...] = (), **image: Any) -> Result:
    return judge(CHECKS[check], facts(boot=seen, relaxed=relaxed, configuration=configuration(**image)), Contract())


@pytest.mark.parametrize(
    ("sight", "over"),
    [
        # Its health check decides, whatever else is seen.
        (Sight(healthy=True, idle_for=0), True),
        (Sight(healthy=False, idle_for=99, ports=PORT, listening=PORT), False),
        # With a port: it listens there, and has stopped computing.
        (Sight(healthy=None, idle_for=0.4, ports=PORT, listening=PORT), False),
        (Sight(healthy=None, idle_for=0.5, ports=PORT, listening=PORT | {9000}), True),
        (Sight(healthy=None, idle_for=99, ports=PORT, listening=NONE), False),
        # It listens elsewhere: EXPOSE names the wrong port, which another check tells.
        (Sight(healthy=None, idle_for=5.9, ports=PORT, listening=frozenset({9000})), False),
        (Sight(healthy=None, idle_for=6.0, ports=PORT, listening=frozenset({9000})), True),
        # A worker shares the image of a server.
        (Sight(healthy=None, idle_for=6.0, ports=PORT, required=False, listening=NONE), True),
        (Sight(healthy=None, idle_for=0.5, ports=PORT, required=False, listening=PORT), True),
        # Nobody can tell where it listens, or it has no port.
        (Sight(healthy=None, idle_for=5.9, ports=PORT), False),
        (Sight(healthy=None, idle_for=6.0, ports=PORT), True),
        (Sight(healthy=None, idle_for=5.9), False),
        (Sight(healthy=None, idle_for=6.0), True),
    ],
)
def test_what_ends_a_start(sight: Sight, *, over: bool) -> None:
    assert is_over(sight) is over


def test_the_kernels_tables() -> None:
    lines = table([80, 8000]).decode().splitlines()
    assert set(ports_in([*lines, "x", "1: zz:10 0:0 0A", "1: 0:ZZ 0:0 0A"])) == {80, 8000}


@pytest.mark.parametrize(
    ("addresses", "reached"),
    [
        (["00000000"], True),
        (["0100007F"], False),
        (["0500007F"], False),
        (["020011AC"], True),
        (["00000000000000000000000000000000"], True),
        (["00000000000000000000000001000000"], False),
        (["0000000000000000FFFF00000100007F"], False),
        (["0100007F", "020011AC"], True),
        (["020011AC", "0100007F"], True),
    ],
)
@pytest.mark.skipif(sys.byteorder != "little", reason="the kernel's tables are in the order of its host")
def test_what_only_the_loopback_reaches_is_not_reached_from_outside(addresses: list[str], reached: bool) -> None:
    assert ports_in([f" 0: {address}:1F40 0:0 0A" for address in addresses]) == {8000: reached}


def test_a_server_is_up_once_it_listens_and_has_stopped_computing(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = installed(monkeypatch, Script(computes=((0.0, 9.0),), listens=((9.0, 8000),)))
    engine.counts = True
    seen = run_boot(engine.starter(Contract(), **SERVER))
    assert (seen.came_up, seen.finished) == (True, True)
    assert seen.finished_after == pytest.approx(9.8, abs=0.4)


def test_a_master_that_listens_while_its_workers_import_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = installed(monkeypatch, Script(computes=((0.0, 7.0),), listens=((0.3, 8000),)))
    engine.counts = True
    seen = run_boot(engine.starter(Contract(), **SERVER))
    assert seen.finished_after == pytest.approx(7.5, abs=0.3)


def test_a_quick_server_is_not_watched_for_a_fixed_time(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = installed(monkeypatch, Script(computes=((0.0, 0.3),), listens=((0.3, 8000),)))
    engine.counts = True
    assert run_boot(engine.starter(Contract(), **SERVER)).watched < 1.5


def test_what_waits_for_a_processor_on_a_busy_machine_is_not_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = installed(monkeypatch, Script(starved=(0.0, 20.0)))
    engine.counts = True
    assert run_boot(engine.starter(Contract(), **BOT)).finished_after == pytest.approx(20.0, abs=0.2)


def test_what_listens_nowhere_when_time_is_up_had_not_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = installed(monkeypatch, Script())
    engine.counts = True
    seen = run_boot(engine.starter(Contract(healthy_within=12.0), **SERVER))
    assert (seen.came_up, seen.finished, seen.finished_after) == (True, False, None)
    assert seen.watched == pytest.approx(12.0, abs=0.4)


def test_what_computes_for_ever_is_up_and_not_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = installed(monkeypatch, Script(computes=((0.0, 99.0),)))
    engine.counts = True
    seen = run_boot(engine.starter(Contract(healthy_within=8.0), **BOT))
    assert (seen.came_up, seen.finished) == (True, False)
    told = judged_boot("boot/stays-up", seen, **BOT).actual
    assert told.endswith("its start was not over: it still computed, or listened nowhere yet")


def look(*listeners: Listener) -> Any:
    """Return an inspection that tells where it listens, in place of a script that no interpreter runs here."""
    return lambda *_, **__: inside(listeners=listeners)


def test_a_health_check_that_says_yes_at_once_does_not_end_a_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seatrial.observe.running.introspect.proc_info", look())
    engine = installed(monkeypatch, Script(healthy=0.2, computes=((0.0, 6.0),)))
    engine.counts = True
    seen = run_boot(engine.starter(exposed_ports=()))
    # It listens on nothing while it imports: it is looked at again once it has come to rest.
    assert (seen.came_up, seen.finished) == (True, True)
    assert seen.watched == pytest.approx(6.4, abs=0.3)
    monkeypatch.setattr(
        "seatrial.observe.running.introspect.proc_info", look(Listener(protocol="tcp", address="::", port=80))
    )
    assert run_boot(engine.starter()).watched < 1.5


def test_what_still_computes_when_time_is_up_leaves_its_ports_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seatrial.observe.running.introspect.proc_info", look())
    engine = installed(monkeypatch, Script(healthy=0.2, computes=((0.0, 99.0),)))
    engine.counts = True
    seen = run_boot(engine.starter(Contract(healthy_within=5.0), exposed_ports=()))
    assert (seen.came_up, seen.finished) == (True, False)
    for name in ("network/exposed-ports", "network/no-privileged-ports"):
        result = judged_boot(name, seen, exposed_ports=())
        assert result.status.value == "error", name
        assert "had not finished starting" in result.actual


@pytest.mark.parametrize("code", [0, 1])
def test_a_bot_that_ends_after_five_seconds_is_not_up(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    engine = installed(monkeypatch, Script(computes=((0.0, 1.0),), exits=5.0, code=code))
    engine.counts = True
    seen = run_boot(engine.starter(Contract(), **BOT))
    assert not seen.came_up
    result = judged_boot("boot/stays-up", seen, **BOT)
    assert (result.status.value, result.actual) == (
        "fail",
        f"the container exited at start: exit code {code} after 5.0 s",
    )


def test_an_image_without_cat_is_asked_by_its_own_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = installed(monkeypatch, Script(listens=((0.0, 8000),), has_cat=False))
    engine.counts = True
    assert run_boot(engine.starter(Contract(), **SERVER)).watched < 1.5
    # With neither, its ports cannot be seen: it must have been idle for as long as what has none.
    engine = installed(monkeypatch, Script(listens=((0.0, 8000),), has_cat=False))
    engine.counts = True
    assert run_boot(engine.starter(Contract(), "", **SERVER)).finished_after == pytest.approx(6.1, abs=0.2)


def test_an_engine_that_counts_no_processor_time_leaves_the_time_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = installed(monkeypatch, Script())
    follower = StartFollower(client=engine, container="c", ports=PORT)  # type: ignore[arg-type]
    monkeypatch.setattr(engine, "stats", lambda *_, **__: {})
    monkeypatch.setattr(engine, "top", lambda *_, **__: {"Titles": ["USER"]})
    monkeypatch.setattr("seatrial.engine.startup.listening", lambda *_: PORT)
    assert [follower.is_over(now) for now in (0.0, 0.3, 0.6)] == [False, False, True]


# --- what a read-only root broke, and workers that were lost ---------------------------------------------------------

REFUSES = "touch: /app/state: Read-only file system"


def restricted(monkeypatch: pytest.MonkeyPatch, hardened: Script, writable: Script) -> Any:
    engine = installed(monkeypatch)
    engine.choose = lambda plan: hardened if plan["HostConfig"]["ReadonlyRootfs"] else writable
    engine.counts = True
    return engine


def test_a_start_that_goes_on_after_a_refused_write_is_tried_on_a_writable_root(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The script that starts the server gave up, and waits: its stop is not the application's.
    engine = restricted(monkeypatch, Script(log=(REFUSES,), stops=None), Script(changed=("/app/state",)))
    first, relaxed, _ = boots(engine.starter(Contract(), **BOT), {}, deep=False)
    assert (first.came_up, len(relaxed)) == (False, 1)
    assert first.fell_short == "it does not exit on SIGTERM as with a writable root"
    told = judged_boot("boot/read-only", first, relaxed=relaxed, **BOT)
    assert told.status.value == "fail"
    assert told.actual.startswith("on a read-only root: it does not exit on SIGTERM")
    for name in ("process/graceful-stop", "process/pid1-is-app", "boot/stays-up"):
        assert judged_boot(name, first, relaxed=relaxed, **BOT).status.value == "pass", name


def test_a_refused_write_that_changes_nothing_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = restricted(monkeypatch, Script(log=(REFUSES,)), Script())
    first, relaxed, _ = boots(engine.starter(), {}, deep=False)
    assert (first.came_up, relaxed, len(engine.lives)) == (True, (), 2)


def test_what_the_engine_refuses_for_a_right_is_tried_with_more(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = restricted(monkeypatch, Script(refuses="exec /app/shop: operation not permitted"), Script())
    first, relaxed, _ = boots(engine.starter(), {}, deep=False)
    assert not first.came_up
    assert any(again.came_up for again in relaxed)


TRACED = ("Traceback (most recent call last):", "sqlite3.OperationalError: table already exists")


def test_workers_that_die_at_the_start_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    dead = tuple((number, 0.2, 0.8) for number in (50, 51, 52))
    engine = installed(monkeypatch, Script(log=TRACED, healthy=1.0, workers=(*dead, (53, 0.2, None), (54, 0.9, None))))
    result = judged_boot("boot/keeps-workers", run_boot(engine.starter()))
    assert result.status.value == "fail"
    assert result.actual == "it serves, and 3 of its workers ended while it started; its log holds the traceback"


def test_what_ends_at_the_start_without_a_traceback_or_did_its_work_is_no_lost_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended = Script(healthy=1.0, workers=((50, 0.2, 0.8), (51, 0.2, None)))
    assert judged_boot("boot/keeps-workers", run_boot(installed(monkeypatch, ended).starter())).status.value == "pass"
    migrated = boot(log=TRACED)
    assert judged_boot("boot/keeps-workers", migrated).status.value == "pass"


@pytest.mark.parametrize(
    "line",
    [
        "[2026-01-01 00:00:00 +0000] [1] [ERROR] Worker (pid:8) exited with code 1",
        "[1] [ERROR] Worker (pid:8) was sent SIGKILL! Perhaps out of memory?",
        "INFO:     Child process [8] died",
        "Process SpawnProcess-3:",
        "[ERROR] Unexpected exit from worker-2",
    ],
)
def test_how_servers_say_that_a_worker_died(line: str) -> None:
    assert judged_boot("boot/keeps-workers", boot(log=(*TRACED, line))).status.value == "fail"
    assert judged_boot("boot/keeps-workers", boot(log=("started", line))).status.value == "pass"
