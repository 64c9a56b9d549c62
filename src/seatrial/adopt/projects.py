"""The Python projects among a tree's files: their folders, requirement files, installer, lock, versions of Python."""

from __future__ import annotations

import posixpath
import re

from packaging.utils import canonicalize_name

from seatrial.adopt.declarations import DEVELOPMENT, Declared, read_declarations
from seatrial.adopt.model import Note, Requirements, inferred, stated
from seatrial.adopt.tree import Tree, is_aside, joined, line_of

LOCKS = {
    "uv.lock": "uv",
    "poetry.lock": "poetry",
    "pdm.lock": "pdm",
    "Pipfile.lock": "pipenv",
    "pylock.toml": "pip",
    "conda-lock.yml": "conda",
}
LOCKING = {"uv.lock": "uv lock", "poetry.lock": "poetry lock", "pdm.lock": "pdm lock", "Pipfile.lock": "pipenv lock"}
IN_LOCK = re.compile(rb'^name = "([^"\n]+)"', re.MULTILINE)
IN_PIPFILE_LOCK = re.compile(rb'^ +"([\w.-]+)": \{', re.MULTILINE)
LARGEST_LOCK = 16 * 1024 * 1024
PYLOCK = re.compile(r"pylock\.[\w-]+\.toml")
REQUIREMENTS = re.compile(r"(?:[\w.-]*[._-])?requirements?(?:[._-][\w.-]+)?\.(?:txt|in)", re.IGNORECASE)
MARKERS = ("pyproject.toml", "setup.py", "setup.cfg", "Pipfile", "environment.yml", "environment.yaml")
SETUP = re.compile(r"\b(?:setuptools|distutils|skbuild)\b")
DEEPEST = 5
MOST = 60
MOST_INCLUDED = 20
CREATED = re.compile(rb"^created-by\s*=\s*[\"'](\w+)", re.MULTILINE)


def read_projects(tree: Tree, contexts: frozenset[str]) -> tuple[Declared, ...]:
    """Return the Python projects of a tree, that of its own folder first.

    `contexts` are folders that images are built from: one of these is a project also among tests or examples.
    """
    folders: dict[str, None] = {}
    for path in tree.files:
        folder = _declares(tree, path) if path.count("/") <= DEEPEST else None
        if folder is not None and (not is_aside(f"{folder}/x") or folder in contexts):
            folders.setdefault(folder)
    # A folder with code alone is one too, where it is what an image is built from.
    for context in sorted(contexts):
        if any(name.endswith(".py") for name in tree.folders.get(context, ())):
            folders.setdefault(context)
    nearest = sorted(folders, key=lambda path: (path.count("/") + bool(path), path))[:MOST]
    read = [read_project(tree, folder) for folder in nearest]
    found = [
        each
        for each in read
        if each.declares or each.dependencies or each.requirements or each.members or each.folder in contexts
    ]
    if not found and any(path.endswith(".py") for path in tree.files):
        found.append(Declared(folder=""))
    return tuple(_with_workspace(found))


def _declares(tree: Tree, path: str) -> str | None:
    """Return the folder of which a file tells that it is a project; None where it does not."""
    folder, name = posixpath.split(path)
    if posixpath.basename(folder).lower().startswith("requirements") and name.endswith((".txt", ".in")):
        return posixpath.dirname(folder)
    if name == "setup.py":
        # Otherwise a module of that name.
        return folder if SETUP.search(tree.text(path)) else None
    return folder if name in MARKERS or name in LOCKS or REQUIREMENTS.fullmatch(name) else None


def read_project(tree: Tree, folder: str) -> Declared:
    """Return what the files of one folder declare."""
    made = read_declarations(tree, folder)
    _requirements(tree, made)
    _installer(tree, made)
    _versions(tree, made)
    made.notes += _not_locked(tree, made)
    return made


def _not_locked(tree: Tree, made: Declared) -> list[Note]:
    """Return a note where the lock does not hold what the project declares."""
    name = posixpath.basename(made.lock.value) if made.lock is not None else ""
    command = LOCKING.get(name)
    if command is None or made.lock is None:
        return []
    pattern = IN_PIPFILE_LOCK if name == "Pipfile.lock" else IN_LOCK
    content = tree.content(made.lock.value, LARGEST_LOCK)
    locked = {canonicalize_name(each.decode()) for each in pattern.findall(content)}
    declaration = joined(made.folder, "Pipfile" if name == "Pipfile.lock" else "pyproject.toml")
    declared = (each for each, where in made.dependencies.items() if where.startswith(f"{declaration}:"))
    missing = [each for each in declared if "[" not in each and each not in locked]
    if not content or not missing:
        return []
    what = f"{made.lock.value} does not hold {', '.join(missing[:3])}: run `{command}`"
    return [Note(where=made.dependencies[missing[0]], what=what)]


def _with_workspace(found: list[Declared]) -> list[Declared]:
    """Return projects with the lock and installer of the workspace that they belong to."""
    for root in found:
        inside = {member.value for member in root.members}
        for project in found:
            if project is not root and project.folder in inside and root.lock is not None and project.lock is None:
                project.lock = root.lock
                project.installer = root.installer
                project.python = project.python or root.python
    return found


def _requirements(tree: Tree, made: Declared) -> None:
    names = [joined(made.folder, name) for name in tree.folders.get(made.folder, ()) if REQUIREMENTS.fullmatch(name)]
    for folder in tree.folders.get(made.folder, ()):
        place = joined(made.folder, folder)
        if folder.lower().startswith("requirements") and place in tree.folders:
            names += [joined(place, name) for name in tree.folders[place] if name.endswith((".txt", ".in"))]
    found = []
    declared = bool(made.dependencies)
    for path in names:
        if path not in tree:
            continue
        development = DEVELOPMENT.search(path[len(made.folder) :].removesuffix(".txt").removesuffix(".in")) is not None
        pinned, hashed, requirements = requirement_file(tree, path)
        found.append(stated(Requirements(file=path, pinned=pinned, hashed=hashed, development=development), path))
        # What was compiled from another file, or from what the project declares, names more than that asks for.
        compiled = path.removesuffix(".txt") + ".in" in names or (declared and pinned)
        for requirement, where in requirements if not (development or compiled) else ():
            made.depend(requirement, where)
    made.requirements = tuple(found)


def requirement_file(tree: Tree, path: str, seen: set[str] | None = None) -> tuple[bool, bool, list[tuple[str, str]]]:
    """Return whether a file of requirements is pinned, whether it has hashes, and its requirements with their lines.

    `seen` are the files that were read already: each is read once, however often it is included.
    """
    found: list[tuple[str, str]] = []
    seen = set() if seen is None else seen
    seen.add(path)
    text = tree.text(path)
    pinned = True
    for number, line in enumerate(text.splitlines(), 1):
        bare = re.sub(r"(^|\s)#.*", "", line).partition(" --")[0].strip().rstrip("\\").strip()
        if include := re.match(r"(?:-r|--requirement)[ =]?\s*(\S+)", bare):
            other = joined(posixpath.dirname(path), include[1])
            if other in tree and other not in seen and len(seen) < MOST_INCLUDED:
                inner, _, more = requirement_file(tree, other, seen)
                pinned, found = pinned and inner, found + more
        elif bare and not bare.startswith("-"):
            found.append((bare, f"{path}:{number}"))
            pinned = pinned and ("==" in bare or " @ " in bare)
    return pinned and bool(found), "--hash=" in text, found


def _installer(tree: Tree, made: Declared) -> None:
    names = tree.folders.get(made.folder, ())
    there = [name for name in LOCKS if name in names] + [name for name in names if PYLOCK.fullmatch(name)]
    if there:
        path = joined(made.folder, there[0])
        made.lock = stated(path, path)
        tool = LOCKS.get(there[0], "pip")
        if there[0].startswith("pylock"):
            created = CREATED.search(tree.beginning(path))
            tool = created[1].decode() if created else tool
        made.installer = stated(tool, path, f"{there[0]} is its lock")
    if len(there) > 1:
        made.notes.append(
            Note(where=joined(made.folder, there[1]), what=f"a second lock beside {there[0]}, which was taken")
        )
    if made.installer is not None:
        return
    running = [found for found in made.requirements if not found.value.development]
    if running:
        first = min(running, key=lambda found: (not found.value.pinned, len(found.value.file)))
        lock = first.value.file if first.value.pinned else ""
        made.lock = inferred(lock, lock, "it pins each version") if lock else None
        made.installer = stated("pip", first.value.file, "a file of requirements")
    elif made.declares:
        path = next((joined(made.folder, name) for name in MARKERS if name in names), made.folder or ".")
        made.installer = inferred("pip", path, "no lock, and no tool is named")


VERSION_FILES = (
    (".python-version", re.compile(r"^(?:cpython-)?(\d+\.\d+(?:\.\d+)?)", re.MULTILINE)),
    ("runtime.txt", re.compile(r"python-(\d+\.\d+(?:\.\d+)?)")),
    (".tool-versions", re.compile(r"^python\s+(\d+\.\d+(?:\.\d+)?)", re.MULTILINE)),
)


def _versions(tree: Tree, made: Declared) -> None:
    for name, pattern in VERSION_FILES:
        path = joined(made.folder, name)
        if made.python is None and (match := pattern.search(tree.text(path))):
            where = f"{path}:{line_of(tree.text(path), match.start())}"
            made.python = stated(match[1], where)
