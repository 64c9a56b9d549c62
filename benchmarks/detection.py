"""What is found of the catalogue's defects, and by whom: `nox -s detection`; words choose defects by name or check.

A tool finds a defect when it refuses the broken image and passes its clean twin. Refusing the clean twin is a false
alarm. seatrial has to name the very check; of the other tools any refusal counts. Of a broken project folder the
image is sound; the tools that read no Dockerfile cannot find anything there.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from peers import Hadolint, Image, PipCheck, StructureTest, bundled_pip, program
from tests.defects.catalogue import DEFECTS, Defect
from tests.defects.projects import PROJECTS, Broken
from tests.defects.test_projects import IMAGE, bad, target
from tests.defects.yard import Yard, open_yard

from seatrial import smoke as smoking
from seatrial.checks.model import Level, Status
from seatrial.engine.find import find_engine
from seatrial.host import this_host
from seatrial.observe.configuration import read_configuration
from seatrial.settings.model import Contract

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from seatrial.engine.find import Engine

FOUND, MISSED, FALSE = "found", "-", "false alarm"


class Peer(Protocol):
    """A tool that passes or refuses an image."""

    name: str

    def refuses(self, image: Image) -> bool: ...


@dataclass(frozen=True, kw_only=True)
class Row:
    """What became of one defect: by tool, what it said."""

    name: str
    finds: str
    said: dict[str, str]


def main(words: Sequence[str]) -> int:
    """Print the table; 1 when seatrial misses a defect, or refuses a clean twin."""
    chosen = [
        defect
        for defect in (*DEFECTS, *PROJECTS)
        if not words or any(word in f"{defect.name} {defect.finds}" for word in words)
    ]
    if not chosen:
        print(f"no defect has such a name or check: {' '.join(words)}", file=sys.stderr)
        return 2
    host = this_host()
    engine = find_engine(host)
    peers, absent = peers_here(engine)
    with open_yard(engine, host) as yard:
        engine.client.images.get(yard.bases["clean"]).tag(IMAGE, "latest")
        # A tool that judges an image waits most of the time, for containers.
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            rows = list(pool.map(lambda defect: row_of(yard, defect, peers), chosen))
        engine.client.images.remove(f"{IMAGE}:latest")
    print_table(rows, ["seatrial", *(peer.name for peer in peers)])
    for line in absent:
        print(f"not counted: {line}")
    return int(any(row.said["seatrial"] != FOUND for row in rows))


def peers_here(engine: Engine) -> tuple[list[Peer], list[str]]:
    """Return the tools that are installed, and of the others why they are not counted."""
    peers: list[Peer] = []
    absent: list[str] = []
    if path := program("container-structure-test"):
        peers.append(StructureTest(engine=engine, path=path))
    else:
        absent.append("container-structure-test is not installed (the group `bench` brings it)")
    if path := program("hadolint"):
        peers.append(Hadolint(path=path))
    else:
        absent.append("hadolint is not installed (the group `bench` brings it)")
    if wheel := bundled_pip():
        peers.append(PipCheck(engine=engine, wheel=wheel))
    else:
        absent.append("pip check: the images hold no pip, and this interpreter bundles none to bring along")
    return peers, absent


def contract_of(values: dict[str, Any]) -> Contract:
    """Return a defect's contract, as the tests make it."""
    return Contract(**{"modules": ("shipapp.web:app",), **values})


def built(yard: Yard, defect: Defect, *, twin: bool) -> Image:
    """Build the broken image or its clean twin."""
    text = defect.twin if twin else defect.dockerfile
    values = defect.twin_contract if twin and defect.twin_contract is not None else defect.contract
    files = {name: body for name, body in defect.files.items() if name in text}
    reference = yard.image(text, files)
    for name, base in yard.bases.items():
        text = text.replace(f"{{{name}}}", base)
    words = read_configuration(yard.engine, reference).words
    return Image(reference=reference, dockerfile=text.lstrip(), contract=contract_of(values), command=words)


def row_of(yard: Yard, defect: Defect | Broken, peers: Iterable[Peer]) -> Row:
    """Return what becomes of one defect, and tell that it is done."""
    started = time.monotonic()
    row = of_image(yard, defect, peers) if isinstance(defect, Defect) else of_project(yard, defect, peers)
    print(f"{defect.name}: {time.monotonic() - started:.1f} s", file=sys.stderr, flush=True)
    return row


def of_image(yard: Yard, defect: Defect, peers: Iterable[Peer]) -> Row:
    """Return what becomes of a broken image."""
    broken, twin = (built(yard, defect, twin=which) for which in (False, True))
    project = defect.facts()
    sound, smoke = (yard.smoke(image.reference, image.contract, defect.level, project) for image in (twin, broken))
    if sound.counts[Status.FAIL] or sound.counts[Status.ERROR]:
        ours = FALSE
    else:
        ours = FOUND if defect.finds in {check.id for check in smoke.checks if check.status is Status.FAIL} else MISSED
    return Row(name=defect.name, finds=defect.finds, said={"seatrial": ours, **by_peers(broken, twin, peers)})


def of_project(yard: Yard, broken: Broken, peers: Iterable[Peer]) -> Row:
    """Return what becomes of a broken project folder: its image is sound, its files are not."""
    images: list[Image] = []
    found: list[set[str]] = []
    for files, contract in ((broken.files, broken.contract), (broken.twin, broken.twin_contract)):
        with tempfile.TemporaryDirectory(prefix="seatrial-detection-") as name:
            folder = Path(name)
            image = target(yard, folder, files, contract)
            smoke = smoking.smoke(image, yard.engine, level=Level.QUICK)[0]
            found.append({key for key, result in bad(smoke).items() if result.status is Status.FAIL})
            text = (folder / "Dockerfile").read_text(encoding="utf-8") if (folder / "Dockerfile").exists() else ""
        words = read_configuration(yard.engine, image.reference).words
        images.append(Image(reference=image.reference, dockerfile=text, contract=image.contract, command=words))
    ours = FALSE if found[1] else FOUND if broken.finds in found[0] else MISSED
    return Row(name=broken.name, finds=broken.finds, said={"seatrial": ours, **by_peers(images[0], images[1], peers)})


def by_peers(broken: Image, twin: Image, peers: Iterable[Peer]) -> dict[str, str]:
    """Return what each peer says: any refusal counts."""
    said: dict[str, str] = {}
    for peer in peers:
        if peer.refuses(twin):
            said[peer.name] = FALSE
        else:
            said[peer.name] = FOUND if peer.refuses(broken) else MISSED
    return said


def print_table(rows: Sequence[Row], names: Sequence[str]) -> None:
    """Print one line a defect, and the totals."""
    first = max(len(row.name) for row in rows)
    second = max(len(row.finds) for row in rows)
    widths = {name: max(len(name), len(FALSE)) for name in names}
    print(f"{'defect':{first}}  {'check':{second}}  " + "  ".join(f"{name:{widths[name]}}" for name in names))
    for row in rows:
        cells = "  ".join(f"{row.said[name]:{widths[name]}}" for name in names)
        print(f"{row.name:{first}}  {row.finds:{second}}  {cells}".rstrip())
    print()
    width = max(map(len, names))
    print(f"{'':{width}}  defects  found  false alarms")
    for name in names:
        said = [row.said[name] for row in rows]
        print(f"{name:{width}}  {len(said):7}  {said.count(FOUND):5}  {said.count(FALSE):12}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
