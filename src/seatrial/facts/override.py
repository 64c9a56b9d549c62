"""The image's own ENTRYPOINT with another command behind it: does that command run?"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from seatrial.engine.containers import container, engine_errors, refusal, run_to_end
from seatrial.facts import follow
from seatrial.facts.data import Missing, Override
from seatrial.facts.sandbox import override_config

if TYPE_CHECKING:
    from seatrial.engine.containers import Output
    from seatrial.engine.runs import Run
    from seatrial.facts.data import Configuration, Start
    from seatrial.facts.follow import Files
    from seatrial.settings.model import Contract

OVERRIDE_SECONDS = 20.0
MOST_OUTPUT = 256 * 1024
SHOWN = 2000


def hands_on(configuration: Configuration, files: Files) -> bool:
    """Tell whether the ENTRYPOINT takes a command to run: its CMD begins with a program of the image.

    An ENTRYPOINT that is the application itself has options or arguments in CMD, or no CMD at all.
    """
    if not configuration.entrypoint or not configuration.command or configuration.command[0].startswith("-"):
        return False
    path = configuration.environment.get("PATH", follow.DEFAULT_PATH)
    found = follow.search(configuration.command[0], path, configuration.working_directory or "/", files)
    return found is not None and found.entry is not None and bool(found.entry.mode & 0o111)


def run_override(run: Run, configuration: Configuration, start: Start, contract: Contract) -> Override | Missing:
    """Run the ENTRYPOINT with a command that prints a made-up word, and look for that word.

    Raises:
        EngineError: the engine does not answer.

    """
    import docker.errors

    if not start.python:
        return Missing(reason="the image holds no Python interpreter to give as another command")
    nonce = secrets.token_hex(16)
    plan = override_config(configuration.id, [start.python, "-I", "-c", f"print('{nonce}')"], contract)
    with engine_errors(f"running another command in {configuration.reference}"), container(run, plan) as other:
        try:
            output = run_to_end(other, seconds=OVERRIDE_SECONDS, most=MOST_OUTPUT)
        except docker.errors.APIError as error:
            if error.status_code not in {400, 404, 500}:
                raise
            return Missing(reason="the engine could not start it: see process/command-resolves", detail=refusal(error))
    return read_output(output, nonce)


def read_output(output: Output, nonce: str) -> Override:
    """Tell from what came out whether the command ran."""
    ended = f"it ended with exit code {output.code}"
    if output.late:
        ended = f"it still ran after {OVERRIDE_SECONDS:g} s"
    if output.cut:
        ended = f"it wrote more than {MOST_OUTPUT} bytes"
    ran = nonce.encode() in output.out and output.code == 0
    said = (output.errors or output.out)[-SHOWN:].decode("utf-8", errors="replace").strip()
    return Override(ran=ran, happened=ended, output="" if ran else said)
