"""Puts the tasks together, as `invoke --list` shows them."""

from __future__ import annotations

import invoke

from seatrial.tasks import (
    building,
    contracting,
    demoing,
    deploying,
    doctor,
    engines,
    explaining,
    onboarding,
    running,
    smoking,
    stacks,
    starting,
)


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
        onboarding.onboard,
        building.build,
        contracting.contract,
        explaining.explain,
        stacks.up,
        stacks.down,
        stacks.ps,
        stacks.logs,
        running.restart,
        running.execute,
        deploying.deploy,
        demoing.demo,
        doctor.doctor,
        starting.init,
    )
    tasks.add_collection(smoke)
    tasks.add_collection(engine)
    return tasks
