"""What is installed in an image: its release, its Pythons, distributions and system packages."""

from __future__ import annotations

from seatrial.facts.base import Fact


class Release(Fact, frozen=True, kw_only=True):
    """The Linux distribution, as os-release says it; a part that it leaves out is empty."""

    id: str
    """`debian`, `alpine`."""
    version: str = ""
    """`13`."""
    codename: str = ""
    """`trixie`."""
    title: str = ""
    """`Debian GNU/Linux 13 (trixie)`."""


class SystemPackage(Fact, frozen=True, kw_only=True):
    """A package of the distribution's own package manager."""

    name: str
    version: str
    architecture: str = ""
    source: str = ""
    """The source package that it is built from; empty where it has the same name."""
    source_version: str = ""


class InstalledDistribution(Fact, frozen=True, kw_only=True):
    """A Python distribution of one version, wherever its metadata lies."""

    name: str
    version: str
    locations: tuple[str, ...]
    """The folders or files of its metadata."""


class Inventory(Fact, frozen=True, kw_only=True):
    """What an image's files say is installed, sorted by name."""

    release: Release | None = None
    pythons: tuple[str, ...] = ()
    """The versions of the Pythons whose standard library is there, such as 3.13."""
    distributions: tuple[InstalledDistribution, ...] = ()
    cuda: int = 0
    """Bytes of the libraries that distributions of NVIDIA's bring."""
    packages: tuple[SystemPackage, ...] = ()
    manager: str = ""
    """dpkg, apk, or rpm, whose database is not read; empty where there is none."""
