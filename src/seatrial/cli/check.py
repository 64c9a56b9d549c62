"""check: judges what needs no image."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import invoke
from invoke.parser.context import to_flag

from seatrial.cli import output as edge
from seatrial.cli.command import command
from seatrial.cli.output import BASELINE, chosen_severity
from seatrial.errors import ExitCode


class Words(invoke.Argument):
    """A positional argument that takes as many words as the command line has, none among them.

    Invoke asks for a positional argument as long as its value is None.
    """

    words = 0
    taken: tuple[str, ...] = ()

    @property
    def value(self) -> tuple[str, ...] | None:
        """None until all words were taken."""
        return self.taken if len(self.taken) >= self.words else None

    @value.setter
    def value(self, word: str) -> None:
        self.taken = (*self.taken, word)


class WithFiles(invoke.Task[Any]):
    """A task whose argument `files` takes all words."""

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[invoke.Argument]:
        """Return its arguments."""
        arguments = super().get_arguments(ignore_unknown_help)
        valued = [argument for argument in arguments if argument.takes_value and argument.name != "files"]
        flags = [to_flag(name) for argument in valued for name in argument.names]
        for number, argument in enumerate(arguments):
            if argument.name == "files":
                files = Words(names=argument.names, kind=list, help=argument.help, positional=True)
                files.words = len(words_of(self.name, sys.argv, flags))
                arguments[number] = files
        return arguments


def words_of(task: str, arguments: Sequence[str], valued: Collection[str]) -> list[str]:
    """Return the words after a task's name that are no options, nor the values of options that have some."""
    given = list(arguments[arguments.index(task) + 1 :]) if task in arguments else []
    given = given[: given.index("--")] if "--" in given else given
    return [word for before, word in zip(["", *given], given, strict=False) if word[:1] != "-" and before not in valued]


@command(
    trusting=True,
    klass=WithFiles,
    iterable=["also"],
    positional=["files"],
    help={
        "files": "Dockerfiles, compose files and what belongs to them, or folders: only what they concern is checked",
        "app": "the app whose sources to check; all apps without it",
        "fail-on": "error, warning or note: the findings that fail it, those of this severity and above; by default "
        "the contract's `fail-on`, or error",
        **BASELINE,
        "format": "as smoke's: text, json, junit, sarif, codequality, markdown or html",
        "output": "write the report to this file instead of standard output",
        "also": "write this report too, its format by its extension; repeatable",
        "verbose": "show every check in full, not only those that failed, were undecided or waived",
    },
)
def check(
    _context: invoke.Context,
    files: Sequence[str],
    app: str | None = None,
    fail_on: str | None = None,
    format: str | None = None,
    output: str | None = None,
    also: Sequence[str] | None = None,
    verbose: bool = False,
    baseline: str | None = None,
    no_baseline: bool = False,
) -> ExitCode:
    """Check Dockerfiles, what their builds see, and compose files: no image, no engine. check [FILES]."""
    from seatrial.cli.smoke import finish, known_findings
    from seatrial.reports.write import planned
    from seatrial.smoke.sources import check_sources

    reports = planned(format, output, also or ())
    smoked = check_sources(
        edge.project_if_any(),
        Path.cwd(),
        edge.host(),
        files=[Path(file) for file in files],
        app=app,
        fail_on=chosen_severity(fail_on),
        baseline=known_findings(None, baseline, off=no_baseline),
        say=edge.say,
    )
    return finish(smoked, reports, verbose=verbose)
