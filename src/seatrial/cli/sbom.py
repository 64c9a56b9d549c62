"""sbom: lists the parts of an image."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import invoke

from seatrial.cli import output
from seatrial.cli.command import command
from seatrial.errors import ImageError, SettingsError

if TYPE_CHECKING:
    from seatrial.facts import Configuration, Inventory

FORMATS = ("cyclonedx", "spdx")
EXTRA = ("cyclonedx", "packageurl", "spdx_tools")


@command(
    trusting=True,
    help={
        "app": "the app whose image's parts to list; by default the only one",
        "image": "any image instead: a name, tag, id or digest",
        "python": "the app's image for this Python version, such as 3.13",
        "format": "cyclonedx (1.6) or spdx (2.3), both in JSON",
    },
)
def sbom(
    _context: invoke.Context,
    app: str | None = None,
    image: str | None = None,
    python: str | None = None,
    format: str = "cyclonedx",
) -> None:
    """Print an image's software bill of materials: its release, Pythons, distributions and system packages."""
    known = output.known_choice("--format", format, FORMATS)
    if app is not None and image is not None:
        raise SettingsError("--app and --image each name an image.", fix="Give one of them.")
    if lacking := [name for name in EXTRA if find_spec(name) is None]:
        raise SettingsError(
            f"{' and '.join(lacking)}, which write these documents, are not installed.",
            fix="Install the extra: `pip install 'seatrial[sbom]'`.",
        )
    from seatrial.reports import sbom as documents

    configuration, inventory = _installed(app, image, python)
    if not inventory.packages and (inventory.release or inventory.manager):
        why = "RPM's database is not read" if inventory.manager == "rpm" else "no database of dpkg or apk is there"
        output.say(f"note: the system packages are left out: {why}")
    print(getattr(documents, known)(configuration, inventory), end="")


def _installed(app: str | None, image: str | None, python: str | None) -> tuple[Configuration, Inventory]:
    """Return an image's configuration, and what is installed in it.

    Raises:
        ImageError: the engine has no such image, or its files cannot be read to their end.
    """
    from seatrial.facts import Unavailable
    from seatrial.observe.configuration import read_configuration
    from seatrial.observe.image_files import image_index
    from seatrial.observe.inventory import inventory_of
    from seatrial.smoke import image_target

    target = output.one_app(app, python) if image is None else image_target(image, None)
    engine = output.engine()
    with output.status_line() as status, target.build_named():
        configuration = read_configuration(engine, target.reference)
        status(f"{target.reference}: reading its files")
        index = image_index(engine, configuration)
    found = index if isinstance(index, Unavailable) else inventory_of(index)
    if isinstance(found, Unavailable):
        raise ImageError(f"{found.reason}, so a list of its parts would lack some.", where=target.reference)
    return configuration, found
