"""Proves an image by structure test files: read, plan, run, judge."""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from seatrial.checks.model import Result, Status
from seatrial.checks.verdict import Smoke, bounded, clipped, verdict_of
from seatrial.engine import runs
from seatrial.engine import runs as sweep
from seatrial.engine.containers import engine_errors
from seatrial.observe.configuration import read_configuration
from seatrial.structure.dotenv import read_dotenv
from seatrial.structure.judge import judge_command, judge_contents, judge_existence, judge_licences, judge_metadata
from seatrial.structure.plan import (
    CommandPlan,
    ContentPlan,
    ExistencePlan,
    HandedOn,
    LicencePlan,
    MetadataPlan,
    Names,
    image_config,
    plan_file,
)
from seatrial.structure.read import read_structure_file
from seatrial.structure.run import run_plans
from seatrial.structure.seen import Refused
from seatrial.structure.tree import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from seatrial.checks.model import Outcome
    from seatrial.engine.find import Engine
    from seatrial.settings.model import Contract
    from seatrial.structure.model import RunOptions, StructureFile
    from seatrial.structure.run import Row

WHY = "A structure test of the project says so."
NOT_RUN = Refused(reason="it was not run")


def read_files(files: Sequence[Path]) -> dict[Path, StructureFile]:
    """Return what the files say; before an engine is asked for anything.

    Raises:
        SettingsError: one cannot be read, or says something wrong.

    """
    return {file: read_structure_file(file) for file in files}


def prove(
    files: Mapping[Path, StructureFile],
    reference: str,
    contract: Contract,
    engine: Engine,
    *,
    environment: Mapping[str, str],
    folder: Path,
    say: Callable[[str], None] = lambda _: None,
) -> Smoke:
    """Prove an image.

    Args:
        files: what to prove.
        reference: the image.
        contract: whose limits on memory and processes hold.
        engine: where the image is.
        environment: the caller's own, of which a file may hand on variables by name.
        folder: where an env file that a file names is looked for.
        say: told what is under way.

    Raises:
        ImageError: the engine has no such image.
        EngineError: the engine stopped answering.

    """
    started = time.perf_counter()
    handed_on = {file: _handed_on(said.container_run_options, environment, folder) for file, said in files.items()}
    with engine_errors(f"testing the structure of {reference}"), runs.running(engine, pid=os.getpid()) as run:
        sweep.start(engine, runs.owner(os.getpid()))
        configuration = read_configuration(engine, reference)
        image = image_config(engine.client.api.inspect_image(configuration.id))  # type: ignore[no-untyped-call]
        names = Names()
        plans = [
            plan_file(str(file), said, image, contract, handed_on=handed_on[file], names=names)
            for file, said in files.items()
        ]
        say("running structure tests")
        rows = run_plans(run, plans)
    results = tuple(_result(row) for row in rows)
    counts = Counter(one.status for one in results)
    return Smoke(
        image=clipped(reference),
        id=configuration.id,
        verdict=verdict_of(results),
        seconds=round(time.perf_counter() - started, 3),
        counts={status: counts.get(status, 0) for status in Status},
        checks=results,
    )


def joined(smoke: Smoke, structure: Smoke) -> Smoke:
    """Return the contract's checks and the structure tests of one image as one smoke."""
    results = (*smoke.checks, *structure.checks)
    counts = Counter(one.status for one in results)
    return Smoke(
        image=smoke.image,
        id=smoke.id,
        verdict=verdict_of(results),
        seconds=round(smoke.seconds + structure.seconds, 3),
        counts={status: counts.get(status, 0) for status in Status},
        checks=results,
        app=smoke.app,
        python=smoke.python,
        level=smoke.level,
        timings={**smoke.timings, "structure": structure.seconds},
    )


def _result(row: Row) -> Result:
    outcome = _outcome(row)
    return Result(
        id=row.test.origin.id,
        title=row.test.origin.title,
        status=outcome.status,
        expected=clipped(outcome.expected),
        actual=clipped(outcome.actual),
        why=WHY,
        fix=clipped(outcome.fix),
        evidence=bounded(outcome.evidence),
        seconds=round(row.seconds, 6),
        where=row.test.origin.where,
    )


def _outcome(row: Row) -> Outcome:
    test, seen = row.test, row.seen or NOT_RUN
    match test:
        case CommandPlan():
            return _noted(judge_command(test.test, seen), test.handed_on.note)
        case ExistencePlan():
            return judge_existence(test.test, test.path, seen)
        case ContentPlan():
            return judge_contents(test.test, test.test.path, seen)
        case MetadataPlan():
            return judge_metadata(test.test, test.config)
        case LicencePlan():
            return judge_licences(seen)
        case _:
            assert_never(test)


def _noted(outcome: Outcome, note: str) -> Outcome:
    return replace(outcome, evidence=(note, *outcome.evidence)) if note else outcome


def _handed_on(options: RunOptions, environment: Mapping[str, str], folder: Path) -> HandedOn:
    """Return what the commands' environment gets besides: the env file's variables, then the caller's own."""
    found, note = _env_file(folder / options.env_file) if options.env_file else ({}, "")
    own = {name: environment[name] for name in options.env_vars if environment.get(name)}
    return HandedOn(
        variables=found | own,
        missing=tuple(name for name in options.env_vars if not environment.get(name)),
        note=note,
    )


def _env_file(file: Path) -> tuple[dict[str, str], str]:
    try:
        said = read_dotenv(file.read_text(encoding="utf-8", errors="replace"))
    except (OSError, ValueError) as error:
        return {}, f"the env file {file} cannot be read: {getattr(error, 'strerror', None) or error}"
    except SourceError as error:
        return {}, f"the env file {file}, line {error.line}: {error.what}"
    return {key: value for key, value in said.items() if key and value}, ""
