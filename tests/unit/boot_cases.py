"""For each check of a running application, facts that fail it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.unit.factories import PYTHON, boot, configuration, facts, inside, start, starts

from seatrial.facts import (
    Answered,
    CommandOverride,
    Exit,
    Freeze,
    Health,
    HealthAnswer,
    HealthCheck,
    Listener,
    ProcessList,
    Restart,
    Restriction,
)

if TYPE_CHECKING:
    from typing import Any

    from seatrial.facts import Boot, Facts


def down(**changed: Any) -> Boot:
    """Return a start that ended at once."""
    ended = {"health": Health.STARTING, "healthy_after": None, "exit": Exit(code=1, after=0.2), "stop": None}
    return boot(**{**ended, "answers": (), **changed})


def listening(*addresses: str, exposed: tuple[str, ...] = ()) -> Facts:
    """Return facts of an image that listens on addresses such as `0.0.0.0 8000 tcp`."""
    listeners = tuple(
        Listener(protocol="udp" if kind == "udp" else "tcp", address=host, port=int(port))
        for host, port, kind in (address.split() for address in addresses)
    )
    return facts(configuration=configuration(exposed_ports=exposed), boot=boot(proc=inside(listeners=listeners)))


def running(*commands: str, **changed: Any) -> Facts:
    """Return facts of an image that runs these processes, PID 1 first."""
    return facts(boot=boot(process_list=ProcessList(first=commands[0], commands=commands), **changed))


CHECK = HealthCheck(test=("CMD", "check"), interval=30, timeout=5, start_period=0, retries=3)

FAILING: dict[str, Facts] = {
    "boot/drop-capabilities": facts(boot=down(), relaxed=(boot(lifted=(Restriction.CAPABILITIES,)),)),
    "boot/no-new-privileges": facts(boot=down(), relaxed=(boot(lifted=(Restriction.NO_NEW_PRIVILEGES,)),)),
    "boot/limits": facts(boot=down(), relaxed=(boot(lifted=(Restriction.LIMITS,)),)),
    "boot/first-log": facts(boot=boot(first_log=None, log=())),
    "boot/keeps-workers": facts(
        boot=boot(log=("Traceback (most recent call last):", "INFO:     Child process [8] died"))
    ),
    "boot/missing-environment": facts(deep=starts(without={"DATABASE_URL": boot()})),
    "boot/arbitrary-uid": facts(deep=starts(other_user=down())),
    "boot/recreate": facts(deep=starts(again=down())),
    "boot/answers": facts(
        boot=boot(answered=(Answered(request="GET / on port 8000", wanted="status 200", status=500, body="oops"),))
    ),
    "boot/starts-after-kill": facts(deep=starts(killed=Restart(boot=down(), files=("/data/beat.pid",)))),
    "boot/writes-declared": facts(
        deep=starts(writable=boot(lifted=(Restriction.READ_ONLY,), written=("/app/logs/shop.log",)))
    ),
    "process/reaps-children": facts(boot=boot(proc=inside(zombies=("sleep", "sleep"), more_zombies=True))),
    "process/variables-expand": facts(configuration=configuration(command=("shop", "--port", "$PORT"))),
    "process/line-ends": facts(command=start(sourced=("/start.sh",), windows_files=("/start.sh",))),
    "process/pid1-is-app": running("/bin/sh /start.sh", f"{PYTHON} -m shop"),
    "runtime/production-server": facts(command=start(development="flask run")),
    "runtime/worker-heartbeat": running(
        f"{PYTHON} /app/.venv/bin/gunicorn shop:app --worker-tmp-dir /var/lib/shop", proc=inside()
    ),
    "runtime/worker-count": facts(boot=boot(workers=129, proc=inside(host_processors=64))),
    "runtime/command-override": facts(
        configuration=configuration(entrypoint=("/start.sh",)),
        override=CommandOverride(ran=False, happened="it ended with exit code 1", output="no\nsuch"),
    ),
    "network/exposed-ports": listening("127.0.0.1 8000 tcp", exposed=("8000/tcp",)),
    "network/no-privileged-ports": listening("0.0.0.0 80 tcp", exposed=("80/tcp",)),
    "health/cheap": facts(
        configuration=configuration(health_check=CHECK),
        boot=boot(answers=(HealthAnswer(exit_code=0, output="", seconds=2.6),)),
    ),
    "health/detects-freeze": facts(deep=starts(freeze=Freeze(unhealthy_after=None, waited=60.0, output="ok\n"))),
}
