"""The env files and variables that a compose file asks for: there, or named with what its example says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.facts.compose import FILLED
from seatrial.stack.example import example_beside, sayings
from seatrial.stack.finding import blocked, note, ready

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from seatrial.facts.compose_file import ComposeText
    from seatrial.facts.data import ComposeVariable, EnvironmentFile
    from seatrial.stack.example import Saying
    from seatrial.stack.finding import Finding
    from seatrial.stack.model import Service


def look_at_variables(file: Path, text: ComposeText, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what is to be said of a compose file's env files and variables.

    Args:
        file: the compose file.
        text: what it says.
        environment: this process's own: compose prefers it to the `.env`.

    """
    env, example = file.parent / ".env", example_beside(file)
    said = sayings(example)
    if not env.is_file() and example is not None:
        yield missing_env(env, example)
    for one in text.files:
        # The `.env` has been spoken of already.
        if not (example is not None and file.parent / one.path == env):
            yield _env_file(file, one)
    values = _filled(env) | {name for name, value in environment.items() if value}
    for variable in text.variables:
        yield _variable(file, variable, values, said.get(variable.name))


def look_at_services(
    file: Path, services: Sequence[Service], own: Sequence[str], required: Sequence[str]
) -> Iterator[Finding]:
    """Yield what the app's own services lack of what its contract says that it cannot start without.

    Args:
        file: the compose file.
        services: its services.
        own: the services that run the app's own image.
        required: the variables of the contract's `required-environment`.

    """
    said = sayings(example_beside(file))
    for service in services:
        if service.name not in own or service.own_command:
            continue  # Another command than the image's may do without.
        for name in required:
            if name not in service.valued:
                saying = f"; {said[name]}" if name in said else ""
                yield blocked(
                    "variable",
                    f"the service {service.name!r} gets no value for {name}, and does not start without one{saying}.",
                    where=str(file),
                    fix=f"Set {name} in {file.parent / '.env'}.",
                )


def missing_env(env: Path, example: Path) -> Finding:
    """Return that a `.env` is missing whose example is there."""
    return blocked(
        "env file",
        "the env file is missing; an example stands beside it.",
        where=str(env),
        fix=f"Copy it and fill in your values: `cp {example} {env}`.",
    )


def _env_file(file: Path, named: EnvironmentFile) -> Finding:
    where = f"{file}:{named.line}"
    if named.there or (file.parent / named.path).is_file():
        return ready("env file", f"{named.path} is there", where=where)
    if named.optional:
        return note("env file", f"{named.path} is not there; the file says that it need not be", where=where)
    path = file.parent / named.path
    beside = next((one for one in _examples(path) if one.is_file()), None)
    return blocked(
        "env file",
        f"the env file {named.path} is missing" + (f"; {beside.name} stands beside it." if beside else "."),
        where=where,
        fix=f"Copy it and fill in your values: `cp {beside} {path}`." if beside else f"Make {path}.",
    )


def _variable(file: Path, variable: ComposeVariable, values: set[str], saying: Saying | None) -> Finding:
    where, name = f"{file}:{variable.line}", variable.name
    if name in values:
        return ready("variable", f"{name} has a value", where=where)
    more = f"; {saying}" if saying else ""
    if not variable.required:
        return note("variable", f"{name} has no value: compose puts nothing in its place{more}", where=where)
    wish = f": {variable.message}" if variable.message else ""
    return blocked(
        "variable",
        f"the variable {name} has no value{wish}{more}.",
        where=where,
        fix=f"Set {name} in {file.parent / '.env'} or in your environment.",
    )


def _filled(env: Path) -> set[str]:
    try:
        return set(FILLED.findall(env.read_text(encoding="utf-8", errors="replace")))
    except OSError:
        return set()


def _examples(path: Path) -> list[Path]:
    return [path.with_name(f"{path.name}{ending}") for ending in (".example", ".sample", ".template")]
