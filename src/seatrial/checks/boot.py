"""boot/*: what one real start showed."""

from __future__ import annotations

from seatrial.checks.advice import LAST_LINES, boot_fix, broke, raised_before, tracebacks
from seatrial.checks.declaration import check
from seatrial.checks.health import asked_elsewhere
from seatrial.checks.model import Cause, Expect, Outcome, Severity, UndecidedError, present, skipped
from seatrial.facts import Boot, Configuration, Exit, Health, ProcInfo, Unavailable
from seatrial.facts.boot import KILLED
from seatrial.settings.model import Contract
from seatrial.text import with_returns_shown


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
    require_a_processor(boot, *relaxed)
    elsewhere, ask_there = asked_elsewhere(boot, configuration)
    return expect.failed(
        what_happened(boot) + (f"; {elsewhere}" if elsewhere else ""),
        fix=ask_there or boot_fix(boot, services_left_out=services_left_out),
        evidence=evidence_of(boot),
    )


def require_a_processor(*starts: Boot) -> None:
    """Leave open what a start shows that was late on a machine that had no processor for it."""
    for start in starts:
        if start.is_starved:
            late = "had not ended" if start.job else "was not healthy"
            raise UndecidedError(
                f"it {late} {start.watched:.0f} s after a start, and for {start.waited:.0f} s of these the "
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
    if broke(boot.log):
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
    require_a_processor(boot)
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
