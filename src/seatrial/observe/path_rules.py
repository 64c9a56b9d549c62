"""What to look for in an image's file system, as rules that `seatrial.observe.contents` follows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from seatrial.facts import ContentKind, PathRule

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NO_BACKUP = r"\.(?:example|sample|template|tmpl|dist|defaults?)$"
"""Environment files that are there to be copied; they hold no value."""

IN_BIN = r"(?:/[^/]+)*/s?bin/[^/]+"

WITH_PASSWORD = r"[a-z][a-z0-9+.-]{0,20}://[^/\s:@\"'{}$<>]{0,200}:[^/\s@\"'{}$<>]{1,500}@"  # noqa: S105 - a pattern
"""An address with a password in it; `${TOKEN}` and `<token>` are places for one."""

PRIVATE_KEY = r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----(?!\s{0,4}\x00)|PuTTY-User-Key-File-"
"""In a program that works with keys, the words end with a NUL: it is a string of the program's own."""
KEY_FILES = (
    r"(?i:.*priv(?:ate)?[_-]?key.*"
    r"|(?!.+\.(?:py[ci]?|pyx|so|c|h|js|ts|html?|md|rst)\Z)"
    r"(?:(?:.*[_.-])?(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?(?:[_.-].*)?|.*(?:ssh|tls|ssl|deploy|host)[_-]?key.*"
    r"|.+\.(?:pem|key|p8|pk8|ppk|crt|cer|cert|asc)(?:[._~-].*)?))"
)
"""Names of files that may hold a private key, in either case, and of copies of them."""

CREDENTIAL_LINE = (
    r"(?:^|\n)[ \t]*(?:export[ \t]+)?"
    r"\w{0,60}(?:PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY)\w{0,60}[ \t]*=[ \t]*[\"']?"
    r"(?!\d+\s|/|https?:|(?i:change|your|my|example|sample|dummy|fake|test|todo|xxx|placeholder|replace|insert|secret|"
    r"password|postgres|admin|none|null|true|false))[^\s\"'$<{#]{6}"
)
"""A variable that holds a password or a token, and not what stands for one: `changeme`."""

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


PRIVILEGED_PROGRAMS = {
    "arping": {"NET_RAW"},
    "clockdiff": {"NET_RAW"},
    "gst-ptp-helper": {"NET_BIND_SERVICE", "NET_ADMIN", "SYS_NICE"},
    "mtr-packet": {"NET_RAW"},
    "ping": {"NET_RAW"},
}
"""Programs that Debian's packages give these capabilities."""


def privileges(path: str, capabilities: Iterable[str]) -> tuple[str, ...]:
    """Return which capabilities of a file are a privilege: a port below 1024 is none, as in Docker's own networks."""
    allowed = PRIVILEGED_PROGRAMS.get(path.rpartition("/")[2], set()) | {"NET_BIND_SERVICE"}
    return tuple(name for name in capabilities if name not in allowed)


def rules(own: Iterable[str] = (), paths: Iterable[str] = (), programs: Iterable[str] = ()) -> tuple[PathRule, ...]:
    """Return the rules; `own` are the application's top packages, its code wherever they are installed.

    `paths` are those of the image: what is installed outside of a site-packages folder (`pip install --target`) is
    known by the metadata beside it. `programs` are the folders of its PATH.
    """
    others = _others(own, _installed_elsewhere(paths, set(own)))
    return (*_permissions(), *_leftovers(others), *_package_managers(), *_tools(programs), *_secrets(others))


def content_rules() -> tuple[PathRule, ...]:
    """Return the rules by which a file's content decides, for whatever packages are the application's."""
    return tuple(rule for rule in _secrets("") if rule.content)


METADATA = re.compile(r"(/.*)/([A-Za-z0-9][\w.]*)-[^/-]+\.(?:dist|egg)-info", re.DOTALL)
MOST_INSTALLED = 2000
LONGEST = 300
"""Distributions outside of site-packages that are known by their metadata, and characters of its path."""


def _installed_elsewhere(paths: Iterable[str], own: set[str]) -> list[str]:
    """Return the folders of packages that lie beside their metadata, outside of a site-packages folder."""
    found: dict[str, None] = {}
    for path in paths:
        if (
            path.endswith("-info")
            and len(path) <= LONGEST
            and "-packages/" not in path
            and (metadata := METADATA.fullmatch(path))
        ):
            name = metadata[2]
            if len(found) < MOST_INSTALLED and not {name, name.lower()} & own:
                found |= {f"{metadata[1]}/{form}": None for form in (name, name.lower())}
    return list(found)


def _others(own: Iterable[str], elsewhere: Sequence[str] = ()) -> str:
    """Return what tells a path that came with a dependency, the standard library or the system."""
    names = "|".join(sorted(re.escape(name) for name in set(own)))
    but_own = f"(?!(?:{names})(?:/|$))" if names else ""
    beside = "".join(rf"|^{re.escape(folder)}/" for folder in elsewhere)
    return (
        rf"/(?:site|dist)-packages/{but_own}|/node_modules/|^/usr/(?:lib|share)/|^/lib/"
        r"|/lib(?:64)?/(?:python|pypy)3[^/]*/(?!(?:site|dist)-packages/)" + beside
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
        leftover("an environment file", r"(?i:\.env(?:rc|\..+)?)", but=f"{others}|{NO_BACKUP}"),
        leftover("an operating system's", r"\.DS_Store|Thumbs\.db|desktop\.ini|\._.+|__MACOSX", types="fd"),
        leftover("an editor's", r"\..+\.sw[a-p]|.+~|\.#.+|#.+#|.+\.(?:orig|rej)"),
        leftover("an editor's folder", r"\.(?:idea|vscode|vs|fleet)", types="d"),
        leftover("a tool's cache", tools, types="d"),
        leftover("a coverage record", r"\.coverage(?:\..+)?"),
        PathRule(kind=ContentKind.ENVIRONMENT, name=r"pyvenv\.cfg"),
        PathRule(kind=ContentKind.TESTS, types="d", name=r"tests", but=others, whole=True),
        PathRule(kind=ContentKind.TESTS, name=r"conftest\.py|test_.+\.py", but=others),
    )


def summarised(kind: ContentKind, about: str, name: str, path: str = "") -> PathRule:
    """Return the rule of a folder that is reported with the number and size of what it holds."""
    return PathRule(kind=kind, about=about, types="d", name=name, path=path, summarised=True)


def _package_managers() -> tuple[PathRule, ...]:
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


def _tools(programs: Iterable[str]) -> tuple[PathRule, ...]:
    in_path = "".join(rf"|{re.escape(folder.rstrip('/'))}/[^/]+" for folder in sorted(set(programs)))
    in_bin = f"{IN_BIN}{in_path}"
    packages = r"/(?:site|dist)-packages/"
    return (
        PathRule(kind=ContentKind.BUILD_TOOL, types="fl", name=f"{COMPILERS}|{BUILD_TOOLS}", path=in_bin, but=packages),
        # The official images keep CPython's own headers, in /usr/local/include.
        summarised(ContentKind.BUILD_TOOL, "headers", "include", "/usr/include"),
        PathRule(kind=ContentKind.REMOTE_ACCESS, types="fl", name=REMOTE_TOOLS, path=in_bin),
    )


def _secrets(others: str) -> tuple[PathRule, ...]:
    def secret(about: str, name: str, content: str, path: str = "", but: str = "") -> PathRule:
        return PathRule(kind=ContentKind.SECRET, about=about, name=name, content=content, path=path, but=but)

    # Packages come with keys to test against, which are not secret.
    indexes = r"pip\.(?:conf|ini)|(?:uv|auth)\.toml"
    projects = r"requirements.*\.(?:txt|in)|pyproject\.toml|uv\.lock|poetry\.lock|Pipfile|Pipfile\.lock"
    quoted = r"[^\"$<{]{4}"
    return (
        secret("a private key", KEY_FILES, PRIVATE_KEY, but=others),
        secret("a key store", r".+\.(?:p12|pfx)", "", but=others),
        secret("credentials", r"[._]netrc|auth\.conf", r"(?:^|\s)password\s+\S"),
        secret("credentials", r"[^/]+\.conf", r"(?:^|\s)password\s+\S", path=r"/etc/apt/auth\.conf\.d/[^/]+"),
        secret("an upload password", r"\.pypirc", r"(?:^|\n)[ \t]*password\s*[:=]\s*\S"),
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
        secret("an environment file with a secret", r"\.env(?:rc|\..+)?", CREDENTIAL_LINE, but=f"{others}|{NO_BACKUP}"),
        secret("a vault token", r"\.vault-token", r"\S"),
        secret("an index with its password", f"{indexes}|{projects}", WITH_PASSWORD, but=others),
    )
