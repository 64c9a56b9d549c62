"""Renews the table of how long Linux releases get security fixes, from Debian's package distro-info-data."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

from seatrial.host import this_host
from seatrial.offline import debian

TABLE = Path(__file__).parents[1] / "src/seatrial/checks/end_of_life.toml"
PACKAGE = "distro-info-data"
ENDS = ("eol", "eol-lts", "eol-server")
"""What ends the fixes that everybody gets: not Ubuntu's ESM and Debian's ELTS, which are sold."""


def rows(text: str) -> Iterator[tuple[str, str]]:
    """Yield the releases of a file of that package, each with the last day of its fixes."""
    for row in csv.DictReader(text.splitlines()):
        ends = [date.fromisoformat(row[key]) for key in ENDS if row.get(key)]
        if ends and row["version"]:
            yield row["version"].split()[0], max(ends).isoformat()


def table(folder: Path, package: str, today: date) -> str:
    """Return the table by the files in a folder."""
    lines = [f"# Written by `nox -s end_of_life` from {package}.", f"renewed = {today.isoformat()}"]
    for name in ("debian", "ubuntu"):
        lines += ["", f"[{name}]"]
        lines += [f'"{version}" = {end}' for version, end in rows((folder / f"{name}.csv").read_text("utf-8"))]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the table anew."""
    host = this_host()
    (deb,) = debian.fetch([PACKAGE], suite=debian.host_archive().codename, host=host, say=print)
    with tempfile.TemporaryDirectory() as folder:
        debian.unpack([deb], Path(folder), host=host)
        found = table(Path(folder) / "usr/share/distro-info", deb.name, datetime.now(UTC).date())
    TABLE.write_text(found, "utf-8")
    print(f"{TABLE} is written")  # noqa: T201 - a program


if __name__ == "__main__":
    main()
