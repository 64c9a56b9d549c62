"""layers/*: bytes that an image holds and no container sees."""

from __future__ import annotations

from collections.abc import Sequence

from seatrial.checks.declaration import check
from seatrial.checks.model import Expect, Outcome, Severity, UndecidedError, shorten
from seatrial.facts import DockerfileSource, Hidden, ImageLayer, Layers, StoredTwice, Unavailable
from seatrial.settings.model import Contract
from seatrial.text import counted, parse_size, show_size

SHOWN = 3
LONGEST = 60
"""Characters of an instruction that a finding shows."""


def named(layer: ImageLayer) -> str:
    """Return what a reader knows a layer by: its instruction's line, or its number, and how it begins."""
    place = f"line {layer.line}" if layer.line else f"layer {layer.number}"
    text = layer.instruction
    return f"{place} ({text if len(text) <= LONGEST else f'{text[:LONGEST]}…'})" if text else place


def refuse_partial_layers(layers: Layers) -> None:
    """Leave a check undecided where a part of the layers was not read."""
    if layers.cut:
        raise UndecidedError(f"the layers were not read whole: {layers.cut[0]}", *layers.cut[1:])


def line_of(dockerfile: DockerfileSource | Unavailable, layer: ImageLayer) -> str:
    """Return `file:line` of a layer's instruction; empty where it is not known."""
    return "" if isinstance(dockerfile, Unavailable) or not layer.line else f"{dockerfile.path}:{layer.line}"


@check(
    "layers/waste",
    title="Stores nothing that a later layer removes or writes again",
    severity=Severity.WARNING,
    demanded_by=("max_waste",),
    why="What a later layer removes or replaces is still pulled and stored with the image.",
    source="Docker's build best practices: sort multi-line arguments, apt-get; dive, image efficiency",
    example="RUN apt-get update && apt-get install -y gcc\nRUN apt-get purge -y gcc && rm -rf /var/lib/apt/lists/*",
    fixed="RUN apt-get update && apt-get install -y gcc && make && apt-get purge -y gcc && \\\n"
    "    rm -rf /var/lib/apt/lists/*",
)
def waste(layers: Layers, dockerfile: DockerfileSource | Unavailable, contract: Contract) -> Outcome:
    """Judge what layers of the image's own hide of each other; what is hidden of the base is not its author's doing."""
    own = [row for row in layers.hidden if not layers.layer(row.layer).base]
    wasted, most = sum(row.size for row in own), parse_size(contract.max_waste)
    expect = Expect(f"at most {contract.max_waste} of the image's own that a later layer hides")
    if wasted > most:
        lines = [hidden_line(row, layers) for row in own]
        return expect.failed(
            f"{show_size(wasted)}: {shorten(lines, SHOWN)}",
            fix=_once(own[0], layers),
            evidence=tuple(lines),
            where=line_of(dockerfile, layers.layer(own[0].layer)),
            items=[f"{show_size(row.size)} in {row.folder}" for row in own],
        )
    refuse_partial_layers(layers)
    return expect.passed(f"{show_size(wasted)} in {counted(len(layers.layers), 'layer')}")


def hidden_line(row: Hidden, layers: Layers) -> str:
    """Return what a layer hides of another one."""
    what = "removes" if row.removed else "writes again"
    files = f"{row.folder} ({counted(row.files, 'file')}, {show_size(row.size)})"
    return f"{named(layers.layer(row.by))} {what} {files} of {named(layers.layer(row.layer))}"


def _once(row: Hidden, layers: Layers) -> str:
    writer = layers.layer(row.layer)
    if not row.removed:
        return f"Write {row.folder} once: move {named(layers.layer(row.by))} into {named(writer)}, or build in a stage."
    if writer.instruction.startswith(("COPY", "ADD")):
        return (
            f"Leave {row.folder} out of {named(writer)}: mount it where it is needed "
            "(`RUN --mount=type=bind,target=…`), or copy it in a stage that the image does not begin with."
        )
    return (
        f"Remove {row.folder} at the end of {named(writer)}, as a later line makes no layer smaller; or keep it out of "
        f"the layer: `RUN --mount=type=cache,target={row.folder} …`."
    )


@check(
    "layers/ownership-copy",
    title="Changes the owner and mode of files where it copies them",
    severity=Severity.WARNING,
    why="A layer holds whole files: `chown -R` stores each again, with the same content and another owner.",
    source="Dockerfile reference, COPY --chown and --chmod",
    example="COPY . /app\nRUN chown -R app:app /app",
    fixed="COPY --chown=app:app . /app",
)
def ownership_copy(layers: Layers, dockerfile: DockerfileSource | Unavailable, contract: Contract) -> Outcome:
    """Judge files that a layer holds again with the same content, and another owner or mode."""
    twice, most = layers.twice, parse_size(contract.max_waste)
    again = sum(row.size for row in twice)
    expect = Expect(f"at most {contract.max_waste} that a layer stores again for another owner or mode")
    if again > most:
        lines = [twice_line(row, layers) for row in twice]
        return expect.failed(
            lines,
            fix=_at_once(twice[0], layers),
            evidence=tuple(lines),
            where=line_of(dockerfile, layers.layer(twice[0].layer)),
        )
    refuse_partial_layers(layers)
    return expect.passed(f"{show_size(again)} in {counted(len(layers.layers), 'layer')}")


def _changed(row: StoredTwice) -> Sequence[str]:
    return [name for name, changed in (("owner", row.owner), ("mode", row.mode)) if changed]


def twice_line(row: StoredTwice, layers: Layers) -> str:
    """Return what a layer stores again."""
    files = f"{row.folder} ({counted(row.files, 'file')}, {show_size(row.size)})"
    return f"{named(layers.layer(row.layer))} stores {files} again, with another {' and '.join(_changed(row))}"


def _at_once(row: StoredTwice, layers: Layers) -> str:
    first = layers.layer(row.before[0])
    flags = " ".join({"owner": "--chown=USER:GROUP", "mode": "--chmod=MODE"}[name] for name in _changed(row))
    if first.base:
        return f"Leave {row.folder} as the base has it: what only has to be read needs no other owner."
    if first.instruction.startswith(("COPY", "ADD")):
        word = first.instruction.split()[0]
        return (
            f"Write `{word} {flags} …` in {named(first)}, and drop {row.folder} from {named(layers.layer(row.layer))}."
        )
    return (
        f"Do it in {named(first)}, which writes them: at its end, or by running it as that user. Or build in a stage, "
        f"and `COPY {flags} --from=STAGE`."
    )
