"""The docker command line, which makes a stack of a stack file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from seatrial import process
from seatrial.errors import EngineError, ProgramError, StackFailedError
from seatrial.stack.compose import messages

if TYPE_CHECKING:
    from seatrial.engine.find import Engine
    from seatrial.host import Host
    from seatrial.stack.swarm.model import Conversion

DEPLOY_TIMEOUT = 120
"""Seconds that the command line may take to hand everything to the swarm; waiting comes after."""


def find(engine: Engine, host: Host) -> str:
    """Return the path of the docker command line.

    Raises:
        EngineError: it is not installed.

    """
    own = str(host.engine_folder / "programs" / "usr" / "bin")
    path = host.environment.get("PATH", "")
    try:
        # Our engine's own program fits it best; for any other engine it is the last resort.
        return process.find_program("docker", path=f"{own}:{path}" if engine.own else f"{path}:{own}")
    except ProgramError as error:
        raise EngineError(
            "the docker command line is needed to deploy; it is not installed.",
            where=str(engine),
            fix="Install your system's docker-cli, or run `invoke engine.start` to have seatrial's.",
        ) from error


def deploy(program: str, stack: str, conversion: Conversion, engine: Engine) -> None:
    """Hand a stack file to the swarm.

    Raises:
        StackFailedError: the command line or the swarm refuses it; the message is theirs.
        ProgramError: it took too long.

    """
    words = ["--compose-file", "-", "--prune", "--resolve-image", "never", "--with-registry-auth", stack]
    done = process.run(
        [program, "stack", "deploy", *words],
        timeout=DEPLOY_TIMEOUT,
        environment=engine.programs_environment,
        # By standard input: it holds secrets, and nothing is to be cleaned up.
        text_in=json.dumps(conversion.document),
        check=False,
    )
    if done.code != 0:
        said = messages(done.errors) or (f"exit code {done.code}",)
        raise StackFailedError(
            f"docker stack deploy refuses it: {said[-1].removesuffix('.')}.",
            where=f"stack {stack}",
            fix="Mend the compose file.",
            detail="\n".join(said[:-1]),
        )


def remove(program: str, stack: str, engine: Engine) -> str:
    """Tell the swarm to remove a stack; return what the command line complains of."""
    done = process.run(
        [program, "stack", "rm", stack],
        timeout=DEPLOY_TIMEOUT,
        environment=engine.programs_environment,
        check=False,
    )
    return "" if done.code == 0 else "\n".join(messages(done.errors))
