"""files/* and config/workdir: what the image holds and may not."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from seatrial.checks.model import Check, Level, Outcome, UndecidedError, failed, passed, skipped
from seatrial.facts import ContentKind, FileKind, FoundPath, ResolvedCommand, Unavailable
from seatrial.sizes import show_size

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from seatrial.facts import Contents, Facts
    from seatrial.settings.model import Contract


SHOWN = 5
"""Paths that a finding's first line names; the rest is evidence."""


def contents_of(facts: Facts) -> Contents:
    """Return what the image's file system holds.

    Raises:
        UndecidedError: nobody looked at it.

    """
    if isinstance(facts.contents, Unavailable):
        raise UndecidedError(facts.contents.reason, facts.contents.detail)
    return facts.contents


def kept(contents: Contents, kind: ContentKind) -> list[FoundPath]:
    """Return what was found of a kind, as far as it was kept."""
    return sorted((one for one in contents.found if one.kind is kind), key=lambda one: one.path)


def refuse_partial(contents: Contents) -> None:
    """Let nothing pass that was not looked at.

    Raises:
        UndecidedError: a part of the file system was not.

    """
    if not contents.paths:
        raise UndecidedError("no path of the image was seen")
    left_out = (*contents.cut, *(f"{folder} could not be read" for folder in contents.unreadable))
    if left_out:
        raise UndecidedError(f"the file system was not seen whole: {left_out[0]}", *left_out[1:])


def looked_at(contents: Contents) -> str:
    """Return how much was looked at, for a pass."""
    return f"{contents.paths} paths looked at"


def named(rows: Sequence[FoundPath], total: int = 0) -> str:
    """Return rows as one line: the first ones, and how many more there are."""
    more = max(total, len(rows)) - SHOWN
    line = "; ".join(str(one) for one in rows[:SHOWN])
    return f"{line}; and {more} more" if more > 0 else line


def heaps(rows: Sequence[FoundPath]) -> str:
    """Return folders with what they hold, as one line."""
    return "; ".join(f"{one.path}: {one.files} files, {show_size(one.size)}" for one in rows)


def base_name(path: str) -> str:
    """Return the last part of a path."""
    return path.rpartition("/")[2]


def usr_merged(path: str) -> str:
    """Return a path as it is where /bin is a link to /usr/bin: older images have both folders."""
    return f"/usr{path}" if path.startswith(("/bin/", "/sbin/", "/lib/", "/lib64/")) else path


def without(rows: Sequence[FoundPath], allowed: Collection[str]) -> list[FoundPath]:
    """Return the rows whose path is not allowed."""
    names = {usr_merged(path.rstrip("/")) for path in allowed}
    return [one for one in rows if usr_merged(one.path) not in names]


ENVIRONMENT_NAMES = {".venv", "venv", "env", ".env", "ENV", "virtualenv"}


def setuid(facts: Facts, contract: Contract) -> Outcome:
    """Compare the setuid and setgid files with the allow-list."""
    contents = contents_of(facts)
    every = kept(contents, ContentKind.SETUID)
    found = without(every, contract.setuid)
    expected = f"no setuid or setgid file but the {len(contract.setuid)} of `setuid`"
    if found:
        return failed(
            "; ".join(_permissions(one) for one in found[:5]),
            expected=expected,
            fix=f"`RUN chmod a-s {found[0].path}`, or name it in `setuid` where the application needs it.",
            evidence=tuple(_permissions(one) for one in found),
        )
    refuse_partial(contents)
    return passed(f"{looked_at(contents)}; {len(every)} setuid files, all allowed", expected=expected)


def world_writable(facts: Facts, _: Contract) -> Outcome:
    """Judge what anybody may write, outside the sticky folders that are made for it."""
    contents = contents_of(facts)
    found = kept(contents, ContentKind.WORLD_WRITABLE)
    expected = "nothing that every account may write, outside sticky folders such as /tmp"
    if found:
        return failed(
            "; ".join(_permissions(one) for one in found[:5]),
            expected=expected,
            fix=f"`RUN chmod o-w {found[0].path}`, and give to USER alone what it has to write (`COPY --chown`).",
            evidence=tuple(_permissions(one) for one in found),
        )
    refuse_partial(contents)
    return passed(looked_at(contents), expected=expected)


def _permissions(row: FoundPath) -> str:
    return f"{row.path} has mode {row.mode:04o} and owner {row.uid}:{row.gid}"


def expected_files(facts: Facts, contract: Contract) -> Outcome:
    """Compare the contract's folders, and look for tests among the application's own code."""
    contents = contents_of(facts)
    tests = own_tests(contents, facts)
    differences = [line for folder in contract.files for line in _differences(folder, contents, contract)]
    expected = "no tests of the project"
    if contract.files:
        expected = f"exactly the files that the contract names in {', '.join(contract.files)}; {expected}"
    if differences or tests:
        told = [*differences, *(f"{one.path} is a test" for one in tests)]
        return failed(
            "; ".join(told[:5]),
            expected=expected,
            fix="COPY what the application needs by name instead of `COPY . .`, and name the rest in .dockerignore.",
            evidence=tuple(told),
        )
    refuse_partial(contents)
    if not contract.files:
        return skipped(f"the contract names no `files`; no test lies among the {contents.paths} paths")
    return passed(f"{', '.join(contract.files)} as named; {looked_at(contents)}", expected=expected)


def _differences(folder: str, contents: Contents, contract: Contract) -> list[str]:
    path = posixpath.normpath(folder)
    if path not in contents.folders:
        # A folder that was not seen may be in what was left out.
        refuse_partial(contents)
        return [f"{path} is not there"]
    wanted = {name.rstrip("/") for name in contract.files[folder]}
    seen = set(contents.folders[path])
    more = [f"{posixpath.join(path, name)} is not in the contract" for name in sorted(seen - wanted)]
    return [*more, *(f"{posixpath.join(path, name)} is not there" for name in sorted(wanted - seen))]


def own_tests(contents: Contents, facts: Facts) -> list[FoundPath]:
    """Return the tests that came with the project, and not with a dependency that is installed in a folder."""
    locations: set[str] = set()
    if not isinstance(facts.probe, Unavailable):
        locations = {one.location for one in facts.probe.distributions if not one.editable}
    rows = kept(contents, ContentKind.TESTS)
    return [one for one in rows if not any(_inside(one.path, top) and _dependency(one, top) for top in locations)]


def _dependency(row: FoundPath, site: str) -> bool:
    """Tell whether a path is a dependency's: in site-packages, the rules already left those out."""
    return base_name(site) not in {"site-packages", "dist-packages"} and row.path != f"{site}/tests"


def _inside(path: str, folder: str) -> bool:
    return path.startswith(f"{folder.rstrip('/')}/")


def leftovers(facts: Facts, _: Contract) -> Outcome:
    """Judge what a `COPY . .` brings along."""
    contents = contents_of(facts)
    found = [*kept(contents, ContentKind.LEFTOVER), *_other_environments(contents, facts)]
    expected = "no .git, .env, editor's or system's files, and no environment but the application's"
    if found:
        return failed(
            named(found, contents.counts.get(ContentKind.LEFTOVER, 0)),
            expected=expected,
            fix=f"Name {base_name(found[0].path)} in .dockerignore, or COPY by name what the application needs.",
            evidence=tuple(str(one) for one in found),
        )
    refuse_partial(contents)
    return passed(looked_at(contents), expected=expected)


def _other_environments(contents: Contents, facts: Facts) -> Iterable[FoundPath]:
    """Yield virtual environments beside the application's own, as a copied checkout holds one."""
    own = set()
    if not isinstance(facts.probe, Unavailable):
        own.add(facts.probe.interpreter.prefix)
    if isinstance(facts.command, ResolvedCommand) and facts.command.python:
        own.add(posixpath.dirname(posixpath.dirname(facts.command.python)))
    beside = {posixpath.dirname(prefix) for prefix in own} | {facts.configuration.working_directory or "/"}
    for row in kept(contents, ContentKind.ENVIRONMENT):
        folder = posixpath.dirname(row.path)
        if folder in own or base_name(folder) not in ENVIRONMENT_NAMES:
            continue
        if any(_inside(folder, top) for top in beside):
            yield FoundPath(
                kind=ContentKind.LEFTOVER, path=folder, about="an environment that the application does not use"
            )


def package_lists(facts: Facts, _: Contract) -> Outcome:
    """Judge what the system's package manager downloaded."""
    return _no_heaps(
        facts,
        ContentKind.PACKAGE_LISTS,
        expected="no package lists or archives",
        fix=(
            "End the RUN that installs with `rm -rf /var/lib/apt/lists/* /var/cache/apt/*`: a later RUN makes no "
            "layer smaller. Or mount them: `RUN --mount=type=cache,target=/var/lib/apt/lists …`."
        ),
    )


def installer_caches(facts: Facts, _: Contract) -> Outcome:
    """Judge what pip, uv and their like keep for the next install."""
    return _no_heaps(
        facts,
        ContentKind.INSTALLER_CACHE,
        expected="no installer's cache",
        fix=(
            "Install with `pip install --no-cache-dir` or `uv sync --no-cache`, or mount the cache: "
            "`RUN --mount=type=cache,target=/root/.cache …`."
        ),
    )


def _no_heaps(facts: Facts, kind: ContentKind, *, expected: str, fix: str) -> Outcome:
    contents = contents_of(facts)
    found = sorted(kept(contents, kind), key=lambda one: -one.size)
    if found:
        return failed(heaps(found[:5]), expected=expected, fix=fix, evidence=tuple(heaps([one]) for one in found))
    refuse_partial(contents)
    return passed(looked_at(contents), expected=expected)


def workdir(facts: Facts, _: Contract) -> Outcome:
    """Follow WORKDIR in the image's files; at a start, the engine would make it where it is missing."""
    directory = facts.configuration.working_directory or "/"
    expected = "an absolute WORKDIR that is a folder of the image"
    if not directory.startswith("/"):
        return failed(f"WORKDIR {directory}", expected=expected, fix=f"Write it absolute: `WORKDIR /{directory}`.")
    trail = facts.working_directory
    if isinstance(trail, Unavailable):
        raise UndecidedError(trail.reason, trail.detail)
    if trail.entry is None:
        return failed(
            f"WORKDIR {directory}: {trail.gap}",
            expected=expected,
            fix=f"Let the final stage have it: `WORKDIR {directory}` after what removes it. Or name one that is there.",
            evidence=(str(trail),),
        )
    if trail.entry.kind is not FileKind.FOLDER:
        return failed(
            f"WORKDIR {directory} is a {trail.entry.kind}",
            expected=expected,
            fix="Name a folder, or move what lies there.",
            evidence=(str(trail),),
        )
    return passed(str(trail), expected=expected)


CHECKS = (
    Check(
        id="files/setuid",
        title="Holds no setuid file of its own",
        why="A setuid program runs as its owner whoever starts it: one fault in it and USER is root.",
        source="CIS Docker Benchmark 4.8",
        example="RUN chmod u+s /usr/bin/find",
        mend="RUN chmod a-s /usr/bin/find",
        level=Level.QUICK,
        function=setuid,
    ),
    Check(
        id="files/world-writable",
        title="Holds nothing that everybody may write",
        why="What any account may write, whoever breaks in may replace: code, settings, the next start's data.",
        source="CIS Distribution Independent Linux Benchmark 6.1.10; OWASP Docker cheat sheet",
        example="RUN chmod -R 777 /app",
        mend="RUN install -d -o 10001 -g 10001 /app/state",
        level=Level.QUICK,
        function=world_writable,
    ),
    Check(
        id="files/expected",
        title="Holds the project's files that it should, and no tests",
        why="What the application does not need is downloaded at each pull and helps whoever breaks in.",
        source="the applications' plans: the file lists",
        example="COPY . /app",
        mend="COPY src /app/src\nCOPY alembic.ini /app/",
        level=Level.QUICK,
        function=expected_files,
    ),
    Check(
        id="files/leftovers",
        title="Holds nothing left over from a checkout",
        why="A .git holds everything that was ever committed, a .env the secrets of whoever built.",
        source="dockle DKL-DI-0006 and DKL-LI-0003; uv's Docker guide, .dockerignore",
        example="COPY . /app",
        mend="COPY src /app/src",
        level=Level.QUICK,
        function=leftovers,
    ),
    Check(
        id="files/package-lists",
        title="Holds no package lists",
        why="Lists and archives of packages are megabytes that nobody reads again, and soon outdated.",
        source="Docker's build best practices, apt-get; hadolint DL3009; dockle DKL-DI-0005",
        example="RUN apt-get update && apt-get install -y --no-install-recommends libpq5",
        mend=(
            "RUN apt-get update && apt-get install -y --no-install-recommends libpq5 && "
            "rm -rf /var/lib/apt/lists/* /var/cache/apt/*"
        ),
        level=Level.QUICK,
        function=package_lists,
    ),
    Check(
        id="files/installer-caches",
        title="Holds no installer's cache",
        why="The cache doubles the size of what was installed, and a container never installs again.",
        source="uv's Docker guide, caching; hadolint DL3042",
        example="RUN pip install -r requirements.txt",
        mend="RUN pip install --no-cache-dir -r requirements.txt",
        level=Level.QUICK,
        function=installer_caches,
    ),
    Check(
        id="config/workdir",
        title="Its working directory is there",
        why="Engines differ in what they do without it: make it as root, or refuse to start.",
        source="hadolint DL3000",
        example="WORKDIR /srv/work\nRUN rmdir /srv/work",
        mend="WORKDIR /srv/work",
        level=Level.QUICK,
        function=workdir,
    ),
)
