"""How a project starts by its code: the applications, workers and bots that its modules make, and its scripts."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from seatrial.adopt.code import Code, Made
from seatrial.adopt.known import ASGI, BRINGS, SERVERS, Framework
from seatrial.adopt.model import Found, Start, Sure, guessed, stated
from seatrial.adopt.modules import Modules

USUAL_MODULES = ("main", "app", "asgi", "wsgi", "api", "server", "application")
USUAL_NAMES = ("app", "application", "api")
KINDS = ("web", "bot", "worker", "command")
"""The likeliest first."""
SETTINGS = re.compile(r"(?:config|settings|conf|configuration|env|logging)\w*")
CONSOLE = "a console script"
ANY = "0.0.0.0"  # noqa: S104 - in a container


@dataclass(frozen=True, kw_only=True)
class _Candidate:
    found: Found[Start]
    score: tuple[int, ...]


def starts(
    modules: Modules, dependencies: Mapping[str, str], scripts: Mapping[str, tuple[str, str]]
) -> tuple[Found[Start], ...]:
    """Return how a project starts by its code and its console scripts, the likeliest first."""
    by_name = modules.by_name
    candidates: list[_Candidate] = []
    called: set[str] = set()
    for code in modules.codes:
        made = _objects(code, by_name, called)
        candidates += filter(None, (_candidate(code, each, modules, dependencies) for each in made))
    candidates += (
        _web(code, made, modules, dependencies, factory=True)
        for code in modules.codes
        for made in code.factories
        if f"{code.name}.{made.name}" not in called and made.framework.interface
    )
    candidates += _scripts(modules, scripts)
    candidates += _mains(modules)
    candidates += () if candidates else _acting(modules)
    candidates.sort(key=lambda candidate: candidate.score)
    unique: dict[tuple[str, ...], Found[Start]] = {}
    for candidate in candidates:
        start = candidate.found.value
        unique.setdefault((start.kind, start.reference, start.framework), candidate.found)
    return tuple(unique.values())


def _objects(code: Code, by_name: Mapping[str, Code], called: set[str]) -> Iterator[Made]:
    """Yield the objects of a module, also what a factory of the project makes for it, or what it imports to serve."""
    if "alembic.context" in code.bound.values():
        return  # It makes one to see the models.
    yield from code.objects
    for name, callee, line in code.calls:
        whole = callee if "." in callee else f"{code.name}.{callee}"
        if (found := _resolve(whole, by_name)) is not None:
            called.add(found[0])
            yield Made(name=name, framework=found[1].framework, line=line)
    if posixpath.basename(code.path) in {"wsgi.py", "asgi.py"} and not code.objects:
        for name, target in code.bound.items():
            module, _, attribute = target.rpartition(".")
            other = by_name.get(module)
            for made in other.objects if other is not None and name in USUAL_NAMES else ():
                if made.name == attribute and made.framework.interface:
                    yield Made(name=name, framework=made.framework, line=1)


def _candidate(code: Code, made: Made, modules: Modules, dependencies: Mapping[str, str]) -> _Candidate | None:
    name, at_top = made.framework.name, not made.nested
    reference = f"{code.name}:{made.name}"
    if made.framework.interface:
        return _web(code, made, modules, dependencies, factory=False) if at_top else None
    if name in {"Celery", "arq", "taskiq", "dramatiq"}:
        return _worker(code, made, modules) if at_top else None
    if name == "Streamlit":
        words = ("streamlit", "run", _script(code, modules))
        return _by_itself(code, made, modules, words, reference=code.path, rank=1)
    if name == "Sanic" and at_top:
        return _by_itself(code, made, modules, ("sanic", reference, f"--host={ANY}"), reference=reference, rank=1)
    # It serves by itself, where something runs it.
    served = any(each.name in {"", made.name} for each in code.served)
    running = _by_itself(code, made, modules, _python(code, modules), reference=_module(code), rank=1 if served else 3)
    return running if code.main or code.served else None


def _module(code: Code) -> str:
    return code.name.removesuffix(".__main__")


def _script(code: Code, modules: Modules) -> str:
    root = modules.roots.get(code.path, "")
    return code.path[len(root) + 1 :] if root else code.path


def _python(code: Code, modules: Modules) -> tuple[str, ...]:
    """Return the command that runs a module: as a script at the top of its folder, otherwise by its name."""
    return ("python", "-m", _module(code)) if "." in code.name else ("python", _script(code, modules))


def _by_itself(
    code: Code, made: Made, modules: Modules, command: tuple[str, ...], *, reference: str, rank: int
) -> _Candidate:
    framework = made.framework
    start = Start(
        kind=framework.kind,
        framework=framework.name,
        reference=reference,
        command=command,
        folder=_folder(code, modules),
    )
    return _Candidate(
        found=_found(start, code, made.line, modules), score=(_order(framework.kind), rank, *_shape(code, made.name))
    )


def _worker(code: Code, made: Made, modules: Modules) -> _Candidate:
    name, reference = made.framework.name, f"{code.name}:{made.name}"
    celery = code.name if made.name in {"app", "celery"} else f"{code.name}:{made.name}"
    command = {
        "Celery": ("celery", "-A", celery, "worker"),
        "arq": ("arq", f"{code.name}.{made.name}"),
        "taskiq": ("taskiq", "worker", reference),
        "dramatiq": ("dramatiq", code.name),
    }[name]
    start = Start(
        kind="worker",
        framework=name,
        reference=code.name if name == "dramatiq" else reference,
        server=name.lower(),
        command=command,
        folder=_folder(code, modules),
    )
    return _Candidate(
        found=_found(start, code, made.line, modules), score=(_order("worker"), 0, *_shape(code, made.name))
    )


def _web(code: Code, made: Made, modules: Modules, dependencies: Mapping[str, str], *, factory: bool) -> _Candidate:
    framework = made.framework
    server = server_of(framework.interface, dependencies)
    reference = f"{code.name}:{made.name}"
    start = Start(
        kind="web",
        framework=framework.name,
        reference=reference,
        factory=factory,
        interface=framework.interface,
        server=server,
        command=serving(server, reference, framework, factory=factory, path=_script(code, modules)),
        folder=_folder(code, modules),
    )
    # Of Django's two, the one that a server of the dependencies serves.
    asgi = any(name in dependencies for name in ("uvicorn", "daphne", "hypercorn", "channels", "uvicorn-worker"))
    other = framework.name == "Django" and (framework.interface == ASGI) != asgi
    score = (_order("web"), 2 if other else 1 if factory else 0, *_shape(code, made.name))
    return _Candidate(found=_found(start, code, made.line, modules), score=score)


def server_of(interface: str, dependencies: Mapping[str, str]) -> str:
    """Return the server among the dependencies; empty where there is none."""
    for name in SERVERS.get(interface, ()):
        if name in dependencies:
            return name
    return next((BRINGS[name] for name in BRINGS if name in dependencies and interface == ASGI), "")


def serving(server: str, reference: str, framework: Framework, *, factory: bool, path: str = "") -> tuple[str, ...]:
    """Return the command by which a server serves an application; none where the server is not known."""
    port = str(framework.port or 8000)
    call = f"{reference}()" if factory else reference
    flag = ("--factory",) if factory else ()
    asgi = framework.interface == ASGI
    uwsgi = ("uwsgi", "--http-socket", f":{port}", "--master", "--module", call)
    worker = ("--worker-class", "uvicorn_worker.UvicornWorker") if asgi else ()
    commands: dict[str, tuple[str, ...]] = {
        "uvicorn": ("uvicorn", reference, "--host", ANY, "--port", port, *flag),
        "hypercorn": ("hypercorn", "--bind", f"{ANY}:{port}", call),
        "daphne": ("daphne", "-b", ANY, "-p", port, reference),
        "granian": ("granian", "--interface", framework.interface, "--host", ANY, "--port", port, reference, *flag),
        "gunicorn": ("gunicorn", "--bind", f"{ANY}:{port}", *worker, call),
        "waitress": ("waitress-serve", f"--listen={ANY}:{port}", *(("--call",) if factory else ()), reference),
        "uwsgi": uwsgi,
        "pyuwsgi": uwsgi,
        "fastapi-cli": ("fastapi", "run", path, "--port", port),
    }
    return commands.get(server, ())


def _scripts(modules: Modules, scripts: Mapping[str, tuple[str, str]]) -> Iterator[_Candidate]:
    by_name = modules.by_name
    for name, (target, where) in scripts.items():
        module = target.partition(":")[0]
        code = by_name.get(module)
        kind, framework = nature(code, by_name)
        start = Start(kind=kind, framework=framework, reference=target, command=(name,))
        # Of several, the one that is called like its package.
        other = name.replace("-", "_") != module.partition(".")[0]
        yield _Candidate(
            found=stated(start, where, CONSOLE),
            score=(_order(kind), 1 if kind != "command" else 0, 1 if other else 0, 0, 0),
        )


def _mains(modules: Modules) -> Iterator[_Candidate]:
    for code in modules.codes:
        own = code.path.endswith("/__main__.py") or posixpath.basename(code.path) == "__main__.py"
        if not own and (not code.main or posixpath.basename(code.path) == "manage.py"):
            continue
        if any(_order(made.framework.kind) < _order("command") for made in code.objects):
            continue
        kind, framework = nature(code, modules.by_name)
        start = Start(
            kind=kind,
            framework=framework,
            reference=_module(code),
            command=_python(code, modules),
            folder=_folder(code, modules),
        )
        line = code.main or 1
        rank = 1 if own else 2
        yield _Candidate(found=_found(start, code, line, modules), score=(_order(kind), rank + 2, *_shape(code, "")))


def _acting(modules: Modules) -> Iterator[_Candidate]:
    """Yield the scripts that do something when they are run, and that nothing imports: where nothing else starts."""
    imported = {
        target for code in modules.codes for name in code.bound.values() for target in (name, name.rpartition(".")[0])
    }
    for code in modules.codes:
        at_top = posixpath.dirname(code.path) == modules.folder and not SETTINGS.fullmatch(code.name)
        if code.acts and at_top and code.name not in imported:
            start = Start(
                kind="command", reference=code.name, command=_python(code, modules), folder=_folder(code, modules)
            )
            why = "it does something when it is run, and nothing imports it"
            found = guessed(start, f"{code.path}:{code.acts}", why)
            yield _Candidate(found=found, score=(_order("command"), 4, *_shape(code, "")))


def nature(code: Code | None, by_name: Mapping[str, Code], depth: int = 3) -> tuple[str, str]:
    """Return what running a module is, web, bot or command, and its framework: by what it and what it imports serve."""
    if code is None:
        return "command", ""
    made = next((made.framework for made in code.objects if made.framework.kind in {"web", "bot"}), None)
    made = made or next((made.framework for made in code.factories), None)
    if made is not None and (code.served or made.kind == "bot"):
        return made.kind, made.name
    if any(served.web or served.port for served in code.served):
        return "web", ""
    for target in dict.fromkeys(code.bound.values()) if depth else ():
        other = by_name.get(target) or by_name.get(target.rpartition(".")[0])
        if other is not None and other is not code:
            found = nature(other, by_name, depth - 1)
            if found[0] != "command":
                return found
    return "command", ""


def _order(kind: str) -> int:
    return KINDS.index(kind)


def _shape(code: Code, name: str) -> tuple[int, ...]:
    """Return how unlike the usual an object's module and name are, for sorting."""
    parts = code.name.split(".")
    usual = USUAL_MODULES.index(parts[-1]) if parts[-1] in USUAL_MODULES else len(USUAL_MODULES)
    return (0 if usual < len(USUAL_MODULES) else 1, len(parts), usual + 10 * (name not in USUAL_NAMES))


def is_usual(reference: str) -> bool:
    """Tell whether a reference is to a module of a usual name."""
    return reference.partition(":")[0].rpartition(".")[2] in USUAL_MODULES


def _folder(code: Code, modules: Modules) -> str:
    return modules.roots.get(code.path, "") or "."


def _found(start: Start, code: Code, line: int, modules: Modules) -> Found[Start]:
    sure = modules.sure.get(code.path, Sure.GUESSED)
    why = "its name depends on the folder that it starts in" if sure is Sure.GUESSED else ""
    return Found(value=start, where=f"{code.path}:{line}", sure=sure, why=why)


def _resolve(name: str, modules: Mapping[str, Code], depth: int = 5) -> tuple[str, Made] | None:
    """Return the factory that a dotted name of the project means, with its own name: other modules may import it."""
    module, _, attribute = name.rpartition(".")
    code = modules.get(module)
    if code is None or depth == 0:
        return None
    if made := next((made for made in code.factories if made.name == attribute), None):
        return name, made
    further = code.bound.get(attribute)
    return _resolve(further, modules, depth - 1) if further and further != name else None
