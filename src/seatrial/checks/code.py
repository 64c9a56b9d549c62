"""What the application's own code asks for, held against the image: modules, data files, names of outside things."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

from packaging.utils import canonicalize_name

from seatrial.checks.advice import DISTRIBUTIONS, add_fix, declared_by
from seatrial.checks.declaration import check
from seatrial.checks.model import Expect, Outcome, Severity, shorten, skipped
from seatrial.facts import Probe, ProjectFacts, Unavailable
from seatrial.facts.code import MissingModule, NamedThing, OwnCode, OwnPackage
from seatrial.facts.sources import BuildContext
from seatrial.requirements import names_of, parse
from seatrial.settings.model import Contract
from seatrial.text import counted

SHOWN = 10
NOT_READ = skipped("no module of the application's own was read")
TOOLS = {
    *("pytest", "_pytest", "ipdb", "pdbpp", "pudb", "debugpy", "pydevd", "pydevd_pycharm", "IPython", "bpython"),
    *("ptpython", "coverage", "hypothesis", "mypy", "ruff", "black", "setuptools", "pkg_resources", "pip", "nose"),
    *("debug_toolbar", "django_extensions", "silk", "line_profiler", "memory_profiler", "pyinstrument", "faker"),
    *("factory", "freezegun", "responses", "moto", "locust", "invoke", "fabric", "nox", "tox", "sphinx"),
}
"""Modules of use to developers only: code that asks for them is not for production."""
WORKSHOP = {
    *("git", "docker", "docker-compose", "kubectl", "helm", "make", "npm", "npx", "node", "yarn", "pnpm", "pytest"),
    *("ruff", "black", "mypy", "isort", "pip", "uv", "poetry", "vim", "vi", "nano", "code", "open", "xdg-open"),
    *("sudo", "systemctl", "service", "apt", "apt-get", "brew", "ssh", "scp", "rsync", "tmux", "screen", "less"),
}
"""Programs that code calls on a developer's machine, as a rule."""


def _severity(rows: Iterable[MissingModule | NamedThing]) -> Severity:
    """Return an error for what a start loads surely, a warning for what it may load, a note for all else."""
    found = tuple(rows)
    if any(row.certain for row in found):
        return Severity.ERROR
    return Severity.WARNING if any(row.reached for row in found) else Severity.NOTE


@check(
    "app/imports-resolve",
    title="Every module that its code imports is there",
    severity=Severity.ERROR,
    why="An import inside of a function fails at the first request that needs it, not at the start.",
    source="Python language reference, the import system; packaging user guide: declare what is imported",
    example="def export(request):\n    from openpyxl import Workbook  # in no requirements file\n    ...",
    fixed='# pyproject.toml\ndependencies = ["openpyxl>=3.1"]',
)
def imports_resolve(
    own_code: OwnCode, probe: Probe | Unavailable, project: ProjectFacts, context: BuildContext | Unavailable
) -> Outcome:
    """Look for each module by the image's files; what is guarded, optional or for another platform does not count."""
    if not own_code.modules:
        return NOT_READ
    told = _named_by_imports(probe)
    if told:
        # It would tell what else is missing at the start next; most often that is one cause, a wrong interpreter.
        told |= {row.missing.partition(".")[0] for row in own_code.missing if not row.nested}
    optional = _optional(own_code, probe, project)
    missing = [
        row
        for row in own_code.missing
        if row.missing.partition(".")[0] not in {*told, *TOOLS} and not _is_optional(row.missing, optional)
    ]
    expect = Expect(f"all {own_code.asked} imports and names of {', '.join(own_code.packages)} lead to something")
    if not missing:
        return expect.passed(
            f"{own_code.modules} modules were read; every module that they import is there", evidence=own_code.unread
        )
    first = missing[0]
    lines = tuple(
        dict.fromkeys(f"{row.file}:{row.line} imports {row.asked}: there is no {row.missing}" for row in missing)
    )
    return expect.failed(
        shorten(lines, SHOWN),
        fix=_import_fix(first, own_code, project),
        evidence=lines,
        where=_in_project(first.file, first.line, context),
        severity=_severity(missing),
    )


def _named_by_imports(probe: Probe | Unavailable) -> set[str]:
    """Return the modules that app/imports has told about."""
    if isinstance(probe, Unavailable):
        return set()
    errors = [module.error for module in probe.imports if not module.ok and "No module named" in module.error]
    return {
        error.rpartition("No module named ")[2].strip("'\"").partition(".")[0].partition("'")[0] for error in errors
    }


def _optional(own_code: OwnCode, probe: Probe | Unavailable, project: ProjectFacts) -> frozenset[str]:
    """Return the distributions that the application can do without: those of its extras and groups."""
    own = {canonicalize_name(name) for name in (project.name, *own_code.packages) if name}
    listed = () if isinstance(probe, Unavailable) else probe.distributions
    extras = [
        requirement.name
        for found in listed
        if canonicalize_name(found.name) in own
        for text in found.requires
        if (requirement := parse(text)) and "extra" in str(requirement.marker or "")
    ]
    declared = names_of(project.dependencies or ())
    return frozenset({*project.optional, *map(canonicalize_name, extras)} - {*declared})


def _is_optional(module: str, optional: frozenset[str]) -> bool:
    parts = module.split(".")
    names = {canonicalize_name("-".join(parts[: end + 1])) for end in range(len(parts))}
    names.add(canonicalize_name(DISTRIBUTIONS.get(parts[0], parts[0])))
    return bool(names & optional) or any(name.startswith(f"{canonicalize_name(parts[0])}-") for name in optional)


def _import_fix(row: MissingModule, own_code: OwnCode, project: ProjectFacts) -> str:
    top = row.missing.partition(".")[0]
    if top in own_code.packages:
        return f"Correct the import, or see that the image gets {row.missing}: what the Dockerfile copies lacks it."
    if "." in row.missing:
        return (
            f"{top} is there, in a version without {row.missing}: lock the version that has it, or correct the import."
        )
    if row.lies_in:
        return (
            f"It lies in {row.lies_in}, which is not on the interpreter's path: install it, or put that on PYTHONPATH."
        )
    return add_fix(top, declared_by(project), project.dependencies_file or "the project's dependencies", optional=True)


def _in_project(file: str, line: int, context: BuildContext | Unavailable) -> str:
    """Return `file:line` in the project for a file of the image; empty where the sources do not hold it."""
    if isinstance(context, Unavailable):
        return ""
    known = {found.path for found in context.files}
    parts = file.strip("/").split("/")
    path = next((path for at in range(len(parts)) if (path := "/".join(parts[at:])) in known), "")
    if not path:
        # An installed package has no src folder.
        path = next((path for path in sorted(known) if path.endswith("/" + "/".join(parts[-2:]))), "")
    return f"{posixpath.normpath(posixpath.join(context.path, path))}:{line}" if path else ""


# --- data files -------------------------------------------------------------------------------------------------

DATA = {
    *(".html", ".htm", ".jinja", ".jinja2", ".j2", ".tmpl", ".tpl", ".mako", ".txt", ".css", ".js", ".mjs", ".svg"),
    *(".png", ".jpg", ".jpeg", ".gif", ".webp", ".ico", ".woff", ".woff2", ".ttf", ".json", ".yaml", ".yml", ".toml"),
    *(".ini", ".cfg", ".conf", ".sql", ".csv", ".tsv", ".xml", ".xsd", ".mo", ".pem", ".crt", ".graphql", ".pkl"),
}
"""Endings of files that code reads as it runs."""
NO_DATA = {"tests", "test", "node_modules", "docs", "__pycache__", "testdata", "fixtures"}


@check(
    "app/package-data",
    title="Its packages hold their data files",
    severity=Severity.ERROR,
    why="Templates and schemas that a wheel leaves out are missed at the first request that reads them.",
    source="setuptools, data files support; packaging user guide: including files in source distributions",
    example='[tool.setuptools]\npackages = ["shop"]  # and shop/templates',
    fixed='[tool.setuptools]\npackages = ["shop"]\n\n[tool.setuptools.package-data]\nshop = ["templates/**/*"]',
)
def package_data(own_code: OwnCode, context: BuildContext, project: ProjectFacts) -> Outcome:
    """Compare the files beside the package's modules in the sources with those in the image, by their names."""
    if not own_code.packaged:
        return NOT_READ
    if context.truncated:
        return skipped("the build context holds too many files to be compared")
    lacking: dict[str, list[str]] = {}
    certain = False
    compared = 0
    for package in own_code.packaged:
        source = _source_of(package, context)
        for path in _data_below(source, context) if source else ():
            compared += 1
            if path not in package.files:
                top = path.partition("/")[0] if "/" in path else path
                lacking.setdefault(f"{source}/{top}", []).append(f"{package.folder}/{path}")
                certain = certain or _mentioned(path, own_code)
    expect = Expect(f"{', '.join(package.name for package in own_code.packaged)} holds the data files of its sources")
    if not lacking:
        return expect.passed(f"{compared} data files of the sources are there")
    folder = next(iter(lacking))
    first = next(package for package in own_code.packaged if f"{package.folder}/" in lacking[folder][0])
    return expect.failed(
        shorten(
            [f"{first.folder} lacks {name} ({counted(len(files), 'file')})" for name, files in lacking.items()], SHOWN
        ),
        fix=_data_fix(first, folder, project),
        evidence=tuple(f"{file} is not there" for files in lacking.values() for file in files),
        where=f"{posixpath.normpath(posixpath.join(context.path, 'pyproject.toml'))}:1" if first.installed else "",
        severity=Severity.ERROR if certain else Severity.NOTE,
    )


def _source_of(package: OwnPackage, context: BuildContext) -> str:
    """Return the folder of the context that a package was made from; empty where none is it."""
    wanted = f"{package.name}/__init__.py"
    found = [file.path for file in context.files if file.path == wanted or file.path.endswith(f"/{wanted}")]
    return min(found, key=len).removesuffix("/__init__.py") if found else ""


def _data_below(folder: str, context: BuildContext) -> Iterable[str]:
    for file in context.files:
        if file.path.startswith(f"{folder}/"):
            below = file.path.removeprefix(f"{folder}/")
            if posixpath.splitext(below)[1].lower() in DATA and not NO_DATA & set(below.split("/")):
                yield below


def _mentioned(path: str, own_code: OwnCode) -> bool:
    """Tell whether the code names a file, or the folder that it is in."""
    parts = path.split("/")
    names = {"/".join(parts[at:]) for at in range(len(parts))} | set(parts[:-1]) | {f"{part}/" for part in parts[:-1]}
    return bool(names & set(own_code.texts))


def _data_fix(package: OwnPackage, folder: str, project: ProjectFacts) -> str:
    name = posixpath.basename(folder)
    if not package.installed:
        return f"Copy it too: `COPY {folder} {package.folder}/{name}`."
    pattern = name if "." in name else f"{name}/**/*"
    backend = project.build_backend
    if "hatch" in backend:
        return (
            f'Below `[tool.hatch.build.targets.wheel]` of pyproject.toml, add `artifacts = ["{pattern}"]`: hatchling '
            "leaves out what .gitignore names."
        )
    if "poetry" in backend:
        return f'Below `[tool.poetry]` of pyproject.toml, add `include = ["{folder}/**/*"]`.'
    if backend and "setuptools" not in backend:
        return f"Let {backend} put {folder} into the wheel."
    return f'Below `[tool.setuptools.package-data]` of pyproject.toml, add `{package.name} = ["{pattern}"]`.'


# --- names of things outside of Python --------------------------------------------------------------------------

KINDS = {"zone": "time zone", "locale": "locale", "codec": "codec", "program": "program"}


@check(
    "app/names-resolve",
    title="Time zones, locales and programs that its code names are there",
    severity=Severity.ERROR,
    why="What a slim image lacks shows at the first request that names it.",
    source="zoneinfo: data sources; locale.setlocale; Docker's build best practices, multi-stage builds",
    example='subprocess.run(["ffmpeg", "-i", name])  # and a final stage without ffmpeg',
    fixed="RUN apt-get update && apt-get install --yes --no-install-recommends ffmpeg && rm -rf /var/lib/apt/lists/*",
)
def names_resolve(own_code: OwnCode, contract: Contract, context: BuildContext | Unavailable) -> Outcome:
    """Judge what the code names literally; what it looks for first, or catches, does not count."""
    if not own_code.modules:
        return NOT_READ
    # Those that the contract names are told by app/executables.
    named = [row for row in own_code.named if row.name not in contract.executables]
    expect = Expect("time zones, locales, codecs and programs that the code names are in the image")
    if not named:
        return expect.passed(f"{own_code.modules} modules were read; all that they name is there")
    first = named[0]
    lines = tuple(dict.fromkeys(f"{row.file}:{row.line} names the {KINDS[row.kind]} {row.name}" for row in named))
    grave = [row for row in named if not (row.kind == "program" and posixpath.basename(row.name) in WORKSHOP)]
    return expect.failed(
        shorten(lines, SHOWN) + "; the image has no such thing",
        fix=_name_fix(first),
        evidence=lines,
        where=_in_project(first.file, first.line, context),
        severity=_severity(grave) if grave else Severity.NOTE,
    )


def _name_fix(row: NamedThing) -> str:
    if row.kind == "zone":
        return (
            "Install the zones in the final stage (`apt-get install --yes --no-install-recommends tzdata`, for old "
            "names tzdata-legacy too), or add the distribution tzdata to the dependencies."
        )
    if row.kind == "locale":
        return (
            f"Make it in the final stage: `RUN apt-get update && apt-get install --yes --no-install-recommends locales "
            f"&& localedef -i {row.name.partition('.')[0]} -f UTF-8 {row.name}`; or format by a library that needs "
            "none, such as Babel."
        )
    if row.kind == "codec":
        return "Keep the standard library's folder encodings whole."
    return (
        f"Install {posixpath.basename(row.name)} in the final stage; what is installed in the builder stays there. "
        "Where the application can do without, let it ask `shutil.which` first."
    )


@check(
    "app/home",
    title="The home folder that its code asks for is there",
    severity=Severity.WARNING,
    why="An account without a home cannot keep what a program writes to its home folder.",
    source="XDG Base Directory Specification; useradd(8): --create-home",
    example="RUN useradd --no-create-home app\nUSER app",
    fixed="RUN useradd --create-home app\nUSER app",
)
def home(own_code: OwnCode, contract: Contract) -> Outcome:
    """Judge HOME only where the code itself asks for it; app/writable-paths judges the cache folder."""
    place = own_code.home_folder
    if not own_code.home or place is None:
        return skipped("the code that a start loads asks for no home folder")
    mounted = any(place.path == top or place.path.startswith(f"{posixpath.normpath(top)}/") for top in contract.tmpfs)
    expect = Expect(f"{place.path} is a folder that USER may write, as {own_code.home} asks for it")
    if place.writable or mounted:
        return expect.passed(f"{place.path} is on a tmpfs" if mounted else f"{place.path} may be written")
    why = f"has mode {place.mode} and owner {place.owner}" if place.exists else "is not there"
    return expect.failed(
        f"HOME is {place.path}, which {why}; {own_code.home} asks for it",
        fix="Give USER a home (`useradd --create-home`), or name a folder that it may write: `ENV HOME=/tmp`, with "
        "/tmp on a tmpfs.",
        severity=Severity.NOTE if place.exists else Severity.WARNING,
    )


@check(
    "python/packages-on-path",
    title="Its packages are on the interpreter's path",
    severity=Severity.ERROR,
    follows=("python/environment-matches",),
    why="Packages that were installed for another account, interpreter or folder are not found at the start.",
    source="Python's site module: USER_BASE; pip install --user, --target; PEP 405",
    example="COPY --from=builder /root/.local /home/app/.local\n"
    "# and HOME is /app\n"
    "ENV PATH=/home/app/.local/bin:$PATH",
    fixed="COPY --from=builder /root/.local /home/app/.local\n"
    "ENV PYTHONUSERBASE=/home/app/.local PATH=/home/app/.local/bin:$PATH",
)
def packages_on_path(by_files: Probe, dependencies: tuple[str, ...] | None) -> Outcome:
    """Look for what is missing in all other folders of the image that hold distributions."""
    listed = {canonicalize_name(found.name) for found in by_files.distributions if not found.base}
    wanted = [name for name in names_of(dependencies or (), by_files.interpreter.version) if name not in listed]
    wanted += [canonicalize_name(name) for name in _named_by_imports(by_files) if canonicalize_name(name) not in listed]
    where = by_files.interpreter.executable
    expect = Expect(f"what the application needs is on the path of {where}")
    for row in by_files.interpreter.off_path:
        found = [name for name in dict.fromkeys(wanted) if name in row.distributions]
        if found:
            return expect.failed(
                f"{', '.join(found)} {'lies' if len(found) == 1 else 'lie'} in {row.folder}, where {where} does not "
                f"look: {row.why}",
                fix=row.fix,
                evidence=tuple(f"on the path: {folder}" for folder in by_files.interpreter.path),
                items=[*found],
            )
    return expect.passed(
        "nothing that it needs lies off the path "
        f"({len(by_files.interpreter.off_path)} other folders with distributions)"
    )
