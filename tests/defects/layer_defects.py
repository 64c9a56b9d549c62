"""Defects of layers: what an image holds that no container of it sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.defects.contents_defects import KEY, as_root
from tests.defects.defect import Defect

from seatrial.checks.model import Level

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGE = "head -c 9000000 /dev/urandom"
NETRC = "machine example.org login me password hunter2\n"


def layered(
    name: str, *lines: str, finds: str, says: tuple[str, ...], twin: tuple[str, ...], files: Mapping[str, str] = {}
) -> Defect:
    """Return a defect of layers; level deep reads them."""
    return Defect(
        name=name,
        dockerfile=as_root(*lines),
        finds=finds,
        says=says,
        twin=as_root(*twin),
        files=dict(files),
        level=Level.DEEP,
    )


WASTE = (
    layered(
        "what one RUN writes and a later one removes",
        f"RUN mkdir -p /var/lib/tide && {LARGE} > /var/lib/tide/lists",
        "RUN rm -rf /var/lib/tide",
        finds="layers/waste",
        says=("9.0 MB", "removes /var/lib/tide/lists", "RUN rm -rf /var/lib/tide", "--mount=type=cache"),
        twin=(f"RUN mkdir -p /var/lib/tide && {LARGE} > /var/lib/tide/lists && rm -rf /var/lib/tide",),
    ),
    layered(
        "a file that is written twice",
        f"RUN {LARGE} > /srv/table",
        f"RUN {LARGE} > /srv/table",
        finds="layers/waste",
        says=("writes again /srv/table", "once"),
        twin=(f"RUN {LARGE} > /srv/table && {LARGE} > /srv/table",),
    ),
    layered(
        "a folder that is copied and removed",
        "COPY wheel /build/wheel",
        "RUN rm -rf /build",
        files={"wheel": "0123456789abcde\n" * 500_000},
        finds="layers/waste",
        says=("removes /build/wheel (1 file, 8.0 MB) of layer", "--mount=type=bind"),
        twin=("RUN --mount=type=bind,source=wheel,target=/build/wheel head -c 9 /build/wheel",),
    ),
    layered(
        "two archives that a later line removes",
        f"RUN {LARGE} > /srv/a.tar && {LARGE} > /srv/b.tar",
        "RUN rm /srv/*.tar",
        finds="layers/waste",
        says=("18.0 MB", "removes /srv (2 files, 18.0 MB)"),
        twin=("RUN head -c 3000000 /dev/urandom > /srv/a.tar", "RUN rm /srv/*.tar"),
    ),
)
COPIES = (
    layered(
        "a tree that chown stores again",
        "COPY data /srv/data",
        "RUN chown -R 10001:10001 /srv/data",
        files={"data": "0123456789abcde\n" * 500_000},
        finds="layers/ownership-copy",
        says=("RUN chown -R 10001:10001 /srv/data) stores /srv/data", "another owner", "--chown=USER:GROUP"),
        twin=("COPY --chown=10001:10001 data /srv/data",),
    ),
    layered(
        "a tree that chmod stores again",
        "COPY data /srv/data",
        "RUN chmod -R 0600 /srv",
        files={"data": "0123456789abcde\n" * 500_000},
        finds="layers/ownership-copy",
        says=("another mode", "--chmod=MODE"),
        twin=("COPY --chmod=0600 data /srv/data",),
    ),
    layered(
        "what a RUN writes and a later one gives away",
        f"RUN mkdir /srv/cache && {LARGE} > /srv/cache/table",
        "RUN chgrp -R 10001 /srv/cache && chmod -R g+w /srv/cache",
        finds="layers/ownership-copy",
        says=("stores /srv/cache/table (1 file, 9.0 MB) again, with another owner and mode", "at its end"),
        twin=(f"RUN install -d -g 10001 /srv/cache && {LARGE} > /srv/cache/table && chmod 0664 /srv/cache/table",),
    ),
)
PIP = "[global]\nindex-url = https://me:hunter2@packages.example.org/simple\n"


def hidden(name: str, *lines: str, says: tuple[str, ...], twin: str) -> Defect:
    """Return a defect of a secret that a layer holds and a later one hides."""
    files = {"netrc": NETRC, "key": KEY, "dotenv": "API_TOKEN=6514:AAH-x9fQ\n", "none": "# none\n", "pip.conf": PIP}
    return layered(name, *lines, finds="secrets/deleted", says=says, twin=(twin,), files=files)


HIDDEN_SECRETS = (
    hidden(
        "credentials that a later line removes",
        "COPY netrc /root/.netrc",
        "RUN rm /root/.netrc",
        says=("/root/.netrc (credentials)", "removes it", "--mount=type=secret"),
        twin="RUN --mount=type=bind,source=netrc,target=/root/.netrc true",
    ),
    hidden(
        "a key whose folder a later line removes",
        "COPY --chmod=0600 key /root/.ssh/id_ed25519",
        "RUN true",
        "RUN rm -rf /root/.ssh",
        says=("/root/.ssh/id_ed25519 (a private key)",),
        twin="RUN --mount=type=bind,source=key,target=/root/.ssh/id_ed25519 true",
    ),
    hidden(
        "an environment file that a later line writes over",
        "COPY dotenv /srv/.env.local",
        "COPY none /srv/.env.local",
        "RUN mv /srv/.env.local /srv/settings",
        says=("/srv/.env.local (an environment file with a secret)", "writes over it"),
        twin="COPY none /srv/settings",
    ),
    hidden(
        "an index with its password for one RUN",
        "COPY pip.conf /etc/pip.conf",
        "RUN rm /etc/pip.conf",
        says=("/etc/pip.conf (an index with its password)",),
        twin="RUN --mount=type=bind,source=pip.conf,target=/etc/pip.conf true",
    ),
)
LAYERS = (*WASTE, *COPIES, *HIDDEN_SECRETS)
