"""Plans what `init` writes into a project: its apps as settings, and a tasks.py.

What cannot be planned raises SettingsError.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from msgspec import structs

from seatrial.adopt.model import Understanding
from seatrial.adopt.proposal import HEAD, adopted, proposed_settings
from seatrial.adopt.recipes import write_missing
from seatrial.adopt.tree import Tree
from seatrial.errors import SettingsError
from seatrial.filesystem import is_folder, read_bytes, replace_all
from seatrial.settings.model import Settings
from seatrial.settings.read import LARGEST, OWN, convert, key_in, parse_toml, settings_of, table_of

WRITTEN = ("Dockerfile", ".dockerignore", "compose.yaml")
BEGINNING = re.compile(r"# (?:The image of |Nothing reaches the build |\S+ with the services that it needs\.)")
"""How the templates of these begin."""
TASKS = 'from seatrial.tasks import ns\n\n__all__ = ["ns"]\n'


def plan(folder: Path, understand: Callable[[], Understanding], *, anew: bool = False) -> dict[Path, bytes]:
    """Return what the files of a folder are to hold, of those in which something is missing.

    `understand` is asked where the settings declare no app; `anew`, also where they do.

    Raises:
        SettingsError: there is nothing to declare, a file has an error in it, or lies where nothing is written.
    """
    written: dict[Path, bytes] = {}
    file, declared = settings_of(folder)
    if not declared.get("apps") or (anew and file.name == OWN):
        kept = file.is_file() and not declared.get("apps")
        understanding, files = _with_what_is_missing(folder, understand())
        written |= {folder / name: text.encode() for name, text in files.items()}
        written[file] = _settings(file, understanding, kept=kept).encode()
    tasks = folder / "tasks.py"
    if not tasks.is_file():
        written[tasks] = TASKS.encode()
    for each in written:
        require_writable(each, folder)
    return {each: text for each, text in written.items() if not each.is_file() or each.read_bytes() != text}


def still_own(
    folder: Path, understand: Callable[[Collection[str]], Understanding]
) -> tuple[Understanding, dict[Path, bytes]] | None:
    """Return what an earlier init understood, and those files that are as it wrote them; None where it is not known.

    `understand` is asked for what is understood without some files: those that begin as the templates do.
    """
    hidden = _from_templates(folder)
    file, _ = settings_of(folder)
    try:
        understanding = understand(hidden)
        finished, files = _with_what_is_missing(folder, understanding, hidden)
        made = {file: _settings(file, finished, kept=False).encode()}
    except SettingsError:
        return None
    made |= {folder / name: text.encode() for name, text in files.items()}
    own = {each: text for each, text in made.items() if each.is_file() and each.read_bytes() == text}
    return (understanding, own) if file in own else None


def _from_templates(folder: Path) -> set[str]:
    tree = Tree(folder)
    return {path for path in tree.files if path.endswith(WRITTEN) and BEGINNING.match(tree.text(path))}


def changed(
    folder: Path, before: Understanding, after: Understanding, written: Mapping[Path, bytes]
) -> dict[Path, bytes]:
    """Return those of the files that init wrote by what was understood before, as what is understood now makes them.

    Where someone has changed one of them since, nothing is.
    """
    hidden = {file.relative_to(folder).as_posix() for file in written} | _from_templates(folder)
    was, old = _with_what_is_missing(folder, before, hidden)
    now, new = _with_what_is_missing(folder, after, hidden)
    made = {folder / name: text.encode() for name, text in new.items() if old.get(name) != text}
    file, _ = settings_of(folder)
    table = key_in(file, "")
    if file in written:
        made[file] = written[file].replace(
            proposed_settings(was, table).encode(), proposed_settings(now, table).encode()
        )
    made = {each: text for each, text in made.items() if written.get(each) != text}
    untouched = all(each in written and each.is_file() and each.read_bytes() == written[each] for each in made)
    return made if untouched else {}


def write(files: Mapping[Path, bytes]) -> None:
    """Write files, all of them or none.

    Raises:
        SettingsError: one cannot be written.
    """
    try:
        replace_all(files)
    except OSError as error:
        # What it names is a file of a passing name, which would have taken the place of one of these.
        where = str(Path(str(error.filename)).parent)
        raise SettingsError(f"cannot be written: {error.strerror}; nothing was.", where=where) from error


def _with_what_is_missing(
    folder: Path, understanding: Understanding, hidden: Collection[str] = ()
) -> tuple[Understanding, dict[str, str]]:
    """Return what is understood, and the files of the apps that have no Dockerfile, in which these are in place."""
    outside = any(app.context.value.startswith(("..", "/")) for app in understanding.apps)
    if outside or adopted(understanding) or any(note.broken for note in understanding.notes):
        return understanding, {}
    made = write_missing(Tree(folder, hidden), understanding)
    replaced = {written.app.project: written.app for written in made}
    apps = tuple(replaced.get(app.project, app) if app.python else app for app in understanding.apps)
    files = {name: text for written in made for name, text in written.files.items()}
    return structs.replace(understanding, apps=apps), files


def _settings(file: Path, understanding: Understanding, *, kept: bool) -> str:
    """Return the text of the settings; what the file holds stands first, where it is `kept`."""
    _require_adoptable(understanding)
    before = read_bytes(file, LARGEST).decode("utf-8") if kept else ""
    tables = proposed_settings(understanding, key_in(file, ""))
    text = f"{before.rstrip()}\n\n{tables}" if before.strip() else f"{HEAD}\n{tables}"
    try:
        document = parse_toml(text)
    except ValueError as error:
        raise SettingsError(
            f"no table can be appended: {error}.",
            where=file.name,
            fix="Write each table under a header of its own, or add the apps yourself.",
            detail=tables,
        ) from None
    declared = document if file.name == OWN else table_of(document, "tool")["seatrial"]
    convert(declared, Settings, file=file, table=key_in(file))
    for app in adopted(understanding):
        if not is_folder(file.parent / app.context.value):
            raise SettingsError(f"there is no folder {app.context.value} to build from.", where=app.context.where)
    return text


def _require_adoptable(understanding: Understanding) -> None:
    """Refuse what no settings can be written for, with the reason that helps most."""
    if broken := next((note for note in understanding.notes if note.broken), None):
        raise SettingsError(f"{broken.what}.", where=broken.where, fix="Correct it; then run init again.")
    apps = adopted(understanding)
    if not understanding.projects and not apps:
        raise SettingsError(
            "no Python project: no file in this folder or below declares one, and there is no module.",
            where=".",
            fix="Go to your project's folder, or declare an app yourself: [apps.NAME] in seatrial.toml.",
        )
    outside = [app for app in understanding.apps if app.context.value.startswith(("..", "/"))]
    if outside and not apps:
        raise SettingsError(
            f"the build context {outside[0].context.value} leads out of this folder.",
            where=outside[0].context.where,
            fix="Run init in the folder that holds both.",
        )
    if not apps:
        raise SettingsError(
            "no Dockerfile in this folder or below it.",
            where=".",
            fix="Write one, or declare an app yourself: [apps.NAME] in seatrial.toml.",
        )
    missing = [each for each in understanding.unknown if each.required]
    if missing:
        options = " ".join(f"{each.ask}=VALUE" for each in missing)
        raise SettingsError(
            f"{missing[0].what} is not known: {missing[0].why}.", where=missing[0].where, fix=f"Say it: {options}."
        )


def require_writable(file: Path, folder: Path) -> None:
    """Refuse a folder in a file's place, and a link out of the project."""
    if not file.resolve().is_relative_to(folder.resolve()):
        raise SettingsError(
            f"is a link to {file.resolve()}, outside of the project: nothing is written there.",
            where=file.name,
            fix="Make it a file of the project.",
        )
    if is_folder(file):
        raise SettingsError("is a folder: init writes a file there.", where=file.name, fix="Rename the folder.")
