"""boot/*: what one real start showed, and which restriction, if any, kept the application from starting."""

from __future__ import annotations

from seatrial.checks.advice import LAST_LINES, boot_fix, raised_before, tracebacks
from seatrial.checks.declaration import check
from seatrial.checks.health import asked_elsewhere
from seatrial.checks.model import Cause, Expect, Outcome, Severity, UndecidedError, present, skipped
from seatrial.facts import Boot, Configuration, Exit, Health, ProcInfo, Restriction, Unavailable, Usage
from seatrial.facts.boot import KILLED, REFUSED, TRACEBACK, says_no_more_processes
from seatrial.settings.model import TMPFS_SIZE, Contract
from seatrial.text import with_returns_shown

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
    "boot/healthy",
    title="Becomes healthy",
    severity=Severity.ERROR,
    follows=(
        "python/interpreter-resolves",
        "python/interpreter-reachable",
        Cause(check="identity/non-root", says="names no account"),
        "process/command-resolves",
        "health/command-exists",
        "process/line-ends",
        "process/variables-expand",
        Cause(check="config/workdir", says=" is a "),
        Cause(check="app/imports", shares=r": (.+)"),
    ),
    why="A health check that never passes means an application that no orchestrator sends requests to.",
    source="CIS Docker Benchmark 5.27",
    example='HEALTHCHECK CMD ["curl", "--fail", "http://127.0.0.1:80/health"]\n'
    'CMD ["uvicorn", "shop.api:app", "--port", "8000"]',
    fixed='HEALTHCHECK CMD ["curl", "--fail", "http://127.0.0.1:8000/health"]\n'
    'CMD ["uvicorn", "shop.api:app", "--port", "8000"]',
)
def healthy(
    boot: Boot | Unavailable,
    relaxed: tuple[Boot, ...],
    configuration: Configuration,
    services_left_out: bool,
    contract: Contract,
) -> Outcome:
    if contract.job:
        return skipped("it is a job; boot/stays-up decides")
    if configuration.health_check is None:
        return skipped("the image has no HEALTHCHECK; boot/stays-up decides")
    boot = present(boot)
    expect = Expect(f"healthy within {contract.healthy_within:g} s")
    if boot.came_up and boot.healthy_after is not None:
        return expect.passed(f"healthy after {boot.healthy_after:.1f} s")
    _require_a_processor(boot, *relaxed)
    elsewhere, ask_there = asked_elsewhere(boot, configuration)
    return expect.failed(
        what_happened(boot) + (f"; {elsewhere}" if elsewhere else ""),
        fix=ask_there or boot_fix(boot, services_left_out=services_left_out),
        evidence=evidence_of(boot),
    )


def _require_a_processor(*starts: Boot) -> None:
    """Leave open what a start shows that was late on a machine that had no processor for it."""
    for start in starts:
        if start.is_starved:
            raise UndecidedError(
                f"it was not healthy {start.watched:.0f} s after a start, and for {start.waited:.0f} s of these the "
                "machine had no processor for it. Smoke it when the machine has less to do, or give it a larger "
                "`healthy-within`"
            )


ASKS_FOR_HELP = {"--help", "-h", "--version"}
"""Words of a command with which a program starts nothing."""


@check(
    "boot/stays-up",
    title="Stays up",
    severity=Severity.ERROR,
    follows=(
        "python/interpreter-resolves",
        "python/interpreter-reachable",
        Cause(check="identity/non-root", says="names no account"),
        "process/command-resolves",
        "process/line-ends",
        "process/variables-expand",
        Cause(check="config/workdir", says=" is a "),
        Cause(check="app/imports", shares=r": (.+)"),
        Cause(check="boot/keeps-workers", only=r"it runs, but .*"),
    ),
    why="An image that ends right after its start passes every check that never starts it.",
    source="Docker's documentation: a container runs as long as its main process",
    example='# looks at its settings, and ends\nCMD ["python", "-m", "bot", "--check-settings"]',
    fixed='CMD ["python", "-m", "bot"]',
)
def stays_up(
    boot: Boot | Unavailable, configuration: Configuration, services_left_out: bool, contract: Contract
) -> Outcome:
    if configuration.health_check is not None and not contract.job:
        return skipped("the image has a HEALTHCHECK; boot/healthy decides")
    boot = present(boot)
    if contract.job:
        return _ends_well(boot, contract, services_left_out=services_left_out)
    expect = Expect("still runs when its start is over, with no traceback in its log")
    if boot.exit is not None and boot.exit.code == 0 and ASKS_FOR_HELP & set(configuration.words):
        return expect.failed(
            f"its command, {' '.join(configuration.words)}, says how to use it and ends",
            fix="Nothing to change where every start gives arguments of its own; else let CMD start the application.",
            evidence=evidence_of(boot),
            severity=Severity.WARNING,
        )
    if not boot.came_up:
        return expect.failed(
            what_happened(boot), fix=boot_fix(boot, services_left_out=services_left_out), evidence=evidence_of(boot)
        )
    if any(TRACEBACK in line for line in boot.log):
        return expect.failed(
            "it runs, but its log holds a traceback",
            items=tracebacks(boot.log),
            fix="Correct what the traceback names.",
            evidence=evidence_of(boot),
            severity=Severity.WARNING,
        )
    after, watched = boot.finished_after, f"still ran after {boot.watched:.1f} s"
    over = f"its start was over after {after:.1f} s; it {watched}" if after is not None else ""
    return expect.passed(over or f"{watched}; its start was not over: {_unfinished(boot)}")


def _ends_well(boot: Boot, contract: Contract, *, services_left_out: bool) -> Outcome:
    """Judge a job: it is to end, and well."""
    expect = Expect(f"does its work and ends with exit code 0 within {contract.healthy_within:g} s")
    if boot.came_up and boot.exit is not None:
        return expect.passed(f"exit code 0 after {boot.exit.after:.1f} s")
    if boot.exit is None and not boot.start_error:
        return expect.failed(
            f"still ran after {boot.watched:.1f} s",
            fix="Give it time with the contract's `healthy-within`; or take `job` out, where it is to run on.",
            evidence=evidence_of(boot),
        )
    return expect.failed(
        what_happened(boot), fix=boot_fix(boot, services_left_out=services_left_out), evidence=evidence_of(boot)
    )


def _unfinished(boot: Boot) -> str:
    """Return why a start is not over, as a clause."""
    listens = isinstance(boot.proc, ProcInfo) and boot.proc.listeners
    return "it still computed" if listens else "it still computed, or listened nowhere yet"


@check(
    "boot/first-log",
    title="Logs its first line quickly",
    severity=Severity.WARNING,
    demanded_by=("first_log_within",),
    why="An application that says nothing, or says it only at its end, cannot be followed when it fails.",
    source="pythonspeed.com, Docker packaging guide: PYTHONUNBUFFERED; the Twelve-Factor App, XI",
    example="ENV PYTHONUNBUFFERED=",
    fixed="ENV PYTHONUNBUFFERED=1",
)
def first_log(running: Boot, configuration: Configuration, contract: Contract) -> Outcome:
    expect = Expect(f"a first line in its log within {contract.first_log_within:g} s")
    declared = "PYTHONUNBUFFERED" in configuration.environment
    if running.first_log is not None:
        seen = f"its first line came after {running.first_log:.1f} s"
        if running.first_log <= contract.first_log_within:
            return expect.passed(seen)
        return expect.failed(
            seen,
            fix="Log a line at once when it starts; a slow start needs a larger `first-log-within`.",
            evidence=evidence_of(running),
        )
    if running.log_at_stop:
        where, why = ("'s last stage", ": it is not in effect") if declared else ("", "")
        return expect.failed(
            f"nothing in {running.watched:.1f} s, and its first line only at its stop signal: output is buffered",
            fix=f"Add `ENV PYTHONUNBUFFERED=1` to the Dockerfile{where}, or flush what it prints{why}.",
            evidence=evidence_of(running),
        )
    return expect.failed(
        f"it logged nothing at all, in {running.watched:.1f} s and at its stop",
        fix="Log a line to standard output or standard error when it starts, and not to a file.",
    )


def what_happened(boot: Boot) -> str:
    """Return how a failed start ended, as a clause."""
    if boot.start_error:
        return f"the engine could not start it: {boot.start_error}"
    if boot.fell_short or (boot.filled and boot.exit is not None):
        return boot.fell_short or boot.filled
    if boot.exit is not None:
        return _ended(boot, boot.exit)
    answer = f"; the health check ends with {boot.answers[-1].exit_code}" if boot.answers else ""
    if boot.health is Health.NONE:
        return f"not up after {boot.watched:.1f} s"
    return f"still {boot.health.value} after {boot.watched:.1f} s{answer}"


def _ended(boot: Boot, seen: Exit) -> str:
    """Return how a start ended by itself, as a clause."""
    end = f"exit code {seen.code} after {seen.after:.1f} s"
    if seen.out_of_memory:
        end += ", out of memory"
    elif seen.code == KILLED:
        end += ": it was killed, as a process is that reaches the memory limit"
    if boot.healthy_after is not None:
        return f"it became healthy after {boot.healthy_after:.1f} s, and then exited by itself: {end}"
    if boot.finished_after is not None:
        return f"its start was over after {boot.finished_after:.1f} s, and then it exited by itself: {end}"
    return f"the container exited at start: {end}"


def evidence_of(boot: Boot) -> tuple[str, ...]:
    """Return its last lines and what the health check said last."""
    said = boot.answers[-1].output.strip().splitlines()[-3:] if boot.answers else []
    answers = tuple(f"health check said: {line}" for line in said)
    shown = tuple(f"log: {with_returns_shown(line)}" for line in boot.log[-LAST_LINES:])
    cut = ("its log is longer than what is kept",) if boot.log_cut else ()
    before = len(boot.log) - LAST_LINES
    raised = tuple(f"log: {with_returns_shown(line)}" for line in raised_before(boot.log))
    earlier = (f"… {before} lines before" + (", among them" if raised else ""), *raised) if before > 0 else ()
    earlier += ("…",) * bool(raised)
    return (*earlier, *shown, *cut, *answers) if shown or answers else ("it logged nothing",)


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
    _require_a_processor(*starts)
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
