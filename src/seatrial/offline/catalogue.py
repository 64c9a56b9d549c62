"""The local substitutes that are known: a project's own recipes first, then the built-in ones, which are a table here.

A note of a recipe says how what it makes differs from what the official image's name promises.
"""

from __future__ import annotations

import itertools
import platform
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.errors import SettingsError
from seatrial.offline.recipe import Recipe, parse_input
from seatrial.text import toml_value
from seatrial.trust import Trust

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seatrial.settings.read import Project

FOLDER = Path(__file__).parent / "recipes"

DEFAULT_SUITE = "trixie"
"""The suite of an official Python tag that names none."""
OLD_SUITES = ("bullseye", "buster")
"""Suites whose tags the oldest of the others serves: a Python of the host needs a newer C library than theirs."""
NOT_MADE = "Debian {} is not made here any more; bookworm is used"
DEBIAN_SUITES = ("bookworm", "trixie", "forky")
DEBIAN_NAMES = {"12": "bookworm", "13": "trixie", "stable": "trixie", "latest": "trixie"}
PYTHONS_BEFORE = {
    "3.13": (6, 0), "3.12": (11, 0), "3.11": (13, 4), "3.10": (18, 12), "3.9": (23, 17),
    "3.8": (21, 17), "3.7": (18, 17), "3.6": (16, 16),
}  # fmt: skip
"""The first patch release whose official tag without a suite is on trixie, and the first on bookworm. Versions up to
3.8 ended before trixie came: their tags stayed where they were."""
LAST_BEFORE_TRIXIE = 8

PYTHON_PACKAGES = ("ca-certificates", "netbase", "tzdata")
PYTHON_LIBRARIES = {
    "bookworm": (
        "libbz2-1.0", "libdb5.3", "libffi8", "libgdbm-compat4", "libgdbm6", "liblzma5", "libncursesw6",
        "libnsl2", "libreadline8", "libsqlite3-0", "libssl3", "libuuid1", "zlib1g",
    ),
    "trixie": (
        "libbz2-1.0", "libdb5.3t64", "libffi8", "libgdbm-compat4t64", "libgdbm6t64", "liblzma5",
        "libncursesw6", "libnsl2", "libreadline8t64", "libsqlite3-0", "libssl3t64", "libuuid1", "libzstd1",
        "zlib1g",
    ),
}  # fmt: skip
"""The shared libraries that CPython's C modules need; package names differ between suites."""
BUILD_PACKAGES = (
    "autoconf", "automake", "build-essential", "bzip2", "curl", "default-libmysqlclient-dev", "file", "git",
    "gnupg", "libbluetooth-dev", "libbz2-dev", "libcurl4-openssl-dev", "libdb-dev", "libevent-dev", "libffi-dev",
    "libgdbm-dev", "libglib2.0-dev", "libgmp-dev", "libjpeg-dev", "libkrb5-dev", "liblzma-dev", "libmaxminddb-dev",
    "libncurses-dev", "libpng-dev", "libpq-dev", "libreadline-dev", "libsqlite3-dev", "libssl-dev", "libtool",
    "libwebp-dev", "libxml2-dev", "libxslt1-dev", "libyaml-dev", "openssh-client", "patch", "procps", "unzip",
    "uuid-dev", "wget", "xz-utils", "zlib1g-dev",
)  # fmt: skip
"""What the full official image has of docker-library's buildpack-deps, but for what WITHOUT names."""
WITHOUT = "ImageMagick, Mercurial, Subversion and Tk, which the official full image has, are left out"
LAST_WITH_LOCALE = 12
"""The last 3.x whose official image sets LANG."""
DEBIAN_PYTHONS = {"3.11": "bookworm", "3.13": "trixie", "3.14": "forky"}
"""The suite whose own Python is used where the host has none of that version."""

NODE_NPM = {
    **dict.fromkeys((8, 10, 12, 13, 14), 6), **dict.fromkeys((15,), 7), **dict.fromkeys((16, 17), 8),
    **dict.fromkeys((19, 21), 9), **dict.fromkeys((18, 20, 22, 23), 10), **dict.fromkeys((24, 25, 26), 11),
}  # fmt: skip
"""The major version of npm that a major version of Node.js brings along."""
NODE_NAMES = {"hydrogen": 18, "iron": 20, "jod": 22, "krypton": 24, "lts": 26, "current": 26, "latest": 26, "": 26}
LAST_NODE_ON_BOOKWORM = 24
"""The last whose tag without a suite is on bookworm, and the last with yarn and corepack."""
NODE_MACHINES = {"x86_64": "x64", "aarch64": "arm64"}
"""What Node.js calls a machine, by what Python calls it."""
NODE_LIBRARIES = ("libatomic1",)
NODE_NOTE = "npm is the newest of the major version that this Node.js brings along"
BUN_MACHINES = {"x86_64": "x64-baseline", "aarch64": "aarch64"}

DEBIAN_POSTGRES = {"15": "bookworm", "17": "trixie", "18": "forky"}
"""The suite that has a major version of PostgreSQL."""
POSTGRES_PACKAGES = ("ca-certificates", "libnss-wrapper", "tzdata")
POSTGRES_FOLDERS = {"18": {"DATA": "/var/lib/postgresql/18/docker", "MOUNT": "/var/lib/postgresql"}}
"""Since 18 the official image has its volume one folder higher."""
DEBIAN_REDIS = {"7.0": "bookworm", "8.0": "trixie"}
DEBIAN_VALKEY = {"8.1": "trixie", "9.1": "forky"}
DEBIAN_NGINX = ("1.26", "trixie")
DEBIAN_MARIADB = {"10.11": "bookworm", "11.8": "trixie"}
"""The suite that has a version, of which the newest is what a tag without a version is taken for."""
NO_MODULES = "the modules for search, JSON, time series and others, which the official image has since 8, are left out"


def recipes(project: Project | None, trust: Trust = Trust.PROJECT) -> tuple[Recipe, ...]:
    """Return the recipes of the settings, then the built-in ones: the first that fits is taken.

    A project that is not trusted has none of its own. Raises a SettingsError where an input of a project's recipe is
    malformed, or its Dockerfile lies outside of the project.
    """
    return (*(_of_project(project) if project and trust is not Trust.NONE else ()), *built_in())


def built_in() -> tuple[Recipe, ...]:
    """Return the built-in recipes, the more particular ones first."""
    alpine = Recipe(pattern="{alpine}", refusal="an Alpine image cannot be made of Debian's packages.")
    ubuntu = Recipe(
        pattern="ubuntu:{tag}",
        refusal="Ubuntu's packages are not Debian's.",
        instead=f"Name debian:{DEFAULT_SUITE}",
    )
    return (
        alpine,
        ubuntu,
        *_debians(),
        *_pythons(),
        *_uv(),
        *_nodes(),
        *_buns(),
        *_postgres(),
        *_stores(),
        *_mariadb(),
        *_nginx(),
    )


def _of_project(project: Project) -> list[Recipe]:
    found: list[Recipe] = []
    for name, declared in project.settings.standins.items():
        where = f"{project.file}: {project.table('standins', toml_value(name))}"
        for key, text in declared.inputs.items():
            parse_input(text, where=f"{where} inputs.{key}")
        dockerfile = project.folder / declared.recipe
        if not dockerfile.resolve().is_relative_to(project.folder.resolve()):
            raise SettingsError(
                f"the recipe {declared.recipe} lies outside of the project's folder.", where=f"{where} recipe"
            )
        found.append(Recipe(pattern=name, dockerfile=dockerfile, inputs=declared.inputs, where=where))
    return found


def _rootfs(suite: str, *packages: str) -> dict[str, str]:
    return {"rootfs": f"rootfs:{'+'.join((suite, *packages))}"}


def _debians() -> list[Recipe]:
    found = [
        Recipe(
            pattern=f"buildpack-deps:{suite}",
            dockerfile=FOLDER / "debian.Dockerfile",
            inputs=_rootfs(suite, "ca-certificates", *BUILD_PACKAGES),
            note=WITHOUT,
        )
        for suite in PYTHON_LIBRARIES
    ]
    names = {**{suite: suite for suite in DEBIAN_SUITES}, **dict.fromkeys(OLD_SUITES, "bookworm"), **DEBIAN_NAMES}
    for name, suite in names.items():
        old = NOT_MADE.format(name) if name in OLD_SUITES else ""
        slim = Recipe(
            pattern=f"debian:{name}-slim", dockerfile=FOLDER / "debian.Dockerfile", inputs=_rootfs(suite), note=old
        )
        full = "; ".join(filter(None, (old, "it has no manual pages and translations, as the slim one")))
        patterns = [name, *([f"{name}.{{patch}}"] if name.isdecimal() else [])]
        found += [replace(slim, pattern=f"debian:{pattern}-slim") for pattern in patterns]
        found += [replace(slim, pattern=f"debian:{pattern}", note=full) for pattern in patterns]
    return found


def _pythons() -> list[Recipe]:
    found: list[Recipe] = []
    for series, (trixie, bookworm) in PYTHONS_BEFORE.items():
        for slim in (True, False):
            found.append(_python(f"{series}.{{patch<{bookworm}}}", "bookworm", "", slim=slim, old="bullseye"))
            found.append(_python(f"{series}.{{patch<{trixie}}}", "bookworm", "", slim=slim))
            if int(series.partition(".")[2]) <= LAST_BEFORE_TRIXIE:
                old = "bullseye" if trixie == bookworm else ""
                found.append(_python(series, "bookworm", "", slim=slim, old=old))
    for suite in PYTHON_LIBRARIES:
        for ending in [suite, ""] if suite == DEFAULT_SUITE else [suite, *OLD_SUITES]:
            for slim in (True, False):
                found += [_python(version, suite, ending, slim=slim) for version in ("", "3")]
                for series in DEBIAN_PYTHONS:
                    found += [_python(version, suite, ending, slim=slim) for version in (series, f"{series}.{{patch}}")]
                found.append(_python("{version}", suite, ending, slim=slim))
    refusal = f"Python is put on Debian {' or '.join(PYTHON_LIBRARIES)} alone."
    unknown = ("{version}-slim-{suite}", "{version}-{suite}", "slim-{suite}", "{suite}")
    return found + [Recipe(pattern=f"python:{tag}", refusal=refusal) for tag in unknown]


def _python(version: str, suite: str, ending: str, *, slim: bool, old: str = "") -> Recipe:
    """Return the recipe of a tag; one without a minor version is taken for the newest Python of the host.

    `old` is the suite that the official tag means, where its ending does not say so.
    """
    tag = "-".join(filter(None, (version, "slim" if slim else "", ending))) or "latest"
    packages = (*PYTHON_PACKAGES, *PYTHON_LIBRARIES[suite], *(() if slim else BUILD_PACKAGES))
    series, numbered, _ = version.partition(".{patch")
    wanted = f"interpreter:{series}.{{patch}}" if numbered else f"interpreter:{version or '3'}"
    old = NOT_MADE.format(old or ending) if (old or ending) in OLD_SUITES else ""
    return Recipe(
        pattern=f"python:{tag}",
        dockerfile=FOLDER / "python.Dockerfile",
        inputs={**_rootfs(suite, *packages), "interpreter": wanted},
        fallback=_debian_python(series, slim=slim) if series in {"", "3", *DEBIAN_PYTHONS} else None,
        note="; ".join(filter(None, (old, "" if slim else WITHOUT))),
    )


def _debian_python(series: str, *, slim: bool) -> Recipe:
    version = series if series in DEBIAN_PYTHONS else list(DEBIAN_PYTHONS)[-1]
    suite = DEBIAN_PYTHONS[version]
    more = () if slim else (f"python{version}-dev", *BUILD_PACKAGES)
    parts = (f"libpython{version}", f"python{version}-venv")
    note = f"this host has no Python {series or '3'}; Debian {suite}'s own {version} is used"
    return Recipe(
        pattern="",
        dockerfile=FOLDER / "python-debian.Dockerfile",
        inputs={
            **_rootfs(suite, *PYTHON_PACKAGES, "python3-pip-whl", *parts, *more),
            "headers": f"deb:{suite}+libpython{version}-dev",
        },
        arguments={"VERSION": version, "LOCALE": locale(version)},
        note=note if slim else f"{note}; {WITHOUT}",
    )


def locale(version: str) -> str:
    """Return which locale the official image of a Python version sets: C.UTF-8 up to 3.12, none since."""
    return "utf8" if int(version.split(".")[1]) <= LAST_WITH_LOCALE else "none"


def _uv() -> list[Recipe]:
    # Tags such as 0.9 or 0.9.5 mean the newest release that starts so.
    requirements = {"latest": "uv", "{version}": "uv=={version}.*"}
    bases = {f"{suite}-slim": f"debian:{suite}-slim" for suite in DEBIAN_SUITES}
    bases["debian-slim"] = f"debian:{DEFAULT_SUITE}-slim"
    for suite in PYTHON_LIBRARIES:
        bases[f"python{{python}}-{suite}-slim"] = f"python:{{python}}-slim-{suite}"
        bases[f"python{{python}}-{suite}"] = f"python:{{python}}-{suite}"
    found = []
    for name in ("ghcr.io/astral-sh/uv", "astral/uv"):
        for tag, requirement in requirements.items():
            programs = {"programs": f"wheel:{requirement}"}
            found.append(Recipe(pattern=f"{name}:{tag}", dockerfile=FOLDER / "uv.Dockerfile", inputs=programs))
            before = "" if tag == "latest" else f"{tag}-"
            found += [
                Recipe(
                    pattern=f"{name}:{before}{ending}",
                    dockerfile=FOLDER / "uv-python.Dockerfile",
                    inputs={**programs, "base": f"image:{base}"},
                )
                for ending, base in bases.items()
            ]
    return found


def _nodes() -> list[Recipe]:
    machine = NODE_MACHINES.get(platform.machine())
    found: list[Recipe] = []
    for name, major in {**{str(major): major for major in NODE_NPM}, **NODE_NAMES}.items() if machine else ():
        bundled = ("yarn@1", "corepack@0") if major <= LAST_NODE_ON_BOOKWORM else ()
        default = "bookworm" if major <= LAST_NODE_ON_BOOKWORM else "trixie"
        for version in (name, f"{name}.{{version}}") if name.isdecimal() else (name,):
            wanted = version if name.isdecimal() else str(major)
            packages = "+".join((f"node-linux-{machine}@{wanted}", f"npm@{NODE_NPM[major]}", *bundled))
            for ending, slim in itertools.product(("", *PYTHON_LIBRARIES, *OLD_SUITES), (True, False)):
                suite = ending if ending in PYTHON_LIBRARIES else default if not ending else "bookworm"
                more = NODE_LIBRARIES if slim else (*NODE_LIBRARIES, "ca-certificates", "python3", *BUILD_PACKAGES)
                old = NOT_MADE.format(ending) if ending in OLD_SUITES else ""
                newest = "" if name.isdecimal() else f"Node.js {major} is used"
                tag = "-".join(filter(None, (version, ending, "slim" if slim else ""))) or "latest"
                found.append(
                    Recipe(
                        pattern=f"node:{tag}",
                        dockerfile=FOLDER / "node.Dockerfile",
                        inputs={**_rootfs(suite, *more), "packages": f"npm:{packages}"},
                        note="; ".join(filter(None, (old, newest, NODE_NOTE, "" if slim else WITHOUT))),
                    )
                )
    return found


def _buns() -> list[Recipe]:
    machine = BUN_MACHINES.get(platform.machine())
    wanted = {"": "", "latest": "", "{version}": "@{version}"} if machine else {}
    return [
        Recipe(
            pattern=f"oven/bun:{'-'.join(filter(None, (tag, ending)))}",
            dockerfile=FOLDER / "bun.Dockerfile",
            inputs={**_rootfs("bookworm"), "packages": f"npm:@oven/bun-linux-{machine}{version}"},
            note="it is on Debian bookworm",
        )
        for tag, version in wanted.items()
        for ending in ("", "debian", "slim")
        if tag or ending
    ]


def _postgres() -> list[Recipe]:
    dockerfile = FOLDER / "postgres.Dockerfile"
    found: list[Recipe] = []
    for major, suite in DEBIAN_POSTGRES.items():
        # Until 17 the server brings its just-in-time compiler along; from 18 on it is a separate package.
        jit = ["postgresql-18-jit"] if major == "18" else []
        inputs = _rootfs(suite, *POSTGRES_PACKAGES, f"postgresql-{major}", *jit)
        arguments = {"VERSION": major, **POSTGRES_FOLDERS.get(major, {})}
        found += [
            Recipe(pattern=pattern, dockerfile=dockerfile, inputs=inputs, arguments=arguments)
            for pattern in (f"postgres:{major}", f"postgres:{major}-{suite}")
        ]
    known = ", ".join(f"{major} ({suite})" for major, suite in DEBIAN_POSTGRES.items())
    refusal = f"Debian has PostgreSQL {known} and no other."
    refused = {"{version}": refusal, "{version}-{suite}": refusal, "latest": f"{refusal} Name one of them."}
    return [*found, *(Recipe(pattern=f"postgres:{tag}", refusal=reason) for tag, reason in refused.items())]


def _stores() -> list[Recipe]:
    found = []
    for name, image, table in (("redis", "redis", DEBIAN_REDIS), ("valkey", "valkey/valkey", DEBIAN_VALKEY)):
        for version, suite in table.items():
            note = f"; {NO_MODULES}" if (name, version) == ("redis", "8.0") else ""
            made = Recipe(
                pattern=image,
                dockerfile=FOLDER / "redis.Dockerfile",
                inputs=_rootfs(suite, f"{name}-server"),
                arguments={"NAME": name, "VERSION": version},
                note=f"it is {name.capitalize()} {version} of Debian {suite}{note}",
            )
            found += _tags(made, latest=version == list(table)[-1])
        found += _other_versions(image, name.capitalize(), table)
    return found


def _nginx() -> list[Recipe]:
    version, suite = DEBIAN_NGINX
    made = Recipe(
        pattern="nginx",
        dockerfile=FOLDER / "nginx.Dockerfile",
        inputs=_rootfs(suite, "ca-certificates", "curl", "gettext-base", "nginx"),
        arguments={"VERSION": version},
        note=f"it is nginx {version} of Debian {suite}",
    )
    return _tags(made, latest=True)


def _mariadb() -> list[Recipe]:
    found = []
    for version, suite in DEBIAN_MARIADB.items():
        made = Recipe(
            pattern="mariadb",
            dockerfile=FOLDER / "mariadb.Dockerfile",
            inputs=_rootfs(suite, "mariadb-client", "mariadb-server-core", "tzdata", "xz-utils"),
            arguments={"VERSION": version},
            note=f"it is MariaDB {version} of Debian {suite}",
        )
        found += _tags(made, latest=version == list(DEBIAN_MARIADB)[-1])
    mysql = Recipe(pattern="mysql:{tag}", refusal="Debian has no MySQL; mariadb is there.", instead="Name mariadb:11")
    return [*found, *_other_versions("mariadb", "MariaDB", DEBIAN_MARIADB), mysql]


def _tags(made: Recipe, *, latest: bool) -> list[Recipe]:
    """Return a server's recipe for each tag of its major version; for those without a version, if it is the latest."""
    major = made.arguments["VERSION"].partition(".")[0]
    tags = [major, f"{major}.{{version}}", *(("latest", "lts", "{suite}") if latest else ())]
    return [
        replace(made, pattern=f"{made.pattern}:{tag}{ending}")
        for tag in tags
        for ending in (("", "-{suite}") if major in tag else ("",))
    ]


def _other_versions(image: str, name: str, table: Mapping[str, str]) -> list[Recipe]:
    known = ", ".join(f"{version} ({suite})" for version, suite in table.items())
    refusal = f"Debian has {name} {known} and no other."
    return [Recipe(pattern=f"{image}:{tag}", refusal=refusal) for tag in ("{version}", "{version}-{suite}")]
