"""The commands, as `invoke --list` shows them."""

from __future__ import annotations

import invoke

from seatrial.cli import build, contract, demo, deploy, doctor, explain, init, onboard, restart, stacks
from seatrial.cli import engine as engines
from seatrial.cli import smoke as smoking


def collection() -> invoke.Collection:
    """Return all tasks."""
    smoke = invoke.Collection("smoke")
    smoke.add_task(smoking.smoke, name="all", default=True)
    smoke.add_task(smoking.whoami)
    smoke.add_task(smoking.pip_list, name="pip-list")
    smoke.add_task(smoking.size)
    engine = invoke.Collection("engine")
    engine.add_task(engines.status, default=True)
    engine.add_task(engines.start)
    engine.add_task(engines.stop)
    engine.add_task(engines.remove)
    tasks = invoke.Collection(
        onboard.onboard,
        build.build,
        contract.contract,
        explain.explain,
        stacks.up,
        stacks.down,
        stacks.ps,
        stacks.logs,
        restart.restart,
        restart.execute,
        deploy.deploy,
        demo.demo,
        doctor.doctor,
        init.init,
    )
    tasks.add_collection(smoke)
    tasks.add_collection(engine)
    return tasks
