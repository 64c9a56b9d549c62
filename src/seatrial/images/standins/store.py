"""The few things that stand-ins ask of the engine's image store."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from seatrial.errors import BuildError, EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from seatrial.engine.find import Engine


def image_label(engine: Engine, name: str, label: str) -> str | None:
    """Return a label of a local image; None where there is no such image or label.

    Raises:
        EngineError: the engine does not answer.

    """
    import docker.errors

    with _answering(engine):
        try:
            image = engine.client.images.get(name)
        except docker.errors.ImageNotFound:
            return None
    value = image.labels.get(label)
    return value if isinstance(value, str) else None


def import_tar(engine: Engine, tar: Path, *, repository: str, tag: str) -> None:
    """Make an image of one layer from a tar file.

    Raises:
        BuildError: the engine refused it: no space left, a damaged file.
        EngineError: the engine does not answer.

    """
    import docker.errors

    with _answering(engine):
        try:
            answer = engine.client.api.import_image_from_file(str(tar), repository=repository, tag=tag)
        except docker.errors.APIError as error:
            raise _refused(tar, str(error.explanation or error)) from error
    # The stream of an import that fails half-way is answered with 200 and an error in its last line.
    if '"error"' in str(answer):
        raise _refused(tar, str(answer))


def remove_image(engine: Engine, name: str) -> None:
    """Take a name off an image, and the image away when it was the last; one that is gone is no problem.

    Raises:
        EngineError: the engine does not answer.

    """
    import docker.errors

    with _answering(engine):
        try:
            engine.client.images.remove(name)
        except docker.errors.ImageNotFound:
            return


def _refused(tar: Path, detail: str) -> BuildError:
    return BuildError(
        "the engine did not take a root filesystem in.",
        where=str(tar),
        fix="Look at the free space of the engine's data folder: `invoke doctor`.",
        detail=detail,
    )


@contextmanager
def _answering(engine: Engine) -> Iterator[None]:
    import docker.errors
    import requests

    try:
        yield
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        raise EngineError(
            "the engine stopped answering.", where=str(engine), fix="Look at `invoke engine.status`.",
            detail=str(error),
        ) from error  # fmt: skip
