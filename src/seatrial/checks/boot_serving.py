"""boot/*: what an application does whose start is over: it keeps its workers, and answers what it is asked."""

from __future__ import annotations

import math
import re

from seatrial.checks.advice import tracebacks
from seatrial.checks.boot import evidence_of
from seatrial.checks.declaration import check
from seatrial.checks.model import Expect, Outcome, Severity, UndecidedError, first_lines, present, skipped
from seatrial.facts import Boot, Configuration, ProcInfo, Unavailable
from seatrial.facts.boot import TRACEBACK
from seatrial.settings.model import Contract

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
