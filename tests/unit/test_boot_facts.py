"""How a start is planned and read: restrictions in order, the look inside, the engine's own lists."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.factories import Tree, boot, configuration

from seatrial import inside
from seatrial.engine.streams import Output
from seatrial.facts import CommandOverride, Health, ProcessList, ProcInfo, Restriction, Unavailable
from seatrial.observe.running.boot import STAMP, between, enforced
from seatrial.observe.running.boot_series import next_boots, relaxed_boots
from seatrial.observe.running.deep_boots import _states
from seatrial.observe.running.introspect import MOST_OUTPUT, read_look, read_top
from seatrial.observe.running.probe import entrypoint_accepts_command, read_output
from seatrial.observe.running.questions import proof
from seatrial.observe.running.sandbox import boot_config, override_config
from seatrial.observe.running.watch import health
from seatrial.settings.model import Contract

if TYPE_CHECKING:
    from collections.abc import Callable

    from seatrial.facts import Boot

ALL = frozenset(Restriction)
SCRIPT = inside.script("proc")
NONCE = "5f" * 16


def proven(body: bytes) -> bytes:
    return proof(NONCE, body) + b" " + body + b"\n"


# --- which starts ---------------------------------------------------------------------------------------------


def starting(needs: set[Restriction], tried: list[frozenset[Restriction]]) -> Callable[[frozenset[Restriction]], Boot]:
    """Return a start that comes up where what it needs lifted is lifted."""

    def start(lifted: frozenset[Restriction]) -> Boot:
        tried.append(lifted)
        up = needs <= lifted
        return boot(lifted=tuple(lifted), healthy_after=1.0 if up else None, health=Health.HEALTHY)

    return start


def test_a_start_that_nothing_helps_is_made_no_third_time() -> None:
    tried: list[frozenset[Restriction]] = []
    relaxed_boots(lambda lifted: boot_down(lifted, tried))
    assert sorted(map(len, tried)) == [1, 4]


def boot_down(lifted: frozenset[Restriction], tried: list[frozenset[Restriction]]) -> Boot:
    tried.append(lifted)
    return boot(lifted=tuple(lifted), healthy_after=None, health=Health.STARTING, stop=None)


def test_the_likeliest_cause_is_found_in_the_first_round() -> None:
    tried: list[frozenset[Restriction]] = []
    boots = relaxed_boots(starting({Restriction.READ_ONLY}, tried))
    assert set(tried) == {ALL, frozenset({Restriction.READ_ONLY})}
    assert all(entry.came_up for entry in boots)


def test_each_is_lifted_in_its_turn_two_at_a_time() -> None:
    tried: list[frozenset[Restriction]] = []
    boots = relaxed_boots(starting({Restriction.LIMITS}, tried))
    assert len(tried) == 5
    assert [set(entry.lifted) for entry in boots if entry.came_up] == [set(ALL), {Restriction.LIMITS}]


def test_where_it_takes_two_each_is_tried_alone() -> None:
    tried: list[frozenset[Restriction]] = []
    relaxed_boots(starting({Restriction.CAPABILITIES, Restriction.LIMITS}, tried))
    assert len(tried) == len(set(tried)) == 9
    assert next_boots(dict.fromkeys(tried, False)) == ()


@pytest.mark.parametrize("restriction", Restriction)
def test_one_lifted_restriction_leaves_the_others_in_force(restriction: Restriction) -> None:
    contract = Contract(memory="100 MB", processes=10)
    hard = boot_config(configuration(), contract)["HostConfig"]
    soft = boot_config(configuration(), contract, lifted=(restriction,))["HostConfig"]
    changes: dict[Restriction, dict[str, Any]] = {
        Restriction.READ_ONLY: {"ReadonlyRootfs": False},
        Restriction.CAPABILITIES: {"CapDrop": []},
        Restriction.NO_NEW_PRIVILEGES: {"SecurityOpt": []},
        Restriction.LIMITS: {"Memory": 400_000_000, "MemorySwap": 400_000_000, "PidsLimit": 40},
    }
    assert soft == {**hard, **changes[restriction]}
    assert soft["NetworkMode"] == "none"


def test_a_variable_is_taken_away_from_contract_and_image_alike() -> None:
    contract = Contract(environment={"A": "1", "B": "2"})
    assert boot_config(configuration(), contract, without="A")["Env"] == ["B=2", "A"]
    assert "User" not in boot_config(configuration(), contract)
    assert boot_config(configuration(), contract, user="7:0")["User"] == "7:0"


# --- what the engine says ---------------------------------------------------------------------------------------


def test_what_the_engine_enforces_is_read_back() -> None:
    limits = boot_config(configuration(), Contract(capabilities=("NET_RAW",)))["HostConfig"]
    held = enforced(limits)
    assert (held.read_only, held.dropped, held.added, held.no_new_privileges) == (True, ("ALL",), ("NET_RAW",), True)
    assert (held.memory, held.processes) == (1 << 30, 256)
    nothing = enforced({"PidsLimit": None, "Memory": 0, "SecurityOpt": None, "CapDrop": None})
    assert (nothing.memory, nothing.processes, nothing.no_new_privileges, nothing.dropped) == (0, 0, False, ())
    assert enforced({"PidsLimit": -1}).processes == 0


def test_health_that_nobody_knows_is_none() -> None:
    assert health({"Health": {"Status": "healthy"}}) is Health.HEALTHY
    assert health({"Health": {"Status": "well"}}) is health({"Health": None}) is health({}) is Health.NONE


def test_pid_1_is_found_by_its_number_in_the_engines_list() -> None:
    listed = {"Titles": ["UID", "PID", "CMD"], "Processes": [["0", "12", "worker"], ["0", "11", "master x"], ["short"]]}
    assert read_top(listed, 11) == ProcessList(first="master x", commands=("master x", "worker"))
    assert read_top(listed, 99) == ProcessList(first="", commands=("worker", "master x"))
    many = read_top({"Titles": ["PID", "COMMAND"], "Processes": [[str(n), "x" * 5000] for n in range(1000)]}, 3)
    assert isinstance(many, ProcessList)
    assert (len(many.commands), len(many.first)) == (200, 1000)
    for odd in ({}, {"Titles": None, "Processes": None}, {"Titles": ["USER"], "Processes": []}):
        assert isinstance(read_top(odd, 1), Unavailable)


def test_process_states_are_those_below_pid_1() -> None:
    rows = [["40", "9", "Ts"], ["41", "40", "T"], ["42", "41", "S"], ["50", "9", "R"], ["51", "50", "R"], ["0"]]
    assert _states({"Titles": ["PID", "PPID", "STAT"], "Processes": rows}, "40") == {"40": "Ts", "41": "T", "42": "S"}
    assert _states({"Titles": ["PID"], "Processes": [["4"]]}, "4") == {}
    circle = {"Titles": ["PID", "PPID", "STAT"], "Processes": [["1", "2", "S"], ["2", "1", "S"]]}
    assert _states(circle, "3") == {}


def test_the_engines_times() -> None:
    assert between("2026-01-01T00:00:00Z", "2026-01-01T00:00:01.5Z") == 1.5
    assert between("2026-01-01T00:00:09Z", "2026-01-01T00:00:01Z") == 0
    found = STAMP.match(b"2026-01-01T00:00:01.123456789Z hello")
    assert found is not None
    assert between("2026-01-01T00:00:00Z", found.group().decode().strip()) == pytest.approx(1.123456)
    assert STAMP.match(b"no stamp") is None


# --- the look inside ---------------------------------------------------------------------------------------------


def asked(change: Callable[[str], str] = str) -> Output:
    """Ask this interpreter as the one of a running container is asked, with a changed script."""
    text = change(inside.look(NONCE).partition(b"\n")[2].decode())
    words = [sys.executable, *inside.ISOLATED]
    ended = subprocess.run(
        words, input=b"%d\n%b" % (len(text.encode()), text.encode()), capture_output=True, check=False, timeout=30
    )
    return wrote(ended.stdout, ended.stderr)


def wrote(out: bytes, errors: bytes = b"") -> Output:
    ready = inside.READY + b"\n"
    at = len(ready) if out.startswith(ready) else 0
    truncated = len(out) > MOST_OUTPUT
    return Output(out=out, errors=errors, code=None, truncated=truncated, timed_out=False, asked_at=at)


def look(*lines: str) -> Any:
    """Run the script of the look with other definitions before its main()."""
    return read_look(asked(lambda text: text.removesuffix("main()\n") + "\n".join((*lines, "main()"))), NONCE, "python")


def test_the_script_reads_this_machines_own_proc() -> None:
    seen = look()
    assert isinstance(seen, ProcInfo)
    assert seen.processes > 0
    assert len(seen.capabilities) == 16
    assert seen.uid is not None
    assert any(seen.command)


NET = {
    "/proc/net/tcp": "  sl\n 0: 0100007F:1F90 00000000:0000 0A 0\n 1: 00000000:0050 0:0 0A\n 2: 00000000:0051 0:0 01\n",
    "/proc/net/tcp6": "  sl\n 0: 00000000000000000000000001000000:1F91 0:0 0A\n"
    " 1: 0000000000000000FFFF00000100007F:1F92 0:0 0A\n 2: B80D0120000000000000000001000000:1F93 0:0 0A\n",
    "/proc/net/udp": "  sl\n 0: 00000000:0035 0:0 07\n",
    "/proc/1/status": "Uid:\t1\t10001\t1\nCapEff:\t00a\nNoNewPrivs:\t1\n",
    "/proc/1/cmdline": "python\0-m\0shop\0",
}


@pytest.mark.skipif(sys.byteorder != "little", reason="the addresses below are those of a little-endian kernel")
def test_the_kernels_tables_are_read() -> None:
    table = json.dumps(NET)
    seen = look(
        f"TABLE = json.loads({table!r})",
        "def read(path):",
        "    if path not in TABLE: raise FileNotFoundError(path)",
        "    return TABLE[path].encode()",
    )
    assert [str(listener) for listener in seen.listeners] == [
        "0.0.0.0:80/tcp",
        "127.0.0.1:8080/tcp",
        "[2001:db8:0:0:0:0:0:1]:8083/tcp",
        "[::1]:8081/tcp",
        "[::ffff:127.0.0.1]:8082/tcp",
        "0.0.0.0:53/udp",
    ]
    assert [listener.loopback for listener in seen.listeners] == [False, True, False, True, True, False]
    assert (seen.command, seen.uid, seen.capabilities, seen.no_new_privileges) == (
        ("python", "-m", "shop"),
        10001,
        "00a",
        True,
    )


def test_a_table_that_cannot_be_read_is_no_answer() -> None:
    missing = read_look(asked(lambda text: text.replace('"/proc/net/" + name', '"/nowhere/" + name')), NONCE, "python")
    assert isinstance(missing, Unavailable)
    assert "FileNotFoundError" in missing.detail


def test_mounts_are_those_that_lie_on_top() -> None:
    code = SCRIPT.removesuffix("main()\n") + (
        "rows = [('/', 'overlay'), ('/dev/shm', 'tmpfs'), ('/tmp', 'tmpfs'), ('/tmp', 'ext4')]\n"
        "print(*[filesystem(path, rows) for path in ('/dev/shm', '/dev/shmx', '/tmp/a/b', '/var')])\n"
    )
    words = [sys.executable, "-I", "-S", "-c", code]
    assert subprocess.run(words, capture_output=True, check=True, timeout=30).stdout.split() == [
        b"tmpfs",
        b"overlay",
        b"ext4",
        b"overlay",
    ]


@pytest.mark.parametrize(
    ("output", "says"),
    [
        (b"x" * (MOST_OUTPUT + 1), "wrote more than"),
        (b"no such file", "gave no answer"),
        (f"\n{NONCE} {{}}\n".encode(), "gave no answer"),
        (b"0" * 64 + b" {}\n", "without the proof that it was asked"),
        (proven(b"{}"), "an answer of another form than the script's"),
        (proven(b"[" * 100_000), "an answer of another form than the script's"),
        (proven(b"\xff"), "an answer of another form than the script's"),
        (proven(b"{}") * 2, "answered 2 times"),
    ],
)
def test_an_image_that_lies_to_the_look_is_told_apart(output: bytes, says: str) -> None:
    missing = read_look(wrote(output), NONCE, "python")
    assert isinstance(missing, Unavailable)
    assert says in missing.reason


# --- another command ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entrypoint", "command", "takes"),
    [
        (("/start.sh",), ("uvicorn", "shop:app"), True),
        (("/start.sh",), (), False),
        (("uvicorn",), ("--port", "80"), False),
        (("uvicorn",), ("shop:app",), False),
        (("python",), ("main.py",), False),
        ((), ("uvicorn",), False),
    ],
)
def test_an_entrypoint_takes_a_command_where_its_cmd_begins_with_a_program(
    entrypoint: tuple[str, ...], command: tuple[str, ...], takes: bool
) -> None:
    files = Tree({"/app/.venv/bin/uvicorn": b"#!", "/app/main.py": None})
    assert entrypoint_accepts_command(configuration(entrypoint=entrypoint, command=command), files) is takes


def test_another_command_runs_under_the_same_limits() -> None:
    plan = override_config(configuration(id="sha256:1"), ["python", "-c", "x"], Contract(environment={"A": "1"}))
    assert "Entrypoint" not in plan
    assert (plan["Cmd"], plan["Env"], plan["Healthcheck"]) == (["python", "-c", "x"], ["A=1"], {"Test": ["NONE"]})
    limits = plan["HostConfig"]
    assert (limits["NetworkMode"], limits["ReadonlyRootfs"], limits["CapDrop"]) == ("none", True, ["ALL"])


@pytest.mark.parametrize(
    ("changed", "ran", "happened"),
    [
        ({"out": b"starting\nN0NCE\n"}, True, "it ended with exit code 0"),
        ({"out": b"N0NCE\n", "code": 3}, False, "it ended with exit code 3"),
        ({"out": b"usage", "code": 0}, False, "it ended with exit code 0"),
        ({"timed_out": True, "code": None}, False, "it still ran after 20 s"),
        ({"truncated": True, "code": None}, False, "it wrote more than 262144 bytes"),
    ],
)
def test_the_made_up_word_tells_whether_the_command_ran(changed: dict[str, Any], ran: bool, happened: str) -> None:
    output = Output(**{"out": b"", "errors": b"", "code": 0, "truncated": False, "timed_out": False, **changed})
    seen = read_output(output, "N0NCE")
    assert isinstance(seen, CommandOverride)
    assert (seen.ran, seen.happened) == (ran, happened)
