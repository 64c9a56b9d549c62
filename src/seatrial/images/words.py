"""The words of a build: what buildx is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.engine import builders

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from seatrial.engine.builders import Builder
    from seatrial.engine.find import Engine
    from seatrial.images.plan import BuildPlan

STAND_INS_LABEL = "seatrial.standins"


def build_words(
    plan: BuildPlan,
    *,
    engine: Engine,
    builder: Builder | None,
    contexts: Mapping[str, str],
    stand_ins: Iterable[str],
    told: Mapping[str, str],
    file: Path,
    identity: Path,
) -> list[str]:
    """Return buildx's arguments, up to the secrets and the build context.

    Args:
        plan: what to build.
        engine: the engine that gets the image.
        builder: what builds it; None: the engine's own builder.
        contexts: what takes the place of a reference: `docker-image://…` or `oci-layout://…`.
        stand_ins: the references that a stand-in took the place of.
        told: the build arguments that seatrial fills.
        file: the Dockerfile.
        identity: the file for the image's id.

    """
    labels = dict(plan.labels)
    if names := sorted(stand_ins):
        labels[STAND_INS_LABEL] = ",".join(names)
    return [
        "build", "--progress=rawjson", "--load",
        # Any builder but the engine's own sees neither the engine's images nor the stand-ins.
        "--builder", builders.own(engine) if builder is None else builder.name,
        # Another builder may run on another kind of machine: the image is for this engine.
        *([] if builder is None else [f"--platform={engine.platform}"]),
        # An attestation holds the time of the build: the same source would make another image each time.
        "--provenance=false", "--sbom=false",
        "--iidfile", str(identity),
        "--file", str(file),
        *(["--no-cache"] if plan.no_cache else []),
        *(f"--tag={tag}" for tag in plan.tags),
        *(f"--label={key}={value}" for key, value in labels.items()),
        *(f"--build-arg={key}={value}" for key, value in {**told, **plan.build_arguments}.items()),
        *(f"--build-context={key}={value}" for key, value in contexts.items()),
    ]  # fmt: skip
