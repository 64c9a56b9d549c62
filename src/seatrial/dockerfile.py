"""A Dockerfile's instructions, stages, bases and arguments, with their lines.

dockerfile-parse 2.0.1 is not used: it reads a heredoc's body as instructions, does not know the escape directive, and
resolves neither `${NAME:-default}` nor a build argument inside another argument's default.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from typing import TYPE_CHECKING

from msgspec import structs

from seatrial.facts.sources import Base, Dockerfile, Instruction, Stage, read_mount
from seatrial.filesystem import read_bytes
from seatrial.text import did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

LARGEST = 1024 * 1024
"""Bytes of a Dockerfile."""
LONGEST_LINE = 65_535
"""Bytes of one line: BuildKit takes no more (bufio.MaxScanTokenSize)."""
MOST_INSTRUCTIONS = 2000
LONGEST_VALUE = 65_535
"""Characters of an argument's value: arguments that name others twice each double it."""

DIRECTIVE = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.*?)\s*$")
WORD = re.compile(r"""(?:[^\s"'\\]|\\.?|"(?:\\.|[^"\\])*"|'[^']*')+""", re.DOTALL)
"""A word as BuildKit's shell lexer divides a line; quotes belong to it."""
HEREDOC = re.compile(r"\d*<<(-?)([^<]+)", re.DOTALL)
QUOTED = re.compile(r"""\\(.?)|"((?:\\.|[^"\\])*)"|'([^']*)'""", re.DOTALL)
WITH_HEREDOC = frozenset({"RUN", "COPY", "ADD"})
VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?:(:?[-+])([^{}]*(?:\$\{[^{}]*\}[^{}]*)*))?\})")
OF_THE_PLATFORM = re.compile(r"\$\{?(TARGET|BUILD)(OS|ARCH|PLATFORM|VARIANT)")
NO_IMAGE = "scratch"
LINE = re.compile(r"[^\n]*\n|[^\n]+")
"""A line as BuildKit knows it; other separators that Python knows end none."""
RUN = re.compile(r"[ \t]*RUN(?=[ \t\v\f\r]+\S)", re.IGNORECASE)
FLAG = re.compile(r"""\s*--(?:[^\s"'\\]|\\.?|"(?:\\.|[^"\\])*"?|'(?:\\.|[^'\\])*'?)*""")
"""A flag of an instruction, as BuildKit's extractBuilderFlags reads it."""


class DockerfileError(Exception):
    """A Dockerfile is no text, exceeds a limit, or lacks the stage that is to be built."""

    def __init__(self, what: str, line: int = 0, fix: str = "") -> None:
        super().__init__(f"{what} (line {line})" if line else what)
        self.what = what
        self.line = line
        self.fix = fix


def read(file: Path) -> str:
    """Return a Dockerfile's text; what is not UTF-8 in it is replaced.

    Raises:
        OSError: it cannot be read, is no regular file, or is too large.
        DockerfileError: it is no text, a line is too long, or it has too many instructions.
    """
    content = read_bytes(file, LARGEST)
    if b"\0" in content:
        raise DockerfileError("it is not a text file")
    for number, line in enumerate(content.split(b"\n"), 1):
        if len(line) > LONGEST_LINE:
            raise DockerfileError(f"it has a line of more than {LONGEST_LINE} bytes", number)
    text = content.decode("utf-8", errors="replace")
    found = _instructions(_lines(text))
    if (beyond := next(islice(found, MOST_INSTRUCTIONS, None), None)) is not None:
        raise DockerfileError(f"it has more than {MOST_INSTRUCTIONS} instructions", beyond.line)
    return text


def for_target(dockerfile: Dockerfile, target: str | None, build_arguments: Mapping[str, str]) -> Dockerfile:
    """Return a Dockerfile of which a stage is built, by its name; without a name the last one is.

    BuildKit finds a stage by its name alone, in any case, and takes the last one of that name (dockerfile2llb).

    Raises:
        DockerfileError: no stage has that name, or several have.
    """
    if target is None:
        return dockerfile
    named = [stage for stage in dockerfile.stages if stage.name == target.lower()]
    if len(named) > 1:
        lines = ", ".join(str(stage.line) for stage in named)
        what = f"the stage {target!r} is there {len(named)} times (lines {lines})"
        raise DockerfileError(what, fix="Give each stage a name of its own.")
    if not named:
        known = [stage.name for stage in dockerfile.stages if stage.name]
        shown = ", ".join(f"{stage.name or 'one without a name'} (line {stage.line})" for stage in dockerfile.stages)
        raise DockerfileError(
            f"no stage is called {target!r}; its stages: {shown or 'none'}",
            fix=did_you_mean(target, known) if known else f"Name one: `FROM … AS {target}`.",
        )
    chosen = structs.replace(dockerfile, target=named[0].index)
    needed = needed_stages(chosen, build_arguments)
    if any(OF_THE_PLATFORM.search(stage.base) for stage in needed):
        return chosen  # Which stage that is, only the builder knows.
    return structs.replace(chosen, left_out=tuple(stage.index for stage in dockerfile.stages if stage not in needed))


def declares(dockerfile: Dockerfile, argument: str) -> bool:
    """Tell whether an ARG of that name stands anywhere in it."""
    inner = (found for stage in dockerfile.stages for found in stage.instructions if found.keyword == "ARG")
    return any(name == argument for arg in (*dockerfile.arguments, *inner) for name, _ in assignments(arg))


def bases(dockerfile: Dockerfile, build_arguments: Mapping[str, str], platform: Mapping[str, str]) -> tuple[Base, ...]:
    """Return the outside images that the stage to build needs, each once, in the order of their lines."""
    scope = {**platform, **_scope(dockerfile, build_arguments, platform)}
    found: dict[str, int] = {}
    for stage in _needed(dockerfile, scope):
        for reference, line in _references(stage, scope):
            known = reference in {"", NO_IMAGE} or _stage(dockerfile, reference, stage, line) is not None
            # BuildKit resolves no variable outside of FROM, and reports it.
            if not known and "$" not in reference:
                found[reference] = min(line, found.get(reference, line))
    names = tuple(stage.name for stage in dockerfile.stages if stage.name is not None)
    return tuple(
        Base(reference=reference, line=line, stages=names)
        for reference, line in sorted(found.items(), key=lambda pair: pair[1])
    )


def needed_stages(dockerfile: Dockerfile, build_arguments: Mapping[str, str]) -> tuple[Stage, ...]:
    """Return the stage to build and those that it takes from."""
    return tuple(_needed(dockerfile, _scope(dockerfile, build_arguments, {})))


@dataclass(frozen=True, kw_only=True)
class SecretMount:
    """A RUN that mounts a build secret."""

    id: str
    required: bool
    line: int


def secret_mounts(dockerfile: Dockerfile, build_arguments: Mapping[str, str]) -> tuple[SecretMount, ...]:
    """Return the build secrets that are mounted in what the stage to build needs, in the order of their lines."""
    stages = needed_stages(dockerfile, build_arguments)
    runs = [found for stage in stages for found in stage.instructions if found.keyword == "RUN"]
    found = (_secret_mount(mount, run.line) for run in runs for mount in run.mounts)
    return tuple(sorted((mount for mount in found if mount is not None), key=lambda mount: mount.line))


def _secret_mount(keys: Mapping[str, str], line: int) -> SecretMount | None:
    """Return the secret that a mount names. Source: Dockerfile reference, RUN --mount=type=secret."""
    if keys.get("type") != "secret":
        return None
    required = keys.get("required", "false").lower() in {"", "true", "1"}
    return SecretMount(id=keys.get("id") or keys.get("target", "").rpartition("/")[2], required=required, line=line)


def _scope(dockerfile: Dockerfile, build_arguments: Mapping[str, str], platform: Mapping[str, str]) -> dict[str, str]:
    scope: dict[str, str] = {}
    for argument in dockerfile.arguments:
        for name, default in assignments(argument):
            value = build_arguments.get(name)
            scope[name] = expand(default or "", {**platform, **scope})[:LONGEST_VALUE] if value is None else value
    return scope


def _needed(dockerfile: Dockerfile, scope: Mapping[str, str]) -> list[Stage]:
    # BuildKit builds one stage and what it reaches: the base of an unused stage is not asked for.
    waiting = [dockerfile.final] if dockerfile.final is not None else []
    needed: list[Stage] = []
    while waiting:
        stage = waiting.pop()
        if stage not in needed:
            needed.append(stage)
            others = (_stage(dockerfile, reference, stage, line) for reference, line in _references(stage, scope))
            waiting.extend(other for other in others if other is not None)
    return needed


def _stage(dockerfile: Dockerfile, reference: str, asking: Stage, line: int) -> Stage | None:
    # A FROM sees the stages above it only; COPY --from and a mount see all of them.
    if line == asking.instructions[0].line:
        above = reversed(dockerfile.stages[: asking.index])
        return next((stage for stage in above if stage.name == reference.lower()), None)
    return next((stage for stage in dockerfile.stages if stage.answers_to(reference)), None)


def instructions_of(text: str) -> list[Instruction]:
    """Return all instructions of a Dockerfile, those before its first FROM too."""
    return list(_instructions(_lines(text)))


def parse(text: str) -> Dockerfile:
    """Read a Dockerfile."""
    syntax, instructions = _directives(_lines(text)).get("syntax"), instructions_of(text)
    starts = [at for at, instruction in enumerate(instructions) if instruction.keyword == "FROM"]
    ends = [*starts[1:], len(instructions)] if starts else []
    head = instructions[: starts[0]] if starts else instructions
    return Dockerfile(
        syntax=syntax.split()[0] if syntax else None,
        arguments=tuple(instruction for instruction in head if instruction.keyword == "ARG"),
        stages=tuple(
            _new_stage(index, tuple(instructions[start:end]))
            for index, (start, end) in enumerate(zip(starts, ends, strict=True))
        ),
    )


def without_syntax(text: str) -> str:
    """Return the Dockerfile without its `# syntax=` line; every instruction keeps its line number."""
    lines = LINE.findall(text.removeprefix("\ufeff"))
    count = len(_directives(lines))
    kept = [line for line in lines[:count] if DIRECTIVE.match(line).group(1).lower() != "syntax"]  # type: ignore[union-attr]
    # An ordinary comment ends the directives, so the place holder follows those that stay.
    return "".join([*kept, *["#\n"] * (count - len(kept)), *lines[count:]])


@dataclass(frozen=True, kw_only=True)
class Run:
    """A RUN, and the offsets in the Dockerfile's text where something can be put into it."""

    instruction: Instruction
    shell: str
    """What the SHELL in force says; empty where the base's own holds."""
    flags: int
    """Behind its keyword."""
    script: int | None
    """Where its shell begins to read; None where no shell reads it: exec form, or a heredoc that names a program."""


def runs(text: str) -> list[Run]:
    """Return every RUN of every stage, in the order of their lines.

    Left out is what BuildKit refuses or does not run itself: one without a command, and ONBUILD.
    """
    lines = LINE.findall(text)
    starts = [0, *accumulate(map(len, lines))]
    escape = _directives(_lines(text)).get("escape", "\\")
    shells: dict[str, str] = {}
    found: list[Run] = []
    for stage in parse(text).stages:
        shell = shells.get(stage.base.lower(), "")
        for instruction in stage.instructions:
            if instruction.keyword == "SHELL":
                shell = instruction.text
            elif instruction.keyword == "RUN" and (run := _run(instruction, lines, starts, escape, shell)) is not None:
                found.append(run)
        if stage.name is not None:
            shells[stage.name] = shell
    return found


def _run(instruction: Instruction, lines: Sequence[str], starts: Sequence[int], escape: str, shell: str) -> Run | None:
    """Find out where a RUN's flags and its command stand: its lines are joined as BuildKit joins them."""
    goes_on = re.compile(re.escape(escape) + r"[ \t]*$")
    parts: list[str] = []
    offsets: list[int] = []
    at = first = instruction.line - 1
    more = True
    while more and at < len(lines):
        content = _content(lines[at])
        if at == first or (content.strip() and not content.lstrip().startswith("#")):
            parts.append(goes_on.sub("", content))
            offsets += range(starts[at], starts[at] + len(parts[-1]))
            more = parts[-1] != content
        at += 1
    joined = "".join(parts)
    keyword = RUN.match(joined)
    if keyword is None:
        return None
    begin = _command(joined, keyword.end())
    command = joined[begin:].strip()
    script = None if not command or _is_exec_form(command) else offsets[begin]
    if instruction.body and HEREDOC.fullmatch(command) and WORD.fullmatch(command):
        # BuildKit makes its lines the shell's command, or a file to run where the first one says with what.
        head, *others = instruction.body.split("\n")
        script = None if not others or head.startswith("#!") else starts[at]
    return Run(instruction=instruction, shell=shell, flags=offsets[keyword.end() - 1] + 1, script=script)


def _command(joined: str, at: int) -> int:
    """Return where the command begins, behind the flags."""
    while (flag := FLAG.match(joined, at)) is not None:
        at = flag.end()
        if flag.group().strip() == "--":
            break
    return len(joined) - len(joined[at:].lstrip())


def _is_exec_form(command: str) -> bool:
    try:
        return isinstance(json.loads(command), list)
    except (ValueError, RecursionError):
        return False


def expand(text: str, scope: Mapping[str, str]) -> str:
    """Replace `$NAME`, `${NAME}`, `${NAME:-word}` and `${NAME:+word}`; an unknown name is empty."""

    def value(match: re.Match[str]) -> str:
        plain, braced, operator, word = match.groups()
        known = scope.get(plain or braced)
        is_set = bool(known) if operator and operator.startswith(":") else known is not None
        if operator and operator.endswith("-"):
            return (known or "") if is_set else expand(word, scope)
        if operator:
            return expand(word, scope) if is_set else ""
        return known or ""

    return VARIABLE.sub(value, text)


def _lines(text: str) -> list[str]:
    return [_content(line) for line in LINE.findall(text.removeprefix("\ufeff"))]


def _content(line: str) -> str:
    return line.removesuffix("\n").removesuffix("\r")


def _directives(lines: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines:
        match = DIRECTIVE.match(line)
        if match is None or match.group(1).lower() in found:
            break
        found[match.group(1).lower()] = match.group(2)
    return found


def _instructions(lines: Sequence[str]) -> Iterator[Instruction]:
    goes_on = re.compile(re.escape(_directives(lines).get("escape", "\\")) + r"[ \t]*$")
    at = 0
    while at < len(lines):
        first = at
        parts: list[str] = []
        more = True
        while more and at < len(lines):
            line = lines[at]
            at += 1
            # A comment or an empty line inside an instruction is left out, and does not end it.
            if not line.strip() or line.lstrip().startswith("#"):
                more = bool(parts)
                continue
            more = goes_on.search(line) is not None
            parts.append(goes_on.sub("", line).strip() if more else line.strip())
        if not parts:
            continue
        keyword, *rest = " ".join(parts).split(maxsplit=1) or [""]
        text = rest[0].strip() if rest else ""
        begin = at
        for dash, end in heredocs(keyword, text):
            while at < len(lines) and (lines[at].lstrip("\t") if dash else lines[at]) != end:
                at += 1
            at += 1
        yield Instruction(keyword=keyword.upper(), text=text, body="\n".join(lines[begin:at]), line=first + 1)


def heredocs(keyword: str, text: str) -> list[tuple[bool, str]]:
    """Return an instruction's heredocs, as BuildKit finds them: whether leading tabs are left out, and the last line.

    A quoted one is none; where a quote has no end, there is none.
    """
    if keyword.upper() == "ONBUILD":
        keyword = text.partition(" ")[0]
    if keyword.upper() not in WITH_HEREDOC or WORD.sub("", text).strip():
        return []
    found = filter(None, map(HEREDOC.fullmatch, WORD.findall(text)))
    return [(bool(match[1]), QUOTED.sub(r"\1\2\3", match[2])) for match in found]


def _new_stage(index: int, instructions: tuple[Instruction, ...]) -> Stage:
    words = instructions[0].words
    named = len(words) == 3 and words[1].lower() == "as"  # noqa: PLR2004 - IMAGE as NAME
    return Stage(
        index=index, name=words[2].lower() if named else None, base=words[0] if words else "", instructions=instructions
    )


def _references(stage: Stage, scope: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    """Yield the images and stages that a stage takes from, with the lines that say so."""
    yield expand(stage.base, scope), stage.instructions[0].line
    for instruction in stage.instructions[1:]:
        for name, value in instruction.flags:
            reference = value if name == "from" else read_mount(value).get("from") if name == "mount" else None
            if reference is not None:
                yield reference, instruction.line


def assignments(argument: Instruction) -> Iterator[tuple[str, str | None]]:
    """Yield the names of an ARG or ENV, each with its value, or None."""
    for match in re.finditer(r"""(\w+)(?:=("[^"]*"|'[^']*'|\S*))?""", argument.text):
        name, default = match.groups()
        yield name, None if default is None else default.strip("\"'")
