"""The requests that a contract names: where they go, what comes of them, and what cannot be sent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.boot_engine import BootEngine, Script, asked, installed
from tests.unit.factories import configuration, inside

from seatrial.facts import Listener, Unavailable
from seatrial.observe.running.boot import run_boot
from seatrial.observe.running.questions import port_of, send_requests
from seatrial.settings.model import Answer, Contract

if TYPE_CHECKING:
    from seatrial.facts import ProcInfo

ASKED = (Answer(path="/", pattern="<h1>"), Answer(path="/items", method="POST", status=201, port=9000))


def listening(*ports: int) -> ProcInfo:
    return inside(listeners=tuple(Listener(protocol="tcp", address="0.0.0.0", port=port) for port in ports))  # noqa: S104


@pytest.mark.parametrize(
    ("exposed", "ports", "port"),
    [
        (("8000/tcp",), (), 8000),
        (("8000/tcp", "53/udp"), (9000,), 8000),
        ((), (9000,), 9000),
        ((), (9000, 9001), None),
        (("8000/tcp", "8001/tcp"), (8001, 9000), 8001),
        ((), (), None),
    ],
)
def test_which_port_is_asked(exposed: tuple[str, ...], ports: tuple[int, ...], port: int | None) -> None:
    assert port_of(configuration(exposed_ports=exposed), listening(*ports)) == port


def replying(monkeypatch: pytest.MonkeyPatch, *replies: dict[str, Any]) -> BootEngine:
    engine = installed(monkeypatch, Script())
    known = engine.exec_start

    def start(identity: str, **options: Any) -> Any:
        if identity in engine.execs or not options.get("socket"):
            return known(identity, **options)
        return asked(lambda text: json.dumps(replies if b"REQUEST = " in text else {}).encode())

    monkeypatch.setattr(engine, "exec_start", start)
    return engine


def test_they_are_sent_once_the_start_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = replying(
        monkeypatch,
        {"status": 200, "body": "<h1>", "held": True, "seconds": 0.1},
        {"error": "nothing listens on port 9000", "held": False, "seconds": 0.1},
    )
    contract = Contract(answers=ASKED)
    boot = run_boot(engine.starter(contract, exposed_ports=("8000/tcp",)))
    assert isinstance(boot.answered, tuple)
    first, second = boot.answered
    assert (first.request, first.wanted) == ("GET / on port 8000", "status 200, and a body that holds `<h1>`")
    assert (first.held, str(first), str(second)) == (True, "status 200", "nothing listens on port 9000")
    assert second.request == "POST /items on port 9000"
    late = replying(monkeypatch)
    late.scripts = [Script(healthy=None)]
    assert run_boot(late.starter(contract.__class__(answers=ASKED, healthy_within=2.0))).answered == ()


def test_what_cannot_be_asked_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = replying(monkeypatch)
    silent = inside(listeners=())
    nowhere = send_requests(engine.starter(exposed_ports=()), "c0", ASKED, silent)
    assert isinstance(nowhere, Unavailable)
    assert "set `port`" in nowhere.reason
    without = send_requests(engine.starter(python="", exposed_ports=("1/tcp",)), "c0", ASKED, silent)
    assert isinstance(without, Unavailable)
    run_boot(engine.starter())
    garbled = send_requests(engine.starter(exposed_ports=("1/tcp",)), "c0", ASKED, silent)
    assert isinstance(garbled, Unavailable)
    assert "answered for 0 of the contract's 2 requests" in garbled.reason
