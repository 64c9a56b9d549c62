from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from seatrial.errors import BuildError, ImageError, SeatrialError
from seatrial.facts.sources import Base
from seatrial.images.bases import NO_RECIPE, Origin, Refusal, find_base, reason_of, registry_of

if TYPE_CHECKING:
    from seatrial.images.bases import Registries


class Answers:
    """What an engine and its registries say, as told beforehand."""

    def __init__(self, *, local: bool = False, refusal: Refusal | None = None) -> None:
        self.local = local
        self.given = refusal
        self.asked = False

    def has_locally(self, _: str) -> bool:
        return self.local

    def refusal(self, _: str) -> Refusal | None:
        self.asked = True
        return self.given


def found(
    answers: Answers, *, known: bool = False, hindrance: SeatrialError = NO_RECIPE, base: Base | None = None
) -> tuple[Origin, str]:
    registries: Registries = answers  # type: ignore[assignment]
    base = base or Base(reference="python:3.13-slim", line=4)
    hindered = None if known else hindrance
    return find_base(base, registries=registries, hindrance=lambda _: hindered, dockerfile="docker/Dockerfile")


OUT_OF_REACH = Refusal(reason="no registry in reach", certain=True)


def test_what_the_engine_has_is_taken_and_no_registry_asked() -> None:
    answers = Answers(local=True, refusal=OUT_OF_REACH)
    assert found(answers, known=True) == (Origin.PRESENT, "")
    assert not answers.asked


def test_an_official_image_goes_before_its_substitute() -> None:
    assert found(Answers(), known=True) == (Origin.PULLABLE, "")


def test_a_substitute_serves_with_the_reason() -> None:
    assert found(Answers(refusal=OUT_OF_REACH), known=True) == (Origin.SUBSTITUTE, "no registry in reach")


def test_a_registry_that_was_only_slow_is_left_to_buildkit() -> None:
    assert found(Answers(refusal=Refusal(reason="slow", certain=False)))[0] is Origin.UNCERTAIN


def test_a_base_that_nobody_has_is_named_with_its_line_and_the_reason() -> None:
    with pytest.raises(BuildError) as raised:
        found(Answers(refusal=OUT_OF_REACH))
    assert raised.value.where == "docker/Dockerfile:4"
    assert "python:3.13-slim cannot be pulled: no registry in reach" in raised.value.what
    assert "it has no local substitute either" in raised.value.what
    assert raised.value.exit_code == 2


def test_a_substitute_that_cannot_be_made_is_told_with_what_to_do_and_is_none_for_a_slow_registry() -> None:
    alpine = ImageError("no Alpine here.", fix="Name python:3.13-slim.", where="recipe")
    with pytest.raises(BuildError) as raised:
        found(Answers(refusal=OUT_OF_REACH), hindrance=alpine)
    assert str(raised.value) == (
        "docker/Dockerfile:4: the base image python:3.13-slim cannot be pulled: no registry in reach; "
        "recipe: no Alpine here. Name python:3.13-slim."
    )
    assert found(Answers(refusal=Refusal(reason="slow", certain=False)), hindrance=alpine)[0] is Origin.UNCERTAIN


def test_a_misspelt_stage_is_not_taken_for_an_image() -> None:
    with pytest.raises(BuildError, match="Did you mean the stage 'builder'"):
        found(Answers(refusal=OUT_OF_REACH), base=Base(reference="bulider", line=2, stages=("builder", "x")))


@pytest.mark.parametrize(
    ("reference", "registry"),
    [
        ("python:3.13-slim", "docker.io"),
        ("library/python", "docker.io"),
        ("docker.io/library/python", "docker.io"),
        ("index.docker.io/python", "docker.io"),
        ("ghcr.io/astral-sh/uv:latest", "ghcr.io"),
        ("localhost/x", "localhost"),
        ("mirror:5000/x:1", "mirror:5000"),
    ],
)
def test_registry_of(reference: str, registry: str) -> None:
    assert registry_of(reference) == registry


def test_the_engines_chain_of_causes_becomes_one_reason() -> None:
    said = 'Get "https://registry.example/v2/": dial tcp: lookup registry.example on 10.0.0.1:53: no such host'
    assert reason_of(said) == "no registry in reach (no such host: registry.example)"
    said = 'Get "http://localhost:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused'
    assert reason_of(said) == "no registry in reach (nothing answers at 127.0.0.1:1)"
    assert reason_of("pull access denied") == "pull access denied"
