"""What a Python project needs besides Python: services, system libraries, programs, migrations, variables."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from seatrial.adopt.code import Code
from seatrial.adopt.declarations import Declared
from seatrial.adopt.known import DRIVERS, EXTRA_SERVICES, IMAGES, LIBRARIES, PERHAPS, SCHEMES, SELF_CONTAINED
from seatrial.adopt.model import Found, ServiceFound, Stack, Sure, Variable, guessed, inferred, stated
from seatrial.adopt.reads import Read
from seatrial.adopt.stacks import image_name
from seatrial.adopt.tree import Tree, is_aside, joined
from seatrial.checks.secrets import named_secret, secret
from seatrial.compose.variables import ASSIGNED
from seatrial.text import plain_line

ADDRESS = re.compile(r"\b([a-z][a-z0-9]*)(?:\+[a-z0-9]+)?://", re.IGNORECASE)
PROGRAM = re.compile(r"[A-Za-z][\w.+-]*")
NOT_NAMED = re.compile(
    r"python[\d.]*|pip[\d.]*|sh|bash|ls|cat|cp|mv|rm|mkdir|echo|true|false|uname|open|start|cmd|powershell"
)
"""What every image has, or none on Linux."""
FRONTENDS = re.compile(r"npm|npx|yarn|pnpm|node|docker|docker-compose|make")


def services(
    declared: Declared, codes: Iterable[Code], own: Iterable[ServiceFound], stack: Stack | None
) -> tuple[Found[str], ...]:
    """Return the services that a project needs: those of its compose file, of its drivers and of its addresses."""
    own = tuple(own)
    found: dict[str, Found[str]] = {}
    for kind, each in _of_stack(own, stack) if stack is not None else ():
        found.setdefault(kind, each)
    for service in own:
        for scheme in service.urls:
            if named := SCHEMES.get(scheme.partition("+")[0]):
                where = service.lines.get("environment", service.where)
                found.setdefault(named, stated(named, where, "an address names it"))
    for kind, each in _driven(declared):
        found.setdefault(kind, each)
    for code in codes:
        for read in code.variables:
            if (match := ADDRESS.match(read.default)) and (named := SCHEMES.get(match[1].lower())):
                where, why = f"{code.path}:{read.line}", f"the default of {read.name}"
                found.setdefault(named, inferred(named, where, why))
    return tuple(found.values())


def _of_stack(own: Iterable[ServiceFound], stack: Stack) -> Iterator[tuple[str, Found[str]]]:
    """Yield the services of a compose file: those that the own ones wait for are stated, others stand beside them."""
    by_name = {service.name: service for service in stack.services}
    waited: set[str] = set()
    left = [name for service in own for name in service.depends_on]
    while left:
        name = left.pop()
        if name in by_name and name not in waited:
            waited.add(name)
            left += by_name[name].depends_on
    for service in sorted(stack.services, key=lambda service: service.name not in waited):
        kind = IMAGES.get(image_name(service.image))
        if kind is not None:
            where, sure = service.lines.get("image", service.where), Sure.STATED
            why = f"the compose file's service {service.name}"
            if service.name not in waited:
                sure, why = Sure.INFERRED, f"{why} stands beside it"
            yield kind, Found(value=kind, where=where, sure=sure, why=why)


def _driven(declared: Declared) -> Iterator[tuple[str, Found[str]]]:
    databases = {"postgres", "mysql", "mssql"}
    rivals = {kind for kind in databases for name in DRIVERS.get(kind, ()) if name in declared.dependencies}
    for extra, kind in EXTRA_SERVICES.items():
        if extra in declared.dependencies:
            where = declared.dependencies[extra]
            yield kind, inferred(kind, where, f"{extra} is a dependency")
    for kind, names in DRIVERS.items():
        for name in names:
            if name in declared.dependencies:
                several = kind in rivals and len(rivals) > 1
                sure = Sure.GUESSED if several or name in PERHAPS else Sure.INFERRED
                why = f"{name} is a dependency" + (": one of several databases" if several else "")
                yield kind, Found(value=kind, where=declared.dependencies[name], sure=sure, why=why)
                break
    for kind, names in DRIVERS.items():
        for name in names:
            if name in declared.optional:
                where, extra = declared.optional[name]
                yield kind, guessed(kind, where, f"{name}, of the extra {extra}")
                break


def libraries(declared: Declared) -> tuple[Found[str], ...]:
    """Return the Debian packages that a project's dependencies load or call at run time."""
    found: dict[str, Found[str]] = {}
    direct = {name: (where, "") for name, where in declared.dependencies.items()}
    optional = {name: row for name, row in declared.optional.items() if name not in direct}
    for name, (where, extra) in {**direct, **optional}.items():
        instead = SELF_CONTAINED.get(name, "")
        if instead in direct or f"{name}[binary]" in direct:
            continue
        for package in LIBRARIES.get(name, ()):
            sure = Sure.GUESSED if extra else Sure.INFERRED
            why = f"{name} loads or calls it" + (f"; of the extra {extra}" if extra else "")
            found.setdefault(package, Found(value=package, where=where, sure=sure, why=why))
    return tuple(found.values())


def programs(codes: Iterable[Code]) -> tuple[Found[str], ...]:
    """Return the programs that a project's code calls by name."""
    found: dict[str, Found[str]] = {}
    for code in codes:
        for name, line in code.programs:
            if PROGRAM.fullmatch(name) and not NOT_NAMED.fullmatch(name):
                sure = Sure.GUESSED if FRONTENDS.fullmatch(name) else Sure.INFERRED
                why = "perhaps for development alone" if sure is Sure.GUESSED else ""
                found.setdefault(name, Found(value=name, where=f"{code.path}:{line}", sure=sure, why=why))
    return tuple(found.values())


def migrations(
    tree: Tree, folder: str, dependencies: Mapping[str, str], inside: Iterable[str]
) -> tuple[Found[str], ...]:
    """Return the commands that bring a project's database up to date; `inside` are its files."""
    files = {path for path in inside if not is_aside(path, folder)}
    found: list[Found[str]] = []
    for path in sorted(files, key=lambda path: path.count("/")):
        name = posixpath.basename(path)
        if name == "alembic.ini":
            flask = "flask-migrate" in dependencies
            option = "" if posixpath.dirname(path) == folder else f" -c {path[len(folder) :].lstrip('/')}"
            value = "flask db upgrade" if flask else f"alembic{option} upgrade head"
            found.append(inferred(value, path, "it is there"))
            break
    else:
        if path := next((path for path in files if path.endswith("migrations/env.py")), ""):
            value = "flask db upgrade" if "flask-migrate" in dependencies else "alembic upgrade head"
            found.append(inferred(value, path, "it is alembic's"))
    manage = min((path for path in files if posixpath.basename(path) == "manage.py"), key=len, default="")
    if manage and "django" in tree.text(manage):
        own = next((path for path in sorted(files) if "/migrations/0" in path), "")
        sure = Sure.INFERRED if own else Sure.GUESSED
        why = "it has migrations" if own else "Django's own applications have some"
        inner = manage[len(folder) :].lstrip("/")
        found.append(Found(value=f"python {inner} migrate", where=own or manage, sure=sure, why=why))
    if "aerich" in dependencies:
        found.append(inferred("aerich upgrade", dependencies["aerich"], "a dependency"))
    return tuple(found)


def data(tree: Tree, folder: str, found: tuple[Found[str], ...], frameworks: Iterable[str]) -> tuple[Found[str], ...]:
    """Return what a project reads at run time that is no code, with what its frameworks look for by themselves."""
    known = {each.value for each in found}
    more: list[Found[str]] = []
    looked_for = {
        "Flask": ("templates", "static"),
        "Streamlit": (".streamlit", "pages"),
        "Quart": ("templates", "static"),
    }
    for framework in frameworks:
        for name in looked_for.get(framework, ()):
            path = joined(folder, name)
            if path in tree.folders and path not in known:
                known.add(path)
                more.append(inferred(path, path, f"{framework} looks for it"))
    return (*found, *more)


EXAMPLE = re.compile(
    r"\.?env(?:\.[\w-]+)*[._-](?:example|sample|template|dist|defaults?|tpl|tmpl)(?:\.txt)?|"
    r"(?:[\w-]+\.)?(?:example|sample|template|default)s?[._-]?\.?env(?:\.[\w-]+)?|"
    r"\.?env[._-](?:example|sample|template|dist)\.[\w-]+|dotenv[._-](?:example|sample|template|dist)",
    re.IGNORECASE,
)
"""`.env.example`, `env.sample`, `.env.dist`, `example.env`, `.env.prod.example`, `.env-template`, …"""
OWN = re.compile(
    r"\.env(?:\.(?:prod|production|docker|dev|development|local|web|app))?|\.flaskenv|[\w-]+\.env", re.IGNORECASE
)
"""Files of values themselves: only their names are taken."""
DEEPEST = 3
MOST = 400
OF_THE_SYSTEM = {
    *("PATH", "HOME", "USER", "USERNAME", "LOGNAME", "TERM", "LANG", "LC_ALL", "TMPDIR", "TEMP", "TMP", "PWD", "SHELL"),
    *("COLUMNS", "LINES", "CI", "GITHUB_ACTIONS", "PYTHONPATH", "VIRTUAL_ENV", "HOSTNAME", "DISPLAY", "EDITOR"),
    "PAGER",
    *("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "APPDATA", "LOCALAPPDATA", "WERKZEUG_RUN_MAIN", "NO_COLOR"),
    *("PYTEST_CURRENT_TEST", "LD_LIBRARY_PATH", "USERPROFILE", "RUN_MAIN", "SYSTEMROOT", "PROGRAMFILES", "WINDIR"),
}
"""What every process has, or only a developer's machine does."""


def is_example(name: str) -> bool:
    """Tell whether a file's name is one of an example of variables."""
    return EXAMPLE.fullmatch(name) is not None


def variables(
    tree: Tree, folder: str, codes: Iterable[Code], services: Iterable[ServiceFound], files: Iterable[str]
) -> tuple[Found[Variable], ...]:
    """Return the variables of a project: what its code reads first, each once."""
    named = dict(_of_files(tree, folder, files))
    found: dict[str, Found[Variable]] = {}
    codes = tuple(codes)
    given = {name for code in codes for name in code.given}
    reads = [
        (replace(read, required=False, strict=False) if read.name in given else read, code.path)
        for code in codes
        for read in code.variables
        if read.name not in OF_THE_SYSTEM
    ]
    lenient = {read.name for read, _ in reads if not read.strict}
    for read, path in reads:
        known = found.get(read.name)
        if known is None or (read.required and not known.value.required):
            strict = read.required or read.name not in lenient
            found[read.name] = _of_code(replace(read, strict=strict), path, named.get(read.name))
    for service in services:
        for name in service.environment:
            if name not in found and name not in OF_THE_SYSTEM:
                where = service.lines.get("environment", service.where)
                named.setdefault(name, stated(Variable(name=name), where, "the compose file gives it"))
    for name, each in named.items():
        found.setdefault(name, each)
    return tuple(sorted(found.values(), key=lambda each: (not each.value.read, not each.value.required)))[:MOST]


def _of_code(read: Read, path: str, named: Found[Variable] | None) -> Found[Variable]:
    default = read.default if not named_secret(read.name) and not secret(read.name, read.default) else ""
    return inferred(
        Variable(
            name=read.name,
            required=read.required,
            strict=read.strict,
            default=default or (named.value.default if named is not None else ""),
            type=read.type,
            read=True,
            comment=named.value.comment if named is not None else "",
        ),
        f"{path}:{read.line}",
        f"{named.where} names it too" if named is not None else "",
    )


def _of_files(tree: Tree, folder: str, files: Iterable[str]) -> Iterator[tuple[str, Found[Variable]]]:
    """Yield what examples say, and the names in files of values; the last one of a name counts."""
    examples = [path for path in files if is_example(posixpath.basename(path)) and _belongs(tree, path, folder)]
    own = [
        path
        for path in files
        if posixpath.dirname(path) == folder and OWN.fullmatch(posixpath.basename(path)) and path not in examples
    ]
    for path in (*own, *reversed(examples)):
        comment: list[str] = []
        for number, line in enumerate(tree.text(path).splitlines(), 1):
            assigned = ASSIGNED.match(line)
            if assigned:
                name, value = assigned["name"], plain_line(assigned["value"]).strip("\"' ")
                shown = value if path in examples and not named_secret(name) and not secret(name, value) else ""
                above = plain_line(" ".join(comment))[:200]
                yield (name, stated(Variable(name=name, default=shown[:100], comment=above), f"{path}:{number}"))
            comment = [*comment, line.lstrip("# \t")] if line.lstrip().startswith("#") and not assigned else []


def _belongs(tree: Tree, path: str, folder: str) -> bool:
    here = posixpath.dirname(path)
    if here != folder and f"{here}/package.json" in tree:
        return False
    return path[len(folder) :].strip("/").count("/") <= DEEPEST and not is_aside(path, folder)
