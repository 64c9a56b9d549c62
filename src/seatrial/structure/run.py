"""Runs what a plan asks: commands in containers of their own, files through one container that is never started."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from seatrial.engine import runs
from seatrial.engine.containers import container, refusal, run_to_end
from seatrial.engine.runs import committed
from seatrial.structure.archive import Archive
from seatrial.structure.plan import CommandPlan, ContentPlan, ExistencePlan, LicencePlan, MetadataPlan
from seatrial.structure.seen import Cut, Licences, Ran, Refused, Seen

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    import docker.errors

    from seatrial.engine.containers import Container
    from seatrial.engine.runs import Run
    from seatrial.facts import Json
    from seatrial.structure.plan import FilePlan, Plan, TestPlan

SECONDS = 600.0
"""A command may take so long; the tool waits for ever."""
MOST_OUTPUT = 16 * 1024 * 1024
"""Bytes that a command may write."""
BESIDE = 4
"""Commands that run at once: starting a container is mostly waiting for the engine."""
STREAM_HEADER = 8
"""Bytes before each piece of output that says which stream it belongs to; a terminal's has none."""
KILLED = 137
"""The exit code of what was killed, as by the memory limit."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A test, what was seen for it, and the seconds that took."""

    test: TestPlan
    seen: Seen | None = None
    """None for a metadata test: the configuration is in its plan."""
    seconds: float = 0.0


def run_plans(run: Run, plans: Sequence[Plan]) -> list[Row]:
    """Return what was seen for each test, in the files' order.

    Where commands of a file reach the host, everything runs one after another, as the tool does it: a later test
    may look at what an earlier one left there.

    Raises:
        EngineError: the engine is gone.

    """
    alone = any(plan.in_order for plan in plans)
    with ThreadPoolExecutor(max_workers=1 if alone else BESIDE) as pool, runs.ending(run):
        later: list[Future[list[Row]]] = []
        for plan in plans:
            commands = [pool.submit(_command_row, run, test) for test in plan.tests if isinstance(test, CommandPlan)]
            files = [test for test in plan.tests if not isinstance(test, CommandPlan | MetadataPlan)]
            later += [*commands, *([pool.submit(_file_rows, run, plan.files, files)] if files else [])]
        found = {row.test.origin.id: row for one in later for row in one.result()}
    return [found.get(test.origin.id) or Row(test=test) for plan in plans for test in plan.tests]


def _command_row(run: Run, plan: CommandPlan) -> list[Row]:
    started = time.perf_counter()
    seen = _command(run, plan)
    return [Row(test=plan, seen=seen, seconds=time.perf_counter() - started)]


def _command(run: Run, plan: CommandPlan) -> Ran | Refused | Cut:
    import docker.errors

    if plan.handed_on.missing:
        return Refused(reason=f"not set, and so not handed on: {', '.join(plan.handed_on.missing)}")
    image = plan.config["Image"]
    with ExitStack() as stack:
        for step in plan.setup:
            try:
                made = stack.enter_context(container(run, {**step, "Image": image}))
                seen = _ran(made)
                if isinstance(seen, Cut):
                    return Cut(reason=f"in its setup, {seen.reason}")
                image = stack.enter_context(committed(run, made))
            except docker.errors.APIError as error:
                return _refused(error, "in its setup, ")
        try:
            seen = _ran(stack.enter_context(container(run, {**plan.config, "Image": image})))
        except docker.errors.APIError as error:
            return _refused(error)
    return _untangled(seen) if plan.config["Tty"] and isinstance(seen, Ran) else seen


def _untangled(seen: Ran) -> Ran | Refused:
    """Return what the tool makes of a terminal's output: it looks for the marks of two streams, and there are none."""
    if len(seen.out) < STREAM_HEADER:
        return Ran(out=b"", errors=b"", code=seen.code)
    return Refused(reason="the output came through a terminal, which the tool cannot read; leave allocateTty out")


def _ran(made: Container) -> Ran | Cut:
    output = run_to_end(made, seconds=SECONDS, most=MOST_OUTPUT)
    if output.late:
        return Cut(reason=f"the command was stopped after {SECONDS:g} s")
    if output.cut or output.code is None:
        return Cut(reason=f"the command was stopped when it had written {MOST_OUTPUT} bytes")
    if output.code == KILLED and made.client.inspect_container(made.id)["State"]["OOMKilled"]:
        return Cut(reason="the command was killed at the contract's memory limit; `memory` in the contract raises it")
    return Ran(out=output.out, errors=output.errors, code=output.code)


def _refused(error: docker.errors.APIError, where: str = "") -> Refused:
    """Return why a container could not be made or started; the engine's own faults are raised again."""
    if error.explanation is None:
        raise error
    return Refused(reason=f"{where}the engine refused: {refusal(error)}")


def _file_rows(run: Run, config: Json, tests: Sequence[FilePlan]) -> list[Row]:
    import docker.errors

    rows: list[Row] = []
    try:
        with container(run, config) as made:
            archive = Archive(made.client, made.id)
            for test in tests:
                started = time.perf_counter()
                seen = _file(archive, test)
                rows.append(Row(test=test, seen=seen, seconds=time.perf_counter() - started))
    except docker.errors.APIError as error:
        rows += [Row(test=test, seen=_refused(error)) for test in tests[len(rows) :]]
    return rows


def _file(archive: Archive, test: FilePlan) -> Seen:
    match test:
        case ExistencePlan():
            return archive.stat(test.path)
        case ContentPlan():
            return archive.contents(test.test.path)
        case LicencePlan():
            return _licences(archive, test)
        case _:
            assert_never(test)


def _licences(archive: Archive, plan: LicencePlan) -> Licences | Refused | Cut:
    debian = archive.licences() if plan.test.debian else ()
    if isinstance(debian, Refused | Cut):
        return debian
    return Licences(texts=(*debian, *((path, archive.contents(path)) for path in plan.test.files)))
