"""What an image's file system holds: the probe walks what USER may read, the engine reads the rest."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

import docker.errors
import msgspec

from seatrial.engine.containers import engine_errors
from seatrial.facts import Accounts, ContentKind, Contents, Fact, FileKind, PathRule, ResolvedPath, Unavailable, Walk
from seatrial.inside.probe.rules import compiled, shown
from seatrial.observe import paths
from seatrial.observe.files import EngineFiles, read_accounts
from seatrial.observe.walk import MOST_PATHS, Limits, Walker

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from seatrial.engine.runs import Run
    from seatrial.facts import Configuration, FoundPath, Probe
    from seatrial.settings.model import Contract


NO_BACKUP = r"\.(?:example|sample|template|tmpl|dist|defaults?)$"
"""Environment files that are there to be copied; they hold no value."""

IN_BIN = r"(?:/[^/]+)*/s?bin/[^/]+"

WITH_PASSWORD = r"[a-z][a-z0-9+.-]{0,20}://[^/\s:@\"'{}$<>]{0,200}:[^/\s@\"'{}$<>]{1,500}@"  # noqa: S105 - a pattern
"""An address with a password in it; `${TOKEN}` and `<token>` are places for one."""

PRIVATE_KEY = r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY-----|PuTTY-User-Key-File-"

COMPILERS = (
    r"(?:[a-z0-9_]{1,20}-linux-(?:gnu|musl)[a-z0-9]{0,10}-)?"
    r"(?:gcc|g\+\+|cc|c\+\+|cpp|c89|c99|tcc|clang|clang\+\+|gfortran|as|ld|ld\.bfd|ld\.gold|ld\.lld|lld|mold)"
    r"(?:-[0-9.]{1,10})?"
)
BUILD_TOOLS = (
    r"g?make|cmake|ninja|meson|git|rustc|cargo|go|javac|autoconf|automake|libtoolize|bison|flex|swig|"
    r"dpkg-buildpackage"
)
REMOTE_TOOLS = (
    r"sudo|sudoedit|doas|sshd|dropbear|(?:in\.)?(?:telnetd|rshd|rlogind|rexecd|ftpd)|utelnetd|vsftpd|proftpd|"
    r"pure-ftpd|x?inetd|x11vnc|xrdp|ngrok"
)


def rules(own: Iterable[str] = ()) -> tuple[PathRule, ...]:
    """Return the rules.

    Args:
        own: the application's own top packages, which count as its code wherever they are installed.

    """
    others = _others(own)
    return (*_permissions(), *_leftovers(others), *_package_managers(), *_tools(), *_secrets(others))


def _others(own: Iterable[str]) -> str:
    """Return what tells a path that came with a dependency, the standard library or the system."""
    names = "|".join(sorted(re.escape(name) for name in set(own)))
    but_own = f"(?!(?:{names})(?:/|$))" if names else ""
    return (
        rf"/(?:site|dist)-packages/{but_own}|/node_modules/|^/usr/(?:lib|share)/|^/lib/"
        r"|/lib(?:64)?/(?:python|pypy)3[^/]*/(?!(?:site|dist)-packages/)"
    )


def _permissions() -> tuple[PathRule, ...]:
    return (
        PathRule(kind=ContentKind.SETUID, mode=0o6000),
        # uv makes the lock of an environment so, and leaves it there: an empty file that nothing reads.
        PathRule(kind=ContentKind.WORLD_WRITABLE, types="fdo", mode=0o002, but=r"/\.lock$", unsticky=True),
        PathRule(kind=ContentKind.LOGIN_LOG, name=r"lastlog|faillog|tallylog", path=r"/var/log/[^/]+"),
    )


def _leftovers(others: str) -> tuple[PathRule, ...]:
    def leftover(about: str, name: str, *, types: str = "f", but: str = others) -> PathRule:
        return PathRule(kind=ContentKind.LEFTOVER, about=about, types=types, name=name, but=but, whole="d" in types)

    tools = r"\.(?:pytest_cache|mypy_cache|ruff_cache|tox|nox|hypothesis|ipynb_checkpoints)|htmlcov"
    return (
        leftover("version control", r"\.(?:git|hg|svn|bzr)", types="fd"),
        leftover("an environment file", r"\.env(?:rc|\..+)?", but=f"{others}|{NO_BACKUP}"),
        leftover("an operating system's", r"\.DS_Store|Thumbs\.db|desktop\.ini|\._.+|__MACOSX", types="fd"),
        leftover("an editor's", r"\..+\.sw[a-p]|.+~|\.#.+|#.+#|.+\.(?:orig|rej)"),
        leftover("an editor's folder", r"\.(?:idea|vscode|vs|fleet)", types="d"),
        leftover("a tool's cache", tools, types="d"),
        leftover("a coverage record", r"\.coverage(?:\..+)?"),
        PathRule(kind=ContentKind.ENVIRONMENT, name=r"pyvenv\.cfg"),
        PathRule(kind=ContentKind.TESTS, types="d", name=r"tests", but=others, whole=True),
        PathRule(kind=ContentKind.TESTS, name=r"conftest\.py|test_.+\.py", but=others),
    )


def _package_managers() -> tuple[PathRule, ...]:
    def summarised(kind: ContentKind, about: str, name: str, path: str = "") -> PathRule:
        return PathRule(kind=kind, about=about, types="d", name=name, path=path, summarised=True)

    uv = r"(?:archive|simple|wheels|builds|sdists|interpreter|environments|flat-index)-v[0-9]{1,4}"
    return (
        summarised(ContentKind.PACKAGE_LISTS, "apt's lists", r"lists", r"/var/lib/apt/lists"),
        summarised(ContentKind.PACKAGE_LISTS, "apt's cache", r"apt", r"/var/cache/apt"),
        summarised(ContentKind.PACKAGE_LISTS, "the package manager's cache", r"apk|dnf|yum|zypp", r"/var/cache/[^/]+"),
        summarised(
            ContentKind.INSTALLER_CACHE,
            "an installer's cache",
            r"pip|uv|pypoetry|pdm|pipenv|pip-tools|hatch",
            r"(?:/[^/]+)*/\.cache/[^/]+",
        ),
        # Wherever UV_CACHE_DIR and PIP_CACHE_DIR put them.
        summarised(ContentKind.INSTALLER_CACHE, "uv's cache", uv),
        summarised(ContentKind.INSTALLER_CACHE, "pip's cache", r"http-v2"),
    )


def _tools() -> tuple[PathRule, ...]:
    packages = r"/(?:site|dist)-packages/"
    return (
        PathRule(kind=ContentKind.BUILD_TOOL, types="fl", name=f"{COMPILERS}|{BUILD_TOOLS}", path=IN_BIN, but=packages),
        # The official images keep CPython's own headers, in /usr/local/include.
        PathRule(
            kind=ContentKind.BUILD_TOOL,
            about="headers",
            types="d",
            name="include",
            path="/usr/include",
            summarised=True,
        ),
        PathRule(kind=ContentKind.REMOTE_ACCESS, types="fl", name=REMOTE_TOOLS, path=IN_BIN),
    )


def _secrets(others: str) -> tuple[PathRule, ...]:
    def secret(about: str, name: str, content: str, path: str = "", but: str = "") -> PathRule:
        return PathRule(kind=ContentKind.SECRET, about=about, name=name, content=content, path=path, but=but)

    # Packages come with keys to test against, which are not secret.
    keys = r"id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?|ssh_host_.+_key|.+\.(?:pem|key|p8|ppk)|.*priv(?:ate)?[_-]?key.*"
    settings = r"requirements.*\.(?:txt|in)|pyproject\.toml|uv\.lock|poetry\.lock|Pipfile|Pipfile\.lock"
    quoted = r"[^\"$<{]{4}"
    return (
        secret("a private key", keys, PRIVATE_KEY, but=others),
        secret("a key store", r".+\.(?:p12|pfx)", "", but=others),
        secret("credentials", r"[._]netrc|auth\.conf", r"(?:^|\s)password\s+\S"),
        secret("credentials", r"[^/]+\.conf", r"(?:^|\s)password\s+\S", path=r"/etc/apt/auth\.conf\.d/[^/]+"),
        secret("an upload password", r"\.pypirc", r"(?:^|\n)\s*password\s*[:=]\s*\S"),
        secret("a registry token", r"\.npmrc|\.yarnrc\.yml", r"_authToken\s*=|_password\s*=|_auth\s*=|npmAuthToken:"),
        secret("cloud credentials", r"credentials", r"aws_secret_access_key\s*=\s*\S", r"(?:/[^/]+)*/\.aws/[^/]+"),
        secret("cloud credentials", r".+\.json", r"\"private_key\"\s*:\s*\"-----BEGIN", but=others),
        secret("a refresh token", r"application_default_credentials\.json", rf"\"refresh_token\"\s*:\s*\"{quoted}"),
        secret("a registry login", r"config\.json", rf"\"auth\"\s*:\s*\"{quoted}", r"(?:/[^/]+)*/\.docker/[^/]+"),
        secret("a registry login", r"\.dockercfg|\.dockerconfigjson", rf"\"auth\"\s*:\s*\"{quoted}"),
        secret("a cluster login", r"config", r"client-key-data:|\btoken:", r"(?:/[^/]+)*/\.kube/[^/]+"),
        secret("credentials", r"\.git-credentials|\.gitconfig", WITH_PASSWORD),
        secret("a database password", r"\.pgpass", r"(?:^|\n)[^#\n][^\n]{0,300}:[^:\n]"),
        secret("a database password", r"\.my\.cnf", r"(?:^|\n)password\s*=\s*\S"),
        secret("a vault token", r"\.vault-token", r"\S"),
        secret(
            "an index with its password",
            rf"pip\.conf|pip\.ini|uv\.toml|auth\.toml|{settings}",
            WITH_PASSWORD,
            but=others,
        ),
    )


WALK_SECONDS = 25.0
"""The most that the probe's walk may wait and work; of the latter half as much. It takes about a tenth of one."""
USUALLY_CLOSED = (
    "/root",
    "/etc/ssl/private",
    "/var/cache/apt/archives/partial",
    "/var/cache/ldconfig",
    "/var/lib/apt/lists/partial",
)
"""Folders that most images keep from USER: read while the probe still runs."""
DURING_PROBE = Limits(seconds=25.0, most=256_000_000)
"""For one folder that is read while the probe runs: one of those, or what the probe's tmpfs hide."""
AFTER = Limits(seconds=15.0, most=64_000_000)
"""For one more folder that the probe could not read."""
WHOLE = Limits(seconds=45.0, most=4_000_000_000)
"""For the whole file system, where no probe walks it."""
MOST_AFTER = 40
"""Folders that are read after the probe; an image of Debian has about three."""
MOST_UNREAD = 100
"""Files that the engine reads because USER cannot."""


class WalkRequest(Fact, frozen=True, kw_only=True):
    """What the probe's walk is asked."""

    rules: tuple[PathRule, ...]
    folders: tuple[str, ...] = ()
    """Those whose names are wanted."""
    root: str = "/"
    most: int = MOST_PATHS
    seconds: float = WALK_SECONDS


class EngineView(Fact, frozen=True, kw_only=True):
    """What the engine reads while the probe runs."""

    accounts: Accounts
    working_directory: ResolvedPath
    walks: dict[str, Walk]
    """By the folder."""


def walk_request(modules: Iterable[str], contract: Contract) -> WalkRequest:
    """Plan the walk: what to look for, and the folders whose names the contract gives."""
    own = {module.partition(":")[0].partition(".")[0] for module in modules}
    return WalkRequest(rules=rules(own), folders=tuple(map(posixpath.normpath, contract.files)))


def read_during_probe(
    run: Run, container: str, configuration: Configuration, contract: Contract, request: WalkRequest, *, whole: bool
) -> EngineView:
    """Read what the probe cannot, on its own connection.

    Args:
        run: the run that the container belongs to.
        container: one of the image, made and not started.
        configuration: the image's configuration.
        contract: its tmpfs hide folders of the image from the probe.
        request: what is looked for.
        whole: read the whole file system: there is no interpreter to walk it.

    """
    client = run.engine.connection()
    try:
        with engine_errors(f"reading the files of {configuration.reference}"):
            files = EngineFiles(client, container)
            hidden = (*USUALLY_CLOSED, *map(posixpath.normpath, contract.tmpfs), *configuration.volumes)
            walks = {
                folder: walk_folder(files, folder, request, DURING_PROBE)
                for folder in dict.fromkeys(hidden)
                if not whole
            }
            return EngineView(
                accounts=read_accounts(*(_text(files, f"/etc/{name}") for name in ("passwd", "shadow", "group"))),
                working_directory=paths.follow(configuration.working_directory or "/", files),
                walks={"/": walk_folder(files, "/", request, WHOLE)} if whole else walks,
            )
    finally:
        client.close()


def whole_contents(
    files: EngineFiles, request: WalkRequest, engine_view: EngineView, probe: Probe | Unavailable
) -> Contents:
    """Put together what the probe and the engine saw; what neither could see stays named."""
    walk = None if isinstance(probe, Unavailable) else probe.walk
    if walk is None:
        seen = engine_view.walks.get("/") or walk_folder(files, "/", request, WHOLE)
        return merge(seen, {}, by="engine")
    # What the probe saw itself is not counted twice.
    walks = {folder: seen for folder, seen in engine_view.walks.items() if folder in walk.unreadable}
    left = [folder for folder in walk.unreadable if folder not in walks]
    walks |= {folder: walk_folder(files, folder, request, AFTER) for folder in left[:MOST_AFTER]}
    found = tuple(_settled(walk.found, request.rules, files))
    return merge(msgspec.structs.replace(walk, found=found), walks, by="probe")


def walk_folder(files: EngineFiles, folder: str, request: WalkRequest, limits: Limits) -> Walk:
    """Look at one folder as the engine packs it; at one that is not there, at nothing."""
    walker = Walker(request.rules, request.folders)
    try:
        with files.tree(folder) as stream:
            walker.read(stream, folder, limits)
    except docker.errors.NotFound:
        pass
    except docker.errors.APIError as error:
        walker.note(f"{folder}: the engine could not read it ({error.explanation})")
    return walker.result()


def merge(first: Walk, others: Mapping[str, Walk], *, by: str) -> Contents:
    """Add what other walks saw to a first one; what one of them read is not unreadable any more."""
    walks = (first, *others.values())
    found: dict[tuple[str, str, str], FoundPath] = {}
    counts: dict[str, int] = {}
    folders: dict[str, tuple[str, ...]] = {}
    for walk in walks:
        for row in walk.found:
            key = (row.kind, row.path, row.about)
            known = found.get(key)
            # A folder of which each saw a part: the summary is the sum. A file that both saw is one file.
            found[key] = (
                msgspec.structs.replace(row, files=row.files + known.files, size=row.size + known.size)
                if known and row.files and known.files
                else known or row
            )
        for kind, count in walk.counts.items():
            counts[kind] = counts.get(kind, 0) + count
        folders |= walk.folders
    return Contents(
        by="engine" if by == "engine" else "probe",
        paths=sum(walk.paths for walk in walks),
        found=tuple(found.values()),
        counts=counts,
        folders=folders,
        unreadable=tuple(folder for folder in first.unreadable if folder not in others),
        cut=tuple(reason for walk in walks for reason in walk.cut),
    )


def _settled(found: Iterable[FoundPath], by: Iterable[PathRule], files: EngineFiles) -> Iterable[FoundPath]:
    """Read the files whose content decides and that USER cannot read; what is still unread stays so."""
    wanted = [compiled(msgspec.to_builtins(rule)) for rule in by if rule.content]
    reads = 0
    for row in found:
        reads += row.unread
        if not row.unread or reads > MOST_UNREAD or shown(row.path) != row.path or "\\" in row.path:
            yield row
            continue
        text = files.text(row.path)
        name = posixpath.basename(row.path)
        rules_of = (rule for rule in wanted if (rule["kind"], rule["about"]) == (row.kind, row.about))
        if any(rule["name"](name) and rule["content"](text) for rule in rules_of):
            yield msgspec.structs.replace(row, unread=False)


def _text(files: EngineFiles, path: str) -> str:
    """Return a small file that may be a link; of a pipe, a device or nothing no text."""
    trail = paths.follow(path, files)
    return files.text(trail.end) if trail.entry is not None and trail.entry.kind is FileKind.FILE else ""
