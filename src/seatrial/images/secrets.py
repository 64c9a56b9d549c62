"""What a build needs to reach a corporate network: taken from the host, handed over as BuildKit secrets.

A secret is seen only by a RUN that mounts it, and stays in no layer, argument or label.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from seatrial.images import index_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seatrial.host import Host

SecretId = Literal["ca-bundle", "netrc", "pip-config", "uv-config"]
SECRET_IDS: tuple[SecretId, ...] = get_args(SecretId)

CA_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
LARGEST = 500 * 1024
"""Bytes that BuildKit takes as one secret (its MaxSecretSize)."""


@dataclass(frozen=True, kw_only=True)
class BuildSecrets:
    """What is handed to a build without becoming part of its image."""

    files: Mapping[SecretId, Path] = field(default_factory=dict)
    """Files of the host that are handed over as they are."""
    texts: Mapping[SecretId, str] = field(default_factory=dict, repr=False)
    """What is put together here. It goes through buildx's environment: no file of it is ever written."""
    proxies: tuple[str, ...] = ()
    """Names of the proxy variables that are set; their values never stand on a command line."""
    notes: tuple[str, ...] = ()
    """What could not be handed over, for a person."""

    def words(self) -> list[str]:
        """Return the words for buildx's command line."""
        words: list[str] = []
        for name, path in self.files.items():
            words += ["--secret", f'"id={name}","src={_csv(path)}"']
        for name in self.texts:
            words += ["--secret", f"id={name},env={_variable(name)}"]
        for variable in self.proxies:
            words += ["--build-arg", variable]
        return words

    def environment(self) -> dict[str, str]:
        """Return what buildx's environment needs for those words."""
        return {_variable(name): text for name, text in self.texts.items()}


def find_secrets(host: Host) -> BuildSecrets:
    """Return what this host's environment and files give; only what exists.

    Raises:
        BuildError: pip's or uv's configuration is malformed; the message names the file.

    """
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
                notes.append(f"{path} is not handed to the build as the secret {name!r}: {problem}")
    texts: dict[SecretId, str] = {}
    if text := index_settings.pip_config(host):
        texts["pip-config"] = text
    if text := index_settings.uv_config(host):
        texts["uv-config"] = text
    proxies = (either for upper in PROXY_VARIABLES for either in (upper, upper.lower()))
    return BuildSecrets(
        files=files,
        texts=texts,
        proxies=tuple(one for one in proxies if host.environment.get(one)),
        notes=tuple(notes),
    )


def _path(host: Host, value: str) -> Path:
    return host.home / value.removeprefix("~/") if value.startswith("~/") else Path(value).absolute()


def _problem(path: Path) -> str | None:
    """Return why a file cannot be a secret: None when it can, an empty text when it is simply not there."""
    try:
        if not path.is_file():
            return ""
        if path.stat().st_size > LARGEST:
            return f"it is larger than the {LARGEST // 1024} KiB that BuildKit takes."
    except OSError as error:
        return f"{error.strerror}."
    return None if os.access(path, os.R_OK) else "it may not be read."


def _csv(path: Path) -> str:
    # buildx reads the words of --secret as one line of CSV: a comma or quote in a path needs quoting.
    return str(path).replace('"', '""')


def _variable(name: SecretId) -> str:
    return f"SEATRIAL_SECRET_{name.upper().replace('-', '_')}"
