"""layers: where an image's bytes are."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import invoke

from seatrial.cli import output
from seatrial.cli.command import command
from seatrial.errors import ExitCode, SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seatrial.facts.sources import Instruction
    from seatrial.observe.layers.saved_image import SavedImage
    from seatrial.smoke import Target


FORMATS = ("text", "json", "html")


@command(
    trusting=True,
    help={
        "app": "the app whose image to look into; by default the only one",
        "image": "any image instead: a name, tag, id or digest",
        "archive": "a file that `docker save` wrote, or an OCI image layout as a file or folder; no engine is asked",
        "python": "the app's image for this Python version, such as 3.13",
        "platform": "of an archive for several platforms, which one: linux/arm64",
        "format": "text, json, or html: one page with a treemap",
    },
)
def layers(
    _context: invoke.Context,
    app: str | None = None,
    image: str | None = None,
    archive: str | None = None,
    python: str | None = None,
    platform: str | None = None,
    format: str = "text",
) -> ExitCode:
    """Show where an image's bytes are: by instruction, Python distribution, system package and folder."""
    from seatrial.observe.layers.stacked import layers_of
    from seatrial.observe.layers.usage import usage_of
    from seatrial.reports.layers import layers_document, print_layers, summary

    known = output.known_choice("--format", format, FORMATS)
    if sum(value is not None for value in (app, image, archive)) > 1:
        raise SettingsError("--app, --image and --archive each name an image.", fix="Give one of them.")
    if platform is not None and archive is None:
        raise SettingsError("--platform goes with --archive.", fix="Leave it out: the engine has the image of one.")
    target = None if image or archive else output.one_app(app, python)
    name, saved = _saved(target.reference if target else image or "", archive, platform or "", target)
    facts = layers_of(saved, (), _instructions(target))
    usage = usage_of(saved, facts)
    if known == "json":
        print(layers_document(name, saved.id, usage), end="")
    elif known == "html":
        from seatrial.reports.treemap import layers_page

        print(layers_page(name, summary(usage), usage), end="")
    else:
        print_layers(name, usage, facts, output.console())
    return ExitCode.OK


def _instructions(target: Target | None) -> Sequence[Instruction]:
    """Return the instructions of an app's Dockerfile; none where it is not known, or cannot be used."""
    from seatrial.facts import Unavailable
    from seatrial.observe.project.sources import read_dockerfile

    files = target.sources if target else None
    if files is None:
        return ()
    source = read_dockerfile(files.dockerfile, files.shown(files.dockerfile), files.build_arguments, files.target)
    return () if isinstance(source, Unavailable) else source.parsed.final_instructions


def _saved(reference: str, archive: str | None, platform: str, target: Target | None) -> tuple[str, SavedImage]:
    """Return an image's name, and its layers."""
    from seatrial.observe.configuration import read_configuration
    from seatrial.observe.image_files import image_layers
    from seatrial.observe.layers.saved_image import from_path

    if archive is not None:
        return archive, from_path(Path(archive), platform)
    engine = output.engine()
    with output.status_line() as status, target.build_named() if target else nullcontext():
        configuration = read_configuration(engine, reference)
        status(f"{reference}: reading its layers")
        return reference, image_layers(engine, configuration)
