"""What differs between two images: of the engine, or saved in a file or folder; nothing of either is started."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import msgspec
from packaging.utils import canonicalize_name

from seatrial.checks.model import Result, Severity, Status
from seatrial.checks.secrets import secret
from seatrial.errors import ImageError
from seatrial.facts import Configuration, Inventory, Unavailable
from seatrial.observe.layers.saved_image import SavedImage
from seatrial.observe.layers.stacked import stacked

if TYPE_CHECKING:
    from pathlib import Path

    from seatrial.engine.find import Engine
    from seatrial.smoke.images import Target

DECIDED = (Status.PASS, Status.FAIL)
HIDDEN, ANOTHER = "(hidden)", "(hidden, another)"
"""In the place of a value that looks like a secret; the second where the old image has another one."""


class Change(msgspec.Struct, frozen=True):
    """Something by its name, in the old image and in the new one; empty where it is not there."""

    name: str
    before: str
    after: str


class FileChange(msgspec.Struct, frozen=True):
    """A path, and the bytes of its content; None where it is not there."""

    path: str
    before: int | None
    after: int | None
    why: str = ""
    """What else differs: content, mode, owner, kind, target."""

    @property
    def grown(self) -> int:
        """How many bytes the new image has more."""
        return (self.after or 0) - (self.before or 0)


class Finding(msgspec.Struct, frozen=True):
    """A finding of a check that both images were judged by."""

    check: str
    severity: Severity
    seen: str


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """What differs; sizes in bytes of all layers."""

    old: str
    new: str
    size: tuple[int, int]
    configuration: tuple[Change, ...] = ()
    distributions: tuple[Change, ...] = ()
    packages: tuple[Change, ...] = ()
    files: tuple[FileChange, ...] = ()
    """Those whose size differs most come first."""
    came: tuple[Finding, ...] = ()
    went: tuple[Finding, ...] = ()

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not any((self.configuration, self.distributions, self.packages, self.files, self.came, self.went))


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of the images."""

    name: str
    configuration: Configuration
    inventory: Inventory
    results: tuple[Result, ...]
    image: SavedImage


def side_of_archive(target: Target, path: Path, say: Callable[[str], None]) -> Side:
    """Read a saved image.

    Raises:
        ImageError: it holds no image that can be read to its end.
    """
    from seatrial.observe.layers.files import ArchiveFiles
    from seatrial.smoke.archives import smoke_archive

    files = ArchiveFiles(path)
    smoke, facts = smoke_archive(target, path, files=files, say=say)
    return _side(target.reference, facts.configuration, facts.inventory, smoke.checks, files.image)


def side_of_engine(target: Target, engine: Engine, say: Callable[[str], None]) -> Side:
    """Read an image of the engine, and judge it at level quick.

    Raises:
        ImageError: the engine has no such image, or it cannot be read to its end.
        EngineError: the engine does not answer.
    """
    from seatrial.checks.model import Level
    from seatrial.observe.image_files import image_layers
    from seatrial.smoke.images import smoke

    judged, facts = smoke(target, engine, level=Level.QUICK, say=say)
    say(f"{target.reference}: reading its layers")
    image = image_layers(engine, facts.configuration)
    return _side(target.reference, facts.configuration, facts.inventory, judged.checks, image)


def _side(
    name: str,
    configuration: Configuration,
    inventory: Inventory | Unavailable,
    results: tuple[Result, ...],
    image: SavedImage,
) -> Side:
    if isinstance(inventory, Unavailable) or image.cut:
        reason = inventory.reason if isinstance(inventory, Unavailable) else image.cut[0]
        raise ImageError(f"it was not read to its end, so it cannot be compared: {reason}.", where=name)
    return Side(name=name, configuration=configuration, inventory=inventory, results=results, image=image)


def difference(old: Side, new: Side) -> Difference:
    """Compare two images."""
    before, after = _failed(old, new), _failed(new, old)
    return Difference(
        old=old.name,
        new=new.name,
        size=(old.configuration.unpacked, new.configuration.unpacked),
        configuration=tuple(_settings(old.configuration, new.configuration)),
        distributions=tuple(_changes(_distributions(old.inventory), _distributions(new.inventory))),
        packages=tuple(_changes(_packages(old.inventory), _packages(new.inventory))),
        files=tuple(sorted(_files(old.image, new.image), key=lambda file: (-abs(file.grown), file.path))),
        came=tuple(found for check, found in after.items() if check not in before),
        went=tuple(found for check, found in before.items() if check not in after),
    )


def _failed(side: Side, other: Side) -> dict[str, Finding]:
    """Return the findings of the checks that both images were judged by."""
    decided = {result.id for result in other.results if result.status in DECIDED}
    return {
        result.id: Finding(result.id, result.severity, result.actual)
        for result in side.results
        if result.status is Status.FAIL and result.id in decided
    }


def _changes(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Change]:
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            yield Change(name, old.get(name, ""), new.get(name, ""))


def _distributions(inventory: Inventory) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for row in inventory.distributions:
        found.setdefault(canonicalize_name(row.name), []).append(row.version)
    return {name: ", ".join(versions) for name, versions in found.items()}


def _packages(inventory: Inventory) -> dict[str, str]:
    release = inventory.release
    of_release = {"(release)": release.title or f"{release.id} {release.version}"} if release else {}
    pythons = {"(Python)": ", ".join(inventory.pythons)} if inventory.pythons else {}
    return {**of_release, **pythons, **{package.name: package.version for package in inventory.packages}}


def _settings(old: Configuration, new: Configuration) -> Iterator[Change]:
    """Yield what differs between two configurations; a secret is compared, and never shown."""
    shown = _said(_without_secrets(old)), _said(_without_secrets(new))
    for change in _changes(_said(old), _said(new)):
        before, after = (said.get(change.name, "") for said in shown)
        yield Change(change.name, before, after if before != after else after.replace(HIDDEN, ANOTHER))


def _said(image: Configuration) -> dict[str, str]:
    """Return what a configuration says, by its keys."""
    said = {
        "platform": image.platform,
        "user": image.user,
        "entrypoint": msgspec.json.encode(image.entrypoint).decode() if image.entrypoint else "",
        "command": msgspec.json.encode(image.command).decode() if image.command else "",
        "working directory": image.working_directory,
        "stop signal": image.stop_signal,
        "health check": msgspec.json.encode(image.health_check).decode() if image.health_check else "",
    }
    said |= {f"port {port}": "exposed" for port in image.exposed_ports}
    said |= {f"volume {volume}": "declared" for volume in image.volumes}
    for kind, values in (("variable", image.environment), ("label", image.labels)):
        said |= {f"{kind} {name}": value for name, value in values.items()}
    return {key: value for key, value in said.items() if value}


def _without_secrets(image: Configuration) -> Configuration:
    health = image.health_check
    return msgspec.structs.replace(
        image,
        entrypoint=_shown_words(image.entrypoint),
        command=_shown_words(image.command),
        health_check=health and msgspec.structs.replace(health, test=_shown_words(health.test)),
        environment={name: HIDDEN if secret(name, value) else value for name, value in image.environment.items()},
        labels={name: HIDDEN if secret(_variable(name), value) else value for name, value in image.labels.items()},
    )


def _shown_words(words: Iterable[str]) -> tuple[str, ...]:
    """Return a command without its secrets, which may also stand in a shell's line, or behind their option."""
    option = ""
    shown = []
    for word in words:
        parts = re.split(r"(\s+)", word)
        for number, part in enumerate(parts):
            if not part.strip():
                continue
            name, equals, value = part.partition("=")
            if secret(option, part) or (equals and secret(_variable(name), value.strip("\"'"))):
                parts[number] = HIDDEN
            option = _variable(part) if part.startswith("-") and not equals else ""
        shown.append("".join(parts))
    return tuple(shown)


def _variable(name: str) -> str:
    """Return a label's or an option's name, written as a variable's."""
    return re.sub(r"\W+", "_", name).strip("_")


def _files(old: SavedImage, new: SavedImage) -> Iterable[FileChange]:
    before, after = stacked(old.layers), stacked(new.layers)
    for path in {*before.visible, *after.visible}:
        if path not in after.visible:
            yield FileChange(path, before.entry(path).size, None)
        elif path not in before.visible:
            yield FileChange(path, None, after.entry(path).size)
        else:
            first, second = before.entry(path), after.entry(path)
            digests = [made.layers[made.visible[path] - 1].digests.get(path) for made in (before, after)]
            differs = {
                "kind": first.letter != second.letter,
                "target": first.target != second.target,
                "mode": first.mode != second.mode,
                "owner": (first.uid, first.gid) != (second.uid, second.gid),
                "content": first.size != second.size or digests[0] != digests[1],
            }
            if why := ", ".join(name for name, differ in differs.items() if differ):
                yield FileChange(path, first.size, second.size, why)
