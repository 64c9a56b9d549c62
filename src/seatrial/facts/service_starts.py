"""Starts an app anew among the services that are up: the boots of a smoke, with what they need in reach."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import msgspec

from seatrial.engine import runs
from seatrial.engine.containers import engine_errors
from seatrial.facts.boot import Starter
from seatrial.facts.boots import boots
from seatrial.facts.configuration import read_configuration
from seatrial.facts.data import Missing, ServiceStarts
from seatrial.facts.files import EngineFiles
from seatrial.facts.service import as_asked, as_configured, read_service
from seatrial.facts.start import find_python

if TYPE_CHECKING:
    from seatrial.engine.find import Engine
    from seatrial.settings.model import Contract


OTHERS_PORTS = Missing(reason="it shares the network of another container, whose ports are not told apart")


def start_as_service(engine: Engine, container: str, contract: Contract, *, deep: bool) -> ServiceStarts:
    """Start what a service's container runs, again and again, in containers of our own beside the other services.

    They have the contract's limits, and of the service its command, values, mounts and networks. One at a time: what
    stores in one database is not always meant to run twice.

    Args:
        engine: the engine.
        container: the id of the service's own container, by now stopped.
        contract: the limits, and what the starts are to show.
        deep: whether the deep starts are wanted.

    Raises:
        ImageError: its image is gone.
        EngineError: the engine does not answer.

    """
    with engine_errors("starting the app among its services"), runs.running(engine, pid=os.getpid()) as run:
        inspected = engine.client.api.inspect_container(container)
        configured = as_configured(read_configuration(engine, str(inspected["Image"])), inspected)
        found = find_python(configured, EngineFiles(engine.client.api, container), contract.interpreter)
        python: Future[str] = Future()
        python.set_result(found.path if found else "")
        starter = Starter(
            run=run,
            configuration=configured,
            contract=as_asked(contract, configured),
            python=python,
            service=read_service(inspected),
        )
        seconds: dict[str, float] = {}
        # In a thread: when this one is interrupted, the run ends first, and with it what the thread waits for.
        with ThreadPoolExecutor(max_workers=1) as beside, runs.ending(run):
            first, relaxed, starts = beside.submit(boots, starter, seconds, deep=deep).result()
        if starter.service is not None and starter.service.shares_network:
            first = msgspec.structs.replace(first, inside=OTHERS_PORTS)
        return ServiceStarts(configuration=configured, boot=first, relaxed=relaxed, starts=starts, seconds=seconds)
