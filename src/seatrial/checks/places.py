"""Where in the Dockerfile a finding belongs, and where what removes a package installer."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence

from packaging.utils import canonicalize_name

from seatrial.facts import Configuration, Distribution, Facts, ImageLayer, Layers, Unavailable
from seatrial.facts.sources import Dockerfile, DockerfileSource, Instruction
from seatrial.text import is_below

STARTING = ("CMD", "ENTRYPOINT")
INSTRUCTIONS: dict[str, tuple[str, ...]] = {
    "identity": ("USER",),
    "accounts": ("RUN",),
    "process/graceful-stop": ("STOPSIGNAL", *STARTING),
    "process/line-ends": ("COPY", "ADD"),
    "process": STARTING,
    "boot": STARTING,
    "health": ("HEALTHCHECK",),
    "network": ("EXPOSE", *STARTING),
    "python/environment-first": ("ENV",),
    "system": ("ENV",),
    "secrets/environment": ("ENV",),
    "secrets/history": ("RUN", "ARG", "ENV"),
    "config/workdir": ("WORKDIR",),
    "config/volumes": ("VOLUME",),
    "config/labels": ("LABEL",),
}
"""By check or family: the instructions to change, the likeliest first."""
NOT_OF_THE_IMAGE = {"dockerfile", "context", "compose", "stack"}
"""Families that name their own lines, or are about more than the image."""
INSTALLED = {"tools", "packages", "native"}
"""Families whose findings name what a RUN installed."""
LEAVES = {
    "files/package-lists": r"\b(?:apt|apt-get|apk|dnf|microdnf|yum)\b",
    "files/installer-caches": r"\b(?:pip3?|uv|poetry|pdm|pipenv|conda)\b",
}
"""By check: the programs that leave what it finds, where their RUN does not name it."""
MOST_PATHS = 10
"""Paths of a finding that are looked for in the layers."""
MOST_WORDS = 40
"""Words of a finding that are looked for."""


def place(check: str, seen: str, facts: Facts | Mapping[str, object], evidence: Sequence[str] = ()) -> str:
    """Return `file:line` of the instruction that a check's finding belongs to; empty where no Dockerfile is known.

    It is the instruction of the check's kind that holds a word of what was seen, else the last one of its kind; of
    files, the one that wrote the first path that is named: where the layers are known, the one whose layer holds it.
    What none of them made came with the last FROM.
    What is wrong with a command of the settings belongs to them.
    """
    family = check.partition("/")[0]
    if not isinstance(facts, Facts) or isinstance(facts.sources, Unavailable) or family in NOT_OF_THE_IMAGE:
        return ""
    source = facts.sources.dockerfile
    last = source.parsed.final
    if last is None:
        return ""
    chain = source.parsed.instructions(last)
    kinds = INSTRUCTIONS.get(check, INSTRUCTIONS.get(family, ()))
    if check == "process/variables-expand":
        # Its finding begins with the instruction.
        kinds = (seen.partition(" ")[0],)
    if other := _elsewhere(facts.configuration, kinds, seen):
        found = _of_kind(chain, [kind for kind in kinds if kind not in STARTING], seen)
        return other if found is None else f"{source.path}:{found.line}"
    if kinds:
        found = _of_kind(chain, kinds, seen)
    elif check == "app/code-read-only":
        found = _giver(chain, [seen, *evidence]) or writer(chain, [seen, *evidence])
    elif (maker := _made_by(facts.layers, [seen, *evidence])) is not None:
        return f"{source.path}:{maker.line or last.line}"
    else:
        found = writer(chain, [seen, *evidence]) or (_mentions(chain, seen) if family in INSTALLED else None)
        found = found or _runs(chain, LEAVES.get(check, ""))
    return f"{source.path}:{(found or last.instructions[0]).line}"


def _made_by(layers: Layers | Unavailable, lines: Sequence[str]) -> ImageLayer | None:
    """Return the layer that the first path of a text that one holds comes from; None where no layer's line is known."""
    if isinstance(layers, Unavailable) or not any(layer.line for layer in layers.layers):
        return None
    return next(filter(None, map(layers.maker, _paths(lines)[:MOST_PATHS])), None)


def _elsewhere(configuration: Configuration, kinds: Sequence[str], seen: str) -> str:
    """Return where the command is said that a finding is about, where that is not the Dockerfile."""
    if not set(kinds) & {*STARTING, "entrypoint", "command"}:
        return ""
    if seen.startswith("ENTRYPOINT") and not configuration.entrypoint_from:
        return ""
    return configuration.command_from


def _of_kind(chain: Sequence[Instruction], kinds: Sequence[str], seen: str) -> Instruction | None:
    """Return the last instruction of these kinds that holds the first word of what was seen that any of them holds."""
    written = [instruction for instruction in reversed(chain) if instruction.keyword in kinds]
    for word in re.findall(r"[\w./-]{3,}", seen)[:MOST_WORDS]:
        whole = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")
        for instruction in written:
            if whole.search(instruction.text) or whole.search(instruction.body):
                return instruction
    return next((instruction for kind in kinds for instruction in written if instruction.keyword == kind), None)


def _mentions(chain: Sequence[Instruction], seen: str) -> Instruction | None:
    """Return the last RUN that holds a word of what was seen, a whole one: `gcc`, `wheel`."""
    runs = [instruction for instruction in reversed(chain) if instruction.keyword == "RUN"]
    for word in re.findall(r"[\w.+-]{3,}", seen)[:MOST_WORDS]:
        whole = re.compile(rf"(?<![\w-]){re.escape(word)}(?![\w-])", re.IGNORECASE)
        if found := next((run for run in runs if whole.search(run.text) or whole.search(run.body)), None):
            return found
    return None


def _runs(chain: Sequence[Instruction], programs: str) -> Instruction | None:
    """Return the last RUN with one of some programs, as an expression; none where that is empty."""
    runs = (step for step in reversed(chain) if step.keyword == "RUN" and programs)
    return next((step for step in runs if re.search(programs, f"{step.text}\n{step.body}")), None)


def writer(chain: Sequence[Instruction], lines: Sequence[str]) -> Instruction | None:
    """Return the last instruction that wrote, or changed, the first path of a text that any of them wrote."""
    wrote = list(_writes(chain))[::-1]
    for path in _paths(lines):
        # Of equal places, the later instruction wrote over the earlier one; a nearer folder says more than "/".
        best = max((made for made in wrote if is_below(path, made[0])), key=lambda made: len(made[0]), default=None)
        if best is not None and (best[0] != "/" or best[1].keyword != "RUN"):
            return best[1]
    return None


def _paths(lines: Sequence[str]) -> list[str]:
    """Return the paths that a text names."""
    found = re.findall(r"(?<![\w.:/])/[\w.@+/-]+", "\n".join(lines)[:4000])
    return [path.rstrip("/.,") for path in found[:MOST_WORDS]]


GIVES = re.compile(r"\b(?:chown|chmod|chgrp|useradd|adduser|umask)\b|\binstall\s+-[do]\b")


def _giver(chain: Sequence[Instruction], lines: Sequence[str]) -> Instruction | None:
    """Return the instruction that gave the first path of a text to an account, or else the last RUN of such a one.

    What a RUN writes after USER belongs to that account, whether its text names the path or not.
    """
    giving: list[Instruction] = []
    as_user, root = None, True
    for instruction in chain:
        if instruction.keyword == "USER":
            root = instruction.text.strip("\"' ").partition(":")[0] in {"root", "0"}
        elif instruction.keyword == "RUN" and not root:
            as_user = instruction
        given = {name for name, _ in instruction.flags} & {"chown", "chmod"}
        text = f"{instruction.text}\n{instruction.body}"
        if instruction.keyword == "WORKDIR" or given or (instruction.keyword == "RUN" and GIVES.search(text)):
            giving.append(instruction)
    return writer(giving, lines) or as_user


def _writes(chain: Sequence[Instruction]) -> Iterator[tuple[str, Instruction]]:
    """Yield each folder or file that an instruction names as its target, with the instruction.

    Of a RUN, every absolute path of its text: what it made, or changed the mode or the owner of.
    """
    directory = "/"
    for instruction in chain:
        if instruction.keyword == "WORKDIR":
            directory = posixpath.normpath(posixpath.join(directory, instruction.text.strip("\"' ")))
        elif instruction.keyword in {"COPY", "ADD"}:
            words = instruction.copied
            if len(words) > 1:
                yield from ((target, instruction) for target in _targets(words, directory))
        elif instruction.keyword == "RUN":
            for path in re.findall(r"(?<![\w.:/$}])/[\w.@+/-]+", f"{instruction.text}\n{instruction.body}"):
                yield posixpath.normpath(path), instruction


def _targets(words: Sequence[str], directory: str) -> Iterator[str]:
    """Yield where COPY writes: each source by its name where all look like files, else its target."""
    target = posixpath.normpath(posixpath.join(directory, words[-1]))
    names = [posixpath.basename(source.rstrip("/")) for source in words[:-1]]
    if words[-1].endswith("/") or len(names) > 1 or words[-1] == ".":
        yield from (posixpath.join(target, name) for name in names if name not in {"", ".", "*"})
        if all(re.fullmatch(r"[^*?]+\.\w+|[A-Za-z_]+file|LICENSE", name) for name in names):
            return
    yield target


DEBIAN = "/usr/lib/python3"
MANAGED = re.compile(r"/(?:cpython|pypy)-\d")
"""Pythons that uv installs: their pip refuses to change them (EXTERNALLY-MANAGED)."""
BESIDE = {"setuptools": ("setuptools", "_distutils_hack", "pkg_resources", "distutils-precedence.pth")}
"""What a distribution has in site-packages beside its metadata, where that is more than a folder of its name."""
OTHERWISE = "what the application needs of them goes into the contract's `installers`"


def removal_fix(
    found: Sequence[Distribution], programs: Sequence[str], dockerfile: DockerfileSource | Unavailable
) -> str:
    """Return what removes some distributions, and programs such as uv."""
    parsed = None if isinstance(dockerfile, Unavailable) else dockerfile.parsed
    folders: dict[str, list[str]] = {}
    for package in found:
        folders.setdefault(package.location, []).append(canonicalize_name(package.name))
    steps = [_at(folder, removal_command(folder, names), parsed) for folder, names in folders.items()]
    # pip's own script goes with the distribution.
    alone = [
        path
        for path in programs
        if posixpath.basename(path) not in {name for names in folders.values() for name in names}
    ]
    steps += [_program(path, parsed) for path in alone]
    return f"{'; '.join(steps)}; {OTHERWISE}." if steps else f"Make the environment without them; {OTHERWISE}."


def removal_command(folder: str, names: Sequence[str]) -> str:
    """Return the command that removes distributions from a site-packages folder, as it works in that image."""
    if folder.startswith(DEBIAN):
        return f"apt-get purge --yes {' '.join(f'python3-{name}' for name in names)}"
    prefix = re.split(r"/lib(?:64)?/python", folder)[0]
    if "pip" in names and prefix != folder and not MANAGED.search(folder):
        return f"{prefix}/bin/python -m pip uninstall --yes {' '.join(names)}"
    return f"rm -rf {' '.join(_files_of(folder, names))}"


def _files_of(folder: str, names: Sequence[str]) -> Iterator[str]:
    for name in names:
        yield from (f"{folder}/{file}" for file in BESIDE.get(name, (name,)))
        yield f"{folder}/{name}-*.dist-info"


def _at(folder: str, command: str, dockerfile: Dockerfile | None) -> str:
    """Return where in the Dockerfile a command belongs that removes what lies in a folder."""
    if dockerfile is None or (last := dockerfile.final) is None:
        return f"In the final stage, as root: `RUN {command}`"
    made = writer(dockerfile.instructions(last), [folder])
    if made is not None and (stage := dict(made.flags).get("from")):
        return f"Line {made.line} copies them from {stage}: end that stage with `RUN {command}`"
    if made is not None and made.keyword == "RUN":
        return f"Line {made.line} was the last to write there: end it with ` && {command}`"
    return f"They come with `{last.instructions[0].whole}`: add `RUN {command}` {_in_stage(last.instructions)}"


def _in_stage(instructions: Sequence[Instruction]) -> str:
    """Return where in the final stage, behind the last use of pip, and while the build still is root."""
    uses = max(
        (step.line for step in instructions if step.keyword == "RUN" and re.search(r"\bpip3?\b", step.text)), default=0
    )
    users = [step for step in instructions if step.keyword == "USER"]
    before = next((step for step in users if step.line > uses), None)
    behind = f"below line {uses}" if uses else ""
    if before is not None:
        return f"{f'{behind}, ' if behind else ''}above line {before.line} (`{before.whole}`)"
    if users:
        return f"{behind}, between `USER root` and `{users[-1].whole}`"
    return behind or "below it"


def _program(path: str, dockerfile: Dockerfile | None) -> str:
    final = None if dockerfile is None else dockerfile.final
    made = None if dockerfile is None or final is None else writer(dockerfile.instructions(final), [path])
    if made is None:
        return f"Remove {path} in the step that brings it"
    origin = dict(made.flags).get("from")
    if made.keyword != "COPY" or origin is None:
        return f"Line {made.line} brings {path}: leave it out of the final stage"
    source = made.words[0] if made.words else path
    mount = f"--mount=from={origin},source={source},target={path}"
    return f"Line {made.line} brings {path}: take that line away, and mount it where it is used, `RUN {mount} …`"
