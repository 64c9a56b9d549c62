"""The further starts of level deep: each changes one thing."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from seatrial.engine.containers import container, engine_errors, kill
from seatrial.facts.boot import ENDED, POLL, Starter, begin, health, run_boot, until_up
from seatrial.facts.data import Freeze, Health, Missing, Restriction, Starts
from seatrial.facts.sandbox import HEALTH_EVERY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from seatrial.engine.containers import Container
    from seatrial.facts.data import Boot

ARBITRARY_USER = "1000620000:0"
"""A uid as OpenShift makes them up for each project, with group 0; no account has it."""
FREEZE = """
import os, signal
for _ in range(3):
    parents = {}
    for name in os.listdir("/proc"):
        try:
            with open("/proc/%s/stat" % name, "rb") as file:
                parents[int(name)] = int(file.read().rpartition(b")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            pass
    for pid in parents:
        up = pid
        for _ in parents:
            up = parents.get(up, 0) if up > 1 else up
        try:
            if up == 1 and pid != 1:
                os.kill(pid, signal.SIGSTOP)
        except OSError:
            pass
"""
"""Stops every process below PID 1: not this one and not the health check, which the engine starts beside it.

PID 1 takes no such signal from inside its own namespace: pid_namespaces(7). Thrice, for what is forked meanwhile.
"""
COLUMNS = "-eo pid,ppid,stat"
FREEZE_SECONDS = 5.0
"""The most seconds for the processes to be seen stopped."""
NOT_UP = Missing(reason="it does not come up, so it was not started again: boot/healthy or boot/stays-up tells why")


def deep_starts(starter: Starter, first: Boot) -> Starts | Missing:
    """Start an image that comes up again and again, with one thing changed each time.

    Raises:
        EngineError: the engine does not answer.

    """
    if not first.up:
        return NOT_UP
    lifted, contract = first.lifted, starter.contract
    with ThreadPoolExecutor(max_workers=starter.at_once, thread_name_prefix="deep") as pool:
        has_check = starter.configuration.health_check is not None
        # The longest first, so that the others run beside it; one by one it is the last, as it is killed: what that
        # leaves behind in a volume is no fault of the next one.
        freezing = pool.submit(freeze, starter, lifted) if has_check and starter.at_once > 1 else None
        again = pool.submit(run_boot, starter, lifted=lifted)
        writing = pool.submit(run_boot, starter, lifted={*lifted, Restriction.READ_ONLY}) if first.read_only else None
        without = {
            name: pool.submit(run_boot, starter, lifted=lifted, without=name)
            for name in dict.fromkeys(contract.required_environment)
        }
        other = pool.submit(run_boot, starter, lifted=lifted, user=ARBITRARY_USER) if contract.arbitrary_uid else None
        if has_check and freezing is None:
            freezing = pool.submit(freeze, starter, lifted)
        return Starts(
            without={name: boot.result() for name, boot in without.items()},
            other_user=other.result() if other else None,
            again=again.result(),
            writable=writing.result() if writing else first,
            freeze=freezing.result() if freezing else None,
        )


def freeze(starter: Starter, lifted: tuple[Restriction, ...]) -> Freeze | Missing:
    """Start it, stop every process of it once it is healthy, and see what its health check makes of that.

    Raises:
        EngineError: the engine does not answer.

    """
    configuration = starter.configuration
    plan = starter.plan(lifted=lifted)
    # One bad answer is enough: how often the engine asks again is the engine's to keep, and nothing of the image.
    plan["Healthcheck"]["Retries"] = 1
    with engine_errors(f"freezing {configuration.reference}"), container(starter.run, plan) as booted:
        error = begin(booted)
        if error:
            return Missing(reason="it could not be started to be frozen", detail=error)
        seen = until_up(starter, booted, time.monotonic(), bare=True)
        if seen.healthy_after is None or seen.state["Status"] in ENDED:
            return Missing(reason="it did not become healthy when it was started to be frozen")
        python = starter.python.result(timeout=FREEZE_SECONDS)
        problem = _stop_all(booted, python, str(seen.state.get("Pid")))
        if problem:
            return Missing(reason="its processes could not be frozen", detail=problem)
        frozen = _until_unhealthy(starter, booted)
        kill(booted)
        return frozen


def _stop_all(booted: Container, python: str, pid: str) -> str:
    """Stop every process; return why that could not be done, or nothing."""
    import docker.errors

    client = booted.client
    try:
        if len(_states(client.top(booted.id, ps_args=COLUMNS), pid)) > 1 and not python:
            return "the image holds no Python interpreter to send the signal with"
        if python:
            made = client.exec_create(booted.id, [python, "-I", "-S", "-B", "-c", FREEZE], stdout=False, stderr=False)
            client.exec_start(made["Id"], detach=True)
            _until(booted, lambda: not client.exec_inspect(made["Id"])["Running"])
        client.kill(booted.id, signal="SIGSTOP")

        def all_stopped() -> bool:
            states = _states(client.top(booted.id, ps_args=COLUMNS), pid).values()
            return bool(states) and all(one.startswith(("T", "Z")) for one in states)

        stopped = _until(booted, all_stopped)
    except docker.errors.APIError as error:
        return str(error.explanation)
    return "" if stopped else f"after {FREEZE_SECONDS:g} s not all of them are seen to be stopped"


def _states(listed: Mapping[str, Any], first: str) -> dict[str, str]:
    """Return the states of PID 1, by its number, and of all below it; empty where the engine's table has them not."""
    titles = listed.get("Titles") or []
    if titles[:3] != ["PID", "PPID", "STAT"]:
        return {}
    rows = {row[0]: row for row in listed.get("Processes") or [] if len(row) >= 3}  # noqa: PLR2004 - its columns

    def below(number: str) -> bool:
        for _ in rows:
            if number == first:
                return True
            number = rows[number][1] if number in rows else ""
        return False

    return {number: row[2] for number, row in rows.items() if below(number)}


def _until(booted: Container, done: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + FREEZE_SECONDS
    while not (over := done()) and time.monotonic() < deadline:
        booted.wait(POLL)
    return over


def _until_unhealthy(starter: Starter, booted: Container) -> Freeze:
    check = starter.configuration.health_check
    # One check has to begin and to run into its timeout, whatever the contract allows.
    seconds = max(starter.contract.unhealthy_within, HEALTH_EVERY + (check.timeout if check else 0.0) + 1.0)
    began = time.monotonic()
    while True:
        state = booted.client.inspect_container(booted.id)["State"]
        passed = time.monotonic() - began
        unhealthy = health(state) is Health.UNHEALTHY
        if unhealthy or passed >= seconds or state["Status"] in ENDED:
            rows = (state.get("Health") or {}).get("Log") or [{}]
            return Freeze(
                unhealthy_after=passed if unhealthy else None,
                waited=passed,
                output=str(rows[-1].get("Output", ""))[:2000],
            )
        booted.wait(POLL)
