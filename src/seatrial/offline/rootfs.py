"""Root filesystems of Debian suites as tar files: mmdebstrap, unpacked privately, run on the host."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import urllib.parse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seatrial import process
from seatrial.errors import BuildError, ProgramError, SettingsError
from seatrial.filesystem import locked
from seatrial.offline import debian
from seatrial.offline.debian import KEYRING, Archive, host_archive

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from seatrial.host import Host


MAKER_SUITE = "trixie"
"""The suite that mmdebstrap comes from: a script that runs on later and earlier suites alike."""
TIMEOUT = 1200.0
FRESH = 7 * 24 * 3600.0
"""Seconds that a kept root filesystem is used again; an older one may lack security updates."""
FORMAT = "1"
"""Changes when this module makes something else, so that what was kept is made again."""

NOT_MERGED = frozenset({"bookworm"})
"""Suites whose base system merges /usr with a program that needs all of Perl: 48 MB."""
APT_SETTINGS = "apt settings"
"""The key of the file with the host's own settings of apt, which the image does not keep."""
APT_KEYS = r"Acquire::(?:Check-Valid-Until|Check-Date|Retries|https?(?:::[^ ]+)?)"
NOT_FOR_THE_IMAGE = ("/etc/apt/apt.conf.d/99mmdebstrap", "/etc/apt/sources.list", "/etc/hostname", "/etc/resolv.conf")

NAME = re.compile(r"^[a-z0-9][a-z0-9.+-]*$")
LEFT_OUT = ("man", "locale", "info", "groff", "lintian", "linda", "doc", "doc-base")
"""What slim images leave out of /usr/share; licences stay."""

# Kept under the name that Dockerfiles with a cache mount for apt delete.
DOCKER_CLEAN = """\
// A package file or a package cache that stayed in a layer would only take room.
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb || true"; };
APT::Update::Post-Invoke { "rm -f /var/cache/apt/*.bin || true"; };
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
"""
DOCKER_SMALL = """\
// No translated descriptions, lists kept compressed, and nothing kept because something merely suggests it.
Acquire::Languages "none";
Acquire::GzipIndexes "true";
APT::AutoRemove::SuggestsImportant "false";
"""
CLUSTER_FILE = "/etc/postgresql-common/createcluster.d/image.conf"
NO_CLUSTER = """\
# The image's entrypoint makes the database, when the container first starts.
create_main_cluster = false
"""


@dataclass(frozen=True, kw_only=True)
class Rootfs:
    """A suite of Debian with packages: `trixie`, `trixie+ca-certificates+tzdata`."""

    suite: str
    packages: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Its name among the kept ones."""
        return f"{self.suite}-{text_digest(FORMAT, self.suite, *self.packages)[:16]}"


def text_digest(*texts: str) -> str:
    """Return the SHA-256, in hex, of texts and of where one ends and the next begins."""
    whole = hashlib.sha256()
    for text in texts:
        data = text.encode()
        whole.update(f"{len(data)}:".encode())
        whole.update(data)
    return whole.hexdigest()


def cache_folder(host: Host) -> Path:
    """Return the folder that keeps what local substitutes are made from; all of it can be made again."""
    return host.cache / "standins"


def parse(argument: str, *, where: str) -> Rootfs:
    """Read `SUITE` or `SUITE+PACKAGE+PACKAGE`; a package whose name holds a `+` cannot be named."""
    suite, *packages = argument.split("+")
    for name in (suite, *packages):
        if not NAME.match(name):
            raise SettingsError(
                f"{argument!r} is not a valid root filesystem: {name!r} names no suite or package.",
                where=where,
                fix="Write a suite of Debian and packages: rootfs:trixie+ca-certificates+tzdata.",
            )
    return Rootfs(suite=suite, packages=tuple(sorted(set(packages))))


def ensure_tar(rootfs: Rootfs, *, host: Host, say: Callable[[str], None], now: Callable[[], float]) -> Path:
    """Return a root filesystem as a tar file, made now or kept from an earlier time.

    The host must be a Debian with apt, and this process root, or allowed user namespaces.
    """
    folder = cache_folder(host) / "rootfs"
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / f"{rootfs.key}.tar"
    # One at a time: they share the folder of downloaded packages, and each keeps a core busy anyway.
    with locked(folder, waiting=lambda: say("Waiting: another run makes a root filesystem.")):
        if not kept.exists() or now() - kept.stat().st_mtime > FRESH:
            more = f" with {len(rootfs.packages)} more packages" if rootfs.packages else ""
            say(f"Making a root filesystem of Debian {rootfs.suite}{more}.")
            _make(rootfs, kept, host=host, say=say)
    return kept


def _make(rootfs: Rootfs, kept: Path, *, host: Host, say: Callable[[str], None]) -> None:
    folder = kept.parent
    archive = host_archive()
    maker = _maker(folder, host, say)
    work = folder / "work"
    # With the lock held, what is there is left from a killed run.
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    debs = folder / "debs" / rootfs.suite
    debs.mkdir(parents=True, exist_ok=True)
    environment = _environment(host, maker, work)
    try:
        settings = apt_settings(process.run(["apt-config", "dump"], timeout=20, environment=environment).output)
        apt_conf = "".join(f'{key} "{value}";\n' for key, value in settings.items())
        files = _write(work, image_files(rootfs, archive, settings) | {APT_SETTINGS: apt_conf})
        target, sources = work / "rootfs.tar", debian.sources(archive, rootfs.suite).splitlines()
        argv = command(rootfs, maker=maker, target=target, files=files, debs=debs, sources=sources)
        process.run([*_own_namespaces(environment), *argv], timeout=TIMEOUT, environment=environment)
        target.replace(kept)
    except ProgramError as error:
        raise BuildError(
            f"the root filesystem of Debian {rootfs.suite} cannot be made: mmdebstrap {error.what}",
            where=f"rootfs:{'+'.join((rootfs.suite, *rootfs.packages))}",
            fix="Look at the lines below: an unknown package, the network, free space, or missing rights (root, or "
            "user namespaces with the uidmap package).",
            detail="\n".join(error.detail.splitlines()[-20:]),
        ) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _own_namespaces(environment: Mapping[str, str]) -> list[str]:
    """Return a prefix that gives a program its own mounts and processes, which end when it does.

    As root mmdebstrap mounts on the host: killed there, it would leave /proc and /sys mounted in a folder that is
    about to be removed. Without root it makes namespaces by itself.
    """
    if os.geteuid() != 0:
        return []
    prefix = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
    allowed = process.run([*prefix, "true"], timeout=20, environment=environment, check=False).code == 0
    return prefix if allowed else []


def command(
    rootfs: Rootfs, *, maker: Path, target: Path, files: dict[str, Path], debs: Path, sources: list[str]
) -> list[str]:
    """Return the command that writes a root filesystem to the tar file `target`.

    `files` are put into the root filesystem, by their path in it, but for `APT_SETTINGS`, which only apt reads while it
    is made. `debs` keeps downloaded packages for the next run.
    """
    cache = shlex.quote(str(debs))
    argv = [
        str(maker),
        "--variant=minbase",
        "--format=tar",
        # Keep what was downloaded until the hook below has copied it out.
        "--skip=download/empty",
        "--skip=essential/unlink",
        f"--aptopt={files[APT_SETTINGS]}",
        "--dpkgopt=force-unsafe-io",
        *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in LEFT_OUT),
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        '--setup-hook=mkdir -p "$1/var/cache/apt/archives"',
        f"--setup-hook=sync-in {cache} /var/cache/apt/archives",
        f"--customize-hook=sync-out /var/cache/apt/archives {cache}",
    ]
    if rootfs.suite in NOT_MERGED:
        argv.append(f"--hook-dir={maker.parent.parent / 'share/mmdebstrap/hooks/merged-usr'}")
    if rootfs.packages:
        argv.append(f"--include={','.join(rootfs.packages)}")
    for inside, outside in files.items():
        if inside != APT_SETTINGS:
            hook = "--setup-hook" if inside == CLUSTER_FILE else "--customize-hook"
            argv.append(f'{hook}=mkdir -p "$1{inside.rpartition("/")[0]}"')
            argv.append(f"{hook}=upload {shlex.quote(str(outside))} {inside}")
    # Debian's packages of Python compile their modules when they are installed; official images hold no bytecode.
    argv.append('--customize-hook=find "$1/usr/lib" -depth -type d -name __pycache__ -exec rm -rf {} +')
    removed = " ".join(f'"$1{path}"' for path in NOT_FOR_THE_IMAGE)
    return [*argv, f"--customize-hook=rm -f {removed}", rootfs.suite, str(target), *sources]


def image_files(rootfs: Rootfs, archive: Archive, settings: Mapping[str, str]) -> dict[str, str]:
    """Return the configuration that the image gets, by path."""
    texts = {
        "/etc/apt/apt.conf.d/docker-clean": DOCKER_CLEAN,
        "/etc/apt/apt.conf.d/docker-small": DOCKER_SMALL,
        "/etc/apt/sources.list.d/debian.sources": image_sources(archive, rootfs.suite, settings),
    }
    if any(package.startswith("postgresql") for package in rootfs.packages):
        texts[CLUSTER_FILE] = NO_CLUSTER
    return texts


def apt_settings(dump: str) -> dict[str, str]:
    """Return the host's settings of downloads from what `apt-config dump` prints: proxies, retries, date checks."""
    return dict(re.findall(rf'^({APT_KEYS}) "(.+)";$', dump, re.MULTILINE))


def _write(work: Path, texts: Mapping[str, str]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for number, (inside, text) in enumerate(texts.items()):
        files[inside] = work / f"file-{number}"
        files[inside].write_text(text, encoding="utf-8")
        files[inside].chmod(0o644)
    return files


def image_sources(archive: Archive, suite: str, settings: Mapping[str, str]) -> str:
    """Return the image's own source list: the host's mirror, without any credentials.

    Where the host's mirror is frozen, the host has switched apt's check of dates off: the image needs the same.
    """
    options = "".join(
        f"{key}: no\n"
        for key in ("Check-Valid-Until", "Check-Date")
        if settings.get(f"Acquire::{key}", "").lower() in {"false", "no", "0"}
    )
    return "\n".join(
        f"Types: deb\nURIs: {_without_credentials(uri)}\nSuites: {name}\nComponents: main\n"
        f"Signed-By: {KEYRING}\n{options}"
        for uri, name in archive.suites(suite)
    )


def _without_credentials(uri: str) -> str:
    parts = urllib.parse.urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _maker(folder: Path, host: Host, say: Callable[[str], None]) -> Path:
    unpacked = folder / "mmdebstrap"
    program = unpacked / "usr" / "bin" / "mmdebstrap"
    if not program.exists():
        fresh = folder / "mmdebstrap.part"
        shutil.rmtree(fresh, ignore_errors=True)
        debian.unpack(debian.fetch(["mmdebstrap"], suite=MAKER_SUITE, host=host, say=say), fresh, host=host)
        shutil.rmtree(unpacked, ignore_errors=True)
        fresh.replace(unpacked)
    return program


def _environment(host: Host, maker: Path, work: Path) -> dict[str, str]:
    # It needs the filter that comes with it, mount, chroot and dpkg's own programs; TMPDIR is its scratch folder.
    path = ":".join(filter(None, [str(maker.parent), host.environment.get("PATH"), debian.SYSTEM_PATH]))
    return {**host.programs_environment, "PATH": path, "TMPDIR": str(work), "LC_ALL": "C.UTF-8"}
