"""What the image's own command and health check lead to, read by the engine from the image's files."""

from __future__ import annotations

from enum import StrEnum

from seatrial.facts.base import Fact

SHELLS = {"sh", "bash", "dash", "ash", "busybox"}
"""Programs that take a line apart: `sh -c LINE`."""


class FileKind(StrEnum):
    """What a path is."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"
    OTHER = "other"


class FileEntry(Fact, frozen=True, kw_only=True):
    """One path in the image, its last part not followed."""

    kind: FileKind
    mode: int
    uid: int
    gid: int
    size: int = 0
    target: str = ""
    """Where a link points, as written in it."""


class ResolvedPath(Fact, frozen=True, kw_only=True):
    """A path followed to its end, link by link."""

    steps: tuple[str, ...]
    """Every path on the way; the first is the one asked for, the last the end."""
    entry: FileEntry | None
    """What stands at the end; None where nothing does."""
    missing: str = ""
    """Where nothing stands at the end: the first part of it that is not there, or why it has no end."""

    @property
    def end(self) -> str:
        """The last path."""
        return self.steps[-1]

    @property
    def is_file(self) -> bool:
        """Whether a regular file stands at its end."""
        return self.entry is not None and self.entry.kind is FileKind.FILE

    @property
    def gap(self) -> str:
        """What is wrong at its end, as a clause; empty where something stands there."""
        return f"{self.missing} is not there" if self.missing.startswith("/") else self.missing

    def __str__(self) -> str:
        """Return the way from the first path to the last."""
        return " -> ".join(self.steps)


class Account(Fact, frozen=True, kw_only=True):
    """The account that USER names, from the image's own account files."""

    name: str = ""
    uid: int | None = None
    """None where USER is a name that the image does not know."""
    gids: tuple[int, ...] = ()
    home: str = ""


class Shebang(Fact, frozen=True, kw_only=True):
    """A `#!` line and where its interpreter leads."""

    line: str
    interpreter: str
    resolved: ResolvedPath


class BlockingFolder(Fact, frozen=True, kw_only=True):
    """A folder on the way to a program that USER cannot search."""

    path: str
    entry: FileEntry
    on_the_way_to: str


class ResolvedCommand(Fact, frozen=True, kw_only=True):
    """What the image's own command resolves to."""

    words: tuple[str, ...]
    word: str = ""
    """The word that names the application's program: the first one, or the one behind wrappers."""
    starters: dict[str, ResolvedPath | None] = {}
    """The shell and the wrappers (tini, env) that start it, each followed to its end; None where PATH holds none."""
    shell: bool = False
    """A shell stands in between: the words are inside a line that only the shell takes apart."""
    searched: tuple[str, ...] = ()
    """The folders of PATH that were looked through."""
    program: ResolvedPath | None = None
    """The program, followed to its end; None where PATH holds none of that name."""
    scripts: tuple[Shebang, ...] = ()
    """The `#!` lines from the program to a binary, in order."""
    unrunnable: str = ""
    """The file at the end of them, where the kernel can run no such file: neither a binary nor a `#!` line."""
    loader: ResolvedPath | None = None
    """The dynamic loader that the binary at the end names, followed to its end."""
    blocked_by: BlockingFolder | None = None
    account: Account
    programs: tuple[tuple[str, ...], ...] = ()
    """The words of what it becomes behind wrappers, runners and scripts, as far as those tell."""
    modules: tuple[str, ...] = ()
    """What those import of the application, by their words: `PACKAGE.MODULE` or `PACKAGE.MODULE:ATTRIBUTE`."""
    development: str = ""
    """The words that make one of them a server for development; empty where none is."""
    python: str = ""
    """The interpreter that the application runs on (or was meant to); empty where the image holds none."""
    python_why: str = ""
    """How that was found out."""
    python_resolved: ResolvedPath | None = None
    python_blocked_by: BlockingFolder | None = None
    """The first folder on the way to that interpreter that USER cannot search."""
    python_loader: str = ""
    """The dynamic loader that the interpreter's file names; empty where it names none, or is not a binary."""
    sourced: tuple[str, ...] = ()
    """The shell scripts that start it, and the files that they source or run, as far as their text tells."""
    windows_files: tuple[str, ...] = ()
    """Those of them that hold Windows line ends."""
    expands: bool = False
    """Such a script may expand variables in the words that it is given: it holds `eval` or `envsubst`."""
    python_is: str = ""
    """What the interpreter's file is, where it is not an interpreter: a script, or another program."""

    @property
    def files(self) -> tuple[str, ...]:
        """What it runs: programs, the scripts that start them and their interpreters, with the links to them."""
        trails = (*self.starters.values(), self.program, *(script.resolved for script in self.scripts), self.loader)
        steps = (step for trail in trails if trail is not None for step in trail.steps)
        python = self.python_resolved.steps if self.python_resolved is not None else ()
        return tuple(dict.fromkeys((*self.sourced, *steps, *python)))


class HealthCommand(Fact, frozen=True, kw_only=True):
    """What the health check resolves to."""

    command: ResolvedCommand
    """Its program, followed as the image's own command is."""
    script: ResolvedPath | None = None
    """The file that its interpreter runs, followed to its end; None where it runs none."""
    script_blocked_by: BlockingFolder | None = None
    """A folder on the way to that file that USER cannot search."""


def may_execute(entry: FileEntry, who: Account) -> bool:
    """Tell whether an account may execute a file (or enter a folder), by its permission bits."""
    return bool(entry.mode & 0o111) if who.uid == 0 else permits(who, entry.mode, entry.uid, entry.gid, 0o1)


def may_read(entry: FileEntry, who: Account) -> bool:
    """Tell whether an account may read a file, by its permission bits."""
    return who.uid == 0 or permits(who, entry.mode, entry.uid, entry.gid, 0o4)


def may_write(entry: FileEntry, who: Account) -> bool:
    """Tell whether an account may write a file (or into a folder), by its permission bits."""
    return who.uid == 0 or permits(who, entry.mode, entry.uid, entry.gid, 0o2)


def permits(who: Account, mode: int, uid: int, gid: int, bits: int) -> bool:
    """Tell whether a path's mode and owner give an account permission bits (0o4, 0o3, ...); root is no exception."""
    shift = 6 if uid == who.uid else 3 if gid in who.gids else 0
    return mode >> shift & bits == bits
