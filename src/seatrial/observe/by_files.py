"""What an image's files and its configuration tell, of the engine or of an archive."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seatrial.facts import INSTALLERS, OwnCode, Unavailable
from seatrial.observe import paths
from seatrial.observe.command.resolve import MOST_FOLDERS, searched
from seatrial.observe.contents import contents_of
from seatrial.observe.index import IndexFiles
from seatrial.observe.path_rules import rules
from seatrial.observe.python.agreement import Image
from seatrial.observe.python.layout import Access
from seatrial.observe.python.own_code import Start, own_code_of
from seatrial.observe.running.probe import ProbeRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from seatrial.facts import Account, Accounts, Configuration, Contents, PathRule, ResolvedCommand
    from seatrial.observe.command.application import Application
    from seatrial.observe.command.resolve import Python
    from seatrial.observe.index import Index
    from seatrial.observe.python.own_code import Sources
    from seatrial.settings.model import Contract


@dataclass(frozen=True, kw_only=True)
class ByFiles:
    """An image by its configuration, and its contract."""

    configuration: Configuration
    contract: Contract
    project: str = ""
    """The project's name."""

    @property
    def environment(self) -> dict[str, str]:
        """What a process of the image gets."""
        return {**self.configuration.environment, **self.contract.environment}

    def modules(self, meant: Application) -> tuple[str, ...]:
        """Return the application's modules: those of the contract, or else of its command."""
        return self.contract.modules or meant.modules

    def contents(self, index: Index, modules: Sequence[str]) -> Contents:
        """Return what the image holds of the kinds that checks ask about."""
        return contents_of(index, self.rules(index, modules), map(posixpath.normpath, self.contract.files))

    def rules(self, index: Index, modules: Sequence[str]) -> tuple[PathRule, ...]:
        """Return the rules for its paths; `modules` are the application's."""
        own = {module.partition(":")[0].partition(".")[0] for module in modules}
        path, directory = searched(self.configuration)
        files = IndexFiles(index)
        programs = {files.folder(posixpath.join(directory, folder or ".")) for folder in path.split(":")[:MOST_FOLDERS]}
        return rules(own, index.paths, programs)

    def request(self, who: Account, meant: Application, *, imports: bool = True) -> ProbeRequest:
        """Plan what a probe is asked; without `imports` the application is left alone."""
        home = self.environment.get("HOME") or who.home or "/"
        cache = self.environment.get("XDG_CACHE_HOME") or f"{home.rstrip('/')}/.cache"
        return ProbeRequest(
            modules=self.modules(meant) if imports else (),
            import_root=meant.import_root,
            runs=meant.runs,
            script=meant.script if imports else "",
            executables=tuple(dict.fromkeys((*self.contract.executables, *INSTALLERS))),
            places=tuple(dict.fromkeys((cache, *self.contract.writable_paths))),
        )

    def image(
        self, seen: Configuration, who: Account, index: Index, accounts: Accounts, start: ResolvedCommand
    ) -> Image:
        """Return what is known without the image's own word; `seen` has the environment to look for programs by."""
        environment = {**seen.environment, **self.contract.environment}
        return Image(
            index=index,
            account=who,
            accounts=accounts,
            environment=environment,
            directory=self.configuration.working_directory or "/",
            path=environment.get("PATH", paths.DEFAULT_PATH),
            tmpfs=self.contract.tmpfs,
            command=start.files,
        )

    def own_code(
        self, who: Account, python: Python | None, meant: Application, index: Index, load: Callable[[str], Sources]
    ) -> OwnCode | Unavailable:
        """Return what the application's own modules ask for; `load` gives the sources below a path."""
        environment, directory = self.environment, self.configuration.working_directory or "/"
        modules = self.modules(meant)
        if python is None or not (modules or meant.script):
            return OwnCode()
        if index.cut:
            return Unavailable(reason=f"the file system was not seen whole: {index.cut[0]}")
        start = Start(
            modules=modules,
            script=meant.script,
            root=meant.import_root,
            path=environment.get("PATH", paths.DEFAULT_PATH),
            directory=directory,
            environment=environment,
            home=posixpath.normpath(environment.get("HOME") or who.home or "/"),
            project=self.project,
        )
        return own_code_of(start, python.path, Access(files=IndexFiles(index), who=who), load)
