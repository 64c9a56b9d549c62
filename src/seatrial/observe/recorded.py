"""Whether the code that belongs to a distribution's metadata is there, by the names of an image's files."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from seatrial.observe.contents import shown

if TYPE_CHECKING:
    from seatrial.observe.index import IndexFiles

OF_THE_SYSTEM = ("/usr/lib/python3", "/usr/lib64/python3")
"""Debian's and Red Hat's package managers leave RECORD out."""
MODULE = (".py", ".pyc", ".so")
SHOWN = 3


class Recorded:
    """What the RECORD files of an image's distributions name, held against what lies beside them.

    Source: Python packaging user guide, Recording installed projects: RECORD lists every file, and may be left out by
    a system's package manager.
    """

    def __init__(self, files: IndexFiles) -> None:
        self._files = files
        self._stems: dict[str, frozenset[str]] = {}
        self._unclaimed: dict[str, bool] = {}
        self._filled: dict[str, bool] = {}

    def without_code(self, folder: str, metadata: str) -> str:
        """Return why the metadata in a folder stands for no code; empty where some is there, or none is needed."""
        if names := self._names(folder, metadata):
            if any(self._is_there(folder, name) for name in names):
                return ""
            return f"its RECORD names {', '.join(map(shown, names[:SHOWN]))}, and none of that lies in {shown(folder)}"
        has_record = self._files.end(posixpath.join(folder, metadata, "RECORD")) is not None
        if has_record or folder.startswith(OF_THE_SYSTEM) or self._holds_unclaimed(folder):
            # What holds no code has a RECORD of its metadata alone: a package of requirements, of data, of types.
            return ""
        return f"it has no RECORD, and {shown(folder)} holds no code but that of other distributions"

    def shadows(self, folder: str, metadata: str, other_folder: str, other_metadata: str) -> bool:
        """Tell whether metadata that names no code stands before that of the same distribution, and its code."""
        if folder == other_folder or self._names(folder, metadata):
            return False
        names = self._names(other_folder, other_metadata)
        here = any(self._is_there(folder, name) for name in names)
        return not here and any(self._is_there(other_folder, name) for name in names)

    def _names(self, folder: str, metadata: str) -> list[str]:
        text = self._files.text(posixpath.join(folder, metadata, "RECORD"))
        return [name for name in text.split("\n") if name]

    def _is_there(self, folder: str, name: str) -> bool:
        # An installer may leave a module's source out, or make one file of a package.
        return self._is_filled(posixpath.join(folder, name)) or name.partition(".")[0] in self._modules(folder)

    def _is_filled(self, path: str) -> bool:
        """Tell whether it is a folder that holds anything; thousands of links may lead to one that holds very much."""
        place = self._files.folder(path)
        if place not in self._filled:
            self._filled[place] = bool(self._files.names(place))
        return self._filled[place]

    def _modules(self, folder: str) -> frozenset[str]:
        """Return the names of the single files in a folder that may be code, up to their first dot."""
        if folder not in self._stems:
            names = self._files.names(folder)
            files = (name for name in names if name.endswith((*MODULE, ".pth")))
            self._stems[folder] = frozenset(name.partition(".")[0] for name in files)
        return self._stems[folder]

    def _holds_unclaimed(self, folder: str) -> bool:
        """Tell whether a folder holds code that no RECORD in it names."""
        if folder not in self._unclaimed:
            every = self._files.names(folder)
            claimed = {
                name.partition("/")[0].partition(".")[0]
                for metadata in every
                if metadata.endswith(".dist-info")
                for name in self._names(folder, metadata)
            }
            packages = (
                name for name in every if name.isidentifier() and self._files.names(posixpath.join(folder, name))
            )
            code = {*packages, *(name.partition(".")[0] for name in every if name.endswith(MODULE))}
            self._unclaimed[folder] = bool(code - claimed - {"__pycache__"})
        return self._unclaimed[folder]
