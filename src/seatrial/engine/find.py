"""Finds the engine that answers: DOCKER_HOST, the CLI's context, the default socket, seatrial's own."""

from __future__ import annotations

import hashlib
import json
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seatrial.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import docker

    from seatrial.host import Host

DEFAULT_SOCKET = "unix:///var/run/docker.sock"
ANY_API = "1.44"
"""The API version of a client until the engine's own is known; no request uses it."""
API_TIMEOUT = 60
"""Seconds that one request to an engine may take before it counts as dead."""

OWN = "seatrial's own engine"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """An engine that may answer, and where it was named."""

    source: str
    url: str
    explicit: bool = False
    """It was chosen for this command: when it does not answer, no other one is used."""
    context: str | None = None
    tls: Path | None = None
    """The folder with ca.pem, cert.pem and key.pem."""


@dataclass(frozen=True, kw_only=True)
class Engine:
    """An engine that answers."""

    candidate: Candidate
    version: str
    api_version: str
    platform: str
    """What it runs: `linux/amd64`."""
    programs_environment: Mapping[str, str] = field(repr=False)
    """The environment that makes docker's own programs talk to this engine."""
    cache: Path | None = None
    """Where what was read of its images is kept; None keeps nothing."""

    @property
    def own(self) -> bool:
        """Tell whether seatrial provides it."""
        return self.candidate.source == OWN

    @cached_property
    def client(self) -> docker.DockerClient:
        """The engine's API."""
        return _client(self.candidate, self.api_version)

    def connection(self, timeout: int = API_TIMEOUT) -> docker.APIClient:
        """Return a new connection, for a thread; its user closes it. A request may take `timeout` seconds."""
        return _client(self.candidate, self.api_version, timeout=timeout).api

    def __str__(self) -> str:
        """Return its version and address, for messages."""
        return f"Docker {self.version} ({self.candidate.source}, {self.candidate.url})"


def own_socket(host: Host) -> str:
    """Return the address of the engine that seatrial provides."""
    return f"unix://{host.engine_folder / 'docker.sock'}"


def candidates(host: Host) -> Iterator[Candidate]:
    """Yield the engines to try, in the docker CLI's own order."""
    environment = host.environment
    if url := environment.get("DOCKER_HOST"):
        verify = environment.get("DOCKER_TLS_VERIFY") or environment.get("DOCKER_TLS")
        folder = Path(environment.get("DOCKER_CERT_PATH") or _config_folder(host)) if verify else None
        yield Candidate(source="DOCKER_HOST", url=url, explicit=True, tls=folder)
        return
    if name := environment.get("DOCKER_CONTEXT"):
        yield _context(host, name, source=f"DOCKER_CONTEXT {name!r}", explicit=True)
        return
    if (name := _current_context(host)) and name != "default":
        yield _context(host, name, source=f"docker context {name!r}", explicit=False)
    yield Candidate(source="the default socket", url=DEFAULT_SOCKET)
    yield Candidate(source=OWN, url=own_socket(host))


def find_engine(host: Host) -> Engine:
    """Return the first engine that answers; an EngineError that lists what was tried where none does."""
    tried: list[str] = []
    for candidate in candidates(host):
        try:
            return connect(candidate, host)
        except EngineError as error:
            tried.append(f"{candidate.source} ({candidate.url}): {error.what}")
            if candidate.explicit:
                raise EngineError(
                    f"the engine that {candidate.source} names does not answer: {error.what}",
                    where=candidate.url,
                    fix="Start it, or unset that choice so that seatrial looks for another engine.",
                ) from None
    raise EngineError(
        "no Docker engine answers.",
        fix="Start Docker, set DOCKER_HOST, or let seatrial provide one: `invoke engine.start`.",
        detail="\n".join(f"tried {candidate}" for candidate in tried),
    )


def no_engine(host: Host) -> Engine:
    """Return what stands for an engine where none is asked: programs that only read files are found by it."""
    candidate = Candidate(source="no engine", url=DEFAULT_SOCKET)
    environment = _programs_environment(candidate, host)
    return Engine(candidate=candidate, version="", api_version="", platform="", programs_environment=environment)


def connect(candidate: Candidate, host: Host) -> Engine:
    """Return the engine behind a candidate; an EngineError where it does not answer."""
    if missing := _missing_socket(candidate.url):
        raise EngineError(missing)
    import docker.errors
    import requests

    try:
        with closing(_client(candidate, ANY_API)) as client:
            # Without a version, in one request: this answer takes long, and docker-py by itself would ask twice.
            answer = client.api.version(api_version=False)
        version, api_version = str(answer["Version"]), str(answer["ApiVersion"])
        # docker-py refuses a version that it does not speak.
        _client(candidate, api_version).close()
        platform = f"{answer.get('Os', '')}/{answer.get('Arch', '')}"
    except (docker.errors.DockerException, requests.exceptions.RequestException, OSError) as error:
        raise EngineError(_short(error)) from error
    except AttributeError as error:
        raise EngineError(f"docker's config.json is malformed: {_short(error)}") from error
    except (ValueError, LookupError, TypeError) as error:
        # docker-py parses the address and the answer without checking them.
        raise EngineError(f"not an engine's address, or no engine answers there: {_short(error)}") from error
    return Engine(
        candidate=candidate,
        version=version,
        api_version=api_version,
        platform=platform,
        programs_environment=_programs_environment(candidate, host),
        cache=host.cache,
    )


def _missing_socket(url: str) -> str:
    # Before docker-py is imported: on a host without an engine this saves 0.2 s.
    scheme, _, path = url.partition("://")
    try:
        return "no such socket." if scheme == "unix" and not Path(path).is_socket() else ""
    except OSError as error:
        return f"{error.strerror}."


def _client(candidate: Candidate, api_version: str, *, timeout: int = API_TIMEOUT) -> docker.DockerClient:
    import docker
    import docker.tls

    tls: Any = False
    if candidate.tls is not None:
        tls = docker.tls.TLSConfig(
            client_cert=(str(candidate.tls / "cert.pem"), str(candidate.tls / "key.pem")),
            ca_cert=str(candidate.tls / "ca.pem"),
            verify=True,
        )
    return docker.DockerClient(
        base_url=candidate.url,
        version=api_version,
        timeout=timeout,
        tls=tls,
        use_ssh_client=candidate.url.startswith("ssh://"),
    )


NO_GIT = {"BUILDX_GIT_INFO": "false", "BUILDX_GIT_LABELS": "false"}
"""Keeps buildx from asking git about a build context: a repository's configuration names programs that git starts."""


def _programs_environment(candidate: Candidate, host: Host) -> dict[str, str]:
    environment = host.programs_environment
    environment.pop("DOCKER_HOST", None)
    environment.pop("DOCKER_CONTEXT", None)
    environment.update(NO_GIT)
    if candidate.context is not None:
        environment["DOCKER_CONTEXT"] = candidate.context
    else:
        environment["DOCKER_HOST"] = candidate.url
    if candidate.source == OWN:
        # buildx keeps records of its builds: those of the provided engine stay out of the user's folder.
        environment["BUILDX_CONFIG"] = str(host.engine_folder / "buildx")
    return environment


def _config_folder(host: Host) -> Path:
    return Path(host.environment.get("DOCKER_CONFIG") or host.home / ".docker")


def _current_context(host: Host) -> str | None:
    try:
        config = json.loads((_config_folder(host) / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise EngineError(
            f"cannot be read: {error}.", where=str(_config_folder(host) / "config.json"), fix="Correct that file."
        ) from error
    name = config.get("currentContext") if isinstance(config, dict) else None
    return name if isinstance(name, str) and name else None


def _context(host: Host, name: str, *, source: str, explicit: bool) -> Candidate:
    if name == "default":
        return Candidate(source=source, url=DEFAULT_SOCKET, explicit=explicit)
    # The docker CLI files a context under the SHA-256 of its name.
    key = hashlib.sha256(name.encode()).hexdigest()
    contexts = _config_folder(host) / "contexts"
    file = contexts / "meta" / key / "meta.json"
    try:
        url = json.loads(file.read_text(encoding="utf-8"))["Endpoints"]["docker"]["Host"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EngineError(
            f"the docker context {name!r} does not exist or cannot be read.",
            where=str(file),
            fix="List the contexts: `docker context ls`.",
        ) from error
    tls = contexts / "tls" / key / "docker"
    return Candidate(source=source, url=str(url), explicit=explicit, context=name, tls=tls if tls.is_dir() else None)


def _short(error: Exception) -> str:
    text = " ".join(str(error).split())
    for known, plain in (
        ("Permission denied", "permission denied: this account cannot use it."),
        ("Connection refused", "connection refused: nothing listens there."),
        ("timed out", "it did not answer in time."),
    ):
        if known in text:
            return plain
    return f"{text[:300]}."
