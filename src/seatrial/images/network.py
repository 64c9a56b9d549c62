"""What kept a build step from a server, by what pip, uv, poetry, apt, curl, wget, git and npm say of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum

LAST_LINES = 60
"""Lines at a log's end that are read: what came earlier was got over."""
HOST = re.compile(
    r"(?:https?://(?:[^/@\s]*@)?|host='|resolv(?:e|ing) (?:host(?:name)?:? |host address )?[`']?|"
    r"EAI_AGAIN |ENOTFOUND |lookup |connect to |bad address '|User for )([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)"
)
"""A host's name where these programs say one; without a dot it may be any word."""
NO_NETWORK = ("network", "none")
"""The flag of a RUN that has none."""


class Obstacle(Enum):
    """What was in the way, each with the words for it; of two in one line, the first counts."""

    PROXY_LOGIN = (
        r"\b407\b.*prox|prox\w*[^:]*[: ].*\b407\b|E407|tunnel failed[:,] (?:response )?407|proxy authorization"
    )
    PROXY_REFUSES = r"tunnel (?:connection )?failed[:,] (?:response )?403|HTTP code 403 from proxy"
    NAME = (
        r"name resolution|NameResolutionError|Name or service not known|failed to lookup address|dns error|"
        r"could not resolve|unable to resolve host|temporary failure resolving|EAI_AGAIN|ENOTFOUND|no such host|"
        r"wget: bad address|DNS: (?:transient error|name does not exist)|No address associated with hostname"
    )
    EXPIRED = (
        r"certificate (?:has )?expired|certificate is not yet valid|CERT_HAS_EXPIRED|certificate chain uses expired"
    )
    OTHER_HOST = (
        r"hostname mismatch|hostname .* doesn't match|does not match target host|"
        r"no alternative certificate subject name|CERT_ALTNAME|NotValidForName|certificate is valid for"
    )
    CERTIFICATE = (
        r"certificate[_ ]verify[_ ]failed|UnknownIssuer|unable to get (?:local )?issuer|self[- ]signed[_ ]cert|"
        r"SELF_SIGNED_CERT|UNABLE_TO_GET_ISSUER|unable to verify the first certificate|unknown authority|"
        r"certificate verification failed|error setting certificate (?:verify locations|file)"
    )
    LOGIN = (
        r"\b401\b.*(?:client error|unauthori[sz]ed|error)|"
        r"(?:HTTP error|returned error:?|status code|ERROR|code E) ?401\b|"
        r"lack of valid authentication credentials|Authorization error accessing|Authentication failed for|"
        r"could not read Username|^User for \S+: "
    )
    FORBIDDEN = r"\b403\b.*(?:client error|forbidden)|(?:HTTP error|returned error:?|status code|ERROR|code E) ?403\b"
    REFUSED = r"connection refused|ECONNREFUSED"
    NO_ROUTE = r"network is unreachable|no route to host|ENETUNREACH|EHOSTUNREACH|network unreachable"
    TOO_SLOW = (
        r"connection timed out|connect(?:ion)?[ -]?timeout|ReadTimeoutError|read timed out|operation timed out|"
        r"E(?:SOCKET)?TIMEDOUT|network timeout|curl: \(28\)|all attempts to connect to"
    )


WORDS = {obstacle: re.compile(obstacle.value, re.IGNORECASE) for obstacle in Obstacle}
LOCAL = re.compile(r"localhost|127\.0\.0\.1|::1")
SECRETS = "(docs/settings.md, Build secrets)"
FIXES = {
    Obstacle.PROXY_LOGIN: (
        "The proxy wants a name and password: put them into HTTPS_PROXY (`http://NAME:PASSWORD@HOST:PORT`), and name "
        f"`proxy` in the app's `build-secrets` {SECRETS}."
    ),
    Obstacle.PROXY_REFUSES: (
        "The proxy lets nobody through to {host}: have that allowed, or name an index that is within reach, by "
        f"`pip-config` or `uv-config` {SECRETS}."
    ),
    Obstacle.NAME: (
        "The build finds no address for {host}: correct the name if it is wrong. Else give the engine a name server "
        "(`dns` in its daemon.json) or, where only a proxy leads out, set HTTPS_PROXY and build again."
    ),
    Obstacle.EXPIRED: (
        "The certificate of {host} is out of date, or the clock of the engine's machine is wrong: compare `date` there."
    ),
    Obstacle.OTHER_HOST: (
        "Another server answers for {host}, with a certificate for its own name: correct the address, or the proxy."
    ),
    Obstacle.CERTIFICATE: (
        "The build does not trust who signed the certificate of {host}. Install ca-certificates before this step, if "
        "the base has none; where your network signs certificates itself, let SSL_CERT_FILE name them on this host, or "
        "mount the secret ca-bundle in this RUN where it does already (docs/settings.md, Certificates)."
    ),
    Obstacle.LOGIN: (
        "{host} wants credentials: name `netrc`, `pip-config` or `uv-config` in the app's `build-secrets`; where the "
        f"Dockerfile mounts that secret itself, mount it in this RUN too {SECRETS}."
    ),
    Obstacle.FORBIDDEN: (
        "{host} refuses (403): check the rights and the expiry of the account or token in use, and the address."
    ),
    Obstacle.REFUSED: "Nothing listens at that address of {host}: correct the address or port, or start the server.",
    Obstacle.NO_ROUTE: (
        "The build has no way to {host}: connect the engine's machine, or set HTTPS_PROXY if a proxy leads out."
    ),
    Obstacle.TOO_SLOW: (
        "{host} did not answer in time: build again. If it never does, a firewall drops the packets: set HTTPS_PROXY, "
        "or name an index within reach."
    ),
}
BY_THE_ENGINE = (
    "The engine itself fetches what ADD names, and does not trust who signed the certificate of {host}: install that "
    "authority on the engine's machine, and start the engine again."
)
OFFLINE = "This RUN has no network (`--network=none`): fetch what it needs in an earlier step, or take that flag away."
OWN_LOCALHOST = (
    "`localhost` in a build is the step itself, not your machine: start what it asks in the same RUN, do this when the "
    "container starts, or name the other machine."
)


def network_fix(lines: Sequence[str], *, keyword: str = "RUN", flags: Sequence[tuple[str, str]] = ()) -> str:
    """Return what to do about a step that did not reach a server, by the last line that tells; empty where none does.

    `keyword` and `flags` are those of its instruction.
    """
    last = lines[-LAST_LINES:]
    for at in range(len(last) - 1, -1, -1):
        found = next((obstacle for obstacle, words in WORDS.items() if words.search(last[at])), None)
        if found is None:
            continue
        if NO_NETWORK in flags and found in {Obstacle.NAME, Obstacle.NO_ROUTE, Obstacle.REFUSED, Obstacle.TOO_SLOW}:
            return OFFLINE
        if found is Obstacle.REFUSED and LOCAL.search(last[at]):
            return OWN_LOCALHOST
        fix = BY_THE_ENGINE if found is Obstacle.CERTIFICATE and keyword == "ADD" else FIXES[found]
        text = fix.format(host=_host(last[: at + 1]) or "the server")
        return text[0].upper() + text[1:] if text.startswith("the server") else text
    return ""


def _host(lines: Sequence[str]) -> str:
    """Return the host that the last of some lines names, or the nearest one above it."""
    named = (HOST.search(line) for line in reversed(lines))
    return next((match[1] for match in named if match), "")
