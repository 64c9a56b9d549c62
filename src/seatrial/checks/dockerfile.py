"""dockerfile/*: what the Dockerfile says, line by line."""

from __future__ import annotations

import fnmatch
import math
import posixpath
import re
from collections.abc import Iterator

from seatrial.checks.declaration import check
from seatrial.checks.model import Cause, Expect, Outcome, Severity, UndecidedError, present, shorten, skipped
from seatrial.checks.secrets import SECRET_VALUE, named_secret, secret
from seatrial.dockerfile import assignments
from seatrial.facts import BuildContext, DockerfileSource, Lint, LintFinding, Unavailable
from seatrial.facts.sources import Dockerfile, Instruction, Stage
from seatrial.installs import DECLARATIONS, LOCKING, TOOLS, Install, installs, loose
from seatrial.settings.model import Contract

SHOWN = 5
LEVELS = ("error", "warning", "info", "style")
ABOUT_CACHES = {"DL3009", "DL3019", "DL3032", "DL3036", "DL3040", "DL3042", "DL3060"}
"""hadolint's rules that want a cache deleted: wrong where it is a mount (its issues 497, 983, 1095, 1139)."""
REFUSED = frozenset(("DL3023", "DL3043", "DL3061"))
"""hadolint's rules on what no build takes: a stage that copies from itself, ONBUILD FROM, instructions before FROM."""
FLOATING = {
    *("latest", "stable", "edge", "nightly", "main", "master", "dev", "rolling", "testing", "unstable", "current"),
    *("lts", "slim", "alpine"),
}
"""Tags that say no version."""
KEYS = (".netrc", "_netrc", ".env", ".env.*", "*.pem", "*.key", "id_rsa*", "id_ed25519*", ".pypirc", ".npmrc")
SECRET_FILES = (*KEYS, "pip.conf", "pip.ini", ".git-credentials", ".pgpass", "credentials.json", "*.p12", "*.pfx")
HARMLESS = (".env.example", ".env.sample", ".env.template", "*.pub", "*.example", "*-ca.pem", "ca*.pem", "*cert*.pem")


def _only(rule: str) -> str:
    """Return an expression for a finding of hadolint's that is of one rule alone."""
    line = rf"line \d+: {rule} [^;]*"
    return f"{line}(?:; {line})*"


@check(
    "dockerfile/lint",
    title="Passes hadolint",
    severity=Severity.NOTE,
    follows=(
        Cause(check="process/exec-form", only=_only("DL3025")),
        Cause(check="identity/non-root", only=_only("DL3002")),
        Cause(check="dockerfile/base-pinned", only=_only("DL300[67]")),
        Cause(check="dockerfile/locked-install", only=_only("DL3013")),
        Cause(check="files/installer-caches", only=_only("DL3042")),
        Cause(check="files/package-lists", only=_only("DL3009")),
    ),
    why="hadolint knows the common faults of Dockerfiles, and of the shell lines in them.",
    source="hadolint; its rules on caches are set aside where the cache is a mount (its issues 497, 983, 1139)",
    example="RUN cd /app && apt-get install curl",
    fixed="WORKDIR /app\nRUN apt-get update && apt-get install -y --no-install-recommends curl=8.14.1-2",
)
def lint(lint: Lint, dockerfile: DockerfileSource, contract: Contract) -> Outcome:
    counted = LEVELS[: LEVELS.index(contract.lint_level) + 1]
    expect = Expect(f"no finding of level {' or '.join(counted)}")
    path = dockerfile.path
    kept: list[LintFinding] = []
    aside: list[str] = []
    for finding in lint.findings:
        reason = contract.lint_ignore.get(finding.rule) or _false_alarm(finding, dockerfile.parsed)
        if finding.level in counted and reason:
            aside.append(f"{path}:{finding.line} {finding.rule} set aside: {reason}")
        elif finding.level in counted:
            kept.append(finding)
    if kept:
        return expect.failed(
            shorten([f"line {row.line}: {row.rule} {row.message}" for row in kept], SHOWN),
            items=[f"{row.rule} {row.message}" for row in kept],
            fix=f"hadolint's wiki explains {kept[0].rule}; with a reason, `lint-ignore` in the contract leaves it out.",
            evidence=(*(f"{path}:{row.line} {row.level} {row.rule} {row.message}" for row in kept), *aside),
            where=f"{path}:{kept[0].line}",
            severity=_gravest(kept),
        )
    return expect.passed(f"hadolint finds nothing in {path}", evidence=tuple(aside))


def _gravest(findings: list[LintFinding]) -> Severity | None:
    if any(row.rule in REFUSED for row in findings):
        return Severity.ERROR
    return Severity.WARNING if any(row.level == "error" for row in findings) else None


def _false_alarm(finding: LintFinding, dockerfile: Dockerfile) -> str:
    unneeded = [stage for stage in dockerfile.stages if stage.index in dockerfile.left_out]
    if any(stage.line <= finding.line <= _end(dockerfile, stage) for stage in unneeded):
        return "its stage is not needed for the target"
    if finding.rule not in ABOUT_CACHES:
        return ""
    above = [instruction for instruction in all_instructions(dockerfile) if instruction.line <= finding.line]
    mounts = [value for name, value in above[-1].flags if name == "mount"] if above else []
    if any(re.search(r"(^|,)type=(cache|tmpfs)(,|$)", mount) for mount in mounts):
        return "the cache is a mount, and stays in no layer"
    return ""


def _end(dockerfile: Dockerfile, stage: Stage) -> float:
    """Return the last line of a stage: the one above the next FROM."""
    following = dockerfile.stages[stage.index + 1 : stage.index + 2]
    return following[0].line - 1 if following else math.inf


@check(
    "dockerfile/base-pinned",
    title="Pins its bases",
    severity=Severity.WARNING,
    demanded_by=("pin_digests",),
    why="A tag can move: tomorrow the same commit is built on another base.",
    source="Docker's build best practices, pin base images; CIS Docker Benchmark 4.2; hadolint DL3006, DL3007",
    example="FROM python:latest",
    fixed="FROM python:3.13-slim",
)
def base_pinned(dockerfile: DockerfileSource, contract: Contract) -> Outcome:
    path, bases, digest = dockerfile.path, dockerfile.bases, contract.pin_digests
    expect = Expect(f"every base pinned by {'digest' if digest else 'a tag that says a version'}")
    unpinned = [(base, problem) for base in bases if (problem := _unpinned(base.reference, digest=digest))]
    if unpinned:
        first, _ = unpinned[0]
        name = re.sub(r"(:[^/]*)?(@.*)?$", "", first.reference)
        return expect.failed(
            [f"line {base.line}: {base.reference} {problem}" for base, problem in unpinned],
            fix=f"Write `{first.reference}@sha256:…`." if digest else f"Write `{name}:VERSION`.",
            where=f"{path}:{first.line}",
        )
    return expect.passed(", ".join(base.reference for base in bases) or "it takes no image from outside")


def _unpinned(reference: str, *, digest: bool) -> str:
    if re.search(r"@sha256:[0-9a-f]{64}$", reference):
        return ""
    if digest:
        return "has no digest"
    tag = reference.rpartition("/")[2].partition("@")[0].partition(":")[2]
    if not tag:
        return "has no tag: it is whatever `latest` means that day"
    return f"has the tag {tag}, which is not a version tag" if tag.lower() in FLOATING else ""


@check(
    "dockerfile/secret-mounts",
    title="Takes secrets only by mount",
    severity=Severity.ERROR,
    why="An argument stays in the history, a copied file in its layer, even where a later line deletes it.",
    source="Docker build check SecretsUsedInArgOrEnv; Docker's build secrets",
    example="ARG INDEX_TOKEN\nCOPY .netrc /root/.netrc",
    fixed="RUN --mount=type=secret,id=netrc,target=/root/.netrc pip install -r requirements.txt",
)
def secret_mounts(dockerfile: DockerfileSource, contract: Contract) -> Outcome:
    path, parsed = dockerfile.path, dockerfile.parsed
    everything = (*parsed.arguments, *all_instructions(parsed))
    found = [
        (instruction.line, what)
        for instruction in everything
        for what in _secrets(instruction)
        if what.partition(" ")[2].partition(" ")[0] not in contract.declared_secrets
    ]
    expect = Expect("secrets reach the build by `--mount=type=secret` alone")
    if found:
        return expect.failed(
            [f"line {line}: {what}" for line, what in found],
            fix="Hand it to the one RUN that needs it: `RUN --mount=type=secret,id=…,target=… …`.",
            where=f"{path}:{found[0][0]}",
            severity=None if {line for line, _ in found} & _lines_of_the_image(parsed) else Severity.WARNING,
        )
    flags = [(instruction.line, name, value) for instruction in everything for name, value in instruction.flags]
    mounts = [line for line, name, value in flags if name == "mount" and "type=secret" in value]
    shown = f"; secrets are mounted in line {', '.join(map(str, dict.fromkeys(mounts)))}" if mounts else ""
    return expect.passed(f"{len(everything)} instructions checked{shown}")


def _lines_of_the_image(parsed: Dockerfile) -> set[int]:
    """Return the lines that stay in the image: those of its stage, and of the stages that this one is built on."""
    return set() if parsed.final is None else {instruction.line for instruction in parsed.instructions(parsed.final)}


def _secrets(instruction: Instruction) -> Iterator[str]:
    keyword = instruction.keyword
    if keyword in {"ARG", "ENV"}:
        for name, value in _assigned(instruction):
            # An argument's value comes with the build: its name is enough.
            if keyword == "ARG" and named_secret(name):
                yield f"ARG {name} is for a secret, and its value stays in the history"
            elif value and not value.startswith("$") and (why := secret(name, value)):
                yield f"{keyword} {name} ({why})"
            elif keyword == "ENV" and value.startswith("$") and named_secret(name):
                yield f"ENV {name} keeps a build argument's secret in the image"
    elif keyword in {"COPY", "ADD"}:
        for source, _ in instruction.from_context:
            name = posixpath.basename(source.rstrip("/"))
            if _matches(name, SECRET_FILES) and not _matches(name, HARMLESS):
                yield f"{keyword} {source} puts it into a layer"
    elif keyword == "RUN" and SECRET_VALUE.search(f"{instruction.text}\n{instruction.body}"):
        yield "RUN holds a text that has a secret's form"


def _assigned(instruction: Instruction) -> Iterator[tuple[str, str]]:
    text = instruction.text
    if instruction.keyword == "ENV" and not re.match(r"\w+=", text):
        name, _, value = text.partition(" ")
        yield name, value.strip()
        return
    yield from ((name, value or "") for name, value in assignments(instruction))


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


NOT_THE_SOURCE = {"setup.py", "conftest.py", "noxfile.py"}
PACKAGES = "no RUN of the Dockerfile installs Python packages"


def _installs(dockerfile: Dockerfile, stage: Stage) -> list[Install]:
    chain = dockerfile.instructions(stage)
    locked = any(instruction.keyword == "ENV" and LOCKING.search(instruction.text) for instruction in chain)
    return [found for run in chain if run.keyword == "RUN" for found in installs(run, locked=locked)]


@check(
    "dockerfile/dependencies-first",
    title="Installs its dependencies before it copies its source",
    severity=Severity.NOTE,
    why="The other way round, each change of the code installs everything again.",
    source="uv's Docker guide, intermediate layers; hynek.me, Production-ready Python Docker containers",
    example="COPY . .\nRUN pip install -r requirements.txt",
    fixed="COPY requirements.txt .\nRUN pip install -r requirements.txt\nCOPY . .",
)
def dependencies_first(dockerfile: DockerfileSource, context: BuildContext | Unavailable) -> Outcome:
    path, parsed = dockerfile.path, dockerfile.parsed
    seen_context = None if isinstance(context, Unavailable) else context
    expect = Expect("the dependencies are installed before the source is copied")
    seen: list[str] = []
    for stage in parsed.built:
        copied: tuple[Instruction, str] | None = None
        for instruction in parsed.instructions(stage):
            found = installs(instruction) if instruction.keyword == "RUN" else ()
            needed = [install for install in found if install.of_the_project]
            sources = (what for what, _ in instruction.from_context if _is_source(what, seen_context))
            copied = copied or next(((instruction, what) for what in sources), None)
            if needed and copied:
                return expect.failed(
                    f"line {copied[0].line} copies {copied[1]} before line {instruction.line} runs `{needed[0].shown}`",
                    fix="Copy the lock or the requirements alone (or mount them: `--mount=type=bind`), install, and "
                    "copy the source afterwards.",
                    where=f"{path}:{copied[0].line}",
                )
            if needed:
                seen.append(f"line {instruction.line}: `{needed[0].shown}`")
                break
    return expect.passed("; ".join(dict.fromkeys(seen))) if seen else skipped(PACKAGES)


def _is_source(what: str, context: BuildContext | None) -> bool:
    """Tell whether something of the context holds the application's code, so that it changes with each commit."""
    pattern = posixpath.normpath(what.lstrip("/") or ".")
    if pattern in {".", "*"}:
        return True
    if context is None or context.truncated:
        return pattern in {"src", "app"} or pattern.endswith(".py")
    code = [file.path for file in context.files if file.path.endswith(".py") and file.path not in NOT_THE_SOURCE]
    # A path is meant by its own name, or by that of a folder above it.
    folders = ("/".join(path.split("/")[: pattern.count("/") + 1]) for path in code)
    return any(fnmatch.fnmatchcase(path, pattern) for path in (*code, *folders))


@check(
    "dockerfile/locked-install",
    title="Installs from a lock or exact versions",
    severity=Severity.WARNING,
    why="What is left open is decided on the day of the build, and the image that passed cannot be built again.",
    source="uv's Docker guide, `uv sync --locked`; hadolint DL3013",
    example="RUN pip install fastapi",
    fixed="RUN pip install --require-hashes -r requirements.txt",
)
def locked_install(dockerfile: DockerfileSource, context: BuildContext | Unavailable) -> Outcome:
    expect = Expect("packages from a lock, from exact versions or with hashes")
    texts = {} if isinstance(context, Unavailable) else context.texts
    found: dict[tuple[str, int, str], None] = {}
    unseen: dict[str, None] = {}
    judged: dict[str, None] = {}
    for stage in dockerfile.parsed.built:
        locked = False
        for install in _installs(dockerfile.parsed, stage):
            open_ones, hidden = loose(install, texts, after_lock=locked)
            found.update({(each.file, each.line, each.what): None for each in open_ones})
            unseen.update(dict.fromkeys(hidden))
            judged[f"line {install.line}: `{install.shown}`"] = None
            locked = locked or (install.of_the_project and not open_ones)
    if not judged:
        return skipped(PACKAGES)
    if found:
        file, line, what = next(iter(found))
        lines = [f"{at or 'line'}{':' if at else ' '}{number}: {seen}" for at, number, seen in found]
        folder = present(context).path if file else ""
        return expect.failed(
            "; ".join(lines[:8]),
            items=lines,
            fix=_lock_fix(what, file=file),
            evidence=tuple(judged),
            where=f"{posixpath.normpath(posixpath.join(folder, file)) if file else dockerfile.path}:{line}",
        )
    made = [name for name in unseen if not _made_in_build(name, dockerfile.parsed)]
    if made:
        raise UndecidedError(f"the build context holds no {', '.join(made)}, which a RUN installs from", *judged)
    return expect.passed("; ".join(judged))


def _made_in_build(name: str, dockerfile: Dockerfile) -> bool:
    """Tell whether a RUN writes a requirement file: `uv export -o FILE`, `> FILE`."""
    base = re.escape(posixpath.basename(name))
    runs = [f"{run.text}\n{run.body}" for run in all_instructions(dockerfile) if run.keyword == "RUN"]
    return any(re.search(rf"(?:-o|--output-file|--output|>)[ =]*\S*{base}\b", text) for text in runs)


def _lock_fix(what: str, *, file: str) -> str:
    if "uv sync" in what:
        return "Write `uv sync --frozen` (or `--locked`), so that uv.lock decides."
    if file:
        return f"Let `uv pip compile` or `pip-compile` write {file} with exact versions, best with hashes."
    if posixpath.basename(what) in DECLARATIONS:
        return "Install from a lock: `uv sync --locked`, or what `uv pip compile` makes of it, as requirements.txt."
    name = re.split(r"[\[<>=!~;@\s]", what, maxsplit=1)[0]
    if name.startswith((".", "/")):
        return "Install the dependencies from a lock first, and the project itself with `--no-deps`."
    if name.lower() in TOOLS:
        return f"Name its version: `{name}==VERSION`."
    return f"Install from a lock (`-r requirements.txt` with exact versions, `uv sync --frozen`), or `{name}==VERSION`."


def all_instructions(dockerfile: Dockerfile) -> list[Instruction]:
    """Return the instructions of all stages; where a target is named, of those that it needs."""
    return [instruction for stage in dockerfile.built for instruction in stage.instructions]
