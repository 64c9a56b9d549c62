"""dockerfile/dependencies-first, dockerfile/locked-install: how the Dockerfile installs its packages."""

from __future__ import annotations

import fnmatch
import posixpath
import re
from typing import TYPE_CHECKING

from seatrial.checks.installs import LOCKING, TOOLS, Install, installs, loose
from seatrial.checks.model import Check, Level, Outcome, UndecidedError, failed, passed, skipped
from seatrial.checks.sources import all_instructions, from_context, of_sources, present
from seatrial.facts.data import BuildContext

if TYPE_CHECKING:
    from seatrial.dockerfile import Dockerfile, Instruction, Stage
    from seatrial.facts.data import Sources
    from seatrial.settings.model import Contract

NOT_THE_SOURCE = {"setup.py", "conftest.py", "noxfile.py"}
PACKAGES = "no RUN of the Dockerfile installs Python packages"


def _chain(dockerfile: Dockerfile, stage: Stage) -> list[Instruction]:
    """Return a stage's instructions, behind those of the stages that it begins with."""
    earlier = [one for one in dockerfile.stages[: stage.index] if one.name and one.name == stage.base.lower()]
    before = _chain(dockerfile, earlier[-1]) if earlier else []
    return [*before, *stage.instructions]


def _installs(dockerfile: Dockerfile, stage: Stage) -> list[Install]:
    chain = _chain(dockerfile, stage)
    locked = any(one.keyword == "ENV" and LOCKING.search(one.text) for one in chain)
    return [found for one in chain if one.keyword == "RUN" for found in installs(one, locked=locked)]


def dependencies_first(sources: Sources, _: Contract) -> Outcome:
    """Look for a stage that copies the source before it installs the dependencies."""
    path, parsed = sources.dockerfile.path, sources.dockerfile.parsed
    context = None if not isinstance(sources.context, BuildContext) else sources.context
    expected = "the dependencies are installed before the source is copied"
    seen: list[str] = []
    for stage in parsed.stages:
        copied: tuple[Instruction, str] | None = None
        for one in _chain(parsed, stage):
            needed = [found for found in installs(one) if found.of_the_project] if one.keyword == "RUN" else []
            copied = copied or next(((one, what) for what in from_context(one) if _is_source(what, context)), None)
            if needed and copied:
                return failed(
                    f"line {copied[0].line} brings {copied[1]} before line {one.line} installs: `{needed[0].shown}`",
                    expected=expected,
                    fix=(
                        "Copy the lock or the requirements alone (or mount them: `--mount=type=bind`), install, and "
                        "copy the source afterwards."
                    ),
                    where=f"{path}:{copied[0].line}",
                )
            if needed:
                seen.append(f"line {one.line}: `{needed[0].shown}`")
                break
    return passed("; ".join(dict.fromkeys(seen)), expected=expected) if seen else skipped(PACKAGES)


def _is_source(what: str, context: BuildContext | None) -> bool:
    """Tell whether something of the context holds the application's code, so that it changes with each commit."""
    pattern = posixpath.normpath(what.lstrip("/") or ".")
    if pattern in {".", "*"}:
        return True
    if context is None or context.truncated:
        return pattern in {"src", "app"} or pattern.endswith(".py")
    code = [one.path for one in context.files if one.path.endswith(".py") and one.path not in NOT_THE_SOURCE]
    return any(fnmatch.fnmatchcase(path, pattern) or _below(path, pattern) for path in code)


def _below(path: str, pattern: str) -> bool:
    parts = path.split("/")[: pattern.count("/") + 1]
    return fnmatch.fnmatchcase("/".join(parts), pattern)


def locked_install(sources: Sources, _: Contract) -> Outcome:
    """Look for an installation that leaves a version to the day of the build."""
    dockerfile = sources.dockerfile
    expected = "packages from a lock, from exact versions or with hashes"
    texts = sources.context.texts if isinstance(sources.context, BuildContext) else {}
    found: dict[tuple[str, int, str], None] = {}
    unseen: dict[str, None] = {}
    judged: dict[str, None] = {}
    for stage in dockerfile.parsed.stages:
        locked = False
        for one in _installs(dockerfile.parsed, stage):
            open_ones, hidden = loose(one, texts, after_lock=locked)
            found.update({(each.file, each.line, each.what): None for each in open_ones})
            unseen.update(dict.fromkeys(hidden))
            judged[f"line {one.line}: `{one.shown}`"] = None
            locked = locked or (one.of_the_project and not open_ones)
    if not judged:
        return skipped(PACKAGES)
    if found:
        file, line, what = next(iter(found))
        folder = present(sources.context).path if file else ""
        return failed(
            "; ".join(f"{each[0] or 'line'}{':' if each[0] else ' '}{each[1]}: {each[2]}" for each in list(found)[:8]),
            expected=expected,
            fix=_lock_fix(what, file=file),
            evidence=tuple(judged),
            where=f"{posixpath.normpath(posixpath.join(folder, file)) if file else dockerfile.path}:{line}",
        )
    made = [name for name in unseen if not _made_in_build(name, dockerfile.parsed)]
    if made:
        raise UndecidedError(f"the build context holds no {', '.join(made)}, which a RUN installs from", *judged)
    return passed("; ".join(judged), expected=expected)


def _made_in_build(name: str, dockerfile: Dockerfile) -> bool:
    """Tell whether a RUN writes a requirement file: `uv export -o FILE`, `> FILE`."""
    base = re.escape(posixpath.basename(name))
    runs = [f"{one.text}\n{one.body}" for one in all_instructions(dockerfile) if one.keyword == "RUN"]
    return any(re.search(rf"(?:-o|--output-file|--output|>)[ =]*\S*{base}\b", text) for text in runs)


def _lock_fix(what: str, *, file: str) -> str:
    if "uv sync" in what:
        return "Write `uv sync --frozen` (or `--locked`), so that uv.lock decides."
    if file:
        return f"Let `uv pip compile` or `pip-compile` write {file} with exact versions, best with hashes."
    name = re.split(r"[\[<>=!~;@\s]", what, maxsplit=1)[0]
    if name.startswith((".", "/")):
        return "Install the dependencies from a lock first, and the project itself with `--no-deps`."
    if name.lower() in TOOLS:
        return f"Name its version: `{name}==VERSION`."
    return f"Install from a lock (`-r requirements.txt` with exact versions, `uv sync --frozen`), or `{name}==VERSION`."


CHECKS = (
    Check(
        id="dockerfile/dependencies-first",
        title="Installs its dependencies before it copies its source",
        why="The other way round, each change of a line of code installs everything anew.",
        source="uv's Docker guide, intermediate layers; hynek.me, Production-ready Python Docker containers",
        example="COPY . .\nRUN pip install -r requirements.txt",
        mend="COPY requirements.txt .\nRUN pip install -r requirements.txt\nCOPY . .",
        level=Level.QUICK,
        function=of_sources(dependencies_first),
    ),
    Check(
        id="dockerfile/locked-install",
        title="Installs from a lock or exact versions",
        why="What is left open is decided on the day of the build, and the image that passed cannot be built again.",
        source="uv's Docker guide, `uv sync --locked`; hadolint DL3013",
        example="RUN pip install fastapi",
        mend="RUN pip install --require-hashes -r requirements.txt",
        level=Level.QUICK,
        function=of_sources(locked_install),
    ),
)
