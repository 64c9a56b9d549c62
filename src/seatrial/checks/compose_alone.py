"""The compose/* checks of a compose file by itself: no image is needed for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.checks.compose import CHECKS
from seatrial.checks.verdict import judge
from seatrial.dockerfile import Dockerfile
from seatrial.facts.data import (
    ComposeSource,
    Configuration,
    DockerfileSource,
    Facts,
    Missing,
    ProjectFacts,
    Sources,
)

if TYPE_CHECKING:
    from seatrial.checks.model import Result
    from seatrial.settings.model import Contract

NO_IMAGE = Missing(reason="only the compose file was looked at")


def judge_compose(compose: ComposeSource | Missing, contract: Contract) -> tuple[Result, ...]:
    """Return the results of the compose/* checks, waivers among them."""
    facts = Facts(
        configuration=Configuration(reference="", id="", platform="", user="", unpacked=0),
        start=NO_IMAGE,
        probe=NO_IMAGE,
        boot=NO_IMAGE,
        project=ProjectFacts(),
        sources=Sources(
            dockerfile=DockerfileSource(path="", parsed=Dockerfile(syntax=None, arguments=(), stages=())),
            lint=NO_IMAGE,
            context=NO_IMAGE,
            compose=compose,
        ),
    )
    return tuple(judge(check, facts, contract) for check in CHECKS)
