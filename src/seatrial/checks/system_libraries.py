"""Which Debian package holds a shared library."""

from __future__ import annotations

import re

NOT_FOUND = re.compile(r"\b(lib[^\s:/]+\.so[\w.]*): cannot open shared object file")
"""What the loader says of a library that is not there: dlopen(3)."""
VERSIONED = re.compile(r"(lib.+?)\.so(?:\.([\w.]+))?")
OTHERWISE = {
    **dict.fromkeys(
        ("libglib-2.0.so.0", "libgobject-2.0.so.0", "libgthread-2.0.so.0", "libgio-2.0.so.0", "libgmodule-2.0.so.0"),
        "libglib2.0-0",
    ),
    "libcrypto.so.3": "libssl3",
    "libcurl-gnutls.so.4": "libcurl3-gnutls",
    "libgeos_c.so.1": "libgeos-c1v5",
    "libjpeg.so.62": "libjpeg62-turbo",
    "liblber-2.5.so.0": "libldap-2.5-0",
    "libsnappy.so.1": "libsnappy1v5",
    "libxml2.so.2": "libxml2",
    "libxslt.so.1": "libxslt1.1",
    "libexslt.so.0": "libxslt1.1",
}
"""The packages whose names do not follow from their library's."""
OF_A_DRIVER = re.compile(r"lib(?:cuda|nvidia|nvcuvid|nvrm|amdhip|ze_).*")
"""The host's driver brings these into a container: no package of an image does."""


def missing_library(error: str) -> str:
    """Return the library that an import's error names as missing; empty where it names none."""
    found = NOT_FOUND.search(error)
    return found[1] if found else ""


def debian_package(library: str) -> str:
    """Return the Debian package that holds a library, by Debian's rule: its soname. Debian policy, 8.1."""
    if library in OTHERWISE:
        return OTHERWISE[library]
    found = VERSIONED.fullmatch(library)
    if found is None or OF_A_DRIVER.fullmatch(library):
        return ""
    name, version = found[1].lower().replace("_", "-"), found[2] or ""
    return f"{name}-{version}" if version and name[-1].isdigit() else f"{name}{version}"


def how_to_install(library: str) -> str:
    """Return what to do about a library that is missing."""
    package = debian_package(library)
    if not package:
        return f"Give the container what brings {library}; a driver's library comes from the host."
    return (
        f"Install the system library {library} in the final stage, not only in the builder. On Debian: `RUN apt-get "
        f"update && apt-get install --yes --no-install-recommends {package} && rm -rf /var/lib/apt/lists/*`."
    )
