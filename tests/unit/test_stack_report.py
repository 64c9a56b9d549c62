from __future__ import annotations

import io

import pytest
from rich.console import Console

from seatrial.compose.runner import Stack
from seatrial.reports.stack_console import (
    ChangedLines,
    describe_service,
    duration,
    print_down,
    print_log,
    print_ps,
    print_up,
    progress,
    state_text,
)
from seatrial.stack.inspect import LogLine, split
from seatrial.stack.state import (
    Address,
    ContainerState,
    ContainerStatus,
    Health,
    Phase,
    Removed,
    ServiceState,
    StackState,
)

STACK = Stack(app="ship", compose_project="ship-1")


def console(*, terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), width=100, force_terminal=terminal, color_system=None)


def printed(of: Console) -> str:
    assert isinstance(of.file, io.StringIO)
    return of.file.getvalue()


def state(service: str, phase: Phase, *, last_line: str = "", **more: object) -> ServiceState:
    made = {"status": ContainerStatus.RUNNING, "seconds": 4.0, **more}
    container = ContainerState(id="1", name="c", service=service, **made)  # type: ignore[arg-type]
    return ServiceState(service=service, phase=phase, container=container, last_line=last_line)


def test_a_line_per_change_and_no_more() -> None:
    screen = console()
    observer = ChangedLines(screen, describe_service)
    absent = ServiceState(service="api", phase=Phase.ABSENT)
    observer.show((absent,), 0.0)
    observer.show((state("api", Phase.STARTING),), 1.0)
    observer.show((state("api", Phase.STARTING, seconds=9.0),), 1.5)
    observer.show((state("api", Phase.UP, health=Health.HEALTHY),), 2.0)
    assert printed(screen).splitlines() == ["   1.0 s  api: starting", "   2.0 s  api: up, healthy"]


def test_off_a_terminal_there_is_no_table() -> None:
    screen = console()
    with progress(screen) as observer:
        observer.say("[bold]pulling[/bold]")
    assert printed(screen) == "[bold]pulling[/bold]\n"


def test_on_a_terminal_the_table_shows_outside_text_as_text() -> None:
    screen = console(terminal=True)
    with progress(screen) as observer:
        observer.show((state("api", Phase.UP, last_line="[red]ahoy\x1b]0;title\x07"),), 2.0)
    assert "[red]ahoy" in printed(screen)
    assert "\x1b]0" not in printed(screen)


def test_a_failed_state_says_how() -> None:
    failed = state("api", Phase.FAILED, status=ContainerStatus.EXITED, exit_code=3)
    assert state_text(failed) == "failed: ended with exit code 3"
    assert state_text(state("api", Phase.STARTING, status=ContainerStatus.PAUSED)) == "paused"
    looping = state("api", Phase.RESTARTING, status=ContainerStatus.RESTARTING, exit_code=3)
    assert state_text(looping) == "restarting after exit code 3"


def test_ps_off_a_terminal_keeps_lines_whole() -> None:
    screen = console()
    print_ps("ship", (state("db", Phase.UP, health=Health.HEALTHY, last_line="long " * 50),), screen)
    assert printed(screen) == f"db: up, healthy, since 4 s. {('long ' * 50).strip()}\n"


def test_ps() -> None:
    screen = console(terminal=True)
    services = (state("db", Phase.UP, health=Health.HEALTHY, last_line="ready"), state("api", Phase.UP))
    print_ps("ship", services, screen)
    heading, db, api = printed(screen).splitlines()
    assert heading.split() == ["service", "state", "health", "since", "last", "line", "of", "its", "output"]
    assert db.split() == ["db", "up,", "healthy", "healthy", "4", "s", "ready"]
    assert api.split() == ["api", "up", "-", "4", "s"]
    print_ps("ship", (), screen)
    assert printed(screen).endswith("Nothing of ship is up.\n")


def test_a_long_last_line_gives_way_to_the_state() -> None:
    screen = console(terminal=True)
    print_ps("ship", (state("db", Phase.UP, health=Health.HEALTHY, last_line="long " * 100),), screen)
    _, row = printed(screen).splitlines()
    assert row.startswith("db       up, healthy  healthy  4 s    long long")
    assert row.endswith("…")


def test_up_says_where_it_answers() -> None:
    screen = console()
    address = Address(service="api", text="http://127.0.0.1:8000")
    silent = ("api publishes 8000, and listens on 9000",)
    up = StackState(stack=STACK, services=(), addresses=(address,), unanswered=silent, changed=True, seconds=3.21)
    print_up(up, screen)
    assert printed(screen).splitlines() == [
        "ship is up after 3.2 s.",
        "  api: http://127.0.0.1:8000",
        "Nothing answers: api publishes 8000, and listens on 9000.",
    ]


def test_down_says_what_is_gone_and_what_stays() -> None:
    screen = console()
    print_down("ship", Removed(containers=("a", "b"), networks=("n",), kept_volumes=("v",)), screen)
    print_down("ship", Removed(containers=("a",), out_of_reach=("db: /data",)), screen)
    print_down("ship", Removed(), screen)
    assert printed(screen).splitlines() == [
        "ship is down. Removed: 2 containers (a, b); 1 network (n).",
        "Its data stays: v (--volumes removes it, too).",
        "ship is down. Removed: 1 container (a).",
        (
            "Not there at the next start: the data of db: /data, in volumes without a name. Mount a named volume there "
            "to keep it."
        ),
        "Nothing of ship is up: nothing to remove.",
    ]


def test_a_log_line_is_whole() -> None:
    screen = console()
    print_log(LogLine(service="api", text="x" * 300 + " :smile:"), screen)
    assert printed(screen) == f"api | {'x' * 300} :smile:\n"


def test_log_pieces_become_lines() -> None:
    assert list(split([b"a", b"b\nc", b"\n\n", b"d"])) == ["ab", "c", "d"]
    endless = list(split(b"x" * 10_000 for _ in range(10)))
    assert all(len(line) < 1100 for line in endless)
    assert 2 < len(endless) < 10


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59, "59 s"), (60, "1 min"), (7200, "2 h"), (200000, "2 d")]
)
def test_a_length_of_time(seconds: float, text: str) -> None:
    assert duration(seconds) == text
