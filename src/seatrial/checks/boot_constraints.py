"""boot/*: which restriction, if any, kept the application from starting."""

from __future__ import annotations

from seatrial.checks.boot import evidence_of, require_a_processor, what_happened
from seatrial.checks.declaration import check
from seatrial.checks.model import Cause, Expect, Outcome, Severity, UndecidedError
from seatrial.facts import Boot, Restriction, Usage
from seatrial.facts.boot import REFUSED, says_no_more_processes
from seatrial.settings.model import TMPFS_SIZE, Contract

ALL = frozenset(Restriction)
NO_SPACE = "no space left on device"
"""ENOSPC, likewise."""
MIB = 1024 * 1024
WITHOUT = {
    Restriction.READ_ONLY: "with a writable root it starts",
    Restriction.CAPABILITIES: "with the capabilities that the engine gives by default it starts",
    Restriction.NO_NEW_PRIVILEGES: "without no-new-privileges it starts",
    Restriction.LIMITS: "with four times the memory and processes it starts",
}
UNDER = {
    Restriction.READ_ONLY: "on a read-only root",
    Restriction.CAPABILITIES: "without capabilities",
    Restriction.NO_NEW_PRIVILEGES: "with no-new-privileges",
    Restriction.LIMITS: "within its limits",
}
FIX = {
    Restriction.READ_ONLY: (
        "Write to a tmpfs or a volume, and name it in the contract's `tmpfs`; or point the path elsewhere. Where it "
        "runs, give a tmpfs its folder's owner: `/app/state:uid=10001,gid=10001`."
    ),
    Restriction.CAPABILITIES: (
        "Do as root in the Dockerfile, not at the start, what needs it (chown, chmod, installing). What it cannot do "
        'without goes into the contract\'s `capabilities`, such as ["NET_BIND_SERVICE"].'
    ),
    Restriction.NO_NEW_PRIVILEGES: (
        "Start as the right USER from the beginning: no sudo, no su, no program with the setuid bit."
    ),
    Restriction.LIMITS: "Raise the contract's `memory` or `processes`, or find out what takes them.",
}


@check(
    "boot/read-only",
    title="Starts on a read-only root",
    severity=Severity.WARNING,
    why="On a read-only root nobody can change the application's code while it runs.",
    source="CIS Docker Benchmark 5.13; OWASP Docker cheat sheet, rule 8",
    example="RUN mkdir /app/state && chown app /app/state    # written to at each start",
    fixed='VOLUME /app/state    # or, in the contract: tmpfs = ["/tmp", "/app/state"]',
)
def read_only(hardened: Boot, relaxed: tuple[Boot, ...], contract: Contract) -> Outcome:
    expected = f"starts on a read-only root (tmpfs: {', '.join(contract.tmpfs) or 'none'})"
    return _restricted(Restriction.READ_ONLY, expected, (hardened, *relaxed))


@check(
    "boot/drop-capabilities",
    title="Starts without capabilities",
    severity=Severity.WARNING,
    follows=("process/command-resolves", "python/interpreter-reachable"),
    why="An attacker who takes over the application cannot do more than it can.",
    source="CIS Docker Benchmark 5.4; OWASP Docker cheat sheet, rule 3",
    example='CMD ["sh", "-c", "chown -R app /data && exec gosu app shop"]',
    fixed='RUN install -d -o app /data\nUSER app\nCMD ["shop"]',
)
def drop_capabilities(hardened: Boot, relaxed: tuple[Boot, ...], contract: Contract) -> Outcome:
    given = ", ".join(contract.capabilities)
    expected = f"starts with no capabilities {f'but {given}' if given else 'at all'}"
    if "ALL" in contract.capabilities:
        fix = "Name the capabilities that the application needs in the contract's `capabilities`, and leave ALL out."
        return Expect(expected).failed("the contract gives it ALL: none is dropped", fix=fix)
    return _restricted(Restriction.CAPABILITIES, expected, (hardened, *relaxed))


@check(
    "boot/no-new-privileges",
    title="Starts with no-new-privileges",
    severity=Severity.WARNING,
    why="With it, no program with the setuid bit makes root out of the application's user.",
    source="CIS Docker Benchmark 5.26; OWASP Docker cheat sheet, rule 4",
    example='USER app\nCMD ["sudo", "shop"]',
    fixed='USER app\nCMD ["shop"]',
)
def no_new_privileges(hardened: Boot, relaxed: tuple[Boot, ...]) -> Outcome:
    return _restricted(Restriction.NO_NEW_PRIVILEGES, "starts with no-new-privileges", (hardened, *relaxed))


@check(
    "boot/limits",
    title="Runs within its limits",
    severity=Severity.WARNING,
    demanded_by=("memory", "processes"),
    follows=("boot/healthy", Cause(check="boot/stays-up", says=r"^(?!it runs, but)")),
    why="Without limits, one container takes the memory and processes of all others on its host.",
    source="CIS Docker Benchmark 5.11 and 5.29; OWASP Docker cheat sheet, rule 7",
    example='memory = "64 MiB"    # of the contract, and CMD ["gunicorn", "--workers", "16", "shop:app"]',
    fixed='CMD ["gunicorn", "--workers", "2", "shop:app"]',
)
def limits(hardened: Boot, relaxed: tuple[Boot, ...], contract: Contract) -> Outcome:
    expected = f"lives within {contract.memory} of memory and {contract.processes} processes and threads"
    if reached := _limit_reached(hardened, contract):
        return Expect(expected).failed(reached, fix=FIX[Restriction.LIMITS], evidence=evidence_of(hardened))
    return _restricted(Restriction.LIMITS, expected, (hardened, *relaxed))


def _restricted(restriction: Restriction, expected: str, starts: tuple[Boot, ...]) -> Outcome:
    """Judge one restriction by every start that was made, the hardened one first."""
    expect, (hardened, *relaxed) = Expect(expected), starts
    require_a_processor(*starts)
    by_lifted = {frozenset(start.lifted): start for start in starts}
    blamed = in_the_way(by_lifted)
    if restriction in blamed:
        written = tuple(f"wrote {path}" for start in relaxed if start.came_up for path in start.written)
        return expect.failed(
            _blame(restriction, hardened, by_lifted),
            fix=FIX[restriction],
            evidence=(*(written if restriction is Restriction.READ_ONLY else ()), *evidence_of(hardened)),
        )
    if not blamed and not hardened.came_up and any(start.came_up for start in relaxed):
        reason = "a later start succeeded, and no restriction is seen to have kept it from starting the first time"
        raise UndecidedError(f"{reason}: {what_happened(hardened)}", *evidence_of(hardened))
    held = next((start for start in by_lifted.values() if start.came_up and restriction not in start.lifted), None)
    if held is None:
        never = ALL in by_lifted and not by_lifted[ALL].came_up
        why = " without any restriction either" if never else ", for another reason"
        raise UndecidedError(f"it does not start{why}: see boot/healthy or boot/stays-up")
    return expect.passed(_held(restriction, held))


def in_the_way(starts: dict[frozenset[Restriction], Boot]) -> set[Restriction]:
    """Return the restrictions that keep an image from starting.

    Where one lifted is enough, that one; where it takes several, each with which alone it does not start.
    """
    if starts[frozenset()].came_up:
        return set()
    came_up = {lifted: boot.came_up for lifted, boot in starts.items()}
    single = {restriction for restriction in Restriction if came_up.get(frozenset({restriction}))}
    if Restriction.READ_ONLY in single and not _wrote(starts):
        # A slow start that came in time when it was repeated: its root had nothing to do with it.
        single.discard(Restriction.READ_ONLY)
    if single or not came_up.get(ALL):
        return single
    return {restriction for restriction in Restriction if came_up.get(ALL - {restriction}) is False}


def _wrote(starts: dict[frozenset[Restriction], Boot]) -> bool:
    """Tell whether there is a trace of a write: what the start with a writable root left, or an error in a log."""
    refused = any(REFUSED in line.lower() for line in starts[frozenset()].log)
    return refused or bool(starts[frozenset({Restriction.READ_ONLY})].written)


def _limit_reached(boot: Boot, contract: Contract) -> str:
    """Return which limit a start ran into, by what the engine counts and the log says; empty where none."""
    if boot.out_of_memory or (boot.exit is not None and boot.exit.out_of_memory):
        end = "it was killed" if boot.exit is not None else "a process of it was killed"
        return f"{end}, out of memory: the limit is {contract.memory}"
    if boot.filled:
        return boot.filled
    counted = boot.usage.processes if isinstance(boot.usage, Usage) else 0
    if counted >= contract.processes:
        more = "" if boot.came_up else ", and does not start"
        return f"it has {counted} processes and threads, as many as it is allowed{more}"
    return "" if boot.came_up else _said_limit(boot, contract)


def _said_limit(boot: Boot, contract: Contract) -> str:
    """Return which limit the log of a failed start names; empty where none."""
    for line in boot.log:
        if says_no_more_processes(line):
            return f"it is limited to {contract.processes} processes and threads: {line.strip()}"
        if NO_SPACE in line.lower():
            return f"a tmpfs or a volume is full, each of which holds {TMPFS_SIZE // MIB} MiB: {line.strip()}"
    return ""


def _blame(restriction: Restriction, boot: Boot, starts: dict[frozenset[Restriction], Boot]) -> str:
    if frozenset({restriction}) in starts and starts[frozenset({restriction})].came_up:
        return f"{UNDER[restriction]}: {what_happened(boot)}; {WITHOUT[restriction]}"
    alone = starts[ALL - {restriction}]
    return f"{what_happened(alone)} {UNDER[restriction]}, even where that is its only restriction"


def _held(restriction: Restriction, boot: Boot) -> str:
    """Return what was in force, as the engine says itself; undecided where it says that this was not."""
    force, usage = boot.enforced, boot.usage
    held, how = False, ""
    if force is not None:
        took = f"; it took {usage.memory // MIB} MiB and {usage.processes}" if isinstance(usage, Usage) else ""
        within = f"within {force.memory // MIB} MiB of memory and {force.processes} processes and threads{took}"
        but = f"with all capabilities dropped but {', '.join(force.added) or 'none'}"
        held, how = {
            Restriction.READ_ONLY: (force.read_only, "on a read-only root"),
            Restriction.CAPABILITIES: ("ALL" in force.dropped, but),
            Restriction.NO_NEW_PRIVILEGES: (force.no_new_privileges, "with no-new-privileges"),
            Restriction.LIMITS: (force.memory > 0 and force.processes > 0, within),
        }[restriction]
    if not held:
        raise UndecidedError(f"it started, but the engine does not enforce this: {restriction.value}")
    beside = f", with {', '.join(boot.lifted)} lifted" if boot.lifted else ""
    return f"started and stayed up {how}{beside}"
