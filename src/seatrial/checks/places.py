"""Where in the Dockerfile a finding belongs: the instruction that made what it names."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence

from seatrial.facts import Configuration, Facts, Unavailable
from seatrial.facts.sources import Instruction
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
MOST_WORDS = 40
"""Words of a finding that are looked for."""


def place(check: str, seen: str, facts: Facts | Mapping[str, object], evidence: Sequence[str] = ()) -> str:
    """Return `file:line` of the instruction that a check's finding belongs to; empty where no Dockerfile is known.

    It is the instruction of the check's kind that holds a word of what was seen, else the last one of its kind; of
    files, the one that wrote the first path that is named. What none of them made came with the last FROM.
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
    else:
        found = writer(chain, [seen, *evidence]) or (_mentions(chain, seen) if family in INSTALLED else None)
        found = found or _runs(chain, LEAVES.get(check, ""))
    return f"{source.path}:{(found or last.instructions[0]).line}"


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
    for path in re.findall(r"(?<![\w.:/])/[\w.@+/-]+", "\n".join(lines)[:4000])[:MOST_WORDS]:
        # Of equal places, the later instruction wrote over the earlier one; a nearer folder says more than "/".
        best = max(
            (made for made in wrote if is_below(path.rstrip("/.,"), made[0])),
            key=lambda made: len(made[0]),
            default=None,
        )
        if best is not None and (best[0] != "/" or best[1].keyword != "RUN"):
            return best[1]
    return None


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
