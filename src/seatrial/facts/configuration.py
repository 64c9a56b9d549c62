"""Reads an image's configuration and history from the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seatrial.engine.containers import engine_errors
from seatrial.errors import ImageError
from seatrial.facts.data import Configuration, HealthCheck

if TYPE_CHECKING:
    import docker

    from seatrial.facts.data import Json

NANOSECONDS = 1_000_000_000


def read_configuration(client: docker.APIClient, reference: str) -> Configuration:
    """Return the configuration of an image that the engine has.

    Raises:
        ImageError: it has no such image, or the reference is not one.
        EngineError: it does not answer.

    """
    import docker.errors

    with engine_errors(f"inspecting {reference}"):
        try:
            inspected = client.inspect_image(reference)  # type: ignore[no-untyped-call]
            history = client.history(reference)  # type: ignore[no-untyped-call]
        except docker.errors.NotFound:
            raise ImageError(
                "the engine has no such image.",
                where=reference,
                fix="Build it (`invoke build`), or pull it; `docker images` lists what is there.",
            ) from None
        except docker.errors.APIError as error:
            raise ImageError(f"{error.explanation}.", where=reference, fix="Check its spelling.") from None
        except docker.errors.NullResource:
            raise ImageError("an empty name names no image.", fix="Give one: --image NAME:TAG.") from None
    return configuration_of(inspected, history, reference)


def configuration_of(inspected: Json, history: list[Json], reference: str) -> Configuration:
    """Turn the engine's JSON into a configuration."""
    config = inspected.get("Config") or {}
    environment = dict(pair.partition("=")[::2] for pair in config.get("Env") or ())
    return Configuration(
        reference=reference,
        id=str(inspected["Id"]),
        platform=f"{inspected.get('Os', 'linux')}/{inspected.get('Architecture', '')}",
        user=config.get("User") or "",
        entrypoint=_words(config.get("Entrypoint")),
        command=_words(config.get("Cmd")),
        environment=environment,
        working_directory=config.get("WorkingDir") or "/",
        exposed_ports=tuple(sorted(config.get("ExposedPorts") or ())),
        volumes=tuple(sorted(config.get("Volumes") or ())),
        labels=dict(config.get("Labels") or {}),
        health_check=_health_check(config.get("Healthcheck")),
        stop_signal=config.get("StopSignal") or "SIGTERM",
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
    # The engine's own defaults stand in for zeroes: 30 s, 30 s, 0 s, 3.
    return HealthCheck(
        test=test,
        interval=value.get("Interval", 0) / NANOSECONDS or 30.0,
        timeout=value.get("Timeout", 0) / NANOSECONDS or 30.0,
        start_period=value.get("StartPeriod", 0) / NANOSECONDS,
        retries=value.get("Retries", 0) or 3,
    )
