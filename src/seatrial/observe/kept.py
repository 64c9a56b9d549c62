"""Which files of an image are looked into, and what is kept of them; plain functions.

Nothing secret is kept: of a file that may hold a key, only whether it does.
"""

from __future__ import annotations

import codecs
import posixpath
import re
from typing import TYPE_CHECKING

from seatrial.inside.probe.distributions import header
from seatrial.observe.path_rules import KEY_FILES, content_rules

if TYPE_CHECKING:
    from seatrial.observe.archive import Archive

BEGINNING = 65536
"""Bytes of a file's beginning in which a rule's `content` is looked for."""
KEY_FILE = 1024 * 1024
"""The same for a private key, which may stand behind a chain of certificates."""
SCRIPT = 4096
"""Bytes of a script's beginning that are kept: two lines that hold one path each."""
LIBRARY = 1024 * 1024
"""Bytes of Python's program or library in which its names are looked for first, and usually stand."""
MOST_LIBRARY = 100 * 1024 * 1024
METADATA = 4 * 1024 * 1024
"""Bytes of a distribution's file that are read; its header is kept, and it has a few hundred."""
DATABASE = 16 * 1024 * 1024
"""The same of a package manager's database, of which the names and versions are kept; 400 packages have 0.4 MB."""


def content_key(kind: str, about: str, name: str) -> str:
    """Return what names a rule in an index."""
    return f"{kind}\n{about}\n{name}"


CONTENT = tuple(
    (
        content_key(rule.kind, rule.about, rule.name),
        re.compile(rule.name, re.DOTALL).fullmatch,
        re.compile(rule.path, re.DOTALL).fullmatch if rule.path else None,
        re.compile(rule.content.encode(), re.DOTALL).search,
    )
    for rule in content_rules()
)
ANY_NAME = re.compile("|".join(f"(?:{rule.name})" for rule in content_rules()), re.DOTALL).fullmatch
KEY_NAME = re.compile(KEY_FILES, re.DOTALL).fullmatch
OF_A_DISTRIBUTION = re.compile(
    r".*\.dist-info/(?:METADATA|RECORD|entry_points\.txt|direct_url\.json)"
    r"|.*\.egg-info(?:/(?:PKG-INFO|requires\.txt|entry_points\.txt))?"
    r"|.*\.egg/EGG-INFO/(?:PKG-INFO|requires\.txt|entry_points\.txt)"
    r"|.*-packages/[^/]+\.pth|.*/pyvenv\.cfg",
    re.DOTALL,
).fullmatch
ACCOUNTS = frozenset(("/etc/passwd", "/etc/group"))
RELEASE = ("/etc/os-release", "/usr/lib/os-release")
"""Source: os-release(5); the first counts."""
DPKG, APK = "/var/lib/dpkg/status", ("/lib/apk/db/installed", "/usr/lib/apk/db/installed")
"""Where the package managers keep their databases; in Wolfi, /lib is a link."""
DPKG_FOLDER = "/var/lib/dpkg/status.d/"
"""Distroless images have a file for each package there, beside one of checksums."""
FIELDS = {
    "dpkg": re.compile(rb"^(?:(?:Package|Version|Architecture|Source|Status): [^\r\n]{1,300})?$", re.MULTILINE),
    "apk": re.compile(rb"^(?:[PVAo]:[^\r\n]{1,300})?$", re.MULTILINE),
}
"""Of the package managers' databases, the lines that are kept."""
PROGRAM = re.compile(r".*/bin/[^/]+", re.DOTALL).fullmatch
PYTHON_PROGRAM = re.compile(r"python(?:3(?:\.\d{1,3}t?)?)?").fullmatch
PYTHONS_LIBRARY = re.compile(r"libpython3\.\d{1,3}[a-z]*\.so(?:\.[\d.]+)?").fullmatch
SITE_MODULE = re.compile(r".*/lib(?:64)?/python3\.\d{1,3}t?/site\.py", re.DOTALL).fullmatch
PUTS_LOCAL_FIRST = re.compile(rb"PREFIXES\.insert\(0, ['\"]/usr/local['\"]\)").search
LOCAL_FIRST = "/usr/local comes first"
"""In `Index.holding`, what Red Hat's and SUSE's `site` does: what pip installs there lies in /usr/local."""
EXPORTED = re.compile(rb"\0(_?Py[A-Z_]\w+)(?=\0)")
LEAST_EXPORTED = 500
"""Names of Python's C interface that a Python exports at least: extension modules use them. 3.8 has 1,500 of them."""
IS_PYTHON, LINKS_PYTHON = "exports Python's C interface", "links Python's library"
"""What a Python's program, or its library, holds in `Index.holding`; nothing else of that name does."""
TOP_IN_RECORD = re.compile(rb"^([^/,\r\n]{1,200})(/__init__\.py)?,", re.MULTILINE)
FOLDER_IN_RECORD = re.compile(rb"^([^/,\r\n]{1,200})/", re.MULTILINE)
MODULES = (b".py", b".pyc", b".so", b".pth")
MOST_RECORDED = 50


def beginning(path: str, archive: Archive, wanted: int) -> bytes:
    """Read as much of a file's beginning as is wanted, and more of a Python whose names stand behind it."""
    body, name = archive.beginning(wanted), posixpath.basename(path)
    if (PYTHON_PROGRAM(name) or PYTHONS_LIBRARY(name)) and not pythons(body):
        # Tools that edit or optimise a binary move its names to its end.
        body += archive.beginning(MOST_LIBRARY)
    return body


def database(path: str) -> str:
    """Return whose database of packages a file is: dpkg or apk; empty for other files."""
    if path == DPKG or (path.startswith(DPKG_FOLDER) and not path.endswith(".md5sums")):
        return "dpkg"
    return "apk" if path in APK else ""


def wanted_bytes(path: str, mode: int) -> int:
    """Return how many bytes of a file's beginning are to be looked at."""
    if OF_A_DISTRIBUTION(path) or database(path):
        return METADATA if OF_A_DISTRIBUTION(path) else DATABASE
    name = path.rpartition("/")[2]
    if ANY_NAME(name):
        return KEY_FILE if KEY_NAME(name) else BEGINNING
    if path in ACCOUNTS or path in RELEASE or (name == "site.py" and SITE_MODULE(path)):
        return BEGINNING
    if name.startswith("libpython3") and PYTHONS_LIBRARY(name):
        return LIBRARY
    if mode & 0o111 and PROGRAM(path):
        return LIBRARY if PYTHON_PROGRAM(name) else SCRIPT
    return 0


def held(path: str, body: bytes) -> tuple[str, ...]:
    """Return the rules whose content a file holds, by their key; no path is excepted here."""
    name = path.rpartition("/")[2]
    if not ANY_NAME(name):
        if PYTHON_PROGRAM(name) or PYTHONS_LIBRARY(name):
            return pythons(body)
        return (LOCAL_FIRST,) if SITE_MODULE(path) and PUTS_LOCAL_FIRST(body) else ()
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        body = body.replace(b"\0", b"")
    beginning = body[:KEY_FILE] if KEY_NAME(name) else body[:BEGINNING]
    return tuple(
        key
        for key, fits_name, fits_path, search in CONTENT
        if fits_name(name) and (fits_path is None or fits_path(path)) and search(beginning)
    )


def pythons(body: bytes) -> tuple[str, ...]:
    """Return what a binary is to Python: Python itself, or a program that links it."""
    if not body.startswith(b"\x7fELF"):
        return ()
    if len(set(EXPORTED.findall(body))) >= LEAST_EXPORTED:
        return (IS_PYTHON,)
    return (LINKS_PYTHON,) if b"\0libpython3" in body else ()


def kept_text(path: str, mode: int, body: bytes) -> str | None:
    """Return what is kept of a file; None where nothing is."""
    if OF_A_DISTRIBUTION(path):
        return _kept_of_distribution(path.rpartition("/")[2], body)
    if path in ACCOUNTS or path in RELEASE:
        return body.decode("utf-8", "replace")
    if manager := database(path):
        # Of each entry the lines that are read, and the empty ones between entries.
        return b"\n".join(FIELDS[manager].findall(body)).decode("utf-8", "replace")
    if body.startswith(b"#!") and mode & 0o111 and PROGRAM(path):
        return body[:SCRIPT].decode("utf-8", "replace")
    return None


def _kept_of_distribution(name: str, body: bytes) -> str:
    if name == "RECORD":
        return "\n".join(name.decode("utf-8", "replace") for name in recorded(body))
    text = body.decode("utf-8", "replace")
    if name not in {"METADATA", "PKG-INFO"} and not name.endswith(".egg-info"):
        return text.replace("\r\n", "\n")[:BEGINNING]
    # A header may hold a whole licence: of its fields, those that are asked for.
    fields = header(text)
    rows = [("Name", fields.get("name")), ("Version", fields.get("version"))]
    rows += [("Requires-Dist", requirement) for requirement in fields["requires"]]
    return "\n".join(f"{key}: {value}" for key, value in rows if value)


def recorded(record: bytes) -> list[bytes]:
    """Return where a RECORD has code: packages (`shop`), modules (`six.py`), or parts of a namespace (`google/x/`)."""
    tops = dict.fromkeys(TOP_IN_RECORD.findall(record))
    packages = [name for name, package in tops if package][:MOST_RECORDED]
    modules = [name for name, package in tops if not package and name.endswith(MODULES)][:MOST_RECORDED]
    folders = []
    for name in list(dict.fromkeys(() if packages else FOLDER_IN_RECORD.findall(record)))[:MOST_RECORDED]:
        within = rb"^(%s/(?:(?!__pycache__/)[^/,\r\n]+/)*)[^/,\r\n]+\.(?:pyc?|so)," % re.escape(name)
        if not name.endswith((b"..", b"__pycache__", b"-info")) and (first := re.search(within, record, re.MULTILINE)):
            folders.append(first[1])
    return [*packages, *modules, *folders]
