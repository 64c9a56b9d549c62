"""boot/*: what one real start showed: whether it came up, kept its workers, and answered."""

from __future__ import annotations

import math
import re

from seatrial.checks.advice import LAST_LINES, boot_fix, broke, raised_before, tracebacks
from seatrial.checks.declaration import check, says_usage
from seatrial.checks.health import asked_elsewhere
from seatrial.checks.model import Cause, Expect, Outcome, Severity, UndecidedError, first_lines, present, skipped
from seatrial.facts import Boot, Configuration, Exit, Health, ProcInfo, Unavailable
from seatrial.facts.boot import KILLED, TRACEBACK
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
    if says_usage(boot, configuration):
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


WORKER_DIED = re.compile(
    r"Worker \(pid: ?\d+\) (exited with|was sent|was terminated)|Exception in worker process|Worker failed to boot"
    r"|Child process \[\d+\] died|Unexpected exit from worker|exited with 'exitcode [1-9-]"
    r"|^Process (Spawn|Fork|ForkServer)?(Pool)?(Process|Worker)-\d+"
)
"""How gunicorn, uvicorn, granian, celery and Python's multiprocessing say that a worker has died."""


@check(
    "boot/keeps-workers",
    title="Loses no worker while it starts",
    severity=Severity.ERROR,
    why="Workers that die at the start and are replaced hide a race: the next time, none may be left.",
    source="Gunicorn, Design: each worker imports the application; Django, migrations are not made for two at once",
    example='CMD ["gunicorn", "--workers", "4", "shop:app"]    # and shop.py migrates when it is imported',
    fixed='CMD ["gunicorn", "--workers", "4", "shop:app"]    # migrated before, once: a job of its own',
)
def keeps_workers(running: Boot) -> Outcome:
    expect = Expect("no worker ends with a traceback before the start is over")
    said = [line for line in running.log if WORKER_DIED.search(line)]
    if any(TRACEBACK in line for line in running.log) and (said or running.lost):
        count = f"{len(running.lost)} of its workers" if len(running.lost) > 1 else "a worker of it"
        return expect.failed(
            f"it serves, and {count} ended while it started; its log holds the traceback",
            items=tracebacks(running.log),
            fix="Do once, before the workers start, what they must not do side by side: migrate in a job of its own, "
            "or in the entrypoint.",
            evidence=(*(f"ended: {command}" for command in first_lines(running.lost, 5)), *evidence_of(running)),
        )
    return expect.passed("none ended" if not running.lost else f"{len(running.lost)} ended, without a traceback")


@check(
    "boot/answers",
    title="Answers what the contract asks",
    severity=Severity.ERROR,
    demanded_by=("answers",),
    why="A health check asks one path; templates, static files and routes that are missing show at the first request.",
    source="the Twelve-Factor App, VII; Kubernetes, Liveness and readiness probes",
    example='answers = [{ path = "/" }]    # and the package was built without its templates: status 500',
    fixed='[tool.setuptools.package-data]\nshop = ["templates/*.html"]',
)
def answers(running: Boot | Unavailable, contract: Contract) -> Outcome:
    if not contract.answers:
        return skipped("the contract names no `answers`")
    running = present(running)
    seen = present(running.answered)
    if not seen:
        raise UndecidedError("the contract's requests were not sent")
    expect = Expect("; ".join(f"{answer.request}: {answer.wanted}" for answer in seen))
    bad = [answer for answer in seen if not answer.held]
    if bad:
        first = bad[0]
        return expect.failed(
            [f"{answer.request}: {answer}, not {answer.wanted}" for answer in bad],
            fix="Its log says what it missed. Where it needs its services for that, `invoke smoke --stack` asks the "
            "same among them.",
            evidence=(
                *(f"answer: {line}" for line in first_lines(first.body.strip().splitlines(), 5)),
                *evidence_of(running),
            ),
        )
    return expect.passed("; ".join(f"{answer.request}: {answer}" for answer in seen))


@check(
    "runtime/worker-count",
    title="Sets its number of workers itself",
    severity=Severity.WARNING,
    why="`os.cpu_count()` counts the host: a container with 2 of its 64 processors starts 129 workers.",
    source="Python's documentation, os.cpu_count: not the number that the process can use; Gunicorn, How many workers",
    example="workers = os.cpu_count() * 2 + 1    # gunicorn.conf.py",
    fixed='workers = int(os.environ["WEB_CONCURRENCY"])    # gunicorn.conf.py',
)
def worker_count(running: Boot, proc: ProcInfo, configuration: Configuration, contract: Contract) -> Outcome:
    host, given = proc.host_processors, math.ceil(contract.processors)
    expect = Expect(f"a number of workers that suits {contract.processors:g} processors, whatever the host has")
    workers = running.workers
    texts = (*configuration.words, *configuration.environment.values(), *contract.environment.values())
    written = any(re.search(rf"(?<!\d){workers}(?!\d)", text) for text in texts)
    if workers > 1 and host > given and workers in _usual(host) - _usual(given) and not written:
        return expect.failed(
            f"{workers} workers: that follows from the host's {host} processors, and the start was given {given}",
            fix="Write the number down (`--workers 2`, `WEB_CONCURRENCY=2`), and let the host's operator change it.",
        )
    return expect.passed(f"{workers} workers; the host has {host} processors" if workers > 1 else "no workers")


def _usual(processors: int) -> set[int]:
    """Return the numbers of workers that are usually made of a number of processors."""
    return {processors, processors + 1, 2 * processors, 2 * processors + 1}
