"""What a build needs to reach a corporate network: taken from the host, passed on as BuildKit secrets."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

from seatrial.dockerfile import SecretMount
from seatrial.errors import BuildError
from seatrial.host import Host
from seatrial.images.plan import BuildPlan
from seatrial.images.secrets.installer_settings import pip_config, uv_config
from seatrial.images.secrets.redaction import Credential, in_addresses, in_netrc
from seatrial.trust import Trust

SecretId = Literal["ca-bundle", "netrc", "pip-config", "uv-config"]
PROXY = "proxy"
"""The name in the settings of proxies whose address holds a password."""

CA_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
CLI_PROXIES = {
    "httpProxy": "HTTP_PROXY",
    "httpsProxy": "HTTPS_PROXY",
    "ftpProxy": "FTP_PROXY",
    "allProxy": "ALL_PROXY",
}
"""What the docker CLI calls them in its configuration."""
LARGEST = 500 * 1024
"""Bytes that BuildKit takes as one secret (its MaxSecretSize)."""


@dataclass(frozen=True, kw_only=True)
class BuildSecrets:
    """What is passed to a build without becoming part of its image."""

    files: Mapping[SecretId, Path] = field(default_factory=dict)
    """Files of the host that are passed as they are."""
    texts: Mapping[SecretId, str] = field(default_factory=dict, repr=False)
    """Texts that are made here. They go through buildx's environment: no file of them is written."""
    proxies: tuple[str, ...] = ()
    """Names of the proxy variables that are set; their values are never on a command line."""
    emptied: tuple[str, ...] = ()
    """Proxy variables that the docker CLI's own configuration would set, and the build may not see."""
    credentials: tuple[Credential, ...] = field(default=(), repr=False)
    """What of all this nobody may read."""
    notes: tuple[str, ...] = ()
    """Messages about what could not be passed."""

    def arguments(self) -> list[str]:
        """Return the arguments for buildx's command line."""
        # buildx reads a --secret as one line of CSV: a comma or quote in a path needs quoting.
        files = [f'"id={name}","src={str(path).replace(chr(34), chr(34) * 2)}"' for name, path in self.files.items()]
        texts = [f"id={name},env={secret_variable(name)}" for name in self.texts]
        return [
            *(word for secret in (*files, *texts) for word in ("--secret", secret)),
            *(word for variable in self.proxies for word in ("--build-arg", variable)),
            *(word for variable in self.emptied for word in ("--build-arg", f"{variable}=")),
        ]

    def environment(self) -> dict[str, str]:
        """Return what buildx's environment needs for those arguments."""
        return {secret_variable(name): text for name, text in self.texts.items()}

    @property
    def confidential(self) -> frozenset[str]:
        """The secrets and proxy variables that hold a credential: a build gets them only by name."""
        return frozenset(credential.source for credential in self.credentials) | ({"netrc"} & self.files.keys())

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all secrets and proxy variables."""
        return (*sorted({*self.files, *self.texts}), *self.proxies)

    def for_each_run(self, named: Collection[str], mounts: Sequence[SecretMount]) -> list[str]:
        """Return which secrets each RUN gets: those that the settings name, and that the Dockerfile mounts nowhere."""
        by_hand = {mount.id for mount in mounts}
        return [name for name in self.names if name in named and name != PROXY and name not in by_hand]

    def given(self, named: Collection[str], trust: Trust) -> BuildSecrets:
        """Return what a build gets: what holds no credential, and what its settings name.

        The Dockerfile of an untrusted project gets the CA bundle and proxies without a password.
        """

        def allowed(name: str) -> bool:
            is_proxy = name.upper() in PROXY_VARIABLES
            if name in self.confidential:
                return trust is not Trust.NONE and (PROXY if is_proxy else name) in named
            return trust is not Trust.NONE or is_proxy or name == "ca-bundle"

        return replace(
            self,
            files={name: path for name, path in self.files.items() if allowed(name)},
            texts={name: text for name, text in self.texts.items() if allowed(name)},
            proxies=tuple(filter(allowed, self.proxies)),
            emptied=() if trust is not Trust.NONE and PROXY in named else self.emptied,
            credentials=tuple(credential for credential in self.credentials if allowed(credential.source)),
        )


def find_secrets(host: Host) -> BuildSecrets:
    """Return what this host's environment and files give; raise BuildError where pip's or uv's are malformed."""
    notes: list[str] = []
    files: dict[SecretId, Path] = {}
    bundles = (host.environment.get(variable) for variable in CA_VARIABLES)
    candidates: dict[SecretId, list[Path]] = {
        "ca-bundle": [_path(host, value) for value in bundles if value],
        "netrc": [_path(host, host.environment.get("NETRC") or "~/.netrc")],
    }
    for name, paths in candidates.items():
        for path in paths:
            problem = _problem(path)
            if problem is None:
                files[name] = path
                break
            if problem:
                notes.append(f"{path} is not passed to the build as the secret {name!r}: {problem}")
    texts: dict[SecretId, str] = {"pip-config": pip_config(host), "uv-config": uv_config(host)}
    variables = [name for upper in PROXY_VARIABLES for name in (upper, upper.lower())]
    proxies = {name: value for name in variables if (value := host.environment.get(name))}
    # Those of the docker CLI's configuration reach a build by themselves, where no variable is set.
    own = {
        name: value
        for name, value in cli_proxies(host).items()
        # Where a variable holds a password, the build gets none of both unless it is named.
        if name not in proxies or any(in_addresses([proxies[name]], name))
    }
    credentials = [
        *(in_netrc(_text(files["netrc"])) if "netrc" in files else ()),
        *in_addresses(texts["pip-config"].splitlines(), "pip-config"),
        *in_addresses(_strings(tomllib.loads(texts["uv-config"])), "uv-config"),
        *(found for name, value in (*proxies.items(), *own.items()) for found in in_addresses([value], name)),
    ]
    return BuildSecrets(
        files=files,
        texts={name: text for name, text in texts.items() if text},
        proxies=tuple(proxies),
        emptied=tuple(dict.fromkeys(found.source for found in credentials if found.source in own)),
        credentials=tuple(credentials),
        notes=tuple(notes),
    )


def withheld(
    found: BuildSecrets,
    given: BuildSecrets,
    mounts: Sequence[SecretMount],
    plan: BuildPlan,
    *,
    trust: Trust,
    settings: str,
) -> list[str]:
    """Return what is said of secrets that a build could use and does not get.

    Raises:
        BuildError: the Dockerfile requires one that it does not get.
    """
    lacking = set(found.names) - set(given.names)
    proxies = list(dict.fromkeys([*(name for name in found.proxies if name in lacking), *given.emptied]))
    messages: list[str] = []
    for mount in mounts:
        if mount.id not in get_args(SecretId) or mount.id in given.names:
            continue
        if trust is Trust.NONE:
            what, fix = "which a project that is not trusted does not get", "Where you trust it, give --trust project."
        elif mount.id in lacking:
            what, fix = "which its settings do not name", naming(plan, mount.id, settings)
        else:
            what, fix = "which this host does not have", "See docs/settings.md, Build secrets."
        if mount.required:
            message = f"this RUN requires the secret {mount.id!r}, {what}."
            raise BuildError(message, where=f"{plan.dockerfile_shown}:{mount.line}", fix=fix)
        if mount.id in lacking and trust is not Trust.NONE:
            messages.append(
                f"{plan.dockerfile_shown}:{mount.line}: this RUN mounts the secret {mount.id!r}, {what}. {fix}"
            )
    if trust is Trust.NONE:
        kept = [*dict.fromkeys(mount.id for mount in mounts if mount.id in lacking), *proxies]
        return [f"The project is not trusted: its build gets the CA bundle, not {', '.join(kept)}."] if kept else []
    if proxies:
        named = naming(plan, PROXY, settings)
        messages.append(f"{', '.join(proxies)}: the address holds a password, and the build does not get it. {named}")
    return messages


def naming(plan: BuildPlan, secret: str, settings: str) -> str:
    """Return how the settings name one more secret."""
    named = ", ".join(json.dumps(name) for name in (*plan.secrets, secret))
    return f"Write `build-secrets = [{named}]` in {plan.table} of {settings}."


def cli_proxies(host: Host) -> dict[str, str]:
    """Return the variables that the docker CLI's `proxies` set in every build, for any engine; see its config.json."""
    folder = Path(host.environment.get("DOCKER_CONFIG") or host.home / ".docker")
    try:
        declared = json.loads((folder / "config.json").read_text(encoding="utf-8"))["proxies"]
        tables = [table for table in declared.values() if isinstance(table, dict)]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}
    found = {
        name: str(table[key])
        for table in tables
        for key in table.keys() & CLI_PROXIES.keys()
        for name in (CLI_PROXIES[key], CLI_PROXIES[key].lower())
    }
    return dict(sorted(found.items()))


def _strings(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            yield from (text for inner in value.values() for text in _strings(inner))
        case list():
            yield from (text for inner in value for text in _strings(inner))


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _path(host: Host, value: str) -> Path:
    return host.home / value.removeprefix("~/") if value.startswith("~/") else Path(value).absolute()


def _problem(path: Path) -> str | None:
    """Return why a file cannot be a secret: None when it can, an empty text when it does not exist."""
    try:
        if not path.is_file():
            return ""
        if path.stat().st_size > LARGEST:
            return f"it is larger than the {LARGEST // 1024} KiB that BuildKit takes."
    except OSError as error:
        return f"{error.strerror}."
    return None if os.access(path, os.R_OK) else "this account cannot read it."


def secret_variable(name: str) -> str:
    """Return the variable by which buildx gets a secret's text."""
    return f"SEATRIAL_SECRET_{name.upper().replace('-', '_')}"
