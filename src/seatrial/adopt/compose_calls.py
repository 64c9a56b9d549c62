"""How a project's own files call docker compose: with which compose files and env files."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence

from msgspec import structs

from seatrial.adopt.model import ComposeCall, Note, Stack
from seatrial.adopt.stacks import USUAL
from seatrial.adopt.tree import Tree, joined, line_of
from seatrial.text import toml_value

GAP = r"(?:[ \t]|\\\r?\n)+"
CALL = re.compile(rf"\bdocker[ -]compose((?:{GAP}-{{1,2}}[a-z-]+(?:=|{GAP})[^\s`\"'|;&]+)+)")
"""A call whose options stand before its command: `docker compose -f A -f B --env-file C up`."""
PLAIN = re.compile(
    rf"\bdocker[ -]compose(?:{GAP}-{{1,2}}(?!f\b|file\b|env-file\b|project-d)[a-z][a-z-]*"
    rf"(?:(?:=|{GAP})[^\s`\"'|;&-][^\s`\"'|;&]*)??)*?"
    rf"{GAP}(?:up|build|run|start)\b"
)
"""A call that names no file: compose takes the usual one."""
OPTION = re.compile(rf"(-f|--file|--env-file)(?:=|{GAP})([^\s`\"'|;&]+)")
SAYING = re.compile(r"(?:GNUm|M|m)akefile|[Jj]ustfile|Taskfile\.ya?ml|README(?:\.\w+)?|.*\.sh|\.gitlab-ci\.ya?ml")
FOR_ONE_PERSON = re.compile(
    r"(?:^|[._/-])(?:dev|development|local|debug|test|tests|testing|ci|e2e|override)(?=[._/-]|$)"
)
"""What the names of files say that are for developing or testing."""
NOT_HERE = re.compile(r"(?:^|[._/-])(?:prod|production|deploy|deployment|swarm|staging|stage|live)(?=[._/-]|$)")
"""What the names of compose files say that are for a server: with its networks, certificates and images."""
DEEPEST = 2
MOST = 60
"""Files that are searched."""


def with_calls(tree: Tree, stacks: Sequence[Stack]) -> tuple[tuple[Stack, ...], tuple[Note, ...]]:
    """Return stacks with the call that brings each up with more than itself, and notes on calls that stay untaken.

    A call counts where all that the project's files say of a first compose file agree, and it is neither for developing
    nor for a server.
    """
    by_first: dict[str, list[ComposeCall]] = {}
    for call in _calls(tree) if stacks else ():
        by_first.setdefault(call.files[0], []).append(call)
    found, notes = [], []
    for stack in stacks:
        calls = by_first.get(stack.files[0], [])
        several = [call for call in calls if len(call.files) > 1 or call.env_files]
        if several and len({(call.files, call.env_files) for call in calls}) == 1 and not _for_one(several[0]):
            found.append(structs.replace(stack, call=several[0]))
            continue
        found.append(stack)
        if several:
            first = several[0]
            more = f", env-files = {_listed(first.env_files)}" if first.env_files else ""
            what = "it calls docker compose with several files; to have the same here, write into the settings"
            notes.append(Note(where=first.where, what=f"{what}: compose = {_listed(first.files)}{more}"))
    return tuple(found), tuple(notes)


def _for_one(call: ComposeCall) -> bool:
    own = any(FOR_ONE_PERSON.search(path) for path in (*call.files[1:], *call.env_files))
    return own or any(NOT_HERE.search(path) for path in call.files[1:])


def _listed(paths: Sequence[str]) -> str:
    return toml_value(list(paths))


def _calls(tree: Tree) -> Iterator[ComposeCall]:
    named = [path for path in tree.files if path.count("/") <= DEEPEST and _may_say(path)]
    for path in named[:MOST]:
        text = tree.text(path)
        if "compose" not in text:
            continue
        # COMPOSE_FILE names other files than the usual one.
        for match in PLAIN.finditer(text) if "COMPOSE_FILE" not in text else ():
            places = (joined(folder, name) for folder in ("", posixpath.dirname(path)) for name in USUAL)
            if usual := next((place for place in places if place in tree), ""):
                yield ComposeCall(files=(usual,), where=f"{path}:{line_of(text, match.start())}")
        for match in CALL.finditer(text):
            options = OPTION.findall(match[1])
            # A path begins where the command is run: in the project's folder, or in the script's own.
            for folder in dict.fromkeys(("", posixpath.dirname(path))):
                files = tuple(joined(folder, value) for option, value in options if option in {"-f", "--file"})
                env_files = tuple(joined(folder, value) for option, value in options if option == "--env-file")
                if files and all(file in tree for file in files) and all(_is_there(tree, file) for file in env_files):
                    yield ComposeCall(files=files, env_files=env_files, where=f"{path}:{line_of(text, match.start())}")
                    break


def _may_say(path: str) -> bool:
    workflow = path.startswith(".github/workflows/") and path.endswith((".yml", ".yaml"))
    return workflow or SAYING.fullmatch(posixpath.basename(path)) is not None


def _is_there(tree: Tree, path: str) -> bool:
    """Tell whether an env file, or its example, is in the project."""
    return any(f"{path}{ending}" in tree for ending in ("", ".example", ".sample", ".template"))
