"""Scans images: reads what is installed, asks the sources, and makes the verdict."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from packaging.utils import canonicalize_name

from seatrial.checks.model import Severity
from seatrial.checks.verdict import Smoke, summed_up, truncate
from seatrial.engine.containers import engine_errors
from seatrial.engine.find import Engine
from seatrial.errors import ImageError
from seatrial.facts import Configuration, Inventory, Unavailable
from seatrial.filesystem import os_errors
from seatrial.host import Host
from seatrial.observe.configuration import read_configuration
from seatrial.observe.image_files import image_index
from seatrial.observe.inventory import inventory_of
from seatrial.observe.layers.saved_image import LEAST, SAVE_TIMEOUT
from seatrial.offline import has_debian_archive
from seatrial.owner import temporary_folder
from seatrial.scan import Answer, Kind
from seatrial.scan.judge import HOLDS, results_of, unknown, waiver_notes
from seatrial.scan.lists import audit, debian, is_debian, pip_audit
from seatrial.scan.places import places_of
from seatrial.scan.scanners import SCANNERS, ask, is_installed
from seatrial.smoke.images import Smoked, Target, each

LEVEL = "scan"
"""The level of a scan in its report."""
DEBIAN, AUDIT = "debian", "pip-audit"
SOURCES = (*SCANNERS, AUDIT, DEBIAN)


@dataclass(frozen=True, kw_only=True)
class Asking:
    """Who is asked, and with what."""

    engine: Engine
    host: Host
    sources: Collection[str] = ()
    """Those to ask; by default all that are here and fit."""
    data: Path | None = None
    """A folder with their data, where they are to ask no network."""
    osv_url: str | None = None
    """The server of OSV's API that pip-audit asks; by default osv.dev."""

    def wants(self, name: str, *, fits: bool) -> bool:
        """Tell whether to ask a source: named, or where nobody named any, one that fits."""
        return name in self.sources or (not self.sources and fits)


def scan_images(targets: Sequence[Target], asking: Asking, say: Callable[[str], None] = lambda _: None) -> Smoked:
    """Scan images, one after the other."""

    def run(target: Target) -> Smoke:
        with target.build_named():
            return _scan(target, asking, lambda step: say(f"{target.reference}: {step}"))

    return each([(target.reference, partial(run, target)) for target in targets])


def _scan(target: Target, asking: Asking, say: Callable[[str], None]) -> Smoke:
    started, chosen = time.perf_counter(), bool(asking.sources)
    configuration = read_configuration(asking.engine, target.reference)
    say("reading what is installed")
    index = image_index(asking.engine, configuration)
    inventory = index if isinstance(index, Unavailable) else inventory_of(index)
    if isinstance(inventory, Unavailable):
        raise ImageError(f"what is installed cannot be told: {inventory.reason}.", where=target.reference)
    answers = _answers(configuration, inventory, canonicalize_name(target.project.name), asking, say)
    waivers, today = target.contract.scan.waive, datetime.now(UTC).date()
    places = places_of(target.sources, inventory.manager)
    results = results_of(answers, inventory, waivers, today, places, chosen=chosen)
    left_out = [f"--source leaves the {HOLDS[kind]} out" for kind in unknown(answers, inventory) if chosen]
    return Smoke(
        image=truncate(configuration.reference),
        id=configuration.id,
        seconds=round(time.perf_counter() - started, 3),
        **summed_up(results, Severity(target.contract.fail_on)),
        app=target.app or "",
        python=target.contract.python or "",
        level=LEVEL,
        notes=tuple(map(truncate, (*target.notes, *left_out, *waiver_notes(answers, inventory, waivers, today)))),
        unpacked=configuration.unpacked,
    )


def _answers(
    image: Configuration, inventory: Inventory, own: str, asking: Asking, say: Callable[[str], None]
) -> dict[str, Answer | Unavailable]:
    host, data = asking.host, asking.data
    answers: dict[str, Answer | Unavailable] = {}
    with temporary_folder("scan") as folder:
        here = {name: data is None or (data / name).is_dir() for name in SOURCES}
        scanners = [
            scanner
            for name, scanner in SCANNERS.items()
            if asking.wants(name, fits=here[name] and is_installed(scanner, host, folder))
        ]
        if scanners:
            say("saving the image for the scanners")
            _save(asking.engine, image, folder / "image.tar")
        for scanner in scanners:
            say(f"asking {scanner.name}")
            answers[scanner.name] = ask(scanner, folder / "image.tar", host, data, datetime.now(UTC))
    # The application itself is no distribution of the index, whatever has its name there.
    others = [found for found in inventory.distributions if canonicalize_name(found.name) != own]
    # pip-audit has no data of its own: it asks a server, which may be this host's.
    reached = data is None or asking.osv_url is not None
    if asking.wants(AUDIT, fits=bool(others) and reached and bool(pip_audit(host))):
        say("asking pip-audit")
        answers[AUDIT] = audit(others, host, asking.osv_url)
    known = Kind.SYSTEM not in unknown(answers, inventory)
    if asking.wants(DEBIAN, fits=is_debian(inventory) and here[DEBIAN] and (has_debian_archive() or not known)):
        say("reading Debian's lists")
        answers[DEBIAN] = debian(inventory, host, say, data)
    return answers


def _save(engine: Engine, configuration: Configuration, file: Path) -> None:
    """Write an image as `docker save` does, no more than it can hold."""
    most = 2 * configuration.unpacked + LEAST
    doing = f"saving {configuration.reference}"
    with os_errors(file), engine_errors(doing), closing(engine.connection(SAVE_TIMEOUT)) as api, file.open("wb") as out:
        for chunk in api.get_image(configuration.id):
            out.write(chunk)
            if out.tell() > most:
                raise ImageError(f"is larger than its {most} bytes when it is saved.", where=configuration.reference)
