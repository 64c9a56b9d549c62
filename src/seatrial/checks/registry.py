"""The catalogue: every check, in the order that reports show it, and the checks of a user's own."""

from __future__ import annotations

import importlib.util
import pkgutil
import re
import sys
import traceback
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from importlib.metadata import entry_points
from itertools import chain
from pathlib import Path
from types import ModuleType

import seatrial.checks
from seatrial.checks.declaration import checks_of
from seatrial.checks.model import Check, Level, Outcome, UndecidedError
from seatrial.errors import SettingsError
from seatrial.settings.model import Contract
from seatrial.settings.read import Project, key_in
from seatrial.text import did_you_mean

GROUP = "seatrial.checks"
"""The entry-point group of modules with checks, in installed distributions."""


def own_checks(project: Project | None = None) -> tuple[Check, ...]:
    """Return the checks of installed distributions, and those of the modules that a project's settings name.

    A module of the project is its code, and runs on the host. docs/own-checks.md explains how to write one.

    Raises:
        SettingsError: a module cannot be loaded or declares no check, or an id is taken.

    """
    found: dict[str, Check] = {}
    for name, module in chain(_installed(), _named(project) if project else ()):
        checks = checks_of(module)
        if not checks:
            raise SettingsError(
                f"{name} declares no check.", where=module.__file__ or "", fix="docs/own-checks.md shows how."
            )
        for check in checks:
            if check.family in FAMILIES:
                raise SettingsError(
                    f"the check {check.id!r} is in a family of seatrial's own.",
                    where=_declared_at(check),
                    fix="Give it another family: a later version may have a check of that name.",
                )
            if check.id in found:
                raise SettingsError(
                    f"the check {check.id!r} is declared twice.",
                    where=_declared_at(check),
                    fix=f"The other one is in {_declared_at(found[check.id])}.",
                )
            found[check.id] = _guarded(check)
    return tuple(found.values())


def _installed() -> Iterator[tuple[str, ModuleType]]:
    for point in entry_points(group=GROUP):
        yield point.value, _loaded(partial(import_module, point.module), point.value, "", f"[{GROUP}]")


def _named(project: Project) -> Iterator[tuple[str, ModuleType]]:
    for name in project.settings.checks:
        base = project.folder.joinpath(*name.split("."))
        file = next((file for file in (base.with_suffix(".py"), base / "__init__.py") if file.is_file()), None)
        if file is None:
            raise SettingsError(
                f"there is no checks module {name!r}.",
                where=f"{project.file} {key_in(project.file, 'checks')}",
                fix=f"Name the module without its ending: {name.removesuffix('.py')!r}."
                if name.endswith(".py")
                else f"It is looked for in {base}.py, beside the settings.",
            )
        yield name, _loaded(partial(_executed, name, file), name, str(file), str(file))


def _executed(name: str, file: Path) -> ModuleType:
    """Run a module of the project. Its name here is one that no installed module has."""
    alias = f"seatrial_own_checks_{name.replace('.', '_')}"
    folders = [str(file.parent)] if file.name == "__init__.py" else None
    spec = importlib.util.spec_from_file_location(alias, file, submodule_search_locations=folders)
    if spec is None or spec.loader is None:
        raise ImportError(f"no loader for {file}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[alias] = module
    spec.loader.exec_module(module)
    return module


def _loaded(load: Callable[[], ModuleType], name: str, file: str, where: str) -> ModuleType:
    try:
        return load()
    except (Exception, SystemExit) as error:  # what a module of somebody else's raises is not known
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
        line = error.lineno if isinstance(error, SyntaxError) and error.filename == file else lines and lines[-1]
        said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise SettingsError(
            f"the checks of {name} cannot be loaded: {re.sub(r'^DeclarationError: ', '', said)}",
            where=f"{where}:{line}" if line else where,
            fix="docs/own-checks.md explains how to write a check.",
        ) from error


def _declared_at(check: Check) -> str:
    code = check.function.__code__
    return f"{code.co_filename}:{code.co_firstlineno}"


def _guarded(check: Check) -> Check:
    """Return a check whose own faults make it undecided, and nothing else."""

    def ask(**facts: object) -> Outcome:
        try:
            outcome = check.function(**facts)
        except UndecidedError:
            raise
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            said = f"{type(error).__name__}: {error}"
            raise UndecidedError(f"the check itself failed: {said}", f"in {last.filename}:{last.lineno}") from error
        if not isinstance(outcome, Outcome):
            raise UndecidedError(f"the check returned {outcome!r}, not an outcome", f"in {_declared_at(check)}")
        return outcome

    return replace(check, function=ask)


ORDER = (
    *("probe", "identity", "accounts", "process", "python", "runtime/deep-recursion", "packages", "app"),
    *("native/libraries-resolve", "app/code-read-only", "native", "bytecode", "system", "files", "config/workdir"),
    *("tools", "secrets/files", "health/declared", "secrets/environment", "size", "layers", "supply"),
    *(
        "identity/numeric-user",
        "process/exec-form",
        "health/command-exists",
        "config",
        "secrets",
        "boot",
        "boot/keeps-workers",
        "boot/answers",
        "process/pid1-is-app",
        "runtime",
    ),
    *("network", "health", "dockerfile", "context", "compose", "stack"),
)
"""The order of reports: a family, in its module's order, or a check that stands apart from its family."""


def _place(check: Check) -> int:
    names = (check.id, check.family)
    return next((ORDER.index(name) for name in names if name in ORDER), len(ORDER))


def _built_in() -> tuple[Check, ...]:
    found = pkgutil.walk_packages(seatrial.checks.__path__, f"{seatrial.checks.__name__}.")
    modules = [import_module(module.name) for module in found if module.name != __name__]
    return tuple(sorted(chain.from_iterable(map(checks_of, modules)), key=_place))


CATALOGUE: tuple[Check, ...] = _built_in()
"""All that can be asked, explained and waived: those of `smoke --stack` too, which need the app's services."""
CHECKS: tuple[Check, ...] = tuple(check for check in CATALOGUE if not check.stack)
"""What a smoke of an image asks."""
FAMILIES = frozenset(check.family for check in CATALOGUE)


def up_to(level: Level, own: Sequence[Check] = ()) -> tuple[Check, ...]:
    """Return the checks of a level and of those below it, then the project's own."""
    return tuple(check for check in (*CHECKS, *own) if not check.stack and check.level.rank <= level.rank)


def reading(facts: Collection[str], own: Sequence[Check] = ()) -> tuple[Check, ...]:
    """Return the checks of a smoke that read no other facts than these, by name, then the project's own such."""
    return tuple(check for check in (*CHECKS, *own) if all(name in facts for name, _ in check.parameters))


def of_family(family: str) -> tuple[Check, ...]:
    """Return the checks of a family."""
    return tuple(check for check in CATALOGUE if check.family == family)


def among_services(level: Level | None, own: Sequence[Check] = ()) -> tuple[Check, ...]:
    """Return the checks of `smoke --stack`: its own, and with a level those that read starts of the app."""
    of_stack = [check for check in (*CATALOGUE, *own) if check.stack]
    return (*of_stack, *(check for check in up_to(level, own) if check.among_services)) if level else tuple(of_stack)


def require_known(contract: Contract, where: str, own: Sequence[Check] = ()) -> None:
    """Refuse a waiver or another severity for what does not exist.

    Raises:
        SettingsError: with the nearest name.

    """
    checks = {check.id for check in (*CATALOGUE, *own)}
    families = {check.family for check in (*CATALOGUE, *own)}
    for key, what, names, known in (
        ("waive", "the waiver", contract.waive, checks),
        ("severity", "the severity", contract.severity, checks | families),
    ):
        if unknown := next((name for name in names if name not in known), None):
            raise SettingsError(
                f"{what} {unknown!r} is for a check that does not exist.",
                where=f"{where}{key}",
                fix=did_you_mean(unknown, known),
            )
