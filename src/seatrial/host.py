"""The machine that a command runs on."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from seatrial import trust
from seatrial.trust import Trust

if TYPE_CHECKING:
    from collections.abc import Mapping


PASSED_ON = frozenset({
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TERM", "TMPDIR", "SOURCE_DATE_EPOCH",
    "SSH_AUTH_SOCK", "DOCKER_AUTH_CONFIG", "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY", "NO_PROXY",
    # Files and names by which builders and registries' helpers find accounts: no secrets themselves.
    "KUBECONFIG", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE",
    "GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_CONFIG", "GNUPGHOME", "PASSWORD_STORE_DIR", "DBUS_SESSION_BUS_ADDRESS",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "NIX_SSL_CERT_FILE",
})  # fmt: skip
"""What every program that is started may know of the host's environment; proxies in lower case too."""
PASSED_PREFIXES = ("LC_", "XDG_", "DOCKER_", "BUILDX_", "BUILDKIT_", "COMPOSE_")
SECRET_NAME = re.compile(r"PASS|SECRET|TOKEN|KEY|CREDENTIAL|AUTH", re.IGNORECASE)
"""In the name of a variable: it may hold a secret, and is not passed on for its prefix alone."""


def passed_on(environment: Mapping[str, str], *prefixes: str) -> dict[str, str]:
    """Return the variables of an environment that a program gets: named ones, and those with a prefix.

    `prefixes` are those of the program's own settings, which may hold a secret that it needs.
    """
    return {
        name: value
        for name, value in environment.items()
        if name in PASSED_ON
        or (name.upper() in PASSED_ON and name.lower().endswith("_proxy"))
        or name.startswith(prefixes)
        or (name.startswith(PASSED_PREFIXES) and not SECRET_NAME.search(name))
    }


@dataclass(frozen=True, kw_only=True)
class Host:
    """Environment and folders; passed to everything below the commands, which does not read them itself."""

    environment: Mapping[str, str]
    home: Path
    data: Path
    """Seatrial's own folder for what must last: the provided engine."""
    cache: Path
    """Seatrial's own folder for what can be made again: downloads, root filesystems."""
    trust: Trust = Trust.PROJECT
    """How far the project's files are trusted."""

    @property
    def programs_environment(self) -> dict[str, str]:
        """What a program that is started knows of this machine's environment."""
        return passed_on(self.environment)

    def scanner_environment(self, *prefixes: str) -> dict[str, str]:
        """Return the environment of a scanner, with its own variables; PATH's relative folders are a project's."""
        path = ":".join(part for part in self.environment.get("PATH", "").split(":") if part.startswith("/"))
        return {**passed_on(self.environment, *prefixes), "PATH": path}

    @property
    def engine_folder(self) -> Path:
        """Where the provided engine lives."""
        return self.data / "engine"


def this_host(trusted: str | None = None) -> Host:
    """Return the machine that this process runs on; called once, by the command.

    `trusted`: how far the project's files are trusted; without it, as the environment says.

    Raises:
        SettingsError: that is no level of trust.
    """
    environment = dict(os.environ)
    return Host(
        environment=environment,
        home=Path.home(),
        data=platformdirs.user_data_path("seatrial"),
        cache=platformdirs.user_cache_path("seatrial"),
        trust=trust.chosen(environment, trusted),
    )
