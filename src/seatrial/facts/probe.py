"""The probe: one short container in which the image's own interpreter runs one script."""

from __future__ import annotations

import secrets
from importlib import resources
from typing import TYPE_CHECKING

import msgspec

from seatrial.engine.containers import container, engine_errors, refusal, run_to_end
from seatrial.facts.answer import answer_in
from seatrial.facts.configuration import other_platform
from seatrial.facts.contents import WalkRequest
from seatrial.facts.data import Fact, Missing, Probe
from seatrial.facts.sandbox import probe_config

if TYPE_CHECKING:
    from seatrial.engine.containers import Output
    from seatrial.engine.runs import Run
    from seatrial.facts.data import Configuration
    from seatrial.facts.start import Python
    from seatrial.settings.model import Contract

PROBE_SECONDS = 60.0
IMPORT_SECONDS = 40.0
MOST_OUTPUT = 8 * 1024 * 1024
"""Bytes that the probe may write: 5,000 distributions fit ten times."""
SHOWN = 2000
"""Characters of a failed probe's output that are kept."""


class ProbeRequest(Fact, frozen=True, kw_only=True):
    """What the probe is asked."""

    modules: tuple[str, ...]
    import_root: str
    import_seconds: float = IMPORT_SECONDS
    executables: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    walk: WalkRequest | None = None
    """What to look for in the file system; None walks nothing."""


def run_probe(
    run: Run,
    configuration: Configuration,
    python: Python | None,
    request: ProbeRequest,
    contract: Contract,
    *,
    beside: bool = True,
) -> Probe | Missing:
    """Run the probe and return what it said, or why it could say nothing.

    `beside` tells whether a boot runs meanwhile, to which it leaves the processors.

    Raises:
        EngineError: the engine does not answer.

    """
    import docker.errors

    if python is None:
        return Missing(reason="the image holds no Python interpreter")
    if python.trail.entry is None:
        return Missing(reason=f"the application's interpreter does not resolve: {python.trail}, and {python.trail.gap}")
    nonce = secrets.token_hex(16)
    script = resources.files("seatrial.facts").joinpath("probe_script.py").read_text(encoding="utf-8")
    words = ["-c", script, nonce, msgspec.json.encode(request).decode()]
    plan = probe_config(configuration.id, python.path, words, contract, beside=beside)
    with engine_errors(f"probing {configuration.reference}"), container(run, plan) as probe:
        try:
            output = run_to_end(probe, seconds=PROBE_SECONDS, most=MOST_OUTPUT)
        except docker.errors.APIError as error:
            if error.status_code not in {400, 404, 500}:
                raise
            reason = other_platform(configuration, refusal(error)) or f"{python.path} could not be started"
            return Missing(reason=reason, detail=refusal(error))
    answer = read_answer(output, nonce, python.path)
    if isinstance(answer, Missing) and (reason := other_platform(configuration, answer.detail)):
        return Missing(reason=reason, detail=answer.detail)
    return answer


def read_answer(output: Output, nonce: str, python: str) -> Probe | Missing:
    """Find the probe's answer in what the container wrote; an image may write anything beside it."""
    if output.late:
        return Missing(reason=f"{python} did not answer within {PROBE_SECONDS:g} s")
    if output.cut:
        return Missing(reason=f"{python} wrote more than {MOST_OUTPUT} bytes instead of an answer")
    answer = answer_in(output.out, nonce, Probe)
    if answer is None:
        said = (output.errors or output.out)[-SHOWN:].decode("utf-8", errors="replace").strip()
        return Missing(reason=f"{python} ended with code {output.code} and gave no answer", detail=said)
    if isinstance(answer, Missing):
        return Missing(reason=f"{python} gave an answer that is not the probe's", detail=answer.detail)
    return answer
