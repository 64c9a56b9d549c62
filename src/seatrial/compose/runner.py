"""Docker compose, run as a program."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seatrial import process
from seatrial.compose.text import line_of
from seatrial.engine import programs
from seatrial.engine.find import Engine
from seatrial.errors import ProgramError, StackError
from seatrial.facts import Json
from seatrial.filesystem import read_bytes
from seatrial.host import Host
from seatrial.text import plain
from seatrial.yaml_tree import LARGEST, YamlError, read_documents

if TYPE_CHECKING:
    from seatrial.settings.read import Project


LONGEST_LINE = 1000
"""Characters of a line that are kept."""


def lines_of(output: str | bytes) -> tuple[str, ...]:
    """Return the lines of outside output that hold anything, each plain and cut to `LONGEST_LINE`."""
    text = output.decode("utf-8", "replace") if isinstance(output, bytes) else output
    lines = (line.expandtabs(4).rstrip() for line in plain(text).split("\n"))
    return tuple(line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}…" for line in lines if line)


READ_TIMEOUT = 60
"""Seconds that compose may take to read a file."""
READ_LIMITS = process.Limits(memory=1024**3, processor=READ_TIMEOUT, output=process.MOST_OUTPUT)
PULL_TIMEOUT = 1800
"""Seconds that a pull of one image may take."""
REFUSES = "docker compose refuses it:"
"""How the message begins for a file that compose does not take."""
VARIABLE = re.compile(r"[A-Za-z_]\w*")
ENV_FILE = re.compile(
    r"failed to read (?P<file>.+?): (?:line (?P<line>\d+): )?(?P<what>.*)"
    r"|(?P<form>(?:line \d+: )?(?:unterminated quoted value|unexpected character|key cannot contain).*)"
)
"""What compose says of an env file that it cannot read; of a service's, some versions do not say which."""
KEY_TWICE = re.compile(r'line (\d+): mapping key "(.+?)" already defined')
SECRET = re.compile(r"(unterminated quoted value|in variable name) .*")
"""What compose says of an env file's line, and the line itself, which may hold a secret."""


@dataclass(frozen=True, kw_only=True)
class Beside:
    """What compose reads beside an app's first compose file, as its settings say."""

    files: tuple[Path, ...] = ()
    """More compose files; what a later one says holds."""
    env_files: tuple[Path, ...] = ()
    """In the place of the `.env` that lies beside the first."""

    def values(self, file: Path) -> tuple[Path, ...]:
        """Return the env files that compose takes a file's variables from, whether they are there or not."""
        return self.env_files or (file.parent / ".env",)


ALONE = Beside()


def beside(project: Project, name: str) -> Beside:
    """Return what compose reads beside an app's first compose file."""
    app = project.app(name)
    env_files = tuple(project.folder / path for path in app.env_files)
    return Beside(files=project.compose_files(app)[1:], env_files=env_files)


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A stack by name: enough to find, show and remove what runs of it, without its compose file."""

    app: str
    compose_project: str
    """The name that compose labels everything with: unique to the app and the checkout."""
    options: tuple[str, ...] = ()
    """Compose's options before its command: a profile, another env file."""
    beside: Beside = ALONE


def identify(project: Project, name: str) -> Stack:
    """Return the stack of an app: what `down`, `ps` and `logs` need, whatever the compose file says by now.

    Raises SettingsError: no app has that name.
    """
    project.app(name)
    # Two checkouts of one project, and two apps whose names differ in odd characters only, get names of their own.
    digest = hashlib.sha256(f"{project.folder.resolve()}\0{name}".encode()).hexdigest()[:8]
    # Compose takes lower-case letters, digits, hyphens and underscores, and no sign at the start.
    readable = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-_")
    compose_project = f"{readable}-{digest}" if readable else f"app-{digest}"
    return Stack(app=name, compose_project=compose_project, beside=beside(project, name))


@dataclass(frozen=True, kw_only=True)
class Compose:
    """Compose, ready to run on one stack's file against one engine."""

    program: str
    environment: Mapping[str, str]
    stack: Stack
    file: Path
    env_files: tuple[Path, ...] = ()
    """Where its values come from, when that is neither the `.env` beside it nor what the stack names."""
    folder: Path | None = None
    """Where its relative paths begin, when that is not the file's own folder."""
    document: Mapping[str, Any] | None = None
    """A whole model to work on in place of the file's."""

    def model(self) -> tuple[Json, tuple[str, ...]]:
        """Return the compose file as compose understands it, and what it warned of.

        The model holds the values of env files, secrets among them: it is never printed.

        Raises StackError: compose refuses the file; the message is compose's own.
        """
        done = self._read("config", "--format", "json")
        try:
            return json.loads(done.output), messages(done.errors)
        except ValueError:
            what = "docker compose could not read it: its answer is not JSON."
            raise StackError(what, where=str(self.file)) from None

    def values(self, names: Iterable[str]) -> dict[str, str]:
        """Return what compose puts in the place of variables: of those that are set, in its environment or its `.env`.

        They may be secrets: they are never printed. Raises StackError: compose does not take the env file.
        """
        asked = sorted({name for name in names if VARIABLE.fullmatch(name)})
        if not asked:
            return {}
        # `config --environment` came with 2.28, and does not tell where a value of several lines ends.
        document = {"services": {"variables": {"image": "none", "environment": asked}}}
        model, _ = replace(self, document=document).model()
        found = model["services"]["variables"]["environment"]
        return {name: unescaped(value) for name, value in found.items() if value is not None}

    def hashes(self, images: Mapping[str, str]) -> dict[str, str]:
        """Return compose's hash of each service's configuration, with these images in place of its own.

        Raises StackError: compose refuses the file.
        """
        done = self._read("config", "--hash", "*", images=images)
        pairs = (line.split() for line in done.output.splitlines())
        return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}  # noqa: PLR2004 - name and hash

    def pull(self, service: str) -> tuple[str, ...]:
        """Pull the image of one service; return no lines when it came, else what compose says of it.

        Raises ProgramError: it took longer than `PULL_TIMEOUT`.
        """
        return _complaint(self._run("pull", "--quiet", service, timeout=PULL_TIMEOUT))

    def up(self, images: Mapping[str, str], *, tick: Callable[[], None]) -> tuple[str, ...]:
        """Create and start the services, some with other images; return no lines when compose did, else its messages.

        `tick` is called all the while, and ends compose by raising.
        """
        return _complaint(self._run("up", "--detach", "--no-build", images=images, timeout=None, tick=tick))

    def enter(self, service: str, words: Sequence[str], *, terminal: bool) -> int:
        """Run a command in a running service, on this process's own input, output and errors; return its exit code.

        Raises ProgramError: compose cannot be started.
        """
        # Without the file: the container is found by its labels, whatever the file says by now.
        options = [] if terminal else ["-T"]
        return process.attached([*self._head(), "exec", *options, service, *words], environment=self.environment)

    def inside(
        self, service: str, words: Sequence[str], *, timeout: float, tick: Callable[[], None]
    ) -> process.Completed:
        """Run a command in a running service; its exit code is the caller's to judge.

        `tick` is called all the while, and ends the command by raising.

        Raises ProgramError: it took longer than `timeout`, in seconds.
        """
        return self._run("exec", "-T", service, *words, timeout=timeout, tick=tick)

    def _head(self) -> list[str]:
        return [self.program, "--ansi", "never", "--project-name", self.stack.compose_project]

    def _read(self, *words: str, images: Mapping[str, str] | None = None) -> process.Completed:
        try:
            done = self._run(*words, images=images, timeout=READ_TIMEOUT, limits=READ_LIMITS)
        except ProgramError as error:
            raise StackError(f"docker compose could not read it: {error.what}", where=str(self.file)) from error
        if done.code != 0:
            raise refused(done.errors, self.file, self.stack.beside)
        return done

    def _run(
        self,
        *words: str,
        timeout: float | None,
        images: Mapping[str, str] | None = None,
        tick: Callable[[], None] | None = None,
        limits: process.Limits = process.UNLIMITED,
    ) -> process.Completed:
        files, text_in = self._files(images or {})
        output: list[str] = []
        errors: list[str] = []
        done = process.stream(
            [*self._head(), *self.stack.options, *files, *words],
            timeout=timeout,
            on_output=output.append,
            on_error=errors.append,
            environment=self.environment,
            # Newer versions also read a .env in the working directory: let both be the same.
            folder=self.folder or self.file.parent,
            text_in=text_in,
            tick=tick,
            limits=limits,
        )
        return process.Completed(argv=done.argv, code=done.code, output="".join(output), errors="".join(errors))

    def _files(self, images: Mapping[str, str]) -> tuple[list[str | Path], str | None]:
        """Return the options that name compose's files, and what it reads by standard input: nothing to clean up."""
        beside = self.stack.beside
        values: list[str | Path] = [
            word for file in self.env_files or beside.env_files for word in ("--env-file", file)
        ]
        values += ["--project-directory", self.folder] if self.folder is not None else []
        if self.document is not None:
            return [*values, "--file", "-"], json.dumps(replaced(self.document, images))
        values += [word for file in (self.file, *beside.files) for word in ("--file", file)]
        return ([*values, "--file", "-"], override(images)) if images else (values, None)


def find(stack: Stack, file: Path, *, engine: Engine, host: Host) -> Compose:
    """Return compose for a stack. Raises EngineError: compose is not installed, or too old."""
    program = programs.find("compose", engine, host)
    return Compose(program=program.path, environment=engine.programs_environment, stack=stack, file=file)


def _complaint(done: process.Completed) -> tuple[str, ...]:
    return () if done.code == 0 else messages(done.errors) or (f"exit code {done.code}",)


def unescaped(value: str) -> str:
    """Return a text of compose's model as it is meant: compose doubles each dollar sign in what it prints."""
    return value.replace("$$", "$")


def replaced(document: Mapping[str, Any], images: Mapping[str, str]) -> dict[str, Any]:
    """Return a model in which services have another image."""
    other = json.loads(override(images))["services"]
    services = {name: {**table, **other.get(name, {})} for name, table in document["services"].items()}
    return {**document, "services": services}


def override(images: Mapping[str, str]) -> str:
    """Return a second compose file that gives services another image; JSON is YAML too."""
    services = {name: {"image": image, "pull_policy": "never"} for name, image in images.items()}
    return json.dumps({"services": services})


def messages(errors: str) -> tuple[str, ...]:
    """Return what compose says in its standard error, without its progress and its log prefixes."""
    return tuple(_message(line) for line in lines_of(errors) if not line.startswith(" "))


def refused(errors: str, file: Path, beside: Beside = ALONE) -> StackError:
    """Return the error for a compose file, and those beside it, that compose does not take."""
    problems = [SECRET.sub(r"\1", _message(line)) for line in lines_of(errors) if "level=warning" not in line]
    what = problems[-1].strip().removesuffix(".") if problems else "it gives no reason"
    if found := ENV_FILE.match(what):
        where = ":".join(part for part in (found["file"] or str(file), found["line"]) if part)
        what = f"invalid env file: {found['what'] or found['form']}."
        return StackError(what, where=where, fix="Correct the env file.")
    where = _place("\n".join(problems), (file, *beside.files))
    if "required variable" in what:
        fix = f"Set it in {beside.values(file)[-1]} or in your environment."
    elif "env file" in what:
        fix = "Make that file, or take it out of the compose file."
    else:
        fix = "Correct the compose file."
    return StackError(f"{REFUSES} {what}.", where=where, fix=fix, detail="\n".join(problems[:-1]))


def _place(message: str, files: Sequence[Path]) -> str:
    """Return the file and line that a message of compose is about: of those that it names, or else of all."""
    contents = dict.fromkeys(files, "")
    for file in files:
        with suppress(OSError):
            contents[file] = read_bytes(file, LARGEST).decode("utf-8", errors="replace")
    named = [file for file in files if str(file) in message]
    for file in named or [file for file in files if _is_no_yaml(contents[file], message)] or files:
        if line := line_of(message, contents[file]):
            return f"{file}:{line}"
    return str(files[0])


def _is_no_yaml(content: str, message: str) -> bool:
    """Tell whether a message of the YAML parser, which names no file, fits a file's content."""
    if found := KEY_TWICE.search(message):
        return found[2] in "".join(content.split("\n")[int(found[1]) - 1 :][:1])
    try:
        read_documents(content)
    except YamlError:
        return "yaml: " in message
    return False


def _message(line: str) -> str:
    logged = re.search(r'\bmsg=("(?:[^"\\]|\\.)*")', line)
    if logged is None:
        return line
    try:
        return str(json.loads(logged[1]))
    except ValueError:
        return logged[1]
