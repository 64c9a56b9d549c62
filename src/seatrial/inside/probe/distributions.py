"""Installed distributions, and the scripts that they install."""

import json
import os
import re
import site
import stat
import sys
import sysconfig
from typing import TYPE_CHECKING

from seatrial.inside.probe.base import listing, named_for_env, read, search_path, shebang, text, truncated, which

if TYPE_CHECKING:
    from typing import List, Set, Tuple

    from seatrial.inside.probe.base import Row


MAX_SCRIPTS = 2000


def scripts() -> "List[Row]":
    own = [os.path.dirname(sys.executable or ""), sysconfig.get_path("scripts")]
    if site.ENABLE_USER_SITE:
        own.append(os.path.join(site.getuserbase(), "bin"))
    found: "List[Row]" = []
    for folder in dict.fromkeys(folder for folder in own if folder and os.path.isdir(folder)):
        for name in sorted(listing(folder)):
            path = os.path.join(folder, name)
            try:
                if not stat.S_ISREG(os.stat(path).st_mode):
                    continue
                with open(path, "rb") as file:
                    beginning = file.read(4096)
            except OSError:
                continue
            named = shebang(beginning)
            if named is None:
                continue
            if len(found) >= MAX_SCRIPTS:
                truncated.append("scripts")
                return found
            target = named_for_env(*named) or named[1]
            there = os.access(target, os.X_OK) if "/" in target else which(target) != ""
            found.append({"path": text(path), "interpreter": text(target, 500), "found": there})
    return found


EGG_INFO = "EGG-INFO"
"""The metadata in an egg that is a folder."""
MAX_DISTRIBUTIONS = 5000
MOST_REQUIREMENTS = 5000
"""Of one distribution: some that have an extra for each of their plugins name more than five hundred."""
LONGEST_REQUIREMENT = 2000
"""Characters."""


def distributions() -> "Tuple[List[Row], List[Row]]":
    """Return those of the environment and those of the interpreter below it, and those that are broken."""
    found: "List[Row]" = []
    broken: "List[Row]" = []
    for folders, base in ((search_path, False), (base_folders(), True)):
        seen: "Set[str]" = set()
        for folder in folders:
            egg = EGG_INFO if folder.endswith(".egg") else ""
            endings = (".dist-info", ".egg-info")
            for name in sorted(name for name in listing(folder or ".") if name.endswith(endings) or name == egg):
                if len(found) >= MAX_DISTRIBUTIONS:
                    truncated.append("distributions")
                    return found, broken[:200]
                path = os.path.join(folder, name)
                row = distribution(folder, path, base)
                if "problem" in row:
                    broken.append(row)
                    continue
                # The first on the path is the one that is imported.
                key = row["name"].lower().replace("_", "-").replace(".", "-")
                if key not in seen:
                    seen.add(key)
                    found.append(row)
    return found, broken[:200]


def distribution(folder: str, path: str, base: bool) -> "Row":
    metadata = path
    if os.path.isdir(path):
        metadata = os.path.join(path, "METADATA" if path.endswith(".dist-info") else "PKG-INFO")
    try:
        fields = header(read(metadata))
    except OSError as error:
        return {"location": text(path), "problem": text(error)}
    if not fields.get("name") or not fields.get("version"):
        return {"location": text(path), "problem": "it has no name or no version"}
    requires = fields["requires"] or requires_of_egg(path)
    return {
        "name": text(fields["name"], 200),
        "version": text(fields["version"], 200),
        "location": text(folder),
        "requires": [text(requirement, LONGEST_REQUIREMENT) for requirement in requires[:MOST_REQUIREMENTS]],
        "scripts": [text(script, 200) for script in console_scripts(path)],
        "base": base,
        **origin(path),
    }


FIELD = re.compile(r"[!-9;-~]+:")
LINE_END = re.compile(r"\r\n|\r|\n")


def header(raw: str) -> "Row":
    """Return the fields of a METADATA file, read by the rules of `email.parser`, as the core metadata standard says.

    A line that begins with a blank goes on with the field above it, even where it holds nothing else. The first line
    that neither does nor begins with a field's name, such as an empty one, ends the header.
    """
    fields: "Row" = {"requires": []}
    key, parts = "", [""]
    for line in [*LINE_END.split(raw), ""]:
        if line[:1] in (" ", "\t"):
            parts.append(line.strip())
            continue
        value = " ".join(part for part in parts if part)
        if key == "requires-dist":
            fields["requires"].append(value[:LONGEST_REQUIREMENT])
        elif key in ("name", "version"):
            fields.setdefault(key, value[:200])
        key, _, value = line.partition(":")
        key, parts = key.lower(), [value.strip()]
        if not line.startswith(("From ", ":")) and not FIELD.match(line):
            break
    return fields


def requires_of_egg(folder: str) -> "List[str]":
    if not folder.endswith((".egg-info", EGG_INFO)):
        return []
    try:
        return requires_text(read(os.path.join(folder, "requires.txt")))
    except OSError:
        return []


def requires_text(raw: str) -> "List[str]":
    """Return the requirements of an egg's requires.txt; a section is an extra, a marker, or both: `extra:marker`."""
    found: "List[str]" = []
    marker = ""
    for line in map(str.strip, LINE_END.split(raw)):
        if line.startswith("[") and line.endswith("]"):
            extra, _, condition = line[1:-1].partition(":")
            condition = "(" + condition + ")" if extra and condition else condition
            marker = " and ".join(part for part in (condition, 'extra == "' + extra + '"' if extra else "") if part)
        elif line and not line.startswith("#") and len(found) < MOST_REQUIREMENTS:
            # Behind an address, a semicolon belongs to it unless a blank stands before.
            found.append((line + (" ; " if "@" in line else "; ") + marker if marker else line)[:LONGEST_REQUIREMENT])
    return found


def console_scripts(folder: str) -> "List[str]":
    try:
        return script_names(read(os.path.join(folder, "entry_points.txt")))
    except OSError:
        return []


def script_names(entry_points: str) -> "List[str]":
    """Return the console scripts that an entry_points.txt declares."""
    names: "List[str]" = []
    section = ""
    for raw in entry_points.split("\n"):
        line = raw.strip()
        if line.startswith("["):
            section = line.strip("[] ")
        elif section == "console_scripts" and "=" in line and len(names) < 200:
            names.append(line.partition("=")[0].strip()[:200])
    return names


def origin(folder: str) -> "Row":
    """Of a distribution that came from a file or folder, not from an index: from where, and what it holds (PEP 610)."""
    found: "Row" = {"editable": ""}
    try:
        record = json.loads(read(os.path.join(folder, "direct_url.json")))
        if record.get("dir_info", {}).get("editable"):
            found["editable"] = text(record.get("url", "unknown"))
        if record.get("url", "").startswith("file:"):
            rows = read(os.path.join(folder, "RECORD")).split("\n")
            packages = {row.partition("/")[0] for row in rows if row.partition("/")[2].startswith("__init__.py,")}
            found["packages"] = [text(package, 200) for package in sorted(packages)[:50]]
            found["origin"] = text(record["url"], 500)
    except (OSError, ValueError, AttributeError):
        pass
    return found


def own_packages(root: str) -> "List[str]":
    """Return the packages in the folders that the command and PYTHONPATH put on the path: the application's own."""
    found = []
    for folder in [root, *os.environ.get("PYTHONPATH", "").split(os.pathsep)]:
        names = sorted(listing(folder))[:1000] if folder else []
        packages = [name for name in names if os.path.isfile(os.path.join(folder, name, "__init__.py"))]
        found += [text(name, 200) for name in packages if name.isidentifier()]
    return found[:50]


def base_folders() -> "List[str]":
    """Return the site folders of the interpreter below a virtual environment."""
    found: "List[str]" = []
    if sys.prefix == sys.base_prefix:
        return found
    # As Python has them: Debian's folder for what is installed by hand comes first.
    for scheme in sorted(sysconfig.get_scheme_names(), key=lambda name: name != "posix_local"):
        if not scheme.startswith(("posix_prefix", "deb_system", "posix_local")):
            continue
        variables = {"base": sys.base_prefix, "platbase": sys.base_prefix}
        for key in ("purelib", "platlib"):
            folder = sysconfig.get_path(key, scheme, variables)
            if folder and folder not in found and folder not in search_path:
                found.append(folder)
    return found
