"""Looks whether an image holds a credential that its build was handed: in every layer, the configuration, the history.

The image is read as the engine saves it, as a stream: nothing of it is stored, and little of it is in memory at a time.
What a later layer removes is found too, as it still lies in the earlier one.
"""

from __future__ import annotations

import secrets
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import IO, cast

import docker.errors
import requests

from seatrial import owner
from seatrial.dockerfile import SecretMount
from seatrial.engine import sweep
from seatrial.engine.find import Engine
from seatrial.errors import BuildError, BuildFailedError
from seatrial.images.plan import BuildPlan
from seatrial.images.secrets.redaction import Credential
from seatrial.observe.layers.compression import BLOCK, ZSTD, Chunks, unpacked
from seatrial.observe.layers.saved_image import SAVE_TIMEOUT
from seatrial.text import plain_line

SEARCH_WITHIN = 1800.0
"""Seconds that the search of an image may take."""
LONGEST_INSTRUCTION = 120
"""Characters of an instruction that the error shows."""


@dataclass(frozen=True, kw_only=True)
class Leak:
    """Where an image holds a credential."""

    secrets: tuple[str, ...]
    """The secrets and proxy variables that hold it."""
    member: str
    """The part of the saved image: a layer, or a description."""
    is_layer: bool
    path: str = ""
    """The file of the layer."""


@contextmanager
def provisional_tag(engine: Engine, plan: BuildPlan) -> Iterator[str]:
    """Give a tag for an image that has not been searched yet, which nobody else knows; remove it at the end.

    The next command removes what this one could not: see `seatrial.engine.sweep`.
    """
    tag = f"{plan.image}:{sweep.UNSEARCHED}-{owner.this().token}-{secrets.token_hex(6)}"
    try:
        yield tag
    finally:
        # There is none where the build failed; of an engine that is gone, its failure tells.
        with suppress(docker.errors.DockerException, requests.exceptions.RequestException):
            engine.client.images.remove(tag)


def tag_when_clean(
    engine: Engine,
    image_id: str,
    plan: BuildPlan,
    *,
    credentials: Sequence[Credential],
    mounts: Sequence[SecretMount],
    say: Callable[[str], None],
) -> None:
    """Give an image its tags, unless it holds a credential.

    Raises:
        BuildFailedError: it holds one. It gets none of the tags, and loses those that it has.
        BuildError: the search takes too long.
    """
    images = engine.client.images
    leak = search_image(engine, image_id, credentials, say=say)
    if leak is None:
        for tag in plan.tags:
            repository, _, name = tag.rpartition(":")
            images.get(image_id).tag(repository, name)
        return
    for tag in plan.tags:
        with suppress(docker.errors.ImageNotFound):
            if images.get(tag).id == image_id:
                images.remove(tag)
    instructions = [str(row.get("CreatedBy", "")) for row in reversed(images.get(image_id).history())]
    raise leaked(leak, plan, mounts, instructions)


def leaked(leak: Leak, plan: BuildPlan, mounts: Sequence[SecretMount], instructions: Sequence[str]) -> BuildFailedError:
    """Return the error for an image that holds a credential."""
    lines = [mount.line for mount in mounts if mount.id in leak.secrets]
    # One that no RUN mounts is a proxy's.
    secret = next((mount.id for mount in mounts if mount.id in leak.secrets), leak.secrets[-1])
    where = f"{plan.dockerfile_shown}:{lines[0]}" if lines else plan.dockerfile_shown
    if leak.is_layer:
        place = f"/{leak.path.removeprefix('./')}" if leak.path else "a layer"
    else:
        place = "its configuration or history"
    mounted = f" Mounted in line {', '.join(map(str, lines))}." if len(lines) > 1 else ""
    detail = "\n".join(plain_line(text)[:LONGEST_INSTRUCTION] for text in instructions if secret in text)
    return BuildFailedError(
        f"the image holds the secret {secret!r}, in {place}; it was not tagged.{mounted}",
        where=where,
        fix="Use a secret within the RUN that mounts it, and write nothing of it to a file, an ENV or a LABEL; what a "
        "later line removes stays in the image. Drop it from the build cache: `docker builder prune`.",
        detail=detail,
    )


def search_image(
    engine: Engine, image_id: str, credentials: Sequence[Credential], *, say: Callable[[str], None]
) -> Leak | None:
    """Return where an image of the engine holds one of the credentials, or None.

    Raises:
        BuildError: that takes too long.
    """
    forms: dict[bytes, tuple[str, ...]] = {}
    for credential in credentials:
        for form in credential.searched():
            forms[form] = (*forms.get(form, ()), credential.source)
    with closing(engine.connection(SAVE_TIMEOUT)) as api:
        found = search(api.get_image(image_id), forms, say=say)
    if found is None:
        return None
    leak, form = found
    if not leak.is_layer:
        return leak
    with closing(engine.connection(SAVE_TIMEOUT)) as api:
        path = path_in_layer(api.get_image(image_id), leak.member, form)
    return Leak(secrets=leak.secrets, member=leak.member, is_layer=True, path=path)


def search(
    saved: Iterator[bytes],
    forms: Mapping[bytes, tuple[str, ...]],
    *,
    say: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Leak, bytes] | None:
    """Return the first of these forms that a saved image holds, each with the names of its secrets."""
    deadline = clock() + SEARCH_WITHIN
    for name, blocks in _members(saved):
        first = next(blocks, b"")
        if first.startswith(ZSTD):
            say(f"{name} of the image is packed with zstd and was not searched for secrets: install 'seatrial[zstd]'.")
            continue
        is_layer = first[257:262] == b"ustar"
        for window in _windows(chain((first,), blocks), longest=max(map(len, forms))):
            if clock() > deadline:
                raise BuildError(
                    f"the search for secrets in the image took longer than {SEARCH_WITHIN:g} s; it was not tagged.",
                    fix="Make the image smaller, or build it without secrets.",
                )
            for form, sources in forms.items():
                if form in window:
                    return Leak(secrets=sources, member=name, is_layer=is_layer), form
    return None


def path_in_layer(saved: Iterator[bytes], layer: str, form: bytes) -> str:
    """Return which file of a layer holds a form; empty where it stands between the files."""
    for name, blocks in _members(saved):
        if name != layer:
            continue
        with (
            suppress(tarfile.TarError),
            tarfile.open(fileobj=cast("IO[bytes]", Chunks(blocks)), mode="r|", bufsize=BLOCK) as archive,
        ):
            for member in archive:
                described = f"{member.name}\n{member.linkname}\n{member.pax_headers}".encode(errors="surrogateescape")
                content = archive.extractfile(member) if member.isreg() else None
                inside = iter(partial(content.read, BLOCK), b"") if content else iter(())
                if form in described or any(form in window for window in _windows(inside, longest=len(form))):
                    return member.name
    return ""


def _members(saved: Iterator[bytes]) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Yield the members of a saved image, their content unpacked, in blocks."""
    with tarfile.open(fileobj=cast("IO[bytes]", Chunks(saved)), mode="r|", bufsize=BLOCK) as archive:
        for member in archive:
            # Engines before 25 put links in the place of layers that are there already.
            content = archive.extractfile(member) if member.isreg() else None
            if content is not None:
                yield member.name, unpacked(content)


def _windows(blocks: Iterable[bytes], *, longest: int) -> Iterator[bytes]:
    """Yield blocks, each with the end of what came before it: a form may lie across the border."""
    before = b""
    for block in blocks:
        window = before + block
        yield window
        before = window[-(longest - 1) :] if longest > 1 else b""
