"""Drafts a contract from the facts of an image that works."""

from __future__ import annotations

import math
import posixpath
import re
from typing import TYPE_CHECKING, Any

import msgspec
from packaging.utils import canonicalize_name

from seatrial.checks.model import Level
from seatrial.facts import INSTALLERS, Boot, Probe, ProjectFacts, ResolvedCommand, Unavailable
from seatrial.observe.command.application import APPLICATION, SERVERS
from seatrial.requirements import names_of
from seatrial.settings.model import Contract
from seatrial.smoke.images import Target, observe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from seatrial.engine.find import Engine
    from seatrial.facts import Distribution, Facts

HEADROOM = 10
"""Percent that an image may grow."""
TIMES_SLOWER = 5
"""How much slower than here a start and a stop may be on another machine."""
LEAST_SECONDS = 10
MOST_SECONDS = 3600
TEMPORARY = ("/tmp",)  # noqa: S108 - a path inside the image
NOT_THE_APPLICATION = {"tests", "test", "docs", "examples", "scripts"}
"""Packages beside an application's that are not part of it."""
MOST_NAMES = 100
VARIABLE = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b")
"""How messages name variables: DATABASE_URL."""


PATIENCE = 60.0
"""Seconds until it must be healthy, as long as nobody has set a limit."""


def draft_image(
    image: str, environment: Mapping[str, str], engine: Engine, say: Callable[[str], None]
) -> tuple[Facts, Contract]:
    """Observe an image, draft its contract, and observe again what the draft names and the first look did not know.

    Raises:
        ImageError: the engine has no such image.
        EngineError: it does not answer, or stopped answering.

    """
    asked = Contract(environment=dict(environment), healthy_within=PATIENCE)
    facts = observe(_target(image, asked), engine, Level.STANDARD, say)
    drafted = draft(facts, environment)
    # With another tmpfs it starts another way: that has to be observed too.
    level = Level.QUICK if drafted.tmpfs == asked.tmpfs else Level.STANDARD
    again = observe(_target(facts.configuration.id, drafted), engine, level, say)
    if level is Level.QUICK or working_boot(again) is None:
        again = msgspec.structs.replace(again, boot=facts.boot, relaxed=facts.relaxed)
    again = msgspec.structs.replace(again, configuration=facts.configuration)
    final = msgspec.structs.replace(draft(again, environment), tmpfs=drafted.tmpfs)
    return without_guesses(again, final), final


def _target(image: str, contract: Contract) -> Target:
    return Target(reference=image, contract=contract, project=ProjectFacts())


def draft(facts: Facts, environment: Mapping[str, str]) -> Contract:
    """Return what the image is, as a contract, by facts of level standard; the rest stays at the defaults.

    `environment` is what the application was started with.
    """
    values: dict[str, Any] = {"environment": dict(environment)}
    seen = (*_identity(facts), *_python(facts), *_running(facts))
    # An image chooses the names of its accounts and packages: what a contract cannot hold is left out.
    values.update((key, value) for key, value in seen if value not in {None, "", ()} and _fits(key, value))
    return Contract(**values)


def without_guesses(facts: Facts, contract: Contract) -> Facts:
    """Return the facts without the imports that failed and that the contract does not ask for: they were guesses."""
    if isinstance(facts.probe, Unavailable) or isinstance(facts.command, Unavailable):
        return facts
    asked = {*contract.modules, *facts.command.modules}
    kept = tuple(module for module in facts.probe.imports if module.name in asked)
    return msgspec.structs.replace(facts, probe=msgspec.structs.replace(facts.probe, imports=kept))


def _fits(key: str, value: object) -> bool:
    try:
        msgspec.convert({key.replace("_", "-"): value}, Contract)
    except msgspec.ValidationError:
        return False
    return True


def _identity(facts: Facts) -> Iterator[tuple[str, Any]]:
    if isinstance(facts.probe, Probe):
        seen = facts.probe.identity
        yield from (("user", seen.name), ("uid", seen.uid), ("gid", seen.gid))
    elif isinstance(facts.command, ResolvedCommand):
        account = facts.command.account
        yield from (("user", account.name), ("uid", account.uid), ("gid", next(iter(account.gids), None)))


def _python(facts: Facts) -> Iterator[tuple[str, Any]]:
    start, probe = facts.command, facts.probe
    if isinstance(start, Unavailable) or isinstance(probe, Unavailable):
        return
    yield "python", ".".join(probe.interpreter.version.split(".")[:2])
    if not _named_by_command(start):
        yield "interpreter", start.python
    failed = {module.name for module in probe.imports if not module.ok}
    modules = dict.fromkeys((*_named(probe, start), *_own_packages(probe, start)))
    yield "modules", tuple(module for module in modules if module not in failed and _fits("modules", (module,)))
    yield "dependencies", tuple(name for name in _direct(probe, start) if _fits("dependencies", (name,)))
    yield "executables", tuple(name for name in _programs(facts, start, probe) if _fits("executables", (name,)))


def _named_by_command(start: ResolvedCommand) -> bool:
    """Tell whether the command itself names the interpreter: then it is not repeated in the contract."""
    paths = {path.steps[0] for path in (start.program, *(script.resolved for script in start.scripts)) if path}
    interpreters = {script.interpreter for script in start.scripts}
    return not start.python or start.python in paths | interpreters


def _own(probe: Probe, start: ResolvedCommand) -> Distribution | None:
    """Return the application's own distribution: installed from a folder, or the one that its command belongs to."""
    program = posixpath.basename(_word(start))
    mine = [package for package in probe.distributions if not package.base]
    built = [package for package in mine if package.origin and not package.origin.endswith((".whl", ".gz", ".zip"))]
    started = [package for package in mine if program in package.scripts and program not in SERVERS]
    return next(iter((*built, *started)), None)


def _word(start: ResolvedCommand) -> str:
    return start.word or next(iter(start.words), "")


def _named(probe: Probe, start: ResolvedCommand) -> tuple[str, ...]:
    """Return the modules that the command names, also as arguments of the application's own launcher."""
    own = _own(probe, start)
    mine = {*probe.own_packages, *(own.packages if own else ())}
    named = filter(None, map(APPLICATION.fullmatch, start.words))
    applications = [f"{match[1]}:{match[2]}" for match in named if match[1].partition(".")[0] in mine]
    return tuple(dict.fromkeys((*start.modules, *applications)))


def _own_packages(probe: Probe, start: ResolvedCommand) -> tuple[str, ...]:
    own = _own(probe, start)
    named = {module.partition(":")[0].partition(".")[0] for module in _named(probe, start)}
    packages = dict.fromkeys((*(own.packages if own else ()), *probe.own_packages))
    return tuple(package for package in packages if package not in named | NOT_THE_APPLICATION)[:MOST_NAMES]


def _direct(probe: Probe, start: ResolvedCommand) -> tuple[str, ...]:
    """Return the packages to require: the application and its requirements, or those that no other requires."""
    listed = {canonicalize_name(package.name): package for package in probe.distributions if not package.base}
    own = _own(probe, start)
    if own is not None:
        wanted = (canonicalize_name(own.name), *names_of(own.requires, probe.interpreter.version))
        return tuple(name for name in dict.fromkeys(wanted) if name in listed)[:MOST_NAMES]
    # Markers are ignored: what only an extra requires is not a direct dependency either.
    asked = {name for package in listed.values() for name in names_of(package.requires)}
    return tuple(name for name in listed if name not in asked and name not in INSTALLERS)[:MOST_NAMES]


def _programs(facts: Facts, start: ResolvedCommand, probe: Probe) -> tuple[str, ...]:
    """Return the programs that the image itself names, of those that are on PATH."""
    check = facts.configuration.health_check
    own = _own(probe, start)
    words = [_word(start), *start.words, *start.starters, *(own.scripts if own else ())]
    if check is not None and check.test[0] == "CMD" and len(check.test) > 1:
        words.append(check.test[1])
    there = {program.path for program in probe.executables if program.path}
    there |= {script.path for script in probe.scripts}
    if start.program is not None and start.program.entry is not None:
        there.add(start.program.steps[0])
    if start.python:
        there.add(start.python)
    names = {posixpath.basename(path) for path in there}
    return tuple(word for word in dict.fromkeys(words) if "/" not in word and word in names)[:MOST_NAMES]


def _running(facts: Facts) -> Iterator[tuple[str, Any]]:
    yield "max_unpacked", roomy(facts.configuration.unpacked)
    yield "tmpfs", (*TEMPORARY, *written_folders(facts))
    boot = working_boot(facts)
    if boot is None:
        return
    if boot.healthy_after is not None:
        yield "healthy_within", generous(boot.healthy_after)
    if boot.stop is not None and not boot.stop.killed:
        yield "stops_within", generous(boot.stop.seconds)


def working_boot(facts: Facts) -> Boot | None:
    """Return the start that succeeded and was over, the hardened one first; None where none was."""
    starts = (boot for boot in (facts.boot, *facts.relaxed) if isinstance(boot, Boot))
    return next((boot for boot in starts if boot.came_up and boot.finished), None)


def written_folders(facts: Facts) -> tuple[str, ...]:
    """Return the folders that it needs to write to: it started only on a writable root, and wrote there."""
    boot = working_boot(facts)
    if boot is None or boot.read_only:
        return ()
    folders = dict.fromkeys(posixpath.dirname(path) for path in boot.written)
    # A tmpfs hides what the image holds below it.
    kept = [folder for folder in folders if folder not in {"/", "", facts.configuration.working_directory}]
    return tuple(folder for folder in kept if _fits("tmpfs", (folder,)))[:10]


def wanted_variables(facts: Facts) -> tuple[str, ...]:
    """Return the unset variables that its last lines name, where it did not start."""
    if working_boot(facts) is not None or not isinstance(facts.boot, Boot):
        return ()
    said = " ".join(facts.boot.log[-30:])
    known = facts.configuration.environment
    return tuple(dict.fromkeys(name for name in VARIABLE.findall(said) if name not in known))[:20]


def roomy(size: int) -> str:
    """Return a size with headroom, rounded up to two or three figures: `350 MB`."""
    million = 1_000_000
    wanted = max(1, -(-size * (100 + HEADROOM) // (100 * million)))
    step = 1 if wanted < 50 else 5 if wanted < 200 else 10 if wanted < 1000 else 100  # noqa: PLR2004 - steps of size
    return f"{math.ceil(wanted / step) * step} MB"


def generous(seconds: float) -> float:
    """Return a limit that holds on a slower machine, too."""
    wanted = max(LEAST_SECONDS, math.ceil(seconds * TIMES_SLOWER / 5) * 5)
    return float(min(MOST_SECONDS, wanted))
