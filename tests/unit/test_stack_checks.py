"""The stack/* checks: what passes, what fails, what does not apply, and what cannot be decided."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.unit.factories import facts

from seatrial.checks.model import Status
from seatrial.checks.registry import among_services
from seatrial.checks.verdict import Verdict, judge, smoke_of
from seatrial.facts import (
    DatabaseRestart,
    Exchange,
    PublishedPorts,
    Ready,
    Reply,
    ServiceStop,
    StackRun,
    Unavailable,
    WorkerLoss,
)
from seatrial.settings.model import Contract, StackContract, StackWrite

STACK = among_services(None)
CHECKS = {check.id: check for check in STACK}
GOOD = Reply(status=200, body='{"id": 1, "title": "Sea trial abc"}')
ASKED = StackContract(
    service="api",
    database="db",
    ready="/ready",
    write=StackWrite(path="/courses", body={"title": "{unique}"}),
    read="/courses/{id}",
)
CONTRACT = Contract(stack=ASKED)
EXCHANGE = Exchange(write="POST /courses", written=GOOD, read="GET /courses/1", shown=GOOD)
WORKERS = WorkerLoss(workers=2, killed="worker 1", requests=40, back_after=0.6, waited=2.0)
RESTART = DatabaseRestart(
    service="db", took=1.2, killed=False, acknowledged=14, refused=3, recovered_after=0.4, last=GOOD
)
STOP = ServiceStop(service="api", seconds=0.5, grace=10, code=0, killed=False)
RUN = StackRun(
    app="api",
    services=("db: up", "migrate: completed", "api: up"),
    up_after=6.5,
    published=(
        PublishedPorts(service="api", ports=(8000,), listening=(8000, 9000)),
        PublishedPorts(service="db", ports=(5432,), listening=None),
    ),
    ready=Ready(path="/ready", after=0.1, last=GOOD),
    exchange=EXCHANGE,
    workers=WORKERS,
    database=RESTART,
    stops=(STOP, msgspec.structs.replace(STOP, service="db", grace=30)),
)


def run(**changed: Any) -> StackRun:
    return msgspec.structs.replace(RUN, **changed)


def changed(of: Any, **more: Any) -> Any:
    return msgspec.structs.replace(of, **more)


def test_a_sound_stack_passes_all_and_says_what_was_seen() -> None:
    smoke = smoke_of(facts(stack=RUN), CONTRACT, STACK, seconds=20, app="shop", level="stack")
    assert {check.id: check.status for check in smoke.checks} == dict.fromkeys(CHECKS, Status.PASS)
    assert smoke.verdict is Verdict.PASS
    told = {check.id: check.actual for check in smoke.checks}
    assert told["stack/survives-worker-loss"] == "40 requests answered; another worker in its place after 0.6 s"
    assert told["stack/survives-database-restart"] == (
        "all 14 acknowledged writes are there after a restart of 1.2 s; "
        "3 refused meanwhile; the first one stored 0.4 s after it"
    )


FAILURES: list[tuple[str, StackRun, str]] = [
    (
        "stack/healthy",
        StackRun(app="api", services=(), up_after=None, failure="shop did not come up: db is unhealthy."),
        "shop did not come up: db is unhealthy",
    ),
    (
        "stack/published-ports",
        run(published=(PublishedPorts(service="api", ports=(8080, 8443), listening=(8000, 8443)),)),
        "api publishes 8080, and listens on 8000, 8443",
    ),
    (
        "stack/published-ports",
        run(
            published=(
                PublishedPorts(service="api", ports=(8000,), listening=(), own=(8000,)),
                PublishedPorts(service="db", ports=(5432,), listening=()),
            )
        ),
        (
            "api publishes 8000, and listens there on the loopback of its container alone; "
            "db publishes 5432, and listens on no port"
        ),
    ),
    (
        "stack/ready",
        run(ready=Ready(path="/ready", after=None, last=Reply(status=503, body="no revision"))),
        "/ready: status 503",
    ),
    (
        "stack/ready",
        run(ready=Ready(path="/ready", after=None, last=Reply(error="nothing listens on port 8000"))),
        "/ready: nothing listens on port 8000",
    ),
    (
        "stack/writes-and-reads",
        run(exchange=Exchange(write="POST /courses", written=Reply(status=500))),
        "POST /courses: status 500",
    ),
    (
        "stack/writes-and-reads",
        run(exchange=changed(EXCHANGE, shown=Reply(status=404))),
        "POST /courses: status 200; GET /courses/1: status 404",
    ),
    (
        "stack/writes-and-reads",
        run(exchange=changed(EXCHANGE, missing=("abc",))),
        "POST /courses: status 200; GET /courses/1 does not show what was written: abc",
    ),
    (
        "stack/writes-and-reads",
        run(exchange=Exchange(write="POST /courses", written=GOOD, problem="`read` names {uuid}, and …")),
        "POST /courses: status 200; `read` names {uuid}, and …",
    ),
    (
        "stack/survives-worker-loss",
        run(workers=changed(WORKERS, failures=("after 0.1 s: status 502",))),
        "1 of 40 requests failed after one of 2 workers was killed",
    ),
    (
        "stack/survives-worker-loss",
        run(workers=changed(WORKERS, back_after=None, waited=30.0)),
        "40 requests answered, and no other worker within 30 s",
    ),
    (
        "stack/survives-database-restart",
        run(database=changed(RESTART, recovered_after=None, last=Reply(status=500))),
        "no write was stored within 30 s after db was back: status 500",
    ),
    (
        "stack/survives-database-restart",
        run(database=changed(RESTART, lost=("GET /courses/1: status 404",))),
        "1 or more of 14 acknowledged writes cannot be read after the restart of db",
    ),
    (
        "stack/survives-database-restart",
        run(database=changed(RESTART, app_restarts=2)),
        "nothing was lost, and the app itself ended 2 times meanwhile",
    ),
    (
        "stack/graceful-stop",
        run(stops=(changed(STOP, seconds=10.2, code=137, killed=True),)),
        "api, the app, was killed after its grace time of 10 s, exit code 137",
    ),
    (
        "stack/graceful-stop",
        run(stops=(changed(STOP, seconds=12.0, grace=30),)),
        "api, the app, exited after 12.0 s, exit code 0",
    ),
    (
        "stack/graceful-stop",
        run(stops=(STOP, changed(STOP, service="db", killed=True, code=137, grace=1, out_of_memory=True))),
        "db was killed after its grace time of 1 s, exit code 137, out of memory",
    ),
]


@pytest.mark.parametrize(("check", "seen", "actual"), FAILURES)
def test_a_broken_stack_fails_and_the_cause_is_named(check: str, seen: StackRun, actual: str) -> None:
    result = judge(CHECKS[check], facts(stack=seen), CONTRACT)
    assert (result.status, result.actual) == (Status.FAIL, actual)
    assert result.expected
    assert result.fix
    waived = judge(CHECKS[check], facts(stack=seen), Contract(stack=ASKED, waive={check: "known, until May"}))
    assert waived.status is Status.WAIVED


def test_every_check_was_seen_to_fail() -> None:
    assert {check for check, _, _ in FAILURES} == set(CHECKS)


@pytest.mark.parametrize("check", CHECKS)
def test_without_a_run_nothing_is_decided(check: str) -> None:
    result = judge(CHECKS[check], facts(), CONTRACT)
    assert result.status is Status.ERROR
    assert "only smoke --stack does" in result.actual


@pytest.mark.parametrize(
    ("published", "why"),
    [
        ((), "no service publishes a TCP port"),
        ((PublishedPorts(service="db", ports=(1,), listening=None),), "where its services listen could not be seen"),
    ],
)
def test_ports_that_nobody_publishes_or_can_see_are_skipped(published: tuple[PublishedPorts, ...], why: str) -> None:
    result = judge(CHECKS["stack/published-ports"], facts(stack=run(published=published)), CONTRACT)
    assert (result.status, result.actual) == (Status.SKIP, why)


def test_what_did_not_come_up_is_told_once() -> None:
    seen = facts(stack=StackRun(app="api", services=(), up_after=None, failure="it did not."))
    smoke = smoke_of(seen, CONTRACT, STACK, seconds=1)
    assert smoke.verdict is Verdict.FAIL
    rest = {check.actual for check in smoke.checks if check.id != "stack/healthy"}
    assert rest == {"could not be decided: the stack did not come up: see stack/healthy"}


def test_what_the_contract_does_not_ask_for_is_skipped_with_the_reason() -> None:
    smoke = smoke_of(facts(stack=RUN), Contract(), STACK, seconds=1)
    skips = {check.id: check.actual for check in smoke.checks if check.status is Status.SKIP}
    assert skips == {
        "stack/ready": "the contract's `stack` names no `ready` path",
        "stack/writes-and-reads": "the contract's `stack` names no `write` and `read`",
        "stack/survives-worker-loss": "the contract's `stack` names no `ready` path",
        "stack/survives-database-restart": "the contract's `stack` names no `database`",
    }
    assert smoke.verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("check", "seen", "said"),
    [
        (
            "stack/survives-worker-loss",
            run(workers=Unavailable(reason="no process can be seen")),
            "no process can be seen",
        ),
        (
            "stack/survives-database-restart",
            run(database=changed(RESTART, acknowledged=0)),
            "no write was acknowledged",
        ),
        ("stack/graceful-stop", run(stops=()), "no service ran any more"),
        ("stack/graceful-stop", run(stops=(changed(STOP, service="db"),)), "api did not run any more"),
    ],
)
def test_what_could_not_be_seen_is_undecided(check: str, seen: StackRun, said: str) -> None:
    result = judge(CHECKS[check], facts(stack=seen), CONTRACT)
    assert result.status is Status.ERROR
    assert said in result.actual


def test_one_process_alone_has_no_worker_to_lose() -> None:
    result = judge(CHECKS["stack/survives-worker-loss"], facts(stack=run(workers=WorkerLoss(workers=1))), CONTRACT)
    assert (result.status, "single worker" in result.actual) == (Status.SKIP, True)


@pytest.mark.parametrize("check", CHECKS)
def test_every_check_can_be_explained(check: str) -> None:
    one = CHECKS[check]
    assert one.stack
    assert one.why.endswith(".")
    assert one.source
    assert one.example != one.fixed
