"""Reads an image's configuration and history from the engine."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import docker.errors
from msgspec import structs

from seatrial.engine.containers import engine_errors
from seatrial.errors import ImageError
from seatrial.facts import Configuration, HealthCheck

if TYPE_CHECKING:
    from collections.abc import Iterable

    from seatrial.engine.find import Engine
    from seatrial.facts import Json


@dataclass(frozen=True, kw_only=True)
class OtherCommand:
    """Words with which an image is started in place of its own; None: its own hold."""

    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    where: str = ""
    """The settings' file and line that say so; empty for those of a compose service."""

    def of(self, image: Configuration) -> Configuration:
        """Return an image's configuration with these words. Whoever replaces the ENTRYPOINT loses the CMD, too."""
        kept = image.command if self.entrypoint is None else ()
        return structs.replace(
            image,
            entrypoint=image.entrypoint if self.entrypoint is None else self.entrypoint,
            command=kept if self.command is None else self.command,
            entrypoint_from="" if self.entrypoint is None else self.where,
            command_from=self.where,
        )


NANOSECONDS = 1_000_000_000
MOST_SHOWN = 5
"""Images that a message names."""


def read_configuration(engine: Engine, reference: str) -> Configuration:
    """Return the configuration of an image that the engine has.

    Raises:
        ImageError: it has no such image, or the reference is not one.
        EngineError: it does not answer.

    """
    client = engine.client.api
    with engine_errors(f"inspecting {reference}"):
        try:
            inspected = client.inspect_image(reference)  # type: ignore[no-untyped-call]
            # By its id: a name can move to another image between two questions.
            history = client.history(inspected["Id"])  # type: ignore[no-untyped-call]
        except docker.errors.NotFound:
            raise no_such_image(reference, client.images()) from None
        except docker.errors.APIError as error:
            raise ImageError(f"{error.explanation}.", where=reference, fix="Check its spelling.") from None
        except docker.errors.NullResource:
            raise ImageError("an empty name names no image.", fix="Give one: --image NAME:TAG.") from None
    return configuration_of(inspected, history, reference, engine.platform)


def no_such_image(reference: str, there: Iterable[Json]) -> ImageError:
    """Return the error for a reference that the engine does not resolve, by the images that it has."""
    rows = list(there)
    ids = sorted({str(row["Id"]) for row in rows})
    if re.fullmatch(r"(sha256:)?[0-9a-f]{1,64}", reference):
        begin = [id_ for id_ in ids if id_.partition(":")[2].startswith(reference.removeprefix("sha256:"))]
        if len(begin) > 1:
            shown = ", ".join(_shortest(id_, begin) for id_ in begin[:MOST_SHOWN])
            more = f" and {len(begin) - MOST_SHOWN} more" if len(begin) > MOST_SHOWN else ""
            return ImageError(
                f"{len(begin)} images have an id that begins so.",
                where=reference,
                fix=f"Give more of it: {shown}{more}.",
            )
    tags = sorted(tag for row in rows for tag in row.get("RepoTags") or () if "<none>" not in tag)
    of_name = [tag for tag in tags if tag.rpartition(":")[0] == reference.partition("@")[0]]
    if of_name:
        shown = ", ".join(of_name[:MOST_SHOWN])
        return ImageError(
            "the engine has no such image; without a tag, a name means :latest.",
            where=reference,
            fix=f"Give one: {shown}.",
        )
    near = difflib.get_close_matches(reference, tags, n=1)
    return ImageError(
        "the engine has no such image.",
        where=reference,
        fix=f"{f'Did you mean {near[0]!r}? ' if near else ''}Build it (`invoke build`), or pull it; "
        "`docker images` lists what is there.",
    )


def _shortest(reference: str, ids: Iterable[str]) -> str:
    """Return as much of an id as tells it from the others, and at least the 12 figures that docker shows."""
    digits = reference.partition(":")[2]
    others = [other.partition(":")[2] for other in ids if other != reference]
    length = next((n for n in range(12, 64) if not any(other.startswith(digits[:n]) for other in others)), 64)
    return digits[:length]


def other_platform(configuration: Configuration, *said: str) -> str:
    """Return why an image for another platform does not run here; empty where it does, or fails for another reason.

    An engine may run it by emulation: what counts is what the kernel said at its start.
    """
    if not configuration.foreign or not any("exec format error" in line for line in said):
        return ""
    return (
        f"the image is for {configuration.platform}, and this engine runs {configuration.engine_platform}: "
        f"build it with `--platform {configuration.engine_platform}`, or smoke it where it is to run"
    )


def configuration_of(inspected: Json, history: list[Json], reference: str, engine_platform: str = "") -> Configuration:
    """Turn the engine's JSON into a configuration."""
    config = inspected.get("Config") or {}
    environment = dict(pair.partition("=")[::2] for pair in config.get("Env") or ())
    return Configuration(
        reference=reference,
        id=str(inspected["Id"]),
        platform=f"{inspected.get('Os') or 'linux'}/{inspected.get('Architecture') or ''}",
        engine_platform=engine_platform,
        user=config.get("User") or "",
        entrypoint=_words(config.get("Entrypoint")),
        command=_words(config.get("Cmd")),
        environment=environment,
        working_directory=config.get("WorkingDir") or "/",
        # A compose file's `expose` stands there as it is written: a bare number is TCP.
        exposed_ports=tuple(
            sorted((port if "/" in port else f"{port}/tcp" for port in config.get("ExposedPorts") or ()), key=_number)
        ),
        volumes=tuple(sorted(config.get("Volumes") or ())),
        labels=dict(config.get("Labels") or {}),
        health_check=_health_check(config.get("Healthcheck")),
        stop_signal=config.get("StopSignal") or "SIGTERM",
        created=str(inspected.get("Created") or ""),
        history=tuple(str(row.get("CreatedBy", "")) for row in reversed(history)),
        # With a containerd image store, the inspected size is that of the packed layers; the sizes in the
        # history are those of the unpacked ones with every store.
        unpacked=sum(int(row.get("Size", 0)) for row in history),
    )


def _words(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(str(word) for word in value or ())


def _health_check(value: Json | None) -> HealthCheck | None:
    test = _words((value or {}).get("Test"))
    if value is None or not test or test[0] == "NONE":
        return None
    # Zero means the engine's default: 30 s, 30 s, 0 s, 3.
    return HealthCheck(
        test=test,
        interval=value.get("Interval", 0) / NANOSECONDS or 30.0,
        timeout=value.get("Timeout", 0) / NANOSECONDS or 30.0,
        start_period=value.get("StartPeriod", 0) / NANOSECONDS,
        retries=value.get("Retries", 0) or 3,
    )


def _number(port: str) -> tuple[int, str]:
    """Return what sorts `80/tcp` before `443/tcp`; a range or a name comes last."""
    number = port.partition("/")[0]
    return int(number) if number.isdecimal() and len(number) <= 5 else 1 << 16, port  # noqa: PLR2004 - ports' digits
