"""Docker compose, run as a program."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seatrial import process
from seatrial.engine import programs
from seatrial.errors import ProgramError, StackError
from seatrial.stack.text import lines_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from seatrial.engine.find import Engine
    from seatrial.host import Host
    from seatrial.stack.model import Stack

READ_TIMEOUT = 60
"""Seconds that compose may take to read a file."""
PULL_TIMEOUT = 1800
"""Seconds that a pull of one image may take."""


@dataclass(frozen=True, kw_only=True)
class Compose:
    """Compose, ready to run on one stack's file against one engine."""

    program: str
    environment: Mapping[str, str]
    stack: Stack
    file: Path

    def model(self) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Return the compose file as compose understands it, and what it warned of.

        The model holds the values of env files, secrets among them: it is never printed.

        Raises:
            StackError: compose refuses the file; the message is compose's own.

        """
        done = self._read("config", "--format", "json")
        return json.loads(done.output), messages(done.errors)

    def hashes(self, images: Mapping[str, str]) -> dict[str, str]:
        """Return compose's hash of each service's configuration, with these images in place of its own.

        Raises:
            StackError: compose refuses the file.

        """
        done = self._read("config", "--hash", "*", images=images)
        pairs = (line.split() for line in done.output.splitlines())
        return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}  # noqa: PLR2004 - name and hash

    def pull(self, service: str) -> tuple[str, ...]:
        """Pull the image of one service; return no lines when it came, else what compose says of it.

        Raises:
            ProgramError: it took longer than `PULL_TIMEOUT`.

        """
        done = self._run("pull", "--quiet", service, timeout=PULL_TIMEOUT)
        return () if done.code == 0 else messages(done.errors) or (f"exit code {done.code}",)

    def up(self, images: Mapping[str, str], *, tick: Callable[[], None]) -> tuple[str, ...]:
        """Create and start the services; return no lines when compose did, else its last messages.

        Args:
            images: services whose image is another one than the file says.
            tick: called all the while; it ends compose by raising.

        """
        done = self._run("up", "--detach", "--no-build", images=images, timeout=None, tick=tick)
        return () if done.code == 0 else messages(done.errors) or (f"exit code {done.code}",)

    def inside(
        self, service: str, words: Sequence[str], *, timeout: float, tick: Callable[[], None]
    ) -> process.Completed:
        """Run a command in a service's running container; its exit code is the caller's to judge.

        Args:
            service: the service.
            words: the command.
            timeout: seconds that it may take.
            tick: called all the while; it ends the command by raising.

        Raises:
            ProgramError: it took longer.

        """
        return self._run("exec", "-T", service, *words, timeout=timeout, tick=tick)

    def _named(self) -> tuple[str, ...]:
        return ("--project-name", self.stack.compose_project, *self.stack.options)

    def _read(self, *words: str, images: Mapping[str, str] | None = None) -> process.Completed:
        try:
            done = self._run(*words, images=images, timeout=READ_TIMEOUT)
        except ProgramError as error:
            raise StackError(f"docker compose cannot read it: {error.what}", where=str(self.file)) from error
        if done.code != 0:
            raise refused(done.errors, self.file)
        return done

    def _run(
        self,
        *words: str,
        timeout: float | None,
        images: Mapping[str, str] | None = None,
        tick: Callable[[], None] | None = None,
    ) -> process.Completed:
        files: list[str | Path] = ["--file", self.file]
        if images:
            # The second file comes by standard input: nothing to clean up afterwards.
            files += ["--file", "-"]
        output: list[str] = []
        errors: list[str] = []
        done = process.stream(
            [self.program, "--ansi", "never", *self._named(), *files, *words],
            timeout=timeout,
            on_output=output.append,
            on_error=errors.append,
            environment=self.environment,
            # Newer versions also read a .env in the working directory: let both be the same.
            folder=self.file.parent,
            text_in=override(images) if images else None,
            tick=tick,
        )
        return process.Completed(argv=done.argv, code=done.code, output="".join(output), errors="".join(errors))


def find(stack: Stack, file: Path, *, engine: Engine, host: Host) -> Compose:
    """Return compose for a stack.

    Raises:
        EngineError: compose is not installed, or too old.

    """
    program = programs.find("compose", engine, host)
    return Compose(program=program.path, environment=engine.programs_environment, stack=stack, file=file)


def override(images: Mapping[str, str]) -> str:
    """Return a second compose file that gives services another image; JSON is YAML too."""
    services = {name: {"image": image, "pull_policy": "never"} for name, image in images.items()}
    return json.dumps({"services": services})


def messages(errors: str) -> tuple[str, ...]:
    """Return what compose says in its standard error, without its progress and its log prefixes."""
    return tuple(_message(line) for line in lines_of(errors) if not line.startswith(" "))


def refused(errors: str, file: Path) -> StackError:
    """Return the error for a compose file that compose does not take."""
    problems = [_message(line) for line in lines_of(errors) if "level=warning" not in line]
    what = problems[-1].strip().removesuffix(".") if problems else "it gives no reason"
    if "required variable" in what or "env file" in what:
        fix = f"Set it in {file.parent / '.env'} or in your environment."
        if "env file" in what:
            fix = "Make that file, or take it out of the compose file."
    else:
        fix = "Mend the compose file."
    return StackError(f"docker compose refuses it: {what}.", where=str(file), fix=fix, detail="\n".join(problems[:-1]))


def _message(line: str) -> str:
    logged = re.search(r'\bmsg=("(?:[^"\\]|\\.)*")', line)
    if logged is None:
        return line
    try:
        return str(json.loads(logged.group(1)))
    except ValueError:
        return logged.group(1)
