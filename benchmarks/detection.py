"""What is found of the catalogue's defects, and by whom: `nox -s detection`; words choose defects by name or check.

A tool finds a defect when it refuses the broken image and passes its clean twin. Refusing the clean twin is a false
alarm. seatrial has to name the very check; of the other tools any refusal counts.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from peers import Hadolint, Image, PipCheck, StructureTest, bundled_pip, program
from tests.defects.catalogue import DEFECTS, Defect
from tests.defects.yard import Yard, open_yard

from seatrial.checks.model import Status
from seatrial.engine.find import find_engine
from seatrial.facts.configuration import read_configuration
from seatrial.host import this_host
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

    defect: Defect
    said: dict[str, str]


def main(words: Sequence[str]) -> int:
    """Print the table; 1 when seatrial misses a defect, or refuses a clean twin."""
    chosen = [one for one in DEFECTS if not words or any(word in f"{one.name} {one.finds}" for word in words)]
    host = this_host()
    engine = find_engine(host)
    peers, absent = peers_here(engine)
    rows: list[Row] = []
    with open_yard(engine, host) as yard:
        for number, defect in enumerate(chosen, start=1):
            started = time.monotonic()
            rows.append(
                Row(defect=defect, said={"seatrial": by_seatrial(yard, defect), **by_peers(yard, defect, peers)})
            )
            print(
                f"[{number}/{len(chosen)}] {defect.name}: {time.monotonic() - started:.1f} s",
                file=sys.stderr,
                flush=True,
            )
    print_table(rows, ["seatrial", *(one.name for one in peers)])
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
    words = read_configuration(yard.engine.client.api, reference).words
    return Image(reference=reference, dockerfile=text.lstrip(), contract=contract_of(values), command=words)


def by_seatrial(yard: Yard, defect: Defect) -> str:
    """Return what seatrial says: the very check has to fail."""
    broken, twin = (built(yard, defect, twin=which) for which in (False, True))
    project = defect.facts()
    sound = yard.smoke(twin.reference, twin.contract, defect.level, project)
    if sound.counts[Status.FAIL] or sound.counts[Status.ERROR]:
        return FALSE
    smoke = yard.smoke(broken.reference, broken.contract, defect.level, project)
    failing = {one.id for one in smoke.checks if one.status is Status.FAIL}
    return FOUND if defect.finds in failing else MISSED


def by_peers(yard: Yard, defect: Defect, peers: Iterable[Peer]) -> dict[str, str]:
    """Return what each peer says: any refusal counts."""
    broken, twin = (built(yard, defect, twin=which) for which in (False, True))
    said: dict[str, str] = {}
    for peer in peers:
        if peer.refuses(twin):
            said[peer.name] = FALSE
        else:
            said[peer.name] = FOUND if peer.refuses(broken) else MISSED
    return said


def print_table(rows: Sequence[Row], names: Sequence[str]) -> None:
    """Print one line a defect, and the totals."""
    first = max(len(row.defect.name) for row in rows)
    second = max(len(row.defect.finds) for row in rows)
    widths = {name: max(len(name), len(FALSE)) for name in names}
    print(f"{'defect':{first}}  {'check':{second}}  " + "  ".join(f"{name:{widths[name]}}" for name in names))
    for row in rows:
        cells = "  ".join(f"{row.said[name]:{widths[name]}}" for name in names)
        print(f"{row.defect.name:{first}}  {row.defect.finds:{second}}  {cells}".rstrip())
    print()
    width = max(map(len, names))
    print(f"{'':{width}}  defects  found  false alarms")
    for name in names:
        said = [row.said[name] for row in rows]
        print(f"{name:{width}}  {len(said):7}  {said.count(FOUND):5}  {said.count(FALSE):12}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
