"""stack/*: the app with its services up, what it answers, and how it takes the loss of what it needs."""

from __future__ import annotations

from seatrial.checks.declaration import check
from seatrial.checks.model import Cause, Expect, Outcome, Severity, UndecidedError, first_lines, present, skipped
from seatrial.facts import Exchange, ServiceStop, StackRun
from seatrial.settings.model import Contract

NO_READY = "the contract's `stack` names no `ready` path"
NO_WRITE = "the contract's `stack` names no `write` and `read`"
NO_DATABASE = "the contract's `stack` names no `database`"
SHOWN = 300
"""Characters of an answer that are shown."""


@check(
    "stack/healthy",
    title="Comes up with its services",
    severity=Severity.ERROR,
    why="An image that starts alone can still lack what only its services show: an address, a migration, a right.",
    source="Compose, control startup order",
    example="depends_on: [db]    # the API connects while PostgreSQL still prepares",
    fixed="depends_on:\n  db:\n    condition: service_healthy",
)
def healthy(stack: StackRun, contract: Contract) -> Outcome:
    expect = Expect(f"every service healthy, running or completed within {contract.stack.up_within:g} s")
    if stack.up_after is None:
        return expect.failed(
            stack.failure.removesuffix("."),
            fix="Correct what its last lines name; `invoke up` shows the same on your own stack.",
            evidence=stack.evidence,
        )
    return expect.passed(f"all up after {stack.up_after:.1f} s", evidence=stack.services)


@check(
    "stack/published-ports",
    title="Listens on every port that it publishes",
    severity=Severity.ERROR,
    why="A published port that nothing listens on takes connections and ends them: it looks like a broken application.",
    source="Compose specification, ports: the container's port",
    example='ports:\n  - "127.0.0.1:8080:8080"    # the server listens on 8000',
    fixed='ports:\n  - "127.0.0.1:8080:8000"',
)
def published_ports(stack: StackRun) -> Outcome:
    published = present(stack.published)
    seen = [found for found in published if found.listening is not None]
    if not seen:
        unseen = "where its services listen could not be seen" if published else "no service publishes a TCP port"
        return skipped(unseen)
    expect = Expect("every published TCP port is one that the service listens on, for others too")
    if silent := [found for found in seen if found.silent]:
        first = silent[0]
        alone = first.silent[0] in first.own
        return expect.failed(
            list(map(str, silent)),
            fix=f"Let {first.service} listen on 0.0.0.0:{first.silent[0]}."
            if alone
            else f"Publish the port that {first.service} listens on, or let it listen on 0.0.0.0:{first.silent[0]}.",
        )
    return expect.passed("; ".join(map(str, seen)))


@check(
    "stack/ready",
    title="Becomes ready",
    severity=Severity.ERROR,
    why="An application that is alive and not ready gets requests that it cannot answer.",
    source="Kubernetes, Liveness and readiness probes",
    example='ready = "/health/ready"    # answers 503: there are no tables',
    fixed='migrate:    # the API waits for its completion\n  command: ["alembic", "upgrade", "head"]',
)
def ready(stack: StackRun, contract: Contract) -> Outcome:
    if contract.stack.ready is None:
        return skipped(NO_READY)
    seen = present(stack.ready)
    expect = Expect(f"a status below 300 from {seen.path} within {contract.stack.recovers_within:g} s after all is up")
    if seen.after is None:
        return expect.failed(
            f"{seen.path}: {seen.last}",
            fix="Its answer, or its log, says what it misses: a migration, an address, a password.",
            evidence=_body(seen.last.body),
        )
    return expect.passed(f"{seen.path}: {seen.last}, {seen.after:.1f} s after all was up")


@check(
    "stack/writes-and-reads",
    title="Returns what was written",
    severity=Severity.ERROR,
    follows=("stack/ready",),
    why="A health check tests the connection; only a write shows that tables and rights are there.",
    source="PostgreSQL, GRANT; Kubernetes, Liveness and readiness probes: a probe is not a transaction",
    example="GRANT SELECT ON ALL TABLES IN SCHEMA public TO app;",
    fixed="GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO app;",
)
def writes_and_reads(stack: StackRun, contract: Contract) -> Outcome:
    if contract.stack.write is None:
        return skipped(NO_WRITE)
    seen = present(stack.exchange)
    expect = Expect("what the contract's `write` stores is shown by its `read`")
    if seen.held:
        return expect.passed(f"{seen.write}: {seen.written}; {seen.read} shows it")
    shown = _body(seen.shown.body) if seen.shown else ()
    return expect.failed(
        _not_held(seen),
        fix="Name in `read` what the answer holds, or let the app answer with it."
        if seen.problem
        else "Compare the contract's `write` and `read` with the app; its answers and its log tell which is wrong.",
        evidence=(*(f"write: {line}" for line in _body(seen.written.body)), *(f"read: {line}" for line in shown)),
    )


def _not_held(seen: Exchange) -> str:
    write = f"{seen.write}: {seen.written}"
    if not seen.written.good:
        return write
    if seen.problem:
        return f"{write}; {seen.problem}"
    missing = f"{seen.read} does not show what was written: {', '.join(seen.missing)}"
    return f"{write}; {missing if seen.missing else f'{seen.read}: {seen.shown}'}"


@check(
    "stack/survives-worker-loss",
    title="Answers while a worker is killed",
    severity=Severity.ERROR,
    follows=("stack/ready",),
    why="The kernel kills a worker when memory runs out; the others must go on, and another one take its place.",
    source="Gunicorn, Design: the master replaces workers that die",
    example='CMD ["python", "-m", "shop.fork_twice"]    # its child processes are not waited for',
    fixed='CMD ["uvicorn", "shop.api:app", "--workers", "2"]',
)
def survives_worker_loss(stack: StackRun, contract: Contract) -> Outcome:
    if contract.stack.ready is None:
        return skipped(NO_READY)
    seen = present(stack.workers)
    if seen.workers == 1:
        return skipped("single worker: there is no other to serve while it is killed")
    expect = Expect("every request answered while one worker is killed, and another one in its place")
    evidence = (f"killed: {seen.killed}", *seen.failures)
    if seen.failures:
        return expect.failed(
            f"{len(seen.failures)} of {seen.requests} requests failed after one of {seen.workers} workers was killed",
            fix="Let the workers share one listening socket, and keep nothing in a worker that another one needs.",
            evidence=evidence,
        )
    if seen.back_after is None:
        return expect.failed(
            f"{seen.requests} requests answered, and no other worker within {seen.waited:.0f} s",
            fix="Start the workers under a parent that replaces them: gunicorn, uvicorn 0.30 or later.",
            evidence=evidence,
        )
    return expect.passed(
        f"{seen.requests} requests answered; another worker in its place after {seen.back_after:.1f} s",
        evidence=evidence,
    )


@check(
    "stack/survives-database-restart",
    title="Survives a restart of its database",
    severity=Severity.ERROR,
    follows=("stack/ready", "stack/writes-and-reads"),
    why="Every database restarts some day; what was acknowledged before must be there, and the app must go on.",
    source="SQLAlchemy, Dealing with disconnects; PostgreSQL, Write-ahead logging",
    example="db:\n  image: postgres:17\n  tmpfs: /var/lib/postgresql/data",
    fixed="db:\n  image: postgres:17\n  volumes: [database:/var/lib/postgresql/data]",
)
def survives_database_restart(stack: StackRun, contract: Contract) -> Outcome:
    if contract.stack.database is None:
        return skipped(NO_DATABASE)
    if contract.stack.write is None:
        return skipped(NO_WRITE)
    seen = present(stack.database)
    seconds = contract.stack.recovers_within
    holds = f"after a restart of {seen.service}: nothing lost, and a write stored within {seconds:g} s"
    expect = Expect(holds)
    evidence = tuple(f"while it was away: {refusal}" for refusal in seen.refusals)
    if not seen.acknowledged:
        raise UndecidedError("no write was acknowledged: see stack/writes-and-reads", *evidence)
    if seen.recovered_after is None:
        return expect.failed(
            f"no write was stored within {seconds:g} s after {seen.service} was back: {seen.last}",
            fix="Let the app's pool replace dead connections (SQLAlchemy: pool_pre_ping=True).",
            evidence=(*evidence, *_body(seen.last.body)),
        )
    if seen.lost:
        lost = f"{len(seen.lost)} or more of {seen.acknowledged} acknowledged writes"
        return expect.failed(
            f"{lost} cannot be read after the restart of {seen.service}",
            fix="Keep the database's data in a volume, and let the app answer only after the commit.",
            evidence=(*seen.lost, *evidence),
        )
    if seen.app_restarts:
        return Expect(f"{holds}, without an end of the app").failed(
            f"nothing was lost, and the app itself ended {seen.app_restarts} times meanwhile",
            fix="Let the app answer that it cannot, and try its database again at the next request.",
            evidence=evidence,
        )
    return expect.passed(
        f"all {seen.acknowledged} acknowledged writes are there after a restart of {seen.took:.1f} s; "
        f"{seen.refused} refused meanwhile; the first one stored {seen.recovered_after:.1f} s after it",
        evidence=evidence,
    )


@check(
    "stack/graceful-stop",
    title="Stops within its grace time, services and all",
    severity=Severity.ERROR,
    # Where another service is killed, too, that is a finding by itself.
    follows=(Cause(check="process/graceful-stop", says="was killed", only=r"\S+, the app, was killed [^;]*"),),
    why="With connections open, an application stops less readily; a database that is killed has to recover.",
    source="Docker's documentation, docker stop; hynek.me, Docker signal handling",
    example="api:\n  stop_grace_period: 2s    # uvicorn waits 8 s for requests in progress",
    fixed="api:\n  stop_grace_period: 10s",
)
def graceful_stop(stack: StackRun, contract: Contract) -> Outcome:
    stops = present(stack.stops)
    if not stops:
        raise UndecidedError("no service ran any more when they were to be stopped")
    within = contract.stops_within
    expect = Expect(
        f"{stack.app} exits within {within:g} s, every other service within its grace time, none by SIGKILL"
    )
    bad = [stop for stop in stops if stop.killed or (stop.service == stack.app and stop.seconds > within)]
    evidence = tuple(_stopped(stop, stack.app) for stop in stops)
    if bad:
        return expect.failed(
            [_stopped(stop, stack.app) for stop in bad],
            fix="Let it finish its requests and exit on its stop signal; a database that needs longer gets a longer "
            "`stop_grace_period`.",
            evidence=evidence,
        )
    if all(stop.service != stack.app for stop in stops):
        raise UndecidedError(f"{stack.app} did not run any more when it was to be stopped", *evidence)
    return expect.passed(f"all {len(stops)} exited by themselves", evidence=evidence)


def _stopped(stop: ServiceStop, app: str) -> str:
    name = f"{stop.service}, the app," if stop.service == app else stop.service
    memory = ", out of memory" if stop.out_of_memory else ""
    killed, exited = f"was killed after its grace time of {stop.grace:g} s", f"exited after {stop.seconds:.1f} s"
    return f"{name} {killed if stop.killed else exited}, exit code {stop.code}{memory}"


def _body(body: str) -> tuple[str, ...]:
    return first_lines([line[:SHOWN] for line in body.strip().splitlines()], 5)
