"""Dockerfiles of any usual name: their targets, arguments without a value, ports and commands."""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from msgspec import structs

from seatrial import dockerfile as parser
from seatrial.adopt.model import Argument, DockerfileFound, Note
from seatrial.adopt.stacks import STARTING
from seatrial.adopt.tree import Tree, is_aside
from seatrial.compose.values import settings_of
from seatrial.facts.sources import INSTRUCTIONS, Dockerfile, Instruction

NAMED = re.compile(r"(?:Docker|Container)file(?:[._-][\w.-]+)?|[\w.-]+[._-](?:Docker|Container)file", re.IGNORECASE)
NOT_ONE = re.compile(
    r".*\.(?:dockerignore|containerignore|md|rst|txt|j2|jinja2?|tmpl|tpl|template|in|erb|orig|bak|py|sh|ya?ml|json|lock)",
    re.IGNORECASE,
)
DEEPEST = 5
MOST = 200
PYTHON = re.compile(r"\b(?:python[\d.]*|pip[\d.]*|uv|poetry|pdm|pipenv|py3-pip)\b|requirements[\w.-]*\.txt")
GIVEN = re.compile(
    r"(?:TARGET|BUILD)(?:PLATFORM|OS|ARCH|VARIANT)|(?:HTTPS?|FTP|NO|ALL)_PROXY|BUILDKIT_\w+", re.IGNORECASE
)
"""Arguments that BuildKit gives by itself. Source: Dockerfile reference, ARG."""


def read_dockerfiles(tree: Tree) -> tuple[tuple[DockerfileFound, ...], tuple[Note, ...]]:
    """Return a project's Dockerfiles, those of what runs first."""
    notes: list[Note] = []
    found: list[DockerfileFound] = []
    for path in islice(filter(is_dockerfile, tree.files), MOST):
        try:
            text = parser.read(Path(tree.root, path))
        except (OSError, parser.DockerfileError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            notes.append(Note(where=path, what=f"cannot be read: {why}", broken=not is_aside(path)))
            continue
        parsed = parser.parse(text)
        if parsed.stages:
            found += filter(None, [read_dockerfile(tree, path)])
            aside = is_aside(path)
            found_wrong = faults(text, parsed)
            notes += [
                Note(where=f"{path}:{line}:{column}", what=what, broken=not aside) for line, column, what in found_wrong
            ]
        elif text.strip():
            notes.append(Note(where=path, what="it has no FROM, and is no Dockerfile"))
    found.sort(key=lambda dockerfile: (dockerfile.aside, dockerfile.file.count("/"), not is_plain(dockerfile.file)))
    return tuple(found), tuple(notes)


def faults(text: str, parsed: Dockerfile) -> Iterator[tuple[int, int, str]]:
    """Yield what BuildKit would refuse, with line and column; another frontend may know more instructions."""
    if parsed.syntax and "docker/dockerfile" not in parsed.syntax:
        return
    for each in parser.instructions_of(text):
        what = "" if each.keyword in INSTRUCTIONS else f"unknown instruction {each.keyword}"
        if each.line < parsed.stages[0].line and each.keyword != "ARG":
            what = what or f"{each.keyword} stands before the first FROM"
        bodies = {line.lstrip("\t") for line in each.body.split("\n")}
        ends = [end for _, end in parser.heredocs(each.keyword, each.text)]
        what = what or next((f"the heredoc {end} has no end" for end in ends if end not in bodies), "")
        if each.keyword == "FROM" and len(each.words) not in {1, 3}:
            what = "FROM takes an image, or an image, AS and a name"
        if what:
            line = text.splitlines()[each.line - 1]
            yield each.line, len(line) - len(line.lstrip()) + 1, what


def is_dockerfile(path: str) -> bool:
    """Tell whether a file has a usual name of a Dockerfile."""
    name = posixpath.basename(path)
    return path.count("/") <= DEEPEST and NAMED.fullmatch(name) is not None and NOT_ONE.fullmatch(name) is None


def read_dockerfile(tree: Tree, path: str, target: str = "") -> DockerfileFound | None:
    """Return what a Dockerfile says of its last stage, or of a target; None where it has no such stage."""
    try:
        parsed = parser.parse(parser.read(Path(tree.root, path))) if path in tree else None
    except (OSError, parser.DockerfileError):
        return None
    if parsed is None:
        return None
    last = next((stage.index for stage in parsed.stages if target and stage.answers_to(target)), len(parsed.stages) - 1)
    if last < 0 or (target and not parsed.stages[last].answers_to(target)):
        return None
    built = structs.replace(parsed, stages=parsed.stages[: last + 1])
    return structs.replace(_read(path, built), targets=tuple(stage.name for stage in parsed.stages if stage.name))


def is_plain(path: str) -> bool:
    """Tell whether a Dockerfile has the name that a build looks for by itself."""
    return posixpath.basename(path) in {"Dockerfile", "Containerfile"}


def variant(path: str) -> str:
    """Return what a Dockerfile's name adds: `prod` of `Dockerfile.prod` and of `prod.Dockerfile`."""
    parts = re.split(r"[._-]?(?:docker|container)file[._-]?", posixpath.basename(path), flags=re.IGNORECASE)
    return "-".join(filter(None, parts))


def _read(path: str, parsed: Dockerfile) -> DockerfileFound:
    instructions = parsed.instructions(parsed.stages[-1])
    command = _last(instructions, "CMD")
    entrypoint = _last(instructions, "ENTRYPOINT")
    environment = dict(pair for each in instructions if each.keyword == "ENV" for pair in _pairs(each.text))
    kept = {**settings_of(environment), **{key: environment[key] for key in STARTING if key in environment}}
    words = [
        each.whole + each.body
        for stage in parser.needed_stages(parsed, {})
        for each in stage.instructions
        if each.keyword in {"RUN", "CMD", "ENTRYPOINT", "COPY"}
    ]
    check = _last(instructions, "HEALTHCHECK")
    bases = tuple(base.reference for base in parser.bases(parsed, {}, {}))
    return DockerfileFound(
        file=path,
        arguments=tuple(_arguments(parsed)),
        bases=bases,
        python=any(PYTHON.search(text) for text in (*bases, *words)),
        aside=is_aside(path),
        copies=tuple(_copies(parsed)),
        copied=dict(_copied(instructions, environment)),
        command=_words(command),
        entrypoint=_words(entrypoint),
        command_line=(command or entrypoint).line if command or entrypoint else 0,  # type: ignore[union-attr]
        environment=kept,
        given=tuple(environment),
        ports=tuple(
            int(word.partition("/")[0])
            for each in instructions
            if each.keyword == "EXPOSE"
            for word in parser.expand(each.text, environment).split()
            if word.partition("/")[0].isdecimal()
        ),
        health=check.text if check is not None and check.text.strip().upper() != "NONE" else "",
        health_line=check.line if check is not None else 0,
    )


def _last(instructions: list[Instruction], keyword: str) -> Instruction | None:
    return next((each for each in reversed(instructions) if each.keyword == keyword), None)


def _words(instruction: Instruction | None) -> tuple[str, ...]:
    """Return the words of a CMD or ENTRYPOINT; a line for a shell as `sh -c LINE`."""
    if instruction is None:
        return ()
    try:
        words = json.loads(instruction.text)
    except (ValueError, RecursionError):
        words = None
    if isinstance(words, list):
        return tuple(map(str, words))
    return ("/bin/sh", "-c", instruction.text)


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    try:
        words = shlex.split(text)
    except ValueError:
        words = text.split()
    if words and "=" not in words[0]:
        yield words[0], " ".join(words[1:])
        return
    for word in words:
        name, equals, value = word.partition("=")
        if equals:
            yield name, value


def _arguments(parsed: Dockerfile) -> Iterator[Argument]:
    """Yield the arguments that no ARG gives a value, each once."""
    outer = {name for each in parsed.arguments for name, default in parser.assignments(each) if default}
    froms = " ".join(stage.base for stage in parsed.stages)
    seen: set[str] = set()
    inner = [(each, outer) for stage in parsed.stages for each in stage.instructions if each.keyword == "ARG"]
    for each, known in [*((each, set[str]()) for each in parsed.arguments), *inner]:
        for name, default in parser.assignments(each):
            if default is None and name not in known and name not in seen and not GIVEN.fullmatch(name):
                seen.add(name)
                decides = re.search(rf"\$\{{?{re.escape(name)}\b(?!:?-)", froms) is not None
                yield Argument(name=name, line=each.line, decides_base=decides)


def _copied(instructions: list[Instruction], environment: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the path in the image of each single file that is copied under a path of its own, and its source."""
    folder = "/"
    for each in instructions:
        if each.keyword == "WORKDIR":
            folder = posixpath.join(folder, parser.expand(each.text, environment))
        elif each.keyword in {"COPY", "ADD"} and not any(name == "from" for name, _ in each.flags):
            words = each.copied
            if len(words) == 2 and not words[1].endswith(("/", ".")):  # noqa: PLR2004 - SOURCE and TARGET
                target = posixpath.join(folder, parser.expand(words[1], environment))
                yield posixpath.normpath(target), posixpath.normpath(words[0])


def _copies(parsed: Dockerfile) -> Iterator[str]:
    """Yield what the last stage, and what it takes from, copies from the build context, as written."""
    for stage in parser.needed_stages(parsed, {}):
        for each in stage.instructions:
            for source, _ in each.from_context:
                # A mount without a source shows the whole context to one RUN: that says nothing of what it needs.
                if "://" not in source and (each.keyword != "RUN" or source != "."):
                    yield source
