"""Facts that fail each check of layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.unit.factories import facts, layers

from seatrial.facts import ContentKind, FoundPath, Hidden, HiddenPath, StoredTwice

if TYPE_CHECKING:
    from seatrial.facts import Facts

FAILING: dict[str, Facts] = {
    "layers/waste": facts(
        layers=layers(
            hidden=(
                Hidden(layer=2, by=3, removed=True, folder="/var/lib/apt/lists", files=9, size=18_000_000),
                Hidden(layer=1, by=3, removed=True, folder="/usr/share/doc", files=900, size=9_000_000),
            )
        )
    ),
    "layers/ownership-copy": facts(
        layers=layers(
            twice=(StoredTwice(layer=3, before=(2,), folder="/app", files=30, size=20_000_000, owner=True, mode=False),)
        )
    ),
    "secrets/deleted": facts(
        layers=layers(
            secrets=(
                HiddenPath(
                    found=FoundPath(kind=ContentKind.SECRET, path="/root/.netrc", about="credentials"),
                    layer=2,
                    by=3,
                    removed=True,
                ),
            )
        )
    ),
}
