"""The env files and variables that a compose file asks for, and what the example beside it says of them."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from msgspec import structs

from seatrial.compose.readiness import Finding, blocked, note, ready
from seatrial.compose.runner import ALONE, Beside, Compose
from seatrial.compose.text import ComposeText
from seatrial.errors import StackError
from seatrial.facts import ComposeVariable, EnvironmentFile, Service
from seatrial.filesystem import exists, is_file, read_bytes
from seatrial.text import plain_line
from seatrial.yaml_tree import at

ENDINGS = (".example", ".sample", ".template")
EXAMPLES = (*(f".env{ending}" for ending in ENDINGS), "env.example")
ASSIGNED = re.compile(r"^[ \t]*(?:#[ \t]*)?(?:export[ \t]+)?(?P<name>[A-Za-z_]\w*)[ \t]*=(?P<value>.*)$")
"""A line of an example that names a variable. One that is commented out shows its default."""
LONGEST_EXPLANATION = 300
ENVIRONMENT = "the environment"


def variable_sources(compose: Compose, names: Iterable[str]) -> dict[str, str]:
    """Return where compose takes variables from: the environment or its `.env`. Those without a value are left out.

    Raises StackError: compose does not take the env file.
    """
    files = compose.env_files or compose.stack.beside.values(compose.file)
    others = not (compose.env_files or compose.stack.beside.env_files) and "COMPOSE_ENV_FILES" in compose.environment
    values = compose.values(names) if others or any(map(exists, files)) else compose.environment
    source = "an env file" if others else " or ".join(file.name for file in files)
    return {name: ENVIRONMENT if name in compose.environment else source for name in names if values.get(name)}


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What an example says of a variable."""

    file: str
    comment: str
    """The comment lines right above it, as one."""
    value: str
    """The example's own value: it is in version control, and so no secret."""

    def __str__(self) -> str:
        """Return it as the rest of a sentence that begins with the variable's name."""
        if not (self.comment or self.value):
            return f"{self.file} names it and leaves it empty"
        says = f" says: {self.comment}" if self.comment else " names it"
        return f"{self.file}{says}" + (f" (its example: {self.value})" if self.value else "")


def candidates(env: Path) -> tuple[Path, ...]:
    """Return all that may be read for an env file: itself, or an example next to it, the first that exists."""
    names = EXAMPLES if env.name == ".env" else [f"{env.name}{ending}" for ending in ENDINGS]
    return (env, *(env.parent / name for name in names))


def example_of(env: Path) -> Path | None:
    """Return the example next to where an env file lies, or None."""
    return next(filter(exists, candidates(env)[1:]), None)


def examples(file: Path, beside: Beside) -> list[Path]:
    """Return the examples of the env files that a compose file's variables come from."""
    return [example for env in beside.values(file) if (example := example_of(env)) is not None]


def explained_in(files: Iterable[Path]) -> dict[str, Explanation]:
    """Return what examples say, by variable; the first holds."""
    found: dict[str, Explanation] = {}
    for file in files:
        found = explanations(file) | found
    return found


def explanations(example: Path) -> dict[str, Explanation]:
    """Return what an example says, by variable; nothing where it cannot be read."""
    try:
        text = read_bytes(example, MOST_BYTES).decode("utf-8", errors="replace")
    except OSError:
        return {}
    return read_explanations(text, example.name)


def read_explanations(text: str, file: str) -> dict[str, Explanation]:
    """Return what the text of an example says, by variable."""
    found: dict[str, Explanation] = {}
    comment: list[str] = []
    for line in text.splitlines():
        if assigned := ASSIGNED.match(line):
            above = plain_line(" ".join(comment))[:LONGEST_EXPLANATION]
            value = plain_line(assigned["value"])[:LONGEST_EXPLANATION]
            found.setdefault(assigned["name"], Explanation(file=file, comment=above, value=value))
        if line.lstrip().startswith("#") and not assigned:
            comment.append(line.lstrip("# \t"))
        else:
            comment = []
    return found


MOST_BYTES = 1024 * 1024
"""Of an example."""
OWNER_ONLY = 0o600
"""The file holds secrets: only its owner may read it."""


def to_copy(file: Path, beside: Beside) -> dict[Path, Path]:
    """Return the missing env files of a compose file that an example can be copied to, each with that."""
    missing = [env for env in beside.values(file) if not exists(env)]
    return {env: example for env in missing if (example := example_of(env)) is not None}


def without_missing(compose: Compose) -> Compose:
    """Return compose without the env files of the settings that are missing: it would insist on them.

    Where all are, it gets an empty file: without any it would read the `.env`, which the settings replace.
    """
    named = compose.stack.beside.env_files
    there = tuple(filter(exists, compose.env_files or named))
    return replace(compose, env_files=there or (Path(os.devnull),)) if named else compose


def with_examples(compose: Compose) -> Compose:
    """Return compose with examples in the place of the env files that are missing, as far as there are any."""
    copies = to_copy(compose.file, compose.stack.beside)
    files = tuple(copies.get(env, env) for env in compose.stack.beside.values(compose.file))
    return without_missing(replace(compose, env_files=files if copies else ()))


def copy_example(example: Path, file: Path) -> None:
    """Copy an example to the env file that it is of; values are never invented.

    Raises StackError: the copy cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=f"{file.name}.")
        copy = Path(name)
        try:
            with os.fdopen(handle, "wb") as sink:
                sink.write(read_bytes(example, MOST_BYTES))
            copy.chmod(OWNER_ONLY)
            # A link, unlike a rename, never replaces a file that somebody wrote in the meantime.
            file.hardlink_to(copy)
        finally:
            copy.unlink()
    except OSError as error:
        raise StackError(
            f"the example env file could not be copied: {error.strerror}.",
            where=str(file),
            fix=f"Copy it yourself: `cp {example} {file}`.",
        ) from error


def check_variables(
    file: Path, text: ComposeText, valued: Mapping[str, str], beside: Beside = ALONE
) -> Iterator[Finding]:
    """Yield findings on a compose file's env files and variables; `valued` is what `variable_sources` returns."""
    explained = explained_in(examples(file, beside))
    copies = to_copy(file, beside)
    # Without a `.env` compose goes on; one that is named must be there.
    missing = [env for env in beside.values(file) if env in copies or (beside.env_files and not exists(env))]
    yield from (missing_env(env, copies.get(env)) for env in missing)
    for env_file in text.files:
        if file.parent / env_file.path not in missing:  # Those have been named already.
            yield _env_file(file, in_folder(env_file, file.parent))
    env = beside.values(file)[-1]
    for variable in text.variables:
        yield _variable(file, env, variable, valued.get(variable.name), explained.get(variable.name))


def check_services(
    file: Path, services: Sequence[Service], own: Sequence[str], required: Sequence[str], beside: Beside = ALONE
) -> Iterator[Finding]:
    """Yield the required variables of the contract that the `own` services, which run the app's image, do not get."""
    explained = explained_in(examples(file, beside))
    for service in services:
        if service.name not in own or service.own_command:
            continue  # Another command than the image's may do without.
        for name in required:
            if name not in service.valued:
                saying = f"; {explained[name]}" if name in explained else ""
                yield blocked(
                    "variable",
                    f"the service {service.name!r} gets no value for {name}, and does not start without one{saying}.",
                    where=str(file),
                    fix=f"Set {name} in {beside.values(file)[-1]}.",
                )


def missing_env(env: Path, example: Path | None) -> Finding:
    """Return that an env file is missing, and what to copy to it."""
    if example is None:
        fix = "Make it, or correct `env-files` in the settings."
        return blocked("env file", "the env file is missing.", where=str(env), fix=fix)
    return blocked(
        "env file",
        "the env file is missing; an example is next to it.",
        where=str(env),
        fix=f"Copy it and fill in your values: `cp {example} {env}`.",
    )


def in_folder(env_file: EnvironmentFile, folder: Path) -> EnvironmentFile:
    """Return an env file with whether it exists in a folder, and the example beside it."""
    path = folder / env_file.path
    names = (f"{path.name}{ending}" for ending in ENDINGS)
    return structs.replace(
        env_file, there=is_file(path), example=next((name for name in names if is_file(path.parent / name)), "")
    )


def _env_file(file: Path, env_file: EnvironmentFile) -> Finding:
    where, path = at(file, env_file.line), file.parent / env_file.path
    if env_file.there:
        return ready("env file", f"{env_file.path} is there", where=where)
    if env_file.optional:
        return note("env file", f"{env_file.path} is missing; the file declares it optional", where=where)
    example = env_file.example
    return blocked(
        "env file",
        f"the env file {env_file.path} is missing" + (f"; {example} is next to it." if example else "."),
        where=where,
        fix=f"Copy it and fill in your values: `cp {path.parent / example} {path}`." if example else f"Make {path}.",
    )


def _variable(
    file: Path, env: Path, variable: ComposeVariable, source: str | None, explained: Explanation | None
) -> Finding:
    where, name = at(file, variable.line), variable.name
    if source is not None:
        return ready("variable", f"{name} has a value, from {source}", where=where)
    more = f"; {explained}" if explained else ""
    if not variable.required:
        return note("variable", f"{name} has no value: it becomes empty{more}", where=where)
    wish = f": {variable.message}" if variable.message else ""
    return blocked(
        "variable",
        f"the variable {name} has no value{wish}{more}".removesuffix(".") + ".",
        where=where,
        fix=f"Set {name} in {env} or in your environment.",
    )
